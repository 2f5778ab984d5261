"""The scale table: 1,000, 3,000 and 10,000 services on the real engine, and 100,000 on paper.

Each size is previewed, deployed for the first time without checkpoints, and previewed again, with the
embedded AWS, and then one new service is deployed by `ecr-estate deploy`; beside it the barest
program is previewed, and ended once it has taken much longer, and the same with this program's turns of the event loop, so that one sees what is won by those alone. A
first deployment of 300 services is timed with checkpoints too. What 100,000 would take is counted, and
planned for real, without an engine. Writes docs/reference/scale.md; exits 1 when a bound is not held.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.__main__ import barest_environment, barest_project
from benchmarks.measure import Took, measure, measure_new_service, said, sizes_of
from ecr.github.model import Inventory, Repository
from ecr.ledger.ledger import Ledger
from ecr.ledger.shards import Shard
from ecr.plan.build import build_plan
from ecr.plan.limits import REPOSITORIES, REQUESTS, REQUESTS_EACH
from ecr.plan.model import Observed
from ecr.settings.load import parse_settings
from ecr.settings.models import Settings
from pages.markers import replace_between_markers
from sandbox import processes
from sandbox.github import synthetic_organisation
from sandbox.session import PROJECT, STACK, Session
from sandbox.toolchain import ensure_toolchain

PAGE = PROJECT / "docs" / "reference" / "scale.md"
SIZES = (1000, 3000, 10_000)
CHECKPOINTED = 300
"""Services of the first deployment that is timed with checkpoints: it grows with the square."""

PAPER = 100_000
SHARDS = 10

RATIO = 1.10
"""What a preview may cost as a multiple of the barest program's."""

PATIENCE = 2.5
"""Times the program's own time after which the barest program is ended."""

GROWTH = 1.3
"""What ten times the services may cost for each of them, as a multiple: linear, and noise."""

NEW_SERVICE = {1000: 8.0, 10_000: 30.0}
"""Seconds that the deployment of one new service may take, by the services that are there already."""

SKIP = {"PULUMI_SKIP_CHECKPOINTS": "true"}
OVERLAID = {"lambdaReplicas": None, "images": None, "registryPolicyScope": None}


