"""What AWS says a request must look like.

Owns the check of a request's parameters against the constraints Amazon publishes in the API's
model (the one in botocore: required members, lengths, numbers of items, patterns and
enumerations), and the words of ECR and of IAM, STS, KMS, EventBridge and SNS for what breaks one. Reads that
model. Never checks what takes the state of an account to know.

SDKs check only a part of these before they send; moto checks almost none.

Sources: the pages "Common Errors" (ValidationError) of the IAM and STS API References and "Common Error Types"
(ValidationException) of the KMS and EventBridge API References; the errors of each operation in the SNS API Reference
(InvalidParameter).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from moto.core.parse import QueryParser
from moto.core.utils import get_service_model

from sandbox.aws import topic_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

    from sandbox.aws.needs import Asked

_PATTERNS = {
    # Amazon publishes two grammars. This is the API Reference's (CreateRepository,
    # repositoryName); the model's also lets `a--b` and `a__b` pass. What is accepted here is
    # accepted by both.
    "RepositoryName": r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*",
    # Accepts what the model's accepts, which backtracks exponentially on a long refusal.
    "ScanningRepositoryFilterValue": r"[a-z0-9*]+(?:[._\-/][a-z0-9*]+)*",
}

CODES = {
    "events": "ValidationException",
    "iam": "ValidationError",
    "kms": "ValidationException",
    "sns": "InvalidParameter",
    "sts": "ValidationError",
}
"""The services of one sentence for what breaks a constraint, each with its error's code."""

_CLASSES = {r"\p{L}\p{Z}\p{N}": r"\w\s"}
"""Classes of characters that Python has no name for, as near as it can say them."""


_SCALARS: dict[str, tuple[type, ...]] = {
    "blob": (str, bytes),
    "boolean": (bool,),
    "double": (float, int),
    "float": (float, int),
    "timestamp": (datetime, float, int, str),
}
"""The types of which a model says nothing more, and how a protocol's parser hands them over."""


class Offence(NamedTuple):
    """A parameter, the constraint that it breaks in words, and what was given."""

    parameter: str
    constraint: str
    given: object


def offences(shape: Shape, value: object) -> Iterator[str]:
    """Yield each way in which `value` breaks the shape, in ECR's words."""
    for each in _offences(shape, value, "request"):
        yield (
            f"Invalid parameter at '{each.parameter}' failed to satisfy constraint: '{each.constraint}'"
        )


def refusal(asked: Asked) -> str:
    """Return what a service of CODES says of a request that breaks its model; "" for one that does not."""
    model = get_service_model(asked.service).operation_model(asked.action)
    if model.input_shape is None:
        return ""
    value = asked.fields
    if model.metadata["protocol"] == "query":
        try:
            value = QueryParser(model).parse({"values": asked.fields})  # type: ignore[typeddict-item]  # all it reads
        except ValueError as error:
            return f"1 validation error detected: {error}"
    found = [
        f"Value {'null' if each.given is None else repr(each.given)} at "
        f"'{each.parameter[:1].lower()}{each.parameter[1:]}' failed to satisfy constraint: Member {each.constraint}"
        for each in _offences(model.input_shape, value, "request")
    ]
    if not found:
        return topic_requests.offence(asked.action, value) if asked.service == "sns" else ""
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
    start = "Invalid parameter: " if asked.service == "sns" else ""
    return f"{start}{count}: {'; '.join(found)}"


def _offences(shape: Shape, value: object, name: str) -> Iterator[Offence]:
    if isinstance(value, _SCALARS.get(shape.type_name, ())):
        return
    match shape.type_name, value:
        case "structure", dict():
            yield from _structure(cast("StructureShape", shape), value)
        case "list", list():
            yield from _bounds(shape, len(value), name, "items")
            for item in value:
                yield from _offences(cast("ListShape", shape).member, item, name)
        case "map", dict():
            yield from _bounds(shape, len(value), name, "items")
            for key, item in value.items():
                yield from _offences(cast("MapShape", shape).key, key, name)
                yield from _offences(cast("MapShape", shape).value, item, name)
        case "string", str():
            yield from _bounds(shape, len(value), name, "characters")
            yield from _string(cast("StringShape", shape), value, name)
        case ("integer" | "long", int()):
            yield from _bounds(shape, value, name, "as its value")
        case kind, _:
            yield Offence(name, f"must be a {kind}", value)


def _structure(shape: StructureShape, value: dict[str, Any]) -> Iterator[Offence]:
    given = {key: item for key, item in value.items() if item is not None}
    for missing in sorted(set(shape.required_members) - given.keys()):
        yield Offence(missing, "is required", None)
    for key in sorted(given.keys() & shape.members.keys()):
        yield from _offences(shape.members[key], given[key], key)


def _bounds(shape: Shape, size: int, name: str, of_what: str) -> Iterator[Offence]:
    least, most = shape.metadata.get("min", size), shape.metadata.get("max", size)
    if not least <= size <= most:
        yield Offence(name, f"must have {least} to {most} {of_what}, not {size}", size)


def _string(shape: StringShape, value: str, name: str) -> Iterator[Offence]:
    pattern = _PATTERNS.get(shape.name, shape.metadata.get("pattern"))
    if pattern and not compiled(pattern).fullmatch(value):
        yield Offence(name, f"must satisfy regular expression '{pattern}'", value)
    if shape.enum and value not in shape.enum:
        yield Offence(name, f"must satisfy enum value set: {sorted(shape.enum)}", value)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of a model as Python has it."""
    for classes, ours in _CLASSES.items():
        pattern = pattern.replace(classes, ours)
    return re.compile(pattern)
