"""The simulator: Amazon's own examples, the laws of the evaluation, and the days to come."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.errors import EstateError
from ecr.images import text as images_text
from ecr.images.image import Image, StorageClass
from ecr.images.text import read_images
from ecr.lifecycle.policy import Action, CountType, Policy, Rule, TagStatus
from ecr.lifecycle.simulator import (
    DAY,
    DOUBTS,
    Doubt,
    Verdict,
    described,
    explain,
    simulate,
    without_their_images,
)
from ecr.plan.lifecycle import lifecycle_policy
from ecr.settings.models import Lifecycle
from sandbox.aws.lifecycle_evaluation import evaluate

NOW = 1_800_000_000.0


def image(digest: str, days: float, *tags: str, **facts: Any) -> Image:
    """An image that was pushed so many days ago."""
    return Image(digest, NOW - days * DAY, tags, **facts)


def tagged(priority: int, *patterns: str, **count: Any) -> Rule:
    return rule(priority, tag_status="tagged", patterns=patterns, **count)


def rule(
    priority: int, more_than: int | None = None, days: int | None = None, **facts: Any
) -> Rule:
    """A rule that keeps `more_than` images, or those that were pushed within so many days."""
    if days is not None:
        facts = {"count_type": "sinceImagePushed", **facts}
    return Rule(
        **{
            "priority": priority,
            "tag_status": "any",
            "count_type": "imageCountMoreThan",
            "count": more_than if days is None else days,
            **facts,
        }
    )


def acted(images: list[Image], *rules: Rule) -> str:
    """The digests that today's evaluation acts on."""
    verdicts = simulate(images, Policy(rules), now=NOW).verdicts
    return "".join(sorted(each.image.digest for each in verdicts if each.action))


def verdict(images: list[Image], digest: str, *rules: Rule) -> Verdict:
    verdicts = simulate(images, Policy(rules), now=NOW).verdicts
    return next(each for each in verdicts if each.image.digest == digest)


def days(images: list[Image], *rules: Rule, until: int) -> dict[int, str]:
    """The digests acted on by day."""
    found: dict[int, str] = {}
    for step in simulate(images, Policy(rules), now=NOW, days=until).steps:
        found[step.day] = "".join(sorted(found.get(step.day, "") + step.image.digest))
    return found


BETA_AND_PROD = [image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"),
                 image("C", 8, "beta-3")]  # fmt: skip


def test_amazons_first_example_the_lower_rule_counts_what_the_higher_one_claims() -> None:
    assert (
        acted(BETA_AND_PROD, tagged(1, "prod*", more_than=1), tagged(2, "beta*", more_than=1))
        == "A"
    )


def test_amazons_second_example_the_priorities_are_exchanged() -> None:
    rules = tagged(1, "beta*", more_than=1), tagged(2, "prod*", more_than=1)
    assert acted(BETA_AND_PROD, *rules) == "AB"


def test_amazons_third_example_a_list_of_patterns_means_all_of_them() -> None:
    images = [
        image("A", 12, "alpha-1"), image("B", 11, "beta-1"), image("C", 10, "alpha-2", "beta-2"),
        image("D", 4, "alpha-3"), image("E", 3, "beta-3"), image("F", 2, "alpha-4", "beta-4"),
    ]  # fmt: skip
    assert acted(images, tagged(1, "alpha*", "beta*", days=5)) == "C"
    prefixes = rule(1, days=5, tag_status="tagged", prefixes=("alpha", "beta"))
    assert acted(images, prefixes) == "C"


def test_amazons_fourth_example_another_tag_does_no_harm() -> None:
    images = [
        image("A", 10, "alpha-1", "beta-1", "gamma-1"), image("B", 9, "alpha-2", "beta-2"),
        image("C", 8, "alpha-3", "beta-3", "gamma-2"),
    ]  # fmt: skip
    assert acted(images, tagged(1, "alpha*", "beta*", more_than=1)) == "AB"


