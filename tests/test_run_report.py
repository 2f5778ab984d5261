"""The run report: written whatever happens, with what each step took, and why a run was stopped."""

import asyncio
import json
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import pytest

from ecr.deploy.run_report import Run
from ecr.engine.invoke import REPORT
from ecr.errors import EstateError
from ecr.github.listing import UnansweredError
from tests.builders import config, plan, repositories
from tests.mocks import deploy, no_invoke

STATIC = [{"id": number, "name": f"service-{number}"} for number in range(1, 11)]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the file, which the environment names."""
    monkeypatch.setenv(REPORT, str(tmp_path / "report.json"))
    return tmp_path


def report(files: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((files / "report.json").read_text())
    return read


def test_a_run_tells_every_step_with_its_time_and_what_it_counted(files: Path) -> None:
    deploy(config(static=STATIC), no_invoke)
    read = report(files)
    assert [each["step"] for each in read["steps"]] == [
        "settings",
        "ledger",
        "github",
        "inventory",
        "observation",
        "plan",
        "lifecycle",
        "resources",
    ]
    assert all(each["seconds"] >= 0 for each in read["steps"])
    assert (read["outcome"], read["stack"], read["preview"]) == ("declared", "test", False)
    assert read["github"] == {"repositories": 10, "requests": 0, "readings": 0}
    assert read["aws"] == {"reads": 1, "absent": []}
    assert read["changes"]["created"]["imageRepositories"] == read["imageRepositories"] == 10


def test_a_preview_says_that_it_is_one(files: Path) -> None:
    deploy(config(static=STATIC), no_invoke, preview=True)
    assert report(files)["outcome"] == "previewed"


def test_the_report_says_whether_the_outputs_are_others_than_the_last(files: Path) -> None:
    first = deploy(config(static=STATIC), no_invoke)
    assert report(files)["outputsChanged"] is True
    deploy(config(static=STATIC), no_invoke, last_outputs=first.outputs)
    assert report(files)["outputsChanged"] is False
    deploy(config(static=STATIC[:9]), no_invoke, last_outputs=first.outputs)
    assert report(files)["outputsChanged"] is True


def test_a_guard_that_trips_is_in_the_report_with_its_numbers(files: Path) -> None:
    before = deploy(config(static=STATIC), no_invoke)
    deploy(config(static=STATIC[4:]), no_invoke, last_outputs=before.outputs)
    read = report(files)
    assert read["outcome"] == "declared"
    (guard,) = read["guards"]
    assert len(guard.pop("offences")) == 4
    assert guard == {
        "guard": "vanished",
        "what": "services would vanish",
        "count": 4,
        "among": 10,
        "allowed": 3,
        "confirmed": 0,
        "tripped": True,
    }


def test_with_strict_a_guard_that_trips_stops_the_run_and_is_in_the_report(files: Path) -> None:
    before = deploy(config(static=STATIC), no_invoke)
    with pytest.raises(pulumi.RunError, match="4 of 10 services would vanish"):
        deploy(config(static=STATIC[4:], strict="true"), no_invoke, last_outputs=before.outputs)
    read = report(files)
    assert (read["outcome"], read["error"]["step"]) == ("stopped", "plan")
    assert [each["tripped"] for each in read["guards"]] == [True]


def test_a_guard_that_counts_without_tripping_is_told_too(files: Path) -> None:
    before = deploy(config(static=STATIC), no_invoke)
    deploy(config(static=STATIC[1:]), no_invoke, last_outputs=before.outputs)
    (guard,) = report(files)["guards"]
    assert (guard["count"], guard["tripped"]) == (1, False)


def test_without_the_variables_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPORT, raising=False)
    monkeypatch.chdir(tmp_path)
    deploy(config(static=STATIC), no_invoke)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = {REPORT: str(tmp_path / "nowhere" / "file")}
    with pytest.raises(EstateError, match="cannot be written") as refused:
        Run("ecr-estate/test", preview=True, environment=place).step("settings", list)
    assert REPORT in str(refused.value)


def test_a_step_that_is_waited_for_gives_its_value_or_its_error(tmp_path: Path) -> None:
    async def refused() -> None:
        raise EstateError("No.", ["here"])

    run = Run("ecr-estate/test", preview=True, environment={REPORT: str(tmp_path / "r")})
    assert run.step("plan", plan, *repositories("api")).image_repositories
    with pytest.raises(EstateError, match="No"):
        asyncio.run(run.wait("ledger", refused()))
    assert run.document["error"] == {"step": "ledger", "problem": "No.", "offences": ["here"]}


def test_a_missing_token_is_in_the_report(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("GITHUB_APP_ID", raising=False)
    with pytest.raises(pulumi.RunError, match="There is no GitHub token"):
        deploy(config(), no_invoke)
    assert report(files)["error"]["step"] == "github"


def test_a_fault_of_the_program_is_in_the_report_too(tmp_path: Path) -> None:
    run = Run("ecr-estate/test", preview=True, environment={REPORT: str(tmp_path / "r")})
    with pytest.raises(ZeroDivisionError):
        run.step("plan", lambda: 1 // 0)
    read = json.loads((tmp_path / "r").read_text())
    assert [each["step"] for each in read["steps"]] == ["plan"]
    assert read["error"]["problem"].startswith("ZeroDivisionError: ")


def test_a_program_that_gives_github_up_writes_its_report_first(tmp_path: Path) -> None:
    file = tmp_path / "report.json"

    class SilentError(UnansweredError):
        def give_up(self) -> NoReturn:
            raise SystemExit(json.loads(file.read_text())["error"]["step"])

    async def waits() -> None:
        raise SilentError("GET x got no answer in 1 s", "deploy again later")

    run = Run("ecr-estate/test", preview=True, environment={REPORT: str(file)})
    with pytest.raises(SystemExit, match="inventory"):
        asyncio.run(run.wait("inventory", waits()))
