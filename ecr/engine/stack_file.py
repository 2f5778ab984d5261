"""The stack's file as a command reads it, without the engine.

Owns the reading of Pulumi.<stack>.yaml and of the project's own keys in it. Values of other namespaces, which
may be secret, are not looked at. The deployment itself never comes here: it is told by the engine.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ecr.errors import EstateError
from ecr.plain_yaml import load_yaml
from ecr.settings.load import PROJECT, parse_settings
from ecr.settings.models import Settings


def read_text(path: Path) -> str:
    """Read a file that an operator named. Raises EstateError, naming it, where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EstateError("A file cannot be read.", [f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise EstateError("A file cannot be read.", [f"{path}: is not text in UTF-8"]) from error


def read_stack_file(path: Path) -> dict[str, Any]:
    """Return the project's settings in a stack's file, unchecked, without their namespace."""
    text = read_text(path)
    try:
        file = load_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        raise _no_stack_file([f"{path}: {' '.join(str(error).split())}"]) from error
    config = file.get("config") if isinstance(file, dict) else None
    if not isinstance(config, dict):
        raise _no_stack_file([f"{path}: has no map `config`; write it as Pulumi does"])
    values = {
        key.removeprefix(f"{PROJECT}:"): value
        for key, value in config.items()
        if str(key).startswith(f"{PROJECT}:")
    }
    if offences := [f"{path}: {said}" for key in values for said in _unusable(key, values[key])]:
        raise _no_stack_file(offences)
    return values


def _no_stack_file(offences: list[str]) -> EstateError:
    return EstateError("The stack's file cannot be read.", offences)


def _unusable(key: str, value: object) -> Iterator[str]:
    """Say what no deployment would be given like this; never what is encrypted."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        yield f"{PROJECT}:{key}: is no plain value ({error}); write dates in quotes"
        return
    for path in _encrypted(key, value):
        yield f"{PROJECT}:{path}: is encrypted; store it in plain, for it is no secret"


def _encrypted(path: str, value: object) -> Iterator[str]:
    """Yield the paths of values that Pulumi has encrypted."""
    if isinstance(value, dict):
        if value.keys() == {"secure"} and isinstance(value["secure"], str):
            yield path
            return
        for key, each in value.items():
            yield from _encrypted(f"{path}.{key}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _encrypted(f"{path}[{index}]", each)


def checked(values: dict[str, Any]) -> Settings:
    """Check settings that came from a stack's file. Raises EstateError, listing every offence."""
    config = {
        f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }
    return parse_settings(config, namespace=PROJECT)
