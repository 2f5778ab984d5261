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
from ecr.plan.architectures import Architecture, configured_registries
from ecr.plan.images import image_names
from ecr.plan.model import LeftOut, Observed
from ecr.plan.namespaces import misplaced, namespace_of, placed_name
from ecr.plan.naming import NameRefusedError, chosen_name, why_refused
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings

Notes = dict[int, list[str]]
"""What to tell of each service, by GitHub id."""

FEWEST_TO_STOP = 3
"""Changes of one kind that always pass; more stop the deployment where they are over the share, too."""

SHARE_TO_STOP = 0.05
"""The share of the services that may change in one way at once, where that is more than the number."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Every service that the estate holds, by GitHub id, and what an operator should hear.

    ``images`` are the names of the images of each active service, its own the first.
    """

    entries: Mapping[int, Entry]
    images: Mapping[int, tuple[str, ...]]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    guards: tuple[Guard, ...] = ()


def identify(
    inventory: Inventory, ledger: Ledger, settings: Settings, place: Architecture, today: str
) -> Identities:
    """Carry the ledger forward to this inventory, and count what vanishes or is renamed.

    The entries are the whole estate's, so that no two of its stacks choose alike; what is told and
    counted is this stack's.
    """
    selected = {
        repository.id: repository
        for repository in inventory.repositories
        if repository.id not in inventory.deselected
    }
    notes: Notes = defaultdict(list)
    owns = ledger.shard.owns
    known = _succeeded(ledger, selected, settings, notes)
    mine = {number: entry for number, entry in known.items() if owns(number)}
    guards = _guards(mine, inventory, selected, settings)
    listed = {repository.id: repository for repository in inventory.repositories}
    entries: dict[int, Entry] = {}
    for number, entry in known.items():
        seen = listed.get(number)
        if seen and seen.name != entry.repository:
            notes[number].append(
                f"{entry.repository} is now called {seen.name}; its image repositories stay "
                f"{entry.service}"
            )
        if number not in selected and entry.state == "active":
            notes[number].append(f"{entry.service} is kept: {why_gone(number, inventory)}")
        renamed = replace(entry, repository=seen.name if seen else entry.repository)
        entries[number] = (
            renamed.moved_to("active", today)
            if number in selected
            else renamed.moved_to(
                "kept" if entry.state == "active" else entry.state,
                today,
                why_gone(number, inventory),
            )
        )
    owners = _Owners(entries, settings, place)
    _move(entries, selected, settings, owners=owners, notes=notes)
    newcomers = [selected[number] for number in sorted(selected.keys() - entries.keys())]
    left_out = _admit(newcomers, entries, settings, owners=owners, today=today)
    images, refused = _images(entries, selected, settings, owners)
    out = sorted((*left_out, *refused), key=lambda each: (each.id, each.reason))
    idle = [
        f"images.named.services: there is no active service {service}"
        for service in sorted(
            settings.images.named.services.keys() - {names[0] for names in images.values()}
        )
    ]
    return Identities(
        entries,
        images,
        tuple(each for each in out if owns(each.id)),
        (
            *(each for number, said in notes.items() if owns(number) for each in said),
            *misplaced({each: entries[each] for each in entries if owns(each)}, listed, settings),
            *idle,
        ),
        guards,
    )


def recovered(
    ledger: Ledger,
    observed: Observed,
    sources: Container[Registry],
    owners: AbstractSet[str],
    today: str,
) -> Ledger:
    """Give the ledger with what this stack made but the ledger does not know.

    A deployment that was killed, or a state that was lost, leaves image repositories whose tags say
    which stack made them and for which GitHub id. What another stack of the estate lost is known too,
    so that nobody else is given it.
    """
    entries = dict(ledger.entries)
    for location, tags in sorted(observed.unknown.items()):
        if not made_by(tags, owners):
            continue
        number, placement = int(tags["github-id"]), Placement.at(location)
        entry = entries.get(number) or Entry(
            repository=tags.get("github-repository", placement.name),
            service=tags.get("service", placement.name),
            state="kept",
            since=today,
        )
        if placement.registry in sources:
            entries[number] = replace(entry, placements={**entry.placements, location: "kept"})
        else:
            entries[number] = replace(entry, replicas={**entry.replicas, location: "kept"})
    return replace(ledger, entries=entries)


def made_by(tags: Mapping[str, str], owners: AbstractSet[str]) -> bool:
    """Whether an image repository's tags say that the estate made it, and for which repository.

    ``owners`` are PROJECT/STACK of all its stacks.
    """
    return tags.get("managed-by") in owners and tags.get("github-id", "").isdecimal()


def why_gone(number: int, inventory: Inventory) -> str:
    """Say why a repository of the ledger is not selected."""
    return inventory.deselected.get(number) or inventory.gone.get(
        number, "no longer in the organisation's list"
    )


def _succeeded(
    ledger: Ledger,
    selected: Mapping[int, Repository],
    settings: Settings,
    notes: Notes,
) -> dict[int, Entry]:
    """Give kept services to the repositories that an operator named as their successors.

    A hand-over that was interrupted leaves its new image repositories under the successor's id; they
    are of the same service, and join it.
    """
    of = ledger.shard.of
    entries = dict(ledger.entries)
    for number, entry in ledger.entries.items():
        successor = settings.successors.get(entry.service)
        if successor is None or successor == number:
            continue
        there = entries.get(successor)
        if entry.state == "active" and number in selected:
            told = "is ignored, for its repository is still there"
        elif successor not in selected:
            told = f"waits, for {successor} is not selected"
        elif successor % of != number % of:
            told = f"is ignored, for {successor} belongs to another stack of the estate"
        elif there and there.service != entry.service:
            told = f"is ignored, for {successor} is {there.service} already"
        else:
            notes[number].append(
                f"{entry.service} goes to {selected[successor].name} ({successor})"
            )
            del entries[number]
            entries[successor] = replace(
                entry,
                placements={**(there.placements if there else {}), **entry.placements},
                replicas={**(there.replicas if there else {}), **entry.replicas},
            )
            continue
        notes[number].append(f"successors: {entry.service} {told}")
    return entries


