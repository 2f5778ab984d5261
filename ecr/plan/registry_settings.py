"""What stands once for a registry: its policy, replication, scanning and account settings.

Owns which of them the settings plan for a registry, how each is compared with what AWS has, and which
of other hands are left as they stand. Whoever writes one replaces it whole, so nothing of other hands is
written over before somebody has adopted it. Reads nothing.
"""

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ecr.ledger.ledger import Hold, Ledger
from ecr.plan.architectures import architecture_of, artifacts_registry, source_registries
from ecr.plan.caches import cache_key, caches_of
from ecr.plan.model import (
    DeletionRule,
    ImageRepository,
    Observed,
    RegistryPlan,
    ReplicatedDeletion,
    ReplicationRule,
    SettingOfOthers,
    StandingExclusions,
    StandingSettings,
)
from ecr.registry.registry import Registry
from ecr.settings.models import RegistrySetting, Settings

SCOPE = "REGISTRY_POLICY_SCOPE"
"""The account setting that says what registry policies are about."""

ROOT = "ROOT"
"""The prefix of the creation template for every name for which there is no other."""

DEFAULTS: Mapping[RegistrySetting, tuple[str | None, ...]] = {
    "policy": (None,),
    "replication": ('{"rules":[]}',),
    "scanning": ('{"rules":[],"scanType":"BASIC"}',),
    "accountSettings": (None, '"V1"'),
}
"""What a registry has that nobody has set anything in, as ``canonical`` text (Amazon ECR User Guide,
"Private registry policies", "Private image replication" and "Image scanning"). A newer account has V2
without anybody having set it, but to take that back is never done without a word."""


def planned_settings(registry: Registry, settings: Settings) -> Iterator[RegistrySetting]:
    """Yield what the settings plan to write in a registry, whatever stands there."""
    source = registry in source_registries(settings)
    if settings.access.policy == "registry" or not source:
        yield "policy"
    if source and replicates([registry], settings):
        yield "replication"
    yield "scanning"
    if settings.registry_policy_scope is not None:
        yield "accountSettings"


def replicates(sources: Container[Registry], settings: Settings) -> bool:
    """Return whether images are replicated from one of these registries."""
    artifacts = artifacts_registry(settings)
    for rule in settings.replication.rules:
        if (Registry.parse(rule.source) if rule.source else artifacts) in sources:
            return True
    stages = {each.stage for each in architecture_of(settings)("") if each.registry in sources}
    wanted = {each.serves for each in settings.replica_accounts}
    return bool(stages) and bool(wanted & {None, *stages})


def deletion_rules(source: Registry, answer: Mapping[str, Any]) -> Iterator[DeletionRule]:
    """Yield the rules of a registry that replicate deletions, from ECR's answer to DescribeRegistry.

    A rule that does not name them replicates none (Amazon ECR API Reference, "ReplicationRule").
    """
    for rule in (answer.get("replicationConfiguration") or {}).get("rules", ()):
        if (rule.get("deleteReplication") or {}).get("enabled"):
            yield DeletionRule(
                source,
                tuple(
                    Registry(each["registryId"], each["region"]) for each in rule["destinations"]
                ),
                tuple(each["filter"] for each in rule.get("repositoryFilters") or ()),
            )


def replicated_deletions(
    rules: Iterable[DeletionRule], image_repositories: Iterable[ImageRepository]
) -> Iterator[ReplicatedDeletion]:
    """Yield, a source and a destination at a time, the image repositories that lose what a source deletes."""
    reached: dict[tuple[Registry, Registry], set[str]] = defaultdict(set)
    held = [each.placement for each in image_repositories]
    for rule in rules:
        for placement in held:
            if rule.reaches(placement):
                reached[rule.source, placement.registry].add(placement.name)
    for (source, destination), names in sorted(reached.items()):
        yield ReplicatedDeletion(source, destination, tuple(sorted(names)))


