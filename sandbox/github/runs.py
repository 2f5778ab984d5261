"""Runs of the workflow that deploys: started by events, one at a time, of those that wait the last alone.

Owns the runs of one concurrency group with `cancel-in-progress: false`. What a run does, a test does: it takes
the run that is next, and says when it has ended.

Sources, at docs.github.com: "Control the concurrency of workflows and jobs"; "REST API endpoints for workflow
runs"; "Events that trigger workflows" (repository_dispatch).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.github.exchange import Asked, Endpoint, Told, paged
from sandbox.github.tokens import Need

if TYPE_CHECKING:
    from sandbox.github.exchange import Document

_ACTIONS = Need("actions", "read", ("repo",))


@dataclass
class Runs:
    """The runs, the oldest first. Safe in many threads."""

    _held: list[Document] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, event: str) -> None:
        """Start a run: it waits where one runs, and whoever has waited before is cancelled."""
        with self._lock:
            busy = any(each["status"] == "in_progress" for each in self._held)
            for each in self._held:
                if each["status"] in {"pending", "queued"}:
                    each.update(status="completed", conclusion="cancelled")
            status = "pending" if busy else "queued"
            number = len(self._held) + 1
            run = {"id": 900_000 + number, "run_number": number, "event": event}
            self._held.append({**run, "status": status, "conclusion": None})

    def take(self) -> Document | None:
        """Begin the run that is next; None where none waits, or one runs."""
        with self._lock:
            if any(each["status"] == "in_progress" for each in self._held):
                return None
            for each in self._held:
                if each["status"] in {"pending", "queued"}:
                    each["status"] = "in_progress"
                    return each
            return None

    def end(self, run: Document, conclusion: str = "success") -> None:
        """End a run."""
        with self._lock:
            run.update(status="completed", conclusion=conclusion)

    def all(self) -> list[Document]:
        """Return a copy of the runs."""
        with self._lock:
            return [dict(each) for each in self._held]

    def listed(self, asked: Asked, workflow: str) -> Told:
        """List the runs of the workflow, the latest first."""
        del workflow
        rows = self.all()[::-1]
        return Told({"total_count": len(rows), "workflow_runs": paged(asked.request, rows)})


def of_repositories(runs: Runs) -> tuple[Endpoint, ...]:
    """Return the endpoints of a repository."""
    path = r"/actions/workflows/(?P<workflow>[\w.-]+)/runs"
    return (Endpoint("GET", path, runs.listed, _ACTIONS),)
