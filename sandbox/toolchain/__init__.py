"""The toolchain: Pulumi's command line, its Python language host, the GitHub and AWS providers.

Gives one that works on this machine: the user's own when `pulumi` is on PATH and its official
plugins can be had, otherwise one built from Go modules and kept in the user's cache. Reads PATH and
the cache; writes the cache. Never changes the user's pulumi, its login or its stacks, and never
talks to AWS or GitHub.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain import build, discover
from sandbox.toolchain.commands import Report, ToolchainError

__all__ = ["Toolchain", "ToolchainError", "ensure_toolchain"]


@dataclass(frozen=True)
class Toolchain:
    """How to run pulumi."""

    pulumi: Path
    environment: Mapping[str, str]  # to be set for it, on top of the caller's own
    origin: str


def ensure_toolchain(report: Report) -> Toolchain:
    """Find the toolchain, or build it, which takes some ten minutes the first time.

    `report` is given lines for the user. Raises ToolchainError, with the remedy, when there can be
    none.
    """
    target = build.built()
    pulumi = discover.pulumi_on_path(report)
    missing = discover.missing_plugins(pulumi) if pulumi else []
    # A toolchain that stands is not made to wait for downloads that failed before.
    if pulumi and (
        not missing
        or (
            not target.is_complete()
            and discover.install_plugins(pulumi, missing, target.log, report)
        )
    ):
        return Toolchain(pulumi, discover.ENVIRONMENT, "found on PATH")
    if not target.is_complete():
        build.build(target, report)
    environment = discover.ENVIRONMENT | {
        "PATH": os.pathsep.join([str(target.pulumi.parent), os.environ["PATH"]]),
        "PULUMI_HOME": str(target.home),
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",  # PATH may hold another Pulumi's language host
        build.PYTHON: sys.executable,
        build.LANGUAGE_HOST: str(Path(__file__).with_name("language_host.py")),
    }
    return Toolchain(target.pulumi, environment, "built from Go modules")
