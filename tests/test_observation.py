"""The observation: what is asked of the registries, and what is not."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ecr.inventory import Inventory
from ecr.ledger import Entry, Ledger
from ecr.observation import observe
from ecr.plan.model import Observed, Registry
from tests.builders import SOURCE, TODAY, settings


def observed(ledger: Ledger, *names: str, images: int = 1) -> Observed:
    """Observe an artifacts registry that holds these image repositories."""

    async def read(function: str, _: Registry, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if function == "getRepositories":
            return {"names": list(names)}
        if arguments.get("repositoryName") not in names:
            raise AssertionError(f"{function} was asked of {arguments}, which is not there")
        return {"imageIds": [{}] * images}

    return asyncio.run(observe(read, settings(), Inventory(()), ledger))


def retiring(name: str) -> Ledger:
    location = f"{SOURCE}/{name}"
    return Ledger({1: Entry(name, name, "retiring", TODAY, {location: "retiring"})})


def test_the_images_of_a_retiring_image_repository_are_counted() -> None:
    assert observed(retiring("api"), "api", images=3).images == {f"{SOURCE}/api": 3}


def test_a_retiring_image_repository_that_is_gone_already_is_not_asked_for_its_images() -> None:
    assert observed(retiring("api"), "web").images == {}
