"""Resource policies of ECR: of a registry and of an image repository.

Owns which documents PutRegistryPolicy and SetRepositoryPolicy refuse, and whether a registry
policy lets another account replicate. Reads the text and, for the names of actions, the API's
model. Never decides about any other request: moto answers those without authorisation.

Sources: Amazon ECR User Guide, "Private registry permissions in Amazon ECR" and "Private
repository policies in Amazon ECR"; IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POLICY = {"Version", "Id", "Statement"}
_VERSIONS = ("2012-10-17", "2008-10-17")
_STATEMENT = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
    *("Resource", "NotResource", "Condition"),
}
_IDENTITY = r"(root|(user|role|assumed-role|federated-user)/.+)"
_PRINCIPALS = {
    "AWS": rf"\*|\d{{12}}|arn:aws[a-z-]*:(iam|sts)::\d{{12}}:{_IDENTITY}",
    "Service": r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?",
    "Federated": r".+",
    "CanonicalUser": r".+",
}
_OPERATOR = (
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?(Equals|EqualsIgnoreCase|Like)|Arn(Not)?(Equals|Like)|(Not)?IpAddress|Bool|"
    r"(Numeric|Date)(NotEquals|Equals|(Less|Greater)Than(Equals)?)|BinaryEquals)(IfExists)?|Null"
)
_ONLY_PERMISSIONS = {"BatchImportUpstreamImage", "GetImageCopyStatus", "ReplicateImage"}
_SCOPE_V1 = frozenset({"batchimportupstreamimage", "createrepository", "replicateimage"})


@cache
def _actions() -> frozenset[str]:
    """Return the actions that a resource policy may name, in lower case and without `ecr:`.

    GetAuthorizationToken is not among them: it belongs to no repository, and ECR refuses it in
    both kinds of resource policy.
    """
    names = {*get_service_model("ecr").operation_names, *_ONLY_PERMISSIONS}
    return frozenset(name.lower() for name in names - {"GetAuthorizationToken"})


def registry_policy_offences(text: str, *, registry: str, region: str, scope: str) -> list[str]:
    """Return what is wrong with a registry policy; `scope` is the REGISTRY_POLICY_SCOPE.

    Stricter than ECR in one respect: ECR takes a resource that is no ECR ARN of the registry,
    and replication then fails with DESTINATION_REGISTRY_ACCESS_DENIED (aws/containers-roadmap
    issue 2675). Here that is refused.
    """
    own = rf"\*|arn:aws[a-z-]*:ecr:({region}|\*):{registry}:.+"

    def more(statement: dict[str, Any]) -> Iterator[str]:
        resources = _strings(statement.get("Resource", statement.get("NotResource")))
        if not resources:
            yield "Resource is missing"
        for resource in resources:
            if not re.fullmatch(own, resource):
                yield f"{resource!r} is not an ECR ARN of registry {registry} in {region}"

    return _offences(text, {"Version"}, _SCOPE_V1 if scope == "V1" else _actions(), more)


def repository_policy_offences(text: str) -> list[str]:
    """Return what is wrong with a repository policy. It need name no resource: it sits on one."""
    return _offences(text, set(), _actions(), lambda _: iter(()))


def lets_replicate(text: str | None, *, source: str, action: str, resource: str) -> bool:
    """Say whether an accepted registry policy lets account `source` do `action` on an ARN.

    A statement with a condition counts only when it denies: the context in which ECR's own
    replication asks is not known here.
    """

    def is_source(principal: str) -> bool:
        return principal in ("*", source) or principal.endswith(f"::{source}:root")

    def is_action(pattern: str) -> bool:
        return fnmatchcase(action.lower(), pattern.lower())

    def is_resource(pattern: str) -> bool:
        return fnmatchcase(resource, pattern)

    effects = {
        statement["Effect"]
        for statement in _listed(json.loads(text)["Statement"] if text else [])
        if _covers(statement, "Principal", is_source)
        and _covers(statement, "Action", is_action)
        and _covers(statement, "Resource", is_resource)
        and (statement["Effect"] == "Deny" or "Condition" not in statement)
    }
    return effects == {"Allow"}


def _covers(statement: dict[str, Any], element: str, test: Callable[[str], bool]) -> bool:
    if element in statement:
        return any(test(value) for value in _strings(statement[element]))
    return not any(test(value) for value in _strings(statement[f"Not{element}"]))


def _offences(
    text: str,
    required: set[str],
    actions: frozenset[str],
    more: Callable[[dict[str, Any]], Iterator[str]],
) -> list[str]:
    try:
        policy = json.loads(text)
    except ValueError:
        return ["the policy is not JSON"]
    if not isinstance(policy, dict) or policy.keys() - _POLICY:
        return [f"the policy must be an object of {', '.join(sorted(_POLICY))}"]
    statements = _listed(policy.get("Statement", []))
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        return ["Statement must be one statement or more"]
    found = [f"{name} is missing" for name in sorted(required - policy.keys())]
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        found.append(f"Version must be one of {', '.join(_VERSIONS)}")
    for place, statement in enumerate(statements, start=1):
        found += [
            f"statement {place}: {offence}"
            for offence in (*_statement(statement, actions), *more(statement))
        ]
    return found


def _statement(statement: dict[str, Any], actions: frozenset[str]) -> Iterator[str]:
    if unknown := sorted(statement.keys() - _STATEMENT):
        yield f"{', '.join(unknown)} is not an element of a statement"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield "Effect must be Allow or Deny"
    for element in ("Principal", "Action"):
        if len({element, f"Not{element}"} & statement.keys()) != 1:
            yield f"takes one of {element} and Not{element}"
    yield from _principal(statement.get("Principal", statement.get("NotPrincipal", "*")))
    for action in _strings(statement.get("Action", statement.get("NotAction", "*"))) or ["nothing"]:
        pattern = action.lower().removeprefix("ecr:")
        unprefixed = action != "*" and not action.lower().startswith("ecr:")
        if unprefixed or not any(fnmatchcase(known, pattern) for known in actions):
            yield f"{action} is not an action of an ECR resource policy"
    condition = statement.get("Condition", {})
    if not isinstance(condition, dict):
        yield "Condition must be an object"
    elif wrong := sorted(
        operator
        for operator, keys in condition.items()
        if not re.fullmatch(_OPERATOR, operator) or not isinstance(keys, dict)
    ):
        yield f"{', '.join(wrong)} is not a condition operator with its keys"


def _principal(principal: object) -> Iterator[str]:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal or principal.keys() - _PRINCIPALS.keys():
        yield f"Principal must be * or an object of {', '.join(_PRINCIPALS)}"
        return
    for kind, given in principal.items():
        values = _strings(given)
        if not values or not all(re.fullmatch(_PRINCIPALS[kind], value) for value in values):
            yield f"{given!r} is not a principal of the kind {kind}"


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _strings(value: object) -> list[str]:
    """Return the strings of an element that may be one string, several, or principals by kind."""
    if isinstance(value, dict):
        return [string for given in value.values() for string in _strings(given)]
    return [string for string in _listed(value) if isinstance(string, str)]
