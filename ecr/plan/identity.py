"""Identity: which service each GitHub repository is, by the ledger of the deployment before.

Owns who is who: a name is chosen once and frozen; a repository that is gone, archived or deselected
is kept; a new one never takes what another had. What a lost or interrupted deployment left in AWS is
known again by its tags. It deletes nothing on the word of a listing, and counts what changes at once.
"""

from collections import defaultdict
from collections.abc import Container, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from pydantic.alias_generators import to_camel

from ecr.errors import Guard
from ecr.github.model import Inventory, Repository
from ecr.ledger.ledger import Entry, Ledger
from ecr.plan.architectures import Architecture, configured_registries, staged
from ecr.plan.caches import cached
from ecr.plan.images import image_names
from ecr.plan.model import LeftOut, Observed
from ecr.plan.namespaces import misplaced, namespace_of, placed_name
from ecr.plan.naming import NameRefusedError, chosen_name, why_refused
from ecr.plan.services import Service
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings

STANDS = "stands already, made by other hands; adopt it (`ecr-estate adopt` says what that means)"
"""Why a location cannot be had, and the first remedy."""

Taken = AbstractSet[str]
"""Locations where image repositories of other hands stand."""

Notes = dict[int, list[str]]
"""What to tell of each service, by GitHub id."""

ALWAYS_ALLOWED = 3
"""Changes of one kind that always pass; more are held where they are over the share, too."""

