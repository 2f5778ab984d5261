"""Repositories as data, and which of them become services.

Owns the selection by the rules of the settings; the record docs/decisions/0007-selection.md says why
the defaults are what they are. Reads nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ecr.settings.models import PropertyRule, Selection

ADVISORY = re.compile(r"-ghsa(-[23456789cfghjmpqrvwx]{4}){3}$")
"""What the name of an advisory's fork ends with: GitHub's number of the advisory."""

DEFAULT_SUBJECT = ("repo", "context")
"""Of what GitHub makes a token's subject where nobody has set a template."""


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

    ``owner`` is the organisation's own id and ``login`` its login as GitHub writes it, where GitHub was
    asked; ``subjects`` are the claims of which the organisation's template makes the subjects of its
    tokens, where that was asked and could be read; ``calls`` counts the requests made
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
    login: str | None = None
    subjects: tuple[str, ...] | None = None


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a repository's name matches one of the wildcard patterns; GitHub ignores case."""
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def has_property(repository: Repository, name: str, values: Iterable[str]) -> bool:
    """Return whether a custom property of the repository has one of the values."""
    held = repository.properties.get(name, ())
    return not set((held,) if isinstance(held, str) else held).isdisjoint(values)


def is_advisory_fork(repository: Repository) -> bool:
    """Return whether it is the temporary private fork in which a security advisory is worked on.

    GitHub lists such a fork like any other repository until the advisory is published (GitHub Docs,
    "Collaborating in a temporary private fork to resolve a repository security vulnerability").
    """
    return (
        repository.fork
        and repository.visibility != "public"
        and ADVISORY.search(repository.name) is not None
    )


def why_deselected(repository: Repository, selection: Selection) -> str | None:
    """Name the first selection rule that leaves the repository out; None if it becomes a service."""
    rule: PropertyRule | None = selection.property
    reasons = (
        (is_advisory_fork(repository), "temporary fork of a security advisory"),
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
