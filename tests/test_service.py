"""A service by itself is made as the central program would make it, and trusts one repository."""

import json
from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.plan.model import Placement, Registry
from ecr.service import Estate, for_services, push_policy, push_trust
from tests.builders import ARTIFACTS, REPLICAS, plan, repository, settings, with_replicas

REGISTRY = Registry(ARTIFACTS, "eu-west-1")


def estate(**changes: Any) -> Estate:
    """What a service's program reads: the engine drops nulls, and the rest is plain JSON."""
    chosen = settings(**changes)
    told = for_services(chosen, plan(repository(1, "api"), **changes))
    return Estate.of(
        json.loads(json.dumps({key: value for key, value in told.items() if value is not None}))
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"images": {"immutable": False}, "lifecycle": {"preset": "none"}},
        {"images": {"mutableTags": ["latest"]}},
    ],
)
def test_its_image_repository_is_the_one_that_the_central_program_would_make(
    changes: dict[str, Any],
) -> None:
    central = plan(repository(1, "api"), **changes).image_repositories[0]
    alone = estate(**changes).image_repository("acme", "API", owner="service/prod")
    for field in ("placement", "kind", "immutable", "mutable_tags", "kms_key", "lifecycle"):
        assert getattr(alone, field) == getattr(central, field)
    assert alone.protected
    assert alone.tags["managed-by"] == "service/prod"


def test_the_central_rules_say_where_it_is_replicated() -> None:
    assert estate().replicated_to("api") == ()
    assert estate(**with_replicas()).replicated_to("anything") == (REPLICAS,)
    by_prefix = Estate.of(
        {
            "registry": "111111111111/eu-west-1",
            "immutable": True,
            "mutableTags": [],
            "replication": [{"destinations": [REPLICAS], "prefixes": ["lambda-"]}],
        }
    )
    assert by_prefix.replicated_to("lambda-mail") == (REPLICAS,)
    assert by_prefix.replicated_to("mail") == ()


def test_a_central_stack_that_tells_nothing_is_named() -> None:
    with pytest.raises(EstateError, match="has no output forServices"):
        Estate.of(None)


def test_the_role_trusts_both_forms_of_one_repositorys_subject_and_no_other() -> None:
    document = json.loads(push_trust(REGISTRY, ("acme", 7), ("api", 42)))
    (statement,) = document["Statement"]
    issuer = "token.actions.githubusercontent.com"
    assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{issuer}")
    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"},
        "StringLike": {f"{issuer}:sub": ["repo:acme/api:*", "repo:acme@7/api@42:*"]},
    }


def test_the_role_pushes_to_its_own_image_repository_only() -> None:
    document = json.loads(push_policy(Placement(REGISTRY, "api")))
    resources = {each["Resource"]: each["Action"] for each in document["Statement"]}
    assert resources.pop("*") == "ecr:GetAuthorizationToken"
    assert set(resources) == {f"arn:aws:ecr:eu-west-1:{ARTIFACTS}:repository/api"}
    assert not [each for (actions,) in [resources.values()] for each in actions if "Delete" in each]
