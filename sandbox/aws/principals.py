"""Who is known to IAM: of a policy the principals that are not, and of a caller the role or user.

Owns these look-ups, and which requests of IAM, KMS and SNS keep such a policy. Reads moto's IAM and STS of every
account. Never decides what anybody may do.

Sources: IAM User Guide, "Troubleshoot IAM" (changes that I make are not always immediately visible)
and "AWS JSON policy elements: Principal"; AWS KMS API Reference, PutKeyPolicy; Amazon SNS API Reference,
SetTopicAttributes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.aws.hands import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.aws.needs import Asked
    from sandbox.aws.world import World

_KEEPING = {
    ("iam", "CreateRole"): "AssumeRolePolicyDocument",
    ("iam", "UpdateAssumeRolePolicy"): "PolicyDocument",
    ("kms", "CreateKey"): "Policy",
    ("kms", "PutKeyPolicy"): "Policy",
    ("kms", "ReplicateKey"): "Policy",
}
"""The requests that keep a policy with principals, and the field that has it; those of SNS have it in attributes."""

_IDENTITY = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):(?P<kind>role|user)/(?P<path>.+)"
)


def unknown(policy: str, world: World) -> list[str]:
    """Return the roles and users that a policy names as principals and IAM does not know yet."""
    return [arn for arn in _principals(json.loads(policy)) if not _is_known(arn, world)]


def unknown_in_policy(policy: str, world: World) -> str:
    """Return the first principal of whatever was sent as a policy that IAM does not know; "" where it knows all."""
    try:
        return next(iter(unknown(policy, world)), "")
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""  # what is no policy, the service itself says


def policy_kept(asked: Asked) -> str:
    """Return the text of the policy that a request of IAM, KMS or SNS keeps; "" where it keeps none.

    ECR looks at its policies by itself.
    """
    if asked.service != "sns":
        return asked.text(_KEEPING.get((asked.service, asked.action), ""))
    if asked.action == "SetTopicAttributes":
        return asked.text("AttributeValue") if asked.text("AttributeName") == "Policy" else ""
    if asked.action != "CreateTopic":
        return ""
    keys = (
        name for name, each in asked.fields.items() if name.endswith(".key") and each == "Policy"
    )
    return next((asked.text(f"{name.removesuffix('key')}value") for name in keys), "")


def _principals(policy: dict[str, Any]) -> Iterator[str]:
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            given = named.get("AWS", []) if isinstance(named, dict) else []
            yield from given if isinstance(given, list) else [given]


def _is_known(arn: str, world: World) -> bool:
    found = _IDENTITY.fullmatch(arn)
    if not found:
        return True
    iam = iam_backends[found["account"]][found["partition"]]
    if found["kind"] == "user" and found["path"] in KEYS.values():
        return True
    name = found["path"].rpartition("/")[2]
    held: Any = (
        next((each for each in iam.roles.values() if each.name == name), None)
        if found["kind"] == "role"
        else iam.users.get(name)
    )
    if not held or held.arn != arn:
        return False
    made: float = held.create_date.timestamp()
    return world.clock.now() - made >= world.delays.knowing_a_role


def caller(access_key: str, account: str) -> str | None:
    """Return the ARN of the role or user behind an access key; None for an account's own key."""
    for partition in sts_backends[account]:
        assumed = sts_backends[account][partition].get_assumed_role_from_access_key(access_key)
        if assumed:
            return assumed.role_arn
    for partition in iam_backends[account]:
        user = iam_backends[account][partition].get_user_from_access_key_id(access_key)
        if user:
            return user.arn
    return None
