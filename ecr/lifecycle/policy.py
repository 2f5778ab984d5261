"""The lifecycle policy of an image repository as typed data, with the whole of ECR's grammar.

Owns the shape of a rule, what makes one or several of them wrong, and their JSON. Reads a policy's
text and nothing else. Never says which rules are wise (ecr/plan/lifecycle.py) nor what they do to
images (ecr/lifecycle/simulator.py). Needs only the standard library.

Sources: Amazon ECR User Guide, "Lifecycle policy properties in Amazon ECR" and "Lifecycle policy
evaluation rules".
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from ecr.errors import EstateError
from ecr.images.image import StorageClass

TagStatus = Literal["tagged", "untagged", "any"]
CountType = Literal[
    "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"
]
Action = Literal["expire", "transition"]

MOST_RULES = 50
"""Rules of a lifecycle policy (Amazon ECR User Guide, "Lifecycle policy properties")."""

MOST_CHARACTERS = 30_720
"""Characters of a lifecycle policy (Amazon ECR API Reference, PutLifecyclePolicy)."""

MOST_WILDCARDS = 4
"""Asterisks in one pattern of a rule (Amazon ECR User Guide, "Lifecycle policy properties")."""

LEAST_DAYS_ARCHIVED = 90
"""Days for which AWS bills an archived image at the least, and that a rule has to wait."""

MOST_NUMBER = 2_147_483_647
"""The highest priority, and the highest number of images or days.

No page names a bound. It is that of the integers of ECR's own language, and the stricter reading."""

MOST_TAG = 128
"""Characters of a tag (Docker documentation, "docker image tag")."""

