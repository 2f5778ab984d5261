"""The report on repositories with several Dockerfiles: what is found, declared, and cannot be read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr.cli.commands.dockerfiles import DOCKERFILE
from ecr.cli.main import main
from sandbox.github import EmbeddedGitHub, Organisation
from tests.builders import stack_file


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nothing."""
    monkeypatch.setattr("ecr.github.http.sleep", lambda _: None)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedGitHub]:
    organisation = Organisation("acme")
    organisation.add("api", files=["Dockerfile", "worker/Dockerfile", "Dockerfile.dockerignore"])
    organisation.add("web", files=["Dockerfile", "src/main.py"])
    organisation.add("empty", files=[])
    organisation.add("old", files=["Dockerfile", "Dockerfile.dev"], archived=True)
    with EmbeddedGitHub(organisation) as embedded:
        monkeypatch.setenv("GITHUB_TOKEN", embedded.token)
        monkeypatch.setenv("GITHUB_BASE_URL", embedded.url)
        yield embedded


@pytest.mark.usefixtures("github")
def test_several_dockerfiles_are_reported_with_their_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dockerfiles", "--settings", stack_file(tmp_path)]) == 3
    said = capsys.readouterr().out
    assert "api         Dockerfile, worker/Dockerfile  none" in said
    assert "1 of 3 repositories have several Dockerfiles" in said
    assert "declare its further images under images.named" in said


@pytest.mark.usefixtures("github")
def test_a_repository_that_declares_its_images_is_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = stack_file(tmp_path, images={"named": {"services": {"api": ["worker"]}}})
    assert main(["dockerfiles", "--settings", declared, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "read": 3,
        "severalDockerfiles": [
            {
                "repository": "api",
                "dockerfiles": ["Dockerfile", "worker/Dockerfile"],
                "declaredImages": ["api/worker"],
            }
        ],
        "unread": {},
    }


def test_what_the_token_may_not_read_is_said_and_not_guessed(
    github: EmbeddedGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    github.faults.arm("status-404", path="/repos/acme/api/git/", times=None)
    assert main(["dockerfiles", "--settings", stack_file(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "0 of 3 repositories have several Dockerfiles" in said
    assert "not read: api: 404 Not Found" in said


@pytest.mark.parametrize("limit", ["rate-limit-403", "secondary-limit-retry-after"])
def test_a_rate_limit_fails_the_report_and_keeps_what_was_read(
    github: EmbeddedGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str], limit: str
) -> None:
    github.faults.arm(limit, path="/repos/acme/web/git/", times=None)
    assert main(["dockerfiles", "--settings", stack_file(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "the repositories were not all read" in said.err
    assert "api         Dockerfile, worker/Dockerfile  none" in said.out


def test_hundreds_of_repositories_are_read_in_spite_of_a_limit_and_a_dropped_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    organisation = Organisation("acme")
    for number in range(800):
        organisation.add(f"service-{number}", files=["Dockerfile"])
    with EmbeddedGitHub(organisation) as embedded:
        monkeypatch.setenv("GITHUB_TOKEN", embedded.token)
        monkeypatch.setenv("GITHUB_BASE_URL", embedded.url)
        embedded.faults.arm("secondary-limit-retry-after", path="/repos/acme/service-70/", times=1)
        embedded.faults.arm("connection-reset", path="/repos/acme/service-500/", times=1)
        assert main(["dockerfiles", "--settings", stack_file(tmp_path), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["read"], answer["unread"]) == (800, {})


def test_without_a_token_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    assert main(["dockerfiles", "--settings", stack_file(tmp_path)]) == 1
    assert "set GITHUB_TOKEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["Dockerfile", "dockerfile", "Containerfile", "Dockerfile.dev", "api.Dockerfile"]
)
def test_the_names_that_builders_look_for_are_known(name: str) -> None:
    assert DOCKERFILE.fullmatch(name)


@pytest.mark.parametrize("name", ["Dockerfile.dockerignore", "Dockerfile~", "Dockerfiles", "x"])
def test_other_names_are_not(name: str) -> None:
    assert not DOCKERFILE.fullmatch(name)
