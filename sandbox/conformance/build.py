"""The binaries of the acceptance tests, and OpenTofu, which they drive.

Owns one folder below the user's cache for each choice of tests. Fetches what the provider's own go.sum pins. A build
that was interrupted goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.toolchain import build
from sandbox.toolchain.commands import Commands, Report, ToolchainError
from sandbox.toolchain.tools import Tool
from sandbox.toolchain.trim import trim

if TYPE_CHECKING:
    from collections.abc import Iterable

TOFU = Tool("tofu", "github.com/opentofu/opentofu/cmd/tofu")
"""Runs the configurations of the tests, as Terraform would."""

TESTED = ("ecr", "events", "iam", "kms", "sns")
"""The services whose tests are built: those of which the program has resources."""

_SERVICES = (*TESTED, "meta", "organizations", "sts")
"""Those that the provider of the tests knows: the configurations read the last three as well."""

_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GONOSUMDB": build.AWS_MODULE}


def folder() -> Path:
    """Give the folder of these tests, built or not."""
    choices = [build.AWS_REVISION, build.AWS_SUM, TESTED, _SERVICES]
    trimming = (build.HERE / "trim.py").read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(json.dumps(choices).encode() + trimming).hexdigest()[:16]
    return build.cache_folder() / "conformance" / key


def package(service: str) -> Path:
    """Give the folder of a service's package, in which its tests are run: they read files beside it."""
    return folder() / "source/internal/service" / service


def binary(service: str) -> Path:
    """Give the binary of a service's tests."""
    return folder() / f"{service}.test"


def ensure_tests(services: Iterable[str], report: Report) -> None:
    """Build what is missing, which takes a quarter of an hour the first time.

    Raises ToolchainError with the remedy where it cannot be built.
    """
    log = folder() / "build.log"
    with build.alone(folder(), "the acceptance tests", log, report):
        missing = [each for each in services if not binary(each).is_file()]
        if not missing:
            return
        run = Commands(log, report)
        source = _ensure_source(run)
        for number, service in enumerate(missing, start=1):
            report(f"[{number}/{len(missing)}] the acceptance tests of {service}")
            _compile(run, source, ["test", "-c"], f"./internal/service/{service}", binary(service))


def ensure_provider(report: Report) -> Path:
    """Return the upstream provider itself, with the same services, as OpenTofu runs it; built once.

    Raises ToolchainError with the remedy where it cannot be built.
    """
    log = folder() / "build.log"
    provider = folder() / "provider/terraform-provider-aws"
    with build.alone(folder(), "the upstream AWS provider", log, report):
        if not provider.is_file():
            run = Commands(log, report)
            source = _ensure_source(run)
            report("Building the upstream AWS provider, once")
            provider.parent.mkdir(exist_ok=True)
            _compile(run, source, ["build", "-ldflags", "-s -w"], ".", provider)
    return provider


def _ensure_source(run: Commands) -> Path:
    """Return the folder of the trimmed source, fetched and trimmed where it is not yet."""
    source = folder() / "source"
    if (folder() / "complete").is_file():
        return source
    build.require_go(
        build.HERE / "providers",
        "The acceptance tests are not built",
        "Install Go {needed} or newer (go.dev/doc/install).",
    )
    download = ["go", "mod", "download", "-json", f"{build.AWS_MODULE}@{build.AWS_REVISION}"]
    module = json.loads(run("downloading", download, cwd=folder(), env=_ENVIRONMENT))
    if module["Sum"] != build.AWS_SUM:
        raise ToolchainError(
            f"{build.AWS_MODULE} {build.AWS_REVISION} is not the one this project was built "
            f"with: its sum is {module['Sum']}. Nothing of it was run. Try another GOPROXY."
        )
    shutil.rmtree(source, ignore_errors=True)
    trim(Path(module["Dir"]), source, _SERVICES, TESTED)
    shutil.copyfile(Path(module["Dir"]) / "main.go", source / "main.go")
    (folder() / "complete").touch()
    return source


def _compile(run: Commands, source: Path, command: list[str], package: str, target: Path) -> None:
    """Compile a package of the trimmed source; what is not whole is not put in place."""
    partial = target.with_suffix(".partial")
    options: list[str | Path] = ["-mod=readonly", "-trimpath", "-o", partial]
    run("compiling", ["go", *command, *options, package], cwd=source, env=_ENVIRONMENT)
    partial.replace(target)
