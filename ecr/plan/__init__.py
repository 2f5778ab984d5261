"""The plan: from settings, inventory and ledger to everything that will exist.

Pure: no input or output, and neither pulumi nor boto3 is imported below this package; a test holds
that. Everything that AWS would refuse half-way is found here, before the first resource.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from ecr.errors import EstateError
from ecr.inventory import Inventory, Repository, has_property, matches_any
from ecr.ledger import Entry, Ledger, State
from ecr.plan.access import functions_may_pull, organisation_may_pull, source_may_replicate
from ecr.plan.alerts import plan_alerts
from ecr.plan.architectures import Architecture, architecture_of
from ecr.plan.identity import identify
from ecr.plan.lifecycle import choose, lifecycle_document
from ecr.plan.limits import check_limits
from ecr.plan.model import (
    Bleed,
    EstatePlan,
    ImageRepository,
    Placement,
    Registry,
    RegistryPlan,
    ReplicationRule,
)
from ecr.plan.overrides import is_for
from ecr.plan.replication import replication_rules
from ecr.settings import Images, LambdaAccount, Mutability, ServiceRule, Settings


def build_plan(
    settings: Settings, inventory: Inventory, ledger: Ledger, *, today: str
) -> EstatePlan:
    """Plan the whole estate. ``today`` is the ISO date that new ledger states begin on.

    Raises EstateError when a guard trips, a registry of the ledger is no longer configured, a limit
    of AWS is passed or, with ``strict``, a repository cannot be placed.
    """
    place = architecture_of(settings)
    identities = identify(inventory, ledger, settings, place, today)
    if settings.strict and identities.left_out:
        raise EstateError(
            f"{len(identities.left_out)} repositories cannot be placed, and strict is set; nothing "
            "was changed.",
            [f"{each.repository}: {each.reason}" for each in identities.left_out],
        )
    properties = {repository.id: repository for repository in inventory.repositories}
    entries = {
        number: _placed(entry, properties.get(number), settings, place)
        for number, entry in sorted(identities.entries.items())
    }
    lambda_registries = {
        Registry(account.account, region): account
        for account in settings.lambda_replicas.accounts
        for region in account.regions
    }
    source = Registry(settings.artifacts.account, settings.artifacts.region)
    _all_reachable(entries, {source, *lambda_registries})
    image_repositories = tuple(_image_repositories(entries, properties, settings))
    rules, bleeds = _replication(image_repositories, source)
    registries = tuple(_registries(settings, source, lambda_registries, rules))
    near = check_limits(registries, image_repositories, first=not ledger.entries)
    return EstatePlan(
        registries=registries,
        image_repositories=image_repositories,
        ledger=Ledger(entries),
        left_out=identities.left_out,
        bleeds=bleeds,
        alerts=plan_alerts(settings.alerts, registries, bleeds),
        notes=(*identities.notes, *near),
        deselected=Counter(inventory.deselected.values()),
    )


def _placed(
    entry: Entry, repository: Repository | None, settings: Settings, place: Architecture
) -> Entry:
    """Give the entry with its image repositories.

    What it has is never dropped: what is no longer asked for is kept. A kept or retiring service
    asks for nothing new.
    """
    if entry.state != "active":
        return replace(
            entry,
            placements=dict.fromkeys(entry.placements, entry.state),
            replicas=dict.fromkeys(entry.replicas, entry.state),
        )
    placements = place(entry.service)
    replicas = (
        Placement(Registry(account.account, region), placement.name)
        for account in settings.lambda_replicas.accounts
        if repository and _wants_replica(repository, account, settings)
        for region in account.regions
        for placement in placements
    )
    return replace(
        entry,
        placements=_carried(entry.placements, placements),
        replicas=_carried(entry.replicas, replicas),
    )


def _carried(
    held: Mapping[str, State], asked: Iterator[Placement] | tuple[Placement, ...]
) -> dict[str, State]:
    states: dict[str, State] = dict.fromkeys(held, "kept")
    states.update(dict.fromkeys((placement.location for placement in asked), "active"))
    return states


def _wants_replica(repository: Repository, account: LambdaAccount, settings: Settings) -> bool:
    rule: ServiceRule = account.services or settings.lambda_replicas.services
    if rule.property is not None:
        return has_property(repository, rule.property, rule.values)
    return rule.all or matches_any(repository.name, rule.patterns)


def _placement(location: str) -> Placement:
    account, region, name = location.split("/", 2)
    return Placement(Registry(account, region), name)


def _all_reachable(entries: Mapping[int, Entry], configured: set[Registry]) -> None:
    """Refuse settings that have lost a registry in which the ledger knows image repositories."""
    lost: dict[str, list[str]] = defaultdict(list)
    for entry in entries.values():
        for location in (*entry.placements, *entry.replicas):
            placement = _placement(location)
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
    entries: Mapping[int, Entry], repositories: Mapping[int, Repository], settings: Settings
) -> Iterator[ImageRepository]:
    document = cache(lifecycle_document)
    policies: dict[Registry, str] = {}
    for number, entry in entries.items():
        chosen = choose(settings.lifecycle, entry.service, repositories.get(number))
        lifecycle = document(chosen)
        tagging = _mutability(settings.images, entry.service, repositories.get(number))
        tags = {
            **settings.tags,
            "managed-by": "ecr-estate",
            "github-owner": settings.github.organisation,
            "github-repository": entry.repository,
            "github-id": str(number),
        }
        for location, state in entry.placements.items():
            yield ImageRepository(
                placement=_placement(location),
                kind="placement",
                state=state,
                tags=tags,
                immutable=tagging.immutable,
                mutable_tags=tagging.mutable_tags,
                kms_key=settings.images.kms_key,
                lifecycle=lifecycle,
            )
        for location, state in entry.replicas.items():
            placement = _placement(location)
            registry = placement.registry
            yield ImageRepository(
                placement=placement,
                kind="replica",
                state=state,
                tags=tags,
                immutable=tagging.immutable,
                mutable_tags=tagging.mutable_tags,
                lifecycle=lifecycle,
                policy=policies.setdefault(registry, functions_may_pull(registry)),
            )


def _mutability(images: Images, service: str, repository: Repository | None) -> Mutability:
    """Give which tags of a service may move; what GitHub no longer says leaves it at the settings."""
    return next((each for each in images.overrides if is_for(each, service, repository)), images)


def _replication(
    image_repositories: tuple[ImageRepository, ...], source: Registry
) -> tuple[tuple[ReplicationRule, ...], tuple[Bleed, ...]]:
    wanted: dict[Registry, set[str]] = defaultdict(set)
    for each in image_repositories:
        if each.kind == "replica" and each.state == "active":
            wanted[each.placement.registry].add(each.placement.name)
    names = {
        each.placement.name for each in image_repositories if each.placement.registry == source
    }
    return replication_rules(wanted, names)


def _registries(
    settings: Settings,
    source: Registry,
    lambda_registries: Mapping[Registry, LambdaAccount],
    rules: tuple[ReplicationRule, ...],
) -> Iterator[RegistryPlan]:
    def planned(
        registry: Registry, role: str | None, policy: str, *replication: ReplicationRule
    ) -> RegistryPlan:
        basic = settings.scanning.type == "BASIC"
        return RegistryPlan(
            registry=registry,
            role=role,
            policy=policy,
            policy_scope=settings.registry_policy_scope,
            scan_type=settings.scanning.type,
            scan_frequency="SCAN_ON_PUSH" if basic else "CONTINUOUS_SCAN",
            scan_filters=settings.scanning.filters,
            scan_on_push=settings.scanning.on_push_only,
            replication=replication,
        )

    organisation = organisation_may_pull(source, settings.aws_organisation)
    yield planned(source, settings.artifacts.role, organisation, *rules)
    for registry, account in lambda_registries.items():
        yield planned(registry, account.role, source_may_replicate(registry, source))
