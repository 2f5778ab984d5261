"""Findings in the embedded ECR: nothing scans there, so a test says what was found.

Owns the shape of the answer. Reads and changes moto's images, in this process, between the entry to
an `EmbeddedAws` and its end. Never pages: moto gives all of an image's findings at once.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


def put_findings(
    account: str,
    region: str,
    name: str,
    digest: str,
    findings: Mapping[str, str],
    *,
    kind: Literal["basic", "enhanced"] = "basic",
    status: str = "",
) -> None:
    """Let DescribeImageScanFindings, asked by digest, answer with these severities by name.

    ``status`` is one of ECR's ImageScanStatus; without it the scan has finished.
    """
    from moto.ecr.models import ecr_backends  # noqa: PLC0415 - moto takes a second to import

    repository = ecr_backends[account][region].repositories[name]
    image = next(each for each in repository.images if each.image_digest == digest)
    image.last_scan = datetime.now(UTC)
    answer = {
        "registryId": account,
        "repositoryName": name,
        "imageId": {"imageDigest": digest},
        "imageScanStatus": {"status": status or ("COMPLETE" if kind == "basic" else "ACTIVE")},
        "imageScanFindings": {
            "findingSeverityCounts": dict(Counter(findings.values())),
            **_FORMS[kind](findings),
        },
    }
    image.scan_finding_results[json.dumps({"imageDigest": digest})] = answer


def _basic(findings: Mapping[str, str]) -> dict[str, object]:
    return {"findings": [{"name": name, "severity": each} for name, each in findings.items()]}


def _enhanced(findings: Mapping[str, str]) -> dict[str, object]:
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


_FORMS = {"basic": _basic, "enhanced": _enhanced}