def test_the_fields_example_a_list_meant_as_any_of_them_protects_nothing() -> None:
    images = [
        image("A", 100, "latest"),
        image("B", 100, "main", "2024-01"),
        image("C", 90, "cache"),
    ]
    meant = tagged(1, "latest", "main", "master", "cache", "20*", days=3650)
    rest = rule(2, days=7, tag_status="untagged"), rule(3, days=60)
    assert acted(images, meant, *rest) == "ABC"


def test_untagged_pushes_drive_tagged_images_out_of_the_practice_documents_sample() -> None:
    images = [image("A", 30, "v1"), *(image(f"u{n}", 1) for n in range(10))]
    sample = lifecycle_policy(Lifecycle(preset="source-sample"))
    assert sample
    assert acted(images, *sample.rules) == "A"
    ours = lifecycle_policy(Lifecycle())
    assert ours
    assert acted(images, *ours.rules) == ""


def test_a_shield_spares_what_a_lower_rule_would_take_and_says_so() -> None:
    images = [image("A", 10, "live-eu", "aaa"), image("B", 9, "bbb"), image("C", 8, "ccc")]
    shield, count = tagged(1, "live-*", more_than=1_000_000), tagged(2, "*", more_than=1)
    spared = verdict(images, "A", shield, count)
    assert (spared.action, spared.rule, spared.spared_from) == (None, shield, count)
    assert explain(spared) == "its tag is protected"
    assert acted(images, shield, count) == "B"


def test_an_age_is_passed_only_when_it_is_exceeded() -> None:
    images = [image("A", 7), image("B", 7.001)]
    assert acted(images, rule(1, days=7)) == "B"
    assert explain(verdict(images, "A", rule(1, days=7))) == "goes in 1 day"


def test_what_was_never_pulled_counts_from_its_push() -> None:
    pulled = rule(1, days=30, count_type="sinceImagePulled", action="transition")
    images = [
        image("A", 40), image("B", 40, pulled_at=NOW - DAY), image("C", 40, activated_at=NOW - DAY),
    ]  # fmt: skip
    assert acted(images, pulled) == "A"


def test_each_storage_class_is_an_inventory_of_its_own() -> None:
    images = [image("A", 9), image("B", 8, storage_class="archive"), image("C", 7)]
    assert acted(images, rule(1, more_than=1)) == "A"
    assert acted(images, rule(1, more_than=1, storage_class="archive")) == ""


def test_what_is_archived_expires_from_the_archive_later() -> None:
    rules = (
        rule(1, days=10, action="transition"),
        rule(2, days=90, count_type="sinceImageTransitioned", storage_class="archive"),
    )
    assert days([image("A", 8.5)], *rules, until=95) == {2: "A", 93: "A"}
    late = rule(2, days=5, storage_class="archive")
    assert days([image("A", 8.5)], rules[0], late, until=9) == {2: "A", 3: "A"}


LIST = image("L", 5, "v1", parts=("P", "Q"))


def test_a_part_goes_no_earlier_than_its_list() -> None:
    images = [LIST, image("P", 9), image("Q", 9), image("R", 9)]
    untagged = rule(1, days=7, tag_status="untagged")
    assert acted(images, untagged) == "R"
    assert verdict(images, "P", untagged).why == "part of a list that stays"
    assert acted(images, untagged, rule(2, days=4)) == "LPQR"
    assert days(images, untagged, rule(2, days=7), until=5) == {0: "R", 3: "LPQ"}


def test_a_part_shared_by_two_lists_waits_for_both() -> None:
    images = [LIST, image("M", 1, "v2", parts=("P",)), image("P", 9), image("Q", 9)]
    assert acted(images, rule(1, days=7, tag_status="untagged"), rule(2, days=4)) == "LQ"


def test_a_part_beyond_a_count_goes_when_its_list_does() -> None:
    images = [image("L", 2.5, "v1", parts=("P",)), image("P", 9)]
    rules = tagged(1, "v*", days=3), rule(2, more_than=1)
    assert acted(images, *rules) == ""
    assert days(images, *rules, until=3) == {1: "LP"}


