"""The playground's data: the examples that are one click away, and the Python that runs there.

Owns the examples: a policy, images, and what goes, which a test holds against the simulator. Reads
the modules that the browser is given, as they are.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ecr.lifecycle.policy import Rule
from ecr.plan.lifecycle import lifecycle_policy
from ecr.settings.models import Lifecycle

PROJECT = Path(__file__).resolve().parent.parent

MODULES = (
    "ecr",
    "ecr.errors",
    "ecr.images",
    "ecr.images.family",
    "ecr.images.image",
    "ecr.images.text",
    "ecr.lifecycle",
    "ecr.lifecycle.policy",
    "ecr.lifecycle.simulator",
    "pages",
    "pages.playground_bridge",
)
"""The modules that run in the browser; they import one another and the standard library."""


@dataclass(frozen=True, slots=True)
class Example:
    """A policy and images. ``goes`` are the images that today's evaluation acts on."""

    name: str
    about: str
    policy: str
    images: str
    goes: tuple[str, ...]
    days: int = 0
    pushes: int = 0


def _pretty(*rules: Rule) -> str:
    """Return rules as ECR takes them, a few lines each, so that a policy can be read and edited."""
    written = []
    for rule in rules:
        parts = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in rule.to_json().items())
        written.append("  {" + ",\n   ".join(parts) + "}")
    return '{"rules": [\n' + ",\n".join(written) + "\n]}\n"


def _preset(name: str, **changes: Any) -> str:  # noqa: ANN401 - whatever the settings take
    policy = lifecycle_policy(Lifecycle.model_validate({"preset": name, **changes}))
    if policy is None:
        raise ValueError(f"the preset {name} has no rules")
    return _pretty(*policy.rules)


def _count(priority: int, more_than: int, *patterns: str) -> Rule:
    return Rule(
        priority=priority,
        tag_status="tagged",
        patterns=patterns,
        count_type="imageCountMoreThan",
        count=more_than,
    )


def _age(priority: int, days: int, *patterns: str) -> Rule:
    return Rule(
        priority=priority,
        tag_status="tagged" if patterns else "untagged",
        patterns=patterns,
        count_type="sinceImagePushed",
        count=days,
    )


_BETA_AND_PROD = "A 10d beta-1 prod-1\nB  9d beta-2 prod-2\nC  8d beta-3\n"
_BURST = "".join(f"part-{number:<2}  1d\n" for number in range(1, 11))


def examples() -> tuple[Example, ...]:
    """Return the examples in the order of the page."""
    return (
        Example(
            "The default of this program",
            "The preset commit-sha, here with 3 images to keep instead of 500 and without room for "
            "signatures: live-*, v*.* and what signs them are shielded, untagged images go after a "
            "week, and of the tagged ones the newest stay. In the days ahead two are pushed a day.",
            _preset("commit-sha", keepImages=3, companionsByTag=0),
            "f3a1  0.2d f3a1c9\n9b07  1d   9b07aa\n77c0  2d   77c0de\n41d8  9d   41d8ef v1.4.0\n"
            "0e2b 30d   0e2b6f live-eu\n8c55 31d   8c55b1\nu-1   3d\nu-2   8d\n",
            ("8c55", "u-2"),
            days=7,
            pushes=2,
        ),
        Example(
            "The sample of older guides",
            "Untagged images after 7 days, and the newest 10 of any. Ten untagged parts of one "
            "build fill the ten places, and the release in production goes.",
            _preset("source-sample"),
            f"release 30d v1.0.0\n{_BURST}",
            ("release",),
        ),
        Example(
            "The same images under the default",
            "The count is of tagged images only, so untagged ones push nothing out, and v*.* is "
            "shielded as well.",
            _preset("commit-sha"),
            f"release 30d v1.0.0\n{_BURST}",
            (),
        ),
        Example(
            "Amazon's first: a lower rule counts what a higher one claims",
            "Rule 1 keeps one image tagged prod*, and so has A go. Rule 2 keeps one image tagged "
            "beta*: it identifies A and B, but B meets rule 1's tagging requirement, so rule 2 "
            "can never have it.",
            _pretty(_count(1, 1, "prod*"), _count(2, 1, "beta*")),
            _BETA_AND_PROD,
            ("A",),
        ),
        Example(
            "Amazon's second: the priorities exchanged",
            "Now the rule about beta* comes first, and has both A and B go.",
            _pretty(_count(1, 1, "beta*"), _count(2, 1, "prod*")),
            _BETA_AND_PROD,
            ("A", "B"),
        ),
        Example(
            "Amazon's third: a list of patterns means all of them",
            "Only an image that has a tag for alpha* and one for beta* is meant. C is the one of "
            "them that is older than 5 days.",
            _pretty(_age(1, 5, "alpha*", "beta*")),
            "A 12d alpha-1\nB 11d beta-1\nC 10d alpha-2 beta-2\nD  4d alpha-3\nE  3d beta-3\n"
            "F  2d alpha-4 beta-4\n",
            ("C",),
        ),
        Example(
            "Amazon's fourth: another tag does no harm",
            "All three images have both tags; that some have a third changes nothing.",
            _pretty(_count(1, 1, "alpha*", "beta*")),
            "A 10d alpha-1 beta-1 gamma-1\nB  9d alpha-2 beta-2\nC  8d alpha-3 beta-3 gamma-2\n",
            ("A", "B"),
        ),
        Example(
            "A list that was meant as any of them",
            "Written to keep latest, main, master, cache and 20* for ten years. No image has all "
            "five tags, so the rule protects nothing, and the last one takes everything.",
            _pretty(
                _age(1, 3650, "latest", "main", "master", "cache", "20*"),
                _age(2, 7),
                Rule(priority=3, tag_status="any", count_type="sinceImagePushed", count=60),
            ),
            "A 100d latest\nB 100d main 2024-01\nC  90d cache\n",
            ("A", "B", "C"),
        ),
        Example(
            "Releases by version",
            "The preset semver, with one image to keep: every version stays, and so does the "
            "candidate that became one.",
            _preset("semver", keepImages=1, companionsByTag=0),
            "A 90d 1.0.0 1.0.0-rc.2\nB 60d 1.1.0-rc.1\nC 20d 3f9a01\nD 10d 77aa12\n",
            ("C",),
        ),
    )


def sources() -> Mapping[str, str]:
    """Return the Python that runs in the browser, by path."""
    paths = [Path(*module.split(".")) for module in MODULES]
    names = [
        (path / "__init__.py" if (PROJECT / path).is_dir() else path.with_suffix(".py")).as_posix()
        for path in paths
    ]
    return {name: (PROJECT / name).read_text(encoding="utf-8") for name in names}


def script() -> str:
    """Return the script that the page loads: the examples and the sources."""
    data = {"examples": [asdict(each) for each in examples()], "sources": sources()}
    return f"window.playground = {json.dumps(data, sort_keys=True)};\n"
