"""What stands once for a registry: nothing of other hands is replaced without being shown and adopted."""

import json
from typing import Any

import pulumi
import pytest

from ecr.ledger.ledger import Entry, Ledger, parse_ledger
from ecr.plan.model import EstatePlan, Observed, StandingSettings
from ecr.plan.registry_settings import canonical
from ecr.registry.registry import Registry
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    TODAY,
    config,
    plan,
    repositories,
    with_replicas,
)
from tests.mocks import Deployment, deploy

API = {"id": 1, "name": "api"}
THEIRS: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "PartnerMayPullThroughCache", "Effect": "Allow"}],
}
TO_THE_OTHER_REGION = {
    "rules": [{"destinations": [{"region": "us-east-1", "registryId": ARTIFACTS}]}]
}
OTHER_HANDS: dict[str, Any] = {
    "get_registry_policy": {"policyText": json.dumps(THEIRS)},
    "describe_registry": {"replicationConfiguration": TO_THE_OTHER_REGION},
    "get_registry_scanning_configuration": {
        "scanningConfiguration": {"scanType": "ENHANCED", "rules": []}
    },
    "get_account_setting": {"value": "V2"},
}
ONCE = ("RegistryPolicy", "ReplicationConfiguration", "RegistryScanningConfiguration")


def deployed(
    last: Deployment | None = None,
    aws: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    **changes: Any,
) -> Deployment:
    def invoke(token: str, _: Any) -> dict[str, Any]:
        if token == "aws:ecr/getRepositories:getRepositories":
            return {"id": "eu-west-1", "names": []}
        return {"outputs": state or {}}

    chosen = {**with_replicas(), **changes}
    outputs = last.outputs if last else None
    return deploy(config(static=[API], **chosen), invoke, last_outputs=outputs, aws=aws)


def declared(done: Deployment) -> set[str]:
    return {f"{kind} {name}" for kind in ONCE for name in done.of(kind)}


def waiting(done: Deployment) -> set[tuple[str, str]]:
    return {
        (each["registry"], each["setting"]) for each in done.outputs["report"]["waitingSettings"]
    }


EVERYTHING = {
    f"RegistryPolicy {SOURCE}",
    f"RegistryPolicy {REPLICAS}",
    f"ReplicationConfiguration {SOURCE}",
    f"RegistryScanningConfiguration {SOURCE}",
    f"RegistryScanningConfiguration {REPLICAS}",
}


def test_in_registries_that_nobody_has_set_anything_in_everything_is_deployed() -> None:
    done = deployed()
    assert declared(done) == EVERYTHING
    assert not waiting(done)
    assert done.outputs["ledger"]["registries"][SOURCE] == {
        "policy": "managed",
        "replication": "managed",
        "scanning": "managed",
    }


def test_a_setting_of_other_hands_is_left_alone_and_the_rest_is_deployed() -> None:
    done = deployed(aws={"describe_registry": OTHER_HANDS["describe_registry"]})
    assert declared(done) == EVERYTHING - {f"ReplicationConfiguration {SOURCE}"}
    assert len(done.of("Repository")) == 2
    (shown,) = done.outputs["report"]["waitingSettings"]
    assert (shown["registry"], shown["setting"]) == (SOURCE, "replication")
    assert "us-east-1" in shown["now"]
    assert LAMBDA in shown["then"]
    assert "replication" not in done.outputs["ledger"]["registries"][SOURCE]
    assert any("us-east-1" in line and "is planned" in line for line in done.log)


def test_what_waits_goes_on_waiting_until_its_registry_is_adopted() -> None:
    first = deployed(aws=OTHER_HANDS)
    assert declared(first) == set()
    again = deployed(first, aws=OTHER_HANDS)
    assert waiting(again) == waiting(first)
    assert declared(again) == set()
    adopted = deployed(again, aws=OTHER_HANDS, registries={"adopted": [SOURCE]})
    assert declared(adopted) == {each for each in EVERYTHING if each.endswith(SOURCE)}
    after = deployed(adopted, aws=OTHER_HANDS)
    assert declared(after) == declared(adopted), "an adopted setting stays adopted"


