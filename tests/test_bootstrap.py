"""Bootstrap makes what must stand before the first deployment: tried on the embedded AWS, as strict as IAM."""

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
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ecr.bootstrap.github import RULESET, planned_variables
from ecr.bootstrap.roles import Pipeline, Role, planned_accounts
from ecr.bootstrap.templates import SESSION
from ecr.cli.main import main
from ecr.plan.access.deploy_roles import boundary_document, deployment_documents
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from ecr.plan.architectures import assumed_roles, configured_registries
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION, printed, role_trust
from tests.builders import ARTIFACTS, LAMBDA, settings

REGION = "eu-west-1"
OTHER = "333333333333"
OPERATORS = f"arn:aws:iam::{ARTIFACTS}:role/people/operators"
REPOSITORY, ID, OWNER_ID = "sandbox-org/ecr-estate", 123456789, 7
WORKFLOW = f"{REPOSITORY}/.github/workflows/deploy-stack.yml@refs/heads/main"
PROVIDER = f"arn:aws:iam::{ARTIFACTS}:oidc-provider/{ISSUER}"
BUCKET = f"ecr-estate-{ARTIFACTS}-{REGION}"


def deploys(account: str) -> str:
    return f"arn:aws:iam::{account}:role/ecr-estate-deploy"


WHOLE: dict[str, Any] = {
    "awsOrganisation": AWS_ORGANISATION,
    "artifacts": {"account": ARTIFACTS, "region": REGION, "role": deploys(ARTIFACTS)},
    "lambdaReplicas": {
        "accounts": [
            {"account": LAMBDA, "regions": [REGION], "role": deploys(LAMBDA)},
            {"account": OTHER, "regions": [REGION, "us-east-1"], "role": deploys(OTHER)},
        ],
        "services": {"all": True},
    },
    "pushRoles": {
        "variables": True,
        "permissionsBoundary": f"arn:aws:iam::{ARTIFACTS}:policy/estate/push-roles",
    },
    "alerts": {},
    "previewRole": "ecr-estate-read",
}
SETS = {
    "architecture": "per-account-set",
    "lambdaReplicas": None,
    "pushRoles": None,
    "accountSets": [
        {"name": "dev", "account": LAMBDA, "region": REGION, "role": deploys(LAMBDA)},
        {"name": "prod", "account": OTHER, "region": REGION, "role": deploys(OTHER)},
    ],
}


def pipeline(**changes: Any) -> Pipeline:
    given: dict[str, Any] = {
        "repository": REPOSITORY,
        "repository_id": ID,
        "workflow": WORKFLOW,
        "operators": (OPERATORS,),
        "bucket": BUCKET,
        **changes,
    }
    return Pipeline(**given)


def stack_file(folder: Path, **changes: Any) -> Path:
    values = {
        "github": {"organisation": "sandbox-org"},
        **WHOLE,
        **changes,
    }
    config = {f"ecr-estate:{key}": each for key, each in values.items() if each is not None}
    file = folder / "Pulumi.acme.yaml"
    file.write_text(yaml.safe_dump({"config": config}))
    return file


def options(file: Path, *more: str) -> list[str]:
    return [
        *("bootstrap", "--settings", str(file), "--repository", REPOSITORY),
        *("--repository-id", str(ID), "--operators", OPERATORS, "--reviewer", "team:platform"),
        *more,
    ]


def bootstrapped(folder: Path, *more: str, **changes: Any) -> Path:
    """The folder of what bootstrap writes for these settings."""
    out = folder / "bootstrap"
    assert main(options(stack_file(folder, **changes), "--output", str(out), *more)) == 0
    return out


