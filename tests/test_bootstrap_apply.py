"""Bootstrap has CloudFormation make what its templates say, in an AWS that refuses what AWS refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.cloudformation.models import cloudformation_backends
from moto.iam.models import iam_backends

from ecr.bootstrap.apply import LONGEST_BODY
from ecr.cli.main import main
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import Hand, credentials_of
from sandbox.deployers import AWS_ORGANISATION
from tests.builders import ARTIFACTS, LAMBDA
from tests.test_bootstrap import (
    BUCKET,
    CLAIMS,
    DEPLOYMENT,
    OTHER,
    REGION,
    assumes,
    client,
    deploys,
    options,
    stack_file,
)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as running:
        running.organisation.delegated.add(ARTIFACTS)
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("AWS_REGION", REGION)
        log_in(monkeypatch, ARTIFACTS)
        yield running


def log_in(monkeypatch: pytest.MonkeyPatch, account: str, hand: Hand = "administrator") -> None:
    for key, value in credentials_of(account, hand).items():
        monkeypatch.setenv(key.upper(), str(value))


def administrator(aws: EmbeddedAws, service: str, account: str = ARTIFACTS) -> Any:
    return client(aws, service, credentials_of(account))


def applied(folder: Path, *more: str, **changes: Any) -> int:
    return main(options(stack_file(folder, **changes), "--apply", *more))


def changes_of(aws: EmbeddedAws) -> list[str]:
    """What was asked for that changes anything."""
    read = ("Describe", "List", "Get", "Head", "HEAD", "GET")
    return [each.action for each in aws.calls() if not each.action.startswith(read)]


def test_the_templates_are_deployed_and_their_roles_work(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path) == 0
    told = capsys.readouterr().out
    assert "stack ecr-estate: add EcrEstateDeploymentRole (AWS::IAM::Role)" in told
    assert told.splitlines()[-2:] == [
        f"StackSet ecr-estate: made in account {LAMBDA}",
        f"StackSet ecr-estate: made in account {OTHER}",
    ]
    deploying = aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    for account in (ARTIFACTS, LAMBDA, OTHER):
        keys = assumes(aws, deploying, deploys(account))
        client(aws, "ecr", keys).create_repository(repositoryName="api")


def test_a_second_run_changes_nothing_and_says_so(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path) == 0
    aws.forget_calls()
    capsys.readouterr()
    assert applied(tmp_path) == 0
    assert (
        capsys.readouterr().out == "stack ecr-estate: as it was\nStackSet ecr-estate: as it was\n"
    )
    assert changes_of(aws) == ["CreateChangeSet", "DeleteChangeSet"]


def test_what_differs_is_changed_and_nothing_else(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path) == 0
    capsys.readouterr()
    more = f"arn:aws:iam::{ARTIFACTS}:role/more"
    assert applied(tmp_path, "--operators", more) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stack ecr-estate: modify EcrEstateBreakGlassRole (AWS::IAM::Role)",
        "stack ecr-estate: modify EcrEstateAuditRole (AWS::IAM::Role)",
        "stack ecr-estate: is UPDATE_COMPLETE",
        "StackSet ecr-estate: changed",
    ]
    for account in (ARTIFACTS, LAMBDA):
        role = administrator(aws, "iam", account).get_role(RoleName="ecr-estate-audit")["Role"]
        assert more in json.dumps(role["AssumeRolePolicyDocument"])


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("role", "role/ecr-estate-deployment stands already; delete it, or name another in the"),
        ("policy", "policy/ecr-estate-boundary stands already; delete it, by other hands"),
        ("provider", "GitHub's identity provider stands already; give --provider-exists"),
        ("bucket", f"the bucket {BUCKET} stands already; name another by --bucket"),
        ("bucket elsewhere", f"{BUCKET} stands already, in another account; name another by"),
        ("alias", "the key alias/ecr-estate-secrets stands already; delete that alias"),
    ],
)
def test_what_stands_by_other_hands_is_left_alone_and_nothing_is_made(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, said: str
) -> None:
    other_hands(aws, what)
    aws.forget_calls()
    assert applied(tmp_path) == 1
    assert said in capsys.readouterr().err
    assert changes_of(aws) == []


def other_hands(aws: EmbeddedAws, what: str) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    nothing = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [nothing]})
    place = {"LocationConstraint": REGION}
    iam, kms = administrator(aws, "iam"), administrator(aws, "kms")
    match what:
        case "role":
            iam.create_role(RoleName="ecr-estate-deployment", AssumeRolePolicyDocument=trust)
        case "policy":
            iam.create_policy(PolicyName="ecr-estate-boundary", PolicyDocument=document)
        case "provider":
            url = "https://token.actions.githubusercontent.com"
            iam.create_open_id_connect_provider(Url=url, ClientIDList=["other"])
        case "bucket" | "bucket elsewhere":
            account = ARTIFACTS if what == "bucket" else "999999999998"
            s3 = administrator(aws, "s3", account)
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        case "alias":
            key = kms.create_key()["KeyMetadata"]["KeyId"]
            kms.create_alias(AliasName="alias/ecr-estate-secrets", TargetKeyId=key)


def test_an_account_that_is_not_in_the_organisation_is_refused_before_anything_is_made(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.organisation.accounts = frozenset({ARTIFACTS, LAMBDA})
    assert applied(tmp_path) == 1
    said = f"account {OTHER} is not in the organisation {AWS_ORGANISATION}; correct the settings"
    assert said in capsys.readouterr().err
    assert changes_of(aws) == []


def test_another_organisation_and_none_are_refused_before_anything_is_made(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path, awsOrganisation="o-another0001") == 1
    assert f"is in the organisation {AWS_ORGANISATION}, and the settings say o-another0001" in (
        capsys.readouterr().err
    )
    aws.organisation.accounts = frozenset()
    assert applied(tmp_path) == 1
    assert f"account {ARTIFACTS} is in no organisation" in capsys.readouterr().err
    assert changes_of(aws) == []


def test_an_account_that_may_not_administer_stack_sets_is_told_what_to_do(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.organisation.delegated.clear()
    assert applied(tmp_path) == 1
    said = capsys.readouterr().err
    assert f"account {ARTIFACTS} may not administer StackSets" in said
    assert "aws organizations register-delegated-administrator" in said
    assert changes_of(aws) == []


def test_credentials_of_another_account_are_refused(
    aws: EmbeddedAws,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(monkeypatch, LAMBDA)
    assert applied(tmp_path) == 1
    assert f"account {ARTIFACTS}: these are of {LAMBDA}" in capsys.readouterr().err
    assert changes_of(aws) == []


def test_a_token_without_the_right_is_refused_and_named(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.refusals.arm("cloudformation", "CreateChangeSet", "AccessDenied", status=403)
    assert applied(tmp_path) == 1
    said = capsys.readouterr().err
    assert "making the stack ecr-estate" in said
    assert "AccessDenied" in said
    assert "let the role do it, or name another" in said
    held = administrator(aws, "iam").list_roles()["Roles"]
    assert not any(each["RoleName"].startswith("ecr-estate") for each in held)


def test_half_a_bootstrap_goes_on(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other account has a role of that name, and the first run stops there."""
    iam = administrator(aws, "iam", LAMBDA)
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam.create_role(RoleName="ecr-estate-deploy", AssumeRolePolicyDocument=trust)
    assert applied(tmp_path) == 1
    said = capsys.readouterr().err
    assert f"account {LAMBDA}: Resource handler returned message: Role ecr-estate-deploy" in said
    left = {each["RoleName"] for each in iam.list_roles()["Roles"]}
    assert left == {"ecr-estate-deploy"}
    iam.delete_role(RoleName="ecr-estate-deploy")
    assert applied(tmp_path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stack ecr-estate: as it was",
        "StackSet ecr-estate: as it was",
        f"StackSet ecr-estate: made in account {LAMBDA}",
    ]


