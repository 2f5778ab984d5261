"""Who asks: from the credentials of a request to a principal, with every policy that limits it.

Owns what the hands of `sandbox.aws.hands` may do, the organisation with its service control policies,
and the tokens of its identity provider. Reads moto's IAM and STS. Never decides anything: see `sandbox.aws.authorisation`.

Sources: IAM User Guide, "AWS JSON policy elements: Principal", "Available keys for AWS OIDC federation";
AWS Organizations User Guide, "Service control policies (SCPs)".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from moto.iam.models import get_account_id_from, iam_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from ecr.access_proof.evaluate import Caller
from sandbox.aws.hands import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from moto.iam.models import ManagedPolicy, Role, User
    from moto.sts.models import AssumedRole

    from sandbox.aws.hands import Hand

_HOUR = 3600
_NOTHING = json.dumps({"Version": "2012-10-17", "Statement": []})
_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ADMINISTRATOR_ACCESS = json.dumps({"Version": "2012-10-17", "Statement": [_EVERYTHING]})
"""AWS's managed policy of that name (AWS Managed Policy Reference, "AdministratorAccess")."""

_LOOKING = {
    "Effect": "Allow",
    "Action": ["ecr:Describe*", "ecr:Get*", "ecr:List*"],
    "Resource": "*",
}
_HANDS: Mapping[str, str] = {
    "administrator": ADMINISTRATOR_ACCESS,
    "onlooker": json.dumps({"Version": "2012-10-17", "Statement": [_LOOKING]}),
}

_CLAIMS = {
    *("actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref"),
    *("ref", "repository", "repository_id", "workflow"),
}
"""The claims of GitHub's tokens that are condition keys, beside `aud` and `sub`; other claims are none."""


class UnknownCredentialsError(Exception):
    """Nobody has these credentials. ``code`` and the text are AWS's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Organisation:
    """The AWS organisation: its id, and the service control policies of each account.

    ``accounts`` None are all accounts. The policies of an account are of levels, from the root of the
    organisation down, each of which must allow; an account that is not named has FullAWSAccess only.
    ``management`` is the account that manages it, and ``delegated`` are those that administer StackSets for it.
    """

    id: str | None = None
    accounts: frozenset[str] | None = None
    controls: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    management: str = "999999999999"
    delegated: set[str] = field(default_factory=set)

    def has(self, account: str) -> bool:
        """Return whether an account is a member."""
        return self.id is not None and (self.accounts is None or account in self.accounts)


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller, and what its answers and messages say of it."""

    caller: Caller
    account: str
    user_id: str
    assumed: bool = False

    @property
    def arn(self) -> str:
        """The ARN that AWS gives in GetCallerIdentity and in messages."""
        return self.caller.session or self.caller.name


