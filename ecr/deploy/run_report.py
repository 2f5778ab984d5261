"""The run report: what one run of the program did, how long each step took, and what it counted.

Owns the file that ECR_ESTATE_REPORT names, one JSON document. It is written only where it is asked
for, and whatever happens: a run that is stopped says there why. It is for pipelines; nothing is read
back from it. What the engine does with the resources afterwards is in its own events (`pulumi up --json`) and
traces (`--otel-traces`).
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from ecr import __version__
from ecr.engine.invoke import ONLY, REPORT
from ecr.errors import EstateError, Guard, GuardError
from ecr.github.listing import UnansweredError
from ecr.github.model import Inventory
from ecr.plan.changes import summary
from ecr.plan.model import EstatePlan, Observed
from ecr.plan.part import PartOfEstate

REPORT_SCHEMA = 1

T = TypeVar("T")
P = ParamSpec("P")


class Run:
    """One run: does the steps, and writes down how each went.

    ``owner`` is PROJECT/STACK, as the tags of what it makes name it; ``today`` is its ISO date.
    ``environment`` is where the files are looked up; times are in seconds.
    """

    def __init__(self, owner: str, *, preview: bool, environment: Mapping[str, str]) -> None:
        self.preview = preview
        self.owner, self.today = owner, datetime.now(UTC).date().isoformat()
        self.part = PartOfEstate.parse(environment[ONLY]) if ONLY in environment else None
        self._began = time.monotonic()
        self._report = environment.get(REPORT)
        self.document: dict[str, Any] = {
            "schema": REPORT_SCHEMA,
            "stack": owner.partition("/")[2],
            "preview": preview,
            "began": _now(),
            "seconds": 0.0,
            "program": __version__,
            "outcome": "stopped",
            "steps": [],
            "github": {},
            "aws": {},
            "guards": [],
            "changes": {},
        }

    def step(self, name: str, act: Callable[P, T], /, *asked: P.args, **more: P.kwargs) -> T:
        """Do one step and return its result; an exception is recorded in the report and raised again."""
        began = time.monotonic()
        with self._watched(name, began):
            given = act(*asked, **more)
        self._done(name, began, given)
        return given

    async def wait(self, name: str, awaited: Awaitable[T]) -> T:
        """Wait for one step and return its result; an exception is recorded and raised again."""
        began = time.monotonic()
        with self._watched(name, began):
            given = await awaited
        self._done(name, began, given)
        return given

    def end(self, outputs: dict[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
        """Write down that everything was handed to the engine, and return the outputs.

        ``last`` are those of the stack's last deployment: the engine counts no change of outputs.
        """
        self.document["outcome"] = "previewed" if self.preview else "declared"
        self.document["outputsChanged"] = _kept(json.loads(json.dumps(outputs))) != _kept(last)
        self._write()
        return outputs

    @contextmanager
    def _watched(self, name: str, began: float) -> Iterator[None]:
        try:
            yield
        except UnansweredError as error:
            self._stopped(name, began, error)
            error.give_up()
        except EstateError as error:
            self._stopped(name, began, error)
            raise
        except BaseException as error:
            self._stopped(name, began, EstateError(f"{type(error).__name__}: {error}"))
            raise

    def _done(self, name: str, began: float, given: object) -> None:
        seconds = round(time.monotonic() - began, 3)
        self.document["steps"].append({"step": name, "seconds": seconds})
        facts = _facts(given)
        self.document |= facts
        self._write()

    def _stopped(self, name: str, began: float, error: EstateError) -> None:
        seconds = round(time.monotonic() - began, 3)
        self.document["steps"].append({"step": name, "seconds": seconds})
        said = {"step": name, "problem": error.problem, "offences": list(error.offences)}
        self.document["error"] = said
        if isinstance(error, GuardError):
            self.document["guards"] = [_guard(each) for each in error.guards]
        self._write()

    def _write(self) -> None:
        self.document["seconds"] = round(time.monotonic() - self._began, 3)
        if self._report:
            text = json.dumps(self.document, indent=2, ensure_ascii=False)
            _write_file(self._report, text + "\n")


def _write_file(name: str, text: str) -> None:
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise EstateError(
            "The run report cannot be written; nothing was changed.",
            [f"{REPORT} = {name!r}: {error.strerror}; name a file in a folder that is there"],
        ) from error


def _facts(given: object) -> dict[str, Any]:
    """Return what a step's result adds to the report."""
    match given:
        case Inventory():
            return {
                "github": {
                    "repositories": len(given.repositories),
                    "requests": given.calls,
                    "readings": given.readings,
                }
            }
        case Observed():
            return {"aws": {"reads": given.reads, "absent": sorted(given.absent)}}
        case EstatePlan():
            return {
                "imageRepositories": len(given.image_repositories),
                "guards": [_guard(each) for each in given.guards if each.count],
                "changes": summary(given.changes),
                "waitingSettings": [each.described() for each in given.waiting_settings],
                "replacedSettings": [each.described() for each in given.replaced_settings],
                "standing": [asdict(each) for each in given.standing if each.kind != "push role"],
                "replicatedDeletions": [each.described() for each in given.deletions],
            }
    return {}


def _kept(value: object) -> object:
    """Return a value without what an object has as null, which the engine does not keep."""
    if isinstance(value, Mapping):
        return {key: _kept(each) for key, each in value.items() if each is not None}
    return [_kept(each) for each in value] if isinstance(value, list) else value


def _guard(guard: Guard) -> dict[str, Any]:
    return {
        "guard": guard.key,
        "what": guard.what,
        "count": guard.count,
        "among": guard.among,
        "allowed": guard.allowed,
        "confirmed": guard.confirmed,
        "tripped": guard.tripped,
        "offences": list(guard.offences),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def begin_run() -> Run:
    """Begin the report of the stack that is being deployed."""
    import pulumi  # noqa: PLC0415 - the report itself needs no engine

    owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    return Run(owner, preview=pulumi.runtime.is_dry_run(), environment=os.environ)