class _Owners:
    """Which GitHub id has each location: what it holds, and what is yet to be made for it.

    By id and never by name: a repository that is gone keeps its name here, which another may bear now.
    """

    def __init__(
        self, entries: Mapping[int, Entry], settings: Settings, place: Architecture
    ) -> None:
        self.place = place
        self._entries = entries
        self._registries = [registry.key for registry in configured_registries(settings)]
        self._ids: dict[str, int] = {}
        for number, entry in entries.items():
            self.claim(entry.service, number)
        for number, entry in entries.items():
            self._ids.update(dict.fromkeys((*entry.placements, *entry.replicas), number))

    def other(self, name: str, number: int) -> str | None:
        """Give the repository of another id that has this name, in whichever registry; or None."""
        locations = (f"{key}/{each.name}" for each in self.place(name) for key in self._registries)
        ids = (self._ids.get(location, number) for location in locations)
        owner = next((each for each in ids if each != number), None)
        return None if owner is None else self._entries[owner].repository

    def claim(self, name: str, number: int) -> None:
        """Give a name to an id."""
        self._ids.update({each.location: number for each in self.place(name)})


def _refusal(name: str, place: Architecture) -> str | None:
    """Say why ECR would refuse an image repository of a service of this name; None if it would not."""
    return next(filter(None, (why_refused(each.name) for each in place(name))), None)


def _move(
    entries: dict[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    *,
    owners: _Owners,
    notes: Notes,
) -> None:
    """Give services the other names that an operator chose; what they had is kept beside it."""
    for number, entry in entries.items():
        name = chosen_name(selected[number].name, settings.names) if number in selected else None
        if name is None or name == entry.service:
            continue
        owner, refused = owners.other(name, number), _refusal(name, owners.place)
        if owner or refused:
            why = f"{name} belongs to {owner}" if owner else refused
            notes[number].append(f"names: {entry.repository} stays {entry.service}, for {why}")
            continue
        notes[number].append(
            f"{entry.repository} goes to {name} from now on; the images that it has in "
            f"{entry.service} are kept there"
        )
        owners.claim(name, number)
        entries[number] = replace(entry, service=name)


def _admit(
    newcomers: list[Repository],
    entries: dict[int, Entry],
    settings: Settings,
    *,
    owners: _Owners,
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
        if refusal := _refusal(name, owners.place):
            left_out.append(
                LeftOut(repository.id, repository.name, f"{refusal}; choose a shorter one")
            )
            continue
        if owner := owners.other(name, repository.id):
            left_out.append(
                LeftOut(
                    repository.id,
                    repository.name,
                    f"the image repository {name} belongs to {owner}; choose another under `names`, "
                    "or hand it over under `successors`",
                )
            )
            continue
        owners.claim(name, repository.id)
        entries[repository.id] = Entry(repository.name, name, "active", today)
    return left_out


def _images(
    entries: Mapping[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    owners: _Owners,
) -> tuple[dict[int, tuple[str, ...]], list[LeftOut]]:
    """Give the images of every active service, and those that cannot be placed.

    A service's own name was settled before; only a further image can be refused.
    """
    images: dict[int, tuple[str, ...]] = {}
    left_out = []
    for number, entry in entries.items():
        if number not in selected:
            continue
        own, *further = image_names(entry.service, selected[number], settings.images.named)
        names = [own]
        for name in further:
            refusal = _image_refusal(name, number, entry.service, settings, owners)
            if refusal:
                told = f"its image {name}: {refusal}; declare it under another name"
                left_out.append(LeftOut(number, entry.repository, told))
                continue
            owners.claim(name, number)
            names.append(name)
        images[number] = tuple(names)
    return images, left_out


def _image_refusal(
    name: str, number: int, service: str, settings: Settings, owners: _Owners
) -> str | None:
    within = namespace_of(service, settings)
    if any(namespace_of(each.name, settings) != within for each in owners.place(name)):
        return f"{service} is the name of a namespace"
    if owner := owners.other(name, number):
        return f"the image repository belongs to {owner}"
    return _refusal(name, owners.place)


def _guards(
    entries: Mapping[int, Entry],
    inventory: Inventory,
    selected: Mapping[int, Repository],
    settings: Settings,
) -> tuple[Guard, ...]:
    active = {number: entry for number, entry in entries.items() if entry.state == "active"}
    vanished = [
        f"{entry.service}: {why_gone(number, inventory)}"
        for number, entry in active.items()
        if number not in selected
    ]
    renamed = [
        f"{entry.repository}: now called {selected[number].name}"
        for number, entry in active.items()
        if number in selected and selected[number].name != entry.repository
    ]
    return (
        guard("services would vanish", "vanished", vanished, len(active), settings),
        guard("repositories are renamed", "renamed", renamed, len(active), settings),
    )


def guard(what: str, key: str, offences: list[str], among: int, settings: Settings) -> Guard:
    """Give a guard that lets max(3, 5 %) change at once, or the number that was confirmed."""
    return Guard(
        key=to_camel(key),
        what=what,
        among=among,
        allowed=max(FEWEST_TO_STOP, int(among * SHARE_TO_STOP)),
        confirmed=getattr(settings.confirm, key),
        offences=tuple(offences),
    )
