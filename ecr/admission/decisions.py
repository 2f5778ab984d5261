"""Which images are denied, and under which names.

Owns the rule. Reads what the registries hold, the waivers, and which digests the last lists denied,
and nothing else: the same input gives the same lists, in the same order. An image is its digest:
what any registry found in it counts wherever it lies.

A verdict stays until something says otherwise: a finished scan, or a waiver. A scan that is running,
has failed or has expired says nothing, and neither does one that is gone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ecr.admission.model import Finding, Held, ScannedImage
from ecr.admission.waivers import Waiver
from ecr.images.family import Families
from ecr.images.image import Image as Related

DenialReason = Literal["vulnerable", "unscanned"]


@dataclass(frozen=True, slots=True)
class Denied:
    """One image of one name; ``entries`` are all names by which it could be pulled.

    An entry is ACCOUNT/REGION/NAME:TAG or ACCOUNT/REGION/NAME@DIGEST. ``kept`` is whether it is
    denied because it was before: ECR has no findings of it now, and no finished scan either.
    """

    name: str
    digest: str
    why: DenialReason
    findings: tuple[Finding, ...]
    entries: tuple[str, ...]
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The denied images, and what became of the waivers.

    ``incomplete`` are manifest lists, as NAME@DIGEST, that cannot be judged: a part is not in any
    registry, is of an unknown kind, or the list itself cannot be understood. They count as unscanned.
    """

    denied: tuple[Denied, ...]
    waived: int
    expired: tuple[Waiver, ...]
    unused: tuple[Waiver, ...]
    incomplete: tuple[str, ...] = ()

    def entries(self, why: DenialReason) -> tuple[str, ...]:
        """Return the entries of one list, sorted."""
        return tuple(
            sorted({entry for each in self.denied if each.why == why for entry in each.entries})
        )


Problem = Finding | Literal["unscanned", "kept"]
"""What is wrong with an image; the words are for what no finding stands for."""


def decide(
    held: Sequence[Held],
    waivers: Sequence[Waiver],
    *,
    today: date,
    deny_unscanned: bool,
    before: Collection[str] = (),
) -> Decision:
    """Decide about every image of every registry.

    ``before`` are the digests that the last lists deny for vulnerabilities. ``waived`` of the answer
    counts the images that waivers alone kept from being denied.
    """
    active = [each for each in waivers if each.expires >= today]
    content = _Content((image for each in held for image in each.images), frozenset(before))
    locations = _Locations(held)
    used: set[Waiver] = set()
    denied: list[Denied] = []
    waived = 0
    for name, digest in sorted(content.places):
        problems = content.problems(digest, deny_unscanned=deny_unscanned)
        left: set[Problem] = set()
        for holder, problem in problems:
            names = locations.short_names(name, digest) | {f"{name}@{holder}"}
            finding = problem.name if isinstance(problem, Finding) else None
            covering = {each for each in active if each.covers(names, finding)}
            used |= covering
            if not covering:
                left.add(problem)
        waived += bool(problems and not left)
        if left:
            findings = tuple(sorted(each for each in left if isinstance(each, Finding)))
            denied.append(
                Denied(
                    name,
                    digest,
                    "vulnerable" if findings or "kept" in left else "unscanned",
                    findings,
                    tuple(locations.entries(name, digest)),
                    kept=not findings and "kept" in left,
                )
            )
    return Decision(
        tuple(denied),
        waived,
        tuple(each for each in waivers if each not in active),
        tuple(each for each in active if each not in used),
        tuple(
            f"{name}@{digest}"
            for name, digest in sorted(content.places)
            if not content.is_whole(digest)
        ),
    )


