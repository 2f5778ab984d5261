"""IAM's decision about one request: allowed, denied by a statement, or not allowed by any.

Owns the evaluation of identity and resource policies, as far as the estate's documents need it, so
that what they grant is computed and not believed. Service control policies, resource control policies,
permissions boundaries and session policies can only take away, and are left out. It refuses every
element, operator and variable that it does not know, and never guesses.

Sources, all of the IAM User Guide: "Policy evaluation logic", "Cross-account policy evaluation logic",
"IAM JSON policy elements: Principal", "IAM JSON policy elements: Condition operators", "Set operators
for multivalued context keys", "AWS global condition context keys".
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

Decision = Literal["allowed", "denied", "not allowed"]
"""``denied`` is by a statement that denies, ``not allowed`` for want of one that allows."""

Values = str | tuple[str, ...]

STATEMENT = frozenset(
    ["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"]
)


class UnknownPolicyError(ValueError):
    """A document has something that this evaluation does not know."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``name`` is a role's ARN, a service's name or an identity provider's ARN, by kind.

    ``organisation`` and ``paths`` are the AWS organisation of its account and the account's place in
    it; ``policies`` the documents of its identity; ``context`` what its requests say beside.
    """

    kind: Literal["role", "service", "federated", "anonymous"]
    name: str = ""
    organisation: str | None = None
    paths: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    context: Mapping[str, Values] = field(default_factory=dict)

    @property
    def account(self) -> str | None:
        """Give the account of a role; the others have none."""
        return self.name.split(":")[4] if self.kind == "role" else None

    def context_keys(self) -> dict[str, Values]:
        """Give the context keys of its requests, in lower case."""
        known: dict[str, Values | None] = {
            "aws:PrincipalArn": self.name if self.account else None,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalOrgID": self.organisation,
            "aws:PrincipalOrgPaths": self.paths or None,
            "aws:PrincipalIsAWSService": "true" if self.kind == "service" else "false",
            "aws:PrincipalServiceName": self.name if self.kind == "service" else None,
            **self.context,
        }
        return {key.lower(): value for key, value in known.items() if value is not None}


def decide(
    caller: Caller, action: str, resource: str, policies: Iterable[str] = (), *, account: str
) -> Decision:
    """Decide whether the caller may do the action on an ARN of ``account``.

    ``policies`` are the resource policies that apply to the resource. In one account, either side may
    allow; between two, both must. A service or a federated caller has no identity policy.
    """
    by_identity = {
        effect for text in caller.policies for effect, _ in _effects(text, caller, action, resource)
    }
    by_resource = {found for text in policies for found in _effects(text, caller, action, resource)}
    if "Deny" in by_identity or "Deny" in {effect for effect, _ in by_resource}:
        return "denied"
    mine = "Allow" in by_identity
    theirs = "Allow" in {effect for effect, _ in by_resource}
    if caller.kind != "role":
        return "allowed" if theirs else "not allowed"
    if caller.account != account:
        return "allowed" if mine and theirs else "not allowed"
    # A statement for the whole account leaves it to the identity policies of that account.
    named = ("Allow", False) in by_resource
    return "allowed" if mine or named else "not allowed"


def _effects(
    text: str, caller: Caller, action: str, resource: str
) -> Iterator[tuple[Literal["Allow", "Deny"], bool]]:
    """Give the effect of each statement that is about the request, and whether by account only."""
    keys = caller.context_keys()
    for statement in statements(text):
        covered = _principal(statement.get("Principal"), caller)
        if (
            covered is not None
            and _one_of(statement, "Action", lambda wanted: _action(wanted, action))
            and _resource(statement, resource)
            and all(
                _condition(operator, key, _listed(wanted), keys)
                for operator, tests in statement.get("Condition", {}).items()
                for key, wanted in tests.items()
            )
        ):
            yield statement["Effect"], covered == "account"


def statements(text: str) -> tuple[Mapping[str, Any], ...]:
    """Give the statements of a document. Raises UnknownPolicyError for elements it does not know."""
    return _statements(text)


@cache
def _statements(text: str) -> tuple[Mapping[str, Any], ...]:
    if "${" in text:
        raise UnknownPolicyError("policy variables are not evaluated")
    found = json.loads(text)["Statement"]
    for statement in found:
        if unknown := statement.keys() - STATEMENT:
            raise UnknownPolicyError(f"{', '.join(sorted(unknown))} is not evaluated")
    return tuple(found)


def _principal(principal: object, caller: Caller) -> Literal["named", "account"] | None:
    """Say how a statement covers the caller: by name, by its whole account, or not at all.

    The statements of an identity policy have no principal; they are the caller's own.
    """
    if principal in (None, "*", {"AWS": "*"}):
        return "named"
    if not isinstance(principal, Mapping):
        raise UnknownPolicyError(f"the principal {principal!r} is not evaluated")
    kind = {"role": "AWS", "service": "Service", "federated": "Federated"}.get(caller.kind, "")
    for wanted in _listed(principal.get(kind, [])):
        if wanted in ("*", caller.name):
            return "named"
        if caller.account and re.fullmatch(rf"{caller.account}|.*::{caller.account}:root", wanted):
            return "account"
    return None


def _one_of(statement: Mapping[str, Any], element: str, test: Any) -> bool:  # noqa: ANN401 - a predicate of text
    if element in statement:
        return any(test(wanted) for wanted in _listed(statement[element]))
    return not any(test(wanted) for wanted in _listed(statement[f"Not{element}"]))


def _resource(statement: Mapping[str, Any], resource: str) -> bool:
    """Whether a statement is about the resource; a policy that sits on one need not name it."""
    if not {"Resource", "NotResource"} & statement.keys():
        return True
    return _one_of(
        statement, "Resource", lambda wanted: wanted == "*" or arn_like(resource, wanted)
    )


def _action(wanted: str, action: str) -> bool:
    return like(action.lower(), wanted.lower())


def _condition(operator: str, key: str, wanted: list[str], keys: Mapping[str, Values]) -> bool:
    found = re.fullmatch(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?", operator)
    over, base, if_exists = found.groups() if found else (None, operator, None)
    held = keys.get(key.lower())
    if base == "Null":
        return (held is None) == (wanted == ["true"])
    compare, negated = _comparison(base)
    if held is None:
        return bool(if_exists or over == "ForAllValues" or (negated and over is None))
    values = (held,) if isinstance(held, str) else held
    results = [any(compare(value, each) for each in wanted) != negated for value in values]
    if over is None and len(results) != 1:
        raise UnknownPolicyError(f"{key} has several values, and {operator} takes one")
    return any(results) if over == "ForAnyValue" else all(results)


def _comparison(base: str) -> tuple[Any, bool]:
    negated = "Not" in base
    match base.replace("Not", ""):
        case "StringEquals":
            return str.__eq__, negated
        case "StringEqualsIgnoreCase" | "Bool":
            return (lambda value, wanted: value.lower() == wanted.lower()), negated
        case "StringLike":
            return like, negated
        case "ArnEquals" | "ArnLike":
            return arn_like, negated
    raise UnknownPolicyError(f"the condition operator {base} is not evaluated")


def like(value: str, pattern: str) -> bool:
    """Whether text matches a pattern in which ``*`` is any text and ``?`` one character."""
    return bool(_pattern(pattern).fullmatch(value))


@cache
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = (re.escape(part) for part in re.split(r"([*?])", pattern))
    return re.compile(
        "".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts), re.DOTALL
    )


def arn_like(value: str, pattern: str) -> bool:
    """Whether an ARN matches a pattern, each of its six parts by itself."""
    parts, wanted = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(wanted) and all(map(like, parts, wanted))


def _listed(value: Any) -> list[str]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]
