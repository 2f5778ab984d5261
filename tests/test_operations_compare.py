"""The comparison counts what the program would really register, and its page is fresh."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr.cli.commands.compare import sample_settings
from ecr.cli.main import main
from ecr.plan.comparison import ARCHITECTURES, compare_architectures
from tests.builders import (
    config,
    inventory,
    outputs_file,
    plan,
    repositories,
    settings,
    stack_file,
)
from tests.mocks import deploy, no_invoke

ROOT = Path(__file__).resolve().parent.parent
HUNDRED = ["--repositories", str(ROOT / "sandbox/organisation.txt")]
STAGES: dict[str, Any] = {
    "stages": ["dev", "staging", "prod"],
    "accountSets": [
        {"name": "nonprod", "account": "111111111111", "region": "eu-west-1"},
        {"name": "prod", "account": "444444444444", "region": "eu-west-1"},
    ],
    "lambdaReplicas": {
        "accounts": [
            {"account": account, "regions": ["eu-west-1"]}
            for account in ("222222222222", "333333333333")
        ],
        "services": {"patterns": ["*-lambda"]},
    },
}


def serving(*stages: str) -> dict[str, Any]:
    """The Lambda accounts, each naming the stage or set whose images it runs."""
    accounts = zip(STAGES["lambdaReplicas"]["accounts"], stages, strict=True)
    named = [{**account, "serves": stage} for account, stage in accounts]
    return {**STAGES["lambdaReplicas"], "accounts": named}


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["compare", *arguments, "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_every_architecture_is_counted_without_replicas_and_with_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = printed(capsys, *HUNDRED)
    assert [(row["architecture"], row["lambdaReplicas"]) for row in rows] == [
        (architecture, replicated) for architecture in ARCHITECTURES for replicated in (False, True)
    ]
    assert [row["imageRepositories"] for row in rows] == [99, 111, 297, 309, 198, 210]
    assert [row["promotionSteps"] for row in rows] == [0, 0, 2, 2, 1, 1]
    assert [row["storageMultiple"] for row in rows] == [1.0, 1.12, 3.0, 3.12, 2.0, 2.12]


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        (0, {"lambdaReplicas": None}),
        (1, {}),
        (2, {"architecture": "per-stage", "lambdaReplicas": None}),
        (3, {"architecture": "per-stage", "lambdaReplicas": serving("dev", "prod")}),
        (4, {"architecture": "per-account-set", "lambdaReplicas": None}),
        (5, {"architecture": "per-account-set", "lambdaReplicas": serving("nonprod", "prod")}),
    ],
)
def test_the_resources_are_those_that_the_program_registers(
    row: int, changes: dict[str, Any]
) -> None:
    names = ("api", "web", "mail-lambda")
    counted = list(compare_architectures(settings(**STAGES), inventory(*repositories(*names))))[row]
    chosen = {**STAGES, "accountSets": STAGES["accountSets"] if row in {4, 5} else (), **changes}
    static = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    registered = deploy(config(static=static, **chosen), no_invoke).registrations
    ours = [each for each in registered if re.match("aws:|pulumi:providers:aws", each.type)]
    assert len(ours) == counted.resources


@pytest.mark.parametrize("name", ["Pulumi.prod.yaml", "Pulumi.sandbox-namespaces.yaml"])
def test_a_stack_with_namespaces_and_push_roles_is_compared_without_them(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = str(Path(__file__).parent.parent / name)
    assert main(["compare", "--count", "5", "--settings", stack, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["services"] == 5


def test_lambda_accounts_are_spread_over_the_stages_unless_they_name_one() -> None:
    organisation = inventory(*repositories("mail-lambda"))
    spread = list(compare_architectures(settings(**STAGES), organisation))
    assert [row.replicas for row in spread if row.replicated] == [2, 2, 2]
    accounts = [{**each, "serves": "dev"} for each in STAGES["lambdaReplicas"]["accounts"]]
    replicas = {**STAGES["lambdaReplicas"], "accounts": accounts}
    named = {**STAGES, "architecture": "per-stage", "lambdaReplicas": replicas}
    assert [row.rules for row in compare_architectures(settings(**named), organisation)][2:4] == [
        0,
        1,
    ]


def test_a_stacks_file_is_completed_by_the_sample(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text(
        yaml.safe_dump(
            {"config": {"github:token": "unread", "ecr-estate:stages": ["test", "live"]}}
        )
    )
    completed = sample_settings(file)
    assert completed.stages == ("test", "live")
    assert [each.name for each in completed.account_sets] == ["nonprod", "prod"]
    assert len(completed.lambda_replicas.accounts) == 2
    assert sample_settings(ROOT / "Pulumi.prod.yaml").artifacts.account == "111122223333"


def test_a_stacks_outputs_say_which_services_are_lambdas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = plan(*repositories("api", "web", "mail-lambda"), **STAGES).ledger.to_output()
    outputs = outputs_file(tmp_path, ledger=held)
    assert [row["replicas"] for row in printed(capsys, "--outputs", str(outputs))] == [0, 3] * 3
    told = printed(capsys, "--outputs", str(outputs), "--lambdas", "*")
    assert [row["replicas"] for row in told] == [0, 9] * 3


def test_a_mere_number_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--count", "1000"]) == 0
    assert "| per-stage       | no              |              3,000 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repositories", "nowhere.txt"], "nowhere.txt: No such file"),
        (["--count", "1", "--settings", "Makefile"], "Makefile"),
        (["--outputs", "Makefile"], "pulumi stack output --json"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["compare", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_what_a_month_costs_is_what_the_numbers_come_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = printed(
        capsys,
        *("--count", "100"),
        *("--images", "10", "--size", "1024", "--pushes", "5", "--pulls", "2"),
    )
    costs = {(row["architecture"], row["lambdaReplicas"]): row for row in rows}
    central = costs["central", False]
    # 100 image repositories of 10 GB at 0.10; 100 services that are pulled twice, a GB at 0.02.
    assert (central["storageCost"], central["transferCost"]) == (100.0, 4.0)
    assert (central["scanningCost"], central["currency"]) == (0.0, "USD")
    assert costs["per-stage", False]["storageCost"] == 300.0
    # Ten Lambda services have one replica in another Region: five pushes each, and no far pulls.
    replicated = costs["central", True]
    assert replicated["farReplicas"] == 10
    assert replicated["transferCost"] == round((10 * 5 + 90 * 2) * 0.02, 2)
    assert replicated["cost"] == round(130.0 + replicated["transferCost"], 2)


def test_enhanced_scans_and_the_settings_own_prices_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = {"enhancedScan": 1, "currency": "EUR", "standardGbMonth": 0}
    file = stack_file(tmp_path, scanning={"type": "ENHANCED"}, prices=prices)
    rows = printed(capsys, "--count", "10", "--settings", file, "--pushes", "3")
    assert (rows[0]["scanningCost"], rows[0]["cost"], rows[0]["currency"]) == (30.0, 30.0, "EUR")
    assert main(["compare", "--count", "10", "--settings", file]) == 0
    assert "EUR a month" in capsys.readouterr().out


def test_a_month_may_be_as_it_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = {
        "service": "api",
        "name": "api",
        "part": "placement",
        "images": 4,
        "standardBytes": 4 * 2**30,
        "archiveBytes": 0,
        "pushedImages": 2,
    }
    file = tmp_path / "usage.json"
    replica = {**held, "part": "replica", "images": 999}
    file.write_text(json.dumps({"imageRepositories": [held, replica]}))
    rows = printed(capsys, "--count", "10", "--usage", str(file))
    assert rows[0]["storageCost"] == 4.0
    rows = printed(capsys, "--count", "10", "--usage", str(file), "--images", "8")
    assert rows[0]["storageCost"] == 8.0
    file.write_text("{}")
    assert main(["compare", "--count", "10", "--usage", str(file)]) == 1
    assert "usage --json" in capsys.readouterr().err
