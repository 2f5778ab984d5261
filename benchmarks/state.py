"""What the state of an estate takes in a bucket: its size, and what a deployment without changes writes.

Deploys 800 services on the real engine with the embedded AWS, and then deploys twice without a change: as
the engine does by itself, and as `.ci/deploy` has it do. What is written is counted in the backend's folder,
file by file, as a bucket with versions would keep it. Writes the figure in docs/guides/large-estates.md.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pages.markers import replace_between_markers
from sandbox.github import synthetic_organisation
from sandbox.session import PROJECT, STACK, Session
from sandbox.toolchain import ensure_toolchain

PAGE = PROJECT / "docs" / "guides" / "large-estates.md"
SERVICES = 800
HOURS_A_YEAR = 24 * 365
BOUNDED = {
    "PULUMI_DIY_BACKEND_GZIP": "true",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
}
"""What `.ci/deploy` sets; a test compares."""

OVERLAID = {"lambdaReplicas": None, "images": None, "registryPolicyScope": None}
QUIET = ("--yes", "--skip-preview", "--suppress-outputs", "--suppress-progress")


@dataclass(frozen=True, slots=True)
class Written:
    """What one deployment wrote: files that hold a whole state, all bytes, and the state's own size."""

    copies: int
    mebibytes: float
    state: float


def measure(services: int, folder: Path) -> tuple[Written, Written]:
    """Return what a deployment without changes writes: by itself, and as the pipeline has it."""
    with Session(
        folder / "session",
        ensure_toolchain(_say),
        organisation=synthetic_organisation(services),
        settings=OVERLAID,
    ) as session:
        _say(f"{services} services: first deployment")
        _deploy(session, PULUMI_SKIP_CHECKPOINTS="true")
        _say(f"{services} services: a deployment without changes")
        plain = _written(session)
        # The first compressed one also renames the file that was there.
        _deploy(session, **BOUNDED)
        _say(f"{services} services: the same, compressed and without backups")
        return plain, _written(session, **BOUNDED)


def _deploy(session: Session, **variables: str) -> None:
    session.own_variables.update(variables)
    done = session.pulumi("up", *QUIET)
    session.own_variables.clear()
    if done.code:
        raise SystemExit(f"state: the deployment failed ({done.code}):\n{done.output[-4000:]}")


def _written(session: Session, **variables: str) -> Written:
    folder = session.directory / "state"
    before = _files(folder)
    _deploy(session, **variables)
    # A note beside each file says when it was written; a bucket has none.
    new = {
        path: size
        for path, (size, at) in _files(folder).items()
        if before.get(path) != (size, at) and not path.endswith(".attrs")
    }
    (state,) = (
        each.stat().st_size
        for each in (folder / ".pulumi" / "stacks").rglob(f"{STACK}.json*")
        if each.suffix in {".json", ".gz"}
    )
    whole = [size for size in new.values() if size > state / 2]
    return Written(len(whole), sum(new.values()) / 2**20, state / 2**20)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(each): (each.stat().st_size, each.stat().st_mtime_ns)
        for each in folder.rglob("*")
        if each.is_file()
    }


def sentence(plain: Written, bounded: Written) -> str:
    """Return the figure as the guide has it."""
    year = HOURS_A_YEAR / 1024
    return (
        f"Measured with {SERVICES} services: the state has {plain.state:.1f} MiB, and compressed "
        f"{bounded.state:.2f} MiB. A deployment without changes writes {plain.copies} whole copies by itself, "
        f"{plain.mebibytes:.1f} MiB, which is {plain.mebibytes * year:,.0f} GiB a year where one runs every "
        f"hour. In the pipeline it writes {bounded.copies}, {bounded.mebibytes:.2f} MiB, or "
        f"{bounded.mebibytes * year:.1f} GiB a year, and is skipped where there is nothing to change."
    )


def main() -> int:
    """Measure, print the figure, and write it in the guide."""
    with tempfile.TemporaryDirectory() as folder:
        said = sentence(*measure(SERVICES, Path(folder)))
    PAGE.write_text(replace_between_markers(PAGE.read_text(), "state", said))
    _say(said)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"state: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
