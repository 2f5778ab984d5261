"""The ledger: what is written is read back; what cannot be read stops the deployment."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr.engine.types import STACK
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger, parse_ledger
from ecr.ledger.migrations import LEDGER_REVISION
from tests.builders import REPLICAS, SOURCE, plan, repositories, with_replicas

STATES = Path(__file__).parent / "engine" / "states"


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


REVISION_1 = {"schema": 1, "services": {"1": entry(replicas={f"{REPLICAS}/team/api": "active"})}}
"""As version 0.1.0 wrote it: `tests/engine/states/0.1.0.json` has one of a real deployment."""


def test_a_ledger_of_the_first_revision_is_migrated_and_says_whose_the_settings_are() -> None:
    ledger = parse_ledger(REVISION_1)
    assert ledger.registries.keys() == {SOURCE, REPLICAS}
    assert {ledger.hold(each, "policy") for each in (SOURCE, REPLICAS)} == {"managed"}
    assert ledger.hold("999999999999/eu-west-1", "policy") is None
    assert ledger.to_output()["revision"] == LEDGER_REVISION
    assert parse_ledger(ledger.to_output()) == ledger


def test_the_ledger_in_the_saved_state_of_the_first_version_is_migrated() -> None:
    saved = json.loads((STATES / "0.1.0.json").read_text())["deployment"]["resources"]
    (old,) = (each["outputs"]["ledger"] for each in saved if each["type"] == STACK)
    assert "revision" not in old
    ledger = parse_ledger(old)
    assert [each.service for each in ledger.entries.values()] == ["api", "web"]
    assert set(ledger.registries) == {SOURCE, REPLICAS}


def test_what_an_older_program_wrote_over_a_migrated_ledger_is_migrated_again() -> None:
    """An older program drops the revision; what it kept of the registries is kept."""
    back = {key: each for key, each in written().items() if key != "revision"}
    assert parse_ledger(back).to_output() == written()


def test_a_newer_revision_of_the_same_schema_is_read_so_that_one_can_go_back() -> None:
    newer = {**written(), "revision": 9.0, "somethingNew": {"of": "a later version"}}
    assert parse_ledger(newer).to_output() == written()


def test_what_is_written_is_what_the_first_version_reads() -> None:
    """Its reader, as it was: the schema's number, and these keys of each entry."""
    output = json.loads(json.dumps(written()))
    assert output["schema"] == 1
    assert output["services"]
    for number, raw in output["services"].items():
        assert int(number)
        assert {"repository", "service", "state", "since", "placements", "replicas"} <= raw.keys()
        assert raw["state"] in {"active", "kept", "retiring"}
        assert date.fromisoformat(raw["since"])
        for state in (*raw["placements"].values(), *raw["replicas"].values()):
            assert state in {"active", "kept", "retiring"}


@pytest.mark.parametrize("revision", [0, -1, "two", None, {}])
def test_a_revision_that_there_is_not_is_damage(revision: object) -> None:
    with pytest.raises(EstateError, match="an entry is damaged"):
        parse_ledger({**written(), "revision": revision})


def test_an_unknown_state_is_damage() -> None:
    damaged = written()
    damaged["services"]["1"]["state"] = "asleep"
    with pytest.raises(EstateError, match="asleep"):
        parse_ledger(damaged)
