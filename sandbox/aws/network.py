"""The network before the embedded AWS: answers that take their time, and answers that are lost.

Owns the armed faults and what they do to a request. Reads which service and action a request is for.
Never changes an answer, nor what AWS does: a request whose answer is lost has been carried out. What
AWS itself refuses is armed in `sandbox.aws.embedded.Refusals`.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")


@dataclass(slots=True)
class Fault:
    """What happens to the answers of matching calls; ``times`` None is for ever.

    ``service`` and ``action`` are wildcard patterns, ``delay`` is in seconds.
    """

    service: str
    action: str
    delay: float
    lost: bool
    times: int | None
    struck: int = 0


class Network:
    """The armed faults. An answer meets the first that wants it. Safe in many threads."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def slow(self, service: str, action: str, seconds: float, *, times: int | None = None) -> Fault:
        """Let answers of matching calls come so many seconds later."""
        return self._arm(Fault(service, action, seconds, lost=False, times=times))

    def lose(self, service: str, action: str, *, times: int | None = 1) -> Fault:
        """Let the next matching calls be carried out and their answers never arrive."""
        return self._arm(Fault(service, action, 0, lost=True, times=times))

    def _arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def before(self, application: WSGIApplication) -> WSGIApplication:
        """Return the application behind this network."""

        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            fault = self._met(environ) if self._armed else None
            if fault and fault.lost:
                # The server gives a creation's answer again to an SDK that asks again, because the
                # machine's own connections break at times. AWS does not, and this loss is meant.
                environ.pop("HTTP_AMZ_SDK_INVOCATION_ID", None)
            whole = application(environ, start_response)
            if fault and fault.delay:
                time.sleep(fault.delay)
            if fault and fault.lost:
                connection = environ.get("werkzeug.socket")
                if isinstance(connection, socket.socket):
                    with suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)
                return []
            return whole

        return answer

    def _met(self, environ: WSGIEnvironment) -> Fault | None:
        service, action = asked(environ)
        with self._lock:
            for fault in self._armed:
                left = fault.times is None or fault.struck < fault.times
                named = fnmatchcase(service, fault.service) and fnmatchcase(action, fault.action)
                if left and named:
                    fault.struck += 1
                    return fault
        return None


def asked(environ: WSGIEnvironment) -> tuple[str, str]:
    """Return the service that a request is signed for, and its action; "" for what it does not say."""
    signed = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
    if not action and environ.get("CONTENT_TYPE", "").startswith("application/x-www-form"):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return signed["service"] if signed else "", action
