"""One builder for each thing that tests are about; each gives the plainest one of its kind."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ecr.github.model import Inventory, Repository, why_deselected
from ecr.ledger.ledger import Ledger
from ecr.plan.build import build_plan
from ecr.plan.model import EstatePlan, Observed
from ecr.settings.load import parse_settings
from ecr.settings.models import Settings

TODAY = "2026-11-22"
OWNER = "ecr-estate/test"
ARTIFACTS = "111111111111"
LAMBDA = "222222222222"
SOURCE = f"{ARTIFACTS}/eu-west-1"
REPLICAS = f"{LAMBDA}/eu-west-1"


def config(**settings: Any) -> dict[str, str]:
    """Config values as the engine hands them over; None takes a key away."""
    values = {
        "github": {"organisation": "acme"},
        "artifacts": {"account": ARTIFACTS, "region": "eu-west-1"},
        "awsOrganisation": "o-a1b2c3d4e5",
        **settings,
    }
    return {
        f"ecr-estate:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if value is not None
    }


def stack_file(folder: Path, **changes: Any) -> str:
    """The path of a stack's file in this folder, with the plainest settings and these changes."""
    values = {
        key: json.loads(value) if value.startswith(("{", "[")) else value
        for key, value in config(**changes).items()
    }
    file = folder / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": values}))
    return str(file)


def outputs_file(folder: Path, **changes: Any) -> Path:
    """The file of a stack's outputs in this folder: of an estate without services, with these changes."""
    outputs: dict[str, Any] = {
        "ledger": Ledger().to_output(),
        "imageRepositories": {},
        "replicas": {},
        "leftOut": [],
        "report": {"registries": [], "stages": [], "deselected": {}},
    }
    report = {**outputs["report"], **changes.pop("report", {})}
    file = folder / "outputs.json"
    file.write_text(json.dumps({**outputs, **changes, "report": report}))
    return file


def settings(**changes: Any) -> Settings:
    return parse_settings(config(**changes), namespace="ecr-estate")


def with_replicas(*accounts: str, **services: Any) -> dict[str, Any]:
    """Settings with Lambda accounts in eu-west-1, for all services unless told otherwise."""
    return {
        "lambdaReplicas": {
            "accounts": [
                {"account": account, "regions": ["eu-west-1"]} for account in accounts or (LAMBDA,)
            ],
            "services": services or {"all": True},
        }
    }


def repository(number: int, name: str, **facts: Any) -> Repository:
    return Repository(number, name, **facts)


def repositories(*names: str) -> tuple[Repository, ...]:
    return tuple(repository(number, name) for number, name in enumerate(names, 1))


def inventory(*repositories: Repository, chosen: Settings | None = None) -> Inventory:
    selection = (chosen or settings()).github.selection
    reasons = {each.id: why_deselected(each, selection) for each in repositories}
    return Inventory(repositories, {number: why for number, why in reasons.items() if why})


def plan(
    *repositories: Repository,
    ledger: Ledger | None = None,
    observed: Observed | None = None,
    gone: Mapping[int, str] | None = None,
    **changes: Any,
) -> EstatePlan:
    chosen = settings(**changes)
    return build_plan(
        chosen,
        replace(inventory(*repositories, chosen=chosen), gone=gone or {}),
        ledger or Ledger(),
        observed or Observed(),
        owner=OWNER,
        today=TODAY,
    )


def states(mapping: Mapping[str, Any]) -> dict[str, str]:
    """The state of each location."""
    return {str(location): str(state) for location, state in mapping.items()}
