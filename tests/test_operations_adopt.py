"""Adoption from outside a deployment: what is compared, what is written, and what is never shown."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ecr.cli.main import main
from ecr.deploy.adoption import Adoption, ExistingRepository, import_file, settings_that_keep
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from sandbox.github import EmbeddedGitHub, synthetic_organisation
from tests.builders import ARTIFACTS, SOURCE, config, plan, repository

KEY = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
RULES = json.dumps({"rules": []})
PROVIDER = f"urn:pulumi:test::ecr-estate::pulumi:providers:aws::{ARTIFACTS}"


def adoption(existing: ExistingRepository | None = None, **changes: Any) -> Adoption:
    (planned,) = plan(repository(1, "api"), **changes).image_repositories
    return Adoption(planned, existing or ExistingRepository())


def as_planned(**changes: Any) -> ExistingRepository:
    """What stands already is just as the plan has it, but for the changes."""
    planned = adoption().planned
    same = {"mutability": "IMMUTABLE", "tags": planned.tags, "lifecycle": planned.lifecycle}
    return ExistingRepository(**{**same, **changes})


def differing(existing: ExistingRepository, **changes: Any) -> dict[str, tuple[str, str]]:
    return {
        each.what: (each.now, each.then) for each in adoption(existing, **changes).differences()
    }


def test_what_stands_as_planned_does_not_differ() -> None:
    assert differing(as_planned()) == {}


def test_tags_that_may_move_differ_by_the_word_and_by_the_filters() -> None:
    assert differing(as_planned(mutability="MUTABLE"), images={"mutableTags": ["latest"]}) == {
        "tag mutability": ("MUTABLE", "IMMUTABLE_WITH_EXCLUSION (latest)")
    }


def test_under_the_settings_that_are_offered_no_tag_moves_that_did_not() -> None:
    stands = as_planned(mutability="MUTABLE_WITH_EXCLUSION", exclusions=("v*",))
    images = {
        path.removeprefix("images."): value
        for path, value in settings_that_keep([adoption(stands)]).items()
    }
    assert differing(stands, images=images) == {}
    assert adoption(images=images).planned.immutable_tags == ("v*",)


def test_tags_that_go_and_tags_that_come_are_named() -> None:
    planned = adoption().planned.tags
    held = {**planned, "team": "payments"}
    held.pop("github-id")
    assert differing(as_planned(tags=held)) == {
        "tags": ("team=payments", "no team"),
        "further tags": ("-", "github-id=1"),
    }


def test_another_lifecycle_policy_is_overwritten_and_an_equal_one_is_not() -> None:
    spaced = json.dumps(json.loads(adoption().planned.lifecycle or ""), indent=4)
    assert differing(as_planned(lifecycle=spaced)) == {}
    assert differing(as_planned(lifecycle=RULES))["lifecycle policy"] == ("its own", "as planned")
    assert differing(as_planned(lifecycle=None))["lifecycle policy"] == ("none", "as planned")


def test_a_policy_that_the_plan_does_not_have_stays() -> None:
    stays = differing(as_planned(lifecycle=RULES, policy=RULES), lifecycle={"preset": "none"})
    assert stays == {
        "lifecycle policy": ("its own", "kept as it is"),
        "repository policy": ("its own", "kept as it is"),
    }


def test_encryption_is_kept_for_it_cannot_be_changed() -> None:
    assert differing(as_planned(encryption="KMS", kms_key=KEY)) == {
        "encryption": (f"KMS {KEY}", "kept as it is, for ECR cannot change it")
    }


@pytest.mark.parametrize(
    ("standing", "offered"),
    [
        ({}, {}),
        ({"mutability": "MUTABLE"}, {"images.immutable": False, "images.mutableTags": []}),
        (
            {"mutability": "IMMUTABLE_WITH_EXCLUSION", "exclusions": ("dev-*",)},
            {"images.mutableTags": ["dev-*"]},
        ),
        (
            {"mutability": "MUTABLE_WITH_EXCLUSION", "exclusions": ("v*",)},
            {
                "images.immutable": False,
                "images.mutableTags": [],
                "images.immutableTags": ["v*"],
            },
        ),
        ({"lifecycle": RULES}, {"lifecycle.preset": "none"}),
        ({"lifecycle": None}, {}),
    ],
)
def test_settings_are_offered_that_leave_it_as_it_is(
    standing: dict[str, Any], offered: dict[str, Any]
) -> None:
    assert settings_that_keep([adoption(as_planned(**standing))]) == offered


def test_a_tag_can_be_kept_where_all_have_it_alike() -> None:
    def tagged(**tags: str) -> Adoption:
        return adoption(as_planned(tags={**adoption().planned.tags, **tags}))

    every = [tagged(team="a", owner="x"), tagged(team="a", owner="y")]
    assert settings_that_keep(every) == {"tags.team": "a"}


def test_the_file_names_what_the_program_names_and_asks_in_the_right_region() -> None:
    written = import_file([adoption()], {Registry(ARTIFACTS, "eu-west-1"): None}, {}, "7.0.0")
    provider, imported = written["resources"]
    assert provider["name"] == ARTIFACTS
    assert json.loads(provider["inputs"]["allowedAccountIds"]) == [ARTIFACTS]
    assert imported["name"] == f"{SOURCE}/api"
    assert imported["id"] == "api@eu-west-1"
    assert imported["provider"] == ARTIFACTS


def test_a_provider_that_the_state_holds_is_used_and_not_made() -> None:
    registries = {Registry(ARTIFACTS, "eu-west-1"): None}
    written = import_file([adoption()], registries, {ARTIFACTS: PROVIDER}, "7.0.0")
    assert written["nameTable"] == {ARTIFACTS: PROVIDER}
    assert len(written["resources"]) == 1


Pulumi = Callable[..., None]


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pulumi:
    """Put a `pulumi` on the PATH that answers for one stack, from files."""
    command = tmp_path / "bin" / "pulumi"
    command.parent.mkdir()
    command.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "  *show-name*) echo acme/ecr-estate/test ;;\n"
        f"  *export*) cat {tmp_path}/state.json ;;\n"
        f"  *config*) cat {tmp_path}/config.json ;;\n"
        "esac\n"
    )
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)

    def holding(*resources: Any, secret: str = "", **changes: Any) -> None:
        listed = [{"id": 1, "name": "api"}, {"id": 2, "name": "web"}]
        values = config(**{"static": listed, **changes})
        held: dict[str, Any] = {
            key: {"value": value, "secret": False} for key, value in values.items()
        }
        if secret:
            held[secret] = {"secret": True}
        (tmp_path / "config.json").write_text(json.dumps(held))
        state = {"version": 3, "deployment": {"resources": list(resources)}}
        (tmp_path / "state.json").write_text(json.dumps(state))

    return holding


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return an embedded ECR client of the artifacts account, with the environment pointing there."""
    with EmbeddedAws() as embedded:
        monkeypatch.setenv("AWS_ENDPOINT_URL", embedded.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASANDBOX000000000")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        role = boto3.client("sts", region_name="eu-west-1").assume_role(
            RoleArn=ROLE, RoleSessionName="test"
        )["Credentials"]
        yield boto3.client(
            "ecr",
            region_name="eu-west-1",
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
        )


