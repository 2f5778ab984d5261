"""A trial: what is broken, what is deployed, and what AWS and the engine hold before and after.

Owns the running of trials, and the sessions that they share. Reads AWS by its API and the engine's
state by `pulumi stack export`; never trusts one for the other. A session that a trial may have
spoilt is not used again.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ecr.engine.types import REPOSITORY
from sandbox import processes
from sandbox.aws import ApiCall
from sandbox.estate import ROLE, Registries
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, PROJECT, STACK, Run, Session
from sandbox.toolchain import Toolchain
from sandbox.trials.beside import held_beside, managed_beside
from sandbox.trials.verdict import Ending, Expectation, Finding, line_that_says

ARTIFACTS = ("111111111111", "eu-west-1")
LAMBDA = ("222222222222", "eu-west-1")
REGISTRIES = (ARTIFACTS, LAMBDA)
REPLICAS = {
    "accounts": [
        {
            "account": LAMBDA[0],
            "regions": [LAMBDA[1]],
            "role": f"arn:aws:iam::{LAMBDA[0]}:role/{ROLE}",
        }
    ],
    "services": {"all": True},
}

PATIENCE = 600.0
"""Seconds after which the engine is ended, for a trial must not hang."""

QUIET = ("--suppress-outputs", "--suppress-progress")

READS = ("Get", "Describe", "List", "AssumeRole", "Batch")


def github(**keys: Any) -> dict[str, Any]:  # noqa: ANN401 - a setting is whatever it is
    """Return the setting ``github`` with a time-out that does not make a trial long."""
    return {"organisation": ORGANISATION, "timeoutSeconds": 5, **keys}


@dataclass(frozen=True, eq=False)
class Ground:
    """How a session is made: its organisation, its settings, and whether it is deployed first."""

    organisation: Callable[[], Organisation]
    settings: Mapping[str, Any] = field(default_factory=dict)
    deployed: bool = True


class Stage:
    """A session in a trial, and the image repositories that have been seen in its AWS."""

    def __init__(self, session: Session, ground: Ground) -> None:
        self.session = session
        self.organisation = session.github.organisation
        self.ground = ground
        self.seen: set[str] = set()
        self.notes: list[str] = []
        self.found: dict[str, str] = {}
        self.stacks = [STACK]
        self._registries = Registries(session.environment)

    def ecr(self, registry: tuple[str, str] = ARTIFACTS) -> Any:  # noqa: ANN401 - a client of boto3
        """Return a client for a registry."""
        return self._registries.client(*registry)

    def look(self) -> set[str]:
        """Return the locations of the image repositories that AWS holds now."""
        held = {
            f"{account}/{region}/{each['repositoryName']}"
            for account, region in REGISTRIES
            for page in self.ecr((account, region))
            .get_paginator("describe_repositories")
            .paginate()
            for each in page["repositories"]
        }
        self.seen |= held
        return held

    def state(self, stack: str = STACK) -> dict[str, Any]:
        """Return the engine's state as `pulumi stack export` writes it."""
        done = self.session.pulumi("stack", "export", "--stack", stack)
        if done.code:
            raise RuntimeError(f"the state cannot be read:\n{done.output}")
        exported: dict[str, Any] = json.loads(done.output)
        return exported

    def restate(self, state: Mapping[str, Any]) -> None:
        """Replace the engine's state."""
        path = self.session.directory / "edited.json"
        path.write_text(json.dumps(state))
        done = self.session.pulumi("stack", "import", "--force", "--file", str(path))
        if done.code:
            raise RuntimeError(f"the state could not be imported:\n{done.output}")

    def managed(self) -> tuple[set[str], set[str]]:
        """Return the image repositories that the engine's states hold, by location, and what else they do."""
        resources = [
            each
            for stack in self.stacks
            for each in self.state(stack)["deployment"].get("resources") or []
        ]
        locations = {
            each["urn"].split("::")[-1] for each in resources if each["type"] == REPOSITORY
        }
        return locations, set(managed_beside(resources))

    def service(self, name: str, registry: tuple[str, str] = ARTIFACTS) -> Any:  # noqa: ANN401 - any service's client
        """Return a client for a service of a registry's account and Region."""
        return self._registries.service(name, *registry)

    def beside(self) -> set[str]:
        """Return what AWS and GitHub hold of the estate beside image repositories."""
        found = set(held_beside(self._registries, REGISTRIES, self.session.github))
        if not (self.ground.settings.get("pushRoles") or {}).get("createProvider"):
            # The pipeline's own, which was there before.
            found = {each for each in found if not each.startswith("identity provider")}
        return found

    def command(self, *arguments: str) -> Run:
        """Run `ecr-estate` with arguments as an operator does, on the session's own stack file."""
        engine = self.session.toolchain.pulumi.parent
        done = processes.run(
            [sys.executable, "-m", "ecr", *arguments],
            environment={
                **self.session.environment,
                "PATH": f"{engine}:{self.session.environment['PATH']}",
            },
            directory=PROJECT,
            capture=True,
        )
        return Run(done.returncode, done.stdout)

    def configure(self, **settings: Any) -> None:  # noqa: ANN401 - a setting is whatever it is
        """Lay settings over those of the ground."""
        self.session.configure({**self.ground.settings, **settings})

    def up(self) -> Run:
        """Deploy."""
        return self.session.up("--skip-preview", *QUIET)

    def must_up(self) -> None:
        """Deploy what has to succeed before the fault."""
        done = self.up()
        if done.code:
            raise RuntimeError(f"the deployment before the fault failed:\n{done.output}")

    def states(self) -> dict[str, str]:
        """Return the state of each service, as the ledger has it."""
        services = self.session.outputs()["ledger"]["services"].values()
        return {each["service"]: each["state"] for each in services}


