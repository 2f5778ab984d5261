"""A web server on a free loopback port that ends when it is told to, and leaves nothing behind.

Owns its port, threads and connections. Werkzeug's own server waits at its end for idle connections,
of which HTTP clients leave some.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication


class Handler(WSGIRequestHandler):
    """Werkzeug's handler with connections that stay, and without a line on stderr for every request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class LoopbackServer(ThreadedWSGIServer):
    """Werkzeug's threaded server, whose close waits until no connection has a thread."""

    daemon_threads = False

    def __init__(self, app: WSGIApplication, handler: type[Handler] = Handler) -> None:
        self._connections: WeakSet[socket.socket] = WeakSet()
        super().__init__("127.0.0.1", 0, app, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and remember it for as long as it lives."""
        connection, address = super().get_request()
        self.remember(connection)
        return connection, address

    def remember(self, connection: socket.socket) -> None:
        """End the waits of this connection with the server."""
        self._connections.add(connection)

    def server_close(self) -> None:
        """Close the port, let running requests answer and wait for their threads."""
        for connection in list(self._connections):
            # Ends the wait for a request on an idle connection; one that is closed has no wait. Of a
            # TLS connection, the session is its thread's: only the socket below it is shut down.
            with suppress(OSError, ssl.SSLError):
                socket.socket.shutdown(connection, socket.SHUT_RD)
        super().server_close()


@contextmanager
def serving(server: LoopbackServer, name: str) -> Iterator[str]:
    """Serve until the context ends; yield the address, as HOST:PORT. When it has ended no thread is left."""
    # The polling interval is how long a stop may take: the default is half a second.
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name=name)
    thread.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
