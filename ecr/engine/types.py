"""The engine's type tokens of what a deployment makes. Owns them; reads nothing."""

REPOSITORY = "aws:ecr/repository:Repository"
PROVIDER = "pulumi:providers:aws"
ROLE = "aws:iam/role:Role"
VARIABLE = "github:index/actionsVariable:ActionsVariable"
