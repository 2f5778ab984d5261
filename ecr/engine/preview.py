"""The engine's previews: what `pulumi preview --json` and `pulumi refresh --json` say they would do.

Owns the reading of what the engine prints, and its steps as lines of a diff. Reads no state and decides
nothing.
"""

import json
import os
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecr.engine.command import run_engine
from ecr.engine.invoke import REPORT
from ecr.engine.types import REPOSITORY
from ecr.errors import EstateError

UNTOUCHED = frozenset({"same", "refresh", "read", "read-replacement", "discard"})
"""Operations that change nothing in AWS."""

SIGNS = {"create": "+", "import": "=", "delete": "-", "update": "!", "replace": "!"}
"""What a line of the diff begins with; the rest of the engine's operations are named in full."""

HIDDEN = frozenset({"tagsAll"})
"""Properties that only repeat others."""

LONGEST_VALUE = 160
"""Characters of a value that a line shows."""


@dataclass(frozen=True, slots=True)
class Property:
    """A property that changes: its path, and both values as JSON, None where there is none.

    A path that ends in ``[]`` is an item that a list gains or loses, whatever its place.
    """

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class EngineStep:
    """One step: the operation, the engine's type and logical name, and what changes."""

    operation: str
    kind: str
    name: str
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class EnginePreview:
    """What the engine said: the steps that change something, all counts, and its errors."""

    steps: tuple[EngineStep, ...]
    counts: Mapping[str, int]
    errors: tuple[str, ...]
    seconds: float

    def of_image_repositories(self) -> Counter[str]:
        """Return how many image repositories each operation is for."""
        return Counter(each.operation for each in self.steps if each.kind == REPOSITORY)


@dataclass(frozen=True, slots=True)
class EngineRun:
    """What came of running the engine: its exit code, its preview, and the program's run report."""

    arguments: tuple[str, ...]
    code: int
    preview: EnginePreview
    report: Mapping[str, Any]


def run_and_parse(arguments: Sequence[str]) -> EngineRun:
    """Run `pulumi` with the arguments and read its preview, and the report of the program's run.

    Raises EstateError when there is no engine, or nothing that it said can be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A report that was asked for is written where it was asked for.
        file = Path(os.environ.get(REPORT) or Path(folder) / "report.json")
        file.unlink(missing_ok=True)
        done = run_engine([*arguments, "--json"], {REPORT: str(file)})
        report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    preview = parse_preview_json(done.stdout)
    if preview is None or (done.returncode and not preview.errors and "error" not in report):
        said = [*done.stderr.splitlines(), *(() if preview else done.stdout.splitlines())]
        raise EstateError(
            f"The engine could not {arguments[0]}.",
            [line for line in said if line.strip()][-20:] or ["it said nothing; run it by hand"],
        )
    return EngineRun(tuple(arguments), done.returncode, preview, report)


def parse_preview_json(text: str) -> EnginePreview | None:
    """Read what the engine printed; None where there is no preview in it."""
    # Warnings of the command line may stand before it.
    start = re.search(r"^\{", text, re.MULTILINE)
    if start is None:
        return None
    try:
        said, _ = json.JSONDecoder().raw_decode(text, start.start())
    except ValueError:
        return None
    if "changeSummary" not in said and "diagnostics" not in said:
        return None
    return EnginePreview(
        steps=tuple(
            sorted(
                map(_step, (each for each in said.get("steps") or () if _changes(each))),
                key=lambda step: (step.name, step.kind),
            )
        ),
        counts=_counts(said),
        errors=_said(said, "error") or _said(said, "info#err"),
        seconds=said.get("duration", 0) / 1e9,
    )


def _said(said: Mapping[str, Any], severity: str) -> tuple[str, ...]:
    """Return the messages of a severity; "info#err" is what the program wrote to its standard error."""
    messages = (
        re.sub(r"<\{%.*?%\}>", "", each["message"]).strip()
        for each in said.get("diagnostics") or ()
        if each["severity"] == severity
    )
    return tuple(message for message in messages if message)


def _counts(said: Mapping[str, Any]) -> dict[str, int]:
    """Return the engine's own counts, without the providers, which are nothing in AWS."""
    counts = Counter(said.get("changeSummary") or {})
    counts.subtract(
        step["op"]
        for step in said.get("steps") or ()
        if "::pulumi:providers:" in step["urn"] and step["op"] not in UNTOUCHED
    )
    return {operation: count for operation, count in counts.items() if count > 0}


