"""Options of commands: numbers within bounds, and options that would have no effect.

Owns how they are refused. Reads nothing, and imports nothing that a command's --help would wait for.
"""

import argparse
from collections.abc import Callable

from ecr.errors import UsageError


def int_between(least: int = 0, most: int = 1_000_000) -> Callable[[str], int]:
    """Return the type of an option that is a whole number from ``least`` to ``most``."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"{text}: must be a whole number from {least} to {most:,}"
            )
        return number

    read.__name__ = "whole number"
    return read


def float_between(least: float, most: float, *, zero: bool = False) -> Callable[[str], float]:
    """Return the type of an option that is a number from ``least`` to ``most``, or with ``zero`` 0."""

    def read(text: str) -> float:
        found = float(text)
        # What is not a number at all is within no bounds either.
        if not (least <= found <= most or (zero and found == 0)):
            raise argparse.ArgumentTypeError(
                f"{text}: must be a number from {least} to {most:,}{', or 0' if zero else ''}"
            )
        return found

    read.__name__ = "number"
    return read


def refuse_unused_options(*offences: tuple[object, str]) -> None:
    """Raise UsageError where an option was given that the others leave nothing to do."""
    unused = [text for given, text in offences if given]
    if unused:
        raise UsageError("An option would have no effect.", unused)
