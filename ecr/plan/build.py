"""The plan: from settings, inventory and ledger to everything that will exist.

Pure: no input or output, and neither pulumi nor boto3 is imported below this package; a test holds
that. Everything that AWS would refuse half-way is found here, before the first resource.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache

from ecr.errors import EstateError, Guard, GuardError
from ecr.github.model import Inventory
from ecr.ledger.ledger import Ledger
from ecr.ledger.moves import all_moved
from ecr.plan.access.push_roles import (
    AUDIENCE,
    plan_push_roles,
    provider_standing,
    providers_made,
    roles_left_out,
    spare_roles,
    standing_roles,
    standing_variables,
    subjects_left_out,
    variables_left_out,
)
from ecr.plan.access.registry_policies import (
    functions_may_pull,
    namespace_policy,
    placement_policy,
    replica_policy,
    source_policy,
    unbound_replicas,
)
from ecr.plan.alerts import confirmations, plan_alerts, replaced_alerts, standing_alerts
from ecr.plan.architectures import (
    Architecture,
    architecture_of,
    configured_registries,
    copy_registries,
    source_registries,
    staged,
)
from ecr.plan.caches import caches_left_alone, check_caches, with_caches
from ecr.plan.changes import changes_of
from ecr.plan.creation_templates import (
    made_for_nobody,
    marked,
    templates_left_alone,
    with_templates,
)
from ecr.plan.identity import identify, made_by, recovered
from ecr.plan.keys import check_keys, encryption_key
from ecr.plan.lifecycle import choose, lifecycle_document
from ecr.plan.limits import check_limits
from ecr.plan.locations import settle
from ecr.plan.model import (
    PUSH_ROLE_PATH,
    Bleed,
    EstatePlan,
    ImageRepository,
    LeftOut,
    Observed,
    RegistryPlan,
    ReplicationRule,
)
from ecr.plan.namespaces import namespace_of
from ecr.plan.naming import why_refused
from ecr.plan.overrides import is_for, selects
from ecr.plan.owners import with_owners
from ecr.plan.registry_settings import (
    exclusions_left_alone,
    holds_after,
    own_rules,
    replicated_deletions,
    settle_registry,
)
from ecr.plan.replication import replication_rules
from ecr.plan.services import Service
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Images, Mutability, Settings

HANDFUL = 5
"""Image repositories of other hands that a first deployment leaves out; more of them stop it."""


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
    ledger states begin on. A repository that cannot be placed, an image repository of other hands and
    a change that waits for a confirmation hold the services that they concern, and nobody else's;
    with ``strict`` they raise EstateError, as do always a registry of the ledger that is no longer
    configured and a limit of AWS that is passed.
    """
    settings = as_github_writes(settings, inventory)
    place = architecture_of(settings)
    sources = source_registries(settings)
    shard = ledger.shard
    project = owner.partition("/")[0]
    stacks = {owner, *(f"{project}/{stack}" for stack in settings.shards)}
    all_moved(ledger, observed.managed)
    known = recovered(ledger, observed, sources, stacks, today)
    taken = _taken(known, observed, settings, stacks)
    identities = identify(inventory, known, settings, place, today, taken=taken)
    settled = settle(identities.services, settings, place, observed, taken=taken, today=today)
    left_out = (*identities.left_out, *settled.left_out)
    guards = (*identities.guards, settled.guard)
    _stop_where_asked(left_out, guards, settings, first=not ledger.owned)
    services, owner_notes = with_owners(settled.services, settings, observed)
    _one_owner_each(services)
    _all_reachable(services, configured_registries(settings))
    cache_notes = tuple(check_caches(services, settings, ledger, observed))
    own = tuple(each for each in services if each.ours)
    image_repositories = tuple(_image_repositories(own, observed, settings, place, owner))
    rules, bleeds = _replication(services)
    registries = tuple(
        with_templates(
            with_caches(
                settle_registry(each, settings, ledger, observed), settings, ledger, observed
            ),
            settings,
            ledger,
            observed,
            owner,
        )
        for each in (_registries(settings, rules) if shard.owns_registry_settings else ())
    )
    push_roles = plan_push_roles(
        own,
        settings,
        place,
        owner_id=inventory.owner,
        standing=observed.variables,
        roles=observed.roles,
        unread=observed.unread,
    )
    names = {each.id: each.name for each in inventory.repositories}
    untrusted = tuple(subjects_left_out(push_roles, settings.push_roles, observed.templates))
    without = (
        *roles_left_out(push_roles),
        *untrusted,
        *variables_left_out(push_roles, observed.unread, names),
    )
    _stop_where_asked(without, (), settings, first=False)
    left_out = (*left_out, *without)
    standing = (
        *standing_roles(push_roles),
        *spare_roles(
            observed.roles,
            push_roles,
            {each.github_id: each for each in own},
            place("")[0].registry,
        ),
        *provider_standing(place("")[0].registry, observed.audiences),
        *standing_variables(push_roles),
        *standing_alerts(observed.alerts, settings.registries.adopted),
    )
    trusting_nobody = {each.id for each in untrusted}
    push_roles = tuple(
        each
        for each in push_roles
        if each.stands_at in {None, PUSH_ROLE_PATH} and each.github_id not in trusting_nobody
    )
    providers = (
        tuple(providers_made(push_roles, settings))
        if shard.owns_registry_settings and observed.audiences in {None, (AUDIENCE,)}
        else ()
    )
    alerts = plan_alerts(
        settings.alerts,
        registries,
        bleeds,
        {
            Placement.at(location).name
            for each in services
            for location, state in each.entry.replicas.items()
            if state == "active"
        },
        observed.alerts,
        adopted=settings.registries.adopted,
    )
    plan = EstatePlan(
        registries=registries,
        image_repositories=image_repositories,
        ledger=Ledger(
            {
                **{github_id: ledger.entries[github_id] for github_id in ledger.waiting},
                **{each.github_id: each.entry for each in own},
            },
            registries=holds_after(registries)
            if shard.owns_registry_settings
            else ledger.registries,
        ),
        left_out=left_out,
        bleeds=bleeds if shard.owns_registry_settings else (),
        alerts=alerts,
        push_roles=push_roles,
        identity_providers=providers,
        found_providers=providers if observed.audiences else (),
        deletions=tuple(replicated_deletions(observed.deletions, image_repositories)),
        namespaces={
            name: namespace_policy(name, sources) for name in sorted(settings.namespaces.known)
        },
        notes=(
            *identities.notes,
            *settled.notes,
            *unbound_replicas(image_repositories, settings),
            *(each.note for each in standing if each.kind != "push role"),
            *observed.notes,
            *owner_notes,
            *check_keys(image_repositories, ledger, observed),
            *exclusions_left_alone(registries, settings),
            *caches_left_alone(registries, settings, observed),
            *cache_notes,
            *confirmations(alerts, observed.unconfirmed),
            *templates_left_alone(registries, settings),
            *made_for_nobody(
                observed,
                (Placement.at(location) for each in services for location, _ in each.locations()),
                settings,
                stacks,
            ),
        ),
        standing=standing,
        replaced_alerts=tuple(replaced_alerts(alerts, observed.alerts)),
        deselected=Counter(inventory.deselected.values()),
        unselected=tuple(
            LeftOut(each.id, each.name, inventory.deselected[each.id])
            for each in inventory.repositories
            if each.id in inventory.deselected
        ),
        stages=tuple(each.stage for each in place("") if each.stage),
        guards=guards,
    )
    _stop_where_settings_wait(plan, settings)
    near = check_limits(
        plan, images=observed.images, held=_count(services), first=not ledger.entries
    )
    plan = replace(plan, notes=(*plan.notes, *near))
    before, after = Ledger(ledger.owned), Ledger({each.github_id: each.entry for each in own})
    return replace(plan, changes=changes_of(before, after, inventory, plan, observed))


