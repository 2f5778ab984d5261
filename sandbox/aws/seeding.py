"""What stands in the embedded AWS before anybody asks it anything: roles, an identity provider, sessions.

Owns making them in moto's IAM and STS as AWS would have them. A session is decided as any other is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from sandbox.aws.needs import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.aws.authorisation import Authorisation


def put_role(
    arn: str, trust: str, policies: Mapping[str, str], *, boundary: str | None, seconds: int
) -> None:
    """Make a role by its ARN, or change the one that stands; its inline policies are then these."""
    _, partition, _, _, account, rest = arn.split(":", 5)
    path, _, name = rest.removeprefix("role").rpartition("/")
    backend = iam_backends[account][partition]
    held = next((each for each in backend.roles.values() if each.arn == arn), None)
    if held is None:
        held = backend.create_role(name, trust, f"{path}/", boundary, "", [], str(seconds))
    else:
        backend.update_assume_role_policy(name, trust)
    for old in held.policies.keys() - policies.keys():
        held.delete_policy(old)
    for policy, text in policies.items():
        backend.put_role_policy(name, policy, text)


def put_provider(arn: str, audience: str) -> None:
    """Make an identity provider by its ARN, for one audience."""
    _, partition, _, _, account, rest = arn.split(":", 5)
    url = f"https://{rest.removeprefix('oidc-provider/')}"
    iam_backends[account][partition].create_open_id_connect_provider(url, [], [audience], [])


def remove_provider(arn: str) -> None:
    """Take an identity provider away; sessions that it vouched for stay."""
    _, partition, _, _, account, _ = arn.split(":", 5)
    iam_backends[account][partition].delete_open_id_connect_provider(arn)


def session_of(
    authorisation: Authorisation, role: str, token: str, region: str, seconds: int
) -> dict[str, str]:
    """Return a session of a role for a token, as boto3 takes it. Raises PermissionError."""
    fields = {"RoleArn": role, "RoleSessionName": "job", "WebIdentityToken": token}
    asked = Asked("sts", "AssumeRoleWithWebIdentity", region, "", fields)
    judged = authorisation.judge(asked, "", None)
    if judged.denial:
        raise PermissionError(judged.denial.message)
    _, partition, _, _, account, _ = role.split(":", 5)
    assumed = sts_backends[account][partition].assume_role(region, "job", role, "", seconds, "")
    return {
        "aws_access_key_id": assumed.access_key_id,
        "aws_secret_access_key": assumed.secret_access_key,
        "aws_session_token": assumed.session_token,
    }


def session_of_service(role: str, service: str, region: str) -> dict[str, str]:
    """Return a session of a role for a service of AWS, which its trust has to name. Raises PermissionError."""
    _, partition, _, _, account, _ = role.split(":", 5)
    held = next(
        (each for each in iam_backends[account][partition].roles.values() if each.arn == role), None
    )
    trust = json.loads(held.assume_role_policy_document) if held else {"Statement": []}
    trusted = [
        each["Principal"].get("Service") for each in trust["Statement"] if each["Effect"] == "Allow"
    ]
    if service not in trusted:
        raise PermissionError(f"{service} cannot assume {role}")
    assumed = sts_backends[account][partition].assume_role(region, service, role, "", 3600, "")
    return {
        "AWS_ACCESS_KEY_ID": assumed.access_key_id,
        "AWS_SECRET_ACCESS_KEY": assumed.secret_access_key,
        "AWS_SESSION_TOKEN": assumed.session_token,
    }
