"""Promotion: the exact image of one stage, with all that refers to it, in the next stage's place.

Owns what belongs to an image, what has to be there before its tag may be, and the order of it: the
tag comes last, so that an image that has one is whole. Everything that could refuse is asked before
the first copy: of all that is copied and that a runtime could start, its scan. Never deletes, never moves a tag, and never changes a digest: the record of a
promotion is an artifact of its own that refers to the image.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecr.errors import EstateError
from ecr.images.family import companion_of
from ecr.images.manifest import attests, can_run
from ecr.promotion.aws import ScanState, Side
from ecr.promotion.crane import EMPTY, Crane, digest_of

RECORD = "application/vnd.ecr-estate.promotion.v1+json"
"""The artifact type of a promotion's record."""

PREFIX = "ecr-estate.promotion."
"""What the keys of a record's annotations begin with: from, from-stage, to, to-stage, by."""

CREATED = "org.opencontainers.image.created"

COMPANIONS = ("signature", "attestation", "sbom")
"""What is copied by its tag: what cosign keeps so. Other tags of the same form are not."""

_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """One side of a promotion: the stage's name and the URL of its image repository."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be promoted, and what the operator lets pass. One of tag and digest is given."""

    source: Stage
    target: Stage
    tag: str | None
    digest: str | None
    allow_critical: bool = False
    allow_unscanned: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """One manifest that belongs to an image."""

    digest: str
    kind: str


