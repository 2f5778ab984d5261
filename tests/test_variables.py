"""What a repository has of Actions is read before anything of ours is made there, and of few repositories."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ecr.deploy.variables import read_templates, read_variables
from ecr.errors import EstateError
from ecr.github.http import http_fetch
from ecr.github.model import Inventory
from ecr.plan.model import Variable
from sandbox.github import EmbeddedGitHub, Organisation, Repository
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
        found, unread = asyncio.run(read_variables(fetch, held, chosen, listed(github)))
    assert not unread
    return found


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


def test_a_repository_that_hides_its_variables_is_left_out_and_stops_nobody() -> None:
    with EmbeddedGitHub(organisation()) as github:
        api, web = github.organisation
        github.faults.arm("status-404", path="/repos/acme/web/", times=None)
        with http_fetch(github.url.rstrip("/"), CLASSIC.value) as fetch:
            found, unread = asyncio.run(
                read_variables(fetch, (), settings(**ROLES), listed(github))
            )
    assert (set(found), set(unread)) == ({api.id}, {web.id})
    assert "was answered with 404" in unread[web.id]


def test_newcomers_that_hide_their_variables_stop_nobody_who_has_them() -> None:
    with EmbeddedGitHub(organisation()) as github:
        api, web = (each.id for each in github.organisation)
        github.faults.arm("status-404", path="/repos/acme/web/", times=None)
        with http_fetch(github.url.rstrip("/"), CLASSIC.value) as fetch:
            held = [urn(api, name) for name in ALL]
            found, unread = asyncio.run(
                read_variables(fetch, held, settings(**ROLES), listed(github))
            )
    assert (set(found), set(unread)) == ({api}, {web})


def templates(
    github: EmbeddedGitHub, held: Iterable[str] = (), token: Token = CLASSIC
) -> tuple[Mapping[int, tuple[str, ...]], tuple[str, ...]]:
    with http_fetch(github.url.rstrip("/"), token.value) as fetch:
        known = replace(listed(github), subjects=("repo", "ref"))
        return asyncio.run(read_templates(fetch, held, settings(**ROLES), known))


def test_of_what_a_repository_makes_its_tokens_is_asked_where_it_gets_a_new_role() -> None:
    with EmbeddedGitHub(organisation()) as github:
        api, web = github.organisation
        github.organisation.add("cron")
        cron = github.organisation.get("cron")
        client = ActionsOf(github)
        client.take(web, use_default=False, include_claim_keys=["repo", "workflow"])
        client.take(cron, use_default=False)
        found, notes = templates(github)
        assert found == {
            api.id: ("repo", "context"),
            web.id: ("repo", "workflow"),
            cron.id: ("repo", "ref"),
        }
        assert notes == ()
        github.forget_calls()
        role = f"urn:pulumi:test::ecr-estate::aws:iam/role:Role::111111111111/push-x-{web.id}"
        assert templates(github, [role])[0].keys() == {api.id, cron.id}
        assert len(github.calls()) == 2


def test_where_github_does_not_say_it_is_noted_and_nobody_is_left_out() -> None:
    with EmbeddedGitHub(organisation()) as github:
        found, (note,) = templates(github, token=PUBLIC_ONLY)
    assert found == {}
    assert "does not say of 2 new repositories, api the first" in note


class ActionsOf:
    """Sets what a repository makes its tokens of, as its administrator does."""

    def __init__(self, github: EmbeddedGitHub) -> None:
        self.github = github

    def take(self, each: Repository, **said: Any) -> None:
        answer = httpx.put(
            f"{self.github.url}api/v3/repos/Acme/{each.name}/actions/oidc/customization/sub",
            headers={"Authorization": f"Bearer {self.github.token}"},
            json=said,
        )
        assert answer.status_code == 201, answer.text


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
        github.faults.arm("status-200-html", path="/actions/variables$", times=None)
        with pytest.raises(EstateError, match="that is no list of variables"):
            read(github)
