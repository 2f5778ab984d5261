"""One API server with its etcd, for as long as a context lasts.

Owns the two processes, their ports on loopback and a folder with their data, logs and kubeconfig.
Reads what they answer. Never leaves a process behind: each is ended by its id, politely and then for
good.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from sandbox.kubernetes.build import Parts

START = 90.0
"""Seconds within which each process has to answer."""

GRACE = 10.0
"""Seconds that a process has to end by itself before it is killed."""

Result = TypeVar("Result")

_BETWEEN = 0.05  # seconds between two looks at whether something has come about


def eventually(check: Callable[[], Result], *, within: float = 30.0) -> Result:
    """Call `check` until what it gives is true, and give that.

    Raises TimeoutError, with its last answer, when `within` seconds have passed.
    """
    deadline = time.monotonic() + within
    while not (result := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:.0f} s; the last answer was {result!r}")
        time.sleep(_BETWEEN)
    return result


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered: the HTTP status, the object, and its warnings."""

    status: int
    body: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def message(self) -> str:
        """Return the text of a refusal; "" when there is none."""
        return str(self.body.get("message", "")) if self.body.get("kind") == "Status" else ""


class EmbeddedKubernetes:
    """Context manager: an API server whose one user may do everything."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._folder = folder
        self._token = secrets.token_hex(16)
        self._running = ExitStack()
        self._local = threading.local()
        self._port = 0
        self._server = 0
        self.kubeconfig = folder / "kubeconfig"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as starting:
            etcd = self._start_etcd(starting)
            self._start_server(starting, etcd)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._forget_connection()
        self._running.close()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which kubectl, first on PATH, talks to this server."""
        path = os.pathsep.join([str(self._parts.folder), os.environ["PATH"]])
        return {"KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Run kubectl and give its output; raises RuntimeError, with what it said, when it fails."""
        done = subprocess.run(
            [self._parts["kubectl"], *arguments],
            env={**os.environ, **self.environment},
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def cpu_seconds(self) -> float:
        """Return the processor time that the API server has used (Linux only: from /proc)."""
        fields = Path(f"/proc/{self._server}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send one request, on a connection that each thread keeps.

        The server ends a connection on which nothing was asked for a while; then it is opened anew.
        """
        kept = getattr(self._local, "connection", None) is not None
        try:
            return self._request(method, path, body)
        except (ssl.SSLEOFError, ConnectionError):
            if not kept:
                raise
            return self._request(method, path, body)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        sent = json.dumps(body) if body is not None else None
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection = self._connection()
            connection.request(method, path, sent, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self._forget_connection()
            raise
        warnings = [text.split(" ", 2)[2].strip('"') for text in _warnings(response)]
        parsed = json.loads(content) if content.startswith(b"{") else {}
        return Answer(response.status, parsed, tuple(warnings))

    def _connection(self) -> http.client.HTTPSConnection:
        held: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if held is None:
            trust = ssl.create_default_context(cafile=self._certificate)
            held = http.client.HTTPSConnection(
                "127.0.0.1", self._port, context=trust, timeout=START
            )
            self._local.connection = held
        return held

    def _forget_connection(self) -> None:
        held: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if held:
            held.close()
            self._local.connection = None

    @property
    def _certificate(self) -> Path:
        return self._folder / "certificates/apiserver.crt"

    def _start_etcd(self, starting: ExitStack) -> str:
        clients, peers = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
        options = {
            "name": "only",
            "data-dir": str(self._folder / "etcd"),
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"only={peers}",
            "unsafe-no-fsync": "true",
        }
        process = self._start(starting, "etcd", options)
        address = clients.removeprefix("http://")

        def healthy() -> bool:
            self._still_runs(process, "etcd")
            connection = http.client.HTTPConnection(address, timeout=START)
            try:
                connection.request("GET", "/health")
                return connection.getresponse().status == http.client.OK
            except OSError:
                return False
            finally:
                connection.close()

        eventually(healthy, within=START)
        return clients

    def _start_server(self, starting: ExitStack, etcd: str) -> None:
        (self._port,) = _free_ports(1)
        key = self._folder / "service-accounts.pem"
        key.write_bytes(
            rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        tokens = self._folder / "tokens.csv"
        tokens.write_text(f"{self._token},operator,operator,system:masters\n")
        options = {
            "etcd-servers": etcd,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": str(self._port),
            "cert-dir": str(self._certificate.parent),
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": str(key),
            "service-account-signing-key-file": str(key),
            "service-cluster-ip-range": "10.0.0.0/24",
            "token-auth-file": str(tokens),
            "authorization-mode": "RBAC",
            # No controller makes the service account that this plugin wants for each pod.
            "disable-admission-plugins": "ServiceAccount",
            "feature-gates": "ImageVolume=true",
        }
        process = self._start(starting, "kube-apiserver", options)
        self._server = process.pid

        def ready() -> bool:
            self._still_runs(process, "kube-apiserver")
            try:
                return self.request("GET", "/readyz").status == http.client.OK
            except (OSError, http.client.HTTPException):
                return False

        eventually(ready, within=START)
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))

    def _kubeconfig(self) -> dict[str, Any]:
        server = f"https://127.0.0.1:{self._port}"
        trusted = {"server": server, "certificate-authority": str(self._certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "embedded",
            "clusters": [{"name": "embedded", "cluster": trusted}],
            "users": [{"name": "operator", "user": {"token": self._token}}],
            "contexts": [
                {"name": "embedded", "context": {"cluster": "embedded", "user": "operator"}}
            ],
        }

    def _start(
        self, starting: ExitStack, name: str, options: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        command: Sequence[str | Path] = [
            self._parts[name],
            *(f"--{option}={value}" for option, value in options.items()),
        ]
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who end it in order
            )
        starting.callback(_end, process)
        return process

    def _still_runs(self, process: subprocess.Popen[bytes], name: str) -> None:
        if process.poll() is not None:
            last = self._log(name).read_text(errors="replace").splitlines()[-15:]
            raise RuntimeError("\n".join([f"{name} ended ({process.returncode}):", *last]))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def _warnings(response: http.client.HTTPResponse) -> Sequence[str]:
    return response.headers.get_all("Warning") or ()


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    process.kill()
    process.wait()
