"""What a deployment changes, in an operator's words, with counts that are the engine's."""

from dataclasses import replace
from typing import Any

from ecr.github.model import Repository
from ecr.ledger.ledger import Ledger
from ecr.plan.changes import MEANINGS, summary
from ecr.plan.model import Change, EstatePlan, Observed
from tests.builders import REPLICAS, SOURCE, plan, repositories, repository, with_replicas

API, WEB = repositories("api", "web")
BEFORE = plan(API, WEB).ledger


def told(done: EstatePlan) -> list[tuple[str, str, str]]:
    return [(each.what, each.name, each.reason) for each in done.changes]


def after(*found: Repository, ledger: Ledger = BEFORE, **more: Any) -> EstatePlan:
    return plan(*found, ledger=ledger, **more)


def test_a_steady_estate_changes_nothing() -> None:
    assert after(API, WEB).changes == ()


def test_a_new_repository_is_created_with_all_its_image_repositories() -> None:
    before = plan(API, **with_replicas()).ledger
    done = after(API, repository(3, "worker"), ledger=before, **with_replicas())
    assert told(done) == [("created", "worker", "new on GitHub")]
    assert done.changes[0].locations == (f"{SOURCE}/worker", f"{REPLICAS}/worker")


def test_a_replica_that_is_asked_for_later_is_created_for_a_service_that_is_known() -> None:
    done = after(API, WEB, **with_replicas())
    assert {(each.what, each.reason) for each in done.changes} == {
        ("created", "asked for from now on")
    }
    assert sum(len(each.locations) for each in done.changes) == 2


def test_a_rename_names_both() -> None:
    assert told(after(repository(1, "gateway"), WEB)) == [
        ("renamed", "api", "api is now called gateway")
    ]


def test_what_is_kept_says_why() -> None:
    assert told(after(replace(API, archived=True), WEB)) == [("kept", "api", "archived")]
    gone = after(WEB, gone={1: "transferred to other/api"})
    assert told(gone) == [("kept", "api", "transferred to other/api")]


def test_a_replica_that_is_no_longer_asked_for_is_kept_though_its_service_is_active() -> None:
    with_them = plan(API, WEB, **with_replicas()).ledger
    done = after(API, WEB, ledger=with_them, **with_replicas(patterns=["api"]))
    assert told(done) == [("kept", "web", "no longer asked for")]
    assert done.changes[0].locations == (f"{REPLICAS}/web",)


def test_a_repository_that_is_back_makes_its_service_return() -> None:
    kept = after(WEB).ledger
    assert told(after(API, WEB, ledger=kept)) == [
        ("returned", "api", "its repository is selected again")
    ]


def test_retiring_takes_two_deployments_and_each_says_so() -> None:
    kept = after(WEB).ledger
    first = after(WEB, ledger=kept, retire=["api"])
    assert told(first) == [("retiring", "api", "named under retire")]
    second = after(WEB, ledger=first.ledger, retire=["api"])
    assert told(second) == [("deleted", "api", "retired, and empty")]
    assert second.changes[0].locations == (f"{SOURCE}/api",)


def test_a_successor_is_told_as_a_rename_and_makes_nothing() -> None:
    kept = after(WEB).ledger
    done = after(WEB, repository(9, "api"), ledger=kept, successors={"api": 9})
    assert told(done) == [("handed over", "api", "goes to api (9)")]


def test_what_is_left_out_says_why() -> None:
    (change,) = after(API, WEB, repository(3, ".github")).changes
    assert (change.what, change.name) == ("left out", ".github")


def test_what_stands_already_is_taken_up_and_not_created() -> None:
    tags = {"managed-by": "ecr-estate/test", "github-id": "1", "service": "api"}
    done = plan(API, observed=Observed(unknown={f"{SOURCE}/api": tags}))
    assert ("taken up", "api", "stands in AWS already") in told(done)
    assert "created" not in {each.what for each in done.changes}


def test_what_only_the_state_knows_was_deleted_by_hand_and_what_nobody_knows_is_yet_to_be_made() -> (
    None
):
    location = f"{SOURCE}/api"
    lost = after(API, WEB, observed=Observed(absent={location}, managed={location}))
    assert told(lost) == [("missing", "api", "not in AWS")]
    unmade = after(API, WEB, observed=Observed(absent={location}))
    assert told(unmade) == [("created", "api", "asked for from now on")]


def test_the_summary_counts_by_kind_and_gathers_the_names_under_each_reason() -> None:
    changes = [
        Change("kept", "b", "archived", ("1/r/b",)),
        Change("created", "c", "new on GitHub", ("1/r/c", "2/r/c")),
        Change("kept", "a", "archived", ("1/r/a",)),
    ]
    assert summary(changes) == {
        "created": {
            "services": 1,
            "imageRepositories": 2,
            "reasons": {"new on GitHub": ["c"]},
        },
        "kept": {"services": 2, "imageRepositories": 2, "reasons": {"archived": ["b", "a"]}},
    }
    assert list(summary(changes)) == [each for each in MEANINGS if each in {"created", "kept"}]
