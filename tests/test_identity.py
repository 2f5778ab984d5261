"""Identity: a name is chosen once; nothing ends on the word of a listing."""

import pytest

from ecr.errors import EstateError
from ecr.ledger import Ledger
from tests.builders import SOURCE, TODAY, plan, repositories, repository


def test_a_new_repository_becomes_an_active_service_under_its_own_name() -> None:
    entry = plan(repository(7, "Atmos")).ledger.entries[7]
    assert (entry.repository, entry.service, entry.state, entry.since) == (
        "Atmos",
        "atmos",
        "active",
        TODAY,
    )
    assert dict(entry.placements) == {f"{SOURCE}/atmos": "active"}


def test_a_renamed_repository_keeps_its_image_repository() -> None:
    before = plan(repository(7, "atmos")).ledger
    after = plan(repository(7, "stratos"), ledger=before)
    assert after.ledger.entries[7].service == "atmos"
    assert after.ledger.entries[7].repository == "stratos"
    assert [each.placement.location for each in after.image_repositories] == [f"{SOURCE}/atmos"]
    assert after.notes == ("atmos is now called stratos; its image repositories stay atmos",)


def test_a_new_repository_does_not_take_the_images_of_one_that_had_its_name() -> None:
    before = plan(repository(7, "atmos")).ledger
    after = plan(repository(7, "stratos"), repository(8, "atmos"), ledger=before)
    assert list(after.ledger.entries) == [7]
    assert [(each.id, each.reason) for each in after.left_out] == [
        (8, "the image repository atmos belongs to stratos; choose another under `names`")
    ]


def test_two_repositories_that_swap_names_keep_their_own_images() -> None:
    before = plan(repository(1, "blue"), repository(2, "green")).ledger
    after = plan(repository(1, "green"), repository(2, "blue"), ledger=before).ledger
    assert {number: entry.service for number, entry in after.entries.items()} == {
        1: "blue",
        2: "green",
    }


def test_a_repository_deleted_and_made_again_is_another_repository() -> None:
    before = plan(repository(1, "api")).ledger
    after = plan(repository(2, "api"), ledger=before)
    assert after.ledger.entries[1].state == "kept"
    assert after.left_out[0].id == 2


def test_a_repository_that_is_gone_is_kept_with_everything_it_has() -> None:
    before = plan(*repositories("api", "web")).ledger
    after = plan(repository(1, "api"), ledger=before)
    assert after.ledger.entries[2].state == "kept"
    assert after.ledger.entries[2].since == TODAY
    kept = {each.placement.name: each for each in after.image_repositories}["web"]
    assert kept.protected
    assert "web is kept: no longer in the organisation's list" in after.notes


def test_an_archived_repository_is_kept_and_comes_back_as_it_was() -> None:
    first = plan(repository(1, "api")).ledger
    archived = plan(repository(1, "api", archived=True), ledger=first)
    assert archived.ledger.entries[1].state == "kept"
    assert archived.notes == ("api is kept: archived",)
    back = plan(repository(1, "api"), ledger=archived.ledger).ledger
    assert back.entries[1].state == "active"
    assert dict(back.entries[1].placements) == dict(first.entries[1].placements)


def test_the_date_of_a_state_stays_until_the_state_changes() -> None:
    before = Ledger(
        {1: plan(repository(1, "api")).ledger.entries[1].moved_to("kept", "2020-01-01")}
    )
    assert plan(repository(2, "web"), ledger=before).ledger.entries[1].since == "2020-01-01"


def test_the_older_repository_wins_a_name_that_two_would_have() -> None:
    after = plan(repository(2, "api"), repository(1, "web"), names={"web": "api"})
    assert after.ledger.entries[1].service == "api"
    assert after.left_out[0].id == 2


def test_a_name_that_ecr_refuses_leaves_out_only_its_own_repository() -> None:
    after = plan(*repositories(".github", "api"))
    assert [each.repository for each in after.left_out] == [".github"]
    assert [each.placement.name for each in after.image_repositories] == ["api"]


def test_with_strict_a_repository_that_cannot_be_placed_stops_the_deployment() -> None:
    with pytest.raises(EstateError, match=r"\.github: ECR names begin"):
        plan(*repositories(".github", "api"), strict="true")


@pytest.mark.parametrize(
    ("services", "gone", "stops"), [(10, 3, False), (10, 4, True), (100, 5, False), (100, 6, True)]
)
def test_more_than_three_and_five_percent_vanishing_at_once_stop_the_deployment(
    services: int, gone: int, *, stops: bool
) -> None:
    all_of_them = repositories(*(f"service-{number}" for number in range(services)))
    before = plan(*all_of_them).ledger
    if not stops:
        assert plan(*all_of_them[gone:], ledger=before)
        return
    with pytest.raises(EstateError, match=f"set confirm.vanished to {gone}") as refused:
        plan(*all_of_them[gone:], ledger=before)
    assert len(refused.value.offences) == gone


def test_an_operator_confirms_exactly_the_number_that_vanishes() -> None:
    everything = repositories(*(f"service-{number}" for number in range(10)))
    before = plan(*everything).ledger
    assert plan(everything[0], ledger=before, confirm={"vanished": 9})
    with pytest.raises(EstateError):
        plan(everything[0], ledger=before, confirm={"vanished": 8})


def test_retirement_takes_two_deployments_and_can_be_called_off_between_them() -> None:
    before = plan(*repositories("api", "web")).ledger
    only_api = repository(1, "api")
    kept = plan(only_api, ledger=before).ledger
    first = plan(only_api, ledger=kept, retire=["web"])
    marked = {each.placement.name: each for each in first.image_repositories}["web"]
    assert first.ledger.entries[2].state == "retiring"
    assert not marked.protected
    second = plan(only_api, ledger=first.ledger, retire=["web"])
    assert [each.placement.name for each in second.image_repositories] == ["api"]
    assert list(second.ledger.entries) == [1]
    called_off = plan(only_api, ledger=first.ledger)
    assert called_off.ledger.entries[2].state == "kept"


def test_a_forgotten_retire_entry_does_nothing() -> None:
    api = repository(1, "api")
    first = plan(api, retire=["gone", "api"])
    assert first.ledger.entries[1].state == "active"
    again = plan(api, ledger=first.ledger, retire=["gone", "api"])
    assert again.ledger.entries[1].state == "active"
    assert "retire: api is ignored" in again.notes[0]
