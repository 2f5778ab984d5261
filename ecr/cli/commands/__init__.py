"""The operator's commands, one module each.

A module here is a command of its own name. The first line of its docstring is its help;
``configure(parser)`` adds its options, and ``run(options)`` does it and returns the exit code.
Summaries are read from the files, so that only the command that is asked for is imported.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

_FOLDER = Path(__file__).parent


def summaries() -> dict[str, str]:
    """Return the first line of each command's docstring by the command's name, in their order."""
    return {
        file.stem: file.read_text(encoding="utf-8").split('"""', 2)[1].partition("\n")[0]
        for file in sorted(_FOLDER.glob("[a-z]*.py"))
    }


def command(name: str) -> ModuleType:
    """Import the module of one command, and no other."""
    return import_module(f"{__name__}.{name}")


def operations() -> dict[str, ModuleType]:
    """Return every command's module by the command's name."""
    return {name: command(name) for name in summaries()}