@dataclass(frozen=True, slots=True)
class PromotedImage:
    """An image and all that belongs to it, in the order in which it can be copied.

    ``runs`` are the digests of what can run: one a platform, and whatever else of the parts a runtime
    could start. ``companions`` maps tags to digests.
    """

    digest: str
    type: str
    size: int
    parts: tuple[CopiedPart, ...]
    runs: tuple[str, ...]
    companions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a promotion did, or, of a dry run, would have done."""

    state: str
    digest: str
    tag: str
    copied: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    record: str | None = None
    scans: Mapping[str, str] = field(default_factory=dict)


class Promotion:
    """One promotion between two image repositories."""

    def __init__(
        self, request: Request, crane: Crane, source: Side, target: Side, say: Say
    ) -> None:
        self._request = request
        self._crane = crane
        self._sides = {request.source.url: source, request.target.url: target}
        self._say = say

    def run(self, by: Mapping[str, str]) -> Outcome:
        """Promote; ``by`` says who does it, for the record. Raises EstateError when it must not be."""
        source, target = self._request.source.url, self._request.target.url
        image = self._gather(source)
        tag = self._request.tag or f"from-{self._request.source.name}-{image.digest[7:19]}"
        wanted = {**image.companions, tag: image.digest}
        tags = self._stop_unless_free(target, wanted)
        held = tuple(
            part.digest for part in image.parts if self._crane.manifest(target, part.digest)
        )
        missing = [part for part in image.parts if part.digest not in held]
        record = self._record(target, image)
        if not missing and not tags and record:
            self._say(f"{target}:{tag} is {image.digest} already")
            return Outcome("already there", image.digest, tag, held=held, record=record)
        scans = self._stop_unless_scanned(source, image)
        copied = tuple(part.digest for part in missing)
        if self._request.dry_run:
            for part in missing:
                self._say(f"would copy {part.kind} {part.digest}")
            return Outcome(
                "would be promoted", image.digest, tag, copied, held, tuple(tags), record, scans
            )
        for number, part in enumerate(missing, 1):
            self._say(f"[{number}/{len(missing)}] {part.kind} {part.digest}")
            self._crane.copy(f"{source}@{part.digest}", f"{target}@{part.digest}")
        self._verify(target, image)
        record = record or self._crane.push_empty(target, self._written(image, by))
        for each in sorted(tags, key=lambda name: name == tag):
            self._crane.tag(f"{target}@{wanted[each]}", each)
        if unset := self._stop_unless_free(target, wanted):
            raise EstateError(
                "Not all tags were set; run again.",
                [f"{target}:{each}: is missing" for each in unset],
            )
        self._say(f"{target}:{tag} is {image.digest}, verified")
        return Outcome("promoted", image.digest, tag, copied, held, tuple(tags), record, scans)

    def _gather(self, url: str) -> PromotedImage:
        """Find the image and all that belongs to it."""
        named = f":{self._request.tag}" if self._request.tag else f"@{self._request.digest}"
        digest = self._crane.digest(f"{url}{named}")
        if digest is None:
            raise EstateError(
                f"There is no such image in stage {self._request.source.name}; nothing was changed.",
                [f"{url}{named}: push it there, or promote it there first"],
            )
        manifests: dict[str, dict[str, Any]] = {}
        kinds: dict[str, str] = {}
        self._collect(url, digest, "image", manifests, kinds)
        companions: dict[str, str] = {}
        for tag in self._crane.tags(url):
            about, kind = companion_of(tag) or ("", "")
            if about in manifests and kind in COMPANIONS:
                companion = self._crane.digest(f"{url}:{tag}")
                if companion:
                    companions[tag] = companion
                    self._collect(url, companion, kind, manifests, kinds)
        top = manifests[digest]

        def runnable(part: str) -> bool:
            return can_run(manifests[part])

        return PromotedImage(
            digest=digest,
            type=str(top.get("mediaType", _MANIFEST_TYPE)),
            size=int(top["size"]),
            parts=tuple(CopiedPart(each, kinds[each]) for each in manifests),
            runs=tuple(dict.fromkeys([*_runs(digest, manifests), *filter(runnable, manifests)])),
            companions=companions,
        )

    def _collect(
        self,
        url: str,
        digest: str,
        kind: str,
        manifests: dict[str, dict[str, Any]],
        kinds: dict[str, str],
    ) -> None:
        """Add a manifest after what it lists and before what refers to it."""
        if digest in kinds:
            return
        manifest = self._crane.manifest(url, digest)
        if manifest is None:
            raise EstateError(
                "The image is not whole where it is; nothing was changed.",
                [f"{url}@{digest}: is referred to, but is not there; push the image again"],
            )
        kinds[digest] = kind
        for child in manifest.get("manifests", ()):
            inner = "attestation" if _is_attestation(child) else "platform"
            self._collect(
                url, child["digest"], inner if kind == "image" else kind, manifests, kinds
            )
        manifests[digest] = manifest
        for referrer in self._referrers(url, digest):
            self._collect(url, referrer, "referrer", manifests, kinds)

    def _referrers(self, url: str, digest: str) -> list[str]:
        """Return what refers to a manifest: what ECR lists, and what other registries keep in a tag."""
        return sorted(
            {*self._sides[url].referrers(url, digest), *self._crane.listed_by_tag(url, digest)}
        )

    def _stop_unless_scanned(self, url: str, image: PromotedImage) -> dict[str, str]:
        scans = {digest: self._sides[url].scan(url, digest) for digest in image.runs}
        offences = list(self._refusals(url, scans))
        if offences:
            raise EstateError("The image is not promoted; nothing was changed.", offences)
        return {
            digest: f"{scan.status}, {scan.critical} critical" if scan.finished else scan.status
            for digest, scan in scans.items()
        }

    def _refusals(self, url: str, scans: Mapping[str, ScanState]) -> Iterator[str]:
        for digest, scan in scans.items():
            if not scan.finished and not self._request.allow_unscanned:
                yield (
                    f"{url}@{digest}: no finished scan ({scan.status}); wait for it, or pass "
                    "--allow-unscanned"
                )
            if scan.critical and not self._request.allow_critical:
                yield (
                    f"{url}@{digest}: {scan.critical} critical findings; mend them, or pass "
                    "--allow-critical"
                )

    def _stop_unless_free(self, url: str, wanted: Mapping[str, str]) -> list[str]:
        """Return the tags that are still to be set. Raises EstateError where one is another image's."""
        found = {tag: self._crane.digest(f"{url}:{tag}") for tag in wanted}
        offences = [
            f"{url}:{tag}: is {digest}, not {wanted[tag]}; choose another tag, or look who set it"
            for tag, digest in found.items()
            if digest not in {None, wanted[tag]}
        ]
        if offences:
            raise EstateError("A tag is taken by another image; no tag was moved.", offences)
        return [tag for tag, digest in found.items() if digest is None]

    def _verify(self, url: str, image: PromotedImage) -> None:
        lost = [part for part in image.parts if self._crane.manifest(url, part.digest) is None]
        if lost:
            raise EstateError(
                "Not all that was copied is there, and the tag was not set; run again.",
                [f"{url}@{part.digest}: the {part.kind} is missing" for part in lost],
            )

    def _record(self, url: str, image: PromotedImage) -> str | None:
        """Return the digest of the record of this very promotion, if there is one."""
        for referrer in self._referrers(url, image.digest):
            manifest = self._crane.manifest(url, referrer) or {}
            about = manifest.get("annotations", {})
            if manifest.get("artifactType") == RECORD and (
                about.get(f"{PREFIX}from") == self._request.source.url
                and about.get(f"{PREFIX}to") == url
            ):
                return referrer
        return None

    def _written(self, image: PromotedImage, by: Mapping[str, str]) -> dict[str, Any]:
        """Write the record: an artifact whose subject is the image, and which is all annotations."""
        empty = {"mediaType": _EMPTY_TYPE, "digest": digest_of(EMPTY), "size": len(EMPTY)}
        return {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "artifactType": RECORD,
            "config": empty,
            "layers": [empty],
            "subject": {"mediaType": image.type, "digest": image.digest, "size": image.size},
            "annotations": {
                f"{PREFIX}from": self._request.source.url,
                f"{PREFIX}from-stage": self._request.source.name,
                f"{PREFIX}to": self._request.target.url,
                f"{PREFIX}to-stage": self._request.target.name,
                **by,
            },
        }


def _runs(digest: str, manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield what an image's name stands for on some platform, whatever else it refers to."""
    listed = manifests[digest].get("manifests")
    if not listed:
        yield digest
    for child in listed or ():
        if not (_is_attestation(child) and attests(manifests[child["digest"]])):
            yield from _runs(child["digest"], manifests)


def _is_attestation(listed: Mapping[str, Any]) -> bool:
    """Return whether an index lists a manifest as an attestation, of a platform that no node has.

    Builders mark it so (BuildKit documentation, "Image attestation storage"), and so can anybody else:
    what it is, its own manifest says.
    """
    platform = listed.get("platform", {})
    marked = "vnd.docker.reference.type" in listed.get("annotations", {})
    return marked and platform == {"architecture": "unknown", "os": "unknown"}
