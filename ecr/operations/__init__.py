"""The operator's commands, one module each.

A module here is a command of its own name. The first line of its docstring is its help;
``configure(parser)`` adds its options, and ``run(options)`` does it and gives the exit code. What a
command needs beyond the standard library it imports when it runs, so that ``--help`` stays quick.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def operations() -> dict[str, ModuleType]:
    """Give every command's module by the command's name."""
    return {
        module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)
    }
