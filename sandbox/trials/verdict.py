"""The verdict: what came of each trial, as a table, one last line and an exit code.

Owns the rules by which a trial is passed, and the words of the table. Reads findings only; never
runs anything.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Literal

from rich.table import Table

Ending = Literal["stopped", "went on"]

HEADINGS = (
    "fault",
    "what the program said",
    "exit",
    "image repositories lost",
    "unmanaged",
    "held up by others",
    "resources changed",
)

SHORT = 150
"""Characters of what the program said that the table shows."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one trial.

    ``lost`` are the image repositories that AWS held and no longer holds, ``unmanaged`` those that it
    holds and the engine's state does not, and so of roles, variables, topics, rules and keys;
    ``held_up`` is what could have been deployed, and was not because of something of other hands.
    ``changed`` counts the calls by which AWS was changed. ``complaints`` are what was not as expected.
    """

    group: str
    fault: str
    said: str
    ended: Ending
    lost: tuple[str, ...] = ()
    unmanaged: tuple[str, ...] = ()
    held_up: tuple[str, ...] = ()
    changed: int = 0
    complaints: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was lost or left behind, and all was as expected."""
        return not (self.lost or self.unmanaged or self.held_up or self.complaints)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a trial must come to.

    ``says`` is searched in what the program said, line by line. ``changes`` is how many calls may
    change AWS: None for any number, and always 0 where the deployment must stop before it begins.
    """

    ended: Ending
    says: str
    changes: int | None = None

    def complaints(self, finding_said: str, ended: Ending, changed: int) -> Iterable[str]:
        """Say what is not as expected."""
        if ended != self.ended:
            yield f"it {ended}, where it should have {self.ended.replace('went', 'gone')}"
        if not finding_said:
            yield f"nothing was said that matches {self.says!r}"
        if self.changes is not None and changed != self.changes:
            yield f"AWS was changed by {changed} calls, not {self.changes}"


_ENGINE = re.compile(
    r"^\s*(pulumi:pulumi:Stack \S+ (running |creating |\*\*failed\*\* )?)?(\(\S+\) )?"
    r"\s*(info: |warning: |error: )?(- )?"
)
_LONG = re.compile(r"127\.0\.0\.1:\d+|/\S*/plugins/|type=all&sort=created&|per_page=100&")
"""What differs from run to run, or is the same in every request."""


def line_that_says(output: str, pattern: str) -> str:
    """Return the first line of the engine's output that matches, without the engine's own prefix.

    Empty when there is none.
    """
    for line in output.splitlines():
        if re.search(pattern, line):
            return _LONG.sub("", " ".join(_ENGINE.sub("", line).split()))
    return ""


def last_line(findings: Sequence[Finding]) -> str:
    """Return the line that everything comes down to."""
    lost = sum(len(each.lost) for each in findings)
    unmanaged = sum(len(each.unmanaged) for each in findings)
    held_up = sum(len(each.held_up) for each in findings)
    return (
        f"faults tried: {len(findings)}, image repositories lost: {lost}, unmanaged: {unmanaged}, "
        f"held up by others: {held_up}"
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 0 when every trial is passed, and 1 otherwise or when there was none."""
    return 0 if findings and all(each.passed for each in findings) else 1


def table(findings: Iterable[Finding]) -> Table:
    """Return the table for a terminal."""
    shown = Table(title="Faults, on the real engine", title_justify="left")
    for index, heading in enumerate(HEADINGS):
        shown.add_column(heading, overflow="fold", justify="right" if index > 2 else "left")  # noqa: PLR2004 - the rest are numbers
    for each in findings:
        shown.add_row(*_cells(each))
    return shown


def page(findings: Iterable[Finding]) -> str:
    """Return the tables for the documents, one a group."""
    groups: dict[str, list[Finding]] = {}
    for each in findings:
        groups.setdefault(each.group, []).append(each)
    lines = []
    for group, members in groups.items():
        lines += [
            f"## {group}",
            "",
            f"| {' | '.join(HEADINGS)} |",
            "|---|---|---|---:|---:|---:|---:|",
        ]
        lines += [f"| {' | '.join(map(_escaped, _cells(each)))} |" for each in members]
        lines.append("")
    return "\n".join(lines)


def complaints(findings: Iterable[Finding]) -> Iterable[str]:
    """Say what is wrong, a line for each offence."""
    for each in findings:
        for complaint in (
            *(f"lost {location}" for location in each.lost),
            *(f"unmanaged {location}" for location in each.unmanaged),
            *(f"held up by others: {what}" for what in each.held_up),
            *each.complaints,
        ):
            yield f"{each.group}, {each.fault}: {complaint}"


def _cells(finding: Finding) -> tuple[str, ...]:
    said = shorten(finding.said, SHORT, placeholder="…")  # between two words
    return (
        finding.fault,
        said,
        finding.ended,
        str(len(finding.lost)),
        str(len(finding.unmanaged)),
        str(len(finding.held_up)),
        str(finding.changed),
    )


def _escaped(cell: str) -> str:
    """Keep Markdown from reading anything into what a program said."""
    return re.sub(r"([\\|<>*_`\[\]{}])", r"\\\1", cell)
