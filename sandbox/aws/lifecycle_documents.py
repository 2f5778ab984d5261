"""The grammar of an ECR lifecycle policy.

Owns what PutLifecyclePolicy refuses about the text it is given. Reads nothing but that text.
Never evaluates a policy: no image is expired here. It is written apart from the program's own
lifecycle rules on purpose, so that each shows up a mistake in the other.

Sources: Amazon ECR User Guide, "Lifecycle policy properties in Amazon ECR" and "Lifecycle policy
evaluation rules".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_MOST_RULES = 50
_MOST_WILDCARDS = 4
_LEAST_DAYS_ARCHIVED = 90
# That of the integers of ECR's own language; no page names one.
_MOST_NUMBER = 2**31 - 1
_AGES = ("sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")
_TAG_LISTS = {"tagPatternList", "tagPrefixList"}
# Letters, digits, underscores, periods and dashes, at most 128, the last two not at the beginning
# (Docker documentation, "docker image tag"). That ECR refuses others is the stricter reading.
_NAMES_TAGS = {
    "tagPatternList": re.compile(r"(?=(?:\**[^*]){0,128}\**$)[\w*][\w.*-]*", re.ASCII),
    "tagPrefixList": re.compile(r"\w[\w.-]{0,127}", re.ASCII),
}
_SELECTION = {"tagStatus", "countType", "countNumber"}
_OPTIONAL_SELECTION = {*_TAG_LISTS, "storageClass", "countUnit"}


def offences(text: str) -> list[str]:
    """Return each way in which the text breaks the grammar; an empty list is a good policy."""
    try:
        policy = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return ["Could not map policyString into LifecyclePolicy."]
    if found := list(_keys("policy", policy, {"rules"})):
        return found
    rules = policy["rules"]
    if not isinstance(rules, list) or not 1 <= len(rules) <= _MOST_RULES:
        return [f"rules must be a list of 1 to {_MOST_RULES} rules"]
    found = [offence for rule in rules for offence in _rule(rule)]
    # Only rules that are sound one by one can be compared with one another.
    return found or list(_together(rules))


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(made := dict(members)) < len(members):
        raise ValueError("a member is there twice")
    return made


def _keys(
    what: str, value: object, required: AbstractSet[str], optional: AbstractSet[str] = frozenset()
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{what} must be an object"
        return
    if missing := sorted(required - value.keys()):
        yield f"{what} has missing required properties ({json.dumps(missing)})"
    if unknown := sorted(value.keys() - required - optional):
        yield f"{what} has properties which are not allowed by the schema ({json.dumps(unknown)})"


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    if found := list(_keys("rule", rule, {"rulePriority", "selection", "action"}, {"description"})):
        yield from found
        return
    if not _is_positive(rule["rulePriority"]):
        yield "rulePriority must be an integer of at least 1 and of 31 bits"
    if not isinstance(rule.get("description", ""), str):
        yield "description must be a string"
    selection, action = rule["selection"], rule["action"]
    found = [
        *_keys("selection", selection, _SELECTION, _OPTIONAL_SELECTION),
        *_keys("action", action, {"type"}, {"targetStorageClass"}),
    ]
    yield from found or [*_tags(selection), *_count(selection, action), *_action(selection, action)]


def _tags(selection: dict[str, Any]) -> Iterator[str]:
    lists = _TAG_LISTS & selection.keys()
    match selection["tagStatus"]:
        case "tagged":
            if len(lists) != 1:
                yield "tagStatus tagged takes one of tagPatternList and tagPrefixList"
        case "untagged" | "any" as status:
            if lists:
                yield f"tagStatus {status} takes no {' or '.join(sorted(lists))}"
        case other:
            yield f"tagStatus must be tagged, untagged or any, not {other!r}"
    for name in sorted(lists):
        tags = selection[name]
        if (
            not isinstance(tags, list)
            or not tags
            or not all(isinstance(t, str) and t for t in tags)
        ):
            yield f"{name} must be a list of at least one tag"
        elif name == "tagPatternList" and any(t.count("*") > _MOST_WILDCARDS for t in tags):
            yield f"a tag pattern has at most {_MOST_WILDCARDS} wildcards"
        elif not all(_NAMES_TAGS[name].fullmatch(t) for t in tags):
            yield f"{name} has an entry that no tag can match"


def _count(selection: dict[str, Any], action: dict[str, Any]) -> Iterator[str]:
    kind, number = selection["countType"], selection["countNumber"]
    if not _is_positive(number):
        yield "countNumber must be an integer of at least 1 and of 31 bits"
    if kind in _AGES:
        if selection.get("countUnit") != "days":
            yield f"countType {kind} takes the countUnit days"
    elif kind != "imageCountMoreThan":
        yield f"countType must be imageCountMoreThan or one of {', '.join(_AGES)}"
    elif "countUnit" in selection:
        yield "countType imageCountMoreThan takes no countUnit"
    yield from _storage(kind, selection, action)


def _storage(kind: str, selection: dict[str, Any], action: dict[str, Any]) -> Iterator[str]:
    number = selection["countNumber"]
    if kind != "sinceImageTransitioned" and _storage_class(selection) != "standard":
        yield f"countType {kind} is for the storageClass standard only"
    if kind == "sinceImagePulled" and action["type"] != "transition":
        yield "countType sinceImagePulled is for the action transition only"
    if kind == "sinceImageTransitioned":
        if _storage_class(selection) != "archive" or action["type"] != "expire":
            yield "countType sinceImageTransitioned is for expiring the storageClass archive only"
        if _is_positive(number) and number < _LEAST_DAYS_ARCHIVED:
            yield f"countType sinceImageTransitioned takes at least {_LEAST_DAYS_ARCHIVED} days"


def _action(selection: dict[str, Any], action: dict[str, Any]) -> Iterator[str]:
    storage_class = _storage_class(selection)
    if storage_class not in ("standard", "archive"):
        yield f"storageClass must be standard or archive, not {storage_class!r}"
    match action["type"]:
        case "expire":
            if "targetStorageClass" in action:
                yield "the action expire takes no targetStorageClass"
        case "transition":
            if action.get("targetStorageClass") != "archive":
                yield "the action transition takes the targetStorageClass archive"
            if storage_class == "archive":
                yield "the storageClass archive has nothing left to transition to"
        case other:
            yield f"action type must be expire or transition, not {other!r}"


def _together(rules: list[dict[str, Any]]) -> Iterator[str]:
    priorities = Counter(rule["rulePriority"] for rule in rules)
    if repeated := sorted(priority for priority, times in priorities.items() if times > 1):
        yield f"rulePriority must be unique, but {repeated} are repeated"
    for storage_class in ("standard", "archive"):
        selections = [
            rule["selection"]
            for rule in sorted(rules, key=lambda rule: rule["rulePriority"])
            if _storage_class(rule["selection"]) == storage_class
        ]
        named = Counter(
            # A prefix selects what the pattern that it begins selects.
            frozenset(each + "*" * (name == "tagPrefixList") for each in selection[name])
            for selection in selections
            for name in _TAG_LISTS & selection.keys()
        )
        for tags, times in named.items():
            if times > 1:
                yield (
                    f"the rules of storageClass {storage_class} must have a unique set of prefixes, "
                    f"but {sorted(tags)} is there {times} times"
                )
        ordered = [selection["tagStatus"] for selection in selections]
        if ordered.count("untagged") > 1:
            yield f"only one rule for untagged images is allowed in storageClass {storage_class}"
        if "any" in ordered[:-1]:
            yield f"the rule for any must be alone and last in storageClass {storage_class}"


def _storage_class(selection: dict[str, Any]) -> object:
    return selection.get("storageClass", "standard")


def _is_positive(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST_NUMBER
