"""Keep an estate of ECR image repositories equal to a GitHub organisation.

Settings, inventory, ledger, plan, resources, outputs: each step is a module of ``ecr``.
"""

from datetime import UTC, datetime
from typing import Any

import pulumi

from ecr.errors import EstateError
from ecr.inventory import read_inventory
from ecr.ledger import read_ledger
from ecr.plan import build_plan
from ecr.report import announce, outputs
from ecr.resources import declare
from ecr.settings import load_settings


async def main() -> dict[str, Any]:
    """Deploy the estate of this stack."""
    try:
        settings = load_settings()
        inventory = await read_inventory(settings)
        ledger = await read_ledger()
        plan = build_plan(settings, inventory, ledger, today=datetime.now(UTC).date().isoformat())
    except EstateError as error:
        raise pulumi.RunError(str(error)) from None
    announce(inventory, plan)
    await declare(plan)
    return outputs(plan)


pulumi.run(main)
