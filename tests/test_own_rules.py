"""Statements and replication rules of one's own: in the same plan, under the same limits."""

import json
from typing import Any

import pytest

from ecr.access_proof.evaluate import AccessDecision, Caller, decide_access
from ecr.errors import EstateError
from ecr.plan.access.deploy_roles import deployment_documents
from tests.builders import ARTIFACTS, LAMBDA, SOURCE, plan, repositories, settings, with_replicas

PARTNER = "444455556666"
PULL_THROUGH: dict[str, Any] = {
    "name": "Partner",
    "principals": [PARTNER],
    "actions": ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"],
    "repositories": ["cache/*"],
}
DISASTER: dict[str, Any] = {"destinations": [f"{ARTIFACTS}/us-east-1"], "prefixes": ["api"]}


def test_a_statement_of_ones_own_decides_beside_the_programs() -> None:
    planned = plan(*repositories("api"), access={"statements": [PULL_THROUGH]})
    policy = planned.registries[0].policy or ""
    assert [each["Sid"] for each in json.loads(policy)["Statement"]] == [
        "OrganisationPull",
        "OwnPartner",
    ]
    everything = '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    who = Caller("role", f"arn:aws:iam::{PARTNER}:role/any", policies=(everything,))

    def may(name: str) -> AccessDecision:
        arn = f"arn:aws:ecr:eu-west-1:{ARTIFACTS}:repository/{name}"
        return decide_access(who, "ecr:CreateRepository", arn, [policy], account=ARTIFACTS)

    assert may("cache/nginx") == "allowed"
    assert may("api") == "not allowed"


def test_replicas_registries_get_no_statement_of_ones_own() -> None:
    planned = plan(*repositories("api"), access={"statements": [PULL_THROUGH]}, **with_replicas())
    assert "OwnPartner" not in (planned.registries[1].policy or "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"principals": ["*"]}, "allows everybody"),
        ({"actions": ["ecr:GetAuthorizationToken"]}, "has no registry"),
        ({"actions": ["s3:GetObject"]}, "write ecr:NAME"),
        ({"principals": ["somebody"]}, "a principal"),
    ],
)
def test_a_statement_that_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EstateError, match=said):
        settings(access={"statements": [{**PULL_THROUGH, **changed}]})


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(EstateError, match="is taken already"):
        settings(access={"statements": [PULL_THROUGH, PULL_THROUGH]})


def test_a_policy_that_grows_too_long_by_ones_own_statements_is_over_the_limit() -> None:
    many = [{**PULL_THROUGH, "name": f"Partner{number}"} for number in range(200)]
    with pytest.raises(EstateError, match="over the limits of AWS"):
        plan(*repositories("api"), access={"statements": many})


def test_a_replication_rule_of_ones_own_stands_beside_those_of_replicas() -> None:
    planned = plan(*repositories("api"), replication={"rules": [DISASTER]}, **with_replicas())
    destinations = [each.destinations[0].key for each in planned.registries[0].replication]
    assert destinations == [f"{LAMBDA}/eu-west-1", f"{ARTIFACTS}/us-east-1"]
    assert planned.registries[0].replication[1].prefixes == ("api",)


def test_a_rule_of_ones_own_needs_the_permission_to_replicate() -> None:
    documents = deployment_documents(settings(replication={"rules": [DISASTER]}))
    assert "ecr:PutReplicationConfiguration" in documents[ARTIFACTS][0].text
    assert "ecr:DescribeRegistry" in documents[ARTIFACTS][1].text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"destinations": [SOURCE]}, "is the source itself"),
        ({"destinations": [f"{ARTIFACTS}/cn-north-1"]}, "is not in the partition aws"),
        ({"source": f"{LAMBDA}/eu-west-1"}, "is no registry that images are pushed to"),
        ({"prefixes": ["a"]}, "at least two"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EstateError, match=said):
        settings(replication={"rules": [{**DISASTER, **changed}]})


def test_eleven_rules_are_over_the_limit_whoever_wrote_them() -> None:
    rules = [{**DISASTER, "prefixes": [f"team{number}"]} for number in range(10)]
    with pytest.raises(EstateError, match="11 replication rules"):
        plan(*repositories("api"), replication={"rules": rules}, **with_replicas())


def test_another_region_of_the_artifacts_account_gets_replicas_of_the_estates_own() -> None:
    accounts = [{"account": ARTIFACTS, "regions": ["us-east-1"]}]
    chosen: dict[str, Any] = {"accounts": accounts, "services": {"all": True}}
    planned = plan(*repositories("api"), lambdaReplicas=chosen)
    assert [each.placement.location for each in planned.image_repositories] == [
        f"{SOURCE}/api",
        f"{ARTIFACTS}/us-east-1/api",
    ]
    (rule,) = planned.registries[0].replication
    assert [each.key for each in rule.destinations] == [f"{ARTIFACTS}/us-east-1"]
