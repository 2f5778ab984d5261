"""Say what was changed in AWS by other hands since the last deployment.

Runs `pulumi refresh --preview-only`, which compares the engine's state with AWS: what is yet to be
deployed is no drift. The program is run for nothing but the roles by which it reads; where it stops, the
roles of the last deployment read. Options for the engine follow `--`. Exits 3
when there is drift. Changes nothing; a deployment with `--refresh` puts it right. The program also looks
for what the engine cannot see: replication rules that delete in replicas what their source deletes.
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecr.cli.comment import code, fitted, folded, listed, mark, number, plain
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import add_report_options, print_report
from ecr.engine.preview import diff, run_and_parse
from ecr.engine.types import TYPE_WORDS
from ecr.errors import EstateError

if TYPE_CHECKING:
    from ecr.engine.preview import EngineStep


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_report_options(parser, comment_for="an issue")
    parser.add_argument("engine", nargs="*", metavar="OPTION", help="options of `pulumi refresh`")


def run(options: argparse.Namespace) -> int:
    """Compare, and print what differs."""
    compare = ["refresh", "--preview-only"]
    asked = run_and_parse([*compare, "--run-program", *options.engine])
    if asked.code and "error" in asked.report:
        # A guard or a listing that stops the program is no reason to miss what others do in AWS.
        asked = run_and_parse([*compare, *options.engine])
    if asked.code:
        raise EstateError("AWS could not be compared with the state.", asked.preview.errors)
    steps = asked.preview.steps
    deletions = asked.report.get("replicatedDeletions", [])
    print_report(
        options,
        drift_document(steps, deletions),
        comment=lambda: drift_comment(steps, deletions),
        text=lambda: drift_text(steps, deletions),
    )
    return FOUND if steps or deletions else 0


def drift_document(
    steps: Iterable["EngineStep"], deletions: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the drift as plain data: each resource, and what AWS has instead of what it should.

    ``deletions`` are what the run report calls replicatedDeletions: the engine does not see them.
    """
    return {
        "drift": [_described(step) for step in steps],
        "replicatedDeletions": list(deletions),
    }


def _described(step: "EngineStep") -> dict[str, Any]:
    return {
        "what": TYPE_WORDS.get(step.kind, step.kind),
        "where": step.name,
        "gone": step.operation == "delete",
        "changed": {
            each.path: {"deployed": each.old, "inAws": each.new} for each in step.properties
        },
    }


def _line(found: Mapping[str, Any]) -> str:
    if found["gone"]:
        return f"{found['what']} {found['where']}: is gone"
    return f"{found['what']} {found['where']}: {', '.join(found['changed']) or 'changed'}"


def drift_text(
    steps: Iterable["EngineStep"], deletions: Sequence[Mapping[str, Any]] = ()
) -> Iterator[str]:
    """Yield the drift for a terminal."""
    yield from (f"{each['means']}\n" for each in deletions)
    found = drift_document(steps)["drift"]
    for each in found:
        yield f"{_line(each)}\n"
        for path, values in each["changed"].items():
            yield f"  {path}: {values['deployed']} was deployed, {values['inAws']} is in AWS\n"
    if found:
        yield f"Drift: {number(len(found), 'resource')}; `pulumi up --refresh --run-program` puts that right.\n"
    elif not deletions:
        yield "No drift: AWS is as it was deployed.\n"


def drift_comment(
    steps: Iterable["EngineStep"], deletions: Sequence[Mapping[str, Any]] = ()
) -> Iterator[str]:
    """Yield the drift as the text of an issue."""
    every = list(steps)
    found = drift_document(every)["drift"]
    stack = os.environ.get("PULUMI_STACK", "")
    warned = [f"> [!WARNING]\n> {plain(each['means'])}" for each in deletions]
    if not found:
        said = warned or ["No drift any more: AWS is as it was deployed."]
        yield fitted([mark("drift", stack), *said])
        return
    gone = [each["where"] for each in found if each["gone"] and each["what"] == "image repository"]
    lines = [f"- {plain(each['what'])} {code(each['where'])}" + _after(each) for each in found[:50]]
    yield fitted(
        [
            mark("drift", stack),
            *warned,
            (
                f"The stack {code(stack)} deployed {number(len(found), 'resource')} that AWS has no "
                "longer as deployed. The next deployment with `--refresh` puts everything right."
            ),
            (
                f"> [!CAUTION]\n> {number(len(gone), 'image repository')} and the images in "
                f"{'it' if len(gone) == 1 else 'them'} were deleted; what is made again is empty."
                if gone
                else ""
            ),
            "\n".join(lines),
            folded("What AWS has instead of what was deployed", diff(every), "diff"),
        ]
    )


def _after(found: Mapping[str, Any]) -> str:
    return " is gone" if found["gone"] else f": {listed(list(found['changed']))}"
