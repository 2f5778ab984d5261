"""What an estate has beside image repositories: as AWS and GitHub hold it, and as the engine's state does.

Owns one name for each push role, variable, identity provider, topic, subscription, event rule, key, cache rule
and creation template, by which the two sides are compared: what the state lacks is an orphan, and what stands
twice has two names. Reads AWS by its
API as an administrator, variables from the embedded GitHub, and an exported state. Changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ecr.engine.types import (
    ALERT_KEY,
    ALERT_TOPIC,
    CACHE_RULE,
    CREATION_TEMPLATE,
    IDENTITY_PROVIDER,
    ROLE,
    SUBSCRIPTION,
    VARIABLE,
)
from ecr.plan.access.push_roles import ISSUER
from ecr.plan.alerts import KEY_TAGS
from ecr.plan.alerts import NAME as ALERTS
from ecr.plan.model import PUSH_ROLE_PATH
from sandbox.estate import Registries
from sandbox.github import EmbeddedGitHub

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"

PREFIX = "ECR_"
"""How the names of the estate's variables begin in every trial."""


_NAMED: Mapping[str, tuple[str, str]] = {
    ROLE: ("role", ""),
    ROLE_POLICY: ("policy of role", ""),
    ALERT_TOPIC: ("topic", "/alerts"),
    EVENT_RULE: ("rule", ""),
    EVENT_TARGET: ("target of rule", ""),
    CACHE_RULE: ("cache rule", "/caches"),
    CREATION_TEMPLATE: ("template", "/templates"),
}
"""What is named here as in the state, but for a part of the logical name."""


def managed_beside(resources: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of what an exported state holds."""
    for each in resources:
        # The logical name begins with ACCOUNT, or with ACCOUNT/REGION.
        name, outputs = each["urn"].split("::")[-1], each.get("outputs") or {}
        match each["type"]:
            case kind if kind in _NAMED:
                what, within = _NAMED[kind]
                yield f"{what} {name.replace(within, '', 1)}"
            case kind if kind == IDENTITY_PROVIDER:
                yield f"identity provider {name.partition('/')[0]}"
            case kind if kind == ALERT_KEY:
                yield f"key {name.removesuffix('/alerts')}/{outputs['keyId']}"
            case kind if kind == SUBSCRIPTION:
                yield f"subscription {name.partition('/alerts/')[0]}/{outputs['endpoint']}"
            case kind if kind == VARIABLE:
                yield f"variable {outputs['repository']}/{outputs['variableName']}"


def held_beside(
    registries: Registries, places: Iterable[tuple[str, str]], github: EmbeddedGitHub
) -> Iterator[str]:
    """Yield the names of what AWS and GitHub hold that an estate may have made."""
    places = list(places)
    for account in dict.fromkeys(account for account, _ in places):
        yield from _roles(registries, account)
    for account, region in places:
        yield from _alerts(registries, account, region)
        yield from _caches(registries, account, region)
    for repository in github.organisation:
        for name in sorted(github.api.actions.held(repository)):
            if name.startswith(PREFIX):
                yield f"variable {repository.name}/{name}"


def _roles(registries: Registries, account: str) -> Iterator[str]:
    iam = registries.service("iam", account, "us-east-1")
    for role in iam.list_roles(PathPrefix=PUSH_ROLE_PATH)["Roles"]:
        yield f"role {account}/{role['RoleName']}"
        for _ in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield f"policy of role {account}/{role['RoleName']}"
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        if provider["Arn"].endswith(f"/{ISSUER}"):
            yield f"identity provider {account}"


def _alerts(registries: Registries, account: str, region: str) -> Iterator[str]:
    key = f"{account}/{region}"
    kms = registries.service("kms", account, region)
    for each in kms.list_keys()["Keys"]:
        named = {"KeyId": each["KeyId"]}
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(**named)["Tags"]}
        if KEY_TAGS.items() <= tags.items() and kms.describe_key(**named)["KeyMetadata"]["Enabled"]:
            yield f"key {key}/{each['KeyId']}"
    sns = registries.service("sns", account, region)
    for topic in sns.list_topics()["Topics"]:
        if topic["TopicArn"].endswith(f":{ALERTS}"):
            yield f"topic {key}"
            told = sns.list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]
            for each in told:
                yield f"subscription {key}/{each['Endpoint']}"
    events = registries.service("events", account, region)
    for rule in events.list_rules(NamePrefix=ALERTS)["Rules"]:
        yield f"rule {key}/{rule['Name']}"
        for _ in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            yield f"target of rule {key}/{rule['Name']}"


def _caches(registries: Registries, account: str, region: str) -> Iterator[str]:
    """Yield the cache rules and the creation templates of a registry."""
    ecr = registries.client(account, region)
    for rule in ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]:
        yield f"cache rule {account}/{region}/{rule['ecrRepositoryPrefix']}"
    for each in ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]:
        yield f"template {account}/{region}/{each['prefix']}"
