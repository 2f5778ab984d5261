"""The evaluator beside two that none of us wrote: moto's access control, and ministack's.

Documents and requests are generated, and all must decide the same. Where they do not, a page of AWS decides;
each such case is a test here that names the page, and keeps to what it says. Ministack wants a botocore of its
own, so the lock does not have it; `make second-opinion` brings it, and runs this file.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr.access_proof.evaluate import AccessDecision, Caller, decide_access, explain_access
from sandbox.second.double import PACKAGES

OURS, THEIRS = "111111111111", "222222222222"
ACTIONS = ("ecr:BatchGetImage", "ecr:PutImage", "ecr:ListImages", "kms:CreateGrant")
NAMES = ("api", "api-prod", "web", "payments/api")
RESOURCES = tuple(f"arn:aws:ecr:eu-west-1:{OURS}:repository/{name}" for name in NAMES)
KEYS = ("aws:RequestTag/team", "aws:PrincipalOrgID", "ecr:Some")
VALUES = ("a", "ab", "b", "A", "")


def one_or_more(values: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """A text, or a list of texts."""
    return values | st.lists(values, min_size=1, max_size=3)


actions = one_or_more(st.sampled_from([*ACTIONS, "*", "ecr:*", "ecr:Batch*", "ecr:*Image"]))
resources = one_or_more(
    st.sampled_from(
        [
            *RESOURCES,
            "*",
            f"arn:aws:ecr:eu-west-1:{OURS}:repository/*",
            f"arn:aws:ecr:*:{OURS}:repository/api*",
            f"arn:aws:ecr:eu-west-1:{THEIRS}:repository/*",
            "arn:aws:ecr:*:*:repository/*/api",
            "arn:aws:ecr:*",
            "arn:aws:*:repository/api",
            "arn:aws:sns:*",
        ]
    )
)
effects = st.sampled_from(["Allow", "Allow", "Deny"])


def documents(
    principals: st.SearchStrategy[Any] | None = None,
    conditions: st.SearchStrategy[Any] | None = None,
    *,
    negations: bool = False,
) -> st.SearchStrategy[str]:
    """Documents of a few statements."""
    plain = {"Effect": effects, "Action": actions, "Resource": resources}
    if principals is not None:
        plain["Principal"] = principals
    optional = {} if conditions is None else {"Condition": conditions}
    statement = st.fixed_dictionaries(plain, optional=optional)
    if negations:
        renamed = {"Action": "NotAction", "Resource": "NotResource"}
        statement |= st.builds(
            lambda each, names: {
                (renamed[key] if key in names else key): value for key, value in each.items()
            },
            statement,
            st.sets(st.sampled_from(sorted(renamed))),
        )
    return st.lists(statement, min_size=1, max_size=4).map(
        lambda listed: json.dumps({"Version": "2012-10-17", "Statement": listed})
    )


MANY = settings(max_examples=300, deadline=None, derandomize=True)


# Moto


def moto_says(text: str, action: str, resource: str) -> AccessDecision:
    from moto.iam.access_control import IAMPolicy  # noqa: PLC0415 - it takes a second to import

    result = IAMPolicy(text).is_action_permitted(action, resource)
    named: dict[str, AccessDecision] = {"PERMITTED": "allowed", "DENIED": "denied"}
    return named.get(result.name, "not allowed")


def we_say(text: str, action: str, resource: str) -> AccessDecision:
    caller = Caller("role", f"arn:aws:iam::{OURS}:role/someone", policies=(text,))
    return decide_access(caller, action, resource, account=OURS)


@MANY
@given(documents(), st.sampled_from(ACTIONS), st.sampled_from(RESOURCES))
def test_moto_decides_identity_policies_the_same(text: str, action: str, resource: str) -> None:
    assert we_say(text, action, resource) == moto_says(text, action, resource)


@pytest.mark.parametrize(
    ("page", "elements", "right"),
    [
        ("IAM JSON policy elements: Action", {"Action": "ECR:putimage"}, "allowed"),
        ("IAM JSON policy elements: Resource", {"Resource": RESOURCES[0][:-1] + "?"}, "allowed"),
        (
            "IAM JSON policy elements: Condition",
            {"Condition": {"StringLike": {"aws:PrincipalOrgID": "o-*"}}},
            "not allowed",
        ),
        (
            "IAM JSON policy elements: Condition",
            {"Effect": "Deny", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
            "not allowed",
        ),
    ],
)
def test_where_moto_differs_the_page_of_aws_says_as_we_do(
    page: str, elements: dict[str, Any], right: AccessDecision
) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **elements}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    asked = (text, "ecr:PutImage", RESOURCES[0])
    assert we_say(*asked) == right, page
    assert moto_says(*asked) != right, "moto has come to agree: take the case away"


@pytest.mark.parametrize(
    ("pattern", "right"),
    [
        # Both others let it through: "If the * wildcard is the last character of a resource ARN
        # segment, it can expand to match beyond the colon boundaries", and none that is not the last.
        ("arn:aws:ecr:*", "allowed"),
        ("arn:aws:ecr:*:repository/api", "allowed"),
        ("arn:aws:ecr:*/api", "not allowed"),
        ("arn:aws:e*:111111111111:repository/api", "allowed"),
    ],
)
def test_wildcards_of_a_resource_are_as_its_page_says(pattern: str, right: AccessDecision) -> None:
    """IAM User Guide, "IAM JSON policy elements: Resource"."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": pattern}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    assert we_say(text, "ecr:PutImage", RESOURCES[0]) == right


