"""Whether a request is let through, decided as IAM decides it, and what AWS says where it is not.

Owns the decision about each request and the words of a refusal. Reads who asks and what the request
needs; the decision itself is that of `ecr.access_proof.evaluate`, the program's own. Never changes anything.

Sources: IAM User Guide, "Policy evaluation logic", "Troubleshoot access denied error messages", "Methods
to assume a role"; AWS Security Token Service API Reference, AssumeRole, AssumeRoleWithWebIdentity and
GetCallerIdentity; the pages "Common Errors" of each service's API Reference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from moto.core.utils import get_service_model

from ecr.access_proof.evaluate import Caller, explain_access
from sandbox.aws import request_shapes
from sandbox.aws.identity import ADMINISTRATOR_ACCESS, UnknownCredentialsError
from sandbox.aws.needs import Need, UnknownRequestError, needs
from sandbox.aws.principals import policy_kept, unknown_in_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr.access_proof.evaluate import AccessVerdict, Layer, Values
    from sandbox.aws.identity import Identities, Identity, Organisation
    from sandbox.aws.needs import Asked
    from sandbox.aws.world import World

_UNASKED = {"sts:GetCallerIdentity"}
"""Of which AWS says that no permission is needed, and that none can be taken away."""

_FORBIDDEN = 403
_HOUR = 3600
_BAD = 400

_WORDS: Mapping[Layer, str] = {
    "identity": "an identity-based policy",
    "resource": "a resource-based policy",
    "boundary": "a permissions boundary",
    "session": "a session policy",
    "service control": "a service control policy",
}


_STRANGERS = {
    "iam": ("MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"{}"'),
    "kms": (
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals.",
    ),
    "sns": ("InvalidParameter", "Invalid parameter: Policy Error: PrincipalNotFound"),
}
"""How each service refuses a policy whose principal is not there."""


@dataclass(frozen=True, slots=True)
class Denial:
    """What AWS answers: its error code, its message and the HTTP status."""

    code: str
    message: str
    status: int


@dataclass(frozen=True, slots=True)
class Judgement:
    """The end of a decision.

    ``account`` is where the request is carried out, ``principal`` the ARN of who asks, as policies
    name it, and ``decision`` what the journal says. ``identity`` is None where nobody is known.
    """

    account: str
    principal: str
    decision: str
    denial: Denial | None = None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission that was needed and given: to whom, with the context of the request."""

    caller: Caller
    need: Need


