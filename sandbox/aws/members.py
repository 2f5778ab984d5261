"""AWS Organizations as far as a member account may ask it: the organisation, its root and its accounts.

Owns the answers, and who may have them. Reads the organisation of the embedded AWS.

Sources: AWS Organizations API Reference, DescribeOrganization, ListRoots and DescribeAccount: the last two
"can be called only from the organization's management account or by a member account that is a delegated
administrator".
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.aws.identity import Organisation

ROOT = "r-root"


def answer(
    organisation: Organisation, account: str, action: str, fields: Mapping[str, Any]
) -> tuple[HTTPStatus, dict[str, Any]]:
    """Return the status and the body of an answer. Raises NotImplementedError for another action."""
    if not organisation.has(account):
        return _refused(
            "AWSOrganizationsNotInUseException", "Your account is not a member of an organization."
        )
    if action == "DescribeOrganization":
        told = {
            "Id": organisation.id,
            "MasterAccountId": organisation.management,
            "FeatureSet": "ALL",
        }
        return HTTPStatus.OK, {"Organization": told}
    if action not in {"ListRoots", "DescribeAccount"}:
        raise NotImplementedError(f"organizations:{action}")
    if account != organisation.management and account not in organisation.delegated:
        return _refused(
            "AccessDeniedException", "You don't have permissions to access this resource."
        )
    if action == "ListRoots":
        return HTTPStatus.OK, {"Roots": [{"Id": ROOT, "Name": "Root", "PolicyTypes": []}]}
    asked = fields.get("AccountId", "")
    if not organisation.has(asked):
        return _refused("AccountNotFoundException", "You specified an account that doesn't exist.")
    return HTTPStatus.OK, {"Account": {"Id": asked, "Status": "ACTIVE", "State": "ACTIVE"}}


def _refused(code: str, message: str) -> tuple[HTTPStatus, dict[str, Any]]:
    return HTTPStatus.BAD_REQUEST, {"__type": code, "Message": message}
