"""IAM's decision about one request: allowed, denied by a statement, or not allowed by any, and by which kind.

Owns the evaluation of identity and resource policies, permissions boundaries, session policies and
service control policies, so that what the estate's documents grant is computed and not believed, and so
that the sandbox's AWS decides each call with it. Resource control policies are left out. It refuses every
element and operator that it does not know, and never guesses.

Sources, all of the IAM User Guide: "Policy evaluation logic", "How AWS enforcement code logic evaluates
requests to allow or deny access", "Cross-account policy evaluation logic", "Permissions boundaries for IAM
entities", "AWS STS session policies" in "Policies and permissions in AWS Identity and Access Management",
"IAM JSON policy elements: Principal", "IAM JSON policy elements: Condition operators", "IAM policy
elements: Variables and tags", "Set operators for multivalued context keys", "AWS global condition context
keys"; and of the AWS Organizations User Guide "SCP evaluation".
"""

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

AccessDecision = Literal["allowed", "denied", "not allowed"]
"""``denied`` is by a statement that denies, ``not allowed`` for want of one that allows."""

Layer = Literal["identity", "resource", "boundary", "session", "service control"]
"""A kind of policy."""

Values = str | tuple[str, ...]

_Covered = Literal["session", "named", "everybody", "account"]
"""How a statement's principal covers a caller: its session, its own name, ``*``, or its account."""

STATEMENT = frozenset(
    ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"]
)
_VARIABLES_SINCE = "2012-10-17"
"""In documents of the older version, and without one, ``${`` is text like any other."""


class UnknownPolicyError(ValueError):
    """A document has something that this evaluation does not know."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    ``name`` is the ARN of a role, a user or an account's root, a service's name or an identity
    provider's ARN, by kind; ``session`` is the ARN of a role's session. ``organisation`` and ``paths``
    are the AWS organisation of its account and the account's place in it; ``policies`` the documents
    of its identity; ``context`` what its requests say beside. Of the documents of ``boundary`` and
    ``sessions`` one each must allow, where there are any, and of ``controls``, the service control
    policies, one of each level from the organisation's root down.
    """

    kind: Literal["role", "user", "root", "service", "federated", "anonymous"]
    name: str = ""
    organisation: str | None = None
    paths: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    context: Mapping[str, Values] = field(default_factory=dict)
    session: str = ""
    boundary: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    controls: tuple[tuple[str, ...], ...] = ()

    @property
    def account(self) -> str | None:
        """Return the account of a role, a user or a root; the others have none."""
        return self.name.split(":")[4] if self.kind in {"role", "user", "root"} else None

    def context_keys(self) -> dict[str, Values]:
        """Return the context keys of its requests, in lower case."""
        known: dict[str, Values | None] = {
            "aws:PrincipalArn": self.name if self.account else None,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalOrgID": self.organisation,
            "aws:PrincipalOrgPaths": self.paths or None,
            "aws:PrincipalIsAWSService": "true" if self.kind == "service" else "false",
            "aws:PrincipalServiceName": self.name if self.kind == "service" else None,
            "aws:PrincipalType": _TYPES.get(self.kind),
            "aws:username": self.name.rpartition("/")[2] if self.kind == "user" else None,
            **self.context,
        }
        return {key.lower(): value for key, value in known.items() if value is not None}


_TYPES = {"role": "AssumedRole", "user": "User", "root": "Account", "anonymous": "Anonymous"}


@dataclass(frozen=True, slots=True)
class AccessVerdict:
    """A decision. ``by`` is the kind of policy that denies, or that lacks what would allow."""

    decision: AccessDecision
    by: Layer | None = None


_Effects = set[tuple[Literal["Allow", "Deny"], _Covered]]


def decide_access(
    caller: Caller, action: str, resource: str, policies: Iterable[str] = (), *, account: str
) -> AccessDecision:
    """Decide whether the caller may do the action on an ARN of ``account``; see `explain`."""
    return explain_access(caller, action, resource, policies, account=account).decision


