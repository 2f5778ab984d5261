"""Keep an estate of ECR image repositories equal to a GitHub organisation.

Settings, ledger, inventory, observation, plan, resources: each step is a module of ``ecr``.
"""

from datetime import UTC, datetime
from typing import Any

import pulumi

from ecr.errors import EstateError
from ecr.inventory import connect, read_inventory
from ecr.ledger import read_ledger
from ecr.observation import held, observe, through
from ecr.plan import build_plan
from ecr.plan.architectures import configured_registries
from ecr.report import announce, outputs
from ecr.resources import declare, declare_providers
from ecr.settings import load_settings


async def main() -> dict[str, Any]:
    """Deploy the estate of this stack."""
    today, owner = datetime.now(UTC).date().isoformat(), f"ecr-estate/{pulumi.get_stack()}"
    try:
        settings = load_settings()
        ledger = await read_ledger()
        inventory = await read_inventory(settings, ledger.active, github := connect(settings))
        providers = declare_providers(configured_registries(settings))
        observed = await observe(through(providers), held, settings, inventory, ledger)
        plan = build_plan(settings, inventory, ledger, observed, owner=owner, today=today)
    except EstateError as error:
        raise pulumi.RunError(str(error)) from None
    announce(inventory, plan)
    await declare(plan, providers, github)
    return outputs(settings, plan)


pulumi.run(main)
