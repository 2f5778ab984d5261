"""Identity: which service each GitHub repository is, by the ledger of the deployment before.

Owns the life of a ledger entry: a name is chosen once and frozen; a repository that is gone,
archived or deselected is kept; only an operator retires one, in two deployments. It deletes nothing
on the word of a listing, and stops where too much has vanished at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ecr.errors import EstateError
from ecr.inventory import Inventory, Repository
from ecr.ledger import Entry, Ledger
from ecr.plan.architectures import Architecture
from ecr.plan.model import LeftOut
from ecr.plan.naming import NameRefusedError, service_name
from ecr.settings import Settings

FEWEST_TO_STOP = 3
SHARE_TO_STOP = 0.05
"""More services than both of these vanishing at once stop the deployment."""


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

    Raises EstateError when more services vanish than an operator has confirmed.
    """
    selected = {
        repository.id: repository
        for repository in inventory.repositories
        if repository.id not in inventory.deselected
    }
    listed = {repository.id: repository for repository in inventory.repositories}
    _guard(ledger, selected, inventory, settings)
    notes: list[str] = []
    entries: dict[int, Entry] = {}
    for number, entry in ledger.entries.items():
        seen = listed.get(number)
        if seen and seen.name != entry.repository:
            notes.append(
                f"{entry.repository} is now called {seen.name}; its image repositories stay "
                f"{entry.service}"
            )
        known = replace(entry, repository=seen.name) if seen else entry
        if number in selected:
            if known.service in settings.retire:
                notes.append(
                    f"retire: {known.service} is ignored, for its repository is still selected; "
                    "exclude it first, or remove the entry"
                )
            entries[number] = known.moved_to("active", today)
        elif known.service not in settings.retire:
            if entry.state == "active":
                notes.append(f"{known.service} is kept: {_why_gone(number, inventory)}")
            entries[number] = known.moved_to("kept", today)
        elif entry.state == "retiring":
            notes.append(
                f"retire: {known.service} is retired now; ECR refuses while it holds images"
            )
        else:
            notes.append(
                f"retire: {known.service} is no longer protected; it ends with the next deployment, "
                "unless the entry is removed before"
            )
            entries[number] = known.moved_to("retiring", today)
    newcomers = [selected[number] for number in sorted(selected.keys() - ledger.entries.keys())]
    left_out = _admit(newcomers, entries, settings, place, today)
    return Identities(entries, left_out, tuple(notes))


def _admit(
    newcomers: list[Repository],
    entries: dict[int, Entry],
    settings: Settings,
    place: Architecture,
    today: str,
) -> tuple[LeftOut, ...]:
    """Choose a name for each new repository, the oldest first, and enter those that can be placed."""
    owners = {
        location: entry.repository
        for entry in entries.values()
        for location in (
            *entry.placements,
            *entry.replicas,
            *(placement.location for placement in place(entry.service)),
        )
    }
    left_out = []
    for repository in newcomers:
        try:
            name = service_name(repository.name, settings.names)
        except NameRefusedError as refusal:
            left_out.append(
                LeftOut(repository.id, repository.name, f"{refusal}; choose one under `names`")
            )
            continue
        locations = [placement.location for placement in place(name)]
        owner = next((owners[location] for location in locations if location in owners), None)
        if owner:
            left_out.append(
                LeftOut(
                    repository.id,
                    repository.name,
                    f"the image repository {name} belongs to {owner}; choose another under `names`",
                )
            )
            continue
        owners.update(dict.fromkeys(locations, repository.name))
        entries[repository.id] = Entry(repository.name, name, "active", today)
    return tuple(left_out)


def _guard(
    ledger: Ledger,
    selected: Mapping[int, Repository],
    inventory: Inventory,
    settings: Settings,
) -> None:
    active = {number: entry for number, entry in ledger.entries.items() if entry.state == "active"}
    vanished = [number for number in active if number not in selected]
    allowed = max(FEWEST_TO_STOP, int(len(active) * SHARE_TO_STOP))
    if len(vanished) <= allowed or settings.confirm.vanished == len(vanished):
        return
    raise EstateError(
        f"{len(vanished)} of {len(active)} services would vanish at once, more than {allowed}; nothing "
        f"was changed. If that is right, set confirm.vanished to {len(vanished)} for one deployment.",
        [f"{active[number].service}: {_why_gone(number, inventory)}" for number in vanished],
    )


def _why_gone(number: int, inventory: Inventory) -> str:
    return inventory.deselected.get(number, "no longer in the organisation's list")
