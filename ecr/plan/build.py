"""The plan: from settings, inventory and ledger to everything that will exist.

Pure: no input or output, and neither pulumi nor boto3 is imported below this package; a test holds
that. Everything that AWS would refuse half-way is found here, before the first resource.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache
from typing import Any

from ecr.errors import EstateError, Guard, GuardError
from ecr.github.model import Inventory, Repository
from ecr.ledger.ledger import Entry, Ledger
from ecr.ledger.moves import all_moved
from ecr.plan.access.push_roles import plan_push_roles, providers_made
from ecr.plan.access.registry_policies import (
    functions_may_pull,
    namespace_policy,
    placement_policy,
    replica_policy,
    source_policy,
    unbound_replicas,
)
from ecr.plan.alerts import plan_alerts
from ecr.plan.architectures import (
    Architecture,
    architecture_of,
    artifacts_registry,
    configured_registries,
    replicas_of,
    source_registries,
)
from ecr.plan.changes import changes_of
from ecr.plan.identity import identify, made_by, recovered
from ecr.plan.lifecycle import choose, lifecycle_document
from ecr.plan.limits import check_limits
from ecr.plan.locations import settle
from ecr.plan.model import (
    Bleed,
    EstatePlan,
    ImageRepository,
    Observed,
    RegistryPlan,
    ReplicationRule,
)
from ecr.plan.namespaces import namespace_of
from ecr.plan.naming import why_refused
from ecr.plan.overrides import is_for, selects
from ecr.plan.replication import replication_rules
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Images, Mutability, Settings


def build_plan(
    settings: Settings,
    inventory: Inventory,
    ledger: Ledger,
    observed: Observed,
    *,
    owner: str,
    today: str,
) -> EstatePlan:
    """Plan the whole estate.

    ``owner`` is the stack, as the tags of what it makes name it; ``today`` the ISO date that new
    ledger states begin on. Raises EstateError when a guard trips, an image repository stands where
    one is planned, a registry of the ledger is no longer configured, a limit of AWS is passed or,
    with ``strict``, a repository cannot be placed.
    """
    place = architecture_of(settings)
    sources = source_registries(settings)
    shard = ledger.shard
    project = owner.partition("/")[0]
    owners = {owner, *(f"{project}/{stack}" for stack in settings.shards)}
    all_moved(ledger, observed.managed)
    known = recovered(ledger, observed, sources, owners, today)
    identities = identify(inventory, known, settings, place, today)
    if settings.strict and identities.left_out:
        raise EstateError(
            f"{len(identities.left_out)} repositories cannot be placed, and strict is set; nothing "
            "was changed.",
            [f"{each.repository}: {each.reason}" for each in identities.left_out],
        )
    repositories = {repository.id: repository for repository in inventory.repositories}
    entries, notes, ending = settle(
        identities, repositories, settings, place, observed, shard=shard, today=today
    )
    guards = (*identities.guards, ending)
    _pass(guards)
    entries = dict(sorted(entries.items()))
    _one_owner_each(entries)
    own = {number: entry for number, entry in entries.items() if shard.owns(number)}
    _all_reachable(entries, configured_registries(settings))
    _none_taken(own, observed, settings, owners)
    image_repositories = tuple(
        _image_repositories(
            own,
            {
                placement.name: image
                for images in identities.images.values()
                for image in images[1:]
                for placement in place(image)
            },
            repositories,
            observed,
            settings,
            owner,
        )
    )
    rules, bleeds = _replication(entries, identities.images, repositories, settings, place)
    registries = tuple(_registries(settings, rules)) if shard.first else ()
    push_roles = plan_push_roles(
        own, identities.images, repositories, settings, place, owner_id=inventory.owner
    )
    plan = EstatePlan(
        registries=registries,
        image_repositories=image_repositories,
        ledger=Ledger({**{each: ledger.entries[each] for each in ledger.waiting}, **own}),
        left_out=identities.left_out,
        bleeds=bleeds if shard.first else (),
        alerts=plan_alerts(
            settings.alerts,
            registries,
            bleeds,
            {
                Placement.at(location).name
                for entry in entries.values()
                for location, state in entry.replicas.items()
                if state == "active"
            },
        ),
        push_roles=push_roles,
        identity_providers=tuple(providers_made(push_roles, settings)) if shard.first else (),
        namespaces={
            name: namespace_policy(name, sources) for name in sorted(settings.namespaces.known)
        },
        notes=(*identities.notes, *notes, *unbound_replicas(image_repositories, settings)),
        deselected=Counter(inventory.deselected.values()),
        stages=tuple(each.stage for each in place("") if each.stage),
        guards=guards,
    )
    near = check_limits(plan, images=observed.images, held=_held(entries), first=not ledger.entries)
    plan = replace(plan, notes=(*plan.notes, *near))
    before, after = Ledger(ledger.owned), Ledger(own)
    return replace(plan, changes=changes_of(before, after, inventory, plan, observed))


def _held(entries: Mapping[int, Entry]) -> Counter[Registry]:
    """Count the image repositories of the whole estate in each registry."""
    return Counter(
        Placement.at(location).registry
        for entry in entries.values()
        for location in (*entry.placements, *entry.replicas)
    )


def _pass(guards: Iterable[Guard]) -> None:
    """Stop where more changes at once than an operator has confirmed; all guards are said at once."""
    tripped = [each for each in guards if each.tripped]
    if tripped:
        raise GuardError(tripped)


def _one_owner_each(entries: Mapping[int, Entry]) -> None:
    """Refuse names that AWS refuses, and settings by which two services would share a location.

    A service that is new is left out instead, and one that is moved stays; a change of architecture
    or of stages names all services anew.
    """
    owners: dict[str, int] = {}
    offences = []
    for number, entry in entries.items():
        for location in (*entry.placements, *entry.replicas):
            first = entries[owners.setdefault(location, number)]
            if first is not entry:
                offences.append(
                    f"{location}: would be of {first.service} and of {entry.service}; give one of "
                    "them another name under `names`"
                )
            elif refused := why_refused(Placement.at(location).name):
                offences.append(f"{location}: {refused}; choose another under `names`")
    if offences:
        raise EstateError(
            f"{len(offences)} image repositories cannot be as the settings ask; nothing was changed.",
            offences,
        )


def _all_reachable(entries: Mapping[int, Entry], configured: Container[Registry]) -> None:
    """Refuse settings that have lost a registry in which the ledger knows image repositories."""
    lost: dict[str, list[str]] = defaultdict(list)
    for entry in entries.values():
        for location in (*entry.placements, *entry.replicas):
            placement = Placement.at(location)
            if placement.registry not in configured:
                lost[placement.registry.key].append(placement.name)
    if lost:
        raise EstateError(
            "The settings no longer name a registry that holds image repositories; nothing was "
            "changed.",
            [
                f"registry {key}: holds {len(names)}, {names[0]} the first; name its account and "
                "Region in the settings again"
                for key, names in sorted(lost.items())
            ],
        )


def _none_taken(
    entries: Mapping[int, Entry], observed: Observed, settings: Settings, owners: AbstractSet[str]
) -> None:
    """Refuse to make what stands there already, by other hands, until an operator adopts it."""
    taken = [
        location
        for number, entry in entries.items()
        for location in (*entry.placements, *entry.replicas)
        if _found(location, observed)
        and not (
            made_by(tags := observed.unknown[location], owners) and int(tags["github-id"]) == number
        )
        and Placement.at(location).name not in settings.adopted
    ]
    if taken:
        raise EstateError(
            f"{len(taken)} image repositories that are planned stand already, and this stack did "
            "not make them; nothing was changed. See what adopting them means with "
            "`python -m ecr adopt`.",
            [
                f"{location}: adopt it, choose another name under `names`, or exclude its repository"
                for location in taken
            ],
        )


def _found(location: str, observed: Observed) -> bool:
    return location in observed.unknown and location not in observed.managed


def _image_repositories(  # noqa: PLR0917 - the whole of the plan's input
    entries: Mapping[int, Entry],
    further: Mapping[str, str],
    repositories: Mapping[int, Repository],
    observed: Observed,
    settings: Settings,
    owner: str,
) -> Iterator[ImageRepository]:
    """Give every image repository; ``further`` are the images beside a service's own, by name there."""
    document = cache(lifecycle_document)
    policies: dict[Registry, str] = {}
    functions = settings.access.functions

    @cache
    def granting(registry: Registry, namespace: str | None, runs: bool) -> str | None:  # noqa: FBT001 - a part of the cache's key
        return placement_policy(registry, namespace, settings, functions=runs)

    for number, entry in entries.items():
        repository = repositories.get(number)
        # What GitHub no longer lists may still run: it is not refused to whom it may concern.
        runs = functions is not None and (
            repository is None or selects(functions.services, repository)
        )
        tagging = _mutability(settings.images, entry.service, repositories.get(number))
        tags = {
            **settings.tags,
            "managed-by": owner,
            "github-owner": settings.github.organisation,
            "github-repository": entry.repository,
            "github-id": str(number),
            "service": entry.service,
        }
        common: dict[str, Any] = {
            "immutable": tagging.immutable,
            "mutable_tags": tagging.mutable_tags,
            "lifecycle": document(
                choose(settings.lifecycle, entry.service, repositories.get(number))
            ),
        }
        for location, state in entry.placements.items():
            placement = Placement.at(location)
            ours = placement.registry == artifacts_registry(settings)
            yield ImageRepository(
                placement=placement,
                kind="placement",
                state=state,
                tags=_named(tags, placement.name, further),
                kms_key=settings.images.kms_key if ours else None,
                policy=granting(placement.registry, namespace_of(placement.name, settings), runs),
                found=_found(location, observed),
                **common,
            )
        for location, state in entry.replicas.items():
            placement = Placement.at(location)
            registry = placement.registry
            yield ImageRepository(
                placement=placement,
                kind="replica",
                state=state,
                tags=_named(tags, placement.name, further),
                policy=policies.setdefault(registry, functions_may_pull(registry)),
                found=_found(location, observed),
                **common,
            )


