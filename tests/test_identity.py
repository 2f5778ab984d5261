"""Identity: a name is chosen once; nothing ends on the word of a listing."""

from dataclasses import replace
from typing import Any

import pytest

from ecr.errors import EstateError, GuardError
from ecr.ledger.ledger import Ledger, parse_ledger
from ecr.ledger.shards import Shard
from ecr.plan.build import build_plan
from ecr.plan.model import Observed
from tests.builders import (
    LAMBDA,
    OWNER,
    REPLICAS,
    SOURCE,
    TODAY,
    inventory,
    plan,
    repositories,
    repository,
    settings,
    states,
    with_replicas,
)


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
    (left_out,) = after.left_out
    assert left_out.id == 8
    assert left_out.reason.startswith("the image repository atmos belongs to stratos; choose")


def test_two_repositories_that_swap_names_keep_their_own_images() -> None:
    before = plan(repository(1, "blue"), repository(2, "green")).ledger
    after = plan(repository(1, "green"), repository(2, "blue"), ledger=before).ledger
    assert {number: entry.service for number, entry in after.entries.items()} == {
        1: "blue",
        2: "green",
    }


def test_the_ledger_says_why_a_service_is_kept_as_it_was_found_then() -> None:
    before = plan(repository(1, "api"), repository(2, "web")).ledger
    after = plan(repository(1, "api", archived=True), gone={2: "deleted"}, ledger=before).ledger
    later = plan(repository(1, "api", fork=True), ledger=after).ledger
    assert [entry.reason for entry in after.entries.values()] == ["archived", "deleted"]
    assert later == after
    assert plan(repository(1, "api"), ledger=later).ledger.entries[1].reason == ""
    assert parse_ledger(after.to_output()) == after


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
    ("services", "gone", "waits"), [(10, 3, False), (10, 4, True), (100, 5, False), (100, 6, True)]
)
def test_more_than_three_and_five_percent_vanishing_at_once_are_held_as_they_are(
    services: int, gone: int, *, waits: bool
) -> None:
    all_of_them = repositories(*(f"service-{number}" for number in range(services)))
    before = plan(*all_of_them)
    newborn = repository(services + 1, "newborn")
    after = plan(*all_of_them[gone:], newborn, ledger=before.ledger)
    (vanished, _, _) = after.guards
    assert (vanished.tripped, vanished.count) == (waits, gone)
    assert "newborn" in {each.placement.name for each in after.image_repositories}
    old = {github_id: after.ledger.entries[github_id] for github_id in before.ledger.entries}
    assert (old == before.ledger.entries) is waits
    held = [each for each in after.image_repositories if each.placement.name != "newborn"]
    assert (held == list(before.image_repositories)) is waits


def test_with_strict_what_a_guard_counts_stops_everybody() -> None:
    all_of_them = repositories(*(f"service-{number}" for number in range(10)))
    before = plan(*all_of_them).ledger
    with pytest.raises(GuardError, match=r"set confirm\.vanished to 4") as refused:
        plan(*all_of_them[4:], ledger=before, strict="true")
    assert len(refused.value.offences) == 4


def test_an_operator_confirms_exactly_the_number_that_vanishes() -> None:
    everything = repositories(*(f"service-{number}" for number in range(10)))
    before = plan(*everything).ledger
    confirmed = plan(everything[0], ledger=before, confirm={"vanished": 9})
    assert [each.state for each in confirmed.ledger.entries.values()].count("kept") == 9
    assert plan(everything[0], ledger=before, confirm={"vanished": 8}).ledger == before


def test_what_is_held_keeps_its_replicas_its_further_images_and_its_push_role() -> None:
    chosen = {
        **with_replicas(),
        "images": {"named": {"services": {"service-0": ["worker"]}}},
        "pushRoles": {"services": {"all": True}, "organisationId": 7},
    }
    everything = repositories(*(f"service-{number}" for number in range(5)))
    before = plan(*everything, **chosen)
    after = plan(
        everything[4], ledger=before.ledger, gone=dict.fromkeys(range(1, 5), "deleted"), **chosen
    )
    assert after.image_repositories == before.image_repositories
    assert after.registries == before.registries
    assert after.push_roles == before.push_roles
    assert after.changes == ()


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


def test_a_service_that_is_named_for_retirement_while_it_vanishes_is_only_kept_at_first() -> None:
    before = plan(*repositories("api", "web")).ledger
    after = plan(repository(1, "api"), ledger=before, retire=["web"])
    assert after.ledger.entries[2].state == "kept"
    assert f"retire: {SOURCE}/web is not retired, for it is kept from now on" in after.notes[-1]


