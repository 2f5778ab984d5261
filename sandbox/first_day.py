"""The first day of an organisation, from an empty folder and empty accounts to the first image that is pushed.

Owns the commands in their order, as docs/guides/first-day.md has them, and what GitHub's runners do meanwhile.
Everything that is deployed is deployed by roles, keys and the bucket that bootstrap's templates have made:
nothing is put into the embedded AWS by hand but the operators' role, which an organisation has before.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import boto3

from ecr import __version__
from ecr.plan.access.push_roles import AUDIENCE, ISSUER
from sandbox import processes
from sandbox.aws import EmbeddedAws
from sandbox.aws.distribution import Distribution
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from sandbox.github import EmbeddedGitHub, Organisation
from sandbox.hand_tools import installed
from sandbox.images import Layout
from sandbox.session import PROJECT, environment_of
from sandbox.toolchain import Toolchain
from sandbox.toolchain.tools import CRANE, REGISTRY, ensure_tool

ACCOUNT, LAMBDA, REGION = "111122223333", "444455556666", "eu-west-1"
ORGANISATION, PROGRAM, STACK = "acme", "acme/ecr-estate", "acme"
OPERATORS = f"arn:aws:iam::{ACCOUNT}:role/operators"
MOST_COMMANDS, MOST_SECONDS = 8, 120
"""What a first day may take at most: commands of a person, and seconds from a repository to its image."""

COMMIT = "4f2c1a9d0c8b7e6f5a4b3c2d1e0f9a8b7c6d5e4f"


class FirstDayError(Exception):
    """A step did not do what it is for; the text has what it said."""


@dataclass
class FirstDay:
    """The commands that a person ran, what each took in seconds, and the time to the first image."""

    commands: list[tuple[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    digest: str = ""

    @property
    def good(self) -> bool:
        """Whether it took no more than it may."""
        return len(self.commands) <= MOST_COMMANDS and self.seconds <= MOST_SECONDS


def first_day(folder: Path, toolchain: Toolchain, say: Callable[[str], None]) -> FirstDay:
    """Live through the first day, and say each step. ``folder`` is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    crane, registry = ensure_tool(CRANE, say), ensure_tool(REGISTRY, say)
    organisation = Organisation(ORGANISATION)
    for name in ("images", "shop", "billing"):
        organisation.add(name)
    with ExitStack() as running:
        aws = running.enter_context(EmbeddedAws(strict=True, organisation=AWS_ORGANISATION))
        github = running.enter_context(EmbeddedGitHub(organisation))
        # Both were done by the management account, once; see the guide.
        aws.organisation.delegated.add(ACCOUNT)
        trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                 "Action": "sts:AssumeRole"}  # fmt: skip
        own = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        aws.put_role(OPERATORS, _document(trust), {"own": _document(own)})
        distribution = running.enter_context(
            Distribution(aws.url, registry, clock=aws.world.clock.now)
        )
        day = _Day(folder, toolchain, aws, github, say)
        day.set_up()
        day.push("checkout", crane, distribution)
        return day.told


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class _Day:
    def __init__(
        self,
        folder: Path,
        toolchain: Toolchain,
        aws: EmbeddedAws,
        github: EmbeddedGitHub,
        say: Callable[[str], None],
    ) -> None:
        self.folder, self.aws, self.github, self.say = folder, aws, github, say
        self.own = folder / "images"
        self.told = FirstDay()
        self._toolchain = toolchain
        self._tools = installed(folder / "bin")
        self._repository = github.organisation.get("images")
        scopes = ("repo", "admin:org", "admin:org_hook")
        self._owner = github.issue("classic", scopes=scopes, owner=True)
        self.deployments = 0

    # The commands of a person

    def set_up(self) -> None:
        """Run the commands of the guide, in their order."""
        administrator = self._keys(credentials_of(ACCOUNT))
        estate = [sys.executable, "-m", "ecr"]
        answers = {
            "organisation": ORGANISATION,
            "account": ACCOUNT,
            "region": REGION,
            "aws-organisation": AWS_ORGANISATION,
            "program": PROGRAM,
            "lambda-account": f"{LAMBDA}/{REGION}",
            "folder": "images",
        }
        self._command([*estate, "new", STACK, *_options(answers)], administrator, self.folder)
        (self.own / ".venv").symlink_to(sys.prefix)
        pipeline = {
            "settings": f"Pulumi.{STACK}.yaml",
            "repository": f"{ORGANISATION}/images",
            "repository-id": str(self._repository.id),
            "owner-id": str(self.github.organisation.id),
            "operators": OPERATORS,
            "program": PROGRAM,
        }
        more = {"reviewer": "team:platform", "output": "bootstrap"}
        bootstrap = [*estate, "bootstrap", *_options({**pipeline, **more}), "--apply"]
        self._command(bootstrap, administrator, self.own)
        self._apps(administrator)
        owner = {**administrator, "GH_TOKEN": self._owner.value}
        self._command(["bootstrap/github.sh"], owner, self.own)
        key = f"awskms://alias/ecr-estate-secrets?region={REGION}"
        init = ["pulumi", "--non-interactive", "stack", "init", STACK, "--secrets-provider", key]
        self._command(init, administrator, self.own)
        operators = self._assumed(OPERATORS)
        token = {"GITHUB_TOKEN": self._owner.value, "GITHUB_BASE_URL": self.github.url.rstrip("/")}
        doctor = [*estate, "doctor", *_options(pipeline), "--github"]
        self._command(doctor, {**operators, **token}, self.own)
        self.github.api.runs.start("push")
        self._command(["git", "push"], {}, self.own, act=self.run_waiting)

    def _apps(self, administrator: Mapping[str, str]) -> None:
        """Press the buttons of app.html, put the keys into AWS KMS, and install the apps."""
        apps = self.github.api.apps
        page = (self.own / "bootstrap/app.html").read_text(encoding="utf-8")
        for text in re.findall(r'name="manifest" value="([^"]*)"', page):
            manifest = json.loads(unescape(text))
            dispatches = manifest["name"].endswith("dispatch")
            code = apps.pressed(manifest)
            self.say(f"in a browser: the button of {manifest['name']}")
            words = ["bootstrap/app-key.sh", code, *(["ecr-estate-dispatch"] if dispatches else [])]
            keys = {**administrator, "GH_TOKEN": self._owner.value}
            self._command(words, keys, self.own)
            app = next(each for each in apps.held.values() if each.name == manifest["name"])
            chosen = frozenset({self._repository.id}) if dispatches else None
            apps.install(app.client_id, chosen)
            self.say(f"in a browser: {app.name} is installed")

    # What GitHub's runners do

    def run_waiting(self) -> str:
        """Do the runs of the workflow that wait, one after the other; return what the last said."""
        said = ""
        while run := self.github.api.runs.take():
            said = self.deploy()
            self.github.api.runs.end(run)
            self.deployments += 1
        return said

    def deploy(self) -> str:
        """Deploy as the workflow does: with a session of the pipeline's role and nothing else."""
        role = f"arn:aws:iam::{ACCOUNT}:role/ecr-estate-deployment"
        workflow = "deploy-stack.yml"
        claims = self._claims("images", self._repository.id, "environment:production")
        claims["job_workflow_ref"] = (
            f"{PROGRAM}/.github/workflows/{workflow}@refs/tags/v{__version__}"
        )
        keys = self._keys(self.aws.session_of(role, claims, region=REGION))
        keys["GITHUB_TOKEN"] = self._app_token(keys)
        up = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", STACK]
        return self._run([*up, "--suppress-outputs"], keys, self.own)

    def _app_token(self, keys: Mapping[str, str]) -> str:
        """Return a token of the app, for which AWS KMS signs, by the repository's variables."""
        listed = self._variables_of_repository()
        given = {
            "APP": listed["ECR_ESTATE_APP"],
            "INSTALLATION": listed["ECR_ESTATE_APP_INSTALLATION"],
            "KEY": listed["ECR_ESTATE_APP_KEY"],
            "GITHUB_API_URL": f"{self.github.url}api/v3",
        }
        script = str(PROJECT / ".ci/github-token")
        return self._run([script], {**keys, **given}, self.own).strip()

    def _variables_of_repository(self) -> dict[str, str]:
        path = f"repos/{ORGANISATION}/images/actions/variables?per_page=30"
        shown = [sys.executable, "-m", "sandbox.hand_tools.gh", "api", path]
        told = json.loads(self._run(shown, {"GH_TOKEN": self._owner.value}, self.own))
        return {each["name"]: each["value"] for each in told["variables"]}

    def push(self, name: str, crane: Path, distribution: Distribution) -> None:
        """Create a repository, and push an image by the role that was made for it."""
        began = time.monotonic()
        repository = self.github.organisation.add(name)
        self.say(f"repository {ORGANISATION}/{name} is created, and GitHub calls the webhook")
        self.run_waiting()
        outputs = self.outputs()
        role, address = outputs["pushRoles"][name], outputs["imageRepositories"][name][0]
        claims = self._claims(name, repository.id, "ref:refs/heads/main")
        session = self.aws.session_of(role, claims, region=REGION)
        keys = self._keys(session) | distribution.variables
        opened: Any = boto3  # its clients are typed by literal names only
        ecr = opened.client("ecr", endpoint_url=self.aws.url, region_name=REGION, **session)
        (data,) = ecr.get_authorization_token()["authorizationData"]
        docker = self.folder / "docker"
        docker.mkdir()
        host = address.partition("/")[0]
        auths = {"auths": {host: {"auth": data["authorizationToken"]}}}
        (docker / "config.json").write_text(json.dumps(auths))
        layout = Layout(self.folder / "layout")
        self.told.digest = layout.plain("the first image")
        push = [str(crane), "push", str(layout.folder), f"{address}:{COMMIT}"]
        self._run(push, {**keys, "DOCKER_CONFIG": str(docker)}, self.folder)
        self.told.seconds = time.monotonic() - began
        self.say(f"pushed {address}:{COMMIT[:12]} by {role}: {self.told.digest[:19]}")

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs, as an operator reads them."""
        administrator = self._keys(credentials_of(ACCOUNT))
        shown = ["pulumi", "--non-interactive", "stack", "output", "--json", "--stack", STACK]
        found: dict[str, Any] = json.loads(self._run(shown, administrator, self.own))
        return found

    # How

    def _command(
        self,
        words: list[str],
        keys: Mapping[str, str],
        directory: Path,
        *,
        act: Callable[[], str] | None = None,
    ) -> None:
        """Run a command of a person, and count it."""
        shown = shlex.join(words).replace(f"{sys.executable} -m ecr", "ecr-estate")
        self.say(f"$ {shown}")
        began = time.monotonic()
        said = act() if act else self._run(words, keys, directory)
        took = time.monotonic() - began
        for line in said.rstrip().splitlines()[-4:]:
            self.say(f"  {line}")
        self.told.commands.append((shown, took))

    def _run(self, words: list[str], keys: Mapping[str, str], directory: Path) -> str:
        environment = environment_of({**self._variables, **keys})
        first = [str(self._toolchain.pulumi.parent), str(self._tools)]
        path = os.pathsep.join([*first, environment["PATH"]])
        done = subprocess.run(
            words,
            env={**environment, "PATH": path},
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise FirstDayError(
                f"{shlex.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    @property
    def _variables(self) -> dict[str, str]:
        endpoint = self.aws.url
        query = f"region={REGION}&endpoint={endpoint}&s3ForcePathStyle=true"
        return {
            **self._toolchain.environment,
            processes.MARK: self.folder.name,
            "PYTHONPATH": str(PROJECT),
            "PULUMI_BACKEND_URL": f"s3://ecr-estate-{ACCOUNT}-{REGION}?{query}",
            "GITHUB_BASE_URL": self.github.url,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @staticmethod
    def _keys(credentials: Mapping[str, Any]) -> dict[str, str]:
        return {key.upper(): str(value) for key, value in credentials.items()}

    def _assumed(self, role: str) -> dict[str, str]:
        opened: Any = boto3  # its clients are typed by literal names only
        given = credentials_of(ACCOUNT)
        sts = opened.client("sts", endpoint_url=self.aws.url, region_name=REGION, **given)
        keys = sts.assume_role(RoleArn=role, RoleSessionName="person")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    @staticmethod
    def _claims(name: str, number: int, end: str) -> dict[str, str]:
        return {
            "iss": f"https://{ISSUER}",
            "aud": AUDIENCE,
            "sub": f"repo:{ORGANISATION}/{name}:{end}",
            "repository": f"{ORGANISATION}/{name}",
            "repository_id": str(number),
        }


def _options(values: Mapping[str, str]) -> list[str]:
    return [word for key, value in values.items() for word in (f"--{key}", value)]