# Ministack

OPERATORS = (
    *("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"),
    *("StringEqualsIgnoreCase", "StringEqualsIfExists", "StringNotLikeIfExists"),
)
SEVERAL = tuple(
    f"{over}:{base}"
    for over in ("ForAnyValue", "ForAllValues")
    for base in ("StringEquals", "StringLike", "StringNotEquals")
)


def block(operators: tuple[str, ...], key: str) -> st.SearchStrategy[Any]:
    wanted = one_or_more(st.sampled_from([*VALUES, "a*", "?", "*"]))
    return st.tuples(st.sampled_from(operators), wanted).map(lambda each: {each[0]: {key: each[1]}})


conditions = st.one_of(
    *(block(OPERATORS, key) for key in KEYS),
    block(SEVERAL, "aws:TagKeys"),
    st.sampled_from(["true", "false"]).map(lambda wanted: {"Null": {KEYS[0]: wanted}}),
)
contexts = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(KEYS, st.sampled_from(VALUES)),
        "aws:TagKeys": st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple),
    },
)
role = f"arn:aws:iam::{OURS}:role/someone"
session = f"arn:aws:sts::{OURS}:assumed-role/someone/job"
principals = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": OURS},
        {"AWS": f"arn:aws:iam::{OURS}:root"},
        {"AWS": role},
        {"AWS": session},
        {"AWS": f"arn:aws:iam::{OURS}:role/other"},
        {"AWS": [THEIRS, role]},
        {"AWS": THEIRS},
        {"Service": "lambda.amazonaws.com"},
    ]
)
plain = documents(conditions=conditions, negations=True)


@MANY
@given(
    st.lists(plain, max_size=2),
    st.none() | documents(principals, conditions, negations=True),
    st.none() | plain,
    st.none() | plain,
    contexts,
    st.sampled_from(ACTIONS),
    st.sampled_from(RESOURCES),
    st.sampled_from([OURS, THEIRS]),
    st.booleans(),
)
def test_ministack_decides_all_kinds_of_policies_the_same(  # noqa: PLR0917 - what a request has
    identity: list[str],
    policy: str | None,
    boundary: str | None,
    session_policy: str | None,
    context: dict[str, Any],
    action: str,
    resource: str,
    owner: str,
    required: bool,  # noqa: FBT001 - generated
) -> None:
    if str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))  # behind our own: it has another botocore
    theirs = pytest.importorskip("ministack.core.iam_evaluator")
    limits = [each for each in (boundary, session_policy) if each]
    asked = theirs.EvalContext(
        principal_arn=session,
        principal_type="AssumedRole",
        principal_account=OURS,
        action=action,
        resource_arn=resource,
        region="eu-west-1",
        service_context={
            key.lower(): list(value) if isinstance(value, tuple) else value
            for key, value in context.items()
        },
    )
    parsed = [[theirs.parse_policy_document(each)] for each in limits]
    by_identity = theirs.evaluate(
        asked, [theirs.parse_policy_document(x) for x in identity], *parsed
    )
    second = theirs.combine_resource_policy(
        by_identity, asked, policy, owner, required=required, limits=tuple(parsed)
    )
    caller = Caller(
        "role",
        role,
        session=session,
        policies=tuple(identity),
        boundary=(boundary,) if boundary else (),
        sessions=(session_policy,) if session_policy else (),
        context=context,
    )
    first = explain_access(
        caller,
        action,
        resource,
        (policy,) if policy else (),
        account=owner,
        resource_decides=required,
    )
    named = {"Allow": "allowed", "Deny": "denied", "ImplicitDeny": "not allowed"}
    assert first.decision == named[second.decision]
