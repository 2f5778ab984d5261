"""`ecr-estate deploy`: which repository it finds, and what it tells the engine."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.github.listing import find_repository
from ecr.github.transport import Reply
from tests.builders import config, settings

LISTED = {"static": [{"id": 77, "name": "Worker"}, {"id": 78, "name": "api"}]}


def row(**changes: Any) -> dict[str, Any]:
    return {"id": 77, "name": "worker", "owner": {"login": "Acme"}, **changes}


def found(answer: object, *, status: int = 200, name: str = "worker") -> str:
    """Ask a GitHub that gives this answer; the name and id that are found, or the refusal."""

    async def fetch(endpoint: str) -> Reply:
        assert endpoint == f"repos/acme/{name}"
        return Reply(status, {}, answer if isinstance(answer, str) else json.dumps(answer))

    try:
        repository = asyncio.run(find_repository(fetch, settings().github, name))
    except EstateError as error:
        return str(error)
    return f"{repository.name} {repository.id}"


def test_a_repository_is_found_with_its_id_and_as_github_writes_it() -> None:
    assert found(row(name="Worker"), name="WORKER") == "Worker 77"


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"message": "Not Found"}, 404, "acme has no such repository that the token sees"),
        (row(owner={"login": "elsewhere"}), 200, "is of elsewhere now"),
        ("<html>", 200, "not JSON"),
        ([row()], 200, "without id, name and owner"),
        ({"message": "Bad credentials"}, 401, "the token is wrong or has expired"),
    ],
)
def test_whatever_is_no_repository_of_the_organisation_is_refused(
    answer: object, status: int, said: str
) -> None:
    assert said in found(answer, status=status)


@pytest.mark.parametrize("name", ["acme/worker", "..", "a b", "", "x" * 101, "a?b"])
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    assert "is no name of a repository" in found("", name=name)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` that prints the settings, and writes down how else it was called."""
    said = {key: {"value": value, "secret": False} for key, value in config(**LISTED).items()}
    (tmp_path / "config").write_text(json.dumps(said))
    calls = tmp_path / "calls"
    program = tmp_path / "pulumi"
    program.write_text(
        f'#!/bin/sh\nif [ "$2" = config ]; then cat {tmp_path}/config; exit 0; fi\n'
        f'echo "$ECR_ESTATE_ONLY $*" > {calls}\nexit "${{ENDS:-0}}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return calls


def test_without_yes_it_only_previews_and_names_the_next_step(
    engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "worker", "--stack", "prod"]) == 0
    only, _, words = engine.read_text().partition(" ")
    assert only == "77=Worker"
    assert words.startswith("--non-interactive preview --stack prod --suppress-outputs --target ")
    assert "**::111111111111/eu-west-1/worker" in words
    shown = capfd.readouterr().out
    assert "Previewing 1 service: Worker (77)" in shown
    assert "run the same command with --yes" in shown


def test_with_yes_it_deploys_and_says_when_the_engine_failed(
    engine: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENDS", "255")
    assert main(["deploy", "worker", "api", "--yes"]) == 1
    assert engine.read_text().startswith(
        "77=Worker,78=api --non-interactive up --yes --skip-preview"
    )
    assert "--yes" not in capfd.readouterr().out


def test_with_json_nothing_but_the_engine_writes_to_the_output(
    engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "worker", "--json"]) == 0
    assert " --json " in engine.read_text()
    shown = capfd.readouterr()
    assert not shown.out
    assert "Previewing 1 service" in shown.err


def test_a_name_that_the_list_lacks_is_refused(
    engine: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "worker", "job"]) == 1
    assert "job: is not in it" in capfd.readouterr().err
    assert not engine.exists()
