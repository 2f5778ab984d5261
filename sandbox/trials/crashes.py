"""Trials of crashes: the engine is killed in the middle, and the documented recovery is run.

Owns the recovery, command by command: docs/runbooks/recover-from-a-crash.md lists the same, and a
test compares the two. A crash comes when AWS has acted on a call and before its caller knows, at a
point that is counted in calls. Only processes with the session's own mark are killed.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from sandbox import processes
from sandbox.aws import ApiCall
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, Run, Session
from sandbox.trials.trial import QUIET, REPLICAS, Ground, Stage, Trial, github
from sandbox.trials.verdict import Expectation

GROUP = "Crash"

RECOVERY = (
    ("cancel", "--yes"),
    ("refresh", "--yes", "--skip-preview", "--clear-pending-creates"),
    ("up", "--yes", "--skip-preview"),
    ("preview", "--expect-no-changes"),
)
"""What brings a stack back whose deployment was killed, as arguments of `pulumi`."""

FIRST = tuple(range(6, 66, 3))
"""Calls to AWS after which the first deployment is killed."""

UPDATE = tuple(range(6, 46, 2))
"""Calls to AWS after which an update is killed."""


def organisation() -> Organisation:
    """Give three repositories, which with their replicas are six image repositories."""
    made = Organisation(ORGANISATION)
    for name in ("api", "web", "worker"):
        made.add(name)
    return made


SETTINGS = {"lambdaReplicas": REPLICAS, "github": github()}
UNDEPLOYED = Ground(organisation, SETTINGS, deployed=False)
DEPLOYED = Ground(organisation, SETTINGS)


def kill(session: Session, *, whole: bool) -> None:
    """Kill the engine as the kernel would; ``whole`` is with its plugins and the program."""
    for process in list(processes.marked(session.mark)):
        with suppress(OSError):
            if whole or Path(f"/proc/{process}/comm").read_text().strip() == "pulumi":
                os.kill(process, signal.SIGKILL)


def crash_and_recover(stage: Stage, *, point: int, whole: bool, checkpoints: bool) -> Run:
    """Deploy, be killed at a point, and recover; give what the recovery said."""
    session = stage.session
    last: list[ApiCall] = []

    def at_point(call: ApiCall) -> None:
        kill(session, whole=whole)
        last.append(call)

    session.aws.at_call(point, at_point)
    if not checkpoints:
        session.own_variables["PULUMI_SKIP_CHECKPOINTS"] = "true"
    killed = stage.up()
    # What the engine left running would otherwise still be at work while the stack recovers.
    processes.end(session.mark)
    session.own_variables.clear()
    stage.look()
    if not last or killed.code >= 0:
        stage.notes.append(f"the engine was not killed: it ended with {killed.code}")
    return recover(stage, f"killed after call {point}, {last[0].action if last else 'none'}")


def recover(stage: Stage, crash: str) -> Run:
    """Run the recovery, command by command, until one fails."""
    said = []
    for command in RECOVERY:
        quiet = () if command[0] == "cancel" else QUIET
        done = stage.session.pulumi(*command, *quiet)
        said.append(f"pulumi {' '.join(command)}\n{done.output}")
        if done.code:
            said.append(f"{crash}: pulumi {command[0]} ended with {done.code}")
            return Run(done.code, "\n".join(said))
    return Run(0, "\n".join([*said, f"{crash}; {len(RECOVERY)} commands recovered the stack"]))


def _change(stage: Stage, *, point: int) -> None:
    """Give an update something to make, and something to change in every image repository."""
    stage.organisation.add(f"added-{point}")
    stage.configure(tags={"round": str(point)})


def _trial(point: int, index: int, *, update: bool) -> Trial:
    whole, checkpoints = bool(index // 2 % 2), not index % 2
    what = "an update" if update else "the first up"
    return Trial(
        group=GROUP,
        fault=(
            f"{'engine and plugins' if whole else 'engine'} killed in {what}, after call {point}"
            f"{'' if checkpoints else ', without checkpoints'}"
        ),
        ground=DEPLOYED if update else UNDEPLOYED,
        expect=Expectation("went on", "commands recovered the stack"),
        strike=partial(_change, point=point) if update else lambda _: None,
        deploy=partial(crash_and_recover, point=point, whole=whole, checkpoints=checkpoints),
        spoils=not update or index % 5 == 4,  # noqa: PLR2004 - each adds a service, and they add up
    )


def trials() -> Iterator[Trial]:
    """Give every trial of a crash."""
    for index, point in enumerate(FIRST):
        yield _trial(point, index, update=False)
    for index, point in enumerate(UPDATE):
        yield _trial(point, index, update=True)
