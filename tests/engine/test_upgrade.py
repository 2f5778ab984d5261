"""A stack that another version deployed: what this one would change in it, and how one goes back."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecr import __version__
from ecr.engine.preview import parse_preview_json
from ecr.engine.types import STACK
from ecr.ledger.migrations import LEDGER_REVISION, LEDGER_SCHEMA
from tests.engine.conftest import Open
from tests.engine.test_adoption import born
from tests.engine.test_estate import LAMBDA, deploy
from tests.engine.test_images import operate

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
        # An alert of a replica that is not filled names the installed command.
        ("update", "EventTarget"),
        # The default shields and what keepImages counts.
        ("replace", "LifecyclePolicy"),
    }


def test_the_check_says_both_versions_the_changelog_and_what_would_change(
    open_session: Open,
) -> None:
    session = open_session("api", "web", ".github", **SETTINGS)
    imported = session.pulumi("stack", "import", "--file", str(STATES / "0.1.0.json"))
    assert imported.code == 0, imported.output
    code, found = operate(session, "upgrade", "--check", "--config-file", str(session.config_file))
    assert code == 3
    assert found["deployed"] == "0.1.0"
    assert found["installed"] == __version__
    assert any(each["changesAPlan"] for each in found["changelog"])
    assert ("replace", "lifecycle policy") in {
        (each["operation"], each["what"]) for each in found["resources"]
    }
    # The first version said nothing of registries' settings; they are known to be this stack's.
    assert found["plan"]["waitingSettings"] == []


def test_one_can_go_back_from_a_later_version(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", **SETTINGS)
    deploy(session)
    before = tmp_path / "before.json"
    assert session.pulumi("stack", "export", "--file", str(before)).code == 0
    made = born(session)

    def put(**changes: Any) -> None:
        state = json.loads(before.read_text())
        (stack,) = (each for each in state["deployment"]["resources"] if each["type"] == STACK)
        stack["outputs"]["ledger"] |= changes
        stack["outputs"]["report"]["program"] = "99.0.0"
        file = tmp_path / "after.json"
        file.write_text(json.dumps(state))
        done = session.pulumi("stack", "import", "--force", "--file", str(file))
        assert done.code == 0, done.output

    # A later version that wrote more under the same schema: this one reads it, and writes its own form.
    put(revision=LEDGER_REVISION + 1, later={"unknown": True})
    code, found = operate(session, "upgrade", "--check", "--config-file", str(session.config_file))
    assert (code, found["deployed"]) == (0, "99.0.0")
    deploy(session)
    assert session.outputs()["ledger"]["revision"] == LEDGER_REVISION
    assert "later" not in session.outputs()["ledger"]
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output

    # One whose ledger would be read wrongly: this one stops, and the state from before is put back.
    put(schema=LEDGER_SCHEMA + 1)
    stopped = session.up("--skip-preview")
    assert stopped.code != 0
    assert "deploy with the newer program" in " ".join(stopped.output.split())
    assert session.pulumi("stack", "import", "--force", "--file", str(before)).code == 0
    assert session.up("--skip-preview", "--refresh").code == 0
    assert born(session) == made