def test_a_retiring_image_repository_that_holds_images_stays_until_they_are_gone() -> None:
    before = plan(*repositories("api", "web")).ledger
    only_api = repository(1, "api")
    kept = plan(only_api, ledger=before).ledger
    retiring = plan(only_api, ledger=kept, retire=["web"]).ledger
    full = Observed(images={f"{SOURCE}/web": 3})
    after = plan(only_api, ledger=retiring, observed=full, retire=["web"])
    assert after.ledger.entries[2].state == "retiring"
    assert "still holds 3 images" in after.notes[-1]


def test_what_waits_to_end_is_dated_once_so_that_a_later_preview_shows_no_change() -> None:
    before = plan(*repositories("api", "web")).ledger
    only_api = repository(1, "api")
    kept = plan(only_api, ledger=before).ledger
    retiring = plan(only_api, ledger=kept, retire=["web"]).ledger
    assert retiring.entries[2].since == TODAY
    old = replace(retiring.entries[2], since="2020-01-01")
    full = Observed(images={f"{SOURCE}/web": 3})
    later = replace(retiring, entries={**retiring.entries, 2: old})
    after = plan(only_api, ledger=later, observed=full, retire=["web"]).ledger
    assert after.entries[2] == old
    assert plan(only_api, ledger=later).ledger.entries[2].since == TODAY


def test_a_kept_replica_of_a_living_service_can_be_retired_alone() -> None:
    api = repository(1, "api")
    before = plan(api, **with_replicas()).ledger
    none = with_replicas(patterns=["nothing"])
    kept = plan(api, ledger=before, **none).ledger
    first = plan(api, ledger=kept, retire=["api"], **none)
    assert states(first.ledger.entries[1].replicas) == {f"{REPLICAS}/api": "retiring"}
    second = plan(api, ledger=first.ledger, retire=["api"], **none)
    assert states(second.ledger.entries[1].replicas) == {}
    assert states(second.ledger.entries[1].placements) == {f"{SOURCE}/api": "active"}


def test_a_forgotten_retire_entry_does_nothing() -> None:
    api = repository(1, "api")
    first = plan(api, retire=["gone", "api"])
    assert first.ledger.entries[1].state == "active"
    again = plan(api, ledger=first.ledger, retire=["gone", "api"])
    assert again.ledger.entries[1].state == "active"
    assert again.notes == (f"retire: {SOURCE}/api is not retired, for it is asked for",)


def test_a_kept_service_goes_to_the_successor_that_an_operator_names() -> None:
    before = plan(repository(1, "api")).ledger
    kept = plan(repository(2, "api"), ledger=before).ledger
    after = plan(repository(2, "api"), ledger=kept, successors={"api": 2})
    assert list(after.ledger.entries) == [2]
    assert after.ledger.entries[2].state == "active"
    assert not after.left_out
    assert "api goes to api (2)" in after.notes
    again = plan(repository(2, "api"), ledger=after.ledger, successors={"api": 2})
    assert not again.notes


@pytest.mark.parametrize(
    ("successor", "said"),
    [
        (2, "for its repository is still there"),
        (9, "for its repository is still there"),
    ],
)
def test_a_living_service_is_never_handed_over(successor: int, said: str) -> None:
    both = repositories("api", "web")
    before = plan(*both).ledger
    after = plan(*both, ledger=before, successors={"api": successor})
    assert after.ledger == before
    assert said in after.notes[0]


def test_a_successor_that_has_a_service_already_keeps_its_own() -> None:
    before = plan(*repositories("api", "web")).ledger
    after = plan(repository(2, "web"), ledger=before, successors={"api": 2})
    assert after.ledger.entries[2].service == "web"
    assert "for 2 is web already" in after.notes[0]


def test_another_name_makes_new_image_repositories_and_keeps_the_old() -> None:
    before = plan(repository(1, "api")).ledger
    after = plan(repository(1, "api"), ledger=before, names={"api": "gateway"})
    assert states(after.ledger.entries[1].placements) == {
        f"{SOURCE}/api": "kept",
        f"{SOURCE}/gateway": "active",
    }
    assert all(each.protected for each in after.image_repositories)
    back = plan(repository(1, "api"), ledger=after.ledger, names={"api": "api"})
    assert states(back.ledger.entries[1].placements) == {
        f"{SOURCE}/api": "active",
        f"{SOURCE}/gateway": "kept",
    }


