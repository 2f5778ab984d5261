"""Changes: what a deployment does to the estate, in the words of its operator, each with the reason.

Owns the comparison of the ledger before with the plan. Counts image repositories as the engine does:
what is created, taken up or deleted here is one step of the engine each. What a change of the settings
does to image repositories that stay is the engine's to tell. Decides nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ecr.github.model import Inventory
from ecr.ledger.ledger import Entry, Ledger, LedgerState
from ecr.plan.identity import why_gone
from ecr.plan.model import Change, EstatePlan, Observed, What
from ecr.registry.registry import Placement

MEANINGS: Mapping[str, str] = {
    "created": "their image repositories are made",
    "taken up": "their image repositories stand already, and come under management",
    "renamed": "only a tag changes; names and images stay",
    "handed over": "another repository has them from now on; names and images stay",
    "returned": "they were kept, and their repositories are back",
    "kept": "nothing is deleted, nothing is filled any more",
    "retiring": "their image repositories are no longer protected, and end with the next deployment",
    "deleted": "their image repositories are deleted now",
    "missing": "deleted in AWS by other hands; a deployment with --refresh makes them again, empty",
    "left out": "they get no image repository, no push role or no variables, as the reason says",
}
"""Every kind of change, in the order of the summary, with what it means."""


def changes_of(
    before: Ledger, after: Ledger, inventory: Inventory, plan: EstatePlan, observed: Observed
) -> tuple[Change, ...]:
    """Return everything that the plan changes in the ledger, in the order of ``MEANINGS``."""
    found = [
        *_of_locations(before, after, plan, observed),
        *_of_services(before, after, inventory),
        *(Change("left out", each.repository, each.reason) for each in plan.left_out),
    ]
    order = list(MEANINGS)
    return tuple(sorted(found, key=lambda each: order.index(each.what)))


def to_be_made(location: str, before: Mapping[str, LedgerState], observed: Observed) -> bool:
    """Return whether the engine makes an image repository of the plan that it does not take up.

    One that the ledger knows is made where neither AWS nor the engine's state holds it: a deployment
    that failed on its way remembers what it had meant to make.
    """
    if location in observed.unknown:
        return False
    return location not in before or (
        location in observed.absent and location not in observed.managed
    )


def _of_locations(
    before: Ledger, after: Ledger, plan: EstatePlan, observed: Observed
) -> Iterator[Change]:
    old, new = _states(before.entries.values()), _states(after.entries.values())
    for github_id, entry in after.entries.items():
        held = _states([entry])
        new_one = github_id not in before.entries
        kinds: tuple[tuple[What, str, list[str]], ...] = (
            (
                "created",
                "new on GitHub" if new_one else "asked for from now on",
                [each for each in held if to_be_made(each, old, observed)],
            ),
            ("missing", "not in AWS", [each for each in held if _lost(each, observed)]),
            (
                "retiring",
                "named under retire",
                [each for each in held if held[each] == "retiring" != old.get(each)],
            ),
        )
        for what, why, of in kinds:
            if of:
                yield Change(what, entry.service, why, tuple(of))
    found = [each for each in plan.image_repositories if each.found]
    yield from _grouped(
        "taken up",
        "stands in AWS already",
        ((each.tags["service"], each.placement.location) for each in found),
    )
    yield from _grouped(
        "deleted",
        "retired, and empty",
        ((Placement.at(each).name, each) for each in old if each not in new),
    )


def _lost(location: str, observed: Observed) -> bool:
    return location in observed.absent and location in observed.managed


def _grouped(what: What, why: str, found: Iterable[tuple[str, str]]) -> Iterator[Change]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, location in found:
        groups[name].append(location)
    return (Change(what, name, why, tuple(locations)) for name, locations in groups.items())


def _of_services(before: Ledger, after: Ledger, inventory: Inventory) -> Iterator[Change]:
    owners = {
        location: entry
        for entry in before.entries.values()
        for location in (*entry.placements, *entry.replicas)
    }
    for github_id, entry in after.entries.items():
        held = _states([entry])
        was = before.entries.get(github_id)
        if was is None:
            handed = next((owners[each] for each in held if each in owners), None)
            if handed:
                yield Change(
                    "handed over",
                    entry.service,
                    f"goes to {entry.repository} ({github_id})",
                    tuple(held),
                )
            continue
        if was.repository != entry.repository:
            yield Change(
                "renamed",
                entry.service,
                f"{was.repository} is now called {entry.repository}",
                tuple(held),
            )
        if was.state == "active" != entry.state:
            yield Change("kept", entry.service, why_gone(github_id, inventory), tuple(held))
        elif was.state != "active" == entry.state:
            yield Change("returned", entry.service, "its repository is selected again", tuple(held))
        elif entry.state == "active":
            old = _states([was])
            idle = tuple(each for each in held if (old.get(each), held[each]) == ("active", "kept"))
            if idle:
                yield Change("kept", entry.service, "no longer asked for", idle)


def _states(entries: Iterable[Entry]) -> dict[str, LedgerState]:
    return {
        location: state
        for entry in entries
        for location, state in (*entry.placements.items(), *entry.replicas.items())
    }


def summary(changes: Sequence[Change]) -> dict[str, Any]:
    """Return the changes as plain data: by kind, the counts, and the names under each reason."""
    kinds: dict[str, Any] = {}
    for what in MEANINGS:
        ours = [each for each in changes if each.what == what]
        if ours:
            reasons: dict[str, list[str]] = defaultdict(list)
            for each in ours:
                reasons[each.reason].append(each.name)
            kinds[what] = {
                "services": len(ours),
                "imageRepositories": sum(len(each.locations) for each in ours),
                "reasons": dict(reasons),
            }
    return kinds
