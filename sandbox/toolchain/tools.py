"""`python -m sandbox.toolchain.tools NAME ...`: Go programs that are built into the user's cache.

The user's own is taken where it is on PATH.

Owns one folder below the cache for each pinned version of a tool. Reads PATH and the tool's Go module
beside this file; fetches what its go.sum pins. Never writes to the clone, and never puts a binary in
place before it is whole.
"""

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain.commands import Commands, Report, ToolchainError

_BUILD = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its name, the Go package of its command, and the folder of the Go module that pins it.

    The folder is called like the tool where ``folder`` is empty. One that is ``own`` has its source in that
    module: nobody has it on PATH, and what is there under its name is another program.
    """

    name: str
    package: str
    folder: str = ""
    own: bool = False

    @property
    def module(self) -> Path:
        """The Go module that pins it."""
        return Path(__file__).with_name(self.folder or self.name)

    @property
    def sources(self) -> list[Path]:
        """The files that decide what is built."""
        written = sorted((self.module / self.package).glob("*.go")) if self.own else []
        return [self.module / "go.mod", self.module / "go.sum", *written]


CRANE = Tool("crane", "github.com/google/go-containerregistry/cmd/crane")
"""Copies images between registries, and serves the ones that tests copy between."""

REGISTRY = Tool("registry", "./registry", folder="crane", own=True)
"""Keeps the bytes of images behind the embedded ECR: crane's own registry, as a server."""

ORAS = Tool("oras", "oras.land/oras/cmd/oras")
"""Pushes, pulls and lists artifacts, and what refers to them."""

BUILDX = Tool("buildx", "github.com/docker/buildx/cmd/buildx")
"""Docker's builder; its `imagetools` retags and inspects images without a daemon."""

ACTIONLINT = Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
"""Checks workflows of GitHub Actions."""

LANGUAGE_YAML = Tool(
    "pulumi-language-yaml", "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
)
"""Runs programs in Pulumi YAML, which need no Python of their own."""


def ensure_tool(tool: Tool, report: Report) -> Path:
    """Find a tool on PATH, unless it is the project's own, or build it, which takes some time once.

    Raises ToolchainError, with the remedy, when there can be none.
    """
    found = find_tool(tool)
    if found:
        return found
    binary = _built(tool)
    folder = binary.parent
    if shutil.which("go") is None:
        raise ToolchainError(
            f"There is no {tool.name}, and no Go to build one. "
            + (
                "Install Go."
                if tool.own
                else f"Install either: {tool.name} is the command {tool.package}."
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building it
        if not binary.is_file():
            report(f"Building {tool.name} from its Go module, once, into {folder}")
            partial = folder / f"{tool.name}.partial"
            Commands(folder / "build.log", report)(
                f"compiling {tool.name}",
                [*_BUILD, "-o", partial, tool.package],
                cwd=tool.module,
                env={"CGO_ENABLED": "0", "GOWORK": "off"},
            )
            partial.replace(binary)
    return binary


def main(names: Sequence[str]) -> int:
    """Find or build the tools of these names, and print where they are."""
    known = {tool.name: tool for tool in (CRANE, REGISTRY, ORAS, BUILDX, ACTIONLINT)}
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.toolchain.tools", description="Find tools, or build them once."
    )
    parser.add_argument("names", nargs="+", choices=known, metavar="NAME", help=", ".join(known))
    try:
        for name in parser.parse_args(names).names:
            print(f"{name}: {ensure_tool(known[name], print)}")
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def find_tool(tool: Tool) -> Path | None:
    """Find a tool on PATH or among those built earlier; None where there is none yet."""
    found = None if tool.own else shutil.which(tool.name)
    if found:
        return Path(found)
    binary = _built(tool)
    return binary if binary.is_file() else None


def _built(tool: Tool) -> Path:
    """Say where a tool is built to: another pin or source is another folder."""
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for file in tool.sources:
        digest.update(file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ecr-estate" / tool.name / digest.hexdigest()[:16] / tool.name


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
