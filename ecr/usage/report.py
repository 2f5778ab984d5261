"""The report: what the estate holds and costs a month, by whatever one asks, and what can go.

Owns the sums, the growth against an earlier report, and the findings with the next step for each. Reads
measurements, the stack's ledgers and the table of prices; asks nobody, and changes nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ecr.ledger.ledger import Ledger
from ecr.lifecycle.simulator import DAY
from ecr.registry.registry import Placement
from ecr.settings.prices import Prices
from ecr.usage.measure import MONTHS_SHOWN, Measured, shown_date

USAGE_SCHEMA = 1

MONTH = 365.25 / 12
"""Days of a month, where settings and people count in months."""

Grouping = Literal["service", "owner", "architecture", "platform", "registry", "repository"]
GROUPINGS: tuple[Grouping, ...] = (
    "service",
    "owner",
    "architecture",
    "platform",
    "registry",
    "repository",
)

NextStep = Literal["retire", "archive", "exclude", "adopt", "ask"]
FindingKind = Literal["empty", "unused", "overdue", "unbounded", "unowned", "unmanaged"]


class Whose(NamedTuple):
    """What a ledger knows of an image repository.

    ``part`` is what the architecture made it for: placement or replica, with its stage where it has one.
    ``repository`` is the name of its service's repository on GitHub, ``state`` that of its service, "" for an image repository that no ledger has.
    """

    service: str
    owner: str
    state: str
    part: str
    regions: frozenset[str] = frozenset()
    repository: str = ""


UNKNOWN = Whose("", "", "", "of other hands")
CACHED = Whose("", "", "cached", "cache")
"""What ECR makes and fills by itself, for a pull-through cache of the estate: no service's, and nobody's to adopt."""


class Figure(NamedTuple):
    """One line of the report. Bytes and images as in a measurement; money a month, in the prices' currency."""

    name: str
    repositories: int
    images: int
    stored: int
    grown: int
    last_push: float
    last_pull: float
    storage: float
    transfer: float
    scanning: float

    @property
    def cost(self) -> float:
        """Return the whole of it."""
        return self.storage + self.transfer + self.scanning


class UsageFinding(NamedTuple):
    """Something that can go, or that nobody answers for, and the next step."""

    kind: FindingKind
    who: str
    owner: str
    step: NextStep
    text: str
    cost: float


@dataclass(frozen=True, slots=True)
class Costed:
    """A measurement with whose it is and what it costs a month."""

    measured: Measured
    whose: Whose
    storage: float
    transfer: float
    scanning: float

    @property
    def cost(self) -> float:
        """Return the whole of it."""
        return self.storage + self.transfer + self.scanning

    @property
    def unit(self) -> str:
        """Return what is retired together: the service, or an image repository of other hands."""
        return self.whose.service or self.measured.location


def owners_by_location(ledgers: Iterable[Ledger], stages: Sequence[str]) -> dict[str, Whose]:
    """Return whose each image repository is, by its location."""
    found: dict[str, Whose] = {}
    for ledger in ledgers:
        for entry in ledger.entries.values():
            regions = frozenset(place.split("/", 2)[1] for place in entry.placements)
            for part, places in (("placement", entry.placements), ("replica", entry.replicas)):
                for place in places:
                    name = place.split("/", 2)[2]
                    stage = next((each for each in stages if name.endswith(f"-{each}")), "")
                    found[place] = Whose(
                        entry.service,
                        entry.owner,
                        entry.state,
                        f"{part} of {stage}" if stage else part,
                        regions,
                        entry.repository,
                    )
    return found


def costed(
    measured: Sequence[Measured],
    whose: Mapping[str, Whose],
    prices: Prices,
    scanned: Mapping[str, Sequence[str]],
    caches: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Costed]:
    """Return what each costs a month. ``scanned`` are the filters of Amazon Inspector, by registry.

    ``caches`` are the prefixes of the estate's pull-through caches, by registry.
    The archive has a price for a registry's first part and one for the rest: each has its share of both.
    """
    archives: dict[str, int] = defaultdict(int)
    for each in measured:
        archives[each.registry] += each.archive
    rate = {registry: prices.archive(held) / held for registry, held in archives.items() if held}
    rows = []
    for each in measured:
        within = Placement.at(each.location).is_below(caches.get(each.registry, ()))
        owner = whose.get(each.location, CACHED if within else UNKNOWN)
        region = each.registry.partition("/")[2]
        copied = owner.part.startswith("replica") and region not in owner.regions
        enhanced = any(_selects(one, each.name) for one in scanned.get(each.registry, ()))
        rows.append(
            Costed(
                each,
                owner,
                prices.standard(each.standard) + rate.get(each.registry, 0.0) * each.archive,
                prices.transfer(each.pushed_bytes) if copied else 0.0,
                each.pushed * prices.enhanced_scan if enhanced else 0.0,
            )
        )
    return rows