Offence = tuple[int, str, str]
"""The index of the rule, the key within it ("selection.countNumber"), and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. ``count`` is a number of images, or of days where ``count_type`` begins with since.

    ``patterns`` and ``prefixes`` are for ``tagged``: one of the two, and each of its entries has to
    be met, by any of an image's tags.
    """

    priority: int
    tag_status: TagStatus
    count_type: CountType
    count: int
    patterns: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    storage_class: StorageClass = "standard"
    action: Action = "expire"
    description: str = ""

    @property
    def by_count(self) -> bool:
        """Return whether it keeps a number of images, rather than those that are young enough."""
        return self.count_type == "imageCountMoreThan"

    @property
    def selects(self) -> str:
        """Say in words which images it is about."""
        if self.tag_status != "tagged":
            return f"{self.tag_status} image"
        each = self.patterns or tuple(f"{prefix}*" for prefix in self.prefixes)
        return f"image tagged {' and '.join(each)}"

    def to_json(self) -> dict[str, Any]:
        """Return the rule as ECR takes it, its keys always in the same order."""
        selection: dict[str, Any] = {"tagStatus": self.tag_status}
        if self.patterns:
            selection["tagPatternList"] = list(self.patterns)
        if self.prefixes:
            selection["tagPrefixList"] = list(self.prefixes)
        if self.storage_class != "standard":
            selection["storageClass"] = self.storage_class
        selection["countType"] = self.count_type
        if not self.by_count:
            selection["countUnit"] = "days"
        selection["countNumber"] = self.count
        action: dict[str, str] = {"type": self.action}
        if self.action == "transition":
            action["targetStorageClass"] = "archive"
        described = {"description": self.description} if self.description else {}
        return {
            "rulePriority": self.priority,
            **described,
            "selection": selection,
            "action": action,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of an image repository, by ascending priority."""

    rules: tuple[Rule, ...]

    def to_json(self) -> str:
        """Return the canonical document: the same rules always make the same text."""
        return json.dumps({"rules": [rule.to_json() for rule in self.rules]}, separators=(",", ":"))


def check_rules(rules: Sequence[Rule]) -> Iterator[Offence]:
    """Yield what ECR would refuse about typed rules: each by itself, then all together."""
    alone = [(index, key, wrong) for index, rule in enumerate(rules) for key, wrong in _rule(rule)]
    yield from alone
    if not alone:
        yield from _together(rules)


def _rule(rule: Rule) -> Iterator[tuple[str, str]]:
    for key, number in (("rulePriority", rule.priority), ("selection.countNumber", rule.count)):
        if number < 1:
            yield key, f"= {_shown(number)}: must be at least 1"
        elif number > MOST_NUMBER:
            yield key, f"= {_shown(number)}: must be at most {MOST_NUMBER:,}"
    yield from _tags(rule)
    yield from _storage(rule)


def _storage(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield what does not fit the storage class: each way of counting is for one of them."""
    if rule.action == "transition" and rule.storage_class == "archive":
        yield (
            "selection.storageClass",
            "= 'archive': is where a transition leads; expire it instead",
        )
    elif rule.storage_class == "archive" and rule.count_type != "sinceImageTransitioned":
        yield (
            "selection.storageClass",
            (
                f"= 'archive': {rule.count_type} is for the storage class standard only; use "
                "sinceImageTransitioned, or drop storageClass"
            ),
        )
    if rule.count_type == "sinceImagePulled" and rule.action != "transition":
        yield (
            "selection.countType",
            "= 'sinceImagePulled': is for transitions only; use sinceImagePushed to expire",
        )
    if rule.count_type == "sinceImageTransitioned":
        if rule.storage_class != "archive":
            yield (
                "selection.countType",
                "= 'sinceImageTransitioned': is for the storage class archive; set storageClass",
            )
        if 1 <= rule.count < LEAST_DAYS_ARCHIVED:
            yield (
                "selection.countNumber",
                (
                    f"= {rule.count}: archived images stay for {LEAST_DAYS_ARCHIVED} days at least; "
                    "write that or more"
                ),
            )


def _tags(rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.tag_status == "tagged" and not (rule.patterns or rule.prefixes):
        yield (
            "selection.tagPatternList",
            "is missing: with tagStatus 'tagged' a rule needs it; write [\"*\"] for every tag",
        )
    if rule.tag_status == "tagged" and rule.patterns and rule.prefixes:
        yield "selection.tagPatternList", "stands beside tagPrefixList: a rule has one; drop one"
    if rule.tag_status != "tagged" and (rule.patterns or rule.prefixes):
        yield (
            "selection.tagStatus",
            f"= {rule.tag_status!r}: takes no list of tags; drop the list, or write 'tagged'",
        )
    for pattern in rule.patterns:
        yield from _entry("selection.tagPatternList", pattern, "*")
        if pattern.count("*") > MOST_WILDCARDS:
            yield (
                "selection.tagPatternList",
                (
                    f"= {_shown(pattern)}: has more than {MOST_WILDCARDS} wildcards; write a "
                    "shorter pattern"
                ),
            )
    for prefix in rule.prefixes:
        yield from _entry("selection.tagPrefixList", prefix, "")


def _entry(key: str, entry: str, wildcard: str) -> Iterator[tuple[str, str]]:
    """Yield what no tag can have, so that the rule would select nothing."""
    letters = entry.replace(wildcard, "") if wildcard else entry
    if not entry:
        yield key, "holds an empty text; remove it"
    elif found := next(iter(_NO_TAG.findall(letters)), ""):
        means = "; in a pattern it means any letters" if found == "*" else ""
        yield key, f"= {_shown(entry)}: has {found!r}, which no tag can have{means}; remove it"
    elif entry[0] in ".-":
        yield key, f"= {_shown(entry)}: no tag begins with {entry[0]!r}; write how the tag begins"
    elif len(letters) > MOST_TAG:
        yield key, f"= {_shown(entry)}: no tag has more than {MOST_TAG} characters; shorten it"


_NO_TAG = re.compile(r"[^\w.-]", re.ASCII)
_MOST_SHOWN = 40


def _shown(value: object) -> str:
    """Return a value as a message can show it: what somebody wrote may be of any length."""
    if isinstance(value, int) and abs(value) >= 10**_MOST_SHOWN:
        return "a number of more than 40 digits"
    shown = repr(value)
    return shown if len(shown) <= 4 * _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}... (cut)"


def _together(rules: Sequence[Rule]) -> Iterator[Offence]:
    if len(rules) > MOST_RULES:
        yield MOST_RULES, "", f"is rule {MOST_RULES + 1}, and ECR takes {MOST_RULES}; drop some"
    seen: dict[int, int] = {}
    for index, rule in enumerate(rules):
        first = seen.setdefault(rule.priority, index)
        if first != index:
            yield (
                index,
                "rulePriority",
                f"= {rule.priority}: is already that of rule {first + 1}; choose another",
            )
    for storage_class in get_args(StorageClass):
        ordered = sorted(
            (rule.priority, index)
            for index, rule in enumerate(rules)
            if rule.storage_class == storage_class
        )
        yield from _same_tags(rules, [index for _, index in ordered])
        untagged = [index for _, index in ordered if rules[index].tag_status == "untagged"]
        for index in untagged[1:]:
            yield (
                index,
                "selection.tagStatus",
                (
                    f"= 'untagged': rule {untagged[0] + 1} selects untagged images of the storage class "
                    f"{storage_class} already; keep one of them"
                ),
            )
        for _, index in ordered[:-1]:
            if rules[index].tag_status == "any":
                yield (
                    index,
                    "selection.tagStatus",
                    "= 'any': must have the highest rulePriority of its storage class, alone",
                )
    characters = len(Policy(tuple(rules)).to_json())
    if characters > MOST_CHARACTERS:
        yield (
            0,
            "",
            f"and the others have {characters} characters, and ECR takes {MOST_CHARACTERS}; drop some",
        )


def _same_tags(rules: Sequence[Rule], indices: Sequence[int]) -> Iterator[Offence]:
    """Yield the rules of one storage class that ask for the same tags as an earlier one.

    "The set of all rules selecting a specific storage class must contain a unique set of prefixes"
    (Amazon ECR User Guide, "Lifecycle policy evaluation rules"); the later could never act either.
    """
    first: dict[frozenset[str], int] = {}
    for index in indices:
        rule = rules[index]
        asked = frozenset((*rule.patterns, *(f"{prefix}*" for prefix in rule.prefixes)))
        earlier = first.setdefault(asked, index)
        if rule.tag_status == "tagged" and earlier != index:
            yield (
                index,
                f"selection.{'tagPatternList' if rule.patterns else 'tagPrefixList'}",
                (
                    f"asks for the same tags as rule {earlier + 1} of the storage class "
                    f"{rule.storage_class}, and could never act; keep one of them"
                ),
            )


def parse_policy(text: str, source: str, *, accepted: bool = False) -> Policy:
    """Read a policy as ECR would. ``source`` names it in errors.

    What `aws ecr get-lifecycle-policy` prints is read as well: its lifecyclePolicyText. Of a policy
    that ECR has ``accepted`` only what has to be understood is asked for, and no rule that ECR may
    read otherwise. Raises EstateError, with each offence's line, rule and key.
    """
    text = text.removeprefix("\ufeff")
    document = _json(text, source)
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        text, source = document["lifecyclePolicyText"], f"The lifecyclePolicyText of {source}"
        document = _json(text, source)
    lines = _Lines(text, source)
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise _malformed(source, ['line 1: must be an object with a list of rules: {"rules": []}'])
    if not document["rules"]:
        raise _malformed(source, ["line 1: has no rule; write one, or remove the policy"])
    shaped = [
        (index, key, wrong)
        for index, rule in enumerate(document["rules"])
        for key, wrong in _shape(rule)
    ]
    extra = [
        f"line 1: has the unknown key {key!r}; remove it" for key in document.keys() - {"rules"}
    ]
    if shaped or extra:
        raise _malformed(source, [*extra, *map(lines.locate, shaped)])
    rules = [_typed(rule) for rule in document["rules"]]
    if not accepted and (found := list(check_rules(rules))):
        raise _malformed(source, [lines.locate(each) for each in found])
    return Policy(tuple(sorted(rules, key=lambda rule: rule.priority)))


def _json(text: str, source: str) -> Any:  # noqa: ANN401 - whatever somebody wrote
    try:
        document = json.loads(text)
    except json.JSONDecodeError as wrong:
        place = f"line {wrong.lineno}, column {wrong.colno}"
        said = wrong.msg[:1].lower() + wrong.msg[1:]
        raise _malformed(source, [f"{place}: is not JSON: {said}; correct it"]) from None
    except RecursionError:
        raise _malformed(
            source, ["line 1: is nested too deeply; write rules as ECR has them"]
        ) from None
    except ValueError:
        # Python turns no number of more than some thousand digits into one.
        raise _malformed(source, ["a number has too many digits; write a shorter one"]) from None
    if twice := list(_repeated(text)):
        raise _malformed(source, twice)
    return document


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]', re.DOTALL)


