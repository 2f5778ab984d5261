"""Scan images again where basic scanning does not, on a schedule, until all are done.

Owns the choice of images and the report. Reads the registries' images and when they were last
scanned: that memory is ECR's own, so a run that was interrupted goes on where it stopped. Starts
scans, and changes nothing else. ECR scans an image once in 24 hours at most.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ecr.aws.images import details_of, is_index, names_of
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import float_between, int_between
from ecr.cli.registries import add_name_options, add_registry_options, selected_registries
from ecr.errors import EstateError
from ecr.images.image import ACTIVE

AGAIN = timedelta(hours=24)
"""How often ECR scans an image (Amazon ECR User Guide, "Scan images for OS vulnerabilities")."""

_THROTTLED = ("ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded")
_UNSCANNABLE = ("UnsupportedImageTypeException", "ImageNotFoundException", "ImageArchivedException")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_registry_options(parser)
    add_name_options(parser)
    parser.add_argument(
        "--newest",
        type=int_between(1),
        default=10,
        metavar="N",
        help="of each image repository, the tagged images pushed last (10)",
    )
    parser.add_argument(
        "--limit",
        type=int_between(),
        default=1_000,
        metavar="N",
        help="scans to start in this run (1000); exit code 3 where more are due",
    )
    parser.add_argument(
        "--rate",
        type=float_between(0.001, 1_000, zero=True),
        default=2.0,
        metavar="N",
        help="scans to start in a second (2); 0 for as fast as it goes. What AWS throttles is left",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a sentence")


def run(options: argparse.Namespace) -> int:
    """Start what is due, newest images first, and say how much of it was."""
    selection, access = selected_registries(options), Aws(options.role_name)
    done: Counter[str] = Counter(started=0, recent=0, unsupported=0, left=0)
    for registry in selection.registries:
        ecr, scanner = access.ecr(registry), access.ecr_once(registry)
        _expect_basic(ecr, registry.key)
        names = options.repository or names_of(ecr)
        for index, name in enumerate(names, 1):
            for detail in _chosen(details_of(ecr, name), options.newest):
                if _was_scanned(detail):
                    done["recent"] += 1
                elif done["started"] >= options.limit:
                    done["left"] += 1
                else:
                    done[_start(scanner, name, detail["imageDigest"])] += 1
                    if options.rate:
                        time.sleep(1 / options.rate)
            sys.stderr.write(
                f"{registry.key}: {index} of {len(names)}, {name}: {done['started']} started\n"
            )
    if options.json:
        json.dump(done, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(
            f"{done['started']} scans started, {done['recent']} scanned within the day already, "
            f"{done['unsupported']} cannot be scanned, {done['left']} left for another run\n"
        )
    return FOUND if done["left"] else 0


def _expect_basic(ecr: Any, key: str) -> None:  # noqa: ANN401 - boto3's client
    with aws_errors_as(f"reading the scanning of {key}"):
        found = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    if found.get("scanType") == "ENHANCED":
        raise EstateError(
            "Amazon Inspector scans by itself.",
            [f"registry {key}: its scanning is ENHANCED, and continuous; leave it out"],
        )


def _chosen(details: list[Any], newest: int) -> Iterator[Any]:
    """Yield the newest tagged images; a manifest list and what refers to images have no packages."""
    images = [
        detail
        for detail in details
        if detail.get("imageTags")
        and detail.get("imageStatus", ACTIVE) == ACTIVE
        and not is_index(detail)
        and not detail.get("subjectManifestDigest")
    ]
    images.sort(key=lambda detail: detail["imagePushedAt"], reverse=True)
    yield from images[:newest]


def _was_scanned(detail: Any) -> bool:  # noqa: ANN401 - one of imageDetails
    at = detail.get("imageScanFindingsSummary", {}).get("imageScanCompletedAt")
    return at is not None and datetime.now(UTC) - at < AGAIN


def _start(ecr: Any, name: str, digest: str) -> str:  # noqa: ANN401 - boto3's client
    """Start a scan, and say what became of it."""
    try:
        with aws_errors_as(f"scanning {name}@{digest}"):
            ecr.start_image_scan(repositoryName=name, imageId={"imageDigest": digest})
    except EstateError as refused:
        if is_refusal(refused, "LimitExceededException"):
            return "recent"
        if is_refusal(refused, *_THROTTLED):
            return "left"
        if is_refusal(refused, *_UNSCANNABLE):
            return "unsupported"
        raise
    return "started"
