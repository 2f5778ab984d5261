"""Owners: who answers for each service, and the AWS tags that say so for the allocation of costs.

Owns how a repository's custom properties become an owner and tags, and what is remembered of them: a
repository that is gone has no properties any more, and its image repositories cost on. What AWS would refuse
as a tag's value is left out with a note, and holds nobody else up.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ecr.errors import first_of
from ecr.github.model import Repository
from ecr.plan.model import Observed
from ecr.plan.services import Service
from ecr.settings.models import Settings

_TAG_VALUE = re.compile(r"(?!(?i:aws:))[\w\s+\-=.:/@]{1,256}")
"""What a tag's value may be (AWS General Reference, "Tagging your AWS resources")."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who answers for a service, "" for nobody, and the tags of its image repositories that say so."""

    owner: str
    tags: Mapping[str, str]


def with_owners(
    services: Iterable[Service], settings: Settings, observed: Observed
) -> tuple[tuple[Service, ...], tuple[str, ...]]:
    """Return the services with their owners in the ledger's entries, and what an operator should hear.

    A service that is held, or whose repository is gone, keeps what the ledger last said; after a lost state what
    the tags in AWS say.
    """
    refused: list[str] = []
    found = []
    for each in services:
        if each.held:
            found.append(each)
            continue
        if each.repository is None:
            now = _remembered(each, settings, observed)
        else:
            now = _of_repository(each.repository, settings, refused)
        entry = replace(each.entry, owner=now.owner, tags=now.tags)
        found.append(replace(each, entry=entry))
    return tuple(found), tuple(_notes(refused))


def owner_tags(settings: Settings) -> dict[str, str | None]:
    """Return the keys of the tags that say who answers, each with the custom property that it comes from."""
    owners = settings.owners
    named = owners.property or owners.repositories or owners.default
    return {**({owners.tag: owners.property} if named else {}), **owners.tags}


def _of_repository(repository: Repository, settings: Settings, refused: list[str]) -> Ownership:
    owners = settings.owners
    values: dict[str, str] = {}
    for key, rule in owner_tags(settings).items():
        value = _value(repository, rule)
        if key == owners.tag:
            value = owners.chosen.get(repository.name.lower()) or value or owners.default or ""
        if value and not _TAG_VALUE.fullmatch(value):
            refused.append(f"{repository.name}: {key} {value!r}")
            value = (owners.default or "") if key == owners.tag else ""
        if value:
            values[key] = value
    return Ownership(values.get(owners.tag, ""), values)


def _value(repository: Repository, rule: str | None) -> str:
    """Return the value of a custom property as one text; "" where there is none."""
    held = repository.properties.get(rule, ()) if rule else ()
    return held if isinstance(held, str) else " ".join(held)


def _remembered(service: Service, settings: Settings, observed: Observed) -> Ownership:
    keys = owner_tags(settings)
    held = service.entry.tags or next(
        (observed.unknown[place] for place, _ in service.locations() if place in observed.unknown),
        {},
    )
    tags = {key: held[key] for key in keys if key in held}
    return Ownership(tags.get(settings.owners.tag, ""), tags)


def _notes(refused: list[str]) -> Iterator[str]:
    if refused:
        yield (
            f"owners: {len(refused)} values of custom properties can be no tag in AWS and are left out, such as "
            f"{'; '.join(first_of(refused, 3))}; use letters, digits, spaces and + - = . _ : / @"
        )
