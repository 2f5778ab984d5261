"""Write whatever must exist before the first deployment: CloudFormation templates, and scripts for GitHub.

Owns how it is asked for and written. Reads the stack's file, and what an earlier run has left in the
folder, to say what differs. Asks neither AWS nor GitHub and changes nothing there, but with --apply: then
AWS CloudFormation makes what the templates say, by the credentials of the environment.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from pathlib import Path

from ecr.aws.session import Aws
from ecr.bootstrap.apply import Wanted, make_by_templates
from ecr.bootstrap.github import app_key_script, app_page, github_script
from ecr.bootstrap.roles import planned_accounts, writes_variables
from ecr.bootstrap.templates import LONGEST, accounts_template, artifacts_template
from ecr.cli.options import refuse_unused_options
from ecr.cli.pipeline_options import add_pipeline_options, pipeline_of
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.errors import EstateError, UsageError
from ecr.github.http import api_address
from ecr.plan.architectures import artifacts_registry

_REVIEWER = re.compile(r"(team|user):[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,98}[A-Za-z0-9_])?")


_MOST_REVIEWERS = 6
"""Reviewers of an environment (GitHub Docs, "Managing environments for deployment")."""

_TEMPLATE, _ACCOUNTS = "artifacts.template.json", "accounts.template.json"
_ALL = (_TEMPLATE, _ACCOUNTS, "github.sh", "app.html", "app-key.sh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_pipeline_options(parser)
    parser.add_argument(
        "--reviewer",
        action="append",
        metavar="KIND:NAME",
        required=True,
        help="who approves what a guard holds, as team:SLUG or user:LOGIN; may be given six times",
    )
    parser.add_argument(
        "--provider-exists",
        action="store_true",
        help="the artifacts account has GitHub's identity provider already; none is made",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="write files there, instead of printing them"
    )
    parser.add_argument(
        "--apply",
        action="store_true",
        help="have CloudFormation make what the templates say, with the credentials of an administrator of "
        "the artifacts account; what differs is changed, and a run that was broken off goes on",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object of all files' texts by their names",
    )


def run(options: argparse.Namespace) -> int:
    """Print the documents, or write them and say what differs from those that are there."""
    refuse_unused_options(
        (options.json and options.output, "--json: --output writes files; give one of the two"),
        (
            options.json and options.apply,
            "--json: --apply prints what is done; give one of the two",
        ),
    )
    files, wanted = _files(options)
    if options.json:
        sys.stdout.write(_json(files))
        return 0
    if options.output is not None:
        _write(files, options.output)
    elif not options.apply:
        for name, text in files.items():
            sys.stdout.write(f"# {name}\n{text}\n")
    if options.apply:
        for line in make_by_templates(Aws(), wanted):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    return 0


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write the files, and say of each what becomes of it."""
    held = {name: _held(folder / name) for name in files}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        sys.stdout.writelines(_difference(name, held[name], text))
        if held[name] != text:
            (folder / name).write_text(text, encoding="utf-8")
        if name.endswith(".sh"):
            (folder / name).chmod(0o755)
    for name in sorted({*_ALL} - files.keys()):
        if (folder / name).exists():
            sys.stdout.write(f"{name}: is left from before, and is for nothing any more\n")


def _files(options: argparse.Namespace) -> tuple[dict[str, str], Wanted]:
    """Return the text of each file by its name, in the order in which they are used, and what is to stand."""
    settings = checked(read_stack_file(options.settings))
    pipeline = pipeline_of(options, settings)
    _check_reviewers(options.reviewer)
    first, *others = planned_accounts(settings, pipeline)
    registry = artifacts_registry(settings)
    two_apps = writes_variables(settings)
    artifacts = artifacts_template(
        first,
        registry,
        pipeline,
        provider=not options.provider_exists,
        two_apps=two_apps,
        api=api_address(settings.github.base_url or os.environ.get("GITHUB_BASE_URL")).rstrip("/"),
    )
    files = {_TEMPLATE: _json(artifacts)}
    others_template = accounts_template(others) if others else None
    if others_template:
        files[_ACCOUNTS] = _json(others_template)
    too_long = [name for name, text in files.items() if len(text.encode()) > LONGEST]
    if too_long:
        raise EstateError(
            "CloudFormation takes no template that long; nothing was written.",
            [f"{name}: is over {LONGEST:,} bytes; configure fewer accounts" for name in too_long],
        )
    files["app.html"] = app_page(settings, pipeline, two_apps=two_apps)
    files["app-key.sh"] = app_key_script(registry)
    files["github.sh"] = github_script(registry, pipeline, options.reviewer, two_apps=two_apps)
    wanted = Wanted(
        registry,
        artifacts,
        settings.aws_organisation,
        tuple(each.account for each in others),
        others_template,
    )
    return files, wanted


def _check_reviewers(reviewers: list[str]) -> None:
    offences = [
        f"--reviewer: {each} is nobody; write team:SLUG or user:LOGIN"
        for each in reviewers
        if not _REVIEWER.fullmatch(each)
    ]
    if len(reviewers) > _MOST_REVIEWERS:
        offences.append(f"--reviewer: {len(reviewers)} are given; GitHub takes {_MOST_REVIEWERS}")
    if offences:
        raise UsageError("The options are wrong; nothing was made.", offences)


def _json(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=1) + "\n"


def _held(file: Path) -> str | None:
    return read_text(file) if file.exists() else None


def _difference(name: str, before: str | None, after: str) -> Iterator[str]:
    """Yield lines that say what becomes of a file."""
    if before is None:
        yield f"{name}: written\n"
    elif before == after:
        yield f"{name}: as it was\n"
    else:
        yield f"{name}: differs, and is written anew\n"
        yield from unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), "before", "now"
        )
