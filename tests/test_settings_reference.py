"""The reference of the settings says all of them, and the command line behaves."""

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from ecr import __version__
from ecr.cli.commands import operations
from ecr.cli.guidance import GUIDANCE
from ecr.cli.main import command_line, main
from ecr.settings import models as settings
from pages.settings_reference import settings_reference as reference
from sandbox.session import PROJECT

MODELS = [
    model
    for model in vars(settings).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields
]


def line(key: str) -> str:
    """The type and the default of the first card about a key."""
    lines = reference().splitlines()
    return lines[lines.index(f"`{key}`") + 3]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_has_a_meaning_and_is_in_the_reference(model: type[BaseModel]) -> None:
    page = reference()
    for name, field in model.model_fields.items():
        assert field.description
        assert f"`{to_camel(name)}`" in page
        assert " ".join(field.description.split()) in page


def test_a_key_within_a_list_is_below_the_lists_path() -> None:
    assert "### `lambdaReplicas.accounts[]` { #lambdaReplicas-accounts }" in reference()


def test_a_value_is_described_by_its_own_check() -> None:
    assert "a 12-digit AWS account id" in line("account")
    assert "whole number from 1 to 3,650" in line("untaggedDays")
    assert "`BASIC` or `ENHANCED`" in line("type")
    assert "list of: a filter for image tags" in line("mutableTags")


def test_a_default_is_told_from_none_and_from_must() -> None:
    assert "default: `true`" in line("immutable")
    assert "default: empty" in line("retire")
    assert "default: not set" in line("registryPolicyScope")
    assert "**required**" in line("awsOrganisation")


def test_the_help_has_a_line_for_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in operations())


@pytest.mark.parametrize("arguments", [["nonsense"], ["settings"], ["settings", "--nonsense"]])
def test_a_command_line_that_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "COMMAND" in capsys.readouterr().out


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"ecr-estate {__version__}\n"


@pytest.mark.parametrize("name", operations())
def test_the_help_of_a_command_names_its_page_and_has_an_example_that_it_takes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page, example = GUIDANCE[name]
    assert (PROJECT / "docs" / page).is_file()
    command_line(name).parse_args([name, *example.split()])
    with pytest.raises(SystemExit):
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert f"page: docs/{page}" in shown
    assert f"{name} {example}" in shown