class Identities:
    """Knows every access key. Not safe in many threads: the server asks one at a time.

    With ``strict`` a key that nobody has is refused. Without, it is the administrator's of
    ``default_account``, and a role that does not exist stands for an administrator of its account as
    soon as somebody asks for it.
    """

    def __init__(self, organisation: Organisation, default_account: str, *, strict: bool) -> None:
        self.organisation = organisation
        self.strict = strict
        self._default_account = default_account
        self._sessions: dict[str, AssumedRole] = {}
        self._signing = secrets.token_bytes(32)

    def of(self, key: str, token: str | None, region: str) -> Identity:
        """Return who has a key. Raises UnknownCredentialsError."""
        if key[:8] in KEYS and key[8:].isdecimal():
            return self._hand(KEYS[key[:8]], key[8:], region)
        if session := self._session(key, region):
            return self._assumed(session, token)
        account = get_account_id_from(key)
        backend = iam_backends[account][get_partition(region)]
        if user := backend.get_user_from_access_key_id(key):
            return self._user(user, account, region)
        if self.strict:
            raise UnknownCredentialsError(
                "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        return self._hand("administrator", self._default_account, region)

    def _hand(self, hand: Hand, account: str, region: str) -> Identity:
        start = f"arn:{get_partition(region)}:iam::{account}"
        if hand == "root":
            caller = Caller("root", f"{start}:root")
        else:
            caller = Caller("user", f"{start}:user/{hand}", policies=(_HANDS[hand],))
        return Identity(self._within(caller), account, account if hand == "root" else hand)

    def _user(self, user: User, account: str, region: str) -> Identity:
        backend = iam_backends[account][get_partition(region)]
        groups = backend.get_groups_for_user(user.name)
        policies = [
            *user.policies.values(),
            *(_managed(each) for each in user.managed_policies.values()),
            *(each for group in groups for each in group.policies.values()),
            *(_managed(each) for group in groups for each in group.managed_policies.values()),
        ]
        caller = Caller("user", user.arn, policies=tuple(policies))
        return Identity(self._within(caller), account, user.id)

    def _session(self, key: str, region: str) -> AssumedRole | None:
        if key not in self._sessions and key.startswith("ASIA"):
            account = get_account_id_from(key)
            found = sts_backends[account][get_partition(region)]
            for each in reversed(found.assumed_roles):
                if each.access_key_id in self._sessions:
                    break
                self._sessions[each.access_key_id] = each
        return self._sessions.get(key)

    def _assumed(self, session: AssumedRole, token: str | None) -> Identity:
        if token != session.session_token:
            raise UnknownCredentialsError(
                "InvalidClientTokenId", "The security token included in the request is invalid."
            )
        if session.expiration.timestamp() < _now():
            raise UnknownCredentialsError(
                "ExpiredToken", "The security token included in the request is expired"
            )
        role = self.role(session.role_arn)
        policies, boundary = self._policies(role)
        caller = Caller(
            "role",
            session.role_arn,
            session=session.arn,
            policies=policies,
            boundary=boundary,
            sessions=(session.policy,) if session.policy else (),
        )
        account = session.account_id
        return Identity(self._within(caller), account, session.user_id, assumed=True)

    def role(self, arn: str) -> Role | None:
        """Return the role of an ARN; None where none exists."""
        partition, account = arn.split(":")[1], arn.split(":")[4]
        roles = iam_backends[account][partition].roles.values()
        return next((each for each in roles if each.arn == arn), None)

    def _policies(self, role: Role | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the documents of a role's identity, and those of its boundary."""
        if role is None:
            # Its sessions outlive a role, and may nothing any more.
            return ((), ()) if self.strict else ((ADMINISTRATOR_ACCESS,), ())
        return role_documents(role)

    def longest(self, arn: str, asking: Identity | None) -> int:
        """Return for how many seconds a role may be assumed; an hour from another role's session.

        IAM User Guide, "Methods to assume a role": role chaining.
        """
        if asking is not None and asking.assumed:
            return _HOUR
        role = self.role(arn)
        return int(role.max_session_duration or _HOUR) if role else _HOUR

    def trust(self, arn: str, asking: Identity | None) -> str | None:
        """Return the trust policy of a role; None where there is no such role."""
        if role := self.role(arn):
            document: str = role.assume_role_policy_document
            return document
        if self.strict or asking is None:
            return None
        account = {"AWS": f"arn:{arn.split(':')[1]}:iam::{asking.account}:root"}
        statement = {"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def _within(self, caller: Caller) -> Caller:
        """Add what the organisation says of the caller's account."""
        account = caller.account or ""
        if not self.organisation.has(account):
            return caller
        return replace(
            caller,
            organisation=self.organisation.id,
            paths=(f"{self.organisation.id}/r-root/",),
            controls=self.organisation.controls.get(account, ()),
        )

    def token(self, claims: Mapping[str, Any]) -> str:
        """Return a token of the identity provider, as GitHub gives a job one."""
        parts = [{"alg": "HS256", "typ": "JWT"}, dict(claims)]
        text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{text}.{self._signature(text)}"

    def _signature(self, text: str) -> str:
        return _encoded(hmac.digest(self._signing, text.encode(), hashlib.sha256))

    def federated(self, token: str, role: str) -> Caller:
        """Return whom a token is of. Raises UnknownCredentialsError where it is not to be trusted.

        AWS Security Token Service API Reference, AssumeRoleWithWebIdentity.
        """
        text, _, signature = token.rpartition(".")
        claims = _claims(text)
        issuer = str(claims.get("iss", "")).removeprefix("https://")
        partition, account = role.split(":")[1], role.split(":")[4]
        provider = f"arn:{partition}:iam::{account}:oidc-provider/{issuer}"
        held = iam_backends[account][partition].open_id_providers.get(provider)
        if held is None:
            raise UnknownCredentialsError(
                "InvalidIdentityToken",
                f"No OpenIDConnect provider found in your account for https://{issuer}",
            )
        if not hmac.compare_digest(signature, self._signature(text)):
            raise UnknownCredentialsError(
                "InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider, please reference "
                "AssumeRoleWithWebIdentity documentation for requirements",
            )
        if claims.get("aud") not in held.client_id_list:
            raise UnknownCredentialsError("InvalidIdentityToken", "Incorrect token audience")
        if float(claims.get("exp", "inf")) < _now():
            raise UnknownCredentialsError("ExpiredTokenException", "Token expired")
        known = {"aud", "sub", *(_CLAIMS if partition == "aws" else ())}
        context = {f"{issuer}:{name}": str(claims[name]) for name in known & claims.keys()}
        return Caller("federated", provider, context=context)


def role_documents(role: Role) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the documents of a role's identity, and those of its boundary."""
    attached = [_managed(each) for each in role.managed_policies.values()]
    boundary: tuple[str, ...] = ()
    if arn := role.permissions_boundary_arn:
        managed = iam_backends[role.account_id][role.partition].managed_policies
        boundary = (_managed(managed[arn]) if arn in managed else _NOTHING,)
    return (*role.policies.values(), *attached), boundary


def _managed(policy: ManagedPolicy) -> str:
    """Return the document of a managed policy's default version."""
    return next(str(each.document) for each in policy.versions if each.is_default)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claims(text: str) -> dict[str, Any]:
    body = text.rpartition(".")[2]
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise UnknownCredentialsError(
            "InvalidIdentityToken", "The ID Token provided is not a valid JWT."
        )
    return claims


def _now() -> float:
    from moto.core.utils import utcnow  # noqa: PLC0415 - moto's own clock, which tests may move

    return utcnow().timestamp()
