"""What a lifecycle policy does to images, today and in the days to come, and why.

Owns the evaluation of a policy as Amazon describes it. Reads nothing by itself, and never deletes
anything. Needs only the standard library, so that it runs wherever Python does, a browser included.

The rules of the evaluation (Amazon ECR User Guide, "Lifecycle policy evaluation rules"): every rule
identifies images over the whole inventory of its storage class; an image can be acted on by the first
rule alone whose tagging requirement it meets, also where that rule keeps it; rules further down still
count it. The order is by the push, or by the return of an image that came back from the archive. A
part of a manifest list goes no earlier than the list, and what refers to a subject goes with it.
Where Amazon does not say, images go rather sooner here than later, and the verdict says what it rests
on: see `Doubt`.

O(n log n) for n images, and O(n) more for each day on which a rule that counts has something to do.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from math import floor
from operator import eq, itemgetter
from typing import Any, Literal, NamedTuple

from ecr.images.family import Families, companion_of
from ecr.images.image import Image, StorageClass
from ecr.lifecycle.policy import Action, Policy, Rule

MOST_DAYS = 3_650
"""Days that a forecast looks ahead at the most: each is an evaluation."""

MOST_PUSHES = 1_000
"""Pushes a day at the most, and of all these days together a hundred times as many."""

DAY = 86_400
MOST_IMAGES = 100_000
"""Images of an image repository: a count from here on is a shield (Amazon ECR service quotas)."""

VerdictReason = Literal[
    "beyond the count", "too old", "follows its subject",
    "shielded", "within the count", "young enough", "part of a list that stays",
    "no rule selects it",
]  # fmt: skip

Doubt = Literal[
    "referrer", "places of referrers", "held part", "same day", "unknown parts",
    "same moment", "restored", "restoring", "archived with its subject",
]  # fmt: skip

DOUBTS: dict[Doubt, str] = {
    "referrer": "whether a rule takes an artifact while its subject stays",
    "places of referrers": "whether artifacts that refer to an image fill places in a count",
    "held part": "said that a part goes no earlier than its list, but reports deny it",
    "same day": "whether a part goes on the same day as its list, or later",
    "unknown parts": "is known by ECR alone: whether a list holds it, of which the parts are not known",
    "same moment": "which of two images pushed at the same moment counts as the younger",
    "restored": "whether the age of an image that came back is counted from its push",
    "restoring": "to which storage class an image belongs while it comes back",
    "archived with its subject": "whether what refers to an image is archived with it",
}
"""What a verdict rests on that Amazon does not say, or that reports deny: the list of the guesses.

docs/operations/simulate.md has each of them with the check that would settle it."""


class Verdict(NamedTuple):
    """What today's evaluation does to one image, and why.

    ``rule`` is the first whose tagging requirement it meets: no other can act on it. ``action`` is
    None for an image that stays. ``margin`` is how far a kept image is from going: the newer images
    that may still be pushed before a count takes it, or the days until an age does. ``spared_from``
    is the first rule that would have acted had ``rule`` not protected it. ``doubt`` is what the
    verdict rests on where Amazon does not say.
    """

    image: Image
    rule: Rule | None
    action: Action | None
    why: VerdictReason
    margin: int | None = None
    spared_from: Rule | None = None
    doubt: Doubt | None = None


class ForecastStep(NamedTuple):
    """What happens to an image on a day of the forecast; day 0 is today."""

    day: int
    image: Image
    rule: Rule
    action: Action


@dataclass(frozen=True, slots=True)
class Simulation:
    """Today's verdict on each image, the youngest first, and what happens day by day."""

    verdicts: list[Verdict]
    steps: list[ForecastStep]


def simulate(images: Iterable[Image], policy: Policy, *, now: float, days: int = 0) -> Simulation:
    """Evaluate today, and once a day on ``days`` more. Images pushed after ``now`` arrive on their day."""
    inventory = _Inventory(images, policy, now, days)
    everything, rules = inventory.images, policy.rules
    verdicts: list[Verdict] = []
    steps: list[ForecastStep] = []
    for day in range(days + 1):
        acted = inventory.evaluate(day)
        steps += (
            ForecastStep(day, everything[each], rules[by], rules[by].action) for each, by in acted
        )
        if day == 0:
            taken_by = inventory.taken_by(acted)
            acted.clear()  # a million pairs are to be gone before a million verdicts are there
            verdicts += inventory.verdicts(taken_by)
    return Simulation(verdicts, steps)


