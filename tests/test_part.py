"""A deployment of a part: what it may change, and when only the whole estate can be deployed."""

import re
from dataclasses import replace
from typing import Any

import pytest

from ecr.deploy.outputs import outputs, within
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.model import EstatePlan
from ecr.plan.part import PartOfEstate
from tests.builders import (
    SOURCE,
    plan,
    repositories,
    repository,
    settings,
    with_replicas,
)

OLD = repositories("api", "web")
NEW = repository(77, "worker")
PART = PartOfEstate({77: "worker"})


def deployed(**changes: Any) -> Ledger:
    return plan(*OLD, **changes).ledger


def of(part: PartOfEstate, whole: EstatePlan, before: Ledger, **changes: Any) -> EstatePlan:
    return part.of(whole, before, settings(**changes))


def refusals(part: PartOfEstate, whole: EstatePlan, before: Ledger, **changes: Any) -> list[str]:
    with pytest.raises(EstateError) as refused:
        of(part, whole, before, **changes)
    return list(refused.value.offences)


def targeted(part: PartOfEstate, urn: str, **changes: Any) -> bool:
    """Whether the engine would take the name for one of the part's (pkg/resource/deploy/deployment.go)."""
    return any(
        re.fullmatch(re.escape(each).replace(r"\*\*", ".*").replace(r"\*", "[^:]*"), urn)
        for each in part.targets(settings(**changes))
    )


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:prod::ecr-estate::{kind}::{name}"


def test_a_part_is_read_as_it_was_written() -> None:
    part = PartOfEstate({5: "api", 77: "Worker.two"})
    assert PartOfEstate.parse(str(part)) == part


@pytest.mark.parametrize("text", ["", "api", "x=api", "5=api=b", "5=api,"])
def test_what_is_no_part_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(EstateError, match="ecr-estate deploy"):
        PartOfEstate.parse(text)


def test_only_the_named_service_is_left_of_the_plan_and_new_in_the_ledger() -> None:
    before = deployed()
    whole = plan(*OLD, NEW, ledger=before)
    part = of(PART, whole, before)
    assert [each.placement.location for each in part.image_repositories] == [f"{SOURCE}/worker"]
    assert part.ledger.entries == {**before.entries, 77: whole.ledger.entries[77]}
    assert [each.name for each in part.changes] == ["worker"]


def test_another_change_waits_and_is_counted() -> None:
    before = deployed()
    whole = plan(OLD[0], NEW, repository(78, "job"), ledger=before)
    part = of(PART, whole, before)
    assert part.ledger.entries.keys() == {*before.entries, 77}
    assert part.ledger.entries[OLD[1].id] == before.entries[OLD[1].id]  # it has gone, and waits
    assert any(each.startswith("2 other changes wait") for each in part.notes)


def test_replicas_and_what_names_them_belong_to_the_part() -> None:
    chosen = with_replicas("222222222222", all=True)
    before = deployed(**chosen)
    part = of(PART, plan(*OLD, NEW, ledger=before, **chosen), before, **chosen)
    assert {each.kind for each in part.image_repositories} == {"placement", "replica"}
    for each in part.image_repositories:
        assert targeted(
            PART, urn("aws:ecr/repository:Repository", each.placement.location), **chosen
        )
    for kind in (
        "replicationConfiguration:ReplicationConfiguration",
        "registryPolicy:RegistryPolicy",
    ):
        assert targeted(PART, urn(f"aws:ecr/{kind}", SOURCE), **chosen)


@pytest.mark.parametrize("other", ["api", "worker-two", "my-worker", "team/worker", "workers"])
def test_no_target_reaches_another_service(other: str) -> None:
    repository_of = "aws:ecr/repository:Repository"
    policy = f"{repository_of}$aws:ecr/lifecyclePolicy:LifecyclePolicy"
    for kind in (repository_of, policy):
        assert not targeted(PART, urn(kind, f"{SOURCE}/{other}"))
        assert targeted(PART, urn(kind, f"{SOURCE}/worker"))
        assert targeted(PART, urn(kind, f"{SOURCE}/worker/image"))
    roles = {"pushRoles": {"branches": ["main"]}}
    account = SOURCE.partition("/")[0]
    assert targeted(PART, urn("aws:iam/role:Role", f"{account}/push-worker-77"), **roles)
    assert not targeted(PART, urn("aws:iam/role:Role", f"{account}/push-worker-771"), **roles)
    assert not targeted(PART, urn("aws:iam/role:Role", f"{account}/push-{other}-78"), **roles)


