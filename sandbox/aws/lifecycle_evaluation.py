"""What an ECR lifecycle policy does to the images of one image repository.

Owns the evaluation behind GetLifecyclePolicyPreview and behind what ECR does once a day. Reads a
policy that PutLifecyclePolicy would take, and images as DescribeImages has them, manifest lists with
their `parts`. Deletes nothing. It is written apart from the program's simulator on purpose, as
plainly as Amazon describes it and however slow, so that each shows up a mistake in the other.

Source: Amazon ECR User Guide, "Lifecycle policy evaluation rules". Where it is silent, an image goes
rather sooner: an artifact that refers to another image is selected as any image is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.aws.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DAY = 86_400


def evaluate(
    policy: Mapping[str, Any], images: Sequence[Mapping[str, Any]], now: float
) -> dict[str, int]:
    """Return the priority of the rule that acts, by the digest of the image; times are seconds."""
    taken: dict[str, int] = {}
    claimed: set[str] = set()
    for rule in sorted(policy["rules"], key=lambda each: int(each["rulePriority"])):
        selection = rule["selection"]
        status = "ARCHIVED" if selection.get("storageClass") == "archive" else "ACTIVE"
        inventory = [each for each in images if each.get("imageStatus", "ACTIVE") == status]
        selected = [each for each in inventory if _meets(each.get("imageTags") or [], selection)]
        selected.sort(key=lambda each: (-_entered(each), each["imageDigest"]))
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
    expiring = {
        each["rulePriority"] for each in policy["rules"] if each["action"]["type"] == "expire"
    }
    return _without_held_parts(taken, images, expiring)


def _without_held_parts(
    taken: dict[str, int], images: Sequence[Mapping[str, Any]], expiring: set[int]
) -> dict[str, int]:
    """Leave out parts of a manifest list that stays, or that stays in the archive: it goes first."""
    while True:
        held = {
            part
            for each in images
            for part in each.get("parts") or ()
            if (rule := taken.get(each["imageDigest"])) is None
            or (rule not in expiring and taken.get(part) in expiring)
        }
        if not held & taken.keys():
            return taken
        taken = {digest: rule for digest, rule in taken.items() if digest not in held}


def _meets(tags: Sequence[str], selection: Mapping[str, Any]) -> bool:
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not tags
    patterns = selection.get("tagPatternList") or [
        f"{prefix}*" for prefix in selection["tagPrefixList"]
    ]
    return all(any(matches(tag, pattern) for tag in tags) for pattern in patterns)


def _entered(image: Mapping[str, Any]) -> float:
    """Return by what time images are ordered: an image that was restored counts as new."""
    restored: float | None = image.get("lastActivatedAt")
    pushed: float = image["imagePushedAt"]
    return pushed if restored is None else restored


def _since(image: Mapping[str, Any], kind: str) -> float:
    pushed: float = image["imagePushedAt"]
    match kind:
        case "sinceImagePulled":
            times = (image.get("lastRecordedPullTime"), image.get("lastActivatedAt"))
            return max((each for each in times if each is not None), default=pushed)
        case "sinceImageTransitioned":
            return image.get("lastArchivedAt") or pushed
    return pushed
