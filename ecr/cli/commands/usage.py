"""Say what every service and registry holds, what it costs a month, whose it is, and what can go.

Owns how the registries are asked, side by side and within their rates, and how the report is printed. Reads
image repositories, images, lifecycle policies and scanning; with --layers manifests, by which layers that
images share are counted once. Changes nothing. What it keeps of an image repository is a line of numbers.
"""

import argparse
import csv
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ecr.aws.images import creations_of, each_detail, manifests_of, policy_of
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.options import int_between, refuse_unused_options
from ecr.cli.progress import progress_line
from ecr.cli.registries import add_registry_options, selected_registries
from ecr.cli.table import printable, table
from ecr.engine.outputs import Outputs
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.errors import EstateError, UsageError
from ecr.lifecycle.policy import Policy, parse_policy
from ecr.registry.registry import Registry
from ecr.settings.load import PROJECT
from ecr.settings.prices import GB, Prices
from ecr.usage.journal import Journal
from ecr.usage.measure import Measured, measure, shown_date
from ecr.usage.report import (
    GROUPINGS,
    USAGE_SCHEMA,
    Costed,
    Figure,
    UsageFinding,
    costed,
    figures_by,
    findings,
    owners_by_location,
    proposed_settings,
    report_json,
)

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

READERS = 8
"""How many image repositories are read side by side; AWS's answers set the rate of all of them."""

AHEAD = 64
"""How many are handed to the readers before the first of them is done: memory is for no more."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_registry_options(parser)
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="a stack's file, for its prices; without it the table that the settings' reference shows",
    )
    parser.add_argument(
        "--by", choices=GROUPINGS, default="service", help="what a line is of (service)"
    )
    parser.add_argument(
        "--months",
        type=int_between(1, 120),
        default=6,
        metavar="N",
        help="after how many months without a push or a pull something is unused (6)",
    )
    parser.add_argument(
        "--layers",
        action="store_true",
        help="count layers that images of an image repository share once, and say which platforms they are "
        "for: reads every manifest, which to ECR is a pull, unless the role is excluded from that",
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="FILE",
        help="an earlier report that --json printed: growth is then what was added since, less what has gone",
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="FILE",
        help="keep what was read in this file, and go on from it after an interruption",
    )
    parser.add_argument(
        "--stack", metavar="NAME", default="", help="what the page calls the estate"
    )
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print the whole report as JSON")
    printed.add_argument("--csv", action="store_true", help="print the lines as CSV")
    printed.add_argument(
        "--propose",
        action="store_true",
        help="print the settings that follow from what was found, for a person to review; needs --settings",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write docs/usage/data.js for the site's page, beside what is printed",
    )


def run(options: argparse.Namespace) -> int:
    """Measure, reckon, and print."""
    if options.propose and not (options.settings and options.outputs):
        raise UsageError(
            "Settings cannot be proposed without those that are.",
            [
                "--propose: give --settings with the stack's file, and --outputs with the stack's outputs"
            ],
        )
    refuse_unused_options(
        (
            options.by == "platform" and not options.layers,
            "--by platform: needs --layers beside it",
        ),
        (
            options.stack and not (options.output or options.json),
            "--stack: is for --output and --json; give one of them beside it",
        ),
    )
    selection = selected_registries(options)
    prices = _prices(options.settings)
    before = _bytes_before(options.before) if options.before else None
    stated = [Outputs.read(each) for each in options.outputs]
    whose = owners_by_location(
        (each.ledger for each in stated), [stage for each in stated for stage in each.stages]
    )
    access, now = Aws(options.role_name, connections=READERS), time.time()
    measured = _measured(access, selection.registries, options, now)
    scanned = {each.key: _enhanced(access, each) for each in selection.registries}
    rows = costed(measured, whose, prices, scanned, selection.caches)
    found = findings(rows, months=options.months, now=now)
    report = partial(
        report_json,
        rows,
        found,
        prices=prices,
        months=options.months,
        layers=options.layers,
        now=now,
        before=before,
        stack=options.stack,
    )
    figures = figures_by(rows, options.by, before)
    if options.output:
        options.output.write_text(usage_script(report()), encoding="utf-8")
    if options.json:
        json.dump(report(), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif options.propose:
        _print_proposal(*proposed_settings(rows, found, read_stack_file(options.settings)))
    elif options.csv:
        _print_csv(options.by, figures)
    else:
        _print_table(options.by, figures, found, prices)
    _say_what_it_rests_on(rows, prices, layers=options.layers)
    return 0


def usage_script(report: Mapping[str, Any]) -> str:
    """Return a report as the script that the site's page loads."""
    # A script rather than JSON: a page that was opened from a folder may not fetch.
    return f"window.usage = {json.dumps(report, separators=(',', ':'), sort_keys=True)};\n"


