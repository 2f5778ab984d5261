"""Findings in the embedded ECR: nothing scans there, so a test says what was found.

Owns how a test says so. Reads and changes images, in this process, between the entry to an
`EmbeddedAws` and its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.aws.registry import Registry


def put_findings(
    account: str,
    region: str,
    name: str,
    digest: str,
    findings: Mapping[str, str],
    *,
    kind: Literal["basic", "enhanced"] = "basic",
    status: str | None = None,
) -> None:
    """Let DescribeImageScanFindings answer with these severities by name, as scanned just now.

    The registry is set to scan in that way. ``status`` is a ScanStatus of the API; without it that of
    a scan which went well: COMPLETE of a basic scan, ACTIVE of an enhanced one.
    """
    from moto.ecr.models import ecr_backends  # noqa: PLC0415 - moto takes a second to import

    from sandbox.aws.scanning import Scan  # noqa: PLC0415 - it imports moto

    registry = cast("Registry", ecr_backends[account][region])
    registry.registry_scanning_configuration["scanType"] = kind.upper()
    image = registry.image(name, {"imageDigest": digest})
    usual = "COMPLETE" if kind == "basic" else "ACTIVE"
    image.scan = Scan(kind.upper(), status or usual, registry.now(), dict(findings))


def let_scans_find(
    account: str, region: str, digest: str, findings: Mapping[str, str], status: str | None = None
) -> None:
    """Let the scans of a digest, when they end, find these severities by name, or end otherwise."""
    from moto.ecr.models import ecr_backends  # noqa: PLC0415 - moto takes a second to import

    registry = cast("Registry", ecr_backends[account][region])
    registry.scanning.announced[digest] = (status, dict(findings))
