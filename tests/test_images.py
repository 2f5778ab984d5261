"""Services that build several images: what is declared gets image repositories, and nothing else."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ecr.deploy.outputs import outputs
from ecr.plan.images import image_names
from ecr.plan.model import EstatePlan, Observed
from ecr.settings.models import NamedImages
from tests.builders import (
    OWNER,
    REPLICAS,
    SOURCE,
    plan,
    repositories,
    repository,
    settings,
    states,
    with_replicas,
)

WORKER: dict[str, Any] = {"named": {"services": {"api": ["worker"]}}}
BY_PROPERTY: dict[str, Any] = {"named": {"property": "images"}}


def locations(planned: EstatePlan) -> list[str]:
    return [each.placement.location for each in planned.image_repositories]


def test_a_further_image_stands_beside_the_service_s_own() -> None:
    assert locations(plan(*repositories("api", "web"), images=WORKER)) == [
        f"{SOURCE}/api",
        f"{SOURCE}/api/worker",
        f"{SOURCE}/web",
    ]


def test_a_custom_property_declares_images_as_a_list_or_as_a_text() -> None:
    listed = repository(1, "api", properties={"images": ("worker", "cron")})
    typed = repository(2, "web", properties={"images": " worker, cron,"})
    planned = plan(listed, typed, images=BY_PROPERTY)
    assert locations(planned) == [
        f"{SOURCE}/{name}"
        for name in ("api", "api/worker", "api/cron", "web", "web/worker", "web/cron")
    ]


def test_a_further_image_says_whose_it_is_and_which() -> None:
    own, further = plan(*repositories("api"), images=WORKER).image_repositories
    assert (own.tags["service"], own.tags.get("image")) == ("api", None)
    assert (further.tags["service"], further.tags["image"]) == ("api", "api/worker")


def test_a_further_image_has_its_own_line_in_the_outputs() -> None:
    stages: dict[str, Any] = {"architecture": "per-stage", "stages": ["dev", "prod"]}
    chosen = settings(images=WORKER, **stages)
    urls = outputs(chosen, plan(*repositories("api"), images=WORKER, **stages))["imageRepositories"]
    host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com"
    assert urls == {
        "api": [f"{host}/api-dev", f"{host}/api-prod"],
        "api/worker": [f"{host}/api/worker-dev", f"{host}/api/worker-prod"],
    }


def test_a_further_image_is_replicated_where_its_service_is() -> None:
    planned = plan(*repositories("api", "web"), images=WORKER, **with_replicas(patterns=["api"]))
    replicas = [each.placement.location for each in planned.image_repositories if each.policy]
    assert replicas == [f"{REPLICAS}/api", f"{REPLICAS}/api/worker"]


def test_an_image_that_is_no_longer_declared_is_kept() -> None:
    before = plan(*repositories("api"), images=WORKER)
    after = plan(*repositories("api"), ledger=before.ledger)
    assert states(after.ledger.entries[1].placements) == {
        f"{SOURCE}/api": "active",
        f"{SOURCE}/api/worker": "kept",
    }


def test_a_renamed_repository_keeps_its_further_images() -> None:
    before = plan(*repositories("api"), images=WORKER)
    after = plan(repository(1, "backend"), ledger=before.ledger, images=WORKER)
    assert set(after.ledger.entries[1].placements.values()) == {"active"}
    assert locations(after) == locations(before)


def test_a_name_that_ecr_refuses_leaves_out_that_image_alone() -> None:
    planned = plan(repository(1, "api", properties={"images": "Worker cron"}), images=BY_PROPERTY)
    assert locations(planned) == [f"{SOURCE}/api", f"{SOURCE}/api/cron"]
    (left,) = planned.left_out
    assert re.match(
        r"its image api/Worker: ECR names have lower-case letters.*another", left.reason
    )


def test_an_image_never_takes_what_another_service_has() -> None:
    planned = plan(*repositories("api", "odd"), images=WORKER, names={"odd": "api/worker"})
    assert locations(planned) == [f"{SOURCE}/api", f"{SOURCE}/api/worker"]
    assert planned.ledger.entries[2].placements == {f"{SOURCE}/api/worker": "active"}
    (left,) = planned.left_out
    assert left.reason.startswith("its image api/worker: the image repository belongs to odd")


def test_an_image_of_a_service_that_is_not_there_is_noted() -> None:
    (note,) = plan(*repositories("web"), images=WORKER).notes
    assert note == "images.named.services: there is no active service api"


def test_a_lost_ledger_gives_a_further_image_back_to_its_service() -> None:
    made = plan(*repositories("api"), images=WORKER)
    unknown = {each.placement.location: each.tags for each in made.image_repositories}
    found = plan(*repositories("api"), images=WORKER, observed=Observed(unknown=unknown))
    assert made.image_repositories[1].tags["managed-by"] == OWNER
    assert found.ledger == made.ledger


@given(st.text(max_size=40))
def test_whatever_a_property_holds_gives_names_below_the_service_each_once(value: str) -> None:
    named = NamedImages(property="images")
    held = repository(1, "api", properties={"images": value})
    own, *further = image_names("api", held, named)
    assert own == "api"
    assert len(set(further)) == len(further)
    assert all(name.startswith("api/") and len(name) > len("api/") for name in further)
