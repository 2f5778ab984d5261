"""The rules that the embedded AWS enforces, each with its page of AWS's and an attempt to break it.

Owns the table (`all_rules`) and the command that tries every rule of it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sandbox.aws.rules.table import RULES, Rule, tried

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TEST", "TOPICS", "Rule", "all_rules", "enforce", "tried"]

TEST = "tests/test_sandbox_rules.py::test_a_rule_holds"
"""The test that tries a rule, without its identifier."""

TOPICS = {
    "repositories": "Image repositories, policies and names",
    "images": "Images",
    "lifecycle": "Lifecycle policies",
    "registries": "Registries: settings, scanning, replication, templates, caches, signing",
    "parameters": "Parameters of every operation",
}
"""The headings of the table, by the topic of their rules."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of the table. Raises ValueError for two of one identifier."""
    from sandbox.aws.rules import (  # noqa: F401, PLC0415 - each adds its rules; they need boto3
        images,
        lifecycle,
        parameters,
        registries,
        repositories,
    )

    if not any(each.identifier.startswith("parameters-") for each in RULES):
        parameters.add_all()
    names = [each.identifier for each in RULES]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two rules are called {', '.join(sorted(repeated))}")
    topics = list(TOPICS)
    return tuple(sorted(RULES, key=lambda each: topics.index(each.topic)))


def enforce(say: Callable[[str], None]) -> int:
    """Try every rule, print the table, and return how many violations were accepted."""
    violated = 0
    for rule in all_rules():
        how = tried(rule)
        violated += bool(how)
        say(f"{'ACCEPTED' if how else 'enforced'}  {rule.identifier}: {rule.says}")
        say(f"          {rule.page.title}, {rule.page.address}")
        say(f"          {TEST}[{rule.identifier}]")
        if how:
            say(f"          {how}")
    say(f"rules enforced: {len(all_rules()) - violated}, violations accepted: {violated}")
    return violated