def _repeated(text: str) -> Iterator[str]:
    """Yield each key that an object of good JSON has twice; json keeps the last in silence."""
    keys: list[set[str]] = []
    last = None
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                keys.append(set())
            case "}" | "]":
                keys.pop()
            case ":" if last:
                key = json.loads(last[0])
                if key in keys[-1]:
                    line = text.count("\n", 0, last.start()) + 1
                    yield f"line {line}: the object has the key {key!r} twice; remove one"
                keys[-1].add(key)
        last = token


def _malformed(source: str, offences: list[str]) -> EstateError:
    return EstateError(f"{source} is not a lifecycle policy that ECR would take.", offences)


class _Lines:
    """Finds the line of a rule's key in a policy's text, which json itself does not keep."""

    def __init__(self, text: str, source: str) -> None:
        self._text, self._source = text, source

    def locate(self, offence: Offence) -> str:
        index, key, wrong = offence
        starts = self._rules()
        start, end = starts[min(index, len(starts) - 1)]
        # The innermost name that the text has: a missing key is reported where its parent stands.
        for name in reversed(key.split(".") if key else []):
            found = re.compile(rf'"{re.escape(name)}"\s*:').search(self._text, start, end)
            if found:
                start = found.start()
                break
        line = self._text.count("\n", 0, start) + 1
        return f"line {line}, rule {index + 1}: {key} {wrong}".replace(":  ", ": ")

    def _rules(self) -> list[tuple[int, int]]:
        """Return where each rule of the top-level list begins and ends."""
        decoder, text = json.JSONDecoder(), self._text

        def skipped(position: int, over: str = " \t\r\n,:") -> int:
            while text[position] in over:
                position += 1
            return position

        position = skipped(0) + 1
        while True:
            key, position = decoder.raw_decode(text, skipped(position))
            position = skipped(position)
            if key == "rules":
                break
            _, position = decoder.raw_decode(text, position)
        spans = []
        position = skipped(position + 1)
        while text[position] != "]":
            _, end = decoder.raw_decode(text, position)
            spans.append((position, end))
            position = skipped(end)
        return spans


