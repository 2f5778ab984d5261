"""Trials of crashes: the engine is killed in the middle, and the documented recovery is run.

Owns the recovery, command by command: docs/runbooks/recover-from-a-crash.md lists the same, and a
test compares the two. A crash comes when AWS has acted on a call and before its caller knows, at a
point that is counted in calls. Only processes with the session's own mark are killed.
"""

import os
import shlex
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sandbox import processes
from sandbox.aws import ApiCall
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, Run, Session
from sandbox.trials.identities import API, retiring
from sandbox.trials.trial import QUIET, REPLICAS, Ground, Stage, Trial, github
from sandbox.trials.verdict import Expectation

GROUP = "Crash"

RECOVERY = (
    "find \"${PULUMI_BACKEND_URL#file://}\" -name '*.attrs' -empty -delete",
    "pulumi cancel --yes",
    "pulumi refresh --yes --skip-preview --clear-pending-creates",
    "pulumi up --yes --skip-preview",
    "ecr-estate plan --expect-no-changes",
)
"""What brings a stack back whose deployment was killed, on a file backend, as a shell takes it.

The first is for the backend's notes beside each file, which it does not write in one go: an empty one
makes it refuse the file.
"""

VARIABLE = "create a variable on GitHub"

FIRST = tuple(range(6, 46, 2))
"""Calls to AWS after which the first deployment is killed."""

UPDATE = tuple(range(6, 46, 2))
"""Calls to AWS after which an update is killed."""


def organisation() -> Organisation:
    """Return three repositories, which with their replicas are six image repositories."""
    made = Organisation(ORGANISATION)
    for name in ("api", "web", "worker"):
        made.add(name)
    return made


SETTINGS = {"lambdaReplicas": REPLICAS, "github": github()}
UNDEPLOYED = Ground(organisation, SETTINGS, deployed=False)
DEPLOYED = Ground(organisation, SETTINGS)
ALONE = Ground(organisation, {**SETTINGS, "lambdaReplicas": None})
RECOVERED = Expectation("went on", "commands recovered the stack")


def kill(session: Session, *, whole: bool) -> None:
    """Kill the engine as the kernel would; ``whole`` is with its plugins and the program."""
    for process in list(processes.marked(session.mark)):
        with suppress(OSError):
            if whole or Path(f"/proc/{process}/comm").read_text().strip() == "pulumi":
                os.kill(process, signal.SIGKILL)


def crash_and_recover(stage: Stage, **how: Any) -> Run:  # noqa: ANN401 - as crash takes it
    """Deploy, be killed at a point, and recover; give what the recovery said."""
    return recover(stage, crash(stage, **how))


def crash_twice_and_recover(stage: Stage, *, point: int) -> Run:
    """Be killed, and killed again while recovering, before the recovery is run to its end."""
    first = crash(stage, point=point)
    for command in RECOVERY[:2]:
        run_recovery(stage, command)
    return recover(stage, f"{first}; {crash(stage, point=point, whole=True)}")


def crash(
    stage: Stage, *, point: int, action: str = "*", whole: bool = False, checkpoints: bool = True
) -> str:
    """Deploy and be killed at the ``point``-th call of an action; say at which it was.

    Of GitHub the one action is ``VARIABLE``.
    """
    session = stage.session
    last: list[str] = []

    def at_point(call: ApiCall | None = None) -> None:
        kill(session, whole=whole)
        last.append(call.action if call else action)

    if not checkpoints:
        session.own_variables["PULUMI_SKIP_CHECKPOINTS"] = "true"
    github = {"method": "POST", "path": "/actions/variables$"}
    with (
        session.github.at_call(point, at_point, **github)
        if action == VARIABLE
        else session.aws.at_call(point, at_point, action=action)
    ):
        killed = stage.up()
    # What the engine left running would otherwise still be at work while the stack recovers.
    processes.end(session.mark)
    session.own_variables.clear()
    stage.look()
    if not last or killed.code >= 0:
        stage.notes.append(f"the engine was not killed: it ended with {killed.code}")
    return f"killed after call {point}, {last[0] if last else 'none'}"


