"""What an ECR lifecycle policy does to the images of one image repository, for ECR's own preview.

Owns the evaluation behind GetLifecyclePolicyPreview. Reads a policy that PutLifecyclePolicy would
take, and images as DescribeImages has them. Deletes nothing. It is written apart from the program's
simulator on purpose, as plainly as Amazon describes it and however slow, so that each shows up a
mistake in the other. Manifest lists and referrers are not looked at.

Source: Amazon ECR User Guide, "Lifecycle policy evaluation rules".
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DAY = 86_400


def evaluate(
    policy: Mapping[str, Any], images: Sequence[Mapping[str, Any]], now: float
) -> dict[str, int]:
    """Give the priority of the rule that acts, by the digest of the image; times are seconds."""
    taken: dict[str, int] = {}
    claimed: set[str] = set()
    for rule in sorted(policy["rules"], key=lambda each: int(each["rulePriority"])):
        selection = rule["selection"]
        status = "ARCHIVED" if selection.get("storageClass") == "archive" else "ACTIVE"
        inventory = [each for each in images if each.get("imageStatus", "ACTIVE") == status]
        selected = [each for each in inventory if _meets(each.get("imageTags") or [], selection)]
        selected.sort(key=lambda each: (-each["imagePushedAt"], each["imageDigest"]))
        number = selection["countNumber"]
        if selection["countType"] == "imageCountMoreThan":
            identified = selected[number:]
        else:
            kind = selection["countType"]
            identified = [each for each in selected if now - _since(each, kind) > number * _DAY]
        for each in identified:
            if each["imageDigest"] not in claimed:
                taken[each["imageDigest"]] = rule["rulePriority"]
        claimed.update(each["imageDigest"] for each in selected)
    return taken


def _meets(tags: Sequence[str], selection: Mapping[str, Any]) -> bool:
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not tags
    patterns = selection.get("tagPatternList") or [
        f"{prefix}*" for prefix in selection["tagPrefixList"]
    ]
    return all(any(fnmatchcase(tag, pattern) for tag in tags) for pattern in patterns)


def _since(image: Mapping[str, Any], kind: str) -> float:
    pushed: float = image["imagePushedAt"]
    match kind:
        case "sinceImagePulled":
            times = (image.get("lastRecordedPullTime"), image.get("lastActivatedAt"))
            return max((each for each in times if each is not None), default=pushed)
        case "sinceImageTransitioned":
            return image.get("lastArchivedAt") or pushed
    return pushed
