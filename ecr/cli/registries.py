"""Which registries a command looks at: the options that name them, and what they select.

Owns these options. Reads the stack's outputs from files. Asks nothing of AWS.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ecr.engine.outputs import Outputs
from ecr.errors import EstateError, UsageError
from ecr.registry.registry import ImageReference, Registry


@dataclass(frozen=True, slots=True)
class RegistrySelection:
    """The registries that a command is to look at.

    ``placements`` and ``replicas`` map names to the registries that hold them; they are empty where
    registries were given one by one. ``caches`` are the prefixes of the estate's pull-through caches, by
    "ACCOUNT/REGION", as far as the stacks' ledgers say.
    """

    registries: tuple[Registry, ...]
    placements: Mapping[str, tuple[Registry, ...]] = field(default_factory=dict)
    replicas: Mapping[str, tuple[Registry, ...]] = field(default_factory=dict)
    caches: Mapping[str, frozenset[str]] = field(default_factory=dict)


def add_registry_options(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command learns of the registries, and gets into them."""
    which = parser.add_argument_group("registries")
    which.add_argument(
        "--outputs",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="all registries of the stack, from what `pulumi stack output --json` printed; of an "
        "estate of several stacks, give the file of each",
    )
    which.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="ACCOUNT/REGION",
        help="one registry; may be given several times",
    )
    which.add_argument(
        "--role-name",
        metavar="NAME",
        help="the role to assume in each account; without it the environment's credentials are used",
    )


def add_name_options(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command is kept to some of a registry's image repositories."""
    parser.add_argument(
        "--image-repository",
        action="append",
        metavar="NAME",
        help="of a registry only this image repository; may be given several times",
    )
    # Understood for this version: a repository is GitHub's everywhere else.
    parser.add_argument(
        "--repository",
        dest="image_repository",
        action="append",
        type=_by_its_old_name,
        help=argparse.SUPPRESS,
    )


def _by_its_old_name(name: str) -> str:
    """Return the value of an option that was given by its old name, and say the new one."""
    sys.stderr.write("--repository is now --image-repository; the old name ends with version 0.3\n")
    return name


def selected_registries(options: argparse.Namespace) -> RegistrySelection:
    """Return the registries that the options name. Raises UsageError where there is none."""
    parts = [*map(_estate_of, options.outputs), RegistrySelection(registries_of(options.registry))]
    selection = RegistrySelection(
        tuple(dict.fromkeys(chain.from_iterable(part.registries for part in parts))),
        {name: held for part in parts for name, held in part.placements.items()},
        {name: held for part in parts for name, held in part.replicas.items()},
        {key: held for part in parts for key, held in part.caches.items() if held},
    )
    if not selection.registries:
        raise UsageError(
            "No registry is named.",
            ["give --outputs with a file of `pulumi stack output --json`, or --registry"],
        )
    return selection


def registries_of(texts: Iterable[str]) -> tuple[Registry, ...]:
    """Read "ACCOUNT/REGION" of each text of an option, once. Raises UsageError."""
    try:
        return tuple(Registry.parse(text) for text in dict.fromkeys(texts))
    except EstateError as error:
        raise UsageError(error.problem, error.offences) from error


def _estate_of(file: Path) -> RegistrySelection:
    outputs = Outputs.read(file)
    return RegistrySelection(
        outputs.registries,
        _located(outputs.image_repositories),
        _located(outputs.replicas),
        {each.key: outputs.ledger.caches(each.key) for each in outputs.registries},
    )


def _located(urls: Mapping[str, Sequence[str]]) -> dict[str, tuple[Registry, ...]]:
    found = {name: [ImageReference.parse(url) for url in each] for name, each in urls.items()}
    return {name: tuple(one.registry for one in each if one) for name, each in found.items()}
