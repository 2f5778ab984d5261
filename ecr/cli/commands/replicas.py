"""List the images that are missing from replicas, fill them in, and verify what is there.

Owns the comparison of replicas with what they are filled from. Reads both registries. Writes only
with --fill and --yes: by ECR's own backfill, or image by image with crane or skopeo, which copy
manifests and layers as they are. Never deletes, and never moves a tag on purpose.

ECR replicates what is pushed after replication was configured (Amazon ECR User Guide, "Private image
replication in Amazon ECR").
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.aws.images import described_images, images_if_there, manifests_of
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import refuse_unused_options
from ecr.cli.progress import progress_line
from ecr.cli.registries import (
    RegistrySelection,
    add_name_options,
    add_registry_options,
    selected_registries,
)
from ecr.cli.table import table
from ecr.errors import EstateError
from ecr.plan.registry_settings import deletion_rules
from ecr.registry.registry import Placement, Registry

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

SHORT_DIGEST = 19
BETWEEN = 10.0
"""Seconds between two looks at a backfill."""

_UNFINISHED = ("PREPARING", "IN_PROGRESS", "STOPPING")

TOOLS = ("crane", "skopeo")


@dataclass(frozen=True, slots=True)
class Gap:
    """An image that a replica lacks, or some of whose tags it lacks."""

    name: str
    source: Registry
    destination: Registry
    digest: str
    tags: tuple[str, ...]
    what: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_registry_options(parser)
    add_name_options(parser)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="also fetch every manifest of the replicas, and compare it with its digest",
    )
    parser.add_argument(
        "--fill",
        choices=("backfill", *TOOLS),
        help="say how the gaps would be filled: ECR's own backfill of whole registries, or a tool on "
        "the PATH, image by image",
    )
    parser.add_argument("--yes", action="store_true", help="with --fill: do it")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Compare, fill where asked; give 3 where something is missing, damaged or deleted by a rule."""
    refuse_unused_options(
        (options.yes and not options.fill, "--yes: is for --fill; give both, or neither")
    )
    selection, access = selected_registries(options), Aws(options.role_name)
    if not selection.replicas:
        raise EstateError(
            "No replicas are known.",
            ["give --outputs with those of a stack that has lambdaReplicas"],
        )
    unknown = [each for each in options.image_repository or () if each not in selection.replicas]
    if unknown:
        raise EstateError(
            "Not every image repository that is named has a replica.",
            [
                f"--image-repository {each}: is none of those that the outputs name"
                for each in unknown
            ],
        )
    gaps = _gaps(access, selection, options.image_repository)
    filled: list[str] = []
    if options.fill and gaps:
        if options.yes:
            if options.fill == "backfill":
                filled += _backfilled(access, gaps, selection.replicas)
            else:
                _copy(access, gaps, options.fill)
            before = len(gaps)
            gaps = _gaps(access, selection, options.image_repository)
            filled.append(f"{before - len(gaps)} of {before} gaps are filled")
        else:
            filled = [*_intended(gaps, options.fill), "nothing was changed; add --yes to do it"]
    damaged = list(_damaged(access, selection, options.image_repository)) if options.verify else []
    deleting = list(_deleting(access, selection))
    if options.json:
        found = [
            {
                "imageRepository": gap.name,
                "registry": gap.destination.key,
                "imageDigest": gap.digest,
                "imageTags": list(gap.tags),
                "missing": gap.what,
            }
            for gap in gaps
        ]
        json.dump(
            {"gaps": found, "damaged": damaged, "filled": filled, "deleting": deleting},
            sys.stdout,
            indent=2,
        )
        sys.stdout.write("\n")
    else:
        rows = [
            (
                gap.destination.key,
                gap.name,
                gap.digest[:SHORT_DIGEST],
                ",".join(gap.tags) or "-",
                gap.what,
            )
            for gap in gaps
        ]
        sys.stdout.write(table(("replica", "name", "image", "tags", "missing"), rows))
        sys.stdout.write("".join(f"{line}\n" for line in (*damaged, *filled, *deleting)))
    replicas = sum(map(len, selection.replicas.values()))
    sys.stderr.write(f"{replicas} replicas, {len(gaps)} gaps, {len(damaged)} damaged\n")
    return FOUND if gaps or damaged or deleting else 0


