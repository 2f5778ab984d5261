"""crane: every word that promotion has with a registry, by the well-kept tool of that name.

Owns how crane is found, called and understood, and the credentials that it gets: a Docker config of
its own, in a temporary folder that is removed afterwards. Never speaks a registry's protocol itself,
and never puts a secret in an argument, a log or a file that stays.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ecr.errors import EstateError

PACKAGE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"

ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN")
"""How a registry says that there is no such image (OCI Distribution Specification, "Error Codes")."""

EMPTY = b"{}"
"""The empty value that an artifact without content consists of (OCI Image Specification, "Guidance
for an empty descriptor")."""


@dataclass(frozen=True)
class Answer:
    """What one call of crane gave."""

    code: int
    output: bytes
    error: str


CraneRun = Callable[[Sequence[str], bytes], Answer]
"""Run crane with arguments and standard input, to its end."""


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials for one registry host."""

    host: str
    user: str
    password: str


class Crane:
    """crane's commands, as far as promotion needs them. A reference is REPOSITORY:TAG or @DIGEST."""

    def __init__(self, run: CraneRun) -> None:
        self._run = run

    def login(self, login: Login) -> None:
        """Keep credentials in the Docker config; the password goes through standard input."""
        self._call(
            ["auth", "login", login.host, "-u", login.user, "--password-stdin"],
            login.password.encode(),
        )

    def digest(self, reference: str) -> str | None:
        """Return the digest that a reference stands for, None where there is none."""
        answer = self._ask(["digest", reference])
        return answer.decode().strip() if answer is not None else None

    def manifest(self, repository: str, digest: str) -> dict[str, Any] | None:
        """Return a manifest, None where there is none. Raises EstateError if it is not its digest's."""
        content = self._ask(["manifest", f"{repository}@{digest}"])
        if content is None:
            return None
        if digest_of(content) != digest:
            raise EstateError(
                "A registry gave another manifest than the one asked for; stop, and find out why.",
                [f"{repository}: asked for {digest}, got {digest_of(content)}"],
            )
        manifest: dict[str, Any] = json.loads(content)
        return {**manifest, "size": len(content)}

    def listed_by_tag(self, repository: str, digest: str) -> list[str]:
        """Return the referrers that a registry without the referrers API lists under a tag."""
        content = self._ask(["manifest", f"{repository}:{digest.replace(':', '-')}"])
        manifests = json.loads(content).get("manifests", []) if content else []
        return [each["digest"] for each in manifests]

    def tags(self, repository: str) -> list[str]:
        """Return all tags of an image repository, none where it holds nothing."""
        return (self._ask(["ls", repository]) or b"").decode().split()

    def copy(self, source: str, target: str) -> None:
        """Copy a manifest and all that it consists of; what is there already is not sent again."""
        self._call(["copy", source, target])

    def tag(self, reference: str, tag: str) -> None:
        """Return an image a further tag."""
        self._call(["tag", reference, tag])

    def push_empty(self, repository: str, manifest: Mapping[str, Any]) -> str:
        """Push an artifact that is nothing but its manifest, and give its digest."""
        content = json.dumps(manifest, separators=(",", ":")).encode()
        digest = digest_of(content)
        listed = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(content)}
        with tempfile.TemporaryDirectory(prefix="ecr-promote-") as folder:
            blobs = Path(folder, "blobs/sha256")
            blobs.mkdir(parents=True)
            for blob in (EMPTY, content):
                (blobs / digest_of(blob).removeprefix("sha256:")).write_bytes(blob)
            Path(folder, "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
            index = json.dumps({"schemaVersion": 2, "manifests": [listed]})
            Path(folder, "index.json").write_text(index)
            self._call(["push", folder, f"{repository}@{digest}"])
        return digest

    def _ask(self, arguments: Sequence[str]) -> bytes | None:
        answer = self._run(arguments, b"")
        if answer.code == 0:
            return answer.output
        if any(sign in answer.error for sign in ABSENT):
            return None
        raise _failed(arguments, answer)

    def _call(self, arguments: Sequence[str], given: bytes = b"") -> None:
        answer = self._run(arguments, given)
        if answer.code:
            raise _failed(arguments, answer)


def digest_of(content: bytes) -> str:
    """Return the digest under which a registry keeps content."""
    return f"sha256:{sha256(content).hexdigest()}"


def _failed(arguments: Sequence[str], answer: Answer) -> EstateError:
    said = [line for line in answer.error.splitlines() if line.startswith("Error")]
    return EstateError(
        "A registry could not be used; what was copied so far stays, and running again goes on.",
        [f"crane {' '.join(arguments)}: {' '.join(said) or answer.error.strip()}"],
    )


@contextmanager
def crane(logins: Iterable[Login]) -> Iterator[Crane]:
    """Return crane, logged in; without logins it uses the Docker config that the user has.

    Raises EstateError when it is not on PATH.
    """
    binary = shutil.which("crane")
    if binary is None:
        raise EstateError(
            "crane is not on PATH; nothing was changed.",
            [f"crane: install it with `go install {PACKAGE}`, or as your system does"],
        )
    with tempfile.TemporaryDirectory(prefix="ecr-promote-") as folder:
        wanted = list(logins)
        environment = {**os.environ, **({"DOCKER_CONFIG": folder} if wanted else {})}
        tool = Crane(_calling(binary, environment))
        for login in wanted:
            tool.login(login)
        yield tool


def _calling(binary: str, environment: Mapping[str, str]) -> CraneRun:
    def run(arguments: Sequence[str], given: bytes) -> Answer:
        done = subprocess.run(
            [binary, *arguments], input=given, env=environment, capture_output=True, check=False
        )
        return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    return run
