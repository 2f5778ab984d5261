"""Say what the next deployment would do, with the reasons, and what the engine would do for it.

Runs `pulumi preview` and reads the program's own summary and the engine's preview of the same run, so
that the two can be compared. Options for the engine follow `--`, such as `-- --stack prod --refresh`.
Exits 3 when changes wait for a confirmation, or where `--expect-no-changes` finds any, and 1 when something
stops the deployment. A preview by a role that only reads is no change. Changes nothing.
"""

import argparse
import json
import sys
from pathlib import Path

from ecr.cli.exit_codes import FAILED, FOUND
from ecr.cli.plan_text import changes_anything, plan_comment, plan_document, plan_text
from ecr.engine.preview import run_and_parse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print everything as JSON")
    form.add_argument("--comment", action="store_true", help="print Markdown for a code review")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write JSON to a file as well")
    parser.add_argument(
        "--expect-no-changes", action="store_true", help="exit 3 where anything would change"
    )
    parser.add_argument("engine", nargs="*", metavar="OPTION", help="options of `pulumi preview`")


def run(options: argparse.Namespace) -> int:
    """Preview, and print the plan."""
    asked = run_and_parse(["preview", *options.engine])
    plan = plan_document(asked)
    whole = json.dumps(plan, indent=2, ensure_ascii=False) + "\n"
    if options.output:
        options.output.write_text(whole, encoding="utf-8")
    if options.json:
        sys.stdout.write(whole)
    else:
        sys.stdout.write("".join(plan_comment(plan, asked) if options.comment else plan_text(plan)))
    if any(each["tripped"] for each in plan["guards"]):
        return FOUND
    if plan["outcome"] != "previewed" or not plan["agrees"]:
        return FAILED
    return FOUND if options.expect_no_changes and changes_anything(plan) else 0
