"""Lifecycle: the presets say what the decision record says."""

import json
from typing import Any

import pytest

from ecr.images.image import Image
from ecr.lifecycle.policy import parse_policy
from ecr.lifecycle.simulator import DAY, simulate, without_their_images
from ecr.plan.lifecycle import lifecycle_document, lifecycle_policy
from ecr.settings.models import Lifecycle
from sandbox.aws import lifecycle_documents
from tests.builders import ARTIFACTS, plan, repositories, repository

NOW = 1_800_000_000.0


def rules(**chosen: Any) -> list[dict[str, Any]]:
    document = lifecycle_document(Lifecycle.model_validate(chosen))
    assert document is not None
    parsed: list[dict[str, Any]] = json.loads(document)["rules"]
    return parsed


def test_priorities_are_unique_and_in_order() -> None:
    assert [rule["rulePriority"] for rule in rules()] == [1, 2, 3, 4, 5]


def test_each_protected_pattern_has_a_rule_of_its_own_above_all_that_expire() -> None:
    shields = rules(protectedTags=["live-*", "v*"])[:3]
    patterns = [rule["selection"]["tagPatternList"] for rule in shields]
    assert patterns == [["live-*"], ["v*"], ["sha256-*"]]
    assert all(rule["selection"]["countNumber"] == 1_000_000 for rule in shields)


def test_untagged_images_do_not_use_up_the_count_of_tagged_ones() -> None:
    untagged, tagged = rules(keepImages=50, untaggedDays=14, companionsByTag=0)[3:]
    assert untagged["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
    }
    assert tagged["selection"] == {
        "tagStatus": "tagged",
        "tagPatternList": ["*"],
        "countType": "imageCountMoreThan",
        "countNumber": 50,
    }


def days_of_pushes(signed: bool, days: int) -> list[Image]:  # noqa: FBT001 - what is varied
    """An image a day, and by tag its signature and its attestation where it is signed."""
    found = []
    for day in range(days):
        digest = f"sha256:{day:064x}"
        tags = (f"{day:040x}", *(["v1.0.0"] if day == days - 1 else []))
        found.append(Image(digest, NOW - day * DAY, tags))
        found += [
            Image(f"{ending} {day}", NOW - day * DAY, (f"{digest.replace(':', '-')}.{ending}",))
            for ending in ("sig", "att")
            if signed
        ]
    return found


@pytest.mark.parametrize("preset", ["commit-sha", "semver"])
@pytest.mark.parametrize("signed", [True, False])
def test_so_many_images_stay_that_somebody_can_run_with_all_that_signs_them(
    preset: str,
    signed: bool,  # noqa: FBT001 - what is varied
) -> None:
    companions = 2 if signed else 0
    policy = lifecycle_policy(
        Lifecycle.model_validate(
            {"preset": preset, "keepImages": 50, "companionsByTag": companions}
        )
    )
    assert policy
    verdicts = simulate(days_of_pushes(signed, 400), policy, now=NOW).verdicts
    images = [each for each in verdicts if each.image.digest.startswith("sha256:")]
    stay = [each.image.digest for each in images if not each.action]
    release = images[-1].image.digest
    assert stay == [*(each.image.digest for each in images[:50]), release]
    assert without_their_images(verdicts) == []


def test_by_default_there_is_room_for_a_signature_and_an_attestation_of_each_image() -> None:
    assert rules()[-1]["selection"]["countNumber"] == 3 * 500
    assert rules()[-1]["description"] == (
        "keep 500 tagged images, with room for 2 by tag beside each"
    )


@pytest.mark.parametrize(
    ("tag", "protected"),
    [
        ("v1.4.0", True), ("v1.4", True), ("v2.0.0-rc.1", True), ("live-eu", True),
        ("vendor-update-12", False), ("validate-x", False), ("v7", False), ("1.4.0", False),
    ],
)  # fmt: skip
def test_releases_are_shielded_and_not_every_tag_that_begins_with_v(
    tag: str,
    protected: bool,  # noqa: FBT001 - what is expected
) -> None:
    policy = lifecycle_policy(Lifecycle())
    assert policy
    (verdict,) = simulate([Image("a", NOW, (tag,))], policy, now=NOW).verdicts
    assert (verdict.why == "shielded") == protected


