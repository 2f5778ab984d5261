"""The embedded GitHub on loopback: sockets, faults, the record of calls and the control endpoints.

Owns the connections and the thread that serves them; when its context ends none of them is left.
Reads requests. Never listens on anything but 127.0.0.1. The standard library's HTTP server carries
it, because werkzeug's closes the connection after each reply and GitHub's does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import sys
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.github.api import Api, conditional
from sandbox.github.exchange import PREFIX, Reply, Request, encoded
from sandbox.github.faults import CATALOGUE, Call, FaultError, Faults
from sandbox.github.organisation import Organisation, OrganisationError, as_json
from sandbox.github.tokens import CLASSIC, TOKENS, Kind, Level, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from email.message import Message
    from types import TracebackType

CONTROL = "/_sandbox"
_RESIDENCY = re.compile(r"api\.[a-z0-9-]+\.ghe\.com")
_BEGINNINGS: dict[Kind, str] = {
    "anonymous": "",
    "classic": "ghp_",
    "fine-grained": "github_pat_",
    "installation": "ghs_",
    "workflow": "ghs_",
}
_POLL_SECONDS = 0.02  # how long stopping waits at most for the accepting thread to look up


@dataclass(slots=True)
class _Watch:
    """What is to be done at a certain request: the ``count``-th whose method and path match."""

    count: int
    method: str
    path: str
    act: Callable[[], None]


class EmbeddedGitHub:
    """Context manager: the GitHub REST API of one organisation, on a free port of loopback.

    ``token`` reads everything; the other tokens of ``tokens.TOKENS`` are known too and read less, and
    ``issue`` makes more. ``url`` is what the provider's ``base_url`` takes; the API is below its
    ``/api/v3``, as on a GitHub Enterprise Server, and without a prefix where the request is for
    ``api.SUBDOMAIN.ghe.com``. The control endpoints (see ``client``) are below ``/_sandbox``.
    """

    url: str

    def __init__(self, organisation: Organisation, *, token: str = CLASSIC.value) -> None:
        self.organisation = organisation
        self.token = token
        self.faults = Faults()
        self.tokens: list[Token] = [replace(CLASSIC, value=token), *TOKENS]
        self._calls: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._watch: _Watch | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self._answer)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.api = Api(self.organisation, self.tokens, self.url)
        self.organisation.told.append(self.api.hooks.happened)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="embedded-github"
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.organisation.told.remove(self.api.hooks.happened)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def issue(
        self,
        kind: Kind,
        *,
        repositories: Sequence[str] | None = None,
        scopes: Sequence[str] = (),
        permissions: Mapping[str, Level] | None = None,
        owner: bool = False,
        authorised: bool = True,
    ) -> Token:
        """Make a token of a kind, for all repositories or for those of these names."""
        chosen = (
            None
            if repositories is None
            else frozenset(self.organisation.get(name).id for name in repositories)
        )
        token = Token(
            f"{_BEGINNINGS[kind]}issued{len(self.tokens)}",
            kind,
            scopes=tuple(scopes),
            permissions=dict(permissions or {}),
            repositories=chosen,
            owner=owner,
            authorised=authorised,
        )
        self.tokens.append(token)
        return token

    def calls(self) -> list[dict[str, Any]]:
        """Return the API requests served so far: method, path, query, status, fault."""
        with self._lock:
            return list(self._calls)

    def forget_calls(self) -> None:
        """Start the record of calls anew."""
        with self._lock:
            self._calls.clear()

    @contextlib.contextmanager
    def at_call(
        self, count: int, act: Callable[[], None], *, method: str, path: str
    ) -> Iterator[None]:
        """Do something once, at the ``count``-th request in this context whose method and path match.

        It is done after GitHub has acted on the request, and before its caller has the answer. ``path``
        is a regular expression that is searched in the path after ``/api/v3``.
        """
        with self._lock:
            self._watch = _Watch(count, method, path, act)
        try:
            yield
        finally:
            with self._lock:
                self._watch = None

    def _watched(self, request: Request) -> None:
        with self._lock:
            watch = self._watch
            if (
                not watch
                or request.method != watch.method
                or not re.search(watch.path, request.path)
            ):
                return
            watch.count -= 1
            if watch.count:
                return
            self._watch = None
        watch.act()

    def _answer(self, method: str, target: str, headers: Message, body: bytes) -> Reply:
        parts = urlsplit(target)
        path = unquote(parts.path)
        if path.startswith(f"{CONTROL}/"):
            return self._control(method, path.removeprefix(CONTROL), body)
        request = Request(
            method=method,
            path=_below(path, headers.get("Host", "")),
            query=dict(parse_qsl(parts.query)),
            authorization=headers.get("Authorization", ""),
            if_none_match=headers.get("If-None-Match", ""),
            body=body,
        )
        fault = self.faults.take(request)
        if fault:
            reply = fault.kind.act(Call(self.api, request), **fault.options)
        else:
            reply = self.api.answer(request)
        reply = conditional(request, reply)
        with self._lock:
            self._calls.append(
                {
                    "method": method,
                    "path": path,
                    "query": dict(request.query),
                    "status": reply.status if reply.ending in {"sent", "cut"} else None,
                    "fault": fault.kind.name if fault else None,
                }
            )
        self._watched(request)
        return reply

    def _control(self, method: str, path: str, body: bytes) -> Reply:
        commands: dict[str, Callable[[], object]] = {
            "GET /state": self._state,
            "POST /repositories": lambda: self._change(**_command(body, "change")),
            "GET /faults": lambda: [kind.as_json() for kind in CATALOGUE.values()],
            "POST /faults": lambda: self._arm(**_command(body, "fault")),
            "DELETE /faults": self.faults.clear,
            "POST /tokens": lambda: {"token": self.issue(**_command(body, "kind")).value},
            "GET /dispatches": self.api.hooks.dispatches,
            "GET /calls": lambda: {"count": len(self.calls()), "calls": self.calls()},
            "DELETE /calls": self.forget_calls,
        }
        command = f"{method} {path}"
        if command not in commands:
            known = ", ".join(commands)
            return _json(404, {"error": f"There is no {command} below {CONTROL}, only {known}."})
        try:
            return _json(200, commands[command]())
        except (OrganisationError, FaultError, TypeError, KeyError, ValueError) as error:
            return _json(422, {"error": str(error)})

    def _state(self) -> object:
        counts = self.organisation.counts()
        return {
            "login": self.organisation.login,
            "id": self.organisation.id,
            "public": counts[False],
            "private": counts[True],
            "repositories": [as_json(repository) for repository in self.organisation],
            "away": [as_json(repository) for repository in self.organisation.away()],
            "faults": self.faults.as_json(),
        }

    def _change(self, change: str, **arguments: object) -> object:
        changed = self.organisation.change(change, arguments)
        return as_json(changed) if changed else {"login": self.organisation.login}

    def _arm(self, fault: str, **how: Any) -> object:  # noqa: ANN401 - checked by arm
        return self.faults.arm(fault, **how).as_json()


def _below(path: str, host: str) -> str:
    """Return the API's own path, empty where the API is not: at its prefix, or at a host of its own.

    GitHub Enterprise Cloud with data residency answers at api.SUBDOMAIN.ghe.com (GitHub Docs, "Network
    details for GHE.com"), a GitHub Enterprise Server below /api/v3 ("REST API endpoints").
    """
    if _RESIDENCY.fullmatch(host.rpartition(":")[0] or host):
        return path
    return path.removeprefix(PREFIX) if path.startswith(f"{PREFIX}/") else ""


def _command(body: bytes, key: str) -> dict[str, Any]:
    try:
        command = json.loads(body)
    except ValueError:
        command = None
    if not isinstance(command, dict) or not isinstance(command.get(key), str):
        raise FaultError(f"A command is a JSON object with a text {key!r}, not {body[:80]!r}.")
    return command


def _json(status: int, document: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, encoded(document))


class _Server(ThreadingTCPServer):
    """A thread a connection, all of which server_close ends and joins."""

    daemon_threads = False  # only such threads are joined
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[str, str, Message, bytes], Reply]) -> None:
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's type
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._open:
                # Kept-alive and held connections wait in a read, which this ends.
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        # A client that leaves early is what some faults are about.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            reply = self.server.answer(self.command, self.path, self.headers, body)
        except Exception as error:  # noqa: BLE001 - told to the caller, who else would wait
            reply = _json(500, {"error": f"The embedded GitHub failed: {error!r}"})
        self.close_connection = reply.ending != "sent"
        if reply.ending == "held":
            while self.connection.recv(1024):
                pass
        elif reply.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304:  # noqa: PLR2004 - Not Modified has no body
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        body = reply.body
        self.wfile.write(body[: len(body) // 2] if reply.ending == "cut" else body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def version_string(self) -> str:
        return "GitHub.com"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the record of calls is where requests are seen."""
