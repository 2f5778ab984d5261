"""What was measured so far, in a file, so that a command that was interrupted goes on where it ended.

Owns the file's form: a first line that says of what it is, and a line for each image repository. A line that
was cut off by the interruption is left out. Never mixes measurements of two kinds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ecr.errors import EstateError
from ecr.usage.measure import Measured

JOURNAL_SCHEMA = 1


class Journal:
    """A file of measurements of these registries; ``layers`` says whether manifests were read.

    ``known`` are those that it has from before, by location.
    """

    def __init__(self, path: Path, registries: Sequence[str], *, layers: bool) -> None:
        self._path = path
        self._about = {
            "journal": JOURNAL_SCHEMA,
            "registries": sorted(registries),
            "sharedLayersOnce": layers,
        }
        self.known: Mapping[str, Measured] = {}

    def __enter__(self) -> Self:
        """Read what is there. Raises EstateError for a file that is of something else."""
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        if lines:
            self._check(lines[0])
        found = list(_measurements(lines[1:]))
        self.known = {each.location: each for each in found}
        # Written whole again, so that a line that was cut off does not stand in the middle.
        self._file = self._path.open("w", encoding="utf-8")
        self._line(self._about)
        for each in found:
            self.add(each)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; remove it where all was measured, for it would be out of date tomorrow."""
        self._file.close()
        if error is None:
            self._path.unlink()

    def add(self, measured: Measured) -> None:
        """Keep one more measurement."""
        self._line(measured.to_json())

    def _line(self, value: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(value, separators=(",", ":")) + "\n")
        self._file.flush()

    def _check(self, line: str) -> None:
        try:
            about = json.loads(line)
        except ValueError:
            about = None
        if about != self._about:
            raise EstateError(
                "The measurements that were begun cannot be gone on with.",
                [f"{self._path}: is of other registries or options; remove it, or name another"],
            )


def _measurements(lines: Sequence[str]) -> Iterator[Measured]:
    for line in lines:
        try:
            yield Measured.of_json(json.loads(line))
        except (ValueError, TypeError):
            continue
