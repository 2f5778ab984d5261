"""List the images that clusters refuse, from the findings in ECR.

Owns the command: what is read, in what order, and what is written at the end. Reads the findings of
every registry, through ECR's API, the file of waivers, and the lists that are to be replaced: an
image that they deny stays denied until a finished scan, or a waiver, says otherwise. Writes nothing
until all of it was read, so that a good list is never replaced by a part of one.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ecr.admission import cluster
from ecr.admission.decisions import decide
from ecr.admission.lists import digests_denied, lists, run_record, to_yaml
from ecr.admission.registries import Reader
from ecr.admission.waivers import read_waivers
from ecr.aws.session import Aws
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import float_between
from ecr.cli.registries import registries_of
from ecr.engine.outputs import Outputs
from ecr.errors import EstateError
from ecr.registry.registry import ImageReference, Registry

if TYPE_CHECKING:
    from ecr.admission.decisions import Decision
    from ecr.admission.model import Held

_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--outputs",
        type=Path,
        metavar="FILE",
        help="the stack's outputs, from `pulumi stack output --json`: names the registries",
    )
    what.add_argument(
        "--registry",
        action="append",
        metavar="ACCOUNT/REGION",
        help="a registry, instead; may be repeated",
    )
    what.add_argument(
        "--check-age",
        type=float_between(0, 1_000_000),
        metavar="HOURS",
        help="read nothing: fail if the list in the cluster is older",
    )
    parser.add_argument(
        "--role-name", metavar="NAME", help="the role to assume in each registry's account"
    )
    parser.add_argument(
        "--threshold",
        choices=_SEVERITIES,
        default="CRITICAL",
        help="the least severity that is denied (default: CRITICAL)",
    )
    parser.add_argument("--waivers", type=Path, metavar="FILE", help="exceptions, each with an end")
    parser.add_argument(
        "--deny-unscanned", action="store_true", help="deny images that have no scan, too"
    )
    parser.add_argument(
        "--trusted",
        type=_prefix,
        action="append",
        default=[],
        metavar="PREFIX/",
        help="for the policy that wants images to be ours: where they may come from besides, as "
        "the manifests write it; may be repeated",
    )
    parser.add_argument(
        "--rate",
        type=float_between(0.001, 1_000_000),
        default=50.0,
        metavar="CALLS",
        help="calls a second to each registry, at most (default: 50)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        choices=range(1, 65),
        default=8,
        metavar="1-64",
        help="calls at the same time (default: 8)",
    )
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--output", type=Path, metavar="FILE", help="write the lists as YAML")
    to.add_argument("--apply", action="store_true", help="write the lists to kubectl's cluster")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Read, decide, write and report; or, with --check-age, look at what was written."""
    if options.check_age is not None:
        return _check_age(options.check_age)
    began = time.monotonic()
    registries = _registries(options)
    decision, held, calls = _decide(options, registries)
    entries = {why: decision.entries(why) for why in ("vulnerable", "unscanned")}
    documents = lists(entries)
    report = _report(options, decision, held)
    report |= {
        "entries": {why: len(each) for why, each in entries.items()},
        "lists": [each["metadata"]["name"] for each in documents],
    }
    now = datetime.now(UTC)
    record = run_record(
        {
            "written": now.isoformat(timespec="seconds"),
            "report": json.dumps({**report, "denied": len(decision.denied)}, indent=1),
            "registries": "\n".join(each.key for each in sorted(registries)),
            "trusted": "\n".join(sorted(set(options.trusted))),
        }
    )
    if options.output:
        _replace(options.output, to_yaml([*documents, record]))
    elif options.apply:
        report["replaced"] = cluster.apply(documents, record)
    report |= {"calls": calls, "seconds": round(time.monotonic() - began, 1)}
    _show(report, as_json=options.json)
    return 0


def _check_age(hours: float) -> int:
    age = datetime.now(UTC) - cluster.written()
    if age > timedelta(hours=hours):
        hours_old = age.total_seconds() / 3600
        _say(f"The list of denied images is {hours_old:.1f} hours old.")
        _say("  - See why its job fails: docs/guides/admission.md, When the list is old.")
        return FOUND
    return 0


