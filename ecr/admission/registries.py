"""What the registries hold, and what ECR found in it.

Owns the pace of the calls to ECR, and the reading of findings. Reads image repositories, images,
the manifests of image indexes, each once, and findings, of basic and of enhanced scanning. Writes
nothing to AWS. A registry that cannot be read whole is an error: half of it would be a list that
admits what it should not.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ecr.admission.model import Finding, Held, ImageScan, ScannedImage, reaches
from ecr.aws.images import PAGES, details_of, is_index, manifests_of, names_of
from ecr.aws.session import aws_errors_as, is_refusal
from ecr.errors import EstateError
from ecr.images.image import ACTIVE, MANIFESTS
from ecr.images.manifest import Part, parse_manifest
from ecr.registry.registry import Registry

Client = Any  # boto3 makes its clients' classes when it runs
Connect = Callable[[Registry], Client]

_SAID_EVERY = 500  # images between two lines of progress
# Amazon ECR API Reference, ImageScanStatus.
_SCANNED = ("COMPLETE", "ACTIVE")
_NEVER = ("UNSUPPORTED_IMAGE", "IMAGE_ARCHIVED")
_EXPIRED = "SCAN_ELIGIBILITY_EXPIRED"
# Of enhanced findings. Suppressed ones are somebody's decision; closed ones are settled, unless they
# were closed because Amazon Inspector no longer looks (Amazon Inspector User Guide, "Configuring the
# Amazon ECR re-scan duration").
_OPEN, _CLOSED = "ACTIVE", "CLOSED"


class Pace:
    """At most so many calls a second, over all threads; ``calls`` counts them."""

    def __init__(self, rate: float) -> None:
        self._between = 1 / rate
        self._lock = threading.Lock()
        self._next = 0.0
        self.calls = 0

    def wait(self, **_: object) -> None:
        """Return when the next call may be made; takes what botocore tells about it."""
        with self._lock:
            self.calls += 1
            now = time.monotonic()
            self._next = max(now, self._next) + self._between
            pause = self._next - self._between - now
        if pause > 0:
            time.sleep(pause)


class Reader:
    """Reads registries; ``calls`` counts what was asked of ECR, but for what botocore tried again.

    ``said`` is given a line of progress now and then.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        threshold: str,
        rate: float,
        workers: int,
        said: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._threshold = threshold
        self._rate = rate
        self._workers = workers
        self._said = said
        self._parts: dict[str, tuple[Part, ...] | None] = {}
        self.calls = 0

    def read(self, registries: Mapping[Registry, Collection[str]]) -> tuple[Held, ...]:
        """Read every registry, each with the names that it must have.

        Raises EstateError, with all that went wrong, when not all could be read whole.
        """
        held: list[Held] = []
        offences: list[str] = []
        for registry, expected in sorted(registries.items()):
            try:
                held.append(self._read_one(registry, self._connect(registry), expected))
            except EstateError as error:
                offences.extend(error.offences)
        if offences:
            raise EstateError(
                "Not every registry could be read; no list was written, and the last one stands.",
                offences,
            )
        return tuple(held)

    def _read_one(self, registry: Registry, ecr: Client, expected: Collection[str]) -> Held:
        pace = Pace(self._rate)
        # Once for each call, each page too, and not again for what botocore tries again.
        ecr.meta.events.register("before-call.ecr", pace.wait)
        try:
            return self._held(registry, ecr, expected)
        except EstateError as error:
            raise EstateError("", [f"{registry.key}: {each}" for each in error.offences]) from error
        finally:
            ecr.meta.events.unregister("before-call.ecr", pace.wait)
            self.calls += pace.calls

    def _held(self, registry: Registry, ecr: Client, expected: Collection[str]) -> Held:
        names = sorted(names_of(ecr))
        missing = sorted(set(expected).difference(names))
        if missing:
            raise EstateError("", [f"{name}: is in the outputs and not in ECR" for name in missing])
        details: list[Mapping[str, Any]] = []
        for name in names:
            there = details_of(ecr, name)
            details += there
            # A digest says the same everywhere: an index is fetched once, and not in each replica.
            indexes = {each["imageDigest"] for each in there if is_index(each) and _pullable(each)}
            unread = sorted(indexes - self._parts.keys())
            for digest, text in manifests_of(ecr, name, unread).items():
                self._parts[digest] = _parts(text)
        images = tuple(self._images(ecr, registry, details))
        return Held(registry, frozenset(names), images)

    def _images(
        self,
        ecr: Client,
        registry: Registry,
        details: Sequence[Mapping[str, Any]],
    ) -> Iterator[ScannedImage]:
        began = time.monotonic()

        def read(detail: Mapping[str, Any]) -> tuple[Mapping[str, Any], ImageScan | None]:
            if is_index(detail) or not _pullable(detail):
                return detail, ImageScan(scanned=False)
            return detail, _scan(ecr, detail, self._threshold)

        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for number, (detail, scan) in enumerate(pool.map(read, details), start=1):
                    if number % _SAID_EVERY == 0 or number == len(details):
                        rate = number / max(time.monotonic() - began, 0.001)
                        left = (len(details) - number) / rate
                        self._said(
                            f"{registry.key}: {number:,} of {len(details):,} images, "
                            f"{rate:.0f} a second, {left:.0f} s left"
                        )
                    if scan:
                        yield self._image(registry, detail, scan)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _image(
        self, registry: Registry, detail: Mapping[str, Any], scan: ImageScan
    ) -> ScannedImage:
        digest = detail["imageDigest"]
        parts = self._parts.get(digest) if is_index(detail) else ()
        return ScannedImage(
            registry,
            detail["repositoryName"],
            digest,
            tuple(sorted(detail.get("imageTags", ()))),
            scan,
            None if parts is None else tuple(sorted({each.digest for each in parts})),
            frozenset(each.digest for each in parts or () if each.is_note),
            detail.get("imageManifestMediaType") in MANIFESTS,
            _pullable(detail),
        )


