"""Commands that take minutes: run one, say how long it takes, keep its output, end all of it.

Owns the processes it starts, each with its children in a process group of its own, and one log.
Never leaves a process behind, whatever ends the wait.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Report = Callable[[str], None]

_EVERY = 15  # seconds between two lines of progress
_LAST_LINES = 15
_REMEDIES = {
    "no space left on device": "The disk is full: about 7 GB are needed, of which 6 GB are Go's "
    "caches (`go clean -cache -modcache` drops them; GOCACHE and GOMODCACHE move them).",
    "dial tcp": "Go modules cannot be reached: check the network and `go env GOPROXY`.",
    "proxyconnect": "Go modules cannot be reached: check the network and `go env GOPROXY`.",
    "404 not found": "A module is not served: `go env GOPROXY` must name a complete mirror.",
    "410 gone": "A module is not served: `go env GOPROXY` must name a complete mirror.",
    "checksum mismatch": "A module is not the one this project was built with: nothing of it was "
    "run. Try another GOPROXY; if it stays, do not go on.",
}


class ToolchainError(Exception):
    """There is no toolchain; the text says why, and what to do about it."""


class Run(Protocol):
    """Run a command to its end and return its standard output; `what` names it to the user."""

    def __call__(
        self, what: str, command: Sequence[str | Path], /, *, cwd: Path, env: Mapping[str, str]
    ) -> str:
        """Raise ToolchainError when it fails."""


@dataclass(frozen=True)
class Commands:
    """The real `Run`: output to `log`, progress to `report`, at most `limit` seconds each."""

    log: Path
    report: Report
    limit: float = float("inf")

    def __call__(
        self, what: str, command: Sequence[str | Path], /, *, cwd: Path, env: Mapping[str, str]
    ) -> str:
        """Raise ToolchainError with the last lines of the output when the command fails."""
        line = [str(word) for word in command]
        with self.log.open("a+") as log:
            log.write(f"$ {shlex.join(line)}\n")
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                line,
                cwd=cwd,
                env=os.environ | env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
            try:
                output = self._wait(what, process)
            except BaseException:
                _end(process)
                raise
            log.seek(0, os.SEEK_END)
            log.write(output)
            if process.returncode:
                log.seek(start)
                raise ToolchainError(self._failure(what, process.returncode, log.read()))
        return output

    def _wait(self, what: str, process: subprocess.Popen[str]) -> str:
        start = time.monotonic()
        while True:
            try:
                return process.communicate(timeout=_EVERY)[0]
            except subprocess.TimeoutExpired:
                elapsed = time.monotonic() - start
                if elapsed > self.limit:
                    raise ToolchainError(f"{what}: not done after {elapsed:.0f} s") from None
                self.report(f"  {what}: {elapsed:.0f} s")

    def _failure(self, what: str, code: int, output: str) -> str:
        remedies = [text for sign, text in _REMEDIES.items() if sign in output.lower()]
        last = "\n".join(f"  {line}" for line in output.splitlines()[-_LAST_LINES:])
        return "\n".join(
            [f"{what} failed (exit code {code}).", *remedies[:1], last, f"All of it: {self.log}"]
        )


def _end(process: subprocess.Popen[str]) -> None:
    """End a command and its children; asked first, so that Go removes its temporary folder."""
    for ending in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
