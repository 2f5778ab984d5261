"""IAM's decisions, case by case as the IAM User Guide has them."""

import json
from typing import Any

import pytest

from ecr.access_proof.evaluate import Caller, Decision, UnknownPolicyError, arn_like, decide, like

OURS, THEIRS = "111111111111", "222222222222"
REPOSITORY = f"arn:aws:ecr:eu-west-1:{OURS}:repository/api"
PULL = "ecr:BatchGetImage"


def role(account: str = OURS, *policies: str, **facts: Any) -> Caller:
    return Caller("role", f"arn:aws:iam::{account}:role/someone", policies=policies, **facts)


def document(effect: str = "Allow", **elements: Any) -> str:
    statement = {"Effect": effect, "Action": PULL, "Resource": "*", **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def decided(caller: Caller, *policies: str, action: str = PULL) -> Decision:
    return decide(caller, action, REPOSITORY, policies, account=OURS)


EVERYONE = document(Principal="*")
ACCOUNT = document(Principal={"AWS": f"arn:aws:iam::{THEIRS}:root"})
OWN_ACCOUNT = document(Principal={"AWS": f"arn:aws:iam::{OURS}:root"})
NOBODY = document("Deny", Principal="*")


@pytest.mark.parametrize(
    ("caller", "policies", "decision"),
    [
        # In one account: no policy allows nothing, and either side is enough.
        (role(), (), "not allowed"),
        (role(OURS, document()), (), "allowed"),
        (role(), (EVERYONE,), "allowed"),
        (role(), (document(Principal={"AWS": role().name}),), "allowed"),
        # A whole account as principal leaves it to that account's identity policies.
        (role(), (OWN_ACCOUNT,), "not allowed"),
        (role(OURS, document()), (OWN_ACCOUNT,), "allowed"),
        # Between accounts: both sides.
        (role(THEIRS, document()), (), "not allowed"),
        (role(THEIRS), (ACCOUNT,), "not allowed"),
        (role(THEIRS), (EVERYONE,), "not allowed"),
        (role(THEIRS, document()), (ACCOUNT,), "allowed"),
        (role(THEIRS, document()), (OWN_ACCOUNT,), "not allowed"),
        # A statement that denies ends it, on whichever side it is.
        (role(OURS, document()), (NOBODY,), "denied"),
        (role(OURS, document("Deny")), (EVERYONE,), "denied"),
        (role(THEIRS, document()), (ACCOUNT, NOBODY), "denied"),
        # Services and anonymous callers have no identity policy.
        (Caller("service", "lambda.amazonaws.com"), (EVERYONE,), "allowed"),
        (Caller("service", "lambda.amazonaws.com"), (OWN_ACCOUNT,), "not allowed"),
        (Caller("anonymous"), (EVERYONE,), "allowed"),
        (Caller("anonymous"), (ACCOUNT,), "not allowed"),
    ],
)
def test_identity_and_resource_policies_decide_together(
    caller: Caller, policies: tuple[str, ...], decision: Decision
) -> None:
    assert decided(caller, *policies) == decision


def test_a_service_is_a_principal_by_its_name() -> None:
    policy = document(Principal={"Service": "lambda.amazonaws.com"})
    assert decided(Caller("service", "lambda.amazonaws.com"), policy) == "allowed"
    assert decided(Caller("service", "ec2.amazonaws.com"), policy) == "not allowed"
    assert decided(role(), policy) == "not allowed"


def test_actions_ignore_case_and_resources_do_not() -> None:
    assert decided(role(OURS, document(Action="ECR:batchget*"))) == "allowed"
    assert decided(role(OURS, document(Resource=REPOSITORY.replace("api", "API")))) == "not allowed"


def test_what_is_not_meant_is_left_out_of_a_statement() -> None:
    other = document(NotAction=[PULL], Action=None).replace('"Action": null, ', "")
    assert decided(role(OURS, other)) == "not allowed"
    assert decided(role(OURS, other), action="ecr:PutImage") == "allowed"
    elsewhere = document(NotResource=REPOSITORY).replace('"Resource": "*", ', "")
    assert decided(role(OURS, elsewhere)) == "not allowed"


@pytest.mark.parametrize(
    ("operator", "wanted", "held", "holds"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a", None, False),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "a*", "abc", True),
        ("StringLike", "a?", "abc", False),
        ("StringNotLike", "a*", "abc", False),
        ("StringNotLike", "a*", None, True),
        ("Bool", "true", "true", True),
        ("Bool", "true", None, False),
        ("BoolIfExists", "false", None, True),
        ("Null", "true", None, True),
        ("Null", "true", "a", False),
        ("Null", "false", "a", True),
        ("ArnLike", "arn:aws:iam::*:role/a", "arn:aws:iam::1:role/a", True),
        ("ArnNotLike", "arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a", False),
        ("ArnNotEquals", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b", True),
        ("ForAnyValue:StringLike", ["o/r/*"], ("x", "o/r/ou"), True),
        ("ForAnyValue:StringLike", ["o/r/*"], ("x",), False),
        ("ForAnyValue:StringLike", ["o/r/*"], None, False),
        ("ForAllValues:StringLike", ["a*"], ("a", "ab"), True),
        ("ForAllValues:StringLike", ["a*"], ("a", "b"), False),
        ("ForAllValues:StringLike", ["a*"], None, True),
        ("ForAllValues:StringNotLike", ["o/r/*"], ("x", "y"), True),
        ("ForAllValues:StringNotLike", ["o/r/*"], ("x", "o/r/ou"), False),
        ("ForAllValues:StringNotLike", ["o/r/*"], None, True),
    ],
)
def test_every_condition_operator_that_the_documents_use(
    operator: str, wanted: Any, held: Any, *, holds: bool
) -> None:
    caller = role(context={} if held is None else {"aws:Key": held})
    policy = document(Principal="*", Condition={operator: {"AWS:key": wanted}})
    assert (decided(caller, policy) == "allowed") == holds


def test_all_conditions_of_a_statement_must_hold() -> None:
    both = {"StringEquals": {"a": "1", "b": "2"}}
    policy = document(Principal="*", Condition=both)
    assert decided(role(context={"a": "1"}), policy) == "not allowed"
    assert decided(role(context={"a": "1", "b": "2"}), policy) == "allowed"


def test_a_caller_says_who_it_is_in_its_requests() -> None:
    inside = role(THEIRS, organisation="o-1", paths=("o-1/r-1/",))
    service = Caller("service", "lambda.amazonaws.com")
    keys = inside.context_keys()
    assert keys["aws:principalaccount"] == THEIRS
    assert keys["aws:principalorgid"] == "o-1"
    assert keys["aws:principalisawsservice"] == "false"
    assert "aws:principalaccount" not in service.context_keys()


@pytest.mark.parametrize(
    "policy",
    [
        document(Principal="*", Condition={"DateGreaterThan": {"aws:CurrentTime": "2026"}}),
        document(NotPrincipal="*"),
        document(Resource="arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}"),
        document(Principal=["*"]),
    ],
)
def test_what_it_does_not_know_it_refuses(policy: str) -> None:
    with pytest.raises(UnknownPolicyError):
        decided(role(context={"aws:CurrentTime": "2027"}), policy)


def test_several_values_need_an_operator_for_several() -> None:
    policy = document(Principal="*", Condition={"StringEquals": {"aws:PrincipalOrgPaths": "x"}})
    with pytest.raises(UnknownPolicyError, match="several values"):
        decided(role(paths=("x", "y")), policy)


def test_wildcards_match_whole_texts_and_the_parts_of_arns() -> None:
    assert like("a.b", "a.b")
    assert not like("axb", "a.b")
    assert like("[x]", "[*]")
    assert arn_like(REPOSITORY, f"arn:aws:ecr:*:{OURS}:repository/*")
    assert not arn_like(REPOSITORY, "arn:aws:ecr:*:repository/api")
    assert not arn_like(REPOSITORY, "arn:*")
