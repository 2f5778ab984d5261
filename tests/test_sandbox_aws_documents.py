"""Which documents and requests the embedded ECR refuses, without a server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.core.utils import get_service_model

from sandbox.aws import lifecycle_documents, policy_documents, request_shapes

ACCOUNT, REGION = "111111111111", "eu-west-1"
SERVICE_MODEL = get_service_model("ecr")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def objects(*names: str, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that have the right names, mostly with values of the wrong kind."""
    return st.fixed_dictionaries({}, optional={**dict.fromkeys(names, JSON), **known}) | JSON


# Lifecycle policies


def rule(priority: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a sound rule but for the changes; a change to None removes the member."""
    made: dict[str, Any] = {"rulePriority": priority, "action": {"type": "expire"}}
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5}
    for name, value in changes.items():
        part = made if name in ("action", "description", "rulePriority") else selection
        part[name] = value
    made["selection"] = {name: value for name, value in selection.items() if value is not None}
    return {name: value for name, value in made.items() if value is not None}


def tagged(priority: int = 1, **changes: Any) -> dict[str, Any]:
    return rule(priority, **{"tagStatus": "tagged", "tagPatternList": ["v*"], **changes})


TRANSITION = {"type": "transition", "targetStorageClass": "archive"}
DAYS: dict[str, Any] = {"countUnit": "days"}
AGED: dict[str, Any] = {"countType": "sinceImagePushed", **DAYS}
ARCHIVED: dict[str, Any] = {
    "storageClass": "archive",
    "countType": "sinceImageTransitioned",
    **DAYS,
}


def lifecycle(*rules: Any) -> list[str]:
    return lifecycle_documents.offences(json.dumps({"rules": rules}))


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([rule()], id="untagged by count"),
        pytest.param([rule(description="why")], id="description"),
        pytest.param([rule(countType="sinceImagePushed", **DAYS)], id="untagged by age"),
        pytest.param([tagged(tagPatternList=["*a*b*c*", "d"])], id="four wildcards"),
        pytest.param([tagged(tagPatternList=None, tagPrefixList=["v"])], id="prefixes"),
        pytest.param(
            [
                tagged(1),
                tagged(2, tagPatternList=["w*"]),
                rule(3),
                rule(4, tagStatus="any"),
            ],
            id="any is last",
        ),
        pytest.param([tagged(n, tagPatternList=[f"v{n}*"]) for n in range(1, 51)], id="50 rules"),
        pytest.param(
            [tagged(1, **AGED), tagged(2, countNumber=90, **ARCHIVED)],
            id="a pattern in each storage class",
        ),
        pytest.param([rule(countType="sinceImagePulled", action=TRANSITION, **DAYS)], id="pulled"),
        pytest.param([rule(countNumber=90, **ARCHIVED)], id="transitioned"),
        pytest.param(
            [
                rule(1, tagStatus="any", action=TRANSITION),
                rule(2, tagStatus="any", countNumber=90, **ARCHIVED),
            ],
            id="any in each storage class",
        ),
    ],
)
def test_a_lifecycle_policy_inside_the_grammar_is_accepted(rules: list[dict[str, Any]]) -> None:
    assert lifecycle(*rules) == []


@pytest.mark.parametrize(
    ("rules", "because"),
    [
        ([], "1 to 50 rules"),
        ([tagged(n) for n in range(1, 52)], "1 to 50 rules"),
        (["rule"], "rule must be an object"),
        ([rule(action=None)], r'missing required properties \(\["action"\]\)'),
        ([{**rule(), "enabled": True}], r'not allowed by the schema \(\["enabled"\]\)'),
        ([rule(0)], "rulePriority"),
        ([rule(True)], "rulePriority"),
        ([rule(description=1)], "description"),
        ([tagged(1), tagged(1)], r"unique, but \[1\]"),
        ([rule(tagStatus="some")], "tagged, untagged or any"),
        ([tagged(tagPatternList=None)], "one of tagPatternList and tagPrefixList"),
        ([tagged(tagPrefixList=["v"])], "one of tagPatternList and tagPrefixList"),
        ([tagged(tagPatternList=[])], "at least one tag"),
        ([tagged(tagPatternList="v*")], "at least one tag"),
        ([tagged(tagPatternList=["*a*b*c*d*"])], "at most 4 wildcards"),
        ([rule(tagPatternList=["v*"])], "untagged takes no tagPatternList"),
        ([rule(tagStatus="any", tagPrefixList=["v"])], "any takes no tagPrefixList"),
        ([rule(countNumber=0)], "countNumber"),
        ([rule(countNumber="5")], "countNumber"),
        ([rule(countNumber=2**31)], "countNumber"),
        ([rule(10**400)], "rulePriority"),
        ([tagged(tagPatternList=["v?"])], "no tag can match"),
        ([tagged(tagPatternList=["v[0-9]*"])], "no tag can match"),
        ([tagged(tagPatternList=["-v"])], "no tag can match"),
        ([tagged(tagPatternList=["v" * 129])], "no tag can match"),
        ([tagged(tagPatternList=None, tagPrefixList=["v*"])], "no tag can match"),
        (
            [tagged(), tagged(2, tagPatternList=None, tagPrefixList=["v"])],
            "unique set of prefixes",
        ),
        ([rule(countType="sometimes")], "countType must be"),
        ([rule(countUnit="days")], "takes no countUnit"),
        ([rule(countType="sinceImagePushed")], "takes the countUnit days"),
        ([rule(countType="sinceImagePushed", countUnit="hours")], "takes the countUnit days"),
        ([rule(countType="sinceImagePulled", **DAYS)], "transition only"),
        ([rule(countNumber=89, **ARCHIVED)], "at least 90 days"),
        (
            [rule(countNumber=90, **{**ARCHIVED, "storageClass": None})],
            "expiring the storageClass archive",
        ),
        (
            [rule(countNumber=90, action=TRANSITION, **ARCHIVED)],
            "expiring the storageClass archive",
        ),
        (
            [rule(storageClass="archive")],
            "imageCountMoreThan is for the storageClass standard only",
        ),
        (
            [rule(storageClass="archive", **AGED)],
            "sinceImagePushed is for the storageClass standard",
        ),
        ([tagged(1), tagged(2)], "unique set of prefixes"),
        (
            [tagged(1, tagPatternList=["a", "b"]), tagged(2, tagPatternList=["b", "a"])],
            "unique set of prefixes",
        ),
        ([rule(storageClass="glacier")], "standard or archive"),
        ([rule(action={"type": "keep"})], "expire or transition"),
        ([rule(action={"type": "transition"})], "takes the targetStorageClass archive"),
        (
            [rule(action={"type": "expire", "targetStorageClass": None})],
            "takes no targetStorageClass",
        ),
        ([rule(storageClass="archive", action=TRANSITION)], "nothing left to transition"),
        ([rule(1), rule(2)], "one rule for untagged"),
        ([rule(1, tagStatus="any"), tagged(2)], "any must be alone and last"),
        ([rule(1, tagStatus="any"), rule(2, tagStatus="any")], "any must be alone and last"),
    ],
)
def test_a_lifecycle_policy_outside_the_grammar_is_refused(rules: list[Any], because: str) -> None:
    with pytest.raises(AssertionError, match=because):
        assert not lifecycle(*rules), "\n".join(lifecycle(*rules))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"rules": {}}', '{"rules": [], "more": 1}'])
def test_what_is_no_lifecycle_policy_at_all_is_refused(text: str) -> None:
    assert lifecycle_documents.offences(text)


@given(
    objects(
        rules=st.lists(
            objects(
                "rulePriority",
                "description",
                selection=objects(
                    *("tagStatus", "tagPatternList", "tagPrefixList", "storageClass"),
                    *("countType", "countUnit", "countNumber"),
                ),
                action=objects("type", "targetStorageClass"),
            ),
            max_size=3,
        )
    )
)
def test_any_json_is_judged_as_a_lifecycle_policy_without_a_crash(document: object) -> None:
    assert isinstance(lifecycle_documents.offences(json.dumps(document)), list)


# Resource policies


def statement(**changes: Any) -> dict[str, Any]:
    """Return a sound statement but for the changes; a change to None removes the element."""
    sound = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage", "Resource": "*"}
    return {name: value for name, value in {**sound, **changes}.items() if value is not None}


def registry_policy(*statements: Any, scope: str = "V2", **envelope: Any) -> list[str]:
    document = {"Version": "2012-10-17", "Statement": statements, **envelope}
    return policy_documents.registry_policy_offences(
        json.dumps(document), registry=ACCOUNT, region=REGION, scope=scope
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"Principal": {"AWS": "111111111111"}},
        {"Principal": {"AWS": ["arn:aws:iam::111111111111:root", "111111111111"]}},
        {"Principal": {"AWS": "arn:aws:iam::111111111111:role/path/push"}},
        {"Principal": {"Service": "lambda.amazonaws.com"}},
        {"Principal": None, "NotPrincipal": {"AWS": "111111111111"}, "Effect": "Deny"},
        {"Action": "ecr:*"},
        {"Action": ["ecr:replicateimage", "ecr:Describe*"]},
        {"Action": None, "NotAction": ["ecr:DeleteRepository"]},
        {"Resource": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"},
        {"Resource": [f"arn:aws:ecr:*:{ACCOUNT}:repository/a", "*"]},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"Condition": {"ForAnyValue:StringLikeIfExists": {"aws:PrincipalOrgPaths": ["o-1/*"]}}},
    ],
)
def test_a_registry_policy_inside_the_grammar_is_accepted(changes: dict[str, Any]) -> None:
    assert registry_policy(statement(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"Effect": "allow"}, "Effect"),
        ({"Principal": None}, "one of Principal and NotPrincipal"),
        ({"NotPrincipal": "*"}, "one of Principal and NotPrincipal"),
        ({"Principal": "111111111111"}, "Principal must be"),
        ({"Principal": {"Account": "111111111111"}}, "Principal must be"),
        ({"Principal": {"AWS": []}}, "principal of the kind AWS"),
        ({"Principal": {"AWS": "1111"}}, "principal of the kind AWS"),
        ({"Principal": {"AWS": "arn:aws:iam::111111111111:*"}}, "principal of the kind AWS"),
        ({"Principal": {"Service": "lambda"}}, "principal of the kind Service"),
        ({"Action": None}, "one of Action and NotAction"),
        ({"Action": []}, "nothing is not an action"),
        ({"Action": "ecr:PullImage"}, "ecr:PullImage is not an action"),
        ({"Action": "s3:GetObject"}, "s3:GetObject is not an action"),
        ({"Action": "BatchGetImage"}, "BatchGetImage is not an action"),
        ({"Action": "ecr:GetAuthorizationToken"}, "GetAuthorizationToken is not an action"),
        ({"Condition": "always"}, "Condition must be an object"),
        ({"Condition": {"StringMatches": {}}}, "StringMatches is not a condition operator"),
        ({"Principals": "*"}, "Principals is not an element"),
        ({"Resource": None}, "Resource is missing"),
        ({"Resource": f"arn:aws:{REGION}:{ACCOUNT}:repository/*"}, "not an ECR ARN"),
        ({"Resource": f"arn:aws:ecr:{REGION}:222222222222:repository/*"}, "not an ECR ARN"),
        ({"Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/*"}, "not an ECR ARN"),
    ],
)
def test_a_registry_policy_outside_the_grammar_is_refused(
    changes: dict[str, Any], because: str
) -> None:
    (found,) = registry_policy(statement(**changes))
    assert because in found
    assert found.startswith("statement 1: ")


def test_every_offence_of_a_policy_is_named_with_its_statement() -> None:
    found = registry_policy(statement(Effect="?"), statement(), statement(Action="ecr:No"))
    assert [offence.partition(":")[0] for offence in found] == ["statement 1", "statement 3"]


def test_a_registry_policy_names_its_version_and_a_repository_policy_need_not() -> None:
    document = json.dumps({"Statement": statement(Resource=None)})
    assert policy_documents.repository_policy_offences(document) == []
    assert registry_policy(statement(), Version="2012") == [
        "Version must be one of 2012-10-17, 2008-10-17"
    ]
    assert "Version is missing" in policy_documents.registry_policy_offences(
        document, registry=ACCOUNT, region=REGION, scope="V2"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Statement": []}', '{"Statements": [{}]}'])
def test_what_is_no_policy_at_all_is_refused(text: str) -> None:
    assert policy_documents.repository_policy_offences(text)


@given(
    objects(
        "Version",
        Statement=st.lists(
            objects(
                *("Effect", "NotPrincipal", "Action", "NotAction", "Resource"),
                Principal=objects("AWS", "Service"),
                Condition=objects("StringEquals"),
            ),
            max_size=3,
        ),
    )
)
def test_any_json_is_judged_as_a_policy_without_a_crash(document: object) -> None:
    text = json.dumps(document)
    assert isinstance(policy_documents.repository_policy_offences(text), list)
    assert isinstance(
        policy_documents.registry_policy_offences(
            text, registry=ACCOUNT, region=REGION, scope="V1"
        ),
        list,
    )


# Requests


@pytest.mark.parametrize("value", [0, 1001, "10", None])
def test_a_number_outside_its_bounds_is_refused_and_an_absent_one_is_not(value: object) -> None:
    shape = SERVICE_MODEL.operation_model("DescribeRepositories").input_shape
    assert shape is not None
    found = list(request_shapes.offences(shape, {"maxResults": value}))
    assert bool(found) == (value is not None)


@given(st.sampled_from(SERVICE_MODEL.operation_names), st.data())
def test_any_json_is_judged_as_a_request_without_a_crash(name: str, data: st.DataObject) -> None:
    shape = SERVICE_MODEL.operation_model(name).input_shape
    assert shape is not None
    request = data.draw(objects(*shape.members))
    assert all("Invalid parameter" in each for each in request_shapes.offences(shape, request))
