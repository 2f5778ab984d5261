"""Owners: a custom property says who answers for a service, in the ledger and in AWS tags, and is remembered."""

import json
from typing import Any

import pytest

from ecr.deploy.outputs import outputs
from ecr.errors import EstateError
from ecr.ledger.ledger import Entry, Ledger, parse_ledger
from ecr.plan.model import EstatePlan, Observed
from tests.builders import OWNER, SOURCE, plan, repositories, repository, settings, with_replicas

OWNERS: dict[str, Any] = {
    "owners": {"property": "team", "tags": {"cost-centre": "cost-centre"}, "default": "platform"}
}
PAYMENTS = {"team": "payments", "cost-centre": "4711"}


def tags(planned: EstatePlan) -> dict[str, dict[str, str]]:
    """The tags that say who answers, by image repository's kind and name."""
    return {
        f"{each.kind} {each.placement.name}": {
            key: value for key, value in each.tags.items() if key in {"owner", "cost-centre"}
        }
        for each in planned.image_repositories
    }


def test_properties_become_tags_of_image_repositories_and_replicas_and_stand_in_the_ledger() -> (
    None
):
    api = repository(1, "api", properties=PAYMENTS)
    planned = plan(api, **OWNERS, **with_replicas())
    wanted = {"owner": "payments", "cost-centre": "4711"}
    assert tags(planned) == {"placement api": wanted, "replica api": wanted}
    entry = planned.ledger.entries[1]
    assert (entry.owner, entry.tags) == ("payments", wanted)
    stated = json.loads(json.dumps(planned.ledger.to_output()))
    assert parse_ledger(stated).entries[1] == entry


def test_a_repository_by_name_comes_first_and_the_default_last() -> None:
    changed: dict[str, Any] = {"owners": {**OWNERS["owners"], "repositories": {"API": "search"}}}
    planned = plan(repository(1, "api", properties=PAYMENTS), repository(2, "web"), **changed)
    assert [each.owner for each in planned.ledger.entries.values()] == ["search", "platform"]
    report = outputs(settings(**changed), planned)["report"]
    assert report["owners"] == {"search": 1, "platform": 1}


def test_without_the_setting_there_are_no_such_tags_nor_keys_in_the_ledger() -> None:
    planned = plan(repository(1, "api", properties=PAYMENTS))
    assert tags(planned) == {"placement api": {}}
    assert planned.ledger.to_output()["services"]["1"].keys().isdisjoint({"owner", "tags"})


def test_what_is_gone_keeps_its_owner_and_loses_it_with_the_setting() -> None:
    before = plan(*repositories("web"), repository(2, "api", properties=PAYMENTS), **OWNERS).ledger
    after = plan(*repositories("web"), ledger=before, gone={2: "deleted"}, **OWNERS)
    assert after.ledger.entries[2].state == "kept"
    assert tags(after)["placement api"] == {"owner": "payments", "cost-centre": "4711"}
    removed = plan(*repositories("web"), ledger=after.ledger, gone={2: "deleted"})
    assert tags(removed)["placement api"] == {}
    assert removed.ledger.entries[2].owner == ""


def test_after_a_lost_state_the_tags_in_aws_say_who_owned_what_is_gone() -> None:
    held = {"managed-by": OWNER, "github-id": "2", "service": "api", "owner": "payments"}
    observed = Observed(unknown={f"{SOURCE}/api": held})
    planned = plan(*repositories("web"), observed=observed, **OWNERS)
    assert planned.ledger.entries[2].owner == "payments"
    assert tags(planned)["placement api"] == {"owner": "payments"}


def test_what_aws_refuses_as_a_tag_is_left_out_with_a_note_and_stops_nobody() -> None:
    odd = repository(1, "api", properties={"team": "R&D", "cost-centre": "aws:1"})
    planned = plan(odd, repository(2, "web", properties=PAYMENTS), **OWNERS)
    assert tags(planned)["placement api"] == {"owner": "platform"}
    assert tags(planned)["placement web"]["owner"] == "payments"
    (note,) = (each for each in planned.notes if each.startswith("owners"))
    assert "2 values" in note
    assert "api: owner 'R&D'" in note


def test_several_values_of_a_property_are_one_text() -> None:
    api = repository(1, "api", properties={"team": ("payments", "search")})
    assert plan(api, **OWNERS).ledger.entries[1].owner == "payments search"


def test_a_held_service_stays_as_the_ledger_has_it() -> None:
    names = [f"s{number}" for number in range(10)]
    before = {
        number: Entry(
            name, name, "active", "2026-11-01", {f"{SOURCE}/{name}": "active"}, owner="old"
        )
        for number, name in enumerate(names, 1)
    }
    planned = plan(repository(1, "s0"), ledger=Ledger(before), **OWNERS)
    assert {each.owner for number, each in planned.ledger.entries.items() if number > 1} == {"old"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"owners": {"property": "team", "tag": "managed-by"}}, "owners.tag"),
        ({"owners": {"tags": {"service": "team"}}}, "owners.tags.service"),
        ({"owners": {"tag": "team", "tags": {"team": "team"}}}, "is the tag of the owner already"),
        ({"owners": {"property": "team"}, "tags": {"owner": "me"}}, "tags.owner"),
    ],
)
def test_tags_that_would_hide_one_another_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(EstateError) as error:
        settings(**changes)
    assert says in str(error.value)
