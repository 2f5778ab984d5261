"""The circumstances of an embedded AWS that a test may change: its time, quotas, delays and rates.

Owns the clock and what waits for it, the quotas, how long ECR takes for what, and the events that
it sent. Reads the machine's time. Never waits: a test moves the clock. It imports no moto, so that
it can be made before that is needed.
"""

from __future__ import annotations

import heapq
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, HOUR, DAY = 60, 3_600, 86_400


class Clock:
    """The time of the embedded AWS in seconds since 1970: the machine's, and what a test adds.

    What ECR does later is handed to it; it is done, at its own moment and in its own order, when the
    clock has passed that moment and somebody looks. Whoever reads or changes what an embedded AWS
    holds has `busy` meanwhile.
    """

    def __init__(self) -> None:
        self.busy = threading.RLock()
        self._ahead = 0.0
        self._moment: float | None = None
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def now(self) -> float:
        """Return the time; within what is done later, the moment that it was meant for."""
        return time.time() + self._ahead if self._moment is None else self._moment

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Do something so many seconds from now; at once where that is none."""
        if seconds > 0:
            heapq.heappush(self._due, (self.now() + seconds, next(self._order), act))
        else:
            act()

    def move(self, *, days: float = 0, seconds: float = 0) -> None:
        """Let time pass, and do what falls due meanwhile. Raises ValueError for a step back."""
        if days < 0 or seconds < 0:
            raise ValueError("time does not go back")
        with self.busy:
            self._ahead += days * DAY + seconds
            self.catch_up()

    def catch_up(self) -> None:
        """Do what has fallen due, the earliest first."""
        until = self.now()
        while self._due and self._due[0][0] <= until:
            self._moment, _, act = heapq.heappop(self._due)
            try:
                act()
            finally:
                self._moment = None


@dataclass(slots=True)
class Quotas:
    """How much a registry takes, by default what "Amazon ECR service quotas" says.

    A test may lower a number. `rates` are requests a second of one registry by operation; they count
    only where `throttling` is on, because a whole estate is made in one second here.
    """

    repositories: int = 100_000
    images: int = 100_000
    tags_of_an_image: int = 1_000
    basic_scans_a_day: int = 100_000
    pull_time_exclusions: int = 100
    pull_through_cache_rules: int = 50
    creation_templates: int = 50
    backfills_at_once: int = 10
    throttling: bool = False
    rates: dict[str, float] = field(
        default_factory=lambda: {
            "BatchCheckLayerAvailability": 1_000,
            "BatchGetImage": 2_000,
            "CompleteLayerUpload": 100,
            "GetAuthorizationToken": 500,
            "GetDownloadUrlForLayer": 3_000,
            "InitiateLayerUpload": 100,
            "PutImage": 10,
            "UploadLayerPart": 500,
        }
    )


@dataclass(slots=True)
class Delays:
    """Seconds that AWS takes.

    Replication and previews are done at once unless a test says otherwise, and IAM knows a new role at
    once: real ones take from seconds to half an hour, and nobody may wait that long here.
    """

    replicating: float = 0
    backfilling: float = 10 * MINUTE
    previewing: float = 0
    knowing_a_role: float = 0
    restoring: float = 20 * MINUTE
    starting_a_scan: float = 1
    scanning: float = 30
    eligible_for_scans: float = 14 * DAY


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an event at one target of a rule; ``refused`` says why it got nothing, "" where it did."""

    rule: str
    target: str
    message: str
    refused: str


@dataclass(slots=True)
class World:
    """What one embedded AWS has of time, quotas, delays and events.

    `events` are those that ECR sent to EventBridge, oldest first, in the form that EventBridge has, and
    `deliveries` what the rules there made of them.
    """

    clock: Clock = field(default_factory=Clock)
    quotas: Quotas = field(default_factory=Quotas)
    delays: Delays = field(default_factory=Delays)
    events: list[dict[str, Any]] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
