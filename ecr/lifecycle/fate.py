"""What becomes of an image that somebody runs: gone, archived, in danger, kept, or safe.

Owns how a simulation is read for one image: with the lists that hold it, at the pace at which its
rule's images are pushed, and with what signs it. Reads images and a policy that somebody else has
read. Errs towards danger where it cannot know. Needs only the standard library.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ecr.images.family import Families
from ecr.images.image import Image
from ecr.lifecycle.policy import Policy, Rule
from ecr.lifecycle.simulator import DAY, Doubt, Verdict, entered, explain, requirement, simulate

PACE = 30
"""Days over which pushes are counted, to say when a count takes an image."""

UseState = Literal["gone", "archived", "goes", "kept", "safe"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of an image. ``day`` is how many days ahead it goes, None where it does not.

    ``doubt`` is what that rests on where Amazon does not say.
    """

    state: UseState
    reason: str
    day: float | None = None
    doubt: Doubt | None = None


class Fates:
    """The fates of the images of one image repository, looking so many days ahead."""

    def __init__(self, images: Sequence[Image], policy: Policy, *, now: float, days: int) -> None:
        simulation = simulate(images, policy, now=now, days=days)
        self._images, self._now, self._days = images, now, days
        self._verdicts = {each.image.digest: each for each in simulation.verdicts}
        self._steps = {each.image.digest: each for each in reversed(simulation.steps)}

    @cached_property
    def _families(self) -> Families:
        return Families(self._images)

    @cached_property
    def _pushed(self) -> Counter[Rule]:
        """Return how many of the images pushed within `PACE` days each rule counts."""
        recent = [each for each in self._images if entered(each) > self._now - PACE * DAY]
        found: Counter[Rule] = Counter()
        for rule in {each.rule for each in self._verdicts.values() if each.rule}:
            meets = requirement(rule)
            found[rule] = sum(
                image.storage_class == rule.storage_class and meets(image.tags) for image in recent
            )
        return found

    def need_parts(self, digests: Iterable[str]) -> bool:
        """Return whether a list of which the parts are not known may hold one of these."""
        return bool(self._families.unread) and any(
            self._verdicts[digest].image.parts == () and self.of(digest).state in ("goes", "kept")
            for digest in digests
            if digest in self._verdicts
        )

    def of(self, digest: str) -> Fate:
        """Return the fate of an image, there or not."""
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return Fate("gone", "is not in the registry any more")
        if verdict.image.restoring:
            return Fate("archived", "comes back from the archive, and cannot be pulled until then")
        if not verdict.image.pullable:
            return Fate("archived", "is archived, and cannot be pulled until it is restored")
        fate = self._with_its_lists(verdict)
        taken = [
            companion.kind
            for companion in self._families.companions(digest)
            if companion.kind != "referrer" and self._alone(companion.digest).state == "goes"
        ]
        if taken and fate.state != "goes":
            return Fate(fate.state, f"{fate.reason}; its {taken[0]} goes", fate.day, fate.doubt)
        return fate

    def _with_its_lists(self, verdict: Verdict) -> Fate:
        """Return the later of its own fate and of those of the lists above it: the last decides."""
        own = self._alone(verdict.image.digest)
        if verdict.image.digest in self._steps:
            return own
        holders = self._families.above(verdict.image.digest).digests[1:]
        fates = [own, *map(self._alone, holders)]
        last = max(fates, key=lambda fate: math.inf if fate.day is None else fate.day)
        if last is own:
            return own
        return Fate(last.state, f"with its manifest list: {last.reason}", last.day, "held part")

    def _alone(self, digest: str) -> Fate:
        """Return the fate that an image would have were it in no list."""
        verdict, step = self._verdicts[digest], self._steps.get(digest)
        if step:
            by = f"rule {step.rule.priority} {step.action}s it"
            reason = f"{by} then" if step.day else f"{by}: {explain(verdict)}"
            return Fate("goes", reason, step.day, verdict.doubt)
        if verdict.rule is None or verdict.why == "shielded":
            by = f"rule {verdict.rule.priority}: " if verdict.rule else ""
            return Fate("safe", f"{by}{explain(verdict)}")
        reason = f"rule {verdict.rule.priority}: {explain(verdict)}"
        if verdict.margin is None:
            return Fate("goes", reason, 0, verdict.doubt)
        if verdict.why == "young enough":
            return self._by(verdict.margin, reason, verdict.doubt)
        pace = self._pushed[verdict.rule] / PACE
        if not pace:
            return Fate("kept", reason, None, verdict.doubt)
        reason += f", at {pace:.1f} pushes a day"
        return self._by(verdict.margin / pace, reason, verdict.doubt)

    def _by(self, day: float, reason: str, doubt: Doubt | None) -> Fate:
        return Fate("goes" if day <= self._days else "kept", reason, day, doubt)
