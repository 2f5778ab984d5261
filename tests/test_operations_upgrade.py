"""`ecr-estate upgrade --check`: both versions, the changelog between them, and what a deployment would change."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecr import __version__
from ecr.cli.changelog import UNRELEASED, between, entries_of, numbers, read_changelog
from ecr.cli.main import main
from ecr.engine.types import REPOSITORY

TEXT = """# Changelog

## [Unreleased]

### Added

- Something that is
  not released.

## [0.3.0] - 2026-12-01

### Changed

- **Changes the lifecycle policies**: by a default.
- Another thing.

## [0.2.0] - 2026-11-27

### Removed

- An option.
"""
Engine = Callable[..., None]


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A `pulumi` that prints outputs, or a digest beside a program that writes a report."""
    monkeypatch.delenv("ECR_ESTATE_REPORT", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def put(
        outputs: dict[str, Any], *steps: dict[str, Any], exit_code: int = 0, **report: Any
    ) -> None:
        counts: dict[str, int] = {}
        for each in steps:
            counts[each["op"]] = counts.get(each["op"], 0) + 1
        digest = {"steps": steps, "changeSummary": counts, "duration": 2 * 10**9}
        (tmp_path / "digest").write_text(json.dumps(digest))
        (tmp_path / "outputs").write_text(json.dumps(outputs))
        (tmp_path / "report").write_text(json.dumps({"stack": "prod", "guards": [], **report}))
        (tmp_path / "pulumi").write_text(
            "#!/bin/sh\n"
            f'if [ "$2 $3" = "stack output" ]; then cat {tmp_path}/outputs; exit 0; fi\n'
            f'cp {tmp_path}/report "$ECR_ESTATE_REPORT"\ncat {tmp_path}/digest\nexit {exit_code}\n'
        )
        (tmp_path / "pulumi").chmod(0o755)

    return put


def step(operation: str, kind: str, name: str) -> dict[str, Any]:
    return {"op": operation, "urn": f"urn:pulumi:prod::ecr-estate::{kind}::{name}"}


def deployed_by(version: str | None) -> dict[str, Any]:
    report = {} if version is None else {"program": version}
    return {"ledger": {"schema": 1, "services": {}}, "report": report}


def test_the_changelog_is_read_by_versions_kinds_and_entries() -> None:
    entries = tuple(entries_of(TEXT))
    assert [(each.version, each.kind, each.changes_a_plan) for each in entries] == [
        (UNRELEASED, "Added", False),
        ("0.3.0", "Changed", True),
        ("0.3.0", "Changed", False),
        ("0.2.0", "Removed", False),
    ]
    assert entries[0].text == "Something that is not released."
    assert [each.version for each in between(entries, "0.2.0", "0.3.0")] == [
        UNRELEASED,
        "0.3.0",
        "0.3.0",
    ]
    assert [each.version for each in between(entries, "0.1.0", "0.2.0")] == [UNRELEASED, "0.2.0"]


def test_versions_are_compared_by_their_numbers() -> None:
    assert numbers("0.10.0") > numbers("0.9.1") > numbers("0.9.0rc1")
    assert numbers("of an unknown form") == ()


def test_this_versions_changelog_is_there_and_says_what_changes_a_plan() -> None:
    entries = read_changelog()
    assert {each.version for each in entries} >= {"0.2.0"}
    assert any(each.changes_a_plan for each in entries)


def test_where_only_the_version_differs_nothing_is_found(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(deployed_by(__version__), outputsChanged=True)
    assert main(["upgrade", "--check", "--stack", "prod"]) == 0
    said = capsys.readouterr().out
    assert f"{__version__} deployed it, {__version__} is installed" in said


@pytest.mark.parametrize("form", [[], ["--comment"], ["--json"]])
def test_what_changes_is_said_by_kind_with_the_changelog(
    engine: Engine, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    lifecycle = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    steps = [step("replace", lifecycle, f"1/r/{name}") for name in ("api", "web")]
    engine(deployed_by(None), *steps)
    assert main(["upgrade", "--check", *form]) == 3
    said = capsys.readouterr().out
    assert "Changes the lifecycle policies of a stack without its own settings" in said
    if form == ["--json"]:
        found = json.loads(said)
        assert found["deployed"] == "0.1.0"
        assert not found["written"]
        assert found["resources"] == [
            {
                "operation": "replace",
                "what": "lifecycle policy",
                "count": 2,
                "first": "1/r/api",
                "properties": [],
            }
        ]
    else:
        assert "replace: 2 lifecycle policies, such as 1/r/api" in said
        assert "a version before 0.2.0 deployed it" in said


def test_an_older_version_that_is_installed_is_told_apart(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(deployed_by("99.0.0"))
    assert main(["upgrade", "--check"]) == 0
    assert f"99.0.0 deployed it, and {__version__}, an older one" in capsys.readouterr().out


def test_what_stops_the_new_version_is_an_error(
    engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    problem = {"step": "ledger", "problem": "The ledger cannot be used.", "offences": ["schema 2"]}
    engine(deployed_by("0.2.0"), exit_code=1, error=problem)
    file = tmp_path / "upgrade.json"
    assert main(["upgrade", "--check", "--output", str(file)]) == 1
    assert "The ledger cannot be used." in capsys.readouterr().out
    assert json.loads(file.read_text())["plan"]["outcome"] == "stopped"


def test_changes_that_wait_are_found(engine: Engine) -> None:
    guard = {"guard": "vanished", "what": "services would vanish", "count": 4, "among": 9}
    waiting = {**guard, "allowed": 3, "tripped": True, "offences": ["a", "b", "c", "d"]}
    engine(deployed_by("0.2.0"), guards=[waiting])
    assert main(["upgrade", "--check"]) == 3


def test_a_stack_that_nothing_was_deployed_to_has_no_version(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    created = {"services": 1, "imageRepositories": 1, "reasons": {"new on GitHub": ["api"]}}
    engine({}, step("create", REPOSITORY, "1/r/api"), changes={"created": created})
    assert main(["upgrade", "--check"]) == 3
    said = capsys.readouterr().out
    assert f"nothing was deployed yet; {__version__} is installed" in said
    assert "The changelog" not in said


def test_without_check_it_is_not_understood(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["upgrade"])
    assert ended.value.code == 2
    assert "--check" in capsys.readouterr().err