def _prices(path: Path | None) -> Prices:
    return checked(read_stack_file(path)).prices if path else Prices()


def _bytes_before(path: Path) -> dict[str, int]:
    """Return the bytes of an earlier report, by location. Raises EstateError where it is none."""
    source = f"{path}: %s; give what this version's `ecr-estate usage --json` printed"
    try:
        read = json.loads(read_text(path))
        if read["schema"] == USAGE_SCHEMA:
            return {
                f"{each['registry']}/{each['name']}": each["standardBytes"] + each["archiveBytes"]
                for each in read["imageRepositories"]
            }
        why = f"its schema is {read['schema']}"
    except (ValueError, KeyError, TypeError) as error:
        why = f"it is no report ({error!r})"
    raise EstateError("The earlier report cannot be read.", [source % why])


def _measured(
    access: Aws, registries: Sequence[Registry], options: argparse.Namespace, now: float
) -> list[Measured]:
    """Measure every image repository of the registries, but for those that the journal has."""
    journal = (
        Journal(options.resume, [each.key for each in registries], layers=options.layers)
        if options.resume
        else nullcontext()
    )
    with journal as kept:
        known: Mapping[str, Measured] = kept.known if kept else {}
        asked = [
            (registry, name, created)
            for registry in registries
            for name, created in creations_of(access.ecr(registry)).items()
        ]
        there = {f"{registry.key}/{name}" for registry, name, _ in asked}
        found = [each for location, each in known.items() if location in there]
        left = [each for each in asked if f"{each[0].key}/{each[1]}" not in known]
        with progress_line() as show:
            for each in _side_by_side(partial(_one, access, layers=options.layers, now=now), left):
                if each is not None:
                    found.append(each)
                    if kept:
                        kept.add(each)
                show(f"{len(found):,} of {len(asked):,} image repositories")
    return found


