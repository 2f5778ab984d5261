"""What stands once for a registry: nothing of other hands is replaced without being shown and adopted."""

import json
import re
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


def test_what_an_adopted_registry_loses_is_said_once_and_only_what_differs() -> None:
    adopted = deployed(aws=OTHER_HANDS, registries={"adopted": [SOURCE]})
    said = [line for line in adopted.log if "are replaced whole" in line]
    assert len(said) == 1
    for setting, now in (
        ("policy", "PartnerMayPullThroughCache"),
        ("replication", "us-east-1"),
        ("scanning", "ENHANCED"),
    ):
        assert re.search(f"{SOURCE}: {setting} is .*{now}.*, and becomes ", said[0])
    assert REPLICAS not in said[0], "this one is not adopted, and waits"
    again = deployed(adopted, aws=OTHER_HANDS, registries={"adopted": [SOURCE]})
    assert not any("are replaced whole" in line for line in again.log)
    nothing = deployed(registries={"adopted": [SOURCE]})
    assert not any("are replaced whole" in line for line in nothing.log)


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
    for key in ("registries", "revision"):
        first.outputs["ledger"].pop(key)
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


AUDIT = {each: f"arn:aws:iam::{each}:role/ecr-estate-audit" for each in (ARTIFACTS, LAMBDA)}
SCANNER = "arn:aws:iam::999999999999:user/scanners/trivy"
QUIET = {"pullTimeExclusions": ["ecr-estate-audit", SCANNER]}
EXCLUSION = "aws:ecr/pullTimeUpdateExclusion:PullTimeUpdateExclusion"


def exclusions(done: Deployment) -> dict[str, str]:
    found = done.of("PullTimeUpdateExclusion")
    return {name: each.inputs["principalArn"] for name, each in found.items()}


def test_who_only_reads_is_excluded_from_pull_times_in_every_registry() -> None:
    done = deployed(registries=QUIET)
    assert exclusions(done) == {
        f"{SOURCE}/pull-times/{ARTIFACTS}/role/ecr-estate-audit": AUDIT[ARTIFACTS],
        f"{SOURCE}/pull-times/999999999999/user/scanners/trivy": SCANNER,
        f"{REPLICAS}/pull-times/{LAMBDA}/role/ecr-estate-audit": AUDIT[LAMBDA],
        f"{REPLICAS}/pull-times/999999999999/user/scanners/trivy": SCANNER,
    }
    assert not deployed().of("PullTimeUpdateExclusion")


def test_a_role_named_twice_is_excluded_once() -> None:
    done = deployed(registries={"pullTimeExclusions": ["ecr-estate-audit", AUDIT[ARTIFACTS]]})
    assert sum(each == AUDIT[ARTIFACTS] for each in exclusions(done).values()) == 2
    assert len([name for name in exclusions(done) if name.startswith(SOURCE)]) == 1


STANDS = {"list_pull_time_update_exclusions": {"pullTimeUpdateExclusions": [SCANNER]}}


def test_an_exclusion_of_other_hands_is_left_alone_and_said() -> None:
    done = deployed(registries=QUIET, aws=STANDS)
    assert set(exclusions(done).values()) == set(AUDIT.values())
    assert any(SCANNER in line and "by other hands" in line for line in done.log)
    assert f"pullTimes/{SCANNER}" not in done.outputs["ledger"]["registries"][SOURCE]
    again = deployed(done, registries=QUIET, aws=STANDS)
    assert exclusions(again) == exclusions(done)


def test_an_exclusion_of_other_hands_is_taken_up_where_the_registry_is_adopted() -> None:
    first = deployed(registries=QUIET, aws=STANDS)
    done = deployed(first, registries={**QUIET, "adopted": [SOURCE]}, aws=STANDS)
    taken = done.of("PullTimeUpdateExclusion")[
        f"{SOURCE}/pull-times/999999999999/user/scanners/trivy"
    ]
    assert taken.imported == f"{SCANNER}@eu-west-1"
    after = deployed(done, registries=QUIET, aws=STANDS)
    assert SCANNER in exclusions(after).values(), "an adopted one stays adopted"


def test_what_a_killed_deployment_had_excluded_is_its_own() -> None:
    name = f"{SOURCE}/pull-times/999999999999/user/scanners/trivy"
    urn = f"urn:pulumi:test::ecr-estate::{EXCLUSION}::{name}"
    state = {urn: {"type": EXCLUSION, "outputs": {"principalArn": SCANNER}}}
    done = deployed(registries=QUIET, aws=STANDS, state=state)
    assert name in exclusions(done)
    assert not done.of("PullTimeUpdateExclusion")[name].imported


def test_what_this_stack_has_excluded_is_not_asked_for_again() -> None:
    first = deployed(registries=QUIET)
    refused = {"list_pull_time_update_exclusions": {"pullTimeUpdateExclusions": [*AUDIT.values()]}}
    assert exclusions(deployed(first, registries=QUIET, aws=refused)) == exclusions(first)


def test_more_exclusions_than_ecr_takes_are_refused_with_those_of_other_hands() -> None:
    others = [f"arn:aws:iam::{ARTIFACTS}:role/scanner-{number}" for number in range(99)]
    standing = {"list_pull_time_update_exclusions": {"pullTimeUpdateExclusions": others}}
    with pytest.raises(pulumi.RunError, match="101 roles and users are excluded from pull times"):
        deployed(registries=QUIET, aws=standing)


@pytest.mark.parametrize(
    ("puller", "said"),
    [
        (f"arn:aws:iam::{ARTIFACTS}:root", "is not the name of an IAM role"),
        (f"arn:aws:sts::{ARTIFACTS}:assumed-role/audit/session", "is not the name of an IAM role"),
        (f"arn:aws:iam::{ARTIFACTS}:role/{'x' * 200}", "at most 200 characters"),
        ("arn:aws-cn:iam::999999999999:role/audit", "is not in the partition aws"),
        ("audit*", "is not the name of an IAM role"),
    ],
)
def test_who_cannot_be_excluded_is_refused_in_the_settings(puller: str, said: str) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        deployed(registries={"pullTimeExclusions": [puller]})


DELETING = {
    "destinations": [{"region": "eu-west-1", "registryId": LAMBDA}],
    "repositoryFilters": [{"filter": "ap", "filterType": "PREFIX_MATCH"}],
    "deleteReplication": {"enabled": True},
}


def replicating(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"describe_registry": {"replicationConfiguration": {"rules": list(rules)}}}


def test_delete_replication_is_said_though_the_provider_does_not_see_it() -> None:
    first = deployed()
    done = deployed(first, aws=replicating(DELETING))
    (line,) = [each for each in done.log if "delete replication is on" in each]
    assert f"deleted in {REPLICAS} as well, from 1 replicas (api)" in line


@pytest.mark.parametrize(
    "rule",
    [
        {**DELETING, "deleteReplication": {"enabled": False}},
        {key: value for key, value in DELETING.items() if key != "deleteReplication"},
        {**DELETING, "repositoryFilters": [{"filter": "web", "filterType": "PREFIX_MATCH"}]},
        {**DELETING, "destinations": [{"region": "us-east-1", "registryId": LAMBDA}]},
    ],
)
def test_a_rule_that_deletes_in_no_replica_is_not_said(rule: dict[str, Any]) -> None:
    done = deployed(deployed(), aws=replicating(rule))
    assert not any("delete replication" in each for each in done.log)
