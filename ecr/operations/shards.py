"""Say which services have to move between the stacks of an estate, and by which commands.

Reads the state of every stack that the settings name, by `pulumi stack export`: the GitHub id that each
image repository has in its tags, and whose the roles are that push. Prints `pulumi state move` for what is not where it belongs; the
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

from ecr.digest import REPOSITORY, run_engine
from ecr.errors import EstateError

ROLE = "aws:iam/role:Role"
STACK = "pulumi:pulumi:Stack"
"""The engine's types of a role that pushes, and of the stack, which has the outputs."""

AT_ONCE = 200
"""Image repositories and roles that one command moves: each command writes both states once, and a command line
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
    from ecr.stack_file import checked, read_stack_file  # noqa: PLC0415 - see ecr.operations

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


def exported(stack: str) -> Mapping[str, Any]:
    """Give the state of a stack. Raises EstateError where the engine does not give it."""
    done = run_engine(["stack", "export", "--stack", stack])
    if done.returncode:
        raise EstateError(
            f"The state of the stack {stack} cannot be read.",
            [
                *(line for line in done.stderr.splitlines() if line.strip()),
                f"where it is new, make it first: pulumi stack init {stack}",
            ],
        )
    state: Mapping[str, Any] = json.loads(done.stdout)
    return state


def moves_between(states: Mapping[str, Mapping[str, Any]]) -> Moves:
    """Say what is in the state of another stack than it belongs to; ``states`` are in their order.

    What hangs below an image repository or a role comes along with it.
    """
    stacks = list(states)
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for stack, state in states.items():
        resources = state["deployment"].get("resources") or ()
        roles = _push_roles(resources)
        for resource in resources:
            number = _owner(resource, roles)
            if number is not None:
                owner = stacks[number % len(stacks)]
                if owner != stack:
                    moves[stack, owner].append(resource["urn"])
    return dict(moves)


def _owner(resource: Mapping[str, Any], roles: Mapping[str, int]) -> int | None:
    """Give the GitHub id of the service that a resource is for; None for what is nobody's own."""
    if resource["type"] == REPOSITORY:
        number = (resource["inputs"].get("tags") or {}).get("github-id", "")
        return int(number) if number.isdecimal() else None
    if resource["type"] == ROLE:
        return roles.get((resource.get("outputs") or {}).get("arn", ""))
    return None


def _push_roles(resources: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Give the roles that push, by ARN, with the GitHub id of their services, as the outputs say."""
    outputs = next((each.get("outputs") or {} for each in resources if each["type"] == STACK), {})
    services = (outputs.get("ledger") or {}).get("services") or {}
    numbers = {entry["service"]: int(number) for number, entry in services.items()}
    return {
        arn: numbers[service]
        for service, arn in (outputs.get("pushRoles") or {}).items()
        if service in numbers
    }


def commands(moves: Moves) -> Iterator[str]:
    """Give the command lines, each for some of the image repositories."""
    for (source, target), urns in moves.items():
        for start in range(0, len(urns), AT_ONCE):
            line = ["pulumi", "state", "move", "--source", source, "--dest", target, "--yes"]
            yield shlex.join([*line, *urns[start : start + AT_ONCE]])
