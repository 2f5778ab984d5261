"""What belongs to an image: its parts, the lists that hold it, and its companions.

Owns the relations between the images of one image repository. Reads images that somebody else has
read, and nothing by itself. Says what is missing and what is unknown rather than leaving it out.
Relations are followed to their ends: lists hold lists, and signatures are signed. They are what
somebody pushed, or wrote into a file, so that they may lead in a circle. Needs only the standard
library.

A companion is what says something of an image: a referrer, by its `subject` (OCI Distribution
Specification, "Listing Referrers"), or what has a tag made of the image's digest: cosign's
`sha256-DIGEST.sig`, `.att` and `.sbom` (cosign, "Specification"), and the same without an ending
(OCI Distribution Specification, "Referrers Tag Schema").
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ecr.images.image import Image

FamilyPart = Literal["itself", "part", "referrer", "signature", "attestation", "sbom", "tag"]
"""How an image belongs to a family: `tag` is a companion by a tag of another ending, or none."""

COMPANION = re.compile(r"sha256-([0-9a-f]{64})(?:\.([a-z0-9]+))?")
"""The tags of companions: the hexadecimal digest of what they are about, then their kind."""

COMPANION_TAGS = "sha256-*"
"""The pattern of a lifecycle policy that every tag of a companion matches."""

_ENDINGS: Mapping[str, FamilyPart] = {"sig": "signature", "att": "attestation", "sbom": "sbom"}


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a family: how it belongs there, and to which member, whose digest is ``of``."""

    digest: str
    kind: FamilyPart
    of: str


@dataclass(frozen=True, slots=True)
class Family:
    """All that belongs to an image, the image itself first.

    ``missing`` are digests that members name and that the image repository does not hold.
    ``unknown`` are members that are manifest lists of which the parts are not known: where it is not
    empty, the family may be larger.
    """

    members: tuple[Member, ...]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """Return the digests of all members, the image's own first."""
        return tuple(member.digest for member in self.members)

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is missing and nothing unknown."""
        return not self.missing and not self.unknown


def companion_of(tag: str) -> tuple[str, FamilyPart] | None:
    """Return the digest that a companion's tag is about, and its kind; None for another tag."""
    found = COMPANION.fullmatch(tag)
    if not found:
        return None
    return f"sha256:{found[1]}", _ENDINGS.get(found[2] or "", "tag")


class Families:
    """The relations between the images of one image repository; most have none, and cost nothing."""

    def __init__(self, images: Iterable[Image]) -> None:
        """Relate images to one another, whatever their storage class."""
        self._held: set[str] = set()
        self._parts: dict[str, tuple[str, ...]] = {}
        self._unread: set[str] = set()
        self._lists: dict[str, list[str]] = defaultdict(list)
        self._subjects: dict[str, list[Member]] = defaultdict(list)
        self._companions: dict[str, list[Member]] = defaultdict(list)
        for image in images:
            self._held.add(image.digest)
            if image.parts is None:
                self._unread.add(image.digest)
            elif image.parts:
                self._parts[image.digest] = image.parts
                for part in dict.fromkeys(image.parts):
                    self._lists[part].append(image.digest)
            if image.subject is not None:
                self._companion(image.digest, "referrer", image.subject)
            for tag in image.tags:
                if tag.startswith("sha256-") and (named := companion_of(tag)):
                    about, kind = named
                    self._companion(image.digest, kind, about)

    def _companion(self, digest: str, kind: FamilyPart, about: str) -> None:
        if digest != about:
            self._companions[about].append(Member(digest, kind, about))
            self._subjects[digest].append(Member(about, kind, digest))

    def __contains__(self, digest: str) -> bool:
        """Return whether the image repository holds the image."""
        return digest in self._held

    @property
    def unread(self) -> frozenset[str]:
        """Return the manifest lists of which the parts are not known."""
        return frozenset(self._unread)

    def parts(self, digest: str) -> tuple[str, ...]:
        """Return the digests that a manifest list names itself, there or not."""
        return self._parts.get(digest, ())

    def lists(self, digest: str) -> tuple[str, ...]:
        """Return the manifest lists that name the image themselves."""
        return tuple(self._lists.get(digest, ()))

    def companions(self, digest: str) -> tuple[Member, ...]:
        """Return what says something of the image itself, and of no part of it."""
        return tuple(self._companions.get(digest, ()))

    def subjects(self, digest: str) -> tuple[Member, ...]:
        """Return what a companion is about, there or not; empty for what is no companion."""
        return tuple(self._subjects.get(digest, ()))

    def below(self, digest: str) -> Family:
        """Return the image and its parts, their parts, and so on: what has to be there to run it."""
        return self._closure(digest, self._downwards)

    def above(self, digest: str) -> Family:
        """Return the image and the lists that hold it, their lists, and so on.

        These are the digests by which it can be run. A member's ``of`` is the part that it holds.
        Lists of which the parts are not known may hold it as well: see `unread`.
        """
        return self._closure(digest, self._upwards)

    def whole(self, digest: str) -> Family:
        """Return the image, its parts, and the companions of each: what has to be copied with it."""
        return self._closure(digest, self._everything)

    def _downwards(self, digest: str) -> Iterable[Member]:
        return (Member(part, "part", digest) for part in self.parts(digest))

    def _upwards(self, digest: str) -> Iterable[Member]:
        return (Member(each, "part", digest) for each in self.lists(digest))

    def _everything(self, digest: str) -> Iterable[Member]:
        return (*self._downwards(digest), *self.companions(digest))

    def _closure(self, digest: str, follow: Callable[[str], Iterable[Member]]) -> Family:
        found = {digest: Member(digest, "itself", digest)}
        waiting = [digest]
        for each in waiting:
            for member in follow(each):
                if member.digest not in found:
                    found[member.digest] = member
                    waiting.append(member.digest)
        return Family(
            tuple(member for member in found.values() if member.digest in self._held),
            tuple(each for each in found if each not in self._held),
            tuple(each for each in found if each in self._unread),
        )
