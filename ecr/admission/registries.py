"""What the registries hold, and what ECR found in it.

Owns the calls to ECR: their pages, their pace, what is tried again, and what an interrupted run left.
Reads image repositories, images, the manifests of image indexes, and findings, of basic and of
enhanced scanning. Writes nothing to AWS. A registry that cannot be read whole is an error: half of it
would be a list that admits what it should not.
"""

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecr.admission.model import Finding, Held, Image, Scan, reaches
from ecr.aws.session import explained
from ecr.errors import EstateError
from ecr.registry.registry import Registry

Client = Any  # boto3 makes its clients' classes when it runs
Connect = Callable[[Registry], Client]

_SESSION = "ecr-estate-admission"
_MOST = 1000  # per page, of image repositories, images and findings
_MOST_MANIFESTS = 100  # per call of BatchGetImage
_RESUMED = 6 * 3600  # seconds for which what an interrupted run has read still counts
_SAID_EVERY = 500  # images between two lines of progress
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
# Amazon ECR API Reference, ImageScanStatus: with the others there are no findings to go by.
_SCANNED = ("COMPLETE", "ACTIVE")
_OPEN = "ACTIVE"  # of enhanced findings; suppressed and closed ones are somebody's decision


def connect_with(role_name: str | None, *, workers: int) -> Connect:
    """Give the function that makes a registry's client, in the role of that name if there is one.

    Throttled calls are tried again with growing pauses, and slow the client down: botocore's
    "adaptive" retries. A role's credentials last an hour; what takes longer has to be resumed.
    """

    def connect(registry: Registry) -> Client:
        session = boto3.Session(region_name=registry.region)
        if role_name:
            arn = f"arn:{registry.partition}:iam::{registry.account}:role/{role_name}"
            credentials = session.client("sts").assume_role(RoleArn=arn, RoleSessionName=_SESSION)[
                "Credentials"
            ]
            session = boto3.Session(
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials["SessionToken"],
                region_name=registry.region,
            )
        return session.client(
            "ecr",
            config=Config(
                retries={"mode": "adaptive", "max_attempts": 10}, max_pool_connections=workers
            ),
        )

    return connect


class Progress(AbstractContextManager["Progress"]):
    """The scans read so far, kept in a file so that an interrupted run can be taken up.

    Without a file they are kept nowhere. Leaving the context without an error removes the file.
    """

    def __init__(self, file: Path | None, threshold: str) -> None:
        self._file = file
        self._threshold = threshold
        self._lock = threading.Lock()
        try:
            self._known, whole = self._read()
            self._out = file.open("a", encoding="utf-8") if file else None
            if self._out:
                self._out.truncate(whole)
        except OSError as error:
            raise EstateError(
                "The progress cannot be kept.", [f"--resume {file}: {error.strerror}"]
            ) from error

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file and self._out:
            self._out.close()
            if exc_type is None:
                self._file.unlink()

    def __enter__(self) -> Self:
        return self

    def known(self, location: str) -> Scan | None:
        """Give what was read of an image before."""
        return self._known.get(location)

    def add(self, location: str, scan: Scan) -> None:
        """Remember what was read of an image."""
        if self._out:
            line = {
                "at": time.time(),
                "threshold": self._threshold,
                "image": location,
                "scanned": scan.scanned,
                "findings": [[each.name, each.severity] for each in scan.findings],
                "total": scan.total,
            }
            with self._lock:
                self._out.write(json.dumps(line) + "\n")
                self._out.flush()

    def _read(self) -> tuple[dict[str, Scan], int]:
        """Give what is known, and the length of the file up to where a run was killed, if one was.

        Raises EstateError for a file of somebody else, which would be written into, and removed.
        """
        if self._file is None or not self._file.exists():
            return {}, 0
        *lines, rest = (held := self._file.read_bytes()).split(b"\n")
        known = {}
        try:
            for text in lines or ([rest] if rest else []):
                line = json.loads(text)
                findings = tuple(Finding(name, severity) for name, severity in line["findings"])
                scan = Scan(line["scanned"], findings, line["total"])
                recent = time.time() - line["at"] < _RESUMED
                if line["threshold"] == self._threshold and recent:
                    known[line["image"]] = scan
        except (ValueError, KeyError, TypeError):
            raise EstateError(
                "The file is not what an interrupted run has left, and stays as it is.",
                [f"--resume {self._file}: name a file that is not there yet, or remove this one"],
            ) from None
        return known, len(held) - len(rest)


