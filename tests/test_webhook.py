"""The webhook: what GitHub delivers starts a deployment, once for what waits, and nobody else starts one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import serialization

from sandbox.aws import EmbeddedAws
from sandbox.aws.function_urls import HELD
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from sandbox.github import EmbeddedGitHub, Organisation
from tests.builders import ARTIFACTS
from tests.test_bootstrap import REGION, client
from tests.test_bootstrap_apply import applied, log_in

SECRET = "ecr-estate-webhook"


@dataclass
class Standing:
    """An organisation whose webhook is the function that bootstrap has made."""

    aws: EmbeddedAws
    github: EmbeddedGitHub
    url: str
    hook: int

    def add(self, name: str) -> str:
        """Create a repository, and return what the function answered."""
        self.github.organisation.add(name)
        return str(self.deliveries()[-1]["response"]["payload"])

    def deliveries(self) -> list[dict[str, Any]]:
        hooks = self.github.api.hooks
        rows: list[dict[str, object]] = hooks._deliveries[self.hook]
        return rows


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standing]:
    organisation = Organisation("sandbox-org")
    deploys = organisation.add("ecr-estate")
    with (
        EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as aws,
        EmbeddedGitHub(organisation) as github,
    ):
        aws.organisation.delegated.add(ARTIFACTS)
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        monkeypatch.setenv("AWS_REGION", REGION)
        monkeypatch.setenv("GITHUB_BASE_URL", github.url)
        log_in(monkeypatch, ARTIFACTS)
        assert applied(tmp_path, lambdaReplicas=None, pushRoles=None) == 0
        keys = credentials_of(ARTIFACTS)
        stack = client(aws, "cloudformation", keys).describe_stacks(StackName="ecr-estate")
        (url,) = [each["OutputValue"] for each in stack["Stacks"][0]["Outputs"]]
        apps = github.api.apps
        manifest = {
            "name": "sandbox-org-ecr-estate-dispatch",
            "url": f"{github.url}sandbox-org/ecr-estate",
            "default_permissions": {"actions": "read", "contents": "write", "metadata": "read"},
        }
        apps.pressed(manifest)
        (app,) = apps.held.values()
        apps.install(app.client_id, frozenset({deploys.id}))
        key_of_app(aws, app.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ), app.client_id)  # fmt: skip
        secrets = client(aws, "secretsmanager", keys)
        secret = secrets.get_secret_value(SecretId=SECRET)["SecretString"]
        owner = github.issue("classic", scopes=("admin:org_hook",), owner=True).value
        config = {"url": url, "content_type": "json", "secret": secret}
        asked = Request(  # noqa: S310 - loopback
            f"{github.url}api/v3/orgs/sandbox-org/hooks",
            json.dumps({"name": "web", "events": ["repository"], "config": config}).encode(),
            {"Authorization": f"Bearer {owner}"},
        )
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - loopback
            hook = json.load(answer)["id"]
        yield Standing(aws, github, url, hook)


def key_of_app(aws: EmbeddedAws, der: bytes, client_id: str) -> None:
    """Put the app's key where app-key.sh puts it; the script itself is tried in test_bootstrap."""
    from cryptography.hazmat.primitives.serialization import load_der_private_key  # noqa: PLC0415
    from moto.kms.models import kms_backends  # noqa: PLC0415

    kms = client(aws, "kms", credentials_of(ARTIFACTS))
    number = kms.describe_key(KeyId="alias/ecr-estate-dispatch")["KeyMetadata"]["KeyId"]
    kms.tag_resource(KeyId=number, Tags=[{"TagKey": "client-id", "TagValue": client_id}])
    held = kms_backends[ARTIFACTS][REGION].keys[number]
    vars(held.private_key)["private_key"] = load_der_private_key(der, None)
    held.key_state = "Enabled"


def test_a_ping_is_answered_and_starts_nothing(standing: Standing) -> None:
    (ping,) = standing.deliveries()
    assert (ping["event"], ping["status_code"]) == ("ping", 200)
    assert standing.github.api.runs.all() == []


def test_a_created_repository_starts_a_deployment_by_a_token_for_that_alone(
    standing: Standing,
) -> None:
    assert standing.add("checkout") == "a deployment is started"
    (run,) = standing.github.api.runs.all()
    assert (run["event"], run["status"]) == ("repository_dispatch", "queued")
    (told,) = standing.github.api.hooks.dispatches()
    assert told["client_payload"] == {"action": "created"}
    token = standing.github.tokens[-1]
    assert token.permissions == {"actions": "read", "contents": "write"}
    estate = standing.github.organisation.get("ecr-estate").id
    assert token.repositories == frozenset({estate})


def test_a_hundred_repositories_in_a_burst_start_a_few_deployments(standing: Standing) -> None:
    runs = standing.github.api.runs
    for number in range(50):
        standing.add(f"first-{number}")
    first = runs.take()
    assert first is not None
    for number in range(50):
        standing.add(f"second-{number}")
    runs.end(first)
    second = runs.take()
    if second:
        runs.end(second)
    assert runs.take() is None
    assert len(runs.all()) <= 4
    assert all(each["status_code"] in {200, 202} for each in standing.deliveries())


def test_a_change_after_a_run_has_begun_gets_a_run_of_its_own(standing: Standing) -> None:
    runs = standing.github.api.runs
    standing.add("first")
    assert runs.take() is not None
    held = HELD[ARTIFACTS, REGION, "ecr-estate-webhook"]
    assert held.process is not None
    held.process.kill()  # a new process remembers nothing, as after the seconds in which a run settles
    held.process.communicate()
    held.process = None
    assert standing.add("second") == "a deployment is started"
    assert [each["status"] for each in runs.all()] == ["in_progress", "pending"]


@pytest.mark.parametrize("signature", ["", "sha256=00", "sha1=00"])
def test_nobody_else_starts_a_deployment(standing: Standing, signature: str) -> None:
    body = json.dumps({"action": "created"}).encode()
    headers = {"X-GitHub-Event": "repository", "X-Hub-Signature-256": signature}
    with pytest.raises(HTTPError, match="401"):
        urlopen(Request(standing.url, body, headers), timeout=30)  # noqa: S310 - loopback
    assert standing.github.api.runs.all() == []


def test_what_changes_nothing_starts_nothing(standing: Standing) -> None:
    standing.github.api.hooks.happened("edited", standing.github.organisation.get("ecr-estate"))
    assert standing.deliveries()[-1]["response"]["payload"] == "nothing to do"
    assert standing.github.api.runs.all() == []


def test_without_both_permissions_the_address_lets_nobody_in(standing: Standing) -> None:
    """AWS Lambda Developer Guide, "Control access to Lambda function URLs"."""
    HELD[ARTIFACTS, REGION, "ecr-estate-webhook"].allowed.discard(("lambda:InvokeFunction", "*"))
    standing.github.organisation.add("checkout")
    assert standing.deliveries()[-1]["status_code"] == 403
