"""The simulator against a second evaluation, written apart: the same images go, on the same days."""

import random
from collections.abc import Iterator

from ecr.images.image import Image
from ecr.lifecycle.policy import Policy, Rule, check_rules
from ecr.lifecycle.simulator import simulate
from tests import lifecycle_guide

NOW = 1_800_000_000.0
DAY = 86_400
CASES = 5_000
TAGS = ("v1.0", "v2.0", "live-a", "rc-1", "c0ffee")
SELECTIONS = (
    ("*",), ("v*",), ("live-*",), ("*-*",), ("v*", "live-*"), ("c*e",), ("v1.0",), ("**.0",),
)  # fmt: skip


def _image(chance: random.Random, number: int, digests: list[str]) -> Image:
    pushed = NOW - chance.choice((0.5, 1, 2, 2, 5, 8.5, 30, 200)) * DAY
    tags = chance.sample(TAGS, chance.choice((0, 0, 1, 1, 2)))
    image = Image(digests[number], pushed, tuple(tags))
    kind = chance.random()
    if kind < 0.2:
        archived = NOW - chance.choice((88.5, 90, 91, 150)) * DAY
        image = image._replace(
            pushed_at=min(pushed, archived - DAY),
            storage_class="archive",
            archived_at=archived,
            restoring=chance.random() < 0.2,
        )
    elif kind < 0.35:
        back = NOW - chance.choice((0.5, 1, 2, 5)) * DAY
        image = image._replace(pushed_at=min(pushed, back - DAY), activated_at=back)
    if chance.random() < 0.3:
        image = image._replace(pulled_at=NOW - chance.random() * (NOW - image.pushed_at))
    if chance.random() < 0.35:
        parts = tuple(chance.sample(digests, min(len(digests), chance.choice((1, 2, 3)))))
        image = image._replace(parts=None if chance.random() < 0.1 else parts)
    if chance.random() < 0.3:
        image = image._replace(subject=chance.choice((*digests, "elsewhere")))
    return image


def _rules(chance: random.Random) -> Iterator[Rule]:
    for priority in range(1, chance.choice((1, 2, 3, 4)) + 1):
        patterns = chance.choice(SELECTIONS)
        storage_class = "archive" if chance.random() < 0.2 else "standard"
        status = chance.choice(("tagged", "tagged", "untagged", "any"))
        rule = Rule(
            priority=priority,
            tag_status=status,  # type: ignore[arg-type] # one of the three
            patterns=patterns if status == "tagged" else (),
            count_type="imageCountMoreThan",
            count=chance.choice((1, 1, 2, 3, 100_000)),
            action=chance.choice(("expire", "expire", "transition")),
        )
        aged = chance.random()
        if storage_class == "archive":
            yield _changed(rule, "sinceImageTransitioned", 90, "archive", "expire")
        elif aged < 0.4:
            yield _changed(rule, "sinceImagePushed", chance.choice((1, 2, 7)), "standard", None)
        elif aged < 0.5:
            yield _changed(rule, "sinceImagePulled", 2, "standard", "transition")
        else:
            yield rule


def _changed(rule: Rule, kind: str, count: int, storage_class: str, action: str | None) -> Rule:
    return Rule(
        priority=rule.priority,
        tag_status=rule.tag_status,
        patterns=rule.patterns,
        count_type=kind,  # type: ignore[arg-type] # one of the words
        count=count,
        storage_class=storage_class,  # type: ignore[arg-type] # likewise
        action=action or rule.action,  # type: ignore[arg-type] # likewise
    )


def test_two_evaluations_written_apart_agree_on_lists_referrers_archive_and_restore() -> None:
    chance = random.Random(20_261_127)  # noqa: S311 - the same cases each time
    cases = acts = 0
    while cases < CASES:
        rules = tuple(_rules(chance))
        if list(check_rules(rules)):
            continue
        cases += 1
        digests = [f"{number:02}" for number in range(chance.randint(1, 8))]
        images = [_image(chance, number, digests) for number in range(len(digests))]
        chance.shuffle(images)
        steps = simulate(images, Policy(rules), now=NOW, days=3).steps
        expected = lifecycle_guide.forecast(images, rules, NOW, 3)
        found = {(step.day, step.image.digest): step.action for step in steps}
        assert len(found) == len(steps), (images, rules)
        assert found == {key: action for key, (action, _) in expected.items()}, (images, rules)
        for step in steps:
            assert step.rule.priority in expected[step.day, step.image.digest][1], (images, rules)
        acts += len(steps)
    assert acts > CASES
