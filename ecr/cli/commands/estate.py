"""Write the estate as data for the site's page: every service, what is kept and what is left out.

Owns the shape of that data. Reads the outputs of the estate's stacks, and neither GitHub nor AWS.
Changes nothing but the file. Ten thousand services come to less than two megabytes: registries are named once.
"""

import argparse
import json
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import read_text
from ecr.errors import EstateError
from ecr.registry.registry import Placement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr.ledger.ledger import LedgerState
    from ecr.registry.registry import Registry

COSTS = ("storageCost", "transferCost", "scanningCost")
"""What the cost of an image repository is the sum of, in a report of `ecr-estate usage`."""

KEPT_BESIDE = "no longer asked for by the settings"
"""Why an image repository is kept whose service is active."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--outputs",
        action="append",
        type=Path,
        metavar="FILE",
        required=True,
        help="a stack's outputs, from `pulumi stack output --json`; of an estate of several stacks, all",
    )
    parser.add_argument(
        "--stack", metavar="NAME", default="", help="what the page calls the estate"
    )
    parser.add_argument(
        "--usage",
        type=Path,
        metavar="FILE",
        help="what `ecr-estate usage --json` printed: adds owner, size, last push and cost",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write docs/estate/data.js for the site's page"
    )


def run(options: argparse.Namespace) -> int:
    """Print the estate as JSON, or write it as the script that the page loads."""
    estate = estate_of(*map(Outputs.read, options.outputs), stack=options.stack)
    if options.usage:
        estate["measured"] = measured_of(options.usage)
    if options.output:
        # A script rather than JSON: a page that was opened from a folder may not fetch.
        text = json.dumps(estate, separators=(",", ":"), sort_keys=True)
        options.output.write_text(f"window.estate = {text};\n", encoding="utf-8")
    else:
        json.dump(estate, sys.stdout, indent=2, sort_keys=True)
        sys.stdout.write("\n")
    return 0


def estate_of(*outputs: Outputs, stack: str = "") -> dict[str, Any]:
    """Return the estate of the outputs of its stacks, of which there is at least one.

    ``registries`` are pairs of a key and a host. ``services`` are lists: id, repository, service,
    namespace, state, since, reason, image repositories, replicas, owner; image repositories and replicas are
    lists of the registry's index, the name and the state. ``leftOut`` are lists: id, repository, reason.
    ``deselected`` counts, and ``unselected`` lists like ``leftOut``, what the first of the stacks said, for
    each of them reads the whole organisation.
    Raises EstateError where two of them are of the same services.
    """
    registries: dict[Registry, int] = {}

    def located(states: "Mapping[str, LedgerState]") -> list[list[Any]]:
        # The engine gives the ledger back in no order.
        placements = [(Placement.at(location), state) for location, state in sorted(states.items())]
        return [
            [registries.setdefault(each.registry, len(registries)), each.name, state]
            for each, state in placements
        ]

    services = []
    ledgers = [each.ledger.entries for each in outputs]
    held = Counter(chain.from_iterable(ledgers))
    if twice := sorted(number for number, times in held.items() if times > 1):
        raise EstateError(
            "Two of the outputs have the same services; they must be of different stacks.",
            [f"GitHub id {twice[0]} and {len(twice) - 1} more; give the file of each stack once"],
        )
    for number, entry in chain.from_iterable(ledger.items() for ledger in ledgers):
        placements, replicas = located(entry.placements), located(entry.replicas)
        beside = [
            name for _, name, state in (*placements, *replicas) if state != entry.state == "active"
        ]
        services.append(
            [
                number,
                entry.repository,
                entry.service,
                entry.service.rpartition("/")[0],
                entry.state,
                entry.since,
                entry.reason or (f"{', '.join(beside)}: {KEPT_BESIDE}" if beside else ""),
                placements,
                replicas,
                entry.owner,
            ]
        )
    return {
        "stack": stack,
        "registries": [[registry.key, registry.host] for registry in registries],
        "services": sorted(services, key=lambda each: (each[2], each[0])),
        "leftOut": [
            [each.id, each.repository, each.reason]
            for stated in outputs
            for each in stated.left_out
        ],
        "deselected": dict(outputs[0].deselected),
        "unselected": [[each.id, each.repository, each.reason] for each in outputs[0].unselected],
    }


def measured_of(path: Path) -> dict[str, list[Any]]:
    """Return what was measured of each image repository, by its location.

    Each is a list: owner, images, bytes, the day of the last push, and the cost of a month, by the
    prices of that report. Raises EstateError where the file is no such report.
    """
    try:
        report = json.loads(read_text(path))
        return {
            f"{each['registry']}/{each['name']}": [
                str(each["owner"]),
                int(each["images"]),
                int(each["standardBytes"]) + int(each["archiveBytes"]),
                str(each["lastPush"] or ""),
                round(sum(float(each[part]) for part in COSTS), 2),
            ]
            for each in report["imageRepositories"]
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EstateError(
            "What was measured cannot be read.",
            [f"{path}: it is no report of `ecr-estate usage --json` ({error!r}); write it anew"],
        ) from None
