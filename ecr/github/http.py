"""GitHub over HTTPS, for commands that run without the engine and its GitHub provider.

Owns one GET, on connections that are kept, and how often and when it is tried again (GitHub Docs, "Rate
limits for the REST API"). The token goes to the host that was named and to no other, and never over a
connection that others can read: a redirect elsewhere is not followed. It changes nothing at GitHub.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

import httpx

from ecr.errors import EstateError
from ecr.github.transport import Fetch, Reply, environment_token

_RESIDENCY = re.compile(r"https://(api\.)?(?P<subdomain>[A-Za-z0-9-]+)\.ghe\.com/?")
TIMEOUT = 60
"""Seconds that one answer may take."""

ATTEMPTS = 5
"""How often a request is made before its last answer, or that there is none, is what came of it."""

LONGEST_WAIT = 300
"""Seconds that one request waits for a limit to end, at most; where GitHub wants longer, it is told at once."""

UNTOLD = 60
"""Seconds to wait for a secondary limit of which GitHub does not say when it ends."""

REDIRECTS = 5

sleep = time.sleep


@contextmanager
def environment_fetch(base_url: str | None, remedy: str = "set GITHUB_TOKEN") -> Iterator[Fetch]:
    """Yield a fetch with GITHUB_TOKEN, at ``base_url`` or else at GITHUB_BASE_URL.

    Raises EstateError, with the ``remedy``, where there is no token, or one that cannot be sent.
    """
    token = environment_token()
    if not token:
        raise EstateError(
            "There is no GitHub token, and an anonymous listing would miss private repositories.",
            [remedy],
        )
    with http_fetch(base_url or os.environ.get("GITHUB_BASE_URL"), token) as fetch:
        yield fetch


@contextmanager
def http_fetch(
    base_url: str | None, token: str, transport: httpx.BaseTransport | None = None
) -> Iterator[Fetch]:
    """Yield a fetch for a GitHub Enterprise Server at ``base_url``, or for github.com.

    ``transport`` stands in for the network. Raises EstateError where the address is none, or others
    could read the token on the way.
    """
    try:
        api = httpx.URL(api_address(base_url))
    except httpx.InvalidURL:
        raise _refused_address("is no address") from None
    if api.scheme not in {"http", "https"} or not api.host:
        raise _refused_address("is no address")
    if api.scheme == "http" and not _is_loopback(api.host):
        raise _refused_address("is without TLS, and the token could be read on the way")
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    with httpx.Client(headers=headers, timeout=TIMEOUT, transport=transport) as client:

        async def fetch(endpoint: str) -> Reply:
            return await asyncio.to_thread(_get, client, api, endpoint)

        yield fetch


def api_address(base_url: str | None) -> str:
    """Return where the REST API of a GitHub is, with its closing slash.

    A GitHub Enterprise Server has it below /api/v3; GitHub Enterprise Cloud with data residency, at
    SUBDOMAIN.ghe.com, on a host of its own (GitHub Docs, "About GitHub Enterprise Cloud with data
    residency").
    """
    if not base_url:
        return "https://api.github.com/"
    if resident := _RESIDENCY.fullmatch(base_url):
        return f"https://api.{resident['subdomain']}.ghe.com/"
    return f"{base_url.rstrip('/')}/api/v3/"


def _get(client: httpx.Client, api: httpx.URL, endpoint: str) -> Reply:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = _followed(client, api.join(endpoint))
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise EstateError(
                    "GitHub could not be asked; nothing was changed.",
                    [
                        (
                            f"GET {endpoint} got no answer ({type(error).__name__}: {error}); check that "
                            "GitHub can be reached from here, and the base URL"
                        )
                    ],
                ) from error
            sleep(2 ** (attempt - 1))
            continue
        wait = _wait(answer, attempt)
        if wait is None or wait > LONGEST_WAIT or attempt == ATTEMPTS:
            break
        sleep(wait)
    return Reply(answer.status_code, dict(answer.headers), answer.text)


def _followed(client: httpx.Client, url: httpx.URL) -> httpx.Response:
    """Return the answer, after redirects within the host that was named."""
    answer = client.get(url)
    for _ in range(REDIRECTS):
        following = answer.next_request
        if following is None or _origin(following.url) != _origin(url):
            break
        answer = client.get(following.url)
    return answer


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _wait(answer: httpx.Response, attempt: int) -> float | None:
    """Return the seconds to wait before the request is made again; None where the answer stands."""
    if answer.status_code in {502, 503, 504}:
        return _retry_after(answer) or 2 ** (attempt - 1)
    if not is_limit(answer.status_code, answer.headers, answer.text):
        return None
    told = _retry_after(answer)
    if told is not None:
        return told
    reset: str = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(int(reset) - time.time(), 0) + 1
    return UNTOLD * 2.0 ** (attempt - 1)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds that Retry-After asks for, which is a number or a date (RFC 9110)."""
    text = answer.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0)
    except (TypeError, ValueError):
        return None


def is_limit(status: int, headers: Mapping[str, str], body: str) -> bool:
    """Return whether an answer is that of a primary or a secondary limit of the rate."""
    return status in {403, 429} and (
        headers.get("x-ratelimit-remaining") == "0"
        or "retry-after" in headers
        or "rate limit" in body.lower()
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _refused_address(why: str) -> EstateError:
    return EstateError(
        "GitHub could not be asked; nothing was changed.",
        [
            f"the base URL {why}; write GITHUB_BASE_URL or github.baseUrl as https://github.example.com"
        ],
    )
