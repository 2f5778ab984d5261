from __future__ import annotations

import contextlib
import http.client
import json
import threading
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.github import (
    EmbeddedGitHub,
    Organisation,
    OrganisationError,
    seeded_organisation,
    synthetic_organisation,
)
from sandbox.github.client import ControlError, GitHubControl
from sandbox.github.faults import CATALOGUE, Armed, FaultError
from sandbox.github.organisation import as_json
from sandbox.github.tokens import (
    APP,
    CLASSIC,
    FINE_GRAINED,
    FINE_GRAINED_PUBLIC,
    MEMBER,
    PUBLIC_ONLY,
    REPO_ONLY,
    Token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.github.organisation import Visibility


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.json]


def get(
    github: EmbeddedGitHub,
    path: str,
    *,
    token: str | None = CLASSIC.value,
    method: str = "GET",
    **headers: str,
) -> Answer:
    """One request on a connection of its own; a path that starts with ? is of the listing."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    listing = f"/orgs/{github.organisation.login}/repos"
    path = f"{listing}{path}" if path.startswith("?") else path
    connection = http.client.HTTPConnection(urlsplit(github.url).netloc)
    with closing(connection):
        connection.request(method, f"/api/v3{path}", headers=headers)
        with closing(connection.getresponse()) as response:
            return Answer(response.status, dict(response.getheaders()), response.read())


def listing(github: EmbeddedGitHub, page: int = 1, *, size: int = 100, **query: str) -> Answer:
    words = {"type": "all", "sort": "created", "direction": "asc", **query}
    text = "&".join(f"{key}={value}" for key, value in words.items())
    return get(github, f"?{text}&per_page={size}&page={page}")


def small(names: str = "alpha beta gamma delta") -> Organisation:
    organisation = Organisation("acme")
    for name in names.split():
        organisation.add(name)
    return organisation


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub(small()) as embedded:
        yield embedded


# The model


def test_the_seeded_organisation_is_the_same_each_time() -> None:
    first, second = seeded_organisation(), seeded_organisation()
    assert [as_json(r) for r in first] == [as_json(r) for r in second]


def test_the_seeded_organisation_has_exactly_the_hundred_names() -> None:
    names = [r.name for r in seeded_organisation()]
    assert len(set(names)) == 100
    assert {"atmos", "WildWestResellerAPI", ".github", "testing.cloudposse.co"} <= set(names)


def test_the_seeded_organisation_has_some_of_everything() -> None:
    rows = list(seeded_organisation())
    assert {r.visibility for r in rows} == {"public", "private", "internal"}
    assert 3 <= sum(r.archived for r in rows) <= 6
    assert 2 <= sum(r.fork for r in rows) <= 4
    assert 1 <= sum(r.is_template for r in rows) <= 2
    assert {r.properties["container"] for r in rows} == {"true", "false"}


def test_some_lambda_names_of_the_seed_are_prefixes_of_other_names() -> None:
    rows = list(seeded_organisation())
    lambdas = [r.name for r in rows if r.properties.get("lambda") == "true"]
    assert len(lambdas) == 8
    assert any(r.name != name and r.name.startswith(name) for r in rows for name in lambdas)


def test_a_name_that_ecr_cannot_hold_is_added_to_the_seed_when_asked() -> None:
    assert [r.name for r in seeded_organisation(extra=["foo-"])][100:] == ["foo-"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "delete", "rename"]), st.sampled_from("aAbc")),
        max_size=20,
    )
)
def test_ids_are_never_used_twice_whatever_happens(changes: list[tuple[str, str]]) -> None:
    organisation = Organisation("acme")
    added = []
    for change, name in changes:
        with contextlib.suppress(OrganisationError):
            if change == "add":
                added.append(organisation.add(name))
            elif change == "rename":
                organisation.rename(name, name.swapcase() if name in "aA" else "a")
            else:
                organisation.delete(name)
    assert [r.id for r in added] == sorted({r.id for r in added})
    assert [r.created_at for r in added] == sorted({r.created_at for r in added})
    assert len({r.name.casefold() for r in organisation}) == len(organisation)


def test_a_name_in_another_case_is_taken() -> None:
    with pytest.raises(OrganisationError, match="already has a repository 'ALPHA'"):
        small().add("ALPHA")


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a/b", "é", "a" * 101, "a\n"])
def test_a_name_that_github_refuses_is_refused(name: str) -> None:
    with pytest.raises(OrganisationError, match="is no name for a repository"):
        small().add(name)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(OrganisationError, match=r"no repository 'alhpa'\. Nearest: alpha\."):
        small().delete("alhpa")


def test_a_rename_of_case_only_keeps_the_id_and_leaves_no_redirect() -> None:
    organisation = small()
    before = organisation.get("alpha")
    organisation.rename("alpha", "Alpha")
    after, redirected = organisation.find("alpha")
    assert after is not None
    assert (after.id, after.name, redirected) == (before.id, "Alpha", False)


def test_two_repositories_can_swap_their_names() -> None:
    organisation = small()
    alpha, beta = organisation.get("alpha").id, organisation.get("beta").id
    organisation.rename("alpha", "swap")
    organisation.rename("beta", "alpha")
    organisation.rename("swap", "beta")
    assert (organisation.get("alpha").id, organisation.get("beta").id) == (beta, alpha)


def test_a_repository_created_again_under_its_name_has_another_id() -> None:
    organisation = small()
    gone = organisation.delete("alpha")
    assert organisation.add("alpha").id != gone.id
    assert organisation.by_id(gone.id) is None


def test_a_repository_comes_back_from_a_transfer_with_its_id() -> None:
    organisation = small()
    before = organisation.get("alpha")
    organisation.transfer_out("alpha", "elsewhere")
    assert len(organisation) == 3
    assert organisation.transfer_back("alpha").id == before.id
    assert organisation.away() == ()


def test_a_repository_cannot_come_back_to_a_name_that_is_taken() -> None:
    organisation = small()
    organisation.transfer_out("alpha")
    organisation.add("alpha")
    with pytest.raises(OrganisationError, match="already has"):
        organisation.transfer_back("alpha")


def test_archiving_can_be_undone() -> None:
    organisation = small()
    assert organisation.archive("alpha").archived
    assert not organisation.unarchive("alpha").archived


def test_repositories_added_from_many_threads_have_different_ids() -> None:
    organisation = Organisation("acme")

    def add(number: int) -> None:
        for k in range(20):
            organisation.add(f"r-{number}-{k}")

    threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({r.id for r in organisation}) == 160


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("explode", {}, "no change 'explode'; there are add, advise, archive"),
        ("_put", {}, "no change '_put'"),
        ("rename", {"name": "alpha"}, "missing a required argument: 'to'"),
        ("delete", {"name": 7}, "name is a text, not 7"),
        ("add", {"name": "x", "colour": "red"}, "colour is no fact of a repository"),
        ("add", {"name": "x", "archived": "yes"}, "archived is true or false, not 'yes'"),
        ("set_visibility", {"name": "alpha", "visibility": "secret"}, "public, private or int"),
        ("set_topics", {"name": "alpha", "topics": ["Upper"]}, "topics is a list"),
        ("set_properties", {"name": "alpha", "properties": {"a": 1}}, "an object of texts"),
        ("rename_organisation", {"login": "-x"}, "'-x' is no login"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_one_clear_error(
    change: str, arguments: dict[str, Any], message: str
) -> None:
    organisation = small()
    before = [as_json(r) for r in organisation]
    with pytest.raises(OrganisationError, match=message):
        organisation.change(change, arguments)
    assert [as_json(r) for r in organisation] == before


# The listing


@pytest.mark.parametrize("count", [0, 1, 100, 101, 1001])
def test_walking_the_pages_in_either_direction_finds_every_repository_once(count: int) -> None:
    organisation = synthetic_organisation(count)
    everything = [r.id for r in organisation]
    pages = range(1, -(-count // 100) + 2)
    with EmbeddedGitHub(organisation) as github:
        up = [i for page in pages for i in listing(github, page).ids]
        down = [i for page in pages for i in listing(github, page, direction="desc").ids]
    assert up == everything
    assert down == everything[::-1]


def test_ten_thousand_repositories_are_listed_to_the_last() -> None:
    with EmbeddedGitHub(synthetic_organisation(10_000)) as github:
        last = listing(github, 100)
    assert last.json[-1]["name"] == "service-10000"
    assert 'rel="next"' not in last.headers["Link"]


def test_the_link_header_is_written_as_github_writes_it(github: EmbeddedGitHub) -> None:
    url = f"{github.url}api/v3/organizations/{github.organisation.id}/repos?per_page=1&page="
    links = [get(github, f"?per_page=1&page={page}").headers["Link"] for page in (1, 2, 4)]
    assert links == [
        f'<{url}2>; rel="next", <{url}4>; rel="last"',
        f'<{url}1>; rel="prev", <{url}3>; rel="next", <{url}4>; rel="last", <{url}1>; rel="first"',
        f'<{url}3>; rel="prev", <{url}1>; rel="first"',
    ]


def test_the_urls_of_the_link_header_can_be_followed(github: EmbeddedGitHub) -> None:
    following = get(github, "?per_page=3").headers["Link"].partition("<")[2].partition(">")[0]
    path = following.removeprefix(f"{github.url}api/v3")
    assert [row["name"] for row in get(github, path).json] == ["alpha"]


def test_a_listing_of_one_page_has_no_link_header(github: EmbeddedGitHub) -> None:
    assert "Link" not in get(github, "?per_page=4").headers


def test_a_page_past_the_end_is_an_empty_list(github: EmbeddedGitHub) -> None:
    beyond = get(github, "?per_page=1&page=9")
    assert beyond.json == []
    assert 'page=4>; rel="prev"' in beyond.headers["Link"]


@pytest.mark.parametrize("size", ["101", "100000"])
def test_a_page_has_at_most_a_hundred_rows(size: str) -> None:
    with EmbeddedGitHub(synthetic_organisation(101)) as github:
        assert len(get(github, f"?per_page={size}").json) == 100


@pytest.mark.parametrize("query", ["?page=0", "?page=-1", "?page=x", "?per_page=0", "?per_page=²"])
def test_a_page_number_that_is_none_is_read_as_the_default(
    github: EmbeddedGitHub, query: str
) -> None:
    encoded = query.replace("²", "%C2%B2")
    assert get(github, encoded).json == get(github, "?").json


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "c a B"),  # newest first, as at GitHub
        ("sort=created&direction=asc", "B a c"),
        ("sort=full_name", "a B c"),
        ("sort=full_name&direction=desc", "c B a"),
        ("sort=updated", "B c a"),
        ("sort=pushed&direction=asc", "B a c"),
        ("sort=nonsense&direction=nonsense", "c a B"),
    ],
)
def test_the_listing_is_sorted_as_asked(query: str, names: str) -> None:
    organisation = small("B a c")
    organisation.set_topics("B", ["touched"])
    with EmbeddedGitHub(organisation) as github:
        assert [row["name"] for row in get(github, f"?{query}").json] == names.split()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("all", {"open", "closed", "inside", "forked"}),
        ("member", {"open", "closed", "inside", "forked"}),
        ("public", {"open", "forked"}),
        ("private", {"closed", "inside"}),
        ("forks", {"forked"}),
        ("sources", {"open", "closed", "inside"}),
    ],
)
def test_the_listing_has_the_type_asked_for(kind: str, names: set[str]) -> None:
    organisation = small("open")
    organisation.add("closed", visibility="private")
    organisation.add("inside", visibility="internal")
    organisation.add("forked", fork=True)
    with EmbeddedGitHub(organisation) as github:
        assert {row["name"] for row in get(github, f"?type={kind}").json} == names


def test_a_row_tells_what_the_program_reads() -> None:
    organisation = Organisation("acme")
    organisation.add("api", visibility="internal", topics=["x"], properties={"container": "true"})
    organisation.archive("api")
    with EmbeddedGitHub(organisation) as github:
        row = get(github, "?").json[0]
    assert row["archived"] is row["private"] is True
    assert row["fork"] is row["is_template"] is False
    assert (row["visibility"], row["topics"]) == ("internal", ["x"])
    assert row["custom_properties"] == {"container": "true"}
    assert (row["full_name"], row["default_branch"]) == ("acme/api", "main")


# Tokens, headers, single things


@pytest.mark.parametrize(
    ("token", "rows", "private_repos", "scopes"),
    [
        (CLASSIC, 3, 2, "admin:org, admin:org_hook, delete_repo, repo"),
        (MEMBER, 3, None, "read:org, repo"),
        (REPO_ONLY, 3, None, "repo"),
        (PUBLIC_ONLY, 1, None, "public_repo"),
        (FINE_GRAINED, 3, 2, None),
        (FINE_GRAINED_PUBLIC, 1, None, None),
        (APP, 3, None, None),
    ],
)
def test_a_token_sees_what_it_may_read(
    token: Token, rows: int, private_repos: int | None, scopes: str | None
) -> None:
    organisation = small("open")
    organisation.add("closed", visibility="private")
    organisation.add("inside", visibility="internal")
    with EmbeddedGitHub(organisation) as github:
        page = get(github, "?", token=token.value)
        owner = get(github, "/orgs/acme", token=token.value).json
    assert len(page.json) == rows
    assert page.headers.get("X-OAuth-Scopes") == scopes
    assert owner["public_repos"] == 1
    assert owner.get("total_private_repos") == private_repos
    assert ("plan" in owner) == (private_repos is not None)


def test_an_anonymous_reader_sees_public_repositories_only() -> None:
    organisation = small("open")
    closed = organisation.add("closed", visibility="private")
    with EmbeddedGitHub(organisation) as github:
        assert [row["name"] for row in get(github, "?", token=None).json] == ["open"]
        assert get(github, f"/repositories/{closed.id}", token=None).status == 404
        assert get(github, "/repos/acme/closed", token=None).status == 404
        assert get(github, "/user", token=None).status == 401


@pytest.mark.parametrize("path", ["/orgs/acme", "/orgs/acme/repos", "/user", "/rate_limit"])
def test_a_wrong_token_is_refused_everywhere(github: EmbeddedGitHub, path: str) -> None:
    answer = get(github, path, token="ghp_wrong")
    assert answer.status == 401
    assert answer.json == {
        "message": "Bad credentials",
        "documentation_url": "https://docs.github.com/rest",
        "status": "401",
    }


def test_the_token_may_be_chosen() -> None:
    organisation = Organisation("acme")
    organisation.add("closed", visibility="private")
    with EmbeddedGitHub(organisation, token="mine") as github:
        assert len(get(github, "?", token="mine").json) == 1


def test_an_answer_has_the_headers_that_clients_rely_on(github: EmbeddedGitHub) -> None:
    first, second = get(github, "?").headers, get(github, "?").headers
    assert first["X-GitHub-Media-Type"] == "github.v3; format=json"
    assert first["X-GitHub-Request-Id"] != second["X-GitHub-Request-Id"]
    assert int(first["X-RateLimit-Limit"]) == 15_000
    assert int(second["X-RateLimit-Used"]) in {int(first["X-RateLimit-Used"]) + 1, 1}
    assert first["ETag"] == second["ETag"]


def test_what_the_caller_holds_already_is_not_sent_again(github: EmbeddedGitHub) -> None:
    tag = get(github, "?").headers["ETag"]
    held = get(github, "?", **{"If-None-Match": tag})
    assert (held.status, held.body, held.headers["ETag"]) == (304, b"", tag)
    github.organisation.rename("alpha", "omega")
    assert get(github, "?", **{"If-None-Match": tag}).status == 200


@pytest.mark.parametrize(
    "path", ["/repositories/1", "/repos/acme/none", "/repos/other/alpha", "/orgs/other", "/x"]
)
def test_what_does_not_exist_is_answered_as_github_does(github: EmbeddedGitHub, path: str) -> None:
    answer = get(github, path)
    assert (answer.status, answer.json["message"]) == (404, "Not Found")
    assert "X-GitHub-Request-Id" in answer.headers


def test_the_api_is_not_served_outside_its_prefix_or_by_other_methods(
    github: EmbeddedGitHub,
) -> None:
    assert get(github, "/../../orgs/acme").status == 404
    assert get(github, "/orgs/acme", method="PATCH").status == 404


def test_a_repository_is_found_by_name_in_any_case_and_by_id(github: EmbeddedGitHub) -> None:
    by_name = get(github, "/repos/ACME/Alpha").json
    assert by_name == get(github, f"/repositories/{by_name['id']}").json


def test_a_former_name_redirects_to_the_id_until_it_is_taken_again(github: EmbeddedGitHub) -> None:
    renamed = github.organisation.rename("alpha", "omega")
    moved = get(github, "/repos/acme/alpha")
    assert moved.status == 301
    assert moved.headers["Location"] == f"{github.url}api/v3/repositories/{renamed.id}"
    taker = github.organisation.add("alpha")
    assert get(github, "/repos/acme/alpha").json["id"] == taker.id


def test_a_former_name_of_a_deleted_repository_leads_nowhere(github: EmbeddedGitHub) -> None:
    github.organisation.rename("alpha", "omega")
    github.organisation.delete("omega")
    assert get(github, "/repos/acme/alpha").status == 404


@pytest.mark.parametrize(("visibility", "status"), [("public", 200), ("private", 404)])
def test_a_transferred_repository_is_still_found_by_id_when_it_may_be_seen(
    github: EmbeddedGitHub, visibility: Visibility, status: int
) -> None:
    github.organisation.set_visibility("alpha", visibility)
    moved = github.organisation.transfer_out("alpha", "elsewhere")
    answer = get(github, f"/repositories/{moved.id}")
    assert answer.status == status
    assert answer.json.get("full_name") in {"elsewhere/alpha", None}
    assert len(get(github, "?").json) == 3


def test_a_renamed_organisation_is_found_by_redirect_from_its_former_login(
    github: EmbeddedGitHub,
) -> None:
    github.organisation.rename_organisation("new-acme")
    moved = get(github, "/orgs/acme/repos?per_page=2&page=2")
    assert moved.status == 301
    path = moved.headers["Location"].removeprefix(f"{github.url}api/v3")
    assert len(get(github, path).json) == 2
    assert get(github, "/orgs/acme").status == get(github, "/repos/acme/alpha").status == 301
    assert get(github, "/orgs/new-acme").json["login"] == "new-acme"


# The server


def test_a_connection_carries_many_requests(github: EmbeddedGitHub) -> None:
    ports = set()
    with closing(http.client.HTTPConnection(urlsplit(github.url).netloc)) as connection:
        for _ in range(3):
            connection.request("GET", "/api/v3/orgs/acme")
            with closing(connection.getresponse()) as response:
                response.read()
            ports.add(connection.sock.getsockname())
    assert len(ports) == 1


def test_nothing_is_left_after_the_context_ends_even_with_clients_connected() -> None:
    before = set(threading.enumerate())
    with EmbeddedGitHub(small()) as github:
        address = urlsplit(github.url).netloc
        assert address.startswith("127.0.0.1:")
        connection = http.client.HTTPConnection(address)
        connection.request("GET", "/api/v3/orgs/acme")
        with closing(connection.getresponse()) as response:
            response.read()
    assert set(threading.enumerate()) == before
    connection.close()
    with (
        closing(http.client.HTTPConnection(address)) as late,
        pytest.raises(ConnectionRefusedError),
    ):
        late.connect()


def test_the_calls_are_recorded_until_they_are_forgotten(github: EmbeddedGitHub) -> None:
    get(github, "?page=2")
    path = "/api/v3/orgs/acme/repos"
    assert github.calls() == [
        {"method": "GET", "path": path, "query": {"page": "2"}, "status": 200, "fault": None}
    ]
    github.forget_calls()
    assert github.calls() == []


# Faults


def struck(github: EmbeddedGitHub, fault: str, page: int = 1, **how: object) -> Answer:
    arm: Callable[..., Armed] = github.faults.arm
    arm(fault, **how)
    return listing(github, page, size=2)


ENDING_THE_CONNECTION = {"timeout", "connection-reset", "connection-cut"}


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - ENDING_THE_CONNECTION))
def test_each_fault_strikes_once_with_its_defaults_and_is_then_over(
    github: EmbeddedGitHub, name: str
) -> None:
    struck(github, name)
    assert listing(github, size=2).status == 200
    assert [call["fault"] for call in github.calls()] == [name, None]


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("status-500", 500, b'"Server Error"'),
        ("status-502-html", 502, b"<!DOCTYPE html>"),
        ("status-200-html", 200, b"<!DOCTYPE html>"),
        ("status-401", 401, b'"Bad credentials"'),
        ("status-403", 403, b"not accessible"),
        ("status-404", 404, b'"Not Found"'),
        ("status-301", 301, b'"Moved Permanently"'),
        ("sso-required", 403, b"SAML"),
    ],
)
def test_a_request_can_fail_with_a_status(
    github: EmbeddedGitHub, name: str, status: int, text: bytes
) -> None:
    answer = struck(github, name)
    assert answer.status == status
    assert text in answer.body


def test_the_redirect_of_a_fault_leads_to_the_same_rows(github: EmbeddedGitHub) -> None:
    moved = struck(github, "status-301", page=2)
    path = moved.headers["Location"].removeprefix(f"{github.url}api/v3")
    assert get(github, path).ids == listing(github, 2, size=2).ids


def test_json_can_be_cut_in_a_reply_that_is_whole(github: EmbeddedGitHub) -> None:
    with pytest.raises(ValueError, match=r"Unterminated|delimiter|Expecting"):
        _ = struck(github, "json-cut").json


def test_json_can_be_an_object_instead_of_a_list(github: EmbeddedGitHub) -> None:
    assert "message" in struck(github, "json-no-list").json


def test_a_reply_can_be_cut_off_by_the_connection(github: EmbeddedGitHub) -> None:
    with pytest.raises(http.client.IncompleteRead):
        struck(github, "connection-cut")


def test_a_connection_can_be_reset(github: EmbeddedGitHub) -> None:
    with pytest.raises(ConnectionResetError):
        struck(github, "connection-reset")


@pytest.mark.parametrize("leaving", ["client", "server"])
def test_a_held_connection_ends_when_either_side_leaves(leaving: str) -> None:
    before = set(threading.enumerate())
    with EmbeddedGitHub(small()) as github:
        github.faults.arm("timeout")
        connection = http.client.HTTPConnection(urlsplit(github.url).netloc)
        connection.request("GET", "/api/v3/orgs/acme/repos")
        while not github.calls():  # until the server holds it
            pass
        if leaving == "client":
            connection.close()
    if leaving == "server":
        with closing(connection), pytest.raises(http.client.RemoteDisconnected):
            connection.getresponse()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize(
    ("name", "page", "options", "names"),
    [
        ("page-short", 1, {}, "alpha"),
        ("page-short", 1, {"rows": 2}, ""),
        ("page-empty", 1, {}, ""),
        ("page-repeated", 2, {}, "alpha beta"),
        ("page-repeated", 1, {}, "gamma delta"),
        ("page-repeated", 1, {"of": 1}, "alpha beta"),
        ("rows-reordered", 1, {}, "beta alpha"),
        ("row-duplicated", 1, {}, "alpha alpha"),
    ],
)
def test_a_page_can_have_the_wrong_rows(
    github: EmbeddedGitHub, name: str, page: int, options: dict[str, Any], names: str
) -> None:
    honest = listing(github, page, size=2).headers["Link"]
    answer = struck(github, name, page, **options)
    assert [row["name"] for row in answer.json] == names.split()
    assert answer.headers["Link"] == honest


def test_private_repositories_can_disappear_from_a_page(github: EmbeddedGitHub) -> None:
    github.organisation.set_visibility("beta", "private")
    answer = struck(github, "private-hidden")
    assert [row["name"] for row in answer.json] == ["alpha", "gamma"]
    assert answer.headers["X-OAuth-Scopes"] == "public_repo"


def test_single_sign_on_can_hide_rows_and_say_so(github: EmbeddedGitHub) -> None:
    github.organisation.set_visibility("beta", "private")
    answer = struck(github, "sso-partial")
    assert [row["name"] for row in answer.json] == ["alpha"]
    assert answer.headers["X-GitHub-SSO"].startswith("partial-results; organizations=")


@pytest.mark.parametrize(
    ("name", "header"),
    [("request-id-missing", "X-GitHub-Request-Id"), ("link-missing", "Link")],
)
def test_a_header_can_be_missing(github: EmbeddedGitHub, name: str, header: str) -> None:
    assert header not in struck(github, name).headers
    assert header in listing(github, size=2).headers


@pytest.mark.parametrize(("name", "status"), [("rate-limit-403", 403), ("rate-limit-429", 429)])
def test_the_primary_rate_limit_says_when_it_ends(
    github: EmbeddedGitHub, name: str, status: int
) -> None:
    far = struck(github, name, seconds=5000)
    near = struck(github, name, seconds=1)
    assert far.status == status
    assert far.headers["X-RateLimit-Remaining"] == "0"
    assert int(far.headers["X-RateLimit-Reset"]) > int(near.headers["X-RateLimit-Reset"])


def test_the_secondary_rate_limit_comes_with_and_without_retry_after(
    github: EmbeddedGitHub,
) -> None:
    silent = struck(github, "secondary-limit")
    telling = struck(github, "secondary-limit-retry-after", seconds=7)
    for answer in (silent, telling):
        assert answer.status == 403
        assert answer.json["documentation_url"].endswith("secondary-rate-limits")
        assert answer.headers["X-RateLimit-Remaining"] != "0"
    assert "Retry-After" not in silent.headers
    assert telling.headers["Retry-After"] == "7"


def walked(github: EmbeddedGitHub) -> list[str]:
    """The names that a client finds which reads pages of two in order of creation."""
    return [row["name"] for page in (1, 2, 3) for row in listing(github, page, size=2).json]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("deleted-before-page", "beta gamma delta"),
        ("deleted-after-page", "alpha beta delta"),  # gamma is alive and was not seen
        ("created-before-page", "alpha beta gamma delta new-meanwhile-1"),
        ("created-after-page", "alpha beta gamma delta new-meanwhile-1"),
        ("renamed-before-page", "new-meanwhile-1 beta gamma delta"),
        ("renamed-after-page", "alpha beta gamma delta"),
    ],
)
def test_the_organisation_can_change_while_it_is_listed(
    github: EmbeddedGitHub, name: str, found: str
) -> None:
    github.faults.arm(name, page=1)
    assert walked(github) == found.split()


def test_the_repository_that_changes_may_be_chosen(github: EmbeddedGitHub) -> None:
    github.faults.arm("renamed-before-page", name="beta", to="bravo")
    github.faults.arm("deleted-after-page", name="delta", page=2)
    github.faults.arm("created-before-page", name="late", page=2, nth=2)
    walked(github)
    walked(github)
    assert [r.name for r in github.organisation] == ["alpha", "bravo", "gamma", "late"]


def test_a_fault_for_ever_finds_a_new_name_each_time(github: EmbeddedGitHub) -> None:
    github.faults.arm("created-after-page", times=None, page=1)
    walked(github)
    walked(github)
    assert len(github.organisation) == 6


def test_a_fault_that_cannot_be_carried_out_says_so(github: EmbeddedGitHub) -> None:
    answer = struck(github, "deleted-before-page", name="nobody")
    assert answer.status == 500
    assert b"The embedded GitHub failed" in answer.body
    assert b"nobody" in answer.body


@pytest.mark.parametrize(
    ("matcher", "pages"),
    [
        ({"page": 2}, [2]),
        ({"nth": 3}, [3]),
        ({"nth": 2, "times": 2}, [2, 3]),
        ({"times": None}, [1, 2, 3]),
        ({"direction": "asc", "times": 2}, [1, 2]),
        ({"direction": "desc"}, []),
        ({"path": "^/orgs/acme$"}, []),
        ({"path": ""}, [1]),
    ],
)
def test_a_fault_strikes_the_requests_that_it_is_for(
    github: EmbeddedGitHub, matcher: dict[str, Any], pages: list[int]
) -> None:
    github.faults.arm("status-500", **matcher)
    assert [page for page in (1, 2, 3) if listing(github, page).status == 500] == pages


def test_of_two_faults_for_one_request_the_first_armed_strikes(github: EmbeddedGitHub) -> None:
    github.faults.arm("status-500")
    github.faults.arm("status-404")
    assert [listing(github).status for _ in range(3)] == [500, 404, 200]


@pytest.mark.parametrize(
    ("name", "how", "message"),
    [
        ("meteor", {}, "no fault 'meteor'; there are status-500"),
        ("status-500", {"page": 0}, "page is a whole number from 1 up, not 0"),
        ("status-500", {"nth": None}, "nth is a whole number"),
        ("status-500", {"times": True}, "times is a whole number"),
        ("status-500", {"direction": ["asc"]}, "direction is asc or desc"),
        ("status-500", {"path": "("}, "path is a regular expression"),
        ("status-500", {"rows": 1}, "it has no option rows"),
        ("page-short", {"rows": "two"}, "option rows cannot be 'two'"),
        ("page-short", {"rows": 0}, "option rows cannot be 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    github: EmbeddedGitHub, name: str, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(FaultError, match=message):
        github.faults.arm(name, **how)
    assert github.faults.as_json() == []


# Control from another process


def test_every_change_can_be_made_from_another_process(github: EmbeddedGitHub) -> None:
    control = GitHubControl(github.url)
    added = control.add("new", visibility="private", topics=["x"], properties={"container": "true"})
    assert (added["visibility"], added["topics"]) == ("private", ["x"])
    assert control.rename("new", "newer")["id"] == added["id"]
    assert control.archive("newer")["archived"]
    assert not control.unarchive("newer")["archived"]
    assert control.set_visibility("newer", "internal")["visibility"] == "internal"
    assert control.set_properties("newer", {"lambda": "true"})["properties"] == {"lambda": "true"}
    assert control.set_topics("newer", ["y"])["topics"] == ["y"]
    assert control.transfer_out("newer")["other_owner"] == "another-owner"
    assert [r["name"] for r in control.state()["away"]] == ["newer"]
    assert control.transfer_back("newer")["other_owner"] is None
    assert control.delete("newer")["id"] == added["id"]
    assert control.rename_organisation("new-acme") == {"login": "new-acme"}
    state = control.state()
    assert (state["login"], state["public"], state["private"]) == ("new-acme", 4, 0)
    assert [r["name"] for r in state["repositories"]] == ["alpha", "beta", "gamma", "delta"]


def test_faults_can_be_armed_seen_and_disarmed_from_another_process(
    github: EmbeddedGitHub,
) -> None:
    control = GitHubControl(github.url)
    assert control.arm("page-short", page=2, times=None, rows=2)["options"] == {"rows": 2}
    assert listing(github, 2, size=2).json == []
    assert [fault["fired"] for fault in control.state()["faults"]] == [1]
    control.disarm()
    assert len(listing(github, 2, size=2).json) == 2


def test_the_catalogue_names_every_fault_in_a_line(github: EmbeddedGitHub) -> None:
    catalogue = GitHubControl(github.url).catalogue()
    assert [fault["name"] for fault in catalogue] == list(CATALOGUE)
    assert all(fault["line"] and "\n" not in fault["line"] for fault in catalogue)
    assert {"name": None, "to": None} in [fault["options"] for fault in catalogue]


def test_the_calls_can_be_counted_from_another_process_which_is_no_call(
    github: EmbeddedGitHub,
) -> None:
    control = GitHubControl(github.url)
    control.state()
    listing(github)
    assert [call["path"] for call in control.calls()] == ["/api/v3/orgs/acme/repos"]
    control.forget_calls()
    assert control.calls() == []


def test_a_bad_command_is_one_clear_error(github: EmbeddedGitHub) -> None:
    control = GitHubControl(github.url)
    with pytest.raises(ControlError, match=r"^acme has no repository 'alhpa'\. Nearest: alpha\.$"):
        control.delete("alhpa")
    with pytest.raises(ControlError, match="There is no fault 'meteor'"):
        control.arm("meteor")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"change": 7}'])
def test_a_command_that_is_no_command_is_refused(github: EmbeddedGitHub, body: bytes) -> None:
    with closing(http.client.HTTPConnection(urlsplit(github.url).netloc)) as connection:
        connection.request("POST", "/_sandbox/repositories", body)
        with closing(connection.getresponse()) as response:
            assert response.status == 422
            assert "A command is a JSON object" in json.loads(response.read())["error"]


def test_an_unknown_control_endpoint_names_those_there_are(github: EmbeddedGitHub) -> None:
    with closing(http.client.HTTPConnection(urlsplit(github.url).netloc)) as connection:
        connection.request("GET", "/_sandbox/nonsense")
        with closing(connection.getresponse()) as response:
            assert response.status == 404
            assert "GET /state" in json.loads(response.read())["error"]


def test_control_of_a_server_that_is_gone_says_so() -> None:
    with EmbeddedGitHub(small()) as github:
        control = GitHubControl(github.url)
    with pytest.raises(ControlError, match="No embedded GitHub answers at http:"):
        control.state()
