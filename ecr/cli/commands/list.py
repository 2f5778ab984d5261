"""Write the list of repositories as a file, from GitHub or from a stack's outputs.

Owns the way from a generated list to a static one: the file has every repository that the selection
rules let in, with its id and its custom properties. Reads GitHub with GITHUB_TOKEN, at
GITHUB_BASE_URL where the settings name no other. Changes nothing but the file.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import checked, read_stack_file
from ecr.github.http import environment_fetch
from ecr.github.listing import list_organisation
from ecr.github.model import Repository
from ecr.github.static_list import written_list

if TYPE_CHECKING:
    from ecr.ledger.ledger import Entry
    from ecr.settings.models import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        required=True,
        help="the stack's file: its organisation and selection rules",
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        metavar="FILE",
        help="take the active services of `pulumi stack output --json` instead of asking GitHub",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write to a file")


def run(options: argparse.Namespace) -> int:
    """Print the list, or write it to a file."""
    settings = checked(read_stack_file(options.settings))
    text = written_list(
        _of_outputs(options.outputs, settings) if options.outputs else _of_github(settings)
    )
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


def _of_github(settings: "Settings") -> list["Repository"]:
    """List the organisation with all the proofs that a deployment asks for."""
    with environment_fetch(settings.github.base_url) as fetch:
        inventory = asyncio.run(list_organisation(fetch, settings.github))
    return [each for each in inventory.repositories if each.id not in inventory.deselected]


def _of_outputs(path: Path, settings: "Settings") -> Iterable["Repository"]:
    for number, entry in Outputs.read(path).ledger.entries.items():
        if entry.state == "active":
            yield Repository(number, entry.repository, properties=_properties(entry, settings))


def _properties(entry: "Entry", settings: "Settings") -> dict[str, str]:
    """Return the properties that a service must have had, by the replicas that it has."""
    accounts = {
        location.split("/")[0] for location, state in entry.replicas.items() if state == "active"
    }
    rules = (
        account.services for account in settings.replica_accounts if account.account in accounts
    )
    return {rule.property: rule.values[0] for rule in rules if rule and rule.property}
