"""Copies on the real engine: declared, unchanged, drifted, mended, taken up again, and no longer wanted."""

import pytest

from sandbox.estate import Registries
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, deploy, held
from tests.engine.test_owners_and_keys import unchanged

pytestmark = pytest.mark.engine

COPY = (ARTIFACTS[0], "us-east-1")
COPIES = {
    "accounts": [
        {
            "account": COPY[0],
            "regions": [COPY[1]],
            "role": f"arn:aws:iam::{COPY[0]}:role/ecr-estate-deploy",
        }
    ]
}


def test_copies_are_deployed_mended_and_taken_up_again(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=None, copies=COPIES)
    deploy(session)
    unchanged(session)
    assert set(held(session, COPY).repositories) == {"api"}
    assert held(session, COPY).registry_policy
    ecr = Registries(session.environment).client(*COPY)
    ecr.delete_lifecycle_policy(repositoryName="api")
    ecr.delete_registry_policy()
    drifted = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert drifted.code != 0
    mended = session.up("--skip-preview", "--refresh", "--run-program")
    assert mended.code == 0, mended.output
    assert held(session, COPY).lifecycle_policies == 1
    assert held(session, COPY).registry_policy
    ledger = session.outputs()["ledger"]
    lose_the_state(session)
    deploy(session)
    unchanged(session)
    assert session.outputs()["ledger"]["services"] == ledger["services"]
    session.configure(
        {"lambdaReplicas": None, "copies": {**COPIES, "services": {"patterns": ["x"]}}}
    )
    deploy(session)
    (entry,) = session.outputs()["ledger"]["services"].values()
    assert set(entry["replicas"].values()) == {"kept"}
    assert set(held(session, COPY).repositories) == {"api"}
    assert not held(session).replication_rules
    unchanged(session)
