"""Fates: what becomes of an image that runs is said, and never too well."""

from typing import Any

import pytest

from ecr.images.image import Image
from ecr.lifecycle.fate import Fate, Fates
from ecr.lifecycle.policy import Policy, Rule
from ecr.lifecycle.simulator import DAY
from ecr.plan.lifecycle import lifecycle_policy
from ecr.settings.models import Lifecycle

NOW = 1_800_000_000.0


def image(digest: str, days: float, *tags: str, **facts: Any) -> Image:
    return Image(digest, NOW - days * DAY, tags, **facts)


def fates(images: list[Image], policy: Policy | None, days: int = 30) -> Fates:
    return Fates(images, policy or Policy(()), now=NOW, days=days)


def fate(images: list[Image], digest: str, policy: Policy | None, days: int = 30) -> Fate:
    return fates(images, policy, days).of(digest)


def keep(images: int) -> Policy:
    policy = lifecycle_policy(
        Lifecycle.model_validate({"keepImages": images, "companionsByTag": 0})
    )
    assert policy
    return policy


def count(more_than: int, **facts: Any) -> Rule:
    return Rule(
        priority=1,
        count_type="imageCountMoreThan",
        count=more_than,
        **{"tag_status": "any", **facts},
    )


NEWER = [image("C", 1, "c"), image("D", 1, "d")]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({}, "is archived, and cannot be pulled until it is restored"),
        ({"restoring": True}, "comes back from the archive, and cannot be pulled until then"),
    ],
)
def test_an_archived_image_is_archived_and_not_gone(facts: dict[str, Any], reason: str) -> None:
    archived = image("A", 200, "a", storage_class="archive", **facts)
    assert fate([archived], "A", keep(2)) == Fate("archived", reason)
    assert fate([archived], "B", keep(2)).state == "gone"


def test_a_restored_image_is_safe_from_a_count_that_takes_the_one_that_was_not() -> None:
    restored = image("A", 200, "a", activated_at=NOW - DAY)
    images = [restored, image("B", 100, "b")]
    assert fate(images, "B", keep(1)).state == "goes"
    assert fate(images, "A", keep(1), days=29).state == "kept"


LIST = image("L", 99, "v1.0.0", parts=("P",))
SHA_LIST = image("L", 99, "sha", parts=("P",))


def test_a_part_lives_as_long_as_its_list() -> None:
    found = fate([LIST, image("P", 99)], "P", keep(2))
    assert (found.state, found.doubt) == ("safe", "held part")
    assert found.reason == "with its manifest list: rule 2: its tag is protected"
    assert fate([image("P", 99)], "P", keep(2)).state == "goes"


def test_a_part_lives_as_long_as_the_list_of_its_list() -> None:
    nested = [LIST._replace(parts=("M",)), image("M", 99, parts=("P",)), image("P", 99)]
    assert fate(nested, "P", keep(2)).state == "safe"


def test_a_pinned_part_is_safe_though_its_list_goes() -> None:
    pinned = [SHA_LIST, image("P", 99, "live-1"), *NEWER]
    assert fate(pinned, "P", keep(2)).state == "safe"
    assert fate(pinned, "L", keep(2)).state == "goes"
    assert fate([SHA_LIST, image("P", 99), *NEWER], "P", keep(2)).state == "goes"


def test_a_part_goes_on_the_later_of_its_own_day_and_its_lists() -> None:
    policy = Policy((
        Rule(priority=1, tag_status="untagged", count_type="sinceImagePushed", count=100),
        Rule(priority=2, tag_status="any", count_type="sinceImagePushed", count=110),
    ))  # fmt: skip
    assert fate([SHA_LIST, image("P", 99)], "P", policy).day == fate([SHA_LIST], "L", policy).day
    tagged = image("P", 89, "t")
    assert fate([SHA_LIST, tagged], "P", policy).day == fate([tagged], "P", policy).day == 22


def test_lists_in_a_circle_come_to_an_end() -> None:
    circle = [image("L", 99, parts=("M",)), image("M", 99, parts=("L",))]
    assert fate(circle, "L", keep(2)).state == "goes"


def test_untagged_pushes_count_towards_the_pace_of_a_rule_that_counts_any() -> None:
    images = [image("A", 40, "a"), image("B", 10, "b"), *(image(f"u{n}", n) for n in range(1, 28))]
    found = fate(images, "A", Policy((count(30),)))
    assert (found.state, found.reason) == (
        "goes", "rule 1: among the newest 30; goes after 2 more, at 0.9 pushes a day",
    )  # fmt: skip


