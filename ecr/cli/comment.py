"""Comments for a code review: Markdown that stays readable whatever the estate's size.

Owns how text from elsewhere is kept from being read as Markdown, how long lists and diffs are cut,
and the mark by which a pipeline finds its own comment again. Knows nothing of plans.
"""

import re
from collections.abc import Iterable, Sequence

from ecr.cli.table import printable

ZERO_WIDTH_SPACE = "\u200b"

_FOUND_LATER = re.compile(r"[@#]|:(?=//)|(?i:\bwww)(?=\.)|(?i:\bGH)(?=-\d)")
"""Where a mention, a reference to an issue or an address begins (GitHub Docs, "Autolinked references
and URLs"; GitHub Flavored Markdown Spec, "Autolinks")."""

SHOWN = 10
"""How many names a line lists before it only counts the rest."""

LINES = 400
"""How many lines of a diff a comment shows."""

LARGEST = 60_000
"""Characters of a comment; GitHub takes 65,536."""


def mark(kind: str, stack: str) -> str:
    """Return the first line of a comment, which nobody sees, and which is its identity."""
    return f"<!-- ecr-estate {kind} {re.sub('[^A-Za-z0-9_.-]', '_', stack)} -->"


def code(text: str) -> str:
    """Return text as code, in which nothing has a meaning."""
    inside = printable(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{inside}`"


def plain(text: str) -> str:
    """Return text whose every character stands for itself, also for what GitHub looks for afterwards.

    GitHub finds mentions, references and addresses in what Markdown left, where a backslash is gone
    already; a zero-width space behind the character that begins one keeps it from being found.
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!~@])", r"\\\1", printable(" ".join(text.split())))
    return _FOUND_LATER.sub(f"\\g<0>{ZERO_WIDTH_SPACE}", escaped)


def number(count: int, noun: str) -> str:
    """Return a number with its noun: 1 service, 2 services, 3 image repositories."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def listed(names: Sequence[str], shown: int = SHOWN) -> str:
    """Return the first names as code, and count the rest."""
    rest = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(map(code, names[:shown])) + rest


def folded(title: str, lines: Iterable[str], language: str = "") -> str:
    """Return lines that are shown on a click, cut where they are too many."""
    every = [line.replace("```", "'''") for line in lines]
    if not every:
        return ""
    rest = [f"... and {len(every) - LINES:,} more lines"] if len(every) > LINES else []
    inside = "\n".join([*every[:LINES], *rest])
    return f"<details><summary>{title}</summary>\n\n```{language}\n{inside}\n```\n\n</details>\n"


def fitted(sections: Iterable[str]) -> str:
    """Join sections with an empty line between, leaving out those for which there is no room."""
    kept: list[str] = []
    size = left = 0
    for section in filter(None, sections):
        if size + len(section) > LARGEST:
            left += 1
            continue
        kept.append(section.rstrip("\n"))
        size += len(section) + 1
    if left:
        kept.append("_More than a comment can hold was left out; it is in the log of the job._")
    return "\n\n".join(kept) + "\n"
