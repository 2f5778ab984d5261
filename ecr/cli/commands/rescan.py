"""Scan images again where basic scanning does not, on a schedule, until all are done.

Owns the choice of images and the report. Reads the registries' images, the manifests of the image
indexes that are chosen, and when images were last scanned: that memory is ECR's own, so a run that
was interrupted goes on where it stopped. Starts scans, many only with --yes, and changes nothing
else. ECR scans an image once in 24 hours at most, and so many a day.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ecr.aws.images import details_of, is_index, manifests_of, names_of
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import float_between, int_between
from ecr.cli.progress import progress_line
from ecr.cli.registries import add_name_options, add_registry_options, selected_registries
from ecr.errors import EstateError
from ecr.images.family import companion_of
from ecr.images.image import ACTIVE
from ecr.images.manifest import IMAGE_CONFIGS, Part, parse_manifest
from ecr.registry.registry import Registry

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

AGAIN = timedelta(hours=24)
"""How often ECR scans an image (Amazon ECR User Guide, "Scan images for OS vulnerabilities")."""

A_DAY = 100_000
"""Basic scans of a registry in 24 hours, those on push included (Amazon ECR User Guide, "Amazon ECR
service quotas")."""

MANY = 100
"""Scans that are started without --yes."""

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
        help="of each image repository, the tagged images pushed last (10), with all platforms of each",
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
    parser.add_argument(
        "--yes",
        action="store_true",
        help=f"start more than {MANY} scans; without it they are only counted",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a sentence")


@dataclass(frozen=True, slots=True)
class Due:
    """The images of one registry to scan, as names and digests, and how many are not to be."""

    scanner: Any
    images: tuple[tuple[str, str], ...]
    skipped: Counter[str]


def run(options: argparse.Namespace) -> int:
    """Start what is due, newest images first, and say how much of it was, and what was passed over."""
    selection, access = selected_registries(options), Aws(options.role_name)
    due = [_due(access, registry, options) for registry in selection.registries]
    wanted = min(sum(len(each.images) for each in due), options.limit)
    if wanted > MANY and not options.yes:
        raise EstateError(
            f"{wanted} scans would be started; none was.",
            [f"--yes: is missing; a registry has {A_DAY} scans in 24 hours, with those on push"],
        )
    done: Counter[str] = Counter()
    with progress_line() as show:
        for each in due:
            done += each.skipped
            for name, digest in each.images:
                if done["started"] >= options.limit:
                    done["left"] += 1
                    continue
                done[_start(each.scanner, name, digest)] += 1
                show(f"{done['started']} of {wanted} scans started; {name}")
                if options.rate:
                    time.sleep(1 / options.rate)
    if options.json:
        json.dump({key: done[key] for key in _COUNTED}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(
            f"{done['started']} scans started, {done['recent']} scanned within the day already, "
            f"{done['skipped']} without packages or archived, {done['unsupported']} cannot be "
            f"scanned, {done['left']} left for another run\n"
        )
    return FOUND if done["left"] else 0


_COUNTED = ("started", "recent", "skipped", "unsupported", "left")


def _due(access: Aws, registry: Registry, options: argparse.Namespace) -> Due:
    ecr = access.ecr(registry)
    _expect_basic(ecr, registry.key)
    skipped: Counter[str] = Counter()
    images: list[tuple[str, str]] = []
    today = 0
    for name in options.image_repository or names_of(ecr):
        details = details_of(ecr, name)
        today += sum(map(_was_scanned, details))
        for detail in _chosen(ecr, name, details, options.newest):
            if detail is None or not _has_packages(detail):
                skipped["skipped"] += 1
            elif _was_scanned(detail):
                skipped["recent"] += 1
            else:
                images.append((name, detail["imageDigest"]))
    room = max(A_DAY - today, 0)
    skipped["left"] += len(images[room:])
    return Due(access.ecr_once(registry), tuple(images[:room]), skipped)


def _expect_basic(ecr: Any, key: str) -> None:  # noqa: ANN401 - boto3's client
    with aws_errors_as(f"reading the scanning of {key}"):
        found = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    if found.get("scanType") == "ENHANCED":
        raise EstateError(
            "Amazon Inspector scans by itself.",
            [f"registry {key}: its scanning is ENHANCED, and continuous; leave it out"],
        )


def _chosen(
    ecr: "ECRClient", name: str, details: Sequence[Any], newest: int
) -> Iterator[Any | None]:
    """Yield the newest tagged images, and of image indexes the parts; None for what nothing scans.

    Lists are followed to their ends, since ECR scans the images that they stand for, and not the
    attestations in them. What is a signature or another artifact takes no place among the newest.
    """
    held = {detail["imageDigest"]: detail for detail in details}
    tagged = [
        detail
        for detail in details
        if _is_tagged(detail) and (is_index(detail) or _has_packages(detail))
    ]
    tagged.sort(key=lambda detail: detail["imagePushedAt"], reverse=True)
    found = dict.fromkeys(detail["imageDigest"] for detail in tagged[:newest])
    notes: set[str] = set()
    level = list(found)
    while lists := [
        each for each in level if each in held and is_index(held[each]) and _is_pullable(held[each])
    ]:
        parts = [
            part for text in manifests_of(ecr, name, lists).values() for part in _parts_within(text)
        ]
        notes |= {part.digest for part in parts if part.is_note}
        level = [
            digest for digest in dict.fromkeys(part.digest for part in parts) if digest not in found
        ]
        found |= dict.fromkeys(level)
    for digest in found:
        if digest in notes or digest not in held:
            yield None
        elif not is_index(held[digest]) or not _is_pullable(held[digest]):
            yield held[digest]


def _parts_within(text: str) -> Sequence[Part]:
    try:
        return parse_manifest(text).parts
    except ValueError:  # what nobody can pull needs no scan
        return ()


def _is_tagged(detail: Any) -> bool:  # noqa: ANN401 - one of imageDetails
    """Whether somebody has named it; a companion's tag is made of what it is about."""
    return any(companion_of(tag) is None for tag in detail.get("imageTags", ()))


def _is_pullable(detail: Any) -> bool:  # noqa: ANN401 - one of imageDetails
    return bool(detail.get("imageStatus", ACTIVE) == ACTIVE)


def _has_packages(detail: Any) -> bool:  # noqa: ANN401 - one of imageDetails
    """Whether ECR could find packages in it: it can be pulled, and it is an image."""
    return (
        _is_pullable(detail)
        and not is_index(detail)
        and not detail.get("subjectManifestDigest")
        and detail.get("artifactMediaType") in {None, *IMAGE_CONFIGS}
    )


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
