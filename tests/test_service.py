"""A service by itself is made as the central program would make it."""

import json
from typing import Any

import pytest

from ecr.deploy.service import Estate, for_services
from ecr.errors import EstateError
from tests.builders import REPLICAS, plan, repository, settings, with_replicas


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
        {"images": {"immutable": False, "immutableTags": ["v*"]}},
    ],
)
def test_its_image_repository_is_the_one_that_the_central_program_would_make(
    changes: dict[str, Any],
) -> None:
    central = plan(repository(1, "api"), **changes).image_repositories[0]
    alone = estate(**changes).image_repository("acme", "API", owner="service/prod")
    for field in ("placement", "kind", "mutability", "exclusions", "kms_key", "lifecycle"):
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
