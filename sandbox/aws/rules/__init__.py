"""The rules that the embedded AWS enforces, each with its page of AWS's and an attempt to break it.

Owns the table (`all_rules`).
"""

from __future__ import annotations

from functools import cache

from sandbox.aws.rules.table import RULES, Rule, tried

__all__ = ["TEST", "TOPICS", "Rule", "all_rules", "tried"]

TEST = "tests/test_sandbox_rules.py::test_a_rule_holds"
"""The test that tries a rule, without its identifier."""

TOPICS = {
    "repositories": "Image repositories, policies and names",
    "images": "Images",
    "lifecycle": "Lifecycle policies",
    "registries": "Registries: settings, scanning, replication, templates, caches, signing",
    "topics": "Topics and subscriptions",
    "parameters": "Parameters of every operation",
    "authorisation": "Who may ask: keys, policies, roles and tokens",
}
"""The headings of the table, by the topic of their rules."""


@cache
def all_rules() -> tuple[Rule, ...]:
    """Return every rule, in the order of the table. Raises ValueError for two of one identifier."""
    from sandbox.aws.rules import (  # noqa: F401, PLC0415 - each adds its rules; they need boto3
        authorisation,
        images,
        lifecycle,
        parameters,
        registries,
        repositories,
        topics,
    )

    if not any(each.identifier.startswith("parameters-") for each in RULES):
        parameters.add_all()
    names = [each.identifier for each in RULES]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two rules are called {', '.join(sorted(repeated))}")
    order = list(TOPICS)
    return tuple(sorted(RULES, key=lambda each: order.index(each.topic)))
