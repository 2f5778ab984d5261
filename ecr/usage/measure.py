"""One image repository, measured: how many images and bytes, since when, and by whom still pulled.

Owns what counts as stored: a part of an image index once, and a layer that several images share once, where
their manifests were read. Without the manifests every image counts with all its layers, which is the most
that it can be. Reads what somebody else has read, one image after the other, and keeps no description.

Sources: Amazon ECR API Reference, "ImageDetail": the size of an index is that of the largest of its parts,
and the sizes of images do not say what they share; Amazon ECR User Guide, "Lifecycle policies in Amazon ECR":
an image is acted on within 24 hours of being due.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from ecr.errors import EstateError
from ecr.images.image import LISTS, Image, image_of
from ecr.images.manifest import parse_manifest, stored_blobs
from ecr.lifecycle.policy import Policy
from ecr.lifecycle.simulator import DAY, entered, simulate

RECENT = 30
"""Days that count as the last month: what was pushed in them is growth."""

MONTHS_SHOWN = 12
"""Months of thirty days for which a report says what of today's images was pushed in each."""

ReadManifests = Callable[[Sequence[str]], Mapping[str, str]]
"""Gives the texts of manifests by digest; what is gone, or archived, is left out."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one image repository holds. Bytes are whole, times are seconds since 1970, 0 where there is none.

    ``images`` counts every manifest, an index and each of its parts too; ``standard`` and ``archive`` are the
    bytes that are stored in each class. ``pushed`` images and ``pushed_bytes`` are those of the last 30 days
    that are still there. ``by_month`` has the bytes of the last twelve months of 30 days, the present one
    first, and ``platforms`` the bytes by platform, both as far as manifests say. ``overdue`` images should
    have gone by the lifecycle policy more than a day ago; ``has_policy`` is whether there is one.
    """

    registry: str
    name: str
    created: float
    images: int = 0
    tagged: int = 0
    standard: int = 0
    archive: int = 0
    last_push: float = 0.0
    last_pull: float = 0.0
    pushed: int = 0
    pushed_bytes: int = 0
    overdue: int = 0
    has_policy: bool = False
    by_month: tuple[int, ...] = (0,) * MONTHS_SHOWN
    platforms: Mapping[str, int] = field(default_factory=dict)

    @property
    def location(self) -> str:
        """Return "ACCOUNT/REGION/NAME"."""
        return f"{self.registry}/{self.name}"

    @property
    def stored(self) -> int:
        """Return the bytes of both storage classes."""
        return self.standard + self.archive

    @property
    def active_at(self) -> float:
        """Return the last moment at which somebody did something with it: made, filled or pulled it."""
        return max(self.created, self.last_push, self.last_pull)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def of_json(cls, plain: object) -> Self:
        """Return what plain data says. Raises ValueError for data that is no measurement."""
        if not isinstance(plain, dict) or plain.keys() != {each.name for each in fields(cls)}:
            raise ValueError("it is no measurement of this version")
        return cls(**{**plain, "by_month": tuple(plain["by_month"])})


@dataclass(slots=True)
class _Sizes:
    """The sizes of images by digest, and which of them are indexes."""

    bytes: dict[str, int] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)


def measure(
    registry: str,
    name: str,
    details: Iterable[Mapping[str, Any]],
    *,
    created: float,
    policy: Policy | None,
    now: float,
    read: ReadManifests | None = None,
) -> Measured:
    """Measure one image repository. ``read`` gives manifests, by which shared layers are counted once.

    Raises EstateError for a description that is of no image.
    """
    sizes = _Sizes()
    images = list(_images(details, sizes, f"{registry}/{name}"))
    whole = [each for each in images if each.digest not in sizes.lists]
    blobs, platforms = _read(images, read) if read else ({}, {})
    stored = {"standard": 0, "archive": 0}
    by_month = [0] * MONTHS_SHOWN
    by_platform: dict[str, int] = {}
    seen: set[str] = set()
    pushed_bytes = 0
    # The oldest first, and what can be pulled before what is archived: a layer is the first image's.
    for image in sorted(whole, key=lambda each: (not each.pullable, each.pushed_at)):
        own = blobs.get(image.digest)
        if own is None:
            size = sizes.bytes[image.digest]
        else:
            size = sum(own[each] for each in own.keys() - seen)
            seen |= own.keys()
        stored[image.storage_class] += size
        age = now - image.pushed_at
        pushed_bytes += size if age < RECENT * DAY else 0
        month = int(max(age, 0) // (RECENT * DAY))
        if month < MONTHS_SHOWN:
            by_month[month] += size
        if read:
            platform = platforms.get(image.digest) or "unknown"
            by_platform[platform] = by_platform.get(platform, 0) + size
    return Measured(
        registry,
        name,
        created,
        images=len(images),
        tagged=sum(bool(each.tags) for each in images),
        standard=stored["standard"],
        archive=stored["archive"],
        last_push=max((each.pushed_at for each in images), default=0.0),
        last_pull=max((each.pulled_at or 0.0 for each in images), default=0.0),
        pushed=sum(now - each.pushed_at < RECENT * DAY for each in whole),
        pushed_bytes=pushed_bytes,
        overdue=_overdue(images, policy, now),
        has_policy=policy is not None,
        by_month=tuple(by_month),
        platforms=by_platform,
    )


def _images(details: Iterable[Mapping[str, Any]], sizes: _Sizes, where: str) -> Iterator[Image]:
    for detail in details:
        try:
            image = image_of(detail)
            sizes.bytes[image.digest] = int(detail.get("imageSizeInBytes", 0))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise EstateError(
                "ECR's description of an image cannot be read.",
                [f"{where}: {error!r}; report it with the version of the program"],
            ) from error
        if detail.get("imageManifestMediaType") in LISTS:
            sizes.lists.add(image.digest)
        yield image


def _read(
    images: Sequence[Image], read: ReadManifests
) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Return the blobs of each image with their sizes, and the platform of each part of an index."""
    blobs: dict[str, dict[str, int]] = {}
    platforms: dict[str, str] = {}
    for digest, text in read([each.digest for each in images if each.pullable]).items():
        try:
            manifest = parse_manifest(text)
            if manifest.is_list:
                platforms |= {part.digest: part.platform for part in manifest.parts}
            else:
                blobs[digest] = stored_blobs(text)
        except ValueError:
            continue  # It counts with the size that ECR says.
    return blobs, platforms


def _overdue(images: Sequence[Image], policy: Policy | None, now: float) -> int:
    """Count the images that were due a day ago, by what stood then, and are still there."""
    if policy is None or not policy.rules:
        return 0
    then = now - DAY
    stood = [each for each in images if entered(each) <= then]
    return sum(each.action is not None for each in simulate(stood, policy, now=then).verdicts)


def shown_date(moment: float) -> str:
    """Return a moment as an ISO date in UTC; "-" for none."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat() if moment else "-"
