"""Namespaces: chosen once, by the map or a property, and never wider than their name."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ecr.access_proof.evaluate import Caller, decide_access
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.documents import Document
from ecr.plan.access.registry_policies import PULL, namespace_policy, source_policy
from ecr.plan.model import EstatePlan
from ecr.registry.registry import Registry
from tests.builders import ARTIFACTS, SOURCE, plan, repositories, repository, settings
from tests.policy_grammar import offences_of

REGISTRY = Registry(ARTIFACTS, "eu-west-1")
ORGANISATION = "o-a1b2c3d4e5"
READER = "333333333333"
MAY_ALL = '{"Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}'


def by_property(*known: str, **more: Any) -> dict[str, Any]:
    return {"namespaces": {"property": "team", "known": {name: {} for name in known}, **more}}


def names(planned: EstatePlan) -> list[str]:
    return [each.placement.name for each in planned.image_repositories]


def left_out(planned: EstatePlan) -> dict[str, str]:
    return {each.repository: each.reason for each in planned.left_out}


def test_a_property_names_the_namespace() -> None:
    planned = plan(
        repository(1, "Checkout", properties={"team": "payments"}),
        repository(2, "web"),
        **by_property("payments"),
    )
    assert names(planned) == ["payments/checkout", "web"]
    assert planned.image_repositories[0].url.endswith("amazonaws.com/payments/checkout")
    assert planned.ledger.entries[1].service == "payments/checkout"


def test_the_map_comes_before_the_property_and_a_chosen_name_before_both() -> None:
    planned = plan(
        repository(1, "Checkout", properties={"team": "payments"}),
        repository(2, "web", properties={"team": "payments"}),
        names={"web": "front/door"},
        **by_property("payments", "search", repositories={"checkout": "search"}),
    )
    assert names(planned) == ["search/checkout", "front/door"]


def test_a_namespace_is_below_a_stage_too() -> None:
    planned = plan(
        repository(1, "api", properties={"team": "payments"}),
        architecture="per-stage",
        stages=["dev", "prod"],
        **by_property("payments"),
    )
    assert names(planned) == ["payments/api-dev", "payments/api-prod"]


@pytest.mark.parametrize(
    ("properties", "more", "reason"),
    [
        ({"team": "paymnets"}, {}, ("its custom property team is 'paymnets', which is no namespace; "
         "correct it, or add the namespace to namespaces.known")),
        ({"team": "Pay ments"}, {}, "is 'Pay ments', which is no namespace"),
        ({"team": ("payments", "search")}, {}, "its custom property team has 2 values; leave one"),
        ({}, {"required": True}, ("its custom property team is missing; set it, or list it in "
         "namespaces.repositories")),
    ],
)  # fmt: skip
def test_a_service_whose_namespace_is_not_clear_is_left_out_and_blocks_no_other(
    properties: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    planned = plan(
        repository(1, "api", properties=properties),
        repository(2, "web", properties={"team": "payments"}),
        **by_property("payments", **more),
    )
    assert names(planned) == ["payments/web"]
    assert reason in left_out(planned)["api"]


def test_without_a_property_a_required_namespace_has_to_be_in_the_map() -> None:
    planned = plan(
        *repositories("api", "web"),
        namespaces={"known": {"a": {}}, "repositories": {"api": "a"}, "required": True},
    )
    assert names(planned) == ["a/api"]
    assert left_out(planned)["web"].startswith("it has no namespace; ")


def test_a_repository_that_is_called_like_a_namespace_is_left_out() -> None:
    planned = plan(*repositories("payments", "web"), **by_property("payments"))
    assert left_out(planned)["payments"] == (
        "payments is the name of a namespace; choose one under `names`"
    )


def test_the_images_of_a_service_are_in_its_namespace_and_never_in_anothers() -> None:
    before = plan(*repositories("payments", "api"))
    named: dict[str, Any] = {
        "images": {"named": {"services": {"payments": ["x"], "search/web": ["x"]}}}
    }
    planned = plan(
        *repositories("payments", "api"),
        repository(3, "web", properties={"team": "search"}),
        ledger=before.ledger,
        **named,
        **by_property("payments", "search"),
    )
    assert names(planned) == ["payments", "api", "search/web", "search/web/x"]
    assert left_out(planned)["payments"].startswith(
        "its image payments/x: payments is the name of a namespace"
    )


def test_a_namespace_stays_when_the_property_changes_and_an_operator_moves_it() -> None:
    before = plan(repository(1, "api", properties={"team": "payments"}), **by_property("payments"))
    now = repository(1, "api", properties={"team": "search"})
    chosen = by_property("payments", "search")
    after = plan(now, ledger=before.ledger, **chosen)
    assert names(after) == ["payments/api"]
    assert after.notes == (
        (
            "1 services stay under the names that they have, though their namespace is another now: "
            "payments/api (search); move one by `names`"
        ),
    )
    moved = plan(now, ledger=after.ledger, names={"api": "search/api"}, **chosen)
    assert {each.placement.name: each.state for each in moved.image_repositories} == {
        "search/api": "active",
        "payments/api": "kept",
    }


def test_what_stood_before_the_namespaces_keeps_its_name() -> None:
    before = plan(*repositories("api"))
    after = plan(
        repository(1, "api", properties={"team": "payments"}),
        repository(2, "web", properties={"team": "payments"}),
        ledger=before.ledger,
        **by_property("payments"),
    )
    assert names(after) == ["api", "payments/web"]


def test_two_repositories_of_one_name_in_two_namespaces_do_not_meet() -> None:
    first = plan(repository(1, "api", properties={"team": "a"}), **by_property("a", "b"))
    gone = replace(first.ledger.entries[1], state="kept")
    again = plan(
        repository(2, "api", properties={"team": "b"}),
        ledger=Ledger({1: gone}),
        **by_property("a", "b"),
    )
    assert set(names(again)) == {"a/api", "b/api"}


@pytest.mark.parametrize(
    ("namespaces", "said"),
    [
        ({"known": {"payments": {}}, "repositories": {"api": "paymnets"}},
         ('namespaces.repositories.api = "paymnets": is not in namespaces.known; did you mean '
         "payments")),
        ({"repositories": {"api": "payments"}}, "is not in namespaces.known; add it there"),
        ({"known": {"Payments": {}}}, "is not a namespace that ECR accepts"),
        ({"known": {"a--b": {}}}, "is not a namespace that ECR accepts"),
        ({"known": {"a/b": {}}}, "is not a namespace that ECR accepts"),
        ({"property": "team"}, "namespaces.known: is missing; list the values"),
        ({"required": True}, "namespaces.known: is missing; without it every service"),
        ({"known": {"a": {"pushers": ["111111111111"]}}}, "is not the ARN of an IAM role"),
    ],
)  # fmt: skip
def test_settings_of_namespaces_that_cannot_be_met_are_refused(
    namespaces: dict[str, Any], said: str
) -> None:
    with pytest.raises(EstateError) as refused:
        settings(namespaces=namespaces)
    assert said in str(refused.value)


def test_each_namespace_has_the_policy_of_those_who_pull_from_it() -> None:
    planned = plan(*repositories("api"), **by_property("payments", "search"))
    assert set(planned.namespaces) == {"payments", "search"}
    assert f"repository/payments/*" in planned.namespaces["payments"]  # noqa: F541 - a plain text
    assert SOURCE.split("/")[0] in planned.namespaces["payments"]


def test_a_namespace_of_one_service_gives_it_readers_and_pushers_of_its_own() -> None:
    ci = f"arn:aws:iam::{READER}:role/checkout-ci"
    planned = plan(
        *repositories("checkout", "web"),
        namespaces={
            "known": {"checkout-only": {"readers": [READER], "pushers": [ci]}},
            "repositories": {"checkout": "checkout-only"},
        },
    )
    assert names(planned) == ["checkout-only/checkout", "web"]
    document = planned.registries[0].policy or ""

    def decided(who: str, action: str, name: str) -> str:
        caller = Caller("role", who, organisation=ORGANISATION, policies=(MAY_ALL,))
        return decide_access(caller, action, REGISTRY.arn(name), [document], account=ARTIFACTS)

    node, other = (f"arn:aws:iam::{each}:role/node" for each in (READER, "444444444444"))
    own, pull, push = "checkout-only/checkout", PULL[1], "ecr:PutImage"
    assert decided(node, pull, own) == decided(ci, push, own) == "allowed"
    assert decided(other, pull, own) == "denied"
    assert "allowed" not in {decided(node, push, own), decided(ci, push, "web")}
    assert decided(other, pull, "web") == "allowed"
    # What a deployment prints for the namespace names this one service's image repository and no other.
    (printed,) = planned.namespaces.values()
    assert "repository/checkout-only/*" in printed
    for name, wanted in ((own, "allowed"), ("web", "not allowed")):
        local = Caller("role", f"arn:aws:iam::{ARTIFACTS}:role/pod", policies=(printed,))
        assert decide_access(local, pull, REGISTRY.arn(name), account=ARTIFACTS) == wanted


part = st.from_regex(r"[a-z0-9]{1,4}([._-][a-z0-9]{1,4}){0,2}", fullmatch=True)


@given(namespace=part, other=part, service=part)
def test_a_grant_on_a_namespace_matches_no_other_whose_name_begins_alike(
    namespace: str, other: str, service: str
) -> None:
    assume(namespace != other)
    pod = Caller(
        "role",
        f"arn:aws:iam::{ARTIFACTS}:role/pod",
        policies=(namespace_policy(namespace, [REGISTRY]),),
    )
    for name, wanted in (
        (f"{namespace}/{service}", "allowed"),
        (f"{other}/{service}", "not allowed"),
        (f"{namespace}-{other}/{service}", "not allowed"),
        (f"{namespace}{other}/{service}", "not allowed"),
        (namespace + other, "not allowed"),
        (f"{other}/{namespace}/{service}", "not allowed"),
    ):
        for action in PULL:
            assert decide_access(pod, action, REGISTRY.arn(name), account=ARTIFACTS) == wanted


@given(namespace=part, other=part, service=part)
def test_a_namespace_with_readers_narrows_no_other_whose_name_begins_alike(
    namespace: str, other: str, service: str
) -> None:
    assume(namespace != other)
    chosen = settings(namespaces={"known": {namespace: {"readers": [READER]}}})
    document = source_policy(REGISTRY, chosen, None) or ""

    def decided(account: str, name: str) -> str:
        who = Caller(
            "role",
            f"arn:aws:iam::{account}:role/node",
            organisation=ORGANISATION,
            policies=(MAY_ALL,),
        )
        return decide_access(who, PULL[1], REGISTRY.arn(name), [document], account=ARTIFACTS)

    assert decided(READER, f"{namespace}/{service}") == "allowed"
    assert decided("444444444444", f"{namespace}/{service}") == "denied"
    for name in (f"{other}/{service}", f"{namespace}-{other}/{service}", namespace):
        assert decided("444444444444", name) == "allowed"


@given(st.sets(part, min_size=1, max_size=4))
def test_every_set_of_namespaces_gives_a_document_that_aws_takes(namespaces: set[str]) -> None:
    everyone = {
        "readers": [READER, f"{ORGANISATION}/r-ab12/"],
        "pushers": [f"arn:aws:iam::{READER}:role/ci"],
    }
    known = {
        name: {**everyone, "readers": [*everyone["readers"], f"{number:012}"]}
        for number, name in enumerate(sorted(namespaces), 1)
    }
    document = source_policy(REGISTRY, settings(namespaces={"known": known}), None) or ""
    assert offences_of(Document("registry", "registry", document)) == []