def test_pushes_that_a_rule_does_not_count_are_no_pace_of_it() -> None:
    images = [image("A", 40, "v1"), *(image(f"b{n}", n, "b") for n in range(1, 28))]
    versions = Policy((count(2, tag_status="tagged", patterns=("v*",)),))
    assert fate(images, "A", versions) == Fate(
        "kept", "rule 1: among the newest 2; goes after 2 more"
    )
    archived = [
        each._replace(storage_class="archive") if each.digest != "A" else each for each in images
    ]
    assert fate(archived, "A", Policy((count(2),))).state == "kept"


def test_an_age_beyond_the_days_ahead_keeps_and_within_them_goes() -> None:
    aged = Policy((Rule(priority=1, tag_status="any", count_type="sinceImagePushed", count=60),))
    assert fate([image("A", 40)], "A", aged).state == "goes"
    assert fate([image("A", 1)], "A", aged).state == "kept"
    assert fate([image("A", 999)], "A", None) == Fate("safe", "no rule selects it")


def test_parts_are_needed_only_where_a_list_may_hold_what_would_go() -> None:
    unread = image("L", 1, "v1.0.0", parts=None)
    safe, going = image("S", 99, "live-1"), image("P", 99)
    judged = fates([unread, safe, going], keep(2))
    assert judged.need_parts(["P"])
    assert not judged.need_parts(["S", "L", "gone"])
    assert not fates([LIST, safe, going], keep(2)).need_parts(["P"])


def test_a_signature_that_goes_before_its_image_is_said() -> None:
    of = f"sha256:{'a' * 64}"
    signature = image("S", 9, f"{of.replace(':', '-')}.sig")
    policy = Policy((
        Rule(priority=1, tag_status="tagged", patterns=("v*",), count_type="imageCountMoreThan",
             count=1_000_000),
        Rule(priority=2, tag_status="tagged", patterns=("*",), count_type="imageCountMoreThan",
             count=1),
    ))  # fmt: skip
    found = fate([image(of, 1, "v1"), signature], of, policy)
    assert (found.state, found.reason) == (
        "safe",
        "rule 1: its tag is protected; its signature goes",
    )


def test_what_only_archives_deletes_nothing_and_what_deletes_does() -> None:
    old = image("A", 200, "a")
    archives = Rule(
        priority=1, tag_status="any", count_type="sinceImagePulled", count=90, action="transition"
    )
    expires = Rule(
        priority=2, tag_status="any", storage_class="archive", count_type="sinceImageTransitioned",
        count=90,
    )  # fmt: skip
    assert fate([old], "A", Policy((archives,))).state == "goes"
    assert fates([old], Policy((archives,))).deletion("A") is None
    later = fates([old], Policy((archives, expires)), days=100).deletion("A")
    assert later
    assert (later.state, later.day is not None and later.day > 89) == ("goes", True)
    archived = image("B", 300, "b", storage_class="archive", archived_at=NOW - 80 * DAY)
    waits = fates([archived], Policy((expires,))).deletion("B")
    assert waits
    assert (waits.state, waits.day) == ("goes", 11), "strictly older than 90 days"


def test_what_no_rule_deletes_has_no_deletion() -> None:
    shielded = fates([image("A", 200, "live-a"), *NEWER], keep(1))
    assert shielded.deletion("A") is None
    assert shielded.deletion("not there") is None
    soon = fates([image("A", 200, "a"), *NEWER], keep(1)).deletion("A")
    assert soon
    assert soon.state == "goes"


def test_what_a_count_has_taken_already_counts_towards_its_pace() -> None:
    busy = [image(f"b{n}", n / 50, f"b{n}") for n in range(10)]
    found = fate(busy, "b2", Policy((count(10),)))
    assert (found.state, found.day) == ("goes", 8 / 9), "ten are left of perhaps fifty a day"
    quiet = [image(f"b{n}", n * 3, f"b{n}") for n in range(10)]
    assert round(fate(quiet, "b2", Policy((count(10),))).day or 0) == 24, "one in three days"
    fewer = [image(f"b{n}", n / 50, f"b{n}") for n in range(9)]
    assert round(fate(fewer, "b2", Policy((count(10),))).day or 0) == 27, "none was taken yet"


def test_what_goes_by_age_before_it_is_counted_for_long_counts_towards_the_pace() -> None:
    untagged = Rule(priority=1, tag_status="untagged", count_type="sinceImagePushed", count=7)
    anything = Rule(priority=2, tag_status="any", count_type="imageCountMoreThan", count=30)
    pushed = [image(f"u{n}", n / 2) for n in range(14)]
    found = fate([image("A", 40, "a"), *pushed], "A", Policy((untagged, anything)))
    assert "at 2.0 pushes a day" in found.reason, "two a day, of which a week's are left"
    assert found.state == "goes"
