"""Locations: which image repositories each service holds, and the state of each.

Owns the life of an image repository: active while it is asked for, kept when it no longer is, and
retiring when an operator says so; it ends only when it was retiring already and holds no image.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from ecr.errors import Guard
from ecr.ledger.ledger import LedgerState
from ecr.plan.architectures import Architecture, replicas_of, staged
from ecr.plan.identity import STANDS, guard
from ecr.plan.model import LeftOut, Observed
from ecr.plan.services import Service
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings


@dataclass(frozen=True, slots=True)
class Settled:
    """The services of the whole estate with their image repositories in their new states.

    What is told, what is left out and what the guard counts are this stack's.
    """

    services: tuple[Service, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    guard: Guard


def settle(
    services: Iterable[Service],
    settings: Settings,
    place: Architecture,
    observed: Observed,
    *,
    taken: AbstractSet[str],
    today: str,
) -> Settled:
    """Settle which image repositories each service holds from now on, and the state of each.

    ``taken`` are locations where image repositories of other hands stand: a further image repository
    of a service that stands there is left out. Replicas that would no longer be filled are held as
    they are while the guard that counts them is not confirmed.
    """
    known = tuple(services)
    settled: list[Service] = []
    left_out: list[LeftOut] = []
    notes: list[str] = []
    for service in known:
        told = notes if service.ours else []
        asked = _asked_for(service, settings, place)
        free = asked.without(taken - {location for location, _ in service.locations()})
        if service.ours:
            left_out += _in_the_way(service, asked, free)
        settled.append(_settled(service, free, settings, observed, told, today=today))
    unfilled = {
        location: f"{location}: its service no longer asks for a replica"
        for before, after in zip(known, settled, strict=True)
        if before.active and before.ours
        for location, state in before.entry.replicas.items()
        if state == "active" and after.entry.replicas.get(location) != "active"
    }
    fillings = sum(
        state == "active" for each in known if each.ours for state in each.entry.replicas.values()
    )
    counted = guard(
        "replicas would no longer be filled",
        "unfilled_replicas",
        list(unfilled.values()),
        fillings,
        settings,
    )
    if counted.tripped:
        settled = [_still_filled(each, unfilled.keys(), settings) for each in settled]
    return Settled(
        tuple(each for each in settled if each.active or any(each.locations())),
        tuple(left_out),
        tuple(notes),
        counted,
    )


class _Asked(NamedTuple):
    """The placements that a service asks for, and its replicas as pairs with what fills them."""

    placements: tuple[Placement, ...]
    fillings: tuple[tuple[Placement, Placement], ...]

    def without(self, locations: AbstractSet[str]) -> Self:
        """Return what is asked for elsewhere than there."""
        return type(self)(
            tuple(each for each in self.placements if each.location not in locations),
            tuple(pair for pair in self.fillings if pair[1].location not in locations),
        )

    def locations(self) -> Iterator[str]:
        """Yield the locations of all of them."""
        yield from (each.location for each in self.placements)
        yield from (replica.location for _, replica in self.fillings)


def _asked_for(service: Service, settings: Settings, place: Architecture) -> _Asked:
    """Return what a service asks for; one that is held asks for what it has."""
    if service.held:
        return _Asked(
            tuple(map(Placement.at, service.entry.placements)),
            _fillings_of(service, service.entry.replicas, settings),
        )
    placements = tuple(placement for image in service.images for placement in place(image))
    pairs = replicas_of(placements, service.repository, settings) if service.repository else ()
    return _Asked(placements, tuple(pairs))


def _fillings_of(
    service: Service, locations: Iterable[str], settings: Settings
) -> tuple[tuple[Placement, Placement], ...]:
    """Return replicas that stand, each with the placement of the same name that fills it."""
    sources = [
        staged(Placement.at(location), settings)
        for location, state in service.entry.placements.items()
        if state == "active"
    ]
    serves = {
        Registry(each.account, region): each.serves
        for each in settings.replica_accounts
        for region in each.regions
    }
    return tuple(
        (source, replica)
        for replica in map(Placement.at, locations)
        for source in sources
        if source.name == replica.name
        and serves.get(replica.registry) in {None, source.stage}
        and service.entry.replicas.get(replica.location) == "active"
    )


def _in_the_way(service: Service, asked: _Asked, free: _Asked) -> Iterator[LeftOut]:
    """Say which image repositories of a service are not made, for others' stand there."""
    left = dict.fromkeys(free.locations())
    for location in asked.locations():
        if location not in left:
            yield LeftOut(
                service.github_id,
                service.entry.repository,
                f"{location} {STANDS}, or choose another name under `names`",
                location,
            )


def _settled(
    service: Service,
    asked: _Asked,
    settings: Settings,
    observed: Observed,
    notes: list[str],
    *,
    today: str,
) -> Service:
    """Return the service with the states of all its image repositories carried forward."""
    entry = service.entry
    if service.held:
        return replace(service, fillings=asked.fillings)
    replicas = [replica for _, replica in asked.fillings]
    # A registry may turn from a Lambda account into an account set, or back: what stands there
    # goes on as what it is asked for now, and is one image repository still.
    stood = _without(entry.placements, replicas)
    filled = _without(entry.replicas, asked.placements)
    done = replace(
        entry,
        placements=_carried(stood, asked.placements, settings, observed, notes),
        replicas=_carried(filled, replicas, settings, observed, notes),
    )
    states = {*done.placements.values(), *done.replicas.values()}
    if entry.state != "active" and states:
        done = done.moved_to("retiring" if states == {"retiring"} else "kept", today)
    return replace(service, entry=done, fillings=asked.fillings)


def _still_filled(service: Service, unfilled: Container[str], settings: Settings) -> Service:
    """Return the service with those of its replicas that the guard counted filled as before."""
    counted = [location for location in service.entry.replicas if location in unfilled]
    if not counted:
        return service
    held = replace(
        service,
        entry=replace(
            service.entry,
            replicas={**service.entry.replicas, **dict.fromkeys(counted, "active")},
        ),
    )
    return replace(held, fillings=(*service.fillings, *_fillings_of(held, counted, settings)))


def _without(held: Mapping[str, LedgerState], other: Iterable[Placement]) -> dict[str, LedgerState]:
    """Leave out the locations that are asked for as something else."""
    taken = {placement.location for placement in other}
    return {location: state for location, state in held.items() if location not in taken}


def _carried(
    held: Mapping[str, LedgerState],
    asked: Iterable[Placement],
    settings: Settings,
    observed: Observed,
    notes: list[str],
) -> dict[str, LedgerState]:
    """Carry the states of an entry's locations forward.

    What is asked for is active, and comes first, in the order in which it is asked for; the engine
    gives the ledger back in no order.
    """
    states: dict[str, LedgerState] = {placement.location: "active" for placement in asked}
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
                f"retire, second step: {location} still holds {images} {'image' if images == 1 else 'images'}, and ECR deletes "
                "none; delete them with `aws ecr batch-delete-image`, and deploy again"
            )
        else:
            notes.append(f"retire, second step: {location} holds no image and is deleted now")
    return states
