"""Promotion's roles: what whoever promotes may do, and who that is, as IAM policy documents.

Reads two placements, whose names may hold a wildcard for the service. Grants reading the one and
writing the other, and never deleting, nor anything about repositories themselves. Trusts the jobs of
one workflow alone, whose code no caller chooses.

Sources: GitHub Docs, "OpenID Connect reference"; IAM User Guide, "Available keys for AWS OIDC
federation".
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from ecr.plan.access.documents import allow, policy
from ecr.plan.access.push_roles import (
    AUDIENCE,
    ISSUER,
    LONGEST_ROLE_NAME,
    GitHubRepository,
    provider_arn,
)
from ecr.plan.access.registry_policies import PULL, PUSH
from ecr.registry.registry import Placement, Registry

FINDINGS = "ecr:DescribeImageScanFindings"

LIST_TAGS = "ecr:ListImages"
"""What listing an image repository's tags takes, among which signatures are found."""

PUSH_READS = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage")
"""What a push takes beside PUSH: which layers and manifests are there already (Amazon ECR User Guide, "IAM permissions
for pushing an image to an Amazon ECR private repository")."""

INSPECTOR = ("inspector2:ListCoverage", "inspector2:ListFindings")
"""What reading the findings takes beside it under enhanced scanning, for which they are Amazon
Inspector's."""

READER = "ecr-promotion-reader"
"""What the role that reads another account's images is called, unless told otherwise."""


WORKFLOW = ".github/workflows/promote.yml"
"""The reusable workflow that promotes, in the repository of the estate's program."""


def promotion_role_name(service: str, stage: str) -> str:
    """Return what the role that promotes a service to a stage is called, unless told otherwise."""
    return f"promote-{service.replace('/', '.')}-to-{stage}"[:LONGEST_ROLE_NAME]


def promotion_trust(
    registry: Registry,
    estate: str,
    owner_id: int,
    stage: str,
    repository: GitHubRepository | None = None,
) -> dict[str, Any]:
    """Return the trust policy of the role that promotes to a stage, in a registry's account.

    ``estate`` is the repository of the program, OWNER/NAME, and ``owner_id`` the number of its
    owner: whichever repository calls the workflow there, its job's token names the workflow whose
    code is run. ``repository`` is the only one that may call it; without it every one of the owner
    may. Outside of the partition aws IAM knows neither key, and the subject alone has to do.
    """
    owner = estate.partition("/")[0]
    names = (
        (f"{owner}/*", f"{owner}@{owner_id}/*")
        if repository is None
        else (
            f"{owner}/{repository.name}",
            f"{owner}@{owner_id}/{repository.name}@{repository.id}",
        )
    )
    exact = {f"{ISSUER}:aud": AUDIENCE}
    alike: dict[str, str | list[str]] = {
        f"{ISSUER}:sub": [f"repo:{name}:environment:{stage}" for name in names]
    }
    if registry.partition == "aws":
        alike[f"{ISSUER}:job_workflow_ref"] = f"{estate}/{WORKFLOW}@*"
        if repository:
            exact[f"{ISSUER}:repository_id"] = str(repository.id)
    return policy(
        {
            "Sid": "Promotion",
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(registry)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": exact, "StringLike": alike},
        }
    )


def reader_trust(promoter: str) -> dict[str, Any]:
    """Return the trust policy of the role that reads another account's images, for the promoter's ARN."""
    return policy(
        {
            "Sid": "Promoter",
            "Effect": "Allow",
            "Principal": {"AWS": promoter},
            "Action": "sts:AssumeRole",
        }
    )


def promotion_documents(
    source: Placement,
    target: Placement,
    others: Iterable[Placement] = (),
    reader: str | None = None,
    *,
    enhanced: bool = False,
) -> dict[str, dict[str, Any]]:
    """Return the policy documents of the role that promotes, by account.

    The role lives in the target's account. Where the source is another account's, a second role
    there reads it, which the first may assume: ``reader`` is its ARN, or else it is READER.
    ``enhanced`` is whether scanning is.
    ``others`` are the placements of other stages: a wildcard such as ``*-prod`` also matches a stage
    called ``non-prod``, and what it would cover too much is denied.
    """
    token = allow("Token", ["ecr:GetAuthorizationToken"], "*")
    read = [allow("ReadSource", [*PULL, LIST_TAGS, FINDINGS], _arn(source))]
    if enhanced:
        read.append(allow("ReadFindings", list(INSPECTOR), "*"))
    write = allow("WriteTarget", [*PUSH_READS, *PUSH], _arn(target))
    covered = sorted(
        _arn(other)
        for other in others
        if other.registry == target.registry
        and other.name != target.name
        and fnmatchcase(other.name, target.name)
    )
    deny = {"Sid": "OtherStages", "Effect": "Deny", "Action": list(PUSH), "Resource": covered}
    mine = [token, write, *([deny] if covered else [])]
    there, here = source.registry, target.registry
    if there.account == here.account:
        return {here.account: policy(*read, *mine)}
    named = reader or f"arn:{there.partition}:iam::{there.account}:role/{READER}"
    assume = allow("AssumeReader", ["sts:AssumeRole"], named)
    return {here.account: policy(assume, *mine), there.account: policy(token, *read)}


def _arn(placement: Placement) -> str:
    return placement.registry.arn(placement.name)
