"""The embedded GitHub takes what the real provider writes, in the shape that GitHub publishes."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from githubkit_schemas.latest.models import (
    ActionsVariable,
    FullRepository,
    OrgsOrgReposPostBody,
    ReposOwnerRepoActionsVariablesPostBody,
)

from sandbox.github import EmbeddedGitHub, Organisation
from sandbox.github.tokens import CLASSIC, PUBLIC_ONLY, Token

REPOS = "/orgs/acme/repos"
API = "/repos/acme/api"
VARIABLES = f"{API}/actions/variables"
NEW = {"name": "api", "visibility": "private", "has_wiki": False, "delete_branch_on_merge": True}
VARIABLE = {"name": "ecr_role", "value": "one"}


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub(Organisation("acme")) as embedded:
        yield embedded


def asked(
    github: EmbeddedGitHub, method: str, path: str, body: Any = None, token: Token = CLASSIC
) -> tuple[int, Any]:
    """Ask, and give the status and what the body says."""
    with closing(http.client.HTTPConnection(urlsplit(github.url).netloc)) as connection:
        headers = {"Authorization": f"token {token.value}"}
        connection.request(method, f"/api/v3{path}", json.dumps(body), headers)
        with closing(connection.getresponse()) as response:
            text = response.read()
            return response.status, json.loads(text) if text else None


def test_what_is_sent_is_what_github_takes() -> None:
    OrgsOrgReposPostBody.model_validate(NEW)
    ReposOwnerRepoActionsVariablesPostBody.model_validate(VARIABLE)


def test_a_repository_is_made_read_changed_and_deleted(github: EmbeddedGitHub) -> None:
    status, made = asked(github, "POST", REPOS, NEW)
    FullRepository.model_validate(made)
    assert (status, made["visibility"], made["has_wiki"]) == (201, "private", False)
    assert asked(github, "GET", API)[1]["delete_branch_on_merge"] is True
    status, changed = asked(github, "PATCH", API, {"archived": True, "homepage": "https://a.b"})
    FullRepository.model_validate(changed)
    assert (status, changed["archived"], changed["homepage"]) == (200, True, "https://a.b")
    assert changed["has_wiki"] is False
    assert asked(github, "PATCH", API, {"name": "gateway"})[0] == 403  # archived
    renamed = asked(github, "PATCH", API, {"name": "gateway", "archived": False})[1]
    assert renamed["id"] == made["id"]
    assert asked(github, "DELETE", "/repos/acme/gateway") == (204, None)
    assert asked(github, "GET", "/repos/acme/gateway")[0] == 404


def test_a_variable_is_made_read_changed_and_deleted(github: EmbeddedGitHub) -> None:
    asked(github, "POST", REPOS, NEW)
    assert asked(github, "POST", VARIABLES, VARIABLE)[0] == 201
    held = asked(github, "GET", f"{VARIABLES}/ECR_ROLE")[1]
    ActionsVariable.model_validate(held)
    assert (held["name"], held["value"]) == ("ECR_ROLE", "one")
    assert asked(github, "PATCH", f"{VARIABLES}/ECR_ROLE", {"value": "two"})[0] == 204
    assert asked(github, "GET", f"{VARIABLES}/ECR_ROLE")[1]["value"] == "two"
    assert asked(github, "DELETE", f"{VARIABLES}/ECR_ROLE")[0] == 204
    assert asked(github, "GET", f"{VARIABLES}/ECR_ROLE")[0] == 404


def test_a_variable_of_a_renamed_repository_is_found_by_a_redirect_that_keeps_the_method(
    github: EmbeddedGitHub,
) -> None:
    made = asked(github, "POST", REPOS, NEW)[1]
    asked(github, "POST", VARIABLES, VARIABLE)
    asked(github, "PATCH", API, {"name": "gateway"})
    variable = f"/repositories/{made['id']}/actions/variables/ECR_ROLE"
    status, said = asked(github, "DELETE", f"{VARIABLES}/ECR_ROLE")
    assert (status, said["message"]) == (307, "Temporary Redirect")
    assert said["url"].endswith(variable)
    assert asked(github, "GET", f"{VARIABLES}/ECR_ROLE")[0] == 301
    assert asked(github, "POST", VARIABLES, VARIABLE)[0] == 307
    assert asked(github, "GET", variable)[1]["value"] == "one"
    assert asked(github, "DELETE", variable, token=PUBLIC_ONLY)[0] == 404
    assert asked(github, "DELETE", variable)[0] == 204
    assert asked(github, "GET", variable)[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", REPOS, NEW, 422),  # it is there already
        ("POST", REPOS, {"name": "a b"}, 422),
        ("POST", REPOS, ["api"], 400),
        ("POST", "/orgs/other/repos", NEW, 404),
        ("PUT", API, {}, 404),
        ("PATCH", "/repos/acme/nowhere", {}, 404),
        ("POST", VARIABLES, VARIABLE, 409),  # it is there already
        ("POST", VARIABLES, {"name": "GITHUB_X", "value": "no"}, 422),
        ("PATCH", f"{VARIABLES}/NOWHERE", {"value": "x"}, 404),
        ("PUT", f"{VARIABLES}/ECR_ROLE", {"value": "x"}, 404),
    ],
)
def test_what_github_refuses_is_refused(
    github: EmbeddedGitHub, method: str, path: str, body: Any, status: int
) -> None:
    asked(github, "POST", REPOS, NEW)
    asked(github, "POST", VARIABLES, VARIABLE)
    assert asked(github, method, path, body)[0] == status


def test_a_token_that_sees_public_repositories_only_changes_nothing(
    github: EmbeddedGitHub,
) -> None:
    assert asked(github, "POST", REPOS, NEW, PUBLIC_ONLY)[0] == 403
    asked(github, "POST", REPOS, NEW)
    assert asked(github, "DELETE", API, token=PUBLIC_ONLY)[0] == 404


def test_something_is_done_at_a_request_when_github_has_acted_and_nobody_knows() -> None:
    organisation = Organisation("acme")
    api = organisation.add("api")
    path = "repos/acme/api/actions/variables"
    with EmbeddedGitHub(organisation) as github:
        held = github.api.actions.held(api)
        seen: list[set[str]] = []
        headers = {"Authorization": f"Bearer {github.token}"}
        with github.at_call(
            2, lambda: seen.append(set(held)), method="POST", path="/actions/variables$"
        ):
            httpx.get(f"{github.url}api/v3/{path}", headers=headers)
            for name in ("ONE", "TWO", "THREE"):
                body = {"name": name, "value": "x"}
                httpx.post(f"{github.url}api/v3/{path}", headers=headers, json=body)
    assert seen == [{"ONE", "TWO"}]


def test_a_fault_may_be_of_one_method_alone() -> None:
    organisation = Organisation("acme")
    api = organisation.add("api")
    with EmbeddedGitHub(organisation) as github:
        address = f"{github.url}api/v3/repos/acme/api/actions/variables"
        headers = {"Authorization": f"Bearer {github.token}"}
        github.faults.arm("connection-reset", path="/actions/variables$", method="POST")
        assert httpx.get(address, headers=headers).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.post(address, headers=headers, json={"name": "ONE", "value": "x"})
        assert github.api.actions.held(api) == {"ONE": "x"}, "GitHub has acted"
