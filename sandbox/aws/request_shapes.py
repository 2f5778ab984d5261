"""What Amazon ECR says a request must look like.

Owns the check of a request's parameters against the constraints Amazon publishes in the API's
model (the one in botocore: required members, lengths, numbers of items, patterns and
enumerations). Reads that model. Never checks what takes the state of a registry to know.

SDKs check only a part of these before they send; moto checks almost none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ListShape, Shape, StringShape, StructureShape

_PATTERNS = {
    # Amazon publishes two grammars. This is the API Reference's (CreateRepository,
    # repositoryName); the model's also lets `a--b` and `a__b` pass. What is accepted here is
    # accepted by both.
    "RepositoryName": r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
    # Accepts what the model's accepts, which backtracks exponentially on a long refusal.
    "ScanningRepositoryFilterValue": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
}


def offences(shape: Shape, value: object, name: str = "request") -> Iterator[str]:
    """Yield each way in which `value` breaks the shape, with the parameter and the constraint."""
    match shape.type_name, value:
        case "structure", dict():
            yield from _structure(cast("StructureShape", shape), value)
        case "list", list():
            yield from _bounds(shape, len(value), name, "items")
            for item in value:
                yield from offences(cast("ListShape", shape).member, item, name)
        case "string", str():
            yield from _bounds(shape, len(value), name, "characters")
            yield from _string(cast("StringShape", shape), value, name)
        case ("integer" | "long", int()):
            yield from _bounds(shape, value, name, "as its value")
        case ("boolean", bool()) | ("blob", str()):
            pass
        case kind, _:
            yield _offence(name, f"must be a {kind}")


def _offence(name: str, constraint: str) -> str:
    return f"Invalid parameter at '{name}' failed to satisfy constraint: '{constraint}'"


def _structure(shape: StructureShape, value: dict[str, Any]) -> Iterator[str]:
    given = {key: item for key, item in value.items() if item is not None}
    for missing in sorted(set(shape.required_members) - given.keys()):
        yield _offence(missing, "is required")
    for key in sorted(given.keys() & shape.members.keys()):
        yield from offences(shape.members[key], given[key], key)


def _bounds(shape: Shape, size: int, name: str, of_what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", size), shape.metadata.get("max", size)
    if not least <= size <= most:
        yield _offence(name, f"must have {least} to {most} {of_what}, not {size}")


def _string(shape: StringShape, value: str, name: str) -> Iterator[str]:
    pattern = _PATTERNS.get(shape.name, shape.metadata.get("pattern"))
    if pattern and not re.fullmatch(pattern, value):
        yield _offence(name, f"must satisfy regular expression '{pattern}'")
    if shape.enum and value not in shape.enum:
        yield _offence(name, f"Member must satisfy enum value set: {sorted(shape.enum)}")
