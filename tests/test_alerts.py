"""Alerts: the patterns match what AWS really sends, and nothing beside it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from moto.events.models import EventPattern

from ecr.plan.alerts import basic_scan, enhanced_finding, failed_replication
from ecr.plan.model import AlertRule
from tests.builders import ARTIFACTS, LAMBDA, SOURCE, config, plan, repositories, with_replicas
from tests.mocks import deploy, no_invoke

CRITICAL = ("CRITICAL",)


def event(source: str, kind: str, **detail: Any) -> dict[str, Any]:
    """An event as EventBridge delivers it."""
    return {
        "version": "0",
        "id": "85fc3613-e913-7fc4-a80c-a3753e4aa9ae",
        "detail-type": kind,
        "source": source,
        "account": ARTIFACTS,
        "time": "2026-11-22T12:00:00Z",
        "region": "eu-west-1",
        "resources": [f"arn:aws:ecr:eu-west-1:{ARTIFACTS}:repository/api"],
        "detail": detail,
    }


def scan(counts: dict[str, int], status: str = "COMPLETE") -> dict[str, Any]:
    """Amazon ECR User Guide, "Event for a completed image scan"."""
    return event(
        "aws.ecr",
        "ECR Image Scan",
        **{
            "scan-status": status,
            "repository-name": "api",
            "finding-severity-counts": counts,
            "image-digest": "sha256:1",
            "image-tags": ["abc"],
        },
    )


def finding(
    severity: str = "CRITICAL", status: str = "ACTIVE", kind: str = "AWS_ECR_CONTAINER_IMAGE"
) -> dict[str, Any]:
    """Amazon Inspector User Guide, "Amazon Inspector finding event schema"."""
    image = {"repositoryName": "api", "imageHash": "sha256:1", "imageTags": ["abc"]}
    return event(
        "aws.inspector2",
        "Inspector2 Finding",
        severity=severity,
        status=status,
        title="CVE-2026-0001 - openssl",
        resources=[{"id": "arn", "type": kind, "details": {"awsEcrContainerImage": image}}],
    )


def replication(result: str = "FAILED", name: str = "api") -> dict[str, Any]:
    """Amazon ECR User Guide, "Event for a completed image replication"."""
    return event(
        "aws.ecr",
        "ECR Replication Action",
        **{
            "action-type": "REPLICATE",
            "result": result,
            "repository-name": name,
            "image-digest": "sha256:1",
            "image-tag": "abc",
            "source-account": ARTIFACTS,
            "source-region": "eu-west-1",
        },
    )


PUSH = event("aws.ecr", "ECR Image Action", **{"action-type": "PUSH", "result": "SUCCESS"})
DELETED = event("aws.ecr", "ECR Image Action", **{"action-type": "DELETE", "result": "FAILED"})
INSPECTOR_SCAN = event(
    "aws.inspector2",
    "Inspector2 Scan",
    **{"scan-status": "INITIAL_SCAN_COMPLETE", "finding-severity-counts": {"CRITICAL": 7}},
)
FREQUENCY = event("aws.ecr", "ECR Scan Resource Change", **{"scan-type": "ENHANCED"})
EVERYTHING_ELSE = [PUSH, DELETED, INSPECTOR_SCAN, FREQUENCY]


def variants(value: Any) -> Iterator[Any]:
    """One event for each object within an array: EventBridge looks into them, moto does not."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        for each in value:
            yield from variants(each)
    elif isinstance(value, dict):
        whole: list[dict[str, Any]] = [{}]
        for key, inner in value.items():
            whole = [{**one, key: two} for one in whole for two in variants(inner)]
        yield from whole
    else:
        yield value


def matches(rule: AlertRule, sent: dict[str, Any]) -> bool:
    pattern = EventPattern(rule.pattern, json.loads(rule.pattern))
    return any(pattern.matches_event(each) for each in variants(sent))


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (basic_scan(CRITICAL), scan({"CRITICAL": 1})),
        (basic_scan(CRITICAL), scan({"CRITICAL": 12, "LOW": 3})),
        (basic_scan(["CRITICAL", "HIGH"]), scan({"HIGH": 1})),
        (enhanced_finding(CRITICAL), finding()),
        (enhanced_finding(["CRITICAL", "HIGH"]), finding("HIGH")),
        (failed_replication(()), replication()),
        (failed_replication(["web"]), replication()),
        (failed_replication(["web", "hub/*"]), replication()),
    ],
)
def test_what_matters_matches(rule: AlertRule, sent: dict[str, Any]) -> None:
    assert matches(rule, sent)


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (basic_scan(CRITICAL), scan({"HIGH": 9})),
        (basic_scan(CRITICAL), scan({"CRITICAL": 0})),
        (basic_scan(CRITICAL), scan({})),
        (basic_scan(CRITICAL), scan({"CRITICAL": 1}, status="FAILED")),
        (basic_scan(["CRITICAL", "HIGH"]), scan({"MEDIUM": 9})),
        (basic_scan(CRITICAL), finding()),
        (enhanced_finding(CRITICAL), scan({"CRITICAL": 1})),
        (enhanced_finding(CRITICAL), finding("HIGH")),
        (enhanced_finding(CRITICAL), finding(status="CLOSED")),
        (enhanced_finding(CRITICAL), finding(status="SUPPRESSED")),
        (enhanced_finding(CRITICAL), finding(kind="AWS_EC2_INSTANCE")),
        (failed_replication(()), replication("SUCCESS")),
        (failed_replication(["api"]), replication()),
        (failed_replication(["api", "hub/*"]), replication()),
        (failed_replication(["api", "hub/*"]), replication(name="hub/library/nginx")),
        *(
            (rule, sent)
            for rule in (basic_scan(CRITICAL), enhanced_finding(CRITICAL), failed_replication(()))
            for sent in EVERYTHING_ELSE
        ),
    ],
)
def test_what_does_not_matter_does_not_match(rule: AlertRule, sent: dict[str, Any]) -> None:
    assert not matches(rule, sent)


