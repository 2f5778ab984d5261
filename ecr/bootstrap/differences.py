"""What differs between a document as it is planned and as it stands: permission by permission.

Owns the comparison of two documents. An order, and whether one thing stands alone or in a list, make
none. Pure: reads neither AWS nor files.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

RoleState = Literal["missing", "too much", "out of date"]


@dataclass(frozen=True, slots=True)
class RoleDifference:
    """Something that is not as planned: of what, how, and the permissions that it is about."""

    where: str
    state: RoleState
    what: str
    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()


def difference(
    where: str, what: str, planned: Mapping[str, Any], held: Mapping[str, Any]
) -> Iterator[RoleDifference]:
    """Yield a finding where two documents are not the same."""
    ought, there = set(_permissions(planned)), set(_permissions(held))
    missing, surplus = tuple(sorted(ought - there)), tuple(sorted(there - ought))
    if missing and surplus:
        yield RoleDifference(where, "out of date", what, missing, surplus)
    elif missing:
        yield RoleDifference(where, "missing", what, missing)
    elif surplus:
        yield RoleDifference(where, "too much", what, (), surplus)


def _permissions(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield each permission of a document as a line: effect, action, resource, who, and when."""
    for statement in _listed(document.get("Statement", [])):
        rest = {
            key: value
            for key, value in statement.items()
            if key not in {"Sid", "Effect", "Action", "Resource"}
        }
        under = f" {json.dumps(_canonical(rest), sort_keys=True)}" if rest else ""
        for action in _listed(statement.get("Action", "")):
            for resource in _listed(statement.get("Resource", "")):
                on = f" on {resource}" if resource else ""
                yield f"{statement['Effect']} {action}{on}{under}"


def _listed(value: Any) -> Sequence[Any]:  # noqa: ANN401 - a part of a document
    return value if isinstance(value, list) else [value]


def _canonical(value: Any) -> Any:  # noqa: ANN401 - a part of a document
    """Return a part in one form: texts of a list in their order, and a list of one as its text."""
    if isinstance(value, Mapping):
        return {key: _canonical(each) for key, each in value.items()}
    if isinstance(value, list):
        parts = sorted(map(_canonical, value), key=str)
        return parts[0] if len(parts) == 1 else parts
    return value
