"""Access: each document grants what its name says and nothing more."""

import json
from typing import Any

import pytest

from ecr.access_proof.evaluate import AccessDecision, Caller, decide_access
from ecr.errors import EstateError
from ecr.plan.access.registry_policies import (
    LOOK,
    PULL,
    PUSH,
    functions_may_pull,
    namespace_policy,
    placement_policy,
    replica_policy,
    source_policy,
)
from ecr.registry.registry import Registry
from tests.builders import plan, repositories, repository, settings, with_replicas

SOURCE = Registry("111111111111", "eu-west-1")
DESTINATION = Registry("222222222222", "us-east-1")
ORGANISATION = "o-a1b2c3d4e5"
UNIT = f"{ORGANISATION}/r-ab12/ou-ab12-11111111/"
OTHER = "333333333333"
DEPLOY = f"arn:aws:iam::{SOURCE.account}:role/deploy"
MAY_ALL = json.dumps({"Statement": [{"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}]})


def known(**namespaces: Any) -> dict[str, Any]:
    """Settings of namespaces by name; their readers, or readers and pushers."""
    return {
        "namespaces": {
            "known": {
                name: each if isinstance(each, dict) else {"readers": each}
                for name, each in namespaces.items()
            }
        }
    }


def caller(
    account: str = OTHER,
    name: str = "node",
    *,
    organisation: str | None = ORGANISATION,
    unit: str = "",
) -> Caller:
    """A role that its own account lets do everything."""
    return Caller(
        "role",
        f"arn:aws:iam::{account}:role/{name}",
        organisation=organisation,
        paths=(unit or f"{organisation}/r-ab12/",) if organisation else (),
        policies=(MAY_ALL,),
    )


def asked(who: Caller, name: str, action: str = PULL[1], /, **changes: Any) -> AccessDecision:
    """What the source registry decides; the image repository's own policy counts too."""
    chosen = settings(**changes)
    first = name.partition("/")[0]
    namespace = first if first in chosen.namespaces.known else None
    documents = (
        source_policy(SOURCE, chosen, None),
        placement_policy(SOURCE, namespace, chosen, functions=True),
    )
    held = [each for each in documents if each]
    return decide_access(who, action, SOURCE.arn(name), held, account=SOURCE.account)


def statement(document: str | None) -> dict[str, Any]:
    parsed = json.loads(document or "")
    assert parsed["Version"] == "2012-10-17"
    (only,) = parsed["Statement"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("by", ["registry", "repository"])
def test_the_organisation_may_pull_and_nobody_else(by: str) -> None:
    one: dict[str, Any] = {"access": {"policy": by}}
    assert asked(caller(), "api", **one) == "allowed"
    assert asked(caller(organisation="o-somebodyelse"), "api", **one) == "not allowed"
    assert asked(caller(organisation=None), "api", **one) == "not allowed"
    assert asked(Caller("anonymous"), "api", **one) == "not allowed"


def test_the_organisation_changes_nothing() -> None:
    for action in (
        *PUSH,
        "ecr:BatchDeleteImage",
        "ecr:DeleteRepository",
        "ecr:SetRepositoryPolicy",
    ):
        assert asked(caller(), "api", action) == "not allowed"


def test_in_the_registrys_own_account_identity_policies_decide() -> None:
    own = Caller("role", f"arn:aws:iam::{SOURCE.account}:role/node", organisation=ORGANISATION)
    assert asked(own, "api") == "not allowed"
    assert asked(caller(SOURCE.account), "api") == "allowed"


def test_no_document_names_an_action_that_ecr_refuses_in_resource_policies() -> None:
    for document in (
        source_policy(SOURCE, settings(), None),
        replica_policy(DESTINATION, [SOURCE], settings(), None),
        functions_may_pull(DESTINATION),
    ):
        assert "GetAuthorizationToken" not in (document or "")


def test_replication_may_fill_image_repositories_but_never_create_them() -> None:
    document = replica_policy(DESTINATION, [SOURCE], settings(), None)
    assert statement(document)["Action"] == ["ecr:ReplicateImage"]


def test_functions_of_the_same_account_and_region_may_pull() -> None:
    granted = statement(functions_may_pull(DESTINATION))
    assert granted["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert granted["Condition"]["StringLike"] == {
        "aws:sourceArn": "arn:aws:lambda:us-east-1:222222222222:function:*"
    }


@pytest.mark.parametrize("by", ["registry", "repository"])
@pytest.mark.parametrize(
    ("reader", "who"),
    [
        (OTHER, caller(organisation=None)),
        (f"arn:aws:iam::{OTHER}:role/node", caller(organisation=None)),
        (
            "o-elsewhere1/r-zz99/",
            caller(organisation="o-elsewhere1", unit="o-elsewhere1/r-zz99/ou-1/"),
        ),
        ("o-elsewhere1", caller(organisation="o-elsewhere1", unit="o-elsewhere1/r-zz99/ou-1/")),
    ],
)
def test_further_readers_may_pull_beside_the_organisation(
    by: str, reader: str, who: Caller
) -> None:
    assert asked(who, "api", access={"policy": by}) == "not allowed"
    assert asked(who, "api", access={"policy": by, "readers": [reader]}) == "allowed"
    assert asked(who, "api", PUSH[0], access={"policy": by, "readers": [reader]}) == "not allowed"


@pytest.mark.parametrize("by", ["registry", "repository"])
@pytest.mark.parametrize(
    ("reader", "reading"),
    [
        (OTHER, caller()),
        (OTHER, caller(organisation=None)),
        (f"arn:aws:iam::{OTHER}:role/node", caller()),
        (UNIT, caller(unit=f"{UNIT}ou-ab12-22222222/")),
        (UNIT, caller(unit=UNIT)),
    ],
)
def test_a_namespace_with_readers_is_theirs_alone(by: str, reader: str, reading: Caller) -> None:
    one: dict[str, Any] = {"access": {"policy": by}, **known(payments=[reader])}
    assert asked(reading, "payments/api", **one) == "allowed"
    refused = "denied" if by == "registry" else "not allowed"
    for other in (
        caller("444444444444", "somebody"),
        caller("444444444444", unit=f"{UNIT.removesuffix('/')}9/"),
        caller("444444444444", organisation=None),
    ):
        assert asked(other, "payments/api", **one) == refused
    assert asked(caller("444444444444"), "api", **one) == "allowed"
    assert asked(caller("444444444444"), "payments-secrets/api", **one) == "allowed"


def test_a_namespace_without_readers_is_read_by_whoever_reads_the_rest() -> None:
    assert asked(caller(), "payments/api", **known(payments={})) == "allowed"


def test_an_empty_list_of_readers_is_nobody() -> None:
    assert asked(caller(), "payments/api", **known(payments=[])) == "denied"
    assert asked(caller(SOURCE.account), "payments/api", **known(payments=[])) == "allowed"


@pytest.mark.parametrize("by", ["registry", "repository"])
def test_pushers_push_to_every_image_repository_of_their_namespace_and_delete_none(by: str) -> None:
    pusher = caller(name="ci", organisation=None)
    one: dict[str, Any] = {
        "access": {"policy": by},
        **known(payments={"readers": [], "pushers": [pusher.name]}, search={}),
    }
    for action in (*PULL, *LOOK, *PUSH):
        assert asked(pusher, "payments/api", action, **one) == "allowed"
    assert asked(pusher, "payments/api", "ecr:BatchDeleteImage", **one) == "not allowed"
    assert asked(pusher, "search/api", "ecr:PutImage", **one) == "not allowed"
    assert asked(pusher, "api", "ecr:PutImage", **one) == "not allowed"
    assert asked(caller(name="node"), "payments/api", "ecr:PutImage", **one) != "allowed"


def functions_of(account: str, region: str = "eu-west-1") -> Caller:
    source = f"arn:aws:lambda:{region}:{account}:function:checkout"
    return Caller("service", "lambda.amazonaws.com", context={"aws:SourceArn": source})


def test_functions_of_named_accounts_run_images_straight_from_the_registry() -> None:
    direct: dict[str, Any] = {
        "access": {"functions": {"accounts": [OTHER], "services": {"all": True}}}
    }
    assert asked(functions_of(OTHER), "api", **direct) == "allowed"
    assert asked(functions_of("444444444444"), "api", **direct) == "not allowed"
    assert asked(functions_of(OTHER, "us-east-1"), "api", **direct) == "not allowed"
    assert asked(functions_of(OTHER), "api") == "not allowed"


def test_functions_read_a_namespace_only_where_their_account_does() -> None:
    direct: dict[str, Any] = {
        "access": {"functions": {"accounts": [OTHER], "services": {"all": True}}}
    }
    theirs = known(payments=[OTHER], search=["444444444444"])
    assert asked(functions_of(OTHER), "payments/api", **direct, **theirs) == "allowed"
    assert asked(functions_of(OTHER), "search/api", **direct, **theirs) == "not allowed"


def test_only_services_with_direct_functions_have_a_policy_of_their_own() -> None:
    direct = {"accounts": [OTHER], "services": {"property": "lambda"}}
    planned = plan(
        repository(1, "api"),
        repository(2, "fn", properties={"lambda": "true"}),
        access={"functions": direct},
    )
    assert {each.placement.name: bool(each.policy) for each in planned.image_repositories} == {
        "api": False,
        "fn": True,
    }
    gone = plan(repository(1, "api"), ledger=planned.ledger, access={"functions": direct})
    assert gone.image_repositories[1].policy, "its functions may still run"


def test_a_registry_on_the_old_scope_has_no_policy_and_each_image_repository_one() -> None:
    planned = plan(*repositories("api", "web"), access={"policy": "repository"})
    assert planned.registries[0].policy is None
    assert all(each.policy for each in planned.image_repositories)
    with pytest.raises(EstateError, match="has no effect under registryPolicyScope: V1"):
        settings(registryPolicyScope="V1")


@pytest.mark.parametrize("by", ["registry", "repository"])
def test_pushers_push_to_the_first_stage_only(by: str) -> None:
    """Images get to later stages by promotion, also where one stage's name ends as another's."""
    pusher = f"arn:aws:iam::{OTHER}:role/payments-ci"
    planned = plan(
        *repositories("checkout"),
        architecture="per-stage",
        stages=["dev", "pre-dev", "prod"],
        namespaces={
            "known": {"payments": {"pushers": [pusher]}},
            "repositories": {"checkout": "payments"},
        },
        access={"policy": by},
    )
    registry = planned.registries[0].policy
    may = {
        each.placement.name: decide_access(
            caller(OTHER, "payments-ci"),
            "ecr:PutImage",
            SOURCE.arn(each.placement.name),
            [text for text in (registry, each.policy) if text],
            account=SOURCE.account,
        )
        == "allowed"
        for each in planned.image_repositories
    }
    assert may == {
        "payments/checkout-dev": True,
        "payments/checkout-pre-dev": False,
        "payments/checkout-prod": False,
    }


@pytest.mark.parametrize("by", ["registry", "repository"])
def test_pushers_push_to_the_first_account_set_only(by: str) -> None:
    pusher = f"arn:aws:iam::{OTHER}:role/payments-ci"
    planned = plan(
        *repositories("checkout"),
        architecture="per-account-set",
        accountSets=[
            {"name": "nonprod", "account": SOURCE.account, "region": SOURCE.region},
            {"name": "prod", "account": DESTINATION.account, "region": DESTINATION.region},
        ],
        namespaces={
            "known": {"payments": {"pushers": [pusher]}},
            "repositories": {"checkout": "payments"},
        },
        access={"policy": by},
    )
    policies = {each.registry: each.policy for each in planned.registries}
    for each in planned.image_repositories:
        registry = each.placement.registry
        decision = decide_access(
            caller(OTHER, "payments-ci"),
            "ecr:PutImage",
            registry.arn(each.placement.name),
            [text for text in (policies[registry], each.policy) if text],
            account=registry.account,
        )
        assert (decision == "allowed") == (registry == SOURCE), registry


GLASS = f"arn:aws:iam::{SOURCE.account}:role/break-glass"
GLASS_THERE = f"arn:aws:iam::{DESTINATION.account}:role/break-glass"
"""The break-glass roles of the artifacts account and of a Lambda account."""


def lock(**more: Any) -> dict[str, Any]:
    return {
        "artifacts": {"account": SOURCE.account, "region": SOURCE.region, "role": DEPLOY},
        "access": {"lock": {"breakGlass": [GLASS]}},
        **more,
    }


@pytest.mark.parametrize(
    "action",
    ["ecr:DeleteRepository", "ecr:SetRepositoryPolicy", "ecr:PutLifecyclePolicy",
     "ecr:DeleteRegistryPolicy", "ecr:PutAccountSetting", "ecr:PutImageTagMutability",
     "ecr:TagResource", "ecr:UntagResource", "ecr:RegisterPullTimeUpdateExclusion",
     "ecr:CreatePullThroughCacheRule", "ecr:UpdatePullThroughCacheRule",
     "ecr:DeletePullThroughCacheRule", "ecr:CreateRepositoryCreationTemplate",
     "ecr:UpdateRepositoryCreationTemplate", "ecr:DeleteRepositoryCreationTemplate"],
)  # fmt: skip
def test_under_a_lock_only_two_roles_delete_or_change_policies(action: str) -> None:
    document = source_policy(SOURCE, settings(**lock()), DEPLOY) or ""

    def decided(role: str) -> AccessDecision:
        who = caller(SOURCE.account, role)
        return decide_access(who, action, SOURCE.arn("api"), [document], account=SOURCE.account)

    assert decided("admin") == "denied"
    assert decided("deploy") == "allowed"
    assert decided("break-glass") == "allowed"
    away = caller(OTHER, "break-glass")
    assert (
        decide_access(away, action, SOURCE.arn("api"), [document], account=SOURCE.account)
        == "denied"
    )


@pytest.mark.parametrize("service", ["inspector2.amazonaws.com", "replication.ecr.amazonaws.com"])
@pytest.mark.parametrize(
    "action", ["ecr:PutRegistryScanningConfiguration", "ecr:TagResource", "ecr:PutLifecyclePolicy"]
)
def test_a_lock_leaves_amazons_own_roles_of_the_account_what_they_need(
    service: str, action: str
) -> None:
    """No deny names the scanning configuration (Amazon Inspector User Guide, "Scanning Amazon ECR")."""
    document = source_policy(SOURCE, settings(**lock()), DEPLOY) or ""
    denied = [each for each in json.loads(document)["Statement"] if each["Effect"] == "Deny"]
    assert not any("ecr:PutRegistryScanningConfiguration" in each["Action"] for each in denied)
    own = caller(SOURCE.account, f"aws-service-role/{service}/AWSServiceRole")
    assert (
        decide_access(own, action, SOURCE.arn("api"), [document], account=SOURCE.account)
        == "allowed"
    )
    away = caller(OTHER, f"aws-service-role/{service}/AWSServiceRole")
    assert (
        decide_access(away, action, SOURCE.arn("api"), [document], account=SOURCE.account)
        != "allowed"
    )


def replicated(*break_glass: str) -> dict[str, Any]:
    """A lock over the artifacts account and a Lambda account, with these break-glass roles."""
    there = {
        "account": DESTINATION.account,
        "regions": [DESTINATION.region],
        "role": f"arn:aws:iam::{DESTINATION.account}:role/deploy",
    }
    return lock(
        access={"lock": {"breakGlass": list(break_glass)}},
        lambdaReplicas={"accounts": [there], "services": {"all": True}},
    )


def test_a_lock_is_on_the_registries_of_replicas_too_with_the_break_glass_of_their_account() -> (
    None
):
    document = replica_policy(
        DESTINATION, [SOURCE], settings(**replicated(GLASS, GLASS_THERE)), None
    )
    arn, action = DESTINATION.arn("api"), "ecr:DeleteRepository"

    def decided(role: str) -> AccessDecision:
        who = caller(DESTINATION.account, role)
        return decide_access(who, action, arn, [document], account=DESTINATION.account)

    assert decided("admin") == "denied"
    assert decided("break-glass") == "allowed"


def test_each_account_with_a_registry_needs_a_break_glass_role_of_its_own() -> None:
    settings(**replicated(GLASS, GLASS_THERE))
    with pytest.raises(EstateError) as missing:
        settings(**replicated(GLASS))
    assert "access.lock.breakGlass: has no role of 222222222222" in str(missing.value)


def test_a_lock_that_would_lock_the_program_out_is_refused() -> None:
    with pytest.raises(EstateError, match=r"artifacts\.role: is missing; access\.lock would lock"):
        settings(access=lock()["access"])
    with pytest.raises(EstateError, match=r"access\.lock: is part of a registry policy"):
        settings(**lock(access={**lock()["access"], "policy": "repository"}))


def test_a_narrowed_namespace_that_is_replicated_to_others_is_noted_with_their_accounts() -> None:
    def notes(readers: list[str] | None, **replicas: Any) -> list[str]:
        planned = plan(
            *repositories("api", "web"),
            namespaces={"known": {"payments": {"readers": readers}},
                        "repositories": {"api": "payments"}},
            **with_replicas("222222222222", "444444444444", **replicas),
        )  # fmt: skip
        return [note for note in planned.notes if "do not bind its replicas" in note]

    (note,) = notes([OTHER])
    assert "the namespace payments" in note
    assert "of 222222222222, 444444444444 may read" in note
    (less,) = notes(["222222222222"])
    assert "of 444444444444 may read" in less
    assert not notes(["222222222222", "444444444444"])
    assert not notes([OTHER], patterns=["web"])
    assert not notes(None)


def test_the_policy_of_a_namespace_is_for_its_own_image_repositories() -> None:
    document = namespace_policy("payments", [SOURCE])
    who = Caller("role", f"arn:aws:iam::{SOURCE.account}:role/pod", policies=(document,))

    def decided(name: str, action: str = PULL[1]) -> AccessDecision:
        return decide_access(who, action, SOURCE.arn(name), account=SOURCE.account)

    assert decided("payments/api") == "allowed"
    assert decided("payments-secrets/api") == "not allowed"
    assert decided("api") == "not allowed"
    assert decided("payments/api", "ecr:PutImage") == "not allowed"
    assert decide_access(who, "ecr:GetAuthorizationToken", "*", account=SOURCE.account) == "allowed"


def test_namespaces_with_the_same_readers_share_their_statements() -> None:
    def size(**namespaces: Any) -> int:
        return len(
            json.loads(source_policy(SOURCE, settings(**known(**namespaces)), None) or "")[
                "Statement"
            ]
        )

    assert size(a=[UNIT]) == size(a=[UNIT], b=[UNIT]) == 2
    assert size(a=[UNIT], b=[OTHER]) == 4


@pytest.mark.parametrize("reader", ["12345", "arn:aws:iam::111111111111:user/me", "acme", "o-1/x"])
def test_a_reader_that_is_no_account_role_or_path_is_refused(reader: str) -> None:
    with pytest.raises(EstateError, match="is not an account, a role or an organisation path"):
        settings(**known(payments=[reader]))
    with pytest.raises(EstateError, match=r"access\.readers\[0\]"):
        settings(access={"readers": [reader]})