def test_a_name_that_belongs_to_another_service_is_not_taken() -> None:
    before = plan(*repositories("api", "web")).ledger
    after = plan(*repositories("api", "web"), ledger=before, names={"api": "web"})
    assert after.ledger == before
    assert after.notes == ("names: api stays api, for web belongs to web",)


def test_many_renames_at_once_are_held_until_they_are_confirmed() -> None:
    before = plan(*repositories(*(f"old-{number}" for number in range(10)))).ledger
    renamed = repositories(*(f"new-{number}" for number in range(10)))
    held = plan(*renamed, repository(11, "newborn"), ledger=before)
    assert [each.tags["github-repository"] for each in held.image_repositories] == [
        *(f"old-{number}" for number in range(10)),
        "newborn",
    ]
    confirmed = plan(*renamed, ledger=before, confirm={"renamed": 10})
    assert confirmed.image_repositories[0].tags["github-repository"] == "new-0"


def test_many_replicas_that_would_no_longer_be_filled_are_filled_until_it_is_confirmed() -> None:
    lambdas = tuple(
        repository(number, f"fn-{number}", properties={"lambda": "true"}) for number in range(1, 9)
    )
    chosen = with_replicas(property="lambda")
    before = plan(*lambdas, **chosen)
    blind = tuple(repository(each.id, each.name) for each in lambdas)
    held = plan(*blind, ledger=before.ledger, **chosen)
    assert held.ledger == before.ledger
    assert held.registries == before.registries
    assert [each.count for each in held.guards if each.tripped] == [8]
    confirmed = plan(*blind, ledger=before.ledger, confirm={"unfilledReplicas": 8}, **chosen)
    assert set(states(confirmed.ledger.entries[1].replicas).values()) == {"kept"}
    assert not confirmed.registries[0].replication


def test_a_rename_that_changes_only_case_keeps_everything() -> None:
    before = plan(repository(1, "API")).ledger
    after = plan(repository(1, "Api"), ledger=before)
    assert after.ledger.entries[1].service == "api"


def test_a_repository_that_comes_back_from_a_transfer_is_the_same_service() -> None:
    before = plan(*repositories("api", "web")).ledger
    away = plan(repository(1, "api"), ledger=before, gone={2: "transferred to other/web"})
    assert away.notes == ("web is kept: transferred to other/web",)
    back = plan(*repositories("api", "web"), ledger=away.ledger).ledger
    assert back.entries[2].state == "active"


def tags_of(number: int, name: str, owner: str = OWNER) -> dict[str, str]:
    return {"managed-by": owner, "github-id": str(number), "github-repository": name}


def test_what_an_interrupted_deployment_made_is_known_again_by_its_tags() -> None:
    found = Observed(unknown={f"{SOURCE}/api": tags_of(1, "api")})
    after = plan(*repositories("api", "web"), observed=found)
    assert {each.placement.name: each.found for each in after.image_repositories} == {
        "api": True,
        "web": False,
    }


def test_a_lost_ledger_is_found_again_with_its_frozen_names() -> None:
    lost = Observed(
        unknown={
            f"{SOURCE}/api": tags_of(1, "gateway"),
            f"{REPLICAS}/api": tags_of(1, "gateway"),
            f"{SOURCE}/old": tags_of(9, "old"),
        }
    )
    after = plan(repository(1, "gateway"), observed=lost, **with_replicas())
    assert after.ledger.entries[1].service == "api"
    assert states(after.ledger.entries[1].replicas) == {f"{REPLICAS}/api": "active"}
    assert after.ledger.entries[9].state == "kept"


def test_what_another_stack_made_is_never_taken() -> None:
    other = Observed(unknown={f"{SOURCE}/api": tags_of(1, "api", "ecr-estate/other")})
    made = plan(*repositories("api", "web"), observed=other)
    assert [each.placement.name for each in made.image_repositories] == ["web"]
    (left_out,) = made.left_out
    assert left_out.stands == f"{SOURCE}/api"
    assert "ecr-estate adopt" in left_out.reason


def test_what_stands_already_is_left_out_until_it_is_adopted_by_name() -> None:
    foreign = Observed(unknown={f"{SOURCE}/api": {}})
    left = plan(*repositories("api", "web"), observed=foreign)
    assert [each.repository for each in left.left_out] == ["api"]
    adopted = plan(*repositories("api", "web"), observed=foreign, adopted=["api"])
    assert len(adopted.image_repositories) == 2
    with pytest.raises(EstateError, match="1 image repositories that are planned stand already"):
        plan(*repositories("api", "web"), observed=foreign, strict="true")