def _selects(wildcard: str, name: str) -> bool:
    """Return whether a scanning filter selects a name: without `*` it is any part of the name.

    Source: Amazon ECR User Guide, "Filters to choose which repositories are scanned".
    """
    if "*" not in wildcard:
        return wildcard in name
    first, *middle, last = wildcard.split("*")
    if not name.startswith(first):
        return False
    at = len(first)
    for part in middle:
        found = name.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(name) - len(last) >= at and name.endswith(last)


def figures_by(
    rows: Iterable[Costed], by: Grouping, before: Mapping[str, int] | None = None
) -> list[Figure]:
    """Return a line for each group, the dearest first.

    ``before`` are the bytes by location of an earlier report: growth is then what was added since, less what
    has gone. Without it growth is what was pushed in the last 30 days and is still there.
    """
    groups: dict[str, list[tuple[Costed, float]]] = defaultdict(list)
    for row in rows:
        for name, share in _groups(row, by):
            groups[name].append((row, share))
    found = [_figure(name, held, before) for name, held in groups.items()]
    return sorted(found, key=lambda each: (-each.cost, -each.stored, each.name))


def _groups(row: Costed, by: Grouping) -> Iterator[tuple[str, float]]:
    """Yield the groups that a row is of, each with its share."""
    measured = row.measured
    if by == "platform":
        whole = sum(measured.platforms.values())
        for name, held in measured.platforms.items():
            yield name, held / whole if whole else 0.0
        if not measured.platforms:
            yield "not read", 1.0
        return
    yield (
        {
            "service": row.whose.service
            or f"{measured.location} ({'cache' if row.whose == CACHED else 'no service'})",
            "owner": row.whose.owner or "nobody",
            "architecture": row.whose.part,
            "registry": measured.registry,
            "repository": measured.location,
        }[by],
        1.0,
    )


def _figure(
    name: str, held: Sequence[tuple[Costed, float]], before: Mapping[str, int] | None
) -> Figure:
    def total(value: Any) -> Any:  # noqa: ANN401 - whole or not, as the parts are
        return sum(value(row) * share for row, share in held)

    def grown(row: Costed) -> int:
        if before is None:
            return row.measured.pushed_bytes
        return row.measured.stored - before.get(row.measured.location, 0)

    return Figure(
        name,
        len(held),
        round(total(lambda row: row.measured.images)),
        round(total(lambda row: row.measured.stored)),
        round(total(grown)),
        max(row.measured.last_push for row, _ in held),
        max(row.measured.last_pull for row, _ in held),
        total(lambda row: row.storage),
        total(lambda row: row.transfer),
        total(lambda row: row.scanning),
    )


def findings(rows: Iterable[Costed], *, months: int, now: float) -> list[UsageFinding]:
    """Return what can go, and what nobody answers for, the dearest first.

    A service is empty or unused when all its image repositories are, its replicas too. Whether somebody owns a
    service is only asked where some service of the estate has an owner.
    """
    held: dict[str, list[Costed]] = defaultdict(list)
    for row in rows:
        held[row.unit].append(row)
    owned = any(each.whose.owner for each in _all(held))
    known = any(each.whose.state for each in _all(held))
    found = [
        each
        for unit, its in held.items()
        for each in _of_unit(unit, its, months=months, now=now, owned=owned, known=known)
    ]
    return sorted(found, key=lambda each: (-each.cost, each.kind, each.who))


def _all(held: Mapping[str, Sequence[Costed]]) -> Iterator[Costed]:
    for its in held.values():
        yield from its


def _of_unit(
    unit: str, rows: Sequence[Costed], *, months: int, now: float, owned: bool, known: bool
) -> Iterator[UsageFinding]:
    whose = rows[0].whose
    cost = sum(each.cost for each in rows)

    def finding(kind: FindingKind, step: NextStep, text: str, saved: float = cost) -> UsageFinding:
        return UsageFinding(kind, unit, whose.owner, step, text, saved)

    if known and not whose.state:
        yield finding("unmanaged", "adopt", "no ledger has it: adopt it, or ask whoever made it")
    idle = now - max(each.measured.active_at for each in rows) > months * MONTH * DAY
    if idle:
        empty = not any(each.measured.images for each in rows)
        yield _idle(finding, whose, rows, months, empty=empty)
    overdue = sum(each.measured.overdue for each in rows)
    if overdue:
        yield finding(
            "overdue",
            "ask",
            f"{overdue} images should have gone by its lifecycle policy more than a day ago: compare with "
            "`simulate`, and ask AWS where that agrees",
            0.0,
        )
    if any(each.measured.images and not each.measured.has_policy for each in rows):
        yield finding(
            "unbounded", "ask", "it has no lifecycle policy, and so keeps every image for ever", 0.0
        )
    if owned and not whose.owner and whose != CACHED:
        yield finding("unowned", "ask", "nobody owns it: give its repository the property", 0.0)


