"""The engine's preview is read as it is printed, and what it does not hold is an error with a remedy."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr.engine.command import run_engine
from ecr.engine.preview import (
    EngineStep,
    Property,
    counted,
    diff,
    parse_preview_json,
    run_and_parse,
)
from ecr.engine.types import REPOSITORY
from ecr.errors import EstateError

URN = "urn:pulumi:prod::ecr-estate::"
STACK = {"op": "update", "urn": f"{URN}pulumi:pulumi:Stack::ecr-estate-prod"}


def step(operation: str, kind: str = REPOSITORY, **more: Any) -> dict[str, Any]:
    return {"op": operation, "urn": f"{URN}{kind}::1/r/api", **more}


def printed(*steps: dict[str, Any], **more: Any) -> str:
    return json.dumps({"steps": steps, "changeSummary": {"create": 1}, **more}, indent=4)


def read(*steps: dict[str, Any]) -> tuple[EngineStep, ...]:
    preview = parse_preview_json(printed(*steps))
    assert preview
    return preview.steps


def test_steps_that_change_nothing_and_the_stack_itself_are_no_steps() -> None:
    assert read(STACK, step("same"), step("refresh"), step("create")) == (
        EngineStep("create", REPOSITORY, "1/r/api"),
    )


def test_a_child_is_named_by_its_own_type() -> None:
    policy = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    (found,) = read(step("delete", f"{REPOSITORY}${policy}"))
    assert found.kind == policy


def test_what_changes_has_both_values_wherever_the_provider_keeps_them() -> None:
    old = {"inputs": {"tags": {"team.name": "a"}}, "outputs": {"rules": [{"f": "x"}]}}
    new = {"inputs": {"tags": {"team.name": "b"}, "rules": [{"f": "y", "__defaults": []}]}}
    paths: dict[str, Any] = {
        'tags["team.name"]': {},
        "rules[0].f": {},
        "rules": {},
        'tagsAll["team.name"]': {},
    }
    (found,) = read(step("update", oldState=old, newState=new, detailedDiff=paths))
    assert found.properties == (
        Property("rules", '[{"f": "x"}]', '[{"f": "y"}]'),
        Property("rules[0].f", '"x"', '"y"'),
        Property('tags["team.name"]', '"a"', '"b"'),
    )


def filtered(*names: str) -> dict[str, Any]:
    return {"inputs": {"rules": [{"filters": [{"filter": name} for name in names]}]}}


def test_a_list_that_loses_an_item_shows_that_item_and_not_every_later_place() -> None:
    places = ("[1].filter", "[2].filter", "[3]")
    (one,) = read(
        step(
            "update",
            oldState=filtered("api", "efs", "rds", "vpc"),
            newState=filtered("api", "rds", "vpc-peering"),
            detailedDiff={f"rules[0].filters{place}": {} for place in places},
        )
    )
    assert list(diff([one]))[1:] == [
        '!     rules[0].filters[]: {"filter": "efs"} => (none)',
        '!     rules[0].filters[]: {"filter": "vpc"} => (none)',
        '!     rules[0].filters[]: (none) => {"filter": "vpc-peering"}',
    ]


def test_a_list_that_is_only_put_in_another_order_is_shown_place_by_place() -> None:
    (one,) = read(
        step(
            "update",
            oldState=filtered("api", "web"),
            newState=filtered("web", "api"),
            detailedDiff={f"rules[0].filters[{place}].filter": {} for place in range(2)},
        )
    )
    assert one.properties[0] == Property("rules[0].filters[0].filter", '"api"', '"web"')
    assert len(one.properties) == 2


def test_the_diff_has_a_sign_for_each_operation_and_cuts_long_values() -> None:
    long = json.dumps("x" * 400)
    lines = list(
        diff(
            [
                EngineStep("create", REPOSITORY, "1/r/a"),
                EngineStep("import", REPOSITORY, "1/r/b"),
                EngineStep("delete", REPOSITORY, "1/r/c"),
                EngineStep("update", REPOSITORY, "1/r/d", (Property("tags", None, long),)),
                EngineStep("delete-replaced", REPOSITORY, "1/r/e"),
            ]
        )
    )
    assert lines[:3] == ["+ Repository 1/r/a", "= Repository 1/r/b", "- Repository 1/r/c"]
    assert lines[4].startswith('!     tags: (none) => "xxx')
    assert lines[4].endswith("...")
    assert len(lines[4]) < 200
    assert lines[5] == "! delete-replaced: Repository 1/r/e"


def test_the_counts_are_a_phrase() -> None:
    assert counted({"create": 2, "same": 11, "read": 1}) == "2 to create, 11 unchanged"
    assert counted({}) == "nothing to do"


@pytest.mark.parametrize("text", ["", "error: no stack", "{", '{"neither": 1}'])
def test_what_is_no_digest_is_none(text: str) -> None:
    assert parse_preview_json(text) is None


def test_warnings_before_the_digest_do_no_harm() -> None:
    assert parse_preview_json(f"warning: a plugin is on the PATH\n{printed()}\n") is not None


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a `pulumi` on the PATH that does as the script says."""
    (folder / "pulumi").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_engine_is_asked_with_a_place_for_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ECR_ESTATE_REPORT", raising=False)
    said = tmp_path / "said.json"
    said.write_text(printed(step("create")))
    engine(
        tmp_path,
        monkeypatch,
        f'echo "$@" > {tmp_path}/asked; echo \'{{"stack": "prod"}}\' > "$ECR_ESTATE_REPORT"; cat {said}',
    )
    asked = run_and_parse(["preview", "--stack", "prod"])
    assert (tmp_path / "asked").read_text() == "--non-interactive preview --stack prod --json\n"
    assert asked.report == {"stack": "prod"}
    assert asked.preview.of_image_repositories() == {"create": 1}