class Authorisation:
    """Decides requests. Not safe in many threads: the server asks one at a time.

    ``grants`` has the last of each principal and action, so that a test can take the action away from
    the documents and see that it was needed.
    """

    def __init__(self, identities: Identities, world: World) -> None:
        self._identities = identities
        self._world = world
        self.grants: dict[tuple[str, str], Grant] = {}

    @property
    def organisation(self) -> Organisation:
        """The organisation of the accounts."""
        return self._identities.organisation

    def judge(self, asked: Asked, key: str, token: str | None) -> Judgement:
        """Decide one request; raises UnknownRequestError where it is not known what it is about."""
        if asked.service == "sts" and asked.action == "AssumeRoleWithWebIdentity":
            return self._web_identity(asked)
        try:
            identity = self._identities.of(key, token, asked.region)
        except UnknownCredentialsError as unknown:
            denial = _unknown(asked, unknown)
            return Judgement(asked.account, "", "unknown credentials", denial)
        asked = replace(asked, account=identity.account)
        if _is_malformed(asked):
            # It names no resource to decide about; ECR refuses it by the same look at its shape.
            refused = _malformed(asked)
            return Judgement(identity.account, identity.caller.name, "malformed", refused, identity)
        return self._sts(asked, identity) if asked.service == "sts" else self._of(asked, identity)

    def _of(self, asked: Asked, identity: Identity) -> Judgement:
        judged = self._judged(identity, self._needs(asked, identity), asked)
        if not judged.denial and self._identities.strict:
            return replace(judged, denial=self._unfit_policy(asked, identity))
        return judged

    def _unfit_policy(self, asked: Asked, identity: Identity) -> Denial | None:
        """Refuse a policy that names who is not there, or that would shut its writer out of a key for good."""
        policy = policy_kept(asked)
        if not policy:
            return None
        if stranger := unknown_in_policy(policy, self._world):
            code, words = _STRANGERS[asked.service]
            return Denial(code, words.format(stranger), _BAD)
        if asked.service == "kms" and self._shuts_out(policy, asked, identity):
            return Denial(
                "MalformedPolicyDocumentException",
                "The new key policy will not allow you to update the key policy in the future.",
                _BAD,
            )
        return None

    def _shuts_out(self, policy: str, asked: Asked, identity: Identity) -> bool:
        """Return whether a key's policy would not let its writer change it again.

        It is the key's policy that is looked at, and not what the writer's own policies let it do (AWS KMS API
        Reference, PutKeyPolicy and CreateKey: "BypassPolicyLockoutSafetyCheck").
        """
        if asked.fields.get("BypassPolicyLockoutSafetyCheck"):
            return False
        key = asked.text("KeyId").rpartition("/")[2] or "00000000-0000-0000-0000-000000000000"
        action, arn = "kms:PutKeyPolicy", asked.arn(f"key/{key}")
        need = Need(action, arn, identity.account, {}, (policy,), resource_decides=True)
        free = replace(
            identity.caller, policies=(ADMINISTRATOR_ACCESS,), boundary=(), sessions=(), controls=()
        )
        caller = self._with_context(free, need, asked)
        try:
            return _verdict(caller, need).decision != "allowed"
        except (AttributeError, KeyError, TypeError, ValueError):
            return True  # what is no policy lets nobody do anything

    @staticmethod
    def _needs(asked: Asked, identity: Identity) -> list[Need]:
        try:
            return needs(asked)
        except UnknownRequestError:
            # Whoever may do everything may do this, whatever it is about.
            if identity.caller.policies != (ADMINISTRATOR_ACCESS,) or identity.caller.controls:
                raise
            return [Need(f"{asked.service}:{asked.action}", "*", identity.account)]

    def _judged(self, identity: Identity, needed: list[Need], asked: Asked) -> Judgement:
        account, who = needed[0].account, identity.caller
        for need in needed:
            caller = self._with_context(who, need, asked)
            verdict = _verdict(caller, need)
            if verdict.decision != "allowed":
                denial = _denial(asked.service, identity.arn, need, verdict)
                return Judgement(account, who.name, verdict.decision, denial, identity)
            self.grants[who.name, need.action] = Grant(caller, need)
        return Judgement(account, who.name, "allowed", None, identity)

    def _sts(self, asked: Asked, identity: Identity) -> Judgement:
        who = identity.caller
        if f"sts:{asked.action}" in _UNASKED:
            return Judgement(identity.account, who.name, "needs no permission", None, identity)
        if asked.action != "AssumeRole":
            return self._judged(
                identity, [Need(f"sts:{asked.action}", "*", identity.account)], asked
            )
        if "PolicyArns.member.1.arn" in asked.fields:
            raise UnknownRequestError("managed session policies are not evaluated")
        arn = asked.text("RoleArn")
        trust = self._identities.trust(arn, identity) if arn.count(":") >= _PARTS else None
        if trust is None or who.kind == "root":
            # To whom may not have it, AWS says the same of a role that is there and one that is not.
            denial = Denial("AccessDenied", _not_authorised(identity.arn, arn), _FORBIDDEN)
            return Judgement(identity.account, who.name, "not allowed", denial, identity)
        context: dict[str, Values] = {
            key: asked.text(name)
            for key, name in (
                ("sts:ExternalId", "ExternalId"),
                ("sts:RoleSessionName", "RoleSessionName"),
            )
            if name in asked.fields
        }
        account = arn.split(":")[4]
        need = Need("sts:AssumeRole", arn, account, context, (trust,), resource_decides=True)
        judged = self._judged(identity, [need], asked)
        too_long = self._too_long(asked, identity)
        return replace(judged, account=identity.account, denial=judged.denial or too_long)

    def _too_long(self, asked: Asked, identity: Identity | None) -> Denial | None:
        """Refuse a session that is longer than the role's sessions may be, or than a chained one."""
        longest = self._identities.longest(asked.text("RoleArn"), identity)
        if int(asked.text("DurationSeconds") or _HOUR) <= longest:
            return None
        limit = "the MaxSessionDuration set for this role"
        if identity is not None and identity.assumed:
            limit = "the 1 hour session limit for roles assumed by role chaining"
        return Denial("ValidationError", f"The requested DurationSeconds exceeds {limit}.", _BAD)

    def _web_identity(self, asked: Asked) -> Judgement:
        arn, token = asked.text("RoleArn"), asked.text("WebIdentityToken")
        account = arn.split(":")[4] if arn.count(":") >= _PARTS else asked.account
        refused = Denial(
            "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", _FORBIDDEN
        )
        try:
            who = self._identities.federated(token, arn)
        except UnknownCredentialsError as unknown:
            denial = Denial(unknown.code, str(unknown), _BAD)
            return Judgement(account, "", "unknown credentials", denial)
        trust = self._identities.trust(arn, None)
        context: dict[str, Values] = {"sts:RoleSessionName": asked.text("RoleSessionName")}
        action = "sts:AssumeRoleWithWebIdentity"
        need = Need(action, arn, account, context, (trust,) if trust else ())
        verdict = _verdict(self._with_context(who, need, asked), need)
        allowed = verdict.decision == "allowed"
        why_not = self._too_long(asked, None) if allowed else refused
        return Judgement(account, who.name, verdict.decision, why_not)

    def _with_context(self, who: Caller, need: Need, asked: Asked) -> Caller:
        """Add what every request says of itself (IAM User Guide, "AWS global condition context keys")."""
        now = datetime.fromtimestamp(self._world.clock.now(), UTC)
        general: dict[str, Values] = {
            "aws:RequestedRegion": asked.region,
            "aws:SecureTransport": "true",
            "aws:SourceIp": "127.0.0.1",
            "aws:CurrentTime": now.isoformat(timespec="seconds"),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:ViaAWSService": "false",
            "aws:ResourceAccount": need.account,
        }
        return replace(who, context={**general, **who.context, **need.context})


