"""A few trials of each group on the real engine; `make faults` runs them all."""

from pathlib import Path

import pytest

from sandbox.toolchain import Toolchain
from sandbox.trials.runs import every_trial
from sandbox.trials.trial import Runner
from sandbox.trials.verdict import complaints

pytestmark = pytest.mark.engine

QUICK = (
    "status-500 (once)",
    "json-cut (for ever)",
    "private-hidden (for ever)",
    "a repository is renamed, and a new one takes its name",
    "the state is lost altogether",
    "DescribeRepositories is denied",
    "engine killed in the first up, after call 14",
    "engine and plugins killed in the first up, after call 12, without checkpoints",
    "engine killed in an update, after call 16, without checkpoints",
    "engine killed in an update, while the file backend wrote its notes",
    "engine killed in the second step of retiring, after DeleteRepository",
)


def test_nothing_is_lost_or_left_unmanaged(toolchain: Toolchain, tmp_path: Path) -> None:
    trials = [each for each in every_trial() if each.fault in QUICK]
    assert len(trials) == len(QUICK)
    with Runner(tmp_path, toolchain) as runner:
        findings = [runner.run(each) for each in trials]
    assert not list(complaints(findings))
