"""`python -m benchmarks.commands`: what the commands take that read a whole estate.

Runs each command on 10,000 services, a process each: the embedded AWS and GitHub answer every request over
the loopback, so the figures are those of the command, the requests and the doubles together. Prints seconds,
requests, requests a second and the command's own peak memory. Exits 1 when a command asks more often than it
has to, or its memory grows with what it reads.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from benchmarks.measure import filled_aws
from sandbox.aws import EmbeddedAws
from sandbox.github import EmbeddedGitHub, synthetic_organisation
from sandbox.session import PROJECT
from tests.builders import stack_file

SERVICES = 10_000
MOST_MEMORY = 300.0
"""MiB of one command."""

STARTED = 100
"""Scans that `rescan` starts: what it reads before is the same for any number."""

A_PAGE = 50
"""Entries of a page, of the shortest pages that are read: those of functions."""

FIRST = 10
"""Requests beside, whatever there is to read: who asks, and what stands once for a registry."""

FOUND = 3
"""The exit code of a command that found something to tell."""

ACCOUNT, REGION = EmbeddedAws.default_account, "eu-west-1"
REGISTRY = ("--registry", f"{ACCOUNT}/{REGION}")


@dataclass(frozen=True, slots=True)
class Took:
    """What one command took; ``most`` is how many requests it may make."""

    command: str
    seconds: float
    requests: int
    memory: float
    most: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each command, print a table and say whether the bounds are held."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands")
    parser.add_argument("--services", type=int, default=SERVICES, help="services of the estate")
    services: int = parser.parse_args(arguments).services
    print("| command | seconds | requests | a second | peak memory |\n|---|---:|---:|---:|---:|")
    took = []
    for each in chain(_of_aws(services), _of_github(services)):
        took.append(each)
        rate = each.requests / each.seconds
        print(
            f"| `{each.command}` | {each.seconds:.0f} | {each.requests:,} | {rate:.0f} "
            f"| {each.memory:.0f} MiB |",
            flush=True,
        )
    held = []
    for each in took:
        few, small = each.requests <= each.most, each.memory <= MOST_MEMORY
        print(f"bench: {each.command}: {each.requests:,} requests, of {each.most:,}: {_said(few)}")
        print(f"bench: {each.command}: {each.memory:.0f} MiB, of {MOST_MEMORY:.0f}: {_said(small)}")
        held += [few, small]
    return 0 if all(held) else 1


def _said(held: bool) -> str:  # noqa: FBT001 - a word for it
    return "held" if held else "NOT HELD"


def _of_aws(services: int) -> Iterator[Took]:
    """Run the commands that read registries. Each service has an image, a policy and a function."""
    with filled_aws(partial(_fill, services)) as url:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "fake",
            "AWS_SECRET_ACCESS_KEY": "fake",
        }

        def requests() -> int:
            with urllib.request.urlopen(f"{url}/_sandbox/calls") as answer:  # noqa: S310 - on the loopback
                return len(json.load(answer))

        for command, most in (
            # The images and the policy of each image repository.
            (("usage", *REGISTRY, "--json"), 2 * services),
            # These, and each function with its aliases.
            (("audit", *REGISTRY, "--json"), 4 * services),
            (
                ("rescan", *REGISTRY, "--limit", str(STARTED), "--rate", "0", "--json"),
                services + STARTED,
            ),
        ):
            yield _run(command, environment, requests, most + services // A_PAGE + FIRST)


def _of_github(services: int) -> Iterator[Took]:
    """Run the command that reads repositories: their lists, and the file names of each."""
    with (
        EmbeddedGitHub(synthetic_organisation(services)) as github,
        tempfile.TemporaryDirectory() as folder,
    ):
        settings = stack_file(Path(folder), github={"organisation": "sandbox-org"})
        yield _run(
            ("dockerfiles", "--settings", settings, "--json"),
            {**os.environ, "GITHUB_TOKEN": github.token, "GITHUB_BASE_URL": github.url},
            lambda: len(github.calls()),
            services + 2 * services // A_PAGE + FIRST,
        )


def _run(
    command: Sequence[str], environment: dict[str, str], requests: Callable[[], int], most: int
) -> Took:
    """Run one command in a process of its own. Raises SystemExit where it fails."""
    before, began = requests(), time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecr", *command],
            env=environment,
            cwd=PROJECT,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if os.waitstatus_to_exitcode(status) not in {0, FOUND}:
            said.seek(0)
            raise SystemExit(f"bench: {command[0]} failed:\n{said.read().decode()[-4000:]}")
    return Took(command[0], seconds, requests() - before, used.ru_maxrss / 1024, most)


def _fill(services: int, _url: str) -> None:
    """Make the estate in the double itself: by requests it would take longer than the measuring."""
    from moto.awslambda.models import lambda_backends  # noqa: PLC0415 - only in the process that serves
    from moto.ecr.models import ecr_backends  # noqa: PLC0415 - as above

    from sandbox.aws.seeding import put_role  # noqa: PLC0415 - as above

    ecr, functions = ecr_backends[ACCOUNT][REGION], lambda_backends[ACCOUNT][REGION]
    role = f"arn:aws:iam::{ACCOUNT}:role/function"
    put_role(role, "{}", {}, boundary=None, seconds=3_600)
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    policy = {
        "rulePriority": 1,
        "selection": {
            "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 500
        },
        "action": {"type": "expire"},
    }  # fmt: skip
    for number in range(services):
        name = f"service-{number:05}"
        ecr.create_repository(name, None, {"encryptionType": "AES256"}, {}, "IMMUTABLE", [])
        ecr.put_lifecycle_policy(ACCOUNT, name, json.dumps({"rules": [policy]}))
        manifest = {"schemaVersion": 2, "mediaType": kind, "annotations": {"made": name}}
        image = ecr.put_image(name, json.dumps(manifest), "release", kind)
        functions.create_function(
            {
                "FunctionName": name,
                "PackageType": "Image",
                "Role": role,
                "Code": {
                    "ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{name}@{image.image_digest}"
                },
            }
        )


if __name__ == "__main__":
    sys.exit(main())