def test_a_first_deployment_that_would_leave_out_more_than_a_handful_stops_and_says_why() -> None:
    names = [f"service-{number}" for number in range(6)]
    foreign = Observed(unknown={f"{SOURCE}/{name}": {} for name in names})
    with pytest.raises(EstateError, match="6 image repositories that are planned") as stopped:
        plan(*repositories(*names), observed=foreign)
    assert len(stopped.value.offences) == 6
    before = plan(repository(9, "old")).ledger
    later = plan(repository(9, "old"), *repositories(*names), ledger=before, observed=foreign)
    assert len(later.left_out) == 6
    assert [each.placement.name for each in later.image_repositories] == ["old"]


def test_a_further_image_repository_of_a_service_waits_where_anothers_stands() -> None:
    before = plan(*repositories("api", "web")).ledger
    in_the_way = Observed(unknown={f"{REPLICAS}/api": {}, f"{SOURCE}/api/worker": {}})
    named: dict[str, Any] = {"images": {"named": {"services": {"api": ["worker"]}}}}
    after = plan(
        *repositories("api", "web"), ledger=before, observed=in_the_way, **with_replicas(), **named
    )
    assert states(after.ledger.entries[1].placements) == {f"{SOURCE}/api": "active"}
    assert states(after.ledger.entries[2].replicas) == {f"{REPLICAS}/web": "active"}
    assert f"{REPLICAS}/api" not in after.ledger.entries[1].replicas
    assert {each.stands for each in after.left_out} >= {f"{REPLICAS}/api"}
    assert any(f"{SOURCE}/api/worker" in each.reason for each in after.left_out)


def test_a_service_keeps_its_name_where_anothers_image_repository_bears_the_chosen_one() -> None:
    before = plan(repository(1, "api")).ledger
    in_the_way = Observed(unknown={f"{SOURCE}/gateway": {}})
    after = plan(repository(1, "api"), ledger=before, observed=in_the_way, names={"api": "gateway"})
    assert after.ledger == before
    assert "names: api stays api" in after.notes[0]


def test_what_others_made_is_managed_once_the_state_holds_it() -> None:
    location = f"{SOURCE}/api"
    imported = Observed(unknown={location: {}}, managed={location})
    assert not plan(repository(1, "api"), observed=imported).image_repositories[0].found


def test_all_guards_that_trip_are_said_at_once_and_are_confirmed_each_for_itself() -> None:
    before = plan(*repositories(*(f"service-{number}" for number in range(1, 11)))).ledger
    left = [repository(number, f"renamed-{number}") for number in range(5, 11)]
    gone = dict.fromkeys(range(1, 5), "deleted")
    with pytest.raises(GuardError) as stopped:
        plan(*left, ledger=before, gone=gone, strict="true")
    assert [(each.key, each.count) for each in stopped.value.guards] == [
        ("vanished", 4),
        ("renamed", 6),
    ]
    assert "set confirm.vanished to 4 and confirm.renamed to 6" in str(stopped.value)
    assert len(stopped.value.offences) == 10
    half = plan(*left, ledger=before, gone=gone, confirm={"vanished": 4})
    assert [each.key for each in half.guards if each.tripped] == ["renamed"]
    assert [entry.state for entry in half.ledger.entries.values()].count("kept") == 4
    done = plan(*left, ledger=before, gone=gone, confirm={"vanished": 4, "renamed": 6})
    assert not any(each.tripped for each in done.guards)


def test_who_has_a_name_is_told_by_id_for_a_repository_may_bear_the_name_of_one_that_is_gone() -> (
    None
):
    names: dict[str, Any] = {"payments": "gateway"}
    before = plan(repository(1, "payments"), repository(2, "checkout"), names=names).ledger
    gone = plan(repository(2, "checkout"), ledger=before, names=names).ledger
    after = plan(repository(2, "payments"), ledger=gone, names=names)
    assert "names: payments stays checkout, for gateway belongs to payments" in after.notes
    assert [(each.placement.name, each.tags["github-id"]) for each in after.image_repositories] == [
        ("gateway", "1"),
        ("checkout", "2"),
    ]


def test_one_repository_takes_over_one_service_and_the_other_stays_as_it_is() -> None:
    before = plan(*repositories("api", "web")).ledger
    chosen = settings().model_copy(
        update={"successors": {"api": 9, "web": 9}}
    )  # refused by settings
    listed = inventory(repository(9, "mono"), chosen=chosen)
    after = build_plan(chosen, listed, before, Observed(), owner=OWNER, today=TODAY)
    assert {number: entry.service for number, entry in after.ledger.entries.items()} == {
        9: "api",
        2: "web",
    }


