"""Rules about lifecycle policies: the grammar, the preview, and what is acted on when.

The vectors of images are AWS's own examples, as the pages have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.aws.rules.table import (
    IMAGE,
    Operation,
    Page,
    Stage,
    add_refusal,
    holds,
    lifecycle_rule,
    policy_of,
    refuses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}
_DAYS: dict[str, Any] = {"countUnit": "days"}
_AGED: dict[str, Any] = {"countType": "sinceImagePushed", **_DAYS}
_IN_ARCHIVE: dict[str, Any] = {"storageClass": "archive"}
_TRANSITIONED: dict[str, Any] = {
    **_IN_ARCHIVE,
    "countType": "sinceImageTransitioned",
    **_DAYS,
    "countNumber": 90,
}


def _tagged(priority: int, *patterns: str, **changes: Any) -> dict[str, Any]:
    return lifecycle_rule(priority, tagStatus="tagged", tagPatternList=list(patterns), **changes)


def _changed(**changes: Any) -> dict[str, Any]:
    return {**lifecycle_rule(), **changes}


_GRAMMAR: tuple[tuple[str, Page, str, Any], ...] = (
    ("no-rules", Page.LIFECYCLE, "a policy without rules", []),
    ("51-rules", Page.QUOTAS, "51 rules", [_tagged(n, f"v{n}") for n in range(1, 52)]),
    (
        "priority-twice",
        Page.LIFECYCLE,
        "a rulePriority that is there twice",
        [_tagged(1, "a"), _tagged(1, "b")],
    ),
    ("priority-0", Page.LIFECYCLE, "a rulePriority of 0", [lifecycle_rule(0)]),
    (
        "priority-as-text",
        Page.LIFECYCLE,
        "a rulePriority that is text",
        [_changed(rulePriority="1")],
    ),
    (
        "no-selection",
        Page.LIFECYCLE,
        "a rule without a selection",
        [{"rulePriority": 1, "action": {"type": "expire"}}],
    ),
    (
        "no-action",
        Page.LIFECYCLE,
        "a rule without an action",
        [{k: v for k, v in lifecycle_rule().items() if k != "action"}],
    ),
    (
        "unknown-key",
        Page.LIFECYCLE,
        "a key that the schema does not know",
        [_changed(enabled=True)],
    ),
    (
        "unknown-selection",
        Page.LIFECYCLE,
        "a selection by something else",
        [lifecycle_rule(name="api")],
    ),
    (
        "unknown-action",
        Page.LIFECYCLE,
        "an action that is not one",
        [lifecycle_rule(action={"type": "keep"})],
    ),
    (
        "null-description",
        Page.LIFECYCLE,
        "a description that is null",
        [_changed(description=None)],
    ),
    (
        "unknown-tag-status",
        Page.LIFECYCLE,
        "a tagStatus that is not one",
        [lifecycle_rule(tagStatus="some")],
    ),
    (
        "tagged-without-tags",
        Page.LIFECYCLE,
        "tagStatus tagged without tags",
        [lifecycle_rule(tagStatus="tagged")],
    ),
    (
        "patterns-and-prefixes",
        Page.LIFECYCLE,
        "patterns and prefixes in one rule",
        [_tagged(1, "v*", tagPrefixList=["v"])],
    ),
    ("no-patterns", Page.LIFECYCLE, "an empty list of patterns", [_tagged(1)]),
    ("question-mark", Page.LIFECYCLE, "a question mark for a wildcard", [_tagged(1, "v?")]),
    ("brackets", Page.LIFECYCLE, "brackets for a wildcard", [_tagged(1, "v[12]")]),
    ("empty-pattern", Page.LIFECYCLE, "a pattern that is empty", [_tagged(1, "")]),
    ("five-wildcards", Page.LIFECYCLE, "a pattern with five wildcards", [_tagged(1, "*a*b*c*d*")]),
    (
        "untagged-with-patterns",
        Page.LIFECYCLE,
        "tagStatus untagged with patterns",
        [lifecycle_rule(tagStatus="untagged", tagPatternList=["v*"])],
    ),
    (
        "any-with-prefixes",
        Page.LIFECYCLE,
        "tagStatus any with prefixes",
        [lifecycle_rule(tagPrefixList=["v"])],
    ),
    (
        "null-prefixes",
        Page.LIFECYCLE,
        "prefixes that are null",
        [lifecycle_rule(tagPrefixList=None)],
    ),
    ("count-0", Page.LIFECYCLE, "a countNumber of 0", [lifecycle_rule(countNumber=0)]),
    (
        "count-as-text",
        Page.LIFECYCLE,
        "a countNumber that is text",
        [lifecycle_rule(countNumber="5")],
    ),
    (
        "count-with-a-fraction",
        Page.LIFECYCLE,
        "a countNumber with a fraction",
        [lifecycle_rule(countNumber=1.5)],
    ),
    (
        "count-as-truth",
        Page.LIFECYCLE,
        "a countNumber that is true",
        [lifecycle_rule(countNumber=True)],
    ),
    (
        "unknown-count-type",
        Page.LIFECYCLE,
        "a countType that is not one",
        [lifecycle_rule(countType="sinceImageSeen")],
    ),
    (
        "count-with-a-unit",
        Page.LIFECYCLE,
        "a count of images with a countUnit",
        [lifecycle_rule(**_DAYS)],
    ),
    (
        "count-with-a-null-unit",
        Page.LIFECYCLE,
        "a count of images with a countUnit of null",
        [lifecycle_rule(countUnit=None)],
    ),
    (
        "age-without-a-unit",
        Page.LIFECYCLE,
        "an age without countUnit",
        [lifecycle_rule(countType="sinceImagePushed")],
    ),
    (
        "age-in-hours",
        Page.LIFECYCLE,
        "an age in hours",
        [lifecycle_rule(countType="sinceImagePushed", countUnit="hours")],
    ),
    (
        "expire-since-pulled",
        Page.LIFECYCLE,
        "sinceImagePulled for expiring",
        [lifecycle_rule(countType="sinceImagePulled", **_DAYS)],
    ),
    (
        "transitioned-in-standard",
        Page.LIFECYCLE,
        "sinceImageTransitioned without storageClass archive",
        [lifecycle_rule(countType="sinceImageTransitioned", **_DAYS, countNumber=90)],
    ),
    (
        "transitioned-89-days",
        Page.LIFECYCLE,
        "expiring what was archived less than 90 days ago",
        [lifecycle_rule(**{**_TRANSITIONED, "countNumber": 89})],
    ),
    (
        "transition-from-the-archive",
        Page.LIFECYCLE,
        "a transition from the archive",
        [lifecycle_rule(**_TRANSITIONED, action=ARCHIVE)],
    ),
    (
        "count-in-the-archive",
        Page.LIFECYCLE,
        "imageCountMoreThan in the archive",
        [lifecycle_rule(**_IN_ARCHIVE)],
    ),
    (
        "age-in-the-archive",
        Page.LIFECYCLE,
        "sinceImagePushed in the archive",
        [lifecycle_rule(**_IN_ARCHIVE, **_AGED)],
    ),
    (
        "pulled-in-the-archive",
        Page.LIFECYCLE,
        "sinceImagePulled in the archive",
        [lifecycle_rule(**_IN_ARCHIVE, countType="sinceImagePulled", **_DAYS, action=ARCHIVE)],
    ),
    (
        "unknown-storage-class",
        Page.LIFECYCLE,
        "a storageClass that is not one",
        [lifecycle_rule(storageClass="glacier")],
    ),
    (
        "null-storage-class",
        Page.LIFECYCLE,
        "a storageClass that is null",
        [lifecycle_rule(storageClass=None)],
    ),
    (
        "transition-to-nowhere",
        Page.LIFECYCLE,
        "a transition without a target",
        [lifecycle_rule(action={"type": "transition"})],
    ),
    (
        "transition-to-standard",
        Page.LIFECYCLE,
        "a transition to standard",
        [lifecycle_rule(action={"type": "transition", "targetStorageClass": "standard"})],
    ),
    (
        "expire-with-a-null-target",
        Page.LIFECYCLE,
        "expiring with a target of null",
        [lifecycle_rule(action={"type": "expire", "targetStorageClass": None})],
    ),
    (
        "untagged-twice",
        Page.LIFECYCLE_RULES,
        "two rules for untagged images of one storage class",
        [lifecycle_rule(n, tagStatus="untagged") for n in (1, 2)],
    ),
    (
        "any-twice",
        Page.LIFECYCLE_RULES,
        "two rules for any image of one storage class",
        [lifecycle_rule(1), lifecycle_rule(2)],
    ),
    (
        "any-before-another",
        Page.LIFECYCLE,
        "a rule for any before another",
        [lifecycle_rule(1), _tagged(2, "v*")],
    ),
    (
        "prefixes-twice",
        Page.LIFECYCLE_RULES,
        "two rules of one storage class with the same prefixes",
        [lifecycle_rule(n, tagStatus="tagged", tagPrefixList=["prod"]) for n in (1, 2)],
    ),
    (
        "patterns-twice",
        Page.LIFECYCLE_RULES,
        "two rules of one storage class with the same patterns, in another order",
        [_tagged(1, "a*", "b*"), _tagged(2, "b*", "a*")],
    ),
)


def _putting(rules: Any) -> Callable[[Stage], Callable[[], object]]:
    def attempt(stage: Stage) -> Callable[[], object]:
        stage.repository()
        return lambda: stage.lifecycle(*rules)

    return attempt


for _identifier, _page, _says, _rules in _GRAMMAR:
    add_refusal(
        f"lifecycle-{_identifier}", _page, f"{_says} in a lifecycle policy", _putting(_rules)
    )


@refuses(Page.LIFECYCLE, "a lifecycle policy that is not JSON")
def lifecycle_that_is_not_json(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = policy_of(lifecycle_rule()).replace("}", "", 1)
    return lambda: stage.ecr.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=text)


@refuses(Page.QUOTAS, "a lifecycle policy of more than 30,720 characters")
def lifecycle_too_long(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = policy_of(lifecycle_rule()).ljust(30_721)
    return lambda: stage.ecr.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=text)


@refuses(Operation("PutLifecyclePolicy"), "a lifecycle policy of less than 100 characters")
def lifecycle_too_short(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText="{}")


@refuses(
    Operation("GetLifecyclePolicy"),
    "a policy that was never put",
    "LifecyclePolicyNotFoundException",
)
def lifecycle_that_is_not_there(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.get_lifecycle_policy(repositoryName="api")


# The preview

_PREVIEW = Operation("StartLifecyclePolicyPreview")


@refuses(_PREVIEW, "previewing a policy outside the grammar")
def preview_of_a_bad_policy(stage: Stage) -> Callable[[], object]:
    stage.repository()
    text = policy_of(lifecycle_rule(**_IN_ARCHIVE))
    return lambda: stage.ecr.start_lifecycle_policy_preview(
        repositoryName="api", lifecyclePolicyText=text
    )


@refuses(_PREVIEW, "previewing no policy at all", "LifecyclePolicyNotFoundException")
def preview_of_nothing(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.start_lifecycle_policy_preview(repositoryName="api")


@refuses(
    _PREVIEW,
    "a preview while one is in progress",
    "LifecyclePolicyPreviewInProgressException",
)
def preview_during_a_preview(stage: Stage) -> Callable[[], object]:
    stage.world.delays.previewing = 30
    stage.repository()
    stage.lifecycle(lifecycle_rule())
    stage.ecr.start_lifecycle_policy_preview(repositoryName="api")
    return lambda: stage.ecr.start_lifecycle_policy_preview(repositoryName="api")


@refuses(
    Operation("GetLifecyclePolicyPreview"),
    "the results of a preview that was not started",
    "LifecyclePolicyPreviewNotFoundException",
)
def results_of_no_preview(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.get_lifecycle_policy_preview(repositoryName="api")


@holds(Operation("GetLifecyclePolicyPreview"), "a preview in progress shows no results")
def preview_in_progress(stage: Stage) -> bool:
    stage.world.delays.previewing = 30
    stage.repository()
    stage.push("v1")
    stage.push("v2", "second")
    stage.lifecycle(lifecycle_rule())
    stage.ecr.start_lifecycle_policy_preview(repositoryName="api")
    waiting = stage.ecr.get_lifecycle_policy_preview(repositoryName="api")
    stage.world.clock.move(seconds=30)
    ended = stage.ecr.get_lifecycle_policy_preview(repositoryName="api")
    return (waiting["status"], waiting["previewResults"], len(ended["previewResults"])) == (
        "IN_PROGRESS",
        [],
        1,
    )


# What is acted on

_EVALUATION = Page.LIFECYCLE_RULES


def _going(stage: Stage, images: dict[str, int], *rules: dict[str, Any]) -> set[str]:
    """Push images with their tags, so many days ago, and return which the rules take.

    The tags of an image stand in one text, with spaces between them; its first tag names it.
    """
    stage.repository()
    last = max(images.values())
    names = {}
    for tags, days in sorted(images.items(), key=lambda each: -each[1]):
        stage.world.clock.move(days=last - days)
        last = days
        for tag in tags.split():
            names[stage.push(tag, tags)] = tags
    stage.world.clock.move(days=last)
    stage.ecr.start_lifecycle_policy_preview(
        repositoryName="api", lifecyclePolicyText=policy_of(*rules)
    )
    shown = stage.ecr.get_lifecycle_policy_preview(repositoryName="api")["previewResults"]
    return {names[each["imageDigest"]] for each in shown}


@holds(_EVALUATION, "an image that a higher rule keeps is out of reach of a lower one (example A)")
def evaluation_example_a(stage: Stage) -> bool:
    images = {"beta-1 prod-1": 10, "beta-2 prod-2": 9, "beta-3": 8}
    return _going(stage, images, _tagged(1, "prod*"), _tagged(2, "beta*")) == {"beta-1 prod-1"}


@holds(_EVALUATION, "rules the other way round take other images (example B)")
def evaluation_example_b(stage: Stage) -> bool:
    images = {"beta-1 prod-1": 10, "beta-2 prod-2": 9, "beta-3": 8}
    taken = _going(stage, images, _tagged(1, "beta*"), _tagged(2, "prod*"))
    return taken == {"beta-1 prod-1", "beta-2 prod-2"}


@holds(_EVALUATION, "several patterns have to be met together, each by any tag (example C)")
def evaluation_example_c(stage: Stage) -> bool:
    images = {"alpha-1": 12, "beta-1": 11, "alpha-2 beta-2": 10, "alpha-3": 4, "beta-3": 3, "alpha-4 beta-4": 2}  # fmt: skip
    rule = _tagged(1, "alpha*", "beta*", **{**_AGED, "countNumber": 5})
    return _going(stage, images, rule) == {"alpha-2 beta-2"}


@holds(_EVALUATION, "a count goes over images that meet every pattern (example D)")
def evaluation_example_d(stage: Stage) -> bool:
    images = {"alpha-1 beta-1 gamma-1": 10, "alpha-2 beta-2": 9, "alpha-3 beta-3 gamma-2": 8}
    taken = _going(stage, images, _tagged(1, "alpha*", "beta*"))
    return taken == {"alpha-1 beta-1 gamma-1", "alpha-2 beta-2"}


@holds(_EVALUATION, "an image that a rule has claimed fills a place of a lower count")
def claimed_images_fill_places(stage: Stage) -> bool:
    images = {"old": 10, "v1": 5}
    rules = _tagged(1, "v*", countNumber=1_000), lifecycle_rule(2)
    return _going(stage, images, *rules) == {"old"}


@holds(_EVALUATION, "an age is passed only when it is exceeded")
def an_age_is_exceeded(stage: Stage) -> bool:
    rule = lifecycle_rule(**{**_AGED, "countNumber": 10})
    return _going(stage, {"old": 11, "young": 9}, rule) == {"old"}


@holds(_EVALUATION, "a part of a manifest list does not go before the list")
def parts_stay_with_their_list(stage: Stage) -> bool:
    stage.repository()
    part = stage.push()
    whole = stage.push_list("v1", part)
    stage.lifecycle(lifecycle_rule(tagStatus="untagged", **_AGED))
    stage.world.clock.move(days=30)
    return set(stage.tags()) == {part, whole}


@holds(_EVALUATION, "a restored image counts as new in a count")
def restored_images_count_as_new(stage: Stage) -> bool:
    stage.repository()
    restored = stage.archive(stage.push("old"))
    stage.world.clock.move(days=10)
    stage.push("new", "second")
    stage.world.clock.move(days=10)
    stage.restore(restored)
    stage.world.clock.move(days=1)
    stage.lifecycle(lifecycle_rule())
    stage.world.clock.move(days=1)
    return list(stage.tags()) == [restored]


@holds(_EVALUATION, "a policy takes nothing at the moment when it is put")
def a_policy_waits_for_a_day(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.push("v2", "second")
    stage.lifecycle(lifecycle_rule())
    before = len(stage.tags())
    stage.world.clock.move(days=1)
    return (before, len(stage.tags())) == (2, 1)


@holds(_EVALUATION, "a policy really deletes images when their day has come")
def a_policy_deletes(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.lifecycle(lifecycle_rule(**{**_AGED, "countNumber": 7}))
    stage.world.clock.move(days=6)
    before = len(stage.tags())
    stage.world.clock.move(days=2)
    return (before, stage.statuses()) == (1, {})


@holds(_EVALUATION, "a policy that was deleted takes nothing")
def a_deleted_policy_does_nothing(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.lifecycle(lifecycle_rule(**_AGED))
    stage.ecr.delete_lifecycle_policy(repositoryName="api")
    stage.world.clock.move(days=30)
    return len(stage.tags()) == 1


@holds(Page.ARCHIVING, "a transition archives, and the archive keeps its images for 90 days")
def a_policy_archives(stage: Stage) -> bool:
    stage.repository()
    digest = stage.push("v1")
    stage.lifecycle(
        lifecycle_rule(1, countType="sinceImagePulled", **_DAYS, action=ARCHIVE),
        lifecycle_rule(2, **_TRANSITIONED),
    )
    stage.world.clock.move(days=3)
    archived = stage.statuses() == {digest: "ARCHIVED"}
    stage.world.clock.move(days=88)
    kept = stage.statuses() == {digest: "ARCHIVED"}
    stage.world.clock.move(days=3)
    return archived and kept and stage.statuses() == {}


@holds(_EVALUATION, "a rule of one storage class does not see images of the other")
def storage_classes_are_apart(stage: Stage) -> bool:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    stage.lifecycle(lifecycle_rule(**_AGED))
    stage.world.clock.move(days=30)
    return stage.statuses() == {digest: "ARCHIVED"}


@holds(Page.DELETING, "what refers to an image that expired goes within a day after it")
def referrers_expire_after_their_subject(stage: Stage) -> bool:
    stage.repository()
    subject = stage.push("v1")
    stage.push("", "signature", subject={"mediaType": IMAGE, "digest": subject})
    stage.lifecycle(_tagged(1, "v*", **_AGED))
    stage.world.clock.move(days=1)
    left = len(stage.tags())
    stage.world.clock.move(days=1)
    return (left, stage.tags()) == (1, {})
