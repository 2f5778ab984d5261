"""The HTTP side of the embedded AWS: one loopback port for every service and account.

Owns the port, its threads, the journal's entries and `/_sandbox/`. Reads requests, the armed
refusals and, for the account of a caller, moto's access keys. Never binds to anything but loopback and never leaves
a thread or a connection behind.

It is moto's own application on moto's own request handler. `moto.server.ThreadedMotoServer` is
not used because it can neither see a request before moto does nor end the threads of idle
connections, of which the AWS SDK for Go leaves some.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from weakref import WeakSet

from botocore.model import OperationNotFoundError
from moto.iam.models import get_account_id_from
from moto.moto_server.werkzeug_app import (
    UNSIGNED_ACTIONS,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import ThreadedWSGIServer

from sandbox.aws.embedded import ApiCall, Journal, Refusal, Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo


_SUBJECTS = (
    *("repositoryName", "repositoryNames", "resourceArn"),
    *("RoleName", "OpenIDConnectProviderArn", "RoleArn"),
    *("TopicArn", "ResourceArn", "Rule", "ResourceARN", "KeyId", "Name"),
)
"""The fields by which the services used here say what a request is about, the most telling first."""

_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)


@contextmanager
def serving(journal: Journal, refusals: Refusals) -> Iterator[str]:
    """Serve until the context ends; give the URL. When it has ended no thread is left."""
    server = _Server(_Application(journal, refusals))
    # The polling interval is how long a stop may take: the default is half a second.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="embedded-aws")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


class _Application:
    """Moto's application behind a journal and refusals, with `/_sandbox/` beside it."""

    def __init__(self, journal: Journal, refusals: Refusals) -> None:
        self._journal = journal
        self._created: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}
        self._refusals = refusals
        # Moto's models are not made for threads, and a thread gains nothing here: all of it is Python.
        self._one_at_a_time = threading.Lock()
        self._moto = DomainDispatcherApplication(create_backend_app)
        # Without the cache moto lists its modules on disk for every request: most of its time.
        lookup = cache(self._moto.get_backend_for_host)
        self._moto.get_backend_for_host = lookup  # type: ignore[method-assign]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/_sandbox/"):
            return self._sandbox(environ, start_response)
        # An SDK that lost an answer on its way asks again under the same id, and would find that what
        # it made exists already; here it gets the answer that it lost.
        invocation = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if invocation in self._created:
            status, headers, body = self._created[invocation]
            start_response(status, headers)
            return [body]
        asked = _asked(environ)

        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def record(status: int) -> None:
            self._journal.add(ApiCall(**asked, status=status))

        def recording(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            record(int(status[:3]))
            answered.append((status, headers))
            return start_response(status, headers, exc_info)

        if refusal := self._refusals.take(asked["service"], asked["action"]):
            record(refusal.status)
            return _refused(environ, start_response, refusal)
        try:
            with self._one_at_a_time:
                answer: Iterable[bytes] = self._moto(environ, recording)
        except (NotImplementedError, OperationNotFoundError) as gap:
            # As a 500 the SDKs would retry it for minutes; a 501 they report at once.
            record(HTTPStatus.NOT_IMPLEMENTED)
            problem = {"__type": "NotImplementedException", "message": f"embedded AWS: {gap}"}
            return _json(start_response, HTTPStatus.NOT_IMPLEMENTED, problem)
        except Exception:
            record(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        if (
            asked["action"] == "CreateRepository"
            and invocation
            and answered[0][0].startswith("200")
        ):
            body = b"".join(answer)
            self._created[invocation] = (*answered[0], body)
            return [body]
        return answer

    def _sandbox(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/_sandbox/calls":
                calls = [asdict(call) for call in self._journal.calls()]
                return _json(start_response, HTTPStatus.OK, calls)
            case "DELETE", "/_sandbox/calls":
                self._journal.clear()
                return _json(start_response, HTTPStatus.OK, [])
            case method, path:
                problem = {
                    "message": f"{method} {path} is not served: GET or DELETE /_sandbox/calls"
                }
                return _json(start_response, HTTPStatus.NOT_FOUND, problem)


def _json(start_response: StartResponse, status: HTTPStatus, value: object) -> list[bytes]:
    body = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _refused(
    environ: WSGIEnvironment, start_response: StartResponse, refusal: Refusal
) -> list[bytes]:
    """Answer with an error in the protocol of the service: JSON, or the XML of query services."""
    status = HTTPStatus(refusal.status)
    message = "refused by the embedded AWS, as it was told to"
    if "HTTP_X_AMZ_TARGET" in environ:
        return _json(start_response, status, {"__type": refusal.code, "message": message})
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{refusal.code}</Code>"
        f"<Message>{message}</Message></Error><RequestId>0</RequestId></ErrorResponse>"
    ).encode()
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _asked(environ: WSGIEnvironment) -> dict[str, Any]:
    """Say who asked what of which service and where, before moto reads the request.

    JSON services name their action in a header and query services in the body; for the others
    the method and path stand in for it.
    """
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    body = _body(environ)
    fields = _firsts(body)
    action = target or fields.get("Action", "")
    if credential := _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")):
        region, service = credential["region"], credential["service"]
        account = get_account_id_from(credential["key"])
    else:
        service, region = UNSIGNED_ACTIONS.get(action, ("unknown", "unknown"))
        account = get_account_id_from("")
    return {
        "account": account,
        "region": region,
        "service": service,
        "action": action or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}",
        "subject": next((fields[key] for key in _SUBJECTS if fields.get(key)), ""),
        "tags": tuple(
            (each["TagKey"], each["TagValue"])
            for each in body.get("Tags") or ()
            if isinstance(each, dict) and "TagKey" in each
        ),
    }


def _body(environ: WSGIEnvironment) -> dict[str, Any]:
    """Read the fields of a form or JSON body, and put the body back for moto."""
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if not form and "HTTP_X_AMZ_TARGET" not in environ:
        return {}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    try:
        fields = parse_qs(body.decode()) if form else json.loads(body or b"{}")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _firsts(fields: dict[str, Any]) -> dict[str, str]:
    """Give the fields that are texts, and of lists the first."""
    firsts = (
        (name, value[0] if isinstance(value, list) and value else value)
        for name, value in fields.items()
    )
    return {name: value for name, value in firsts if isinstance(value, str)}


class _Handler(MotoRequestHandler):
    """Moto's handler without a line on stderr for every request, and without Nagle's delay."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the journal has it."""


class _Server(ThreadedWSGIServer):
    """Werkzeug's threaded server, whose close waits until no connection has a thread."""

    daemon_threads = False

    def __init__(self, app: WSGIApplication) -> None:
        self._connections: WeakSet[socket.socket] = WeakSet()
        super().__init__("127.0.0.1", 0, app, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and remember it for as long as it lives."""
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def server_close(self) -> None:
        """Close the port, let running requests answer and wait for their threads."""
        for connection in self._connections:
            # Ends the wait for a request on an idle connection; one that is closed has no wait.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        super().server_close()
