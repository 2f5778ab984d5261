"""Make an organisation's own repository: its settings, the version of the program, and thin workflows.

Owns what is asked for and what is written. The files are those of ecr/template, which `pulumi new` takes
too. Checks the settings as a deployment does before anything is written, and never writes into a folder that
has something in it. Asks neither AWS nor GitHub.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ecr import __version__
from ecr.bootstrap.roles import PUSH_BOUNDARY
from ecr.engine.stack_file import checked
from ecr.errors import EstateError, UsageError
from ecr.registry.registry import Registry
from ecr.settings.load import PROJECT

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
"""The files of a new repository; they name EXAMPLE as the program's repository."""

EXAMPLE = "acme/ecr-estate"

ROLE, READER = "ecr-estate-deploy", "ecr-estate-read"
"""The roles that bootstrap is to make in each account."""

_QUESTIONS = {
    "organisation": "the GitHub organisation that is followed, by its login",
    "account": "the account that holds the images, its 12 digits",
    "region": "the Region of the registry, such as eu-west-1",
    "aws_organisation": "the AWS organisation whose principals may pull, such as o-a1b2c3d4e5",
    "program": "the repository whose released workflows are called, as OWNER/NAME",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options: an answer each, for what would else be asked for."""
    parser.add_argument("name", metavar="NAME", help="the stack's name")
    for key, what in _QUESTIONS.items():
        parser.add_argument(f"--{key.replace('_', '-')}", metavar="TEXT", help=what)
    parser.add_argument(
        "--lambda-account",
        action="append",
        default=[],
        metavar="ACCOUNT/REGION",
        help="an account that runs Lambda functions from images, and a Region in which it does; may be "
        "given several times",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="where it is made; a folder called NAME without it",
    )
    parser.add_argument("--json", action="store_true", help="print the files' paths as JSON")


def run(options: argparse.Namespace) -> int:
    """Ask for what is missing, check it, and write the folder."""
    folder: Path = options.folder or Path(options.name)
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", options.name) or not options.name.strip("."):
        raise UsageError(
            "There is no such name for a stack.",
            [f"{options.name}: use letters, digits, `-`, `_` and `.`"],
        )
    _refuse_what_is_there(folder)
    answers = _answers(options)
    values = settings_of(answers, options.lambda_account)
    checked(values)
    if not re.fullmatch(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", answers["program"]):
        raise EstateError(
            "The answers are wrong; nothing was written.",
            [f"program: {answers['program']} is no repository; write OWNER/NAME"],
        )
    _write(folder, options.name, values, answers["program"])
    if options.json:
        files = sorted(str(each) for each in folder.rglob("*") if each.is_file())
        sys.stdout.write(json.dumps({"version": __version__, "files": files}, indent=2) + "\n")
    else:
        made = f"{folder}: made, for ecr-estate {__version__}; its README.md says how to go on"
        sys.stdout.write(f"{made}\n")
    return 0


def _refuse_what_is_there(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EstateError(
            "There is something already; nothing was written.",
            [f"{folder}: is not an empty folder; name another by --folder"],
        )


def _answers(options: argparse.Namespace) -> dict[str, str]:
    """Return every answer; at a terminal those that are missing are asked for."""
    given = {key: getattr(options, key) for key in _QUESTIONS}
    missing = [key for key, value in given.items() if not value]
    if missing and not sys.stdin.isatty():
        raise UsageError(
            "Answers are missing, and there is no terminal to ask at.",
            [f"--{key.replace('_', '-')}: {_QUESTIONS[key]}" for key in missing],
        )
    for key in missing:
        sys.stderr.write(f"{_QUESTIONS[key]}: ")
        sys.stderr.flush()
        given[key] = sys.stdin.readline().strip()
    return given


def settings_of(answers: Mapping[str, str], lambda_accounts: list[str]) -> dict[str, Any]:
    """Return the settings that the answers are, unchecked. Raises EstateError for no ACCOUNT/REGION."""
    account, region = answers["account"], answers["region"]
    ours = Registry(account, region)
    values: dict[str, Any] = {
        "github": {"organisation": answers["organisation"]},
        "artifacts": {"account": account, "region": region, "role": _role(ours)},
        "awsOrganisation": answers["aws_organisation"],
        "previewRole": READER,
        "registries": {"templates": True},
        "pushRoles": {
            "permissionsBoundary": f"arn:{ours.partition}:iam::{account}:policy/{PUSH_BOUNDARY}"
        },
    }
    regions: dict[str, list[str]] = {}
    roles: dict[str, str] = {}
    for each in dict.fromkeys(lambda_accounts):
        registry = Registry.parse(each)
        regions.setdefault(registry.account, []).append(registry.region)
        roles[registry.account] = _role(registry)
    if regions:
        values["lambdaReplicas"] = {
            "accounts": [
                {"account": each, "regions": listed, "role": roles[each]}
                for each, listed in regions.items()
            ],
            "services": {"property": "lambda"},
        }
    return values


def _role(registry: Registry) -> str:
    return registry.role(ROLE)


def _write(folder: Path, name: str, values: Mapping[str, Any], program: str) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TEMPLATE, folder, ignore=ignored, dirs_exist_ok=True)
    for file in (each for each in folder.rglob("*") if each.is_file()):
        text = file.read_text(encoding="utf-8")
        if EXAMPLE in text:
            file.write_text(text.replace(EXAMPLE, program), encoding="utf-8")
    project = folder / "Pulumi.yaml"
    text = project.read_text(encoding="utf-8")
    start, rest = text.split("template:\n", 1)
    project.write_text(start + rest[rest.index("config:\n  github:") :], encoding="utf-8")
    config = {"config": {f"{PROJECT}:{key}": value for key, value in values.items()}}
    stack = yaml.safe_dump(config, sort_keys=False)
    (folder / f"Pulumi.{name}.yaml").write_text(stack, encoding="utf-8")
