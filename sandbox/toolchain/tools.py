"""Small tools that are Go programs: the user's own, or built from a Go module into the user's cache.

Owns one folder below the cache for each pinned version of a tool. Reads PATH and the Go module of the
tool's name beside this file; fetches what its go.sum pins. Never writes to the clone, and never puts
a binary in place before it is whole.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain.commands import Commands, Report, ToolchainError

_BUILD = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: its name on PATH, and the Go package of its command."""

    name: str
    package: str

    @property
    def module(self) -> Path:
        """The Go module that pins it."""
        return Path(__file__).with_name(self.name)


CRANE = Tool("crane", "github.com/google/go-containerregistry/cmd/crane")
"""Copies images between registries, and serves the ones that tests copy between."""

ACTIONLINT = Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
"""Checks workflows of GitHub Actions."""

LANGUAGE_YAML = Tool(
    "pulumi-language-yaml", "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
)
"""Runs programs in Pulumi YAML, which need no Python of their own."""


def ensure_tool(tool: Tool, report: Report) -> Path:
    """Find a tool on PATH, or build it, which takes some seconds the first time.

    Raises ToolchainError, with the remedy, when there can be none.
    """
    found = shutil.which(tool.name)
    if found:
        return Path(found)
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((tool.module / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ecr-estate" / tool.name / digest.hexdigest()[:16]
    binary = folder / tool.name
    if binary.is_file():
        return binary
    if shutil.which("go") is None:
        raise ToolchainError(
            f"There is no {tool.name}, and no Go to build one. Install either: {tool.name} is the "
            f"command {tool.package}."
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
