"""The list as a file: written from GitHub or from outputs, read again, and refused by its lines."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.github.http import api_address, http_fetch
from ecr.github.inventory import read_inventory
from ecr.github.model import Repository
from ecr.github.static_list import read_list, static_inventory, written_list
from ecr.github.transport import Reply
from sandbox.github import EmbeddedGitHub, Organisation
from tests.builders import outputs_file, plan, repository, settings, stack_file, with_replicas


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedGitHub]:
    organisation = Organisation("acme")
    organisation.add("api", properties={"lambda": "true"})
    organisation.add("web")
    organisation.add("old", archived=True)
    with EmbeddedGitHub(organisation) as embedded:
        monkeypatch.setenv("GITHUB_TOKEN", embedded.token)
        monkeypatch.setenv("GITHUB_BASE_URL", embedded.url)
        yield embedded


def got(url: str, token: str) -> Reply:
    with http_fetch(url, token) as fetch:

        async def get() -> Reply:
            return await fetch("orgs/acme")

        return asyncio.run(get())


def test_the_list_has_what_the_selection_lets_in(github: EmbeddedGitHub, tmp_path: Path) -> None:
    output = tmp_path / "services.yaml"
    assert main(["list", "--settings", stack_file(tmp_path), "--output", str(output)]) == 0
    assert [(each.name, each.properties) for each in read_list(output)] == [
        ("api", {"lambda": "true"}),
        ("web", {}),
    ]
    assert [each.id for each in read_list(output)] == [
        github.organisation.get(name).id for name in ("api", "web")
    ]


def test_it_is_printed_unless_a_file_is_named(
    github: EmbeddedGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", "--settings", stack_file(tmp_path)]) == 0
    assert "name: web" in capsys.readouterr().out
    assert len(github.calls()) == 3


def test_a_listing_that_cannot_be_trusted_writes_nothing(
    github: EmbeddedGitHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    github.faults.arm("status-502-html", times=None)
    output = tmp_path / "services.yaml"
    assert main(["list", "--settings", stack_file(tmp_path), "--output", str(output)]) == 1
    assert "502" in capsys.readouterr().err
    assert not output.exists()


def test_without_a_token_nobody_is_asked(
    github: EmbeddedGitHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert main(["list", "--settings", stack_file(tmp_path)]) == 1
    assert "set GITHUB_TOKEN" in capsys.readouterr().err
    assert not github.calls()


def test_a_server_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecr.github.http.sleep", lambda _: None)
    with EmbeddedGitHub(Organisation("acme")) as gone:
        url = gone.url
    with pytest.raises(EstateError, match="got no answer"):
        got(url, "token")


@pytest.mark.parametrize(
    ("base_url", "api"),
    [
        (None, "https://api.github.com/"),
        ("https://github.acme.example", "https://github.acme.example/api/v3/"),
        ("https://github.acme.example/", "https://github.acme.example/api/v3/"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com/"),
        ("https://api.acme.ghe.com/", "https://api.acme.ghe.com/"),
        ("https://notghe.com", "https://notghe.com/api/v3/"),
    ],
)
def test_the_api_of_each_github_is_found_by_its_address(base_url: str | None, api: str) -> None:
    assert api_address(base_url) == api


def test_a_redirect_within_the_host_is_followed(github: EmbeddedGitHub) -> None:
    github.organisation.rename_organisation("other")
    reply = got(github.url, github.token)
    assert json.loads(reply.body)["login"] == "other"


def test_a_redirect_to_another_host_is_not_followed(github: EmbeddedGitHub) -> None:
    github.organisation.rename_organisation("other")
    elsewhere = github.url.replace("127.0.0.1", "localhost")  # it redirects to the number
    reply = got(elsewhere, github.token)
    assert reply.status == 301


def test_outputs_give_the_properties_that_explain_the_replicas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = with_replicas(property="lambda")
    held = plan(repository(1, "api", properties={"lambda": "true"}), repository(2, "web"), **rules)
    outputs = outputs_file(tmp_path, ledger=held.ledger.to_output())
    where = stack_file(tmp_path, **rules)
    assert main(["list", "--settings", where, "--outputs", str(outputs)]) == 0
    entries = tmp_path / "services.yaml"
    entries.write_text(capsys.readouterr().out)
    again = plan(*static_inventory(read_list(entries)).repositories, ledger=held.ledger, **rules)
    assert again == held


def test_what_is_written_is_read_again() -> None:
    texts = {"lambda": "true", "languages": ("go", "python"), "note": "1: 2"}
    written = written_list([repository(7, "web"), repository(3, "api", properties=texts)])
    entries = yaml.safe_load(written)
    assert [each["id"] for each in entries] == [3, 7]
    assert entries[0]["properties"]["languages"] == ["go", "python"]


def test_the_file_of_the_settings_is_the_inventory(tmp_path: Path) -> None:
    file = tmp_path / "services.yaml"
    file.write_text(written_list([repository(3, "api", properties={"x": ("a", "b")})]))
    read = asyncio.run(read_inventory(settings(staticFile=str(file)), ()))
    assert read.repositories == (Repository(3, "api", properties={"x": ("a", "b")}),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {id: 1, name: api}\n\n- {id: 0, name: web}\n", "line 3: id = 0: is too small"),
        ("# ours\n- id: 1\n", "line 2: name: is missing; add it"),
        ("- {id: 1, name: api, nmae: x}\n", "line 1: nmae: is not a setting; did you mean name?"),
        (
            "- {id: 1, name: api, properties: {lambda: true}}\n",
            "line 1: properties.lambda = true: must be text, or a list of texts; quote it",
        ),
        ("- {id: 1, name: a}\n- {id: 1, name: b}\n", "line 2: id = 1: is already line 1; list it"),
        ("- api\n", 'line 1: = "api": must be a map of settings'),
        ("", " = null: must be a list"),
        ("[]", " = []: has too few entries"),
        ("- [", "is not YAML"),
    ],
)
def test_an_offence_in_the_file_is_named_by_its_line(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "services.yaml"
    file.write_text(text)
    with pytest.raises(EstateError) as refused:
        read_list(file)
    assert said in str(refused.value)
    assert "services.yaml" in str(refused.value)


def test_a_file_that_is_not_there_is_named_by_its_setting() -> None:
    with pytest.raises(EstateError, match=r"staticFile = 'nowhere.yaml': No such file"):
        asyncio.run(read_inventory(settings(staticFile="nowhere.yaml"), ()))


def test_two_lists_at_once_are_refused() -> None:
    with pytest.raises(EstateError, match=r"staticFile = \"a.yaml\": stands beside static"):
        settings(static=[{"id": 1, "name": "api"}], staticFile="a.yaml")


SECRET = "ghp_sekret"


@pytest.mark.parametrize("token", [f"{SECRET}\n", f"{SECRET} ", f"{SECRET}\u4e2d"])
def test_a_token_that_no_header_can_hold_is_refused_and_never_shown(
    token: str,
    github: EmbeddedGitHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", token)
    assert main(["list", "--settings", stack_file(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "GITHUB_TOKEN: holds white space" in said
    assert SECRET not in said
    assert not github.calls()


@pytest.mark.parametrize("url", ["foo", "http://[bad/"])
def test_an_address_that_is_none_is_said_with_the_setting(url: str) -> None:
    with pytest.raises(EstateError, match="write GITHUB_BASE_URL or github"):
        got(url, "token")
