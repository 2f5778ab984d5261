"""Numbers of the command line are numbers within bounds, or refused with the bounds."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest

from ecr.cli.main import main
from ecr.cli.registries import selected_registries
from ecr.errors import EstateError
from ecr.registry.registry import ImageReference, Registry
from tests.builders import outputs_file

REGISTRY = ["--registry", "111122223333/eu-west-1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["rescan", *REGISTRY, "--rate", "-1"],
        ["rescan", *REGISTRY, "--rate", "1e-300"],
        ["rescan", *REGISTRY, "--newest", "-1"],
        ["compare", "--count", "-5"],
        ["compare", "--count", "99999999999"],
        ["audit", *REGISTRY, "--days", "-5"],
        ["admission", *REGISTRY, "--rate", "nan"],
        ["admission", "--check-age", "nan"],
        ["simulate", "images", "--days", "3651"],
        ["simulate", "images", "--days", "\u0663"],
    ],
)
def test_a_number_out_of_bounds_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"argument {arguments[-2]}: {arguments[-1]}: must be a" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", *REGISTRY, "--yes"],
        ["audit"],
        ["rescan", "--registry", "nowhere"],
        ["replicas", *REGISTRY, "--yes"],
        ["simulate"],
        ["simulate", "images", *REGISTRY],
        ["simulate", "images"],
        ["simulate", "images", "--policy", "none", "--check"],
        ["simulate", "images", "--policy", "none", "--role-name", "any"],
        ["simulate", "images", "--policy", "none", "--at", "noon"],
        ["policies", "--roles", "--matrix"],
        ["promote", "--from", "dev", "--to", "prod"],
    ],
)
def test_options_that_contradict_each_other_have_the_exit_code_of_wrong_ones(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main(arguments))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [[], ["audit"]])
def test_help_says_what_the_exit_codes_mean(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    assert "Exit codes: 0, it was done; 1," in capsys.readouterr().out


def test_what_is_no_number_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "--count", "many"])
    assert "invalid whole number value: 'many'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["rescan"], ["admission"]])
@pytest.mark.parametrize(
    ("variable", "value"), [("AWS_PROFILE", "nosuch"), ("AWS_ENDPOINT_URL", "foo")]
)
def test_settings_of_aws_that_are_wrong_are_said(
    command: list[str],
    variable: str,
    value: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    assert main([*command, *REGISTRY]) == 1
    said = capsys.readouterr().err
    assert "111122223333/eu-west-1: " in said
    assert value in said


def test_registries_of_outputs_and_those_that_are_named_are_all_taken(tmp_path: Path) -> None:
    file = outputs_file(tmp_path, report={"registries": ["111122223333/eu-west-1"]})
    asked = Namespace(outputs=[file], registry=["111122223333/eu-west-1", "444455556666/eu-west-1"])
    assert selected_registries(asked).registries == (
        Registry("111122223333", "eu-west-1"),
        Registry("444455556666", "eu-west-1"),
    )


def test_digits_of_other_scripts_are_no_account(capsys: pytest.CaptureFixture[str]) -> None:
    account = "\u0661" * 12
    with pytest.raises(EstateError, match="write the account's 12 digits"):
        selected_registries(Namespace(outputs=[], registry=[f"{account}/eu-west-1"]))
    assert ImageReference.parse(f"{account}.dkr.ecr.eu-west-1.amazonaws.com/api:v1") is None
    assert main(["admission", "--registry", f"{account}/eu-west-1"]) == 2
    assert "There is no such registry." in capsys.readouterr().err
