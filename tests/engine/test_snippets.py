"""The engine knows every subcommand and option of pulumi that the documents use."""

import re
import subprocess
from collections import defaultdict

import pytest

from sandbox.toolchain import Toolchain
from tests.test_snippets import COMMANDS, PULUMI

pytestmark = pytest.mark.engine


def used() -> dict[str, set[str]]:
    """The options by subcommand."""
    found: dict[str, set[str]] = defaultdict(set)
    for _, words in COMMANDS:
        if words[0] == "pulumi":
            two = " ".join(words[1:3])
            name = two if two in PULUMI else words[1]
            found[name] |= {word.partition("=")[0] for word in words if word.startswith("--")}
    return found


def help_of(toolchain: Toolchain, *words: str) -> str:
    command = [str(toolchain.pulumi), *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", sorted(used()))
def test_the_engine_knows_what_the_documents_use(name: str, toolchain: Toolchain) -> None:
    *parent, last = name.split()
    shown = help_of(toolchain, *parent, last)
    assert shown != help_of(
        toolchain, *parent
    )  # which is what it says of words that it does not know
    assert used()[name] <= set(re.findall(r"--[a-z-]+", shown))