def explain_access(
    caller: Caller,
    action: str,
    resource: str,
    policies: Iterable[str] = (),
    *,
    account: str,
    resource_decides: bool = False,
) -> AccessVerdict:
    """Decide whether the caller may do the action on an ARN of ``account``, and say what decided.

    ``policies`` are the resource policies that apply to the resource. In one account, either side may
    allow; between two, both must. A service or a federated caller has no identity policy. With
    ``resource_decides`` a resource policy must allow in one account, too, be it the whole account:
    so it is with roles, which are assumed, and with keys of AWS KMS.
    """
    keys = caller.context_keys()

    def found(texts: Iterable[str]) -> _Effects:
        return {each for text in texts for each in _effects(text, caller, action, resource, keys)}

    controls = [] if _of_service(caller) else [found(level) for level in caller.controls]
    layers: dict[Layer, _Effects] = {
        "service control": set().union(*controls),
        "resource": found(policies),
        "identity": found(caller.policies),
        "boundary": found(caller.boundary),
        "session": found(caller.sessions),
    }
    for layer, effects in layers.items():
        if any(effect == "Deny" for effect, _ in effects):
            return AccessVerdict("denied", layer)
    if not all(map(_allows, controls)):
        return AccessVerdict("not allowed", "service control")
    resource_decides = resource_decides or caller.account != account
    missing = _missing(caller, layers, account, resource_decides=resource_decides)
    return AccessVerdict("not allowed", missing) if missing else AccessVerdict("allowed")


def _missing(
    caller: Caller, layers: Mapping[Layer, _Effects], account: str, *, resource_decides: bool
) -> Layer | None:
    """Return the kind of policy that would have to allow and does not; None where all do."""
    theirs = {covered for effect, covered in layers["resource"] if effect == "Allow"}
    if caller.account is None:
        return None if theirs else "resource"
    # A statement for the whole account leaves it to the identity policies of that account.
    named = theirs - {"account"} if caller.account == account else set()
    if not (named or caller.kind == "root" or _allows(layers["identity"])):
        return "identity"
    if resource_decides and not theirs:
        return "resource"
    if "session" in named or (caller.kind == "user" and "named" in named):
        return None  # Neither a boundary nor a session policy limits what is given by this name.
    if caller.boundary and not _allows(layers["boundary"]):
        return "boundary"
    return "session" if caller.sessions and not _allows(layers["session"]) else None


def _of_service(caller: Caller) -> bool:
    """Return whether the caller is a service-linked role, which no service control policy limits."""
    return caller.kind == "role" and ":role/aws-service-role/" in caller.name


def _allows(effects: _Effects) -> bool:
    return any(effect == "Allow" for effect, _ in effects)


def _effects(
    text: str, caller: Caller, action: str, resource: str, keys: Mapping[str, Values]
) -> Iterator[tuple[Literal["Allow", "Deny"], _Covered]]:
    """Yield the effect of each statement that is about the request, and how it covers the caller."""
    version, listed = _document(text)
    variables = keys if version == _VARIABLES_SINCE else None
    for statement in listed:
        if not _one_of(statement, "Action", lambda wanted: _action(wanted, action)):
            continue
        covered = _principal(statement.get("Principal"), caller)
        if (
            covered is not None
            and _resource(statement, resource, variables)
            and all(
                _condition(operator, key, wanted, keys, variables)
                for operator, tests in statement.get("Condition", {}).items()
                for key, wanted in tests.items()
            )
        ):
            yield statement["Effect"], covered


