"""The operator's command line: ``python -m ecr COMMAND``.

Owns how commands are found and called; each is a module of ``ecr.operations``. Reads nothing of its
own, and deploys nothing: that is ``pulumi up``.
"""

import argparse
import sys
from collections.abc import Sequence

from ecr.errors import EstateError
from ecr.operations import operations


def command_line() -> argparse.ArgumentParser:
    """Give the parser of all commands; what it parses has the command as ``run``."""
    parser = argparse.ArgumentParser(
        prog="python -m ecr", description="What an operator does beside deploying the estate."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, operation in operations().items():
        about = str(operation.__doc__).partition("\n")[0]
        command = commands.add_parser(name, help=about, description=about)
        operation.configure(command)
        command.set_defaults(run=operation.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; 1, and the error's text, for an EstateError."""
    options = command_line().parse_args(arguments)
    try:
        code: int = options.run(options)
    except EstateError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
