"""What stands in AWS beside image repositories: settings of registries, roles, topics and keys.

Owns the questions that the AWS provider has no data source for. They are asked with boto3, by the same
role in each account as the provider's, and only about what this stack is not known to have made. It
changes nothing, and reads no image.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.engine.types import (
    ACCOUNT_SETTING,
    ALERT_KEY,
    ALERT_RULE,
    ALERT_TOPIC,
    CACHE_RULE,
    CREATION_TEMPLATE,
    IDENTITY_PROVIDER,
    PULL_TIME_EXCLUSION,
    REGISTRY_POLICY,
    REPLICATION_CONFIGURATION,
    ROLE,
    SCANNING,
    SUBSCRIPTION,
)
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.push_roles import provider_arn
from ecr.plan.alerts import CONFIRMED_BY_HAND, KEY_TAGS, RULES, subscribers, topic_arn
from ecr.plan.architectures import architecture_of, configured_registries, source_registries
from ecr.plan.caches import caches_of
from ecr.plan.keys import chosen_keys, standing_key
from ecr.plan.model import (
    CachePlan,
    DeletionRule,
    Observed,
    StandingAlerts,
    StandingCaches,
    StandingExclusions,
    StandingKey,
    StandingSettings,
    StandingTemplates,
    Subscriber,
)
from ecr.plan.registry_settings import (
    SCOPE,
    canonical,
    deletion_rules,
    excluded_by_us,
    pullers,
    replicates,
    template_prefixes,
    templates_by_us,
    to_ask,
)
from ecr.registry.registry import Registry
from ecr.settings.models import RegistrySetting, Settings

Ask = Callable[[str, str, Registry, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Call AWS: service, boto3's name of the operation, registry, arguments. None says that it is not there."""

ReadState = Callable[[], Awaitable[Mapping[str, Mapping[str, Any]]]]
"""Return what the engine's state holds, by the engine's names (URNs)."""

NOT_THERE = (
    "LifecyclePolicyNotFoundException",
    "NoSuchEntity",
    "NotFound",
    "NotFoundException",
    "RegistryPolicyNotFoundException",
    "RepositoryNotFoundException",
    "ResourceNotFoundException",
)
"""How IAM, SNS, KMS, EventBridge and ECR say that something is not there."""

KINDS: Mapping[RegistrySetting, str] = {
    "policy": REGISTRY_POLICY,
    "replication": REPLICATION_CONFIGURATION,
    "scanning": SCANNING,
    "accountSettings": ACCOUNT_SETTING,
}


def once(read: ReadState) -> ReadState:
    """Read the state when it is first asked for, and not again."""
    reading: list[asyncio.Future[Mapping[str, Mapping[str, Any]]]] = []

    async def read_once() -> Mapping[str, Mapping[str, Any]]:
        if not reading:
            reading.append(asyncio.ensure_future(read()))
        return await reading[0]

    return read_once


async def observe_beside(
    ask: Ask,
    state: ReadState,
    observed: Observed,
    settings: Settings,
    ledger: Ledger,
    *,
    every: bool = False,
) -> Observed:
    """Return what was observed, with everything that stands beside image repositories.

    With ``every`` the keys of alerts are looked for also where nothing is missing: one that is to spare
    is found then.
    """
    state = once(state)
    once_for_registries = asyncio.gather(
        read_settings(ask, state, settings, ledger),
        read_exclusions(ask, state, settings, ledger),
        read_templates_made(ask, state, settings, ledger),
        read_deletions(ask, settings, ledger),
        read_caches(ask, state, settings, ledger),
    )
    others = asyncio.gather(
        read_roles(ask, state, settings),
        read_audiences(ask, state, settings),
        read_alerts(ask, state, settings, ledger, every=every),
        read_keys(ask, settings),
        read_unconfirmed(ask, state, settings, ledger),
    )
    (
        (registries, exclusions, templates, deletions, caches),
        (roles, audiences, alerts, keys, unconfirmed),
    ) = await asyncio.gather(once_for_registries, others)
    return replace(
        observed,
        registries=registries,
        exclusions=exclusions,
        templates_made=templates,
        deletions=deletions,
        caches=caches,
        roles=roles,
        audiences=audiences,
        alerts=alerts,
        keys=keys,
        unconfirmed=unconfirmed,
    )


