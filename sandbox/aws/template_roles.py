"""The role as which ECR makes an image repository by a creation template: the template's, or ECR's own.

Owns what that role must be: there, trusting ECR, and allowed what the template gives. Reads moto's IAM and
KMS. Changes nothing.

Sources: Amazon ECR User Guide, "Create an IAM role for repository creation templates" and "Create a custom
policy for repository creation templates"; AWS Managed Policy Reference, "ECRTemplateServiceRolePolicy": ECR's
own role may create an image repository, and neither tag it nor use a key. What ECR says where the role is not
so, no page says: here the whole action is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from ecr.access_proof.evaluate import Caller, explain_access
from sandbox.aws.identity import role_documents
from sandbox.aws.needs import Need, key_need

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVICE = "ecr.amazonaws.com"
"""Who assumes the role."""

LINKED = "AWSServiceRoleForECRTemplate"
"""ECR's own role, which it uses for a template that names none."""


def why_not_made(template: Mapping[str, Any], resource: str, tags: Mapping[str, str]) -> str:
    """Say why ECR cannot make an image repository, by its ARN, with a template's role; "" where it can."""
    _, partition, _, region, account, _ = resource.split(":", 5)
    arn = str(template.get("customRoleArn", ""))
    if not arn:
        return _why_not_made_by_ecr(template, resource)
    roles = iam_backends[account][partition].roles.values()
    role = next((each for each in roles if each.arn == arn), None)
    if role is None:
        return f"{arn} does not exist"
    service = Caller("service", SERVICE)
    trust = str(role.assume_role_policy_document)
    if not _is_let(service, Need("sts:AssumeRole", arn, account, {}, (trust,))):
        return f"{arn} does not trust {SERVICE}"
    policies, boundary = role_documents(role)
    caller = Caller("role", arn, policies=policies, boundary=boundary)
    for need in _needs(template, resource, tags, (account, region)):
        if not _is_let(caller, need):
            return f"{arn} is not authorized to perform: {need.action} on resource: {need.resource}"
    return ""


def _why_not_made_by_ecr(template: Mapping[str, Any], resource: str) -> str:
    """Say why ECR's own role cannot make it; "" where it can."""
    lacking = [
        *(["ecr:TagResource"] if template.get("resourceTags") else []),
        *(
            ["kms:CreateGrant"]
            if template["encryptionConfiguration"]["encryptionType"] != "AES256"
            else []
        ),
    ]
    return (
        ""
        if not lacking
        else f"{LINKED} is not authorized to perform: {lacking[0]} on resource: {resource}"
    )


def _needs(
    template: Mapping[str, Any], resource: str, tags: Mapping[str, str], place: tuple[str, str]
) -> Iterator[Need]:
    account, region = place
    keys = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    yield Need("ecr:CreateRepository", resource, account, keys)
    if tags:
        yield Need("ecr:TagResource", resource, account, keys)
    if key := template["encryptionConfiguration"].get("kmsKey"):
        for action in ("kms:DescribeKey", "kms:CreateGrant"):
            yield key_need(action, key, account, region)


def _is_let(caller: Caller, need: Need) -> bool:
    verdict = explain_access(
        caller,
        need.action,
        need.resource,
        need.policies,
        account=need.account,
        resource_decides=need.resource_decides,
    )
    return verdict.decision == "allowed"
