"""What EventBridge does with an event of the embedded ECR: which rules match, and which topics get it.

Owns the matching of events with the rules of the account's default bus, and what is recorded of each delivery. Reads
the rules, the topics and their policies, and the policies of the topics' keys. Never tries a delivery again.

Sources: Amazon EventBridge User Guide, "Using resource-based policies for Amazon EventBridge"; Amazon SNS Developer Guide,
"Enable compatibility between event sources from AWS services and encrypted topics".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from moto.events.models import events_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from ecr.access_proof.evaluate import Caller, explain_access
from sandbox.aws.world import Delivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.events.utils import EventMessageType

_SERVICE = "events.amazonaws.com"


def deliveries(event: dict[str, Any]) -> Iterator[Delivery]:
    """Yield what becomes of an event at each target of each rule that matches; publish what is let."""
    bus = events_backends[event["account"]][event["region"]].event_buses["default"]
    for rule in bus.rules.values():
        if rule.state != "ENABLED" or not rule.event_pattern.matches_event(
            cast("EventMessageType", event)
        ):
            continue
        for target in rule.targets:
            arn, text = target["Arn"], _message(target, event)
            refused = _refusal(arn, rule.arn, event["account"])
            if not refused:
                account, region = arn.split(":")[4], arn.split(":")[3]
                sns_backends[account][region].topics[arn].publish(text)
            yield Delivery(rule.arn, arn, text, refused)


def _message(target: dict[str, Any], event: dict[str, Any]) -> str:
    """Return what a target is told: the event, or what its input transformer makes of it."""
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    text = str(transformer["InputTemplate"])
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        value: Any = event
        for part in path.removeprefix("$.").split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        text = text.replace(f"<{name}>", value if isinstance(value, str) else json.dumps(value))
    return text


def _refusal(topic_arn: str, rule_arn: str, account: str) -> str:
    """Return why EventBridge cannot publish; "" where it can."""
    if ":sns:" not in topic_arn:
        return "no target but a topic is modelled"
    region, owner = topic_arn.split(":")[3:5]
    topic = sns_backends[owner][region].topics.get(topic_arn)
    if topic is None:
        return "there is no such topic"
    if not _is_let("sns:Publish", topic_arn, topic.policy, rule_arn, account):
        return "the topic's policy does not let EventBridge publish"
    key = topic.kms_master_key_id
    return _refusal_of_key(key, owner, region, rule_arn, account) if key else ""


def _refusal_of_key(key: str, owner: str, region: str, rule_arn: str, account: str) -> str:
    kms = kms_backends[owner][region]
    name = key.rpartition(":")[2] if ":alias/" in key else key
    number = kms.get_key_id_from_alias(name) if name.startswith("alias/") else kms.get_key_id(name)
    held = kms.keys.get(number or "")
    if held is None:
        return "the policy of Amazon's own key cannot let EventBridge in"
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        if not _is_let(action, held.arn, held.policy, rule_arn, account):
            return f"the policy of the topic's key does not let EventBridge {action}"
    return ""


def _is_let(action: str, resource: str, policy: str, rule_arn: str, account: str) -> bool:
    context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": account}
    verdict = explain_access(
        Caller("service", _SERVICE, context=context),
        action,
        resource,
        (policy,),
        account=resource.split(":")[4],
        resource_decides=True,
    )
    return verdict.decision == "allowed"
