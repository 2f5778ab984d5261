"""The estate as data: every service of the outputs is in it, with what became of it and why."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.commands.estate import estate_of
from ecr.cli.main import main
from ecr.deploy.outputs import outputs
from ecr.engine.outputs import Outputs
from ecr.errors import EstateError
from ecr.ledger.ledger import Source
from ecr.plan.model import EstatePlan
from tests.builders import (
    LAMBDA,
    SOURCE,
    TODAY,
    config,
    plan,
    repositories,
    repository,
    settings,
)
from tests.builders import with_replicas as replicated
from tests.mocks import deploy, no_invoke


def put_out(done: EstatePlan, **changes: Any) -> dict[str, Any]:
    """Outputs as the engine gives them back: through JSON, the ledger in no order."""
    stated: dict[str, Any] = json.loads(json.dumps(outputs(settings(**changes), done)))
    return stated


def shown(*stated: object, stack: str = "") -> dict[str, Any]:
    source = Source("The outputs cannot be read.", "here", "write them anew")
    return estate_of(*(Outputs.of(each, source) for each in stated), stack=stack)


def test_an_active_service_says_where_its_images_and_replicas_are() -> None:
    estate = shown(
        put_out(plan(repository(7, "Atmos"), **replicated()), **replicated()), stack="prod"
    )
    assert estate["stack"] == "prod"
    assert estate["registries"] == [
        [SOURCE, "111111111111.dkr.ecr.eu-west-1.amazonaws.com"],
        [f"{LAMBDA}/eu-west-1", "222222222222.dkr.ecr.eu-west-1.amazonaws.com"],
    ]
    assert estate["services"] == [
        [7, "Atmos", "atmos", "", "active", TODAY, "", [[0, "atmos", "active"]],
         [[1, "atmos", "active"]], ""]
    ]  # fmt: skip


def test_a_kept_service_says_why() -> None:
    before = plan(*repositories("api", "web")).ledger
    after = plan(repository(1, "api", archived=True), repository(2, "web"), ledger=before)
    kept, _ = shown(put_out(after))["services"]
    assert kept[4:8] == ["kept", TODAY, "archived", [[0, "api", "kept"]]]


def test_an_image_repository_that_is_kept_beside_an_active_service_is_named() -> None:
    before = plan(repository(1, "api"), **replicated()).ledger
    after = plan(repository(1, "api"), ledger=before, **replicated(property="lambda"))
    (service,) = shown(put_out(after, **replicated()))["services"]
    assert service[4] == "active"
    assert service[6] == "api: no longer asked for by the settings"
    assert service[8] == [[1, "api", "kept"]]


def test_what_is_left_out_or_deselected_is_there_with_its_reason() -> None:
    done = plan(repository(1, "api"), repository(2, "API"), repository(3, "old", archived=True))
    estate = shown(put_out(done))
    ((number, name, reason),) = estate["leftOut"]
    assert (number, name) == (2, "API")
    assert reason.startswith("the image repository api belongs to api")
    assert estate["deselected"] == {"archived": 1}


def test_several_stacks_are_shown_as_one_estate() -> None:
    names = [{"id": 1, "name": "api"}, {"id": 2, "name": "web"}, {"id": 3, "name": ".github"}]
    stacks = ["prod", "prod-1"]
    parts = [
        deploy(config(static=names, shards=stacks), no_invoke, stack=stack).outputs
        for stack in stacks
    ]
    estate, whole = shown(*parts), deploy(config(static=names), no_invoke).outputs
    assert [each[2] for each in estate["services"]] == ["api", "web"]
    assert [each[1] for each in estate["leftOut"]] == [".github"]
    assert estate == shown(whole)


def test_a_namespace_is_what_stands_before_the_last_slash_of_a_service() -> None:
    done = plan(repository(1, "api"), names={"api": "team-blue/api"})
    assert shown(put_out(done))["services"][0][3] == "team-blue"


def test_the_page_gets_a_script_and_everybody_else_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, script = tmp_path / "outputs.json", tmp_path / "data.js"
    given.write_text(json.dumps(put_out(plan(*repositories("web", "api")))))
    assert main(["estate", "--outputs", str(given), "--output", str(script)]) == 0
    assert main(["estate", "--outputs", str(given)]) == 0
    printed = json.loads(capsys.readouterr().out)
    text = script.read_text().removeprefix("window.estate = ").removesuffix(";\n")
    assert json.loads(text) == printed
    assert [each[2] for each in printed["services"]] == ["api", "web"]


def test_ten_thousand_services_stay_below_two_megabytes() -> None:
    names = (f"organisation-service-{number:05}" for number in range(10_000))
    done = plan(*repositories(*names), **replicated())
    text = json.dumps(shown(put_out(done, **replicated())), separators=(",", ":"))
    assert len(text) < 2_000_000


def test_outputs_that_hold_no_ledger_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EstateError, match="an entry is damaged"):
        shown({"ledger": {"schema": 1, "services": {"one": {}}}})
    (tmp_path / "none.json").write_text("{}")
    assert main(["estate", "--outputs", str(tmp_path / "none.json")]) == 1


def test_outputs_that_are_given_twice_are_refused() -> None:
    stated = put_out(plan(repository(7, "Atmos")))
    with pytest.raises(EstateError, match="GitHub id 7 and 0 more; give the file of each stack"):
        shown(stated, stated)


@pytest.mark.parametrize(
    "changes", [{"report": []}, {"leftOut": 3}, {"leftOut": [{"id": "x"}]}, {"ledger": 3}]
)
def test_outputs_of_another_shape_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EstateError, match="outputs"):
        shown({**put_out(plan(repository(7, "Atmos"))), **changes})