@pytest.mark.parametrize("name", ["alerts", "caches", "templates", "pull-times"])
def test_a_repository_called_like_other_things_of_a_registry_reaches_none_of_them(
    name: str,
) -> None:
    part = PartOfEstate({77: name})
    for kind, of in (
        ("aws:kms/key:Key", f"{SOURCE}/{name}"),
        ("aws:sns/topic:Topic", f"{SOURCE}/{name}"),
        ("aws:sns/topicSubscription:TopicSubscription", f"{SOURCE}/{name}/mail"),
        ("aws:cloudwatch/eventRule:EventRule", f"{SOURCE}/{name}"),
        ("aws:ecr/pullThroughCacheRule:PullThroughCacheRule", f"{SOURCE}/{name}/ecr-public"),
        ("aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate", f"{SOURCE}/{name}/team"),
        ("aws:ecr/pullTimeUpdateExclusion:PullTimeUpdateExclusion", f"{SOURCE}/{name}/1/role/a"),
    ):
        assert not targeted(part, urn(kind, of))
    assert targeted(part, urn("aws:ecr/repository:Repository", f"{SOURCE}/{name}"))


def test_a_namespace_that_the_settings_know_is_within_reach() -> None:
    spaces: dict[str, Any] = {
        "namespaces": {"known": {"team": {}}, "repositories": {"worker": "team"}}
    }
    before = deployed(**spaces)
    part = of(PART, plan(*OLD, NEW, ledger=before, **spaces), before, **spaces)
    (location,) = (each.placement.location for each in part.image_repositories)
    assert location == f"{SOURCE}/team/worker"
    assert targeted(PART, urn("aws:ecr/repository:Repository", location), **spaces)


def test_the_first_deployment_is_of_everything() -> None:
    (refused,) = refusals(PART, plan(*OLD, NEW), Ledger())
    assert "nothing is deployed yet" in refused


def test_a_repository_without_a_service_is_refused_with_its_reason() -> None:
    before = deployed()
    (refused,) = refusals(PART, plan(*OLD, repository(77, ".worker"), ledger=before), before)
    assert "begin and end with a letter or digit" in refused
    (refused,) = refusals(PART, plan(*OLD, ledger=before), before)
    assert refused.startswith("worker: it is not listed")


def test_a_service_whose_repository_was_renamed_needs_the_whole_estate() -> None:
    before = deployed()
    renamed = replace(OLD[0], name="gateway")
    whole = plan(renamed, OLD[1], ledger=before)
    (refused,) = refusals(PartOfEstate({renamed.id: "gateway"}), whole, before)
    assert refused.startswith(f"{SOURCE}/api: is not called after gateway")


def test_an_image_repository_that_is_to_end_needs_the_whole_estate() -> None:
    before = deployed()
    ended = replace(
        before,
        entries={
            **before.entries,
            77: replace(
                before.entries[OLD[0].id],
                placements={f"{SOURCE}/worker": "active", f"{SOURCE}/worker/old": "active"},
            ),
        },
    )
    whole = plan(*OLD, NEW, ledger=before)
    (refused,) = refusals(PART, whole, ended)
    assert refused.startswith(f"{SOURCE}/worker/old: is to end")


def test_settings_of_registries_that_change_hands_need_the_whole_estate() -> None:
    before = deployed()
    whole = plan(*OLD, NEW, ledger=before)
    (refused,) = refusals(PART, replace(whole, ledger=replace(whole.ledger, registries={})), before)
    assert "registries' settings" in refused


def test_a_location_of_another_service_within_reach_needs_the_whole_estate() -> None:
    names: dict[str, Any] = {"names": {"other": "worker/part"}}
    other = repository(9, "other")
    before = plan(*OLD, other, **names).ledger
    refused = refusals(PART, plan(*OLD, NEW, other, ledger=before, **names), before)
    assert any(each.startswith(f"{SOURCE}/worker/part: is of worker/part") for each in refused)


def test_the_outputs_of_a_part_are_those_that_the_whole_would_leave() -> None:
    before = deployed()
    whole = plan(*OLD, NEW, ledger=before)
    last = outputs(settings(), plan(*OLD))
    part = outputs(settings(), of(PART, whole, before))
    assert within(last, part) == outputs(settings(), whole)
