"""The listing from GitHub: it proves that it is complete, or it stops.

The embedded GitHub is asked by plain HTTP here; the engine's tests ask it through the provider.
"""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.github.listing import ListingRefusedError, _refused, list_organisation
from ecr.github.model import Inventory
from ecr.github.transport import Reply
from ecr.settings.models import GitHub
from sandbox.github import EmbeddedGitHub, Organisation, synthetic_organisation
from sandbox.github.tokens import (
    APP,
    CLASSIC,
    FINE_GRAINED,
    FINE_GRAINED_PUBLIC,
    MEMBER,
    PUBLIC_ONLY,
    REPO_ONLY,
    UNAUTHORISED,
    Token,
)

LOGIN = "sandbox-org"


def list_with(
    github: EmbeddedGitHub,
    token: str = CLASSIC.value,
    login: str = LOGIN,
    expected: tuple[int, ...] = (),
    *,
    properties: bool = False,
    subjects: bool = False,
    visibilities: tuple[str, ...] = ("public", "private", "internal"),
    change: Callable[[Reply], Reply] = lambda reply: reply,
) -> Inventory:
    async def fetch(endpoint: str) -> Reply:
        request = urllib.request.Request(  # noqa: S310 - the address is loopback's
            f"{github.url}api/v3/{endpoint}", headers={"Authorization": f"Bearer {token}"}
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: ASYNC210, S310 - nothing else runs meanwhile
                return change(reply(answer, answer.status))
        except urllib.error.HTTPError as error:
            with error:
                return reply(error, error.code)

    def reply(answer: Any, status: int) -> Reply:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        try:
            return Reply(status, headers, answer.read().decode())
        except http.client.IncompleteRead as cut:
            return Reply(status, headers, cut.partial.decode())

    chosen = GitHub.model_validate(
        {"organisation": login, "selection": {"visibilities": visibilities}}
    )
    listing = list_organisation(fetch, chosen, expected, properties=properties, subjects=subjects)
    return asyncio.run(listing)


def faulted(fault: str, count: int = 250, **how: Any) -> Inventory:
    with EmbeddedGitHub(synthetic_organisation(count)) as github:
        github.faults.arm(fault, **how)
        return list_with(github)


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200, 1001])
def test_every_repository_is_listed_in_the_fewest_requests(count: int) -> None:
    organisation = synthetic_organisation(count)
    with EmbeddedGitHub(organisation) as github:
        listed = list_with(github)
        assert len(github.calls()) == listed.calls == 2 * ceil(count / 100) + 1
    assert [each.id for each in listed.repositories] == sorted(each.id for each in organisation)


def test_the_facts_of_a_repository_are_read() -> None:
    organisation = Organisation(LOGIN)
    organisation.add(
        "API", visibility="internal", archived=True, fork=True, properties={"lambda": "true"}
    )
    with EmbeddedGitHub(organisation) as github:
        listed = list_with(github)
    (only,) = listed.repositories
    assert (only.name, only.visibility, only.archived, only.fork) == ("API", "internal", True, True)
    assert only.properties["lambda"] == "true"
    assert listed.deselected == {only.id: "archived"}


def test_an_organisation_is_found_in_any_case_and_known_as_github_writes_it() -> None:
    with EmbeddedGitHub(synthetic_organisation(3, "Sandbox-Org")) as github:
        listed = list_with(github, login=LOGIN.upper())
    assert (len(listed.repositories), listed.login) == (3, "Sandbox-Org")


def test_an_empty_organisation_is_refused_rather_than_believed() -> None:
    with (
        EmbeddedGitHub(Organisation(LOGIN)) as github,
        pytest.raises(ListingRefusedError, match="no repository at all"),
    ):
        list_with(github)


@pytest.mark.parametrize(
    ("fault", "how", "said"),
    [
        ("status-500", {"page": 2}, "was answered with 500"),
        ("status-502-html", {"page": 3}, "was answered with 502"),
        ("status-401", {"page": 1}, "set a new GITHUB_TOKEN"),
        ("status-403", {"page": 2}, "was answered with 403"),
        ("status-404", {"page": 2}, "check github.organisation"),
        ("json-cut", {"page": 2, "times": None}, "are not JSON"),
        ("json-no-list", {"page": 1, "times": None}, "not a list"),
        ("sso-partial", {"page": 1}, "authorise the token for the organisation's SSO"),
        ("rate-limit-429", {"page": 2}, "GitHub limits the rate"),
    ],
)
def test_a_page_that_fails_refuses_the_whole_listing(
    fault: str, how: dict[str, Any], said: str
) -> None:
    with pytest.raises(ListingRefusedError, match="nothing was changed") as refused:
        faulted(fault, **how)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "fault",
    [
        "page-short",
        "page-empty",
        "page-repeated",
        "row-duplicated",
        "link-missing",
    ],
)
def test_a_page_that_stays_wrong_refuses_the_listing_after_three_tries(fault: str) -> None:
    with pytest.raises(ListingRefusedError, match="3 listings of sandbox-org could not be trusted"):
        faulted(fault, page=1, direction="asc", times=None)


