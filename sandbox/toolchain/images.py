"""crane, the registry tool: the user's own, or one built from its Go module into the user's cache.

Owns one folder below the cache for each pinned version. Reads PATH and the Go module in `crane/`;
fetches what its go.sum pins. Never writes to the clone, and never puts a binary in place before it
is whole.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import sys
from pathlib import Path

from sandbox.toolchain.commands import Commands, Report, ToolchainError

MODULE = Path(__file__).with_name("crane")
_PACKAGE = "github.com/google/go-containerregistry/cmd/crane"
_BUILD = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w")


def ensure_crane(report: Report) -> Path:
    """Find crane on PATH, or build it, which takes some seconds the first time.

    Raises ToolchainError, with the remedy, when there can be none.
    """
    found = shutil.which("crane")
    if found:
        return Path(found)
    digest = hashlib.sha256(f"{sys.platform} {platform.machine()}".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ecr-estate/crane" / digest.hexdigest()[:16]
    binary = folder / "crane"
    if binary.is_file():
        return binary
    if shutil.which("go") is None:
        raise ToolchainError(
            "There is no crane, and no Go to build one. Install either: crane is a command of "
            "github.com/google/go-containerregistry."
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building it
        if not binary.is_file():
            report(f"Building crane from its Go module, once, into {folder}")
            partial = folder / "crane.partial"
            Commands(folder / "build.log", report)(
                "compiling crane",
                [*_BUILD, "-o", partial, _PACKAGE],
                cwd=MODULE,
                env={"CGO_ENABLED": "0", "GOWORK": "off"},
            )
            partial.replace(binary)
    return binary