@dataclass(frozen=True, slots=True)
class Size:
    """One size: four commands, the state's MiB, and the barest program's preview.

    ``in_turns`` is that of the barest program with this one's turns of the event loop.
    """

    count: int
    preview: Took
    first: Took
    again: Took
    new_service: Took
    state: float
    barest: float
    barest_ended: bool
    in_turns: float

    @property
    def ratio(self) -> float:
        """The program's preview as a multiple of the barest one's; at most this, where it was ended."""
        return self.preview.seconds / self.barest

    @property
    def rate(self) -> float:
        """Services a second in the first deployment."""
        return self.count / self.first.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the page, and say which bounds are held."""
    chosen = sizes_of(arguments, "benchmarks.scale", SIZES)
    with tempfile.TemporaryDirectory() as folder:
        sizes = [_measure(count, Path(folder)) for count in chosen]
        checkpoints = _checkpoints(Path(folder))
    bounds = list(_bounds(sizes))
    text = "\n".join([*_page(sizes, checkpoints), "", *_paper(sizes[-1]), "", *said(bounds)])
    print(text)
    if chosen == SIZES:
        PAGE.write_text(replace_between_markers(PAGE.read_text(), "scale", text))
        print(f"scale: written to {PAGE.relative_to(PROJECT)}")
    return 0 if all(held for _, held in bounds) else 1


def _say(line: str) -> None:
    print(f"scale: {line}", flush=True)


def _measure(count: int, folder: Path) -> Size:
    toolchain = ensure_toolchain(_say)
    organisation = synthetic_organisation(count)
    with Session(
        folder / "session", toolchain, organisation=organisation, settings=OVERLAID
    ) as session:
        _say(f"{count:,} services: preview")
        preview = measure(session, "preview")
        _say(f"{count:,} services: the barest program's preview")
        limit = PATIENCE * preview.seconds
        barest, ended = _barest(session, folder, count, limit)
        _say(f"{count:,} services: the same with this program's turns of the event loop")
        in_turns, _ = _barest(session, folder, count, limit, TURNS="true")
        _say(f"{count:,} services: first deployment, without checkpoints")
        first = measure(session, "up", "--yes", "--skip-preview", **SKIP)
        state = session.directory / f"state/.pulumi/stacks/ecr-estate/{STACK}.json"
        size = state.stat().st_size / 2**20
        _say(f"{count:,} services: preview again")
        again = measure(session, "preview", "--expect-no-changes")
        _say(f"{count:,} services: deployment of one new service")
        name = f"service-{count + 1:05d}"
        organisation.add(name, properties={"container": "true"})
        new_service = measure_new_service(session, name, **SKIP)
    return Size(count, preview, first, again, new_service, size, barest, ended, in_turns)


def _barest(
    session: Session, folder: Path, count: int, limit: float, **variables: str
) -> tuple[float, bool]:
    """Preview the barest program; give its seconds, and whether it was ended at the limit."""
    with barest_project(folder, session) as project:
        environment = {**session.environment, **barest_environment(folder, count), **variables}
        clock = threading.Timer(limit, processes.end, [session.mark])
        began = time.perf_counter()
        clock.start()
        try:
            done = processes.run(
                [str(session.toolchain.pulumi), "--non-interactive", "preview"],
                environment=environment,
                directory=project,
                capture=True,
            )
        finally:
            clock.cancel()
            clock.join()  # or what it still ends would be the next command's
        seconds = time.perf_counter() - began
    ended = done.returncode != 0 and seconds >= limit
    if done.returncode and not ended:
        raise SystemExit(f"scale: the barest program failed:\n{done.stdout[-4000:]}")
    return (limit if ended else seconds), ended


def _checkpoints(folder: Path) -> dict[str, Took]:
    """Deploy once with checkpoints and once without, at a size where the former ends."""
    taken = {}
    for what, variables in (("with checkpoints", {}), ("without checkpoints", SKIP)):
        with Session(
            folder / "session",
            ensure_toolchain(_say),
            organisation=synthetic_organisation(CHECKPOINTED),
            settings=OVERLAID,
        ) as session:
            _say(f"{CHECKPOINTED} services: first deployment, {what}")
            taken[what] = measure(session, "up", "--yes", "--skip-preview", **variables)
    return taken


def _bounds(sizes: Sequence[Size]) -> Iterator[tuple[str, bool]]:
    for each in sizes:
        least = "at most " if each.barest_ended else ""
        text = (
            f"a preview of {each.count:,} services takes {least}{each.ratio:.2f} of the barest "
            f"program's time (at most {RATIO})"
        )
        yield text, each.ratio <= RATIO
        most = 2 * ceil(each.count / 100) + 2
        text = (
            f"{each.count:,} repositories take {each.preview.github} GitHub calls (at most {most})"
        )
        yield text, each.preview.github <= most
        if allowed := NEW_SERVICE.get(each.count):
            seconds = each.new_service.seconds
            text = (
                f"one new service beside {each.count:,} is deployed in {seconds:.1f} s (at most "
                f"{allowed:.0f} s)"
            )
            yield text, seconds <= allowed
    small, large = sizes[0], sizes[-1]
    for what, one, other in (
        ("preview", small.preview.seconds, large.preview.seconds),
        ("first deployment", small.first.seconds, large.first.seconds),
    ):
        growth = (other / large.count) / (one / small.count)
        text = (
            f"a {what} of {large.count:,} services takes {growth:.2f} times as long for each as one "
            f"of {small.count:,} (at most {GROWTH})"
        )
        yield text, growth <= GROWTH


def _page(sizes: Sequence[Size], checkpoints: dict[str, Took]) -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield (
        f"Measured by `make bench` on {os.cpu_count()} cores and {memory:.0f} GiB, Python "
        f"{sys.version.split()[0]}, with the embedded AWS on the same cores."
    )
    yield ""
    yield "| services | what | time | peak memory | GitHub calls | AWS calls |"
    yield "|---:|---|---:|---:|---:|---:|"
    for each in sizes:
        for what, took in (
            ("preview of a first deployment", each.preview),
            ("first deployment, without checkpoints", each.first),
            ("preview without changes", each.again),
            ("deployment of one new service", each.new_service),
        ):
            yield f"| {each.count:,} | {what} | {_cells(took)} |"
    for what, took in checkpoints.items():
        yield f"| {CHECKPOINTED:,} | first deployment, {what} | {_cells(took)} |"
    yield ""
    yield "| services | state | preview | barest program's preview | ratio | the same in turns | ratio | services a second |"
    yield "|---:|---:|---:|---:|---:|---:|---:|---:|"
    for each in sizes:
        over, most = ("over ", "under ") if each.barest_ended else ("", "")
        yield (
            f"| {each.count:,} | {each.state:.1f} MiB | {each.preview.seconds:.0f} s | {over}"
            f"{each.barest:.0f} s | {most}{each.ratio:.2f} | {each.in_turns:.0f} s | "
            f"{each.preview.seconds / each.in_turns:.2f} | {each.rate:.1f} |"
        )


def _cells(took: Took) -> str:
    return f"{took.seconds:.0f} s | {took.memory:,.0f} MiB | {took.github} | {took.aws:,}"


def _settings(stacks: Sequence[str]) -> Settings:
    values = {
        "ecr-estate:github": '{"organisation": "acme"}',
        "ecr-estate:artifacts": '{"account": "111111111111", "region": "eu-west-1"}',
        "ecr-estate:awsOrganisation": "o-a1b2c3d4e5",
        "ecr-estate:shards": str(list(stacks)).replace("'", '"'),
    }
    return parse_settings(values, namespace="ecr-estate")


def _paper(measured: Size) -> Iterator[str]:
    """Plan the estate of the future for real, and count the rest from what was measured."""
    _say(f"{PAPER:,} services on paper")
    stacks = ["prod", *(f"prod-{index}" for index in range(1, SHARDS))]
    settings = _settings(stacks)
    inventory = Inventory(
        tuple(Repository(number, f"service-{number}") for number in range(1, PAPER + 1))
    )
    began = time.perf_counter()
    plan = build_plan(
        settings,
        inventory,
        Ledger(shard=Shard(0, SHARDS)),
        Observed(),
        owner="ecr-estate/prod",
        today="2026-11-22",
    )
    seconds = time.perf_counter() - began
    each = len(plan.image_repositories)
    listing = 2 * ceil(PAPER / 100) + 1
    requests = PAPER * REQUESTS_EACH["placement"]
    hours = requests / REQUESTS / 3600
    compute = each / measured.rate / 3600
    yield f"{PAPER:,} services as {SHARDS} stacks:"
    yield ""
    yield "| what | each stack | together |"
    yield "|---|---:|---:|"
    yield f"| services | {each:,} | {PAPER:,} |"
    yield f"| planned here, in one process | {seconds:.0f} s | {seconds * SHARDS:.0f} s |"
    yield f"| GitHub calls, where each stack lists | {listing:,} | {listing * SHARDS:,} |"
    yield f"| GitHub calls, with a list that is made once | 0 | {listing:,} |"
    yield f"| state | {measured.state * each / measured.count:.0f} MiB | {measured.state * PAPER / measured.count:,.0f} MiB |"
    yield f"| requests to AWS in a first deployment | {requests // SHARDS:,} | {requests:,} |"
    yield (
        f"| hours of a first deployment at {REQUESTS:.0f} requests a second in the account | "
        f"{hours / SHARDS:.1f} | {hours:.0f} |"
    )
    yield f"| hours that the engine itself needs for it | {compute:.1f} | {compute * SHARDS:.1f} |"
    yield f"| of the {REPOSITORIES:,} image repositories that a registry takes | {each / REPOSITORIES:.0%} | {PAPER / REPOSITORIES:.0%} |"


if __name__ == "__main__":
    sys.exit(main())