def doubts(images: list[Image], *rules: Rule) -> dict[str, str]:
    """What each verdict rests on that Amazon does not say, by digest."""
    verdicts = simulate(images, Policy(rules), now=NOW).verdicts
    return {each.image.digest: each.doubt for each in verdicts if each.doubt}


def test_what_refers_to_a_subject_goes_with_it() -> None:
    images = [image("S", 5, "v1"), image("T", 1, subject="S"), image("U", 2, subject="T")]
    aged = rule(1, days=4)
    gone = verdict(images, "U", aged)
    assert (gone.why, gone.rule, gone.doubt) == ("follows its subject", aged, None)
    assert acted(images, aged) == "STU"
    assert explain(verdict(images, "S", aged)) == "pushed more than 4 days ago"


def test_whether_a_rule_takes_a_referrer_before_its_subject_is_not_known_so_it_goes() -> None:
    images = [image("S", 5, "v1"), image("T", 9, subject="S"), image("U", 9, subject="elsewhere"),
              image("V", 1, subject="S")]  # fmt: skip
    untagged = rule(1, days=7, tag_status="untagged")
    assert acted(images, untagged) == "TU"
    assert doubts(images, untagged) == {"T": "referrer", "V": "referrer"}
    assert described(verdict(images, "T", untagged))["doubt"] == "referrer"


def test_what_refers_to_an_archived_image_is_archived_with_it_as_far_as_is_known() -> None:
    images = [image("S", 9, "v1"), image("T", 1, subject="S")]
    archive = rule(1, days=7, action="transition")
    found = verdict(images, "T", archive)
    assert (found.action, found.doubt) == ("transition", "archived with its subject")


def test_a_referrer_expires_with_its_subject_rather_than_being_archived() -> None:
    images = [image("S", 9, "v1"), image("T", 9, subject="S")]
    rules = tagged(1, "v1", days=7), rule(2, days=7, action="transition")
    assert [(each.image.digest, each.action) for each in simulate(images, Policy(rules), now=NOW).steps] == [
        ("S", "expire"), ("T", "expire"),
    ]  # fmt: skip


def test_a_referrer_that_a_list_holds_goes_with_the_list() -> None:
    images = [image("S", 9, "v1"), image("T", 1, subject="S"), image("L", 1, "w", parts=("T",))]
    rules = tagged(1, "v1", days=7), tagged(2, "w", days=2)
    assert days(images, *rules, until=3) == {0: "S", 2: "LT"}


def test_referrers_that_fill_places_in_a_count_are_said() -> None:
    images = [image("S", 5, "s"), image("T", 1, subject="S"), image("U", 9, "u")]
    assert doubts(images, rule(1, more_than=2)) == {"U": "places of referrers", "T": "referrer"}
    assert doubts(images, rule(1, more_than=1)) == {"S": "places of referrers"}


def test_a_restored_image_is_the_youngest_in_a_count() -> None:
    restored = image("A", 200, "a", archived_at=NOW - 90 * DAY, activated_at=NOW - DAY)
    images = [restored, image("B", 100, "b")]
    assert acted(images, tagged(1, "*", more_than=1)) == "B"
    assert explain(verdict(images, "A", tagged(1, "*", more_than=1))).endswith("after 1 more")


def test_the_age_of_a_restored_image_is_that_of_its_push_as_far_as_is_known() -> None:
    restored = image("A", 200, "a", activated_at=NOW - DAY)
    assert acted([restored], rule(1, days=30)) == "A"
    assert doubts([restored], rule(1, days=30)) == {"A": "restored"}
    assert doubts([restored._replace(activated_at=NOW - 60 * DAY)], rule(1, days=30)) == {}


def test_images_pushed_at_one_moment_are_in_doubt_where_a_count_ends_between_them() -> None:
    images = [image("A", 5, "a"), image("B", 5, "b"), image("C", 1, "c")]
    assert doubts(images, rule(1, more_than=2)) == {"A": "same moment", "B": "same moment"}
    assert doubts(images, rule(1, more_than=1)) == {}


