"""Which images are denied, and under which names.

Owns the rule. Reads what the registries hold and the waivers, and nothing else: the same input gives
the same lists, in the same order. An image is its digest: what any registry found in it counts
wherever it lies.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ecr.admission.model import Finding, Held, Image
from ecr.admission.waivers import Waiver

DenialReason = Literal["vulnerable", "unscanned"]


@dataclass(frozen=True, slots=True)
class Denied:
    """One image of one name; ``entries`` are all names by which it could be pulled.

    An entry is ACCOUNT/REGION/NAME:TAG or ACCOUNT/REGION/NAME@DIGEST.
    """

    name: str
    digest: str
    why: DenialReason
    findings: tuple[Finding, ...]
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The denied images, and what became of the waivers."""

    denied: tuple[Denied, ...]
    waived: int
    expired: tuple[Waiver, ...]
    unused: tuple[Waiver, ...]

    def entries(self, why: DenialReason) -> tuple[str, ...]:
        """Return the entries of one list, sorted."""
        return tuple(
            sorted({entry for each in self.denied if each.why == why for entry in each.entries})
        )


def decide(
    held: Sequence[Held], waivers: Sequence[Waiver], *, today: date, deny_unscanned: bool
) -> Decision:
    """Decide about every image of every registry.

    ``waived`` of the answer counts the images that waivers alone kept from being denied.
    """
    active = [each for each in waivers if each.expires >= today]
    content = _Content(image for each in held for image in each.images)
    locations = _Locations(held)
    used: set[Waiver] = set()
    denied: list[Denied] = []
    waived = 0
    for name, digest in sorted(content.places):
        problems = content.problems(digest, deny_unscanned=deny_unscanned)
        left: set[Finding | None] = set()
        for holder, finding in problems:
            names = locations.short_names(name, digest) | {f"{name}@{holder}"}
            covering = {
                each for each in active if each.covers(names, finding.name if finding else None)
            }
            used |= covering
            if not covering:
                left.add(finding)
        waived += bool(problems and not left)
        if left:
            findings = tuple(sorted(each for each in left if each))
            denied.append(
                Denied(
                    name,
                    digest,
                    "vulnerable" if findings else "unscanned",
                    findings,
                    tuple(locations.entries(name, digest)),
                )
            )
    return Decision(
        tuple(denied),
        waived,
        tuple(each for each in waivers if each not in active),
        tuple(each for each in active if each not in used),
    )


class _Content:
    """What is known of each digest, whichever registry said it."""

    def __init__(self, images: Iterable[Image]) -> None:
        self.places: set[tuple[str, str]] = set()
        self._findings: dict[str, set[Finding]] = defaultdict(set)
        self._children: dict[str, set[str]] = defaultdict(set)
        self._scanned: set[str] = set()
        for image in images:
            self.places.add((image.name, image.digest))
            self._findings[image.digest].update(image.scan.findings)
            self._children[image.digest].update(image.children)
            if image.scan.scanned:
                self._scanned.add(image.digest)

    def problems(
        self, digest: str, *, deny_unscanned: bool
    ) -> Sequence[tuple[str, Finding | None]]:
        """Return each finding with the digest that has it; None stands for no scan.

        An image index is as bad as the images it stands for: ECR does not scan the index, and a
        node pulls one of them by its name.
        """
        family = [digest, *self._children.get(digest, ())]
        found = [(holder, each) for holder in family for each in self._findings.get(holder, ())]
        if not found and deny_unscanned and self._scanned.isdisjoint(family):
            return [(digest, None)]
        return found


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
