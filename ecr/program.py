"""Keep an estate of ECR image repositories equal to a GitHub organisation, a step a line."""

from typing import Any

import pulumi

from ecr.deploy.lifecycle_trial import try_lifecycles
from ecr.deploy.observation import read_registries
from ecr.deploy.outputs import announce, outputs, within
from ecr.deploy.resources import declare, declare_providers
from ecr.deploy.run_report import begin_run
from ecr.deploy.standing import asking
from ecr.deploy.targets import require_targets
from ecr.engine.last_outputs import read_last
from ecr.errors import EstateError
from ecr.github.inventory import connect, read_inventory
from ecr.plan.architectures import assumed_roles
from ecr.plan.build import build_plan
from ecr.settings.load import load_settings


async def main() -> dict[str, Any]:
    """Deploy the estate of this stack."""
    try:
        run = begin_run()
        if run.part:
            await run.wait("targets", require_targets())
        settings = run.step("settings", load_settings)
        last = await run.wait("ledger", read_last(settings.shards))
        ledger = last.ledger
        github = run.step("github", connect, settings)
        asked = ledger.to_confirm(settings.retire)
        inventory = await run.wait("inventory", read_inventory(settings, asked, github))
        roles = assumed_roles(settings, preview=run.preview)
        providers = declare_providers(roles)
        ask = asking(roles)
        reading = read_registries(providers, settings, inventory, ledger, github, ask=ask)
        read = settings, inventory, ledger, await run.wait("observation", reading)
        plan = run.step("plan", build_plan, *read, owner=run.owner, today=run.today)
        if run.part:
            plan = run.step("part", run.part.of, plan, ledger, settings)
        trial = try_lifecycles(ask, plan, ledger, read[-1], preview=run.preview)
        await run.wait("lifecycle", trial)
    except EstateError as error:
        raise pulumi.RunError(str(error)) from None
    announce(inventory, plan)
    await run.wait("resources", declare(plan, providers, github))
    made = outputs(settings, plan)
    return run.end(within(last.outputs, made) if run.part else made, last.outputs)


def run() -> None:
    """Deploy the stack that the engine names; the whole of a project's ``__main__.py``."""
    pulumi.run(main)