def _decide(
    options: argparse.Namespace, registries: Mapping[Registry, Sequence[str]]
) -> "tuple[Decision, tuple[Held, ...], int]":
    waivers = read_waivers(options.waivers) if options.waivers else ()
    reader = Reader(
        Aws(options.role_name, connections=options.workers).ecr,
        threshold=options.threshold,
        rate=options.rate,
        workers=options.workers,
        said=_say,
    )
    held = reader.read(registries)
    decision = decide(
        held,
        waivers,
        today=datetime.now(UTC).date(),
        deny_unscanned=options.deny_unscanned,
        before=_denied_before(options),
    )
    return decision, held, reader.calls


def _denied_before(options: argparse.Namespace) -> frozenset[str]:
    """Return the digests denied by the lists that this run replaces; none where it replaces none."""
    if options.apply:
        return cluster.denied()
    if options.output is None or not options.output.exists():
        return frozenset()
    try:
        documents = yaml.load_all(
            options.output.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
        )
        return digests_denied(documents)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EstateError(
            "The file to write to is there, and holds no lists; nothing was written.",
            [f"{options.output}: {error}; move it away, or name another file"],
        ) from error


def _registries(options: argparse.Namespace) -> dict[Registry, Sequence[str]]:
    """Return each registry with the names that the outputs say it has."""
    if options.registry:
        return dict.fromkeys(registries_of(options.registry), ())
    outputs = Outputs.read(options.outputs)
    found: dict[Registry, list[str]] = {registry: [] for registry in outputs.registries}
    for urls in (outputs.image_repositories, outputs.replicas):
        for image in map(ImageReference.parse, chain.from_iterable(urls.values())):
            if image:
                found.setdefault(image.registry, []).append(image.name)
    if not found:
        raise EstateError("The stack's outputs name no registry.", [f"{options.outputs}"])
    return {registry: sorted(names) for registry, names in found.items()}


def _prefix(text: str) -> str:
    # Without the end, example.org would stand for example.org.evil.net as well.
    if not text.endswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end with a slash")
    return text


def _report(
    options: argparse.Namespace, decision: "Decision", held: "Sequence[Held]"
) -> dict[str, Any]:
    images = [image for each in held for image in each.images if image.pullable]
    unsettled = Counter(image.scan.unsettled for image in images if image.scan.unsettled)
    return {
        "threshold": options.threshold,
        "registries": [each.registry.key for each in held],
        "images": len(images),
        "findings": sum(image.scan.total for image in images),
        "unscanned": sum(
            not (image.scan.scanned or image.scan.unsettled or image.is_list) for image in images
        ),
        "unsettled": dict(sorted(unsettled.items())),
        "incomplete": list(decision.incomplete),
        "kept": sum(each.kept for each in decision.denied),
        "waived": decision.waived,
        "expiredWaivers": [str(each) for each in decision.expired],
        "unusedWaivers": [str(each) for each in decision.unused],
        "denied": [
            {
                "image": f"{each.name}@{each.digest}",
                "why": each.why,
                "kept": each.kept,
                "findings": [f"{finding.name} {finding.severity}" for finding in each.findings],
                "entries": list(each.entries),
            }
            for each in decision.denied
        ],
    }


def _show(report: Mapping[str, Any], *, as_json: bool) -> None:
    for each in report["expiredWaivers"]:
        _say(f"warning: this waiver has expired and covers nothing: {each}")
    for each in report["unusedWaivers"]:
        _say(f"note: this waiver covers nothing that there is: {each}")
    for each in report["incomplete"]:
        _say(
            f"warning: this list of images counts as unscanned, since not all of it is known: {each}"
        )
    for status, count in report["unsettled"].items():
        _say(
            f"warning: of {count:,} images the scan is {status}: what was denied before stays denied, "
            "and what was not is admitted unless unscanned images are denied"
        )
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
        return
    sys.stdout.write(
        f"{report['images']:,} images in {len(report['registries'])} registries, "
        f"{report['findings']:,} findings, {report['unscanned']:,} images without a scan\n"
        f"{len(report['denied']):,} images denied from {report['threshold']} on, "
        f"{report['kept']:,} of them for what was known before, {report['waived']:,} waived; {sum(report['entries'].values()):,} names in "
        f"{len(report['lists'])} lists\n"
        f"{report['calls']:,} calls in {report['seconds']} s\n"
    )


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
