"""The grammar of policy documents, as AWS states it: what it would refuse of one that the plan built.

Two rules of this estate stand beside it: nobody is everybody without a condition, and a whole account
is named only where AWS knows no narrower principal.

Sources: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements";
Amazon ECR User Guide, "Private registry permissions".
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from ecr.plan.access.documents import Document, DocumentKind

ACCOUNTS_NEEDED = {"ecr:ReplicateImage", "kms:*"}
"""Actions that AWS grants to a whole account only: replication, and a key's own account."""

_PREFIX: Mapping[DocumentKind, str] = {
    "registry": "ecr",
    "repository": "ecr",
    "trust": "sts",
    "topic": "sns",
    "key": "kms",
}
_OPERATOR = re.compile(
    r"(?:For(?:All|Any)Value(?:s)?:)?"
    r"(?:String(?:Not)?(?:Equals|EqualsIgnoreCase|Like)|Arn(?:Not)?(?:Equals|Like)|Bool)(?:IfExists)?"
    r"|Null"
)
_KEY = re.compile(r"[A-Za-z0-9.-]+:[A-Za-z0-9._/-]+")
_ACTION = re.compile(r"[a-z0-9-]+:(?:\*|[A-Z][A-Za-z]*\*?)")
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9*-]*:(?:\d{12}|\*|aws)?:.+")
_PRINCIPALS = {
    "AWS": re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(?:root|role/[\w+=,.@/-]+)"),
    "Service": re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?"),
    "Federated": re.compile(r"arn:aws[a-z-]*:iam::\d{12}:oidc-provider/[\w./-]+"),
}
_ELEMENTS = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}


def offences_of(document: Document) -> list[str]:
    """Say what AWS, or this estate, refuses of a document."""
    return [f"{document.where}: {offence}" for offence in _offences(document.kind, document.text)]


@cache
def _offences(kind: DocumentKind, text: str) -> tuple[str, ...]:
    try:
        policy = json.loads(text)
    except ValueError:
        return ("its policy is not JSON",)
    found = []
    if policy.get("Version") != "2012-10-17" or policy.keys() != {"Version", "Statement"}:
        found.append("its policy must have Version 2012-10-17 and Statement, and nothing else")
    statements = policy.get("Statement") or []
    if not statements:
        found.append("its policy has no statement")
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(sids) != len(set(sids)):
        found.append("its policy has two statements of one Sid")
    for number, statement in enumerate(statements, 1):
        name = statement.get("Sid", number)
        found += [f"statement {name} {offence}" for offence in _statement(kind, statement)]
    return tuple(found)


def _statement(kind: DocumentKind, statement: Mapping[str, Any]) -> Iterator[str]:
    if unknown := statement.keys() - _ELEMENTS:
        yield f"has {', '.join(sorted(unknown))}, which these documents never need"
    if not re.fullmatch(r"[A-Za-z0-9]*", str(statement.get("Sid", ""))):
        yield "has a Sid that is not of letters and digits"
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield "must have the Effect Allow or Deny"
    yield from _actions(kind, _listed(statement.get("Action", [])))
    yield from _resources(kind, _listed(statement.get("Resource", [])))
    if kind not in {"role", "identity"}:
        yield from _principal(statement)
    elif "Principal" in statement:
        yield "names a Principal, which an identity policy takes none of"
    for operator, tests in statement.get("Condition", {}).items():
        if not _OPERATOR.fullmatch(operator):
            yield f"has the condition operator {operator}, which is none"
        yield from (
            f"has a condition on {key!r} that is empty or on no key"
            for key, values in tests.items()
            if not _KEY.fullmatch(key) or not _listed(values)
        )


def _actions(kind: DocumentKind, actions: list[str]) -> Iterator[str]:
    if not actions:
        yield "names no Action"
    for action in actions:
        service, _, name = action.partition(":")
        if not _ACTION.fullmatch(action):
            yield f"names {action!r}, which is no action"
        elif kind in _PREFIX and service != _PREFIX[kind]:
            yield f"names {action}, which is no action of a {kind}'s policy"
        elif kind in {"registry", "repository"} and name == "GetAuthorizationToken":
            yield f"names {action}, which ECR takes in identity policies only"


def _resources(kind: DocumentKind, resources: list[str]) -> Iterator[str]:
    # A policy that sits on one thing need not name it, and a trust policy must not.
    if kind == "trust" and resources:
        yield "names a Resource, which a trust policy takes none of"
    if kind not in {"repository", "trust"} and not resources:
        yield "names no Resource"
    for resource in resources:
        if resource != "*" and not _ARN.fullmatch(resource):
            yield f"names {resource!r}, which is no ARN"


def _principal(statement: Mapping[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal")
    if principal == "*":
        if statement.get("Effect") == "Allow" and not statement.get("Condition"):
            yield "allows everybody, without a condition"
        return
    if not isinstance(principal, Mapping) or not principal or principal.keys() - _PRINCIPALS.keys():
        yield f"has no Principal that is one of {', '.join(_PRINCIPALS)}"
        return
    for kind, given in principal.items():
        for value in _listed(given) or [""]:
            if not _PRINCIPALS[kind].fullmatch(value):
                yield f"has the Principal {value!r}, which is no {kind} principal"
            elif value.endswith(":root") and not ACCOUNTS_NEEDED.issuperset(
                _listed(statement.get("Action", []))
            ):
                yield f"grants to the whole of {value}; name roles, or whom it concerns by a condition"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