@pytest.mark.parametrize(
    "fault",
    [
        "page-short",
        "page-empty",
        "page-repeated",
        "row-duplicated",
        "link-missing",
        "json-cut",
        "json-no-list",
        "status-200-html",
    ],
)
def test_a_page_that_is_wrong_once_is_read_again(fault: str) -> None:
    assert len(faulted(fault, page=2, direction="asc").repositories) == 250


def test_rows_in_another_order_are_still_all_of_them() -> None:
    assert len(faulted("rows-reordered", page=2).repositories) == 250


@pytest.mark.parametrize("token", [CLASSIC, REPO_ONLY])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_deletion_between_pages_never_hides_a_living_repository(when: str, token: Any) -> None:
    organisation = synthetic_organisation(250)
    with EmbeddedGitHub(organisation) as github:
        github.faults.arm(f"deleted-{when}-page", page=2, direction="asc")
        listed = list_with(github, token.value)
    assert {each.id for each in listed.repositories} == {each.id for each in organisation}


@pytest.mark.parametrize(
    "fault", ["created-before-page", "created-after-page", "renamed-after-page"]
)
def test_what_changes_while_the_listing_runs_is_in_it_or_it_is_repeated(fault: str) -> None:
    organisation = synthetic_organisation(250)
    with EmbeddedGitHub(organisation) as github:
        github.faults.arm(fault, page=2, direction="asc")
        listed = list_with(github)
    assert {each.id for each in listed.repositories} == {each.id for each in organisation}


def some_private() -> Organisation:
    organisation = synthetic_organisation(5)
    organisation.add("hidden", visibility="private")
    return organisation


def test_a_classic_token_without_the_scope_is_found_out_by_its_scopes() -> None:
    with (
        EmbeddedGitHub(some_private()) as github,
        pytest.raises(ListingRefusedError, match="the scopes public_repo"),
    ):
        list_with(github, PUBLIC_ONLY.value)


def test_a_listing_without_private_repositories_is_found_out_by_the_counts() -> None:
    with EmbeddedGitHub(some_private()) as github:
        github.faults.arm("private-hidden", times=None)
        with pytest.raises(ListingRefusedError, match="lists public repositories only"):
            list_with(github)


def test_where_nothing_shows_it_the_operator_is_told_to_look() -> None:
    with EmbeddedGitHub(some_private()) as github:
        assert "check that it sees them" in list_with(github, FINE_GRAINED_PUBLIC.value).notes[0]
        assert not list_with(github, FINE_GRAINED.value).notes


@pytest.mark.parametrize("token", [MEMBER, REPO_ONLY])
def test_private_repositories_whose_number_nobody_tells_are_not_said_to_be_all(
    token: Token,
) -> None:
    with EmbeddedGitHub(some_private()) as github:
        (note,) = list_with(github, token.value).notes
        assert "1 private or internal repositories are listed" in note
        assert "that none is missing is not proven" in note
        assert not list_with(github, token.value, visibilities=("public",)).notes


def test_a_fine_grained_token_for_some_repositories_does_not_pass_for_the_whole() -> None:
    organisation = some_private()
    organisation.add("other", visibility="private")
    with EmbeddedGitHub(organisation) as github:
        some = github.issue("fine-grained", repositories=["hidden"])
        listed = list_with(github, some.value)
    assert {each.name for each in listed.repositories}.isdisjoint({"other"})
    assert "that none is missing is not proven" in listed.notes[0]


def test_an_app_on_all_repositories_proves_it_and_one_on_selected_ones_is_refused() -> None:
    with EmbeddedGitHub(some_private()) as github:
        assert not list_with(github, APP.value).notes
        for kind in ("installation", "workflow"):
            some = github.issue(kind, repositories=["hidden"])
            with pytest.raises(
                ListingRefusedError, match="for selected repositories of sandbox-org"
            ):
                list_with(github, some.value)
            assert list_with(github, some.value, visibilities=("public",)).repositories


@pytest.mark.parametrize("visibilities", [("public",), ("public", "private", "internal")])
@pytest.mark.parametrize("token", [CLASSIC, MEMBER, FINE_GRAINED_PUBLIC])
def test_the_count_of_public_repositories_is_everybodys_and_always_compared(
    token: Token, visibilities: tuple[str, ...]
) -> None:
    def more(reply: Reply) -> Reply:
        document = json.loads(reply.body)
        if "public_repos" not in document:
            return reply
        return replace(reply, body=json.dumps({**document, "public_repos": 40}))

    with (
        EmbeddedGitHub(some_private()) as github,
        pytest.raises(ListingRefusedError, match="5 public repositories were listed, but"),
    ):
        list_with(github, token.value, visibilities=visibilities, change=more)


