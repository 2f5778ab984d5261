"""The API server, its etcd and kubectl, built from one Go module.

Owns one folder below the user's cache for each recipe. Reads `parts/go.mod` and `parts/go.sum`, which
pin every module. Never puts a binary in place before it is whole, so that a build that was
interrupted goes on with what is missing. Nothing is taken from PATH but Go: a kubectl or an etcd
that happens to be there has another version on every machine.
"""

import hashlib
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain.build import GO_BUILD, alone, cache_folder, require_go
from sandbox.toolchain.commands import Commands, Report, Run

MODULE = Path(__file__).parent / "parts"
VERSION = "v1.34.1"
PACKAGES = {
    "kube-apiserver": ("k8s.io/kubernetes/cmd/kube-apiserver", "about 4 minutes"),
    "etcd": ("go.etcd.io/etcd/server/v3", "seconds"),
    "kubectl": ("k8s.io/kubernetes/cmd/kubectl", "about half a minute"),
}

_LINK = f"-s -w -X k8s.io/component-base/version.gitVersion={VERSION}"
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}


@dataclass(frozen=True)
class Parts:
    """A folder of binaries."""

    folder: Path

    def __getitem__(self, name: str) -> Path:
        """Return a part by its name in PACKAGES."""
        return self.folder / name

    def missing(self) -> list[str]:
        """Name what is left to build."""
        return [name for name in PACKAGES if not self[name].is_file()]


def parts() -> Parts:
    """Return the parts of this clone's recipe, built or not."""
    digest = hashlib.sha256(f"{_LINK} {sys.platform} {platform.machine()}".encode())
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    return Parts(cache_folder() / "kubernetes" / digest.hexdigest()[:16])


def ensure_parts(report: Report, run: Run | None = None) -> Parts:
    """Build what is missing, some five minutes the first time; wait while another process does.

    `report` is given lines for the user. Raises ToolchainError, with the remedy, when it cannot.
    """
    target = parts()
    if not target.missing():
        return target
    log = target.folder / "build.log"
    with alone(target.folder, "the Kubernetes API server", log, report):
        go = run or Commands(log, report)
        missing = target.missing()
        if missing:
            require_go(
                MODULE,
                "There is no Kubernetes API server to test admission on",
                "Install Go {needed} or newer (go.dev/doc/install).",
            )
            report(
                f"Building a Kubernetes API server {VERSION} from Go modules, once, into "
                f"{target.folder}. Ctrl-C is safe, the next run goes on."
            )
        for number, name in enumerate(missing, start=1):
            package, time = PACKAGES[name]
            report(f"[{number}/{len(missing)}] {name}, {time}")
            whole = target.folder / f"{name}.part"
            go(
                "compiling",
                [*GO_BUILD, "-ldflags", _LINK, "-o", whole, package],
                cwd=MODULE,
                env=_ENVIRONMENT,
            )
            whole.replace(target[name])
    return target
