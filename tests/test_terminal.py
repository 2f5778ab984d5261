"""What the terminal gets: completion, colour where it is wanted, and tables that fit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ecr.cli.commands import summaries
from ecr.cli.main import main
from ecr.cli.table import emphasised, table

HEADINGS, ROW = ("image repository", "state"), ("a" * 60, "active")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["--completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_has_every_command_and_its_options(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = script(shell, capsys)
    assert [name for name in summaries() if name not in made] == []
    assert "outputs" in made


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is missing")
    file = tmp_path / "completion"
    file.write_text(script(shell, capsys))
    subprocess.run([found, "-n", str(file)], check=True)


def test_bash_completes_commands_and_their_options(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = shutil.which("bash")
    if found is None:
        pytest.skip("bash is missing")
    file = tmp_path / "completion"
    file.write_text(script("bash", capsys))
    ask = (
        f"source {file}; COMP_WORDS=(ecr-estate simu); COMP_CWORD=1; _ecr_estate; echo ${{COMPREPLY[@]}}; "
        "COMP_WORDS=(ecr-estate compare --cou); COMP_CWORD=2; _ecr_estate; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run([found, "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["simulate", "--count"]


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--completion", "tcsh"])
    assert ended.value.code == 2
    assert "bash" in capsys.readouterr().err


def test_an_error_is_bold_on_a_terminal_and_plain_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    assert emphasised("wrong") == "wrong"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert emphasised("wrong") == "\x1b[1mwrong\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert emphasised("wrong") == "wrong"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert emphasised("wrong") == "wrong"


def test_a_table_is_one_line_for_each_item_when_it_is_piped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    _, line = table(HEADINGS, [ROW]).splitlines()
    assert line.split() == list(ROW)


def test_a_table_that_is_too_wide_for_the_terminal_becomes_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((50, 20)))
    assert table(HEADINGS, [ROW]).splitlines() == [
        f"image repository  {'a' * 60}",
        "state             active",
    ]
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((100, 20)))
    assert len(table(HEADINGS, [ROW]).splitlines()) == 2
