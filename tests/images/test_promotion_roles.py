"""As whom a promotion asks AWS: the roles that the command prints for it, all that they are given, and nobody else.

The embedded AWS decides every call here, those of the registries' protocol among them, and knows nobody but these
roles. The step of the workflow is run as it is written, with the token of a job that the trust policy names.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from ecr.cli.main import main
from ecr.ledger.ledger import Entry, Ledger
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from sandbox.toolchain.tools import CRANE, REGISTRY
from tests.builders import outputs_file
from tests.grants import needed
from tests.images.conftest import REGION, Registries, built

pytestmark = pytest.mark.images

ROOT = Path(__file__).resolve().parents[2]
FIRST, SECOND = "111111111111", "222222222222"
TAG = "v1"
BUCKET = "outputs-of-the-estate"
AWS_COMMAND = """
import sys
import boto3
from pathlib import Path
*_, address, file = sys.argv
bucket, _, key = address.removeprefix("s3://").partition("/")
Path(file).write_bytes(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
"""
"""What `aws s3 cp` does with an object, of which the workflow needs no more."""


class Strict(Registries):
    """The registries, for whom nobody is known but their administrators and the roles that are made."""

    def client_of(self, service: str, account: str) -> Any:
        """Give a client of an account's administrator."""
        opened: Any = boto3
        return opened.client(
            service, region_name=REGION, endpoint_url=self.aws.url, **credentials_of(account)
        )

    def ecr(self, account: str = FIRST, region: str = REGION) -> Any:
        assert region == REGION
        return self.client_of("ecr", account)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Strict]:
    from sandbox.aws.distribution import Distribution  # noqa: PLC0415 - with moto, a second

    binary = built(REGISTRY)
    with (
        EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as aws,
        Distribution(aws.url, binary, clock=aws.world.clock.now) as distribution,
    ):
        yield Strict(aws, distribution, tmp_path)


def promotes(strict: Strict, capsys: pytest.CaptureFixture[str], dev: str, prod: str) -> list[str]:
    """Make the two image repositories and the roles that are printed; return the ARNs of these."""
    urls = [each.replace("/", f".dkr.ecr.{REGION}.amazonaws.com/") for each in (dev, prod)]
    for account, name in (each.split("/") for each in (dev, prod)):
        strict.ecr(account).create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
        strict.log_in(account)
    strict.push(f"{urls[0]}:{TAG}", provenance=True)
    entry = Entry(repository="checkout", service="checkout", state="active", since="2026-11-22")
    outputs = outputs_file(
        strict.folder,
        ledger=Ledger({1: entry}).to_output(),
        imageRepositories={"checkout": urls},
        report={"stages": ["dev", "prod"]},
    )
    account = prod.partition("/")[0]
    s3 = strict.client_of("s3", account)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="prod.json", Body=outputs.read_bytes())
    asked = ["promote", "checkout", "--from", "dev", "--to", "prod", "--policy"]
    whose = ["--estate", "acme/ecr-estate", "--owner-id", "7", "--outputs", str(outputs)]
    capsys.readouterr()
    assert main([*asked, *whose]) == 0
    roles = json.loads(capsys.readouterr().out)
    strict.aws.put_provider(f"arn:aws:iam::{account}:oidc-provider/{ISSUER}", AUDIENCE)
    reads = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    arns = []
    for owner, each in roles.items():
        arns.append(f"arn:aws:iam::{owner}:role/{each['role']}")
        documents = {"printed": json.dumps(each["policy"])}
        if owner == account:
            documents["outputs"] = json.dumps({"Version": "2012-10-17", "Statement": [reads]})
        strict.aws.put_role(arns[-1], json.dumps(each["trust"]), documents)
    return sorted(arns, key=lambda arn: account not in arn)


