"""What pushing and pulling by the OCI protocol rests on in ECR's API: logins, layers and referrers.

Owns the tokens of GetAuthorizationToken and the bytes of layers. Reads moto's ECR, which it extends by
subclassing. Never speaks the protocol itself: sandbox/aws/distribution.py does, through this API.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, cast
from urllib.parse import urlencode

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, ecr_backends
from moto.ecr.responses import ECRResponse
from moto.iam.models import get_account_id_from

LIFETIME: Final = 12 * 60 * 60
"""Seconds that a token is valid (Amazon ECR API Reference, GetAuthorizationToken)."""

DOWNLOADABLE: Final = 60 * 60
"""Seconds that a layer's URL is valid."""

_SEAL: Final = secrets.token_bytes(32)
"""Tokens of another process are no tokens here."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who logged in to a registry by a token, and where and until when it is one.

    ``key`` and ``session`` are the caller's access key and session token: whoever shows the token
    is the caller, with the caller's permissions ("Private registry authentication in Amazon
    ECR"). ``expires`` is in seconds since 1970.
    """

    account: str
    region: str
    key: str
    session: str
    expires: float

    def password(self) -> str:
        """Return what `aws ecr get-login-password` prints for this login."""
        content = base64.urlsafe_b64encode(json.dumps(asdict(self)).encode())
        return f"{content.decode()}.{_mac(content)}"


def login_of(password: str) -> Login | None:
    """Return the login that a password stands for, expired or not; None where it is of no token."""
    content, _, mac = password.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(content.encode()).encode()):
        return None
    return Login(**json.loads(base64.urlsafe_b64decode(content)))


def download_url(region: str, digest: str, now: float) -> str:
    """Return where a layer can be had for an hour by whoever has the URL.

    It is a presigned URL of Amazon S3, of the bucket that ECR keeps layers in ("Amazon ECR interface VPC
    endpoints", "Minimum Amazon S3 bucket permissions for Amazon ECR").
    """
    expires = str(int(now) + DOWNLOADABLE)
    query = urlencode({"expires": expires, "signature": _mac(f"{digest} {expires}".encode())})
    return f"https://prod-{region}-starport-layer-bucket.s3.{region}.amazonaws.com/{digest}?{query}"


def downloadable(digest: str, expires: str, signature: str, now: float) -> bool:
    """Return whether what a URL carries is what `download_url` gave, and still valid."""
    actual = _mac(f"{digest} {expires}".encode())
    return hmac.compare_digest(signature.encode(), actual.encode()) and now < int(expires)


def _mac(content: bytes) -> str:
    return hmac.new(_SEAL, content, hashlib.sha256).hexdigest()


def layer_of(digest: str) -> bytes | None:
    """Return the bytes of a layer that any registry was given through the API, None where none was."""
    registries = (each for account in list(ecr_backends.values()) for each in account.values())
    found = (each.layer_bytes.get(digest) for each in registries if isinstance(each, LayerKeeper))
    return next((each for each in found if each is not None), None)


class LayerRefusal(ServiceException):
    """An error of ECR about layers that moto has no class for."""


class PushingResponse(ECRResponse):
    """The operations that a client's login and its layers are made of."""

    def get_authorization_token(self) -> ActionResult:
        """Amazon ECR API Reference, GetAuthorizationToken; `registryIds` is deprecated there."""
        account = self.current_account
        key = self.access_key
        login = Login(
            account=get_account_id_from(key),
            region=self.region,
            key=key,
            session=self.headers.get("X-Amz-Security-Token", ""),
            expires=time.time() + LIFETIME,
        )
        registries = self._get_param("registryIds") or [account]
        token = base64.b64encode(f"AWS:{login.password()}".encode()).decode()
        return ActionResult(
            {
                "authorizationData": [
                    {
                        "authorizationToken": token,
                        "expiresAt": login.expires,
                        "proxyEndpoint": f"https://{registry}.dkr.ecr.{self.region}.amazonaws.com",
                    }
                    for registry in registries
                ]
            }
        )

    def get_download_url_for_layer(self) -> ActionResult:  # type: ignore[override]  # moto lacks it
        """Amazon ECR API Reference, GetDownloadUrlForLayer."""
        name, digest = self._get_param("repositoryName"), self._get_param("layerDigest")
        registry = cast("LayerKeeper", self.ecr_backend)
        found = registry.batch_check_layer_availability(
            name, [digest], self._get_param("registryId")
        )
        if found["failures"]:
            raise LayerRefusal(
                "LayersNotFoundException", f"The repository '{name}' has no layer {digest}"
            )
        url = download_url(self.region, digest, time.time())
        return ActionResult({"layerDigest": digest, "downloadUrl": url})

    def list_image_referrers(self) -> ActionResult:
        """Amazon ECR API Reference, ListImageReferrers, in one page."""
        registry = cast("LayerKeeper", self.ecr_backend)
        (repository,) = registry.describe_repositories(
            self._get_param("registryId"), [self._get_param("repositoryName")]
        )
        subject = self._get_param("subjectId")["imageDigest"]
        types = self._get_param("filter", {}).get("artifactTypes")
        found = []
        for image in repository.images:
            manifest = json.loads(image.image_manifest)
            kind = manifest.get("artifactType") or manifest.get("config", {}).get("mediaType")
            if manifest.get("subject", {}).get("digest") == subject and (
                not types or kind in types
            ):
                found.append(
                    {
                        "digest": image.image_digest,
                        "mediaType": image.image_manifest_media_type,
                        "artifactType": kind,
                        "size": len(image.image_manifest.encode()),
                        "annotations": manifest.get("annotations", {}),
                        "artifactStatus": "ACTIVE",
                    }
                )
        return ActionResult({"referrers": found})


class LayerKeeper(ECRBackend):
    """A registry that keeps the layers it is given."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.layer_bytes: dict[str, bytes] = {}

    def complete_layer_upload(
        self,
        repository_name: str,
        upload_id: str,
        layer_digests: list[str],
        registry_id: str | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, CompleteLayerUpload: the digest must be that of the parts."""
        upload = self._get_repository(repository_name, registry_id).uploads.get(upload_id)
        content = bytes(upload.layer_parts) if upload else b""
        actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if upload and actual not in layer_digests:
            raise LayerRefusal(
                "InvalidLayerException",
                f"The layer digest {', '.join(layer_digests)} does not match the layer's, {actual}",
            )
        answer = super().complete_layer_upload(
            repository_name, upload_id, layer_digests, registry_id
        )
        self.layer_bytes[actual] = content
        return answer

    def batch_check_layer_availability(
        self, repository_name: str, layer_digests: list[str], registry_id: str | None = None
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, BatchCheckLayerAvailability.

        Layers that came with an image, as replication brings it, are there as well.
        """
        repository = self._get_repository(repository_name, registry_id)
        for image in repository.images:
            for digest, size in _parts(image.image_manifest).items():
                repository.layers.setdefault(digest, size)
        return super().batch_check_layer_availability(repository_name, layer_digests, registry_id)


def _parts(manifest: str) -> dict[str, int]:
    """Return the digests and sizes of the blobs that a manifest is made of."""
    content = json.loads(manifest)
    parts = [content.get("config") or {}, *(content.get("layers") or [])]
    return {each["digest"]: each.get("size", 0) for each in parts if "digest" in each}
