"""Find the repositories with several Dockerfiles, and say which images the settings declare of them.

Owns the report. Lists the organisation as a deployment does, with GITHUB_TOKEN, and reads the file
names of each selected repository's default branch, a request each. It guesses no image from a
Dockerfile, for only a team knows which of them it builds; it changes nothing.
"""

import argparse
import asyncio
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.cli.exit_codes import FOUND
from ecr.cli.table import printable, table
from ecr.engine.stack_file import checked, read_stack_file
from ecr.errors import EstateError
from ecr.github.http import environment_fetch, is_limit
from ecr.github.listing import list_organisation
from ecr.plan.images import image_names
from ecr.plan.naming import chosen_name

if TYPE_CHECKING:
    from ecr.github.model import Inventory, Repository
    from ecr.github.transport import Fetch, Reply
    from ecr.settings.models import Settings

REPOSITORIES_AT_ONCE = 8
"""Repositories that are read side by side."""

DOCKERFILE = re.compile(
    r"(?:Dockerfile|Containerfile)(?:\.(?!dockerignore\Z)[\w.-]+)?|[\w.-]+\.Dockerfile",
    re.IGNORECASE,
)
"""File names that Docker's and Podman's documentation use for a Dockerfile."""


@dataclass(frozen=True, slots=True)
class Found:
    """The Dockerfiles of one repository, by path; ``unread`` says why there may be more of them.

    ``unanswered`` are those of which GitHub did not answer, and may do so later.
    """

    repository: str
    files: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    unread: str = ""
    unanswered: bool = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        required=True,
        help="the stack's file: its organisation, selection rules and images.named",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Print the repositories with several Dockerfiles; exit code 3 if one declares no image."""
    settings = checked(read_stack_file(options.settings))
    with environment_fetch(settings.github.base_url) as fetch:
        read = asyncio.run(_read(settings, fetch))
    several = [each for each in read if len(each.files) > 1]
    unread = [each for each in read if each.unread]
    if options.json:
        json.dump(_as_json(len(read), several, unread), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        _print(len(read), several, unread)
    if missing := [each for each in unread if each.unanswered]:
        raise EstateError(
            "GitHub did not answer for all, and the repositories were not all read.",
            [
                (
                    f"{missing[0].repository}: {missing[0].unread}; so it is of {len(missing)}; run this "
                    "again when the limit has passed"
                )
            ],
        )
    return FOUND if any(not each.declared for each in several) else 0


async def _read(settings: "Settings", fetch: "Fetch") -> list[Found]:
    inventory: Inventory = await list_organisation(fetch, settings.github)
    selected = [each for each in inventory.repositories if each.id not in inventory.deselected]
    gate, done = asyncio.Semaphore(REPOSITORIES_AT_ONCE), 0

    async def look(repository: "Repository") -> Found:
        nonlocal done
        async with gate:
            try:
                found = await _dockerfiles(fetch, repository, settings)
            except EstateError as error:
                # What was read of the others is kept.
                found = Found(repository.name, unread=error.offences[0], unanswered=True)
        done += 1
        if done % 100 == 0 or done == len(selected):
            sys.stderr.write(f"{done} of {len(selected)} repositories read\n")
        return found

    return await asyncio.gather(*map(look, selected))


async def _dockerfiles(fetch: "Fetch", repository: "Repository", settings: "Settings") -> Found:
    """Read one repository's file names (REST API, "Get a tree"). Raises EstateError where GitHub does not answer."""
    name = repository.name
    service = chosen_name(name, settings.chosen_names) or name.lower()
    _, *declared = image_names(service, repository, settings.images.named)
    reply = await fetch(f"repos/{settings.github.organisation}/{name}/git/trees/HEAD?recursive=1")
    if reply.status == 409:  # noqa: PLR2004 - what GitHub answers of an empty repository
        return Found(name, declared=tuple(declared))
    if is_limit(reply.status, reply.headers, reply.body):
        return Found(name, unread=f"{_message(reply)}: GitHub limits the rate", unanswered=True)
    try:
        tree = json.loads(reply.body)
        paths = [str(each["path"]) for each in tree["tree"] if each["type"] == "blob"]
    except (ValueError, KeyError, TypeError):
        return Found(name, unread=f"{reply.status} {_message(reply)}".rstrip())
    return Found(
        name,
        tuple(path for path in sorted(paths) if DOCKERFILE.fullmatch(path.rpartition("/")[2])),
        tuple(declared),
        "it has more files than GitHub lists at once" if tree.get("truncated") else "",
    )


def _message(reply: "Reply") -> str:
    try:
        return str(json.loads(reply.body)["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _as_json(count: int, several: list[Found], unread: list[Found]) -> dict[str, Any]:
    return {
        "read": count - len(unread),
        "severalDockerfiles": [
            {
                "repository": each.repository,
                "dockerfiles": list(each.files),
                "declaredImages": list(each.declared),
            }
            for each in several
        ],
        "unread": {each.repository: each.unread for each in unread},
    }


def _print(count: int, several: list[Found], unread: list[Found]) -> None:
    sys.stdout.write(
        table(
            ("repository", "Dockerfiles", "declared images"),
            [
                (each.repository, ", ".join(each.files), ", ".join(each.declared) or "none")
                for each in several
            ],
        )
    )
    sys.stdout.write(f"{len(several)} of {count} repositories have several Dockerfiles\n")
    for each in unread:
        sys.stdout.write(f"not read: {each.repository}: {printable(each.unread)}\n")
    if any(not each.declared for each in several):
        sys.stdout.write(
            "Split such a repository, or declare its further images under images.named.\n"
        )