def test_an_engine_that_fails_without_a_word_of_the_program_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, "echo \"error: no stack named 'prod' found\" >&2; exit 255")
    with pytest.raises(EstateError, match="no stack named 'prod' found"):
        run_and_parse(["preview"])


def test_without_an_engine_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EstateError, match="install it, and put it on the PATH"):
        run_and_parse(["preview"])


def test_a_program_that_fails_before_its_report_is_quoted_without_the_raw_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said.json"
    message = "<{%reset%}>There is no GitHub token<{%reset%}>\n"
    said.write_text(printed(diagnostics=[{"severity": "info#err", "message": message}]))
    engine(tmp_path, monkeypatch, f"cat {said}; exit 255")
    assert run_and_parse(["preview"]).preview.errors == ("There is no GitHub token",)


def test_a_failure_without_a_reason_shows_no_raw_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said.json").write_text(printed())
    engine(tmp_path, monkeypatch, f"cat {tmp_path}/said.json; exit 255")
    with pytest.raises(EstateError, match="it said nothing; run it by hand"):
        run_and_parse(["preview"])


ENGINE = """\
trap 'echo stopped >> stopped; exit 1' INT
echo $$ > started
while :; do sleep 0.1; done"""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Start commands as a terminal does, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def in_the_background() -> Iterator[None]:
    """Ignore SIGINT, as what a shell starts in the background does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_background")
def test_the_engine_can_be_interrupted_where_the_command_ignores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, "kill -INT $$; echo went on")
    done = run_engine(["preview"])
    assert (done.returncode, done.stdout) == (-signal.SIGINT, "")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("group", [False, True])
def test_on_ctrl_c_the_engine_ends_before_the_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, group: bool
) -> None:
    engine(tmp_path, monkeypatch, ENGINE)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "ecr", "plan"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while process.poll() is None and not (tmp_path / "started").exists():
            time.sleep(0.05)
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"interrupted\n")
    assert (tmp_path / "stopped").read_text().startswith("stopped\n")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "started").read_text()), 0)
