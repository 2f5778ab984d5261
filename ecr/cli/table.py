"""Text for a terminal: tables that fit it, colour, and characters from elsewhere that must not drive it.

Owns how wide a table may be and when there is colour. Reads NO_COLOR and TERM, and what the output is.
"""

import os
import shutil
import sys
from collections.abc import Sequence


def printable(text: str) -> str:
    """Return text with its control and formatting characters spelt out as Python spells them.

    Names of files and values of properties are whatever somebody typed; a terminal would obey some.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def emphasised(text: str) -> str:
    """Return text in bold for standard error, where that is a terminal which shows it.

    There is no colour where NO_COLOR is set to anything (https://no-color.org) or TERM is "dumb".
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stderr.isatty() else f"\x1b[1m{text}\x1b[0m"


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the lines of a table, its headings first; empty where there are no rows.

    Elsewhere than on a terminal each row is one line, whole, however wide it is. On a terminal that is
    too narrow, each row is a block of lines, one for each column that has something.
    """
    if not rows:
        return ""
    cells = [list(headings), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) > shutil.get_terminal_size().columns:
        first, *others = cells
        indent = max(map(len, first))
        return "\n".join(
            "".join(
                f"{heading.ljust(indent)}  {cell}\n"
                for heading, cell in zip(first, row, strict=True)
                if cell
            )
            for row in others
        )
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in cells
    )
