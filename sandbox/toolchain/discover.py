"""The toolchain a user has already: pulumi on PATH, with the official plugins.

Reads PATH and pulumi's own folder, and has pulumi install there a plugin that it lacks. Never
changes the pulumi it finds, and never waits long for a download: there is the build instead.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

from sandbox.toolchain.build import PLUGIN_VERSIONS, PULUMI_VERSION, built, version_in
from sandbox.toolchain.commands import Commands, Report, ToolchainError

ENVIRONMENT = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
}
_DOWNLOAD_LIMIT = 300  # seconds for one plugin; the AWS one has some 150 MB


def pulumi_on_path(report: Report) -> Path | None:
    """Return the user's pulumi, if it is as new as the Python SDK and has a Python language host."""
    found = shutil.which("pulumi")
    if found is None or Path(found).is_relative_to(built().folder.parent):
        return None  # one that was built here needs the environment that goes with it
    version = _ask(found, "version").strip()
    if version_in(version) < version_in(PULUMI_VERSION):
        report(f"{found} is {version}, older than the Python SDK's {PULUMI_VERSION}: not used.")
        return None
    beside = os.pathsep.join([os.environ["PATH"], str(Path(found).resolve().parent)])
    if shutil.which("pulumi-language-python", path=beside) is None:
        report(f"{found} has no pulumi-language-python on PATH or beside it: not used.")
        return None
    return Path(found)


def missing_plugins(pulumi: Path) -> list[str]:
    """Name the plugins that this pulumi lacks in the versions of the SDKs."""
    listed = json.loads(_ask(pulumi, "plugin", "ls", "--json") or "[]")
    installed = {(plugin["name"], plugin["version"]) for plugin in listed}
    return [name for name in PLUGIN_VERSIONS if (name, PLUGIN_VERSIONS[name]) not in installed]


def install_plugins(pulumi: Path, names: list[str], log: Path, report: Report) -> bool:
    """Download the official plugins; False, with the reason reported, when they cannot be had."""
    log.parent.mkdir(parents=True, exist_ok=True)
    run = Commands(log, report, limit=_DOWNLOAD_LIMIT)
    for name in names:
        report(f"Downloading the official {name} plugin (at most {_DOWNLOAD_LIMIT // 60} minutes)")
        command: list[str | Path] = [
            pulumi,
            "plugin",
            "install",
            "resource",
            name,
            PLUGIN_VERSIONS[name],
        ]
        try:
            run("downloading", command, cwd=log.parent, env=ENVIRONMENT)
        except ToolchainError as error:
            report(f"{error}\nIt cannot be had.")
            return False
    return True


def _ask(pulumi: str | Path, *arguments: str) -> str:
    return subprocess.run(
        [pulumi, *arguments],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
