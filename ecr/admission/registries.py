"""What the registries hold, and what ECR found in it.

Owns the pace of the calls to ECR, and the reading of findings. Reads image repositories, images, the manifests of image indexes, and findings, of basic and of
enhanced scanning. Writes nothing to AWS. A registry that cannot be read whole is an error: half of it
would be a list that admits what it should not.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ecr.admission.model import Finding, Held, Image, Scan, reaches
from ecr.aws.images import PAGES, details_of, is_index, names_of, parts_of
from ecr.aws.session import aws_errors_as, is_refusal
from ecr.errors import EstateError
from ecr.registry.registry import Registry

Client = Any  # boto3 makes its clients' classes when it runs
Connect = Callable[[Registry], Client]

_SAID_EVERY = 500  # images between two lines of progress
# Amazon ECR API Reference, ImageScanStatus: with the others there are no findings to go by.
_SCANNED = ("COMPLETE", "ACTIVE")
_OPEN = "ACTIVE"  # of enhanced findings; suppressed and closed ones are somebody's decision


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
        children: dict[tuple[str, str], tuple[str, ...]] = {}
        for name in names:
            # What is archived cannot be pulled.
            there = [
                each
                for each in details_of(ecr, name)
                if each.get("imageStatus", "ACTIVE") == "ACTIVE"
            ]
            details += there
            for digest, parts in parts_of(ecr, name, there).items():
                children[name, digest] = tuple(sorted(parts))
        images = tuple(self._images(ecr, registry, details, children))
        return Held(registry, frozenset(names), images)

    def _images(
        self,
        ecr: Client,
        registry: Registry,
        details: Sequence[Mapping[str, Any]],
        children: Mapping[tuple[str, str], tuple[str, ...]],
    ) -> Iterator[Image]:
        began = time.monotonic()

        def read(detail: Mapping[str, Any]) -> tuple[Mapping[str, Any], Scan | None]:
            if is_index(detail):
                return detail, Scan(scanned=False)
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
                        name, digest = detail["repositoryName"], detail["imageDigest"]
                        yield Image(
                            registry,
                            name,
                            digest,
                            tuple(sorted(detail.get("imageTags", ()))),
                            scan,
                            children.get((name, digest), ()),
                        )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _scan(ecr: Client, detail: Mapping[str, Any], threshold: str) -> Scan | None:
    """Read what was found in one image; None when the image is gone.

    Not from DescribeImages: for basic scanning ECR no longer fills in its summary (Amazon ECR API
    Reference, DescribeImages).
    """
    name, digest = detail["repositoryName"], detail["imageDigest"]
    findings: set[Finding] = set()
    total = 0
    pages = ecr.get_paginator("describe_image_scan_findings").paginate(
        repositoryName=name, imageId={"imageDigest": digest}, PaginationConfig=PAGES
    )
    try:
        with aws_errors_as(f"reading the findings of {name}@{digest}"):
            for page in pages:
                if page.get("imageScanStatus", {}).get("status") not in _SCANNED:
                    return Scan(scanned=False)
                found = page.get("imageScanFindings", {})
                total = total or sum(found.get("findingSeverityCounts", {}).values())
                findings.update(_reaching(found, threshold))
    except EstateError as error:
        if is_refusal(error, "ScanNotFoundException"):
            return Scan(scanned=False)
        if is_refusal(error, "ImageNotFoundException"):
            return None
        raise
    return Scan(True, tuple(sorted(findings)), total)


def _reaching(found: Mapping[str, Any], threshold: str) -> Iterator[Finding]:
    for each in found.get("findings", ()):
        if reaches(each["severity"], threshold):
            yield Finding(each["name"], each["severity"])
    for each in found.get("enhancedFindings", ()):
        if each.get("status", _OPEN) == _OPEN and reaches(each["severity"], threshold):
            vulnerability = each.get("packageVulnerabilityDetails", {}).get("vulnerabilityId")
            yield Finding(vulnerability or each["title"], each["severity"])
