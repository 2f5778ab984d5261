"""The operator's command line: ``ecr-estate COMMAND``, or ``python -m ecr COMMAND``.

Owns how commands are found and called; each is a module of ``ecr.cli.commands``. Reads nothing of its
own, and deploys nothing: that is ``pulumi up``.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from textwrap import fill

from ecr import __version__
from ecr.cli.commands import command, summaries
from ecr.cli.completion import SHELLS, completion_script
from ecr.cli.exit_codes import EXPLAINED, FAILED, MISUSED
from ecr.cli.guidance import GUIDANCE
from ecr.cli.table import emphasised, printable
from ecr.errors import EstateError, UsageError


def command_line(wanted: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; what it parses has the command as ``run``.

    Only the command ``wanted`` is imported and gets its options; without it, every command is.
    """
    parser = argparse.ArgumentParser(
        prog="ecr-estate",
        description="What an operator does beside deploying the estate.",
        epilog=EXPLAINED,
    )
    parser.add_argument("--version", action="version", version=f"ecr-estate {__version__}")
    parser.add_argument(
        "--completion",
        choices=SHELLS,
        help="print a script that completes commands and options in a shell, and end",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, about in summaries().items():
        page, example = GUIDANCE[name]
        added = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog=f"example: {parser.prog} {name} {example}\npage: docs/{page}\n\n{fill(EXPLAINED)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if wanted in {None, name}:
            module = command(name)
            module.configure(added)
            added.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; for an error, its text goes to standard error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    wanted = next((each for each in given if not each.startswith("-")), "")
    if not given:
        command_line("").print_help()
        return 0
    if given[0] == "--completion" and given[1:] in [[shell] for shell in SHELLS]:
        sys.stdout.write(completion_script(command_line(), given[1]))
        return 0
    options = command_line(wanted).parse_args(given)
    failed = FAILED
    try:
        code: int = options.run(options)
        # What cannot be written any more is to be noticed here, and not when Python ends.
        sys.stdout.flush()
    except UsageError as error:
        failed = MISUSED
        said = str(error)
    except EstateError as error:
        said = str(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        _discard_output()
        return FAILED
    except OSError as error:
        _discard_output()
        where = error.filename or "the output"
        what = "A file cannot be read or written, or a command not run."
        said = str(EstateError(what, [f"{where}: {error.strerror or error}"]))
    except RecursionError:
        said = "What was given is nested too deeply; nothing was done with it."
    else:
        return code
    problem, *rest = map(printable, said.splitlines())
    sys.stderr.write("".join(f"{line}\n" for line in (emphasised(problem), *rest)))
    return failed


def _discard_output() -> None:
    """Let Python's own last flush go nowhere: whoever read it has gone, or its disk is full."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
