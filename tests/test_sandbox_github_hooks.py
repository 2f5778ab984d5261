"""Webhooks of the embedded GitHub are really delivered, and its newer documents have GitHub's shape."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from githubkit_schemas.latest.models import (
    Environment,
    HookDelivery,
    HookDeliveryItem,
    InstallationRepositoriesGetResponse200,
    OidcCustomSub,
    OidcCustomSubRepo,
    OrgHook,
    OrgsOrgHooksPostBody,
    RepositoryRuleset,
    ReposOwnerRepoActionsVariablesGetResponse200,
    ReposOwnerRepoDispatchesPostBody,
    ReposOwnerRepoEnvironmentsEnvironmentNamePutBody,
    ReposOwnerRepoEnvironmentsGetResponse200,
    ReposOwnerRepoRulesetsPostBody,
    WebhookPing,
    WebhookRepositoryArchived,
    WebhookRepositoryCreated,
    WebhookRepositoryDeleted,
    WebhookRepositoryRenamed,
)

from sandbox.github.client import GitHubControl
from sandbox.github.rules import Visitor, visited
from sandbox.github.tokens import APP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

CLOSED = "/repos/acme-corp/closed"
HOOKS = "/orgs/acme-corp/hooks"
PROTECTION = {
    "wait_timer": 30,
    "prevent_self_review": True,
    "reviewers": [{"type": "User", "id": 1}, {"type": "Team", "id": 2}],
    "deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": False},
}
RULESET = {
    "name": "main",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
    "rules": [{"type": "deletion"}, {"type": "non_fast_forward"}],
}
SECRET = "s3cret"


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    with visited() as github:
        yield Visitor(github)


Sent = tuple["Mapping[str, str]", bytes]


@contextmanager
def receiver(status: int = 204) -> Iterator[tuple[str, Queue[Sent]]]:
    """Somebody who receives payloads: the address, and what came there."""
    came: Queue[Sent] = Queue()

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.put((dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiving) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/github", came
        server.shutdown()
        thread.join()


def hook(url: str) -> dict[str, Any]:
    config = {"url": url, "content_type": "json", "secret": SECRET}
    return {"name": "web", "events": ["repository"], "config": config}


def test_what_happens_to_repositories_is_delivered_and_signed(visitor: Visitor) -> None:
    organisation = visitor.github.organisation
    with receiver() as (url, came):
        status, made, _ = visitor.ask("POST", HOOKS, hook(url))
        visitor.ask("POST", "/orgs/acme-corp/repos", {"name": "new"})
        organisation.rename("new", "newer")
        organisation.archive("newer")
        visitor.ask("DELETE", "/repos/acme-corp/newer")
    assert status == 201
    OrgHook.model_validate(made)
    sent = [came.get_nowait() for _ in range(5)]
    events: dict[str, type[BaseModel]] = {
        "ping": WebhookPing,
        "created": WebhookRepositoryCreated,
        "renamed": WebhookRepositoryRenamed,
        "archived": WebhookRepositoryArchived,
        "deleted": WebhookRepositoryDeleted,
    }
    for (headers, body), (event, model) in zip(sent, events.items(), strict=True):
        document = json.loads(body)
        model.model_validate(document)
        assert document.get("action", "ping") == event
        assert headers["X-GitHub-Event"] == ("ping" if event == "ping" else "repository")
        assert headers["X-GitHub-Hook-ID"] == str(made["id"])
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Hub-Signature-256"] == f"sha256={digest}"
        assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert len({headers["X-GitHub-Delivery"] for headers, _ in sent}) == 5
    assert json.loads(sent[2][1])["changes"]["repository"]["name"]["from"] == "new"


def test_a_delivery_that_failed_is_made_again_when_asked_under_its_own_guid(
    visitor: Visitor,
) -> None:
    with receiver(500) as (url, came):
        made = visitor.ask("POST", HOOKS, hook(url))[1]
        deliveries = f"{HOOKS}/{made['id']}/deliveries"
        (first,) = visitor.ask("GET", deliveries)[1]
        assert visitor.status("POST", f"{deliveries}/{first['id']}/attempts") == 202
    second, _ = visitor.ask("GET", deliveries)[1]
    assert (first["status_code"], first["guid"]) == (500, second["guid"])
    assert [second["redelivery"], first["redelivery"]] == [True, False]
    assert came.qsize() == 2
    HookDeliveryItem.model_validate(first)
    HookDelivery.model_validate(visitor.ask("GET", f"{deliveries}/{first['id']}")[1])


def test_a_receiver_may_ask_github_while_it_is_told(visitor: Visitor) -> None:
    seen: Queue[int] = Queue()

    class Asking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.put(len(visitor.ask("GET", "/orgs/acme-corp/repos")[1]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Asking) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        visitor.ask("POST", HOOKS, hook(f"http://127.0.0.1:{server.server_address[1]}/"))
        visitor.github.organisation.add("new")
        server.shutdown()
        thread.join()
    assert [seen.get_nowait(), seen.get_nowait()] == [4, 5]


def test_a_hook_is_changed_pinged_and_ended(visitor: Visitor) -> None:
    with receiver() as (url, came):
        one = f"{HOOKS}/{visitor.ask('POST', HOOKS, hook(url))[1]['id']}"
        assert visitor.status("POST", f"{one}/pings") == 204
        assert visitor.ask("PATCH", one, {"active": False})[1]["active"] is False
        visitor.github.organisation.add("unheard")
        assert visitor.ask("GET", one)[1]["config"]["url"] == url
        assert visitor.status("DELETE", one) == 204
        assert visitor.status("GET", one) == 404
    assert came.qsize() == 2


def test_an_event_for_a_repositorys_workflows_is_kept(visitor: Visitor) -> None:
    body = {"event_type": "repository-created", "client_payload": {"name": "new"}}
    ReposOwnerRepoDispatchesPostBody.model_validate(body)
    own = visitor.issued("workflow", ["closed"], contents="write")
    assert visitor.status("POST", f"{CLOSED}/dispatches", body, token=own) == 204
    assert GitHubControl(visitor.github.url).dispatches() == [
        {
            "repository": "closed",
            "event_type": "repository-created",
            "client_payload": {"name": "new"},
            "token": "workflow",
        }
    ]


def test_what_is_sent_is_what_github_takes() -> None:
    OrgsOrgHooksPostBody.model_validate(hook("http://127.0.0.1:1/"))
    ReposOwnerRepoEnvironmentsEnvironmentNamePutBody.model_validate(PROTECTION)
    ReposOwnerRepoRulesetsPostBody.model_validate(RULESET)


def test_an_environment_is_made_told_and_ended_with_its_reviewers(visitor: Visitor) -> None:
    one = f"{CLOSED}/environments/Prod"
    status, made, _ = visitor.ask("PUT", one, PROTECTION)
    Environment.model_validate(made)
    assert status == 200
    assert [rule["type"] for rule in made["protection_rules"]] == [
        "wait_timer",
        "required_reviewers",
        "branch_policy",
    ]
    assert [each["type"] for each in made["protection_rules"][1]["reviewers"]] == ["User", "Team"]
    assert visitor.ask("GET", one.lower())[1] == made
    listed = visitor.ask("GET", f"{CLOSED}/environments")[1]
    ReposOwnerRepoEnvironmentsGetResponse200.model_validate(listed)
    assert listed["total_count"] == 1
    visitor.ask("POST", f"{one}/variables", {"name": "a", "value": "b"})
    assert visitor.ask("GET", f"{one}/variables/A")[1]["value"] == "b"
    assert visitor.ask("PUT", one, {})[1]["protection_rules"] == []
    assert visitor.status("DELETE", one) == 204
    assert visitor.status("GET", one) == 404


@pytest.mark.parametrize("owner", ["/repos/acme-corp/closed", "/orgs/acme-corp"])
def test_a_ruleset_is_made_changed_and_ended(visitor: Visitor, owner: str) -> None:
    status, made, _ = visitor.ask("POST", f"{owner}/rulesets", RULESET)
    RepositoryRuleset.model_validate(made)
    one = f"{owner}/rulesets/{made['id']}"
    assert status == 201
    changed = visitor.ask("PUT", one, {"enforcement": "evaluate"})[1]
    assert (changed["enforcement"], changed["rules"]) == ("evaluate", RULESET["rules"])
    (listed,) = visitor.ask("GET", f"{owner}/rulesets")[1]
    RepositoryRuleset.model_validate(listed)
    assert "rules" not in listed
    assert visitor.ask("GET", one)[1] == changed
    assert visitor.status("DELETE", one) == 204
    assert visitor.status("GET", one) == 404


def test_the_subjects_of_tokens_are_set_for_all_and_for_one(visitor: Visitor) -> None:
    template = "/orgs/acme-corp/actions/oidc/customization/sub"
    own = f"{CLOSED}/actions/oidc/customization/sub"
    OidcCustomSub.model_validate(visitor.ask("GET", template)[1])
    assert visitor.ask("GET", template)[1]["include_claim_keys"] == ["repo", "context"]
    keys = ["repo", "context", "job_workflow_ref"]
    assert visitor.status("PUT", template, {"include_claim_keys": keys}) == 201
    assert visitor.ask("GET", template, token=APP)[1]["include_claim_keys"] == keys
    OidcCustomSubRepo.model_validate(visitor.ask("GET", own)[1])
    body = {"use_default": False, "include_claim_keys": keys, "use_immutable_subject": True}
    assert visitor.status("PUT", own, body) == 201
    told = visitor.ask("GET", own)[1]
    OidcCustomSubRepo.model_validate(told)
    number = visitor.github.organisation.id
    assert told["sub_claim_prefix"] == f"repo:Acme-Corp@{number}/closed@{visitor.id('closed')}"


def test_listings_of_variables_and_of_an_installation_have_githubs_shape(visitor: Visitor) -> None:
    visitor.ask("POST", f"{CLOSED}/actions/variables", {"name": "a", "value": "b"})
    listed = visitor.ask("GET", f"{CLOSED}/actions/variables?per_page=30")[1]
    ReposOwnerRepoActionsVariablesGetResponse200.model_validate(listed)
    status, told, headers = visitor.ask("GET", "/installation/repositories?per_page=3", token=APP)
    InstallationRepositoriesGetResponse200.model_validate(told)
    assert (status, len(told["repositories"])) == (200, 3)
    assert 'installation/repositories?per_page=3&page=2>; rel="next"' in headers["link"]


def test_a_token_can_be_made_from_another_process(visitor: Visitor) -> None:
    control = GitHubControl(visitor.github.url)
    value = control.issue("installation", repositories=["inside"])
    (token,) = [each for each in visitor.github.tokens if each.value == value]
    assert visitor.names(token) == {"open", "inside"}
