"""The operator's command line: ``python -m ecr COMMAND``.

Owns how commands are found and called; each is a module of ``ecr.operations``. Reads nothing of its
own, and deploys nothing: that is ``pulumi up``.
"""

import argparse
import os
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
    """Run one command and give its exit code; 1, and the error's text, for what an operator can mend."""
    options = command_line().parse_args(arguments)
    try:
        code: int = options.run(options)
        # What cannot be written any more is to be noticed here, and not when Python ends.
        sys.stdout.flush()
    except EstateError as error:
        said = str(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        _discard_output()
        return 1
    except OSError as error:
        _discard_output()
        where = error.filename or "the output"
        what = "A file cannot be read or written, or a command not run."
        said = str(EstateError(what, [f"{where}: {error.strerror or error}"]))
    except RecursionError:
        said = "What was given is nested too deeply; nothing was done with it."
    else:
        return code
    sys.stderr.write(f"{said}\n")
    return 1


def _discard_output() -> None:
    """Let Python's own last flush go nowhere: whoever read it has gone, or its disk is full."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main())