def test_what_is_said_of_parts_is_marked_for_reports_deny_it() -> None:
    images = [LIST, image("P", 9), image("Q", 9)]
    untagged = rule(1, days=7, tag_status="untagged")
    assert doubts(images, untagged) == {"P": "held part", "Q": "held part"}
    assert doubts(images, untagged, rule(2, days=4)) == {"P": "same day", "Q": "same day"}


def test_untagged_images_beside_a_list_of_unknown_parts_go_and_are_marked() -> None:
    images = [image("L", 5, "v1", parts=None), image("P", 9), image("M", 9, parts=None)]
    untagged = rule(1, days=7, tag_status="untagged")
    assert acted(images, untagged) == "MP"
    assert doubts(images, untagged) == {"P": "unknown parts"}


def test_an_image_that_is_being_restored_is_judged_as_archived_with_a_mark() -> None:
    images = [image("A", 300, storage_class="archive", archived_at=NOW - 99 * DAY, restoring=True)]
    old = rule(1, days=90, count_type="sinceImageTransitioned", storage_class="archive")
    assert doubts(images, old) == {"A": "restoring"}


def test_every_doubt_has_a_sentence_and_a_place_on_the_page() -> None:
    page = Path("docs/operations/simulate.md").read_text(encoding="utf-8")
    for doubt in get_args(Doubt):
        assert DOUBTS[doubt]
        assert f"| `{doubt}` |" in page


def test_an_image_says_how_many_more_pushes_it_will_see() -> None:
    images = [image("A", 3, "a"), image("B", 2, "b"), image("C", 1, "live-c")]
    shield, count = tagged(1, "live-*", more_than=1_000_000), tagged(2, "*", more_than=5)
    assert verdict(images, "A", shield, count).margin == 3
    more = [image(f"n{n}", 0, "n") for n in range(3)]
    assert acted([*images, *more[:2]], shield, count) == ""
    assert acted([*images, *more], shield, count) == "A"


def test_pushes_to_come_arrive_on_their_day() -> None:
    images = [image("A", 1, "a"), image("B", -1.5, "b"), image("C", -3.5, "c")]
    assert days(images, tagged(1, "*", more_than=1), until=5) == {2: "A", 4: "B"}


def test_an_image_that_no_rule_selects_stays() -> None:
    assert explain(verdict([image("A", 999)], "A", tagged(1, "v*", days=1))) == "no rule selects it"


def test_every_reason_reads_as_one() -> None:
    images = [image("A", 9, "a"), image("B", 8, "b"), image("C", 8)]
    rules = tagged(1, "*", more_than=1), rule(2, days=7, tag_status="untagged")
    assert {each.image.digest: explain(each) for each in simulate(images, Policy(rules), now=NOW).verdicts} == {
        "A": "beyond the newest 1 of each image tagged *",
        "B": "among the newest 1; goes after 1 more",
        "C": "pushed more than 7 days ago",
    }  # fmt: skip


# The laws, on generated image repositories.

TAGS = st.sets(st.sampled_from(["v1", "v2", "live-a", "beta-1", "x"]), max_size=3)
IMAGES = st.lists(
    st.tuples(
        st.integers(0, 200), TAGS, st.sampled_from(["standard"] * 3 + ["archive"]),
        st.none() | st.integers(0, 200),
    ),
    max_size=14,
).map(
    lambda facts: [
        image(
            f"{number:02}", age, *sorted(tags),
            storage_class=storage_class,
            archived_at=NOW - age * DAY / 2 if storage_class == "archive" else None,
            pulled_at=None if pulled is None else NOW - pulled * DAY,
        )
        for number, (age, tags, storage_class, pulled) in enumerate(facts)
    ]
)  # fmt: skip
SELECTIONS: list[tuple[TagStatus, tuple[str, ...]]] = [
    ("untagged", ()), ("any", ()), ("tagged", ("*",)), ("tagged", ("v*",)), ("tagged", ("*-*",)),
    ("tagged", ("live-*", "v*")),
]  # fmt: skip
COUNTED: list[CountType] = ["sinceImagePushed", "imageCountMoreThan"]
PLACES: list[tuple[StorageClass, Action]] = [
    ("standard", "expire"), ("standard", "transition"), ("archive", "expire"),
]  # fmt: skip
RULES = st.lists(
    st.tuples(
        st.sampled_from(SELECTIONS),
        st.sampled_from(COUNTED),
        st.sampled_from([1, 2, 5, 30, 90, 1_000_000]),
        st.sampled_from(PLACES),
    ),
    min_size=1,
    max_size=5,
).map(
    lambda facts: tuple(
        Rule(
            priority=priority,
            tag_status=status,
            patterns=patterns,
            count_type=count_type,
            count=count,
            storage_class=storage_class,
            action=action,
        )
        for priority, ((status, patterns), count_type, count, (storage_class, action)) in enumerate(
            facts, 1
        )
    )
)


