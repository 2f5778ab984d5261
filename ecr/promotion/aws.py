"""What ECR knows of an image beyond the registry's protocol: findings, referrers, credentials.

Asks AWS's API as every command does (ecr.aws.session), and only about hosts of ECR: other registries
have no findings. Never changes anything.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.errors import EstateError
from ecr.promotion.crane import Login
from ecr.registry.registry import ImageReference

FINISHED = {"COMPLETE", "ACTIVE"}
"""The states of a finished scan, basic and enhanced (Amazon ECR API Reference, "ImageScanStatus")."""


@dataclass(frozen=True, slots=True)
class ScanState:
    """The result of scanning one image: ``status`` is ECR's own word, or why there is none."""

    status: str
    critical: int = 0

    @property
    def finished(self) -> bool:
        """Return whether the findings can be relied on."""
        return self.status in FINISHED


class Side:
    """One side of a promotion, with the credentials for the accounts of its registries."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def logins(self, url: str) -> Iterator[Login]:
        """Yield the credentials for an image repository's host, none where it is not ECR's."""
        image = ImageReference.parse(url)
        if image:
            ecr = self._aws.ecr(image.registry)
            with aws_errors_as(f"logging in to {image.registry.key}"):
                (data,) = ecr.get_authorization_token()["authorizationData"]
            user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
            yield Login(url.partition("/")[0], user, password)

    def scan(self, url: str, digest: str) -> ScanState:
        """Return the result of scanning one image."""
        image = ImageReference.parse(url)
        if image is None:
            return ScanState("the registry is not ECR's")
        ecr = self._aws.ecr(image.registry)
        try:
            with aws_errors_as(
                f"reading the findings of {image.registry.key}/{image.name}@{digest}"
            ):
                answer = ecr.describe_image_scan_findings(
                    registryId=image.registry.account,
                    repositoryName=image.name,
                    imageId={"imageDigest": digest},
                )
        except EstateError as error:
            if is_refusal(error, "ScanNotFoundException"):
                return ScanState("never scanned")
            raise
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return ScanState(
            answer.get("imageScanStatus", {}).get("status", "PENDING"), counts.get("CRITICAL", 0)
        )

    def referrers(self, url: str, digest: str) -> list[str]:
        """Return what refers to an image, as ECR lists it; it keeps no tag with a list.

        boto3 has no paginator for it.
        """
        image = ImageReference.parse(url)
        if image is None:
            return []
        ask = partial(
            self._aws.ecr(image.registry).list_image_referrers,
            registryId=image.registry.account,
            repositoryName=image.name,
            subjectId={"imageDigest": digest},
        )
        found: list[str] = []
        token = ""
        while True:
            with aws_errors_as(
                f"listing what refers to {image.registry.key}/{image.name}@{digest}"
            ):
                answer = ask(nextToken=token) if token else ask()
            found += [each["digest"] for each in answer["referrers"]]
            token = answer.get("nextToken", "")
            if not token:
                return found

    def caller(self, url: str) -> str | None:
        """Return the ARN of whoever works in an image repository's account; None if not in ECR."""
        image = ImageReference.parse(url)
        return self._aws.caller(image.registry) if image else None
