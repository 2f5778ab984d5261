"""What is read of images, as plain data."""

from dataclasses import dataclass

from ecr.registry.registry import Registry

SEVERITIES = ("INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL")
"""From the least; ECR's UNDEFINED is below all (Amazon ECR API Reference, ImageScanFinding)."""


def reaches(severity: str, threshold: str) -> bool:
    """Return whether a severity is the threshold or worse."""
    return severity in SEVERITIES and SEVERITIES.index(severity) >= SEVERITIES.index(threshold)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One vulnerability: its name (a CVE, mostly) and ECR's word for how bad it is."""

    name: str
    severity: str


@dataclass(frozen=True, slots=True)
class ImageScan:
    """What ECR says about one image: whether a scan has finished, and what reached the threshold.

    ``total`` counts the findings of all severities. ``unsettled`` is ECR's word for a scan that has
    begun or was once made, and tells nothing new: it is running, has failed or has expired. Its
    findings are those of before, as far as ECR still has them. It is "" for all others.
    """

    scanned: bool
    findings: tuple[Finding, ...] = ()
    total: int = 0
    unsettled: str = ""


@dataclass(frozen=True, slots=True)
class ScannedImage:
    """One image in one registry.

    ``parts`` are the digests of what a manifest list stands for: empty for what is no list, None for
    a list that cannot be understood. ``notes`` are those of its parts that nothing runs: BuildKit's
    attestations. ``known`` is whether its media type is one that ECR documents. ``pullable`` is
    whether it can be pulled now: what is archived can only be restored first.
    """

    registry: Registry
    name: str
    digest: str
    tags: tuple[str, ...]
    scan: ImageScan
    parts: tuple[str, ...] | None = ()
    notes: frozenset[str] = frozenset()
    known: bool = True
    pullable: bool = True

    @property
    def is_list(self) -> bool:
        """Return whether it stands for other images, and is not scanned itself."""
        return self.parts is None or bool(self.parts)


@dataclass(frozen=True, slots=True)
class Held:
    """All that one registry holds: the names of its image repositories, and the images in them."""

    registry: Registry
    names: frozenset[str]
    images: tuple[ScannedImage, ...]
