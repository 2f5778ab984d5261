"""Say what the next deployment would do, with the reasons, and what the engine would do for it.

Runs `pulumi preview` and reads the program's own summary and the engine's preview of the same run, so
that the two can be compared. Options for the engine follow `--`, such as `-- --stack prod --refresh`.
Exits 3 when changes wait for a confirmation, or where `--expect-no-changes` finds any, and 1 when something
stops the deployment. A preview by a role that only reads is no change. Changes nothing.
"""

import argparse

from ecr.cli.exit_codes import FAILED, FOUND
from ecr.cli.options import add_report_options, print_report
from ecr.cli.plan_text import changes_anything, plan_comment, plan_document, plan_text
from ecr.engine.preview import run_and_parse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_report_options(parser, comment_for="a code review")
    parser.add_argument(
        "--expect-no-changes", action="store_true", help="exit 3 where anything would change"
    )
    parser.add_argument("engine", nargs="*", metavar="OPTION", help="options of `pulumi preview`")


def run(options: argparse.Namespace) -> int:
    """Preview, and print the plan."""
    asked = run_and_parse(["preview", *options.engine])
    plan = plan_document(asked)
    print_report(
        options, plan, comment=lambda: plan_comment(plan, asked), text=lambda: plan_text(plan)
    )
    if any(each["tripped"] for each in plan["guards"]):
        return FOUND
    if plan["outcome"] != "previewed" or not plan["agrees"]:
        return FAILED
    return FOUND if options.expect_no_changes and changes_anything(plan) else 0
