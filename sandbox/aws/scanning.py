"""Scans in the embedded ECR: nothing scans there, but statuses come and go as they do in AWS.

Owns when an image is scanned, which status a scan has at a time, and what it refuses. Reads the
registry's scanning configuration and images. What a scan finds is said by a test, in
`sandbox.aws.findings`; without that a scan finds nothing.

Sources: Amazon ECR User Guide, "Scan images for software vulnerabilities in Amazon ECR"; Amazon ECR
API Reference, StartImageScan and DescribeImageScanFindings; Amazon Inspector User Guide,
"Configuring the Amazon ECR re-scan duration".
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.ecr.exceptions import LimitExceededException, ScanNotFoundException

from sandbox.aws.refusals import EcrRefusal
from sandbox.aws.stored_images import ARCHIVED, LISTS
from sandbox.aws.world import DAY

if TYPE_CHECKING:
    from sandbox.aws.registry import Registry
    from sandbox.aws.stored_images import StoredImage

BASIC, ENHANCED = "BASIC", "ENHANCED"
_WITH_FINDINGS = ("ACTIVE", "COMPLETE")


@dataclass(slots=True)
class Scan:
    """The scan of one image; ``at`` is the time of its last change."""

    kind: str
    status: str
    at: float
    findings: dict[str, str] = field(default_factory=dict)


class Scanning:
    """The scans of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._started: list[float] = []
        self.announced: dict[str, tuple[str | None, dict[str, str]]] = {}

    @property
    def kind(self) -> str:
        """How the registry scans: BASIC or ENHANCED."""
        return str(self._registry.registry_scanning_configuration["scanType"])

    def pushed(self, image: StoredImage) -> None:
        """Scan a new image where the configuration says so."""
        repository = self._registry.repositories[image.repository_name]
        frequency = str(repository.scanning_config["scanFrequency"])
        on_push = frequency in ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")
        settings: Any = repository.image_scanning_configuration
        if self.kind == BASIC and not on_push:
            on_push = settings.get("scanOnPush", False)
        if on_push and image.image_manifest_media_type not in LISTS:
            if self.kind == BASIC and not self._take_one_of_today():
                image.scan = Scan(BASIC, "LIMIT_EXCEEDED", self._registry.now())
            else:
                self._begin(image, frequency)

    def start(self, image: StoredImage) -> dict[str, str]:
        """Start a basic scan by hand; raise what ECR refuses."""
        now = self._registry.now()
        if self.kind == ENHANCED:
            raise EcrRefusal("ValidationException", "This feature is disabled")
        if image.status == ARCHIVED:
            raise EcrRefusal("ImageArchivedException", "The image is archived")
        if image.image_manifest_media_type in LISTS:
            raise EcrRefusal(
                "UnsupportedImageTypeException", "A manifest list or image index is not scanned"
            )
        recent = image.scan and image.scan.kind == BASIC and now - image.scan.at < DAY
        if recent or not self._take_one_of_today():
            raise LimitExceededException
        return {"status": self._begin(image, "MANUAL").status}

    def _take_one_of_today(self) -> bool:
        now = self._registry.now()
        self._started = [each for each in self._started if now - each < DAY]
        if len(self._started) >= self._registry.world.quotas.basic_scans_a_day:
            return False
        self._started.append(now)
        return True

    def _begin(self, image: StoredImage, frequency: str) -> Scan:
        delays, clock = self._registry.world.delays, self._registry.world.clock
        scan = image.scan = Scan(self.kind, "PENDING", self._registry.now())
        if self.kind == BASIC and frequency == "MANUAL":
            scan.status = "IN_PROGRESS"

        def progress(status: str) -> None:
            scan.status, scan.at = status, self._registry.now()

        def end() -> None:
            status, found = self.announced.get(image.image_digest, (None, {}))
            continuous = scan.kind == ENHANCED and frequency == "CONTINUOUS_SCAN"
            progress(status or ("ACTIVE" if continuous else "COMPLETE"))
            scan.findings = dict(found)
            self._registry.send(
                "ECR Image Scan",
                **{
                    "scan-status": scan.status,
                    "repository-name": image.repository_name,
                    "finding-severity-counts": dict(Counter(scan.findings.values())),
                    "image-digest": image.image_digest,
                    "image-tags": list(image.image_tags),
                },
            )

        clock.later(delays.starting_a_scan, lambda: progress("IN_PROGRESS"))
        clock.later(delays.starting_a_scan + delays.scanning, end)
        return scan

    def status(self, image: StoredImage) -> str | None:
        """Return the status of an image's scan now; None where it was never scanned.

        Enhanced scanning ends when an image was neither pushed nor pulled for the re-scan duration.
        """
        scan = image.scan
        if not scan:
            return None
        if scan.kind != self.kind:
            return "FINDINGS_UNAVAILABLE"
        if scan.kind == ENHANCED:
            used = max(image.image_pushed_at, image.pulled_at or 0)
            if self._registry.now() - used > self._registry.world.delays.eligible_for_scans:
                return "SCAN_ELIGIBILITY_EXPIRED"
        if image.status == ARCHIVED:
            return "IMAGE_ARCHIVED"
        return scan.status

    def described(self, image: StoredImage, asked: dict[str, str]) -> dict[str, Any]:
        """Return the answer of DescribeImageScanFindings, with every finding."""
        status = self.status(image)
        if status is None or not image.scan:
            raise ScanNotFoundException(
                image_id=str(asked),
                repository_name=image.repository_name,
                registry_id=image.registry_id,
            )
        answer: dict[str, Any] = {
            "registryId": image.registry_id,
            "repositoryName": image.repository_name,
            "imageId": {**asked, "imageDigest": image.image_digest},
            "imageScanStatus": {"status": status, "description": f"The scan is {status}."},
        }
        if status in _WITH_FINDINGS:
            found = image.scan.findings
            answer["imageScanFindings"] = {
                "imageScanCompletedAt": image.scan.at,
                "vulnerabilitySourceUpdatedAt": image.scan.at,
                "findingSeverityCounts": dict(Counter(found.values())),
                **_FORMS[image.scan.kind](found),
            }
        return answer


def _basic(findings: dict[str, str]) -> dict[str, Any]:
    return {"findings": [{"name": name, "severity": each} for name, each in findings.items()]}


def _enhanced(findings: dict[str, str]) -> dict[str, Any]:
    return {
        "enhancedFindings": [
            {
                "title": f"{name} - package",
                "severity": each,
                "status": "ACTIVE",
                "packageVulnerabilityDetails": {"vulnerabilityId": name},
            }
            for name, each in findings.items()
        ]
    }


_FORMS = {BASIC: _basic, ENHANCED: _enhanced}
