"""The summary at the head of the page of faults: how many were tried of each kind, and how they ended.

Owns the summary and where it stands. Reads the page's own tables, which `make faults` alone writes.
"""

import re
from pathlib import Path

from pages.markers import markers, replace_between_markers

PROJECT = Path(__file__).resolve().parent.parent

PAGE = "reference/faults.md"

_CELL = re.compile(r"(?<!\\)\|")


def faults_page() -> str:
    """Return the page with its summary counted anew."""
    return summarised((PROJECT / "docs" / PAGE).read_text(encoding="utf-8"))


def summarised(page: str) -> str:
    """Return a page of faults with its summary counted anew."""
    return replace_between_markers(page, "summary", summary(page))


def summary(page: str) -> str:
    """Return the summary of the tables of a page: the pass rate first, and a row for each group."""
    begin, end = markers("faults")
    tables = page.partition(begin)[2].partition(end)[0]
    rows, tried, well = [], 0, 0
    for group in tables.split("\n## ")[1:]:
        name, _, rest = group.partition("\n")
        head, *faults = (_cells(line) for line in rest.splitlines() if line.startswith("| "))
        lost, unmanaged = head.index("image repositories lost"), head.index("unmanaged")
        harmless = sum(each[lost] == each[unmanaged] == "0" for each in faults)
        stopped = sum(each[head.index("exit")] == "stopped" for each in faults)
        tried, well = tried + len(faults), well + harmless
        anchor = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        rows.append(
            f"| [{name}](#{anchor}) | {len(faults)} | {harmless} | {stopped} "
            f"| {len(faults) - stopped} |"
        )
    share = f"{100 * well / tried:.1f} %" if tried else "nothing"
    return "\n".join(
        [
            f"**{well:,} of {tried:,} faults ({share}) left nothing lost and nothing unmanaged.**",
            "",
            "| group | tried | nothing lost or unmanaged | stopped | went on |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in _CELL.split(line.strip().strip("|"))]