def _pairs(
    access: Aws, selection: RegistrySelection, chosen: Sequence[str] | None
) -> Iterator[tuple[str, Registry, Registry]]:
    """Yield each replica: its name, where it is filled from, and where it is.

    Where a name is in several registries, it is the one that replicates there that counts.
    """
    rules = cache(_rules)
    for name, destinations in selection.replicas.items():
        sources = selection.placements.get(name, ())
        if not sources or (chosen and name not in chosen):
            continue
        for destination in destinations:
            filling = (
                source for source in sources if _fills(rules(access, source), name, destination)
            )
            yield name, next(filling, sources[0]), destination


def _rules(access: Aws, source: Registry) -> Sequence[Any]:
    with aws_errors_as(f"reading the replication of {source.key}"):
        return access.ecr(source).describe_registry()["replicationConfiguration"]["rules"]


def _fills(rules: Sequence[Any], name: str, destination: Registry) -> bool:
    there = {"region": destination.region, "registryId": destination.account}
    return any(
        there in rule["destinations"]
        and (
            not rule.get("repositoryFilters")
            or any(name.startswith(each["filter"]) for each in rule["repositoryFilters"])
        )
        for rule in rules
    )


def _deleting(access: Aws, selection: RegistrySelection) -> Iterator[str]:
    """Say of each rule that replicates deletions which replicas it takes images from.

    The program switches it on nowhere: what expires, is deleted or loses its tag at the source would
    be gone for functions that run the replica's (Amazon ECR API Reference, "ReplicationRule").
    """
    sources = {each for name in selection.replicas for each in selection.placements.get(name, ())}
    for source in sorted(sources):
        answer = {"replicationConfiguration": {"rules": _rules(access, source)}}
        for rule in deletion_rules(source, answer):
            for destination in rule.destinations:
                reached = sum(
                    destination in held and rule.reaches(Placement(destination, name))
                    for name, held in selection.replicas.items()
                )
                yield (
                    f"{source.key}: a replication rule also deletes in {destination.key}, from "
                    f"{reached} of its replicas, what is deleted, expires or loses its tag at the "
                    "source; put the rules again without deleteReplication"
                )


def _gaps(access: Aws, selection: RegistrySelection, chosen: Sequence[str] | None) -> list[Gap]:
    found: list[Gap] = []
    for name, source, destination in _pairs(access, selection, chosen):
        copies = images_if_there(access.ecr(destination), name) or ()
        held = {each.digest: each for each in copies}
        for image in described_images(access.ecr(source), name):
            if not image.pullable:
                continue
            copy = held.get(image.digest)
            lacking = tuple(sorted(set(image.tags) - set(copy.tags if copy else ())))
            if copy is None or lacking:
                what = "the image" if copy is None else "tags"
                found.append(Gap(name, source, destination, image.digest, lacking, what))
    return found


def _damaged(
    access: Aws, selection: RegistrySelection, chosen: Sequence[str] | None
) -> Iterator[str]:
    for name, _, destination in _pairs(access, selection, chosen):
        ecr = access.ecr(destination)
        held = images_if_there(ecr, name) or ()
        digests = [each.digest for each in held if each.pullable]
        manifests = manifests_of(ecr, name, digests)
        for digest in digests:
            text = manifests.get(digest)
            actual = text and f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
            if actual != digest:
                yield f"{destination.key}/{name}@{digest}: its manifest is {actual or 'not there'}"


def _intended(gaps: Sequence[Gap], way: str) -> list[str]:
    if way == "backfill":
        return [
            f"would backfill {destination.key} from {source.key}"
            for source, destination in _registries(gaps)
        ]
    return [f"would run {' '.join(each)}" for each in _commands(gaps, way)]


def _registries(gaps: Sequence[Gap]) -> list[tuple[Registry, Registry]]:
    return sorted({(gap.source, gap.destination) for gap in gaps})


