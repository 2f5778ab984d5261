"""IAM's decisions, case by case as the IAM User Guide has them."""

import json
from typing import Any

import pytest

from ecr.access_proof.evaluate import (
    AccessDecision,
    AccessVerdict,
    Caller,
    UnknownPolicyError,
    arn_like,
    decide_access,
    explain_access,
    like,
)

OURS, THEIRS = "111111111111", "222222222222"
REPOSITORY = f"arn:aws:ecr:eu-west-1:{OURS}:repository/api"
PULL = "ecr:BatchGetImage"


def role(account: str = OURS, *policies: str, **facts: Any) -> Caller:
    return Caller("role", f"arn:aws:iam::{account}:role/someone", policies=policies, **facts)


def document(effect: str = "Allow", **elements: Any) -> str:
    statement = {"Effect": effect, "Action": PULL, "Resource": "*", **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def decided(caller: Caller, *policies: str, action: str = PULL) -> AccessDecision:
    return decide_access(caller, action, REPOSITORY, policies, account=OURS)


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
    caller: Caller, policies: tuple[str, ...], decision: AccessDecision
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
        ("NumericLessThan", 5, "4", True),
        ("NumericGreaterThanEquals", "5", "4", False),
        ("NumericNotEquals", "5", "4", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-11-27T00:00:00Z", True),
        ("DateLessThanEquals", "1767225600", "2026-11-27T00:00:00Z", False),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("NotIpAddress", ["10.0.0.0/8"], "10.1.2.3", False),
        ("StringNotEqualsIgnoreCase", "A", "a", False),
        ("Bool", True, "true", True),
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
        document(Principal="*", Condition={"StringAlmost": {"aws:CurrentTime": "2027"}}),
        document(Principal="*", Condition={"DateLessThan": {"aws:CurrentTime": "soon"}}),
        document(
            Principal="*",
            Condition={"StringNotEquals": {"aws:CurrentTime": "${aws:PrincipalTag/team}"}},
        ),
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


ELSEWHERE = document(Action="ecr:PutImage")
SESSION = f"arn:aws:sts::{OURS}:assumed-role/someone/job"


def person(*policies: str, **facts: Any) -> Caller:
    return Caller("user", f"arn:aws:iam::{OURS}:user/somebody", policies=policies, **facts)


@pytest.mark.parametrize(
    ("caller", "policies", "verdict"),
    [
        # Each kind that limits must allow, too, and says so where it does not.
        (role(OURS, document(), boundary=(document(),)), (), AccessVerdict("allowed")),
        (
            role(OURS, document(), boundary=(ELSEWHERE,)),
            (),
            AccessVerdict("not allowed", "boundary"),
        ),
        (
            role(OURS, document(), sessions=(ELSEWHERE,)),
            (),
            AccessVerdict("not allowed", "session"),
        ),
        (role(OURS, ELSEWHERE), (), AccessVerdict("not allowed", "identity")),
        (role(THEIRS, document()), (), AccessVerdict("not allowed", "resource")),
        # A service control policy of every level must allow.
        (
            role(OURS, document(), controls=((document(),), (document(),))),
            (),
            AccessVerdict("allowed"),
        ),
        (
            role(OURS, document(), controls=((document(),), (ELSEWHERE,))),
            (),
            AccessVerdict("not allowed", "service control"),
        ),
        (
            Caller("root", f"arn:aws:iam::{OURS}:root", controls=((ELSEWHERE,),)),
            (),
            AccessVerdict("not allowed", "service control"),
        ),
        (Caller("root", f"arn:aws:iam::{OURS}:root"), (), AccessVerdict("allowed")),
        # A service-linked role is limited by none of them.
        (
            Caller(
                "role",
                f"arn:aws:iam::{OURS}:role/aws-service-role/ecr/Replication",
                policies=(document(),),
                controls=((ELSEWHERE,),),
            ),
            (),
            AccessVerdict("allowed"),
        ),
        # Who denies is named.
        (
            role(OURS, document(), boundary=(document("Deny"),)),
            (),
            AccessVerdict("denied", "boundary"),
        ),
        (role(OURS, document()), (NOBODY,), AccessVerdict("denied", "resource")),
        (role(OURS, document("Deny")), (), AccessVerdict("denied", "identity")),
        (
            role(OURS, document(), controls=((document(), document("Deny")),)),
            (),
            AccessVerdict("denied", "service control"),
        ),
        # What a resource policy gives to a role is within its boundary, and to its session is not.
        (
            role(boundary=(ELSEWHERE,)),
            (document(Principal={"AWS": role().name}),),
            AccessVerdict("not allowed", "boundary"),
        ),
        (
            role(session=SESSION, boundary=(ELSEWHERE,), sessions=(ELSEWHERE,)),
            (document(Principal={"AWS": SESSION}),),
            AccessVerdict("allowed"),
        ),
        # To a user it is given outright.
        (
            person(boundary=(ELSEWHERE,)),
            (document(Principal={"AWS": person().name}),),
            AccessVerdict("allowed"),
        ),
        (person(boundary=(ELSEWHERE,)), (EVERYONE,), AccessVerdict("not allowed", "boundary")),
    ],
)
def test_boundaries_sessions_and_service_control_policies_only_take_away(
    caller: Caller, policies: tuple[str, ...], verdict: AccessVerdict
) -> None:
    assert explain_access(caller, PULL, REPOSITORY, policies, account=OURS) == verdict


def test_a_role_and_a_key_are_nobody_s_but_whom_their_own_policy_names() -> None:
    def verdict(*policies: str) -> AccessVerdict:
        who = role(OURS, document())
        return explain_access(who, PULL, REPOSITORY, policies, account=OURS, resource_decides=True)

    assert verdict() == AccessVerdict("not allowed", "resource")
    assert verdict(OWN_ACCOUNT) == AccessVerdict("allowed")


@pytest.mark.parametrize(
    ("pattern", "context", "decision"),
    [
        ("repository/${aws:PrincipalTag/team}", {"aws:PrincipalTag/team": "api"}, "allowed"),
        ("repository/${aws:PrincipalTag/team}", {"aws:PrincipalTag/team": "web"}, "not allowed"),
        ("repository/${aws:PrincipalTag/team}", {}, "not allowed"),
        ("repository/${aws:PrincipalTag/team, 'api'}", {}, "allowed"),
        # A wildcard that comes with a request is none of the policy's.
        ("repository/${aws:PrincipalTag/team}", {"aws:PrincipalTag/team": "*"}, "not allowed"),
        ("repository/a${*}", {}, "not allowed"),
    ],
)
def test_variables_are_filled_from_the_request(
    pattern: str, context: dict[str, str], decision: AccessDecision
) -> None:
    policy = document(Resource=f"arn:aws:ecr:eu-west-1:{OURS}:{pattern}")
    assert decided(role(OURS, policy, context=context)) == decision


def test_in_the_older_version_of_the_language_a_variable_is_text() -> None:
    policy = document(Resource="*", Condition={"StringEquals": {"a": "${aws:username}"}})
    older = policy.replace("2012-10-17", "2008-10-17")
    for text, decision in ((policy, "not allowed"), (older, "allowed")):
        assert decided(role(OURS, text, context={"a": "${aws:username}"})) == decision
