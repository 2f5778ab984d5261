"""Identity: which service each GitHub repository is, by the ledger of the deployment before.

Owns who is who: a name is chosen once and frozen; a repository that is gone, archived or deselected
is kept; a new one never takes what another had. What a lost or interrupted deployment left in AWS is
known again by its tags. It deletes nothing on the word of a listing, and stops where too much has
changed at once.
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic.alias_generators import to_camel

from ecr.errors import EstateError
from ecr.inventory import Inventory, Repository
from ecr.ledger import Entry, Ledger
from ecr.plan.architectures import Architecture
from ecr.plan.model import LeftOut, Observed, Placement, Registry
from ecr.plan.namespaces import misplaced, placed_name
from ecr.plan.naming import NameRefusedError, chosen_name, why_refused
from ecr.settings import Settings

FEWEST_TO_STOP = 3
SHARE_TO_STOP = 0.05
"""More changes of one kind than both of these at once stop the deployment."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Every service that the estate holds, by GitHub id, and what an operator should hear."""

    entries: Mapping[int, Entry]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def identify(
    inventory: Inventory, ledger: Ledger, settings: Settings, place: Architecture, today: str
) -> Identities:
    """Carry the ledger forward to this inventory.

    Raises EstateError when more services vanish or are renamed than an operator has confirmed.
    """
    selected = {
        repository.id: repository
        for repository in inventory.repositories
        if repository.id not in inventory.deselected
    }
    notes: list[str] = []
    known = dict(_succeeded(ledger.entries, selected, settings, notes))
    _guard(known, inventory, selected, settings)
    listed = {repository.id: repository for repository in inventory.repositories}
    entries: dict[int, Entry] = {}
    for number, entry in known.items():
        seen = listed.get(number)
        if seen and seen.name != entry.repository:
            notes.append(
                f"{entry.repository} is now called {seen.name}; its image repositories stay "
                f"{entry.service}"
            )
        if number not in selected and entry.state == "active":
            notes.append(f"{entry.service} is kept: {why_gone(number, inventory)}")
        entries[number] = replace(
            entry, repository=seen.name if seen else entry.repository
        ).moved_to("active" if number in selected else "kept", today)
    notes += misplaced(entries, listed, settings)
    owners = _owners(entries.values(), place)
    _move(entries, selected, settings, place, owners=owners, notes=notes)
    newcomers = [selected[number] for number in sorted(selected.keys() - entries.keys())]
    left_out = _admit(newcomers, entries, settings, place, owners=owners, today=today)
    return Identities(entries, left_out, tuple(notes))


def recovered(
    ledger: Ledger, observed: Observed, sources: Container[Registry], owner: str, today: str
) -> Ledger:
    """Give the ledger with what this stack made but the ledger does not know.

    A deployment that was killed, or a state that was lost, leaves image repositories whose tags say
    which stack made them and for which GitHub id.
    """
    entries = dict(ledger.entries)
    for location, tags in sorted(observed.unknown.items()):
        if not made_by(tags, owner):
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
    return Ledger(entries)


def made_by(tags: Mapping[str, str], owner: str) -> bool:
    """Whether an image repository's tags say that this stack made it, and for which repository."""
    return tags.get("managed-by") == owner and tags.get("github-id", "").isdecimal()


def why_gone(number: int, inventory: Inventory) -> str:
    """Say why a repository of the ledger is not selected."""
    return inventory.deselected.get(number) or inventory.gone.get(
        number, "no longer in the organisation's list"
    )