def _side_by_side(
    read: Callable[[Registry, str, float], Measured | None],
    asked: Sequence[tuple[Registry, str, float]],
) -> Iterator[Measured | None]:
    """Yield what each gives, in their order, with so many under way and no more."""
    waiting: deque[Future[Measured | None]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for each in asked:
                waiting.append(pool.submit(read, *each))
                if len(waiting) >= AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _one(
    access: Aws, registry: Registry, name: str, created: float, *, layers: bool, now: float
) -> Measured | None:
    """Measure one image repository; None where it went after the registry was listed."""
    ecr = access.ecr(registry)
    try:
        text = policy_of(ecr, name)
        return measure(
            registry.key,
            name,
            each_detail(ecr, name),
            created=created,
            policy=_policy(text, f"{registry.key}/{name}"),
            now=now,
            read=partial(_manifests, ecr, name) if layers else None,
        )
    except EstateError as error:
        if is_refusal(error, "RepositoryNotFoundException"):
            return None
        raise


def _manifests(ecr: "ECRClient", name: str, digests: Sequence[str]) -> Mapping[str, str]:
    return manifests_of(ecr, name, digests)


def _policy(text: str | None, where: str) -> Policy | None:
    return parse_policy(text, f"the policy of {where}", accepted=True) if text else None


def _enhanced(access: Aws, registry: Registry) -> tuple[str, ...]:
    """Return the filters of what Amazon Inspector scans in a registry; nothing under basic scanning."""
    with aws_errors_as(f"reading how {registry.key} is scanned"):
        said = access.ecr(registry).get_registry_scanning_configuration()["scanningConfiguration"]
    if said.get("scanType") != "ENHANCED":
        return ()
    return tuple(
        each["filter"]
        for rule in said.get("rules", ())
        if rule["scanFrequency"] != "MANUAL"
        for each in rule["repositoryFilters"]
    )


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        f"{figure.repositories:,}",
        f"{figure.images:,}",
        f"{figure.stored / GB:,.2f}",
        f"{figure.grown / GB:+,.2f}",
        shown_date(figure.last_push),
        shown_date(figure.last_pull),
        f"{figure.storage:,.2f}",
        f"{figure.transfer:,.2f}",
        f"{figure.scanning:,.2f}",
        f"{figure.cost:,.2f}",
    )


def _print_table(
    by: str, figures: Sequence[Figure], found: Sequence[UsageFinding], prices: Prices
) -> None:
    headings = ("image repositories", "images", "GB", "growth GB", "last push", "last pull")
    money = ("storage", "transfer", "scanning", f"{prices.currency} a month")
    sys.stdout.write(table((by, *headings, *money), [_cells(each) for each in figures]))
    if found:
        rows = [
            (each.kind, each.who, each.owner or "-", f"{each.cost:,.2f}", each.step, each.text)
            for each in found
        ]
        said = ("finding", "what", "owner", f"{prices.currency} a month", "next step", "why")
        sys.stdout.write("\n" + table(said, rows))


def _print_csv(by: str, figures: Sequence[Figure]) -> None:
    write = csv.writer(sys.stdout, lineterminator="\n")
    write.writerow(
        (
            by,
            *("imageRepositories", "images", "bytes", "growthBytes", "lastPush", "lastPull"),
            *("storageCost", "transferCost", "scanningCost", "cost"),
        )
    )
    for each in figures:
        # A spreadsheet would take a name that begins like this for a formula.
        name = f"'{each.name}" if each.name[:1] in "=+-@\t\r" else each.name
        dates = (shown_date(each.last_push), shown_date(each.last_pull))
        money = (each.storage, each.transfer, each.scanning, each.cost)
        write.writerow(
            (
                *(name, each.repositories, each.images, each.stored, each.grown, *dates),
                *(f"{one:.4f}" for one in money),
            )
        )


def _print_proposal(changed: Mapping[str, Any], reasons: Sequence[str]) -> None:
    """Print the keys that would change, as the stack's file has them, below the reasons as comments."""
    for each in reasons:
        sys.stdout.write(f"# {printable(each)}\n")
    values = {f"{PROJECT}:{key}": value for key, value in changed.items()}
    if values:
        sys.stdout.write(yaml.safe_dump({"config": values}, sort_keys=False))
    else:
        sys.stdout.write("# no setting would change\n")


def _say_what_it_rests_on(rows: Sequence[Costed], prices: Prices, *, layers: bool) -> None:
    whole = sum(row.cost for row in rows)
    shared = (
        "layers that images of one image repository share are counted once"
        if layers
        else "no manifest was read, so layers that images share are counted with each: it is at most this much"
    )
    sys.stderr.write(
        f"{len(rows):,} image repositories, {sum(row.measured.images for row in rows):,} images, "
        f"{whole:,.2f} {prices.currency} a month; {shared}; prices of {prices.as_of} ({prices.source}); not "
        "reckoned: pulls from other Regions, further scans, keys, and what goes through NAT gateways\n"
    )
