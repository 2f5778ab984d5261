"""The fenced blocks of the documents, and the commands in them.

Owns how a page is taken apart. It runs nothing: tests/test_snippets.py judges what is found here, and
tests/engine runs the runbooks.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "examples/service/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
_BETWEEN = {"|", "||", "&&", ";"}
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_SUBSTITUTED = re.compile(r"\$\(((?:[^()]|\([^()]*\))*)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the page that has it, the line it begins on, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """Return the words of each command, without redirections and assignments."""
        text = self.text
        if self.language == "console":
            shown = re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE)
            text = "\n".join(shown)
        for line in text.replace("\\\n", " ").splitlines():
            yield from _commands(line)


def blocks() -> list[Block]:
    """Return every fenced block of every page."""
    return [block for page in PAGES for block in _of(page)]


def _of(page: Path) -> Iterator[Block]:
    name = str(page.relative_to(ROOT))
    opened: tuple[int, str, str] | None = None
    held: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.fullmatch(r"( *)```(\S*)", line)
        if opened is None and fence:
            opened, held = (number, fence[2], fence[1]), []
        elif opened and fence and fence[1] == opened[2]:
            yield Block(name, opened[0], opened[1], dedent("\n".join(held)) + "\n")
            opened = None
        elif opened:
            held.append(line)
    assert opened is None, f"{name}:{opened}: is not closed"


def _commands(line: str) -> Iterator[list[str]]:
    for inner in _SUBSTITUTED.findall(line):
        yield from _commands(inner)
    lexer = shlex.shlex(
        _SUBSTITUTED.sub("SUBSTITUTED", line), posix=True, punctuation_chars="|&;<>"
    )
    lexer.whitespace_split = True
    words: list[str] = []
    ended = False
    for word in [*lexer, ";"]:
        if word in _BETWEEN:
            if words:
                yield words
            words, ended = [], False
        elif word in {">", "<", ">>"}:
            ended = True
        elif not ended and (words or not _ASSIGNED.fullmatch(word)):
            words.append(word)
