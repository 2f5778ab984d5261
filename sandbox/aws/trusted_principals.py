"""Whom a trust policy may name: an AWS principal that is there.

Owns that check of what IAM is about to keep. Reads moto's IAM. Never decides whether a request is let through.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "Troubleshoot IAM policies": IAM keeps a role or user by
its unique id, and refuses one that it does not find.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.aws.needs import Asked

_KEEPING = {
    "CreateRole": "AssumeRolePolicyDocument",
    "UpdateAssumeRolePolicy": "PolicyDocument",
}
_ENTITY = re.compile(r"arn:(?P<partition>[^:]+):iam::(?P<account>\d{12}):(?P<kind>role|user)/.+")


def unknown_principal(asked: Asked) -> str:
    """Return the first principal of a request's trust policy that is not there; "" where all are."""
    field = _KEEPING.get(asked.action) if asked.service == "iam" else None
    if not field:
        return ""
    try:
        document = json.loads(asked.text(field))
    except ValueError:
        return ""  # what is no JSON, IAM itself says
    return next((each for each in _named(document) if not _is_there(each)), "")


def _named(document: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        yield from named if isinstance(named, list) else [named]


def _is_there(principal: str) -> bool:
    found = _ENTITY.fullmatch(principal)
    if not found:
        return True  # an account, everybody, or a session, which need not be there
    backend = iam_backends[found["account"]][found["partition"]]
    held = backend.roles.values() if found["kind"] == "role" else backend.users.values()
    return any(each.arn == principal for each in held)
