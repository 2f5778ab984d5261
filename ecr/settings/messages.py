"""Texts of what is wrong with settings: where, which value, and the remedy.

Owns how pydantic's errors and the contradictions of the models read. Never shows a value that is secret.
"""

import difflib
import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from ecr.settings.checks import (
    Contradiction,
    SettingPlace,
    Unfinished,
    model_within,
    outside,
    value_at,
)

LONGEST_VALUE = 80
"""Characters of a value that a text shows: a line of a terminal."""

_REMEDIES = {
    "missing": "is missing; add it",
    "string_type": "must be text; quote it",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a number, and neither infinite nor none",
    "tuple_type": "must be a list",
    "dict_type": "must be a map",
    "model_type": "must be a map of settings",
    "model_attributes_type": "must be a map of settings",
    "too_short": "has too few entries; write at least {min_length}",
    "too_long": "has {actual_length} entries; write at most {max_length}",
    "string_too_long": "is too long; write at most {max_length} characters",
    "greater_than_equal": "is too small; write at least {ge}",
    "greater_than": "is too small; write more than {gt}",
    "less_than_equal": "is too large; write at most {le}",
    "literal_error": "is not one of the choices; write {expected}",
}


def described_errors(
    error: ValidationError, model: type[BaseModel], *, hidden: AbstractSet[str] = frozenset()
) -> list[str]:
    """Describe every offence but a list's shortness where only its wrong entries were not counted."""
    return [
        _described(detail, model, hidden)
        for detail in error.errors(include_url=False)
        if detail["type"] != "too_short" or len(detail["input"]) < detail["ctx"]["min_length"]
    ]


def described_contradictions(
    found: Iterable[Contradiction],
    settings: BaseModel | Unfinished,
    model: type[BaseModel],
    *,
    hidden: AbstractSet[str] = frozenset(),
) -> list[str]:
    """Describe contradictions in the order of their places, each with the value that is there."""
    texts = []
    for each in sorted(found, key=lambda each: [_sortable(part) for part in each.place]):
        keys = outside(model, each.place)
        texts.append(
            f"{_path(keys)}{_shown(value_at(settings, each.place), keys, hidden)}: {each.text}"
        )
    return texts


def _sortable(part: str | int) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (-1, part)


def _described(detail: ErrorDetails, model: type[BaseModel], hidden: AbstractSet[str]) -> str:
    place = detail["loc"]
    path = _path(place)
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), _known_keys(model, place[:-1]), 1)
        advice = f"did you mean {near[0]}?" if near else "remove it"
        return f"{path}: is not a setting; {advice}"
    remedy = _REMEDIES.get(detail["type"])
    text = remedy.format(**detail.get("ctx", {})) if remedy else detail["msg"]
    if detail["type"] == "missing":
        return f"{path}: {text}"
    return f"{path} = {_value(detail['input'], place, hidden)}: {text}"


def _path(place: SettingPlace) -> str:
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in place if part != "[key]"
    )[1:]


def _shown(value: object, place: SettingPlace, hidden: AbstractSet[str]) -> str:
    """Return the value as a text about a contradiction shows it; only a single one is shown."""
    return f" = {_value(value, place, hidden)}" if isinstance(value, str | int) else ""


def _value(value: object, place: SettingPlace, hidden: AbstractSet[str]) -> str:
    if str(place[0]) in hidden:
        return "[secret]"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _known_keys(model: type[BaseModel], place: SettingPlace) -> list[str]:
    """Return the keys that the model at a place takes, for a suggestion beside a misspelt one."""
    within = model
    for part in place:
        if isinstance(part, int):
            continue
        fields = within.model_fields.items()
        field = next((field for name, field in fields if to_camel(name) == part), None)
        # The key of a map leads to what the map is of.
        within = model_within(field.annotation) if field else within
        if within is None:
            return []
    return [to_camel(name) for name in within.model_fields]