def test_the_default_document_is_the_one_that_the_decision_records() -> None:
    assert lifecycle_document(Lifecycle()) == (
        '{"rules":['
        '{"rulePriority":1,"description":"protect live-*: a match here shields from the rules below",'
        '"selection":{"tagStatus":"tagged","tagPatternList":["live-*"],'
        '"countType":"imageCountMoreThan","countNumber":1000000},"action":{"type":"expire"}},'
        '{"rulePriority":2,"description":"protect v*.*: a match here shields from the rules below",'
        '"selection":{"tagStatus":"tagged","tagPatternList":["v*.*"],'
        '"countType":"imageCountMoreThan","countNumber":1000000},"action":{"type":"expire"}},'
        '{"rulePriority":3,'
        '"description":"protect sha256-*: a match here shields from the rules below",'
        '"selection":{"tagStatus":"tagged","tagPatternList":["sha256-*"],'
        '"countType":"imageCountMoreThan","countNumber":1000000},"action":{"type":"expire"}},'
        '{"rulePriority":4,"description":"untagged images go after 7 days",'
        '"selection":{"tagStatus":"untagged","countType":"sinceImagePushed","countUnit":"days",'
        '"countNumber":7},"action":{"type":"expire"}},'
        '{"rulePriority":5,'
        '"description":"keep 500 tagged images, with room for 2 by tag beside each",'
        '"selection":{"tagStatus":"tagged","tagPatternList":["*"],'
        '"countType":"imageCountMoreThan","countNumber":1500},"action":{"type":"expire"}}]}'
    )


def test_the_practice_documents_sample_is_exactly_the_practice_documents() -> None:
    assert rules(preset="source-sample") == [
        {
            "rulePriority": 1,
            "description": "Untagged images policy",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": "Any image policy",
            "selection": {
                "tagStatus": "any",
                "countType": "imageCountMoreThan",
                "countNumber": 10,
            },
            "action": {"type": "expire"},
        },
    ]


def test_semver_protects_every_version_beside_the_protected_tags() -> None:
    patterns = [rule["selection"].get("tagPatternList") for rule in rules(preset="semver")]
    assert patterns == [["live-*"], ["v*.*"], ["*.*.*"], ["sha256-*"], None, ["*"]]


def test_none_means_no_document_at_all() -> None:
    assert lifecycle_document(Lifecycle(preset="none")) is None


CUSTOM = {
    "preset": "custom",
    "rules": [
        {"tagStatus": "untagged", "countType": "sinceImagePushed", "countNumber": 1},
        {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 30},
    ],
}


def test_rules_of_ones_own_get_their_priority_from_their_place() -> None:
    assert [(rule["rulePriority"], rule["selection"]["tagStatus"]) for rule in rules(**CUSTOM)] == [
        (1, "untagged"),
        (2, "any"),
    ]


@pytest.mark.parametrize("chosen", [{}, {"preset": "semver"}, {"preset": "source-sample"}, CUSTOM])
def test_every_document_is_one_that_ecr_takes_and_is_read_back_the_same(
    chosen: dict[str, Any],
) -> None:
    document = lifecycle_document(Lifecycle.model_validate(chosen))
    assert document
    assert lifecycle_documents.offences(document) == []
    assert parse_policy(document, "it").to_json() == document


def kept(planned: Any) -> dict[str, Any]:
    """How many images the last rule counts, by service; None where there is no policy."""
    return {
        each.placement.name: each.lifecycle
        and json.loads(each.lifecycle)["rules"][-1]["selection"]["countNumber"]
        for each in planned.image_repositories
    }


def test_an_override_applies_by_name_and_keeps_what_it_does_not_say() -> None:
    planned = plan(
        *repositories("api", "batch-a", "batch-b"),
        lifecycle={
            "keepImages": 300,
            "companionsByTag": 0,
            "overrides": [
                {"names": ["batch-b"], "preset": "none"},
                {"names": ["batch-*"], "untaggedDays": 1},
                {"names": ["*"], "keepImages": 100},
            ],
        },
    )
    assert kept(planned) == {"api": 100, "batch-a": 300, "batch-b": None}


BY_PROPERTY = {
    "companionsByTag": 0,
    "overrides": [{"property": {"property": "tier", "values": ["gold"]}, "keepImages": 2000}],
}


def test_an_override_applies_by_custom_property() -> None:
    planned = plan(
        repository(1, "api", properties={"tier": "gold"}),
        repository(2, "web", properties={"tier": "tin"}),
        lifecycle=BY_PROPERTY,
    )
    assert kept(planned) == {"api": 2000, "web": 500}


def test_where_the_property_is_no_longer_known_nothing_expires() -> None:
    before = plan(repository(1, "api", properties={"tier": "gold"}))
    after = plan(ledger=before.ledger, lifecycle=BY_PROPERTY)
    assert kept(after) == {"api": None}


def test_a_renamed_repository_keeps_the_lifecycle_of_its_service() -> None:
    lifecycle = {"overrides": [{"names": ["api"], "keepImages": 2000}]}
    before = plan(*repositories("api"), lifecycle=lifecycle)
    after = plan(*repositories("gateway"), ledger=before.ledger, lifecycle=lifecycle)
    assert [each.lifecycle for each in after.image_repositories] == [
        each.lifecycle for each in before.image_repositories
    ]
    assert ARTIFACTS in after.image_repositories[0].placement.location
