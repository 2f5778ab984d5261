"""What the playground on the site asks of the simulator: two texts in, plain data out.

Owns how images are written by hand there. Reads nothing by itself. Needs only the standard library,
because it runs in a browser; the evaluation is that of ecr/lifecycle/simulator.py and nobody else's.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from ecr.errors import EstateError
from ecr.images.image import Image
from ecr.images.text import read_images
from ecr.lifecycle.policy import parse_policy
from ecr.lifecycle.simulator import (
    DAY,
    MOST_DAYS,
    MOST_PUSHES,
    described,
    simulate,
    to_come,
)

_AGE = re.compile(r"(\d{1,5}(?:\.\d{1,9})?)d", re.ASCII)


def play(policy: str, images: str, now: float, days: int = 0, pushes: int = 0) -> dict[str, Any]:
    """Simulate a policy's text on a text of images.

    Returns ``images``, a verdict on each with its age in days, ``forecast``, what happens on which
    day, and ``later``, how many images are dated in the future and arrive in the days ahead. Where a
    text is wrong it returns ``problem`` and ``offences`` instead.
    """
    try:
        return _played(policy, images, now, days, pushes)
    except EstateError as error:
        return {"problem": error.problem, "offences": list(error.offences)}


def _played(policy: str, images: str, now: float, days: int, pushes: int) -> dict[str, Any]:
    rules = parse_policy(policy, "The policy")
    whole = type(days) is type(pushes) is int
    if not (whole and 0 <= days <= MOST_DAYS and 0 <= pushes <= MOST_PUSHES) or (
        days * pushes > 100 * MOST_PUSHES
    ):
        raise EstateError(
            "The playground cannot look ahead like that.",
            [
                (
                    f"give 0 to {MOST_DAYS:,} days and 0 to {MOST_PUSHES:,} pushes a day, and no "
                    f"more than {100 * MOST_PUSHES:,} pushes in all"
                )
            ],
        )
    written = written_images(images, now)
    held = [*written, *to_come(now, days, pushes)]
    result = simulate(held, rules, now=now, days=days)
    return {
        "images": [
            {**described(each), "age": round((now - each.image.pushed_at) / DAY, 1)}
            for each in result.verdicts
        ],
        "forecast": [
            {
                "day": step.day,
                "imageDigest": step.image.digest,
                "action": step.action,
                "rule": step.rule.priority,
            }
            for step in result.steps
        ],
        "later": sum(image.pushed_at > now for image in written),
    }


def written_images(text: str, now: float) -> list[Image]:
    """Read images: a line each, or what `aws ecr describe-images --output json` printed.

    A line is a digest, or any name that stands for one; the age in days, as in "3d" or "0.5d"; and
    the tags. Empty lines do not count, nor does what begins with "#". Raises EstateError.
    """
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith("{"):
        found = read_images(text.splitlines(keepends=True), "The text of images")
        return [image for images in found.values() for image in images]
    offences: list[str] = []
    images = list(_lines(text, now, offences))
    if offences:
        raise EstateError("The images cannot be read.", offences)
    return images


def _lines(text: str, now: float, offences: list[str]) -> Iterator[Image]:
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        digest, *rest = line.partition("#")[0].split() or [""]
        age = _AGE.fullmatch(rest[0]) if rest else None
        if not digest:
            continue
        if age is None:
            offences.append(
                f"line {number}: write a name, the age and the tags: image-1 3d v1.2.0; an age has at "
                "most five digits before the point"
            )
        elif digest in seen:
            offences.append(f"line {number}: {digest} stands on line {seen[digest]} already")
        else:
            yield Image(digest, now - float(age[1]) * DAY, tuple(rest[1:]))
        seen.setdefault(digest, number)


def play_as_json(request: str) -> str:
    """Return the answer to a request, both as JSON: what crosses from the page to Python and back."""
    return json.dumps(play(**json.loads(request)))
