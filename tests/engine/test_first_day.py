"""The guide's first day on the sandbox: its commands in their order, and what they have made alone."""

import re
from pathlib import Path

import pytest

from sandbox.first_day import MOST_COMMANDS, MOST_SECONDS, first_day
from sandbox.session import PROJECT
from sandbox.toolchain import Toolchain
from sandbox.toolchain.commands import ToolchainError

pytestmark = [pytest.mark.engine, pytest.mark.images]

GUIDE = (PROJECT / "docs/guides/first-day.md").read_text(encoding="utf-8")


def test_from_an_empty_folder_to_a_pushed_image(toolchain: Toolchain, tmp_path: Path) -> None:
    said: list[str] = []
    try:
        told = first_day(tmp_path / "day", toolchain, said.append)
    except ToolchainError as error:
        pytest.skip(f"crane and its registry: {error}")
    assert len(told.commands) <= MOST_COMMANDS
    assert told.seconds <= MOST_SECONDS
    assert told.digest.startswith("sha256:")
    assert told.good
    steps = re.findall(r"^\d\. \*\*", GUIDE.partition("## The commands")[2], re.MULTILINE)
    assert len(steps) == len(told.commands)
    for command, took in told.commands:
        name = re.sub(
            r"^ecr-estate (\w+).*|^pulumi .*(stack init).*|^(bootstrap/[\w.-]+).*",
            r"\1\2\3",
            command,
        )
        assert name in GUIDE or command == "git push"
        assert took > 0


def test_what_is_left_to_hands_is_a_short_list_with_reasons() -> None:
    by_hand = GUIDE.partition("## What is done by hand, and why")[2].partition("\n## ")[0]
    steps = re.split(r"^\d\. ", by_hand, flags=re.MULTILINE)[1:]
    assert 0 < len(steps) <= 5
    assert all("because" in each for each in steps)
