"""Which Actions variables stand already is read before one is written, and of few repositories."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from ecr.deploy.variables import read_variables
from ecr.errors import EstateError
from ecr.github.http import http_fetch
from ecr.github.model import Inventory
from ecr.plan.model import Variable
from sandbox.github import EmbeddedGitHub, Organisation
from sandbox.github.tokens import APP, CLASSIC, PUBLIC_ONLY, Token
from tests.builders import inventory, repository, settings

ROLES: dict[str, Any] = {"pushRoles": {"organisationId": 7, "variables": True}}
ALL = ("ECR_PUSH_ROLE", "ECR_REGION", "ECR_REPOSITORY")


def organisation() -> Organisation:
    made = Organisation("Acme")
    for name in ("api", "web"):
        made.add(name, visibility="private")
    return made


def listed(github: EmbeddedGitHub) -> Inventory:
    return inventory(*(repository(each.id, each.name) for each in github.organisation))


def read(
    github: EmbeddedGitHub,
    held: Iterable[str] = (),
    *,
    token: Token = CLASSIC,
    **changes: Any,
) -> Mapping[int, Mapping[str, Variable]]:
    chosen = settings(**(changes or ROLES))
    with http_fetch(github.url.rstrip("/"), token.value) as fetch:
        return asyncio.run(read_variables(fetch, held, chosen, listed(github)))


def urn(number: int, name: str, role: str = "push-api") -> str:
    kind = "aws:iam/role:Role$github:index/actionsVariable:ActionsVariable"
    return f"urn:pulumi:test::ecr-estate::{kind}::111111111111/{role}-{number}/{name}"


@pytest.mark.parametrize("token", [CLASSIC, APP])
def test_every_variable_of_a_repository_is_read_however_many_there_are(token: Token) -> None:
    with EmbeddedGitHub(organisation()) as github:
        api = github.organisation.get("api")
        held = {f"V{number}": str(number) for number in range(65)}
        github.api.actions.held(api).update(held)
        found = read(github, token=token)
    assert {name: each.value for name, each in found[api.id].items()} == held
    assert len(github.calls()) == 3 + 1


def test_a_repository_whose_variables_the_state_holds_is_not_asked() -> None:
    with EmbeddedGitHub(organisation()) as github:
        api, web = (each.id for each in github.organisation)
        held = [urn(api, name) for name in ALL] + [urn(web, "ECR_REGION", "push-web")]
        found = read(github, held)
    assert [call["path"] for call in github.calls()] == ["/api/v3/repos/acme/web/actions/variables"]
    assert found[api]["ECR_REGION"] == Variable(urn=urn(api, "ECR_REGION"))
    assert found[web] == {"ECR_REGION": Variable(urn=urn(web, "ECR_REGION", "push-web"))}


def test_only_repositories_that_get_a_role_are_asked() -> None:
    chosen = {"organisationId": 7, "variables": True, "services": {"patterns": ["web"]}}
    with EmbeddedGitHub(organisation()) as github:
        read(github, pushRoles=chosen)
        assert len(github.calls()) == 1


def test_variables_that_cannot_be_read_are_not_taken_for_none() -> None:
    with (
        EmbeddedGitHub(organisation()) as github,
        pytest.raises(EstateError, match="nothing was changed") as refused,
    ):
        read(github, token=PUBLIC_ONLY)
    assert len(refused.value.offences) == 2
    assert "actions/variables?per_page=30&page=1 was answered with 404" in refused.value.offences[0]


def test_something_that_is_no_list_of_variables_is_refused() -> None:
    with EmbeddedGitHub(organisation()) as github:
        github.faults.arm("status-200-html", path="/actions/variables$")
        with pytest.raises(EstateError, match="that is no list of variables"):
            read(github)
