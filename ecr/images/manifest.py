"""What an image's manifest says: its parts, its configuration, and what it refers to.

Owns the reading of a manifest's text. Reads nothing by itself, and trusts nothing of what it reads:
a manifest is written by whoever pushed it. Needs only the standard library.

Sources: OCI Image Format Specification, "Image Index" and "Image Manifest"; BuildKit documentation,
"Image attestation storage"; OCI Distribution Specification, "Pulling manifests".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecr.images.image import LISTS

IMAGE_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
"""Media types of the configuration of an image that runs; runtimes refuse all others."""

ATTESTATION_LAYER = "application/vnd.in-toto+json"
"""The media type of what BuildKit attests (BuildKit documentation, "Image attestation storage")."""

_UNPACKED = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
"""How the media types of layers begin that a runtime unpacks into a file system (OCI Image Format
Specification, "Image Layer Filesystem Changeset"; Docker, "Image Manifest V2, Schema 2")."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_ATTESTATION = "attestation-manifest"
_MOST_BYTES = 4 * 1024 * 1024
"""Bytes of a manifest at the most (OCI Distribution Specification, "Pushing manifests")."""


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a manifest list.

    ``platform`` is such as "linux/arm64/v8", or "" where the list names none. ``attests`` is the
    digest of the part that BuildKit's attestation is about, "" for every other part.
    """

    digest: str
    media_type: str = ""
    platform: str = ""
    attests: str = ""

    @property
    def is_list(self) -> bool:
        """Return whether the part is a manifest list itself."""
        return self.media_type in LISTS

    @property
    def is_note(self) -> bool:
        """Return whether it is listed as an attestation, of a platform that no node has.

        A part that is marked so and names a platform is pulled by the nodes of that platform.
        """
        return bool(self.attests) and self.platform == "unknown/unknown"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One manifest. ``config`` is the digest of an image's configuration, also called its image id.

    ``subject`` is the digest of what it refers to; ``artifact_type`` says what kind of thing it is,
    where it is no image that runs. All are "" where the manifest has none.
    """

    media_type: str
    parts: tuple[Part, ...] = ()
    config: str = ""
    subject: str = ""
    artifact_type: str = ""

    @property
    def is_list(self) -> bool:
        """Return whether it names other manifests."""
        return self.media_type in LISTS


def parse_manifest(text: str, media_type: str = "") -> Manifest:
    """Read a manifest. ``media_type`` is what the registry says where the text itself does not.

    Raises ValueError for what is no manifest: a half-understood one would hide what runs.
    """
    if len(text) > _MOST_BYTES:
        raise ValueError(f"it has {len(text)} characters, and a manifest at most {_MOST_BYTES}")
    try:
        read = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(read, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one error for all that is wrong
    own = read.get("mediaType", "")
    entries = read.get("manifests", [])
    if not isinstance(own, str) or not isinstance(entries, list):
        raise ValueError("its mediaType is no text, or its manifests are no list")  # noqa: TRY004 - as above
    kind = own or media_type or (LISTS[0] if "manifests" in read else "")
    config = read.get("config")
    artifact = read.get("artifactType") or (config or {}).get("mediaType", "")
    return Manifest(
        kind,
        tuple(_part(entry) for entry in entries),
        _digest(config) if config else "",
        _digest(read["subject"]) if read.get("subject") else "",
        artifact if isinstance(artifact, str) else "",
    )


def stored_blobs(text: str) -> dict[str, int]:
    """Return what an image's manifest stores beside itself: bytes by digest, each once.

    Raises ValueError where it does not say of every layer how large it is, or is no image's manifest.
    """
    read = json.loads(text)
    entries = [*(read.get("layers") or ()), *filter(None, [read.get("config")])]
    found = {_digest(each): each.get("size") for each in entries}
    if not found or not all(type(size) is int and size >= 0 for size in found.values()):
        raise ValueError("it does not say how large its layers are")
    return found


def can_run(manifest: Mapping[str, Any]) -> bool:
    """Whether a runtime could start what a manifest describes, whatever it was pushed as.

    Signatures and attestations have the configuration of an image too, but no file systems. A
    manifest that leaves a media type out could be either, and is taken for one that runs.
    """
    if "fsLayers" in manifest:  # Docker, "Image Manifest V2, Schema 1"
        return True
    config = _media_type(manifest.get("config"))
    layers = manifest.get("layers") or ()
    return (not config or config in IMAGE_CONFIGS) and any(
        not kind or kind.startswith(_UNPACKED) for kind in map(_media_type, layers)
    )


def attests(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest holds attestations in the format of in-toto, and nothing else."""
    layers = manifest.get("layers") or ()
    return bool(layers) and all(_media_type(each) == ATTESTATION_LAYER for each in layers)


def _media_type(entry: object) -> str:
    kind = entry.get("mediaType", "") if isinstance(entry, Mapping) else ""
    return kind if isinstance(kind, str) else ""


def _part(entry: Any) -> Part:  # noqa: ANN401 - JSON that somebody pushed
    digest = _digest(entry)
    annotations = entry.get("annotations") or {}
    attests = ""
    if isinstance(annotations, Mapping) and annotations.get(_REFERENCE_TYPE) == _ATTESTATION:
        attests = str(annotations.get(_REFERENCE_DIGEST, ""))
    media_type = entry.get("mediaType", "")
    return Part(
        digest,
        media_type if isinstance(media_type, str) else "",
        _platform(entry.get("platform")),
        attests,
    )


def _platform(platform: Any) -> str:  # noqa: ANN401 - JSON that somebody pushed
    if not isinstance(platform, Mapping):
        return ""
    named = (platform.get(key, "") for key in ("os", "architecture", "variant"))
    return "/".join(str(each) for each in named if each)


def _digest(entry: Any) -> str:  # noqa: ANN401 - JSON that somebody pushed
    digest = entry.get("digest") if isinstance(entry, Mapping) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ValueError(f"it names {digest!r}, which is no digest")
    return digest
