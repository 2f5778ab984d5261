"""Architectures: where the images of a service live, as a function from service to placements.

The order of the placements is the order of promotion. Nothing else in the plan knows which
architecture is on; a further one is a further function here.
"""

from collections.abc import Callable

from ecr.plan.model import Placement, Registry
from ecr.settings import Settings

Architecture = Callable[[str], tuple[Placement, ...]]


def architecture_of(settings: Settings) -> Architecture:
    """Give the architecture that the settings choose."""
    return {"central": central}[settings.architecture](settings)


def central(settings: Settings) -> Architecture:
    """One image repository a service, in the artifacts registry, for every stage."""
    registry = source_registry(settings)
    return lambda service: (Placement(registry, service),)


def source_registry(settings: Settings) -> Registry:
    """Give the registry that images are pushed to, and that replicas are filled from."""
    return Registry(settings.artifacts.account, settings.artifacts.region)


def configured_registries(settings: Settings) -> dict[Registry, str | None]:
    """Give every registry of the settings, the source first, with the role to assume for it.

    None is the environment's own credentials.
    """
    return {
        source_registry(settings): settings.artifacts.role,
        **{
            Registry(account.account, region): account.role
            for account in settings.lambda_replicas.accounts
            for region in account.regions
        },
    }