def _idle(
    finding: Any,  # noqa: ANN401 - a function with a default
    whose: Whose,
    rows: Sequence[Costed],
    months: int,
    *,
    empty: bool,
) -> UsageFinding:
    pushed = max(each.measured.last_push for each in rows)
    pulled = max(each.measured.last_pull for each in rows)
    last = f"the last push was on {shown_date(pushed)}" if pushed else "no push is on record"
    last += f", the last pull on {shown_date(pulled)}" if pulled else ", no pull is on record"
    what = (
        f"it has been empty for {months} months"
        if empty
        else f"nobody pushed or pulled for {months} months ({last})"
    )
    kind = "empty" if empty else "unused"
    made: UsageFinding
    if whose.state in {"kept", "retiring"}:
        then = "retire it" if empty else "empty it by `ecr-estate empty`, then retire it"
        made = finding(kind, "retire", f"{what}: {then}")
    elif whose.state == "active" and empty:
        made = finding(kind, "exclude", f"{what}: exclude its repository from the selection")
    elif whose.state == "active":
        made = finding(kind, "archive", f"{what}: archive its repository on GitHub")
    elif whose == CACHED:
        made = finding(kind, "ask", f"{what}: a pull fills it again, so that it can be deleted")
    else:
        made = finding(kind, "ask", f"{what}: ask whoever made it")
    return made


def proposed_settings(
    rows: Iterable[Costed], found: Iterable[UsageFinding], stack: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that would follow from what was found, and the reason of each change.

    ``stack`` are the settings of the stack's file, unchecked: what their lists have stays, and comes first. What
    an operator can only do on GitHub, or by asking somebody, is among the reasons and changes nothing.
    """
    held: dict[str, list[Costed]] = defaultdict(list)
    for row in rows:
        held[row.unit].append(row)
    exclude: list[str] = []
    retire: list[str] = []
    adopt: list[str] = []
    reasons = []
    for each in found:
        its = held[each.who]
        names = sorted({row.measured.name for row in its})
        reasons.append(f"{each.who}: {each.step}: {each.text}")
        if each.step == "exclude":
            exclude.append(its[0].whose.repository)
        elif each.step == "retire":
            retire += names
        elif each.step == "adopt":
            adopt += names
    changed: dict[str, Any] = {}
    if exclude:
        github = dict(stack.get("github") or {})
        selection = dict(github.get("selection") or {})
        selection["exclude"] = _joined(selection.get("exclude"), exclude)
        changed["github"] = {**github, "selection": selection}
    if retire:
        changed["retire"] = _joined(stack.get("retire"), retire)
    if adopt:
        changed["adopted"] = _joined(stack.get("adopted"), adopt)
    return changed, reasons


def _joined(before: object, more: Iterable[str]) -> list[str]:
    held = list(before) if isinstance(before, list) else []
    return list(dict.fromkeys((*held, *sorted(more))))


def report_json(
    rows: Sequence[Costed],
    found: Iterable[UsageFinding],
    *,
    prices: Prices,
    months: int,
    layers: bool,
    now: float,
    before: Mapping[str, int] | None = None,
    stack: str = "",
) -> dict[str, Any]:
    """Return the whole report as plain data, for a page, for `compare` and for a later report."""
    return {
        "schema": USAGE_SCHEMA,
        "stack": stack,
        "measured": shown_date(now),
        "months": months,
        "sharedLayersOnce": layers,
        "prices": prices.model_dump(mode="json", by_alias=True),
        "byMonth": [
            sum(row.measured.by_month[month] for row in rows) for month in range(MONTHS_SHOWN)
        ],
        "imageRepositories": [
            {
                "registry": row.measured.registry,
                "name": row.measured.name,
                "service": row.whose.service,
                "owner": row.whose.owner,
                "state": row.whose.state,
                "part": row.whose.part,
                "created": shown_date(row.measured.created),
                "images": row.measured.images,
                "tagged": row.measured.tagged,
                "standardBytes": row.measured.standard,
                "archiveBytes": row.measured.archive,
                "lastPush": shown_date(row.measured.last_push),
                "lastPull": shown_date(row.measured.last_pull),
                "pushedImages": row.measured.pushed,
                "pushedBytes": row.measured.pushed_bytes,
                "overdueImages": row.measured.overdue,
                "lifecyclePolicy": row.measured.has_policy,
                "platforms": dict(row.measured.platforms),
                "storageCost": round(row.storage, 8),
                "transferCost": round(row.transfer, 8),
                "scanningCost": round(row.scanning, 8),
            }
            for row in rows
        ],
        **{
            f"by{by.capitalize()}": [_figure_json(each) for each in figures_by(rows, by, before)]
            for by in GROUPINGS
            if by != "repository"
        },
        "findings": [
            {
                "finding": each.kind,
                "what": each.who,
                "owner": each.owner,
                "step": each.step,
                "text": each.text,
                "cost": round(each.cost, 8),
            }
            for each in found
        ],
    }


def _figure_json(each: Figure) -> dict[str, Any]:
    return {
        "name": each.name,
        "imageRepositories": each.repositories,
        "images": each.images,
        "bytes": each.stored,
        "growthBytes": each.grown,
        "lastPush": shown_date(each.last_push),
        "lastPull": shown_date(each.last_pull),
        "storageCost": round(each.storage, 8),
        "transferCost": round(each.transfer, 8),
        "scanningCost": round(each.scanning, 8),
        "cost": round(each.cost, 8),
    }
