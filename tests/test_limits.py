"""Limits: what AWS would refuse half-way is refused before the beginning."""

import pytest

from ecr.errors import EstateError
from ecr.plan import limits
from ecr.plan.access import documents
from ecr.plan.model import Observed
from tests.builders import SOURCE, plan, repositories, with_replicas


def test_too_many_tags_are_refused_with_the_remedy() -> None:
    with pytest.raises(EstateError, match="has 55 tags, and AWS takes 50; set fewer under `tags`"):
        plan(*repositories("api"), tags={f"tag-{number}": "x" for number in range(50)})


def test_every_kind_of_offence_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("REPOSITORIES", "LIFECYCLE"):
        monkeypatch.setattr(limits, limit, 1)
    monkeypatch.setitem(documents.LIMITS, "registry", 1)
    with pytest.raises(EstateError) as refused:
        plan(*repositories("api", "web"))
    said = "\n".join(refused.value.offences)
    assert "2 image repositories are planned, and AWS takes 1" in said
    assert "its policy has" in said
    assert "its lifecycle policy has" in said


def test_what_is_near_a_limit_is_noted_with_the_remedy() -> None:
    (note,) = plan(*repositories("api"), tags={f"tag-{number}": "x" for number in range(35)}).notes
    assert note == (
        "111111111111/eu-west-1/api: it has 40 tags, 80% of the 50 that AWS takes; set fewer under "
        "`tags`"
    )


def test_every_limit_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NEAR", 0.0)
    notes = "\n".join(plan(*repositories("api", "web"), **with_replicas(patterns=["api"])).notes)
    for what in (
        "its policy has", "a scanning rule has 1 filters", "1 replication rules",
        "it replicates to 1 registries",
        "image repositories are planned", "its lifecycle policy has 5 rules",
        "its lifecycle policy has", "it has 5 tags",
    ):  # fmt: skip
        assert what in notes


def test_a_first_deployment_says_how_long_it_will_take_and_a_second_does_not() -> None:
    many = repositories(*(f"service-{number}" for number in range(3000)))
    planned = plan(*many, **with_replicas())
    (note,) = planned.notes
    assert note.startswith("a first deployment of 36,000 requests to AWS takes about 1.2 hours")
    assert plan(*many, ledger=planned.ledger, **with_replicas()).notes == ()


def test_an_image_repository_that_is_nearly_full_is_noted_and_stops_nothing() -> None:
    counts = {f"{SOURCE}/api": 100_000, f"{SOURCE}/web": 79_999}
    (note,) = plan(*repositories("api", "web"), observed=Observed(images=counts)).notes
    assert note == (
        "111111111111/eu-west-1/api: it holds 100000 images, 100% of the 100000 that AWS takes; try a "
        "shorter lifecycle with `ecr-estate simulate`"
    )


def test_a_plan_within_the_limits_passes() -> None:
    assert plan(*repositories("api")).image_repositories