def meets(each: Image, by: Rule) -> bool:
    import fnmatch  # noqa: PLC0415 - only the oracle matches this way

    if by.tag_status == "any":
        return True
    if by.tag_status == "untagged":
        return not each.tags
    return all(any(fnmatch.fnmatchcase(tag, p) for tag in each.tags) for p in by.patterns)


def detail(each: Image) -> dict[str, Any]:
    return {
        "imageDigest": each.digest,
        "imageTags": list(each.tags),
        "imagePushedAt": each.pushed_at,
        "lastRecordedPullTime": each.pulled_at,
        "lastArchivedAt": each.archived_at,
        "imageStatus": "ARCHIVED" if each.storage_class == "archive" else "ACTIVE",
    }


@given(IMAGES, RULES)
def test_it_agrees_with_the_embedded_ecr_which_was_written_apart(
    images: list[Image], rules: tuple[Rule, ...]
) -> None:
    verdicts = simulate(images, Policy(rules), now=NOW).verdicts
    found = {
        each.image.digest: each.rule.priority for each in verdicts if each.action and each.rule
    }
    policy = json.loads(Policy(rules).to_json())
    assert found == evaluate(policy, [detail(each) for each in images], NOW)


@given(IMAGES, RULES)
def test_an_image_is_acted_on_once_a_day_at_most_and_by_the_first_rule_that_it_meets(
    images: list[Image], rules: tuple[Rule, ...]
) -> None:
    steps = simulate(images, Policy(rules), now=NOW, days=20).steps
    assert len({(step.day, step.image.digest) for step in steps}) == len(steps)
    assert len({(step.action, step.image.digest) for step in steps}) == len(steps)
    for step in steps:
        higher = [each for each in rules if each.priority < step.rule.priority
                  and each.storage_class == step.rule.storage_class]  # fmt: skip
        assert not any(meets(step.image, each) for each in higher)


@given(IMAGES, RULES, st.sampled_from(["v*", "live-*", "*"]))
def test_a_higher_rule_that_acts_on_nothing_shields_all_that_meet_it(
    images: list[Image], rules: tuple[Rule, ...], pattern: str
) -> None:
    shields = [
        tagged(1 + archive, pattern, more_than=1_000_000, storage_class=storage_class)
        for archive, storage_class in enumerate(("standard", "archive"))
    ]
    lower = [replace(each, priority=each.priority + 2) for each in rules]
    verdicts = simulate(images, Policy((*shields, *lower)), now=NOW).verdicts
    assert not [each for each in verdicts if each.action and meets(each.image, shields[0])]


@given(IMAGES, st.integers(1, 5))
def test_counts_include_what_is_shielded(images: list[Image], count: int) -> None:
    here = [each for each in images if each.storage_class == "standard"]
    shield, keep = tagged(1, "live-*", more_than=1_000_000), tagged(2, "*", more_than=count)
    found = acted(images, shield, keep)
    newest = sorted((each for each in here if each.tags), key=lambda e: (-e.pushed_at, e.digest))
    expected = [each.digest for each in newest[count:] if not meets(each, shield)]
    assert found == "".join(sorted(expected))


