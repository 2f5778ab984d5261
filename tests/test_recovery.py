"""What stands in AWS though the engine's state does not hold it is taken up, and never made twice."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from tests.builders import ARTIFACTS, SOURCE, config
from tests.mocks import Deployment, deploy

API = {"id": 1, "name": "api"}
WEB = {"id": 2, "name": "web"}
Held = tuple[str, str, Mapping[str, Any]]
"""A resource in the state: type, logical name, outputs."""
ISSUER = "token.actions.githubusercontent.com"
TOPIC = f"arn:aws:sns:eu-west-1:{ARTIFACTS}:ecr-estate-alerts"
PUSH: dict[str, Any] = {"organisationId": 7, "createProvider": True}


def key(number: int) -> str:
    return f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/{number}"


def deployed(answers: Mapping[str, Any], *state: Held, **changes: Any) -> Deployment:
    held: dict[str, Any] = {
        f"urn:pulumi:test::ecr-estate::{kind}::{name}": {"type": kind, "outputs": outputs}
        for kind, name, outputs in state
    }

    def invoke(token: str, _: Any) -> dict[str, Any]:
        if token == "aws:ecr/getRepositories:getRepositories":
            return {"id": "eu-west-1", "names": []}
        return {"outputs": held}

    return deploy(config(static=[API, WEB], **changes), invoke, aws=answers)


def keys(*numbers: int, **tags: str) -> dict[str, Any]:
    """Answers of an account with these keys, all enabled, that have these tags."""
    return {
        "list_keys": {"Keys": [{"KeyId": str(each), "KeyArn": key(each)} for each in numbers]},
        "list_resource_tags": {
            "Tags": [
                {"TagKey": name.replace("_", "-"), "TagValue": tag} for name, tag in tags.items()
            ]
        },
        "describe_key": {"KeyMetadata": {"Enabled": True}},
    }


def test_a_role_of_the_estates_path_is_taken_up_and_the_others_are_made() -> None:
    roles = {"Roles": [{"RoleName": "push-api-1", "Path": "/ecr-estate/"}]}
    done = deployed({"list_roles": roles}, pushRoles=PUSH)
    made = done.of("Role")
    assert made[f"{ARTIFACTS}/push-api-1"].imported == "push-api-1"
    assert not made[f"{ARTIFACTS}/push-web-2"].imported


def test_a_role_that_the_state_holds_is_given_no_id() -> None:
    roles = {"Roles": [{"RoleName": "push-api-1", "Path": "/ecr-estate/"}]}
    held: Held = ("aws:iam/role:Role", f"{ARTIFACTS}/push-api-1", {})
    done = deployed({"list_roles": roles}, held, pushRoles=PUSH)
    assert not any(each.imported for each in done.of("Role").values())


@pytest.mark.parametrize("name", ["push-api-1", "Push-API-1"])
def test_a_role_of_other_hands_leaves_out_that_services_role_and_nothing_else(name: str) -> None:
    roles = {"Roles": [{"RoleName": name, "Path": "/teams/"}]}
    done = deployed({"list_roles": roles}, pushRoles=PUSH)
    assert done.of("Role").keys() == {f"{ARTIFACTS}/push-web-2"}
    assert done.of("Repository").keys() == {f"{SOURCE}/api", f"{SOURCE}/web"}
    (left,) = done.outputs["leftOut"]
    assert left["repository"] == "api"
    assert "under /teams/, by other hands" in left["reason"]
    assert done.outputs["pushRoles"].keys() == {"web"}


def test_with_strict_a_role_of_other_hands_stops_the_deployment() -> None:
    roles = {"Roles": [{"RoleName": "push-api-1", "Path": "/"}]}
    with pytest.raises(pulumi.RunError, match="strict is set"):
        deployed({"list_roles": roles}, pushRoles=PUSH, strict="true")


def test_an_identity_provider_that_is_as_planned_is_taken_up() -> None:
    answer = {"ClientIDList": ["sts.amazonaws.com"]}
    done = deployed({"get_open_id_connect_provider": answer}, pushRoles=PUSH)
    (provider,) = done.of("OpenIdConnectProvider").values()
    assert provider.imported == f"arn:aws:iam::{ARTIFACTS}:oidc-provider/{ISSUER}"


@pytest.mark.parametrize(
    ("audiences", "more"),
    [(["sts.amazonaws.com", "theirs"], False), (["theirs"], True)],
)
def test_an_identity_provider_of_other_hands_is_left_as_it_is(
    audiences: list[str], *, more: bool
) -> None:
    done = deployed({"get_open_id_connect_provider": {"ClientIDList": audiences}}, pushRoles=PUSH)
    assert not done.of("OpenIdConnectProvider")
    assert len(done.of("Role")) == 2
    (note,) = (line for line in done.log if "remove `pushRoles.createProvider`" in line)
    assert ("add sts.amazonaws.com" in note) is more


def test_a_topic_and_its_key_are_taken_up_and_no_second_key_is_made() -> None:
    topic = {"Attributes": {"KmsMasterKeyId": key(2)}}
    answers = {"get_topic_attributes": topic, **keys(1, 2, ecr_estate="alerts")}
    done = deployed(answers, alerts={})
    (made,) = done.of("Key").values()
    assert made.imported == "2@eu-west-1"
    (declared,) = done.of("Topic").values()
    assert declared.imported == f"{TOPIC}@eu-west-1"
    assert any(key(1) in line and "schedule its deletion" in line for line in done.log)


@pytest.mark.parametrize(("subscriptions", "ours"), [("0", True), ("1", False)])
def test_a_topic_that_was_not_encrypted_yet_is_taken_up_where_nobody_hears_of_it(
    subscriptions: str,
    ours: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    topic = {"Attributes": {"SubscriptionsConfirmed": subscriptions, "SubscriptionsPending": "0"}}
    held = ("aws:kms/key:Key", f"{SOURCE}/alerts", {"arn": key(1)})
    done = deployed({"get_topic_attributes": topic}, held, alerts={})
    assert [bool(each.imported) for each in done.of("Topic").values()] == ([True] if ours else [])
    alone = deployed({"get_topic_attributes": topic}, alerts={})
    assert not alone.of("Topic"), "without a key of the alerts it is somebody's own"


def test_a_key_whose_topic_was_never_made_is_taken_up_by_its_tag() -> None:
    done = deployed(keys(1, ecr_estate="alerts"), alerts={})
    (made,) = done.of("Key").values()
    assert made.imported == "1@eu-west-1"
    assert not any(each.imported for each in done.of("Topic").values())


def test_a_key_without_the_tag_is_of_other_hands() -> None:
    done = deployed(keys(1, team="payments"), alerts={})
    (made,) = done.of("Key").values()
    assert not made.imported


def test_a_topic_of_other_hands_leaves_out_that_registrys_alerts_and_nothing_else() -> None:
    topic = {"Attributes": {"KmsMasterKeyId": key(9)}}
    answers = {"get_topic_attributes": topic, **keys(1, ecr_estate="alerts")}
    done = deployed(answers, alerts={})
    assert not done.of("Topic")
    assert not done.of("Key")
    assert len(done.of("Repository")) == 2
    assert any("of other hands stands there" in line for line in done.log)


def test_a_topic_that_was_made_without_an_answer_is_found_by_the_key_in_the_state() -> None:
    topic = {"Attributes": {"KmsMasterKeyId": key(1)}}
    held = ("aws:kms/key:Key", f"{SOURCE}/alerts", {"arn": key(1)})
    done = deployed({"get_topic_attributes": topic}, held, alerts={})
    (made,) = done.of("Key").values()
    assert not made.imported
    (declared,) = done.of("Topic").values()
    assert declared.imported


def test_a_role_of_a_service_that_has_none_any_more_is_told_and_one_of_nobodys_is_not() -> None:
    roles = {
        "Roles": [
            {"RoleName": f"push-{name}", "Path": "/ecr-estate/"}
            for name in ("api-1", "web-2", "x-9")
        ]
    }
    chosen = {**PUSH, "services": {"patterns": ["web"]}}
    done = deployed({"list_roles": roles}, pushRoles=chosen)
    assert done.of("Role").keys() == {f"{ARTIFACTS}/push-web-2"}
    log = "\n".join(done.log)
    assert f"role push-api-1 in {ARTIFACTS} is of api, which has no push role any more" in log
    assert "push-x-9" not in log


SCAN = "ecr-estate-alerts-scan"


def rules(pattern: str, *targets: str, **more: str) -> dict[str, Any]:
    """Answers of an account that has each event rule of the alerts' names, all alike."""
    return {
        "describe_rule": {"EventPattern": pattern, **more},
        "list_targets_by_rule": {"Targets": [{"Id": "1", "Arn": each} for each in targets]},
    }


