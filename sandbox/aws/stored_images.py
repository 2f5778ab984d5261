"""One image of the embedded ECR: its manifest, tags, storage class and times.

Owns what ECR reads from a manifest, and what DescribeImages says of an image. Reads nothing but
that. Never decides whether a request about it is refused.

Sources: Amazon ECR API Reference, PutImage and ImageDetail; OCI Image Format Specification, "Image
Manifest" and "Image Index".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.ecr.models import Image

if TYPE_CHECKING:
    from sandbox.aws.scanning import Scan

LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACTIVE, ARCHIVED, ACTIVATING = "ACTIVE", "ARCHIVED", "ACTIVATING"


class StoredImage(Image):
    """An image as moto has it, and what ECR knows besides. Times are seconds since 1970."""

    def __init__(
        self,
        account: str,
        repository: str,
        manifest: str,
        media_type: str,
        digest: str,
        *,
        pushed_at: float,
    ) -> None:
        # Moto's own value for an image without a tag, whatever it declares.
        super().__init__(account, None, manifest, repository, media_type, digest)  # type: ignore[arg-type]
        content = json.loads(manifest)
        self.image_pushed_at = int(pushed_at)
        self.parts = tuple(each["digest"] for each in content.get("manifests") or ())
        self.subject: str | None = (content.get("subject") or {}).get("digest")
        self.artifact_type: str | None = content.get("artifactType") or (
            content.get("config") or {}
        ).get("mediaType")
        # Layers that lie elsewhere, as those of Windows, are not pushed.
        self.blobs: dict[str, int] = {
            each["digest"]: each.get("size", 0)
            for each in (content.get("config"), *(content.get("layers") or ()))
            if each and not each.get("urls")
        }
        self.largest_part = 0
        self.annotations: dict[str, str] = content.get("annotations") or {}
        self.status = ACTIVE
        self.archived_at: float | None = None
        self.activated_at: float | None = None
        self.pulled_at: float | None = None
        self.scan: Scan | None = None

    def get_image_size_in_bytes(self) -> int:
        """Return the bytes of what is compressed in it; of an index those of its largest part.

        Amazon ECR API Reference, ImageDetail. Moto gives the size of the configuration instead.
        """
        return self.largest_part if self.parts else sum(self.blobs.values())

    def detail(self) -> dict[str, Any]:
        """Return what DescribeImages says of it.

        Without imageScanStatus and imageScanFindingsSummary, which ECR's own basic scanning does not
        fill (Amazon ECR API Reference, DescribeImages).
        """
        facts = {
            "registryId": self.registry_id,
            "repositoryName": self.repository_name,
            "imageDigest": self.image_digest,
            "imageTags": list(self.image_tags),
            "imageSizeInBytes": self.image_size_in_bytes or 0,
            "imagePushedAt": self.image_pushed_at,
            "imageManifestMediaType": self.image_manifest_media_type,
            "artifactMediaType": self.artifact_type,
            "lastRecordedPullTime": self.pulled_at,
            "subjectManifestDigest": self.subject,
            "imageStatus": self.status,
            "lastArchivedAt": self.archived_at,
            "lastActivatedAt": self.activated_at,
        }
        return {name: value for name, value in facts.items() if value is not None and value != []}