Act = Callable[[Stage], None]


def having_set(**settings: Any) -> Act:  # noqa: ANN401 - a setting is whatever it is
    """Return what lays settings over those of the ground."""
    return lambda stage: stage.configure(**settings)


def in_turn(*acts: Act) -> Act:
    """Return what does several things, one after the other."""

    def act(stage: Stage) -> None:
        for each in acts:
            each(stage)

    return act


def nothing(_: Stage) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault.

    ``prepare`` is done, deployments included, before AWS is looked at; ``strike`` breaks something;
    ``deploy`` is what is judged. ``ends`` are the image repositories that an operator ends in it,
    ``foreign`` is what others made, and ``states`` what the ledger must say of services in the end.
    ``due`` gives what must be deployed whatever stands in others' way: image repositories by location,
    everything else by its name in ``beside``.
    ``spoils`` says that the session cannot be used for another trial.
    """

    group: str
    fault: str
    ground: Ground
    expect: Expectation
    prepare: Act = nothing
    strike: Act = nothing
    deploy: Callable[[Stage], Run] = Stage.up
    check: Callable[[Stage], Iterable[str]] = lambda _: ()
    due: Callable[[Stage], Iterable[str]] = lambda _: ()
    ends: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    states: Mapping[str, str] = field(default_factory=dict)
    spoils: bool = True


def changing(calls: Iterable[ApiCall]) -> list[ApiCall]:
    """Return the calls by which AWS was changed."""
    return [each for each in calls if each.status < 300 and not each.action.startswith(READS)]  # noqa: PLR2004 - HTTP's own number


class Runner:
    """Context manager: runs trials one after another, on as few sessions as they allow."""

    def __init__(self, directory: Path, toolchain: Toolchain) -> None:
        self._directory = directory
        self._toolchain = toolchain
        self._session: tuple[Ground, Session] | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def end_processes(self) -> None:
        """End what the session that stands has started."""
        if self._session:
            processes.end(self._session[1].mark)

    def run(self, trial: Trial) -> Finding:
        """Run one trial; one that cannot be run at all is a complaint."""
        began = time.monotonic()
        try:
            return self._run(trial, began)
        except Exception as error:  # noqa: BLE001 - told in the table, beside the other trials
            self._leave()
            return Finding(
                trial.group,
                trial.fault,
                "",
                "stopped",
                complaints=(f"the trial failed: {error!r}",),
                seconds=time.monotonic() - began,
            )

    def _run(self, trial: Trial, began: float) -> Finding:
        session = self._on(trial.ground)
        stage = Stage(session, trial.ground)
        clock = threading.Timer(PATIENCE, processes.end, [session.mark])
        clock.start()
        try:
            trial.prepare(stage)
            stage.look()
            session.aws.forget_calls()
            trial.strike(stage)
            done = trial.deploy(stage)
        finally:
            clock.cancel()
            clock.join()
        self._mend(trial.ground, session)
        changed = len(changing(session.aws.calls()))
        held, (managed, managed_else) = stage.look(), stage.managed()
        held_else = stage.beside()
        ended: Ending = "stopped" if done.code else "went on"
        said = line_that_says(done.output, trial.expect.says)
        complaints = [*stage.notes, *trial.expect.complaints(said, ended, changed)]
        complaints += [f"the state holds {each}, AWS does not" for each in sorted(managed - held)]
        complaints += [
            f"the state holds {each}, and it is not there"
            for each in sorted(managed_else - held_else)
        ]
        complaints += [f"{each} should have ended" for each in sorted(trial.ends & held)]
        if trial.states:
            ledger = stage.states()
            complaints += [
                f"the ledger says that {service} is {ledger.get(service)}, not {state}"
                for service, state in trial.states.items()
                if ledger.get(service) != state
            ]
        complaints += trial.check(stage)
        if "Traceback" in done.output:
            complaints.append("the program ended with a traceback")
        if complaints:
            complaints.append(_tail(done.output))
        finding = Finding(
            group=trial.group,
            fault=trial.fault,
            said=said,
            ended=ended,
            lost=tuple(sorted(stage.seen - held - trial.ends)),
            unmanaged=tuple(sorted((held - managed | held_else - managed_else) - trial.foreign)),
            held_up=tuple(
                sorted(set(trial.due(stage)) - (held & managed) - (held_else & managed_else))
            ),
            changed=changed,
            complaints=tuple(complaints),
            seconds=time.monotonic() - began,
        )
        if trial.spoils or not finding.passed:
            self._leave()
        return finding

    def _on(self, ground: Ground) -> Session:
        """Return the session of a ground: the one that stands, or a new one."""
        if self._session and self._session[0] is ground:
            return self._session[1]
        self._leave()
        session = Session(
            self._directory / "session",
            self._toolchain,
            organisation=ground.organisation(),
            settings=ground.settings,
        )
        self._open.enter_context(session)
        self._session = ground, session
        if ground.deployed:
            Stage(session, ground).must_up()
        return session

    def _mend(self, ground: Ground, session: Session) -> None:
        """Take back every fault that can be taken back."""
        session.configure(ground.settings)
        session.github.faults.clear()
        session.aws.refusals.clear()
        session.aws.network.clear()
        session.own_variables.clear()

    def _leave(self) -> None:
        self._open.close()
        self._session = None


def _tail(output: str, lines: int = 30) -> str:
    bare = [line for line in output.splitlines() if not re.match(r"\s+(github\.com|google)", line)]
    return "the last that was said:\n" + "\n".join(bare[-lines:])


def chosen(trials: Iterable[Trial], pattern: str) -> Iterator[Trial]:
    """Return the trials whose group or fault matches a pattern."""
    return (
        each for each in trials if re.search(pattern, f"{each.group}: {each.fault}", re.IGNORECASE)
    )
