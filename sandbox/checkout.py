"""A checkout of the project, as a pipeline's job has it: with stack files of its own, in a session.

Owns a folder that looks like the project and shares its code. The pipeline's scripts run there, and so
does the engine where an estate is several stacks. Never writes to the project itself.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox import processes
from sandbox.deployers import Job
from sandbox.session import PROJECT, STACK, Run, Session


class Checkout:
    """The folder, and what is run in it. ``out`` is where scripts put their files."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session, self.folder, self.out = session, folder, folder / "out"
        self.out.mkdir(parents=True)
        for name in ("ecr", "__main__.py", "Pulumi.yaml", ".venv"):
            (folder / name).symlink_to(PROJECT / name)
        shutil.copytree(PROJECT / ".ci", folder / ".ci")
        self.configure()

    def configure(self, stack: str = STACK, **settings: Any) -> None:  # noqa: ANN401 - a setting is whatever it is
        """Write a stack's file as the session has it, with more settings laid over."""
        file = yaml.safe_load(self.session.config_file.read_text())
        file["config"] |= {f"ecr-estate:{key}": value for key, value in settings.items()}
        written = self.folder / f"Pulumi.{stack}.yaml"
        written.write_text(yaml.safe_dump(file))
        self.session.roles.grant(stack, written)

    def environment(self, **more: str) -> Mapping[str, str]:
        """Return the environment of a job, with the engine on its PATH."""
        environment = self.session.environment
        path = f"{self.session.toolchain.pulumi.parent}:{environment['PATH']}"
        return {**environment, "PATH": path, **more}

    def run(self, *command: str, **more: str) -> Run:
        """Run a command in the folder."""
        done = processes.run(
            list(command), environment=self.environment(**more), directory=self.folder, capture=True
        )
        return Run(done.returncode, done.stdout)

    def pulumi(self, *arguments: str) -> Run:
        """Run the engine."""
        return self.run("pulumi", "--non-interactive", *arguments)

    def script(self, name: str, **more: str) -> Run:
        """Run one of the pipeline's scripts, as a step of a job does: with its role and no other."""
        (self.out / "outputs").unlink(missing_ok=True)
        step = {
            "STACK": STACK,
            "OUT": str(self.out),
            "GITHUB_OUTPUT": str(self.out / "outputs"),
            "GITHUB_STEP_SUMMARY": str(self.out / "summary"),
        }
        role = self.session.roles.session_of(self._job(name))
        return self.run(str(self.folder / ".ci" / name), **step, **role, **more)

    def _job(self, name: str) -> Job:
        """Say whose role a script has; without `previewRole` who previews needs those that write."""
        if name == "deploy":
            return "deployments"
        file = yaml.safe_load((self.folder / f"Pulumi.{STACK}.yaml").read_text())
        return "previews" if "ecr-estate:previewRole" in file["config"] else "pipeline"

    def output(self, name: str) -> str:
        """Return an output of the last script."""
        lines = (self.out / "outputs").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[name]

    def plan(self) -> dict[str, Any]:
        """Return the plan that the script wrote."""
        read: dict[str, Any] = json.loads((self.out / "plan.json").read_text())
        return read

    @property
    def comment(self) -> str:
        """The comment that the script wrote."""
        return (self.out / "comment.md").read_text()
