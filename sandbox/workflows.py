"""The workflows, checked: actionlint for what they mean, zizmor for what they risk, shellcheck for shell.

Owns how the three are run, by `make check`, with nothing else installed. Reads .github and .ci; asks
no network. Never changes a file.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox.toolchain import ToolchainError
from sandbox.toolchain.tools import ACTIONLINT, ensure_tool

_NEWER_THAN_ACTIONLINT = r'property "workflow_(repository|sha)" is not defined in object type'
"""What the `job` context has had since actionlint's last release (GitHub Docs, "Contexts reference")."""

ROOT = Path(__file__).resolve().parent.parent


def checks(root: Path = ROOT) -> Iterator[list[str]]:
    """Return the command lines, each for all the files that it is for."""
    binaries = Path(sys.executable).parent
    workflows = sorted(map(str, (root / ".github/workflows").glob("*.yml")))
    scripts = sorted(str(file) for file in (root / ".ci").iterdir() if _is_shell(file))
    shellcheck = str(binaries / "shellcheck")
    actionlint = str(ensure_tool(ACTIONLINT, print))
    yield [
        *(actionlint, "-no-color", "-shellcheck", shellcheck, "-pyflakes", ""),
        *("-ignore", _NEWER_THAN_ACTIONLINT),
        *workflows,
    ]
    yield [
        str(binaries / "zizmor"),
        *("--offline", "--quiet", "--no-progress", "--persona=pedantic", "--color=never"),
        *("--config", str(root / ".github/zizmor.yml")),
        str(root / ".github"),
    ]
    yield [shellcheck, "--external-sources", *scripts]


def _is_shell(file: Path) -> bool:
    return file.is_file() and file.read_bytes().startswith(b"#!/usr/bin/env bash")


def main(arguments: Sequence[str] = ()) -> int:
    """Run all of them; 1 when any finds something."""
    root = Path(arguments[0]) if arguments else ROOT
    try:
        failed = [
            command
            for command in checks(root)
            if subprocess.run(command, env=os.environ, cwd=root, check=False).returncode
        ]
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
