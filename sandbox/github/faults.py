"""The ways in which the embedded GitHub misbehaves on request.

Owns the catalogue of faults and the queue of the armed ones. Reads the request and the reply that
an undisturbed GitHub would give. Never acts unasked, and never sleeps: a held connection ends when
the client leaves or the server stops.
"""

from __future__ import annotations

import inspect
import itertools
import re
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_type_hints

from sandbox.github import documents
from sandbox.github.exchange import Reply  # noqa: TC001 - arming reads the type hints
from sandbox.github.organisation import OrganisationError
from sandbox.github.tokens import PUBLIC_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.github.api import Api
    from sandbox.github.exchange import Request
    from sandbox.github.organisation import Organisation

LISTING = r"^/(orgs/[^/]+|organizations/\d+)/repos$"
"""The path of the organisation's repository listing, which faults strike unless told otherwise."""

_LIMITS = f"{documents.DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"


class FaultError(ValueError):
    """A fault that cannot be armed; the message says why."""


@dataclass(frozen=True)
class Call:
    """The request that a fault strikes, and the GitHub behind it."""

    api: Api
    request: Request

    @property
    def organisation(self) -> Organisation:
        """The model."""
        return self.api.organisation

    def served(self) -> Reply:
        """Return the reply that an undisturbed GitHub gives."""
        return self.api.answer(self.request)

    def refused(self, status: int, message: str, documentation: str = documents.DOCS) -> Reply:
        """Return an error in GitHub's words."""
        return self.api.refusal(self.request, status, message, documentation)


@dataclass(frozen=True)
class Kind:
    """A fault of the catalogue; ``act`` may take options, all of them with a default."""

    name: str
    line: str
    act: Callable[..., Reply]

    @property
    def options(self) -> dict[str, Any]:
        """The options and their defaults."""
        parameters = list(inspect.signature(self.act).parameters.values())[1:]
        return {parameter.name: parameter.default for parameter in parameters}

    def as_json(self) -> dict[str, Any]:
        """Return the fault as the control endpoints show it."""
        return {"name": self.name, "line": self.line, "options": self.options}


CATALOGUE: dict[str, Kind] = {}


def _kind(name: str, line: str) -> Callable[[Callable[..., Reply]], Callable[..., Reply]]:
    def register(act: Callable[..., Reply]) -> Callable[..., Reply]:
        CATALOGUE[name] = Kind(name, line, act)
        return act

    return register


@dataclass
class Armed:
    """A fault that waits for its request."""

    kind: Kind
    path: str = LISTING
    page: int | None = None
    direction: str | None = None
    nth: int = 1
    times: int | None = 1
    method: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    seen: int = 0
    fired: int = 0

    def wants(self, request: Request) -> bool:
        """Count a request that matches, and return whether the fault strikes it."""
        if (
            not re.search(self.path, request.path)
            or self.page not in {None, request.page}
            or self.direction not in {None, request.direction}
            or self.method not in {None, request.method}
        ):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.fired < self.times)

    def as_json(self) -> dict[str, Any]:
        """Return the fault as the control endpoints show it."""
        return {**vars(self), "kind": self.kind.name}


