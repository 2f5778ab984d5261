"""The inventory: every repository that the estate may follow, each with its numeric GitHub id.

It comes from GitHub (github.py) or from a list in the settings or in a file (static.py). Which of the
repositories become services is decided here, by the selection rules of the settings; the record
docs/decisions/0007-selection.md says why the defaults are what they are.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ecr.github.listing import github_inventory, github_provider
from ecr.github.model import Inventory
from ecr.github.static_list import read_list, static_inventory
from ecr.settings.models import Settings

if TYPE_CHECKING:
    from pulumi import ProviderResource


def connect(settings: Settings) -> "ProviderResource | None":
    """Make the GitHub provider, where GitHub is listed or gets variables; None where nobody needs it.

    Raises EstateError when there are no usable credentials.
    """
    listed = settings.static is None and settings.static_file is None
    written = settings.push_roles is not None and settings.push_roles.variables
    return github_provider(settings.github) if listed or written else None


async def read_inventory(
    settings: Settings, expected: Iterable[int], github: "ProviderResource | None" = None
) -> Inventory:
    """Read the inventory from the source that the settings name, by ``github`` where that is GitHub.

    ``expected`` are the ids of active services and of those that end: one that is not listed is asked
    for by its id before it counts as gone. Raises EstateError when the inventory cannot be shown to be complete.
    """
    inventory = await _read(settings, expected, github)
    misspelt = tuple(misspelt_properties(settings, inventory))
    return replace(inventory, notes=(*inventory.notes, *misspelt))


async def _read(
    settings: Settings, expected: Iterable[int], github: "ProviderResource | None"
) -> Inventory:
    if settings.static is not None:
        return static_inventory(settings.static)
    if settings.static_file is not None:
        return static_inventory(read_list(Path(settings.static_file)))
    if github is None:
        raise ValueError("GitHub is to be listed, and there is no connection to it")
    return await github_inventory(
        github,
        settings.github,
        expected,
        properties=uses_properties(settings.model_dump()),
        subjects=settings.push_roles is not None,
    )


def uses_properties(settings: object) -> bool:
    """Return whether any rule in dumped settings asks for a custom property."""
    return any(True for _ in _properties(settings))


def misspelt_properties(settings: Settings, inventory: Inventory) -> Iterator[str]:
    """Say which custom properties the rules ask for in other capitals than repositories have them.

    Such a rule matches no repository, as if none had the property.
    """
    held = {name for repository in inventory.repositories for name in repository.properties}
    spelt = {name.lower(): name for name in sorted(held)}
    for name in sorted({*_properties(settings.model_dump())} - held):
        if name.lower() in spelt:
            yield (
                f"the settings ask for the custom property {name}, which no repository has, and "
                f"repositories have {spelt[name.lower()]}; write it in the same capitals"
            )


def _properties(settings: object) -> Iterator[str]:
    """Yield the custom properties that rules in dumped settings ask for."""
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key == "property" and isinstance(value, str):
                yield value
            else:
                yield from _properties(value)
    elif isinstance(settings, list | tuple):
        for each in settings:
            yield from _properties(each)
