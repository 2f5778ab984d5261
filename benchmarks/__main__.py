"""`make bench`: measure the program beside the barest one, and write the table in the docs.

Under mocks each figure is the least of three runs, for noise only adds, a process each, in turn. On the
engine both are previewed once for each size, and deployed once for 100 services: a first deployment
on a file backend grows quadratically for any program. Exits 1 when a bound is not held.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from ecr.plan.access.registry_policies import source_policy
from ecr.plan.lifecycle import lifecycle_document
from ecr.registry.registry import Registry
from ecr.settings.models import Lifecycle
from pages.markers import replace_between_markers
from sandbox import processes
from sandbox.github import synthetic_organisation
from sandbox.session import PROJECT, Session
from sandbox.toolchain import ensure_toolchain
from tests.builders import settings

SIZES = (100, 1000, 3000)
RUNS = 3
PAGE = PROJECT / "docs" / "reference" / "performance.md"
RATIO = 1.10
"""What the program may cost at 1,000 services under mocks, as a multiple of the barest one."""

GROWTH = 3.3
"""What 3,000 services may cost as a multiple of 1,000: linear, and a tenth for noise."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: seconds of the program and of the barest one, and what else was counted."""

    count: int
    program: float
    barest: float
    memory: float = 0.0
    calls: int = 0

    @property
    def ratio(self) -> float:
        """How many times the barest program's time the program takes."""
        return self.program / self.barest


def main() -> int:
    """Measure everything, print and write the tables, and say which bounds are held."""
    with tempfile.TemporaryDirectory() as folder:
        mocked = [_mocked(count, Path(folder)) for count in SIZES]
        previews, ups = _on_the_engine(Path(folder))
    bounds = _bounds(mocked, previews)
    text = _page(mocked, previews, ups, bounds)
    print(text)
    PAGE.write_text(replace_between_markers(PAGE.read_text(), "bench", text))
    print(f"bench: written to {PAGE.relative_to(PROJECT)}")
    return 0 if all(held for _, held in bounds) else 1


def _say(line: str) -> None:
    print(f"bench: {line}", flush=True)


def barest_environment(folder: Path, count: int) -> dict[str, str]:
    """Return what the barest program is told: the names and the documents that the plan would give."""
    names = folder / f"names-{count}"
    names.write_text("\n".join(each.name for each in synthetic_organisation(count)))
    return {
        "NAMES": str(names),
        "LIFECYCLE": lifecycle_document(Lifecycle()) or "",
        "POLICY": source_policy(Registry("111111111111", "eu-west-1"), settings(), None) or "",
    }


def _mocked(count: int, folder: Path) -> Figures:
    _say(f"{count} services under mocks, {RUNS} runs of each program")
    runs: dict[str, list[dict[str, float]]] = {"program": [], "barest": []}
    for _ in range(RUNS):
        for which, done in runs.items():
            answer = subprocess.run(
                [sys.executable, "-m", "benchmarks.under_mocks", which, str(count)],
                env={**os.environ, **barest_environment(folder, count)},
                cwd=PROJECT,
                check=True,
                capture_output=True,
                text=True,
            )
            done.append(json.loads(answer.stdout))
    ours, barest = runs["program"][0], runs["barest"][0]
    if ours["resources"] != barest["resources"]:
        raise SystemExit(f"bench: the programs differ: {ours} and {barest}")
    return Figures(
        count,
        program=min(each["seconds"] for each in runs["program"]),
        barest=min(each["seconds"] for each in runs["barest"]),
        memory=max(each["mebibytes"] for each in runs["program"]),
        calls=int(ours["calls"]),
    )