def recover(stage: Stage, crash: str) -> Run:
    """Run the recovery, command by command, until one fails."""
    said = []
    for command in RECOVERY:
        done = run_recovery(stage, command)
        said.append(f"{command}\n{done.output}")
        if done.code:
            said.append(f"{crash}: {command} ended with {done.code}")
            return Run(done.code, "\n".join(said))
    return Run(0, "\n".join([*said, f"{crash}; {len(RECOVERY)} commands recovered the stack"]))


def run_recovery(stage: Stage, command: str) -> Run:
    """Run one command of a runbook; `pulumi` is the session's own, and kept brief."""
    session = stage.session
    program, *arguments = shlex.split(command)
    if program == "pulumi":
        return session.pulumi(*arguments, *(() if arguments[0] == "cancel" else QUIET))
    if program == "ecr-estate":
        # The runbook's reader has the stack's file where the engine looks for it.
        return stage.command(*arguments, "--", "--config-file", str(session.config_file))
    done = processes.run(
        ["sh", "-c", command],
        environment=session.environment,
        directory=session.directory,
        capture=True,
    )
    return Run(done.returncode, done.stdout)


def _change(stage: Stage, *, point: int) -> None:
    """Return an update something to make, and something to change in every image repository."""
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
        expect=RECOVERED,
        strike=partial(_change, point=point) if update else lambda _: None,
        deploy=partial(crash_and_recover, point=point, whole=whole, checkpoints=checkpoints),
        spoils=not update or index % 5 == 4,  # noqa: PLR2004 - each adds a service, and they add up
    )


def trials() -> Iterator[Trial]:
    """Return every trial of a crash."""
    for index, point in enumerate(FIRST):
        yield _trial(point, index, update=False)
    for index, point in enumerate(UPDATE):
        yield _trial(point, index, update=True)
    for point in (14, 20):
        yield Trial(
            group=GROUP,
            fault=f"engine killed in the first up, and again while recovering, after call {point}",
            ground=UNDEPLOYED,
            expect=RECOVERED,
            deploy=partial(crash_twice_and_recover, point=point),
        )
    yield Trial(
        group=GROUP,
        fault="engine killed in the first up, and a repository renamed before the recovery",
        ground=UNDEPLOYED,
        expect=RECOVERED,
        deploy=_crash_and_rename,
        states={"api": "active"},
    )
    yield Trial(
        group=GROUP,
        fault="engine killed in an update, while the file backend wrote its notes",
        ground=DEPLOYED,
        expect=RECOVERED,
        strike=partial(_change, point=0),
        deploy=_crash_and_empty_notes,
    )
    for change, arguments, state in (
        ("rename", ("added-0", "gateway"), "active"),
        ("delete", ("added-0",), "kept"),
    ):
        for checkpoints in (True, False):
            yield Trial(
                group=GROUP,
                fault=f"engine killed in an update, {change} on GitHub of what it made"
                f"{'' if checkpoints else ', without checkpoints'}",
                ground=DEPLOYED,
                expect=RECOVERED,
                strike=partial(_change, point=0),
                deploy=partial(_crash_and, change, arguments, checkpoints=checkpoints),
                states={"added-0": state},
            )
    for action in ("DeleteLifecyclePolicy", "DeleteRepository"):
        yield Trial(
            group=GROUP,
            fault=f"engine killed in the second step of retiring, after {action}",
            ground=ALONE,
            expect=RECOVERED,
            prepare=retiring,
            deploy=partial(crash_and_recover, point=1, action=action),
            ends=frozenset({API}),
        )


def _crash_and_empty_notes(stage: Stage) -> Run:
    said = crash(stage, point=20)
    for notes in (stage.session.directory / "state").rglob("stacks/*/*.json.attrs"):
        notes.write_text("")
    if not stage.session.pulumi("stack", "export").code:
        stage.notes.append("the backend read a state whose notes are empty")
    return recover(stage, said)


def _crash_and(change: str, arguments: tuple[str, ...], stage: Stage, *, checkpoints: bool) -> Run:
    """Be killed once all is made, and let something happen on GitHub before the recovery."""
    said = crash(stage, point=2, action="CreateRepository", checkpoints=checkpoints)
    getattr(stage.organisation, change)(*arguments)
    return recover(stage, said)


def _crash_and_rename(stage: Stage) -> Run:
    said = crash(stage, point=24, checkpoints=False)
    stage.organisation.rename("api", "gateway")
    return recover(stage, said)
