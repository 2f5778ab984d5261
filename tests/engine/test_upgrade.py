"""A stack that an older version deployed: what this one would change in it is what the changelog says."""

from pathlib import Path
from typing import Any

import pytest

from ecr.engine.preview import parse_preview_json
from tests.engine.conftest import Open
from tests.engine.test_estate import LAMBDA

pytestmark = pytest.mark.engine

STATES = Path(__file__).parent / "states"
"""What `pulumi stack export` wrote after a deployment by the version that a file is called after."""

SETTINGS: dict[str, Any] = {
    "lambdaReplicas": {
        "accounts": [
            {
                "account": LAMBDA[0],
                "regions": [LAMBDA[1]],
                "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-estate-deploy",
            }
        ],
        "services": {"patterns": ["api"]},
    },
    "alerts": {"severities": ["CRITICAL"]},
    "pushRoles": {"services": {"patterns": ["web"]}},
}


def test_a_stack_of_the_first_version_changes_only_by_what_the_changelog_names(
    open_session: Open,
) -> None:
    session = open_session("api", "web", ".github", **SETTINGS)
    imported = session.pulumi("stack", "import", "--file", str(STATES / "0.1.0.json"))
    assert imported.code == 0, imported.output
    shown = session.preview("--json")
    assert shown.code == 0, shown.output
    preview = parse_preview_json(shown.output)
    assert preview is not None
    assert {(each.operation, each.kind.rpartition(":")[2]) for each in preview.steps} == {
        # Alerts listen to both kinds of scanning, whichever is switched on.
        ("create", "EventRule"),
        ("create", "EventTarget"),
        ("update", "TopicPolicy"),
        # The default shields and what keepImages counts.
        ("replace", "LifecyclePolicy"),
    }
