"""Trials of shards: an estate grows from one stack to several, and nothing leaves AWS.

Owns the growth as an operator does it: docs/guides/large-estates.md lists the same commands. An image
repository is in the state of exactly one stack before and after, and AWS is asked to make and to end
none.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from shlex import split

from sandbox.checkout import Checkout
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, STACK, Run
from sandbox.trials.trial import REPLICAS, Ground, Stage, Trial, changing, github
from sandbox.trials.verdict import Expectation

GROUP = "Shards"


def organisation(services: int) -> Organisation:
    """Return an organisation of so many repositories."""
    made = Organisation(ORGANISATION)
    for number in range(services):
        made.add(f"service-{number}")
    return made


SETTINGS = {
    "lambdaReplicas": REPLICAS,
    "github": github(),
    "pushRoles": {"createProvider": True, "variables": True},
}
GROUND = Ground(partial(organisation, 40), SETTINGS)
DEPLOY = ("--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress")


def stacks(count: int) -> list[str]:
    """Name the stacks: the first is the one that was there before."""
    return [STACK, *(f"{STACK}-{index}" for index in range(1, count))]


def grow(stage: Stage, steps: Sequence[int]) -> Run:
    """Grow to so many stacks, step by step, as the guide says; give what the last one said."""
    folder = stage.session.directory / "checkout"
    shutil.rmtree(folder, ignore_errors=True)
    job = Checkout(stage.session, folder)
    before = stage.look()
    said = ""
    for count in steps:
        done = _to(stage, job, stacks(count))
        said += done.output
        if done.code:
            return Run(done.code, said)
    if stage.look() != before:
        stage.notes.append("AWS does not hold the same image repositories as before")
    return Run(0, f"{said}\n{steps[-1]} stacks, one estate")


def _to(stage: Stage, job: Checkout, names: list[str]) -> Run:
    """Grow to these stacks: write their files, move the states, deploy; the first that fails ends it."""
    done = Run(0, "")
    began = len(stage.session.aws.calls())
    for step in (_prepare, _move, _deploy):
        done = step(stage, job, names)
        if done.code:
            return done
    made = {each.action for each in changing(stage.session.aws.calls()[began:])}
    if made & {"CreateRepository", "DeleteRepository", "CreateRole", "DeleteRole"}:
        stage.notes.append(f"AWS was asked to make or end image repositories or roles: {made}")
    held = [location for name in names for location in _held(stage, name)]
    if len(set(held)) != len(held):
        stage.notes.append("an image repository is in the states of two stacks")
    return done


def _prepare(stage: Stage, job: Checkout, names: list[str]) -> Run:
    for name in names:
        job.configure(name, shards=names)
        if name not in stage.stacks:
            made = job.pulumi("stack", "init", name)
            if made.code:
                return made
            stage.stacks.append(name)
    stopped = job.pulumi("preview", "--stack", STACK)
    if not stopped.code or "ecr-estate shards" not in stopped.output:
        stage.notes.append(f"growing was not stopped before the move:\n{stopped.output}")
    return Run(0, stopped.output)


def _move(stage: Stage, job: Checkout, names: list[str]) -> Run:
    calls = len(stage.session.aws.calls())
    moves = job.run(sys.executable, "-m", "ecr", "shards", "--settings", f"Pulumi.{names[0]}.yaml")
    for line in moves.output.splitlines() if not moves.code else ():
        moves = job.run(*split(line))
        if moves.code:
            return moves
    if len(stage.session.aws.calls()) != calls:
        stage.notes.append("moving the states asked AWS for something")
    return moves


def _deploy(stage: Stage, job: Checkout, names: list[str]) -> Run:
    # The order is the operator's own; the last of the list goes first here, as the harder case.
    done = Run(0, "")
    for name in reversed(names):
        done = job.pulumi("up", "--stack", name, *DEPLOY)
        if done.code:
            return done
    for name in names:
        again = job.pulumi("preview", "--stack", name, "--expect-no-changes")
        if again.code:
            stage.notes.append(f"{name} is not done:\n{again.output}")
    return done


def _held(stage: Stage, name: str) -> Iterator[str]:
    for each in stage.state(name)["deployment"].get("resources") or []:
        if each["type"] == "aws:ecr/repository:Repository":
            yield each["urn"].split("::")[-1]


def trials() -> Iterator[Trial]:
    """Return every trial of shards."""
    for steps in ((2, 4), (3,)):
        yield Trial(
            group=GROUP,
            fault=f"an estate of 40 services grows to {' and to '.join(map(str, steps))} stacks",
            ground=GROUND,
            expect=Expectation("went on", "stacks, one estate"),
            deploy=partial(grow, steps=steps),
        )
