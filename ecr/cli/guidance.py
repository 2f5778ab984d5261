"""Where each command is explained, and how it is called: what its help says at its end.

Owns the page of each command, by its path below docs/, and one example that the command takes.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Guidance(NamedTuple):
    """The page that explains a command, and the words behind the command's name in an example."""

    page: str
    example: str


GUIDANCE: Mapping[str, Guidance] = {
    "admission": Guidance("guides/admission.md", "--outputs outputs.json --json"),
    "adopt": Guidance("runbooks/adopt.md", "--stack prod"),
    "audit": Guidance("operations/audit.md", "--outputs outputs.json"),
    "bootstrap": Guidance(
        "guides/first-day.md",
        "--settings Pulumi.prod.yaml --repository acme/ecr-estate --repository-id 123456789 "
        "--operators arn:aws:iam::111122223333:role/operators --reviewer team:platform",
    ),
    "compare": Guidance("reference/comparison.md", "--count 400"),
    "deploy": Guidance("operations/deploy.md", "checkout --stack prod --yes"),
    "dockerfiles": Guidance("operations/dockerfiles.md", "--settings Pulumi.prod.yaml"),
    "doctor": Guidance(
        "guides/first-day.md",
        "--settings Pulumi.prod.yaml --repository acme/ecr-estate --repository-id 123456789 "
        "--operators arn:aws:iam::111122223333:role/operators",
    ),
    "drift": Guidance("guides/pipeline.md", "-- --stack prod"),
    "empty": Guidance("runbooks/retire.md", "legacy-api --outputs outputs.json --audit audit.json"),
    "estate": Guidance("estate/index.md", "--outputs outputs.json"),
    "list": Guidance("decisions/0004-where-the-list-comes-from.md", "--settings Pulumi.prod.yaml"),
    "new": Guidance("guides/first-day.md", "acme --organisation acme --region eu-west-1"),
    "plan": Guidance("guides/pipeline.md", "-- --stack prod"),
    "policies": Guidance("guides/access.md", "--settings Pulumi.prod.yaml --roles"),
    "promote": Guidance("guides/promoting.md", "checkout --from dev --to prod --tag 4f2c1a9"),
    "replicas": Guidance("operations/replicas.md", "--outputs outputs.json"),
    "rescan": Guidance("operations/rescan.md", "--outputs outputs.json --limit 1000"),
    "settings": Guidance("reference/settings.md", "--schema"),
    "shards": Guidance("guides/large-estates.md", "--settings Pulumi.prod.yaml"),
    "simulate": Guidance("operations/simulate.md", "images.json --policy commit-sha --days 30"),
    "upgrade": Guidance("operations/upgrade.md", "--check --stack prod"),
    "usage": Guidance("operations/usage.md", "--outputs outputs.json --by owner"),
}
