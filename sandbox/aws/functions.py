"""AWS Lambda as far as moto lacks it: functions that are made from images.

Owns the check of a function's image, and what Lambda writes into an image repository for it. Reads
moto's Lambda, which it extends by subclassing, and the registries. Never runs a function.

Sources: AWS Lambda Developer Guide, "Create a Lambda function using a container image" (Region, media
types, permissions) and AWS Lambda API Reference, CreateFunction.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from moto.awslambda import models
from moto.awslambda.exceptions import InvalidParameterValueException
from moto.ecr.models import ecr_backends

from ecr.access_proof.evaluate import Caller, decide_access
from sandbox.images import DOCKER_MANIFEST, OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.ecr.models import Image, Repository

PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What Lambda needs on an image repository."""

_URI: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<name>[a-z0-9._/-]+?)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))"
)


@contextmanager
def checked_images() -> Iterator[None]:
    """Let Lambda look at the images that functions are made from, as long as the context lasts."""
    kind = models.LambdaFunction
    models.LambdaFunction = ImageFunction  # type: ignore[misc]  # moto looks it up when it makes one
    try:
        yield
    finally:
        models.LambdaFunction = kind  # type: ignore[misc]  # as above


class ImageFunction(models.LambdaFunction):
    """A function whose image has to be there, allowed and no index."""

    def _set_function_code(self, updated_spec: dict[str, Any]) -> None:
        uri = updated_spec.get("ImageUri", "")
        image = self._image(uri) if uri else None
        super()._set_function_code(updated_spec)
        if image:
            self.code_sha_256 = image.image_digest.removeprefix("sha256:")

    def get_code(self) -> dict[str, Any]:
        """AWS Lambda API Reference, GetFunction: the image as it was resolved, by its digest."""
        answer: dict[str, Any] = super().get_code()
        if uri := answer.get("Code", {}).get("ImageUri"):
            address = re.split(r"[@:]", uri)[0]
            answer["Code"]["ResolvedImageUri"] = f"{address}@sha256:{self.code_sha_256}"
        return answer

    def _image(self, uri: str) -> Image:
        found = _URI.fullmatch(uri)
        if found is None or found["region"] != self.region:
            raise InvalidParameterValueException(
                f"Source image {uri} is not valid. Provide a valid source image."
            )
        registry = ecr_backends[found["account"]][found["region"]]
        repository = registry.repositories.get(found["name"])
        if repository is None:
            raise _missing(uri)
        self._require_permission(repository, found["account"])
        image = next(
            (
                each
                for each in repository.images
                if found["digest"] == each.image_digest or found["tag"] in each.image_tags
            ),
            None,
        )
        if image is None:
            raise _missing(uri)
        if image.image_manifest_media_type not in {DOCKER_MANIFEST, OCI_MANIFEST}:
            raise InvalidParameterValueException(
                f"The image manifest, config or layer media type for the source image {uri} is not "
                "supported."
            )
        return image

    def _require_permission(self, repository: Repository, account: str) -> None:
        """Raise unless Lambda may pull; in the function's own account it allows itself to."""
        arn = f"arn:{self.partition}:lambda:{self.region}:{self.account_id}:function:{self.function_name}"
        service = Caller("service", "lambda.amazonaws.com", context={"aws:SourceArn": arn})
        policies = [repository.policy] if repository.policy else []
        if all(
            decide_access(service, action, repository.arn, policies, account=account) == "allowed"
            for action in PULL
        ):
            return
        if account != self.account_id:
            raise InvalidParameterValueException(
                "Lambda does not have permission to access the ECR image. Check the ECR permissions."
            )
        document = json.loads(repository.policy or '{"Version": "2012-10-17", "Statement": []}')
        start = f"arn:{self.partition}:lambda:{self.region}:{self.account_id}:function:*"
        document["Statement"].append(
            {
                "Sid": "LambdaECRImageRetrievalPolicy",
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": list(PULL),
                "Condition": {"StringLike": {"aws:sourceArn": start}},
            }
        )
        repository.policy = json.dumps(document)


def _missing(uri: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Source image {uri} does not exist. Provide a valid source image."
    )