def _on_the_engine(folder: Path) -> tuple[list[Figures], list[Figures]]:
    """Preview both programs at each size, and deploy both at the smallest."""
    toolchain = ensure_toolchain(_say)
    previews, ups = [], []
    settings = {"lambdaReplicas": None, "images": None, "registryPolicyScope": None}

    def session_of(count: int) -> Session:
        organisation = synthetic_organisation(count)
        return Session(folder / "session", toolchain, organisation=organisation, settings=settings)

    for count in SIZES:
        with session_of(count) as session:
            _say(f"{count} services on the engine: preview of each program")
            ours = _timed(session, ["preview", "--config-file", str(session.config_file)], PROJECT)
            calls = len(session.github.calls())
            with barest_project(folder, session) as project:
                environment = barest_environment(folder, count)
                barest = _timed(session, ["preview"], project, environment)
                previews.append(Figures(count, ours, barest, calls=calls))
                if count == SIZES[0]:
                    _say(f"{count} services on the engine: first deployment by each program")
                    up = ["up", "--yes", "--skip-preview"]
                    barest_up = _timed(session, up, project, environment)
        if count == SIZES[0]:
            # In an AWS of its own: the names are the same.
            with session_of(count) as session:
                up += ["--config-file", str(session.config_file)]
                ups.append(Figures(count, _timed(session, up, PROJECT), barest_up))
    return previews, ups


@contextmanager
def barest_project(folder: Path, session: Session) -> Iterator[Path]:
    """Return a project that is the barest program, with a stack of its own in the session."""
    project = Path(tempfile.mkdtemp(prefix="barest-", dir=folder))
    (project / "Pulumi.yaml").write_text(f"name: {project.name}\nruntime: python\n")
    (project / "__main__.py").write_text((Path(__file__).parent / "barest.py").read_text())
    _timed(session, ["stack", "init", "sandbox"], project)
    yield project


def _timed(
    session: Session, arguments: list[str], project: Path, more: dict[str, str] | None = None
) -> float:
    began = time.perf_counter()
    done = processes.run(
        [str(session.toolchain.pulumi), "--non-interactive", *arguments],
        environment={**session.environment, **(more or {})},
        directory=project,
        capture=True,
    )
    if done.returncode:
        raise SystemExit(f"bench: pulumi {arguments[0]} failed:\n{done.stdout}")
    return time.perf_counter() - began


def _bounds(mocked: list[Figures], previews: list[Figures]) -> list[tuple[str, bool]]:
    by_count = {each.count: each for each in mocked}
    ratio = by_count[1000].ratio
    growth = by_count[3000].program / by_count[1000].program
    return [
        (
            f"1,000 services under mocks take {ratio:.2f} of the barest program's time (at most {RATIO})",
            ratio <= RATIO,
        ),
        (
            f"3,000 services take {growth:.2f} times as long as 1,000 (at most {GROWTH})",
            growth <= GROWTH,
        ),
        *(_calls_bound(each) for each in (*mocked, *previews)),
    ]


def _calls_bound(figures: Figures) -> tuple[str, bool]:
    """Count the calls: the program's own under mocks; on the engine the provider's start too."""
    most = 2 * ceil(figures.count / 100) + 2
    text = f"{figures.count:,} repositories take {figures.calls} GitHub calls (at most {most})"
    return text, figures.calls <= most


def _page(
    mocked: list[Figures],
    previews: list[Figures],
    ups: list[Figures],
    bounds: list[tuple[str, bool]],
) -> str:
    lines = [
        f"Measured by `make bench` on {os.cpu_count()} cores, Python {sys.version.split()[0]}.",
        "",
        "| what | services | program | barest | ratio | peak memory | GitHub calls |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for what, rows in (
        ("under mocks", mocked),
        ("preview on the engine", previews),
        ("first `up` on the engine, file backend", ups),
    ):
        lines += [
            f"| {what} | {each.count:,} | {each.program:.1f} s | {each.barest:.1f} s "
            f"| {each.ratio:.2f} | {f'{each.memory:.0f} MiB' if each.memory else '-'} "
            f"| {each.calls or '-'} |"
            for each in rows
        ]
    lines.append("")
    lines += [f"- {'held' if held else '**not held**'}: {text}" for text, held in bounds]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
