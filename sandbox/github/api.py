"""GitHub's REST API over the model: a request in, a reply out, no sockets.

Owns who may see and change what, pages and redirects, and the headers that GitHub sends; ``actions``,
``hooks``, ``rulesets`` and ``writing`` own their endpoints. Reads the model and, for the rate limit's
window, the clock. Never fails on its own: see ``faults``.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from sandbox.github import actions, apps, documents, hooks, rulesets, runs
from sandbox.github.exchange import (
    PREFIX,
    Asked,
    Endpoint,
    RefusedError,
    Reply,
    Request,
    Told,
    encoded,
    missing,
    paged,
)
from sandbox.github.organisation import OrganisationError
from sandbox.github.tokens import ANONYMOUS, Need, Token
from sandbox.github.writing import (
    CREATE_PRIVATE,
    CREATE_PUBLIC,
    DELETE,
    UPDATE,
    Writing,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.github.organisation import Organisation, Repository

_HOUR = 3600
_OK = 200
_READING = {"GET", "HEAD"}
_CONTENTS = Need("contents", "read", ("repo", "public_repo"))
_REPOSITORY = re.compile(r"/repos/(?P<login>[^/]+)/(?P<name>[^/]+)(?P<rest>/.*)?")
_REPOSITORY_BY_ID = re.compile(r"/repositories/(?P<identity>[0-9]+)(?P<rest>/.*)?")
_ORGANISATION = re.compile(r"/orgs/(?P<login>[^/]+)(?P<rest>/.*)?")
_ORGANISATION_BY_ID = re.compile(r"/organizations/(?P<identity>[0-9]+)(?P<rest>/.*)?")


@dataclass
class Api:
    """The endpoints. ``base`` is the site's URL with its closing slash. Safe in many threads."""

    organisation: Organisation
    tokens: list[Token]
    base: str
    writing: Writing = field(init=False)
    actions: actions.Actions = field(init=False)
    rulesets: rulesets.Rulesets = field(init=False)
    hooks: hooks.Hooks = field(init=False)
    apps: apps.Apps = field(init=False)
    runs: runs.Runs = field(init=False)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _used: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.writing = Writing(self.organisation)
        self.actions = actions.Actions(self.organisation, self.base)
        self.rulesets = rulesets.Rulesets(self.organisation, self.base)
        self.apps = apps.Apps(self.organisation, self.tokens, self.base)
        self.runs = runs.Runs()
        self.hooks = hooks.Hooks(self.organisation, self.base, self.runs.start)
        self._of_repositories = (
            Endpoint("GET", "", self._repository),
            Endpoint("PATCH", "", self._changed, UPDATE, of_archived=True),
            Endpoint("DELETE", "", self._deleted, DELETE, of_archived=True),
            Endpoint("GET", "/git/trees/HEAD", self._tree, _CONTENTS),
            *actions.of_repositories(self.actions),
            *rulesets.of_repositories(self.rulesets),
            *hooks.of_repositories(self.hooks),
            *runs.of_repositories(self.runs),
        )
        self._of_organisation = (
            Endpoint("GET", "", self._organization),
            Endpoint("GET", "/repos", self._listing),
            Endpoint("POST", "/repos", self._creation),
            *actions.of_organisation(self.actions),
            *rulesets.of_organisation(self.rulesets),
            *hooks.of_organisation(self.hooks),
            *apps.of_organisation(self.apps),
            Endpoint("GET", r"/teams/(?P<team>[\w-]+)", self._team),
        )
        self._others = (
            Endpoint("GET", "/installation/repositories", self._installed),
            Endpoint("GET", "/user", self._user),
            Endpoint("GET", "/rate_limit", self._rate_limit),
        )

    def answer(self, request: Request, *, token: Token | None = None) -> Reply:
        """Answer a request, as the bearer of its own token or of another one."""
        if reply := self._by_an_app(request):
            return reply
        bearer = token or self._bearer(request)
        if bearer is None:
            return self.refusal(request, 401, "Bad credentials")
        try:
            return self._routed(request, bearer)
        except RefusedError as error:
            return self.refusal(request, error.status, error.message, error.documentation)
        except OrganisationError as error:
            return self.refusal(request, 422, str(error))

    def _by_an_app(self, request: Request) -> Reply | None:
        """Answer what an app asks by its own signature, or whoever has a manifest's code."""
        for how, endpoint in apps.signed(self.apps):
            found = re.fullmatch(endpoint.pattern, request.path)
            is_jwt = request.authorization.count(".") == 2  # noqa: PLR2004 - the parts of a JWT
            if not found or endpoint.method != request.method or (how == "signed" and not is_jwt):
                continue
            try:
                told = endpoint.tell(Asked(request, ANONYMOUS), **found.groupdict())
            except RefusedError as error:
                return self.refusal(request, error.status, error.message, error.documentation)
            return self._reply(request, ANONYMOUS, told.document, told.status)
        return None

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
        if request.method not in _READING:
            status = HTTPStatus.TEMPORARY_REDIRECT
        body = {"message": status.phrase, "url": url, "documentation_url": guide}
        reply = self._reply(request, self._bearer(request) or ANONYMOUS, body, status.value)
        return reply.adding(Location=url + query)

    # From a path to its endpoint

    def _routed(self, request: Request, token: Token) -> Reply:
        of_repository = _REPOSITORY.fullmatch(request.path) or _REPOSITORY_BY_ID.fullmatch(
            request.path
        )
        if of_repository:
            return self._of_one(request, token, **of_repository.groupdict())
        of_organisation = _ORGANISATION.fullmatch(request.path) or _ORGANISATION_BY_ID.fullmatch(
            request.path
        )
        if of_organisation:
            return self._of_all(request, token, **of_organisation.groupdict())
        return self._told(request, token, self._others, request.path)

    def _of_one(
        self,
        request: Request,
        token: Token,
        rest: str | None,
        *,
        login: str = "",
        name: str = "",
        identity: str = "",
    ) -> Reply:
        """Answer what is about one repository, by its name or its id."""
        moved = not identity and self._former(login)
        repository, redirected = (
            (self.organisation.by_id(int(identity)), False)
            if identity
            else self.organisation.find(name)
        )
        if repository is None or not token.sees(repository):
            raise missing()
        if redirected or moved:
            return self.moved(request, f"/repositories/{repository.id}{rest or ''}")
        return self._told(request, token, self._of_repositories, rest, repository)

    def _of_all(
        self, request: Request, token: Token, rest: str | None, login: str = "", identity: str = ""
    ) -> Reply:
        """Answer what is about the organisation, by its login or its id."""
        if identity and int(identity) != self.organisation.id:
            raise missing()
        if not identity and self._former(login):
            return self.moved(request, f"/organizations/{self.organisation.id}{rest or ''}")
        return self._told(request, token, self._of_organisation, rest)

    def _former(self, login: str) -> bool:
        """Whether a login is a former one. Raises RefusedError where it is another owner's."""
        if login.casefold() in self.organisation.former_logins:
            return True
        if login.casefold() != self.organisation.login.casefold():
            raise missing()
        return False

    def _told(
        self,
        request: Request,
        token: Token,
        endpoints: Iterable[Endpoint],
        rest: str | None,
        repository: Repository | None = None,
    ) -> Reply:
        found = (
            (each, match)
            for each in endpoints
            if each.method == request.method and (match := re.fullmatch(each.pattern, rest or ""))
        )
        endpoint, match = next(found, (None, None))
        if endpoint is None or match is None:
            raise missing()
        if endpoints is not self._others and not token.authorised:
            return self._sign_on(request)
        self._let(token, endpoint, repository)
        told = endpoint.tell(Asked(request, token, repository), **match.groupdict())
        reply = self._reply(request, token, told.document, told.status)
        link = self._link(request, told.last, repository)
        return reply.adding(Link=link) if link else reply

    def _let(self, token: Token, endpoint: Endpoint, repository: Repository | None) -> None:
        """Let a token use an endpoint. Raises RefusedError where it may not."""
        if endpoint.need and not token.may(endpoint.need, repository):
            public = endpoint.method in _READING and endpoint.need is _CONTENTS
            if not (public and repository and not repository.private):
                raise _not_let(token, repository)
        if repository is None or endpoint.method in _READING:
            return
        if repository.other_owner:
            raise missing()
        if repository.archived and not endpoint.of_archived:
            raise RefusedError(403, "Repository was archived so is read-only.")

    def _sign_on(self, request: Request) -> Reply:
        """Refuse a token that is not authorised for the organisation's single sign-on."""
        url = f"{self.base}orgs/{self.organisation.login}/sso"
        message = "Resource protected by organization SAML enforcement. You must grant your "
        message += "Personal Access token access to this organization."
        return self.refusal(request, 403, message).adding(X_GitHub_SSO=f"required; url={url}")

    # Endpoints

    def _organization(self, asked: Asked) -> Told:
        counts = asked.token.counts
        return Told(documents.organization(self.organisation, self.base, counts=counts))

    def _listing(self, asked: Asked) -> Told:
        request, token = asked.request, asked.token
        everything = self.organisation.listing(
            type=request.query.get("type", "all"),
            sort=request.query.get("sort", "created"),
            descending=request.direction == "desc",
        )
        if not token.reaches_all:
            everything = tuple(filter(token.sees, everything))
        rows = paged(request, everything)
        last = max(1, -(-len(everything) // request.per_page))
        return Told([self._row(row, token) for row in rows], last=last)

    def _creation(self, asked: Asked) -> Told:
        said = asked.request.said()
        public = not said.get("private") and said.get("visibility", "public") == "public"
        if not asked.token.may(CREATE_PUBLIC if public else CREATE_PRIVATE):
            raise _not_let(asked.token, None)
        return Told(self._document(self.writing.create(said), asked.token), 201)

    def _repository(self, asked: Asked) -> Told:
        return Told(self._document(asked.repository, asked.token))

    def _changed(self, asked: Asked) -> Told:
        changed = self.writing.update(asked.repository, asked.request)
        return Told(self._document(changed, asked.token))

    def _deleted(self, asked: Asked) -> Told:
        self.writing.delete(asked.repository)
        self.actions.forget(asked.repository)
        return Told(None, 204)

    def _team(self, asked: Asked, team: str) -> Told:
        number = sum(map(ord, team))
        slug = {"id": number, "slug": team, "name": team}
        if asked.token.kind == "anonymous":
            raise missing()
        return Told(slug)

    def _tree(self, asked: Asked) -> Told:
        if not asked.repository.files:
            raise RefusedError(409, "Git Repository is empty.")
        return Told(documents.tree(self.organisation, asked.repository, self.base))

    def _installed(self, asked: Asked) -> Told:
        token = asked.token
        if not token.installed:
            raise RefusedError(
                403,
                "You must authenticate with an installation access token in order to list "
                "repositories for an installation.",
            )
        rows = [each for each in self.organisation if token.reaches(each)]
        whole = [self._document(each, token) for each in paged(asked.request, rows)]
        return Told(
            {
                "total_count": len(rows),
                "repository_selection": "all" if token.repositories is None else "selected",
                "repositories": whole,
            },
            last=max(1, -(-len(rows) // asked.request.per_page)),
        )

    def _user(self, asked: Asked) -> Told:
        if asked.token.kind == "anonymous":
            raise RefusedError(401, "Requires authentication")
        if asked.token.installed:
            raise _not_let(asked.token, None)
        return Told(documents.user(self.organisation, self.base))

    def _rate_limit(self, asked: Asked) -> Told:
        return Told(documents.rate_limit(**self._rate(asked.token, count=0)))

    # Documents

    def _document(self, repository: Repository, token: Token) -> documents.Document:
        admin = token.reaches(repository) and not repository.other_owner
        document = documents.repository(self.organisation, repository, self.base, admin=admin)
        return {**document, **self.writing.settings(repository)}

    def _row(self, repository: Repository, token: Token) -> documents.Document:
        admin = token.reaches(repository)
        row = documents.repository_row(self.organisation, repository, self.base, admin=admin)
        if not token.reads_properties:
            del row["custom_properties"]
        return row

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
        # A workflow's own token: 1,000 requests an hour and repository ("Rate limits for the REST API").
        limit = {"anonymous": 60, "workflow": 1_000}.get(token.kind, 15_000)
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
        if token.told is not None:
            headers["X-OAuth-Scopes"] = token.told
        return Reply(status, headers, b"" if document is None else encoded(document))

    def _link(self, request: Request, last: int, repository: Repository | None) -> str:
        """Return the Link header, in GitHub's order; its URLs name owner or repository by id."""
        page = request.page
        pages = {"prev": min(page - 1, last)} if page > 1 else {}
        if page < last:
            pages |= {"next": page + 1, "last": last}
        if page > 1:
            pages["first"] = 1
        path = request.path
        if repository is not None:
            path = re.sub(r"^/repos/[^/]+/[^/]+", f"/repositories/{repository.id}", path)
        path = re.sub(r"^/orgs/[^/]+", f"/organizations/{self.organisation.id}", path)
        url = f"{self.base.rstrip('/')}{PREFIX}{path}"
        return ", ".join(
            f'<{url}?{urlencode({**request.query, "page": number})}>; rel="{relation}"'
            for relation, number in pages.items()
        )


def _not_let(token: Token, repository: Repository | None) -> RefusedError:
    """Return GitHub's words for a token that may not do this, by the token's kind."""
    if token.kind == "anonymous":
        return RefusedError(401, "Requires authentication")
    if token.installed:
        return RefusedError(403, "Resource not accessible by integration")
    if token.kind == "fine-grained":
        return RefusedError(403, "Resource not accessible by personal access token")
    if repository is not None:
        return RefusedError(403, "Must have admin rights to Repository.")
    return RefusedError(403, "You need admin access to the organization.")


def conditional(request: Request, reply: Reply) -> Reply:
    """Tag a good reply, or answer 304 when the caller holds the same one already."""
    if reply.status != _OK:
        return reply
    tag = f'W/"{hashlib.sha256(reply.body).hexdigest()}"'
    reply = reply.adding(ETag=tag)
    held = {one.strip().removeprefix("W/") for one in request.if_none_match.split(",")}
    if held & {tag.removeprefix("W/"), "*"}:
        return replace(reply, status=304, body=b"")
    return reply