def test_a_stack_that_never_became_whole_is_made_anew(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A role of that name is made between the look and the making, and is deleted afterwards."""
    iam = administrator(aws, "iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    held = iam_backends[ARTIFACTS]["aws"]

    def meanwhile(_: object) -> None:
        held.create_role("ecr-estate-read", trust, "/", None, "", [], None)

    with aws.at_call(1, meanwhile, action="CreateChangeSet"):
        assert applied(tmp_path) == 1
    assert "The stack ecr-estate is ROLLBACK_COMPLETE." in capsys.readouterr().err
    assert {each["RoleName"] for each in iam.list_roles()["Roles"]} == {"ecr-estate-read"}
    iam.delete_role(RoleName="ecr-estate-read")
    assert applied(tmp_path) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "stack ecr-estate: is ROLLBACK_COMPLETE from an earlier try, and is made anew"
    assert "stack ecr-estate: is CREATE_COMPLETE" in told


@pytest.mark.usefixtures("aws")
def test_a_stack_that_somebody_is_at_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path) == 0
    (stack,) = cloudformation_backends[ARTIFACTS][REGION].stacks.values()
    stack.status = "UPDATE_IN_PROGRESS"
    assert applied(tmp_path) == 1
    assert "is UPDATE_IN_PROGRESS: somebody else is at it" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_an_account_that_has_left_the_settings_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert applied(tmp_path) == 0
    capsys.readouterr()
    account = {"account": LAMBDA, "regions": [REGION], "role": deploys(LAMBDA)}
    fewer = {"accounts": [account], "services": {"all": True}}
    assert applied(tmp_path, lambdaReplicas=fewer) == 0
    assert f"is in account {OTHER}, which has left the settings" in capsys.readouterr().out


def test_the_embedded_cloudformation_refuses_what_aws_refuses(aws: EmbeddedAws) -> None:
    cloudformation = administrator(aws, "cloudformation")
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": "r", "AssumeRolePolicyDocument": {"Statement": []}},
    }
    body = json.dumps({"Resources": {"R": role}})
    with pytest.raises(ClientError, match="InsufficientCapabilities"):
        cloudformation.create_stack(StackName="s", TemplateBody=body)
    with pytest.raises(ClientError, match="less than or equal to 51200"):
        cloudformation.create_stack(
            StackName="s",
            TemplateBody=body + " " * LONGEST_BODY,
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