def test_what_stands_as_it_is_planned_is_taken_over_whatever_its_order() -> None:
    written = deployed().of("RegistryPolicy")[SOURCE].inputs["policy"]
    policy = json.loads(written)
    policy["Statement"] = [dict(reversed(list(each.items()))) for each in policy["Statement"]]
    text = json.dumps(policy, indent=2)
    done = deployed(aws={"get_registry_policy": {"policyText": text}})
    assert f"RegistryPolicy {SOURCE}" in declared(done)


def test_what_the_engines_state_holds_is_ours_though_the_outputs_were_never_written() -> None:
    kind = "aws:ecr/registryPolicy:RegistryPolicy"
    urn = f"urn:pulumi:test::ecr-estate::{kind}::{SOURCE}"
    state = {urn: {"type": kind, "outputs": {}}}
    done = deployed(aws=OTHER_HANDS, state=state)
    assert declared(done) == {f"RegistryPolicy {SOURCE}"}


def test_a_ledger_from_before_settings_were_written_down_says_that_they_are_ours() -> None:
    first = deployed()
    first.outputs["ledger"].pop("registries")
    done = deployed(first, aws=OTHER_HANDS)
    assert declared(done) == EVERYTHING
    assert not waiting(done)


def test_with_strict_a_setting_of_other_hands_stops_the_deployment() -> None:
    with pytest.raises(pulumi.RunError, match="settings of registries are by other hands"):
        deployed(aws=OTHER_HANDS, strict="true")


def test_what_is_not_managed_is_not_asked_for_nor_declared() -> None:
    done = deployed(
        aws=OTHER_HANDS, registries={"unmanaged": ["policy", "scanning", "replication"]}
    )
    assert declared(done) == set()
    assert not waiting(done)


def test_what_is_no_longer_managed_stays_in_aws_as_it_was() -> None:
    first = deployed()
    done = deployed(first, registries={"unmanaged": ["policy", "replication"]})
    assert declared(done) == EVERYTHING, "to leave out what the state holds would be to end it"
    for kind in ("RegistryPolicy", "ReplicationConfiguration"):
        left = done.of(kind)[SOURCE]
        assert left.retain_on_delete
        assert left.ignored
    assert not done.of("RegistryScanningConfiguration")[SOURCE].ignored
    again = deployed(done, registries={"unmanaged": ["policy", "replication"]})
    assert declared(again) == EVERYTHING
    assert again.outputs["ledger"] == done.outputs["ledger"]


def test_what_was_left_alone_and_is_managed_again_waits_where_others_have_changed_it() -> None:
    first = deployed(deployed(), registries={"unmanaged": ["policy"]})
    done = deployed(first, aws=OTHER_HANDS)
    assert (SOURCE, "policy") in waiting(done)
    assert done.of("RegistryPolicy")[SOURCE].ignored


def settled(now: dict[Any, str | None], **changes: Any) -> EstatePlan:
    standing = {Registry(ARTIFACTS, "eu-west-1"): StandingSettings(now)}
    return plan(*repositories("api"), observed=Observed(registries=standing), **changes)


@pytest.mark.parametrize(("stands", "waits"), [("V1", False), ("V2", False), (None, False)])
def test_a_scope_that_is_older_than_asked_for_is_aws_own_default(
    stands: str | None, *, waits: bool
) -> None:
    now = canonical(stands) if stands else None
    done = settled({"accountSettings": now}, registryPolicyScope="V2")
    assert bool(done.waiting_settings) is waits


def test_a_newer_scope_is_not_taken_back_without_a_word() -> None:
    changes: dict[str, Any] = {"registryPolicyScope": "V1", "access": {"policy": "repository"}}
    done = settled({"accountSettings": canonical("V2")}, **changes)
    assert [each.setting for each in done.waiting_settings] == ["accountSettings"]


def test_the_limits_and_the_matrix_are_of_what_is_written() -> None:
    done = settled({"policy": canonical(THEIRS)})
    (registry,) = done.registries
    assert registry.policy
    assert registry.own_policy is None


def test_the_ledger_reads_what_it_wrote() -> None:
    entry = Entry("api", "api", "active", TODAY, {f"{SOURCE}/api": "active"})
    held = Ledger({1: entry}, registries={SOURCE: {"policy": "managed", "scanning": "left"}})
    assert parse_ledger(json.loads(json.dumps(held.to_output()))) == held


def test_a_registry_that_no_setting_names_is_not_adopted() -> None:
    with pytest.raises(pulumi.RunError, match="is no registry of these settings"):
        deployed(registries={"adopted": ["999999999999/eu-west-1"]})
