"""The comparison: what each architecture costs, counted on the plan that would be deployed.

Owns the figures. Reads settings and an inventory, and builds the real plan for each architecture,
without Lambda replicas and with them. Deploys nothing and asks nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ecr.github.model import Inventory
from ecr.ledger.ledger import Ledger
from ecr.plan.architectures import architecture_of
from ecr.plan.build import build_plan
from ecr.plan.model import EstatePlan, Observed
from ecr.settings.models import Settings

ARCHITECTURES = ("central", "per-stage", "per-account-set")


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the comparison.

    ``image_repositories`` counts replicas too. ``resources`` are those of AWS and one provider an
    account, as the engine counts them. ``storage`` is how often an image is stored, as a mean over
    services, once it has been promoted to the end. ``policies`` are the documents that let somebody
    do something: of registries and of image repositories. ``promotions`` are the copies between a
    merge and production.
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
    accounts = settings.lambda_replicas.accounts if replicated else ()
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
    return settings.model_copy(
        update={
            "architecture": architecture,
            "account_sets": settings.account_sets if architecture == "per-account-set" else (),
            "lambda_replicas": settings.lambda_replicas.model_copy(
                update={"accounts": tuple(spread)}
            ),
        }
    )


def _share(stages: tuple[str, ...], index: int, count: int) -> str | None:
    last = len(stages) - 1
    return stages[last if count == 1 else index * last // (count - 1)] if stages else None


def _figures(settings: Settings, plan: EstatePlan, *, replicated: bool) -> Figures:
    held, registries = plan.image_repositories, plan.registries
    rules = [rule for registry in registries for rule in registry.replication]
    services = len(plan.ledger.entries)
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
    )


def as_json(figures: Figures) -> Mapping[str, Any]:
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
    }
