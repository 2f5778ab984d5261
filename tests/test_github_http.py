"""GitHub over HTTPS: what is tried again and when, and where the token goes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate

import httpx
import pytest

from ecr.errors import EstateError
from ecr.github import http
from ecr.github.http import http_fetch
from ecr.github.transport import Reply
from ecr.settings.models import Settings
from sandbox.github import EmbeddedGitHub, Organisation
from tests.builders import settings

SECRET = "ghp_secret"
HOST = "https://github.example.com"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was waited for, without the waiting."""
    waited: list[float] = []
    monkeypatch.setattr(http, "sleep", waited.append)
    return waited


def got(*answers: httpx.Response | Exception, url: str = HOST) -> tuple[Reply, list[httpx.Request]]:
    """Return what came of one request to a GitHub that gives these answers, and its requests."""
    requests: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        following = left.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    with http_fetch(url, SECRET, httpx.MockTransport(answer)) as fetch:

        async def get() -> Reply:
            return await fetch("orgs/acme")

        return asyncio.run(get()), requests


def limited(status: int = 403, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, json={"message": "API rate limit exceeded"})


DONE = httpx.Response(200, json={})


def test_the_token_goes_to_the_api_of_the_server() -> None:
    reply, (request,) = got(DONE)
    assert reply.status == 200
    assert str(request.url) == f"{HOST}/api/v3/orgs/acme"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"


def test_retry_after_is_waited_for(pauses: list[float]) -> None:
    reply, _ = got(limited(429, retry_after="7"), DONE)
    assert (reply.status, pauses) == (200, [7])


def test_retry_after_may_be_a_date(pauses: list[float]) -> None:
    got(limited(429, retry_after=formatdate(time.time() + 30, usegmt=True)), DONE)
    assert 25 < pauses[0] <= 30


def test_a_limit_is_waited_for_until_it_is_reset(pauses: list[float]) -> None:
    reset = str(int(time.time()) + 20)
    reply, _ = got(limited(x_ratelimit_remaining="0", x_ratelimit_reset=reset), DONE)
    assert reply.status == 200
    assert 15 < pauses[0] <= 21


def test_a_limit_of_an_hour_is_told_at_once(pauses: list[float]) -> None:
    reset = str(int(time.time()) + 3600)
    reply, _ = got(limited(x_ratelimit_remaining="0", x_ratelimit_reset=reset))
    assert (reply.status, pauses) == (403, [])


def test_a_secondary_limit_that_does_not_say_when_it_ends_is_given_a_minute(
    pauses: list[float],
) -> None:
    got(limited(), DONE)
    assert pauses == [60]


def test_a_refusal_is_no_limit(pauses: list[float]) -> None:
    reply, _ = got(httpx.Response(403, json={"message": "Resource not accessible"}))
    assert (reply.status, pauses) == (403, [])


def test_a_dropped_connection_is_tried_again(pauses: list[float]) -> None:
    reply, _ = got(httpx.RemoteProtocolError("dropped"), httpx.Response(502), DONE)
    assert (reply.status, pauses) == (200, [1, 2])


def test_no_answer_at_all_is_an_error_without_the_token() -> None:
    with pytest.raises(EstateError, match="got no answer") as refused:
        got(*[httpx.ConnectError("no route")] * 5)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example.com/x", "http://github.example.com/x", f"{HOST}:8443/x"],
)
def test_a_redirect_elsewhere_is_not_followed(elsewhere: str) -> None:
    reply, requests = got(httpx.Response(301, headers={"Location": elsewhere}))
    assert (reply.status, len(requests)) == (301, 1)


def test_a_redirect_within_the_host_is_followed_with_the_token() -> None:
    reply, requests = got(httpx.Response(301, headers={"Location": "/api/v3/orgs/other"}), DONE)
    assert reply.status == 200
    assert [each.url.path for each in requests] == ["/api/v3/orgs/acme", "/api/v3/orgs/other"]
    assert requests[1].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("url", ["http://github.example.com", "http://10.0.0.1", "ftp://host"])
def test_the_token_is_not_sent_where_others_can_read_it(url: str) -> None:
    with pytest.raises(EstateError, match="write GITHUB_BASE_URL or github"):
        got(DONE, url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://localhost", "http://[::1]:80"])
def test_what_stays_on_this_machine_needs_no_tls(url: str) -> None:
    reply, _ = got(DONE, url=url)
    assert reply.status == 200


def with_base_url(url: str) -> Settings:
    return settings(github={"organisation": "acme", "baseUrl": url})


@pytest.mark.parametrize("url", ["http://github.example.com", "http://127.0.0.1.example.com/"])
def test_the_settings_refuse_an_address_without_tls(url: str) -> None:
    with pytest.raises(EstateError, match="HTTPS address"):
        with_base_url(url)


@pytest.mark.parametrize("url", [HOST, "http://127.0.0.1:8080", "http://localhost:1/", f"{HOST}/x"])
def test_the_settings_take_tls_and_this_machine(url: str) -> None:
    assert with_base_url(url).github.base_url == url


@pytest.fixture
def github() -> Iterator[EmbeddedGitHub]:
    with EmbeddedGitHub(Organisation("acme")) as running:
        yield running


def test_the_real_thing_is_asked_again_after_a_reset_of_the_connection(
    github: EmbeddedGitHub, pauses: list[float]
) -> None:
    github.faults.arm("connection-reset", path="/orgs/acme", times=1)
    with http_fetch(github.url, github.token) as fetch:

        async def get() -> Reply:
            return await fetch("orgs/acme")

        assert asyncio.run(get()).status == 200
    assert pauses == [1]