def template(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.template.json").read_text())
    return found


def roles(**changes: Any) -> dict[tuple[str, str], Role]:
    chosen = settings(**{**WHOLE, **changes})
    return {
        (account.account, role.name): role
        for account in planned_accounts(chosen, pipeline())
        for role in account.roles
    }


# The documents are those that the guides print.


def test_the_role_that_ecr_assumes_for_templates_is_made_where_there_are_any() -> None:
    chosen = {"templates": True, "templateRole": "ecr-estate-templates"}
    made = roles(registries=chosen)
    for account in (ARTIFACTS, LAMBDA, OTHER):
        role = made[account, "ecr-estate-templates"]
        (trust,) = role.trust["Statement"]
        assert trust["Principal"] == {"Service": "ecr.amazonaws.com"}
        assert set(role.policies) == {"templates"}
    assert (ARTIFACTS, "ecr-estate-templates") not in roles(registries={"templates": True})


def test_the_pipelines_roles_trust_as_the_guide_prints() -> None:
    made = roles()
    for name, sid in {"ecr-estate-preview": "Read", "ecr-estate-deployment": "Deploy"}.items():
        guide = json.dumps(printed("docs/guides/pipeline.md", sid))
        here = guide.replace("111122223333", ARTIFACTS).replace("acme/ecr-estate", REPOSITORY)
        assert made[ARTIFACTS, name].trust == json.loads(here)


def test_the_accounts_roles_trust_as_the_readme_prints() -> None:
    made = roles()
    for account in (ARTIFACTS, LAMBDA, OTHER):
        assert made[account, "ecr-estate-deploy"].trust == json.loads(role_trust(["deployments"]))
        assert made[account, "ecr-estate-read"].trust == json.loads(role_trust(["previews"]))


def test_the_accounts_roles_may_do_what_policies_prints() -> None:
    made, chosen = roles(), settings(**WHOLE)
    assert len(configured_registries(chosen)) == 4
    for account, (deploy, preview) in deployment_documents(chosen).items():
        of = {name: role.policies for (where, name), role in made.items() if where == account}
        assert of["ecr-estate-deploy"] == {"deploy": json.loads(deploy.text)}
        assert of["ecr-estate-read"] == {"preview": json.loads(preview.text)}


def test_auditors_may_do_and_trust_what_the_page_prints() -> None:
    role = roles()[LAMBDA, "ecr-estate-audit"]
    page = json.dumps(printed("docs/operations/audit.md", "Images"))
    assert role.policies["audit"] == json.loads(page.replace("111122223333", LAMBDA))
    trust = printed("docs/operations/audit.md", "Operators")
    trust["Statement"][0]["Principal"]["AWS"] = OPERATORS
    trust["Statement"][0]["Condition"]["StringEquals"]["aws:PrincipalOrgID"] = AWS_ORGANISATION
    assert role.trust == trust


def test_the_boundary_of_push_roles_is_the_one_that_policies_prints() -> None:
    chosen = settings(**WHOLE)
    first, *others = planned_accounts(chosen, pipeline())
    (boundary,) = first.further
    document = boundary_document(chosen)
    assert document is not None
    assert boundary.document == json.loads(document.text)
    assert boundary.arn == f"arn:aws:iam::{ARTIFACTS}:policy/estate/push-roles"
    assert not any(each.further for each in others)


def test_break_glass_roles_are_those_of_the_lock() -> None:
    arns = [f"arn:aws:iam::{each}:role/emergency/glass" for each in (ARTIFACTS, LAMBDA, OTHER)]
    made = roles(access={"lock": {"breakGlass": arns}})
    assert [made[each, "glass"].arn for each in (ARTIFACTS, LAMBDA, OTHER)] == arns
    assert not any(name == "ecr-estate-break-glass" for _, name in made)


def test_promotion_reads_only_accounts_that_are_not_the_last() -> None:
    made = roles(**SETS)
    assert {account for account, name in made if name == "ecr-promotion-reader"} == {LAMBDA}
    (statement,) = made[LAMBDA, "ecr-promotion-reader"].trust["Statement"]
    promoters = f"arn:aws:iam::{OTHER}:role/promote-*-to-prod"
    assert statement["Condition"]["ArnLike"] == {"aws:PrincipalArn": promoters}


# The templates.


def test_cfn_lint_has_nothing_to_say(tmp_path: Path) -> None:
    variants: dict[str, dict[str, Any]] = {
        "replicas": {},
        "sets": SETS,
        "plain": {"lambdaReplicas": None},
    }
    linted: list[str] = []
    for name, changes in variants.items():
        (tmp_path / name).mkdir()
        out = bootstrapped(tmp_path / name, **changes)
        linted += map(str, sorted(out.glob("*.template.json")))
    linter = str(Path(sys.executable).parent / "cfn-lint")
    command = [linter, "--regions", REGION, "--", *linted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (len(linted), done.returncode, done.stdout) == (5, 0, "")


def test_the_states_bucket_is_versioned_encrypted_closed_and_bounded(tmp_path: Path) -> None:
    resources = template(bootstrapped(tmp_path), "artifacts")["Resources"]
    bucket = resources["State"]
    assert bucket["DeletionPolicy"] == "RetainExceptOnCreate"
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [each.get("Prefix") for each in rules] == [".pulumi/backups/", ".pulumi/history/", None]
    (tls,) = resources["StatePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (tls["Effect"], tls["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


# Deployed.


def client(aws: EmbeddedAws, service: str, keys: Any) -> Any:
    opened: Any = boto3  # its clients are typed by literal names only
    return opened.client(service, endpoint_url=aws.url, region_name=REGION, **keys)


def deployed(aws: EmbeddedAws, out: Path, accounts: tuple[str, ...]) -> None:
    """Make the stacks of the templates, each as its account's administrator."""
    for account in accounts:
        name = "artifacts" if account == ARTIFACTS else "accounts"
        client(aws, "cloudformation", credentials_of(account)).create_stack(
            StackName="ecr-estate",
            TemplateBody=json.dumps(template(out, name), separators=(",", ":")),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """Accounts in which nothing stands but what the templates have made."""
    folder = tmp_path_factory.mktemp("accounts")
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as running:
        out = bootstrapped(folder, "--owner-id", str(OWNER_ID))
        deployed(running, out, (ARTIFACTS, LAMBDA, OTHER))
        yield running


CLAIMS = {
    "iss": f"https://{ISSUER}",
    "aud": AUDIENCE,
    "sub": f"repo:{REPOSITORY}:environment:production",
    "repository": REPOSITORY,
    "repository_id": str(ID),
    "job_workflow_ref": WORKFLOW,
}
PREVIEWS = {**CLAIMS, "sub": f"repo:{REPOSITORY}:pull_request", "job_workflow_ref": "any"}
PREVIEW = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-preview"
DEPLOYMENT = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-deployment"


def test_the_roles_that_are_made_let_the_pipeline_in_and_nobody_else(aws: EmbeddedAws) -> None:
    assert aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    assert aws.session_of(PREVIEW, PREVIEWS, region=REGION)
    for change in (
        {"sub": f"repo:{REPOSITORY}:ref:refs/heads/main"},
        {"sub": f"repo:{REPOSITORY}:environment:production-guarded"},
        {"repository_id": "1"},
        {"job_workflow_ref": WORKFLOW.replace("deploy-stack", "other")},
        {"job_workflow_ref": WORKFLOW.replace("heads/main", "heads/branch")},
        {"aud": "https://github.com/sandbox-org"},
    ):
        with pytest.raises(PermissionError):
            aws.session_of(DEPLOYMENT, {**CLAIMS, **change}, region=REGION)
    for change in ({"sub": f"repo:{REPOSITORY}:ref:refs/heads/b"}, {"repository_id": "1"}):
        with pytest.raises(PermissionError):
            aws.session_of(PREVIEW, {**PREVIEWS, **change}, region=REGION)


def assumes(aws: EmbeddedAws, keys: Any, role: str) -> Any:
    sts = client(aws, "sts", keys)
    given = sts.assume_role(RoleArn=role, RoleSessionName="job")["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def test_each_of_the_pipelines_roles_assumes_its_own_roles_in_every_account(
    aws: EmbeddedAws,
) -> None:
    chosen = settings(**WHOLE)
    deploying = aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    previewing = aws.session_of(PREVIEW, PREVIEWS, region=REGION)
    writes = {str(role) for role in assumed_roles(chosen, preview=False).values()}
    reads = {str(role) for role in assumed_roles(chosen, preview=True).values()}
    assert (len(writes), len(reads)) == (3, 3)
    for keys, roles, others in ((deploying, writes, reads), (previewing, reads, writes)):
        for role in roles:
            assert assumes(aws, keys, role)
        for role in others:
            with pytest.raises(ClientError, match="AccessDenied"):
                assumes(aws, keys, role)


def test_a_role_that_is_made_can_make_an_image_repository_and_no_administrator(
    aws: EmbeddedAws,
) -> None:
    deploying = aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    keys = assumes(aws, deploying, deploys(LAMBDA))
    client(aws, "ecr", keys).create_repository(repositoryName="api")
    reading = assumes(aws, aws.session_of(PREVIEW, PREVIEWS, region=REGION),
                      f"arn:aws:iam::{LAMBDA}:role/ecr-estate-read")  # fmt: skip
    assert client(aws, "ecr", reading).describe_repositories()["repositories"]
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "ecr", reading).create_repository(repositoryName="other")
    keys = assumes(aws, deploying, deploys(ARTIFACTS))
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "iam", keys).put_role_policy(
            RoleName="ecr-estate-deploy",
            PolicyName="more",
            PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
        )


def test_a_wider_policy_is_stopped_by_the_boundary(aws: EmbeddedAws) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    wider = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    administrator = client(aws, "iam", credentials_of(ARTIFACTS))
    administrator.put_role_policy(
        RoleName="ecr-estate-deploy", PolicyName="more", PolicyDocument=wider
    )
    deploying = aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    iam = client(aws, "iam", assumes(aws, deploying, deploys(ARTIFACTS)))
    with pytest.raises(ClientError, match="permissions boundary"):
        iam.create_user(UserName="eve")
    with pytest.raises(ClientError, match="permissions boundary"):
        iam.delete_role_permissions_boundary(RoleName="ecr-estate-deploy")
    administrator.delete_role_policy(RoleName="ecr-estate-deploy", PolicyName="more")


def test_the_keys_that_are_made_are_used_by_their_aliases(aws: EmbeddedAws) -> None:
    deploying = aws.session_of(DEPLOYMENT, CLAIMS, region=REGION)
    previewing = aws.session_of(PREVIEW, PREVIEWS, region=REGION)
    secrets = "alias/ecr-estate-secrets"
    hidden = client(aws, "kms", deploying).encrypt(KeyId=secrets, Plaintext=b"secret")
    shown = client(aws, "kms", previewing).decrypt(
        KeyId=secrets, CiphertextBlob=hidden["CiphertextBlob"]
    )
    assert shown["Plaintext"] == b"secret"
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "kms", previewing).encrypt(KeyId=secrets, Plaintext=b"secret")
    for keys, alias in ((previewing, "ecr-estate-app"), (deploying, "ecr-estate-preview-app")):
        with pytest.raises(ClientError, match="AccessDenied"):
            client(aws, "kms", keys).sign(
                KeyId=f"alias/{alias}",
                Message=b"m",
                SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
            )


def test_a_repository_with_ids_in_its_subjects_is_let_in_by_both_forms(aws: EmbeddedAws) -> None:
    subject = f"repo:sandbox-org@{OWNER_ID}/ecr-estate@{ID}:environment:production"
    assert aws.session_of(DEPLOYMENT, {**CLAIMS, "sub": subject}, region=REGION, seconds=SESSION)
    other = subject.replace("@7/", "@8/")
    with pytest.raises(PermissionError):
        aws.session_of(DEPLOYMENT, {**CLAIMS, "sub": other}, region=REGION)


# The command.


def test_a_second_bootstrap_says_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = bootstrapped(tmp_path)
    assert "artifacts.template.json: written" in capsys.readouterr().out
    bootstrapped(tmp_path)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 5
    assert all(line.endswith(": as it was") for line in told)
    bootstrapped(tmp_path, "--program", "other/ecr-estate")
    told = capsys.readouterr().out.splitlines()
    assert "artifacts.template.json: differs, and is written anew" in told
    assert any(line.startswith("+") and "other/ecr-estate" in line for line in told)
    bootstrapped(tmp_path, lambdaReplicas=None)
    assert "accounts.template.json: is left from before" in capsys.readouterr().out
    assert os.access(out / "github.sh", os.X_OK)


def test_without_a_folder_all_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options(stack_file(tmp_path))) == 0
    printed = capsys.readouterr().out
    for name in ("artifacts.template.json", "accounts.template.json", "github.sh", "app-key.sh"):
        assert f"# {name}\n" in printed
    assert main(options(stack_file(tmp_path), "--json")) == 0
    files = json.loads(capsys.readouterr().out)
    assert all(f"# {name}\n{text}\n" in printed for name, text in files.items())
    assert len(files) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"previewRole": None}, "previewRole: is missing"),
        ({"artifacts": {"account": ARTIFACTS, "region": REGION}}, "has no `role`"),
        ({"pushRoles": {"createProvider": True}}, "pushRoles.createProvider: is true"),
        ({"awsOrganisation": "acme"}, "is not an AWS Organizations id"),
    ],
)
def test_settings_that_leave_something_open_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    out = tmp_path / "bootstrap"
    file = stack_file(tmp_path, **changes)
    assert main(options(file, "--output", str(out))) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--repository", "ecr-estate"], "--repository: ecr-estate is no repository"),
        (["--program", "a/b/c"], "--program: a/b/c is no repository"),
        (["--operators", "operators"], "--operators: operators is not the ARN"),
        (["--bucket", "My.Bucket"], "--bucket: My.Bucket is no name"),
        (["--promoter", "arn:x/y"], "--promoter: arn:x/y is not the name"),
        (["--reviewer", "platform"], "--reviewer: platform is nobody"),
        (["--reviewer", "user:a"] * 6, "--reviewer: 7 are given"),
    ],
)
def test_options_that_are_wrong_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    out = tmp_path / "bootstrap"
    assert main(options(stack_file(tmp_path), "--output", str(out), *more)) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_more_operators_than_a_trust_can_hold_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arns = [f"arn:aws:iam::{ARTIFACTS}:role/{'x' * 60}{number}" for number in range(30)]
    more = [word for arn in arns for word in ("--operators", arn)]
    assert main(options(stack_file(tmp_path), *more)) == 1
    assert "name fewer operators" in capsys.readouterr().err