def statements(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the statements of a document. Raises UnknownPolicyError for elements it does not know."""
    return _document(text)[1]


@cache
def _document(text: str) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    document = json.loads(text)
    found = document["Statement"]
    found = [found] if isinstance(found, dict) else found
    for statement in found:
        if unknown := statement.keys() - STATEMENT:
            raise UnknownPolicyError(f"{', '.join(sorted(unknown))} is not evaluated")
    return document.get("Version", ""), tuple(found)


def _principal(principal: object, caller: Caller) -> _Covered | None:
    """Say how a statement covers the caller: by name, by its whole account, or not at all.

    The statements of an identity policy have no principal; they are the caller's own.
    """
    if principal is None:
        return "named"
    if principal in ("*", {"AWS": "*"}):
        return "everybody"
    if not isinstance(principal, Mapping):
        raise UnknownPolicyError(f"the principal {principal!r} is not evaluated")
    kinds = {"service": "Service", "federated": "Federated", "anonymous": ""}
    covered: set[_Covered] = set()
    for wanted in _listed(principal.get(kinds.get(caller.kind, "AWS"), [])):
        if caller.session and wanted == caller.session:
            covered.add("session")
        elif wanted == caller.name and caller.kind != "root":
            covered.add("named")
        elif wanted == "*":
            covered.add("everybody")
        elif caller.account and re.fullmatch(
            rf"{caller.account}|.*::{caller.account}:root", wanted
        ):
            covered.add("account")
    order: tuple[_Covered, ...] = ("session", "named", "everybody", "account")
    return next((each for each in order if each in covered), None)


def _one_of(statement: Mapping[str, Any], element: str, test: Callable[[str], bool]) -> bool:
    if element in statement:
        return any(test(wanted) for wanted in _listed(statement[element]))
    return not any(test(wanted) for wanted in _listed(statement[f"Not{element}"]))


def _resource(
    statement: Mapping[str, Any], resource: str, variables: Mapping[str, Values] | None
) -> bool:
    """Return whether a statement is about the resource; a policy that sits on one need not name it."""
    if not {"Resource", "NotResource"} & statement.keys():
        return True

    def about(wanted: str) -> bool:
        pattern = _filled(wanted, variables)
        if pattern is None and "NotResource" in statement:
            raise UnknownPolicyError(f"{wanted} has a variable without a value in NotResource")
        return pattern is not None and resource_like(resource, pattern)

    return _one_of(statement, "Resource", about)


def _action(wanted: str, action: str) -> bool:
    return like(action.lower(), wanted.lower())


_VARIABLE = re.compile(r"\$\{([^}']*?)(?:\s*,\s*'([^']*)')?\s*\}")
_VERBATIM = {"*": "\x00", "?": "\x01", "$": "$"}
"""What stands meanwhile for the characters that ``${*}``, ``${?}`` and ``${$}`` mean as themselves."""


def _filled(wanted: str, variables: Mapping[str, Values] | None) -> str | None:
    """Return a text with its variables' values; None where one has none and no default."""
    if variables is None or "${" not in wanted:
        return wanted
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name = found[1].strip()
        if name in _VERBATIM:
            return _VERBATIM[name]
        held = variables.get(name.lower(), found[2])
        if not isinstance(held, str):
            missing = True
            return ""
        # What a request brings is text: a wildcard in it is no wildcard of the policy's.
        return held.replace("*", _VERBATIM["*"]).replace("?", _VERBATIM["?"])

    text = _VARIABLE.sub(value, wanted)
    return None if missing else text


def _condition(
    operator: str,
    key: str,
    listed: Any,  # noqa: ANN401 - JSON
    keys: Mapping[str, Values],
    variables: Mapping[str, Values] | None,
) -> bool:
    found = re.fullmatch(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?", operator)
    over, base, if_exists = found.groups() if found else (None, operator, None)
    held = keys.get(key.lower())
    wanted = [_text(each) for each in _listed(listed)]
    if base == "Null" and not over and not if_exists:
        return (held is None) == (wanted == ["true"])
    compare, negated = _comparison(base)
    filled = [_filled(each, variables) for each in wanted]
    if None in filled and negated:
        raise UnknownPolicyError(f"{key} has a variable without a value in {operator}")
    if held is None:
        return bool(if_exists or over == "ForAllValues" or (negated and over is None))
    values = (held,) if isinstance(held, str) else held
    results = [
        any(compare(value, each) for each in filled if each is not None) != negated
        for value in values
    ]
    if over is None and len(results) != 1:
        raise UnknownPolicyError(f"{key} has several values, and {operator} takes one")
    return any(results) if over == "ForAnyValue" else all(results)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _verbatim(text: str) -> str:
    return text.replace("\x00", "*").replace("\x01", "?")


def _equal(value: str, wanted: str) -> bool:
    return value == _verbatim(wanted)


def _equal_in_any_case(value: str, wanted: str) -> bool:
    return value.lower() == _verbatim(wanted).lower()


def _within(value: str, wanted: str) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(wanted, strict=False)


def _moment(text: str) -> float:
    if re.fullmatch(r"\d{5,}(\.\d+)?", text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnknownPolicyError(f"the date {text!r} is not evaluated") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float]) -> dict[str, Callable[[str, str], bool]]:
    return {
        "Equals": lambda value, wanted: read(value) == read(wanted),
        "LessThan": lambda value, wanted: read(value) < read(wanted),
        "LessThanEquals": lambda value, wanted: read(value) <= read(wanted),
        "GreaterThan": lambda value, wanted: read(value) > read(wanted),
        "GreaterThanEquals": lambda value, wanted: read(value) >= read(wanted),
    }


def like(value: str, pattern: str) -> bool:
    """Return whether text matches a pattern in which ``*`` is any text and ``?`` one character."""
    return bool(_pattern(pattern).fullmatch(value))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(_translated(pattern, "."), re.DOTALL)


def arn_like(value: str, pattern: str) -> bool:
    """Return whether an ARN matches a pattern, each of its six parts by itself."""
    parts, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(wanted) and all(map(like, parts, wanted))


def resource_like(value: str, pattern: str) -> bool:
    """Return whether an ARN matches the pattern of a Resource element.

    A ``*`` at the end of a segment may go on beyond its colon, and one within a segment may not (IAM
    User Guide, "IAM JSON policy elements: Resource").
    """
    return bool(_resource_pattern(pattern).fullmatch(value))


@cache
def _resource_pattern(pattern: str) -> re.Pattern[str]:
    # What comes after the fifth colon is one segment, in which colons are text.
    segments = pattern.split(":", 5)
    whole = len(segments) > 5  # noqa: PLR2004 - the colons of an ARN
    last = len(segments) - 1
    parts = []
    for index, segment in enumerate(segments):
        if whole and index == last:
            parts.append(_translated(segment, "."))
        elif segment.endswith("*"):
            parts.append(_translated(segment[:-1], "[^:]") + ".*")
        else:
            parts.append(_translated(segment, "[^:]"))
    return re.compile(":".join(parts), re.DOTALL)


def _translated(text: str, within: str) -> str:
    wild = {"*": f"{within}*", "?": within}
    return "".join(
        wild.get(part) or re.escape(_verbatim(part)) for part in re.split(r"([*?])", text)
    )


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_in_any_case,
    "StringLike": like,
    "Bool": _equal_in_any_case,
    "BinaryEquals": _equal,
    "IpAddress": _within,
    "ArnEquals": arn_like,
    "ArnLike": arn_like,
    **{f"Numeric{name}": compare for name, compare in _ordered(float).items()},
    **{f"Date{name}": compare for name, compare in _ordered(_moment).items()},
}
_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}


def _comparison(base: str) -> tuple[Callable[[str, str], bool], bool]:
    if base in _COMPARISONS:
        return _COMPARISONS[base], False
    if base in _NEGATIONS:
        return _COMPARISONS[_NEGATIONS[base]], True
    raise UnknownPolicyError(f"the condition operator {base} is not evaluated")


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]