@pytest.mark.parametrize("targets", [("arn:aws:sqs:theirs",), (TOPIC, "arn:aws:sqs:theirs"), ()])
def test_event_rules_of_other_hands_are_left_out_and_their_topic_is_made(
    targets: tuple[str, ...],
) -> None:
    theirs = rules('{"source":["aws.ec2"]}', *targets)
    done = deployed(theirs, alerts={})
    assert not done.of("EventRule")
    assert not done.of("EventTarget")
    assert len(done.of("Topic")) == 1
    (note,) = (line for line in done.log if f"a rule {SCAN} of other hands stands there" in line)
    assert "delete the rule, or name the registry under `registries.adopted`" in note
    adopted = deployed(theirs, alerts={}, registries={"adopted": [SOURCE]})
    assert len(adopted.of("EventRule")) == len(adopted.of("EventTarget")) == 3


@pytest.mark.parametrize("targets", [(TOPIC,), ()])
def test_event_rules_of_a_deployment_that_was_lost_are_written_over(
    targets: tuple[str, ...],
) -> None:
    description = "Vulnerabilities found by ECR's basic scanning"
    done = deployed(rules("{}", *targets, Description=description), alerts={})
    assert f"{SOURCE}/{SCAN}" in done.of("EventRule")


def test_a_topic_of_other_hands_is_taken_over_where_its_registry_is_adopted() -> None:
    topic = {"Attributes": {"KmsMasterKeyId": key(9)}}
    answers = {"get_topic_attributes": topic, **keys(1, ecr_estate="alerts")}
    done = deployed(answers, alerts={}, registries={"adopted": [SOURCE]})
    (declared,) = done.of("Topic").values()
    assert declared.imported
    (made,) = done.of("Key").values()
    assert made.imported == "1@eu-west-1"