def as_github_writes(settings: Settings, inventory: Inventory) -> Settings:
    """Return the settings with the organisation's login as GitHub writes it, where it was asked.

    GitHub finds a login in any case, and AWS compares the subject of a token with its case (IAM User
    Guide, "IAM JSON policy elements: Condition operators").
    """
    if inventory.login in {None, settings.github.organisation}:
        return settings
    github = settings.github.model_copy(update={"organisation": inventory.login})
    return settings.model_copy(update={"github": github})


def _count(services: Iterable[Service]) -> Counter[Registry]:
    """Count the image repositories of the whole estate in each registry."""
    return Counter(
        Placement.at(location).registry for each in services for location, _ in each.locations()
    )


def _taken(
    ledger: Ledger, observed: Observed, settings: Settings, stacks: AbstractSet[str]
) -> frozenset[str]:
    """Return where image repositories of other hands stand that no operator has adopted."""
    return frozenset(
        location
        for location, tags in observed.unknown.items()
        if location not in observed.managed
        and Placement.at(location).name not in settings.adopted
        and not marked(tags, stacks)
        and not (
            made_by(tags, stacks)
            and (entry := ledger.entries.get(int(tags["github-id"])))
            and location in {*entry.placements, *entry.replicas}
        )
    )


def _stop_where_asked(
    left_out: Sequence[LeftOut], guards: Iterable[Guard], settings: Settings, *, first: bool
) -> None:
    """Stop for what only leaves services as they are, where an operator wants to be asked first.

    That is so with ``strict``, and on a first deployment into registries that others have filled: it
    would leave out much of an estate that is meant to be adopted.
    """
    tripped = [each for each in guards if each.tripped]
    if tripped and settings.strict:
        raise GuardError(tripped)
    standing = [each for each in left_out if each.stands]
    if standing and (settings.strict or (first and len(standing) > HANDFUL)):
        raise EstateError(
            f"{len(standing)} image repositories that are planned stand already, and this stack did "
            "not make them; nothing was changed. `ecr-estate adopt` says what adopting them means.",
            [f"{each.repository}: {each.reason}" for each in standing],
        )
    if left_out and settings.strict:
        raise EstateError(
            f"{len(left_out)} repositories cannot be placed, and strict is set; nothing was changed.",
            [f"{each.repository}: {each.reason}" for each in left_out],
        )


