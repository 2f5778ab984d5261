"""Deploy the services of a few repositories at once, with the whole estate planned and checked.

Runs `pulumi preview`, or `pulumi up` with `--yes`, with the engine's targets. It reads the stack's settings,
and asks GitHub for the ids of the repositories. Whatever else has changed waits for the next deployment of the
whole estate, which this command says. Use the credentials of that deployment.
"""

import argparse
import asyncio
import sys

from ecr.cli.comment import number
from ecr.cli.exit_codes import FAILED
from ecr.engine.command import run_engine
from ecr.engine.invoke import ONLY
from ecr.engine.stack import repositories_named, stack_options, stack_settings
from ecr.plan.part import PartOfEstate


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "repositories", nargs="+", metavar="REPOSITORY", help="a repository of the organisation"
    )
    parser.add_argument("--stack", metavar="NAME", help="the stack, if not the one selected")
    parser.add_argument(
        "--config-file", metavar="FILE", help="its settings, if not in Pulumi.<stack>.yaml"
    )
    parser.add_argument("--yes", action="store_true", help="deploy; without it, preview only")
    parser.add_argument("--json", action="store_true", help="print what the engine does as JSON")


def run(options: argparse.Namespace) -> int:
    """Find the repositories, and let the engine deploy their services."""
    settings = stack_settings(options.stack, options.config_file)
    found = asyncio.run(repositories_named(options.repositories, settings))
    part = PartOfEstate({each.id: each.name for each in found})
    told = sys.stderr if options.json else sys.stdout
    told.write(
        f"{'Deploying' if options.yes else 'Previewing'} {number(len(found), 'service')}: "
        f"{', '.join(f'{each.name} ({each.id})' for each in found)}\n"
    )
    told.flush()
    act = ["up", "--yes", "--skip-preview"] if options.yes else ["preview"]
    done = run_engine(
        [
            *act,
            *stack_options(options.stack, options.config_file),
            "--suppress-outputs",
            *(("--json",) if options.json else ()),
            *(word for each in part.targets(settings) for word in ("--target", each)),
        ],
        {ONLY: str(part)},
        shown=True,
    )
    if not done.returncode and not options.yes:
        told.write("To deploy this, run the same command with --yes.\n")
    return FAILED if done.returncode else 0
