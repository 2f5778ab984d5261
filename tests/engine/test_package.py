"""The package, installed from its wheel: an empty folder deploys an estate, and a YAML program a component."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ecr.bootstrap.roles import planned_accounts
from ecr.engine.stack_file import checked, read_stack_file
from sandbox import processes
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION
from sandbox.session import ORGANISATION, PROJECT, STACK, Session
from sandbox.toolchain.commands import ToolchainError
from sandbox.toolchain.tools import LANGUAGE_YAML, ensure_tool
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, deploy, held
from tests.engine.test_examples import may_deploy
from tests.test_bootstrap import CLAIMS, DEPLOYMENT, client, pipeline

pytestmark = pytest.mark.engine

PROGRAM = '''"""The estate of this folder's stack."""

from ecr.program import run

run()
'''


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own with nothing but what the wheel holds; its dependencies are the tests' own."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index"]
    wheels = folder / "wheels"
    copy = folder / "source"
    copy.mkdir()
    shutil.copytree(PROJECT / "ecr", copy / "ecr", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, copy)
    wheel = [*pip, "wheel", *options, "--no-build-isolation", "-w", str(wheels), str(copy)]
    subprocess.run(wheel, check=True)
    (built,) = wheels.glob("*.whl")
    subprocess.run(
        [*pip, "install", *options, "--target", str(folder / "site"), str(built)], check=True
    )
    return folder / "site"


def in_folder(session: Session, folder: Path, installed: Path, *arguments: str) -> str:
    done = processes.run(
        [str(session.toolchain.pulumi), "--non-interactive", *arguments],
        environment={**session.environment, "PYTHONPATH": str(installed)},
        directory=folder,
        capture=True,
    )
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def test_the_wheel_holds_the_program_and_nothing_else(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {
        "ecr",
        "bin",
    }
    assert (installed / "ecr/py.typed").is_file()


def test_the_installed_command_says_its_version(installed: Path) -> None:
    done = subprocess.run(
        [sys.executable, installed / "bin/ecr-estate", "--version"],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    assert done.stdout.startswith("ecr-estate 0.")


def test_three_lines_in_an_empty_folder_deploy_an_estate(
    open_session: Open, installed: Path
) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    folder = session.directory / "empty"
    folder.mkdir()
    (folder / "__main__.py").write_text(PROGRAM)
    project = {"name": "ecr-estate", "runtime": {"name": "python"}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    shutil.copy(session.config_file, folder / f"Pulumi.{STACK}.yaml")
    in_folder(session, folder, installed, "up", "--yes", "--skip-preview", "--stack", STACK)
    assert set(held(session).repositories) == {"api", "web"}


def test_two_commands_make_a_repository_and_roles_that_deploy_an_estate(
    open_session: Open, installed: Path
) -> None:
    session = open_session("api", "web")
    folder = session.directory / "own"
    answers = {
        "organisation": ORGANISATION,
        "account": ARTIFACTS[0],
        "region": ARTIFACTS[1],
        "aws-organisation": AWS_ORGANISATION,
        "program": "acme/ecr-estate",
        "lambda-account": "/".join(LAMBDA),
        "folder": str(folder),
    }
    options = [word for key, value in answers.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "ecr", "new", STACK, *options]
    subprocess.run(command, check=True, cwd="/", env={"PYTHONPATH": str(installed)})
    (folder / ".venv").symlink_to(sys.prefix)
    chosen = checked(read_stack_file(folder / f"Pulumi.{STACK}.yaml"))
    for account in planned_accounts(chosen, pipeline()):
        iam = client(session.aws, "iam", credentials_of(account.account))
        iam.create_policy(
            PolicyName=account.boundary.name, PolicyDocument=json.dumps(account.boundary.document)
        )
        for role in account.roles:
            policies = {name: json.dumps(each) for name, each in role.policies.items()}
            session.aws.put_role(role.arn, json.dumps(role.trust), policies)
            iam.put_role_permissions_boundary(
                RoleName=role.name, PermissionsBoundary=account.boundary.arn
            )
    keys = session.aws.session_of(DEPLOYMENT, CLAIMS, region=ARTIFACTS[1])
    session.own_variables.update({key.upper(): value for key, value in keys.items()})
    up = ("up", "--yes", "--skip-preview", "--stack", STACK)
    in_folder(session, folder, installed, *up)
    assert set(held(session).repositories) == {"api", "web"}
    in_folder(session, folder, installed, *up, "--refresh", "--run-program")


@pytest.fixture(scope="session")
def language_yaml() -> Path:
    try:
        return ensure_tool(LANGUAGE_YAML, print)
    except ToolchainError as error:
        pytest.skip(f"Pulumi's YAML language host cannot be built: {error}")


def test_a_yaml_program_uses_the_component(
    open_session: Open, installed: Path, language_yaml: Path
) -> None:
    github = {"organisation": ORGANISATION, "selection": {"exclude": ["checkout"]}}
    session = open_session("api", github=github, lambdaReplicas=None)
    deploy(session)
    may_deploy(session)
    folder = session.directory / "yaml"
    plugin = folder / "plugin"
    plugin.mkdir(parents=True)
    executable = plugin / "pulumi-resource-ecr-estate"
    executable.write_text(
        f'#!/bin/sh\nexport PYTHONPATH="{installed}"\n'
        f'exec "{sys.executable}" -m ecr.deploy.provider "$@"\n'
    )
    executable.chmod(executable.stat().st_mode | stat.S_IXUSR)
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(yaml_program(plugin)))
    # The engine that is built here looks for plugins beside itself only, unless it is told otherwise.
    session.own_variables["PULUMI_IGNORE_AMBIENT_PLUGINS"] = "false"
    session.own_variables["PATH"] = os.pathsep.join(
        [str(language_yaml.parent), session.environment["PATH"]]
    )
    in_folder(session, folder, installed, "stack", "init", "yaml")
    up = ("up", "--yes", "--skip-preview", "--stack", "yaml")
    in_folder(session, folder, installed, *up)
    assert set(held(session).repositories) == {"api", "checkout"}
    in_folder(session, folder, installed, "preview", "--expect-no-changes", "--stack", "yaml")
    url = in_folder(session, folder, installed, "stack", "output", "url", "--stack", "yaml")
    assert url.strip().endswith("/checkout")


def yaml_program(plugin: Path) -> dict[str, object]:
    account, region = ARTIFACTS
    role = f"arn:aws:iam::{account}:role/service-deploy"
    return {
        "name": "checkout",
        "runtime": "yaml",
        "packages": {"ecr-estate": str(plugin)},
        "resources": {
            "central": {
                "type": "pulumi:pulumi:StackReference",
                "properties": {"name": f"organization/ecr-estate/{STACK}"},
            },
            "aws": {
                "type": "pulumi:providers:aws",
                "properties": {
                    "region": region,
                    "assumeRoles": [{"roleArn": role, "sessionName": "checkout"}],
                },
            },
            "image": {
                "type": "ecr-estate:index:ServiceImageRepository",
                "properties": {
                    "forServices": '${central.outputs["forServices"]}',
                    "organisation": ORGANISATION,
                    "repository": "Checkout",
                },
                "options": {"providers": ["${aws}"]},
            },
        },
        "outputs": {"url": "${image.url}"},
    }
