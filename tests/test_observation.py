"""What is read from the registries before anything is planned, and what is left alone."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ecr.deploy import observation
from ecr.deploy.observation import observe
from ecr.errors import EstateError
from ecr.ledger.ledger import Entry, Ledger
from ecr.ledger.shards import Shard
from ecr.plan.model import Observed
from ecr.registry.registry import Registry
from tests.builders import (
    REPLICAS,
    SOURCE,
    TODAY,
    inventory,
    repositories,
    settings,
    with_replicas,
)


class Aws:
    """Registries in memory, and what was asked of them."""

    def __init__(
        self,
        tags: Mapping[str, Mapping[str, str]],
        *,
        images: Mapping[str, int] | None = None,
        managed: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.tags = tags
        self.images = images or {}
        self.state = managed or {}
        self.asked: list[str] = []

    async def read(
        self, function: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if function == "getRepositories":
            names = [each.split("/", 2)[2] for each in self.tags if each.startswith(registry.key)]
            return {"names": names or None}
        location = f"{registry.key}/{arguments.get('name', arguments.get('repositoryName'))}"
        self.asked.append(f"{function} {location}")
        if function == "getRepository":
            return {"tags": self.tags[location]}
        return {"imageIds": [{}] * self.images[location]}

    async def managed(self) -> Mapping[str, Mapping[str, str]]:
        self.asked.append("state")
        return self.state

    def observed(self, *names: str, ledger: Ledger | None = None, **changes: Any) -> Observed:
        chosen = settings(**changes)
        listed = inventory(*repositories(*names), chosen=chosen)
        return asyncio.run(observe(self.read, self.managed, chosen, listed, ledger or Ledger()))


def knowing(*locations: str, state: Any = "active") -> Ledger:
    return Ledger(
        {
            number: Entry(f"service-{number}", f"service-{number}", state, TODAY, {location: state})
            for number, location in enumerate(locations, 1)
        }
    )


def test_without_a_ledger_the_tags_of_everything_are_read_for_it_may_be_our_own() -> None:
    aws = Aws({f"{SOURCE}/api": {"team": "a"}, f"{SOURCE}/unrelated": {}})
    found = aws.observed("api")
    assert found.unknown == {f"{SOURCE}/api": {"team": "a"}, f"{SOURCE}/unrelated": {}}


def test_among_many_of_other_hands_only_names_that_the_plan_may_meet_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observation, "FEW", 2)
    aws = Aws({f"{SOURCE}/{name}": {} for name in ("api", "web", "docs", "unrelated")})
    found = aws.observed(
        "api", "Web", "handbook", ledger=knowing(f"{SOURCE}/api"), names={"handbook": "docs"}
    )
    assert found.unknown.keys() == {f"{SOURCE}/web", f"{SOURCE}/docs"}


def test_what_a_killed_deployment_made_is_looked_at_whatever_its_repository_is_called_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = f"{SOURCE}/added"
    aws = Aws({f"{SOURCE}/api": {}, made: {"github-id": "9"}})
    assert aws.observed("api", "gateway", ledger=knowing(f"{SOURCE}/api")).unknown.keys() == {made}
    monkeypatch.setattr(observation, "FEW", 0)
    among_many = Aws(aws.tags, managed={made: {"github-id": "9"}})
    found = among_many.observed("api", ledger=knowing(f"{SOURCE}/api"))
    assert found.unknown == {made: {"github-id": "9"}}
    assert among_many.asked == ["state"]


def test_a_stack_that_lost_its_ledger_looks_at_everything_though_the_others_have_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observation, "FEW", 0)
    aws = Aws({f"{SOURCE}/api": {}, f"{SOURCE}/atmos": {"github-id": "7"}})
    others = replace(knowing(f"{SOURCE}/api"), shard=Shard(0, 3))
    found = aws.observed("stratos", ledger=others)
    assert found.unknown == {f"{SOURCE}/atmos": {"github-id": "7"}}


def test_the_images_of_a_service_that_is_handed_over_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observation, "FEW", 0)
    aws = Aws({f"{SOURCE}/api/worker": {"team": "a"}})
    found = aws.observed(
        "mono",
        ledger=knowing(f"{SOURCE}/other"),
        successors={"api": 1},
        images={"named": {"services": {"api": ["worker"]}}},
    )
    assert found.unknown.keys() == {f"{SOURCE}/api/worker"}


def test_a_steady_estate_is_listed_and_nothing_more() -> None:
    aws = Aws({f"{SOURCE}/api": {}})
    assert aws.observed("api", ledger=knowing(f"{SOURCE}/api")) == Observed()
    assert aws.asked == []


def test_every_region_of_every_account_is_looked_into() -> None:
    aws = Aws({f"{SOURCE}/api": {}, f"{REPLICAS}/api": {}})
    found = aws.observed("api", **with_replicas())
    assert found.unknown.keys() == {f"{SOURCE}/api", f"{REPLICAS}/api"}


def test_what_the_state_holds_is_asked_for_where_something_is_unknown() -> None:
    aws = Aws({f"{SOURCE}/api": {}}, managed={f"{SOURCE}/api": {}})
    assert f"{SOURCE}/api" in aws.observed("api").managed
    assert aws.asked.count("state") == 1


def test_the_images_of_what_is_retiring_are_counted_and_of_nothing_else() -> None:
    ledger = Ledger(
        {
            **knowing(f"{SOURCE}/api").entries,
            2: Entry("web", "web", "retiring", TODAY, {f"{SOURCE}/web": "retiring"}),
        }
    )
    aws = Aws({f"{SOURCE}/api": {}, f"{SOURCE}/web": {}}, images={f"{SOURCE}/web": 3})
    assert aws.observed("api", ledger=ledger).images == {f"{SOURCE}/web": 3}
    assert aws.asked == [f"getImages {SOURCE}/web"]


def test_the_images_of_everything_are_counted_where_the_settings_ask_for_it() -> None:
    locations = [f"{SOURCE}/api", f"{SOURCE}/web"]
    aws = Aws({each: {} for each in locations}, images=dict.fromkeys(locations, 7))
    found = aws.observed("api", "web", ledger=knowing(*locations), images={"count": True})
    assert found.images == dict.fromkeys(locations, 7)


def test_a_further_image_that_stands_already_is_looked_at() -> None:
    aws = Aws({f"{SOURCE}/api/worker": {"team": "a"}})
    ledger = knowing(f"{SOURCE}/other")
    named = {"named": {"services": {"api": ["worker"]}}}
    found = aws.observed("web", "api", ledger=ledger, images=named)
    assert found.unknown == {f"{SOURCE}/api/worker": {"team": "a"}}


def test_what_was_retiring_and_is_gone_already_is_not_asked_for() -> None:
    aws = Aws({})
    ledger = knowing(f"{SOURCE}/web", state="retiring")
    assert aws.observed("api", ledger=ledger) == Observed()
    assert aws.asked == []


def test_a_registry_that_cannot_be_read_stops_everything() -> None:
    async def refused(*_: Any) -> Mapping[str, Any]:
        raise EstateError("A registry cannot be read; nothing was changed.", ["why"])

    chosen = settings()
    with pytest.raises(EstateError, match="cannot be read"):
        asyncio.run(observe(refused, Aws({}).managed, chosen, inventory(), Ledger()))
