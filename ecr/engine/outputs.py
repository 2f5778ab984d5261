"""A stack's outputs as an operator's command is given them: what `pulumi stack output --json` printed.

Owns their reading, whole or not at all, and the one error of those that cannot be used. Imports no
engine: how a deployment reads what the last one left is ``ecr.engine.last_outputs``'s.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ecr.engine.stack_file import read_text
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger, Source, parse_ledger
from ecr.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class LeftOutEntry:
    """A repository that was selected and could not be placed, by its GitHub id, and why."""

    id: int
    repository: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a stack's outputs say of the estate.

    ``image_repositories`` and ``replicas`` map each service, and each further image of one, to its
    URLs, in the order of ``stages``, which is that of promotion. ``deselected`` counts repositories by
    the reason, and ``unselected`` names them; outputs of an older version name none.
    """

    ledger: Ledger
    registries: tuple[Registry, ...]
    image_repositories: Mapping[str, tuple[str, ...]]
    replicas: Mapping[str, tuple[str, ...]]
    stages: tuple[str, ...]
    left_out: tuple[LeftOutEntry, ...]
    deselected: Mapping[str, int]
    unselected: tuple[LeftOutEntry, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the outputs in a file. Raises EstateError, naming the file and the remedy."""
        remedy = f"write it anew by `pulumi stack output --json > {path}`"
        return cls.parse(read_text(path), str(path), remedy)

    @classmethod
    def parse(cls, text: str, where: str, remedy: str) -> Self:
        """Return the outputs that a text is, which comes from ``where``. Raises EstateError."""
        source = Source("The stack's outputs cannot be read.", where, remedy)
        try:
            outputs = json.loads(text)
        except ValueError as error:
            raise source.refusal(f"it is no JSON ({error})") from None
        return cls.of(outputs, source)

    @classmethod
    def of(cls, outputs: object, source: Source) -> Self:
        """Return what plain outputs say. Raises EstateError of the source."""
        if not isinstance(outputs, Mapping):
            raise source.refusal("it is no JSON map")
        if outputs.get("ledger") is None:
            raise source.refusal("it has no ledger")
        ledger = parse_ledger(outputs["ledger"], source)
        try:
            report = outputs["report"]
            return cls(
                ledger,
                tuple(Registry.parse(key) for key in report["registries"]),
                _urls(outputs["imageRepositories"]),
                _urls(outputs["replicas"]),
                tuple(str(stage) for stage in report["stages"]),
                _left_out(outputs["leftOut"]),
                {str(reason): int(count) for reason, count in report["deselected"].items()},
                _left_out(outputs.get("deselected", [])),
            )
        except KeyError as error:
            raise source.refusal(f"it has no {error.args[0]}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise source.refusal(f"a value is damaged ({error})") from error
        except EstateError as error:
            raise source.refusal(error.offences[0]) from error


def _left_out(output: Iterable[Mapping[str, Any]]) -> tuple[LeftOutEntry, ...]:
    """Return repositories with the reasons why they are no services."""
    return tuple(
        LeftOutEntry(int(each["id"]), str(each["repository"]), str(each["reason"]))
        for each in output
    )


def _urls(output: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return URLs by name. Raises ValueError for what is none."""
    found = {name: tuple(urls) for name, urls in output.items() if not isinstance(urls, str)}
    if found.keys() != output.keys() or not all(
        isinstance(url, str) and "/" in url for urls in found.values() for url in urls
    ):
        raise ValueError("a URL is none")
    return found