class Faults:
    """The armed faults. A request is struck by the first that wants it. Safe in many threads."""

    def __init__(self) -> None:
        self._armed: list[Armed] = []
        self._lock = threading.Lock()

    def arm(
        self,
        fault: str,
        /,  # so that a fault may have an option of any name
        *,
        path: str = LISTING,
        page: int | None = None,
        direction: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        method: str | None = None,
        **options: Any,  # noqa: ANN401 - each fault has its own
    ) -> Armed:
        """Arm a fault of the catalogue.

        ``path`` is searched in the request's path after ``/api/v3``; ``nth`` is the first matching
        request that is struck, counted from now; ``times`` None is for ever. ``method`` None is any.
        """
        if fault not in CATALOGUE:
            raise FaultError(f"There is no fault {fault!r}; there are {', '.join(CATALOGUE)}.")
        kind = CATALOGUE[fault]
        problems = [
            f"{key} is a whole number from 1 up, not {value!r}"
            for key, value in (("page", page), ("nth", nth), ("times", times))
            if not _positive(value) and not (value is None and key != "nth")
        ]
        if direction not in (None, "asc", "desc"):
            problems.append(f"direction is asc or desc, not {direction!r}")
        try:
            re.compile(path)
        except (re.error, TypeError):
            problems.append(f"path is a regular expression, not {path!r}")
        hints = get_type_hints(kind.act)
        for key, value in options.items():
            if key not in kind.options:
                problems.append(f"it has no option {key} (it has {list(kind.options)})")
            elif not isinstance(value, hints[key]) or (value.__class__ is int and value < 1):
                problems.append(f"option {key} cannot be {value!r}")
        if problems:
            raise FaultError(f"Fault {fault}: {'; '.join(problems)}.")
        armed = Armed(kind, path, page, direction, nth, times, method, options)
        with self._lock:
            self._armed.append(armed)
        return armed

    def take(self, request: Request) -> Armed | None:
        """Return the fault that strikes this request, and count it."""
        with self._lock:
            # Every fault sees every request, so that `nth` does not depend on the others.
            wanting = [armed for armed in self._armed if armed.wants(request)]
            if not wanting:
                return None
            wanting[0].fired += 1
            return wanting[0]

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Return the armed faults, also the spent ones, as the control endpoints show them."""
        with self._lock:
            return [armed.as_json() for armed in self._armed]


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


# A request that fails


@_kind("status-500", "500 with a JSON body")
def _status_500(call: Call) -> Reply:
    return call.refused(500, "Server Error")


@_kind("status-502-html", "502 with the HTML of a proxy")
def _status_502(call: Call) -> Reply:
    return _html(call, 502)


@_kind("status-200-html", "200 with an HTML page instead of JSON")
def _status_200(call: Call) -> Reply:
    return _html(call, 200)


@_kind("status-401", "401: the token stops being accepted")
def _status_401(call: Call) -> Reply:
    return call.refused(401, "Bad credentials")


@_kind("status-403", "403: the token may not read this")
def _status_403(call: Call) -> Reply:
    return call.refused(403, "Resource not accessible by personal access token")


@_kind("status-404", "404: the organisation is gone, or hidden from the token")
def _status_404(call: Call) -> Reply:
    return call.refused(404, "Not Found")


@_kind("status-301", "301 to the organisation's path by id, as after a rename")
def _status_301(call: Call) -> Reply:
    path = re.sub(r"^/orgs/[^/]+", f"/organizations/{call.organisation.id}", call.request.path)
    return call.api.moved(call.request, path)


@_kind("timeout", "the request is never answered")
def _timeout(call: Call) -> Reply:
    return replace(call.served(), ending="held")


@_kind("connection-reset", "the connection is reset before the reply")
def _connection_reset(call: Call) -> Reply:
    return replace(call.served(), ending="reset")


@_kind("connection-cut", "the connection ends in the middle of the reply")
def _connection_cut(call: Call) -> Reply:
    return replace(call.served(), ending="cut")


# A page that says something else


@_kind("json-cut", "the JSON ends in the middle, in a reply that is whole")
def _json_cut(call: Call) -> Reply:
    reply = call.served()
    return replace(reply, body=reply.body[: len(reply.body) // 2])


@_kind("json-no-list", "the JSON is an object where a list belongs")
def _json_no_list(call: Call) -> Reply:
    return call.served().saying({"message": "Server Error", "documentation_url": documents.DOCS})


@_kind("page-short", "the page lacks its last rows (option rows)")
def _page_short(call: Call, rows: int = 1) -> Reply:
    reply = call.served()
    return reply.saying(reply.rows[:-rows])


@_kind("page-empty", "the page is an empty list")
def _page_empty(call: Call) -> Reply:
    return call.served().saying([])


@_kind("page-repeated", "the page has another page's rows (option of; the one before)")
def _page_repeated(call: Call, of: int | None = None) -> Reply:
    other = of or (call.request.page - 1) or 2
    request = replace(call.request, query={**call.request.query, "page": str(other)})
    return call.served().saying(call.api.answer(request).rows)


@_kind("rows-reordered", "the page's rows come in the opposite order")
def _rows_reordered(call: Call) -> Reply:
    reply = call.served()
    return reply.saying(reply.rows[::-1])


@_kind("row-duplicated", "the page's last row is its first one again")
def _row_duplicated(call: Call) -> Reply:
    reply = call.served()
    rows = reply.rows
    return reply.saying([*(rows[:-1] or rows), *rows[:1]])


@_kind("private-hidden", "the page is of a listing without private and internal repositories")
def _private_hidden(call: Call) -> Reply:
    return call.api.answer(call.request, token=PUBLIC_ONLY)


# Headers


@_kind("request-id-missing", "no X-GitHub-Request-Id")
def _request_id_missing(call: Call) -> Reply:
    return call.served().without("X-GitHub-Request-Id")


@_kind("link-missing", "no Link header")
def _link_missing(call: Call) -> Reply:
    return call.served().without("Link")


@_kind("sso-partial", "X-GitHub-SSO: partial-results, and no private rows")
def _sso_partial(call: Call) -> Reply:
    reply = call.served()
    reply = reply.saying([row for row in reply.rows if not row["private"]])
    return reply.adding(X_GitHub_SSO=f"partial-results; organizations={call.organisation.id}")


@_kind("sso-required", "403 with X-GitHub-SSO: required")
def _sso_required(call: Call) -> Reply:
    url = f"{call.api.base}orgs/{call.organisation.login}/sso"
    message = "Resource protected by organization SAML enforcement."
    return call.refused(403, message).adding(X_GitHub_SSO=f"required; url={url}")


# Limits


@_kind("rate-limit-403", "primary rate limit by 403, over in so many seconds (option seconds)")
def _rate_limit_403(call: Call, seconds: int = 60) -> Reply:
    return _primary(call, 403, seconds)


@_kind("rate-limit-429", "primary rate limit by 429, over in so many seconds (option seconds)")
def _rate_limit_429(call: Call, seconds: int = 60) -> Reply:
    return _primary(call, 429, seconds)


@_kind("secondary-limit", "secondary rate limit without Retry-After (option seconds: the reset)")
def _secondary_limit(call: Call, seconds: int = 60) -> Reply:
    return _secondary(call).adding(X_RateLimit_Reset=_in(seconds))


@_kind("secondary-limit-retry-after", "secondary rate limit with Retry-After (option seconds)")
def _secondary_limit_retry_after(call: Call, seconds: int = 60) -> Reply:
    return _secondary(call).adding(Retry_After=str(seconds))


# The organisation changes while it is listed. "After the page" is after it was read and before the
# client has it, so that the next request surely sees the change.


@_kind("deleted-before-page", "a repository is deleted before the page is read (option name)")
def _deleted_before(call: Call, name: str | None = None) -> Reply:
    call.organisation.delete(name or _first(call))
    return call.served()


@_kind("deleted-after-page", "a repository is deleted after the page is read (option name)")
def _deleted_after(call: Call, name: str | None = None) -> Reply:
    reply = call.served()
    call.organisation.delete(name or _first(call))
    return reply


@_kind("created-before-page", "a repository is created before the page is read (option name)")
def _created_before(call: Call, name: str | None = None) -> Reply:
    call.organisation.add(name or _new(call))
    return call.served()


@_kind("created-after-page", "a repository is created after the page is read (option name)")
def _created_after(call: Call, name: str | None = None) -> Reply:
    reply = call.served()
    call.organisation.add(name or _new(call))
    return reply


@_kind("renamed-before-page", "a repository is renamed before the page is read (options name, to)")
def _renamed_before(call: Call, name: str | None = None, to: str | None = None) -> Reply:
    call.organisation.rename(name or _first(call), to or _new(call))
    return call.served()


@_kind("renamed-after-page", "a repository is renamed after the page is read (options name, to)")
def _renamed_after(call: Call, name: str | None = None, to: str | None = None) -> Reply:
    reply = call.served()
    call.organisation.rename(name or _first(call), to or _new(call))
    return reply


def _first(call: Call) -> str:
    """Return the first name of the listing that is being read: its loss moves every later row."""
    listing = call.organisation.listing(
        sort=call.request.query.get("sort", "created"),
        descending=call.request.direction == "desc",
    )
    if not listing:
        raise OrganisationError(f"{call.organisation.login} has no repository to change.")
    return listing[0].name


def _new(call: Call) -> str:
    """Return a name that no repository has, also when the fault strikes again."""
    return next(
        name
        for name in (f"new-meanwhile-{number}" for number in itertools.count(1))
        if call.organisation.find(name) == (None, False)
    )


def _html(call: Call, status: int) -> Reply:
    page = "<!DOCTYPE html><html><head><title>Unicorn!</title></head><body>Try again</body></html>"
    reply = call.refused(status, "").adding(Content_Type="text/html; charset=utf-8")
    return replace(reply, body=page.encode())


def _primary(call: Call, status: int, seconds: int) -> Reply:
    reply = call.refused(status, "API rate limit exceeded for user ID 1.", _LIMITS)
    limit = reply.headers["X-RateLimit-Limit"]
    return reply.adding(
        X_RateLimit_Remaining="0", X_RateLimit_Used=limit, X_RateLimit_Reset=_in(seconds)
    )


def _secondary(call: Call) -> Reply:
    message = "You have exceeded a secondary rate limit. Please wait before you try again."
    return call.refused(403, message, f"{_LIMITS}#about-secondary-rate-limits")


def _in(seconds: int) -> str:
    return str(int(time.time()) + seconds)
