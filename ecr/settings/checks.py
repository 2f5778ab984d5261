"""Checks of values against each other: how a model says them, and how all of them are run at once.

Owns the base of all models of settings. A model's own method, marked by ``check``, yields every
contradiction that it finds; it reads the model and what is within it. Where some values are wrong by
themselves, the checks that need none of them are run all the same, so that one round shows everything.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Self, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

PlacePart = str | int
SettingPlace = tuple[PlacePart, ...]
"""Where a value is: the names of fields, the keys of maps and the indexes of lists that lead to it."""

LATER = object()
"""The validation context of who runs the checks afterwards, by ``contradictions``."""

T = TypeVar("T")


class Contradiction(NamedTuple):
    """What is wrong at a place below the model that says so, with the remedy."""

    place: SettingPlace
    text: str


Check = Callable[[Any], Iterator[Contradiction]]


def check(method: Check) -> Check:
    """Mark a method of a model that yields contradictions."""
    method.is_check = True  # type: ignore[attr-defined] # a mark that nothing else has
    return method


class SettingsModel(BaseModel):
    """A map of settings: frozen, without unknown keys, its keys in camel case outside."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="after")
    def _is_without_contradictions(self, info: ValidationInfo) -> Self:
        if info.context is LATER:
            return self
        found = [
            InitErrorDetails(
                type=PydanticCustomError("contradiction", "{text}", {"text": each.text}),
                loc=outside(type(self), each.place),
                input=value_at(self, each.place),
            )
            for each in _of_model(type(self), self)
        ]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self


class UnknownValueError(Exception):
    """A check needs a value that is wrong by itself."""


class Unfinished:
    """A model of which some values are wrong by themselves; reading one raises UnknownValueError."""

    def __init__(self, model: type[SettingsModel], known: Mapping[str, Any]) -> None:
        self.settings_model = model
        self.known_values = known

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the model has
        if name in self.known_values:
            return self.known_values[name]
        if name in self.settings_model.model_fields:
            raise UnknownValueError(name)
        return getattr(self.settings_model, name).__get__(self)


def unfinished(
    model: type[SettingsModel], raw: object, wrong: Iterable[SettingPlace]
) -> Unfinished:
    """Return what is known of a model whose values at some places (by their keys) are wrong."""
    return _partly(model, raw, list(wrong))


def whole(items: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Yield the items of a list that are right by themselves, with their indexes."""
    return ((index, each) for index, each in enumerate(items) if not isinstance(each, Unfinished))


def contradictions(found: object, at: SettingPlace = ()) -> Iterator[Contradiction]:
    """Yield the contradictions of a model, or of what is known of one, and of all within it."""
    if isinstance(found, SettingsModel):
        model, values = (
            type(found),
            {name: getattr(found, name) for name in type(found).model_fields},
        )
    elif isinstance(found, Unfinished):
        model, values = found.settings_model, dict(found.known_values)
    elif isinstance(found, tuple):
        for index, each in enumerate(found):
            yield from contradictions(each, (*at, index))
        return
    elif isinstance(found, dict):
        for key, each in found.items():
            yield from contradictions(each, (*at, key))
        return
    else:
        return
    yield from (Contradiction((*at, *each.place), each.text) for each in _of_model(model, found))
    for name, value in values.items():
        yield from contradictions(value, (*at, name))


def value_at(found: object, place: SettingPlace) -> Any:  # noqa: ANN401 - whatever is there
    """Return the value at a place; None where there is none."""
    value: Any = found
    for part in place:
        is_container = isinstance(value, tuple | dict)
        value = value[part] if is_container else getattr(value, str(part), None)
    return value


def outside(model: type[BaseModel], place: SettingPlace) -> SettingPlace:
    """Return a place as an operator writes it: with the keys of the fields instead of their names."""
    within: Any = model
    keys: list[PlacePart] = []
    for part in place:
        field = within.model_fields.get(part) if within else None
        keys.append(to_camel(str(part)) if field else part)
        # An index or a map's key leads to the model that its list or map is of.
        within = model_within(field.annotation) if field else within
    return tuple(keys)


def model_within(annotation: Any) -> Any:  # noqa: ANN401 - a type expression has no narrower type
    """Return the model that a type is of, be it in a list, in a map or optional; None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (model_within(part) for part in get_args(annotation))
    return next((model for model in inner if model is not None), None)


def _of_model(model: type[SettingsModel], found: object) -> Iterator[Contradiction]:
    names = {name for each in model.__mro__ for name, value in vars(each).items() if _marked(value)}
    for name in sorted(names):
        try:
            yield from getattr(model, name)(found)
        except UnknownValueError:
            continue


def _marked(value: object) -> bool:
    return getattr(value, "is_check", False) is True


def _partly(model: type[SettingsModel], raw: object, wrong: list[SettingPlace]) -> Unfinished:
    known: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = to_camel(name)
        within = [place[1:] for place in wrong if place[0] == key]
        if not isinstance(raw, Mapping) or (key not in raw and within):
            continue
        if key not in raw:
            known[name] = field.default
            continue
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[(annotation, *field.metadata)]
        try:
            known[name] = _known(annotation, raw[key], within)
        except UnknownValueError:
            continue
    return Unfinished(model, known)


def _known(annotation: Any, raw: Any, wrong: list[SettingPlace]) -> Any:  # noqa: ANN401 - any type, and its value
    """Return a value, without what is wrong within it; raises UnknownValueError where it is none then."""
    if not wrong:
        return TypeAdapter(annotation).validate_python(raw, context=LATER)
    model = model_within(annotation)
    if model is None or () in wrong or any("[key]" in place for place in wrong):
        raise UnknownValueError
    if _is_in(dict, annotation) or _is_in(tuple, annotation):
        entries = raw.items() if isinstance(raw, dict) else enumerate(raw)
        found = {
            key: _known(model, each, [place[1:] for place in wrong if place[0] == key])
            for key, each in entries
        }
        return found if isinstance(raw, dict) else tuple(found.values())
    return _partly(model, raw, wrong)


def _is_in(container: type, annotation: Any) -> bool:  # noqa: ANN401 - a type expression
    """Return whether a type is a list or map, be it optional."""
    if get_origin(annotation) is container:
        return True
    return any(_is_in(container, each) for each in get_args(annotation))
