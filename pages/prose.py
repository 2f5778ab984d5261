"""How the pages read, and how old their sources are: ``python -m pages.prose``, part of ``make check``.

Owns the bounds. Reads the pages below docs/ and the README, and changes none. The measure of
readability is a guide: long sentences are counted, a short list of words has plainer ones, and taste
is left to people. A page is refused only where it is beyond the bound or has such a word, and a page of practice, a record, a guide or a runbook also where
it names no source. A source has the day on which it was read, or says that nobody has read it again; the
latter are counted, and sources older than a year are listed.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MEAN = 21.0
"""Words of a sentence, as a mean over a page, at most."""

LONG = 35
"""Words from which a sentence is long: readers of a second language lose its beginning."""

FEWEST = 3
"""Words below which a cell or a heading is no sentence."""

SHARE = 0.12
"""The share of a page's sentences that may be long."""

PHRASES = {
    "other hands": "others",
    "but for": "except",
    "one's own": "your own",
    "at hand": "there, ready",
    "is to be": "must be, should be",
    "are to be": "must be, should be",
    "for want of": "because there is no",
    "is so |": "what is true",
    "so many": "a number of",
    "whence": "from where",
    "lest": "so that ... not",
    "albeit": "although",
    "thereof": "of it",
    "in lieu of": "instead of",
    "in order to": "to",
    "utilise": "use",
}
"""Words that readers of a second language stumble over, each with a plainer one."""

YEAR = 365
"""Days after which a source should be read again."""

SOURCED = ("practice", "decisions", "guides", "runbooks", "operations")
"""Folders whose pages state facts of others, and so name where they are from."""

UNSOURCED = {
    "practice/index.md", "practice/questions.md", "decisions/index.md", "guides/index.md",
    "guides/one-service.md", "runbooks/index.md", "operations/index.md",
}  # fmt: skip
"""Pages that only lead to others, or that are another file's text."""

WRITTEN = {
    "reference/faults.md", "reference/sandbox-rules.md", "reference/access.md",
    "reference/settings.md", "reference/commands.md", "reference/roles.md", "reference/limits.md",
    "reference/outputs.md", "reference/peer.md", "reference/performance.md", "reference/scale.md",
}  # fmt: skip
"""Pages that are written from the code."""

UNREAD = "not read again since this page was written"
"""What a source says in the place of a day, where nobody can say when it was read."""

