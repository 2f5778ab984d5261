"""The inventory from a list in the settings. Nobody is asked: the list is the whole truth."""

from collections.abc import Iterable

from ecr.inventory import Inventory, Repository
from ecr.settings import StaticRepository


def static_inventory(entries: Iterable[StaticRepository]) -> Inventory:
    """Give the listed repositories; all of them become services."""
    repositories = (
        Repository(id=entry.id, name=entry.name, properties=entry.properties) for entry in entries
    )
    return Inventory(tuple(sorted(repositories, key=lambda repository: repository.id)))
