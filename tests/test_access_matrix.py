"""The access matrix: every cell is decided, and nobody gets what is not theirs."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr.access_proof.matrix import ACTIONS, callers, decisions_for, may_assume, targets, workflows
from ecr.engine.stack_file import checked, read_stack_file
from ecr.plan.model import EstatePlan
from ecr.settings.models import Settings
from tests.builders import plan, repository

EXAMPLE = Path(__file__).parent.parent / "examples/access/Pulumi.access.yaml"

OUTSIDE = ("an account outside the organisation", "an account of no organisation",
           "an anonymous caller", "Lambda, for functions of another account",
           "replication from another account")  # fmt: skip
READING = ("pull", "ask which layers are there", "list images", "describe images")
CHANGING = tuple(ACTIONS.keys() - set(READING))

CENTRAL = {"website", "payments/ledger", "payments-secrets", "search/crawler", "thumbnails"}
REPLICA = "thumbnails in 444455556666"
OPEN = CENTRAL - {"payments/ledger"}

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "by repository policies": {"access": {"policy": "repository", "readers": ["999988887777"]}},
    "without a lock": {"access": {"readers": ["999988887777"]}},
    "per stage": {"architecture": "per-stage", "stages": ["dev", "prod"]},
    "per account set": {
        "architecture": "per-account-set",
        "accountSets": [
            {"name": name, "account": account, "region": "eu-west-1",
             "role": f"arn:aws:iam::{account}:role/ecr-estate-deploy"}
            for name, account in (("nonprod", "111122223333"), ("prod", "123412341234"))
        ],
        "lambdaReplicas": {"accounts": []},
        "access": {"lock": {"breakGlass": [
            f"arn:aws:iam::{account}:role/break-glass" for account in ("111122223333", "123412341234")
        ]}},
    },
}  # fmt: skip

each_variant = pytest.mark.parametrize("variant", VARIANTS)


@cache
def estate(variant: str = "as it is") -> tuple[EstatePlan, Settings]:
    values = {**read_stack_file(EXAMPLE), **VARIANTS[variant]}
    services = [
        repository(each["id"], each["name"], properties=each.get("properties", {}))
        for each in values["static"]
    ]
    return plan(*services, **values), checked(values)


def allowed(who: str, what: str, variant: str = "as it is") -> set[str]:
    """The image repositories with which a caller may do something."""
    planned, chosen = estate(variant)
    caller = callers(planned, chosen)[who]
    return {
        each.title for each in targets(planned) if decisions_for(caller, what, each) == {"allowed"}
    }


@each_variant
def test_every_cell_is_decided(variant: str) -> None:
    planned, chosen = estate(variant)
    for caller in callers(planned, chosen).values():
        for what in ACTIONS:
            assert all(len(decisions_for(caller, what, target)) == 1 for target in targets(planned))


@each_variant
@pytest.mark.parametrize("who", OUTSIDE)
def test_nobody_outside_reads_or_changes_anything(who: str, variant: str) -> None:
    assert not any(allowed(who, what, variant) for what in ACTIONS)


@each_variant
def test_an_account_of_the_organisation_reads_and_changes_nothing(variant: str) -> None:
    who = "an account of the organisation"
    assert allowed(who, "pull", variant)
    assert not any(name.startswith("payments/") for name in allowed(who, "pull", variant))
    assert not any(allowed(who, what, variant) for what in CHANGING)


@each_variant
def test_no_workflow_reads_or_writes_what_is_anothers(variant: str) -> None:
    planned, _ = estate(variant)
    for role in planned.push_roles:
        who = f"the workflows of {role.repository}"
        mine = f"{role.service}-dev" if variant == "per stage" else role.service
        assert allowed(who, "push", variant) == allowed(who, "pull", variant) == {mine}
        for what in set(CHANGING) - {"push"}:
            assert not allowed(who, what, variant)


@each_variant
def test_no_workflow_takes_the_role_of_another(variant: str) -> None:
    planned, chosen = estate(variant)
    for title, workflow in workflows(planned, chosen).items():
        repository_name, _, rest = title.partition(", ")
        mine = {
            role.repository
            for role in planned.push_roles
            if may_assume(workflow, role) == "allowed"
        }
        assert mine == ({repository_name} if rest in {"", "by the older subject"} else set())


@each_variant
def test_images_are_deleted_by_no_document_of_the_estate(variant: str) -> None:
    planned, chosen = estate(variant)
    admins = {who for who in callers(planned, chosen) if who.startswith(("an admin", "the break"))}
    for who in callers(planned, chosen).keys() - admins:
        assert not allowed(who, "delete images", variant)
        assert not allowed(who, "delete the image repository", variant)


@pytest.mark.parametrize(
    ("who", "pulls", "pushes"),
    [
        ("an admin of the artifacts account", CENTRAL, CENTRAL),
        ("a role of the artifacts account without a policy", set(), set()),
        ("an admin of 444455556666", OPEN | {REPLICA}, {REPLICA}),
        ("an account of the organisation", OPEN, set()),
        ("a reader of the estate: 999988887777", OPEN, set()),
        ("a reader of the estate: arn:aws:iam::888877776666:role/partner", OPEN, set()),
        ("a reader of the namespace payments: o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/", CENTRAL, set()),
        ("a reader of the namespace payments: 222233334444", {"payments/ledger"}, set()),
        ("a pusher of the namespace payments: arn:aws:iam::222233334444:role/payments-ci",
         {"payments/ledger"}, {"payments/ledger"}),
        ("a pod of the artifacts account with the policy of payments", {"payments/ledger"}, set()),
        ("a pod of the artifacts account with the policy of search", {"search/crawler"}, set()),
        ("Lambda, for functions of 777788889999", {"thumbnails"}, set()),
        ("Lambda, for functions of 444455556666", {REPLICA}, set()),
        ("Lambda, for functions of 111122223333", set(), set()),
        ("the workflows of payments-secrets", {"payments-secrets"}, {"payments-secrets"}),
        ("the deploy role of 111122223333", set(), set()),
        ("the preview role of 111122223333", set(), set()),
    ],
)  # fmt: skip
def test_each_caller_of_the_example_gets_what_is_meant_for_it(
    who: str, pulls: set[str], pushes: set[str]
) -> None:
    assert allowed(who, "pull") == pulls
    assert allowed(who, "push") == pushes


def test_replicas_are_filled_by_the_estates_replication_and_created_by_nobodys() -> None:
    who = "replication from 111122223333"
    assert REPLICA in allowed(who, "fill it by replication")
    assert REPLICA not in allowed(who, "create it by replication")


@pytest.mark.parametrize(
    "what",
    ["delete the image repository", "change its policy", "change its lifecycle policy"],
)
def test_under_the_lock_only_deploy_and_break_glass_roles_end_or_open_anything(what: str) -> None:
    planned, chosen = estate()
    holders = {who for who in callers(planned, chosen) if allowed(who, what)}
    keepers = {
        f"the break-glass role arn:aws:iam::{account}:role/break-glass"
        for account in ("111122223333", "444455556666")
    }
    if what != "delete the image repository":
        keepers |= {"the deploy role of 111122223333", "the deploy role of 444455556666"}
    assert holders == keepers


def test_a_preview_changes_nothing_and_reads_no_image() -> None:
    for account in ("111122223333", "444455556666"):
        who = f"the preview role of {account}"
        assert [what for what in ACTIONS if allowed(who, what)] == ["describe images"]


def test_the_example_is_a_stack_file() -> None:
    assert yaml.safe_load(EXAMPLE.read_text())["config"]
