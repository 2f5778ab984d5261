"""`make faults`: run every fault on the real engine, print the table, and write it in the docs.

Exits 1 when an image repository is lost or left unmanaged, when something changes where the fault
must stop the deployment, or when a fault is not handled as it should be.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sandbox.session import PROJECT
from sandbox.toolchain import ensure_toolchain
from sandbox.trials import crashes, listings
from sandbox.trials.trial import Runner, Trial, chosen
from sandbox.trials.verdict import Finding, complaints, exit_code, last_line, page, table

PAGE = PROJECT / "docs" / "reference" / "faults.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"


def every_trial() -> list[Trial]:
    """Give all trials, in the order of the table."""
    return [*listings.trials(), *crashes.trials()]


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
    options = parser.parse_args(arguments)
    trials = list(chosen(every_trial(), options.only or ""))
    if options.list:
        print("\n".join(f"{each.group}: {each.fault}" for each in trials))
        return 0
    if not trials:
        parser.error(f"no fault matches {options.only}; --list names them")
    findings = _run(trials)
    Console(width=None if sys.stdout.isatty() else 200).print(table(findings))
    for line in complaints(findings):
        print(f"faults: {line}")
    if not options.only:
        _write(findings)
    print(last_line(findings))
    return exit_code(findings)


def _run(trials: Sequence[Trial]) -> list[Finding]:
    toolchain = ensure_toolchain(lambda line: print(f"faults: {line}", flush=True))
    findings = []
    with tempfile.TemporaryDirectory() as folder, Runner(Path(folder), toolchain) as runner:
        for number, trial in enumerate(trials, 1):
            finding = runner.run(trial)
            findings.append(finding)
            print(
                f"faults: {number}/{len(trials)} {trial.group}: {trial.fault}: {finding.ended}"
                f"{'' if finding.passed else ', NOT AS EXPECTED'}, {finding.seconds:.1f} s",
                flush=True,
            )
    return findings


def _write(findings: Sequence[Finding]) -> None:
    text = f"{BEGIN}\n\n{page(findings)}\n{last_line(findings)}\n\n{END}"
    old = PAGE.read_text()
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: text, old, flags=re.DOTALL))
    print(f"faults: written to {PAGE.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
