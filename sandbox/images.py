"""Images as Docker makes them, small ones: the sandbox has no daemon that could build.

Owns what they consist of. Writes folders in the OCI image layout, which clients push as they are
(OCI Image Specification, "Image Layout"). Never speaks with a registry.
"""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_CREATED = "2026-11-27T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Blob:
    """Where a layout has something, and what it is: a descriptor of the specification."""

    media_type: str
    digest: str
    size: int

    def descriptor(self, **more: object) -> dict[str, Any]:
        """Return it as manifests name it, with further members."""
        about = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return about | more


class Layout:
    """One folder with one image in it, for a client to push."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def plain(
        self, content: str, *, platform: str = "linux/amd64", media_type: str = DOCKER_MANIFEST
    ) -> str:
        """Put in a manifest alone, as `docker build --provenance=false` gives it; return its digest.

        Docker 28 writes its own media types, the containerd image store of Docker 29 those of OCI.
        """
        return self._name(self._manifest(content, platform, media_type=media_type))

    def index(self, content: str, *platforms: str, provenance: bool) -> str:
        """Put in an index of one manifest for each platform; return its digest.

        With provenance, each has an attestation beside it. BuildKit makes that unless it is told
        `--provenance=false`: with Docker 29, whose image store is containerd's, for one platform as well
        (Docker documentation, "Provenance attestations").
        """
        members = []
        for platform in platforms:
            system, _, architecture = platform.partition("/")
            image = self._manifest(content, platform, media_type=OCI_MANIFEST)
            members.append(image.descriptor(platform={"os": system, "architecture": architecture}))
            if not provenance:
                continue
            members.append(
                self._attestation(image).descriptor(
                    platform={"os": "unknown", "architecture": "unknown"},
                    annotations={
                        "vnd.docker.reference.digest": image.digest,
                        "vnd.docker.reference.type": "attestation-manifest",
                    },
                )
            )
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": members}
        return self._name(self._json(OCI_INDEX, index))

    def signature(self, content: str, *, subject: dict[str, Any] | None = None) -> str:
        """Put in a signature as cosign makes it; return its digest.

        ``subject`` is the descriptor of what it refers to; without it a tag says that (cosign,
        "Specification").
        """
        config = self._json("application/vnd.oci.image.config.v1+json", {"created": _CREATED})
        layer = self._bytes("application/vnd.dev.cosign.simplesigning.v1+json", content.encode())
        made = _made_of(OCI_MANIFEST, config, layer.descriptor())
        if subject:
            made |= {"subject": subject}
        return self._name(self._json(OCI_MANIFEST, made))

    def _manifest(self, content: str, platform: str, *, media_type: str) -> Blob:
        system, _, architecture = platform.partition("/")
        docker = media_type == DOCKER_MANIFEST
        archive = _archive(content)
        config = {
            "architecture": architecture,
            "os": system,
            "created": _CREATED,
            "config": {"Cmd": ["/content"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive)]},
            "history": [{"created": _CREATED, "created_by": "COPY content / # buildkit"}],
        }
        kept = self._json(
            "application/vnd.docker.container.image.v1+json"
            if docker
            else "application/vnd.oci.image.config.v1+json",
            config,
        )
        layer = self._bytes(
            "application/vnd.docker.image.rootfs.diff.tar.gzip"
            if docker
            else "application/vnd.oci.image.layer.v1.tar+gzip",
            gzip.compress(archive, mtime=0),
        )
        return self._json(media_type, _made_of(media_type, kept, layer.descriptor()))

    def _attestation(self, image: Blob) -> Blob:
        kind = "https://slsa.dev/provenance/v1"
        statement = {
            "_type": "https://in-toto.io/Statement/v0.1",
            "predicateType": kind,
            "subject": [{"name": "image", "digest": {"sha256": image.digest[7:]}}],
            "predicate": {},
        }
        said = self._json("application/vnd.in-toto+json", statement)
        config = self._json(
            "application/vnd.oci.image.config.v1+json",
            {
                "architecture": "unknown",
                "os": "unknown",
                "rootfs": {"type": "layers", "diff_ids": [said.digest]},
            },
        )
        layer = said.descriptor(annotations={"in-toto.io/predicate-type": kind})
        return self._json(OCI_MANIFEST, _made_of(OCI_MANIFEST, config, layer))

    def _json(self, media_type: str, value: object) -> Blob:
        return self._bytes(media_type, json.dumps(value).encode())

    def _bytes(self, media_type: str, content: bytes) -> Blob:
        blob = Blob(media_type, _digest(content), len(content))
        (self.folder / "blobs/sha256" / blob.digest[7:]).write_bytes(content)
        return blob

    def _name(self, image: Blob) -> str:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [image.descriptor()]}
        (self.folder / "index.json").write_text(json.dumps(index))
        return image.digest


def _made_of(media_type: str, config: Blob, layer: dict[str, Any]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [layer],
    }


def _archive(content: str) -> bytes:
    """Return a layer that is the same whenever it is made."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as layer:
        member = tarfile.TarInfo("content")
        member.size = len(content.encode())
        layer.addfile(member, io.BytesIO(content.encode()))
    return archive.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
