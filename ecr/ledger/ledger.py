"""The ledger: which GitHub repository owns which image repositories, kept in the stack's outputs.

Owns its schema and its reading and writing. Reads the outputs of the stack's own last deployment and,
where an estate is several stacks, of the others', whose ledgers make one: a name is chosen in view of
all of them. Never guesses: a ledger that cannot be read, or that a newer program wrote, stops the
deployment, because a lost ledger would make every image repository look unknown.
"""

import re
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal, Self

from ecr.errors import EstateError
from ecr.ledger.migrations import LEDGER_REVISION, LEDGER_SCHEMA, migrated
from ecr.ledger.shards import WHOLE, Shard

Hold = Literal["managed", "left"]
"""Whether a setting of a registry is this stack's, or only in the engine's state and left alone."""

CACHES = "caches/"
"""How what the ledger has of a registry begins where it is a pull-through cache; its prefix follows."""

LedgerState = Literal["active", "kept", "retiring"]
STATES: tuple[LedgerState, ...] = ("active", "kept", "retiring")

_NAME = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_LOCATION = re.compile(rf"[0-9]{{12}}/[a-z0-9-]+/{_NAME.pattern}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a ledger is read from, and what an operator is told to do when it cannot be used.

    Only a deployment, whose own ledger it is, may be told to restore a state. ``page`` is the page that
    says how, below docs/.
    """

    problem: str
    where: str
    remedy: str
    page: str = ""

    def refusal(self, why: str) -> EstateError:
        """Return the error of what cannot be used, and why."""
        return EstateError(self.problem, [f"{self.where}: {why}; {self.remedy}"], page=self.page)


THIS_STACK = Source(
    "The ledger in this stack's outputs cannot be used; nothing was changed.",
    "output ledger",
    "see it with `pulumi stack output ledger`, and restore the last good state with "
    "`pulumi stack import`",
    page="runbooks/ledger-unreadable.md",
)
"""The state of the stack that is being deployed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one GitHub repository owns.

    ``repository`` is its name on GitHub when last seen; ``service`` the name that was chosen for it
    once, under which its image repositories go; ``since`` the ISO date of the last change of state.
    ``placements`` and ``replicas`` map locations ("ACCOUNT/REGION/NAME") to states. ``reason`` says
    why an entry is kept, as it was found on that date; it is empty for every other. ``owner`` and ``tags``
    are who answers for it and the AWS tags that its repository's properties gave it, as last seen: both stay
    when the repository is gone.
    """

    repository: str
    service: str
    state: LedgerState
    since: str
    placements: Mapping[str, LedgerState] = field(default_factory=dict)
    replicas: Mapping[str, LedgerState] = field(default_factory=dict)
    reason: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def moved_to(self, state: LedgerState, today: str, reason: str = "") -> Self:
        """Return the entry in another state, dated; the same entry if it is in that state already.

        The first reason for which it was kept stands until it is active again.
        """
        told = "" if state == "active" else self.reason or reason
        since = self.since if state == self.state else today
        return replace(self, state=state, since=since, reason=told)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All entries by GitHub id.

    ``registries`` says, by "ACCOUNT/REGION", what this stack deployed of what stands once for a registry. The rest is for an estate on several stacks, of which ``shard`` is this stack's part: the ids that
    are ``arriving`` from another stack's ledger, those that are ``leaving`` this stack's own, and
    among the latter those for which it is ``waiting`` until the other stack has them.
    """

    entries: Mapping[int, Entry] = field(default_factory=dict)
    shard: Shard = WHOLE
    registries: Mapping[str, Mapping[str, Hold]] = field(default_factory=dict)
    arriving: frozenset[int] = frozenset()
    leaving: frozenset[int] = frozenset()
    waiting: frozenset[int] = frozenset()

    @property
    def active(self) -> tuple[int, ...]:
        """The ids of this stack's services whose repositories should still be there."""
        return tuple(
            github_id for github_id, entry in self.owned.items() if entry.state == "active"
        )

    def hold(self, registry: str, setting: str) -> Hold | None:
        """Return what this stack has of a setting of a registry; None where it never deployed it."""
        return self.registries.get(registry, {}).get(setting)

    def to_confirm(self, retire: Container[str]) -> tuple[int, ...]:
        """Return the ids that GitHub is asked for by themselves, where its list lacks them.

        They are those of the active services, and of those of which an image repository, by its name
        in ``retire``, is to end.
        """
        ending = (
            github_id
            for github_id, entry in self.owned.items()
            if any(
                location.split("/", 2)[2] in retire
                for location in (*entry.placements, *entry.replicas)
            )
        )
        return tuple(dict.fromkeys((*self.active, *ending)))

    def caches(self, registry: str) -> frozenset[str]:
        """Return the prefixes of the pull-through caches that this stack has in a registry."""
        held = self.registries.get(registry, {})
        return frozenset(each.removeprefix(CACHES) for each in held if each.startswith(CACHES))

    @property
    def owned(self) -> Mapping[int, Entry]:
        """The entries that belong to this stack."""
        if self.shard == WHOLE:
            return self.entries
        return {key: entry for key, entry in self.entries.items() if self.shard.owns(key)}

    def to_output(self) -> dict[str, Any]:
        """Return the plain value that is exported as the stack output ``ledger``."""
        return {
            "schema": LEDGER_SCHEMA,
            "revision": LEDGER_REVISION,
            "services": {
                str(github_id): {
                    "repository": entry.repository,
                    "service": entry.service,
                    "state": entry.state,
                    "since": entry.since,
                    "placements": dict(entry.placements),
                    "replicas": dict(entry.replicas),
                    **({"reason": entry.reason} if entry.reason else {}),
                    **({"owner": entry.owner} if entry.owner else {}),
                    **({"tags": dict(entry.tags)} if entry.tags else {}),
                }
                for github_id, entry in sorted(self.entries.items())
            },
            "registries": {key: dict(held) for key, held in self.registries.items()},
        }


def parse_ledger(output: object, source: Source = THIS_STACK) -> Ledger:
    """Read the stack output ``ledger``; None, as on a first deployment, is an empty ledger.

    Raises the EstateError of the ``source`` when it is of another schema or damaged.
    """
    if output is None:
        return Ledger()
    if not isinstance(output, dict) or "schema" not in output:
        raise source.refusal("it is not a ledger")
    schema = output["schema"]
    if schema != LEDGER_SCHEMA:
        # Numbers of a stack output come back as floating point.
        raise source.refusal(
            f"it is of schema {schema:g}, and this program knows {LEDGER_SCHEMA}; deploy with the newer program"
            if isinstance(schema, int | float) and schema > LEDGER_SCHEMA
            else f"its schema is {schema!r}"
        )
    try:
        current = migrated(output)
        entries = {int(github_id): _entry(raw) for github_id, raw in current["services"].items()}
        registries = _registries(current["registries"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise source.refusal(f"an entry is damaged ({error!r})") from error
    held = Counter(
        location for entry in entries.values() for location in (*entry.placements, *entry.replicas)
    )
    if twice := [location for location, count in held.items() if count > 1]:
        raise source.refusal(f"{twice[0]} stands in it twice")
    return Ledger(entries, registries=registries)


def gather(own: Ledger, others: Mapping[int, Ledger], shard: Shard) -> Ledger:
    """Make one ledger of the stack's own and the others', which are by their index.

    Of a service that several know, the stack that it belongs to is believed.
    """
    ledgers = {**others, shard.index: own}
    entries: dict[int, Entry] = {}
    waiting = []
    for index, ledger in ledgers.items():
        for github_id, entry in ledger.entries.items():
            owner = ledgers[github_id % shard.count].entries.get(github_id)
            entries[github_id] = owner or entry
            if index == shard.index and not owner:
                waiting.append(github_id)
    return Ledger(
        dict(sorted(entries.items())),
        shard,
        own.registries,
        arriving=frozenset(filter(shard.owns, entries)) - own.entries.keys(),
        leaving=frozenset(github_id for github_id in own.entries if not shard.owns(github_id)),
        waiting=frozenset(waiting),
    )


def _entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(
        repository=str(raw["repository"]),
        service=_shaped(_NAME, raw["service"]),
        state=_state(raw["state"]),
        since=date.fromisoformat(raw["since"]).isoformat(),
        placements=_states(raw["placements"]),
        replicas=_states(raw["replicas"]),
        reason=str(raw.get("reason", "")),
        owner=str(raw.get("owner", "")),
        tags={str(key): str(value) for key, value in raw.get("tags", {}).items()},
    )


def _registries(raw: Mapping[str, Any]) -> Mapping[str, Mapping[str, Hold]]:
    return {
        str(key): {str(setting): _hold(value) for setting, value in held.items()}
        for key, held in raw.items()
    }


def _hold(value: object) -> Hold:
    if value == "managed":
        return "managed"
    if value == "left":
        return "left"
    raise ValueError(f"nothing that a ledger says of a registry's settings: {value!r}")


def _states(raw: Mapping[str, Any]) -> dict[str, LedgerState]:
    return {_shaped(_LOCATION, key): _state(value) for key, value in raw.items()}


def _shaped(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"no such name or location: {text!r}")
    return text


def _state(value: object) -> LedgerState:
    for state in STATES:
        if value == state:
            return state
    raise ValueError(f"no such state: {value!r}")
