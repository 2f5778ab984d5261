"""Lifecycle: the presets say what the decision record says."""

import json
from typing import Any

from ecr.plan.lifecycle import lifecycle_document
from ecr.settings import Lifecycle


def rules(**chosen: Any) -> list[dict[str, Any]]:
    document = lifecycle_document(Lifecycle.model_validate(chosen))
    assert document is not None
    parsed: list[dict[str, Any]] = json.loads(document)["rules"]
    return parsed


def test_priorities_are_unique_and_in_order() -> None:
    assert [rule["rulePriority"] for rule in rules()] == [1, 2, 3, 4]


def test_each_protected_pattern_has_a_rule_of_its_own_above_all_that_expire() -> None:
    shields = rules(protectedTags=["live-*", "v*"])[:2]
    assert [rule["selection"]["tagPatternList"] for rule in shields] == [["live-*"], ["v*"]]
    assert all(rule["selection"]["countNumber"] == 1_000_000 for rule in shields)


def test_untagged_images_do_not_use_up_the_count_of_tagged_ones() -> None:
    untagged, tagged = rules(keepImages=50, untaggedDays=14)[2:]
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


def test_the_source_documents_sample_is_kept_as_it_stands() -> None:
    untagged, anything = rules(preset="source-sample")
    assert untagged["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 7,
    }
    assert anything["selection"] == {
        "tagStatus": "any",
        "countType": "imageCountMoreThan",
        "countNumber": 10,
    }


def test_none_means_no_document_at_all() -> None:
    assert lifecycle_document(Lifecycle(preset="none")) is None
