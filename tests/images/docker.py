"""A stand-in for `docker`, whose daemon nobody has here: what Docker 28 and 29 leave in a registry.

Owns which image a build gives: that of one platform alone or an index, with an attestation or none, by
the options and by the image store of the Docker that DOCKER_MAJOR names. The rest is the work of crane,
whose path is CRANE, and `imagetools` that of the real buildx where BUILDX is its path. Refuses what it
does not know.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sandbox.images import DOCKER_MANIFEST, OCI_MANIFEST, Layout


def main(arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one a command
    """Do as docker would; return its exit code."""
    match list(arguments):
        case ["login", "--username", user, "--password-stdin", host]:
            return _call("CRANE", "auth", "login", host, "-u", user, "--password-stdin")
        case ["logout", host]:
            return _call("CRANE", "auth", "logout", host)
        case ["manifest", "inspect", reference]:
            return _call("CRANE", "manifest", reference)
        case ["buildx", "imagetools", *rest] if "BUILDX" in os.environ:
            return _call("BUILDX", "imagetools", *rest)
        case ["buildx", "imagetools", "inspect", reference, "--format", "{{.Manifest.Digest}}"]:
            return _call("CRANE", "digest", reference)
        case ["buildx", "imagetools", "create", *options, "--tag", target, source]:
            return _create(options, target, source)
        case ["build", *rest] | ["buildx", "build", *rest]:
            return _build(rest)
    sys.stderr.write(f"docker: {' '.join(arguments)} is not known here\n")
    return 125


def _create(options: Sequence[str], target: str, source: str) -> int:
    """Return an image a further tag, or wrap one that is no index in an index of its own.

    Docker documentation, "docker buildx imagetools create": "If one source is specified and that source
    is not a list or index, the output will be a manifest list", unless `--prefer-index=false`. That this
    is what the real one does is tried in test_clients.py, where it is at hand.
    """
    done = subprocess.run(
        [os.environ["CRANE"], "manifest", source], capture_output=True, check=False
    )
    if done.returncode:
        sys.stderr.buffer.write(done.stderr)
        return done.returncode
    if options not in ([], ["--prefer-index=false"]):
        sys.stderr.write(f"docker: {' '.join(options)} is not known here\n")
        return 125
    if options or "manifests" in json.loads(done.stdout):
        return _call("CRANE", "tag", source, target.rpartition(":")[2])
    return _call("CRANE", "index", "append", "-m", source, "-t", target)


def _build(arguments: Sequence[str]) -> int:
    """Make an image of the Dockerfile's text, and push it.

    Docker documentation, "Build attestations" and "containerd image store with Docker Engine": the
    classic image store of Docker 28 keeps no attestations and no indexes; with containerd's, which is
    Docker 29's, provenance is attached unless it is turned off.
    """
    parser = argparse.ArgumentParser(prog="docker build")
    parser.add_argument("--provenance", choices=["true", "false"])
    parser.add_argument("--platform", default="linux/amd64")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--push", action="store_true", required=True)
    parser.add_argument("context", type=Path)
    options = parser.parse_args(arguments)
    content = (options.file or options.context / "Dockerfile").read_text()
    platforms = options.platform.split(",")
    containerd = int(os.environ["DOCKER_MAJOR"]) > 28
    if not containerd and (len(platforms) > 1 or options.provenance == "true"):
        sys.stderr.write("ERROR: not supported for the docker driver without containerd's\n")
        return 1
    provenance = containerd and options.provenance != "false"
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder, "image"))
        if provenance or len(platforms) > 1:
            layout.index(content, *platforms, provenance=provenance)
        else:
            media_type = OCI_MANIFEST if containerd else DOCKER_MANIFEST
            layout.plain(content, platform=platforms[0], media_type=media_type)
        return _call("CRANE", "push", str(layout.folder), options.tag)


def _call(tool: str, *arguments: str) -> int:
    return subprocess.run([os.environ[tool], *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
