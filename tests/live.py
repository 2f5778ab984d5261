"""A live registry for the operator's commands: the embedded AWS behind boto3's own environment."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.aws import EmbeddedAws
from tests.builders import outputs_file

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

ARTIFACTS = "111111111111"
LAMBDA = "222222222222"
REGION = "eu-west-1"
REGISTRY = f"{ARTIFACTS}/{REGION}"
ROLE = "ecr-estate-operate"
DAY = 86_400
IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Live:
    """The embedded AWS, its registries, and the options by which a command reaches them."""

    def __init__(self, folder: Path, aws: EmbeddedAws) -> None:
        self._folder = folder
        self.aws = aws
        self.client = cache(self._client)
        self.options = ["--registry", REGISTRY, "--role-name", ROLE]

    def _client(self, service: str, account: str = ARTIFACTS, region: str = REGION) -> Any:
        role = f"arn:aws:iam::{account}:role/{ROLE}"
        sts = boto3.client("sts", region_name=region)
        keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region
        )
        return session.client(service)  # type: ignore[call-overload] # any service

    def ecr(self, account: str = ARTIFACTS, region: str = REGION) -> "ECRClient":
        client: ECRClient = self.client("ecr", account, region)
        return client

    def function_role(self, account: str) -> str:
        """Make the role that a function needs, and give its name."""
        iam = self.client("iam", account)
        trust = {"Version": "2012-10-17", "Statement": []}
        if not iam.list_roles()["Roles"]:
            iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))
        return "function"

    def push(
        self,
        name: str,
        tag: str = "",
        *,
        days_ago: float = 0,
        account: str = ARTIFACTS,
        parts: tuple[str, ...] = (),
    ) -> str:
        """Push an image whose manifest is its tag's own, and give its digest."""
        media_type = INDEX if parts else IMAGE
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "manifests": [{"digest": part, "mediaType": IMAGE} for part in parts],
                "annotations": {"name": name, "tag": tag},
            }
        )
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        self.ecr(account).put_image(
            repositoryName=name, imageManifest=manifest, **({"imageTag": tag} if tag else {})
        )
        self.age(name, digest, days_ago, account)
        return digest

    def age(self, name: str, digest: str, days: float, account: str = ARTIFACTS) -> None:
        """Move a push into the past, which no API can."""
        image = self.aws.registry(account, REGION).image(name, {"imageDigest": digest})
        image.image_pushed_at -= round(days * DAY)

    def outputs(self, placements: dict[str, list[str]], replicas: dict[str, list[str]]) -> str:
        """Write the stack's outputs for image repositories in accounts, and give the file."""

        def urls(names: dict[str, list[str]]) -> dict[str, list[str]]:
            host = f"dkr.ecr.{REGION}.amazonaws.com"
            return {
                name: [f"{account}.{host}/{name}" for account in accounts]
                for name, accounts in names.items()
            }

        accounts = {each for held in (*placements.values(), *replicas.values()) for each in held}
        file = outputs_file(
            self._folder,
            report={"registries": [f"{each}/{REGION}" for each in sorted(accounts)]},
            imageRepositories=urls(placements),
            replicas=urls(replicas),
        )
        return str(file)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Live]:
    with EmbeddedAws() as running:
        for key, value in {
            "AWS_ENDPOINT_URL": running.url,
            "AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000000",
            "AWS_SECRET_ACCESS_KEY": "embedded-aws-takes-any-key",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(key, value)
        for key in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
            monkeypatch.delenv(key, raising=False)
        yield Live(tmp_path, running)
