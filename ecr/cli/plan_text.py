"""A preview as an operator reads it: as plain data, as text for a terminal, and as a comment.

Owns how the program's own summary and the engine's preview of the same run are laid side by side. Runs
nothing.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecr.cli.comment import code, fitted, folded, json_diff, listed, mark, number, plain, spoken
from ecr.engine.preview import UNTOUCHED, counted, diff
from ecr.plan.changes import MEANINGS

if TYPE_CHECKING:
    from ecr.engine.preview import EngineRun

FIRST = 5
"""How many reasons of a kind are shown."""


def changes_anything(plan: Mapping[str, Any]) -> bool:
    """Return whether a deployment would change a resource or an output; providers are neither."""
    counted = any(count for each, count in plan["engine"].items() if each not in UNTOUCHED)
    return counted or plan["report"].get("outputsChanged", True)


def plan_document(asked: "EngineRun") -> dict[str, Any]:
    """Return the plan as plain data: the program's changes, the engine's counts, and what stops it."""
    report, preview = asked.report, asked.preview
    changes = report.get("changes", {})
    steps = preview.of_image_repositories()
    refreshed = any(each in {"--refresh", "-r"} for each in asked.arguments)
    planned = {
        "create": _count(changes, "created") + (_count(changes, "missing") if refreshed else 0),
        "import": _count(changes, "taken up"),
        "delete": _count(changes, "deleted"),
    }
    engine = {operation: steps[operation] for operation in (*planned, "update")}
    error = report.get("error")
    if asked.code and not error:
        error = {"step": "engine", "problem": "The preview failed.", "offences": preview.errors}
    return {
        "stack": report.get("stack", ""),
        "outcome": "stopped" if error else "previewed",
        "changes": changes,
        "guards": report.get("guards", []),
        "waitingSettings": report.get("waitingSettings", []),
        "replacedSettings": report.get("replacedSettings", []),
        "standing": report.get("standing", []),
        "replicatedDeletions": report.get("replicatedDeletions", []),
        "error": error,
        "imageRepositories": {"planned": planned, "engine": engine},
        "agrees": bool(error) or all(engine[each] == planned[each] for each in planned),
        "engine": dict(preview.counts),
        "seconds": preview.seconds,
        "report": report,
    }


def _count(changes: Mapping[str, Any], what: str) -> int:
    count: int = changes.get(what, {}).get("imageRepositories", 0)
    return count


def _heading(plan: Mapping[str, Any]) -> str:
    if plan["error"]:
        return "stopped, nothing would be changed"
    settings, replaced = len(plan["waitingSettings"]), len(plan["replacedSettings"])
    said = [
        *(f"{guard['count']:,} waiting" for guard in _waiting(plan)),
        *([f"{number(settings, 'setting')} of registries waiting"] if settings else []),
        *([f"{number(replaced, 'setting')} of registries replaced"] if replaced else []),
        *(f"{kind['services']:,} {what}" for what, kind in plan["changes"].items()),
    ]
    return ", ".join(said) or "no service changes"


def plan_text(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield the plan for a terminal."""
    yield f"Plan of {plan['stack']}: {_heading(plan)}\n"
    for what, kind in plan["changes"].items():
        held = kind["imageRepositories"]
        holding = f", {number(held, 'image repository')}" if held else ""
        yield f"{what}: {number(kind['services'], _unit(what))}{holding}; {MEANINGS[what]}\n"
        reasons = list(kind["reasons"].items())
        for reason, names in reasons[:FIRST]:
            rest = f" and {len(names) - FIRST:,} more" if len(names) > FIRST else ""
            yield f"  {reason}: {', '.join(names[:FIRST])}{rest}\n"
        if len(reasons) > FIRST:
            yield f"  and {len(reasons) - FIRST:,} more reasons\n"
    if plan["error"]:
        yield f"{plan['error']['problem']}\n"
        yield from (f"  - {offence}\n" for offence in plan["error"]["offences"])
        return
    for guard in _waiting(plan):
        yield f"waiting: {_held(guard)}\n"
        yield from (f"  - {offence}\n" for offence in _first(guard["offences"]))
    if waiting := plan["waitingSettings"]:
        yield f"waiting: {_of_other_hands(waiting)}\n"
        yield from _settings_lines(waiting)
    if replaced := plan["replacedSettings"]:
        yield f"replaced: {_replaced(replaced)}\n"
        yield from _settings_lines(replaced)
    if standing := plan["standing"]:
        yield f"left alone: {_left_alone(standing)}\n"
        yield from (f"  - {each['note']}\n" for each in standing)
    for each in plan["replicatedDeletions"]:
        yield f"found: {each['means']}\n"
    yield f"The engine: {counted(plan['engine'])}.\n"
    yield f"{_agreement(plan)}\n"


