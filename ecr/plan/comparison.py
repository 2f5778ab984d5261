"""The comparison: what each architecture costs, counted on the plan that would be deployed.

Owns the figures, and what they come to in money under a workload. Reads settings and an inventory, and builds the real plan for each architecture,
without Lambda replicas and with them. Deploys nothing and asks nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from ecr.github.model import Inventory
from ecr.ledger.ledger import Ledger
from ecr.plan.architectures import architecture_of
from ecr.plan.build import build_plan
from ecr.plan.model import EstatePlan, Observed
from ecr.settings.models import Copies, LambdaReplicas, Settings

R = TypeVar("R", LambdaReplicas, Copies)

MB = 2**20

ARCHITECTURES = ("central", "per-stage", "per-account-set")


@dataclass(frozen=True, slots=True)
class Workload:
    """What services do in a month, on average.

    ``images`` are held in each image repository, of ``size`` bytes each that it shares with no other;
    ``pushes`` are those of a service, and ``far_pulls`` its pulls from another Region than its registry's,
    where it has no replica in another one.
    """

    images: float = 100
    size: float = 200 * MB
    pushes: float = 30
    far_pulls: float = 0


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """What a month costs, in the currency of the prices."""

    storage: float
    transfer: float
    scanning: float

    @property
    def whole(self) -> float:
        """Return all of it."""
        return self.storage + self.transfer + self.scanning


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the comparison.

    ``image_repositories`` counts replicas too. ``resources`` are those of AWS and one provider an
    account, as the engine counts them. ``storage`` is how often an image is stored, as a mean over
    services, once it has been promoted to the end. ``policies`` are the documents that let somebody
    do something: of registries and of image repositories. ``promotions`` are the copies between a
    merge and production. ``far_replicas`` are the replicas in another Region than what fills them, of
    ``far_services`` services.
    """

    architecture: str
    replicated: bool
    services: int
    image_repositories: int
    replicas: int
    resources: int
    registries: int
    rules: int
    prefixes: int
    storage: float
    policies: int
    promotions: int
    far_replicas: int
    far_services: int


def monthly_cost(figures: Figures, workload: Workload, settings: Settings) -> MonthlyCost:
    """Return what a month of an architecture costs, by the prices of the settings.

    It is the most there can be: as if every image were promoted to the end. Scans are those of Amazon
    Inspector where the settings choose it, of each copy when it is pushed.
    """
    prices = settings.prices
    copies = figures.image_repositories
    far = figures.far_replicas * workload.pushes + workload.far_pulls * (
        figures.services - figures.far_services
    )
    enhanced = settings.scanning.type == "ENHANCED"
    return MonthlyCost(
        prices.standard(copies * workload.images * workload.size),
        prices.transfer(far * workload.size),
        copies * workload.pushes * prices.enhanced_scan if enhanced else 0.0,
    )


def compare_architectures(settings: Settings, inventory: Inventory) -> Iterator[Figures]:
    """Yield a row for each architecture, without Lambda replicas and with them.

    ``settings`` hold stages, account sets and Lambda accounts. Raises EstateError where one of the
    plans cannot be.
    """
    for architecture in ARCHITECTURES:
        for replicated in (False, True):
            chosen = _under(settings, architecture, replicated=replicated)
            plan = build_plan(
                chosen, inventory, Ledger(), Observed(), owner="ecr-estate/compare", today=""
            )
            yield _figures(chosen, plan, replicated=replicated)


def _under(settings: Settings, architecture: str, *, replicated: bool) -> Settings:
    """Return the settings as they would be under another architecture.

    A stage or set that a Lambda account serves already stays its own; otherwise the accounts are
    spread over them in order, so that the first serves the first and the last the last.
    """
    stages = {
        "central": (),
        "per-stage": settings.stages,
        "per-account-set": tuple(each.name for each in settings.account_sets),
    }[architecture]
    return settings.model_copy(
        update={
            "architecture": architecture,
            "account_sets": settings.account_sets if architecture == "per-account-set" else (),
            "lambda_replicas": _spread(settings.lambda_replicas, stages, replicated=replicated),
            "copies": _spread(settings.copies, stages, replicated=replicated),
        }
    )


def _spread(chosen: R, stages: tuple[str, ...], *, replicated: bool) -> R:
    """Return accounts with replicas, each serving one of the stages; none where nothing is replicated."""
    accounts = chosen.accounts if replicated else ()
    spread = [
        account.model_copy(
            update={
                "serves": account.serves
                if account.serves in stages
                else _share(stages, index, len(accounts))
            }
        )
        for index, account in enumerate(accounts)
    ]
    return chosen.model_copy(update={"accounts": tuple(spread)})


def _share(stages: tuple[str, ...], index: int, count: int) -> str | None:
    last = len(stages) - 1
    return stages[last if count == 1 else index * last // (count - 1)] if stages else None


def _figures(settings: Settings, plan: EstatePlan, *, replicated: bool) -> Figures:
    held, registries = plan.image_repositories, plan.registries
    rules = [rule for registry in registries for rule in registry.replication]
    services = len(plan.ledger.entries)
    far = [
        (service.service, location)
        for service in plan.ledger.entries.values()
        for location in service.replicas
        if _region(location) not in map(_region, service.placements)
    ]
    return Figures(
        architecture=settings.architecture,
        replicated=replicated,
        services=services,
        image_repositories=len(held),
        replicas=sum(each.kind == "replica" for each in held),
        resources=sum(1 + bool(each.lifecycle) + bool(each.policy) for each in held)
        + sum(
            1 + bool(each.policy) + bool(each.policy_scope) + bool(each.replication)
            for each in registries
        )
        + len({each.registry.account for each in registries}),
        registries=len(registries),
        rules=len(rules),
        prefixes=sum(len(rule.prefixes) for rule in rules),
        storage=len(held) / services if services else 0.0,
        policies=sum(bool(each.policy) for each in registries)
        + sum(bool(each.policy) for each in held),
        promotions=len(architecture_of(settings)("service")) - 1,
        far_replicas=len(far),
        far_services=len({service for service, _ in far}),
    )


def _region(location: str) -> str:
    return location.split("/", 2)[1]


def as_json(figures: Figures, cost: MonthlyCost, currency: str) -> Mapping[str, Any]:
    """Return one row as plain data, with the keys of the stack's settings and outputs."""
    return {
        "architecture": figures.architecture,
        "lambdaReplicas": figures.replicated,
        "services": figures.services,
        "imageRepositories": figures.image_repositories,
        "replicas": figures.replicas,
        "resources": figures.resources,
        "registries": figures.registries,
        "replicationRules": figures.rules,
        "replicationPrefixes": figures.prefixes,
        "storageMultiple": round(figures.storage, 2),
        "policies": figures.policies,
        "promotionSteps": figures.promotions,
        "farReplicas": figures.far_replicas,
        "storageCost": round(cost.storage, 2),
        "transferCost": round(cost.transfer, 2),
        "scanningCost": round(cost.scanning, 2),
        "cost": round(cost.whole, 2),
        "currency": currency,
    }
