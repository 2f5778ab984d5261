"""The grammar: what ECR takes is taken, what it refuses is refused with line, rule and key."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.errors import EstateError
from ecr.lifecycle.policy import parse_policy
from sandbox.aws import lifecycle_documents


def rule(priority: int = 1, **changes: Any) -> dict[str, Any]:
    """A rule that ECR takes, with changes to its selection, or to what `action` names."""
    action = changes.pop("action", {"type": "expire"})
    selection = {
        "tagStatus": "any",
        "countType": "imageCountMoreThan",
        "countNumber": 10,
        **changes,
    }
    return {
        "rulePriority": priority,
        "selection": {key: value for key, value in selection.items() if value is not None},
        "action": action,
    }


def policy(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": rules}, indent=2)


def offences(*rules: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(EstateError) as refused:
        parse_policy(policy(*rules), "policy.json")
    return refused.value.offences


AGED = {"countType": "sinceImagePushed", "countUnit": "days"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def test_every_count_action_and_storage_class_is_read_and_written_back() -> None:
    rules = [
        rule(1, tagStatus="tagged", tagPatternList=["v*"], countNumber=1_000_000),
        rule(2, tagStatus="tagged", tagPrefixList=["rc"], **AGED),
        rule(3, tagStatus="untagged", countType="sinceImagePulled", countUnit="days",
             action=ARCHIVE),
        rule(4, tagStatus="any", storageClass="archive", countType="sinceImageTransitioned",
             countUnit="days", countNumber=90),
        rule(5),
    ]  # fmt: skip
    assert json.loads(parse_policy(policy(*rules), "policy").to_json()) == {"rules": rules}


def test_the_order_of_the_text_does_not_change_the_document() -> None:
    first, second = rule(1, tagStatus="untagged"), rule(2)
    assert parse_policy(policy(second, first), "a") == parse_policy(policy(first, second), "b")


def test_text_that_is_not_json_is_reported_with_its_line() -> None:
    with pytest.raises(EstateError, match=r"policy.json is not a lifecycle policy") as refused:
        parse_policy('{"rules": [\n  {,\n]}', "policy.json")
    assert refused.value.offences[0].startswith("line 2: is not JSON")


def test_an_offence_names_line_rule_and_key() -> None:
    text = policy(rule(1, tagStatus="untagged"), rule(2, countNumber=0))
    line = 1 + text[: text.rindex('"countNumber"')].count("\n")
    assert offences(rule(1, tagStatus="untagged"), rule(2, countNumber=0)) == (
        f"line {line}, rule 2: selection.countNumber = 0: must be at least 1",
    )


def test_every_offence_is_named_at_once() -> None:
    assert len(offences(rule(1, countNumber=0), rule(2, countUnit="days"), {"rulePriority": 3})) > 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rule(tagStatus="some"), "must be one of tagged, untagged, any"),
        (rule(tagStatus="tagged"), 'write ["*"] for every tag'),
        (rule(tagStatus="tagged", tagPatternList=["a"], tagPrefixList=["b"]), "drop one"),
        (rule(tagPatternList=["a"]), "takes no list of tags"),
        (rule(tagStatus="tagged", tagPatternList=["*a*b*c*d*"]), "more than 4 wildcards"),
        (rule(countUnit="days"), "remove it from a count of images"),
        (rule(countType="sinceImagePushed"), "must be 'days' for an age"),
        (rule(countType="sinceImagePulled", countUnit="days"), "is for transitions only"),
        (rule(countType="sinceImageTransitioned", countUnit="days"), "set storageClass"),
        (
            rule(countType="sinceImageTransitioned", countUnit="days", storageClass="archive"),
            "for 90 days at least",
        ),
        (rule(storageClass="archive", action=ARCHIVE), "expire it instead"),
        (rule(action={"type": "transition"}), "must be 'archive' for a transition"),
        (rule(action={"type": "delete"}), "must be one of expire, transition"),
        (rule(countNumber="7"), "must be a whole number"),
        (rule(nonsense=1), "selection.nonsense is not a key that ECR knows"),
        ({"rulePriority": 1, "action": {"type": "expire"}}, "selection is missing; add it"),
    ],
)
def test_what_ecr_refuses_about_one_rule_is_refused_with_the_remedy(
    wrong: dict[str, Any], said: str
) -> None:
    found = offences(wrong)
    assert any(said in offence for offence in found), found


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule(1, tagStatus="untagged"), rule(1)], "is already that of rule 1"),
        ([rule(1, tagStatus="untagged"), rule(2, tagStatus="untagged")], "keep one of them"),
        ([rule(1), rule(2, tagStatus="untagged")], "must have the highest rulePriority"),
        (
            [rule(n, tagStatus="tagged", tagPatternList=["v*"]) for n in range(1, 52)],
            "rule 51, and ECR takes 50",
        ),
        (
            [rule(n, tagStatus="tagged", tagPatternList=["v" * 900]) for n in range(1, 41)],
            "and ECR takes 30720",
        ),
    ],
)
def test_what_ecr_refuses_about_rules_together_is_refused(
    rules: list[dict[str, Any]], said: str
) -> None:
    found = offences(*rules)
    assert any(said in offence for offence in found), found


def test_one_untagged_rule_and_a_last_any_are_taken_in_each_storage_class() -> None:
    archived = {"storageClass": "archive"}
    rules = (
        rule(1, tagStatus="untagged"),
        rule(2),
        rule(3, tagStatus="untagged", **archived),
        rule(4, **archived),
    )
    assert len(parse_policy(policy(*rules), "policy").rules) == 4


RULES = st.builds(
    lambda priority, action, **selection: rule(priority, action=action, **selection),
    st.integers(0, 4),
    st.sampled_from([{"type": "expire"}, ARCHIVE, {"type": "transition"}]),
    tagStatus=st.sampled_from(["tagged", "untagged", "any"]),
    tagPatternList=st.sampled_from([None, ["v*"], ["*a*b*c*d*"]]),
    tagPrefixList=st.sampled_from([None, None, ["v"]]),
    countType=st.sampled_from(
        ["imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"]
    ),
    countUnit=st.sampled_from([None, "days"]),
    countNumber=st.sampled_from([0, 1, 90]),
    storageClass=st.sampled_from([None, "standard", "archive"]),
)


@given(st.lists(RULES, min_size=1, max_size=3))
def test_two_grammars_written_apart_agree_on_what_ecr_takes(rules: list[dict[str, Any]]) -> None:
    refused = bool(lifecycle_documents.offences(policy(*rules)))
    try:
        parse_policy(policy(*rules), "policy")
    except EstateError:
        assert refused
    else:
        assert not refused
