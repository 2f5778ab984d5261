"""What pushing and pulling by the OCI protocol rests on in ECR's API: logins and layers.

Owns the tokens of GetAuthorizationToken and the bytes of layers. Reads moto's ECR, which it extends by
subclassing. Never speaks the protocol itself: sandbox/aws/distribution.py does, through this API.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast
from urllib.parse import urlencode

from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, ecr_backends
from moto.ecr.responses import ECRResponse
from moto.iam.models import get_account_id_from

from sandbox.aws.refusals import EcrRefusal
from sandbox.aws.world import World

if TYPE_CHECKING:
    from moto.ecr.models import Repository

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
            expires=cast("LayerKeeper", self.ecr_backend).now() + LIFETIME,
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
        digest, registry = self._get_param("layerDigest"), cast("LayerKeeper", self.ecr_backend)
        url = registry.download_url(
            self._get_param("repositoryName"), digest, self._get_param("registryId")
        )
        return ActionResult({"layerDigest": digest, "downloadUrl": url})


class LayerKeeper(ECRBackend):
    """A registry that keeps the layers it is given."""

    world: ClassVar = World()

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.layer_bytes: dict[str, bytes] = {}

    def now(self) -> float:
        """Return the time of this AWS."""
        return self.world.clock.now()

    @staticmethod
    def holds_layer(repository: Repository, digest: str) -> bool:
        """Return whether a layer, or an image's configuration, was uploaded or came with a replica."""
        return digest in repository.layers

    def complete_layer_upload(
        self,
        repository_name: str,
        upload_id: str,
        layer_digests: list[str],
        registry_id: str | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, CompleteLayerUpload: the bytes of the layer are kept."""
        upload = self._get_repository(repository_name, registry_id).uploads[upload_id]
        content = bytes(upload.layer_parts)
        answer = super().complete_layer_upload(
            repository_name, upload_id, layer_digests, registry_id
        )
        self.layer_bytes[f"sha256:{hashlib.sha256(content).hexdigest()}"] = content
        return answer

    def download_url(self, repository_name: str, digest: str, registry_id: str | None) -> str:
        """Amazon ECR API Reference, GetDownloadUrlForLayer."""
        if not self.holds_layer(self._get_repository(repository_name, registry_id), digest):
            raise EcrRefusal(
                "LayersNotFoundException",
                f"The repository '{repository_name}' has no layer {digest}",
            )
        return download_url(self.region_name, digest, self.now())
