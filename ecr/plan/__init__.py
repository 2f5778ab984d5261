"""The plan: from settings, inventory and ledger to everything that will exist.

Pure: no input or output, and neither pulumi nor boto3 is imported below this package; a test holds
that. Everything that AWS would refuse half-way is found here, before the first resource.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any

from ecr.errors import EstateError
from ecr.inventory import Inventory
from ecr.ledger import Entry, Ledger
from ecr.plan.access import functions_may_pull, organisation_may_pull, source_may_replicate
from ecr.plan.architectures import architecture_of, configured_registries, source_registry
from ecr.plan.identity import identify, made_by, recovered
from ecr.plan.lifecycle import lifecycle_document
from ecr.plan.limits import check_limits
from ecr.plan.locations import settle
from ecr.plan.model import (
    Bleed,
    EstatePlan,
    ImageRepository,
    Observed,
    Placement,
    Registry,
    RegistryPlan,
    ReplicationRule,
)
from ecr.plan.replication import replication_rules
from ecr.settings import Settings


def build_plan(
    settings: Settings,
    inventory: Inventory,
    ledger: Ledger,
    observed: Observed,
    *,
    owner: str,
    today: str,
) -> EstatePlan:
    """Plan the whole estate.

    ``owner`` is the stack, as the tags of what it makes name it; ``today`` the ISO date that new
    ledger states begin on. Raises EstateError when a guard trips, an image repository stands where
    one is planned, a registry of the ledger is no longer configured, a limit of AWS is passed or,
    with ``strict``, a repository cannot be placed.
    """
    place = architecture_of(settings)
    source = source_registry(settings)
    known = recovered(ledger, observed, source, owner, today)
    identities = identify(inventory, known, settings, place, today)
    if settings.strict and identities.left_out:
        raise EstateError(
            f"{len(identities.left_out)} repositories cannot be placed, and strict is set; nothing "
            "was changed.",
            [f"{each.repository}: {each.reason}" for each in identities.left_out],
        )
    repositories = {repository.id: repository for repository in inventory.repositories}
    entries, notes = settle(identities.entries, repositories, settings, place, observed)
    entries = dict(sorted(entries.items()))
    _all_reachable(entries, configured_registries(settings))
    _none_taken(entries, observed, settings, owner)
    image_repositories = tuple(_image_repositories(entries, observed, settings, owner))
    rules, bleeds = _replication(image_repositories, source)
    registries = tuple(_registries(settings, source, rules))
    check_limits(registries, image_repositories)
    return EstatePlan(
        registries=registries,
        image_repositories=image_repositories,
        ledger=Ledger(entries),
        left_out=identities.left_out,
        bleeds=bleeds,
        notes=(*identities.notes, *notes),
        deselected=Counter(inventory.deselected.values()),
    )


def _all_reachable(entries: Mapping[int, Entry], configured: Container[Registry]) -> None:
    """Refuse settings that have lost a registry in which the ledger knows image repositories."""
    lost: dict[str, list[str]] = defaultdict(list)
    for entry in entries.values():
        for location in (*entry.placements, *entry.replicas):
            placement = Placement.at(location)
            if placement.registry not in configured:
                lost[placement.registry.key].append(placement.name)
    if lost:
        raise EstateError(
            "The settings no longer name a registry that holds image repositories; nothing was "
            "changed.",
            [
                f"registry {key}: holds {len(names)}, {names[0]} the first; name its account and "
                "Region in the settings again"
                for key, names in sorted(lost.items())
            ],
        )


def _none_taken(
    entries: Mapping[int, Entry], observed: Observed, settings: Settings, owner: str
) -> None:
    """Refuse to make what stands there already, by other hands, until an operator adopts it."""
    taken = [
        location
        for entry in entries.values()
        for location in (*entry.placements, *entry.replicas)
        if _found(location, observed)
        and not made_by(observed.unknown[location], owner)
        and Placement.at(location).name not in settings.adopted
    ]
    if taken:
        raise EstateError(
            f"{len(taken)} image repositories that are planned stand already, and this stack did "
            "not make them; nothing was changed. See what adopting them means with "
            "`python -m ecr adopt`.",
            [
                f"{location}: adopt it, choose another name under `names`, or exclude its repository"
                for location in taken
            ],
        )


def _found(location: str, observed: Observed) -> bool:
    return location in observed.unknown and location not in observed.managed


def _image_repositories(
    entries: Mapping[int, Entry], observed: Observed, settings: Settings, owner: str
) -> Iterator[ImageRepository]:
    lifecycle = lifecycle_document(settings.lifecycle)
    policies: dict[Registry, str] = {}
    for number, entry in entries.items():
        common: dict[str, Any] = {
            "tags": {
                **settings.tags,
                "managed-by": owner,
                "github-owner": settings.github.organisation,
                "github-repository": entry.repository,
                "github-id": str(number),
            },
            "immutable": settings.images.immutable,
            "mutable_tags": settings.images.mutable_tags,
            "lifecycle": lifecycle,
        }
        for location, state in entry.placements.items():
            yield ImageRepository(
                placement=Placement.at(location),
                kind="placement",
                state=state,
                kms_key=settings.images.kms_key,
                found=_found(location, observed),
                **common,
            )
        for location, state in entry.replicas.items():
            placement = Placement.at(location)
            registry = placement.registry
            yield ImageRepository(
                placement=placement,
                kind="replica",
                state=state,
                policy=policies.setdefault(registry, functions_may_pull(registry)),
                found=_found(location, observed),
                **common,
            )


def _replication(
    image_repositories: tuple[ImageRepository, ...], source: Registry
) -> tuple[tuple[ReplicationRule, ...], tuple[Bleed, ...]]:
    wanted: dict[Registry, set[str]] = defaultdict(set)
    for each in image_repositories:
        if each.kind == "replica" and each.state == "active":
            wanted[each.placement.registry].add(each.placement.name)
    names = {
        each.placement.name for each in image_repositories if each.placement.registry == source
    }
    return replication_rules(wanted, names)


def _registries(
    settings: Settings,
    source: Registry,
    rules: tuple[ReplicationRule, ...],
) -> Iterator[RegistryPlan]:
    def planned(
        registry: Registry, role: str | None, policy: str, *replication: ReplicationRule
    ) -> RegistryPlan:
        basic = settings.scanning.type == "BASIC"
        return RegistryPlan(
            registry=registry,
            role=role,
            policy=policy,
            policy_scope=settings.registry_policy_scope,
            scan_type=settings.scanning.type,
            scan_frequency="SCAN_ON_PUSH" if basic else "CONTINUOUS_SCAN",
            scan_filters=settings.scanning.filters,
            replication=replication,
        )

    for registry, role in configured_registries(settings).items():
        if registry == source:
            organisation = organisation_may_pull(source, settings.aws_organisation)
            yield planned(registry, role, organisation, *rules)
        else:
            yield planned(registry, role, source_may_replicate(registry, source))