@given(IMAGES, RULES, st.data())
def test_children_and_referrers_follow(
    images: list[Image], rules: tuple[Rule, ...], data: st.DataObject
) -> None:
    related = []
    for number, each in enumerate(images):
        others = [other.digest for other in images[:number]]
        chosen = data.draw(st.sampled_from([None, *others]))
        kind = data.draw(st.sampled_from(["parts", "subject"]))
        if chosen and kind == "parts":
            related.append(each._replace(parts=(chosen,)))
        else:
            related.append(each._replace(subject=chosen))
    gone: set[str] = set()
    for step in simulate(related, Policy(rules), now=NOW, days=10).steps:
        if step.action == "expire":
            gone.add(step.image.digest)
    for each in related:
        for part in each.parts or ():
            if part in gone:
                assert each.digest in gone
        if each.subject in gone:
            held = [other for other in related if each.digest in (other.parts or ())]
            assert each.digest in gone or any(other.digest not in gone for other in held)


@given(IMAGES, RULES, st.integers(1, 15))
def test_a_forecast_is_what_each_of_its_days_would_have_done(
    images: list[Image], rules: tuple[Rule, ...], until: int
) -> None:
    forecast = simulate(images, Policy(rules), now=NOW, days=until).steps
    left, expected = {each.digest: each for each in images}, []
    for day in range(until + 1):
        now = NOW + day * DAY
        for step in simulate(left.values(), Policy(rules), now=now).steps:
            expected.append((day, step.image.digest, step.rule.priority))
            if step.action == "expire":
                del left[step.image.digest]
            else:
                moved = left[step.image.digest]._replace(storage_class="archive", archived_at=now)
                left[step.image.digest] = moved
    assert sorted((s.day, s.image.digest, s.rule.priority) for s in forecast) == sorted(expected)


DETAIL = {
    "repositoryName": "api",
    "imageDigest": "sha256:1",
    "imageTags": ["a", "b"],
    "imagePushedAt": "2026-11-01T12:00:00+00:00",
    "lastRecordedPullTime": 1793700000.5,
    "imageStatus": "ARCHIVED",
    "lastArchivedAt": "2026-11-02T12:00:00",
    "subjectManifestDigest": "sha256:2",
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DETAIL),
        json.dumps({"imageDetails": [DETAIL]}, indent=4),
        "\ufeff" + json.dumps({"imageDetails": [DETAIL]}),
        json.dumps({"imageDetails": [DETAIL], "nextToken": "more"}),
        json.dumps({"nextToken": "more", "imageDetails": [DETAIL]}),
    ],
    ids=[
        "json lines",
        "aws ecr describe-images",
        "as Windows saves it",
        "with another key",
        "with another key before",
    ],
)
def test_images_are_read_in_amazons_own_keys(text: str) -> None:
    (read,) = read_images(text.splitlines(keepends=True), "it")["api"]
    assert read == Image(
        "sha256:1",
        1793534400.0,
        ("a", "b"),
        1793700000.5,
        "archive",
        1793620800.0,
        None,
        "sha256:2",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: give the output"),
        ('{"images": []}', "line 1: give the output"),
        (json.dumps(DETAIL) + '\n{"imageDigest": "x"}', "line 2: imagePushedAt is missing; add it"),
        (json.dumps(DETAIL) + '\n{"imageDigest": ', "line 2: is not JSON, from its character"),
        (json.dumps(DETAIL) + "\n" + "[" * 100_000, "line 2: is no entry of imageDetails"),
        ("[" * 100_000, "line 1: give the output"),
        (
            json.dumps({"imageDetails": [DETAIL, {**DETAIL, "imageDigest": "x"}, DETAIL]}),
            "images 1 and 3 of api are both sha256:1; give each registry's images by themselves",
        ),
        (json.dumps({"imageDetails": [DETAIL, 7]}), "image 2: "),
    ],
)
def test_what_is_no_image_is_reported_with_its_place(text: str, said: str) -> None:
    with pytest.raises(EstateError) as refused:
        read_images(text.splitlines(keepends=True), "images.json")
    assert said in refused.value.offences[0]


