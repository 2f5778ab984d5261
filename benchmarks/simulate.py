"""`make bench`, second part: how long a simulation takes, and how it grows.

Generates registries of commit images, with releases, live tags and untagged parts among them, and has
the command simulate the default policy on each, a process each: an entry a line, and the largest also as
the AWS command line prints it. Exits 1 when a million images take more than 20 s in either form, or the time
grows faster than n log n.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from math import log
from pathlib import Path

SIZES = (125_000, 250_000, 500_000, 1_000_000)
BOUND = 20.0
"""Seconds for the largest size, in either form."""

NOISE = 1.35
"""How much more than n log n the time may grow between the smallest and the largest size: they run
once each, on whatever else the machine does."""

DAY = 86_400
NOW = 1_795_348_800


def main() -> int:
    """Measure, print a table and say whether the bounds are held."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            file = Path(folder) / f"{size}.jsonl"
            _generate(file, size)
            rows.append((size, *_simulate(file)))
            if size == SIZES[-1]:
                printed = Path(folder) / "printed.json"
                _print_as_aws(file, printed)
                as_printed = _simulate(printed)
            file.unlink()
    print("| images | seconds | peak memory | seconds by n log n |\n| ---: | ---: | ---: | ---: |")
    for size, seconds, memory in rows:
        expected = rows[0][1] * _cost(size) / _cost(SIZES[0])
        print(f"| {size:,} | {seconds:.1f} | {memory} | {expected:.1f} |")
    growth = rows[-1][1] / rows[0][1]
    allowed = NOISE * _cost(SIZES[-1]) / _cost(SIZES[0])
    held = rows[-1][1] < BOUND, growth < allowed, as_printed[0] < BOUND
    print(f"bench: {SIZES[-1]:,} images in {rows[-1][1]:.1f} s, of {BOUND:.0f} s: {_said(held[0])}")
    print(f"bench: grows by {growth:.1f}, n log n by {allowed:.1f} with noise: {_said(held[1])}")
    print(
        f"bench: as the AWS command line prints them in {as_printed[0]:.1f} s and {as_printed[1]}, of "
        f"{BOUND:.0f} s: {_said(held[2])}"
    )
    return 0 if all(held) else 1


def _said(held: bool) -> str:  # noqa: FBT001 - a word for it
    return "held" if held else "NOT HELD"


def _cost(size: int) -> float:
    return size * log(size)


def _generate(file: Path, size: int) -> None:
    """Write a registry of one image repository, as `aws ecr describe-images` has its entries."""
    chance = random.Random(size)  # noqa: S311 - the same registry each time
    with file.open("w") as lines:
        for number in range(size):
            kind = chance.random()
            tags = [f"{chance.getrandbits(160):040x}"]
            if kind > 0.7:  # noqa: PLR2004 - the parts of multi-platform images
                tags = []
            elif kind < 0.02:  # noqa: PLR2004 - releases
                tags.append(f"v1.{number}.0")
            elif kind < 0.021:  # noqa: PLR2004 - what runs
                tags.append(f"live-{number}")
            detail = {
                "registryId": "111122223333",
                "repositoryName": "service",
                "imageDigest": f"sha256:{chance.getrandbits(256):064x}",
                "imageTags": tags,
                "imageSizeInBytes": 123_456_789,
                "imagePushedAt": NOW - chance.random() * 400 * DAY,
            }
            lines.write(json.dumps(detail) + "\n")


def _print_as_aws(lines: Path, printed: Path) -> None:
    """Write the same registry as `aws ecr describe-images --output json` prints it."""
    with lines.open() as entries, printed.open("w") as document:
        document.write('{\n    "imageDetails": [')
        for number, line in enumerate(entries):
            detail = json.loads(line)
            pushed = datetime.fromtimestamp(detail["imagePushedAt"], UTC).isoformat()
            document.write("," * bool(number) + "\n        ")
            document.write(
                json.dumps({**detail, "imagePushedAt": pushed}, indent=4).replace(
                    "\n", "\n        "
                )
            )
        document.write("\n    ]\n}\n")


def _simulate(file: Path) -> tuple[float, str]:
    """Return the seconds of the whole command, and the memory that it says it took."""
    command = [sys.executable, "-m", "ecr", "simulate", str(file), "--policy", "commit-sha"]
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--days", "7", "--at", "2026-11-22"],
        check=True,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - started
    memory = re.search(r"([\d,]+ MiB) at the peak", done.stderr)
    return seconds, memory[1] if memory else "unknown"


if __name__ == "__main__":
    sys.exit(main())
