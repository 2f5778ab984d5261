"""`make faults`: run every fault on the real engine, print the table, and write it in the docs.

Exits 1 when an image repository is lost or left unmanaged, when something changes where the fault
must stop the deployment, or when a fault is not handled as it should be.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pages.faults import summarised
from pages.markers import replace_between_markers
from sandbox.session import PROJECT
from sandbox.trials.runs import every_trial, run, say
from sandbox.trials.trial import chosen
from sandbox.trials.verdict import Finding, complaints, exit_code, last_line, page, table

PAGE = PROJECT / "docs" / "reference" / "faults.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials that are asked for, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.trials",
        description="Run every fault on the real engine, against the embedded AWS and GitHub, and "
        "print what came of it. Without --only the table in the docs is written too.",
    )
    parser.add_argument(
        "--only",
        metavar="PATTERN",
        help="run the faults that match this regular expression, which sees GROUP: FAULT",
    )
    parser.add_argument("--list", action="store_true", help="name the faults and run none")
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="run so many side by side (2)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FILE",
        help="keep each finding in FILE as it comes, and leave out what has passed by it: "
        "a run that was ended goes on",
    )
    options = parser.parse_args(arguments)
    trials = list(chosen(every_trial(), options.only or ""))
    if options.list:
        print("\n".join(f"{each.group}: {each.fault}" for each in trials))
        return 0
    if not trials:
        parser.error(f"no fault matches {options.only}; --list names them")
    findings = run(trials, options.jobs, options.keep)
    Console(width=None if sys.stdout.isatty() else 200).print(table(findings))
    for line in complaints(findings):
        say(line)
    if not options.only:
        _write(findings)
    print(last_line(findings))
    return exit_code(findings)


def _write(findings: Sequence[Finding]) -> None:
    text = f"\n{page(findings)}\n{last_line(findings)}\n"
    PAGE.write_text(summarised(replace_between_markers(PAGE.read_text(), "faults", text)))
    say(f"written to {PAGE.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
