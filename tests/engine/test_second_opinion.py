"""The program with the printed roles in an AWS that none of us wrote, and that asks IAM about every call.

It is ministack with authentication on. `make second-opinion` brings it and runs this file; without it the tests are
skipped. What is added to it and mended in it is in `sandbox.second.mended`, and nothing else is.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.deployers import AWS_ORGANISATION, role_of
from sandbox.github import Organisation
from sandbox.second.double import PACKAGES, SecondAws
from sandbox.session import ORGANISATION, Run, Session
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.toolchain import Toolchain

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not (PACKAGES / "ministack").is_dir(), reason="no ministack: make second-opinion brings it"
    ),
]

SETTINGS: dict[str, Any] = {
    "lambdaReplicas": ONE_LAMBDA_ACCOUNT,
    "previewRole": "ecr-estate-read",
}
EVERYTHING: dict[str, Any] = {
    **SETTINGS,
    "alerts": {"critical": ["security@example.com"]},
}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[SecondAws]:
    with SecondAws(AWS_ORGANISATION, tmp_path / "ministack.log") as running:
        yield running


@pytest.fixture
def session(aws: SecondAws, toolchain: Toolchain, tmp_path: Path) -> Iterator[Session]:
    organisation = Organisation(ORGANISATION)
    for name in ("api", "web"):
        organisation.add(name)
    with Session(
        tmp_path / "session", toolchain, organisation=organisation, settings=SETTINGS, other=aws
    ) as running:
        yield running


def must(done: Run) -> str:
    assert done.code == 0, done.output
    return done.output


def names(aws: SecondAws, account: str = ARTIFACTS[0]) -> set[str]:
    shown = aws.client("ecr", account).describe_repositories()["repositories"]
    return {each["repositoryName"] for each in shown}


def as_reader(session: Session) -> None:
    """Go on with the role that previews, which may assume those that read only."""
    session.own_variables.update(session.roles.session_of("previews"))


def as_deployer(session: Session) -> None:
    """Go on with the role that deploys."""
    session.own_variables.update(session.roles.session_of("deployments"))


def test_the_printed_roles_are_enough_to_deploy_to_preview_to_refresh_and_to_retire(
    aws: SecondAws, session: Session
) -> None:
    as_deployer(session)
    must(session.up("--skip-preview"))
    assert names(aws) == {"api", "web"} == names(aws, LAMBDA[0])
    must(session.up("--skip-preview", "--expect-no-changes"))
    # With the role that reads the providers differ by that role, and nothing else does.
    as_reader(session)
    for arguments in ((), ("--refresh", "--run-program")):
        shown = must(session.preview(*arguments))
        assert "2 to update" in shown
        assert shown.count("[diff: ~assumeRoles]") == 2
    as_deployer(session)
    session.github.organisation.delete("api")
    must(session.up("--refresh", "--skip-preview"))
    session.configure({**SETTINGS, "retire": ["api"]})
    must(session.up("--skip-preview"))
    assert names(aws) == {"api", "web"}
    must(session.up("--skip-preview"))
    assert names(aws) == {"web"}


def test_what_other_hands_changed_is_found_by_the_role_that_reads(
    aws: SecondAws, session: Session
) -> None:
    as_deployer(session)
    must(session.up("--skip-preview"))
    ecr = aws.client("ecr", ARTIFACTS[0])
    ecr.delete_lifecycle_policy(repositoryName="api")
    as_reader(session)
    found = must(session.preview("--refresh", "--run-program"))
    assert re.search(r"\+ +aws:ecr:LifecyclePolicy .*api", found), found


def test_a_role_that_lacks_one_action_is_refused_there_as_well(
    aws: SecondAws, session: Session
) -> None:
    iam = aws.client("iam", ARTIFACTS[0])
    role = "ecr-estate-deploy"
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]

    held = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    text = json.dumps(held).replace("ecr:PutLifecyclePolicy", "ecr:ListImages")
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=text)
    as_deployer(session)
    failed = session.up("--skip-preview")
    assert failed.code != 0
    assert "is not authorized to perform: ecr:PutLifecyclePolicy" in failed.output


def test_nobody_else_may_assume_the_roles(aws: SecondAws, session: Session) -> None:
    as_reader(session)
    assert role_of("previews")
    failed = session.up("--skip-preview")
    assert failed.code != 0
    assert "sts:AssumeRole" in failed.output
    assert names(aws) == set()
