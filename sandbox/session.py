"""A session: the embedded AWS and GitHub, a state folder and the engine, brought up together.

Owns the environment in which `pulumi` meets nothing but loopback, and its clearing away. Reads the
project's own program and stack file as they are. A session starts empty and leaves nothing running.
"""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from sandbox import processes
from sandbox.aws import EmbeddedAws
from sandbox.deployers import AWS_ORGANISATION, Roles
from sandbox.github import EmbeddedGitHub, Organisation, seeded_organisation
from sandbox.second.double import SecondAws
from sandbox.toolchain import Toolchain

PROJECT = Path(__file__).resolve().parent.parent
STACK = "sandbox"
STACK_FILE = PROJECT / f"Pulumi.{STACK}.yaml"
ORGANISATION = "sandbox-org"
SESSION_FILE = "session.json"

_MISLEADING = ("AWS_", "GITHUB_", "GH_", "PULUMI_")
"""Variables by these prefixes could lead a deployment away from loopback; none is inherited."""


class SessionError(Exception):
    """A session cannot be brought up; the text says why, and what to do."""


def running(directory: Path) -> dict[str, Any] | None:
    """Return what the live session of a folder wrote there, its variables among it; None without one."""
    try:
        session: dict[str, Any] = json.loads((directory / SESSION_FILE).read_text())
        alive = processes.birth(session["process"]) == session["started"]
    except (OSError, ValueError, KeyError):
        return None
    return session if alive else None


def require_none_running(directory: Path) -> None:
    """Raise SessionError where a folder's session is alive, before anything is built or emptied."""
    if held := running(directory):
        raise SessionError(
            f"a sandbox is up in {directory}, process {held['process']}; end it first, "
            "by `make sandbox-stop` or where it was started"
        )


def environment_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a process in a session: what it needs, and nothing misleading."""
    own = {key: value for key, value in os.environ.items() if not key.startswith(_MISLEADING)}
    return {**own, **variables}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the engine said: its exit code and its whole output."""

    code: int
    output: str


class Session:
    """Context manager: everything that a deployment of the stack ``sandbox`` needs.

    ``directory`` is emptied first, and then holds the engine's state. ``settings`` are laid over
    those of ``stack_file``, key by key without the namespace; None takes a key away.
    ``own_variables`` may be filled to change what the next runs find in their environment. Where there
    is an ``other`` AWS, which its maker ends, that is used, and the embedded one stays down.
    """

    def __init__(
        self,
        directory: Path,
        toolchain: Toolchain,
        *,
        organisation: Organisation | None = None,
        settings: Mapping[str, Any] | None = None,
        stack_file: Path = STACK_FILE,
        other: SecondAws | None = None,
    ) -> None:
        self.directory = directory
        self.toolchain = toolchain
        self.mark = uuid.uuid4().hex
        self.aws = EmbeddedAws(strict=True, organisation=AWS_ORGANISATION)
        # One without repositories is an organisation too, and false.
        self.github = EmbeddedGitHub(
            seeded_organisation(ORGANISATION) if organisation is None else organisation
        )
        self.stack_file = stack_file
        self.config_file = stack_file
        self.own_variables: dict[str, str] = {}
        self._other = other
        self.roles = Roles(other or self.aws)
        self._settings = settings
        self._running = ExitStack()

    def __enter__(self) -> Self:
        require_none_running(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "state").mkdir(parents=True)
        with ExitStack() as starting:
            if not self._other:
                starting.enter_context(self.aws)
            starting.enter_context(self.github)
            starting.callback(processes.end, self.mark)
            # The engine writes into a stack's file; into a copy, where the file is somebody's own.
            if self._settings is not None or self.stack_file != STACK_FILE:
                self.configure(self._settings or {})
            else:
                self.roles.grant(STACK, self.config_file)
            self._credentials = self.roles.session_of("pipeline")
            created = self.pulumi("stack", "init", STACK)
            if created.code:
                raise SessionError(f"the engine could not create the stack:\n{created.output}")
            process = os.getpid()
            session = {
                "process": process,
                "started": processes.birth(process),
                "variables": self.variables,
            }
            (self.directory / SESSION_FILE).write_text(json.dumps(session))
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        (self.directory / SESSION_FILE).unlink(missing_ok=True)
        self._running.close()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Lay settings over those of the stack file, from the next run on."""
        stack = yaml.safe_load(self.stack_file.read_text())
        for key, value in settings.items():
            stack["config"][f"ecr-estate:{key}"] = value
        stack["config"] = {
            key: value for key, value in stack["config"].items() if value is not None
        }
        self.config_file = self.directory / f"Pulumi.{STACK}.yaml"
        self.config_file.write_text(yaml.safe_dump(stack))
        self.roles.grant(STACK, self.config_file)

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs, beyond its own environment, to work in this session."""
        return {
            **self.toolchain.environment,
            processes.MARK: self.mark,
            "SANDBOX_DIRECTORY": str(self.directory),
            "PULUMI_BACKEND_URL": (self.directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "sandbox",
            "PULUMI_STACK": STACK,
            "GITHUB_TOKEN": self.github.token,
            "GITHUB_BASE_URL": self.github.url,
            "AWS_ENDPOINT_URL": (self._other or self.aws).url,
            **self._credentials,
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.own_variables,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process in this session."""
        return environment_of(self.variables)

    def pulumi(self, *arguments: str, show: bool = False) -> Run:
        """Run the engine's command line on the project; its output is shown, or returned."""
        command = [str(self.toolchain.pulumi), "--non-interactive", *arguments]
        if self.config_file != STACK_FILE and arguments[0] in {"up", "preview"}:
            command += ["--config-file", str(self.config_file)]
        done = processes.run(
            command, environment=self.environment, directory=PROJECT, capture=not show
        )
        return Run(done.returncode, done.stdout)

    def up(self, *arguments: str, show: bool = False) -> Run:
        """Deploy."""
        return self.pulumi("up", "--yes", *arguments, show=show)

    def preview(self, *arguments: str, show: bool = False) -> Run:
        """Preview."""
        return self.pulumi("preview", *arguments, show=show)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs as the last deployment left them."""
        shown: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").output)
        return shown
