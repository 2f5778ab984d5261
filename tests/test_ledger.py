"""The ledger: what is written is read back; what cannot be read stops the deployment."""

from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger, parse_ledger
from tests.builders import SOURCE, plan, repositories, with_replicas


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "repository": "api",
        "service": "api",
        "state": "active",
        "since": "2026-11-22",
        "placements": {f"{SOURCE}/api": "active"},
        "replicas": {},
        **changes,
    }


def stated(**changes: Any) -> dict[str, Any]:
    return {"schema": 1, "services": {"1": entry(**changes)}}


def test_one_entry_as_it_stands_in_the_outputs_is_read() -> None:
    assert parse_ledger(stated()).entries[1].service == "api"


def written() -> dict[str, Any]:
    return plan(*repositories("api", "web"), **with_replicas()).ledger.to_output()


def test_a_first_deployment_has_an_empty_ledger() -> None:
    assert parse_ledger(None) == Ledger()


def test_what_is_written_is_read_back() -> None:
    assert parse_ledger(written()).to_output() == written()


def test_numbers_come_back_from_the_engine_as_floating_point() -> None:
    assert parse_ledger({**written(), "schema": 1.0}).to_output() == written()


def test_a_newer_ledger_asks_for_the_newer_program() -> None:
    with pytest.raises(EstateError, match="of schema 2, and this program knows 1; deploy with"):
        parse_ledger({**written(), "schema": 2.0})


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        [],
        {},
        {"schema": "one"},
        {"schema": 1},
        {"schema": 1, "services": []},
        {"schema": 1, "services": {"x": {}}},
        {"schema": 1, "services": {"1": {"repository": "api"}}},
        stated(service="Bad Name"),
        stated(since="never"),
        stated(placements={"garbage": "active"}),
        stated(placements={f"{SOURCE}/api": "gone"}),
        stated(replicas={f"{SOURCE}/api": "active"}),
        {"schema": 1, "services": {number: entry() for number in ("1", "2")}},
    ],
)
def test_a_damaged_ledger_is_never_taken_for_an_empty_one(damaged: object) -> None:
    with pytest.raises(EstateError, match="cannot be used; nothing was changed"):
        parse_ledger(damaged)


def test_an_unknown_state_is_damage() -> None:
    damaged = written()
    damaged["services"]["1"]["state"] = "asleep"
    with pytest.raises(EstateError, match="asleep"):
        parse_ledger(damaged)
