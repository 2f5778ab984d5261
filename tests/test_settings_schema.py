"""The JSON Schema of a stack's file refuses what the program refuses, each value by itself.

Excepted, because a schema cannot say it or an editor should not: contradictions between values (the checks of
the models); symbols beyond ASCII in tags, for ECMA-262 and Python have no class of letters in common; and keys
that have another name now, which the program still understands.
"""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from ecr.cli.main import main
from ecr.settings.checks import LATER
from ecr.settings.load import settings_schema
from ecr.settings.models import Settings
from sandbox.session import PROJECT

SCHEMA = Draft202012Validator(settings_schema())
NAMESPACE = "ecr-estate:"
OTHERS: tuple[Any, ...] = (
    None,
    True,
    "true",
    0,
    -1,
    7,
    10**7,
    0.5,
    "",
    "x",
    "A b",
    [],
    ["x"],
    {},
    {"x": 1},
)


def stack(name: str) -> dict[str, Any]:
    config = yaml.safe_load((PROJECT / name).read_text())["config"]
    return {key.removeprefix(NAMESPACE): value for key, value in config.items()}


FILES = [
    stack(name)
    for name in (
        "Pulumi.prod.yaml",
        "Pulumi.sandbox.yaml",
        "Pulumi.sandbox-namespaces.yaml",
        "examples/access/Pulumi.access.yaml",
    )
]


def refused_by_schema(values: dict[str, Any]) -> bool:
    return not SCHEMA.is_valid({"config": {f"{NAMESPACE}{k}": v for k, v in values.items()}})


def refused_by_program(values: dict[str, Any]) -> bool:
    try:
        Settings.model_validate(values, context=LATER)
    except ValidationError:
        return True
    return False


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its keys."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in entries:
        yield value, key
        if isinstance(each, dict | list):
            yield from places(each)


def mutated(values: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The values with one of them made another."""
    values = copy.deepcopy(values)
    within, key = chance.choice(list(places(values)))
    old = within[key]
    how = chance.randrange(5)
    if how == 0 and isinstance(within, dict):
        del within[key]
    elif how == 1 and isinstance(within, dict):
        end = chance.choice(["", "x", " ", "/", "\n", "X" * 200])
        within[f"{key}{end}"] = within.pop(key)
    elif how == 2 and isinstance(within, list):
        within.append(old)
    elif how == 3 and isinstance(old, str):
        signs = ["\n", "!", "*", "*a*b*c*d*e", "-", "/", "ö", "x" * 300, "\u0661", " "]
        sign = chance.choice(signs)
        within[key] = chance.choice([old + sign, sign + old, old.upper(), old[1:]])
    else:
        within[key] = chance.choice(OTHERS)
    return values


@pytest.mark.parametrize("values", FILES)
def test_both_accept_the_stack_files_of_the_project(values: dict[str, Any]) -> None:
    assert not refused_by_schema(values)
    assert not refused_by_program(values)


def test_both_refuse_the_same_generated_settings() -> None:
    chance = random.Random(15)  # noqa: S311 - the same settings in every run
    refused = 0
    for _ in range(600):
        values = mutated(chance.choice(FILES), chance)
        by_program = refused_by_program(values)
        assert refused_by_schema(values) == by_program, json.dumps(values, indent=1)
        refused += by_program
    assert refused >= 200


def test_the_command_writes_the_published_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--schema"]) == 0
    published = (PROJECT / "docs/reference/settings.schema.json").read_text()
    assert capsys.readouterr().out == published


def test_every_pattern_of_the_settings_is_in_the_schema() -> None:
    assert json.dumps(settings_schema()).count('"pattern"') > 40


def test_the_stack_files_name_the_schema_for_editors() -> None:
    for file in (*PROJECT.glob("Pulumi.*.yaml"), *PROJECT.glob("examples/*/Pulumi.*.yaml")):
        first = file.read_text().partition("\n")[0]
        assert first.startswith("# yaml-language-server: $schema="), file
        assert (file.parent / first.partition("$schema=")[2]).is_file()
