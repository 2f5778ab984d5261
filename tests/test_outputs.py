"""A file of outputs that is damaged is said to be so in the same words, whoever was given it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.main import main
from tests.builders import outputs_file, stack_file

DAMAGED: Mapping[str, Any] = {
    "empty": "",
    "cut off": '{"ledger": {"schema": 1, "serv',
    "of another kind": "[]",
    "without a ledger": {"ledger": None},
    "with an empty ledger": {"ledger": {}},
    "with a damaged entry": {"ledger": {"schema": 1, "services": {"7": {"repository": "api"}}}},
    "of a newer ledger": {"ledger": {"schema": 2.0}},
    "of no registry": {"report": {"registries": ["elsewhere"]}},
    "without stages": {"report": {"stages": None}},
    "without replicas": {"replicas": None},
    "with text for URLs": {"imageRepositories": {"api": "host/api"}},
    "with what is left out damaged": {"leftOut": [{"id": "x"}]},
}
PROMOTE = ["promote", "api", "--from", "dev", "--to", "prod", "--tag", "v1"]


def commands(folder: Path) -> list[list[str]]:
    """Return every command that takes --outputs, without it."""
    settings = ["--settings", stack_file(folder)]
    return [
        ["admission"],
        ["audit"],
        ["compare"],
        ["estate"],
        ["list", *settings],
        ["policies", *settings],
        PROMOTE,
        ["replicas"],
        ["rescan"],
        ["simulate"],
        ["usage"],
        ["empty", "api"],
    ]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_the_same_error_of_every_command(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = DAMAGED[damage]
    file = outputs_file(tmp_path, **(content if isinstance(content, dict) else {}))
    if isinstance(content, str):
        file.write_text(content)
    said = set()
    for command in commands(tmp_path):
        assert main([*command, "--outputs", str(file)]) == 1, command
        said.add(capsys.readouterr().err)
    (error,) = said
    assert error.startswith("The stack's outputs cannot be read.\n")
    assert f"{file}: it" in error or f"{file}: a" in error or f"{file}: elsewhere" in error
    assert f"write it anew by `pulumi stack output --json > {file}`" in error
    assert "stack import" not in error


def test_every_command_that_takes_outputs_is_in_the_test_above(tmp_path: Path) -> None:
    named = {command[0] for command in commands(tmp_path)}
    modules = Path(__file__).parents[1] / "ecr/cli/commands"
    taking = {
        file.stem
        for file in modules.glob("*.py")
        if '"--outputs",' in (text := file.read_text()) or "add_registry_options(parser)" in text
    }
    assert named == taking


def test_what_an_estate_puts_out_is_read(tmp_path: Path) -> None:
    file = outputs_file(tmp_path, report={"registries": ["111122223333/eusc-de-east-1"]})
    assert main(["estate", "--outputs", str(file)]) == 0
    assert json.loads(file.read_text())["report"]["stages"] == []
