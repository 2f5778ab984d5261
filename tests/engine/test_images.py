"""Images on the real engine: alerts that settle, and an audit of what a deployment made."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.aws.hands import credentials_of
from sandbox.deployers import printed, role_trust
from sandbox.estate import Registries
from sandbox.session import PROJECT, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy

pytestmark = pytest.mark.engine

OPERATES = "ecr-estate-operate"


def operate(session: Session, *arguments: str) -> tuple[int, Any]:
    """Run one of the operator's commands within the session, and read its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "ecr", *arguments, "--json"],
        cwd=PROJECT,
        env=session.environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 3}, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_alerts_and_overrides_settle_and_reach_a_topic(open_session: Open) -> None:
    session = open_session(
        "api",
        "nightly-build",
        alerts={"severities": ["CRITICAL", "HIGH"]},
        lifecycle={"overrides": [{"names": ["nightly-*"], "keepImages": 20, "companionsByTag": 0}]},
        lambdaReplicas=ONE_LAMBDA_ACCOUNT,
    )
    deploy(session)
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output
    topics = session.outputs()["report"]["alertTopics"]
    assert topics == [
        f"arn:aws:sns:{region}:{account}:ecr-estate-alerts"
        for account, region in (ARTIFACTS, LAMBDA)
    ]
    ecr = Registries(session.environment).client(*ARTIFACTS)
    policy = ecr.get_lifecycle_policy(repositoryName="nightly-build")["lifecyclePolicyText"]
    assert json.loads(policy)["rules"][-1]["selection"]["countNumber"] == 20


def test_a_replica_whose_image_runs_is_found_pinned_and_safe(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session(
        "api", lifecycle={"keepImages": 1, "companionsByTag": 0}, lambdaReplicas=ONE_LAMBDA_ACCOUNT
    )
    deploy(session)
    central = Registries(session.environment).client(*ARTIFACTS)
    digests = [
        central.put_image(
            repositoryName="api",
            imageTag=tag,
            imageManifest=json.dumps(
                {"schemaVersion": 2, "tag": tag, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
            ),
        )["image"]["imageId"]["imageDigest"]
        for tag in ("first", "second")
    ]  # fmt: skip
    runs(session, f"{LAMBDA[0]}.dkr.ecr.{LAMBDA[1]}.amazonaws.com/api", digests)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(session.outputs()))
    may_operate(session)
    reach = ["--outputs", str(outputs), "--role-name", OPERATES]

    code, found = operate(session, "audit", *reach)
    states = {each["imageDigest"]: each["state"] for each in found}
    assert (code, set(states), "goes" in states.values()) == (3, set(digests), True)
    assert {each["registry"] for each in found} == {"/".join(LAMBDA)}
    operate(session, "audit", *reach, "--pin", "--yes")
    code, found = operate(session, "audit", *reach)
    assert (code, {each["state"] for each in found}) == (0, {"safe"})
    assert operate(session, "replicas", *reach) == (
        0,
        {"gaps": [], "damaged": [], "filled": [], "deleting": []},
    )


def may_operate(session: Session) -> None:
    """Make the role that operates, in both accounts, with what the pages of the commands ask for."""
    reads = json.dumps(printed("docs/operations/audit.md", "Images"))
    writes = {
        "Effect": "Allow",
        "Action": ["ecr:PutImage", "ecr:DescribeRegistry"],
        "Resource": "*",
    }
    more = json.dumps({"Version": "2012-10-17", "Statement": [writes]})
    roles = [f"arn:aws:iam::{account}:role/{OPERATES}" for account, _ in (ARTIFACTS, LAMBDA)]
    for (account, _), role in zip((ARTIFACTS, LAMBDA), roles, strict=True):
        documents = {"audit": reads.replace("111122223333", account), "more": more}
        session.aws.put_role(role, role_trust(["pipeline"]), documents)
    assumes = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles}
    session.roles.add("pipeline", json.dumps({"Version": "2012-10-17", "Statement": [assumes]}))


def runs(session: Session, address: str, digests: list[str]) -> None:
    """Have functions of the Lambda account run these images, through the real AWS API client."""
    iam, functions = (client(session, service) for service in ("iam", "lambda"))
    role = iam.create_role(
        RoleName="function",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )["Role"]["Arn"]
    for digest in digests:
        functions.create_function(
            FunctionName=digest[7:19],
            PackageType="Image",
            Role=role,
            Code={"ImageUri": f"{address}@{digest}"},
            Publish=True,
        )


def client(session: Session, service: str) -> Any:
    opened: Any = boto3  # its clients are typed by literal names only
    return opened.client(
        service,
        region_name=LAMBDA[1],
        endpoint_url=session.aws.url,
        **credentials_of(LAMBDA[0]),
    )


def test_further_images_settle_and_what_is_no_longer_declared_is_kept(open_session: Open) -> None:
    images = {"named": {"services": {"api": ["worker"]}}, "count": True}
    session = open_session("api", images=images, lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    deploy(session)
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output
    for account in (ARTIFACTS, LAMBDA):
        names = Registries(session.environment).client(*account).describe_repositories()
        held = {each["repositoryName"] for each in names["repositories"]}
        assert held == {"api", "api/worker"}
    assert set(session.outputs()["imageRepositories"]) == {"api", "api/worker"}
    session.configure({"images": {}, "lambdaReplicas": ONE_LAMBDA_ACCOUNT})
    deploy(session)
    (entry,) = session.outputs()["ledger"]["services"].values()
    assert sorted(entry["placements"].values()) == ["active", "kept"]
    ecr = Registries(session.environment).client(*ARTIFACTS)
    assert len(ecr.describe_repositories()["repositories"]) == 2
