"""GitHub over plain HTTPS, for commands that run without the engine and its GitHub provider.

Owns one GET. The token goes to the host that was named and to no other: a redirect elsewhere is not
followed. It changes nothing at GitHub.
"""

import asyncio
import os
import re
from email.message import Message
from http.client import HTTPException, HTTPMessage
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ecr.errors import EstateError
from ecr.github.listing import Fetch, ListingRefusedError, Reply, environment_token

_RESIDENCY = re.compile(r"https://(api\.)?(?P<subdomain>[A-Za-z0-9-]+)\.ghe\.com/?")
TIMEOUT = 60
"""Seconds that one answer may take."""


def environment_fetch(base_url: str | None, remedy: str = "set GITHUB_TOKEN") -> Fetch:
    """Give a fetch with GITHUB_TOKEN, at ``base_url`` or else at GITHUB_BASE_URL.

    Raises EstateError, with the ``remedy``, where there is no token, or one that cannot be sent.
    """
    token = environment_token()
    if not token:
        raise EstateError(
            "There is no GitHub token, and an anonymous listing would miss private repositories.",
            [remedy],
        )
    return http_fetch(base_url or os.environ.get("GITHUB_BASE_URL"), token)


def http_fetch(base_url: str | None, token: str) -> Fetch:
    """Give a fetch for the GitHub at ``base_url``, or for github.com."""
    api = api_address(base_url)
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    opener = build_opener(_SameHost)

    def get(endpoint: str) -> Reply:
        try:
            request = Request(api + endpoint, headers=headers)  # noqa: S310 - an HTTP address: see ecr.settings.models
            with opener.open(request, timeout=TIMEOUT) as answer:
                return _reply(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            with error:
                return _reply(error.code, error.headers, error.read())
        except (OSError, HTTPException) as error:
            raise ListingRefusedError(
                f"GET {endpoint} got no answer ({error})",
                "check that GitHub can be reached from here, and the base URL",
            ) from error
        except ValueError:
            # Its text may quote a header, and so the token.
            raise ListingRefusedError(
                f"GET {endpoint} could not be asked, for the base URL is no address",
                "write GITHUB_BASE_URL or github.baseUrl as https://github.example.com",
            ) from None

    async def fetch(endpoint: str) -> Reply:
        return await asyncio.to_thread(get, endpoint)

    return fetch


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


def _reply(status: int, headers: Message, body: bytes) -> Reply:
    return Reply(
        status, {name.lower(): value for name, value in headers.items()}, body.decode("utf-8")
    )


class _SameHost(HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - the base class's
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