def _succeeded(
    entries: Mapping[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    notes: list[str],
) -> Iterator[tuple[int, Entry]]:
    """Give kept services to the repositories that an operator named as their successors."""
    for number, entry in entries.items():
        successor = settings.successors.get(entry.service)
        if successor is None or successor == number:
            yield number, entry
        elif entry.state == "active" and number in selected:
            notes.append(
                f"successors: {entry.service} is ignored, for its repository is still there"
            )
            yield number, entry
        elif successor not in selected:
            notes.append(f"successors: {entry.service} waits, for {successor} is not selected")
            yield number, entry
        elif successor in entries:
            notes.append(
                f"successors: {entry.service} is ignored, for {successor} is "
                f"{entries[successor].service} already"
            )
            yield number, entry
        else:
            notes.append(f"{entry.service} goes to {selected[successor].name} ({successor})")
            yield successor, entry


def _owners(entries: Iterable[Entry], place: Architecture) -> dict[str, str]:
    """Give the repository that owns each location, those included that are yet to be made."""
    return {
        location: entry.repository
        for entry in entries
        for location in (
            *entry.placements,
            *entry.replicas,
            *(placement.location for placement in place(entry.service)),
        )
    }


def _move(
    entries: dict[int, Entry],
    selected: Mapping[int, Repository],
    settings: Settings,
    place: Architecture,
    *,
    owners: dict[str, str],
    notes: list[str],
) -> None:
    """Give services the other names that an operator chose; what they had is kept beside it."""
    for number, entry in entries.items():
        name = chosen_name(selected[number].name, settings.names) if number in selected else None
        if name is None or name == entry.service:
            continue
        locations = [placement.location for placement in place(name)]
        owner = next(
            (
                owners[location]
                for location in locations
                if owners.get(location, entry.repository) != entry.repository
            ),
            None,
        )
        if owner:
            notes.append(
                f"names: {entry.repository} stays {entry.service}, for {name} belongs to {owner}"
            )
            continue
        notes.append(
            f"{entry.repository} goes to {name} from now on; the images that it has in "
            f"{entry.service} are kept there"
        )
        owners.update(dict.fromkeys(locations, entry.repository))
        entries[number] = replace(entry, service=name)


def _admit(
    newcomers: list[Repository],
    entries: dict[int, Entry],
    settings: Settings,
    place: Architecture,
    *,
    owners: dict[str, str],
    today: str,
) -> tuple[LeftOut, ...]:
    """Choose a name for each new repository, the oldest first, and enter those that can be placed."""
    left_out = []
    for repository in newcomers:
        try:
            name = placed_name(repository, settings)
        except NameRefusedError as refused:
            left_out.append(LeftOut(repository.id, repository.name, f"{refused}; {refused.remedy}"))
            continue
        refusal = next(filter(None, (why_refused(each.name) for each in place(name))), None)
        if refusal:
            left_out.append(
                LeftOut(repository.id, repository.name, f"{refusal}; choose a shorter one")
            )
            continue
        locations = [placement.location for placement in place(name)]
        owner = next((owners[location] for location in locations if location in owners), None)
        if owner:
            left_out.append(
                LeftOut(
                    repository.id,
                    repository.name,
                    f"the image repository {name} belongs to {owner}; choose another under `names`, "
                    "or hand it over under `successors`",
                )
            )
            continue
        owners.update(dict.fromkeys(locations, repository.name))
        entries[repository.id] = Entry(repository.name, name, "active", today)
    return tuple(left_out)


def _guard(
    entries: Mapping[int, Entry],
    inventory: Inventory,
    selected: Mapping[int, Repository],
    settings: Settings,
) -> None:
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
    stop_unless_confirmed("services would vanish", "vanished", vanished, len(active), settings)
    stop_unless_confirmed("repositories are renamed", "renamed", renamed, len(active), settings)


def stop_unless_confirmed(
    what: str, key: str, offences: list[str], among: int, settings: Settings
) -> None:
    """Raise EstateError when more than max(3, 5 %) change at once and nobody has confirmed it."""
    allowed = max(FEWEST_TO_STOP, int(among * SHARE_TO_STOP))
    if len(offences) <= allowed or getattr(settings.confirm, key) == len(offences):
        return
    raise EstateError(
        f"{len(offences)} of {among} {what} at once, more than {allowed}; nothing was changed. If "
        f"that is right, set confirm.{to_camel(key)} to {len(offences)} for one deployment.",
        offences,
    )
