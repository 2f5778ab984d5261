"""Runs: all trials of all groups, side by side in processes of their own.

Owns which trials there are and which share a process; AWS is embedded, and a process has but one.
"""

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import groupby
from multiprocessing import get_context
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


def run(trials: Sequence[Trial], jobs: int) -> list[Finding]:
    """Run the trials, those that share a session in one process, and give the findings in order."""
    # Found or built once, before the processes look for it all at the same time.
    ensure_toolchain(say)
    numbers = {f"{each.group}: {each.fault}": at for at, each in enumerate(every_trial())}
    wanted = [(numbers[f"{each.group}: {each.fault}"], each) for each in trials]
    batches = [
        [number for number, _ in batch]
        for _, shared in groupby(wanted, key=lambda each: id(each[1].ground))
        for batch in _batched(list(shared))
    ]
    findings: dict[int, Finding] = {}
    spawned = get_context("spawn")  # moto and its threads live in a process of their own
    with ProcessPoolExecutor(jobs, mp_context=spawned) as workers:
        for done in as_completed(workers.submit(run_batch, batch) for batch in batches):
            findings |= done.result()
            say(f"{len(findings)} of {len(trials)} are done")
    return [findings[number] for number, _ in wanted]


def _batched(trials: list[tuple[int, Trial]]) -> Iterator[list[tuple[int, Trial]]]:
    return (trials[at : at + BATCH] for at in range(0, len(trials), BATCH))


def run_batch(numbers: Sequence[int]) -> dict[int, Finding]:
    """Run some of all trials in this process."""
    trials = every_trial()
    findings = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Runner(Path(folder), ensure_toolchain(say)) as runner,
    ):
        for number in numbers:
            trial = trials[number]
            finding = findings[number] = runner.run(trial)
            wrong = "" if finding.passed else ", NOT AS EXPECTED"
            say(f"{trial.group}: {trial.fault}: {finding.ended}{wrong}, {finding.seconds:.1f} s")
    return findings


def say(line: str) -> None:
    """Tell how far it is."""
    print(f"faults: {line}", flush=True)
