"""What a command took: its seconds, the memory of all its processes, and the calls that it made.

Owns the measuring of one command. Reads /proc for the memory; a system without it shows 0.
"""

import argparse
import multiprocessing
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sandbox import processes
from sandbox.aws import EmbeddedAws
from sandbox.session import PROJECT, Run, Session


@dataclass(frozen=True, slots=True)
class Took:
    """What one command took: seconds, the peak of all its processes in MiB, and calls."""

    seconds: float
    memory: float
    github: int
    aws: int


@contextmanager
def _peak(mark: str) -> Iterator[list[float]]:
    """Watch the memory of all processes with a mark; the list's one number is the peak in MiB."""
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.25):
            peak[0] = max(peak[0], sum(map(_resident, processes.marked(mark))))

    watcher = threading.Thread(target=watch, name="memory")
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _resident(process: int) -> float:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def measure(session: Session, *command: str, **variables: str) -> Took:
    """Run the engine on the program to its end, and give what it took.

    Raises SystemExit with what was said, where it fails.
    """

    def run() -> Run:
        return session.pulumi(*command, "--suppress-outputs", "--suppress-progress")

    session.own_variables.update(variables)
    measured = measure_run(session, f"pulumi {command[0]}", run)
    session.own_variables.clear()
    return measured


def measure_new_service(session: Session, name: str, **variables: str) -> Took:
    """Deploy the service of one new repository by `ecr-estate deploy`, and give what it took."""
    command = [sys.executable, "-m", "ecr", "deploy", name, "--yes"]

    def run() -> Run:
        done = processes.run(
            [*command, "--config-file", str(session.config_file)],
            environment={**session.environment, **variables},
            directory=PROJECT,
            capture=True,
        )
        return Run(done.returncode, done.stdout)

    return measure_run(session, "ecr-estate deploy", run)


def measure_run(session: Session, name: str, run: Callable[[], Run]) -> Took:
    """Do what runs a command in a session, and give what it took.

    Raises SystemExit with what was said, where it fails.
    """
    session.aws.forget_calls()
    github = len(session.github.calls())
    began = time.perf_counter()
    with _peak(session.mark) as peak:
        done = run()
    seconds = time.perf_counter() - began
    if done.code:
        raise SystemExit(f"bench: {name} failed ({done.code}):\n{done.output[-4000:]}")
    calls = len(session.aws.calls())
    return Took(seconds, peak[0], len(session.github.calls()) - github, calls)


@contextmanager
def filled_aws(fill: Callable[[str], None]) -> Iterator[str]:
    """Return the URL of an AWS that ``fill`` has filled, in a process of its own so that it does not share ours.

    ``fill`` is called there, with the URL; it is a function of a module, or a partial of one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, fill), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join()


def _serve(connection: Connection, fill: Callable[[str], None]) -> None:
    with EmbeddedAws() as aws:
        fill(aws.url)
        connection.send(aws.url)
        with suppress(EOFError):  # the other end is closed when it is done
            connection.recv()


def sizes_of(
    arguments: Sequence[str] | None, program: str, default: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the sizes of a table's rows, in services, as the option ``--sizes`` has them."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument(
        "--sizes",
        type=lambda text: tuple(map(int, text.split(","))),
        default=default,
        help="services of the rows; the page is written for the default alone",
    )
    sizes: tuple[int, ...] = parser.parse_args(arguments).sizes
    return sizes


def said(bounds: Sequence[tuple[str, bool]]) -> list[str]:
    """Return a line of Markdown for each bound, which says whether it is held."""
    return [f"- {'held' if held else '**not held**'}: {text}" for text, held in bounds]
