"""The estate page's data: of a real stack where its outputs are given, of the sandbox otherwise.

Owns the planning of the sandbox's stack without an engine, so that the site can be built from a clean
clone. Reads Pulumi.sandbox.yaml and the seeded organisation.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecr.deploy.outputs import outputs
from ecr.engine.stack_file import checked, read_stack_file
from ecr.github.model import Inventory, Repository, why_deselected
from ecr.ledger.ledger import Ledger
from ecr.plan.build import build_plan
from ecr.plan.model import Observed
from sandbox.github.organisation import seeded_organisation

PROJECT = Path(__file__).resolve().parent.parent


def sandbox_outputs(today: str | None = None, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the sandbox's stack puts out after its first deployment, as JSON holds it.

    ``changes`` are settings laid over those of the stack's file.
    """
    settings = checked({**read_stack_file(PROJECT / "Pulumi.sandbox.yaml"), **changes})
    repositories = tuple(
        Repository(
            each.id,
            each.name,
            archived=each.archived,
            fork=each.fork,
            template=each.is_template,
            visibility=each.visibility,
            properties=each.properties,
        )
        for each in sorted(seeded_organisation(), key=lambda each: each.id)
    )
    reasons = {each.id: why_deselected(each, settings.github.selection) for each in repositories}
    plan = build_plan(
        settings,
        Inventory(repositories, {number: why for number, why in reasons.items() if why}),
        Ledger(),
        Observed(),
        owner="ecr-estate/sandbox",
        today=today or datetime.now(UTC).date().isoformat(),
    )
    plain: dict[str, Any] = json.loads(json.dumps(outputs(settings, plan)))
    return plain
