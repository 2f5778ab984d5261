"""An image as ECR describes it.

Owns the reading of one entry of imageDetails. Reads nothing by itself. Needs only the standard
library, so that it runs wherever Python does, a browser included.

Source: Amazon ECR API Reference, "ImageDetail".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

StorageClass = Literal["standard", "archive"]

LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types of manifests that name other manifests."""

MANIFESTS = (
    *LISTS,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Media types of all manifests that ECR stores."""

ACTIVE = "ACTIVE"
"""The imageStatus of an image that can be pulled; ARCHIVED and ACTIVATING ones cannot."""

_LATEST = 253_402_300_800
"""The year 10000, which no date can show."""


class Image(NamedTuple):
    """One image. Times are seconds since 1970; ``tags`` are empty for an untagged image.

    ``parts`` are the digests of a manifest list's images: empty for an image that is no list, None
    for a list of which they are not known. ``subject`` is what a signature or another artifact refers
    to. ``restoring`` is an image that comes back from the archive, and cannot be pulled yet; its
    storage class is still the archive. Many fields have a default, for a million images have to fit.
    """

    digest: str
    pushed_at: float
    tags: tuple[str, ...] = ()
    pulled_at: float | None = None
    storage_class: StorageClass = "standard"
    archived_at: float | None = None
    activated_at: float | None = None
    subject: str | None = None
    parts: tuple[str, ...] | None = ()
    restoring: bool = False

    @property
    def pullable(self) -> bool:
        """Return whether it can be pulled: what is archived, or being restored, cannot."""
        return self.storage_class == "standard"


_USUAL = tuple(Image("", 0.0))[3:]
"""The other fields of an image of which nothing more is said."""

_RARE = frozenset(
    {
        "imageStatus",
        "parts",
        "lastRecordedPullTime",
        "lastArchivedAt",
        "lastActivatedAt",
        "subjectManifestDigest",
        "imageManifestMediaType",
    }
)
"""The keys of an entry that say more of an image than its digest, its push and its tags."""


def image_of(detail: Mapping[str, Any]) -> Image:
    """Return the image of one entry of imageDetails; beyond ECR's keys it may have `parts`.

    Raises KeyError, TypeError, ValueError or OverflowError for an entry that is no image.
    """
    get = detail.get
    if _RARE.isdisjoint(detail):
        # Not by its own constructor, which takes as long as all else here, a million times over.
        return tuple.__new__(
            Image,
            (
                as_text(detail["imageDigest"]),
                _moment(detail["imagePushedAt"]),
                _texts(get("imageTags")),
                *_USUAL,
            ),
        )
    status = get("imageStatus")
    parts = get("parts")
    return Image(
        as_text(detail["imageDigest"]),
        _moment(detail["imagePushedAt"]),
        _texts(get("imageTags")),
        _moment(pulled) if (pulled := get("lastRecordedPullTime")) is not None else None,
        "standard" if status is None or status == ACTIVE else "archive",
        _moment(archived) if (archived := get("lastArchivedAt")) is not None else None,
        _moment(activated) if (activated := get("lastActivatedAt")) is not None else None,
        as_text(subject) if (subject := get("subjectManifestDigest")) is not None else None,
        _texts(parts) if parts else None if get("imageManifestMediaType") in LISTS else (),
        status == "ACTIVATING",
    )


def as_text(value: object) -> str:
    """Return a text as it is. Raises TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{value!r} is no list")
    for each in value:
        if not isinstance(each, str):
            raise TypeError(f"{each!r} is no text")
    return tuple(value)


def _moment(value: datetime | str | float) -> float:
    """Read a time as the SDKs and the command line give it; without a zone it is UTC."""
    if isinstance(value, (int, float)):
        moment = float(value)
    else:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if not 0 <= moment < _LATEST:
        raise ValueError(f"{value!r} is no time of this world")
    return moment
