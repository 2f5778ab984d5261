"""Write the reference of all settings, as Markdown.

Owns how the models of ``ecr.settings.models`` read as a page: every key with its type, default and meaning.
Reads the models and nothing else, so that the page cannot say what the program does not do.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from ecr.engine.stack_file import read_text
from ecr.errors import EstateError
from ecr.settings.models import GITHUB_TOKEN, PROJECT, Settings

IMPOSSIBLE = "\0"
"""Text that no setting takes: a setting's own check then says what it should have been."""

INTRODUCTION = f"""\
# Settings

Every key stands in the stack's file, `Pulumi.<stack>.yaml`, under `config` and behind the project's
name: `github` is written `{PROJECT}:github`. The repository's `Pulumi.prod.yaml` shows them all,
and [Settings by example](../guides/settings-by-example.md) explains the common cases.

The program reads them once, before anything else. A key that is not on this page is refused, and so
is a value that does not fit; one error then lists every offence with its key path, the value and the
remedy, and nothing is changed. What only contradicts another value is looked for once each is right by
itself, and is then listed likewise.

Only one setting stands outside the namespace: `{GITHUB_TOKEN}`, the GitHub provider's token, for
where the environment has no `GITHUB_TOKEN`. It must be stored with `pulumi config set --secret`.

This page is written by `python -m ecr settings` from the models in `ecr/settings/models.py`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, metavar="FILE", help="write to a file")
    where.add_argument(
        "--check", type=Path, metavar="FILE", help="write nothing, and fail if the file is stale"
    )


def run(options: argparse.Namespace) -> int:
    """Print the reference, write it, or compare it with the file that was written before."""
    page = reference()
    if options.output:
        options.output.write_text(page, encoding="utf-8")
    elif options.check:
        held = read_text(options.check) if options.check.exists() else ""
        if held != page:
            raise EstateError(
                "The reference of the settings is stale.",
                [f"{options.check}: run `python -m ecr settings --output {options.check}`"],
            )
    else:
        sys.stdout.write(page)
    return 0


def reference() -> str:
    """Give the whole page: a table for each model, under the path that leads to it."""
    return "\n".join(
        [INTRODUCTION, "## All keys\n", _table(Settings, ""), *_sections(Settings, "")]
    )


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    """Give a section for each map below ``path``; ``[]`` stands for any entry of a list."""
    for name, field in model.model_fields.items():
        within = _model_within(field.annotation)
        if within:
            below = _join(path, to_camel(name)) + _step(field.annotation)
            yield f"{'###' if path else '##'} `{below}` {{ #{_anchor(below)} }}\n"
            yield f"{' '.join(str(within.__doc__).split())}\n"
            yield _table(within, below)
            yield from _sections(within, below)


def _table(model: type[BaseModel], path: str) -> str:
    lines = ["| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        key = f"`{to_camel(name)}`"
        if _model_within(field.annotation):
            anchor = _anchor(_join(path, to_camel(name)) + _step(field.annotation))
            key = f"[{key}](#{anchor})"
        kind = _kind(field.annotation, field.metadata)
        meaning = " ".join((field.description or "").split())
        cells = (key, kind, _default(field), meaning)
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join([*lines, ""])


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
        return f"`{json.dumps(value)}`" if value else "as below"
    if value is None:
        return "not set"
    return f"`{json.dumps(value)}`" if value not in ({}, ()) else "empty"


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
    return _shape(metadata) if annotation is str else "map"


def _shape(metadata: Sequence[Any]) -> str:
    for validator in metadata:
        if isinstance(validator, AfterValidator):
            check: Any = validator.func
            try:
                check(IMPOSSIBLE)
            except PydanticCustomError as refusal:
                return str((refusal.context or {})["what"])
    return "text"


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


def _model_within(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - see _kind
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_within(part) for part in get_args(annotation))
    return next((model for model in inner if model), None)
