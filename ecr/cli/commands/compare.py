"""Count what each architecture would cost an organisation, as a table.

Owns how the comparison is asked for and how it reads. Takes the organisation from a list of names, a
stack's outputs or a mere number, and the settings from a stack's file, with sample values for what
it does not say. Never asks GitHub or AWS, and deploys nothing.
"""

import argparse
import json
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.cli.options import int_between
from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.github.model import Inventory, Repository, matches_any
from ecr.plan.comparison import as_json, compare_architectures
from ecr.settings.models import AccountSet

if TYPE_CHECKING:
    from ecr.plan.comparison import Figures
    from ecr.settings.models import Settings

SAMPLE: Mapping[str, Any] = {
    "github": {"organisation": "acme"},
    "awsOrganisation": "o-a1b2c3d4e5",
    "artifacts": {"account": "111122223333", "region": "eu-west-1"},
    "stages": ["dev", "staging", "prod"],
    "lambdaReplicas": {
        "accounts": [
            {"account": "444455556666", "regions": ["eu-west-1"]},
            {"account": "777788889999", "regions": ["eu-west-1", "us-east-1"]},
        ],
        "services": {"property": "lambda"},
    },
}
"""What is assumed where the stack's file does not say: three stages, two Lambda accounts."""

PRODUCTION = "123412341234"
"""The account of the second of two sets, where the file has none; the first is the artifacts one."""

OF_ONE_LIST = (
    *("static", "staticFile", "retire", "successors", "adopted", "confirm"),
    *("namespaces", "pushRoles"),
)
"""Settings about the repositories of one estate, which another list does not have."""

HEADINGS = (
    "architecture",
    "Lambda replicas",
    "image repositories",
    "replicas",
    "resources",
    "registries",
    "rules",
    "prefixes",
    "storage",
    "policies",
    "promotions",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    organisation = parser.add_mutually_exclusive_group(required=True)
    organisation.add_argument(
        "--repositories", type=Path, metavar="FILE", help="names of repositories, one a line"
    )
    organisation.add_argument(
        "--outputs",
        type=Path,
        metavar="FILE",
        help="a stack's outputs, from `pulumi stack output --json`",
    )
    organisation.add_argument(
        "--count", type=int_between(1, 100_000), metavar="N", help="so many repositories"
    )
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", help="a stack's file; without it a sample"
    )
    parser.add_argument(
        "--lambdas",
        action="append",
        metavar="PATTERN",
        help="repositories that have the property of Docker Lambdas (default: *lambda*)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the comparison, write it into a page, or compare it with what was written before."""
    settings = sample_settings(options.settings)
    names, lambdas = _names(options)
    if options.lambdas:
        lambdas = {name for name in names if matches_any(name, options.lambdas)}
    rows = list(compare_architectures(settings, organisation_of(names, lambdas, settings)))
    if options.json:
        sys.stdout.write(json.dumps([as_json(row) for row in rows], indent=2) + "\n")
    else:
        sys.stdout.write(architectures_table(rows) + "\n")
    return 0


def sample_settings(path: Path | None) -> "Settings":
    """Return the settings of a stack's file, completed by the sample.

    Raises EstateError where the file cannot be read or its values are wrong.
    """
    stack = read_stack_file(path) if path else {}
    said = {key: value for key, value in stack.items() if key not in OF_ONE_LIST}
    values: dict[str, Any] = {**SAMPLE, **said}
    if "lambdaReplicas" not in said:
        # The sample's accounts serve no stage by name, which only some architectures allow.
        values["architecture"] = "central"
    settings = checked(values)
    if settings.account_sets:
        return settings
    ours = settings.artifacts
    sets = (
        AccountSet(name="nonprod", account=ours.account, region=ours.region),
        AccountSet(name="prod", account=PRODUCTION, region=ours.region),
    )
    return settings.model_copy(update={"account_sets": sets})


def organisation_of(
    names: Sequence[str], lambdas: Container[str], settings: "Settings"
) -> Inventory:
    """Return an organisation of repositories of these names; ids are counted.

    ``lambdas`` are those that have the property of Docker Lambdas.
    """
    replicas = settings.lambda_replicas
    rules = (replicas.services, *(account.services for account in replicas.accounts))
    properties = {rule.property: rule.values[0] for rule in rules if rule and rule.property}
    return Inventory(
        tuple(
            Repository(github_id, name, properties=properties if name in lambdas else {})
            for github_id, name in enumerate(names, 1)
        )
    )


def _names(options: argparse.Namespace) -> tuple[list[str], set[str]]:
    """Return the names of repositories, and which are Docker Lambdas unless an option says."""
    if options.outputs:
        held = Outputs.read(options.outputs).ledger
        entries = [entry for entry in held.entries.values() if entry.state == "active"]
        lambdas = {each.repository for each in entries if "active" in each.replicas.values()}
        return [entry.repository for entry in entries], lambdas
    if options.repositories:
        names = read_names(options.repositories)
    else:
        names = [f"service-{number:05d}" for number in range(1, options.count + 1)]
        names = [f"lambda-{name}" if index % 10 == 0 else name for index, name in enumerate(names)]
    return names, lambdas_among(names)


def read_names(path: Path) -> list[str]:
    """Read names of repositories, one a line; empty lines and comments are left out."""
    lines = (line.strip() for line in read_text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def lambdas_among(names: Iterable[str]) -> set[str]:
    """Return the names that are taken for Docker Lambdas, for want of anything that says so."""
    return {name for name in names if "lambda" in name.lower()}


def architectures_table(rows: Sequence["Figures"]) -> str:
    """Return the table, as Markdown that also reads well in a terminal."""
    cells = [HEADINGS, *(tuple(_cells(row)) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    words = 2
    ruler = [
        "-" * width if i < words else f"{'-' * (width - 1)}:" for i, width in enumerate(widths)
    ]
    lines = [
        [
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], ruler, *lines[1:]))


def _cells(row: "Figures") -> Iterator[str]:
    yield row.architecture
    yield "yes" if row.replicated else "no"
    for count in (row.image_repositories, row.replicas, row.resources):
        yield f"{count:,}"
    for count in (row.registries, row.rules, row.prefixes):
        yield f"{count:,}"
    yield f"{row.storage:.2f}"
    yield f"{row.policies:,}"
    yield f"{row.promotions:,}"
