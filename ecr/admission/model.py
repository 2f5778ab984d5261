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
class Scan:
    """What ECR says about one image: whether it was scanned, and what reached the threshold.

    ``total`` counts the findings of all severities.
    """

    scanned: bool
    findings: tuple[Finding, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """One image in one registry; ``children`` are the digests that an image index stands for."""

    registry: Registry
    name: str
    digest: str
    tags: tuple[str, ...]
    scan: Scan
    children: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """All that one registry holds: the names of its image repositories, and the images in them."""

    registry: Registry
    names: frozenset[str]
    images: tuple[Image, ...]