def _verdict(caller: Caller, need: Need) -> AccessVerdict:
    return explain_access(
        caller,
        need.action,
        need.resource,
        need.policies,
        account=need.account,
        resource_decides=need.resource_decides,
    )


_PARTS = 5
"""Colons in an ARN."""


def _not_authorised(who: str, arn: str) -> str:
    return f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}"


def _denial(service: str, who: str, need: Need, verdict: AccessVerdict) -> Denial:
    message = (
        f"User: {who} is not authorized to perform: {need.action} on resource: {need.resource}"
    )
    if need.action != "sts:AssumeRole" and verdict.by:
        words = _WORDS[verdict.by]
        if verdict.decision == "denied":
            message += f" with an explicit deny in {words}"
        else:
            message += f" because no {words.split(' ', 1)[1]} allows the {need.action} action"
    elif verdict.decision == "denied" and verdict.by:
        message += f" with an explicit deny in {_WORDS[verdict.by]}"
    code = {
        "sns": "AuthorizationError",
        "iam": "AccessDenied",
        "sts": "AccessDenied",
        "s3": "AccessDenied",
    }
    forms = service in {"iam", "sns", "sts", "lambda", "s3"}
    status = _FORBIDDEN if forms else _BAD
    return Denial(code.get(service, "AccessDeniedException"), message, status)


def _is_malformed(asked: Asked) -> bool:
    """Return whether a request breaks the constraints of its API's model."""
    if asked.service == "ecr":
        shape = get_service_model("ecr").operation_model(asked.action).input_shape
        return any(request_shapes.offences(shape, asked.fields))
    return asked.service in request_shapes.CODES and bool(request_shapes.refusal(asked))


def _malformed(asked: Asked) -> Denial | None:
    """Return how a service refuses a malformed request; None for ECR, which does it by itself."""
    code = request_shapes.CODES.get(asked.service)
    return Denial(code, request_shapes.refusal(asked), _BAD) if code else None


def _unknown(asked: Asked, unknown: UnknownCredentialsError) -> Denial:
    code = unknown.code
    if asked.service not in {"iam", "sns", "sts"}:
        others = {
            "InvalidClientTokenId": "UnrecognizedClientException",
            "ExpiredToken": "ExpiredTokenException",
        }
        return Denial(others.get(code, code), str(unknown), _BAD)
    return Denial(code, str(unknown), _FORBIDDEN)
