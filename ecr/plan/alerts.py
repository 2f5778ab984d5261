"""Alerts: which events of a registry reach a person, by which topic, and in which words.

Owns the event patterns, the messages and the documents of topic and key. Events are matched by what
really sends them: basic scanning is aws.ecr, enhanced scanning is Amazon Inspector and never aws.ecr.
Both are listened to, whatever the settings say of scanning, for an administrator of Amazon Inspector
switches it for a whole organisation. Subscribes whom the settings name, and nobody by default.

Sources: Amazon ECR User Guide, "Amazon ECR events and EventBridge"; Amazon Inspector User Guide,
"Amazon EventBridge schema for Amazon Inspector events".
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ecr.plan.access.documents import policy_text
from ecr.plan.model import (
    AlertPlan,
    AlertRule,
    Bleed,
    RegistryPlan,
    SettingOfOthers,
    Standing,
    StandingAlerts,
    Subscriber,
)
from ecr.plan.registry_settings import canonical
from ecr.registry.registry import Registry
from ecr.settings.models import AlertFormat, Alerts

NAME = "ecr-estate-alerts"
"""The topic's name, and how those of the rules begin."""

RULES: Mapping[str, str] = {
    f"{NAME}-scan": "Vulnerabilities found by ECR's basic scanning",
    f"{NAME}-finding": "Vulnerabilities found by Amazon Inspector",
    f"{NAME}-replication": "Images that could not be replicated",
}
"""The event rules of each registry, with what each says of itself."""

KEY_TAGS: Mapping[str, str] = {"ecr-estate": "alerts"}
"""What tells a topic's key from the other keys of its account: the deploy role may change no other."""

CONFIRMED_BY_HAND = ("email", "https")
"""The protocols by which somebody is told only after confirming it (Amazon SNS API Reference, "Subscribe")."""

UNCONFIRMED_HOURS = 48
"""How long Amazon SNS waits for that ("Amazon SNS supports automatic deletion of unconfirmed subscriptions")."""

LONGEST_PATTERN = 2_048
"""Characters of an event pattern (Amazon EventBridge quotas)."""


def plan_alerts(
    alerts: Alerts | None,
    registries: Sequence[RegistryPlan],
    bleeds: Iterable[Bleed],
    replicas: Container[str],
    standing: Mapping[Registry, StandingAlerts] = MappingProxyType({}),
    *,
    adopted: Container[str] = (),
) -> tuple[AlertPlan, ...]:
    """Return the alerts of every registry; none without the setting.

    ``bleeds`` are the names whose replication fails with every push, and means nothing; but for
    those of ``replicas``, which are wanted elsewhere, and whose failures do mean something there.
    ``standing`` is what stands though the engine's state does not hold it: a topic that another key
    encrypts is of other hands, and that registry's alerts are left out, as is a rule of other hands;
    but for the ``adopted`` registries.
    """
    if alerts is None:
        return ()
    bleeding = sorted({name for each in bleeds for name in each.names if name not in replicas})
    caches = sorted({each.prefix for plan in registries for each in plan.caches})
    return tuple(
        _of_registry(
            alerts,
            plan.registry,
            (*bleeding, *(f"{each}/*" for each in caches)),
            replace(stands, rules={}) if plan.registry.key in adopted else stands,
        )
        for plan in registries
        if not _of_other_hands(stands := standing.get(plan.registry, StandingAlerts()))
        or plan.registry.key in adopted
    )


def subscribers(registry: Registry, alerts: Alerts) -> tuple[Subscriber, ...]:
    """Return whom the topic of a registry tells."""
    return tuple(
        Subscriber(each.protocol, each.endpoint)
        for each in alerts.subscriptions
        if (
            registry.key in each.registries
            if each.registries
            else each.account in {None, registry.account}
        )
    )


def confirmations(
    plans: Iterable[AlertPlan], unconfirmed: Mapping[Registry, Iterable[Subscriber]]
) -> Iterator[str]:
    """Yield who hears nothing yet, for AWS waits until whoever is to be told has agreed."""
    for plan in plans:
        for each in unconfirmed.get(plan.registry, ()):
            yield (
                f"registry {plan.registry.key}: {each.shown} hears of nothing before it has confirmed what AWS "
                f"sends it; after {UNCONFIRMED_HOURS} hours AWS forgets it, and a deployment with --refresh asks again"
            )


def topic_arn(registry: Registry) -> str:
    """Return the ARN of a registry's topic."""
    return f"arn:{registry.partition}:sns:{registry.region}:{registry.account}:{NAME}"


