"""One measurement in a process of its own: `python -m benchmarks.under_mocks WHICH COUNT`.

Prints one JSON object: seconds of processor time, peak memory in MiB, resources registered, GitHub calls.
"""

import json
import os
import resource
import runpy
import sys
import time
from collections import Counter
from pathlib import Path

from sandbox.github import synthetic_organisation
from sandbox.github.tokens import CLASSIC
from tests.builders import ARTIFACTS, config
from tests.mocks import answering, deploy, no_invoke

BAREST = Path(__file__).parent / "barest.py"


def _barest() -> None:
    runpy.run_path(str(BAREST))


def main(which: str, count: int) -> None:
    """Run one program for so many services and print what it took."""
    calls: Counter[str] = Counter()
    if which == "barest":
        began = time.process_time()
        done = deploy({}, no_invoke, program=_barest)
    else:
        os.environ["GITHUB_TOKEN"] = CLASSIC.value
        invoke = answering(synthetic_organisation(count))
        role = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-deploy"
        values = config(
            github={"organisation": "sandbox-org"},
            artifacts={"account": ARTIFACTS, "region": "eu-west-1", "role": role},
        )

        def counted(token: str, arguments: object) -> dict[str, object]:
            calls[token] += 1
            return invoke(token, arguments)  # type: ignore[arg-type]

        began = time.process_time()
        done = deploy(values, counted)
    seconds = time.process_time() - began
    print(
        json.dumps(
            {
                "seconds": seconds,
                "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "resources": sum(each.type.startswith("aws:") for each in done.registrations),
                "calls": calls["github:index/getRestApi:getRestApi"],
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