def own_rules(source: Registry, settings: Settings) -> Iterator[ReplicationRule]:
    """Yield the replication rules of the settings' own, of one source registry."""
    for rule in settings.replication.rules:
        begins = Registry.parse(rule.source) if rule.source else artifacts_registry(settings)
        if begins == source:
            yield ReplicationRule(tuple(map(Registry.parse, rule.destinations)), rule.prefixes)


def pullers(registry: Registry, settings: Settings) -> tuple[str, ...]:
    """Return the ARNs of those whose pulls are to leave no time in a registry."""
    own = f"arn:{registry.partition}:iam::{registry.account}:role/"
    return tuple(
        dict.fromkeys(
            each if each.startswith("arn:") else f"{own}{each}"
            for each in settings.registries.pull_time_exclusions
        )
    )


def exclusion_key(principal: str) -> str:
    """Return what the ledger calls the exclusion of a principal, among what it has of a registry."""
    return f"pullTimes/{principal}"


def template_key(prefix: str) -> str:
    """Return what the ledger calls the creation template of a prefix, among what it has of a registry."""
    return f"templates/{prefix}"


def template_prefixes(registry: Registry, settings: Settings) -> tuple[str, ...]:
    """Return the prefixes for which a registry has a template, ROOT first.

    Images are pushed to the first stage alone, so that only its registry makes anything by a push. Each cache
    has one of its own.
    """
    root = (ROOT,) if settings.registries.templates else ()
    caches = sorted(each.prefix for each in caches_of(registry, settings))
    if registry != architecture_of(settings)("")[0].registry:
        return (*root, *caches)
    known = settings.namespaces.known
    pushed = sorted(name for name, each in known.items() if each.create_on_push)
    return (*root, *pushed, *caches)


def template_role(registry: Registry, settings: Settings) -> str | None:
    """Return the ARN of the role that ECR assumes for templates in a registry's account, if there is one."""
    name = settings.registries.template_role
    return registry.role(name) if name else None


def templates_by_us(registry: Registry, ledger: Ledger) -> frozenset[str]:
    """Return the prefixes of the templates that this stack has made in a registry."""
    held = ledger.registries.get(registry.key, {})
    start = template_key("")
    return frozenset(each.removeprefix(start) for each in held if each.startswith(start))


def excluded_by_us(registry: Registry, ledger: Ledger) -> frozenset[str]:
    """Return the ARNs of those whom this stack has excluded from pull times in a registry."""
    held = ledger.registries.get(registry.key, {})
    return frozenset(
        each.removeprefix("pullTimes/") for each in held if each.startswith("pullTimes/")
    )


def _with_exclusions(
    plan: RegistryPlan, settings: Settings, ledger: Ledger, observed: Observed
) -> RegistryPlan:
    """Return the plan with the exclusions from pull times: all that are wanted, but those of other hands."""
    wanted = pullers(plan.registry, settings)
    standing = observed.exclusions.get(plan.registry, StandingExclusions())
    foreign = standing.now - standing.held - excluded_by_us(plan.registry, ledger)
    adopting = plan.registry.key in settings.registries.adopted
    return replace(
        plan,
        exclusions=tuple(each for each in wanted if adopting or each not in foreign),
        found_exclusions=foreign & frozenset(wanted) if adopting else frozenset(),
        other_exclusions=foreign - frozenset(wanted) if adopting else foreign,
    )


def exclusions_left_alone(plans: Iterable[RegistryPlan], settings: Settings) -> Iterator[str]:
    """Yield what is to be said of exclusions that are wanted and stand by other hands."""
    for plan in plans:
        wanted = pullers(plan.registry, settings)
        if left := [each for each in wanted if each in plan.other_exclusions]:
            yield (
                f"registry {plan.registry.key}: pulls of {', '.join(left)} are excluded from pull times "
                "already, by other hands; they stay so, also when the setting goes, unless "
                "registries.adopted names the registry"
            )


