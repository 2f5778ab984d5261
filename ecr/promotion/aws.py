"""What ECR knows of an image beyond the registry's protocol: findings, referrers, credentials.

Reads the AWS API through boto3, which is imported when the first ECR host is met. Registries that
are not ECR have no findings. Never changes anything.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ecr.errors import EstateError
from ecr.promotion.crane import Login
from ecr.registry.registry import ImageReference, Registry

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_ecr import ECRClient

FINISHED = {"COMPLETE", "ACTIVE"}
"""The states of a finished scan, basic and enhanced (Amazon ECR API Reference, "ImageScanStatus")."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of scanning one image: ``status`` is ECR's own word, or why there is none."""

    status: str
    critical: int = 0

    @property
    def finished(self) -> bool:
        """Whether the findings can be relied on."""
        return self.status in FINISHED


class Aws:
    """One side of a promotion, with the role that is assumed for it, or the environment's own."""

    def __init__(self, role: str | None = None) -> None:
        self._role = role
        self._session: Session | None = None

    def logins(self, url: str) -> Iterator[Login]:
        """Give the credentials for an image repository's host, none where it is not ECR's."""
        image = ImageReference.parse(url)
        if image:
            (data,) = self._ecr(image.registry).get_authorization_token()["authorizationData"]
            user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
            yield Login(url.partition("/")[0], user, password)

    def scan(self, url: str, digest: str) -> Scan:
        """Give the result of scanning one image."""
        image = ImageReference.parse(url)
        if image is None:
            return Scan("the registry is not ECR's")
        client = self._ecr(image.registry)
        try:
            answer = client.describe_image_scan_findings(
                registryId=image.registry.account,
                repositoryName=image.name,
                imageId={"imageDigest": digest},
            )
        except client.exceptions.ScanNotFoundException:
            return Scan("never scanned")
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return Scan(
            answer.get("imageScanStatus", {}).get("status", "PENDING"), counts.get("CRITICAL", 0)
        )

    def referrers(self, url: str, digest: str) -> list[str]:
        """Give what refers to an image, as ECR lists it; it keeps no tag with a list."""
        image = ImageReference.parse(url)
        if image is None:
            return []
        ask = partial(
            self._ecr(image.registry).list_image_referrers,
            registryId=image.registry.account,
            repositoryName=image.name,
            subjectId={"imageDigest": digest},
        )
        found: list[str] = []
        token = ""
        while True:
            answer = ask(nextToken=token) if token else ask()
            found += [each["digest"] for each in answer["referrers"]]
            token = answer.get("nextToken", "")
            if not token:
                return found

    def caller(self) -> str:
        """Give the ARN of whoever is asking."""
        arn: str = self._boto().client("sts").get_caller_identity()["Arn"]
        return arn

    def _ecr(self, registry: Registry) -> "ECRClient":
        return self._boto().client("ecr", region_name=registry.region)

    def _boto(self) -> "Session":
        if self._session is None:
            try:
                import boto3  # noqa: PLC0415 - only ECR needs it
            except ModuleNotFoundError:
                raise EstateError(
                    "boto3 is missing; nothing was changed.",
                    ["boto3: ECR is asked through it; install it into this environment"],
                ) from None
            self._session = boto3.Session()
            if self._role:
                keys = self._session.client("sts").assume_role(
                    RoleArn=self._role, RoleSessionName="ecr-promotion"
                )["Credentials"]
                self._session = boto3.Session(
                    aws_access_key_id=keys["AccessKeyId"],
                    aws_secret_access_key=keys["SecretAccessKey"],
                    aws_session_token=keys["SessionToken"],
                )
        return self._session
