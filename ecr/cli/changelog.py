"""The changelog of the installed program: what versions changed for those who deploy it.

Owns its form, that of Keep a Changelog, and which versions lie between two. Reads the file that the package
carries, or that of the checkout. An entry that changes a plan begins in bold with "Changes".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ecr

UNRELEASED = "Unreleased"
"""What the changelog calls what is not released yet."""

FIRST_THAT_SAYS = "0.2.0"
"""The first version that wrote its number into the outputs, and the one before it."""

BEFORE = "0.1.0"

_HEADING = re.compile(r"## \[([^\]]+)\]")
_PLAN = "**Changes "


@dataclass(frozen=True, slots=True)
class ChangelogEntry:
    """One entry of a version, under the heading of its kind, such as Changed, on one line."""

    version: str
    kind: str
    text: str

    @property
    def changes_a_plan(self) -> bool:
        """Return whether it says that it changes what a stack without its own settings has."""
        return self.text.startswith(_PLAN)


def read_changelog() -> tuple[ChangelogEntry, ...]:
    """Return every entry, the newest version first; none where no changelog is installed."""
    package = Path(ecr.__file__).parent
    for file in (package / "CHANGELOG.md", package.parent / "CHANGELOG.md"):
        if file.is_file():
            return tuple(entries_of(file.read_text(encoding="utf-8")))
    return ()


def entries_of(text: str) -> Iterator[ChangelogEntry]:
    """Yield the entries of a changelog's text, in its order."""
    version = kind = ""
    lines: list[str] = []

    def done() -> Iterator[ChangelogEntry]:
        if lines:
            yield ChangelogEntry(version, kind, " ".join(lines))
            lines.clear()

    for line in text.splitlines():
        if line.startswith(("## ", "### ", "- ")) or not line.strip():
            yield from done()
        if found := _HEADING.match(line):
            version, kind = found[1], ""
        elif line.startswith("### "):
            kind = line.removeprefix("### ").strip()
        elif line.startswith("- "):
            lines.append(line.removeprefix("- ").strip())
        elif lines:
            lines.append(line.strip())
    yield from done()


def between(
    entries: tuple[ChangelogEntry, ...], older: str, newer: str
) -> tuple[ChangelogEntry, ...]:
    """Return the entries of the versions above one and up to another; what is unreleased is the newest.

    A checkout has the number of the version before and what is unreleased besides; a package has none of that.
    """
    return tuple(
        each
        for each in entries
        if each.version == UNRELEASED or numbers(older) < numbers(each.version) <= numbers(newer)
    )


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare it by; those of an unknown form are none."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