def found(sent: Any, path: str) -> Any:
    """What a JSON path of an input transformer finds."""
    for name, index in re.findall(r"\.([\w-]+)(?:\[(\d+)\])?", path):
        sent = sent[name][int(index)] if index else sent[name]
    return sent


@pytest.mark.parametrize(
    ("rule", "sent", "said"),
    [
        (
            basic_scan(["CRITICAL", "HIGH"]),
            scan({"CRITICAL": 2, "HIGH": 5}),
            "Vulnerabilities in an image of api (critical: 2, high: 5).",
        ),
        (
            enhanced_finding(CRITICAL),
            finding(),
            "CRITICAL in an image of api: CVE-2026-0001 - openssl.",
        ),
        (failed_replication(()), replication(), "An image of api was not replicated."),
    ],
)
def test_a_message_reads_as_a_sentence(rule: AlertRule, sent: dict[str, Any], said: str) -> None:
    assert set(re.findall(r"<(\w+)>", rule.template)) == set(rule.paths)
    message = rule.template
    for name, path in rule.paths.items():
        message = message.replace(f"<{name}>", str(found(sent, path)))
    lines = [json.loads(line) for line in message.splitlines()]
    assert lines[0] == said
    assert "sha256:1" in lines[1]


@pytest.mark.parametrize("scanning", ["BASIC", "ENHANCED"])
def test_every_registry_has_its_own_topic_and_hears_of_either_kind_of_scanning(
    scanning: str,
) -> None:
    planned = plan(*repositories("api"), alerts={}, scanning={"type": scanning}, **with_replicas())
    assert [each.registry.account for each in planned.alerts] == [ARTIFACTS, LAMBDA]
    for each in planned.alerts:
        heard = [
            {rule.name for rule in each.rules if matches(rule, sent)}
            for sent in (scan({"CRITICAL": 1}), finding(), replication())
        ]
        assert heard == [
            {"ecr-estate-alerts-scan"},
            {"ecr-estate-alerts-finding"},
            {"ecr-estate-alerts-replication"},
        ]


def test_without_the_setting_there_is_no_alert() -> None:
    assert plan(*repositories("api")).alerts == ()


def test_replication_that_nobody_wants_may_fail_in_silence() -> None:
    planned = plan(*repositories("api", "api-docs"), alerts={}, **with_replicas(patterns=["api"]))
    rule = planned.alerts[0].rules[2]
    assert not matches(rule, replication(name="api-docs"))
    assert matches(rule, replication(name="api"))
    many = failed_replication([f"service-{number}" for number in range(500)])
    assert len(many.pattern) <= 2048
    assert matches(many, replication())


def test_only_the_estates_own_rules_may_publish_and_the_key_lets_eventbridge_encrypt() -> None:
    (alerts,) = plan(*repositories("api"), alerts={}).alerts
    (publish,) = json.loads(alerts.topic_policy)["Statement"]
    arns = publish["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert arns == [
        f"arn:aws:events:eu-west-1:{ARTIFACTS}:rule/{rule.name}" for rule in alerts.rules
    ]
    assert publish["Resource"] == alerts.topic_arn
    _, encrypt = json.loads(alerts.key_policy)["Statement"]
    assert encrypt["Principal"] == {"Service": "events.amazonaws.com"}


def test_the_program_declares_them_and_exports_the_topics() -> None:
    done = deploy(config(static=[{"id": 1, "name": "api"}], alerts={}), no_invoke)
    (topic,) = done.of("Topic").values()
    assert topic.name == f"{SOURCE}/alerts"
    (key,) = done.of("Key").values()
    assert key.inputs["tags"] == {"ecr-estate": "alerts"}
    assert set(done.of("EventRule")) == set(done.of("EventTarget"))
    assert done.outputs["report"]["alertTopics"] == [
        f"arn:aws:sns:eu-west-1:{ARTIFACTS}:ecr-estate-alerts"
    ]
    assert len(done.of("TopicPolicy")) == 1


def test_a_name_that_bleeds_in_one_place_and_is_wanted_in_another_is_told_of() -> None:
    accounts = [
        {"account": LAMBDA, "regions": ["eu-west-1"], "services": {"patterns": ["fn*"]}},
        {"account": "333333333333", "regions": ["eu-west-1"], "services": {"patterns": ["fn"]}},
    ]
    done = plan(
        *repositories("fn", "fn-x", "web"), alerts={}, lambdaReplicas={"accounts": accounts}
    )
    assert [each.names for each in done.bleeds] == [("fn-x",)]
    assert all("fn-x" not in rule.pattern for each in done.alerts for rule in each.rules)


def test_for_chats_a_message_is_json_of_amazon_qs_schema_with_texts_only() -> None:
    chosen: dict[str, Any] = {"alerts": {"format": "chat"}}
    rules = plan(*repositories("api"), **chosen).alerts[0].rules
    for rule in rules:
        message = json.loads(rule.template)
        assert (message["version"], message["source"]) == ("1.0", "custom")
        content = message["content"]
        assert content["textType"] == "client-markdown"
        texts = [content["title"], content["description"], *content["nextSteps"]]
        named = {each for text in texts for each in re.findall(r"<(\w+)>", text)}
        assert named <= set(rule.paths)
        # A list within a text would be no JSON.
        assert "tags" not in named
    words = [rule.template for rule in plan(*repositories("api"), alerts={}).alerts[0].rules]
    assert all(each.startswith('"') for each in words)