def explain(verdict: Verdict) -> str:
    """Return the verdict's reason in a sentence."""
    rule = verdict.rule
    if rule is None:
        return verdict.why
    return {
        "beyond the count": f"beyond the newest {rule.count} of each {rule.selects}",
        "too old": f"{_SINCE.get(rule.count_type)} more than {rule.count} days ago",
        "within the count": f"among the newest {rule.count}; goes after {verdict.margin} more",
        "young enough": f"goes in {verdict.margin} day{'' if verdict.margin == 1 else 's'}",
        "shielded": "its tag is protected",
    }.get(verdict.why, verdict.why)


def without_their_images(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the companions by tag that a rule takes while what they are about stays.

    ECR does not know them for what they are: a signature by tag is an image like any other to it.
    """
    taken = [
        (verdict, named[0])
        for verdict in verdicts
        if verdict.action
        for tag in verdict.image.tags
        if tag.startswith("sha256-") and (named := companion_of(tag))
    ]
    if not taken:
        return []
    kept = {verdict.image.digest for verdict in verdicts if not verdict.action}
    return [verdict for verdict, about in taken if about in kept]


def described(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain data, for JSON."""
    return {
        "imageDigest": verdict.image.digest,
        "imageTags": list(verdict.image.tags),
        "action": verdict.action,
        "rule": verdict.rule.priority if verdict.rule else None,
        "reason": explain(verdict),
        "sparedFromRule": verdict.spared_from.priority if verdict.spared_from else None,
        "doubt": verdict.doubt,
    }


def to_come(now: float, days: int, pushes: int) -> list[Image]:
    """Return the images that arrive if so many are pushed and tagged on each of the days ahead."""
    return [
        Image(
            f"expected {day}.{number}", now + day * DAY - number - 1, (f"expected-{day}.{number}",)
        )
        for day in range(1, days + 1)
        for number in range(pushes)
    ]


_SINCE = {
    "sinceImagePushed": "pushed",
    "sinceImagePulled": "last pulled",
    "sinceImageTransitioned": "archived",
}
_HERE, _ARCHIVED, _GONE, _AHEAD = range(4)
_CLASSES: tuple[StorageClass, ...] = ("standard", "archive")


class _Looked(NamedTuple):
    """What one look at all images gave: indices, and of the tagged ones the tags beside them."""

    tagged: list[int]
    tags: list[tuple[str, ...]]
    untagged: list[int]
    related: list[int]


class _Inventory:
    """The images of one image repository, youngest first, and where each of them is by now.

    Images and rules are indices everywhere: a million of them have to fit.
    """

    def __init__(self, images: Iterable[Image], policy: Policy, now: float, days: int) -> None:
        self.images = list(images)
        came_back = any(image.activated_at is not None for image in self.images)
        _sort_youngest_first(self.images, entered if came_back else itemgetter(1))
        self._rules = policy.rules
        self._now, self._days = now, days
        size = len(self.images)
        self._state = bytearray(size)
        # A policy has 50 rules at the most: a byte for each image is enough.
        self._first = [array("b", [-1]) * size, array("b", [-1]) * size]
        self._members: dict[int, list[int]] = {}
        self._spared: dict[int, int] = {}
        self._position: dict[int, int] = {}
        self._due: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._arrivals: dict[int, list[int]] = defaultdict(list)
        self._held_back: list[tuple[int, int]] = []
        self._follows: dict[int, int] = {}
        self._referrers: dict[int, list[int]] = defaultdict(list)
        self._lists: dict[int, list[int]] = defaultdict(list)
        self._unread = False
        self._doubts: dict[int, Doubt] = {}
        self._special = came_back
        self._moved = True
        looked = self._look()
        self._relate(looked.related)
        for by, rule in enumerate(self._rules):
            self._match(by, rule, looked)
        by_age = [not rule.by_count for rule in self._rules]
        for each, state in enumerate(self._state):
            if state == _AHEAD:
                self._arrivals[self._day_after(self.images[each].pushed_at)].append(each)
            elif (by := self._first[state][each]) >= 0 and by_age[by]:
                self._schedule(each)

    def _look(self) -> _Looked:
        """Look at each image once, for each look takes long."""
        looked = _Looked([], [], [], [])
        for each, image in enumerate(self.images):
            _, pushed_at, tags, _, storage_class, _, _, subject, parts, restoring = image
            if pushed_at > self._now:
                self._state[each] = _AHEAD
            elif storage_class != "standard":
                self._state[each] = _ARCHIVED
            if tags:
                looked.tagged.append(each)
                looked.tags.append(tags)
            else:
                looked.untagged.append(each)
            if subject is not None or parts:
                looked.related.append(each)
            if parts is None:
                self._unread = self._special = True
            if restoring:
                self._special = True
        return looked

    def _relate(self, related: Sequence[int]) -> None:
        """Find subjects and manifest lists; most image repositories have neither."""
        if not related:
            return
        index = {image.digest: each for each, image in enumerate(self.images)}
        families = Families(self.images[each] for each in related)
        for each in related:
            image = self.images[each]
            subject = index.get(image.subject or "")
            if subject is not None and subject != each:
                self._follows[each] = subject
                self._referrers[subject].append(each)
            for part in families.parts(image.digest):
                if part in index and index[part] != each:
                    self._lists[index[part]].append(each)

    def _match(self, by: int, rule: Rule, looked: _Looked) -> None:
        """Find the images that meet a rule's tagging requirement, and claim those still free."""
        size = len(self.images)
        if rule.tag_status == "any":
            matched = list(range(size))
        elif rule.tag_status == "untagged":
            matched = looked.untagged
        else:
            meets = requirement(rule)
            matched = list(compress(looked.tagged, map(meets, looked.tags)))
        first = self._first[_CLASSES.index(rule.storage_class)]
        for each in matched:
            if first[each] < 0:
                first[each] = by
            elif not rule.by_count and self._older(each, rule):
                self._spared.setdefault(each, by)
        if rule.by_count and not _is_shield(rule, size):
            self._members[by] = matched

    def _older(self, each: int, rule: Rule) -> bool:
        image = self.images[each]
        return image.storage_class == rule.storage_class and self._now > _due(image, rule)

    def _day_after(self, moment: float) -> int:
        """Return the first daily evaluation that is strictly later than the moment."""
        return max(0, floor((moment - self._now) / DAY) + 1)

    def _schedule(self, each: int, earliest: int = 0, archived_at: float | None = None) -> None:
        """Note the day on which an age takes the image, if one does and it is near enough."""
        by = self._first[self._state[each]][each]
        if by >= 0 and not (rule := self._rules[by]).by_count:
            image = self.images[each]
            if archived_at is not None:
                image = image._replace(archived_at=archived_at)
            day = max(earliest, self._day_after(_due(image, rule)))
            if day <= self._days:
                self._due[day].append((each, by))

    def evaluate(self, day: int) -> list[tuple[int, int]]:
        """Evaluate all rules once; give (image, rule) for each image acted on."""
        for each in self._arrivals.pop(day, ()):
            self._state[each] = _CLASSES.index(self.images[each].storage_class)
            self._schedule(each, earliest=day)
            self._moved = True
        # An image that followed its subject into the archive no longer meets the age that it had.
        aged = [
            (each, by)
            for each, by in self._due.pop(day, ())
            if self._state[each] < _GONE and self._first[self._state[each]][each] == by
        ]
        identified = [*self._held_back, *aged]
        if self._moved or (self._lists and identified):
            for by in self._members:
                if day == 0:
                    self._doubt_places(by)
                identified.extend((each, by) for each in self._beyond(by, first_time=day == 0))
        acted = self._apply(identified, day)
        self._moved = bool(acted)
        return acted

    def _beyond(self, by: int, *, first_time: bool) -> Iterator[int]:
        """Yield the images beyond a rule's count that it may act on."""
        limit = self._rules[by].count
        here = _CLASSES.index(self._rules[by].storage_class)
        first, state, position = self._first[here], self._state, self._position
        count = 0
        for each in self._members[by]:
            if state[each] != here:
                continue
            count += 1
            if first[each] == by:
                if count > limit:
                    yield each
                elif first_time:
                    position[each] = count
            elif first_time and count > limit:
                self._spared.setdefault(each, by)

    def _doubt_places(self, by: int) -> None:
        """Note which images stay or go only by the order, or the counting, that Amazon leaves open."""
        limit, state = self._rules[by].count, self._state
        here = _CLASSES.index(self._rules[by].storage_class)
        present = [each for each in self._members[by] if state[each] == here]
        if len(present) <= limit:
            return
        if entered(self.images[present[limit - 1]]) == entered(self.images[present[limit]]):
            moment = entered(self.images[present[limit]])
            for each in present:
                if entered(self.images[each]) == moment:
                    self._doubts.setdefault(each, "same moment")
        if self._follows:
            certain = 0
            for count, each in enumerate(present, 1):
                certain += each not in self._follows
                if count > limit >= certain:
                    self._doubts.setdefault(each, "places of referrers")

    def _apply(self, identified: list[tuple[int, int]], day: int) -> list[tuple[int, int]]:
        """Act on what may go; what is held back by a list is tried again, lists being acted on too."""
        acted: list[tuple[int, int]] = []
        if not (self._lists or self._referrers):
            for pair in identified:
                self._act_alone(pair, day, acted)
            return acted
        here = [pair for pair in identified if self._is_still_here(*pair)]
        waiting: list[tuple[int, int]] = []
        behind: list[tuple[int, int]] = []
        # What expires comes first: what refers to it expires with it, and is not archived before.
        for action in ("expire", "transition"):
            waiting += (pair for pair in here if self._rules[pair[1]].action == action)
            before = -1
            while len(acted) > before:
                before = len(acted)
                waiting = [pair for pair in waiting if not self._act(*pair, day, acted)]
                behind = [pair for pair in behind if not self._act(*pair, day, acted)]
                behind += self._followers(acted[before:], day, acted)
        # A count is taken anew each time; an age, once passed, and a subject, once gone, stay so.
        self._held_back = [
            (each, by)
            for each, by in waiting
            if self._is_left_behind(each) or not self._rules[by].by_count
        ]
        self._held_back += (pair for pair in behind if self._is_left_behind(pair[0]))
        return acted

    def _is_left_behind(self, each: int) -> bool:
        """Return whether the subject of an image has been deleted."""
        subject = self._follows.get(each)
        return subject is not None and self._state[subject] == _GONE

    def _is_still_here(self, each: int, by: int) -> bool:
        """Return whether an image is where the rule looks, or left behind by its subject."""
        here = _CLASSES.index(self._rules[by].storage_class)
        return self._state[each] == here or (
            self._state[each] < _GONE and self._is_left_behind(each)
        )

    def _in_a_list_that_stays(self, each: int, action: Action) -> bool:
        stays = _HERE if action == "transition" else _ARCHIVED
        return any(self._state[holder] <= stays for holder in self._lists.get(each, ()))

    def _act(self, each: int, by: int, day: int, acted: list[tuple[int, int]]) -> bool:
        """Act on an image, and say whether that is done with: a list that stays holds its parts."""
        if self._in_a_list_that_stays(each, self._rules[by].action):
            return False
        self._act_alone((each, by), day, acted)
        return True

    def _followers(
        self, acted: Sequence[tuple[int, int]], day: int, all_acted: list[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        """Act on all that refers to what was acted on; return what a list that stays holds back."""
        held: list[tuple[int, int]] = []
        following = list(acted)
        for each, by in following:
            for referrer in self._referrers.get(each, ()):
                done = len(all_acted)
                if not self._act(referrer, by, day, all_acted):
                    held.append((referrer, by))
                following += all_acted[done:]
        return held

    def _act_alone(self, pair: tuple[int, int], day: int, acted: list[tuple[int, int]]) -> None:
        """Act on an image, if it is still there to be acted on."""
        each, by = pair
        target = _GONE if self._rules[by].action == "expire" else _ARCHIVED
        if self._state[each] >= target:
            return
        self._state[each] = target
        acted.append(pair)
        if target == _ARCHIVED:
            self._schedule(each, earliest=day + 1, archived_at=self._now + day * DAY)

    def taken_by(self, acted: Iterable[tuple[int, int]]) -> Sequence[int]:
        """Return of each image the rule that acted on it; -1 where none did."""
        taken_by = array("b", [-1]) * len(self.images)
        for each, by in acted:
            taken_by[each] = by
        return taken_by

    def verdicts(self, taken_by: Sequence[int]) -> Iterator[Verdict]:
        """Yield today's verdict on every image that is there, after today's evaluation."""
        rules = (*self._rules, None)
        whys = [_why(rule) for rule in self._rules]
        shields = [_is_shield(rule, len(self.images)) for rule in self._rules]
        # Most image repositories hold nothing that could be in doubt, and a million images take time.
        plain = not (self._special or self._follows or self._lists or self._doubts)
        for each, image in enumerate(self.images):
            if self._state[each] == _AHEAD:
                continue
            by = self._first[_CLASSES.index(image.storage_class)][each]
            rule = rules[by]
            taker = taken_by[each]
            if taker >= 0:
                if plain:
                    taken = self._rules[taker]
                    yield Verdict(image, taken, taken.action, whys[taker])
                else:
                    yield self._acted_on(each, image, taker, by, taken_by)
                continue
            spared = self._spared.get(each)
            spared_from = None if spared is None else self._rules[spared]
            if rule is None:
                yield Verdict(image, None, None, "no rule selects it")
            elif shields[by]:
                yield Verdict(image, rule, None, "shielded", None, spared_from)
            else:
                yield self._kept(each, image, rule, spared_from)

    def _acted_on(
        self, each: int, image: Image, by: int, first: int, taken_by: Sequence[int]
    ) -> Verdict:
        rule = self._rules[by]
        subject = self._follows.get(each)
        followed = subject is not None and taken_by[subject] == by
        doubt: Doubt | None = self._doubts.get(each)
        if by != first or (followed and not self._acts_by_itself(each, rule)):
            archived = rule.action == "transition"
            doubt = "archived with its subject" if archived else None
            return Verdict(image, rule, rule.action, "follows its subject", doubt=doubt)
        if subject is not None and not followed:
            doubt = "referrer"
        elif each in self._lists:
            doubt = "same day"
        elif self._unread and not image.tags and image.parts == ():
            doubt = "unknown parts"
        elif image.restoring:
            doubt = "restoring"
        elif rule.count_type == "sinceImagePushed" and (
            self._now <= entered(image) + rule.count * DAY
        ):
            doubt = "restored"
        return Verdict(image, rule, rule.action, _why(rule), doubt=doubt)

    def _acts_by_itself(self, each: int, rule: Rule) -> bool:
        """Return whether the rule takes the image for what it is, and not for its subject."""
        if rule.by_count:
            return each not in self._position
        return self._now > _due(self.images[each], rule)

    def _kept(self, each: int, image: Image, rule: Rule, spared_from: Rule | None) -> Verdict:
        doubt: Doubt | None = "referrer" if each in self._follows else self._doubts.get(each)
        if rule.by_count:
            position = self._position.get(each)
            margin = None if position is None else rule.count - position + 1
        else:
            margin = self._day_after(_due(image, rule)) or None
        if margin is None:
            why: VerdictReason = "part of a list that stays"
            return Verdict(image, rule, None, why, None, spared_from, "held part")
        why = "within the count" if rule.by_count else "young enough"
        return Verdict(image, rule, None, why, margin, spared_from, doubt)


def _sort_youngest_first(images: list[Image], order: Callable[[Image], float]) -> None:
    """Sort images by a moment; those of one moment, of which Amazon says nothing, by digest."""
    images.sort(key=order, reverse=True)
    moments = list(map(order, images))
    if any(map(eq, moments, islice(moments, 1, None))):
        # The sort is stable. Sorting by digest takes as long as all else, so it is done where it matters.
        images.sort(key=itemgetter(0))
        images.sort(key=order, reverse=True)


def entered(image: Image) -> float:
    """Return the moment by which images are ordered: that of a return from the archive, if any.

    Amazon ECR User Guide, "Lifecycle policy evaluation rules": the time of the last activation is
    used instead of that of the push.
    """
    return image.pushed_at if image.activated_at is None else image.activated_at


def _why(rule: Rule) -> VerdictReason:
    return "beyond the count" if rule.by_count else "too old"


def _is_shield(rule: Rule, size: int) -> bool:
    return rule.by_count and rule.count >= max(MOST_IMAGES, size)


def _due(image: Image, rule: Rule) -> float:
    """Return the last moment at which an age does not take the image."""
    since = image.pushed_at
    if rule.count_type == "sinceImagePulled":
        # An image that came back from the archive counts from then, until it is pulled again.
        since = max(image.pulled_at or since, image.activated_at or since)
    elif rule.count_type == "sinceImageTransitioned":
        since = image.archived_at or since
    return since + rule.count * DAY


def requirement(rule: Rule) -> Callable[[tuple[str, ...]], bool]:
    """Return the rule's tagging requirement: every entry is met, each by any of the tags."""
    if rule.tag_status == "untagged":
        return lambda tags: not tags
    if rule.tag_status == "any":
        return lambda _: True
    entries = [_met_by_any(entry) for entry in rule.patterns or [f"{p}*" for p in rule.prefixes]]
    if len(entries) == 1:
        return entries[0]
    return lambda tags: all(entry(tags) for entry in entries)


def _met_by_any(pattern: str) -> Callable[[tuple[str, ...]], bool]:
    if pattern == "*":
        return bool
    if pattern.find("*") == len(pattern) - 1:
        prefix = pattern[:-1]

        def begins(tags: tuple[str, ...]) -> bool:
            for tag in tags:  # noqa: SIM110 - twice as fast as any(), a million times over
                if tag.startswith(prefix):
                    return True
            return False

        return begins
    match = re.compile(".*".join(map(re.escape, pattern.split("*")))).fullmatch
    prefix = pattern.partition("*")[0]

    def matches(tags: tuple[str, ...]) -> bool:
        for tag in tags:  # noqa: SIM110 - as above; most tags fail by their beginning
            if tag.startswith(prefix) and match(tag):
                return True
        return False

    return matches