# The scripts.


def test_the_scripts_are_good_shell(tmp_path: Path) -> None:
    out = bootstrapped(tmp_path)
    checker = Path(sys.executable).parent / "shellcheck"
    files = sorted(map(str, out.glob("*.sh")))
    done = subprocess.run([checker, *files], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/usr/bin/env bash\n{body}")
    (folder / name).chmod(0o755)


def test_the_apps_key_arrives_as_it_was_and_its_file_is_gone(tmp_path: Path) -> None:
    wrapping = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    public = wrapping.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (tmp_path / "public.der").write_bytes(public)
    app = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = tmp_path / "app.pem"
    pem.write_bytes(
        app.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    aws = f"""case "$2" in
describe-key) echo 1234 ;;
get-parameters-for-import)
  printf '{{"PublicKey": "%s", "ImportToken": "dG9rZW4="}}' "$(openssl base64 -A -in {tmp_path}/public.der)" ;;
import-key-material) cp material.bin token.bin {tmp_path} ;;
esac
"""
    program(tmp_path / "bin", "aws", aws)
    script = bootstrapped(tmp_path) / "app-key.sh"
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    subprocess.run([script, pem], check=True, env={"PATH": path}, capture_output=True)
    assert not pem.exists()
    assert (tmp_path / "token.bin").read_bytes() == b"token"
    material = (tmp_path / "material.bin").read_bytes()
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    key = wrapping.decrypt(material[:512], oaep)
    der = keywrap.aes_key_unwrap_with_padding(key, material[512:])
    loaded = serialization.load_der_private_key(der, None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers() == app.private_numbers()


GH = """printf '%s\\n' "$*" >> "$LOG"
[ "${*: -1}" = - ] || [ "$5" = - ] || [ "$6" = - ] && cat >> "$LOG"
case "$*" in
*permissions.admin*) echo "${ADMIN-true}" ;;
"api orgs/sandbox-org/hooks") [ -z "${NO_HOOKS-}" ] || exit 1 ;;
*"/hooks?"*) echo "$HOOK" ;;
*installations*) echo "$INSTALLED" ;;
*rulesets*--jq*) echo "$RULESET" ;;
*branch-policies*--jq*) echo "$POLICY" ;;
*teams/platform*) echo 11 ;;
*"repos/sandbox-org/ecr-estate --jq .id") echo "$ID" ;;
esac
"""


AWS = """case "$*" in
*describe-key*) echo 1234 ;;
*list-resource-tags*) echo Iv23li ;;
*describe-stacks*) echo https://example.lambda-url.eu-west-1.on.aws/ ;;
*get-secret-value*) echo a-secret ;;
esac
"""


def github(tmp_path: Path, **environment: str) -> tuple[int, str]:
    """Run github.sh with a `gh` that writes down what it is asked; its code, and what was asked."""
    program(tmp_path / "bin", "gh", GH)
    program(tmp_path / "bin", "aws", AWS)
    log = tmp_path / "log"
    log.write_text("")
    script = bootstrapped(tmp_path) / "github.sh"
    given = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "LOG": str(log),
        "RULESET": "",
        "POLICY": "",
        "HOOK": "",
        "INSTALLED": "5",
        "ID": str(ID),
        **dict.fromkeys(("APP", "INSTALLATION", "PREVIEW_APP", "PREVIEW_INSTALLATION"), "1"),
        **environment,
    }
    done = subprocess.run([script], env=given, capture_output=True, text=True, check=False)
    return done.returncode, log.read_text()


def test_the_repository_is_set_up_with_reviewers_a_ruleset_and_the_guides_variables(
    tmp_path: Path,
) -> None:
    code, asked = github(tmp_path)
    assert code == 0
    assert '"id": 11' in asked
    assert "--method POST repos/sandbox-org/ecr-estate/rulesets" in asked
    guide = (Path(__file__).parent.parent / "docs/guides/pipeline.md").read_text()
    names = [line.split()[2] for line in asked.splitlines() if line.startswith("variable set")]
    assert {"ECR_ESTATE_DEPLOY_ROLE", "ECR_ESTATE_PREVIEW_APP_KEY"} <= set(names)
    assert [
        name for name in names if f"`{name}`" not in guide and "_PREVIEW_APP_" not in name
    ] == []
    assert names[-1] == "ECR_ESTATE_DEPLOY_ROLE"
    # `doctor --github` compares with the same names and values.
    set_to = {
        line.split()[2]: line.partition(" --body ")[2]
        for line in asked.splitlines()
        if line.startswith("variable set")
    }
    planned = planned_variables(
        Registry(ARTIFACTS, REGION), pipeline(stacks=("acme",)), two_apps=True
    )
    assert list(planned) == list(set_to)
    assert {
        name: value for name, value in planned.items() if value is not None
    }.items() <= set_to.items()
    assert json.dumps(RULESET) in asked


def test_what_stands_already_is_changed_and_not_made_twice(tmp_path: Path) -> None:
    code, asked = github(tmp_path, RULESET="5", POLICY="main", HOOK="7")
    assert code == 0
    assert "--method PUT repos/sandbox-org/ecr-estate/rulesets/5" in asked
    assert "--method PATCH orgs/sandbox-org/hooks/7" in asked
    assert "--method POST" not in asked


def test_the_webhook_is_made_with_its_secret_which_no_argument_has(tmp_path: Path) -> None:
    code, asked = github(tmp_path)
    assert code == 0
    _, _, after = asked.partition("api --method POST orgs/sandbox-org/hooks --input -")
    said = json.loads(after[after.index("{") : after.rindex("}") + 1])
    assert said["config"]["secret"] == "a-secret"
    assert (said["events"], said["config"]["content_type"]) == (["repository"], "json")
    assert not any("a-secret" in line for line in asked.splitlines() if line.startswith("api"))


@pytest.mark.parametrize("missing", [{"ADMIN": "false"}, {"NO_HOOKS": "1"}, {"INSTALLED": ""}])
def test_without_a_right_or_an_installation_nothing_is_changed(
    tmp_path: Path, missing: dict[str, str]
) -> None:
    code, asked = github(tmp_path, **missing)
    assert code != 0
    assert "--method" not in asked
    assert "variable set" not in asked


def test_without_the_webhook_none_is_made(tmp_path: Path) -> None:
    out = bootstrapped(tmp_path, "--without-webhook")
    resources = template(out, "artifacts")["Resources"]
    assert not any(each["Type"].startswith("AWS::Lambda") for each in resources.values())
    assert "dispatch" not in (out / "app.html").read_text()
    assert "webhook=''" in (out / "github.sh").read_text()


def test_another_repository_of_the_name_is_left_alone(tmp_path: Path) -> None:
    code, asked = github(tmp_path, ID="1")
    assert code == 1
    assert "--method" not in asked


def test_the_apps_are_found_by_the_tags_of_their_keys(tmp_path: Path) -> None:
    none = dict.fromkeys(("APP", "INSTALLATION", "PREVIEW_APP", "PREVIEW_INSTALLATION"), "")
    code, asked = github(tmp_path, **none)
    assert code == 0
    assert "ECR_ESTATE_APP --repo sandbox-org/ecr-estate --body Iv23li" in asked
    assert "ECR_ESTATE_APP_INSTALLATION --repo sandbox-org/ecr-estate --body 5" in asked


def test_an_account_has_one_policy_for_each_role_and_every_role_the_boundary(
    tmp_path: Path,
) -> None:
    for name in ("artifacts", "accounts"):
        for resource in template(bootstrapped(tmp_path), name)["Resources"].values():
            if resource["Type"] == "AWS::IAM::Role":
                assert resource["Properties"]["PermissionsBoundary"]["Ref"].startswith("Boundary")
