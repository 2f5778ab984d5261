"""The way into AWS: no command ends in a traceback for credentials, a network or a missing program."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from ecr.aws import session
from ecr.aws.images import manifests_of, names_of
from ecr.aws.session import Aws
from ecr.cli.commands import command, summaries
from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.ledger.ledger import Entry, Ledger
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from tests.builders import ARTIFACTS, LAMBDA, config, outputs_file, stack_file

HERE, THERE = Registry(ARTIFACTS, "eu-west-1"), Registry(LAMBDA, "eu-west-1")

ASKS_AWS = {
    "admission": ["--registry", HERE.key],
    "adopt": [],
    "audit": ["--registry", HERE.key],
    "bootstrap": [
        *("--settings", "Pulumi.test.yaml", "--repository", "acme/estate", "--repository-id", "1"),
        *("--operators", f"arn:aws:iam::{ARTIFACTS}:role/operators"),
        *("--reviewer", "team:platform", "--output", "bootstrap", "--apply"),
    ],
    "doctor": [
        *("--settings", "Pulumi.test.yaml", "--repository", "acme/estate", "--repository-id", "1"),
        *("--operators", f"arn:aws:iam::{ARTIFACTS}:role/operators", "--role-name", ""),
    ],
    "empty": ["old", "--outputs", "outputs.json"],
    "promote": ["api", "--from", "dev", "--to", "prod", "--tag", "v1", "--outputs", "outputs.json"],
    "replicas": ["--outputs", "outputs.json"],
    "rescan": ["--registry", HERE.key],
    "simulate": ["--registry", HERE.key],
    "usage": ["--outputs", "outputs.json"],
}
"""Every command that asks AWS, with options by which it does; the files are those of `folder`."""

ASKS_NOTHING_OF_AWS = {
    "compare",
    "deploy",
    "dockerfiles",
    "drift",
    "estate",
    "list",
    "new",
    "plan",
    "policies",
    "settings",
    "shards",
    "upgrade",
}
"""The other commands. The engine has its own way to AWS."""


def test_every_command_is_known_to_ask_aws_or_not_to() -> None:
    assert ASKS_AWS.keys() | ASKS_NOTHING_OF_AWS == summaries().keys()
    assert not ASKS_AWS.keys() & ASKS_NOTHING_OF_AWS
    assert [name for name in ASKS_NOTHING_OF_AWS if Aws in vars(command(name)).values()] == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with outputs, a `pulumi` that answers for a stack, a `crane`, and no credentials."""
    for key in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(key)
    outputs_file(
        tmp_path,
        ledger=Ledger(
            {
                1: Entry(repository="api", service="api", state="active", since="2026-11-22"),
                2: Entry(
                    repository="old",
                    service="old",
                    state="kept",
                    since="2026-11-22",
                    placements={f"{HERE.key}/old": "kept"},
                ),
            }
        ).to_output(),
        imageRepositories={"api": [f"{HERE.host}/api-dev", f"{THERE.host}/api-prod"]},
        replicas={"api": [f"{THERE.host}/api"]},
        report={"stages": ["dev", "prod"], "registries": [HERE.key, THERE.key]},
    )
    role = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-deploy"
    stack_file(
        tmp_path,
        artifacts={"account": ARTIFACTS, "region": HERE.region, "role": role},
        previewRole="ecr-estate-read",
    )
    values = config(static=[{"id": 1, "name": "api"}])
    files = {
        "config.json": {key: {"value": each, "secret": False} for key, each in values.items()},
        "state.json": {"version": 3, "deployment": {"resources": []}},
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    pulumi = (
        'case "$*" in *show-name*) echo acme/ecr-estate/test ;; *export*) cat state.json ;; '
        "*config*) cat config.json ;; esac"
    )
    (tmp_path / "bin").mkdir()
    for name, script in {"pulumi": pulumi, "crane": "exit 1"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setattr(session, "ADAPTIVE", session.ONCE)
    return tmp_path


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        yield running


@pytest.fixture
def aws(
    embedded: EmbeddedAws, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EmbeddedAws]:
    """The embedded AWS, with somebody's credentials for an account that has no registry."""
    assert folder.is_dir()
    monkeypatch.setenv("AWS_ENDPOINT_URL", embedded.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOPERATOR00000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "embedded-aws-takes-any-key")
    yield embedded
    embedded.refusals.clear()
    embedded.forget_calls()


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must end with one error, and return its text."""

    def run(name: str, *options: str) -> str:
        assert main([name, *(options or ASKS_AWS[name])]) == 1
        printed, told = capsys.readouterr()
        problem, *offences = told.rstrip("\n").splitlines()
        # Files are written before anybody is asked; nothing else is said on standard output.
        assert all(line.endswith((": written", ": as it was")) for line in printed.splitlines())
        assert problem.endswith(".")
        assert offences
        assert all(line.startswith("  - ") for line in offences), told
        return told

    return run


each_command = pytest.mark.parametrize("name", ASKS_AWS)


@each_command
@pytest.mark.usefixtures("folder")
def test_without_credentials_a_command_says_how_to_log_in(name: str, refused: Refused) -> None:
    assert "log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID" in refused(name)


@each_command
def test_with_expired_credentials_a_command_says_so(
    name: str, aws: EmbeddedAws, refused: Refused
) -> None:
    aws.refusals.arm("*", "*", "ExpiredToken", status=403, times=None)
    assert "log in again, or correct the credentials" in refused(name)


@each_command
@pytest.mark.usefixtures("aws")
def test_with_another_accounts_credentials_a_command_works_in_no_account(
    name: str, aws: EmbeddedAws, refused: Refused
) -> None:
    assert f"account {ARTIFACTS}: these are of {aws.default_account}" in refused(name)
    assert {call.action for call in aws.calls()} == {"GetCallerIdentity"}


@each_command
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000000"},
        {"AWS_ACCESS_KEY_ID": "a key\nof two lines", "AWS_SECRET_ACCESS_KEY": "any"},
        {"AWS_PROFILE": "nosuch"},
        {"AWS_CONFIG_FILE": "bin/pulumi"},
        {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"},
    ],
    ids=["half", "malformed", "no profile", "no configuration", "nobody listens"],
)
def test_what_is_wrong_in_the_environment_is_said(
    name: str, environment: dict[str, str], refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert "correct the Region, the credentials or the network" in refused(name)


@each_command
@pytest.mark.usefixtures("folder")
def test_without_boto3_a_command_says_what_to_install(
    name: str, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "python -m pip install boto3" in refused(name)


def test_without_crane_nothing_is_asked_of_aws(
    aws: EmbeddedAws, folder: Path, refused: Refused
) -> None:
    (folder / "bin/crane").unlink()
    assert "go install" in refused("promote")
    assert aws.calls() == []


ROLE = f"arn:aws:iam::{ARTIFACTS}:role/operate"


def expire_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore renew credentials two hours before they expire: those of a role have one."""
    for period in ("_advisory_refresh_timeout", "_mandatory_refresh_timeout"):
        monkeypatch.setattr(RefreshableCredentials, period, 2 * 3600)


def test_the_credentials_of_a_role_are_renewed_before_they_expire(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = Aws(roles={ARTIFACTS: ROLE}).ecr(HERE)
    assert names_of(ecr) == names_of(ecr) == []
    assert [call.action for call in aws.calls()].count("AssumeRole") == 1
    expire_soon(monkeypatch)
    assert names_of(ecr) == []
    assert [call.action for call in aws.calls()].count("AssumeRole") > 1


def test_a_role_that_may_not_be_assumed_any_more_is_said(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = Aws("operate").ecr(HERE)
    expire_soon(monkeypatch)
    aws.refusals.arm("sts", "AssumeRole", "AccessDenied", status=403)
    with pytest.raises(EstateError, match=f"assuming {ROLE}: AccessDenied.*name another"):
        names_of(ecr)


@pytest.mark.usefixtures("aws")
def test_a_role_of_another_account_is_refused() -> None:
    with pytest.raises(EstateError, match=f"account {LAMBDA}: {ROLE} is of {ARTIFACTS}"):
        Aws(roles={LAMBDA: ROLE}).ecr(THERE)


@pytest.mark.usefixtures("aws")
def test_clients_are_kept() -> None:
    access = Aws("operate")
    assert access.ecr(HERE) is access.ecr(HERE)


def test_a_manifest_that_is_there_and_cannot_be_read_is_an_error() -> None:
    class Ecr:
        def batch_get_image(self, **_: object) -> dict[str, Any]:
            failures = [
                {"imageId": {"imageDigest": "sha256:1"}, "failureCode": "ImageNotFound"},
                {"imageId": {"imageDigest": "sha256:2"}, "failureCode": "KmsError"},
            ]
            return {"images": [], "failures": failures}

    ecr: Any = Ecr()
    assert manifests_of(ecr, "api", ["sha256:1"]) == {}
    with pytest.raises(EstateError, match=r"api@sha256:2: .* \(KmsError\)"):
        manifests_of(ecr, "api", ["sha256:1", "sha256:2"])
