"""What stands in AWS already comes under management as it is: after a lost state, and by adoption."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, deploy, held, tags_of

pytestmark = pytest.mark.engine

ELSEWHERE = (LAMBDA[0], "us-east-1")
TWO_REGIONS = {
    "accounts": [
        {
            "account": LAMBDA[0],
            "regions": [LAMBDA[1], ELSEWHERE[1]],
            "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-estate-deploy",
        }
    ],
    "services": {"all": True},
}
REGISTRIES = (ARTIFACTS, LAMBDA, ELSEWHERE)


def born(session: Session) -> dict[str, Any]:
    """When each image repository was made: a replaced one is younger."""
    return {
        each["repositoryArn"]: each["createdAt"]
        for registry in REGISTRIES
        for each in held(session, registry).repositories.values()
    }


def changed(session: Session, before: int) -> set[str]:
    """Give what AWS was asked to change since that many calls."""
    actions = {each.action for each in session.aws.calls()[before:]}
    return {each for each in actions if not each.startswith(("Get", "Describe", "List", "Assume"))}


def lose_the_state(session: Session) -> None:
    for command in (("rm", "--force", "--yes", "--preserve-config"), ("init",)):
        done = session.pulumi("stack", command[0], "sandbox", *command[1:])
        assert done.code == 0, done.output


def test_after_a_lost_state_everything_is_taken_up_again_under_its_frozen_name(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    deploy(session)
    session.github.organisation.rename("api", "gateway")
    deploy(session)
    ledger, made = session.outputs()["ledger"], born(session)
    lose_the_state(session)
    before = len(session.aws.calls())
    deploy(session)
    assert not changed(session, before) & {"CreateRepository", "PutImageTagMutability"}
    assert session.outputs()["ledger"] == ledger
    assert born(session) == made
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output


def test_what_changed_on_github_while_the_state_was_lost_is_brought_up_to_date(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    made = born(session)
    lose_the_state(session)
    session.github.organisation.rename("api", "gateway")
    deploy(session)
    assert born(session) == made
    assert tags_of(session, "api")["github-repository"] == "gateway"
    assert session.preview("--expect-no-changes").code == 0


def test_a_ledger_that_was_never_written_is_made_again_from_tags_and_state(
    open_session: Open, tmp_path: Path
) -> None:
    """As after a crash: the image repositories are in the state, but not in the outputs."""
    session = open_session("api", lambdaReplicas=TWO_REGIONS)
    deploy(session)
    ledger = session.outputs()["ledger"]
    state = json.loads(session.pulumi("stack", "export").output)
    for resource in state["deployment"]["resources"]:
        if resource["type"] == "pulumi:pulumi:Stack":
            del resource["outputs"]
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert session.pulumi("stack", "import", "--file", str(tmp_path / "state.json")).code == 0
    before = len(session.aws.calls())
    deploy(session)
    assert changed(session, before) == set()
    assert session.outputs()["ledger"] == ledger
