"""Which images a cluster refuses, from what ECR found in them.

`registries` reads the findings, `waivers` the exceptions, `decisions` makes of both which images are
denied, `lists` writes these as ConfigMaps, and `cluster` hands them to one. The command is
`ecr.cli.commands.admission`; the policy that reads the lists is in `kubernetes/admission`.
"""