def standing_alerts(
    standing: Mapping[Registry, StandingAlerts], adopted: Container[str] = ()
) -> Iterator[Standing]:
    """Yield the topics and rules of other hands that leave alerts out, and the keys that nobody needs."""
    for registry, stands in standing.items():
        theirs = registry.key not in adopted
        remedy = "or name the registry under `registries.adopted` to have it replaced"
        if theirs and _of_other_hands(stands):
            yield Standing(
                "topic",
                topic_arn(registry),
                f"encrypted by {stands.topic_key}" if stands.topic_key else "not encrypted",
                "encrypted by a key of the alerts",
                f"registry {registry.key}: a topic {NAME} of other hands stands there, and its alerts are "
                f"left out; delete the topic, {remedy}",
            )
        for name, does in sorted(stands.rules.items()) if theirs else ():
            yield Standing(
                "event rule",
                f"{registry.key}/{name}",
                does,
                f"publishes to {NAME}",
                f"registry {registry.key}: a rule {name} of other hands stands there, and that alert is "
                f"left out; delete the rule, {remedy}",
            )
        if theirs and _of_other_hands(stands):
            continue
        used = {stands.held_key, _found_key(stands)}
        for spare in (each for each in stands.keys if each not in used):
            yield Standing(
                "key",
                spare,
                "encrypts no topic of the alerts",
                "nothing needs it",
                f"{spare}: encrypts no topic of the alerts any more; schedule its deletion",
            )


def replaced_alerts(
    plans: Iterable[AlertPlan], standing: Mapping[Registry, StandingAlerts]
) -> Iterator[SettingOfOthers]:
    """Yield the topics and rules of other hands that alerts are deployed over, each as it is and as it becomes.

    A rule of theirs keeps its targets, and gets one more: EventBridge keeps targets beside the rule (Amazon
    EventBridge API Reference, "PutRule").
    """
    for plan in plans:
        stands = standing.get(plan.registry, StandingAlerts())
        if _of_other_hands(stands):
            policy = json.loads(stands.topic_policy) if stands.topic_policy else None
            yield SettingOfOthers(
                plan.registry,
                f"topic {NAME}",
                canonical({"encryptedBy": stands.topic_key or None, "policy": policy}),
                canonical(
                    {"encryptedBy": "a key of the alerts", "policy": json.loads(plan.topic_policy)}
                ),
            )
        for rule in plan.rules:
            if does := stands.rules.get(rule.name):
                becomes = f"sends {rule.pattern} to {plan.topic_arn} too"
                yield SettingOfOthers(plan.registry, f"event rule {rule.name}", does, becomes)


def _of_other_hands(stands: StandingAlerts) -> bool:
    """Return whether a topic stands that is not the alerts'.

    A topic is made first and encrypted then: one without a key, of which nobody hears, is the alerts'
    where their key stands, from a deployment that was lost between the two.
    """
    half_made = (
        stands.topic_key == "" and stands.topic_unused and bool(stands.keys or stands.held_key)
    )
    return stands.topic_key is not None and _key_of_topic(stands) is None and not half_made


def _key_of_topic(stands: StandingAlerts) -> str | None:
    """Return which of the estate's keys encrypts the topic that stands."""
    ours = (*stands.keys, *filter(None, [stands.held_key]))
    named = (stands.topic_key or "").rpartition("/")[2]
    return next((each for each in ours if each.rpartition("/")[2] == named), None)


def _found_key(stands: StandingAlerts) -> str | None:
    """Return the key that is taken up: the topic's, or else the first that was made for it."""
    if stands.held_key:
        return None
    return _key_of_topic(stands) or next(iter(stands.keys), None)


def _of_registry(
    alerts: Alerts, registry: Registry, bleeding: Sequence[str], stands: StandingAlerts
) -> AlertPlan:
    rules = tuple(
        each
        for each in (
            basic_scan(alerts.severities, alerts.format),
            enhanced_finding(alerts.severities, alerts.format),
            failed_replication(bleeding, alerts.format),
        )
        if each.name not in stands.rules
    )
    where = f"{registry.region}:{registry.account}"
    topic = topic_arn(registry)
    return AlertPlan(
        registry=registry,
        topic=NAME,
        topic_arn=topic,
        topic_policy=_publishing(
            topic,
            [f"arn:{registry.partition}:events:{where}:rule/{rule.name}" for rule in rules],
        ),
        key_policy=_encrypting(registry),
        rules=rules,
        subscribers=subscribers(registry, alerts),
        found_key=_found_key(stands),
        found_topic=stands.topic_key is not None,
    )


def basic_scan(severities: Sequence[str], form: AlertFormat = "text") -> AlertRule:
    """Match completed basic scans that found something so severe."""
    counted = [{severity: [{"numeric": [">", 0]}]} for severity in severities]
    paths = {
        severity.lower(): f"$.detail.finding-severity-counts.{severity}" for severity in severities
    }
    found = ", ".join(f"{name}: <{name}>" for name in paths)
    return AlertRule(
        name=f"{NAME}-scan",
        description=RULES[f"{NAME}-scan"],
        pattern=_pattern(
            "aws.ecr",
            "ECR Image Scan",
            {
                "scan-status": ["COMPLETE"],
                "finding-severity-counts": counted[0] if len(counted) == 1 else {"$or": counted},
            },
        ),
        paths={
            "account": "$.account",
            "region": "$.region",
            "repository": "$.detail.repository-name",
            "digest": "$.detail.image-digest",
            "tags": "$.detail.image-tags",
            **paths,
        },
        template=_message(
            form,
            f"Vulnerabilities in an image of <repository> ({found}).",
            "Registry <account>/<region>, image <digest>, tags <tags>.",
            "See `aws ecr describe-image-scan-findings`, rebuild on a patched base, and deploy.",
        ),
    )