class Pace:
    """At most so many calls a second, over all threads; ``calls`` counts them."""

    def __init__(self, rate: float) -> None:
        self._between = 1 / rate
        self._lock = threading.Lock()
        self._next = 0.0
        self.calls = 0

    def wait(self) -> None:
        """Return when the next call may be made."""
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
        progress: Progress,
        said: Callable[[str], None],
    ) -> None:
        self._connect = connect
        self._threshold = threshold
        self._rate = rate
        self._workers = workers
        self._progress = progress
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
                held.append(self._read_one(registry, expected))
            except (BotoCoreError, ClientError) as error:
                offences.append(
                    f"{registry.key}: {error}; see the roles in docs/guides/admission.md"
                )
            except EstateError as error:
                offences.extend(error.offences)
        if offences:
            raise EstateError(
                "Not every registry could be read; no list was written, and the last one stands.",
                offences,
            )
        return tuple(held)

    def _read_one(self, registry: Registry, expected: Collection[str]) -> Held:
        with explained(f"connecting to {registry.key}"):
            client = self._connect(registry)
        ecr = _Calls(client, registry, Pace(self._rate))
        try:
            names = sorted(
                each["repositoryName"]
                for each in ecr.pages("describe_repositories", "repositories")
            )
            missing = sorted(set(expected).difference(names))
            if missing:
                raise EstateError(
                    "",
                    [
                        f"{registry.key}/{name}: is in the outputs and not in ECR"
                        for name in missing
                    ],
                )
            details = [detail for name in names for detail in self._details(ecr, name)]
            children = dict(ecr.children(details))
            images = tuple(self._images(ecr, details, children))
        finally:
            self.calls += ecr.pace.calls
        return Held(registry, frozenset(names), images)

    def _details(self, ecr: "_Calls", name: str) -> Iterator[Mapping[str, Any]]:
        """List the images that can be pulled: archived ones cannot."""
        for detail in ecr.pages("describe_images", "imageDetails", repositoryName=name):
            if detail.get("imageStatus", "ACTIVE") == "ACTIVE":
                yield detail

    def _images(
        self,
        ecr: "_Calls",
        details: Sequence[Mapping[str, Any]],
        children: Mapping[tuple[str, str], tuple[str, ...]],
    ) -> Iterator[Image]:
        began = time.monotonic()

        def read(detail: Mapping[str, Any]) -> tuple[Mapping[str, Any], Scan | None]:
            location = f"{ecr.registry.key}/{detail['repositoryName']}@{detail['imageDigest']}"
            if _is_index(detail):
                return detail, Scan(scanned=False)
            scan = self._progress.known(location)
            if scan is None:
                scan = ecr.scan(detail, self._threshold)
                if scan:
                    self._progress.add(location, scan)
            return detail, scan

        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for number, (detail, scan) in enumerate(pool.map(read, details), start=1):
                    if number % _SAID_EVERY == 0 or number == len(details):
                        rate = number / max(time.monotonic() - began, 0.001)
                        left = (len(details) - number) / rate
                        self._said(
                            f"{ecr.registry.key}: {number:,} of {len(details):,} images, "
                            f"{rate:.0f} a second, {left:.0f} s left"
                        )
                    if scan:
                        name, digest = detail["repositoryName"], detail["imageDigest"]
                        yield Image(
                            ecr.registry,
                            name,
                            digest,
                            tuple(sorted(detail.get("imageTags", ()))),
                            scan,
                            children.get((name, digest), ()),
                        )
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


class _Calls:
    """The calls to one registry."""

    def __init__(self, client: Client, registry: Registry, pace: Pace) -> None:
        self.registry = registry
        self.pace = pace
        self._client = client

    def ask(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        """Make one call, when it is time for it."""
        self.pace.wait()
        answer: Mapping[str, Any] = getattr(self._client, operation)(
            registryId=self.registry.account, **parameters
        )
        return answer

    def pages(self, operation: str, key: str, **parameters: object) -> Iterator[Mapping[str, Any]]:
        """Give the entries of all pages."""
        for page in self._pages(operation, **parameters):
            yield from page[key]

    def _pages(self, operation: str, **parameters: object) -> Iterator[Mapping[str, Any]]:
        token: Mapping[str, object] = {}
        while True:
            page = self.ask(operation, maxResults=_MOST, **parameters, **token)
            yield page
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}

    def children(
        self, details: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
        """Give the digests that each image index stands for."""
        indexes: dict[str, list[str]] = {}
        for detail in details:
            if _is_index(detail):
                indexes.setdefault(detail["repositoryName"], []).append(detail["imageDigest"])
        for name, digests in indexes.items():
            for start in range(0, len(digests), _MOST_MANIFESTS):
                wanted = digests[start : start + _MOST_MANIFESTS]
                answer = self.ask(
                    "batch_get_image",
                    repositoryName=name,
                    imageIds=[{"imageDigest": digest} for digest in wanted],
                    acceptedMediaTypes=list(_INDEXES),
                )
                read = {each["imageId"]["imageDigest"]: each for each in answer["images"]}
                gone = {
                    failure["imageId"].get("imageDigest")
                    for failure in answer.get("failures", ())
                    if failure["failureCode"] == "ImageNotFound"
                }
                for digest in wanted:
                    if digest in read:
                        manifest = json.loads(read[digest]["imageManifest"])
                        below = (each["digest"] for each in manifest.get("manifests", ()))
                        yield (name, digest), tuple(sorted(below))
                    elif digest not in gone:
                        raise EstateError(
                            "",
                            [f"{self.registry.key}/{name}@{digest}: its manifest cannot be read"],
                        )

    def scan(self, detail: Mapping[str, Any], threshold: str) -> Scan | None:
        """Read what was found in one image; None when the image is gone.

        Not from DescribeImages: for basic scanning ECR no longer fills in its summary (Amazon ECR API
        Reference, DescribeImages).
        """
        findings: set[Finding] = set()
        total = 0
        try:
            for page in self._pages(
                "describe_image_scan_findings",
                repositoryName=detail["repositoryName"],
                imageId={"imageDigest": detail["imageDigest"]},
            ):
                if page.get("imageScanStatus", {}).get("status") not in _SCANNED:
                    return Scan(scanned=False)
                found = page.get("imageScanFindings", {})
                total = total or sum(found.get("findingSeverityCounts", {}).values())
                findings.update(_reaching(found, threshold))
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "ScanNotFoundException":
                    return Scan(scanned=False)
                case "ImageNotFoundException":
                    return None
                case _:
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


def _is_index(detail: Mapping[str, Any]) -> bool:
    return detail.get("imageManifestMediaType") in _INDEXES
