"""Say what the installed version would change in a stack that another version deployed.

Previews with the installed version, as `plan` does, and reads the changelog between the version that
deployed last and this one. What GitHub or the settings have changed since that deployment is in the preview, too:
deploy it with the old version first. Options for the engine follow `--`. Exits 3 where anything would change,
and 1 where something stops the deployment. Changes nothing.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecr import __version__
from ecr.cli.changelog import (
    BEFORE,
    FIRST_THAT_SAYS,
    UNRELEASED,
    between,
    numbers,
    read_changelog,
)
from ecr.cli.comment import code, fitted, folded, mark, number, plain
from ecr.cli.exit_codes import FAILED, FOUND
from ecr.cli.options import add_report_options, print_report
from ecr.cli.plan_text import plan_document, plan_sections, plan_text
from ecr.engine.command import engine_output
from ecr.engine.preview import UNTOUCHED, run_and_parse
from ecr.engine.types import TYPE_WORDS

if TYPE_CHECKING:
    from ecr.engine.preview import EngineRun


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--check", action="store_true", required=True, help="preview, and change nothing"
    )
    parser.add_argument("--stack", metavar="NAME", help="the stack, if not the one selected")
    parser.add_argument(
        "--config-file", metavar="FILE", help="its settings, if not in Pulumi.<stack>.yaml"
    )
    add_report_options(parser, comment_for="a code review")
    parser.add_argument("engine", nargs="*", metavar="OPTION", help="options of `pulumi preview`")


def run(options: argparse.Namespace) -> int:
    """Read the last version, preview, and print both."""
    which = ["--stack", options.stack] if options.stack else []
    remedy = "check --stack, the login and the passphrase"
    outputs = json.loads(
        engine_output(
            ["stack", "output", "--json", *which], "The stack's outputs cannot be read.", remedy
        )
    )
    file = ["--config-file", options.config_file] if options.config_file else []
    asked = run_and_parse(["preview", *which, *file, *options.engine])
    found = upgrade_document(outputs, asked)
    print_report(
        options,
        found,
        comment=lambda: upgrade_comment(found, asked),
        text=lambda: upgrade_text(found),
    )
    plan = found["plan"]
    waits = any(each["tripped"] for each in plan["guards"])
    if not waits and (plan["outcome"] != "previewed" or not plan["agrees"]):
        return FAILED
    # Outputs change with every version, by its number alone; they are no reason to look twice.
    return FOUND if waits or found["resources"] else 0


def upgrade_document(outputs: Mapping[str, Any], asked: "EngineRun") -> dict[str, Any]:
    """Return both versions, what the changelog says between them, and the plan, as plain data.

    ``deployed`` is None where nothing was deployed; a version that wrote no number is the first.
    """
    known = (outputs.get("report") or {}).get("program")
    deployed = known or (BEFORE if "ledger" in outputs else None)
    return {
        "deployed": deployed,
        "written": known is not None,
        "installed": __version__,
        "changelog": [
            {
                "version": each.version,
                "kind": each.kind,
                "changesAPlan": each.changes_a_plan,
                "text": each.text,
            }
            for each in (between(read_changelog(), deployed, __version__) if deployed else ())
        ],
        "resources": list(_resources(asked)),
        "plan": plan_document(asked),
    }


def _resources(asked: "EngineRun") -> Iterator[dict[str, Any]]:
    """Yield what happens to each kind of resource, and which of its properties change."""
    groups: dict[tuple[str, str], list[tuple[str, set[str]]]] = defaultdict(list)
    for step in asked.preview.steps:
        if step.operation not in UNTOUCHED:
            paths = {each.path.partition("[")[0].partition(".")[0] for each in step.properties}
            groups[step.operation, step.kind].append((step.name, paths))
    for (operation, kind), steps in sorted(groups.items()):
        yield {
            "operation": operation,
            "what": TYPE_WORDS.get(kind, kind.rpartition(":")[2]).removesuffix(" of"),
            "count": len(steps),
            "first": steps[0][0],
            "properties": sorted(set().union(*(paths for _, paths in steps))),
        }


def _versions(found: Mapping[str, Any]) -> str:
    deployed, installed = found["deployed"], found["installed"]
    if deployed is None:
        return f"nothing was deployed yet; {installed} is installed"
    said = deployed if found["written"] else f"a version before {FIRST_THAT_SAYS}"
    if numbers(deployed) > numbers(installed):
        return (
            f"{said} deployed it, and {installed}, an older one, is installed; what it takes back, "
            "the changelog of the newer one says"
        )
    return f"{said} deployed it, {installed} is installed"


def _entry(each: Mapping[str, Any]) -> str:
    version = "not released" if each["version"] == UNRELEASED else each["version"]
    return f"{version}, {each['kind'].lower()}: {each['text']}"


def _resource(each: Mapping[str, Any]) -> str:
    what = f"{each['operation']}: {number(each['count'], each['what'])}"
    changed = f" ({', '.join(each['properties'])})" if each["properties"] else ""
    return f"{what}{changed}, such as {each['first']}"


def _parted(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the entries that change a plan, and the others."""
    changing = [_entry(each) for each in found["changelog"] if each["changesAPlan"]]
    return changing, [_entry(each) for each in found["changelog"] if not each["changesAPlan"]]


def upgrade_text(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield it for a terminal."""
    yield f"Upgrade: {_versions(found)}.\n"
    changing, others = _parted(found)
    if changing:
        yield "The changelog, what changes a plan:\n"
        yield from (f"  - {each}\n" for each in changing)
    if others:
        yield "The changelog, the rest:\n"
        yield from (f"  - {each}\n" for each in others)
    if found["resources"]:
        yield "What a deployment would change, by kind:\n"
        yield from (f"  - {_resource(each)}\n" for each in found["resources"])
    yield from plan_text(found["plan"])


def upgrade_comment(found: Mapping[str, Any], asked: "EngineRun") -> Iterator[str]:
    """Yield it as a comment for a code review."""
    plan = found["plan"]
    stack = plan["stack"] or os.environ.get("PULUMI_STACK", "")
    changing, others = _parted(found)
    yield fitted(
        (
            mark("upgrade", stack),
            f"### Upgrade of {code(stack)}: {plain(_versions(found))}",
            "\n".join(f"- {plain(each)}" for each in changing),
            folded(f"The rest of the changelog, {len(others):,}", others),
            "\n".join(f"- {plain(_resource(each))}" for each in found["resources"]),
            *plan_sections(plan, asked, stack),
        )
    )
