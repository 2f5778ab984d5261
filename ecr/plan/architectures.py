"""Architectures: where the images of a service live, as a function from service to placements.

The order of the placements is the order of promotion. Nothing else in the plan knows which
architecture is on; a further one is a further function here.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from ecr.github.model import Repository
from ecr.plan.overrides import selects
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import LambdaAccount, Settings

Architecture = Callable[[str], tuple[Placement, ...]]


def architecture_of(settings: Settings) -> Architecture:
    """Return the architecture that the settings choose."""
    return {
        "central": central,
        "per-stage": per_stage,
        "per-account-set": per_account_set,
    }[settings.architecture](settings)


def central(settings: Settings) -> Architecture:
    """One image repository a service, in the artifacts registry, for every stage."""
    registry = artifacts_registry(settings)
    return lambda service: (Placement(registry, service),)


def per_stage(settings: Settings) -> Architecture:
    """One image repository a stage, called SERVICE-STAGE, in the artifacts registry."""
    registry = artifacts_registry(settings)
    return lambda service: tuple(
        Placement(registry, f"{service}-{stage}", stage) for stage in settings.stages
    )


def per_account_set(settings: Settings) -> Architecture:
    """One image repository of the same name in the registry of each set of accounts."""
    return lambda service: tuple(
        Placement(Registry(each.account, each.region), service, each.name)
        for each in settings.account_sets
    )


def staged(placement: Placement, settings: Settings) -> Placement:
    """Return a placement that stands, with the stage or the account set that it is for.

    Of stages whose names end alike, it is the longest.
    """
    match settings.architecture:
        case "per-stage":
            longest_first = sorted(settings.stages, key=len, reverse=True)
            stages = (each for each in longest_first if placement.name.endswith(f"-{each}"))
        case "per-account-set":
            stages = (
                each.name
                for each in settings.account_sets
                if Registry(each.account, each.region) == placement.registry
            )
        case _:
            return placement
    return replace(placement, stage=next(stages, None))


def replicas_of(
    placements: tuple[Placement, ...], repository: Repository, settings: Settings
) -> Iterator[tuple[Placement, Placement]]:
    """Yield what a service needs in other registries, as pairs of placement and replica."""
    for placement in placements:
        for account in settings.replica_accounts:
            if account.serves in {None, placement.stage} and _wants(account, repository):
                for region in account.regions:
                    registry = Registry(account.account, region)
                    yield placement, Placement(registry, placement.name, placement.stage)


def _wants(account: LambdaAccount, repository: Repository) -> bool:
    return account.services is not None and selects(account.services, repository)


def artifacts_registry(settings: Settings) -> Registry:
    """Return the registry of the artifacts account."""
    return Registry(settings.artifacts.account, settings.artifacts.region)


def source_registries(settings: Settings) -> dict[Registry, str | None]:
    """Return the registries that images are pushed to, with the role to assume for each.

    The artifacts registry is always one: under another architecture it may hold what is kept. A role
    of None is the environment's own credentials.
    """
    return {
        artifacts_registry(settings): settings.artifacts.role,
        **{Registry(each.account, each.region): each.role for each in settings.account_sets},
    }


def configured_registries(settings: Settings) -> dict[Registry, str | None]:
    """Return every registry of the settings, the sources first, with the role to assume for each."""
    return {
        **source_registries(settings),
        **{
            Registry(account.account, region): account.role
            for account in settings.replica_accounts
            for region in account.regions
        },
    }


def copy_registries(settings: Settings) -> frozenset[Registry]:
    """Return the registries with copies for clusters, which are read as the sources are."""
    return frozenset(
        Registry(account.account, region)
        for account in settings.copies.accounts
        for region in account.regions
    )


def assumed_roles(settings: Settings, *, preview: bool) -> dict[Registry, str | None]:
    """Return every registry with the role to assume for it, which in a preview may be one that reads."""
    reader = settings.preview_role if preview else None
    return {
        registry: registry.role(reader) if reader else role
        for registry, role in configured_registries(settings).items()
    }
