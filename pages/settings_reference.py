"""The reference of all settings, as Markdown.

Owns how the models of ``ecr.settings.models`` read as a page: every key with its type, default and meaning.
Reads the models and nothing else, so that the page cannot say what the program does not do.
"""

import json
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from ecr.settings.checks import model_within
from ecr.settings.load import GITHUB_TOKEN, PROJECT
from ecr.settings.models import Settings
from ecr.settings.types import Shape

INTRODUCTION = f"""\
# Settings

Every key stands in the stack's file, `Pulumi.<stack>.yaml`, under `config` and behind the project's
name: `github` is written `{PROJECT}:github`. The repository's `Pulumi.prod.yaml` shows them all,
and [Settings by example](../guides/settings-by-example.md) explains the common cases.

The program reads them once, before anything else. A key that is not on this page is refused, and so
is a value that does not fit; one error then lists every offence with its key path, the value and the
remedy, and nothing is changed. What contradicts another value is listed with the rest.

[A JSON Schema](settings.schema.json) says the same to editors and other tools. The stack files of the
program's repository name it in their first line, for editors that have the YAML language server; a copy
that belongs to the installed program is written by `ecr-estate settings --schema`.

Only one setting stands outside the namespace: `{GITHUB_TOKEN}`, the GitHub provider's token, for
where the environment has no `GITHUB_TOKEN`. It must be stored with `pulumi config set --secret`.

This page is written by `python -m pages` from the models in `ecr/settings/models.py`.
"""


def settings_reference() -> str:
    """Return the whole page: cards for each model, under the path that leads to it."""
    return "\n".join(
        [INTRODUCTION, "## All keys\n", _table(Settings, ""), *_sections(Settings, "")]
    )


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    """Yield a section for each map below ``path``; ``[]`` stands for any entry of a list."""
    for name, field in model.model_fields.items():
        within = model_within(field.annotation)
        if within:
            below = _join(path, to_camel(name)) + _step(field.annotation)
            yield f"{'###' if path else '##'} `{below}` {{ #{_anchor(below)} }}\n"
            yield f"{' '.join(str(within.__doc__).split())}\n"
            yield _table(within, below)
            yield from _sections(within, below)


def _table(model: type[BaseModel], path: str) -> str:
    lines = ['<div class="cards" markdown>', ""]
    for name, field in model.model_fields.items():
        key = f"`{to_camel(name)}`"
        if model_within(field.annotation):
            anchor = _anchor(_join(path, to_camel(name)) + _step(field.annotation))
            key = f"[{key}](#{anchor})"
        kind = _kind(field.annotation, field.metadata)
        meaning = " ".join((field.description or "").split())
        lines += [f"{key}", f":   {meaning}", "", f"    {kind} · {_default(field)}", ""]
    return "\n".join([*lines, "</div>", ""])


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _anchor(path: str) -> str:
    return path.replace("[]", "").replace(".", "-")


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "**required**"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return f"default: `{json.dumps(value)}`" if value else "default: as below"
    if value is None:
        return "default: not set"
    return f"default: `{json.dumps(value)}`" if value not in ({}, ()) else "default: empty"


def _kind(annotation: Any, metadata: Sequence[Any] = ()) -> str:  # noqa: ANN401 - a type expression has no narrower type
    """Say in words what a value is."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of: {_kind(arguments[0])}"
    if origin in {Union, UnionType}:
        parts = (part for part in arguments if part is not NoneType)
        return " or ".join(_kind(part, metadata) for part in parts)
    if origin is dict:
        return f"map from {_kind(arguments[0])} to {_kind(arguments[1])}"
    return _plain(annotation, metadata)


def _plain(annotation: object, metadata: Sequence[Any]) -> str:
    if annotation is bool:
        return "true or false"
    if annotation is int:
        return f"whole number{_bounds(metadata)}"
    if annotation is float:
        return f"number{_bounds(metadata)}"
    return _shape(metadata) if annotation is str else "map"


def _shape(metadata: Sequence[Any]) -> str:
    return next((each.what for each in metadata if isinstance(each, Shape)), "text")


def _bounds(metadata: Sequence[Any]) -> str:
    least = [getattr(each, "ge", None) for each in metadata]
    more = [getattr(each, "gt", None) for each in metadata]
    most = [getattr(each, "le", None) for each in metadata]
    limits = [
        *(f"from {number}" for number in least if number is not None),
        *(f"above {number}" for number in more if number is not None),
        *(f"to {number:,}" for number in most if number is not None),
    ]
    return " ".join(["", *limits])


def _step(annotation: Any) -> str:  # noqa: ANN401 - see _kind
    """Say how to go on from a key to those within: "[]" through a list, nothing through a map."""
    inner = (_step(part) for part in get_args(annotation))
    return "[]" if get_origin(annotation) is tuple else "".join(inner)
