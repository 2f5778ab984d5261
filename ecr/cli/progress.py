"""One line that says how far a command is.

Owns when it is written: on a terminal it is always the newest, in place of the last one; elsewhere,
where lines stay, only now and then. Writes to standard error.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SELDOM = 500
"""How many changes there are between two lines where they stay."""


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Return what is to be called with each new line, and leave the terminal's line free at the end."""
    on_terminal = sys.stderr.isatty()
    said = 0

    def show(line: str) -> None:
        nonlocal said
        if on_terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
        elif said % SELDOM == 0:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        said += 1

    try:
        yield show
    finally:
        if on_terminal and said:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
