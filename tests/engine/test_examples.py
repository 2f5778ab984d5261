"""The examples deploy on the real engine, beside the central program."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from ecr import __version__
from sandbox import processes
from sandbox.aws.hands import credentials_of
from sandbox.deployers import printed, role_trust
from sandbox.session import ORGANISATION, PROJECT, STACK, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, deploy, held

pytestmark = pytest.mark.engine

EXAMPLE = PROJECT / "examples" / "service"
CONFIG = {
    "name": "Checkout",
    "organisation": ORGANISATION,
    "central": f"organization/ecr-estate/{STACK}",
    "role": f"arn:aws:iam::{ARTIFACTS[0]}:role/service-deploy",
}


def example(session: Session, *arguments: str) -> str:
    """Run the engine on the example, in a folder that it has made from the template."""
    folder = session.directory / "service"
    if not folder.exists():
        folder.mkdir()
        new = [str(EXAMPLE), "--generate-only", "--yes", "--name", "checkout"]
        run(session, folder, "new", *new, "--description", "The checkout")
        assert "${" not in (folder / "Pulumi.yaml").read_text()
        assert (folder / "requirements.txt").read_text() == f"ecr-estate=={__version__}\n"
    return run(session, folder, *arguments)


def run(session: Session, folder: Path, *arguments: str) -> str:
    """Run the engine in a folder, with this checkout as the package."""
    done = processes.run(
        [str(session.toolchain.pulumi), "--non-interactive", *arguments],
        environment={**session.environment, "PYTHONPATH": str(PROJECT)},
        directory=folder,
        capture=True,
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def test_a_service_makes_everything_of_its_own_in_one_deployment(open_session: Open) -> None:
    github = {"organisation": ORGANISATION, "selection": {"exclude": ["checkout"]}}
    session = open_session("api", github=github, lambdaReplicas=None)
    deploy(session)
    may_deploy(session)
    example(session, "stack", "init", STACK)
    for key, value in CONFIG.items():
        example(session, "config", "set", key, value)
    example(session, "up", "--yes", "--skip-preview")
    example(session, "preview", "--expect-no-changes")
    repository = session.github.organisation.get("Checkout")
    assert repository.visibility == "private"
    assert set(held(session).repositories) == {"api", "checkout"}
    role = pushing(session, "push-checkout")
    assert f"repo:{ORGANISATION}/Checkout:*" in role["trust"]
    subject = f"{ORGANISATION}@{session.github.organisation.id}/Checkout@{repository.id}"
    assert f"repo:{subject}:*" in role["trust"]
    assert "repository/checkout" in role["policy"]
    assert "repository/*" not in role["policy"]
    written = [each["path"] for each in session.github.calls() if each["method"] == "POST"]
    assert len([path for path in written if path.endswith("/actions/variables")]) == 3
    left = session.preview("--expect-no-changes")
    assert left.code == 0, left.output


def may_deploy(session: Session) -> None:
    """Make the role of the example with what its page prints, for whoever has the shell."""
    text = json.dumps(printed("examples/service/README.md", "ImageRepository"))
    document = text.replace("111122223333", ARTIFACTS[0])
    session.aws.put_role(CONFIG["role"], role_trust(["pipeline"]), {"service": document})
    assumes = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": CONFIG["role"]}
    session.roles.add("pipeline", json.dumps({"Version": "2012-10-17", "Statement": [assumes]}))


def pushing(session: Session, name: str) -> dict[str, str]:
    """The documents of a role in the artifacts account."""
    iam: Any = boto3.client(
        "iam",
        endpoint_url=session.aws.url,
        region_name=ARTIFACTS[1],
        **credentials_of(ARTIFACTS[0]),
    )
    role = iam.get_role(RoleName=name)["Role"]
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    return {"trust": json.dumps(role["AssumeRolePolicyDocument"]), "policy": json.dumps(document)}