ALLOWED_SHARE = 0.05
"""The share of the services that may change in one way at once, where that is more than the count above."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Every service that the estate holds, in the order of GitHub ids, and what an operator should hear."""

    services: tuple[Service, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    guards: tuple[Guard, ...] = ()


def identify(
    inventory: Inventory,
    ledger: Ledger,
    settings: Settings,
    place: Architecture,
    today: str,
    *,
    taken: Taken = frozenset(),
) -> Identities:
    """Carry the ledger forward to this inventory, and count what vanishes or is renamed.

    The services are the whole estate's, so that no two of its stacks choose alike; what is told and
    counted is this stack's. What a guard counts is held as the ledger has it. ``taken`` are locations
    where image repositories of other hands stand: a name that would need one is not chosen.
    """
    selected = {
        repository.id: repository
        for repository in inventory.repositories
        if repository.id not in inventory.deselected
    }
    notes: Notes = defaultdict(list)
    owns = ledger.shard.owns
    known = _succeeded(ledger, selected, settings, notes)
    mine = {github_id: entry for github_id, entry in known.items() if owns(github_id)}
    vanished, renamed = _vanished(mine, inventory, selected), _renamed(mine, selected)
    active = sum(entry.state == "active" for entry in mine.values())
    guards = (
        guard("services would vanish", "vanished", list(vanished.values()), active, settings),
        guard("repositories are renamed", "renamed", list(renamed.values()), active, settings),
    )
    gone, called = (
        each.keys() if held.tripped else frozenset[int]()
        for held, each in zip(guards, (vanished, renamed), strict=True)
    )
    listed = {repository.id: repository for repository in inventory.repositories}
    entries = {
        github_id: entry
        if github_id in gone
        else _carried_forward(
            github_id,
            entry,
            selected,
            listed,
            inventory,
            today=today,
            notes=notes[github_id],
            renaming=github_id not in called,
        )
        for github_id, entry in known.items()
    }
    holders = _LocationIndex(entries, settings, place, taken)
    _rename(entries, selected, settings, holders=holders, notes=notes)
    newcomers = [selected[github_id] for github_id in sorted(selected.keys() - entries.keys())]
    left_out = _admit(newcomers, entries, settings, holders=holders, today=today)
    images, refused = _images(entries, selected, settings, holders)
    out = sorted((*left_out, *refused), key=lambda each: (each.id, each.reason))
    idle = [
        f"images.named.services: there is no active service {service}"
        for service in sorted(
            settings.images.named.services.keys() - {names[0] for names in images.values()}
        )
    ]
    services = tuple(
        Service(
            github_id,
            entries[github_id],
            listed.get(github_id),
            _images_held(entries[github_id], settings)
            if github_id in gone
            else images.get(github_id, ()),
            ours=owns(github_id),
            held=github_id in gone,
        )
        for github_id in sorted(entries)
    )
    return Identities(
        services,
        tuple(each for each in out if owns(each.id)),
        (
            *(each for github_id, said in notes.items() if owns(github_id) for each in said),
            *misplaced((each for each in services if each.ours), settings),
            *idle,
        ),
        guards,
    )


def _carried_forward(
    github_id: int,
    entry: Entry,
    selected: Mapping[int, Repository],
    listed: Mapping[int, Repository],
    inventory: Inventory,
    *,
    today: str,
    notes: list[str],
    renaming: bool,
) -> Entry:
    """Return the entry of a service as this inventory leaves it; a rename counts only where it may."""
    seen = listed.get(github_id)
    if seen and seen.name != entry.repository and renaming:
        notes.append(
            f"{entry.repository} is now called {seen.name}; its image repositories stay "
            f"{entry.service}"
        )
    why = None if github_id in selected else why_gone(github_id, inventory)
    if why and entry.state == "active":
        notes.append(f"{entry.service} is kept: {why}")
    named = replace(entry, repository=seen.name if seen and renaming else entry.repository)
    if why is None:
        return named.moved_to("active", today)
    return named.moved_to("kept" if entry.state == "active" else entry.state, today, why)


def recovered(
    ledger: Ledger,
    observed: Observed,
    sources: Container[Registry],
    owners: AbstractSet[str],
    today: str,
) -> Ledger:
    """Return the ledger with what this stack made but the ledger does not know.

    A deployment that was killed, or a state that was lost, leaves image repositories whose tags say
    which stack made them and for which GitHub id. What another stack of the estate lost is known too,
    so that nobody else is given it.
    """
    entries = dict(ledger.entries)
    for location, tags in sorted(observed.unknown.items()):
        if not made_by(tags, owners):
            continue
        github_id, placement = int(tags["github-id"]), Placement.at(location)
        entry = entries.get(github_id) or Entry(
            repository=tags.get("github-repository", placement.name),
            service=tags.get("service", placement.name),
            state="kept",
            since=today,
        )
        if placement.registry in sources:
            entries[github_id] = replace(entry, placements={**entry.placements, location: "kept"})
        else:
            entries[github_id] = replace(entry, replicas={**entry.replicas, location: "kept"})
    return replace(ledger, entries=entries)


def made_by(tags: Mapping[str, str], owners: AbstractSet[str]) -> bool:
    """Return whether an image repository's tags say that the estate made it, and for which repository.

    ``owners`` are PROJECT/STACK of all its stacks.
    """
    return tags.get("managed-by") in owners and tags.get("github-id", "").isdecimal()


def why_gone(github_id: int, inventory: Inventory) -> str:
    """Say why a repository of the ledger is not selected."""
    return inventory.deselected.get(github_id) or inventory.gone.get(
        github_id, "no longer in the organisation's list"
    )


def _succeeded(
    ledger: Ledger,
    selected: Mapping[int, Repository],
    settings: Settings,
    notes: Notes,
) -> dict[int, Entry]:
    """Return kept services to the repositories that an operator named as their successors.

    A hand-over that was interrupted leaves its new image repositories under the successor's id; they
    are of the same service, and join it.
    """
    of = ledger.shard.count
    entries = dict(ledger.entries)
    for github_id, entry in ledger.entries.items():
        successor = settings.successors.get(entry.service)
        if successor is None or successor == github_id:
            continue
        there = entries.get(successor)
        if entry.state == "active" and github_id in selected:
            told = "is ignored, for its repository is still there"
        elif successor not in selected:
            told = f"waits, for {successor} is not selected"
        elif successor % of != github_id % of:
            told = f"is ignored, for {successor} belongs to another stack of the estate"
        elif there and there.service != entry.service:
            told = f"is ignored, for {successor} is {there.service} already"
        else:
            notes[github_id].append(
                f"{entry.service} goes to {selected[successor].name} ({successor})"
            )
            del entries[github_id]
            entries[successor] = replace(
                entry,
                placements={**(there.placements if there else {}), **entry.placements},
                replicas={**(there.replicas if there else {}), **entry.replicas},
            )
            continue
        notes[github_id].append(f"successors: {entry.service} {told}")
    return entries


class _LocationIndex:
    """Which GitHub id has each location: what it holds, and what is yet to be made for it.

    By id and never by name: a repository that is gone keeps its name here, which another may bear now.
    """

    def __init__(
        self,
        entries: Mapping[int, Entry],
        settings: Settings,
        place: Architecture,
        taken: Taken,
    ) -> None:
        self.place = place
        self._taken = taken
        self._entries = entries
        self._settings = settings
        self._registries = [registry.key for registry in configured_registries(settings)]
        self._ids: dict[str, int] = {}
        for github_id, entry in entries.items():
            self.claim(entry.service, github_id)
        for github_id, entry in entries.items():
            self._ids.update(dict.fromkeys((*entry.placements, *entry.replicas), github_id))

    def other(self, name: str, github_id: int) -> str | None:
        """Return the repository of another id that has this name, in whichever registry; or None."""
        locations = (f"{key}/{each.name}" for each in self.place(name) for key in self._registries)
        ids = (self._ids.get(location, github_id) for location in locations)
        owner = next((each for each in ids if each != github_id), None)
        return None if owner is None else self._entries[owner].repository

    def stands(self, name: str, github_id: int) -> str | None:
        """Return the location under this name where an image repository of other hands stands, or None.

        What the id holds already, the engine or the ledger answers for.
        """
        return next(
            (
                each.location
                for each in self.place(name)
                if each.location in self._taken and each.location not in self._held_by(github_id)
            ),
            None,
        )

    def cached(self, name: str) -> str | None:
        """Say which cache has this name in whichever registry, or None."""
        if not self._settings.pull_through_cache.rules:
            return None
        places = (
            Placement(Registry.parse(key), each.name)
            for each in self.place(name)
            for key in self._registries
        )
        source = next(filter(None, (cached(each, self._settings) for each in places)), None)
        return source and f"{name} is within the cache of {source} (pullThroughCache)"

    def _held_by(self, github_id: int) -> Container[str]:
        entry = self._entries.get(github_id)
        return {*entry.placements, *entry.replicas} if entry else ()

    def claim(self, name: str, github_id: int) -> None:
        """Return a name to an id."""
        self._ids.update({each.location: github_id for each in self.place(name)})


def _refusal(name: str, place: Architecture) -> str | None:
    """Say why ECR would refuse an image repository of a service of this name; None if it would not."""
    return next(filter(None, (why_refused(each.name) for each in place(name))), None)


def _rename(
    entries: dict[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    *,
    holders: _LocationIndex,
    notes: Notes,
) -> None:
    """Return services the other names that an operator chose; what they had is kept beside it."""
    for github_id, entry in entries.items():
        name = (
            chosen_name(selected[github_id].name, settings.chosen_names)
            if github_id in selected
            else None
        )
        if name is None or name == entry.service:
            continue
        owner = holders.other(name, github_id)
        refused = _refusal(name, holders.place) or holders.cached(name)
        stands = holders.stands(name, github_id)
        if owner or refused or stands:
            why = f"{name} belongs to {owner}" if owner else refused or f"{stands} {STANDS}"
            notes[github_id].append(f"names: {entry.repository} stays {entry.service}, for {why}")
            continue
        notes[github_id].append(
            f"{entry.repository} goes to {name} from now on; the images that it has in "
            f"{entry.service} are kept there"
        )
        holders.claim(name, github_id)
        entries[github_id] = replace(entry, service=name)


def _admit(
    newcomers: list[Repository],
    entries: dict[int, Entry],
    settings: Settings,
    *,
    holders: _LocationIndex,
    today: str,
) -> list[LeftOut]:
    """Choose a name for each new repository, the oldest first, and enter those that can be placed."""
    left_out = []
    for repository in newcomers:
        try:
            name = placed_name(repository, settings)
        except NameRefusedError as refused:
            left_out.append(LeftOut(repository.id, repository.name, f"{refused}; {refused.remedy}"))
            continue
        if refusal := _refusal(name, holders.place):
            left_out.append(
                LeftOut(repository.id, repository.name, f"{refusal}; choose a shorter one")
            )
            continue
        if within := holders.cached(name):
            left_out.append(
                LeftOut(repository.id, repository.name, f"{within}; choose another under `names`")
            )
            continue
        if owner := holders.other(name, repository.id):
            left_out.append(
                LeftOut(
                    repository.id,
                    repository.name,
                    f"the image repository {name} belongs to {owner}; choose another under `names`, "
                    "or hand it over under `successors`",
                )
            )
            continue
        if stands := holders.stands(name, repository.id):
            left_out.append(
                LeftOut(
                    repository.id,
                    repository.name,
                    f"{stands} {STANDS}, choose another name under `names`, or exclude the repository",
                    stands,
                )
            )
            continue
        holders.claim(name, repository.id)
        entries[repository.id] = Entry(repository.name, name, "active", today)
    return left_out


def _images(
    entries: Mapping[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    holders: _LocationIndex,
) -> tuple[dict[int, tuple[str, ...]], list[LeftOut]]:
    """Return the images of every active service, and those that cannot be placed.

    A service's own name was settled before; only a further image can be refused.
    """
    images: dict[int, tuple[str, ...]] = {}
    left_out = []
    for github_id, entry in entries.items():
        if github_id not in selected:
            continue
        own, *further = image_names(entry.service, selected[github_id], settings.images.named)
        names = [own]
        for name in further:
            refusal = _image_refusal(name, github_id, entry.service, settings, holders)
            if refusal:
                told = f"its image {name}: {refusal}; declare it under another name"
                left_out.append(LeftOut(github_id, entry.repository, told))
                continue
            holders.claim(name, github_id)
            names.append(name)
        images[github_id] = tuple(names)
    return images, left_out


def _images_held(entry: Entry, settings: Settings) -> tuple[str, ...]:
    """Return the names of the images that a service has, by its active placements."""
    names = (
        placement.name.removesuffix(f"-{placement.stage}")
        if settings.architecture == "per-stage"
        else placement.name
        for placement in (
            staged(Placement.at(location), settings)
            for location, state in sorted(entry.placements.items())
            if state == "active"
        )
    )
    return tuple(dict.fromkeys((entry.service, *names)))


def _image_refusal(
    name: str, github_id: int, service: str, settings: Settings, holders: _LocationIndex
) -> str | None:
    within = namespace_of(service, settings)
    if any(namespace_of(each.name, settings) != within for each in holders.place(name)):
        return f"{service} is the name of a namespace"
    if owner := holders.other(name, github_id):
        return f"the image repository belongs to {owner}"
    if stands := holders.stands(name, github_id):
        return f"{stands} {STANDS}"
    return _refusal(name, holders.place) or holders.cached(name)


def _vanished(
    entries: Mapping[int, Entry], inventory: Inventory, selected: Container[int]
) -> dict[int, str]:
    """Return the active services whose repository is no longer selected, each with the reason."""
    return {
        github_id: f"{entry.service}: {why_gone(github_id, inventory)}"
        for github_id, entry in entries.items()
        if entry.state == "active" and github_id not in selected
    }


def _renamed(entries: Mapping[int, Entry], selected: Mapping[int, Repository]) -> dict[int, str]:
    """Return the active services whose repository has another name on GitHub, each with that name."""
    return {
        github_id: f"{entry.repository}: now called {selected[github_id].name}"
        for github_id, entry in entries.items()
        if entry.state == "active"
        and github_id in selected
        and selected[github_id].name != entry.repository
    }


def guard(what: str, key: str, offences: list[str], among: int, settings: Settings) -> Guard:
    """Return a guard that lets max(3, 5 %) change at once, or the count that was confirmed."""
    return Guard(
        key=to_camel(key),
        what=what,
        among=among,
        allowed=max(ALWAYS_ALLOWED, int(among * ALLOWED_SHARE)),
        confirmed=getattr(settings.confirm, key),
        offences=tuple(offences),
    )
