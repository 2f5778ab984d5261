"""Documents: what AWS or this estate refuses of a policy is said before it is sent."""

import json
from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.plan.access import documents
from ecr.plan.access.documents import LIMITS, REMEDIES, Document, DocumentKind
from ecr.plan.limits import documents_of
from tests.builders import ARTIFACTS, plan, repositories, with_replicas
from tests.policy_grammar import offences_of

ROLE = f"arn:aws:iam::{ARTIFACTS}:role/ci"
STATEMENT = {
    "Sid": "One",
    "Effect": "Allow",
    "Principal": {"AWS": ROLE},
    "Action": ["ecr:BatchGetImage"],
    "Resource": f"arn:aws:ecr:eu-west-1:{ARTIFACTS}:repository/*",
}


def offences(kind: DocumentKind = "registry", *more: dict[str, Any], **elements: Any) -> str:
    statement = {
        key: value for key, value in {**STATEMENT, **elements}.items() if value is not None
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement, *more]})
    return "\n".join(offences_of(Document(kind, "it", text)))


def test_a_document_that_is_right_has_no_offence() -> None:
    assert offences() == ""


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"Sid": "one-two"}, "it: statement one-two has a Sid that is not of letters and digits"),
        ({"Effect": "allow"}, "must have the Effect Allow or Deny"),
        ({"Action": []}, "names no Action"),
        ({"Action": "BatchGetImage"}, "'BatchGetImage', which is no action"),
        ({"Action": "s3:GetObject"}, "s3:GetObject, which is no action of a registry's policy"),
        ({"Action": "ecr:GetAuthorizationToken"}, "which ECR takes in identity policies only"),
        ({"Resource": None}, "names no Resource"),
        ({"Resource": "repository/api"}, "'repository/api', which is no ARN"),
        ({"Principal": None}, "has no Principal"),
        ({"Principal": "*"}, "allows everybody, without a condition"),
        ({"Principal": {"AWS": "*"}}, "'*', which is no AWS principal"),
        ({"Principal": {"AWS": f"arn:aws:iam::{ARTIFACTS}:root"}}, "grants to the whole of arn:aws"),
        ({"Principal": {"Service": "lambda"}}, "'lambda', which is no Service principal"),
        ({"Condition": {"StringIs": {"aws:x": "y"}}}, "condition operator StringIs, which is none"),
        ({"Condition": {"StringEquals": {"x": "y"}}}, "on 'x' that is empty or on no key"),
        ({"Condition": {"StringEquals": {"aws:x": []}}}, "on 'aws:x' that is empty"),
        ({"NotAction": "ecr:*"}, "has NotAction, which these documents never need"),
    ],
)  # fmt: skip
def test_each_offence_is_named_with_its_statement(elements: dict[str, Any], said: str) -> None:
    assert said in offences(**elements)


def test_every_offence_is_named_at_once() -> None:
    assert len(offences(Effect="x", Action=[], Principal=None).splitlines()) == 3


@pytest.mark.parametrize(
    ("kind", "elements", "said"),
    [
        (
            "trust",
            {"Action": "sts:AssumeRole"},
            "names a Resource, which a trust policy takes none",
        ),
        ("identity", {}, "names a Principal, which an identity policy takes none of"),
        ("role", {}, "names a Principal"),
    ],
)
def test_each_kind_has_its_own_elements(
    kind: DocumentKind, elements: dict[str, Any], said: str
) -> None:
    assert said in offences(kind, **elements)


def test_a_policy_on_an_image_repository_need_not_name_it() -> None:
    assert offences("repository", Resource=None) == ""


def test_two_statements_of_one_name_and_an_empty_document_are_refused() -> None:
    assert "two statements of one Sid" in offences("registry", STATEMENT)
    assert offences_of(Document("role", "it", "{")) == ["it: its policy is not JSON"]
    assert "no statement" in "".join(
        offences_of(Document("role", "it", '{"Version":"2012-10-17","Statement":[]}'))
    )


def test_every_kind_has_a_limit_and_a_remedy() -> None:
    assert LIMITS.keys() == REMEDIES.keys()
    assert LIMITS["registry"] == LIMITS["repository"] == 10_240
    assert LIMITS["trust"] == 2_048


def test_every_document_of_a_plan_is_well_formed() -> None:
    planned = plan(
        *repositories("api"),
        alerts={},
        pushRoles={"organisationId": 7},
        namespaces={"known": {"payments": {}}},
        **with_replicas(),
    )
    assert {each.kind for each in documents_of(planned)} == set(LIMITS)
    assert not [said for each in documents_of(planned) for said in offences_of(each)]


@pytest.mark.parametrize("kind", sorted(LIMITS.keys() - {"trust"}))
def test_a_document_over_its_limit_is_named_with_the_remedy(
    kind: DocumentKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(documents.LIMITS, kind, 1)
    with pytest.raises(EstateError) as refused:
        plan(
            *repositories("api"),
            alerts={},
            pushRoles={"organisationId": 7},
            namespaces={"known": {"payments": {}}},
            **with_replicas(),
        )
    assert refused.value.offences
    assert all(
        each.endswith(f"and AWS takes 1; {REMEDIES[kind]}") for each in refused.value.offences
    )


def test_many_namespaces_fit_and_too_many_are_refused_with_the_remedy() -> None:
    def known(count: int) -> dict[str, Any]:
        paths = (f"o-a1b2c3d4e5/r-ab12/ou-ab12-{number:08}/" for number in range(count))
        return {
            "known": {f"team-{number}": {"readers": [path]} for number, path in enumerate(paths)}
        }

    assert plan(*repositories("api"), namespaces=known(20)).registries
    with pytest.raises(EstateError, match=r"give namespaces the same ones, or set access\.policy"):
        plan(*repositories("api"), namespaces=known(40))
    fallback = {"policy": "repository"}
    assert plan(*repositories("api"), namespaces=known(40), access=fallback).registries