_SELECTION = {
    "tagStatus", "tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit",
    "countNumber",
}  # fmt: skip


def _shape(rule: object) -> Iterator[tuple[str, str]]:
    """Yield what keeps a rule from being read at all."""
    yield from _keys(
        "",
        rule,
        {"rulePriority", "selection", "action"},
        {"rulePriority", "selection", "action", "description"},
    )
    if not isinstance(rule, dict):
        return
    selection, action = rule.get("selection", {}), rule.get("action", {})
    yield from _keys("selection.", selection, {"tagStatus", "countType", "countNumber"}, _SELECTION)
    yield from _keys("action.", action, {"type"}, {"type", "targetStorageClass"})
    if not isinstance(rule.get("description", ""), str):
        yield "description", "must be text"
    yield from _whole("rulePriority", rule.get("rulePriority", 1))
    if isinstance(selection, dict):
        yield from _selection(selection)
    if isinstance(action, dict):
        yield from _action(action)


def _keys(
    prefix: str, value: object, needed: set[str], known: set[str]
) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield prefix.removesuffix("."), "must be an object"
        return
    for key in sorted(needed - value.keys()):
        yield f"{prefix}{key}", "is missing; add it"
    for key in sorted(value.keys() - known):
        yield f"{prefix}{key}", "is not a key that ECR knows; remove it"


def _selection(selection: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield from _chosen("selection.tagStatus", selection.get("tagStatus", "any"), TagStatus)
    yield from _chosen("selection.countType", selection.get("countType", ""), CountType)
    yield from _chosen(
        "selection.storageClass", selection.get("storageClass", "standard"), StorageClass
    )
    yield from _whole("selection.countNumber", selection.get("countNumber", 1))
    for name in ("tagPatternList", "tagPrefixList"):
        tags = selection.get(name, [""])
        if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) for tag in tags):
            yield f"selection.{name}", "must be a list of at least one text"
    if selection.get("countType") == "imageCountMoreThan":
        if "countUnit" in selection:
            yield "selection.countUnit", "is for ages only; remove it from a count of images"
    elif selection.get("countUnit") != "days":
        yield "selection.countUnit", "must be 'days' for an age"


def _action(action: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    yield from _chosen("action.type", action.get("type", "expire"), Action)
    if action.get("type") == "transition" and action.get("targetStorageClass") != "archive":
        yield "action.targetStorageClass", "must be 'archive' for a transition"
    if action.get("type") == "expire" and "targetStorageClass" in action:
        yield "action.targetStorageClass", "is for transitions only; remove it"


def _chosen(key: str, value: object, words: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a Literal has no type of its own
    if value not in get_args(words):
        yield key, f"= {_shown(value)}: must be one of {', '.join(get_args(words))}"


def _whole(key: str, value: object) -> Iterator[tuple[str, str]]:
    if type(value) is not int:
        yield key, f"= {_shown(value)}: must be a whole number"


def _typed(rule: Mapping[str, Any]) -> Rule:
    selection, action = rule["selection"], rule["action"]
    return Rule(
        priority=rule["rulePriority"],
        tag_status=cast("TagStatus", selection["tagStatus"]),
        count_type=cast("CountType", selection["countType"]),
        count=selection["countNumber"],
        patterns=tuple(selection.get("tagPatternList", ())),
        prefixes=tuple(selection.get("tagPrefixList", ())),
        storage_class=cast("StorageClass", selection.get("storageClass", "standard")),
        action=cast("Action", action["type"]),
        description=rule.get("description", ""),
    )
