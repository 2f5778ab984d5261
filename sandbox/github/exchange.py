"""A request to GitHub's REST API, the reply to it, and what an endpoint is.

Owns the reading of pages and bodies, and the error that becomes a refusal in GitHub's words. Never
knows what any endpoint does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sandbox.github.documents import DOCS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.github.organisation import Repository
    from sandbox.github.tokens import Need, Token

PREFIX = "/api/v3"
PAGE_LIMIT = 100
_DEFAULT_PAGE = 30

Document = dict[str, Any]


class RefusedError(Exception):
    """What GitHub refuses: the status, GitHub's message, and the page that its answer names."""

    def __init__(self, status: int, message: str, documentation: str = DOCS) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.documentation = documentation


def missing() -> RefusedError:
    """Return the refusal that tells nobody whether there is such a thing."""
    return RefusedError(404, "Not Found")


def invalid(message: str) -> RefusedError:
    """Return the refusal of a body that says what it may not."""
    return RefusedError(422, message)


@dataclass(frozen=True)
class Request:
    """One API request; ``path`` is what follows ``/api/v3``, ``query`` keeps the caller's order."""

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str = ""
    if_none_match: str = ""
    body: bytes = b""

    @property
    def page(self) -> int:
        """The page asked for; what is no number from 1 up is page 1, as at GitHub."""
        return _number(self.query.get("page"), 1)

    @property
    def per_page(self) -> int:
        """The page size asked for, 30 by default and at most 100."""
        return self.size()

    @property
    def direction(self) -> str:
        """The order asked for; GitHub's default is asc for names and desc for times."""
        default = "asc" if self.query.get("sort") == "full_name" else "desc"
        direction = self.query.get("direction", default)
        return direction if direction in {"asc", "desc"} else default

    def size(self, default: int = _DEFAULT_PAGE, most: int = PAGE_LIMIT) -> int:
        """Return the page size asked for, where an endpoint has bounds of its own."""
        return min(_number(self.query.get("per_page"), default), most)

    def said(self) -> Document:
        """Return the body. Raises RefusedError where it is no JSON object."""
        try:
            said = json.loads(self.body or b"{}")
        except ValueError:
            raise RefusedError(400, "Problems parsing JSON") from None
        if not isinstance(said, dict):
            raise RefusedError(400, "Body should be a JSON object")
        return said


@dataclass(frozen=True)
class Reply:
    """One reply. ``ending`` is what becomes of the connection instead of, or after, sending it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ending: Literal["sent", "cut", "held", "reset"] = "sent"

    @property
    def rows(self) -> list[Any]:
        """The rows, of a reply that is a listing."""
        rows = json.loads(self.body)
        if not isinstance(rows, list):
            raise TypeError(f"This reply is no listing: {self.body[:80]!r}")
        return rows

    def saying(self, document: Any) -> Reply:  # noqa: ANN401 - JSON
        """Return this reply with another JSON body."""
        return replace(self, body=encoded(document))

    def without(self, header: str) -> Reply:
        """Return this reply without one of its headers."""
        return replace(self, headers={k: v for k, v in self.headers.items() if k != header})

    def adding(self, **headers: str) -> Reply:
        """Return this reply with more headers; ``_`` in a name stands for ``-``."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True)
class Asked:
    """A request that may be answered: who asks, and the repository where it is about one."""

    request: Request
    token: Token
    about: Repository | None = None

    @property
    def repository(self) -> Repository:
        """The repository. Raises ValueError where the request is about the organisation."""
        if self.about is None:
            raise ValueError(f"{self.request.path} is about no repository")
        return self.about


@dataclass(frozen=True)
class Told:
    """What an endpoint tells: a status and a document; None is no body at all.

    ``last`` is the number of the last page, of a listing.
    """

    document: Any
    status: int = 200
    last: int = 1


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: its method, what follows the repository or the organisation, and its need.

    ``of_archived`` says that it changes also a repository that is archived.
    """

    method: str
    pattern: str
    tell: Callable[..., Told]
    need: Need | None = None
    of_archived: bool = False


def paged(
    request: Request, rows: Sequence[Any], *, default: int = 30, most: int = 100
) -> list[Any]:
    """Return the rows of the page that was asked for."""
    size = request.size(default, most)
    return list(rows[(request.page - 1) * size : request.page * size])


def encoded(document: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return a document as the bytes of a body."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) else default
