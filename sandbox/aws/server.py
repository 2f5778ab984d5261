"""The HTTP side of the embedded AWS: one loopback port for every service and account.

Owns the port, its threads, the journal's entries and `/_sandbox/`. Reads requests and the armed
refusals; whether a request is let through, `sandbox.aws.authorisation` decides. Never binds to anything
but loopback and never leaves a thread or a connection behind.

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
from dataclasses import asdict, dataclass
from functools import cache
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from weakref import WeakSet
from xml.sax.saxutils import escape

from botocore.model import OperationNotFoundError
from moto.moto_server.werkzeug_app import (
    UNSIGNED_ACTIONS,
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import ThreadedWSGIServer

from sandbox.aws import function_urls, members
from sandbox.aws.embedded import ApiCall, Journal, Refusal, Refusals
from sandbox.aws.needs import Asked, UnknownRequestError, rest_operation, s3_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

    from sandbox.aws.authorisation import Authorisation, Denial, Judgement
    from sandbox.aws.identity import Identity
    from sandbox.aws.network import Network


_SUBJECTS = (
    *("repositoryName", "repositoryNames", "resourceArn"),
    *("RoleName", "OpenIDConnectProviderArn", "RoleArn"),
    *("TopicArn", "ResourceArn", "Rule", "ResourceARN", "KeyId", "SecretId", "Name"),
)
"""The fields by which the services used here say what a request is about, the most telling first."""

_CREDENTIAL = re.compile(
    r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)


@contextmanager
def serving(
    journal: Journal,
    refusals: Refusals,
    network: Network,
    authorisation: Authorisation,
    lock: threading.Lock,
) -> Iterator[str]:
    """Serve until the context ends; yield the URL. When it has ended no thread is left.

    ``lock`` is held while a request is decided and carried out.
    """
    server = _Server(network.before(_Application(journal, refusals, authorisation, lock)))
    # The polling interval is how long a stop may take: the default is half a second.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="embedded-aws")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


class _Application:
    """Moto's application behind decisions, a journal and refusals, with `/_sandbox/` beside it."""

    def __init__(
        self,
        journal: Journal,
        refusals: Refusals,
        authorisation: Authorisation,
        lock: threading.Lock,
    ) -> None:
        self._authorisation = authorisation
        self._journal = journal
        self._created: dict[str, tuple[str, list[tuple[str, str]], bytes]] = {}
        self._refusals = refusals
        # Moto's models are not made for threads, and a thread gains nothing here: all of it is Python.
        self._one_at_a_time = lock
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
        request = _read(environ)
        answered: list[tuple[str, list[tuple[str, str]]]] = []
        record = _Record(self._journal, request)

        def recording(
            status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            record(int(status[:3]))
            answered.append((status, headers))
            return start_response(status, headers, exc_info)

        try:
            with self._one_at_a_time:
                answer = self._decided(environ, recording, request, record)
        except (NotImplementedError, OperationNotFoundError, UnknownRequestError) as gap:
            # As a 500 the SDKs would retry it for minutes; a 501 they report at once.
            problem = {"__type": "NotImplementedException", "message": f"embedded AWS: {gap}"}
            return _json(recording, HTTPStatus.NOT_IMPLEMENTED, problem)
        except Exception:
            record(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise
        if request.action == "CreateRepository" and invocation and answered[0][0].startswith("200"):
            body = b"".join(answer)
            self._created[invocation] = (*answered[0], body)
            return [body]
        return answer

    def _decided(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        request: _Request,
        record: _Record,
    ) -> Iterable[bytes]:
        """Let IAM decide, then what was armed, and have moto carry out what is left."""
        judged = self._authorisation.judge(request.asked, request.key, request.token)
        record.judged(judged)
        refusal = self._refusals.take(request.asked.service, request.action)
        if refused := judged.denial or refusal:
            return _refused(environ, start_response, refused)
        if judged.identity and request.action == "GetCallerIdentity":
            return _identity(start_response, judged.identity)
        if request.asked.service == "organizations":
            fields, who = request.asked.fields, judged.account
            status, told = members.answer(
                self._authorisation.organisation, who, request.action, fields
            )
            return _json(start_response, status, told)
        # Moto carries it out in this account, whoever has the key.
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = judged.account
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _sandbox(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "GET", "/_sandbox/calls":
                calls = [asdict(call) for call in self._journal.calls()]
                return _json(start_response, HTTPStatus.OK, calls)
            case "DELETE", "/_sandbox/calls":
                self._journal.clear()
                return _json(start_response, HTTPStatus.OK, [])
            case method, path if path.startswith(function_urls.PATH):
                length = int(environ.get("CONTENT_LENGTH") or 0)
                body = environ["wsgi.input"].read(length)
                headers = {
                    key.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
                    for key, value in environ.items()
                    if key.startswith("HTTP_")
                }
                code, said = function_urls.called(method, path, headers, body)
                start_response(
                    f"{code} {HTTPStatus(code).phrase}", [("Content-Length", str(len(said)))]
                )
                return [said]
            case method, path:
                problem = {
                    "message": f"{method} {path} is not served: GET or DELETE /_sandbox/calls"
                }
                return _json(start_response, HTTPStatus.NOT_FOUND, problem)


class _Record:
    """Adds a request to the journal once it is answered, with who asked and what was decided."""

    def __init__(self, journal: Journal, request: _Request) -> None:
        self._journal, self._request = journal, request
        self._who: tuple[str, str, str] = ("", "", "")

    def judged(self, judged: Judgement) -> None:
        """Remember a decision."""
        account = judged.identity.account if judged.identity else judged.account
        self._who = (account, judged.principal, judged.decision)

    def __call__(self, status: int) -> None:
        """Add the request with its answer's status."""
        account, principal, decision = self._who
        asked = self._request.asked
        self._journal.add(
            ApiCall(
                account=account,
                region=asked.region,
                service=asked.service,
                action=self._request.action,
                status=status,
                subject=self._request.subject,
                tags=self._request.tags,
                principal=principal,
                decision=decision,
            )
        )


def _json(
    start_response: StartResponse,
    status: HTTPStatus,
    value: object,
    more: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    body = json.dumps(value).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", [*headers, *more])
    return [body]


def _refused(
    environ: WSGIEnvironment, start_response: StartResponse, refusal: Refusal | Denial
) -> list[bytes]:
    """Answer with an error in the protocol of the service: JSON, or the XML of query services."""
    status = HTTPStatus(refusal.status)
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if signed and signed["service"] == "s3":
        said = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
        return _xml(start_response, status, f"<Error>{said}</Error>")
    if not _is_form(environ):
        problem = {"__type": refusal.code, "message": refusal.message}
        return _json(start_response, status, problem, [("x-amzn-ErrorType", refusal.code)])
    return _xml(
        start_response,
        status,
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{refusal.code}</Code>"
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>0</RequestId>"
        "</ErrorResponse>",
    )


def _identity(start_response: StartResponse, identity: Identity) -> list[bytes]:
    """Answer GetCallerIdentity (AWS Security Token Service API Reference)."""
    return _xml(
        start_response,
        HTTPStatus.OK,
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>{escape(identity.arn)}</Arn>"
        f"<UserId>{escape(identity.user_id)}</UserId><Account>{identity.account}</Account>"
        "</GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>",
    )


def _xml(start_response: StartResponse, status: HTTPStatus, text: str) -> list[bytes]:
    body = text.encode()
    headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


@dataclass(frozen=True, slots=True)
class _Request:
    """A request before moto reads it: what it asks, as whom, and what the journal says of it."""

    asked: Asked
    action: str
    key: str
    token: str | None
    subject: str
    tags: tuple[tuple[str, str], ...]


def _read(environ: WSGIEnvironment) -> _Request:
    """Say who asks what of which service and where.

    JSON services name their action in a header and query services in the body; for the others
    the journal has the method and path, and the decision the operation of the service's model.
    """
    target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    body = _body(environ)
    firsts = _firsts(body)
    form = _is_form(environ)
    fields: dict[str, Any] = firsts if form else body
    action = target or firsts.get("Action", "")
    if credential := _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", "")):
        region, service, key = credential["region"], credential["service"], credential["key"]
    else:
        service, region = UNSIGNED_ACTIONS.get(action, ("unknown", "unknown"))
        key = ""
    operation = action
    if service == "s3":
        operation, fields = s3_operation(
            environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        )
        fields["ExpectedBucketOwner"] = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER", "")
    elif not action and service != "unknown":
        operation, parts = rest_operation(service, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        fields = {**fields, **parts}
    return _Request(
        asked=Asked(service, operation, region, "", fields),
        action=action or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}",
        key=key,
        token=environ.get("HTTP_X_AMZ_SECURITY_TOKEN"),
        subject=next((firsts[key] for key in _SUBJECTS if firsts.get(key)), ""),
        tags=tuple(
            (each["TagKey"], each["TagValue"])
            for each in body.get("Tags") or ()
            if isinstance(each, dict) and each.keys() >= {"TagKey", "TagValue"}
        ),
    )


def _is_form(environ: WSGIEnvironment) -> bool:
    form = "application/x-www-form-urlencoded"
    return str(environ.get("CONTENT_TYPE", "")).startswith(form)


def _body(environ: WSGIEnvironment) -> dict[str, Any]:
    """Read the fields of a form or JSON body, and put the body back for moto."""
    form = _is_form(environ)
    if not form and "HTTP_X_AMZ_TARGET" not in environ:
        return {}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = BytesIO(body)
    try:
        fields = (
            parse_qs(body.decode(), keep_blank_values=True) if form else json.loads(body or b"{}")
        )
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _firsts(fields: dict[str, Any]) -> dict[str, str]:
    """Return the fields that are texts, and of lists the first."""
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
