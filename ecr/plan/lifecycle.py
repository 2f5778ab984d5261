"""Lifecycle: when images go, as the JSON document that ECR takes.

Owns the presets. ECR evaluates every rule over the whole image repository; an image that matches the
tagging requirement of a rule can never be touched by a rule of lower priority, which is how tags are
protected here (Amazon ECR User Guide, "Lifecycle policy evaluation rules").
"""

import json
from typing import Any

from ecr.settings import Lifecycle

NEVER = 1_000_000
"""A count that no image repository reaches: ECR's quota is 100,000 images."""


def lifecycle_document(lifecycle: Lifecycle) -> str | None:
    """Give the document of the chosen preset; None where images never go."""
    match lifecycle.preset:
        case "none":
            return None
        case "source-sample":
            rules = [_untagged(7), _by_count({"tagStatus": "any"}, 10, "keep 10 images")]
        case "commit-sha":
            rules = [
                *(
                    _by_count(
                        {"tagStatus": "tagged", "tagPatternList": [pattern]},
                        NEVER,
                        f"protect {pattern}: a match here shields from the rules below",
                    )
                    # One rule a pattern: the entries of one list must all be met.
                    for pattern in lifecycle.protected_tags
                ),
                _untagged(lifecycle.untagged_days),
                # Not `any`: untagged pushes would then use up the count of tagged images.
                _by_count(
                    {"tagStatus": "tagged", "tagPatternList": ["*"]},
                    lifecycle.keep_images,
                    f"keep {lifecycle.keep_images} tagged images",
                ),
            ]
    return json.dumps(
        {"rules": [{"rulePriority": index, **rule} for index, rule in enumerate(rules, 1)]},
        separators=(",", ":"),
    )


def _untagged(days: int) -> dict[str, Any]:
    return _rule(
        {"tagStatus": "untagged"},
        {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": days},
        f"untagged images go after {days} days",
    )


def _by_count(selection: dict[str, Any], count: int, description: str) -> dict[str, Any]:
    counted = {"countType": "imageCountMoreThan", "countNumber": count}
    return _rule(selection, counted, description)


def _rule(selection: dict[str, Any], count: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "selection": {**selection, **count},
        "action": {"type": "expire"},
    }