def _named(tags: dict[str, str], name: str, further: Mapping[str, str]) -> dict[str, str]:
    """Add to the tags of a service which of its further images this is, if it is one."""
    return {**tags, "image": further[name]} if name in further else tags


def _mutability(images: Images, service: str, repository: Repository | None) -> Mutability:
    """Give which tags of a service may move; what GitHub no longer says leaves it at the settings."""
    return next((each for each in images.overrides if is_for(each, service, repository)), images)


def _replication(
    entries: Mapping[int, Entry],
    images: Mapping[int, tuple[str, ...]],
    repositories: Mapping[int, Repository],
    settings: Settings,
    place: Architecture,
) -> tuple[dict[Registry, tuple[ReplicationRule, ...]], tuple[Bleed, ...]]:
    """Give the rules of each source registry, and everything that bleeds."""
    wanted: dict[Registry, dict[Registry, set[str]]] = defaultdict(lambda: defaultdict(set))
    names: dict[Registry, set[str]] = defaultdict(set)
    for number, entry in entries.items():
        for location in entry.placements:
            held = Placement.at(location)
            names[held.registry].add(held.name)
        for image in images.get(number, ()):
            for placement, replica in replicas_of(place(image), repositories[number], settings):
                wanted[placement.registry][replica.registry].add(replica.name)
    done = {source: replication_rules(wants, names[source]) for source, wants in wanted.items()}
    return (
        {source: rules for source, (rules, _) in done.items()},
        tuple(bleed for _, bleeds in done.values() for bleed in bleeds),
    )


def _registries(
    settings: Settings, rules: Mapping[Registry, tuple[ReplicationRule, ...]]
) -> Iterator[RegistryPlan]:
    sources = source_registries(settings)
    basic = settings.scanning.type == "BASIC"
    for registry, role in configured_registries(settings).items():
        yield RegistryPlan(
            registry=registry,
            role=role,
            policy=source_policy(registry, settings, role)
            if registry in sources
            else replica_policy(registry, sources, settings, role),
            policy_scope=settings.registry_policy_scope,
            scan_type=settings.scanning.type,
            scan_frequency="SCAN_ON_PUSH" if basic else "CONTINUOUS_SCAN",
            scan_filters=settings.scanning.filters,
            scan_on_push=settings.scanning.on_push_only,
            replication=rules.get(registry, ()),
        )
