"""Pull-through caches: what ECR makes and fills by itself under which prefixes, and what that needs.

Owns which cache rules a registry has, which of other hands are left as they stand, and which names are a
cache's and so no service's. A cached image repository is ECR's: it has no ledger entry and no owner. Reads
nothing.

Sources: Amazon ECR User Guide, "Sync an upstream registry with an Amazon ECR private registry".
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ecr.errors import EstateError, first_of
from ecr.ledger.ledger import CACHES, Ledger
from ecr.plan.architectures import artifacts_registry
from ecr.plan.model import CachePlan, Observed, RegistryPlan, StandingCaches
from ecr.plan.services import Service
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings


def cache_key(prefix: str) -> str:
    """Return what the ledger calls the cache rule of a prefix, among what it has of a registry."""
    return f"{CACHES}{prefix}"


def caches_of(registry: Registry, settings: Settings) -> tuple[CachePlan, ...]:
    """Return the cache rules that the settings have for a registry."""
    artifacts = artifacts_registry(settings)
    return tuple(
        CachePlan(each.prefix, each.upstream, each.upstream_prefix, each.credentials, each.role)
        for each in settings.pull_through_cache.rules
        if (Registry.parse(each.registry) if each.registry else artifacts) == registry
    )


def cached(placement: Placement, settings: Settings) -> str | None:
    """Return where ECR fills an image repository of this place from; None where it is no cache's."""
    return next(
        (
            each.source
            for each in caches_of(placement.registry, settings)
            if placement.is_below([each.prefix])
        ),
        None,
    )


def with_caches(
    plan: RegistryPlan, settings: Settings, ledger: Ledger, observed: Observed
) -> RegistryPlan:
    """Return the plan of a registry with its cache rules: all that are wanted, but those of other hands.

    One that stands as it is planned is taken up. Where the registry is adopted, one that caches from the same
    place is too, and is given the planned credentials or role.
    """
    standing = observed.caches.get(plan.registry, StandingCaches())
    ours = standing.held | ledger.caches(plan.registry.key)
    adopting = plan.registry.key in settings.registries.adopted
    foreign = {prefix: each for prefix, each in standing.now.items() if prefix not in ours}
    declared, found = [], set()
    for each in caches_of(plan.registry, settings):
        stands = foreign.get(each.prefix)
        if stands is None:
            declared.append(each)
        elif stands == each or (adopting and stands.source == each.source):
            declared.append(each)
            found.add(each.prefix)
    return replace(
        plan,
        caches=tuple(declared),
        found_caches=frozenset(found),
        other_caches=frozenset(foreign.keys() - found),
    )


def caches_left_alone(
    plans: Iterable[RegistryPlan], settings: Settings, observed: Observed
) -> Iterator[str]:
    """Yield what is to be said of cache rules that are wanted and stand by other hands."""
    for plan in plans:
        standing = observed.caches.get(plan.registry, StandingCaches())
        for each in caches_of(plan.registry, settings):
            if each.prefix not in plan.other_caches:
                continue
            stands = standing.now[each.prefix]
            remedy = (
                "to give it the planned credentials or role, name the registry under registries.adopted"
                if stands.source == each.source
                else f"delete it, or choose another prefix for {each.source}"
            )
            yield (
                f"registry {plan.registry.key}: a cache rule {each.prefix} of other hands caches "
                f"{stands.source}, and stays as it is; {remedy}"
            )


def check_caches(
    services: Iterable[Service], settings: Settings, ledger: Ledger, observed: Observed
) -> Iterator[str]:
    """Yield what an operator should hear of caches that stand and whose secret cannot be used.

    Raises EstateError for prefixes in which the estate has image repositories already, and for new rules whose
    secret ECR could not use: both are found before anything is made.
    """
    offences = []
    by_registry = {
        registry: caches_of(registry, settings)
        for registry in {
            Registry.parse(each.registry) if each.registry else artifacts_registry(settings)
            for each in settings.pull_through_cache.rules
        }
    }
    held: dict[tuple[Registry, str], list[str]] = {}
    for service in services if by_registry else ():
        for location, _ in service.locations():
            placement = Placement.at(location)
            for each in by_registry.get(placement.registry, ()):
                if placement.is_below([each.prefix]):
                    held.setdefault((placement.registry, each.prefix), []).append(placement.name)
    for (registry, prefix), names in sorted(held.items()):
        offences.append(
            f"registry {registry.key}: the cache {prefix} would have the names of {len(names)} image "
            f"repositories of the estate, {', '.join(first_of(sorted(names), 3))}; choose another prefix"
        )
    stand: list[str] = []
    for registry, rules in sorted(by_registry.items()):
        standing = observed.caches.get(registry, StandingCaches())
        ours = standing.held | ledger.caches(registry.key)
        for each in rules:
            if why := standing.secrets.get(each.credentials or ""):
                told = f"registry {registry.key}: the cache {each.prefix}: {each.credentials} {why}"
                (stand if each.prefix in ours else offences).append(told)
    if offences:
        raise EstateError(
            f"{len(offences)} pull-through caches cannot be as the settings ask; nothing was changed.",
            offences,
        )
    yield from stand
