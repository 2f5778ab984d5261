"""Copies: replicas for clusters follow the plan of those for Lambda, and are read as the sources are."""

import json
from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.plan.architectures import configured_registries
from ecr.plan.comparison import compare_architectures
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    inventory,
    plan,
    repositories,
    repository,
    settings,
    with_replicas,
)

ELSEWHERE = f"{ARTIFACTS}/us-east-1"
COPIES: dict[str, Any] = {
    "copies": {"accounts": [{"account": ARTIFACTS, "regions": ["us-east-1"]}]}
}


def statements(text: str | None) -> dict[str, Any]:
    return {each["Sid"]: each for each in json.loads(text or '{"Statement": []}')["Statement"]}


def test_a_copy_is_declared_filled_and_remembered_as_a_replica_is() -> None:
    planned = plan(*repositories("api"), **COPIES)
    assert {each.placement.location: each.kind for each in planned.image_repositories} == {
        f"{SOURCE}/api": "placement",
        f"{ELSEWHERE}/api": "replica",
    }
    assert planned.ledger.entries[1].replicas == {f"{ELSEWHERE}/api": "active"}
    source = next(each for each in planned.registries if each.registry.key == SOURCE)
    assert [[each.key for each in rule.destinations] for rule in source.replication] == [
        [ELSEWHERE]
    ]


def test_copies_are_read_by_whoever_reads_the_sources_and_lambda_is_let_in_nowhere_else() -> None:
    planned = plan(*repositories("api"), **COPIES, **with_replicas())
    policies = {each.registry.key: statements(each.policy) for each in planned.registries}
    assert policies[ELSEWHERE].keys() == {"Replication", "OrganisationPull"}
    assert policies[ELSEWHERE]["OrganisationPull"]["Resource"].startswith(
        f"arn:aws:ecr:us-east-1:{ARTIFACTS}:"
    )
    assert policies[REPLICAS].keys() == {"Replication"}
    own = {each.placement.registry.key: each.policy for each in planned.image_repositories}
    assert own[ELSEWHERE] is None
    assert "LambdaECRImageRetrievalPolicy" in statements(own[REPLICAS])


def test_a_namespace_with_readers_of_its_own_keeps_them_in_its_copies() -> None:
    namespaces = {"known": {"payments": {"readers": [LAMBDA]}}, "repositories": {"api": "payments"}}
    planned = plan(*repositories("api"), namespaces=namespaces, **COPIES)
    copies = next(each for each in planned.registries if each.registry.key == ELSEWHERE)
    assert {"OnlyPayments", "AccountsPullPayments"} <= statements(copies.policy).keys()
    assert not any(each.startswith("Push") for each in statements(copies.policy))


def test_where_policies_are_of_image_repositories_a_copy_has_its_own() -> None:
    planned = plan(*repositories("api"), access={"policy": "repository"}, **COPIES)
    own = {each.placement.registry.key: each.policy for each in planned.image_repositories}
    assert "OrganisationPull" in statements(own[ELSEWHERE])
    registries = {each.registry.key: statements(each.policy) for each in planned.registries}
    assert registries[ELSEWHERE].keys() == {"Replication"}


def test_services_are_chosen_by_property_pattern_or_all() -> None:
    accounts = [
        {"account": ARTIFACTS, "regions": ["us-east-1"], "services": {"patterns": ["web*"]}},
        {"account": LAMBDA, "regions": ["eu-west-1"]},
    ]
    chosen = {"copies": {"accounts": accounts, "services": {"property": "tier", "values": ["1"]}}}
    api = repository(1, "api", properties={"tier": "1"})
    planned = plan(api, repository(2, "web"), copies=chosen["copies"])
    replicas = {each.service: set(each.replicas) for each in planned.ledger.entries.values()}
    assert replicas == {"api": {f"{REPLICAS}/api"}, "web": {f"{ELSEWHERE}/web"}}


def test_without_the_setting_what_was_copied_is_kept() -> None:
    before = plan(*repositories("api"), **COPIES).ledger
    still = {
        "accounts": [{"account": ARTIFACTS, "regions": ["us-east-1"]}],
        "services": {"patterns": ["x"]},
    }
    after = plan(*repositories("api"), ledger=before, copies=still)
    assert after.ledger.entries[1].replicas == {f"{ELSEWHERE}/api": "kept"}
    with pytest.raises(EstateError, match="no longer name a registry"):
        plan(*repositories("api"), ledger=before)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"accounts": [{"account": ARTIFACTS, "regions": ["eu-west-1"]}]},
            "is the artifacts registry",
        ),
        (
            {"accounts": [{"account": LAMBDA, "regions": ["eu-west-1"]}]},
            "has replicas under lambda",
        ),
        ({"accounts": [{"account": LAMBDA, "regions": ["cn-north-1"]}]}, "is in aws-cn"),
        (
            {
                "accounts": [
                    {"account": LAMBDA, "regions": [each]} for each in ("us-east-1", "us-east-2")
                ]
            },
            "is already accounts[0]",
        ),
    ],
)
def test_copies_that_cannot_be_are_refused(changes: Any, says: str) -> None:
    with pytest.raises(EstateError) as error:
        settings(copies=changes, **with_replicas())
    assert says in str(error.value)


def test_copies_count_in_the_comparison() -> None:
    sets = [
        {"name": "dev", "account": ARTIFACTS, "region": "eu-west-1"},
        {"name": "prod", "account": LAMBDA, "region": "eu-west-1"},
    ]
    chosen = settings(stages=["dev", "prod"], accountSets=sets, **COPIES)
    assert len(configured_registries(chosen)) == 3
    rows = {
        (each.architecture, each.replicated): each.replicas
        for each in compare_architectures(chosen, inventory(*repositories("api", "web")))
        if each.architecture == "central"
    }
    assert rows == {("central", False): 0, ("central", True): 2}