@pytest.mark.parametrize("counted", [True, False])
def test_the_private_fork_of_an_advisory_is_no_service_whether_github_counts_it_or_not(
    *, counted: bool
) -> None:
    def count(reply: Reply) -> Reply:
        document = json.loads(reply.body)
        if counted or "total_private_repos" not in document:
            return reply
        return replace(reply, body=json.dumps({**document, "total_private_repos": 1}))

    organisation = some_private()
    fork = organisation.advise("hidden")
    with EmbeddedGitHub(organisation) as github:
        listed = list_with(github, change=count)
    assert listed.deselected == {fork.id: "temporary fork of a security advisory"}


def test_a_template_of_the_organisation_for_the_subjects_of_tokens_is_said() -> None:
    with EmbeddedGitHub(some_private()) as github:
        plain = list_with(github, subjects=True)
        assert (plain.subjects, plain.notes) == (("repo", "context"), ())
        github.api.actions.template = ("repo", "context", "job_workflow_ref")
        listed = list_with(github, APP.value, subjects=True)
        assert not list_with(github).notes
    assert listed.subjects == ("repo", "context", "job_workflow_ref")
    (note,) = listed.notes
    assert "a template of its own for the subjects of tokens, repo, context, job_workflow" in note


def test_a_template_that_the_token_may_not_read_is_not_taken_for_none() -> None:
    with EmbeddedGitHub(some_private()) as github:
        listed = list_with(github, REPO_ONLY.value, subjects=True)
    assert listed.subjects is None
    assert "gave no template, so it is not known whether push roles trust" in listed.notes[-1]


def test_a_token_that_is_not_authorised_for_single_sign_on_is_refused() -> None:
    with (
        EmbeddedGitHub(some_private()) as github,
        pytest.raises(ListingRefusedError, match=r"403 .*SAML"),
    ):
        list_with(github, UNAUTHORISED.value)


def test_a_wrong_token_is_refused() -> None:
    with (
        EmbeddedGitHub(synthetic_organisation(5)) as github,
        pytest.raises(EstateError, match=r"401 \(Bad credentials\)"),
    ):
        list_with(github, "wrong")


def test_another_organisation_is_not_listed_under_the_old_name() -> None:
    organisation = synthetic_organisation(5)
    with EmbeddedGitHub(organisation) as github:
        organisation.rename_organisation("new-name")
        with pytest.raises(ListingRefusedError, match="is now called new-name"):
            list_with(github)


def test_a_repository_that_is_missing_is_asked_for_before_it_counts_as_gone() -> None:
    organisation = synthetic_organisation(5)
    first, second, *_ = organisation
    organisation.delete(first.name)
    organisation.transfer_out(second.name, "another-owner")
    with EmbeddedGitHub(organisation) as github:
        listed = list_with(github, expected=(first.id, second.id))
        assert listed.calls == len(github.calls()) == 5
    assert listed.gone == {
        first.id: "deleted, or no longer visible to the token",
        second.id: f"transferred to another-owner/{second.name}",
    }


def test_a_repository_that_is_missing_but_there_refuses_the_listing() -> None:
    organisation = synthetic_organisation(5)
    hidden = organisation.add("hidden", visibility="private")
    with EmbeddedGitHub(organisation) as github:
        github.faults.arm("private-hidden", times=None)
        with pytest.raises(ListingRefusedError, match=r"hidden \(\d+\) is not listed, but it is"):
            list_with(github, REPO_ONLY.value, expected=(hidden.id,))


WRAPPING = "invoke of a:b:c failed: invocation of a:b:c returned an error: "


def test_a_connection_that_breaks_off_is_named_rather_than_the_crash_that_it_causes() -> None:
    refusal = _refused("orgs/acme", f"{WRAPPING}error reading from server: EOF")
    assert "GET orgs/acme got no answer (the connection broke off" in str(refusal)
    assert "EOF" not in str(refusal)


def test_what_the_provider_said_is_quoted_without_what_the_engine_puts_around_it() -> None:
    assert "got no answer (no such host);" in str(_refused("orgs/acme", f"{WRAPPING}no such host"))


def test_rules_by_custom_properties_need_a_listing_that_has_them() -> None:
    def without(reply: Reply) -> Reply:
        rows = json.loads(reply.body)
        if isinstance(rows, list):
            for row in rows:
                row.pop("custom_properties", None)
        return replace(reply, body=json.dumps(rows))

    with EmbeddedGitHub(synthetic_organisation(3)) as github:
        assert len(list_with(github, change=without).repositories) == 3
        with pytest.raises(ListingRefusedError, match="3 of 3 repositories were listed without"):
            list_with(github, change=without, properties=True)


def test_a_repository_without_an_owner_is_no_answer() -> None:
    def ownerless(reply: Reply) -> Reply:
        row = json.loads(reply.body)
        return replace(reply, body=json.dumps({**row, "owner": None})) if "owner" in row else reply

    organisation = Organisation(LOGIN)
    organisation.add("api")
    organisation.add("web")
    moved = next(iter(organisation)).id
    organisation.transfer_out("api")
    with EmbeddedGitHub(organisation) as github:
        assert list_with(github, expected=(moved,)).gone
        with pytest.raises(ListingRefusedError, match="something that is not that repository"):
            list_with(github, expected=(moved,), change=ownerless)
