"""Runs: all trials of all groups, side by side in processes of their own.

Owns which trials there are and which share a process; AWS is embedded, and a process has but one.
"""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from itertools import groupby
from multiprocessing import get_context, parent_process
from pathlib import Path

from sandbox.toolchain import ensure_toolchain
from sandbox.trials import cloud, crashes, drift, features, identities, listings, shards
from sandbox.trials.trial import Runner, Trial
from sandbox.trials.verdict import Finding

BATCH = 8
"""Trials that one process runs before it takes others: they may share a session."""


def every_trial() -> list[Trial]:
    """Return all trials, in the order of the table."""
    groups = (listings, identities, cloud, drift, shards, crashes, features)
    return [trial for group in groups for trial in group.trials()]


def run(trials: Sequence[Trial], jobs: int, kept: Path | None = None) -> list[Finding]:
    """Run the trials, those that share a session in one process, and give the findings in order.

    ``kept`` is a file that takes each finding as it comes, an object a line; a trial that has passed
    by it is not run again, so that a run that was ended goes on where it was.
    """
    # Found or built once, before the processes look for it all at the same time.
    ensure_toolchain(say)
    numbers = {f"{each.group}: {each.fault}": at for at, each in enumerate(every_trial())}
    wanted = [(numbers[f"{each.group}: {each.fault}"], each) for each in trials]
    findings = {
        number: finding
        for finding in (read_findings(kept) if kept else ())
        if finding.passed
        and (number := numbers.get(f"{finding.group}: {finding.fault}")) is not None
    }
    batches = [
        [number for number, _ in batch]
        for _, shared in groupby(
            (each for each in wanted if each[0] not in findings),
            key=lambda each: id(each[1].ground),
        )
        for batch in _batched(list(shared))
    ]
    spawned = get_context("spawn")  # moto and its threads live in a process of their own
    with ProcessPoolExecutor(jobs, mp_context=spawned) as workers:
        for done in as_completed(workers.submit(run_batch, batch, kept) for batch in batches):
            findings |= done.result()
            say(f"{sum(number in findings for number, _ in wanted)} of {len(trials)} are done")
    return [findings[number] for number, _ in wanted]


def _batched(trials: list[tuple[int, Trial]]) -> Iterator[list[tuple[int, Trial]]]:
    return (trials[at : at + BATCH] for at in range(0, len(trials), BATCH))


def read_findings(kept: Path) -> list[Finding]:
    """Return the findings that a run has kept; the last of each trial counts. A cut line is left out."""
    findings = {}
    for line in kept.read_text().splitlines() if kept.exists() else ():
        try:
            finding = Finding(**json.loads(line))
        except ValueError:
            continue  # the run was ended while it wrote
        findings[finding.group, finding.fault] = finding
    return list(findings.values())


def _end_with_the_parent(runner: Runner, folder: str) -> None:
    """Let this process, and what its session started, end when the one that gives it work is killed."""

    def watch() -> None:
        parent = parent_process()
        if parent:
            parent.join()
            runner.end_processes()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_batch(numbers: Sequence[int], kept: Path | None = None) -> dict[int, Finding]:
    """Run some of all trials in this process, and keep each finding as it comes."""
    trials = every_trial()
    findings = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Runner(Path(folder), ensure_toolchain(say)) as runner,
    ):
        _end_with_the_parent(runner, folder)
        for number in numbers:
            trial = trials[number]
            finding = findings[number] = runner.run(trial)
            if kept:
                with kept.open("a") as file:
                    file.write(json.dumps(asdict(finding)) + "\n")
            wrong = "" if finding.passed else ", NOT AS EXPECTED"
            say(f"{trial.group}: {trial.fault}: {finding.ended}{wrong}, {finding.seconds:.1f} s")
    return findings


def say(line: str) -> None:
    """Tell how far it is."""
    print(f"faults: {line}", flush=True)
