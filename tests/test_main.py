"""The command line's net: whatever an operator can mend is one clear line, and never a traceback."""

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from ecr.cli.commands import settings
from ecr.cli.main import main
from pages.estate import sandbox_outputs

ECR = [sys.executable, "-m", "ecr", "settings", "--schema"]


def raising(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Namespace) -> int:
        raise error

    monkeypatch.setattr(settings, "run", run)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (RecursionError(), 1, "What was given is nested too deeply; nothing was done with it.\n"),
    ],
)
def test_what_ends_a_command_is_one_line(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising(error, monkeypatch)
    assert main(["settings", "--schema"]) == code
    assert capsys.readouterr().err == said


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(sandbox_outputs()))
    file = tmp_path / "nowhere" / "data.js"
    assert main(["estate", "--outputs", str(outputs), "--output", str(file)]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == [f"  - {file}: No such file or directory"]


def test_a_reader_that_has_gone_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        done = subprocess.run(ECR, check=False, stdout=output, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_said() -> None:
    with Path("/dev/full").open("w") as output:
        done = subprocess.run(ECR, check=False, stdout=output, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == ["  - the output: No space left on device"]