def enhanced_finding(severities: Sequence[str], form: AlertFormat = "text") -> AlertRule:
    """Match active findings of Amazon Inspector in images."""
    return AlertRule(
        name=f"{NAME}-finding",
        description=RULES[f"{NAME}-finding"],
        pattern=_pattern(
            "aws.inspector2",
            "Inspector2 Finding",
            {
                "severity": list(severities),
                "status": ["ACTIVE"],
                "resources": {"type": ["AWS_ECR_CONTAINER_IMAGE"]},
            },
        ),
        paths={
            "account": "$.account",
            "region": "$.region",
            "severity": "$.detail.severity",
            "title": "$.detail.title",
            "repository": "$.detail.resources[0].details.awsEcrContainerImage.repositoryName",
            "digest": "$.detail.resources[0].details.awsEcrContainerImage.imageHash",
            "tags": "$.detail.resources[0].details.awsEcrContainerImage.imageTags",
        },
        template=_message(
            form,
            "<severity> in an image of <repository>: <title>.",
            "Registry <account>/<region>, image <digest>, tags <tags>.",
            "See the finding in Amazon Inspector, rebuild on a patched base, and deploy.",
        ),
    )


def failed_replication(bleeding: Sequence[str], form: AlertFormat = "text") -> AlertRule:
    """Match replications that failed, but for names of which no replica is wanted.

    A name may have `*` for any run of characters, as those of pull-through caches have: ECR replicates what it
    caches as it does every push (Amazon EventBridge User Guide, "Comparison operators for use in event patterns";
    AWS News Blog, "Announcing Pull Through Cache Repositories for Amazon Elastic Container Registry").
    """

    def pattern(unwanted: Sequence[str]) -> str:
        wild = any("*" in each for each in unwanted)
        but: Any = {"wildcard": list(unwanted)} if wild else list(unwanted)
        names = {"repository-name": [{"anything-but": but}]} if unwanted else {}
        return _pattern("aws.ecr", "ECR Replication Action", {"result": ["FAILED"], **names})

    whole = pattern(bleeding)
    return AlertRule(
        name=f"{NAME}-replication",
        description=RULES[f"{NAME}-replication"],
        # Too many names to leave out: rather too many messages than a missing one.
        pattern=whole if len(whole) <= LONGEST_PATTERN else pattern(()),
        paths={
            "repository": "$.detail.repository-name",
            "digest": "$.detail.image-digest",
            "tag": "$.detail.image-tag",
            "account": "$.account",
            "region": "$.region",
            "from": "$.detail.source-account",
            "origin": "$.detail.source-region",
        },
        template=_message(
            form,
            "An image of <repository> was not replicated.",
            "From <from>/<origin>, reported by <account>/<region>, image <digest>, tag <tag>.",
            "See `aws ecr describe-image-replication-status`; `ecr-estate replicas` fills it.",
        ),
    )


def _pattern(source: str, kind: str, detail: Mapping[str, Any]) -> str:
    return json.dumps(
        {"source": [source], "detail-type": [kind], "detail": detail}, separators=(",", ":")
    )


def _message(form: AlertFormat, what: str, where: str, then: str) -> str:
    """Return an input template: of text, where each line is a JSON string of its own, or of JSON for chats.

    What Amazon Q Developer shows in Slack and Teams is JSON of its own schema, and nothing else but AWS's own events
    (Amazon Q Developer in chat applications Administrator Guide, "Custom notifications"). An image's tags are a
    list, which would not be a text within JSON: the digest names the image there.
    """
    if form == "text":
        return "\n".join(f'"{line}"' for line in (what, where, then))
    content = {
        "textType": "client-markdown",
        "title": what,
        "description": where.replace(", tags <tags>", ""),
        "nextSteps": [then],
    }
    return json.dumps({"version": "1.0", "source": "custom", "content": content})


def _publishing(topic_arn: str, rule_arns: Sequence[str]) -> str:
    """Let the estate's own rules publish, and nothing else of EventBridge."""
    statement = {
        "Sid": "AlertsOfTheEstate",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
    }
    return policy_text(statement)


def _encrypting(registry: Registry) -> str:
    """Let the account manage the topic's key, and EventBridge encrypt what it publishes.

    Amazon's own key for SNS would not do: its policy cannot let EventBridge in (Amazon SNS Developer
    Guide, "Enable compatibility between event sources from AWS services and encrypted topics").
    """
    return policy_text(
        {
            "Sid": "Account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{registry.partition}:iam::{registry.account}:root"},
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "EventBridge",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
        },
    )
