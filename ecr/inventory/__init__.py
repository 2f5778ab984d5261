"""The inventory: every repository that the estate may follow, each with its numeric GitHub id.

It comes from GitHub (github.py) or from a list in the settings or in a file (static.py). Which of the
repositories become services is decided here, by the selection rules of the settings; the record
docs/decisions/0007-selection.md says why the defaults are what they are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from ecr.settings import PropertyRule, Selection, Settings

if TYPE_CHECKING:
    from pulumi import ProviderResource


@dataclass(frozen=True, slots=True)
class Repository:
    """A GitHub repository. ``id`` is its identity; everything else may change.

    ``properties`` are the organisation's custom properties: a text, or several for a multi-select.
    """

    id: int
    name: str
    archived: bool = False
    fork: bool = False
    template: bool = False
    visibility: str = "private"
    properties: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every repository of the source, proven complete, in the order of their ids.

    ``owner`` is the organisation's own id, where GitHub was asked; ``calls`` counts the requests made
    to GitHub, and ``readings`` how often the organisation was read before two passes agreed;
    ``deselected`` says of each repository that does
    not become a service which rule left it out; ``gone`` says of each repository that was asked for,
    because a service is waiting for it, what became of it; ``notes`` is what an operator should hear.
    """

    repositories: tuple[Repository, ...]
    deselected: Mapping[int, str] = field(default_factory=dict)
    gone: Mapping[int, str] = field(default_factory=dict)
    calls: int = 0
    readings: int = 0
    notes: tuple[str, ...] = ()
    owner: int | None = None


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a repository's name matches one of the wildcard patterns; GitHub ignores case."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def has_property(repository: Repository, name: str, values: Iterable[str]) -> bool:
    """Whether a custom property of the repository has one of the values."""
    held = repository.properties.get(name, ())
    return not set((held,) if isinstance(held, str) else held).isdisjoint(values)


def why_deselected(repository: Repository, selection: Selection) -> str | None:
    """Name the first selection rule that leaves the repository out; None if it becomes a service."""
    rule: PropertyRule | None = selection.property
    reasons = (
        (repository.archived and not selection.archived, "archived"),
        (repository.fork and not selection.forks, "fork"),
        (repository.template and not selection.templates, "template"),
        (repository.visibility not in selection.visibilities, repository.visibility),
        (not matches_any(repository.name, selection.include), "matches no include pattern"),
        (matches_any(repository.name, selection.exclude), "matches an exclude pattern"),
        (
            rule is not None and not has_property(repository, rule.property, rule.values),
            f"custom property {rule.property} is not {' or '.join(rule.values)}" if rule else "",
        ),
    )
    return next((reason for applies, reason in reasons if applies), None)


def connect(settings: Settings) -> "ProviderResource | None":
    """Make the GitHub provider, where GitHub is listed or gets variables; None where nobody needs it.

    Raises EstateError when there are no usable credentials.
    """
    from ecr.inventory.github import github_provider  # noqa: PLC0415 - it imports this module

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
    if settings.static is not None:
        from ecr.inventory.static import static_inventory  # noqa: PLC0415 - it imports this module

        return static_inventory(settings.static)
    if settings.static_file is not None:
        from ecr.inventory.static import read_list, static_inventory  # noqa: PLC0415

        return static_inventory(read_list(Path(settings.static_file)))
    from ecr.inventory.github import github_inventory  # noqa: PLC0415 - it imports this module

    if github is None:
        raise ValueError("GitHub is to be listed, and there is no connection to it")
    properties = uses_properties(settings.model_dump())
    return await github_inventory(github, settings.github, expected, properties=properties)


def uses_properties(settings: object) -> bool:
    """Whether any rule in dumped settings asks for a custom property."""
    if isinstance(settings, dict):
        return any(
            (key == "property" and value is not None) or uses_properties(value)
            for key, value in settings.items()
        )
    return isinstance(settings, list | tuple) and any(map(uses_properties, settings))