def test_a_hand_over_that_was_killed_half_way_goes_on() -> None:
    replicas = with_replicas()
    before = plan(repository(1, "api")).ledger
    others = repository(2, "mono"), repository(3, "web")
    chosen: dict[str, Any] = {"successors": {"api": 2}, **replicas}
    begun = plan(*others, ledger=before, **chosen)
    made = {
        each.placement.location: each.tags
        for each in begun.image_repositories
        if each.placement.location == f"{REPLICAS}/api"
    }
    found = Observed(unknown=made, managed=frozenset(made))
    after = plan(*others, ledger=before, observed=found, **chosen)
    assert after.ledger == begun.ledger


def test_stages_that_would_give_two_services_one_image_repository_are_refused() -> None:
    before = plan(*repositories("api", "api-dev")).ledger
    with pytest.raises(
        EstateError, match="111111111111/eu-west-1/api-dev: would be of api and of api-dev"
    ):
        plan(
            *repositories("api", "api-dev"),
            ledger=before,
            architecture="per-stage",
            stages=["dev", "prod"],
        )


def test_stages_that_make_a_name_too_long_for_ecr_are_refused() -> None:
    before = plan(repository(1, "a" * 250)).ledger
    with pytest.raises(EstateError, match="this has 259"):
        plan(repository(1, "a" * 250), ledger=before, architecture="per-stage", stages=["workload"])


def test_a_service_stays_where_its_chosen_name_would_be_too_long() -> None:
    stages: dict[str, Any] = {"architecture": "per-stage", "stages": ["dev"]}
    before = plan(repository(1, "api"), **stages).ledger
    after = plan(repository(1, "api"), ledger=before, names={"api": "a" * 254}, **stages)
    assert after.ledger.entries[1].service == "api"
    assert "this has 258" in after.notes[0]


def test_a_lambda_account_that_becomes_an_account_set_keeps_its_image_repository() -> None:
    sets: dict[str, Any] = {
        "architecture": "per-account-set",
        "accountSets": [{"name": "prod", "account": LAMBDA, "region": "eu-west-1"}],
    }
    before = plan(repository(1, "api"), **with_replicas()).ledger
    entry = plan(repository(1, "api"), ledger=before, **sets).ledger.entries[1]
    assert dict(entry.placements) == {f"{REPLICAS}/api": "active", f"{SOURCE}/api": "kept"}
    assert not entry.replicas
    back = plan(repository(1, "api"), ledger=parse_ledger(before.to_output()), **with_replicas())
    assert dict(back.ledger.entries[1].replicas) == {f"{REPLICAS}/api": "active"}


def test_a_name_is_taken_while_a_replica_of_it_is_anothers() -> None:
    replicas, api = with_replicas(), repository(1, "api")
    full = Observed(images={f"{REPLICAS}/api": 1})
    moved: dict[str, Any] = {"names": {"api": "gateway"}, **replicas}
    ledger = plan(api, **replicas).ledger
    ledger = plan(api, ledger=ledger, **moved).ledger
    for _ in range(2):
        ledger = plan(api, ledger=ledger, observed=full, retire=["api"], **moved).ledger
    assert f"{SOURCE}/api" not in ledger.entries[1].placements
    again = plan(
        repository(1, "gateway"),
        repository(2, "api"),
        ledger=ledger,
        observed=full,
        retire=["api"],
        **replicas,
    )
    (left_out,) = again.left_out
    assert left_out.reason.startswith("the image repository api belongs to gateway")


def test_what_another_stack_of_the_estate_lost_is_taken_by_nobody() -> None:
    lost = {
        f"{SOURCE}/api": {
            "managed-by": OWNER,
            "github-id": "3",
            "github-repository": "api",
            "service": "api",
        }
    }
    after = plan(
        repository(4, "api"),
        ledger=Ledger(shard=Shard(0, 2)),
        observed=Observed(unknown=lost),
        shards=["test", "test-1"],
    )
    assert not after.image_repositories
    assert [each.id for each in after.left_out] == [4]


def test_what_is_left_out_is_told_in_one_order_whatever_became_of_it_before() -> None:
    bad = {"images": "B"}
    named: dict[str, Any] = {"images": {"named": {"property": "images"}}}
    old, two = repository(1, "old", properties=bad), repository(2, "two", properties=bad)
    before = plan(replace(old, archived=True), two, **named).ledger
    first = plan(old, two, ledger=before, **named)
    again = plan(old, two, ledger=parse_ledger(first.ledger.to_output()), **named)
    assert [each.id for each in first.left_out] == [1, 2]
    assert again.left_out == first.left_out
