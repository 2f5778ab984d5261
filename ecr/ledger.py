"""The ledger: which GitHub repository owns which image repositories, kept in the stack's outputs.

Owns its schema and its reading and writing. Reads the outputs of the stack's own last deployment and
nothing else. Never guesses: a ledger that cannot be read, or that a newer program wrote, stops the
deployment, because a lost ledger would make every image repository look unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from ecr.errors import EstateError

SCHEMA = 1

State = Literal["active", "kept", "retiring"]
STATES: tuple[State, ...] = ("active", "kept", "retiring")


@dataclass(frozen=True, slots=True)
class Entry:
    """What one GitHub repository owns.

    ``repository`` is its name on GitHub when last seen; ``service`` the name that was chosen for it
    once, under which its image repositories go; ``since`` the ISO date of the last change of state.
    ``placements`` and ``replicas`` map locations ("ACCOUNT/REGION/NAME") to states. ``reason`` says
    why an entry is kept, as it was found on that date; it is empty for every other.
    """

    repository: str
    service: str
    state: State
    since: str
    placements: Mapping[str, State] = field(default_factory=dict)
    replicas: Mapping[str, State] = field(default_factory=dict)
    reason: str = ""

    def moved_to(self, state: State, today: str, reason: str = "") -> Self:
        """Give the entry in another state, dated; the same entry if it is in that state already.

        The first reason for which it was kept stands until it is active again.
        """
        told = "" if state == "active" else self.reason or reason
        since = self.since if state == self.state else today
        return replace(self, state=state, since=since, reason=told)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All entries by GitHub id."""

    entries: Mapping[int, Entry] = field(default_factory=dict)

    @property
    def active(self) -> tuple[int, ...]:
        """The ids of the services whose repositories should still be there."""
        return tuple(number for number, entry in self.entries.items() if entry.state == "active")

    def to_output(self) -> dict[str, Any]:
        """Give the plain value that is exported as the stack output ``ledger``."""
        return {
            "schema": SCHEMA,
            "services": {
                str(number): {
                    "repository": entry.repository,
                    "service": entry.service,
                    "state": entry.state,
                    "since": entry.since,
                    "placements": dict(entry.placements),
                    "replicas": dict(entry.replicas),
                    **({"reason": entry.reason} if entry.reason else {}),
                }
                for number, entry in sorted(self.entries.items())
            },
        }


def parse_ledger(output: object) -> Ledger:
    """Read the stack output ``ledger``; None, as on a first deployment, is an empty ledger.

    Raises EstateError when it is of another schema or damaged.
    """
    if output is None:
        return Ledger()
    if not isinstance(output, dict) or "schema" not in output:
        raise _unreadable("it is not a ledger")
    schema = output["schema"]
    if schema != SCHEMA:
        # Numbers of a stack output come back as floating point.
        raise _unreadable(
            f"it is of schema {schema:g}, and this program knows {SCHEMA}; deploy with the newer program"
            if isinstance(schema, int | float) and schema > SCHEMA
            else f"its schema is {schema!r}"
        )
    try:
        entries = {int(number): _entry(raw) for number, raw in output["services"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"an entry is damaged ({error!r})") from error
    return Ledger(entries)


async def read_ledger() -> Ledger:
    """Read the ledger from the last outputs of the stack that is being deployed."""
    import pulumi  # noqa: PLC0415 - the ledger itself needs no engine

    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        details = await pulumi.StackReference(name).get_output_details("ledger")
    except Exception as error:
        raise _unreadable(f"the outputs of {name} were not given ({error})") from error
    return parse_ledger(details.value)


def _entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(
        repository=str(raw["repository"]),
        service=str(raw["service"]),
        state=_state(raw["state"]),
        since=str(raw["since"]),
        placements={str(key): _state(value) for key, value in raw["placements"].items()},
        replicas={str(key): _state(value) for key, value in raw["replicas"].items()},
        reason=str(raw.get("reason", "")),
    )


def _state(value: object) -> State:
    for state in STATES:
        if value == state:
            return state
    raise ValueError(f"no such state: {value!r}")


def _unreadable(why: str) -> EstateError:
    remedy = (
        "see it with `pulumi stack output ledger`, and restore the last good state with "
        "`pulumi stack import` (docs: runbooks, ledger unreadable)"
    )
    return EstateError(
        "The ledger in this stack's outputs cannot be used; nothing was changed.",
        [f"output ledger: {why}; {remedy}"],
    )