def run_step(strict: Strict, promoter: str, reader: str) -> subprocess.CompletedProcess[str]:
    """Run the workflow's step that promotes, as the job whose token the role trusts."""
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": AUDIENCE,
        "sub": "repo:acme/checkout:environment:prod",
        "repository": "acme/checkout",
        "repository_id": "1",
        "job_workflow_ref": "acme/ecr-estate/.github/workflows/promote.yml@refs/heads/main",
    }
    keys = strict.aws.session_of(promoter, claims, region=REGION)
    folder = strict.folder / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "aws.py").write_text(AWS_COMMAND)
    for name, arguments in (("python", ""), ("aws", f'"{folder / "aws.py"}" ')):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (folder / name).chmod(0o700)
    workflow = yaml.safe_load((ROOT / ".github/workflows/promote.yml").read_text())
    step = workflow["jobs"]["promote"]["steps"][-1]
    given = {
        "SERVICE": "checkout",
        "SOURCE": "dev",
        "TARGET": "prod",
        "TAG": TAG,
        "OUTPUTS": f"s3://{BUCKET}/prod.json",
        "READ_ROLE": reader,
        "ALLOW_UNSCANNED": "true",
        "ALLOW_CRITICAL": "false",
    }
    assert given.keys() == step["env"].keys()
    return subprocess.run(
        ["/bin/bash", "-c", step["run"]],
        env={
            "PATH": os.pathsep.join([str(folder), str(built(CRANE).parent), "/usr/bin", "/bin"]),
            "HOME": str(strict.folder),
            "RUNNER_TEMP": str(strict.folder),
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": strict.aws.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{key.upper(): value for key, value in keys.items()},
            **strict.distribution.variables,
            **given,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("dev", "prod"),
    [
        (f"{FIRST}/checkout", f"{SECOND}/checkout"),
        (f"{FIRST}/checkout-dev", f"{FIRST}/checkout-prod"),
    ],
    ids=["of-two-accounts", "of-one-account"],
)
def test_the_workflow_promotes_as_the_roles_that_are_printed_and_needs_all_that_they_may(
    strict: Strict, capsys: pytest.CaptureFixture[str], dev: str, prod: str
) -> None:
    promoter, *others = promotes(strict, capsys, dev, prod)
    reader = others[0] if others else ""
    strict.aws.forget_calls()
    done = run_step(strict, promoter, reader)
    assert done.returncode == 0, done.stdout + done.stderr
    calls = strict.aws.calls()
    assert {each.decision for each in calls} <= {"allowed", "needs no permission"}
    assert {each.principal for each in calls} == {promoter, *others}
    assert [each.subject for each in calls if each.action == "AssumeRole"] == others
    source, target = (each.partition("/")[2] for each in (dev, prod))
    assert {each.principal for each in calls if each.subject == source} >= {reader or promoter}
    writes = {"PutImage", "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload"}
    written = [each for each in calls if each.action in writes]
    assert {(each.principal, each.subject) for each in written} == {(promoter, target)}
    assert strict.digests(target, prod.partition("/")[0])[TAG]
    for role in (promoter, *others):
        unused = set(listed(strict, role)) - needed(strict.aws.grants(), role)
        assert not unused, role


def listed(strict: Strict, role: str) -> Iterator[str]:
    """Yield the actions that a role's documents allow."""
    _, _, _, _, account, name = role.split(":", 5)
    iam, name = strict.client_of("iam", account), name.removeprefix("role/")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                actions = statement["Action"]
                yield from [actions] if isinstance(actions, str) else actions


def test_a_job_of_another_workflow_gets_no_role(
    strict: Strict, capsys: pytest.CaptureFixture[str]
) -> None:
    promoter, reader = promotes(strict, capsys, f"{FIRST}/checkout", f"{SECOND}/checkout")
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": AUDIENCE,
        "sub": "repo:acme/checkout:environment:prod",
        "repository_id": "1",
        "job_workflow_ref": "acme/checkout/.github/workflows/own.yml@refs/heads/main",
    }
    for role in (promoter, reader):
        with pytest.raises(PermissionError):
            strict.aws.session_of(role, claims, region=REGION)
