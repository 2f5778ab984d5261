"""The doctor: says of every role what is missing, too much or out of date, and nothing where all is well."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecr.bootstrap.differences import difference
from ecr.bootstrap.roles import APP, DISPATCH_APP, SECRETS, planned_accounts, planned_keys
from ecr.cli.main import main
from ecr.plan.access.documents import allow, policy
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from tests.builders import ARTIFACTS, LAMBDA, settings
from tests.test_bootstrap import (
    CLAIMS,
    DEPLOYMENT,
    OPERATORS,
    OTHER,
    PROVIDER,
    REGION,
    WHOLE,
    assumes,
    bootstrapped,
    client,
    deployed,
    deploys,
    options,
    pipeline,
    stack_file,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return stack_file(tmp_path)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    """Accounts with the roles that bootstrap plans, and an operator who asks."""
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as running:
        running.put_provider(PROVIDER, AUDIENCE)
        for account in planned_accounts(settings(**WHOLE), pipeline()):
            for managed in (account.boundary, *account.further):
                administrator(running, account.account).create_policy(
                    PolicyName=managed.name,
                    Path=managed.path,
                    PolicyDocument=json.dumps(managed.document),
                )
            for role in account.roles:
                policies = {name: json.dumps(each) for name, each in role.policies.items()}
                bound = account.boundary.arn
                running.put_role(role.arn, json.dumps(role.trust), policies, boundary=bound)
        kms = client(running, "kms", credentials_of(ARTIFACTS))
        for alias in planned_keys(settings(**WHOLE), pipeline()):
            number = kms.create_key()["KeyMetadata"]["KeyId"]
            kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=number)
        kms.enable_key_rotation(KeyId=number_of(kms, SECRETS))
        become(running, operator(running), monkeypatch)
        yield running


def number_of(kms: Any, alias: str) -> str:
    """The id of the key of an alias."""
    return str(kms.describe_key(KeyId=f"alias/{alias}")["KeyMetadata"]["KeyId"])


def become(aws: EmbeddedAws, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    for key, value in keys.items():
        monkeypatch.setenv(key.upper(), value)


def administrator(aws: EmbeddedAws, account: str) -> Any:
    return client(aws, "iam", credentials_of(account))


def operator(aws: EmbeddedAws) -> Any:
    """Credentials of the operators' role, which may assume every role that lets it in."""
    trusting = {"Sid": "All", "Effect": "Allow", "Principal": {"AWS": "*"}}
    trust = policy({**trusting, "Action": "sts:AssumeRole"})
    people = policy(allow("Look", "sts:AssumeRole", "*"))
    aws.put_role(OPERATORS, json.dumps(trust), {"people": json.dumps(people)})
    return assumes(aws, credentials_of(ARTIFACTS), OPERATORS)


def doctor(file: Path, *more: str) -> int:
    given = [each for each in options(file) if each not in {"--reviewer", "team:platform"}]
    return main(["doctor", *given[1:], *more])


