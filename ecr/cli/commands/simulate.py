"""Say what a lifecycle policy does to images, now and in the days to come, and delete nothing.

Owns the report of a simulation. Reads images and policies from files or from live registries. Changes
nothing; with --check it has ECR itself preview the policy, which deletes nothing either.
"""

import argparse
import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

from ecr.aws.images import described_images, names_of, policy_of, with_parts
from ecr.aws.session import Aws, aws_errors_as
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import int_between, refuse_unused_options
from ecr.cli.registries import add_name_options, add_registry_options, selected_registries
from ecr.cli.table import table
from ecr.errors import EstateError, UsageError
from ecr.images.image import Image
from ecr.images.text import read_images
from ecr.lifecycle.policy import Policy, parse_policy
from ecr.lifecycle.simulator import (
    DAY,
    MOST_DAYS,
    MOST_PUSHES,
    Simulation,
    Verdict,
    described,
    explain,
    simulate,
    to_come,
    without_their_images,
)
from ecr.plan.lifecycle import lifecycle_policy
from ecr.settings.models import Lifecycle, LifecycleChoice

PRESETS = [
    preset
    for preset in get_args(LifecycleChoice.model_fields["preset"].annotation)
    if preset != "custom"
]

SHORT_DIGEST = 19
"""Characters of a digest that a table shows: enough to tell images apart."""


@dataclass(frozen=True, slots=True)
class SimulationRun:
    """The simulation of one image repository, and of a second policy where one is compared."""

    name: str
    result: Simulation
    other: Simulation | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "images",
        nargs="?",
        metavar="FILE",
        help="images: what `aws ecr describe-images --output json` printed, or an entry a line; "
        "- for standard input",
    )
    add_registry_options(parser)
    add_name_options(parser)
    parser.add_argument(
        "--policy",
        metavar="FILE|PRESET",
        help=f"the policy: a file, or {', '.join(PRESETS)}; for a live registry its own by default",
    )
    parser.add_argument(
        "--compare", metavar="FILE|PRESET", help="a second policy; shows what would differ"
    )
    parser.add_argument(
        "--days",
        type=int_between(0, MOST_DAYS),
        default=0,
        metavar="N",
        help="how many days to look ahead (0)",
    )
    parser.add_argument(
        "--pushes",
        type=int_between(0, MOST_PUSHES),
        default=0,
        metavar="N",
        help="tagged images expected each of these days in each image repository (0)",
    )
    parser.add_argument(
        "--at", metavar="TIME", help="the moment to evaluate at, as ISO 8601, instead of now"
    )
    parser.add_argument(
        "--show",
        type=int_between(),
        default=20,
        metavar="N",
        help="how many lines a table has (20)",
    )
    parser.add_argument("--all", action="store_true", help="also list the images that stay")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--check",
        action="store_true",
        help="of a live registry: compare with ECR's own preview; exit code 3 if it differs",
    )


def run(options: argparse.Namespace) -> int:
    """Simulate, and print what was found."""
    live = bool(options.outputs or options.registry)
    if live == bool(options.images):
        raise UsageError(
            "It is not said which images are meant, or said twice.",
            ["give either a file of images, or registries by --outputs or --registry"],
        )
    if not live and not options.policy:
        raise UsageError(
            "There is no policy to simulate.",
            [f"give --policy with a file, or one of {', '.join(PRESETS)}"],
        )
    refuse_unused_options(
        (options.check and not live, "--check: is for live registries; leave it out"),
        (
            options.image_repository and not live,
            "--image-repository: is for live registries; leave it out",
        ),
        (options.role_name and not live, "--role-name: is for live registries; leave it out"),
    )
    started = time.monotonic()
    # A million images are a million objects that stay: looking for cycles among them takes longer
    # than the simulation.
    gc.disable()
    try:
        return _simulate(options, live=live, started=started)
    finally:
        gc.enable()


