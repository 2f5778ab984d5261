"""Delete the images of image repositories that retire: lists before their parts, and nothing that runs.

Owns the order and the batches of the deletions, and what they spare: what `audit --json` found in use, with
all that it consists of and that refers to it. Reads the stack's ledger, by which an image repository must be
kept or retiring, the audit, and the images. Deletes only with --yes, never an image repository, and never
anything of a service whose repository is still selected.

Sources: Amazon ECR API Reference, "BatchDeleteImage": 100 images a request, and an image that a manifest list
references is not deleted before that list (ImageReferencedByManifestList).
"""

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.aws.images import described_images, with_parts
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.exit_codes import FOUND
from ecr.cli.progress import progress_line
from ecr.cli.table import table
from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import read_text
from ecr.errors import EstateError
from ecr.images.family import Families
from ecr.images.image import Image
from ecr.lifecycle.simulator import DAY
from ecr.registry.registry import Placement

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

DELETIONS_A_REQUEST = 100
"""Images of one BatchDeleteImage request (Amazon ECR API Reference, "BatchDeleteImage")."""


@dataclass(frozen=True, slots=True)
class Emptying:
    """What would be deleted of one image repository, in the order of the deletions, and what is spared."""

    placement: Placement
    state: str
    waves: tuple[tuple[str, ...], ...]
    spared: tuple[str, ...]

    @property
    def count(self) -> int:
        """Return how many images would be deleted."""
        return sum(map(len, self.waves))


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="the names of services, or of image repositories"
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        required=True,
        metavar="FILE",
        help="the stack's outputs, from `pulumi stack output --json`",
    )
    parser.add_argument(
        "--audit",
        type=Path,
        metavar="FILE",
        help="what `audit --json` printed, at most a day ago: nothing of it is deleted; needed with --yes",
    )
    parser.add_argument(
        "--role-name",
        metavar="NAME",
        help="the role to assume in each account; without it the environment's credentials are used",
    )
    parser.add_argument(
        "--yes", action="store_true", help="delete; without it only say what would be"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Say what would be deleted, delete it where asked; give 3 where something that runs is spared."""
    stated = Outputs.read(options.outputs)
    places = dict(_places(stated, options.names))
    if options.yes and not options.audit:
        raise EstateError(
            "Nothing is deleted without an audit.",
            ["--audit: give what `ecr-estate audit --json` printed, of all that runs images"],
        )
    in_use = _in_use(options.audit) if options.audit else {}
    access = Aws(options.role_name)
    planned = [
        _emptying(access.ecr(place.registry), place, state, in_use.get(place.location, ()))
        for place, state in places.items()
    ]
    failed: list[str] = []
    if options.yes:
        with progress_line() as show:
            done = 0
            for each in planned:
                ecr = access.ecr(each.placement.registry)
                for batch, offences in _deleted(ecr, each):
                    done += batch - len(offences)
                    failed += offences
                    show(f"{done:,} of {sum(one.count for one in planned):,} images")
    _print(planned, done=options.yes, as_json=options.json)
    if failed:
        raise EstateError("Not every image was deleted; run the command again.", failed)
    return FOUND if any(each.spared for each in planned) else 0


def _places(stated: Outputs, names: Sequence[str]) -> Iterator[tuple[Placement, str]]:
    """Yield the image repositories of these names with their states. Raises EstateError for one that runs on."""
    offences: list[str] = []
    found: set[str] = set()
    for entry in stated.ledger.entries.values():
        for location, state in (*entry.placements.items(), *entry.replicas.items()):
            place = Placement.at(location)
            named = {entry.service, place.name} & set(names)
            if not named:
                continue
            found |= named
            if state == "active":
                offences.append(
                    f"{location}: is active; exclude or archive its repository and deploy, or take it from "
                    "the names"
                )
            else:
                yield place, state
    offences += [f"{name}: no ledger has it" for name in names if name not in found]
    if offences:
        raise EstateError(
            "Only what is kept or retiring is emptied; nothing was changed.", offences
        )


def _in_use(path: Path) -> Mapping[str, Collection[str]]:
    """Return the digests that an audit found in use, by location. Raises EstateError where it is none."""
    held: dict[str, set[str]] = {}
    if time.time() - path.stat().st_mtime > DAY:
        raise _unusable(path, "it is more than a day old")
    try:
        read: Any = json.loads(read_text(path))
        for each in read:
            if each["state"] == "gone":
                continue  # Whoever wants it has lost it already.
            location = f"{each['registry']}/{each['imageRepository']}"
            held.setdefault(location, set()).add(each["imageDigest"])
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable(path, f"it is none ({error!r})") from error
    if not isinstance(read, list):
        raise _unusable(path, "it is no list")
    return held


def _unusable(path: Path, why: str) -> EstateError:
    return EstateError(
        "The audit cannot be read.",
        [f"{path}: {why}; give what `ecr-estate audit --json` prints now"],
    )


def _emptying(ecr: "ECRClient", place: Placement, state: str, in_use: Collection[str]) -> Emptying:
    try:
        images = with_parts(ecr, place.name, described_images(ecr, place.name))
    except EstateError as error:
        if is_refusal(error, "RepositoryNotFoundException"):
            return Emptying(place, state, (), ())
        raise
    spared = _spared(images, in_use)
    return Emptying(
        place,
        state,
        tuple(_waves([each for each in images if each.digest not in spared])),
        tuple(sorted(spared)),
    )


def _spared(images: Sequence[Image], in_use: Collection[str]) -> set[str]:
    """Return what runs, with the lists that hold it, their parts, and what refers to any of these."""
    families = Families(images)
    by_digest = {each.digest: each for each in images}
    waiting = [each for each in in_use if each in by_digest]
    # A list of which the parts are not known may hold what runs.
    waiting += families.unread if waiting else ()
    spared: set[str] = set()
    while waiting:
        digest = waiting.pop()
        if digest in spared or digest not in by_digest:
            continue
        spared.add(digest)
        waiting += by_digest[digest].parts or ()
        waiting += families.above(digest).digests
        waiting += [each.digest for each in families.companions(digest)]
    return spared


def _waves(images: Sequence[Image]) -> Iterator[tuple[str, ...]]:
    """Yield digests in the order of their deletion: a list always before what it names."""
    left = {each.digest: each for each in images}
    while left:
        named = {part for each in left.values() for part in each.parts or ()}
        free = tuple(digest for digest in left if digest not in named)
        # Of an archived list the parts are not known: it goes before everything that could be one.
        unread = tuple(digest for digest in free if left[digest].parts is None)
        free = unread or free
        # Lists cannot name one another in a circle, for a digest is of all that it names.
        for digest in free:
            del left[digest]
        yield free


def _deleted(ecr: "ECRClient", planned: Emptying) -> Iterator[tuple[int, list[str]]]:
    """Delete wave by wave, and yield the size of each batch with what ECR refused of it."""
    name = planned.placement.name
    for wave in planned.waves:
        for start in range(0, len(wave), DELETIONS_A_REQUEST):
            batch = wave[start : start + DELETIONS_A_REQUEST]
            with aws_errors_as(f"deleting images of {planned.placement.location}"):
                answer = ecr.batch_delete_image(
                    repositoryName=name, imageIds=[{"imageDigest": each} for each in batch]
                )
            yield (
                len(batch),
                [
                    f"{planned.placement.location}@{each['imageId'].get('imageDigest')}: "
                    f"{each.get('failureCode')}: {each.get('failureReason', '')}"
                    for each in answer.get("failures", ())
                    if each.get("failureCode") != "ImageNotFound"
                ],
            )


def _print(planned: Sequence[Emptying], *, done: bool, as_json: bool) -> None:
    if as_json:
        said: list[dict[str, Any]] = [
            {
                "location": each.placement.location,
                "state": each.state,
                "images": each.count,
                "digests": [digest for wave in each.waves for digest in wave],
                "spared": list(each.spared),
                "deleted": done,
            }
            for each in planned
        ]
        json.dump(said, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    rows = [(each.placement.location, each.state, each.count, len(each.spared)) for each in planned]
    verb = "deleted" if done else "would be deleted"
    sys.stdout.write(table(("image repository", "state", verb, "spared, for it runs"), rows))
    if not done:
        sys.stdout.write("nothing was changed; add --audit FILE --yes to delete them\n")
