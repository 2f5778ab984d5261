"""The registries of an embedded AWS, and clients that are logged in to them by their real addresses."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.aws import EmbeddedAws
from sandbox.images import Layout
from sandbox.toolchain import ToolchainError
from sandbox.toolchain.tools import CRANE, REGISTRY, Tool, ensure_tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_ecr import ECRClient

    from sandbox.aws.distribution import Distribution

ACCOUNT = EmbeddedAws.default_account
REGION = "eu-west-1"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
REPOSITORY = f"{HOST}/checkout"


def built(tool: Tool) -> Path:
    """Return a tool that every machine with Go has; skip by its name where there is none."""
    try:
        return ensure_tool(tool, print)
    except ToolchainError as error:
        pytest.skip(f"{tool.name}: {error}")


@dataclass
class Registries:
    """The embedded registries, as a machine meets them that has their addresses and a login."""

    aws: EmbeddedAws
    distribution: Distribution
    folder: Path
    layouts: int = 0
    variables: dict[str, str] = field(default_factory=dict)

    def ecr(self, account: str = ACCOUNT, region: str = REGION) -> ECRClient:
        keys: dict[str, Any] = {"AccessKeyId": "AKIASANDBOX000000000", "SecretAccessKey": "any"}
        if account != ACCOUNT:
            sts = boto3.client("sts", **self._settings(region, keys))
            role = f"arn:aws:iam::{account}:role/pusher"
            keys = dict(sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"])
        return boto3.client("ecr", **self._settings(region, keys))

    def _settings(self, region: str, keys: dict[str, Any]) -> dict[str, Any]:
        return {
            "region_name": region,
            "endpoint_url": self.aws.url,
            "aws_access_key_id": keys["AccessKeyId"],
            "aws_secret_access_key": keys["SecretAccessKey"],
            "aws_session_token": keys.get("SessionToken"),
        }

    def client(self, service: str) -> Any:
        """Give a client of another service, of the first account."""
        keys = {"AccessKeyId": "AKIASANDBOX000000000", "SecretAccessKey": "any"}
        return boto3.client(service, **self._settings(REGION, keys))  # type: ignore[call-overload]

    def password(self, account: str = ACCOUNT, region: str = REGION) -> str:
        (data,) = self.ecr(account, region).get_authorization_token()["authorizationData"]
        return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def log_in(self, account: str = ACCOUNT, region: str = REGION) -> None:
        """Write what `docker login` writes, by the real address of a registry and by its port."""
        file = self.folder / "docker/config.json"
        file.parent.mkdir(exist_ok=True)
        config = json.loads(file.read_text()) if file.exists() else {"auths": {}}
        login = base64.b64encode(f"AWS:{self.password(account, region)}".encode()).decode()
        for host in (
            f"{account}.dkr.ecr.{region}.amazonaws.com",
            self.distribution.address(account, region),
        ):
            config["auths"][host] = {"auth": login}
        file.write_text(json.dumps(config))

    @property
    def environment(self) -> dict[str, str]:
        """What a client finds: the way to the registries, and the logins."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DOCKER_CONFIG": str(self.folder / "docker"),
            **self.distribution.variables,
            **self.variables,
        }

    def run(
        self, *command: str | Path, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def crane(self, *arguments: str | Path) -> str:
        done = self.run(built(CRANE), *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def layout(self) -> Layout:
        """Return an empty folder for an image."""
        self.layouts += 1
        return Layout(self.folder / f"layout-{self.layouts}")

    def push(self, reference: str, content: str = "first", *, provenance: bool = False) -> str:
        """Push an image as Docker makes it, and return its digest."""
        layout = self.layout()
        digest = (
            layout.index(content, "linux/amd64", provenance=True)
            if provenance
            else layout.plain(content)
        )
        self.crane("push", layout.folder, reference)
        return digest

    def digests(self, repository: str = "checkout", account: str = ACCOUNT) -> dict[str, str]:
        """Return the digest of each tag, as ECR's API has it."""
        images = self.ecr(account).describe_images(repositoryName=repository)["imageDetails"]
        return {tag: image["imageDigest"] for image in images for tag in image.get("imageTags", ())}


@pytest.fixture
def registries(tmp_path: Path) -> Iterator[Registries]:
    """An embedded AWS with the image repository `checkout`, whose tags are fixed, and a login."""
    from sandbox.aws.distribution import Distribution  # noqa: PLC0415 - with moto, a second

    binary = built(REGISTRY)
    with (
        EmbeddedAws() as aws,
        Distribution(aws.url, binary, clock=aws.world.clock.now) as distribution,
    ):
        found = Registries(aws, distribution, tmp_path)
        found.ecr().create_repository(repositoryName="checkout", imageTagMutability="IMMUTABLE")
        found.log_in()
        yield found
