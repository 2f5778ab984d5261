"""`python -m sandbox.conformance`: run the upstream provider's acceptance tests against the embedded AWS."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.conformance import build
from sandbox.toolchain.commands import ToolchainError
from sandbox.toolchain.tools import ensure_tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EXCLUSIONS = Path(__file__).with_name("exclusions.toml")
_RESULT = re.compile(r"^--- (PASS|FAIL|SKIP): (TestAcc\w+)", re.MULTILINE)
_ALONGSIDE = 4

USED: Mapping[str, str] = {
    "ecr": r"^TestAccECR",
    "events": r"^TestAccEvents(Rule|Target)_",
    "iam": r"^TestAccIAM(Role|RolePolicy|OpenIDConnectProvider|PolicyDocumentDataSource)_",
    "kms": r"^TestAccKMS(Key|Alias)_",
    "sns": r"^TestAccSNS(Topic|TopicPolicy|TopicSubscription)_",
}
"""The tests of the types that the program uses, by service; of ECR all."""


@dataclass(slots=True)
class Verdict:
    """What became of the tests, by name."""

    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    better: list[str] = field(default_factory=list)

    def count(self, results: Iterable[tuple[str, str]], reasons: Mapping[str, str]) -> None:
        """Add the results of a run; ``reasons`` are those of the exclusions, by pattern."""
        for result, name in results:
            reason = next(
                (why for pattern, why in reasons.items() if re.fullmatch(pattern, name)), ""
            )
            if result == "SKIP":
                self.skipped.append(name)
            elif result == "PASS":
                (self.better if reason else self.passed).append(name)
            elif reason:
                self.excluded[name] = reason
            else:
                self.failed.append(name)

    def lines(self) -> Iterator[str]:
        """Say it, the numbers last."""
        for name, why in sorted(self.excluded.items()):
            yield f"excluded  {name}: {why}"
        for name in sorted(self.better):
            yield f"passed    {name}, although it is excluded: take it out of {EXCLUSIONS.name}"
        for name in sorted(self.failed):
            yield f"FAILED    {name}"
        yield (
            f"acceptance tests passed: {len(self.passed) + len(self.better)}, "
            f"failed: {len(self.failed)}, excluded: {len(self.excluded)}, "
            f"skipped by themselves: {len(self.skipped)}"
        )


def reasons() -> dict[str, str]:
    """Give why tests cannot pass here, by a pattern of their names."""
    listed = tomllib.loads(EXCLUSIONS.read_text(encoding="utf-8"))["exclusion"]
    return {pattern: each["reason"] for each in listed for pattern in each["tests"]}


def results(log: str) -> list[tuple[str, str]]:
    """Give the results in what a run printed: PASS, FAIL or SKIP with the name."""
    return [(found[1], found[2]) for found in _RESULT.finditer(log)]


def run(service: str, pattern: str, aws: EmbeddedAws, tofu: Path, folder: Path) -> str:
    """Run the tests of a service whose names match, and give what they print."""
    administrator = credentials_of(aws.default_account)
    settings = folder / "tofu.rc"
    settings.write_text("disable_checkpoint = true\n")
    region, other = "us-west-2", "us-east-1"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "TF_ACC": "1",
        "TF_ACC_TERRAFORM_PATH": str(tofu),
        "TF_ACC_PROVIDER_NAMESPACE": "hashicorp",
        "TF_ACC_PROVIDER_HOST": "registry.opentofu.org",
        "TF_CLI_CONFIG_FILE": str(settings),
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": administrator["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": administrator["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": region,
        "AWS_ALTERNATE_REGION": other,
        "AWS_THIRD_REGION": "us-east-2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    command = [str(build.binary(service)), "-test.v", f"-test.run={pattern}"]
    command += [f"-test.parallel={_ALONGSIDE}", "-test.timeout=40m"]
    done = subprocess.run(
        command,
        cwd=build.package(service),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def main() -> int:
    """Return 1 where a test failed that is not excluded, or none ran."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.conformance",
        description="Run the acceptance tests of the upstream AWS provider against the embedded AWS.",
    )
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=", ".join(build.TESTED))
    parser.add_argument("--run", help="only the tests whose names match this pattern")
    parser.add_argument("--log", type=Path, help="write what the tests print into this folder")
    options = parser.parse_args()
    services = options.services or list(build.TESTED)
    if unknown := set(services) - set(build.TESTED):
        parser.error(f"no tests of {', '.join(sorted(unknown))}: {', '.join(build.TESTED)}")
    try:
        build.ensure_tests(services, print)
        tofu = ensure_tool(build.TOFU, print)
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    verdict = Verdict()
    with tempfile.TemporaryDirectory() as folder:
        for service in services:
            with EmbeddedAws(strict=True) as aws:
                log = run(service, options.run or USED[service], aws, tofu, Path(folder))
            if options.log:
                options.log.mkdir(parents=True, exist_ok=True)
                (options.log / f"{service}.log").write_text(log)
            found = results(log)
            print(f"{service}: {len(found)} tests", flush=True)
            if not found:
                print(log[-2000:], file=sys.stderr)
            verdict.count(found, reasons())
    for line in verdict.lines():
        print(line)
    return 1 if verdict.failed or not verdict.passed else 0


if __name__ == "__main__":
    sys.exit(main())
