"""Observation: what the registries hold already, as far as the ledger does not say.

Owns the reading of registries through the AWS providers of the deployment, before anything is
planned. It looks at names, at the tags of image repositories that may be in the way and whether the
engine's state holds them, and at how full the retiring ones are. It changes nothing, and reads no
image.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Any

import pulumi
from pulumi.runtime import invoke_async

from ecr.errors import EstateError
from ecr.inventory import Inventory
from ecr.ledger import Ledger
from ecr.plan.architectures import architecture_of, configured_registries
from ecr.plan.model import Observed, Placement, Registry
from ecr.plan.namespaces import possible_names
from ecr.settings import Settings

Read = Callable[[str, Registry, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Call one data source of the AWS provider's ecr module in a registry: name, registry, arguments."""

Managed = Callable[[], Awaitable[Container[str]]]
"""Give the locations that the engine's state holds."""

REPOSITORY = "aws:ecr/repository:Repository"
"""The engine's type of an image repository."""

AT_ONCE = 16
"""Image repositories that are looked at side by side."""


def through(providers: Mapping[str, pulumi.ProviderResource]) -> Read:
    """Read with the providers of this deployment, by account."""

    async def read(
        function: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        options = pulumi.InvokeOptions(provider=providers[registry.account])
        token = f"aws:ecr/{function}:{function}"
        try:
            answer = await invoke_async(token, {**arguments, "region": registry.region}, options)
        except Exception as error:
            # The SDK raises a bare Exception for whatever the provider said.
            said = " ".join(str(error).split())
            raise EstateError(
                "A registry cannot be read; nothing was changed.",
                [f"{function} in {registry.key}: {said}; check the role of this account"],
            ) from error
        return answer or {}

    return read


async def held() -> frozenset[str]:
    """Give the locations of all image repositories that the state of this stack holds."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    token = "pulumi:pulumi:readStackResourceOutputs"  # noqa: S105 - the engine's own function
    try:
        answer = await invoke_async(token, {"stackName": stack})
    except Exception as error:
        said = " ".join(str(error).split())
        raise EstateError(
            "The state of this stack cannot be read; nothing was changed.",
            [f"{stack}: {said}; check the login, the credentials and the secrets provider"],
        ) from error
    return frozenset(
        urn.rpartition("::")[2]
        for urn, resource in ((answer or {}).get("outputs") or {}).items()
        if resource["type"] == REPOSITORY
    )


async def observe(
    read: Read, managed: Managed, settings: Settings, inventory: Inventory, ledger: Ledger
) -> Observed:
    """Look at every registry of the settings.

    Tags are read of image repositories that the ledger does not know and that a planned name may
    meet; where there is no ledger yet, of all of them, for a lost one is found again by the tags.
    The engine's state is read only where there are such. Raises EstateError when a registry cannot
    be read.
    """
    registries = tuple(configured_registries(settings))
    listings = await asyncio.gather(*(read("getRepositories", each, {}) for each in registries))
    there = {
        f"{registry.key}/{name}"
        for registry, listing in zip(registries, listings, strict=True)
        for name in listing.get("names") or ()
    }
    known = {
        location
        for entry in ledger.entries.values()
        for location in (*entry.placements, *entry.replicas)
    }
    place = architecture_of(settings)
    services = set(possible_names(inventory.repositories, settings))
    names = {placement.name for service in services for placement in place(service)}
    unknown = [
        placement
        for placement in map(Placement.at, sorted(there - known))
        if placement.name in names or not ledger.entries
    ]
    retiring = [
        Placement.at(location)
        for entry in ledger.entries.values()
        for location, state in (*entry.placements.items(), *entry.replicas.items())
        if state == "retiring" and location in there
    ]
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(
        function: str, argument: str, placement: Placement
    ) -> tuple[str, Mapping[str, Any]]:
        async with gate:
            found = await read(function, placement.registry, {argument: placement.name})
        return placement.location, found

    tags = await asyncio.gather(*(look("getRepository", "name", each) for each in unknown))
    images = await asyncio.gather(*(look("getImages", "repositoryName", each) for each in retiring))
    return Observed(
        unknown={location: dict(found.get("tags") or {}) for location, found in tags},
        managed=await managed() if unknown else frozenset(),
        images={location: len(found.get("imageIds") or ()) for location, found in images},
    )
