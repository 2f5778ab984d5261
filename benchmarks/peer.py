"""The table beside OpenTofu: the same estate, the same AWS provider, the same embedded AWS, in one run.

The peer gets a configuration that a person would write: image repositories and lifecycle policies by
``for_each`` over the names, the registry's policy and its scanning. It reads no GitHub and checks nothing;
the program does both within its time. At each size the program goes first, and then the peer, in an AWS
that is started anew. One new service is deployed by `ecr-estate deploy`, and by the peer with everything else, for its
targets would have to be written by hand. Writes docs/reference/peer.md; exits 1 when a bound is not held.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.__main__ import barest_environment
from benchmarks.measure import Took, measure, measure_new_service, measure_run, said, sizes_of
from benchmarks.scale import OVERLAID, SKIP
from pages.markers import replace_between_markers
from sandbox import processes
from sandbox.conformance.build import TOFU, ensure_provider
from sandbox.estate import ROLE
from sandbox.github import synthetic_organisation
from sandbox.session import PROJECT, Run, Session
from sandbox.toolchain import ensure_toolchain
from sandbox.toolchain.tools import ensure_tool

PAGE = PROJECT / "docs" / "reference" / "peer.md"
SIZES = (300, 1000)
BOUNDED = 1000
"""Services of the row for which bounds are set."""

ACCOUNT, REGION = "111111111111", "eu-west-1"

FIRST, DEPLOYMENT = "preview of a first deployment", "first deployment, without checkpoints"
SAME, REFRESHED = "preview without changes", "preview without changes, with refresh"
ADDED, NOTHING = "deployment of one new service", "deployment without changes"

BOUNDS = {FIRST: 0.25, DEPLOYMENT: 0.25, SAME: 0.40, REFRESHED: 0.60}
"""What the program may take at 1,000 services, as a multiple of the peer's time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One command of both."""

    count: int
    what: str
    program: Took
    peer: Took

    @property
    def ratio(self) -> float:
        """The program's time as a multiple of the peer's."""
        return self.program.seconds / self.peer.seconds


class Peer:
    """OpenTofu in a folder of its own, with the credentials and the AWS of a session."""

    def __init__(self, session: Session, folder: Path, tofu: Path, provider: Path) -> None:
        self._session, self._folder, self._tofu = session, folder, tofu
        override = {"registry.opentofu.org/hashicorp/aws": str(provider.parent)}
        (folder / "tofu.rc").write_text(
            "provider_installation {\n  dev_overrides {\n"
            + "".join(f'    "{name}" = "{path}"\n' for name, path in override.items())
            + "  }\n  direct {}\n}\n"
        )

    def declare(self, count: int) -> None:
        """Write the configuration of so many services."""
        told = barest_environment(self._folder, count)
        names = Path(told["NAMES"]).read_text().split()
        (self._folder / "main.tf.json").write_text(json.dumps(_configuration(names, told)))

    def run(self, *arguments: str) -> Took:
        """Run OpenTofu, and give what it took."""

        def run() -> Run:
            done = processes.run(
                [str(self._tofu), *arguments, "-no-color", "-input=false"],
                environment={
                    **self._session.environment,
                    "TF_CLI_CONFIG_FILE": str(self._folder / "tofu.rc"),
                    "CHECKPOINT_DISABLE": "1",
                },
                directory=self._folder,
                capture=True,
            )
            return Run(done.returncode, done.stdout)

        return measure_run(self._session, f"tofu {arguments[0]}", run)


