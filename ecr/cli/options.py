"""Options of commands: numbers within bounds, and options that would have no effect.

Owns how they are refused, and the forms in which a report of the engine's is printed. Reads nothing, and imports nothing that a command's --help would wait for.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

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


def add_report_options(parser: argparse.ArgumentParser, *, comment_for: str) -> None:
    """Add the forms of a report: JSON, a comment for somebody, a file beside it."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--comment", action="store_true", help=f"print Markdown for {comment_for}")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write JSON to a file as well")


def print_report(
    options: argparse.Namespace,
    document: object,
    *,
    comment: Callable[[], Iterable[str]],
    text: Callable[[], Iterable[str]],
) -> None:
    """Print a report in the form that the options of `add_report_options` ask for."""
    whole = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if options.output:
        options.output.write_text(whole, encoding="utf-8")
    if options.json:
        sys.stdout.write(whole)
    else:
        sys.stdout.write("".join(comment() if options.comment else text()))
