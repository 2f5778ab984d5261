"""The sandbox's command line: its settings, and whose process it takes for its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox.__main__ as sandbox
from ecr.engine.stack_file import checked, read_stack_file
from sandbox import processes
from sandbox.__main__ import main
from sandbox.session import PROJECT, SESSION_FILE, environment_of, running


def test_the_stack_with_namespaces_has_what_it_is_for() -> None:
    stack = checked(read_stack_file(PROJECT / "Pulumi.sandbox-namespaces.yaml"))
    assert stack.namespaces.known
    assert stack.push_roles
    assert stack.access.functions
    assert stack.access.lock


def test_a_stack_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--settings", "Pulumi.nowhere.yaml"]) == 1
    assert "Pulumi.nowhere.yaml is not there" in capsys.readouterr().out


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of the sandbox's."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sandbox, "DIRECTORY", tmp_path)
    return tmp_path


def left(folder: Path, process: int, started: str) -> None:
    session = {"process": process, "started": started, "variables": {}}
    (folder / SESSION_FILE).write_text(json.dumps(session))


def test_a_stranger_that_has_the_id_of_an_ended_sandbox_is_left_alone(
    folder: Path, stranger: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    left(folder, stranger.pid, started="1")
    assert running(folder) is None
    assert main(["stop"]) == 0
    assert "is not up" in capsys.readouterr().out
    assert stranger.poll() is None


def test_no_second_sandbox_is_brought_up_where_one_is(
    folder: Path, stranger: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    left(folder, stranger.pid, processes.birth(stranger.pid))
    (folder / "state").mkdir()
    assert main(["run"]) == 1
    assert f"process {stranger.pid}; end it first" in capsys.readouterr().err
    assert (folder / "state").exists()
    assert main(["start"]) == 0
    assert "is up already" in capsys.readouterr().out
    assert main(["stop"]) == 0
    assert stranger.wait(10) < 0


def test_on_ctrl_c_what_was_started_in_the_background_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "DIRECTORY", tmp_path / "sandbox")
    monkeypatch.setattr(sandbox, "PROJECT", tmp_path)
    (tmp_path / "sandbox.py").write_text(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "try:\n    print('up', flush=True)\n    time.sleep(60)\nfinally:\n    print('ended')\n"
    )
    log = tmp_path / ".sandbox.log"

    def interrupt(_: float) -> None:
        if log.read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    assert main(["start"]) == 130
    assert log.read_text() == "up\nended\n"
    assert "everything that was started is ended" in capsys.readouterr().err


def test_a_property_without_a_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sandbox, "_require_running", lambda: {"GITHUB_BASE_URL": "http://[::1]:1"})
    assert main(["org", "set", "docs", "novalue"]) == 1
    assert "novalue: write PROPERTY=VALUE" in capsys.readouterr().err


def test_an_ended_process_has_no_birth(stranger: subprocess.Popen[bytes]) -> None:
    assert processes.birth(stranger.pid) == processes.birth(stranger.pid) != ""
    assert processes.birth(os.getpid()) != processes.birth(stranger.pid)
    stranger.kill()
    stranger.wait()
    assert processes.birth(stranger.pid) == ""


def test_nothing_that_could_lead_away_from_loopback_is_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", "https://ecr.example.com")
    monkeypatch.setenv("GH_TOKEN", "a")
    own = environment_of({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert own["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert not own.keys() & {"AWS_ENDPOINT_URL_ECR", "GH_TOKEN"}
    assert own["PATH"] == os.environ["PATH"]
