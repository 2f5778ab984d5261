"""Count what each architecture would cost an organisation, as a table.

Owns how the comparison is asked for and how it reads. Takes the organisation from a list of names, a
stack's outputs or a mere number, and the settings from a stack's file, with sample values for what
it does not say. Never asks GitHub or AWS, and deploys nothing.
"""

import argparse
import json
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.cli.options import float_between, int_between
from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.errors import EstateError
from ecr.github.model import Inventory, Repository, matches_any
from ecr.plan.comparison import MB, Workload, as_json, compare_architectures, monthly_cost
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

USUAL = Workload()
"""What is reckoned with where nobody says otherwise."""

FIELDS: Mapping[str, str] = {
    "images": "images",
    "size": "size",
    "pushes": "pushes",
    "pulls": "far_pulls",
}
"""The options of a workload, and what they are called there."""

SCALE: Mapping[str, int] = {"size": MB}

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
    money = parser.add_argument_group("money", "what a month costs, by the settings' prices")
    money.add_argument(
        "--usage",
        type=Path,
        metavar="FILE",
        help="images, sizes and pushes as `usage --json` measured them, instead of the numbers below",
    )
    for name, what in (
        ("images", "images that an image repository holds"),
        ("size", "megabytes of an image that it shares with no other"),
        ("pushes", "images that a service pushes a month"),
        ("pulls", "pulls of a service a month from other Regions than its registry's"),
    ):
        money.add_argument(
            f"--{name}",
            type=float_between(0, 1_000_000),
            metavar="N",
            help=f"{what} ({getattr(USUAL, FIELDS[name]) / SCALE.get(name, 1):g})",
        )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the comparison, write it into a page, or compare it with what was written before."""
    settings = sample_settings(options.settings)
    names, lambdas = _names(options)
    if options.lambdas:
        lambdas = {name for name in names if matches_any(name, options.lambdas)}
    rows = list(compare_architectures(settings, organisation_of(names, lambdas, settings)))
    workload = _workload(options)
    if options.json:
        currency = settings.prices.currency
        said = [as_json(row, monthly_cost(row, workload, settings), currency) for row in rows]
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
    else:
        sys.stdout.write(architectures_table(rows) + "\n\n")
        sys.stdout.write(money_table(rows, workload, settings) + "\n\n")
        sys.stdout.write(reckoned_with(workload, settings) + "\n")
    return 0


def _workload(options: argparse.Namespace) -> Workload:
    """Return what the options say of a month; what they leave out is measured, or else the usual."""
    given = {
        FIELDS[name]: value * SCALE.get(name, 1)
        for name in FIELDS
        if (value := getattr(options, name)) is not None
    }
    return replace(_measured_workload(options.usage) if options.usage else USUAL, **given)


def _measured_workload(path: Path) -> Workload:
    """Return the means of a report of `usage`. Raises EstateError where it is none."""
    try:
        held = [
            each
            for each in json.loads(read_text(path))["imageRepositories"]
            if not each["part"].startswith("replica")
        ]
        images = sum(each["images"] for each in held)
        stored = sum(each["standardBytes"] + each["archiveBytes"] for each in held)
        services = {each["service"] or each["name"] for each in held}
        pushed = sum(each["pushedImages"] for each in held)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EstateError(
            "What was measured cannot be read.",
            [f"{path}: {error!r}; give what `ecr-estate usage --json` printed"],
        ) from error
    return Workload(
        images=images / len(held) if held else 0,
        size=stored / images if images else 0,
        pushes=pushed / len(services) if services else 0,
    )


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


def reckoned_with(workload: Workload, settings: "Settings") -> str:
    """Return the sentence that says what the money rests on."""
    prices = settings.prices
    scans = (
        "Amazon Inspector"
        if settings.scanning.type == "ENHANCED"
        else "basic scanning, which is free"
    )
    return (
        f"Reckoned with {workload.images:,.0f} images of {workload.size / MB:,.0f} MB in each image repository, "
        f"{workload.pushes:,.0f} pushes of each service a month, {workload.far_pulls:,.0f} pulls from other "
        f"Regions, {scans}, and prices of {prices.as_of} ({prices.source})."
    )


def money_table(rows: Sequence["Figures"], workload: Workload, settings: "Settings") -> str:
    """Return what each architecture costs a month, as such a table."""
    currency = settings.prices.currency
    heads = ("architecture", "Lambda replicas", "storage", "transfer", "scanning")
    lines = []
    for row in rows:
        cost = monthly_cost(row, workload, settings)
        money = (cost.storage, cost.transfer, cost.scanning, cost.whole)
        named = (row.architecture, "yes" if row.replicated else "no")
        lines.append((*named, *(f"{each:,.2f}" for each in money)))
    return _aligned([(*heads, f"{currency} a month"), *lines])


def architectures_table(rows: Sequence["Figures"]) -> str:
    """Return the table, as Markdown that also reads well in a terminal."""
    return _aligned([HEADINGS, *(tuple(_cells(row)) for row in rows)])


def _aligned(cells: Sequence[tuple[str, ...]]) -> str:
    """Return a table of which the first two columns are words, and the others numbers."""
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
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
