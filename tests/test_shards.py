"""Several stacks are one estate: each has its own services, all choose names in view of each other."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.cli.commands.shards import MOVES_A_LINE, commands, moves_between
from ecr.cli.main import main
from ecr.engine.types import REPOSITORY, ROLE
from ecr.errors import EstateError
from ecr.ledger.ledger import Entry, Ledger, gather
from ecr.ledger.moves import all_moved
from ecr.ledger.shards import WHOLE, Shard, shard_of
from tests.builders import ARTIFACTS, SOURCE, config, with_replicas
from tests.mocks import Deployment, deploy, no_invoke

STACKS = ["prod", "prod-1"]
STATIC = [{"id": number, "name": f"service-{number}"} for number in range(1, 9)]


def entry(name: str) -> Entry:
    return Entry(name, name, "active", "2026-11-22", {f"{SOURCE}/{name}": "active"})


def invoking(*managed: str, tags: Mapping[str, dict[str, str]] | None = None) -> Any:
    """Registries that list everything deployed so far, and a state that holds what is named."""
    listed = tags or {}

    def invoke(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        match token.rpartition(":")[2]:
            case "getRepositories":
                return {"names": list(listed)}
            case "getRepository":
                return {"tags": listed[arguments["name"]]}
            case "readStackResourceOutputs":
                urns = [f"urn:pulumi:s::ecr-estate::{REPOSITORY}::{each}" for each in managed]
                return {"outputs": {urn: {"type": REPOSITORY, "outputs": {}} for urn in urns}}
        return no_invoke(token, arguments)

    return invoke


def deployed(stack: str, invoke: Any = no_invoke, **more: Any) -> Deployment:
    changes = more.pop("changes", {})
    values = config(**{"static": STATIC, "shards": STACKS, **changes})
    return deploy(values, invoke, stack=stack, **more)


@given(st.integers(1, 50), st.integers(0, 10**9))
def test_every_service_belongs_to_exactly_one_stack(of: int, number: int) -> None:
    assert [Shard(index, of).owns(number) for index in range(of)].count(True) == 1


def test_a_stack_that_is_not_in_the_list_is_refused() -> None:
    assert shard_of("prod", []) == WHOLE
    assert shard_of("prod-1", STACKS) == Shard(1, 2)
    with pytest.raises(EstateError, match="append it, in every stack's file"):
        shard_of("dev", STACKS)


def test_the_stacks_share_the_services_and_the_first_has_the_registries() -> None:
    first, second = deployed("prod"), deployed("prod-1")
    names = [set(each.of("Repository")) for each in (first, second)]
    assert names[0] == {f"{SOURCE}/service-{number}" for number in (2, 4, 6, 8)}
    assert names[1] == {f"{SOURCE}/service-{number}" for number in (1, 3, 5, 7)}
    assert first.of("RegistryPolicy").keys() == {SOURCE}
    assert not second.of("RegistryPolicy")
    assert not second.of("RegistryScanningConfiguration")
    assert set(second.outputs["ledger"]["services"]) == {"1", "3", "5", "7"}
    assert first.outputs["report"]["registries"] == second.outputs["report"]["registries"]


def test_the_first_stack_replicates_for_all_of_them() -> None:
    replicas = with_replicas(patterns=["service-1"])
    first = deployed("prod", changes=replicas)
    (rule,) = first.of("ReplicationConfiguration")[SOURCE].inputs["replicationConfiguration"][
        "rules"
    ]
    assert [each["filter"] for each in rule["repositoryFilters"]] == ["service-1"]
    assert not deployed("prod-1", changes=replicas).of("ReplicationConfiguration")


def test_a_name_that_another_stack_has_given_is_taken() -> None:
    first = deployed("prod")
    static = [*STATIC, {"id": 9, "name": "other"}]
    changes = {"static": static, "names": {"other": "service-2"}}
    second = deployed("prod-1", other_outputs={"prod": first.outputs}, changes=changes)
    (left_out,) = second.outputs["leftOut"]
    assert left_out["repository"] == "other"
    assert "belongs to service-2" in left_out["reason"]
    assert not deployed("prod", last_outputs=first.outputs, changes=changes).outputs["leftOut"]


def test_a_guard_counts_the_services_of_its_own_stack() -> None:
    before = {stack: deployed(stack).outputs for stack in STACKS}
    changes = {"static": [each for each in STATIC if each["id"] not in {2, 4, 6, 8}]}
    others = {"prod": before["prod"]}
    deployed("prod-1", last_outputs=before["prod-1"], other_outputs=others, changes=changes)
    held = deployed("prod", last_outputs=before["prod"], changes=changes)
    assert held.outputs["report"]["waiting"] == {"vanished": 4}
    assert held.outputs["ledger"] == before["prod"]["ledger"]


def grown() -> tuple[dict[str, Any], tuple[str, ...], dict[str, dict[str, str]]]:
    """An estate of one stack: its outputs, its locations, and the tags of what stands in AWS."""
    whole = deploy(config(static=STATIC), no_invoke, stack="prod")
    made = whole.of("Repository")
    tags = {each.inputs["name"]: each.inputs["tags"] for each in made.values()}
    return whole.outputs, tuple(made), tags


def test_growing_stops_both_stacks_until_the_states_are_moved() -> None:
    outputs, locations, tags = grown()
    with pytest.raises(pulumi.RunError, match="ecr-estate shards") as stopped:
        deployed("prod", invoking(*locations, tags=tags), last_outputs=outputs)
    assert "still in the state of this stack" in str(stopped.value)
    with pytest.raises(pulumi.RunError, match="not in its state yet"):
        deployed("prod-1", invoking(tags=tags), other_outputs={"prod": outputs})


@pytest.mark.parametrize("order", [("prod", "prod-1"), ("prod-1", "prod")])
def test_once_moved_every_service_keeps_its_name_whichever_stack_is_deployed_first(
    order: tuple[str, str],
) -> None:
    outputs, locations, tags = grown()
    static = [{**each, "name": f"renamed-{each['id']}"} for each in STATIC]
    changes = {"static": static, "confirm": {"renamed": 4}}
    held: dict[str, Any] = {"prod": outputs, "prod-1": {}}
    for stack in order:
        odd = stack == "prod-1"
        mine = [each for each in locations if int(each.rsplit("-")[-1]) % 2 == odd]
        done = deployed(
            stack,
            invoking(*mine, tags=tags),
            last_outputs=held[stack],
            other_outputs={other: held[other] for other in STACKS if other != stack},
            changes=changes,
        )
        assert set(done.of("Repository")) == set(mine)
        assert all(not each.imported for each in done.of("Repository").values())
        held[stack] = done.outputs
    services = [each for one in held.values() for each in one["ledger"]["services"].values()]
    assert {each["service"] for each in services} == {f"service-{number}" for number in range(1, 9)}


def test_a_stack_remembers_what_it_gave_away_until_the_other_has_it() -> None:
    outputs, locations, tags = grown()
    even = [each for each in locations if int(each.rsplit("-")[-1]) % 2 == 0]
    odd = [each for each in locations if each not in even]
    first = deployed("prod", invoking(*even, tags=tags), last_outputs=outputs)
    assert len(first.outputs["ledger"]["services"]) == 8
    second = deployed("prod-1", invoking(*odd, tags=tags), other_outputs={"prod": first.outputs})
    assert set(second.outputs["ledger"]["services"]) == {"1", "3", "5", "7"}
    again = deployed(
        "prod",
        invoking(*even, tags=tags),
        last_outputs=first.outputs,
        other_outputs={"prod-1": second.outputs},
    )
    assert set(again.outputs["ledger"]["services"]) == {"2", "4", "6", "8"}


def test_of_a_service_that_two_know_the_stack_that_it_belongs_to_is_believed() -> None:
    old, new = entry("old"), entry("new")
    both = gather(Ledger({1: old, 2: old}), {1: Ledger({1: new})}, Shard(0, 2))
    assert both.entries == {1: new, 2: old}
    assert both.leaving == {1}
    assert not both.arriving
    assert not both.waiting
    alone = gather(Ledger({1: old}), {1: Ledger()}, Shard(0, 2))
    assert alone.waiting == {1}
    coming = gather(Ledger(), {0: Ledger({1: old})}, Shard(1, 2))
    assert coming.arriving == {1}


def test_the_error_lists_some_and_counts_the_rest() -> None:
    many = {number: entry(f"s-{number}") for number in range(1, 60, 2)}
    ledger = gather(Ledger(), {0: Ledger(many)}, Shard(1, 2))
    with pytest.raises(EstateError, match="30 image repositories") as refused:
        all_moved(ledger, frozenset())
    assert len(refused.value.offences) == 11


def state(stack: str, *numbers: int) -> list[dict[str, Any]]:
    return [
        {"type": "pulumi:pulumi:Stack", "urn": f"urn:{stack}"},
        *(
            {
                "type": REPOSITORY,
                "urn": f"urn:pulumi:{stack}::ecr-estate::{REPOSITORY}::{SOURCE}/s-{number}",
                "inputs": {"tags": {"github-id": str(number)}},
            }
            for number in numbers
        ),
    ]


def test_what_is_in_the_wrong_state_is_moved_and_nothing_else() -> None:
    moves = moves_between({"a": state("a", 0, 1, 2, 3), "b": state("b", 4), "c": state("c")})
    assert {key: [urn.rsplit("-")[-1] for urn in urns] for key, urns in moves.items()} == {
        ("a", "b"): ["1"],
        ("a", "c"): ["2"],
    }


def test_push_roles_move_with_their_services_and_other_roles_stay() -> None:
    def role(name: str, path: str) -> dict[str, Any]:
        return {"type": ROLE, "urn": f"urn:{name}", "inputs": {"name": name, "path": path}}

    roles = [
        role("push-team.api-1", "/ecr-estate/"),
        role("push-api-2", "/ecr-estate/"),
        role("push-api-3", "/"),
        role("push-api", "/ecr-estate/"),
    ]
    states = {"a": roles, "b": state("b")}
    assert moves_between(states) == {("a", "b"): ["urn:push-team.api-1"]}


def test_each_stack_has_the_push_roles_of_its_services_and_the_first_the_provider() -> None:
    asked = {"pushRoles": {"organisationId": 7, "createProvider": True}}
    first, second = deployed("prod", changes=asked), deployed("prod-1", changes=asked)
    assert {name.rpartition("-")[2] for name in first.of("Role")} == {"2", "4", "6", "8"}
    assert {name.rpartition("-")[2] for name in second.of("Role")} == {"1", "3", "5", "7"}
    assert first.of("OpenIdConnectProvider")
    assert not second.of("OpenIdConnectProvider")


def test_a_long_move_is_several_commands() -> None:
    (moves,) = [moves_between({"a": state("a", *range(1, 1001, 2)), "b": state("b")})]
    lines = list(commands(moves))
    assert len(lines) == -(-500 // MOVES_A_LINE)
    assert all(each.startswith("pulumi state move --source a --dest b --yes ") for each in lines)
    assert sum(len(re.findall("urn:pulumi", each)) for each in lines) == 500


def stack_file(folder: Path, **settings: Any) -> str:
    file = folder / "Pulumi.prod.yaml"
    file.write_text(
        json.dumps(
            {
                "config": {
                    key: json.loads(value) if value[0] in "[{" else value
                    for key, value in config(**settings).items()
                }
            }
        )
    )
    return str(file)


def test_the_command_prints_what_a_shell_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for stack in STACKS:
        resources = state(stack, *([1, 2] if stack == "prod" else []))
        (tmp_path / stack).write_text(json.dumps({"deployment": {"resources": resources}}))
    (tmp_path / "pulumi").write_text(f'#!/bin/sh\nfor last; do :; done\ncat {tmp_path}/"$last"\n')
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    file = stack_file(tmp_path, shards=STACKS)
    assert main(["shards", "--settings", file]) == 0
    assert capsys.readouterr().out.startswith("pulumi state move --source prod --dest prod-1 --yes")
    assert main(["shards", "--settings", file, "--json"]) == 0
    (move,) = json.loads(capsys.readouterr().out)["moves"]
    assert (move["from"], move["to"], len(move["urns"])) == ("prod", "prod-1", 1)
    (tmp_path / "prod-1").unlink()
    assert main(["shards", "--settings", file]) == 1
    assert "pulumi stack init prod-1" in capsys.readouterr().err


def test_where_nothing_moves_a_shell_has_nothing_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = json.dumps({"deployment": {"resources": state("any")}})
    (tmp_path / "pulumi").write_text(f"#!/bin/sh\necho '{held}'\n")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert main(["shards", "--settings", stack_file(tmp_path, shards=STACKS)]) == 0
    assert capsys.readouterr().out == ""


def test_the_guide_grows_an_estate_as_the_trials_do() -> None:
    guide = (Path(__file__).parent.parent / "docs/guides/large-estates.md").read_text()
    commands = re.findall(r"^ +((?:pulumi|ecr-estate) .+)$", guide, re.MULTILINE)
    assert commands == [
        "pulumi stack init prod-1",
        "ecr-estate shards --settings Pulumi.prod.yaml",
        "ecr-estate shards --settings Pulumi.prod.yaml | sh -e",
        "pulumi up --stack prod",
        "pulumi up --stack prod-1",
    ]


def test_an_estate_of_one_stack_has_nothing_to_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shards", "--settings", stack_file(tmp_path)]) == 1
    assert "name the stacks there" in capsys.readouterr().err


def test_the_same_stack_twice_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="repeats prod"):
        deployed("prod", changes={"shards": ["prod", "prod"]})


def test_nothing_of_another_stacks_account_is_needed() -> None:
    assert deployed("prod-1").of("aws").keys() == {ARTIFACTS}
