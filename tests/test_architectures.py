"""Architectures: where images live, and how each goes together with the rest of the plan."""

from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.plan.model import Observed
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    OWNER,
    SOURCE,
    plan,
    repositories,
    repository,
    settings,
    states,
)

PRODUCTION = "444444444444"
PER_STAGE: dict[str, Any] = {"architecture": "per-stage", "stages": ["dev", "prod"]}
PER_SET: dict[str, Any] = {
    "architecture": "per-account-set",
    "accountSets": [
        {"name": "nonprod", "account": ARTIFACTS, "region": "eu-west-1"},
        {"name": "prod", "account": PRODUCTION, "region": "eu-west-1"},
    ],
}


def lambda_account(**account: Any) -> dict[str, Any]:
    return {
        "lambdaReplicas": {
            "accounts": [{"account": LAMBDA, "regions": ["eu-west-1"], **account}],
            "services": {"all": True},
        }
    }


def test_per_stage_makes_one_image_repository_a_stage_in_the_order_of_promotion() -> None:
    placed = plan(repository(1, "api"), **PER_STAGE)
    assert list(placed.ledger.entries[1].placements) == [f"{SOURCE}/api-dev", f"{SOURCE}/api-prod"]


def test_per_account_set_makes_the_same_name_in_each_registry() -> None:
    placed = plan(repository(1, "api"), **PER_SET)
    assert list(placed.ledger.entries[1].placements) == [
        f"{SOURCE}/api",
        f"{PRODUCTION}/eu-west-1/api",
    ]
    assert [each.registry.account for each in placed.registries] == [ARTIFACTS, PRODUCTION]
    assert all("aws:PrincipalOrgID" in (each.policy or "") for each in placed.registries)


def test_a_service_whose_name_another_would_have_for_a_stage_is_left_out() -> None:
    placed = plan(*repositories("api", "api-dev"), **PER_STAGE)
    assert [each.repository for each in placed.left_out] == []
    other = plan(
        repository(1, "api-dev"), repository(2, "api"), names={"api-dev": "api"}, **PER_STAGE
    )
    assert [each.repository for each in other.left_out] == ["api"]
    central = plan(repository(1, "api-dev")).ledger
    moved = plan(repository(1, "api-dev"), repository(2, "api"), ledger=central, **PER_STAGE)
    assert [(each.repository, "belongs to api-dev" in each.reason) for each in moved.left_out] == [
        ("api", True)
    ]


def test_a_lambda_account_gets_the_images_of_the_stage_that_it_serves() -> None:
    placed = plan(repository(1, "api"), **PER_STAGE, **lambda_account(serves="prod"))
    assert list(placed.ledger.entries[1].replicas) == [f"{LAMBDA}/eu-west-1/api-prod"]
    (rule,) = placed.registries[0].replication
    assert rule.prefixes == ("api-prod",)


def test_a_lambda_account_is_filled_from_the_set_that_it_serves() -> None:
    placed = plan(repository(1, "api"), **PER_SET, **lambda_account(serves="prod"))
    by_account = {each.registry.account: each for each in placed.registries}
    assert not by_account[ARTIFACTS].replication
    assert by_account[PRODUCTION].replication[0].destinations[0].account == LAMBDA
    assert f"arn:aws:iam::{PRODUCTION}:root" in (by_account[LAMBDA].policy or "")


def test_changing_ones_mind_keeps_everything_and_comes_back() -> None:
    before = plan(*repositories("api", "web")).ledger
    moved = plan(*repositories("api", "web"), ledger=before, **PER_STAGE)
    assert states(moved.ledger.entries[1].placements) == {
        f"{SOURCE}/api-dev": "active",
        f"{SOURCE}/api-prod": "active",
        f"{SOURCE}/api": "kept",
    }
    assert all(each.protected for each in moved.image_repositories)
    back = plan(*repositories("api", "web"), ledger=moved.ledger)
    assert states(back.ledger.entries[1].placements) == {
        f"{SOURCE}/api": "active",
        f"{SOURCE}/api-dev": "kept",
        f"{SOURCE}/api-prod": "kept",
    }


def test_the_registries_of_account_sets_stay_named_for_what_they_hold() -> None:
    before = plan(*repositories("api", "web")).ledger
    moved = plan(*repositories("api", "web"), ledger=before, **PER_SET).ledger
    with pytest.raises(EstateError, match=f"registry {PRODUCTION}/eu-west-1: holds 2"):
        plan(*repositories("api", "web"), ledger=moved)
    back = plan(*repositories("api", "web"), ledger=moved, accountSets=PER_SET["accountSets"])
    assert states(back.ledger.entries[1].placements) == {
        f"{SOURCE}/api": "active",
        f"{PRODUCTION}/eu-west-1/api": "kept",
    }


def test_a_lost_ledger_is_found_again_whatever_the_architecture() -> None:
    first = plan(repository(1, "api"), **PER_STAGE)
    tags = {each.placement.location: each.tags for each in first.image_repositories}
    assert all(each["managed-by"] == OWNER for each in tags.values())
    again = plan(repository(1, "api"), observed=Observed(unknown=tags), **PER_STAGE)
    assert again.ledger == first.ledger


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "per-stage"}, "stages: is missing"),
        ({"architecture": "per-account-set"}, "accountSets: is missing"),
        ({"architecture": "per-stage", "stages": ["Dev"]}, "is not the name of a stage"),
        ({"architecture": "per-stage", "stages": ["dev", "dev"]}, "repeats dev"),
        ({**PER_STAGE, **lambda_account(serves="test")}, "write one of dev, prod"),
        (lambda_account(serves="prod"), "is not a stage or account set; remove it"),
        ({**PER_SET, **lambda_account()}, "serves: is missing; name the account set"),
        (
            {**PER_SET, **lambda_account(account=PRODUCTION, serves="prod")},
            "is the registry of an account set",
        ),
        (
            {"architecture": "per-account-set", "accountSets": [PER_SET["accountSets"][0]] * 2},
            "give each set its own",
        ),
    ],
)
def test_what_does_not_go_with_the_architecture_is_named(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(EstateError) as refused:
        settings(**changes)
    assert said in str(refused.value)
