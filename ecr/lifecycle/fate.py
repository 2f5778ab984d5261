"""What becomes of an image that somebody runs: gone, archived, in danger, kept, or safe.

Owns how a simulation is read for one image: with the lists that hold it, at the pace at which its
rule's images are pushed, and with what signs it. Reads images and a policy that somebody else has
read. Errs towards danger where it cannot know. Needs only the standard library.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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

    ``doubt`` is what that rests on where Amazon does not say. ``deletes`` says whether what takes it deletes
    it, and does not only archive it.
    """

    state: UseState
    reason: str
    day: float | None = None
    doubt: Doubt | None = None
    deletes: bool = True


class Fates:
    """The fates of the images of one image repository, looking so many days ahead."""

    def __init__(self, images: Sequence[Image], policy: Policy, *, now: float, days: int) -> None:
        simulation = simulate(images, policy, now=now, days=days)
        self._images, self._now, self._days = images, now, days
        self._verdicts = {each.image.digest: each for each in simulation.verdicts}
        self._steps = {each.image.digest: each for each in reversed(simulation.steps)}
        self._expiries = {
            each.image.digest: each
            for each in reversed(simulation.steps)
            if each.action == "expire"
        }

    @cached_property
    def _families(self) -> Families:
        return Families(self._images)

    @cached_property
    def _paces(self) -> Mapping[Rule, float]:
        """Return how many images that a rule counts are pushed a day, of the rules that act.

        Of what was pushed within `PACE` days some may be gone already, by this rule or by one that takes
        images of a lesser age: what is left is then set against the days within which all is left.
        """
        rules = {each.rule for each in self._verdicts.values() if each.rule}
        counted = {rule: self._counted(rule) for rule in rules}
        found = {}
        for rule, verdicts in counted.items():
            days: dict[Rule | None, list[float]] = defaultdict(list)
            for each in verdicts:
                days[each.rule].append((self._now - entered(each.image)) / DAY)
            found[rule] = sum(
                _pace(ages, by, full=by is not None and len(counted[by]) >= by.count)
                for by, ages in days.items()
            )
        return found

    def _counted(self, rule: Rule) -> list[Verdict]:
        meets = requirement(rule)
        return [
            each
            for each in self._verdicts.values()
            if each.image.storage_class == rule.storage_class and meets(each.image.tags)
        ]

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

    def deletion(self, digest: str) -> Fate | None:
        """Return how an image is deleted, whatever becomes of it before; None where nothing deletes it.

        It is what another registry repeats that replicates deletions: one that only archives is none.
        """
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return None
        step = self._expiries.get(digest)
        if step:
            reason = f"rule {step.rule.priority} expires it" + (" then" if step.day else "")
            return Fate("goes", reason, step.day, verdict.doubt)
        fate = self._with_its_lists(verdict)
        return fate if fate.deletes and fate.state in ("goes", "kept") else None

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
        reason = f"with its manifest list: {last.reason}"
        return Fate(last.state, reason, last.day, "held part", last.deletes)

    def _alone(self, digest: str) -> Fate:
        """Return the fate that an image would have were it in no list."""
        verdict, step = self._verdicts[digest], self._steps.get(digest)
        if step:
            by = f"rule {step.rule.priority} {step.action}s it"
            reason = f"{by} then" if step.day else f"{by}: {explain(verdict)}"
            return Fate("goes", reason, step.day, verdict.doubt, step.action == "expire")
        if verdict.rule is None or verdict.why == "shielded":
            by = f"rule {verdict.rule.priority}: " if verdict.rule else ""
            return Fate("safe", f"{by}{explain(verdict)}")
        reason = f"rule {verdict.rule.priority}: {explain(verdict)}"
        deletes = verdict.rule.action == "expire"
        if verdict.margin is None:
            return Fate("goes", reason, 0, verdict.doubt, deletes)
        if verdict.why == "young enough":
            return self._by(verdict.margin, reason, verdict.doubt, deletes=deletes)
        pace = self._paces[verdict.rule]
        if not pace:
            return Fate("kept", reason, None, verdict.doubt, deletes)
        reason += f", at {pace:.1f} pushes a day"
        return self._by(verdict.margin / pace, reason, verdict.doubt, deletes=deletes)

    def _by(self, day: float, reason: str, doubt: Doubt | None, *, deletes: bool) -> Fate:
        return Fate("goes" if day <= self._days else "kept", reason, day, doubt, deletes)


def _pace(ages: Sequence[float], by: Rule | None, *, full: bool) -> float:
    """Return the pushes a day of images of these ages in days, which the rule ``by`` would take.

    ``full`` says that the rule has as many as it keeps, and so may have taken some.
    """
    usual = sum(age < PACE for age in ages) / PACE
    if by is None:
        return usual
    if by.count_type == "imageCountMoreThan":
        # All that came since the oldest that is left is left too.
        return max(usual, (len(ages) - 1) / max(*ages, 1.0)) if full else usual
    window = min(PACE, by.count)
    return sum(age < window for age in ages) / window
