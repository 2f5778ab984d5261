"""Limits: what AWS would refuse half-way is refused before the beginning."""

import pytest

from ecr.errors import EstateError
from ecr.plan import limits
from tests.builders import plan, repositories


def test_too_many_tags_are_refused_with_the_remedy() -> None:
    with pytest.raises(EstateError, match="has 55 tags, and AWS takes 50; set fewer under `tags`"):
        plan(*repositories("api"), tags={f"tag-{number}": "x" for number in range(50)})


def test_every_kind_of_offence_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("REPOSITORIES", "POLICY", "LIFECYCLE"):
        monkeypatch.setattr(limits, limit, 1)
    with pytest.raises(EstateError) as refused:
        plan(*repositories("api", "web"))
    said = "\n".join(refused.value.offences)
    assert "2 image repositories are planned, and ECR holds 1" in said
    assert "its policy has" in said
    assert "its lifecycle policy has" in said


def test_a_plan_within_the_limits_passes() -> None:
    assert plan(*repositories("api")).image_repositories