def _simulate(options: argparse.Namespace, *, live: bool, started: float) -> int:
    now = _moment(options.at)
    given = _policy(options.policy)
    compared = _policy(options.compare)
    agreed = True
    runs = []
    if live:
        for name, images, own, ecr, repository in _live(options):
            policy = given if options.policy else own
            run = _run(name, images, policy, compared, options=options, now=now)
            if _needs_parts(run):
                # To ECR reading a manifest is a pull, so they are read only where they decide.
                whole = with_parts(ecr, repository, images)
                run = _run(name, whole, policy, compared, options=options, now=now)
            _say_what_is_not_known(run)
            runs.append(run)
            if options.check and policy:
                agreed &= _check(runs[-1], ecr, repository, policy)
    else:
        for name, images in _read(options.images).items():
            runs.append(_run(name, images, given, compared, options=options, now=now))
            _say_what_is_not_known(runs[-1])
    if options.json:
        json.dump([_as_json(each, options, now) for each in runs], sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write("\n".join(_as_text(each, options, now) for each in runs))
    count = sum(len(each.result.verdicts) for each in runs)
    sys.stderr.write(
        f"{count:,} images in {time.monotonic() - started:.1f} s, {_peak():,.0f} MiB at the peak\n"
    )
    return 0 if agreed else FOUND


def _peak() -> float:
    try:
        import resource  # noqa: PLC0415 - not everywhere
    except ImportError:
        return 0.0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _moment(text: str | None) -> float:
    if text is None:
        return time.time()
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            "The moment cannot be read.", [f"--at {text}: write it as 2026-11-22T12:00:00+00:00"]
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _policy(given: str | None) -> Policy | None:
    """Read a policy; a preset's own numbers are the settings' defaults."""
    if given is None:
        return None
    if given in PRESETS:
        return lifecycle_policy(Lifecycle.model_validate({"preset": given}))
    try:
        return parse_policy(Path(given).read_text(encoding="utf-8"), given)
    except OSError as error:
        raise EstateError(
            "The policy cannot be read.",
            [f"{given}: {error.strerror}; give a file, or one of {', '.join(PRESETS)}"],
        ) from None
    except UnicodeDecodeError:
        raise EstateError("The policy cannot be read.", [f"{given}: is not UTF-8"]) from None


def _read(file: str) -> dict[str, list[Image]]:
    try:
        if file == "-":
            return read_images(sys.stdin, "standard input")
        with Path(file).open(encoding="utf-8") as lines:
            return read_images(lines, file)
    except OSError as error:
        raise EstateError("The images cannot be read.", [f"{file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise EstateError("The images cannot be read.", [f"{file}: is not UTF-8"]) from None


def _live(
    options: argparse.Namespace,
) -> Iterable[tuple[str, list[Image], Policy | None, Any, str]]:
    """Read image repositories one by one, each with its own policy."""
    selection, access = selected_registries(options), Aws(options.role_name)
    for registry in selection.registries:
        ecr = access.ecr(registry)
        for name in options.image_repository or names_of(ecr):
            where = f"{registry.key}/{name}"
            text = None if options.policy else policy_of(ecr, name)
            own = parse_policy(text, f"the policy of {where}", accepted=True) if text else None
            yield where, described_images(ecr, name), own, ecr, name


def _unread(run: SimulationRun) -> list[Image]:
    """Return the manifest lists of which the parts are not known."""
    return [each.image for each in run.result.verdicts if each.image.parts is None]


def _needs_parts(run: SimulationRun) -> bool:
    """Return whether anything goes that a list may hold; what is in the archive cannot be read anyway."""
    taken = (*run.result.steps, *(run.other.steps if run.other else ()))
    return any(each.image.parts == () for each in taken) and any(
        each.pullable for each in _unread(run)
    )


def _say_what_is_not_known(run: SimulationRun) -> None:
    unread = len(_unread(run))
    if unread and any(each.image.parts == () for each in run.result.steps):
        sys.stderr.write(
            f"{run.name or 'images'}: of {unread:,} manifest list{'s' * (unread > 1)} the parts are not "
            "known: untagged images may be held by them; use --registry, or add parts\n"
        )


def _run(
    name: str,
    images: Sequence[Image],
    policy: Policy | None,
    compared: Policy | None,
    *,
    options: argparse.Namespace,
    now: float,
) -> SimulationRun:
    later = sum(image.pushed_at > now for image in images)
    if later:
        sys.stderr.write(f"{name or 'images'}: {later:,} are dated later than the moment\n")
    expected = to_come(now, options.days, options.pushes)

    def simulated(rules: Policy | None) -> Simulation:
        everything = [*images, *expected] if expected else images
        return simulate(everything, rules or Policy(()), now=now, days=options.days)

    return SimulationRun(name, simulated(policy), simulated(compared) if options.compare else None)


def _check(run: SimulationRun, ecr: Any, name: str, policy: Policy) -> bool:  # noqa: ANN401 - boto3's client
    """Have ECR preview the policy, and say where it and the simulator do not agree."""
    with aws_errors_as(f"previewing the lifecycle policy of {name}"):
        ecr.start_lifecycle_policy_preview(
            repositoryName=name, lifecyclePolicyText=policy.to_json()
        )
        ecr.get_waiter("lifecycle_policy_preview_complete").wait(repositoryName=name)
        pages = ecr.get_paginator("get_lifecycle_policy_preview").paginate(repositoryName=name)
        theirs = {
            (each["imageDigest"], each["appliedRulePriority"])
            for page in pages
            for each in page["previewResults"]
            if each.get("action")
        }
    ours = {
        (each.image.digest, each.rule.priority)
        for each in run.result.verdicts
        if each.action and each.rule
    }
    for digest, priority in sorted(theirs ^ ours):
        who = "ECR" if (digest, priority) in theirs else "the simulator"
        sys.stderr.write(f"{run.name}: only {who} has {digest} go by rule {priority}\n")
    if theirs == ours:
        sys.stderr.write(f"{run.name}: ECR's preview agrees on {len(ours)} images\n")
    return theirs == ours


def _acted(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [each for each in verdicts if each.action]


def _as_text(run: SimulationRun, options: argparse.Namespace, now: float) -> str:
    verdicts = run.result.verdicts
    acted = _acted(verdicts)
    spared = Counter(
        (each.rule.priority, each.spared_from.priority)
        for each in verdicts
        if each.rule and each.spared_from and not each.action
    )
    lines = [
        (
            f"{run.name or 'images'}: {len(verdicts):,} images, {len(acted):,} go now, "
            f"{len(verdicts) - len(acted):,} stay\n"
        ),
        *(
            f"rule {by} protects {count:,} from rule {taker}\n"
            for (by, taker), count in sorted(spared.items())
        ),
    ]
    if alone := len(without_their_images(verdicts)):
        lines.append(
            f"signatures or attestations by tag that go while their images stay: {alone:,}; shield "
            "sha256-*, or keep them as referrers\n"
        )
    shown = verdicts if options.all else acted
    lines += [
        table(("image", "tags", "pushed", "action", "rule", "reason"),
              [_cells(each) for each in shown[: options.show]]),
        _rest(len(shown), options.show),
        *_days(run, options, now),
        *_differences(run, options),
    ]  # fmt: skip
    return "".join(lines)


def _rest(count: int, shown: int) -> str:
    return f"... and {count - shown:,} more (--show)\n" if count > shown else ""


def _cells(verdict: Verdict) -> tuple[object, ...]:
    return (
        verdict.image.digest[:SHORT_DIGEST],
        ",".join(verdict.image.tags[:3]) or "-",
        _day(verdict.image.pushed_at),
        verdict.action or "stays",
        verdict.rule.priority if verdict.rule else "-",
        explain(verdict) + (f" ? {verdict.doubt}" if verdict.doubt else ""),
    )


def _day(moment: float) -> str:
    # Not fromtimestamp alone: a nonsensical time in a file must not end the report.
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).date().isoformat()


def _days(run: SimulationRun, options: argparse.Namespace, now: float) -> list[str]:
    if not options.days:
        return []
    counted = Counter((step.day, step.rule.priority, step.action) for step in run.result.steps)
    rows = [
        (_day(now + day * DAY), action, f"rule {priority}", f"{count:,}")
        for (day, priority, action), count in sorted(counted.items())
    ]
    return [
        f"the next {options.days} days:\n",
        table(("day", "action", "by", "images"), rows) or "nothing goes\n",
    ]


def _differing(run: SimulationRun) -> list[tuple[Verdict, Verdict]]:
    if run.other is None:
        return []
    pairs = zip(run.result.verdicts, run.other.verdicts, strict=True)
    return [(one, two) for one, two in pairs if one.action != two.action]


def _differences(run: SimulationRun, options: argparse.Namespace) -> list[str]:
    if run.other is None:
        return []
    differing = _differing(run)
    rows = [
        (
            one.image.digest[:SHORT_DIGEST],
            ",".join(one.image.tags[:3]) or "-",
            f"{one.action or 'stays'}: {explain(one)}",
            f"{two.action or 'stays'}: {explain(two)}",
        )
        for one, two in differing[: options.show]
    ]
    return [
        (
            f"under {options.compare} {len(_acted(run.other.verdicts)):,} go now; "
            f"{len(differing):,} images fare otherwise\n"
        ),
        table(("image", "tags", options.policy or "its own policy", options.compare), rows),
        _rest(len(differing), options.show),
    ]


def _as_json(run: SimulationRun, options: argparse.Namespace, now: float) -> dict[str, Any]:
    verdicts = run.result.verdicts
    acted = _acted(verdicts)
    found: dict[str, Any] = {
        "imageRepository": run.name,
        "images": len(verdicts),
        "acted": len(acted),
        "companionsWithoutTheirImages": len(without_their_images(verdicts)),
        "verdicts": [described(each) for each in (verdicts if options.all else acted)],
    }
    if options.days:
        found["forecast"] = [
            {
                "date": _day(now + step.day * DAY),
                "imageDigest": step.image.digest,
                "action": step.action,
                "rule": step.rule.priority,
            }
            for step in run.result.steps
        ]
    if run.other is not None:
        found["differences"] = [
            {"imageDigest": one.image.digest, "policy": described(one), "compared": described(two)}
            for one, two in _differing(run)
        ]
    return found