def _stop_where_settings_wait(plan: EstatePlan, settings: Settings) -> None:
    """Stop for settings of registries by other hands, where an operator wants to be asked first."""
    waiting = plan.waiting_settings
    if waiting and settings.strict:
        raise EstateError(
            f"{len(waiting)} settings of registries are by other hands, and strict is set; nothing was "
            "changed. `ecr-estate adopt` says what adopting them means.",
            [
                f"registry {each.registry.key}: its {each.setting} is {each.now}, and {each.then} is "
                f"planned; name the registry under registries.adopted, or {each.setting} under "
                "registries.unmanaged"
                for each in waiting
            ],
        )


def _one_owner_each(services: Iterable[Service]) -> None:
    """Refuse names that AWS refuses, and settings by which two services would share a location.

    A service that is new is left out instead, and one that is moved stays; a change of architecture
    or of stages names all services anew.
    """
    first_holders: dict[str, Service] = {}
    offences = []
    for service in services:
        for location, _ in service.locations():
            first = first_holders.setdefault(location, service)
            if first is not service:
                offences.append(
                    f"{location}: would be of {first.name} and of {service.name}; give one of "
                    "them another name under `names`"
                )
            elif refused := why_refused(Placement.at(location).name):
                offences.append(f"{location}: {refused}; choose another under `names`")
    if offences:
        raise EstateError(
            f"{len(offences)} image repositories cannot be as the settings ask; nothing was changed.",
            offences,
        )


