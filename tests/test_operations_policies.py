"""`ecr-estate policies`: every document of a stack, each with its size against the limit."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr.cli.main import main
from ecr.plan.access.documents import LIMITS
from ecr.plan.limits import documents_of
from tests.builders import outputs_file, plan, repositories

STACK = {
    "github": {"organisation": "acme"},
    "artifacts": {"account": "111111111111", "region": "eu-west-1"},
    "awsOrganisation": "o-a1b2c3d4e5",
    "static": [{"id": 1, "name": "api"}, {"id": 2, "name": "web"}],
}


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return written(tmp_path)


def written(folder: Path, **changes: Any) -> Path:
    values = {f"ecr-estate:{key}": value for key, value in {**STACK, **changes}.items()}
    file = folder / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": values}))
    return file


def test_each_document_is_printed_whole_with_its_size(
    stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policies", "--settings", str(stack)]) == 0
    shown = capsys.readouterr().out
    first, _, rest = shown.partition("\n")
    text = plan(*repositories("api", "web")).registries[0].policy or ""
    assert first == (
        f"registry 111111111111/eu-west-1: registry policy, {len(text):,} of 10,240 characters (4%)"
    )
    document, _ = json.JSONDecoder().raw_decode(rest)
    assert document == json.loads(text)
    assert "deploy role of 111111111111: identity policy" in shown
    assert "preview role of 111111111111: identity policy" in shown


def test_as_json_it_has_every_document_of_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: dict[str, Any] = {
        "alerts": {"severities": ["HIGH"]},
        "pushRoles": {"organisationId": 7},
        "namespaces": {"known": {"payments": {}}},
    }
    assert main(["policies", "--settings", str(written(tmp_path, **changes)), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    planned = plan(*repositories("api", "web"), **changes)
    wanted = {(each.kind, each.where, len(each.text)) for each in documents_of(planned)}
    assert wanted < {(each["kind"], each["of"], each["characters"]) for each in shown}
    assert all(each["limit"] == LIMITS[each["kind"]] for each in shown)


def test_names_that_the_ledger_has_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = plan(*repositories("old", "web")).ledger
    outputs = outputs_file(tmp_path, ledger=before.to_output())
    file = written(tmp_path, pushRoles={"organisationId": 7})
    assert main(["policies", "--settings", str(file), "--outputs", str(outputs)]) == 0
    assert "push-old-1" in capsys.readouterr().out


def test_the_roles_alone_need_no_inventory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    file = written(tmp_path, static=None)
    config = yaml.safe_load(file.read_text())
    del config["config"]["ecr-estate:static"]
    file.write_text(yaml.safe_dump(config))
    assert main(["policies", "--settings", str(file), "--roles", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["of"] for each in shown] == [
        "deploy role of 111111111111",
        "preview role of 111111111111",
    ]
    assert main(["policies", "--settings", str(file)]) == 1
    assert "There is no GitHub token" in capsys.readouterr().err


def test_a_document_that_is_too_long_is_an_error_here_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branches = [f"release/2026-{number:03}" for number in range(60)]
    file = written(tmp_path, pushRoles={"organisationId": 7, "branches": branches})
    assert main(["policies", "--settings", str(file)]) == 1
    assert "its trust policy has" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--outputs", "o.json"], "--outputs: is for --settings"),
        (["--settings", "f", "--stack", "x"], "--stack: --settings is read instead"),
        (["--settings", "f", "--config-file", "x"], "--config-file: --settings is read instead"),
        (["--matrix", "--roles"], "--matrix: --roles prints no matrix"),
        (["--matrix", "--json"], "--json: the matrix is Markdown only"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policies", *arguments]) == 2
    assert said in capsys.readouterr().err