ROLE = f"arn:aws:iam::{ARTIFACTS}:role/deploy"
IN_ROLE = {"artifacts": {"account": ARTIFACTS, "region": "eu-west-1", "role": ROLE}}


def test_what_stands_by_other_hands_is_written_for_the_import(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(**IN_ROLE)
    aws.create_repository(repositoryName="api", tags=[{"Key": "team", "Value": "a"}])
    aws.create_repository(repositoryName="unrelated")
    assert main(["adopt"]) == 0
    printed = capsys.readouterr().out
    assert "1 planned image repositories stand already" in printed
    assert "pulumi import --file adopt.json" in printed
    assert 'ecr-estate:adopted: ["api"]' in printed
    assert "ecr-estate:images.immutable = false" in printed
    written = json.loads(Path("adopt.json").read_text())
    assert [each["name"] for each in written["resources"]] == [ARTIFACTS, f"{SOURCE}/api"]


def test_the_stack_is_named_in_the_commands_that_are_printed(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(**IN_ROLE)
    aws.create_repository(repositoryName="api")
    assert main(["adopt", "--stack", "prod", "--json"]) == 0
    commands = json.loads(capsys.readouterr().out)["commands"]
    assert all(command.endswith("--stack prod") for command in commands)


def test_settings_of_registries_by_other_hands_are_listed_beside(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(**IN_ROLE)
    aws.put_registry_scanning_configuration(scanType="ENHANCED", rules=[])
    assert main(["adopt"]) == 0
    printed = capsys.readouterr().out
    assert "ENHANCED" in printed
    assert f'ecr-estate:registries.adopted: ["{SOURCE}"]' in printed
    assert main(["adopt", "--json"]) == 0
    (waits,) = json.loads(capsys.readouterr().out)["registrySettings"]
    assert (waits["registry"], waits["setting"]) == (SOURCE, "scanning")


def test_settings_that_an_adopted_registry_loses_are_listed_too(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(**IN_ROLE, registries={"adopted": [SOURCE]})
    aws.put_registry_scanning_configuration(scanType="ENHANCED", rules=[])
    assert main(["adopt"]) == 0
    printed = capsys.readouterr().out
    assert "replaced whole by the next deployment" in printed
    assert "ENHANCED" in printed
    assert main(["adopt", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert not shown["registrySettings"]
    (goes,) = shown["replacedSettings"]
    assert (goes["registry"], goes["setting"]) == (SOURCE, "scanning")


def test_roles_topics_rules_providers_variables_and_keys_by_other_hands_are_listed_too(
    pulumi: Pulumi, aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each thing that is not an image repository is shown as it is and as it would be."""

    def client(service: str) -> Any:
        # The same credentials, of the artifacts account, as the image repositories are made with.
        keys = aws._request_signer._credentials.get_frozen_credentials()
        session: Any = boto3.Session(region_name="eu-west-1")
        return session.client(
            service,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
        )

    organisation = synthetic_organisation(1)
    (repository_,) = organisation
    with EmbeddedGitHub(organisation) as github:
        monkeypatch.setenv("GITHUB_TOKEN", github.token)
        monkeypatch.setenv("GITHUB_BASE_URL", github.url)
        settings: dict[str, Any] = {
            "static": None,
            "github": {"organisation": "sandbox-org"},
            "alerts": {},
            "pushRoles": {"createProvider": True, "variables": True},
            **IN_ROLE,
        }
        pulumi(**settings)
        github.api.actions.held(repository_)["ECR_REGION"] = "us-east-1"
        iam, events = client("iam"), client("events")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = f"push-{repository_.name.lower()}-{repository_.id}"
        iam.create_role(RoleName=role, Path="/theirs/", AssumeRolePolicyDocument=trust)
        iam.create_open_id_connect_provider(
            Url="https://token.actions.githubusercontent.com",
            ClientIDList=["sts.amazonaws.com", "x"],
        )
        client("sns").create_topic(Name="ecr-estate-alerts")
        events.put_rule(Name="ecr-estate-alerts-scan", EventPattern='{"source": ["aws.ec2"]}')
        assert main(["adopt", "--json"]) == 0
        found = {each["kind"]: each for each in json.loads(capsys.readouterr().out)["beside"]}
        assert found.keys() == {
            "push role", "identity provider", "topic", "event rule", "variable"
        }  # fmt: skip
        assert found["push role"]["now"] == "under /theirs/"
        assert found["identity provider"]["now"] == "for sts.amazonaws.com, x"
        assert found["topic"]["now"] == "not encrypted"
        assert "aws.ec2" in found["event rule"]["now"]
        variable = found["variable"]
        assert (variable["now"], variable["then"]) == ("us-east-1", "eu-west-1")
        assert main(["adopt"]) == 0
        printed = capsys.readouterr().out
        pulumi(**settings, registries={"adopted": [SOURCE]})
        assert main(["adopt", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
    assert "What stands where something else than an image repository goes" in printed
    assert "pushRoles.adopted" in printed
    assert not {each["kind"] for each in shown["beside"]} & {"topic", "event rule"}
    replaced = {each["setting"]: each for each in shown["replacedSettings"]}
    assert replaced.keys() == {"topic ecr-estate-alerts", "event rule ecr-estate-alerts-scan"}
    topic = replaced["topic ecr-estate-alerts"]
    assert '"encryptedBy":null' in topic["now"]
    assert "SNS:Publish" in topic["now"], "the policy that Amazon SNS gives every topic"
    assert "AlertsOfTheEstate" in topic["then"]
    rule = replaced["event rule ecr-estate-alerts-scan"]
    assert "aws.ec2" in rule["now"]
    assert "ECR Image Scan" in rule["then"]


def test_a_key_that_no_topic_needs_any_more_is_told_though_nothing_is_missing(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    session: Any = boto3.Session(region_name="eu-west-1")
    keys = aws._request_signer._credentials.get_frozen_credentials()
    kms = session.client(
        "kms",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
    )
    tags = [{"TagKey": "ecr-estate", "TagValue": "alerts"}]
    held, spare = (kms.create_key(Tags=tags)["KeyMetadata"]["Arn"] for _ in range(2))

    def resource(kind: str, name: str, **outputs: str) -> dict[str, Any]:
        urn = f"urn:pulumi:test::ecr-estate::{kind}::{SOURCE}/{name}"
        return {"type": kind, "urn": urn, "outputs": outputs}

    rule = "aws:cloudwatch/eventRule:EventRule"
    pulumi(
        resource("aws:kms/key:Key", "alerts", arn=held),
        resource("aws:sns/topic:Topic", "alerts"),
        *(
            resource(rule, f"ecr-estate-alerts-{each}")
            for each in ("scan", "finding", "replication")
        ),
        alerts={},
        **IN_ROLE,
    )
    assert main(["adopt", "--json"]) == 0
    (stands,) = json.loads(capsys.readouterr().out)["beside"]
    assert (stands["kind"], stands["name"]) == ("key", spare)
    assert "schedule its deletion" in stands["note"]


def test_what_the_state_holds_or_the_stack_made_needs_no_adoption(
    pulumi: Pulumi, aws: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "aws:ecr/repository:Repository"
    urn = f"urn:pulumi:test::ecr-estate::{kind}::{SOURCE}/api"
    pulumi({"type": kind, "urn": urn}, **IN_ROLE)
    aws.create_repository(repositoryName="api")
    ours = {"managed-by": "ecr-estate/test", "github-id": "2"}
    tags = [{"Key": key, "Value": value} for key, value in ours.items()]
    aws.create_repository(repositoryName="web", tags=tags)
    assert main(["adopt"]) == 0
    printed = capsys.readouterr().out
    assert "1 image repositories are this stack's own by their tags" in printed
    assert "There is nothing to adopt" in printed
    assert not Path("adopt.json").exists()


@pytest.mark.usefixtures("aws")
def test_credentials_of_another_account_are_refused(
    pulumi: Pulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi()
    assert main(["adopt"]) == 1
    assert "credentials are of another account" in capsys.readouterr().err


def test_a_setting_that_is_a_secret_is_named_and_not_read(
    pulumi: Pulumi, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(secret="ecr-estate:awsOrganisation")
    assert main(["adopt"]) == 1
    assert "ecr-estate:awsOrganisation: store it in plain" in capsys.readouterr().err


def test_nobody_is_asked_without_a_token(
    pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    pulumi(static=None)
    assert main(["adopt"]) == 1
    assert "There is no GitHub token" in capsys.readouterr().err


def test_the_organisation_is_asked_by_plain_https(
    pulumi: Pulumi, aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with EmbeddedGitHub(synthetic_organisation(3)) as github:
        monkeypatch.setenv("GITHUB_TOKEN", github.token)
        monkeypatch.setenv("GITHUB_BASE_URL", github.url)
        pulumi(static=None, github={"organisation": "sandbox-org"}, **IN_ROLE)
        name = next(iter(github.organisation)).name.lower()
        aws.create_repository(repositoryName=name)
        assert main(["adopt", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["adopt"]) == [f"{SOURCE}/{name}"]


def test_without_the_engine_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert main(["adopt"]) == 1
    assert "install it, and put it on the PATH" in capsys.readouterr().err
