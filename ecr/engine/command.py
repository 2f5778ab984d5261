"""The engine's command line: the one place that runs `pulumi`.

Owns how it is started, ended with whoever started it, and how its failure is said. What it prints is read
by ``ecr.engine.preview`` and ``ecr.engine.stack``.
"""

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ecr.errors import EstateError

GRACE = 10.0
"""Seconds that the engine has to end when it is interrupted."""


def run_engine(
    arguments: Sequence[str], more: Mapping[str, str] | None = None, *, shown: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `pulumi` with the arguments and more variables. Raises EstateError where there is none.

    What it prints is given back, or with ``shown`` goes where our own output goes.
    On Ctrl-C the engine ends by itself, and its providers with it, before ours goes on.
    """
    command = ["pulumi", "--non-interactive", *arguments]
    try:
        with _interruptible():
            process = subprocess.Popen(
                command,
                env={**os.environ, **(more or {})},
                stdout=None if shown else subprocess.PIPE,
                stderr=None if shown else subprocess.PIPE,
                text=True,
            )
    except OSError as error:
        raise EstateError(
            "The engine cannot be run.",
            [f"pulumi: {error.strerror}; install it, and put it on the PATH"],
        ) from error
    with process:
        try:
            said = process.communicate()
        except BaseException:
            _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, *said)


def engine_output(arguments: Sequence[str], problem: str, remedy: str) -> str:
    """Return what `pulumi` prints. Raises EstateError of the problem and the remedy where it fails."""
    done = run_engine(arguments)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise EstateError(problem, [f"{shlex.join(['pulumi', *arguments])}: {said}; {remedy}"])
    return done.stdout


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let what is started meanwhile be interrupted, also where SIGINT is ignored here.

    Shells start what runs in the background with SIGINT ignored; an engine that inherited this could
    not be asked to stop. A handler, unlike what is ignored, is not inherited.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end(process: subprocess.Popen[str]) -> None:
    """End the engine: it is asked to stop, then to stop at once, then killed."""
    try:
        # What is typed at a terminal reaches everything that runs in its foreground, the engine too.
        with Path("/dev/tty").open("rb") as terminal:
            told = os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        told = False
    try:
        for _ in range(2):
            if not told:
                process.send_signal(signal.SIGINT)
            told = False
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=GRACE)
                return
    finally:
        process.kill()