class _Content:
    """What is known of each digest, whichever registry said it."""

    def __init__(self, images: Iterable[ScannedImage], before: frozenset[str]) -> None:
        self.places: set[tuple[str, str]] = set()
        self._before = before
        self._findings: dict[str, set[Finding]] = defaultdict(set)
        self._notes: dict[str, frozenset[str]] = {}
        self._scanned: set[str] = set()
        self._unsettled: set[str] = set()
        self._lists: set[str] = set()
        self._unknown: set[str] = set()
        self._pullable: set[str] = set()
        related: dict[str, Related] = {}
        for image in images:
            self.places.add((image.name, image.digest))
            self._findings[image.digest].update(image.scan.findings)
            self._notes[image.digest] = image.notes or self._notes.get(image.digest, frozenset())
            for known, where in (
                (image.scan.scanned, self._scanned),
                (image.scan.unsettled, self._unsettled),
                (image.is_list, self._lists),
                (not image.known, self._unknown),
                (image.pullable, self._pullable),
            ):
                if known:
                    where.add(image.digest)
            if image.digest not in related or related[image.digest].parts is None:
                related[image.digest] = Related(image.digest, 0.0, parts=image.parts)
        self._families = Families(related.values())

    def problems(self, digest: str, *, deny_unscanned: bool) -> Sequence[tuple[str, Problem]]:
        """Return each problem with the digest that has it.

        A manifest list is as bad as the images it stands for, and so are the lists that hold it: ECR
        does not scan a list, and a node pulls one of the images by its name.
        """
        family = self._families.below(digest)
        everything = (*family.digests, *family.missing)
        found: list[tuple[str, Problem]] = [
            (each, finding) for each in everything for finding in self._findings.get(each, ())
        ]
        found += [(each, "kept") for each in everything if self._stays(each)]
        if not found and deny_unscanned and digest in self._pullable and self._is_unscanned(digest):
            return [(digest, "unscanned")]
        return found

    def is_whole(self, digest: str) -> bool:
        """Return whether all that a manifest list stands for is there, and of a known kind."""
        if digest not in self._lists or digest not in self._pullable:
            return True
        family = self._families.below(digest)
        return family.is_whole and self._unknown.isdisjoint(family.digests)

    def _stays(self, digest: str) -> bool:
        """Return whether it was denied before, and nothing has been heard that would lift that."""
        if digest not in self._before or self._findings.get(digest):
            return False
        if digest in self._lists:
            # Its parts speak for themselves, as long as all of them are there.
            return digest not in self._pullable or not self.is_whole(digest)
        return digest not in self._scanned or digest in self._unsettled

    def _is_unscanned(self, digest: str) -> bool:
        if digest not in self._lists:
            return digest not in self._scanned
        family = self._families.below(digest)
        notes = frozenset[str]().union(*(self._notes.get(each, ()) for each in family.digests))
        run = [each for each in family.digests if each not in self._lists and each not in notes]
        return not (self.is_whole(digest) and run and self._scanned.issuperset(run))


class _Locations:
    """Under which names the registries hold, or by replication will hold, an image."""

    def __init__(self, held: Sequence[Held]) -> None:
        self._held = held
        self._tagged: dict[str, dict[tuple[str, str], str]] = {}
        self._tags: dict[tuple[str, str], set[str]] = defaultdict(set)
        for each in held:
            tagged = self._tagged[each.registry.key] = {}
            for image in each.images:
                self._tags[image.name, image.digest].update(image.tags)
                tagged.update(
                    dict.fromkeys(((image.name, tag) for tag in image.tags), image.digest)
                )

    def short_names(self, name: str, digest: str) -> frozenset[str]:
        """Return the names that a waiver may have for it."""
        return frozenset(
            {name, f"{name}@{digest}", *(f"{name}:{tag}" for tag in self._tags[name, digest])}
        )

    def entries(self, name: str, digest: str) -> Iterator[str]:
        """Yield its entries in every registry that has an image repository of the name.

        That includes a replica the image has not reached yet; a tag that stands for another image
        there is left out.
        """
        for each in self._held:
            if name in each.names:
                location = f"{each.registry.key}/{name}"
                tagged: Mapping[tuple[str, str], str] = self._tagged[each.registry.key]
                yield f"{location}@{digest}"
                for tag in sorted(self._tags[name, digest]):
                    if tagged.get((name, tag), digest) == digest:
                        yield f"{location}:{tag}"