def _pullable(detail: Mapping[str, Any]) -> bool:
    return bool(detail.get("imageStatus", ACTIVE) == ACTIVE)


def _parts(text: str) -> tuple[Part, ...] | None:
    """Return the parts of an index; None for what cannot be understood, and so not be judged."""
    try:
        return parse_manifest(text).parts
    except ValueError:
        return None


def _scan(ecr: Client, detail: Mapping[str, Any], threshold: str) -> ImageScan | None:
    """Read what was found in one image; None when the image is gone.

    Not from DescribeImages: for basic scanning ECR no longer fills in its summary (Amazon ECR API
    Reference, DescribeImages).
    """
    name, digest = detail["repositoryName"], detail["imageDigest"]
    findings: set[Finding] = set()
    total, status = 0, ""
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        repositoryName=name, imageId={"imageDigest": digest}, PaginationConfig=PAGES
    )
    try:
        with aws_errors_as(f"reading the findings of {name}@{digest}"):
            for page in pages:
                status = page.get("imageScanStatus", {}).get("status", "")
                found = page.get("imageScanFindings", {})
                total = total or sum(found.get("findingSeverityCounts", {}).values())
                findings.update(_reaching(found, threshold, expired=status == _EXPIRED))
    except EstateError as error:
        if is_refusal(error, "ScanNotFoundException"):
            return ImageScan(scanned=False)
        if is_refusal(error, "ImageNotFoundException"):
            return None
        raise
    scanned = status in _SCANNED
    return ImageScan(
        scanned,
        tuple(sorted(findings)),
        total,
        "" if scanned or status in _NEVER else status or "PENDING",
    )


def _reaching(found: Mapping[str, Any], threshold: str, *, expired: bool) -> Iterator[Finding]:
    for each in found.get("findings", ()):
        if reaches(each["severity"], threshold):
            yield Finding(each["name"], each["severity"])
    counted = (_OPEN, _CLOSED) if expired else (_OPEN,)
    for each in found.get("enhancedFindings", ()):
        if each.get("status", _OPEN) in counted and reaches(each["severity"], threshold):
            vulnerability = each.get("packageVulnerabilityDetails", {}).get("vulnerabilityId")
            yield Finding(vulnerability or each["title"], each["severity"])
