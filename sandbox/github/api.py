"""GitHub's REST API over the model: a request in, a reply out, no sockets.

Owns the endpoints, who may see what, pages and redirects, and the headers that GitHub sends. Reads
the model and, for the rate limit's window, the clock. Never fails on its own: see ``faults``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlencode

from sandbox.github import documents
from sandbox.github.organisation import OrganisationError
from sandbox.github.writing import Writing, change_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.github.organisation import Organisation, Repository

PREFIX = "/api/v3"
PAGE_LIMIT = 100
_DEFAULT_PAGE = 30
_HOUR = 3600


@dataclass(frozen=True)
class Token:
    """A token and what it may read. ``scopes`` None is fine-grained: GitHub then names no scopes."""

    value: str
    scopes: str | None
    private: bool
    """private and internal repositories"""
    counts: bool
    """how many of them the organisation has"""


CLASSIC = Token("ghp_sandboxClassic", "read:org, repo", private=True, counts=True)
REPO_ONLY = Token("ghp_sandboxRepoOnly", "repo", private=True, counts=False)
PUBLIC_ONLY = Token("ghp_sandboxPublicOnly", "public_repo", private=False, counts=False)
FINE_GRAINED = Token("github_pat_sandbox", None, private=True, counts=True)
FINE_GRAINED_PUBLIC = Token("github_pat_sandboxPublic", None, private=False, counts=False)
TOKENS = (CLASSIC, REPO_ONLY, PUBLIC_ONLY, FINE_GRAINED, FINE_GRAINED_PUBLIC)
ANONYMOUS = Token("", None, private=False, counts=False)


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
        return min(_number(self.query.get("per_page"), _DEFAULT_PAGE), PAGE_LIMIT)

    @property
    def direction(self) -> str:
        """The order asked for; GitHub's default is asc for names and desc for times."""
        default = "asc" if self.query.get("sort") == "full_name" else "desc"
        direction = self.query.get("direction", default)
        return direction if direction in {"asc", "desc"} else default


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


