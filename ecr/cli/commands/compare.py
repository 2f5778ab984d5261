"""Count what each architecture would cost an organisation, as a table and a picture.

Owns how the comparison is asked for and how it reads. Takes the organisation from a list of names, a
stack's outputs or a mere number, and the settings from a stack's file, with sample values for what
it does not say. Never asks GitHub or AWS, and deploys nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.cli.markers import markers, replace_marked
from ecr.cli.options import stop_where_ignored, whole
from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.errors import EstateError
from ecr.github.model import Inventory, Repository, matches_any
from ecr.plan.comparison import as_json, compare
from ecr.settings.models import AccountSet

if TYPE_CHECKING:
    from ecr.plan.comparison import Figures
    from ecr.settings.models import Settings

BEGIN, END = markers("compare")

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
        "--count", type=whole(1, 100_000), metavar="N", help="so many repositories"
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
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--page", type=Path, metavar="FILE", help="write the table into a page, between its markers"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="with --page: write the picture, as SVG"
    )
    parser.add_argument(
        "--check", action="store_true", help="with --page: write nothing, and fail if it is stale"
    )


def run(options: argparse.Namespace) -> int:
    """Print the comparison, write it into a page, or compare it with what was written before."""
    stop_where_ignored(
        (options.check and not options.page, "--check: is for --page; give both, or neither"),
        (options.picture and not options.page, "--picture: is for --page; give both, or neither"),
    )
    settings = sample_settings(options.settings)
    rows = list(compare(settings, _inventory(options, settings)))
    if options.json:
        sys.stdout.write(json.dumps([as_json(row) for row in rows], indent=2) + "\n")
    elif options.page:
        _publish(rows, options)
    else:
        sys.stdout.write(table(rows) + "\n")
    return 0


def sample_settings(path: Path | None) -> "Settings":
    """Give the settings of a stack's file, completed by the sample.

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


def _inventory(options: argparse.Namespace, settings: "Settings") -> "Inventory":
    """Give the organisation that was named; ids are counted where there are only names."""
    replicas = settings.lambda_replicas
    rules = (replicas.services, *(account.services for account in replicas.accounts))
    properties = {rule.property: rule.values[0] for rule in rules if rule and rule.property}
    names, lambdas = _names(options)
    return Inventory(
        tuple(
            Repository(
                number,
                name,
                properties=properties
                if (matches_any(name, options.lambdas) if options.lambdas else name in lambdas)
                else {},
            )
            for number, name in enumerate(names, 1)
        )
    )


def _names(options: argparse.Namespace) -> tuple[list[str], set[str]]:
    """Give the names of repositories, and which are Docker Lambdas unless an option says."""
    if options.outputs:
        held = Outputs.read(options.outputs).ledger
        entries = [entry for entry in held.entries.values() if entry.state == "active"]
        lambdas = {each.repository for each in entries if "active" in each.replicas.values()}
        return [entry.repository for entry in entries], lambdas
    if options.repositories:
        lines = (line.strip() for line in read_text(options.repositories).splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
    else:
        names = [f"service-{number:05d}" for number in range(1, options.count + 1)]
        names = [f"lambda-{name}" if index % 10 == 0 else name for index, name in enumerate(names)]
    return names, {name for name in names if "lambda" in name.lower()}


def table(rows: Sequence["Figures"]) -> str:
    """Give the table, as Markdown that also reads well in a terminal."""
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


def _publish(rows: Sequence["Figures"], options: argparse.Namespace) -> None:
    """Write the page and the picture, or raise EstateError where one of them is stale."""
    held = read_text(options.page)
    if END not in held.partition(BEGIN)[2]:
        raise EstateError(
            "The page has no place for the comparison.",
            [
                f"{options.page}: write the lines {BEGIN} and, after it, {END} where the table belongs"
            ],
        )
    pages = {options.page: replace_marked(held, "compare", table(rows))}
    if options.picture:
        pages[options.picture] = picture(rows)
    if not options.check:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        return
    stale = [path for path, text in pages.items() if not path.exists() or read_text(path) != text]
    if stale:
        raise EstateError(
            "The comparison is stale.",
            [f"{path}: run the same command without --check" for path in stale],
        )


ROW, BAR, TOP = 40, 18, 64
LEFT, WIDTH, FULL = 250, 230, 900
"""Measures of the picture, in its own units."""

ACCENT = "fill:var(--md-accent-fg-color,#526cfe);stroke:var(--md-accent-fg-color,#526cfe)"
PALE = (
    "fill:var(--md-accent-fg-color--transparent,#526cfe1a);stroke:var(--md-accent-fg-color,#526cfe)"
)


def picture(rows: Sequence["Figures"]) -> str:
    """Give the picture: bars of image repositories and of resources, in the page's own colours."""
    return "\n".join([*_drawn(rows), "</svg>", ""])


def _drawn(rows: Sequence["Figures"]) -> Iterator[str]:
    height = TOP + ROW * len(rows) + 8
    most = max(row.image_repositories for row in rows) or 1
    heaviest = max(row.resources for row in rows) or 1
    second = LEFT + WIDTH + 90
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {FULL} {height}" role="img" '
        'aria-labelledby="comparison-title comparison-desc" font-family="system-ui, sans-serif">'
    )
    yield '  <title id="comparison-title">What each architecture costs</title>'
    said = "; ".join(
        f"{_label(row)}: {row.image_repositories} image repositories, {row.replicas} of them "
        f"replicas, and {row.resources} engine resources"
        for row in rows
    )
    yield f'  <desc id="comparison-desc">{said}.</desc>'
    yield _words(LEFT, 22, "image repositories", bold=True)
    yield _words(second, 22, "engine resources", bold=True)
    yield f'  <rect x="{LEFT}" y="34" width="12" height="12" style="{ACCENT}"/>'
    yield _words(LEFT + 18, 45, "pushed or promoted to")
    yield f'  <rect x="{LEFT + 188}" y="34" width="12" height="12" style="{PALE}"/>'
    yield _words(LEFT + 206, 45, "replicas")
    for index, row in enumerate(rows):
        top = TOP + index * ROW
        yield _words(LEFT - 14, top + 14, _label(row), anchor="end")
        own = (row.image_repositories - row.replicas) * WIDTH / most
        copies = row.replicas * WIDTH / most
        yield _bar(LEFT, top, own, ACCENT)
        if row.replicas:
            yield _bar(LEFT + own, top, copies, PALE)
        yield _words(LEFT + own + copies + 8, top + 14, f"{row.image_repositories:,}")
        length = row.resources * WIDTH / heaviest
        yield _bar(second, top, length, ACCENT)
        yield _words(second + length + 8, top + 14, f"{row.resources:,}")


def _label(row: "Figures") -> str:
    return f"{row.architecture}{' + Lambda replicas' if row.replicated else ''}"


def _bar(x: float, y: float, width: float, style: str) -> str:
    return f'  <rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" style="{style}"/>'


def _words(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'  <text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="13"{weight} '
        f'fill="currentColor">{text}</text>'
    )