def asking(roles: Mapping[Registry, str | None]) -> Ask:
    """Ask by the roles of registries, in each account by that of its first, as the provider does."""
    by_account: dict[str, str | None] = {}
    for registry, role in roles.items():
        by_account.setdefault(registry.account, role)
    return asking_by(Aws(roles={account: role for account, role in by_account.items() if role}))


def asking_by(aws: Aws) -> Ask:
    """Ask through one session, all pages of a list at once."""

    async def ask(
        service: str, operation: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        client = aws.client(service, registry)

        def call() -> Mapping[str, Any]:
            with aws_errors_as(f"{operation} in {registry.key}"):
                if client.can_paginate(operation):
                    pages = client.get_paginator(operation).paginate(**arguments)
                    whole: Mapping[str, Any] = pages.build_full_result()
                    return whole
                answer: Mapping[str, Any] = getattr(client, operation)(**arguments)
                return answer

        try:
            return await asyncio.to_thread(call)
        except EstateError as error:
            if is_refusal(error, *NOT_THERE):
                return None
            raise

    return ask


async def read_settings(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger
) -> dict[Registry, StandingSettings]:
    """Read the settings of registries that the ledger does not call this stack's own.

    An adopted registry's are read too, for what is replaced is shown before it is. Raises EstateError where one
    cannot be read: what is not known may not be written over.
    """
    if not ledger.shard.owns_registry_settings:
        return {}
    wanted = {
        registry: settings_asked
        for registry in configured_registries(settings)
        if (settings_asked := to_ask(registry, settings, ledger))
    }
    if not wanted:
        return {}
    made = {(each["type"], urn.rpartition("::")[2]) for urn, each in (await state()).items()}

    async def look(
        registry: Registry, asked: tuple[RegistrySetting, ...]
    ) -> tuple[Registry, StandingSettings]:
        found = await asyncio.gather(*(_now(ask, registry, setting) for setting in asked))
        held = frozenset(each for each in asked if (KINDS[each], registry.key) in made)
        return registry, StandingSettings(dict(zip(asked, found, strict=True)), held)

    return dict(await asyncio.gather(*(look(*each) for each in wanted.items())))


async def read_exclusions(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger
) -> dict[Registry, StandingExclusions]:
    """Read whose pulls leave no time, where some that are wanted are not known to be this stack's."""
    if not ledger.shard.owns_registry_settings:
        return {}
    asked = [
        registry
        for registry in configured_registries(settings)
        if set(pullers(registry, settings)) - excluded_by_us(registry, ledger)
    ]
    if not asked:
        return {}
    held = [
        (urn.rpartition("::")[2], (each.get("outputs") or {}).get("principalArn", ""))
        for urn, each in (await state()).items()
        if each["type"] == PULL_TIME_EXCLUSION
    ]

    async def look(registry: Registry) -> StandingExclusions:
        answer = await ask("ecr", "list_pull_time_update_exclusions", registry, {})
        within = f"{registry.key}/"
        return StandingExclusions(
            frozenset((answer or {}).get("pullTimeUpdateExclusions", ())),
            frozenset(principal for name, principal in held if name.startswith(within)),
        )

    return dict(zip(asked, await asyncio.gather(*map(look, asked)), strict=True))


async def read_caches(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger
) -> dict[Registry, StandingCaches]:
    """Read the cache rules where some that are wanted are not known to be this stack's, and the secrets of all."""
    if not ledger.shard.owns_registry_settings:
        return {}
    wanted = {
        registry: rules
        for registry in configured_registries(settings)
        if (rules := caches_of(registry, settings))
    }
    if not wanted:
        return {}
    known = {registry: ledger.caches(registry.key) for registry in wanted}
    new = any({each.prefix for each in rules} - known[at] for at, rules in wanted.items())
    names = _names(await state(), CACHE_RULE) if new else set()

    async def look(registry: Registry, rules: tuple[CachePlan, ...]) -> StandingCaches:
        answer: Mapping[str, Any] | None = None
        if {each.prefix for each in rules} - known[registry]:
            answer = await ask("ecr", "describe_pull_through_cache_rules", registry, {})
        secrets = dict.fromkeys(filter(None, (each.credentials for each in rules)))
        why = await asyncio.gather(*(_why_no_secret(ask, registry, each) for each in secrets))
        within = f"{registry.key}/caches/"
        return StandingCaches(
            {
                each["ecrRepositoryPrefix"]: _cache(each)
                for each in (answer or {}).get("pullThroughCacheRules", ())
            },
            frozenset(each.removeprefix(within) for each in names if each.startswith(within)),
            {secret: said for secret, said in zip(secrets, why, strict=True) if said},
        )

    found = await asyncio.gather(*(look(*each) for each in wanted.items()))
    return dict(zip(wanted, found, strict=True))


def _cache(rule: Mapping[str, Any]) -> CachePlan:
    """Return a cache rule as ECR describes it; ROOT there is every name of the upstream."""
    within = rule.get("upstreamRepositoryPrefix")
    return CachePlan(
        rule["ecrRepositoryPrefix"],
        rule["upstreamRegistryUrl"].removeprefix("https://"),
        None if within == "ROOT" else within,
        rule.get("credentialArn"),
        rule.get("customRoleArn"),
    )


async def _why_no_secret(ask: Ask, registry: Registry, arn: str) -> str | None:
    """Say why ECR could not use a secret; None where it could, or where the role may not look.

    What is in the secret is never asked for.
    """
    try:
        answer = await ask("secretsmanager", "describe_secret", registry, {"SecretId": arn})
    except EstateError as error:
        if is_refusal(error, "AccessDeniedException"):
            return None
        raise
    if answer is None:
        return "does not exist; make the secret, or correct its ARN"
    return (
        "is to be deleted; restore the secret, or name another"
        if answer.get("DeletedDate")
        else None
    )


async def read_templates_made(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger
) -> dict[Registry, StandingTemplates]:
    """Read the creation templates, where some that are wanted are not known to be this stack's."""
    if not ledger.shard.owns_registry_settings:
        return {}
    asked = [
        registry
        for registry in configured_registries(settings)
        if set(template_prefixes(registry, settings)) - templates_by_us(registry, ledger)
    ]
    if not asked:
        return {}
    held = _names(await state(), CREATION_TEMPLATE)

    async def look(registry: Registry) -> StandingTemplates:
        answer = await ask("ecr", "describe_repository_creation_templates", registry, {})
        within = f"{registry.key}/templates/"
        return StandingTemplates(
            {
                each["prefix"]: each.get("description", "")
                for each in (answer or {}).get("repositoryCreationTemplates", ())
            },
            frozenset(each.removeprefix(within) for each in held if each.startswith(within)),
        )

    return dict(zip(asked, await asyncio.gather(*map(look, asked)), strict=True))


async def read_deletions(ask: Ask, settings: Settings, ledger: Ledger) -> tuple[DeletionRule, ...]:
    """Return the rules that replicate deletions, of each registry that fills replicas.

    They are asked for each time: the AWS provider does not see them, so no preview or refresh does.
    """
    if not ledger.shard.owns_registry_settings:
        return ()
    asked = [each for each in source_registries(settings) if replicates([each], settings)]
    answers = await asyncio.gather(*(ask("ecr", "describe_registry", each, {}) for each in asked))
    return tuple(
        rule
        for source, answer in zip(asked, answers, strict=True)
        for rule in deletion_rules(source, answer or {})
    )


async def read_roles(ask: Ask, state: ReadState, settings: Settings) -> dict[str, str]:
    """Return the paths of roles that are called as push roles are, and are not in the state, by name."""
    if settings.push_roles is None:
        return {}
    registry = architecture_of(settings)("")[0].registry
    held = _names(await state(), ROLE)
    answer = await ask("iam", "list_roles", registry, {})
    return {
        each["RoleName"]: each["Path"]
        for each in (answer or {}).get("Roles", ())
        if each["RoleName"].lower().startswith("push-")
        and f"{registry.account}/{each['RoleName']}" not in held
    }


async def read_audiences(ask: Ask, state: ReadState, settings: Settings) -> tuple[str, ...] | None:
    """Return the audiences of GitHub's identity provider, where it stands and is not in the state."""
    chosen = settings.push_roles
    registry = architecture_of(settings)("")[0].registry
    if chosen is None or not chosen.create_provider:
        return None
    if f"{registry.account}/github" in _names(await state(), IDENTITY_PROVIDER):
        return None
    named = {"OpenIDConnectProviderArn": provider_arn(registry)}
    answer = await ask("iam", "get_open_id_connect_provider", registry, named)
    return tuple(answer.get("ClientIDList", ())) if answer else None


async def read_alerts(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger, *, every: bool = False
) -> dict[Registry, StandingAlerts]:
    """Return what stands of the alerts of each registry where the state does not hold all of it."""
    if settings.alerts is None or not ledger.shard.owns_registry_settings:
        return {}
    held = await state()
    keys = {
        urn.rpartition("::")[2]: (each.get("outputs") or {}).get("arn")
        for urn, each in held.items()
        if each["type"] == ALERT_KEY
    }
    topics, rules = _names(held, ALERT_TOPIC), _names(held, ALERT_RULE)

    async def look(registry: Registry) -> StandingAlerts:
        name = f"{registry.key}/alerts"
        topic_key, unused, policy = None, False, None
        if name not in topics:
            topic = {"TopicArn": topic_arn(registry)}
            answer = await ask("sns", "get_topic_attributes", registry, topic)
            attributes = answer["Attributes"] if answer else {}
            topic_key = attributes.get("KmsMasterKeyId", "") if answer else None
            policy = attributes.get("Policy")
            unused = not any(int(attributes.get(each, "0")) for each in _SUBSCRIPTIONS)
        known = keys.get(name)
        found = () if known and not every else await _keys(ask, registry)
        theirs = {
            rule: does
            for rule in RULES
            if f"{registry.key}/{rule}" not in rules
            and (does := await _rule_of_other_hands(ask, registry, rule))
        }
        return StandingAlerts(
            topic_key,
            tuple(each for each in found if each != known),
            known,
            theirs,
            unused,
            policy,
        )

    asked = [
        registry
        for registry in configured_registries(settings)
        if every
        or f"{registry.key}/alerts" not in keys.keys() & topics
        or not {f"{registry.key}/{rule}" for rule in RULES} <= rules
    ]
    return dict(zip(asked, await asyncio.gather(*map(look, asked)), strict=True))


async def read_unconfirmed(
    ask: Ask, state: ReadState, settings: Settings, ledger: Ledger
) -> dict[Registry, tuple[Subscriber, ...]]:
    """Return those whom alerts are to tell and who have not confirmed it, where the state does not say they have."""
    alerts = settings.alerts
    if alerts is None or not ledger.shard.owns_registry_settings:
        return {}
    wanted = {
        registry: told
        for registry in configured_registries(settings)
        if (
            told := [
                each for each in subscribers(registry, alerts) if each.protocol in CONFIRMED_BY_HAND
            ]
        )
    }
    if not wanted:
        return {}
    confirmed = {
        urn.rpartition("::")[2]
        for urn, each in (await state()).items()
        if each["type"] == SUBSCRIPTION
        and (each.get("outputs") or {}).get("pendingConfirmation") is False
    }

    async def look(registry: Registry, told: list[Subscriber]) -> tuple[Subscriber, ...]:
        unknown = [each for each in told if f"{registry.key}/alerts/{each.name}" not in confirmed]
        if not unknown:
            return ()
        topic = {"TopicArn": topic_arn(registry)}
        answer = await ask("sns", "list_subscriptions_by_topic", registry, topic)
        done = {
            (each["Protocol"], each["Endpoint"])
            for each in (answer or {}).get("Subscriptions", ())
            if each["SubscriptionArn"].startswith("arn:")
        }
        return tuple(each for each in unknown if (each.protocol, each.endpoint) not in done)

    found = await asyncio.gather(*(look(*each) for each in wanted.items()))
    return dict(zip(wanted, found, strict=True))


_SUBSCRIPTIONS = ("SubscriptionsConfirmed", "SubscriptionsPending")
"""The attributes of a topic that count its subscriptions (Amazon SNS API Reference, "GetTopicAttributes")."""


async def _rule_of_other_hands(ask: Ask, registry: Registry, name: str) -> str | None:
    """Say what an event rule does that stands by other hands; None where none does.

    One that publishes to the topic of the alerts alone, or to nobody yet under its own description, is
    of a deployment that was lost.
    """
    named = {"Name": name}
    rule = await ask("events", "describe_rule", registry, named)
    if rule is None:
        return None
    answer = await ask("events", "list_targets_by_rule", registry, {"Rule": name})
    targets = sorted(each["Arn"] for each in (answer or {}).get("Targets", ()))
    if targets == [topic_arn(registry)]:
        return None
    if not targets and rule.get("Description") == RULES[name]:
        return None
    where = ", ".join(targets) or "nobody"
    return f"sends {rule.get('EventPattern') or rule.get('ScheduleExpression')} to {where}"


async def _keys(ask: Ask, registry: Registry) -> tuple[str, ...]:
    """Return the ARNs of the enabled keys that have the tag of the alerts."""
    listed = await ask("kms", "list_keys", registry, {})
    found = []
    for each in (listed or {}).get("Keys", ()):
        named = {"KeyId": each["KeyId"]}
        try:
            answer = await ask("kms", "list_resource_tags", registry, named)
        except EstateError as error:
            # A key whose own policy lets no role of the account near is none of ours.
            if is_refusal(error, "AccessDeniedException"):
                continue
            raise
        tags = {tag["TagKey"]: tag["TagValue"] for tag in (answer or {}).get("Tags", ())}
        if KEY_TAGS.items() <= tags.items():
            key = await ask("kms", "describe_key", registry, named)
            if key and key["KeyMetadata"]["Enabled"]:
                found.append(each["KeyArn"])
    return tuple(sorted(found))


async def read_keys(ask: Ask, settings: Settings) -> dict[Registry, StandingKey]:
    """Return the keys that images are to be encrypted with, as they stand."""

    async def look(registry: Registry, arn: str) -> StandingKey:
        try:
            answer = await ask("kms", "describe_key", registry, {"KeyId": arn})
        except EstateError as error:
            # A role from before this was asked for may not look; a deployment does not stop for that.
            if is_refusal(error, "AccessDeniedException"):
                return StandingKey(arn, read=False)
            raise
        return standing_key(arn, answer["KeyMetadata"] if answer else None)

    keys = chosen_keys(configured_registries(settings), settings)
    found = await asyncio.gather(*(look(*each) for each in keys.items()))
    return dict(zip(keys, found, strict=True))


def _names(state: Mapping[str, Mapping[str, Any]], kind: str) -> set[str]:
    """Return the logical names of what the state holds of one type."""
    return {urn.rpartition("::")[2] for urn, each in state.items() if each["type"] == kind}


async def _now(ask: Ask, registry: Registry, setting: RegistrySetting) -> str | None:
    """Return a setting of a registry as it stands, as canonical text; None where there is none."""
    match setting:
        case "policy":
            answer = await ask("ecr", "get_registry_policy", registry, {})
            return canonical(json.loads(answer["policyText"])) if answer else None
        case "replication":
            answer = await ask("ecr", "describe_registry", registry, {})
            return canonical((answer or {}).get("replicationConfiguration") or {"rules": []})
        case "scanning":
            answer = await ask("ecr", "get_registry_scanning_configuration", registry, {})
            scanning = (answer or {}).get("scanningConfiguration") or {}
            return canonical({"scanType": "BASIC", "rules": [], **scanning})
        case "accountSettings":
            answer = await ask("ecr", "get_account_setting", registry, {"name": SCOPE})
            return canonical(answer["value"]) if answer else None