def test_where_the_templates_are_deployed_nothing_is_found(
    file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as aws:
        deployed(aws, bootstrapped(tmp_path), (ARTIFACTS, LAMBDA, OTHER))
        become(aws, operator(aws), monkeypatch)
        capsys.readouterr()
        # Whose private keys a person has yet to import; nothing else is found.
        assert doctor(file) == 3
    assert capsys.readouterr().out.splitlines() == [
        f"alias/{alias}: missing: it waits for the app's private key; run bootstrap/app-key.sh"
        for alias in ("ecr-estate-app", "ecr-estate-preview-app", "ecr-estate-dispatch")
    ]


def test_where_everything_stands_nothing_is_found(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aws.calls()
    capsys.readouterr()
    assert doctor(file) == 0
    assert capsys.readouterr().out == "All roles and keys are as bootstrap writes them.\n"


def test_the_identity_provider_and_the_keys_are_looked_at_too(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kms = client(aws, "kms", credentials_of(ARTIFACTS))
    aws.remove_provider(PROVIDER)
    kms.disable_key_rotation(KeyId=number_of(kms, SECRETS))
    kms.disable_key(KeyId=number_of(kms, APP))
    kms.delete_alias(AliasName=f"alias/{DISPATCH_APP}")
    capsys.readouterr()
    assert doctor(file) == 3
    assert capsys.readouterr().out.splitlines() == [
        f"{PROVIDER}: missing: there is no such identity provider",
        "alias/ecr-estate-secrets: out of date: it does not rotate; let it rotate",
        f"alias/{APP}: out of date: its state is Disabled, and not Enabled; enable it, or cancel its deletion",
        "alias/ecr-estate-dispatch: missing: there is no such key",
    ]
    aws.put_provider(PROVIDER, "another")
    assert doctor(file) == 3
    assert f"{PROVIDER}: out of date: its audiences are another" in capsys.readouterr().out


def test_everything_that_differs_is_said_with_its_role(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = administrator(aws, ARTIFACTS), administrator(aws, LAMBDA)
    wide = json.dumps(policy(allow("Wide", "s3:*", "*")))
    ours.put_role_policy(RoleName="ecr-estate-preview", PolicyName="more", PolicyDocument=wide)
    ours.delete_role_policy(RoleName="ecr-estate-read", PolicyName="preview")
    ours.delete_role_permissions_boundary(RoleName="ecr-estate-deploy")
    trust = ours.get_role(RoleName="ecr-estate-deployment")["Role"]["AssumeRolePolicyDocument"]
    del trust["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:job_workflow_ref"]
    ours.update_assume_role_policy(
        RoleName="ecr-estate-deployment", PolicyDocument=json.dumps(trust)
    )
    theirs.delete_role_policy(RoleName="ecr-estate-break-glass", PolicyName="break-glass")
    theirs.delete_role(RoleName="ecr-estate-break-glass")
    capsys.readouterr()
    assert doctor(file) == 3
    told = capsys.readouterr().out
    here = f"arn:aws:iam::{ARTIFACTS}:role"
    for line in (
        f"{here}/ecr-estate-preview: too much: its policy more\n  + has Allow s3:* on *",
        f"{here}/ecr-estate-read: missing: it has no policy preview",
        f"{here}/ecr-estate-deploy: missing: its boundary is none",
        f"{here}/ecr-estate-deployment: out of date: whom it trusts\n  - lacks Allow sts:Assume",
        f"arn:aws:iam::{LAMBDA}:role/ecr-estate-break-glass: missing: there is no such role",
    ):
        assert line in told
    assert len([line for line in told.splitlines() if line.startswith("arn:")]) == 5


def test_settings_that_have_changed_since_are_what_is_out_of_date(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aws.calls()
    file = stack_file(tmp_path, retire=["old"], registryPolicyScope="V2")
    capsys.readouterr()
    assert doctor(file, "--json") == 3
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {each["state"] for each in findings} == {"missing"}
    assert any("ecr:DeleteRepository on" in line for each in findings for line in each["missing"])


def test_an_account_in_which_nothing_stands_yet_does_not_hide_the_others(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aws.calls()
    new = {
        "account": "444444444444",
        "regions": [REGION],
        "role": deploys("444444444444"),
    }
    replicas = WHOLE["lambdaReplicas"]
    more = {**replicas, "accounts": [*replicas["accounts"], new]}
    capsys.readouterr()
    assert doctor(stack_file(tmp_path, lambdaReplicas=more)) == 3
    told = capsys.readouterr().out
    assert "arn:aws:iam::444444444444:role/ecr-estate-audit: missing: it cannot be assumed" in told
    assert f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-deployment: missing: its policy" in told


def test_the_job_that_deploys_assumes_its_own_roles_and_hears_of_others(
    aws: EmbeddedAws,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become(aws, aws.session_of(DEPLOYMENT, CLAIMS, region=REGION), monkeypatch)
    capsys.readouterr()
    assert doctor(file, "--assume", "deploy") == 0
    assert capsys.readouterr().out == "All roles can be assumed.\n"
    assert doctor(file, "--assume", "preview") == 3
    assert capsys.readouterr().out.count("missing: it cannot be assumed") == 3


def test_an_order_and_a_list_of_one_make_no_difference() -> None:
    one = policy(
        allow("A", ["b:X", "a:Y"], "*"), {**allow("C", "c:Z", "*"), "Condition": {"x": ["1"]}}
    )
    other = policy({**allow("D", ["c:Z"], ["*"]), "Condition": {"x": "1"}}, allow("", "a:Y", "*"), allow("", "b:X", "*"))  # fmt: skip
    assert list(difference("role", "its policy", one, other)) == []
    (finding,) = difference("role", "its policy", one, policy(allow("", "b:X", "*")))
    assert (finding.state, len(finding.missing), finding.surplus) == ("missing", 2, ())