def _all_reachable(services: Iterable[Service], configured: Container[Registry]) -> None:
    """Refuse settings that have lost a registry in which the ledger knows image repositories."""
    lost: dict[str, list[str]] = defaultdict(list)
    for service in services:
        for location, _ in service.locations():
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


def _image_repositories(
    services: Iterable[Service],
    observed: Observed,
    settings: Settings,
    place: Architecture,
    owner: str,
) -> Iterator[ImageRepository]:
    """Yield every image repository of the services, each as it will be declared."""
    document = cache(lifecycle_document)
    functions = settings.access.functions
    replica_document = cache(functions_may_pull)
    first = place("")[0]
    copies = copy_registries(settings)

    @cache
    def granting(
        registry: Registry,
        namespace: str | None,
        stage: str | None,
        runs: bool,  # noqa: FBT001 - a part of the cache's key
    ) -> str | None:
        return placement_policy(
            registry,
            namespace,
            settings,
            functions=runs,
            first=(registry, stage) == (first.registry, first.stage),
        )

    for service in services:
        # What GitHub no longer lists may still run: it is not refused to whom it may concern.
        runs = functions is not None and (
            service.repository is None or selects(functions.services, service.repository)
        )
        tagging = _mutability(settings.images, service)
        lifecycle = document(choose(settings.lifecycle, service.name, service.repository))
        further = {
            placement.name: image for image in service.images[1:] for placement in place(image)
        }
        stages = {
            placement.location: placement.stage
            for image in (service.name, *service.images[1:])
            for placement in place(image)
        }
        tags = {
            **settings.tags,
            **service.entry.tags,
            "managed-by": owner,
            "github-owner": settings.github.organisation,
            "github-repository": service.entry.repository,
            "github-id": str(service.github_id),
            "service": service.name,
        }
        for location, state in service.locations():
            placement = Placement.at(location)
            replica = location in service.entry.replicas
            yield ImageRepository(
                placement=placement,
                kind="replica" if replica else "placement",
                state=state,
                tags=_named(tags, placement.name, further),
                immutable=tagging.immutable,
                mutable_tags=tagging.mutable_tags,
                immutable_tags=tagging.immutable_tags,
                kms_key=encryption_key(placement.registry, settings),
                dual_layer=settings.images.dual_layer,
                lifecycle=lifecycle,
                policy=replica_document(placement.registry)
                if replica and placement.registry not in copies
                else granting(
                    placement.registry,
                    namespace_of(placement.name, settings),
                    stages.get(location, staged(placement, settings).stage),
                    runs and not replica,
                ),
                found=location in observed.unknown and location not in observed.managed,
            )


def _named(tags: dict[str, str], name: str, further: Mapping[str, str]) -> dict[str, str]:
    """Add to the tags of a service which of its further images this is, if it is one."""
    return {**tags, "image": further[name]} if name in further else tags


def _mutability(images: Images, service: Service) -> Mutability:
    """Return which tags of a service may move; what GitHub no longer says leaves it at the settings."""
    return next(
        (each for each in images.overrides if is_for(each, service.name, service.repository)),
        images,
    )


def _replication(
    services: Iterable[Service],
) -> tuple[dict[Registry, tuple[ReplicationRule, ...]], tuple[Bleed, ...]]:
    """Return the rules of each source registry, and everything that bleeds."""
    wanted: dict[Registry, dict[Registry, set[str]]] = defaultdict(lambda: defaultdict(set))
    names: dict[Registry, set[str]] = defaultdict(set)
    for service in services:
        for location in service.entry.placements:
            held = Placement.at(location)
            names[held.registry].add(held.name)
        for placement, replica in service.fillings:
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
            replication=(*rules.get(registry, ()), *own_rules(registry, settings)),
        )