def test_empty_lines_are_passed_over_and_a_wrong_one_is_told_far_down() -> None:
    lines = [json.dumps({**DETAIL, "imageDigest": f"sha256:{number}"}) for number in range(2_000)]
    spaced = [*lines[:700], "  ", *lines[700:], ""]
    (read,) = read_images((f"{line}\n" for line in spaced), "it").values()
    assert [each.digest for each in read] == [f"sha256:{number}" for number in range(2_000)]
    for wrong in (f"{lines[1]},{lines[2]}", '{"imageDigest": "x"}', "[]"):
        with pytest.raises(EstateError) as refused:
            read_images([*spaced[:1_500], wrong, *lines[1_600:]], "it")
        assert refused.value.offences[0].startswith("line 1501: ")


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_images_are_read_alike_wherever_the_text_is_cut(
    monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    monkeypatch.setattr(images_text, "_PIECE", piece)
    monkeypatch.setattr(images_text, "_BLOCK", piece)
    details = [{**DETAIL, "imageDigest": f"sha256:{number}"} for number in range(20)]
    for indent in (None, 4):
        printed = json.dumps({"imageDetails": details}, indent=indent)
        (read,) = read_images(printed.splitlines(keepends=True), "it").values()
        assert [each.digest for each in read] == [each["imageDigest"] for each in details]
        for text in (iter(printed), io.StringIO(printed)):
            (again,) = read_images(text, "it, some characters at a time").values()
            assert again == read
    assert read_images(['{"imageDetails": []}'], "it") == {}


def test_what_looks_like_the_end_of_an_entry_may_stand_inside_one() -> None:
    inside = {"findings": [{"name": "}, {"}, {"name": "},{"}], "says": '}, {"imageDigest": "x"'}
    details = [{**DETAIL, "imageDigest": f"sha256:{each}", **inside} for each in range(50)]
    for indent, separators in ((None, None), (None, (",", ":")), (0, None), (4, None)):
        text = json.dumps({"imageDetails": details}, indent=indent, separators=separators)
        (read,) = read_images(io.StringIO(text), "it").values()
        assert [each.digest for each in read] == [each["imageDigest"] for each in details]
    text = json.dumps({"imageDetails": [*details, {**DETAIL, "imagePushedAt": "x"}, *details]})
    with pytest.raises(EstateError) as refused:
        read_images(io.StringIO(text), "it")
    assert refused.value.offences[0].startswith("image 51: ")


@pytest.mark.parametrize(
    "text",
    [
        '{"imageDetails": [' + json.dumps(DETAIL),
        '{"imageDetails": [' + json.dumps(DETAIL) + "]",
        '{"imageDetails": [' + json.dumps(DETAIL) + ",]}",
        '{"imageDetails": [,' + json.dumps(DETAIL) + "]}",
        '{"imageDetails": [' + json.dumps(DETAIL) + json.dumps(DETAIL) + "]}",
        '{"imageDetails": [' + json.dumps(DETAIL) + "]} {}",
        '{"imageDetails": [' + json.dumps(DETAIL) + '], "imageDetails": [1]}',
        '{"imageDetails": {}}',
        '{"imageDetails": [' + "[" * 100_000,
    ],
)
def test_a_document_that_is_cut_off_or_no_json_is_refused(text: str) -> None:
    with pytest.raises(EstateError) as refused:
        read_images(text.splitlines(keepends=True), "images.json")
    assert "line 1: give the output" in refused.value.offences[0]


def test_signatures_that_go_before_their_image_are_found() -> None:
    of = f"sha256:{'a' * 64}"
    images = [image(of, 1, "v1"), image("S", 9, f"{of.replace(':', '-')}.sig"), image("T", 9, "t")]
    verdicts = simulate(images, Policy((tagged(1, "*", more_than=1),)), now=NOW).verdicts
    assert [each.image.digest for each in without_their_images(verdicts)] == ["S"]
    assert without_their_images([each for each in verdicts if each.action]) == []
    assert without_their_images(verdicts[:1]) == []


def test_it_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, ecr.lifecycle.simulator;"
        "print({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True
    )
    assert sorted(json.loads(done.stdout.replace("'", '"').replace("{", "[").replace("}", "]"))) == [
        "__main__", "ecr",
    ]  # fmt: skip