def to_ask(registry: Registry, settings: Settings, ledger: Ledger) -> tuple[RegistrySetting, ...]:
    """Return the settings of a registry of which it must be known what stands."""
    return tuple(
        setting
        for setting in planned_settings(registry, settings)
        if setting not in settings.registries.unmanaged
        and ledger.hold(registry.key, setting) != "managed"
    )


def settle_registry(
    plan: RegistryPlan, settings: Settings, ledger: Ledger, observed: Observed
) -> RegistryPlan:
    """Return the plan of a registry with what is left alone in it, and why."""
    standing = observed.registries.get(plan.registry, StandingSettings())
    key = plan.registry.key
    alone, waiting, replaced = set(), [], []
    for setting, wanted in written_settings(plan):
        if setting in settings.registries.unmanaged:
            alone.add(setting)
            continue
        if setting not in standing.now:
            continue
        now = standing.now[setting]
        ours = setting in standing.held and ledger.hold(key, setting) != "left"
        if ours or now == wanted or now in DEFAULTS[setting]:
            continue
        stands = SettingOfOthers(plan.registry, setting, now or "none", wanted)
        if key in settings.registries.adopted:
            replaced.append(stands)
        else:
            alone.add(setting)
            waiting.append(stands)
    planned = dict(written_settings(plan))
    left = {
        setting
        for setting in DEFAULTS
        if (hold := ledger.hold(key, setting))
        and (setting in alone or (hold == "left" and setting not in planned))
    }
    settled = replace(
        plan,
        alone=frozenset(alone | left),
        left=frozenset(left),
        waiting=tuple(waiting),
        replaced=tuple(replaced),
    )
    return _with_exclusions(settled, settings, ledger, observed)


def holds_after(plans: Iterable[RegistryPlan]) -> dict[str, dict[str, Hold]]:
    """Return what the ledger says of the registries' settings after a deployment."""
    return {
        plan.registry.key: {
            **dict.fromkeys(sorted(plan.left), "left"),
            **{
                setting: "managed"
                for setting, _ in written_settings(plan)
                if setting not in plan.alone
            },
            **{exclusion_key(each): "managed" for each in plan.exclusions},
            **{cache_key(each.prefix): "managed" for each in plan.caches},
            **{template_key(each.prefix): "managed" for each in plan.templates},
        }
        for plan in plans
    }


def written_settings(plan: RegistryPlan) -> Iterator[tuple[RegistrySetting, str]]:
    """Yield what a plan would write once for a registry, each as ``canonical`` text."""
    if plan.policy:
        yield "policy", canonical(json.loads(plan.policy))
    if plan.replication:
        yield "replication", canonical({"rules": [_rule(each) for each in plan.replication]})
    rules = [
        {"scanFrequency": frequency, "repositoryFilters": _filters(filters, "WILDCARD")}
        for frequency, filters in plan.scanning_rules()
    ]
    yield "scanning", canonical({"scanType": plan.scan_type, "rules": rules})
    if plan.policy_scope:
        yield "accountSettings", canonical(plan.policy_scope)


def _rule(rule: ReplicationRule) -> dict[str, Any]:
    return {
        "destinations": [
            {"region": each.region, "registryId": each.account} for each in rule.destinations
        ],
        "repositoryFilters": _filters(rule.prefixes, "PREFIX_MATCH"),
    }


def _filters(filters: Iterable[str], kind: str) -> list[dict[str, str]]:
    return [{"filter": each, "filterType": kind} for each in filters]


def canonical(value: object) -> str:
    """Return a JSON text that is alike for what means the same: no order, no lists of one."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            key: _plain(each) for key, each in value.items() if each or key != "repositoryFilters"
        }
    if isinstance(value, list | tuple):
        items = sorted((_plain(each) for each in value), key=repr)
        return items[0] if len(items) == 1 else items
    return value
