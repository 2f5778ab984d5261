"""Parts that run in the browser and are published as npm packages: fetched once, pinned, never committed.

Owns which packages these are, their versions, their integrity and the files that are used of them.
They are fetched by npm, as it is set up on this machine, into the user's cache folder; what does not
have the integrity below is refused. Nothing is installed, and no script of a package runs.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ecr.errors import EstateError


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package. ``integrity`` is its tarball's, as npm states it; ``files`` are those used."""

    name: str
    version: str
    integrity: str
    files: tuple[str, ...]


PYODIDE = Package(
    "pyodide",
    "314.0.7",
    "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A==",
    (
        "pyodide.mjs",
        "pyodide.asm.mjs",
        "pyodide.asm.wasm",
        "python_stdlib.zip",
        "pyodide-lock.json",
    ),
)
"""Python for the browser, on which the playground runs the project's simulator."""

IFRAME_WORKER = Package(
    "iframe-worker",
    "1.0.4",
    "sha512-roeaaI+Lg1LJNfgpCjoRe/+WzEjy9+Z08LoEvu85MCPbBjwm+qXz8Ag5U05lHa6V1CysZyGzE0SOkAtSUA5q7Q==",
    ("shim/index.js", "LICENSE"),
)
"""What the search needs where the site is opened from a folder, in which browsers start no workers."""

AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    ("axe.min.js",),
)
"""The accessibility checks of the browser tests; the site does not have it."""


def fetched(package: Package) -> Path:
    """Return the folder that holds the package's files, fetching them if they are not there yet.

    Raises EstateError where npm is missing, fails, or gives something else than what is pinned.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecr-estate/npm"
    folder = base / f"{package.name}-{package.version}"
    if all((folder / name).is_file() for name in package.files):
        return folder
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as scratch:
        ready = Path(scratch) / "ready"
        _unpack(_packed(package, Path(scratch)), ready, package)
        # Whole or not at all, whoever else is fetching it at the same time.
        shutil.rmtree(folder, ignore_errors=True)
        ready.rename(folder)
    return folder


def copy(package: Package, to: Path) -> None:
    """Copy the package's files into a folder of the site, if they are not there yet."""
    folder = fetched(package)
    for name in package.files:
        source, target = folder / name, to / name
        if not target.exists() or target.stat().st_size != source.stat().st_size:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _packed(package: Package, scratch: Path) -> Path:
    """Have npm bring the package's tarball."""
    what = f"{package.name}@{package.version}"
    npm = shutil.which("npm")
    if npm is None:
        raise _not_fetched(f"{what}: npm is missing; install Node.js, of which it is a part")
    command = [
        npm,
        "pack",
        what,
        "--silent",
        "--ignore-scripts",
        "--pack-destination",
        str(scratch),
    ]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    tarballs = list(scratch.glob("*.tgz"))
    if done.returncode or len(tarballs) != 1:
        said = " ".join(done.stderr.split()) or "it said nothing"
        raise _not_fetched(
            f"{what}: npm could not fetch it ({said}); see that its registry answers"
        )
    return tarballs[0]


def _unpack(tarball: Path, to: Path, package: Package) -> None:
    algorithm, _, expected = package.integrity.partition("-")
    digest = hashlib.new(algorithm, tarball.read_bytes()).digest()
    if base64.b64encode(digest).decode() != expected:
        raise _not_fetched(
            f"{package.name}@{package.version}: what npm brought does not have the integrity that "
            "pages/vendor.py pins; nothing of it is used"
        )
    with tarfile.open(tarball) as archive:
        for name in package.files:
            inside = f"package/{name}"
            held = archive.extractfile(inside) if inside in archive.getnames() else None
            if held is None:
                raise _not_fetched(f"{package.name}@{package.version}: has no file {name}")
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes(held.read())


def _not_fetched(offence: str) -> EstateError:
    return EstateError("A part of the site that runs in the browser is missing.", [offence])