def _configuration(names: Sequence[str], told: dict[str, str]) -> dict[str, object]:
    """Return what OpenTofu declares: that of `benchmarks/barest.py`, in its own terms."""
    tags = {"managed-by": "ecr-estate", "github-owner": "sandbox-org"}
    return {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "provider": {
            "aws": {
                "region": REGION,
                "allowed_account_ids": [ACCOUNT],
                "assume_role": [
                    {"role_arn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "session_name": "peer"}
                ],
            }
        },
        "locals": {"services": list(names)},
        "resource": {
            "aws_ecr_registry_policy": {"this": {"policy": told["POLICY"]}},
            "aws_ecr_registry_scanning_configuration": {
                "this": {
                    "scan_type": "BASIC",
                    "rule": [
                        {
                            "scan_frequency": "SCAN_ON_PUSH",
                            "repository_filter": [{"filter": "*", "filter_type": "WILDCARD"}],
                        }
                    ],
                }
            },
            "aws_ecr_repository": {
                "service": {
                    "for_each": "${toset(local.services)}",
                    "name": "${each.key}",
                    "image_tag_mutability": "IMMUTABLE",
                    "encryption_configuration": [{"encryption_type": "AES256"}],
                    "tags": {**tags, "github-repository": "${each.key}"},
                }
            },
            "aws_ecr_lifecycle_policy": {
                "service": {
                    "for_each": "${aws_ecr_repository.service}",
                    "repository": "${each.value.name}",
                    "policy": told["LIFECYCLE"],
                }
            },
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the page, and say which bounds are held."""
    chosen = sizes_of(arguments, "benchmarks.peer", SIZES)
    tofu, provider = ensure_tool(TOFU, _say), ensure_provider(_say)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for count in chosen
            for row in _measure(count, Path(folder) / str(count), tofu, provider)
        ]
    bounds = list(_bounds(rows))
    text = "\n".join([*_page(rows), "", *said(bounds)])
    print(text)
    if chosen == SIZES:
        PAGE.write_text(replace_between_markers(PAGE.read_text(), "peer", text))
        _say(f"written to {PAGE.relative_to(PROJECT)}")
    return 0 if all(held for _, held in bounds) else 1


def _say(line: str) -> None:
    print(f"peer: {line}", flush=True)


def _measure(count: int, folder: Path, tofu: Path, provider: Path) -> list[Row]:
    up, apply = ("up", "--yes", "--skip-preview"), ("apply", "-auto-approve", "-refresh=false")
    steps: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
        (FIRST, ("preview",), ("plan", "-refresh=false")),
        (DEPLOYMENT, up, apply),
        (SAME, ("preview", "--expect-no-changes"), ("plan", "-refresh=false")),
        (REFRESHED, ("preview", "--refresh", "--expect-no-changes"), ("plan",)),
        (NOTHING, up, apply),
        (ADDED, up, apply),
    )
    folder.mkdir()
    organisation = synthetic_organisation(count)
    session = folder / "session"
    ours = []
    with Session(
        session, ensure_toolchain(_say), organisation=organisation, settings=OVERLAID
    ) as running:
        for what, command, _ in steps:
            _say(f"{count:,} services: {what}")
            if what == ADDED:
                name = f"service-{count + 1:05d}"
                organisation.add(name, properties={"container": "true"})
                ours.append(measure_new_service(running, name, **SKIP))
            else:
                ours.append(measure(running, *command, **(SKIP if command == up else {})))
    rows = []
    # The names are the same: the peer begins in an AWS that holds none of them.
    with Session(
        session, ensure_toolchain(_say), organisation=organisation, settings=OVERLAID
    ) as running:
        (folder / "peer").mkdir()
        peer = Peer(running, folder / "peer", tofu, provider)
        for (what, _, command), program in zip(steps, ours, strict=True):
            _say(f"{count:,} services: {what}, by OpenTofu")
            peer.declare(count + (what == ADDED))
            rows.append(Row(count, what, program, peer.run(*command)))
    return rows


def _bounds(rows: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    for each in rows:
        if each.count == BOUNDED and (most := BOUNDS.get(each.what)):
            text = (
                f"{each.what} of {each.count:,} services takes {each.ratio:.2f} of the peer's time"
            )
            yield f"{text} (at most {most})", each.ratio <= most


def _page(rows: Sequence[Row]) -> Iterator[str]:
    yield (
        f"Measured by `make bench` on {os.cpu_count()} cores, Python {sys.version.split()[0]}, with "
        "the embedded AWS on the same cores."
    )
    yield ""
    yield "| services | what | program | OpenTofu | ratio | memory of the program | of OpenTofu |"
    yield "|---:|---|---:|---:|---:|---:|---:|"
    for each in rows:
        yield (
            f"| {each.count:,} | {each.what} | {each.program.seconds:.1f} s | {each.peer.seconds:.1f} s "
            f"| {each.ratio:.2f} | {each.program.memory:,.0f} MiB | {each.peer.memory:,.0f} MiB |"
        )


if __name__ == "__main__":
    sys.exit(main())
