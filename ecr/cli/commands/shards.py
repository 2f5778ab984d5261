"""Say which services have to move between the stacks of an estate, and by which commands.

Reads the state of every stack that the settings name, by `pulumi stack export`, and the GitHub id that
each image repository has in its tags and each push role in its name. Prints `pulumi state move` for what is not where it belongs; the
move changes states and nothing in AWS. Run it after the list of shards has grown, before deploying.
Changes nothing.
"""

import argparse
import json
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecr.engine.stack import exported
from ecr.engine.stack_file import checked, read_stack_file
from ecr.engine.types import REPOSITORY, ROLE
from ecr.errors import EstateError
from ecr.plan.model import PUSH_ROLE_PATH

MOVES_A_LINE = 200
"""Image repositories that one command moves: each command writes both states once, and a command line
has an end."""

Moves = Mapping[tuple[str, str], Sequence[str]]
"""The URNs that go from one stack to another."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", required=True, help="any of the stacks' files"
    )
    parser.add_argument("--json", action="store_true", help="print the moves as JSON")


def run(options: argparse.Namespace) -> int:
    """Print the commands."""
    stacks = checked(read_stack_file(options.settings)).shards
    if not stacks:
        raise EstateError(
            "The estate is one stack, and nothing can be moved.",
            [f"shards: is not in {options.settings}; name the stacks there"],
        )
    moves = moves_between({stack: exported(stack) for stack in stacks})
    if options.json:
        said = [{"from": one, "to": other, "urns": urns} for (one, other), urns in moves.items()]
        sys.stdout.write(json.dumps({"moves": said}, indent=2) + "\n")
        return 0
    for line in commands(moves):
        sys.stdout.write(f"{line}\n")
    if not moves:
        # Not where the commands go, which a shell may be reading.
        sys.stderr.write(
            "Every image repository is in the state of the stack that it belongs to.\n"
        )
    return 0


def moves_between(states: Mapping[str, Iterable[Mapping[str, Any]]]) -> Moves:
    """Say what is in the state of another stack than it belongs to.

    ``states`` are the resources of each stack, in the order of the stacks.
    """
    stacks = list(states)
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stack, resources in states.items():
        for resource in resources:
            # What hangs below either of them comes along with it.
            number = _number(resource)
            if number is not None:
                owner = stacks[number % len(stacks)]
                if owner != stack:
                    moves[stack, owner].append(resource["urn"])
    return dict(moves)


def _number(resource: Mapping[str, Any]) -> int | None:
    """Return the GitHub id that a resource is for; None for one that does not move."""
    inputs = resource.get("inputs") or {}
    match resource["type"]:
        case kind if kind == REPOSITORY:
            number = (inputs.get("tags") or {}).get("github-id", "")
        case kind if kind == ROLE and inputs.get("path") == PUSH_ROLE_PATH:
            number = str(inputs.get("name", "")).rpartition("-")[2]
        case _:
            return None
    return int(number) if number.isdecimal() else None


def commands(moves: Moves) -> Iterator[str]:
    """Yield the command lines, each for some of the image repositories."""
    for (source, target), urns in moves.items():
        for start in range(0, len(urns), MOVES_A_LINE):
            line = ["pulumi", "state", "move", "--source", source, "--dest", target, "--yes"]
            yield shlex.join([*line, *urns[start : start + MOVES_A_LINE]])
