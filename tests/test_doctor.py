"""The doctor: says of every role what is missing, too much or out of date, and nothing where all is well."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ecr.bootstrap.differences import difference
from ecr.bootstrap.github import RULESET, planned_variables
from ecr.bootstrap.roles import (
    APP,
    AUDIT,
    BUCKET_LOOKS,
    DISPATCH_APP,
    SECRETS,
    planned_accounts,
    planned_keys,
)
from ecr.cli.main import main
from ecr.plan.access.documents import allow, policy
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from sandbox.github import EmbeddedGitHub, Organisation
from sandbox.github.tokens import CLASSIC, FINE_GRAINED
from tests.builders import ARTIFACTS, LAMBDA, settings
from tests.test_bootstrap import (
    BUCKET,
    CLAIMS,
    DEPLOYMENT,
    ID,
    OPERATORS,
    OTHER,
    PROVIDER,
    REGION,
    REPOSITORY,
    WHOLE,
    assumes,
    bootstrapped,
    client,
    deployed,
    deploys,
    options,
    pipeline,
    stack_file,
    template,
)

HERE = Registry(ARTIFACTS, REGION)
ARN = f"arn:aws:s3:::{BUCKET}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return stack_file(tmp_path)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    """Accounts with the roles and the bucket that bootstrap plans, and an operator who asks."""
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
        made = template(bootstrapped(tmp_path), "artifacts")["Resources"]
        bucket = {name: made[name] for name in ("State", "StatePolicy")}
        client(running, "cloudformation", credentials_of(ARTIFACTS)).create_stack(
            StackName="bucket", TemplateBody=json.dumps({"Resources": bucket})
        )
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
    assert (
        capsys.readouterr().out
        == "All roles and keys, and the bucket, are as bootstrap writes them.\n"
    )


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


def bucket_of(aws: EmbeddedAws) -> Any:
    return client(aws, "s3", credentials_of(ARTIFACTS))


def test_each_part_of_the_states_bucket_that_is_not_as_it_was_made_is_said(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = bucket_of(aws)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    key = {"SSEAlgorithm": "aws:kms"}
    rule = {"ApplyServerSideEncryptionByDefault": key}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    flags = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True}
    s3.put_public_access_block(
        Bucket=BUCKET,
        PublicAccessBlockConfiguration={**flags, "RestrictPublicBuckets": False},
    )
    owners = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    s3.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=owners)
    stranger = {**allow("Open", "s3:GetObject", f"{ARN}/*"), "Principal": "*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(stranger)))
    (_, *rules) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    # It would delete the state itself.
    rules.append(
        {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 9}}
    )
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": rules})
    capsys.readouterr()
    assert doctor(file) == 3
    told = capsys.readouterr().out
    tls = '{"Condition": {"Bool": {"aws:SecureTransport": "false"}}, "Principal": "*"}'
    assert told.splitlines() == [
        f"{ARN}: out of date: its versioning is Suspended, and not Enabled; enable it",
        f"{ARN}: out of date: its encryption is aws:kms, and not AES256; set it back",
        f"{ARN}: missing: it does not block all public access; block it",
        "  - lacks RestrictPublicBuckets",
        f"{ARN}: out of date: its object ownership is ObjectWriter, and not BucketOwnerEnforced; set it back",
        f"{ARN}: out of date: its policy",
        f"  - lacks Deny s3:* on {ARN} {tls}",
        f"  - lacks Deny s3:* on {ARN}/* {tls}",
        f'  + has Allow s3:GetObject on {ARN}/* {{"Principal": "*"}}',
        f"{ARN}: out of date: its lifecycle rules; set them back",
        '  - lacks Expiration {"Days": 30} on .pulumi/backups/*',
        '  + has Expiration {"Days": 9} on *',
    ]


def test_what_the_states_bucket_lacks_is_missing_and_what_it_has_besides_is_too_much(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    s3 = bucket_of(aws)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    more = {"ID": "all", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 9}}
    # A rule that is disabled does nothing.
    off = {**more, "ID": "off", "Status": "Disabled"}
    both = {"Rules": [*rules, more, off]}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration=both)
    capsys.readouterr()
    assert doctor(file) == 3
    assert capsys.readouterr().out.splitlines() == [
        f"{ARN}: too much: its lifecycle rules; remove what nobody knows of",
        '  + has Expiration {"Days": 9} on *',
    ]
    s3.delete_bucket_lifecycle(Bucket=BUCKET)
    s3.delete_bucket_policy(Bucket=BUCKET)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.delete_bucket_ownership_controls(Bucket=BUCKET)
    s3.delete_bucket_encryption(Bucket=BUCKET)
    assert doctor(file, "--json") == 3
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {(each["where"], each["state"]) for each in found} == {(ARN, "missing")}
    lacking = [len(each["missing"]) for each in found]
    assert lacking == [0, 4, 0, 2, 4], found


def test_a_bucket_that_is_missing_or_another_accounts_is_said(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket_of(aws).delete_bucket(Bucket=BUCKET)
    capsys.readouterr()
    assert doctor(file) == 3
    (told,) = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{ARN}: missing: there is no such bucket; run `ecr-estate bootstrap")
    # A stranger has taken the name, and lets everybody read how well it is set up.
    theirs = client(aws, "s3", credentials_of("999999999998"))
    theirs.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    anybody = {**allow("All", "s3:*", [ARN, f"{ARN}/*"]), "Principal": "*"}
    theirs.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy(anybody)))
    assert doctor(file) == 3
    said = f"{ARN}: out of date: it cannot be read: it is not of account {ARTIFACTS}, and another"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("action", BUCKET_LOOKS)
def test_the_role_that_looks_needs_each_action_on_the_bucket(
    aws: EmbeddedAws, file: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    iam = administrator(aws, ARTIFACTS)
    asked = {"RoleName": AUDIT, "PolicyName": "doctor"}
    document = iam.get_role_policy(**asked)["PolicyDocument"]
    (bucket,) = (each for each in document["Statement"] if each["Sid"] == "StateBucket")
    assert bucket["Resource"] == ARN
    bucket["Action"].remove(action)
    iam.put_role_policy(**asked, PolicyDocument=json.dumps(document))
    capsys.readouterr()
    assert doctor(file) == 3
    told = capsys.readouterr().out
    assert f"  - lacks Allow {action} on {ARN}" in told
    assert "or the role that looks lacks what bootstrap gives it now" in told


def test_the_keys_of_the_images_are_looked_at_in_their_accounts(
    aws: EmbeddedAws, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kms = client(aws, "kms", credentials_of(LAMBDA))
    good = kms.create_key()["KeyMetadata"]
    signing = client(aws, "kms", credentials_of(ARTIFACTS)).create_key(
        KeyUsage="SIGN_VERIFY", KeySpec="RSA_2048"
    )["KeyMetadata"]
    gone = f"arn:aws:kms:{REGION}:{OTHER}:key/00000000-0000-0000-0000-000000000000"
    images = {
        "kmsKey": signing["Arn"],
        "kmsKeys": {f"{LAMBDA}/{REGION}": good["Arn"], f"{OTHER}/{REGION}": gone},
    }
    changed = stack_file(tmp_path, images=images)
    capsys.readouterr()
    # The roles are from before the keys were named.
    assert doctor(changed) == 3
    told = capsys.readouterr().out
    assert f"  - lacks Allow kms:DescribeKey on {good['Arn']}" in told
    assert (
        f"{good['Arn']}: out of date: the key of the images of {LAMBDA}/{REGION}: the role lacks"
        in told
    )
    for account in planned_accounts(settings(**WHOLE, images=images), pipeline()):
        iam = administrator(aws, account.account)
        for role in account.roles:
            for name, document in role.policies.items():
                iam.put_role_policy(
                    RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document)
                )
    assert doctor(changed) == 3
    found = [
        each for each in capsys.readouterr().out.splitlines() if ":kms:" in each.partition(" ")[0]
    ]
    assert found == [
        (
            f"{signing['Arn']}: out of date: the key of the images of {ARTIFACTS}/{REGION}: is of the kind RSA_2048 "
            "for SIGN_VERIFY; name a symmetric one that encrypts and decrypts"
        ),
        f"{gone}: missing: the key of the images of {OTHER}/{REGION}: does not exist; correct its ARN, or make it",
    ]


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """A repository that is set up as the script does it; ask GitHub to change it."""
    organisation = Organisation()
    organisation._ids = itertools.count(ID)
    organisation.add("ecr-estate")
    with EmbeddedGitHub(organisation) as running:
        monkeypatch.setenv("GITHUB_BASE_URL", running.url.rstrip("/"))
        monkeypatch.setenv("GITHUB_TOKEN", CLASSIC.value)
        api = f"{running.url}api/v3/repos/{REPOSITORY}"
        headers = {"Authorization": f"Bearer {CLASSIC.value}"}

        def ask(method: str, path: str, **body: Any) -> None:
            answer = httpx.request(method, f"{api}/{path}", headers=headers, json=body)
            assert answer.is_success, answer.text

        policy = {"protected_branches": False, "custom_branch_policies": True}
        reviewers = [{"type": "Team", "id": 11}]
        for name, more in (
            ("production", {}),
            ("production-guarded", {"reviewers": reviewers, "prevent_self_review": True}),
        ):
            ask("PUT", f"environments/{name}", deployment_branch_policy=policy, **more)
            ask("POST", f"environments/{name}/deployment-branch-policies", name="main")
        ask("POST", "rulesets", **RULESET)
        planned = planned_variables(HERE, pipeline(stacks=("acme",)), two_apps=True)
        for variable, value in planned.items():
            ask("POST", "actions/variables", name=variable, value=value or "1")
        yield ask


def of_github(capsys: pytest.CaptureFixture[str]) -> list[str]:
    start = f"github:{REPOSITORY}: "
    return [each.removeprefix(start) for each in capsys.readouterr().out.splitlines()]


def test_githubs_side_is_compared_when_it_is_asked_for(
    aws: EmbeddedAws,
    github: Callable[..., None],
    file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert aws.calls()
    capsys.readouterr()
    assert doctor(file, "--github") == 0
    assert "and GitHub's side is as its script sets it up.\n" in capsys.readouterr().out
    both = {"protected_branches": True, "custom_branch_policies": False}
    github("PUT", "environments/production", deployment_branch_policy=both)
    github(
        "PUT",
        "environments/production-guarded",
        deployment_branch_policy={"protected_branches": False, "custom_branch_policies": True},
    )
    github("POST", "environments/production-guarded/deployment-branch-policies", name="release/*")
    weak = [
        {**each, "parameters": {**each["parameters"], "required_approving_review_count": 0}}
        for each in RULESET["rules"]
        if "parameters" in each
    ]
    github("PUT", "rulesets/900001", rules=weak, enforcement="evaluate")
    github("DELETE", "actions/variables/ECR_ESTATE_APP")
    github("PATCH", "actions/variables/ECR_ESTATE_REGION", value="us-east-1")
    assert doctor(file, "--github") == 3
    assert of_github(capsys) == [
        "environment production: too much: branches other than main may deploy; run bootstrap/github.sh",
        "environment production-guarded: missing: nobody reviews what a guard holds; run bootstrap/github.sh",
        "environment production-guarded: too much: branches other than main may deploy; remove them",
        "  + has release/*",
        "ruleset ecr-estate: out of date: its rules; run bootstrap/github.sh",
        '  - lacks enforcement "active"',
        "  - lacks rule deletion",
        "  - lacks rule non_fast_forward",
        "  - lacks rule pull_request required_approving_review_count 1",
        "variable ECR_ESTATE_REGION: out of date: it is us-east-1, and not eu-west-1; run bootstrap/github.sh",
        "variable ECR_ESTATE_APP: missing: there is no such variable; run bootstrap/github.sh",
    ]
    github("DELETE", "rulesets/900001")
    github("DELETE", "environments/production")
    assert doctor(file, "--github") == 3
    told = of_github(capsys)
    assert (
        "environment production: missing: there is no such environment; run bootstrap/github.sh"
        in told
    )
    assert any(
        each.startswith("ruleset ecr-estate: missing: nothing protects main") for each in told
    )


@pytest.mark.usefixtures("aws", "github")
def test_another_repository_of_the_name_and_a_token_without_a_right_are_said(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert doctor(file, "--github", "--repository-id", "5") == 3
    said = (
        f"github:{REPOSITORY}: out of date: its id is {ID}, and the roles trust 5; bootstrap again"
    )
    assert said in capsys.readouterr().out
    # No variable is called missing by a token that may not read any.
    monkeypatch.setenv("GITHUB_TOKEN", FINE_GRAINED.value)
    assert doctor(file, "--github") == 1
    assert "give a GITHUB_TOKEN that may read" in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_TOKEN")
    assert doctor(file, "--github") == 1
    assert "set GITHUB_TOKEN" in capsys.readouterr().err


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
