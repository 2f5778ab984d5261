"""The one error that the program raises on purpose: what is wrong, where, and what to do.

Every step raises it, with all its offences at once; ``ecr.program`` hands the text to the engine, and
``ecr.cli.main`` prints it.
"""

from collections.abc import Sequence
from dataclasses import dataclass


def first_of(items: Sequence[str], most: int = 10) -> list[str]:
    """Return the first items, and where there are more than ``most``, a last one that counts the rest."""
    rest = [f"and {len(items) - most:,} more"] if len(items) > most else []
    return [*items[:most], *rest]


class EstateError(Exception):
    """What an operator can put right, in a deployment or in a command.

    ``problem`` is one sentence; each of ``offences`` is one line naming what, where and the remedy.
    ``page`` is the page below docs/ that says how to put it right, where there is one.
    """

    def __init__(self, problem: str, offences: Sequence[str] = (), *, page: str = "") -> None:
        self.problem = problem
        self.offences = tuple(offences)
        self.page = page
        lines = [problem, *(f"  - {offence}" for offence in self.offences)]
        super().__init__("\n".join([*lines, f"See docs/{page}."] if page else lines))


class UsageError(EstateError):
    """Options of a command that contradict each other, or leave it nothing to do."""


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard, and what it counted.

    ``key`` is the setting under ``confirm`` that lets it pass; ``what`` finishes the sentence "N of M
    ..."; ``offences`` are the changes that it counts, one line each.
    """

    key: str
    what: str
    among: int
    allowed: int
    confirmed: int
    offences: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many changes there are."""
        return len(self.offences)

    @property
    def tripped(self) -> bool:
        """Return whether what it counted waits: too many at once, and another number was confirmed."""
        return self.count > self.allowed and self.confirmed != self.count

    @property
    def summary(self) -> str:
        """Return what was counted: "6 of 92 services would vanish at once, more than 4"."""
        return f"{self.count} of {self.among} {self.what} at once, more than {self.allowed}"

    @property
    def confirmation(self) -> str:
        """Return the setting that lets exactly this through: "confirm.vanished to 6"."""
        return f"confirm.{self.key} to {self.count}"


class GuardError(EstateError):
    """More changes at once than an operator has confirmed; ``guards`` are those that tripped."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self.guards = tuple(guards)
        counted = "; ".join(each.summary for each in self.guards)
        confirmed = " and ".join(each.confirmation for each in self.guards)
        super().__init__(
            f"{counted}; nothing was changed. If that is right, set {confirmed} for one deployment.",
            [offence for each in self.guards for offence in each.offences],
            page="runbooks/guard-tripped.md",
        )
