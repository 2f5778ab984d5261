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


def tagged(patterns: list[str], priority: int = 1) -> dict[str, Any]:
    return rule(priority, tagStatus="tagged", tagPatternList=patterns)


def with_null(key: str) -> dict[str, Any]:
    made = rule()
    made["selection"][key] = None
    return made


def policy(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": rules}, indent=2)


def offences(*rules: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(EstateError) as refused:
        parse_policy(policy(*rules), "policy.json")
    return refused.value.offences


AGED: dict[str, Any] = {"countType": "sinceImagePushed", "countUnit": "days"}
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
    assert refused.value.offences == (
        "line 2, column 4: is not JSON: expecting property name enclosed in double quotes; correct it",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"rules": [],\n"rules": []}', "line 2: the object has the key 'rules' twice; remove one"),
        ('{"rules": [{\n"action": {"type": "expire",\n"type": "expire"}}]}',
         "line 3: the object has the key 'type' twice; remove one"),
        ('{"a": "{\\"a\\"", "b": 1,\n"\\u0061": 2}', "line 2: the object has the key 'a' twice"),
        ('{"rules":' * 100_000, "line 1: is nested too deeply"),
        ('{"rules": ' + "9" * 5_000 + "}", "a number has too many digits"),
        ("", "line 1, column 1: is not JSON: expecting value"),
    ],
    ids=range(6),
)  # fmt: skip
def test_text_that_python_would_read_otherwise_is_refused_in_plain_words(
    text: str, said: str
) -> None:
    with pytest.raises(EstateError) as refused:
        parse_policy(text, "policy.json")
    assert refused.value.offences[0].startswith(said)


def test_what_the_command_line_prints_and_what_windows_saves_are_read() -> None:
    text = policy(rule())
    answer = json.dumps({"registryId": "1", "lifecyclePolicyText": text, "lastEvaluatedAt": 1})
    expected = parse_policy(text, "policy.json")
    assert parse_policy(answer, "p") == parse_policy("\ufeff" + text, "p") == expected
    wrong = json.dumps({"lifecyclePolicyText": '{"rules":\n7}'})
    with pytest.raises(
        EstateError, match=r"The lifecyclePolicyText of p is not a lifecycle policy"
    ):
        parse_policy(wrong, "p")


def test_what_ecr_has_accepted_is_not_refused_by_a_reading_of_ours() -> None:
    twice = policy(tagged(["prod*"]), tagged(["prod*"], 2))
    assert len(parse_policy(twice, "the policy of api", accepted=True).rules) == 2
    with pytest.raises(EstateError):
        parse_policy('{"rules": [7]}', "the policy of api", accepted=True)


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
        (
            rule(tagStatus="tagged"),
            "tagPatternList is missing: with tagStatus 'tagged' a rule needs it; write [\"*\"] for",
        ),
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
        (rule(storageClass="archive"), "imageCountMoreThan is for the storage class standard only"),
        (
            rule(storageClass="archive", **AGED),
            "sinceImagePushed is for the storage class standard",
        ),
        (
            rule(storageClass="archive", countType="sinceImagePulled", countUnit="days"),
            "sinceImagePulled is for the storage class standard only",
        ),
        (
            {**rule(), "action": {"type": "expire", "targetStorageClass": None}},
            "action.targetStorageClass is for transitions only",
        ),
        (with_null("countUnit"), "remove it from a count of images"),
        (with_null("storageClass"), "must be one of standard, archive"),
        (with_null("tagPrefixList"), "must be a list of at least one text"),
        (rule(countNumber=10**400), "= a number of more than 40 digits: must be at most"),
        (rule(priority=10**400), "rulePriority = a number of more than 40 digits"),
        (rule(countNumber=-(10**400)), "= a number of more than 40 digits: must be at least 1"),
        (tagged(["v?"]), "= 'v?': has '?', which no tag can have; remove it"),
        (tagged(["v[0-9]*"]), "has '[', which no tag can have"),
        (tagged(["grün"]), "has 'ü', which no tag can have"),
        (tagged(["-v*"]), "no tag begins with '-'"),
        (tagged(["v" * 129]), "no tag has more than 128 characters"),
        (tagged([""]), "holds an empty text"),
        (
            rule(tagStatus="tagged", tagPrefixList=["v*"]),
            "has '*', which no tag can have; in a pattern it means any letters",
        ),
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
        ([tagged([f"v{n}"], n) for n in range(1, 52)], "rule 51, and ECR takes 50"),
        (
            [{**tagged([f"v{n}"], n), "description": "v" * 900} for n in range(1, 41)],
            "and ECR takes 30720",
        ),
        ([tagged(["a*", "b*"]), tagged(["b*", "a*"], 2)], "asks for the same tags as rule 1"),
        (
            [tagged(["prod*"]), rule(2, tagStatus="tagged", tagPrefixList=["prod"])],
            "selection.tagPrefixList asks for the same tags as rule 1 of the storage class standard",
        ),
    ],
)
def test_what_ecr_refuses_about_rules_together_is_refused(
    rules: list[dict[str, Any]], said: str
) -> None:
    found = offences(*rules)
    assert any(said in offence for offence in found), found


def test_one_untagged_rule_and_a_last_any_are_taken_in_each_storage_class() -> None:
    archived = {
        "storageClass": "archive", "countType": "sinceImageTransitioned", "countUnit": "days",
        "countNumber": 90,
    }  # fmt: skip
    rules = (
        rule(1, tagStatus="untagged"),
        rule(2),
        rule(3, tagStatus="untagged", **archived),
        rule(4, **archived),
    )
    assert len(parse_policy(policy(*rules), "policy").rules) == 4


def with_nulls(made: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {**made, "selection": {**made["selection"], **dict.fromkeys(names)}}


RULES = st.builds(
    lambda priority, action, nulls, **selection: with_nulls(
        rule(priority, action=action, **selection), nulls
    ),
    st.sampled_from([*range(5), 2**31 - 1, 2**31]),
    st.sampled_from([{"type": "expire"}, ARCHIVE, {"type": "transition"}]),
    # Rarely, since hardly a rule with one is taken.
    st.sampled_from([*[()] * 5, ("countUnit",), ("storageClass",), ("tagPrefixList",)]),
    tagStatus=st.sampled_from(["tagged", "untagged", "any"]),
    tagPatternList=st.sampled_from(
        [None, ["v*"], ["w", "v*"], ["v*", "w"], ["*a*b*c*d*"], ["v?"], [".v"], ["v" * 129],
         ["*" + "v" * 128]]
    ),
    tagPrefixList=st.sampled_from([None, None, ["v"], ["w"], ["v*"], ["v" * 129]]),
    countType=st.sampled_from(
        ["imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"]
    ),
    countUnit=st.sampled_from([None, "days"]),
    countNumber=st.sampled_from([0, 1, 90, 2**31 - 1, 10**400]),
    storageClass=st.sampled_from([None, "standard", "archive"]),
)  # fmt: skip


@given(st.lists(RULES, min_size=1, max_size=3))
def test_two_grammars_written_apart_agree_on_what_ecr_takes(rules: list[dict[str, Any]]) -> None:
    refused = bool(lifecycle_documents.offences(policy(*rules)))
    try:
        parse_policy(policy(*rules), "policy")
    except EstateError:
        assert refused
    else:
        assert not refused