_NAMED = re.compile(rf"\]\((https?://[^)]+)\), (?:[^\n]*, )?{UNREAD}$", re.MULTILINE)
_READ = re.compile(r"\]\((https?://[^)]+)\), (?:[^\n]*, )?read (\d{4}-\d\d-\d\d)$", re.MULTILINE)
_LEFT_OUT = re.compile(
    r"^---\n.*?\n---\n|```.*?```|<pre.*?</pre>|<!--.*?-->|^## Sources\n.*|^#.*?$|^\*\*Status:.*?$|^--8<--.*?$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a page reads: its sentences, the mean of their words, and those that are long."""

    sentences: int
    mean: float
    long: tuple[str, ...]

    @property
    def is_beyond(self) -> bool:
        """Whether the page is beyond one of the bounds."""
        return self.mean > MEAN or len(self.long) > max(1.0, SHARE * self.sentences)


def sentences(page: str) -> Iterator[str]:
    """Yield the sentences of a page of Markdown: of its paragraphs, its lists and its cells."""
    text = _LEFT_OUT.sub("\n\n", page)
    text = re.sub(r"<[^>]+>", " ", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "code", text)
    for block in re.split(r"\n\s*\n|\n\s*(?:[-*>]|\d+\.) |\n?\s*\|", text):
        plain = " ".join(re.sub(r"^\s*(?:[-*>]|\d+\.) ", "", block).replace("*", "").split())
        for each in re.split(r"(?<=[.!?])\s+", plain):
            if len(each.split()) >= FEWEST:
                yield each


def reading(page: str) -> Reading:
    """Return how a page of Markdown reads."""
    found = list(sentences(page))
    lengths = [len(each.split()) for each in found]
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    return Reading(len(found), mean, tuple(each for each in found if len(each.split()) >= LONG))


def odd_words(page: str) -> list[str]:
    """Return the words of PHRASES that a page uses, outside quotations, code and others' words."""
    text = re.sub(r"^> .*?$|\*[^*\n]+\*", "", _LEFT_OUT.sub("", page), flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "code", " ".join(text.split()))
    return [each for each in PHRASES if re.search(rf"\b{re.escape(each)}", text)]


def sources(page: str) -> dict[str, date]:
    """Return the addresses that a page names as its sources, each with the day it was read."""
    _, _, listed = page.partition("\n## Sources\n")
    return {url: date.fromisoformat(day) for url, day in _READ.findall(listed)}


def unread(page: str) -> list[str]:
    """Return the addresses that a page names as its sources and that nobody has read again."""
    _, _, listed = page.partition("\n## Sources\n")
    return _NAMED.findall(listed)


def undated(page: str) -> list[str]:
    """Return the lines under Sources that name an address, and neither a day nor that it was not read."""
    _, _, listed = page.partition("\n## Sources\n")
    lines = [line for line in listed.splitlines() if "](http" in line]
    return [line for line in lines if not _READ.search(line) and not _NAMED.search(line)]


def pages_of(docs: Path) -> dict[str, str]:
    """Return the text of each page below a folder, by its path in there; those of people only."""
    found = {path.relative_to(docs).as_posix(): path for path in sorted(docs.rglob("*.md"))}
    return {
        name: path.read_text(encoding="utf-8")
        for name, path in found.items()
        if name not in WRITTEN
    }


def offences(texts: dict[str, str]) -> list[str]:
    """Return a line for each page that is beyond the bound, or that has no source."""
    found = []
    for name, text in texts.items():
        read = reading(text)
        if read.is_beyond:
            found.append(
                f"{name}: {read.mean:.1f} words a sentence, {len(read.long)} of {read.sentences} "
                f"sentences have {LONG} words or more; see python -m pages.prose --page {name}"
            )
        if (
            name.startswith(SOURCED)
            and name not in UNSOURCED
            and not sources(text) | dict.fromkeys(unread(text))
        ):
            found.append(
                f"{name}: names no source; add '## Sources', each with the day it was read"
            )
        found += [f"{name}: {each!r}: write {PHRASES[each]!r}" for each in odd_words(text)]
        found += [
            f"{name}: {line.strip()}: add ', read YYYY-MM-DD' or ', {UNREAD}'"
            for line in undated(text)
        ]
    return found


def stale(texts: dict[str, str], today: date) -> list[str]:
    """Return a line for each page with a source that was read more than a year before ``today``."""
    days = {name: min(sources(text).values(), default=today) for name, text in texts.items()}
    return [
        f"{name}: a source was read {day.isoformat()}; read it again, and correct the page"
        for name, day in sorted(days.items(), key=lambda each: each[1])
        if (today - day).days > YEAR
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """List what should be read again, and what is refused; 1 where something is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m pages.prose", description="Say how the pages read, and how old they are."
    )
    parser.add_argument("--page", metavar="NAME", help="print the long sentences of one page")
    parser.add_argument("--all", action="store_true", help="print the measure of every page")
    options = parser.parse_args(arguments)
    texts = pages_of(ROOT / "docs")
    if options.page:
        print("\n".join(reading(texts[options.page]).long))
        return 0
    if options.all:
        for name, text in texts.items():
            read = reading(text)
            print(f"{read.mean:5.1f} {len(read.long):3} of {read.sentences:3} {name}")
        return 0
    old = stale(texts, datetime.now(UTC).date())
    if old:
        print("\n".join(["Pages with sources that are older than a year:", *old]))
    waiting = {url for text in texts.values() for url in unread(text)}
    if waiting:
        print(f"{len(waiting)} sources are to be read")
    wrong = offences(texts)
    if wrong:
        print("\n".join(["Pages that are to be mended:", *wrong]), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
