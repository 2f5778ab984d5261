"""Comments for a code review: Markdown that stays readable whatever the estate's size.

Owns how text from elsewhere is kept from being read as Markdown, how long lists and diffs are cut,
and the mark by which a pipeline finds its own comment again. Knows nothing of plans.
"""

import difflib
import json
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

SHORTEST_FOLDED = 100
"""Characters from which on a JSON text is shown line by line."""

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


def spoken(text: str) -> str:
    """Return a sentence whose parts between backquotes are code, and whose rest stands for itself.

    What somebody else has put between backquotes becomes code too, in which nothing has a meaning.
    """
    parts = text.split("`")
    if not len(parts) % 2:
        return plain(text)
    return "".join(
        code(part) if index % 2 else _with_its_spaces(part) for index, part in enumerate(parts)
    )


def _with_its_spaces(part: str) -> str:
    before = " " if part[:1].isspace() else ""
    after = " " if part[-1:].isspace() and part.strip() else ""
    return f"{before}{plain(part)}{after}"


def json_diff(now: str, then: str) -> list[str]:
    """Return two JSON texts as lines of a diff: short ones whole, others line by line.

    A text that is no JSON is one line.
    """
    if max(len(now), len(then)) <= SHORTEST_FOLDED:
        return [f"- {now}", f"+ {then}"]
    old, new = (_indented(each) for each in (now, then))
    changed = list(difflib.unified_diff(old, new, n=len(old) + len(new), lineterm=""))
    # Two lines name the files, and one the place; a sign and its line stand apart as everywhere here.
    return [f"{line[0]} {line[1:]}" for line in changed[3:]]


def _indented(text: str) -> list[str]:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
    except ValueError:
        return [text]


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