def _waiting(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the guards that hold what they counted until somebody confirms it."""
    return [each for each in plan["guards"] if each["tripped"]]


def _held(guard: Mapping[str, Any]) -> str:
    return (
        f"{guard['count']:,} of {guard['among']:,} {guard['what']} at once, more than "
        f"{guard['allowed']:,}. They are held as they are, and everything else is deployed. To let "
        f"exactly these through, set `confirm.{guard['guard']}` to {guard['count']} for one deployment."
    )


def _of_other_hands(waiting: Sequence[Mapping[str, str]]) -> str:
    registries = sorted({each["registry"] for each in waiting})
    settings = sorted({each["setting"] for each in waiting})
    return (
        f"{number(len(waiting), 'setting')} of registries, made by other hands, left as they are, and "
        f"everything else is deployed. To have them replaced, set `registries.adopted: "
        f"{json.dumps(registries)}`; to leave them for good, `registries.unmanaged: "
        f"{json.dumps(settings)}`."
    )


def _replaced(settings: Sequence[Mapping[str, str]]) -> str:
    return (
        f"{number(len(settings), 'setting')} of registries, made by other hands, which this deployment replaces "
        "whole, for `registries.adopted` names their registries."
    )


def _settings_lines(settings: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for each in settings:
        yield f"  - {each['registry']}, {each['setting']}\n"
        yield from (f"    {line}\n" for line in json_diff(each["now"], each["then"]))


def _settings_diff(settings: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for each in settings:
        yield f"! {each['setting']} of {each['registry']}"
        yield from json_diff(each["now"], each["then"])


def _left_alone(standing: Sequence[Mapping[str, str]]) -> str:
    counts = Counter(each["kind"] for each in standing)
    said = ", ".join(number(count, kind) for kind, count in counts.items())
    return (
        f"Left as they are: {said}. They stand where this stack would have its own, or nothing needs them "
        "any more, and everything else is deployed. `ecr-estate adopt` shows each."
    )


def _first(offences: Sequence[str]) -> Iterator[str]:
    yield from offences[:FIRST]
    if len(offences) > FIRST:
        yield f"and {len(offences) - FIRST:,} more"


def _unit(what: str) -> str:
    return "repository" if what == "left out" else "service"


def _agreement(plan: Mapping[str, Any]) -> str:
    planned, engine = (plan["imageRepositories"][each] for each in ("planned", "engine"))
    if plan["agrees"]:
        said = [f"{each}s {number:,}" for each, number in engine.items() if number]
        return f"Of the image repositories, the engine {', '.join(said) or 'changes none'}; the plan agrees."
    differing = [
        f"{planned[each]:,} to {each} by the plan, {engine[each]:,} by the engine"
        for each in planned
        if planned[each] != engine[each]
    ]
    return (
        f"The plan and the engine differ on image repositories: {'; '.join(differing)}. The state is "
        "not what the ledger says; see docs/runbooks/recover-from-a-crash.md."
    )


def plan_comment(plan: Mapping[str, Any], asked: "EngineRun") -> Iterator[str]:
    """Yield the plan as a comment for a code review."""
    stack = plan["stack"] or os.environ.get("PULUMI_STACK", "")
    yield fitted((mark("plan", stack), *plan_sections(plan, asked, stack)))


def plan_sections(plan: Mapping[str, Any], asked: "EngineRun", stack: str) -> Iterator[str]:
    """Yield the parts of the comment, the heading first."""
    yield f"### Plan of {code(stack)}: {_heading(plan)}"
    if plan["error"]:
        kind = "WARNING" if plan["guards"] else "CAUTION"
        yield f"> [!{kind}]\n> {plain(plan['error']['problem'])}"
        offences = plan["error"]["offences"]
        yield folded(f"What stops it, {len(offences):,}", offences)
        return
    for guard in _waiting(plan):
        yield f"> [!WARNING]\n> {spoken(_held(guard))}"
        yield folded(f"What waits, {guard['count']:,}", guard["offences"])
    if waiting := plan["waitingSettings"]:
        yield f"> [!WARNING]\n> {spoken(_of_other_hands(waiting))}"
        yield folded("What stands, and what is planned", _settings_diff(waiting), "diff")
    if replaced := plan["replacedSettings"]:
        yield f"> [!WARNING]\n> {spoken(_replaced(replaced))}"
        yield folded("What stands, and what replaces it", _settings_diff(replaced), "diff")
    if standing := plan["standing"]:
        yield f"> [!NOTE]\n> {spoken(_left_alone(standing))}"
        yield "\n".join(f"- {spoken(each['note'])}" for each in standing[:FIRST])
        yield folded(
            f"The other {len(standing) - FIRST:,}", [each["note"] for each in standing[FIRST:]]
        )
    for each in plan["replicatedDeletions"]:
        yield f"> [!WARNING]\n> {plain(each['means'])}"
        yield folded(f"Replicas that it reaches, {len(each['replicas']):,}", each["replicas"])
    if plan["changes"]:
        yield "\n".join(_rows(plan["changes"]))
    yield (
        f"The engine: **{counted(plan['engine'])}**, in {plan['seconds']:.0f} s. "
        f"{plain(_agreement(plan))}"
    )
    steps = asked.preview.steps
    yield folded(f"The engine's diff, {number(len(steps), 'resource')}", diff(steps), "diff")


def _rows(changes: Mapping[str, Any]) -> Iterator[str]:
    yield "| | services | image repositories | the first, and why |"
    yield "|---|---:|---:|---|"
    for what, kind in changes.items():
        reasons = list(kind["reasons"].items())
        cells = [f"{listed(names)}: {spoken(reason)}" for reason, names in reasons[:FIRST]]
        if len(reasons) > FIRST:
            cells.append(f"and {len(reasons) - FIRST:,} more reasons")
        yield (
            f"| **{what}**: {MEANINGS[what]} "
            f"| {kind['services']:,} | {kind['imageRepositories'] or '-'} | {'<br>'.join(cells)} |"
        )
