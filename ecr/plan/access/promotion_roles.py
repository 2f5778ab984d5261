"""Promotion's roles: what whoever promotes may do, as IAM policy documents.

Reads two placements, whose names may hold a wildcard for the service. Grants reading the one and
writing the other, and never deleting, nor anything about repositories themselves.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from ecr.plan.access.documents import allow, policy
from ecr.plan.access.registry_policies import LOOK, PULL, PUSH
from ecr.registry.registry import Placement

FINDINGS = "ecr:DescribeImageScanFindings"

INSPECTOR = ("inspector2:ListCoverage", "inspector2:ListFindings")
"""What reading the findings takes beside it under enhanced scanning, for which they are Amazon
Inspector's."""

READER = "ecr-promotion-reader"
"""What the role that reads another account's images is called, unless told otherwise."""


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
    read = [allow("ReadSource", [*PULL, *LOOK, FINDINGS], _arn(source))]
    if enhanced:
        read.append(allow("ReadFindings", list(INSPECTOR), "*"))
    write = allow("WriteTarget", [*PULL, *LOOK, *PUSH], _arn(target))
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
