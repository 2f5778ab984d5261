"""Locations: which image repositories each service holds, and the state of each.

Owns the life of an image repository: active while it is asked for, kept when it no longer is, and
retiring when an operator says so; it ends only when it was retiring already and holds no image.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ecr.errors import Guard
from ecr.github.model import Repository
from ecr.ledger.ledger import Entry, State
from ecr.ledger.shards import Shard
from ecr.plan.architectures import Architecture, replicas_of
from ecr.plan.identity import Identities, guard
from ecr.plan.model import Observed
from ecr.registry.registry import Placement
from ecr.settings.models import Settings


def settle(
    identities: Identities,
    repositories: Mapping[int, Repository],
    settings: Settings,
    place: Architecture,
    observed: Observed,
    *,
    shard: Shard,
    today: str,
) -> tuple[dict[int, Entry], tuple[str, ...], Guard]:
    """Give every entry with its image repositories in their new states, what to tell, and a guard.

    The entries are the whole estate's. What is told, and the replicas that would no longer be filled,
    which the guard counts, are this stack's.
    """
    settled: dict[int, Entry] = {}
    notes: list[str] = []
    ended: list[str] = []
    entries = identities.entries
    for number, entry in entries.items():
        told = notes if shard.owns(number) else []
        names = identities.images.get(number, ())
        placements = tuple(placement for name in names for placement in place(name))
        repository = repositories.get(number)
        pairs = replicas_of(placements, repository, settings) if repository else ()
        replicas = [replica for _, replica in pairs]
        # A registry may turn from a Lambda account into an account set, or back: what stands there
        # goes on as what it is asked for now, and is one image repository still.
        held, filled = _without(entry.placements, replicas), _without(entry.replicas, placements)
        done = replace(
            entry,
            placements=_carried(held, placements, settings, observed, told),
            replicas=_carried(filled, replicas, settings, observed, told),
        )
        if entry.state == "active" and shard.owns(number):
            ended += [
                f"{location}: its service no longer asks for a replica"
                for location, state in entry.replicas.items()
                if state == "active" and done.replicas.get(location) != "active"
            ]
        states = {*done.placements.values(), *done.replicas.values()}
        if entry.state == "active":
            settled[number] = done
        elif states:
            settled[number] = done.moved_to("retiring" if states == {"retiring"} else "kept", today)
    fillings = sum(
        state == "active"
        for number, entry in entries.items()
        if shard.owns(number)
        for state in entry.replicas.values()
    )
    ending = guard(
        "replicas would no longer be filled", "ended_replicas", ended, fillings, settings
    )
    return settled, tuple(notes), ending


def _without(held: Mapping[str, State], other: Iterable[Placement]) -> dict[str, State]:
    """Leave out the locations that are asked for as something else."""
    taken = {placement.location for placement in other}
    return {location: state for location, state in held.items() if location not in taken}


def _carried(
    held: Mapping[str, State],
    asked: Iterable[Placement],
    settings: Settings,
    observed: Observed,
    notes: list[str],
) -> dict[str, State]:
    """Carry the states of an entry's locations forward.

    What is asked for is active, and comes first, in the order in which it is asked for; the engine
    gives the ledger back in no order.
    """
    states: dict[str, State] = {placement.location: "active" for placement in asked}
    for location, state in sorted(held.items()):
        name = Placement.at(location).name
        if location in states:
            if name in settings.retire:
                notes.append(f"retire: {location} is not retired, for it is asked for")
        elif name not in settings.retire:
            states[location] = "kept"
        elif state == "active":
            states[location] = "kept"
            notes.append(
                f"retire: {location} is not retired, for it is kept from now on, not before"
            )
        elif state == "kept":
            states[location] = "retiring"
            notes.append(
                f"retire, first step: {location} is no longer protected; it ends with the next "
                "deployment, unless the entry is removed before"
            )
        elif images := observed.images.get(location):
            states[location] = "retiring"
            notes.append(
                f"retire, second step: {location} still holds {images} image(s), and ECR deletes "
                "none; delete them with `aws ecr batch-delete-image`, and deploy again"
            )
        else:
            notes.append(f"retire, second step: {location} holds no image and is deleted now")
    return states