def _backfilled(access: Aws, gaps: Sequence[Gap], known: Collection[str]) -> Iterator[str]:
    """Backfill one destination after another, each to its end, and say what could not be copied.

    ECR has one backfill in progress for a destination's Region (Amazon ECR API Reference,
    "StartReplicationBackfill"). It copies whatever the rules' prefixes match, and not the gaps alone:
    what is not ``known`` as a replica has no image repository there, and fails.
    """
    for source, destination in _registries(gaps):
        ecr = access.ecr(source)
        try:
            with aws_errors_as(f"backfilling {destination.key} from {source.key}"):
                begun = ecr.start_replication_backfill(
                    destination={"region": destination.region, "registryId": destination.account}
                )
        except EstateError as error:
            # One at a time to a Region, and ten in all (as above): somebody else's is in progress.
            if not is_refusal(
                error, "ReplicationBackfillInProgressException", "LimitExceededException"
            ):
                raise
            yield (
                f"{destination.key}: not started, since another backfill is in progress; run the "
                "command again when that has ended"
            )
            continue
        identifier = begun["replicationBackfillId"]
        ended = _ended(ecr, identifier, destination)
        why = f" ({ended['failureCode']})" if ended.get("failureCode") else ""
        yield f"{destination.key}: backfill {identifier} is {ended['status']}{why}"
        for (name, code), count in sorted(_failures(ecr, identifier).items()):
            hint = "" if name in known else "; it is no replica, and a rule's prefix matches it too"
            yield f"{destination.key}/{name}: {count} images were not copied ({code}){hint}"


def _ended(ecr: "ECRClient", identifier: str, destination: Registry) -> Mapping[str, Any]:
    """Return what a backfill has come to, once it has ended."""
    with progress_line() as show:
        while True:
            with aws_errors_as(f"reading the backfill {identifier}"):
                found = ecr.describe_replication_backfill_results(
                    replicationBackfillId=identifier, maxResults=1
                )
            if found["status"] not in _UNFINISHED:
                return found
            counts = ", ".join(f"{key} {count}" for key, count in found.get("progress", {}).items())
            show(f"{destination.key}: backfill {identifier} is {found['status']} {counts}")
            time.sleep(BETWEEN)


def _failures(ecr: "ECRClient", identifier: str) -> Counter[tuple[str, str]]:
    """Count what was not copied, by image repository and reason. boto3 has no paginator for it."""
    ask = partial(
        ecr.describe_replication_backfill_results,
        replicationBackfillId=identifier,
        resultStatusFilter="FAILED",
    )
    found: Counter[tuple[str, str]] = Counter()
    token = ""
    while True:
        with aws_errors_as(f"reading what the backfill {identifier} did not copy"):
            answer = ask(nextToken=token) if token else ask()
        for each in answer.get("results", ()):
            inner = each.get("subImageFailureCodes") or ()
            code = each.get("failureCode") or ", ".join(map(str, inner)) or "without a reason"
            found[each["repositoryName"], code] += 1
        token = answer.get("nextToken", "")
        if not token:
            return found


def _commands(gaps: Sequence[Gap], tool: str) -> Iterator[list[str]]:
    """Yield a command for each tag, or one by digest for an image without any."""
    for gap in gaps:
        source = f"{gap.source.host}/{gap.name}@{gap.digest}"
        for name in (gap.tags and [f":{tag}" for tag in gap.tags]) or [f"@{gap.digest}"]:
            target = f"{gap.destination.host}/{gap.name}{name}"
            if tool == "crane":
                yield ["crane", "copy", source, target]
            else:
                options = ["--all", "--preserve-digests"]
                yield ["skopeo", "copy", *options, f"docker://{source}", f"docker://{target}"]


def _copy(access: Aws, gaps: Sequence[Gap], tool: str) -> None:
    """Copy by a tool that is told the passwords in a file of its own, which ends with the copying."""
    path = shutil.which(tool)
    if not path:
        raise EstateError(f"{tool} is not installed.", ["put it on the PATH, or --fill backfill"])
    registries = {registry for gap in gaps for registry in (gap.source, gap.destination)}
    with tempfile.TemporaryDirectory() as folder:
        logins = Path(folder) / "config.json"
        logins.touch(mode=0o600)
        logins.write_text(json.dumps({"auths": {r.host: _login(access, r) for r in registries}}))
        environment = {**os.environ, "DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(logins)}
        for _, *arguments in _commands(gaps, tool):
            done = subprocess.run(
                [path, *arguments], check=False, capture_output=True, text=True, env=environment
            )
            if done.returncode:
                raise EstateError(
                    f"{tool} could not copy an image.",
                    [f"{arguments[-1]}: {done.stderr.strip()}; correct it and run this again"],
                )


def _login(access: Aws, registry: Registry) -> dict[str, str]:
    with aws_errors_as(f"logging in to {registry.key}"):
        answer = access.client("ecr", registry).get_authorization_token()
    return {"auth": answer["authorizationData"][0]["authorizationToken"]}