@dataclass
class Api:
    """The endpoints. ``base`` is the site's URL with its closing slash. Safe in many threads."""

    organisation: Organisation
    tokens: Iterable[Token]
    base: str
    writing: Writing = field(init=False)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _used: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.writing = Writing(self.organisation)

    def answer(self, request: Request, *, token: Token | None = None) -> Reply:
        """Answer a request, as the bearer of its own token or of another one."""
        bearer = token or self._bearer(request)
        if bearer is None:
            return self.refusal(request, 401, "Bad credentials")
        for pattern, endpoint in self._routes if request.method == "GET" else self._changes:
            if match := re.fullmatch(pattern, request.path):
                try:
                    return endpoint(self, request, bearer, **match.groupdict())
                except OrganisationError as error:
                    return self.refusal(request, 422, str(error))
        return self._missing(request)

    def refusal(
        self, request: Request, status: int, message: str, documentation: str = documents.DOCS
    ) -> Reply:
        """Return an error in GitHub's words."""
        body = documents.error(status, message, documentation)
        return self._reply(request, self._bearer(request) or ANONYMOUS, body, status)

    def moved(self, request: Request, path: str) -> Reply:
        """Return a redirect to another path of the API: permanent, or with the same method again."""
        url = f"{self.base.rstrip('/')}{PREFIX}{path}"
        query = f"?{urlencode(request.query)}" if request.query else ""
        guide = f"{documents.DOCS}/guides/best-practices-for-using-the-rest-api#follow-redirects"
        status = HTTPStatus.MOVED_PERMANENTLY
        if request.method != "GET":
            status = HTTPStatus.TEMPORARY_REDIRECT
        body = {"message": status.phrase, "url": url, "documentation_url": guide}
        reply = self._reply(request, self._bearer(request) or ANONYMOUS, body, status.value)
        return reply.adding(Location=url + query)

    # Endpoints

    def _organization(self, request: Request, token: Token, login: str) -> Reply:
        if login.casefold() in self.organisation.former_logins:
            return self.moved(request, f"/organizations/{self.organisation.id}")
        if login.casefold() != self.organisation.login.casefold():
            return self._missing(request)
        return self._organization_by_id(request, token, str(self.organisation.id))

    def _organization_by_id(self, request: Request, token: Token, identity: str) -> Reply:
        if int(identity) != self.organisation.id:
            return self._missing(request)
        document = documents.organization(self.organisation, self.base, counts=token.counts)
        return self._reply(request, token, document)

    def _listing(self, request: Request, token: Token, login: str) -> Reply:
        if login.casefold() in self.organisation.former_logins:
            return self.moved(request, f"/organizations/{self.organisation.id}/repos")
        if login.casefold() != self.organisation.login.casefold():
            return self._missing(request)
        return self._listing_by_id(request, token, str(self.organisation.id))

    def _listing_by_id(self, request: Request, token: Token, identity: str) -> Reply:
        if int(identity) != self.organisation.id:
            return self._missing(request)
        everything = self.organisation.listing(
            type=request.query.get("type", "all"),
            sort=request.query.get("sort", "created"),
            descending=request.direction == "desc",
            private=token.private,
        )
        size, page = request.per_page, request.page
        rows = everything[(page - 1) * size : page * size]
        last = max(1, -(-len(everything) // size))
        reply = self._reply(request, token, [self._row(row, token) for row in rows])
        link = self._link(request, last)
        return reply.adding(Link=link) if link else reply

    def _repository_by_id(self, request: Request, token: Token, identity: str) -> Reply:
        repository = self.organisation.by_id(int(identity))
        if repository is None or not _visible(repository, token):
            return self._missing(request)
        admin = token.private and not repository.other_owner
        return self._reply(request, token, self._document(repository, admin=admin))

    def _document(self, repository: Repository, *, admin: bool) -> documents.Document:
        document = documents.repository(self.organisation, repository, self.base, admin=admin)
        return {**document, **self.writing.settings(repository)}

    def _repository(self, request: Request, token: Token, login: str, name: str) -> Reply:
        former = login.casefold() in self.organisation.former_logins
        if not former and login.casefold() != self.organisation.login.casefold():
            return self._missing(request)
        repository, redirected = self.organisation.find(name)
        if repository is None or not _visible(repository, token):
            return self._missing(request)
        if redirected or former:
            return self.moved(request, f"/repositories/{repository.id}")
        return self._repository_by_id(request, token, str(repository.id))

    def _tree(self, request: Request, token: Token, login: str, name: str) -> Reply:
        if login.casefold() != self.organisation.login.casefold():
            return self._missing(request)
        repository, redirected = self.organisation.find(name)
        if repository is None or redirected or not _visible(repository, token):
            return self._missing(request)
        if not repository.files:
            return self.refusal(request, 409, "Git Repository is empty.")
        return self._reply(request, token, documents.tree(self.organisation, repository, self.base))

    def _user(self, request: Request, token: Token) -> Reply:
        if token is ANONYMOUS:
            return self.refusal(request, 401, "Requires authentication")
        return self._reply(request, token, documents.user(self.organisation, self.base))

    def _rate_limit(self, request: Request, token: Token) -> Reply:
        return self._reply(request, token, documents.rate_limit(**self._rate(token, count=0)))

    # Changes, for which a token must be one that sees everything

    def _creation(self, request: Request, token: Token, login: str) -> Reply:
        if request.method != "POST" or login.casefold() != self.organisation.login.casefold():
            return self._missing(request)
        if not token.private:
            return self.refusal(request, 403, "Resource not accessible by this token")
        document = self._document(self.writing.create(request.body), admin=True)
        return self._reply(request, token, document, 201)

    def _changed(self, request: Request, token: Token, login: str, name: str) -> Reply:
        repository = self._own(token, login, name)
        if repository is None or request.method not in {"PATCH", "DELETE"}:
            return self._missing(request)
        if request.method == "DELETE":
            self.writing.delete(repository)
            return self._done(request, token, 204)
        changed = self.writing.update(repository, request.body)
        return self._reply(request, token, self._document(changed, admin=True))

    def _variable(
        self, request: Request, token: Token, login: str, name: str, variable: str
    ) -> Reply:
        if former := self._former(token, login, name):
            return self.moved(request, f"/repositories/{former.id}/actions/variables/{variable}")
        repository = self._own(token, login, name)
        document = repository and self.writing.variable(repository, variable)
        return self._reply(request, token, document) if document else self._missing(request)

    def _variable_changed(
        self, request: Request, token: Token, login: str, name: str, variable: str | None = None
    ) -> Reply:
        if former := self._former(token, login, name):
            below = f"/{variable}" if variable else ""
            return self.moved(request, f"/repositories/{former.id}/actions/variables{below}")
        return self._variable_set(request, token, self._own(token, login, name), variable)

    def _variable_changed_by_id(
        self, request: Request, token: Token, identity: str, variable: str | None = None
    ) -> Reply:
        repository = self.organisation.by_id(int(identity)) if token.private else None
        return self._variable_set(request, token, repository, variable)

    def _variable_by_id(
        self, request: Request, token: Token, identity: str, variable: str
    ) -> Reply:
        repository = self.organisation.by_id(int(identity)) if token.private else None
        document = repository and self.writing.variable(repository, variable)
        return self._reply(request, token, document) if document else self._missing(request)

    def _variable_set(
        self, request: Request, token: Token, repository: Repository | None, variable: str | None
    ) -> Reply:
        allowed = {"POST"} if variable is None else {"PATCH", "DELETE"}
        if repository is None or request.method not in allowed:
            return self._missing(request)
        if not change_variable(self.writing, request.method, repository, variable, request.body):
            return self._missing(request)
        return self._done(request, token, 201 if variable is None else 204)

    def _former(self, token: Token, login: str, name: str) -> Repository | None:
        """Give a repository that answers to a name by a redirect only, and that may be changed."""
        if login.casefold() != self.organisation.login.casefold() or not token.private:
            return None
        repository, redirected = self.organisation.find(name)
        return repository if redirected else None

    def _own(self, token: Token, login: str, name: str) -> Repository | None:
        """Give a repository of the organisation, by its own name, that the token may change."""
        if login.casefold() != self.organisation.login.casefold() or not token.private:
            return None
        repository, redirected = self.organisation.find(name)
        return None if redirected else repository

    def _done(self, request: Request, token: Token, status: int) -> Reply:
        """Return a reply that says no more than that it was done."""
        reply = self._reply(request, token, {}, status)
        return replace(reply, body=b"") if status == 204 else reply  # noqa: PLR2004 - No Content

    _changes: ClassVar[tuple[tuple[str, Callable[..., Reply]], ...]] = (
        (r"/orgs/(?P<login>[^/]+)/repos", _creation),
        (r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)", _changed),
        (r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)/actions/variables", _variable_changed),
        (
            r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)/actions/variables/(?P<variable>\w+)",
            _variable_changed,
        ),
        (r"/repositories/(?P<identity>[0-9]+)/actions/variables", _variable_changed_by_id),
        (
            r"/repositories/(?P<identity>[0-9]+)/actions/variables/(?P<variable>\w+)",
            _variable_changed_by_id,
        ),
    )
    _routes: ClassVar[tuple[tuple[str, Callable[..., Reply]], ...]] = (
        (r"/orgs/(?P<login>[^/]+)", _organization),
        (r"/orgs/(?P<login>[^/]+)/repos", _listing),
        (r"/organizations/(?P<identity>[0-9]+)", _organization_by_id),
        (r"/organizations/(?P<identity>[0-9]+)/repos", _listing_by_id),
        (r"/repositories/(?P<identity>[0-9]+)", _repository_by_id),
        (r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)", _repository),
        (r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)/git/trees/HEAD", _tree),
        (
            r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)/actions/variables/(?P<variable>\w+)",
            _variable,
        ),
        (
            r"/repositories/(?P<identity>[0-9]+)/actions/variables/(?P<variable>\w+)",
            _variable_by_id,
        ),
        (r"/user", _user),
        (r"/rate_limit", _rate_limit),
    )

    # Headers

    def _bearer(self, request: Request) -> Token | None:
        if not request.authorization:
            return ANONYMOUS
        scheme, _, value = request.authorization.partition(" ")
        if scheme.lower() not in {"bearer", "token"}:
            return None
        return next((token for token in self.tokens if token.value == value.strip()), None)

    def _rate(self, token: Token, *, count: int = 1) -> dict[str, int]:
        """Count a request and return the limit's state, which is told and never enforced."""
        window = int(time.time()) // _HOUR
        with self._lock:
            self._used[token.value, window] += count
            used = self._used[token.value, window]
        limit = 60 if token is ANONYMOUS else 15_000
        # Never 0: to clients a 0 means that the limit is reached, and here only a fault says so.
        remaining = max(limit - used, 1)
        return {"limit": limit, "used": used, "remaining": remaining, "reset": (window + 1) * _HOUR}

    def _reply(
        self,
        request: Request,
        token: Token,
        document: Any,  # noqa: ANN401 - JSON
        status: int = 200,
    ) -> Reply:
        rate = self._rate(token, count=request.path != "/rate_limit")
        serial = next(self._ids)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": f"5A4D:{serial % 0x10000:04X}:{serial:06X}:{serial * 7:06X}",
            **{f"X-RateLimit-{key.title()}": str(value) for key, value in rate.items()},
            "X-RateLimit-Resource": "core",
        }
        if token.scopes is not None:
            headers["X-OAuth-Scopes"] = token.scopes
        return Reply(status, headers, encoded(document))

    def _link(self, request: Request, last: int) -> str:
        """Return the Link header, in GitHub's order; its URLs name the organisation by id."""
        page = request.page
        pages = {"prev": min(page - 1, last)} if page > 1 else {}
        if page < last:
            pages |= {"next": page + 1, "last": last}
        if page > 1:
            pages["first"] = 1
        url = f"{self.base}api/v3/organizations/{self.organisation.id}/repos"
        return ", ".join(
            f'<{url}?{urlencode({**request.query, "page": number})}>; rel="{relation}"'
            for relation, number in pages.items()
        )

    def _row(self, repository: Repository, token: Token) -> documents.Document:
        return documents.repository_row(
            self.organisation, repository, self.base, admin=token.private
        )

    def _missing(self, request: Request) -> Reply:
        return self.refusal(request, 404, "Not Found")


def encoded(document: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return a document as the bytes of a body."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def conditional(request: Request, reply: Reply) -> Reply:
    """Tag a good reply, or answer 304 when the caller holds the same one already."""
    if reply.status != 200:  # noqa: PLR2004 - OK
        return reply
    tag = f'W/"{hashlib.sha256(reply.body).hexdigest()}"'
    reply = reply.adding(ETag=tag)
    held = {one.strip().removeprefix("W/") for one in request.if_none_match.split(",")}
    if held & {tag.removeprefix("W/"), "*"}:
        return replace(reply, status=304, body=b"")
    return reply


def _visible(repository: Repository, token: Token) -> bool:
    # Another owner's private repositories are hidden from every token that the sandbox knows.
    return not repository.private or (token.private and not repository.other_owner)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) else default