def _changes(step: Mapping[str, Any]) -> bool:
    # The engine shows the stack itself whatever becomes of it, and a preview may read by other roles
    # than a deployment, which is a change of a provider and of nothing in AWS.
    chain = step["urn"].split("::", 3)[2]
    return step["op"] not in UNTOUCHED and not chain.startswith(
        ("pulumi:pulumi:Stack", "pulumi:providers:")
    )


def _step(step: Mapping[str, Any]) -> EngineStep:
    _, _, chain, name = step["urn"].split("::", 3)
    old, new = (step.get(state) or {} for state in ("oldState", "newState"))
    paths = step.get("detailedDiff") or dict.fromkeys(step.get("diffReasons") or ())
    shown = sorted(path for path in paths if re.split(r"[.\[]", path)[0] not in HIDDEN)
    return EngineStep(
        operation=step["op"],
        kind=chain.rpartition("$")[2],
        name=name,
        properties=tuple(_properties(old, new, shown)),
    )


def _properties(
    old: Mapping[str, Any], new: Mapping[str, Any], paths: Sequence[str]
) -> Iterator[Property]:
    """Yield what changes; of a list of which several places do, the items that come and go.

    The engine compares lists place by place: with one item less, every later place has changed.
    """
    lists: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        place = re.match(r".*\[(?=\d+\])", path)
        lists[place[0] if place else path].append(path)
    for path, changed in lists.items():
        moved: list[Property] = []
        if len({each[len(path) :].partition("]")[0] for each in changed}) > 1:
            before, after = (_items(_value(state, path)) for state in (old, new))
            moved += [Property(f"{path}]", each, None) for each in (before - after).elements()]
            moved += [Property(f"{path}]", None, each) for each in (after - before).elements()]
        yield from moved or (
            Property(each, _value(old, each), _value(new, each)) for each in changed
        )


def _items(text: str | None) -> Counter[str]:
    """Return the items of a list that is JSON, each as JSON; none of what is no list."""
    items = json.loads(text or "[]")
    listed = items if isinstance(items, list) else []
    return Counter(json.dumps(each, ensure_ascii=False, sort_keys=True) for each in listed)


def _value(state: Mapping[str, Any], path: str) -> str | None:
    """Return the value at a path such as ``tags["team"]`` or ``rules[0].filter``, as JSON."""
    keys = [
        json.loads(quoted) if quoted else plain
        for quoted, plain in re.findall(r'("(?:[^"\\]|\\.)*")|([^.\[\]"]+)', path)
    ]
    # What a provider fills in stands among the outputs only.
    for values in (state.get("inputs") or {}, state.get("outputs") or {}):
        found: Any = values
        for key in keys:
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, dict) and key in found:
                found = found[key]
            else:
                break
        else:
            return json.dumps(_bare(found), ensure_ascii=False, sort_keys=True)
    return None


def _bare(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out what the engine keeps beside a provider's values for itself."""
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items() if not key.startswith("__")}
    return [_bare(each) for each in value] if isinstance(value, list) else value


def diff(steps: Iterable[EngineStep]) -> Iterator[str]:
    """Yield the steps as lines of a diff: created, deleted, imported, and what changes to what."""
    for step in steps:
        sign = SIGNS.get(step.operation, "!")
        named = "" if step.operation in SIGNS else f"{step.operation}: "
        yield f"{sign} {named}{step.kind.rpartition(':')[2]} {step.name}"
        for each in step.properties:
            yield f"!     {each.path}: {_shown(each.old)} => {_shown(each.new)}"


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."


def counted(counts: Mapping[str, int]) -> str:
    """Return the engine's own counts in a phrase."""
    words = {"same": "unchanged"}
    order = ("create", "import", "update", "replace", "delete")
    parts = [f"{counts[each]} to {each}" for each in order if counts.get(each)]
    parts += [
        f"{number} {words.get(each, each)}"
        for each, number in sorted(counts.items())
        if number and each not in order and each not in UNTOUCHED - {"same"}
    ]
    return ", ".join(parts) or "nothing to do"
