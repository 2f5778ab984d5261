"""Text for a terminal: tables, and characters from elsewhere that must not drive it."""

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


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the lines of a table, its headings first; empty where there are no rows."""
    if not rows:
        return ""
    cells = [list(headings), *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in cells
    )
