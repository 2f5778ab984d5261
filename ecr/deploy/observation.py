"""Observation: what the registries hold already, as far as the ledger does not say.

Owns the reading of registries through the AWS providers of the deployment, before anything is
planned. It looks at names, at the tags of image repositories that may be in the way and whether the
engine's state holds them, and at how full the retiring ones are, or all where the settings ask for
it. It changes nothing, and reads no image.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pulumi
from pulumi.runtime import invoke_async

from ecr.deploy.standing import Ask, observe_beside
from ecr.deploy.variables import read_actions
from ecr.engine.invoke import ask_state
from ecr.engine.types import REPOSITORY
from ecr.errors import EstateError
from ecr.github.listing import provider_fetch
from ecr.github.model import Inventory
from ecr.ledger.ledger import Ledger
from ecr.plan.architectures import architecture_of, configured_registries
from ecr.plan.caches import cached
from ecr.plan.images import image_names
from ecr.plan.model import Observed
from ecr.plan.namespaces import possible_names
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings

Read = Callable[[str, Registry, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Call one data source of the AWS provider's ecr module in a registry: name, registry, arguments."""

Managed = Callable[[], Awaitable[Mapping[str, Mapping[str, str]]]]
"""Return the locations that the engine's state holds, with the tags that it knows of each."""


FEW = 200
"""Image repositories of other hands, up to which the tags of all are read: two requests for each."""

GITHUB_ID = "github-id"
"""The tag of every image repository that an estate made."""

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


async def held() -> dict[str, Mapping[str, str]]:
    """Return the locations of all image repositories that the state of this stack holds, with tags."""
    return {
        urn.rpartition("::")[2]: resource["outputs"].get("tags") or {}
        for urn, resource in (await whole_state()).items()
        if resource["type"] == REPOSITORY
    }


async def whole_state() -> Mapping[str, Mapping[str, Any]]:
    """Read what the state of this stack holds, by the engine's names."""
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        answer = await ask_state("readStackResourceOutputs", {"stackName": stack})
    except Exception as error:
        said = " ".join(str(error).split())
        raise EstateError(
            "The state of this stack cannot be read; nothing was changed.",
            [f"{stack}: {said}; check the login, the credentials and the secrets provider"],
        ) from error
    return answer.get("outputs") or {}


async def read_registries(
    providers: Mapping[str, pulumi.ProviderResource],
    settings: Settings,
    inventory: Inventory,
    ledger: Ledger,
    github: pulumi.ProviderResource | None,
    *,
    ask: Ask,
) -> Observed:
    """Look at every registry, and at variables on GitHub, with the providers of this deployment.

    ``ask`` is for what the AWS provider cannot read.
    """
    observed = await observe(through(providers), held, settings, inventory, ledger)
    observed = await observe_beside(ask, whole_state, observed, settings, ledger)
    if github is None or settings.push_roles is None:
        return observed
    fetch = provider_fetch(github, settings.github)
    return await read_actions(fetch, await whole_state(), settings, inventory, observed)


def _images(settings: Settings, inventory: Inventory, ledger: Ledger) -> Iterator[str]:
    """Yield every name that an image may have, whatever becomes of its repository."""
    chosen = {each.lower(): name for each, name in settings.names.items()}
    yield from chosen.values()
    successors = {successor: service for service, successor in settings.successors.items()}
    for repository in inventory.repositories:
        known = ledger.entries.get(repository.id)
        service = known.service if known else repository.name.lower()
        for name in {
            service,
            repository.name.lower(),
            chosen.get(repository.name.lower(), service),
            successors.get(repository.id, service),
            *possible_names([repository], settings),
        }:
            yield from image_names(name, repository, settings.images.named)


async def observe(
    read: Read, managed: Managed, settings: Settings, inventory: Inventory, ledger: Ledger
) -> Observed:
    """Look at every registry of the settings.

    Of image repositories that the ledger does not know, the tags say whether a deployment that did
    not finish made them, also where their repository has been renamed or deleted since. Those that
    the engine's state holds have their tags there; of the rest they are read where there are few,
    where this stack has no ledger yet, or where a planned name may meet them. The state, two seconds
    for each thousand services, is read only where it matters. Raises EstateError when a registry
    cannot be read.
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
    names = {
        placement.name
        for image in _images(settings, inventory, ledger)
        for placement in place(image)
    }
    others = there - known
    if settings.pull_through_cache.rules:
        # What ECR makes for a cache is ECR's, and never in the way of anything.
        others = {each for each in others if cached(Placement.at(each), settings) is None}
    everything = len(others) <= FEW or not ledger.owned
    own = {
        location
        for entry in ledger.owned.values()
        for location in (*entry.placements, *entry.replicas)
    }
    ending = {
        location
        for entry in ledger.owned.values()
        for location, state in (*entry.placements.items(), *entry.replicas.items())
        if state == "retiring"
    }
    counted = [
        Placement.at(location)
        for location in sorted((own if settings.images.count else ending) & there)
    ]
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(
        function: str, argument: str, placement: Placement
    ) -> tuple[str, Mapping[str, Any]]:
        async with gate:
            found = await read(function, placement.registry, {argument: placement.name})
        return placement.location, found

    absent = own - there - ending
    moving = ledger.arriving or ledger.leaving
    needed = bool(absent or moving or len(others) > FEW)
    state = await managed() if needed else {}
    asked = [
        placement
        for placement in map(Placement.at, sorted(others - state.keys()))
        if everything or placement.name in names
    ]
    found = await asyncio.gather(*(look("getRepository", "name", each) for each in asked))
    unknown = {location: dict(answer.get("tags") or {}) for location, answer in found}
    if not needed and any(
        GITHUB_ID in tags or Placement.at(location).name in names
        for location, tags in unknown.items()
    ):
        state = await managed()
    unknown |= {each: dict(state[each]) for each in others & state.keys() - unknown.keys()}
    images = await asyncio.gather(*(look("getImages", "repositoryName", each) for each in counted))
    return Observed(
        unknown=unknown,
        managed=frozenset(state),
        absent=absent,
        images={location: len(found.get("imageIds") or ()) for location, found in images},
        reads=len(registries) + len(asked) + len(counted),
    )
