"""The embedded GitHub refuses what GitHub refuses, and every rule of its table is tried."""

from __future__ import annotations

from collections import Counter

import pytest

from sandbox.github.rules import RULES, Rule, holds


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_cannot_be_broken(rule: Rule) -> None:
    assert holds(rule)


def test_each_rule_has_a_name_of_its_own_and_a_page() -> None:
    assert max(Counter(rule.id for rule in RULES).values()) == 1
    assert all(rule.rule and rule.page for rule in RULES)
