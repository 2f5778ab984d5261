"""The embedded GitHub refuses what GitHub refuses, and every rule of its table is tried."""

from __future__ import annotations

from collections import Counter

import pytest

from sandbox.github.rules import RULES, Rule, tried


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.identifier)
def test_a_rule_cannot_be_broken(rule: Rule) -> None:
    assert not tried(rule)


def test_each_rule_has_a_name_of_its_own_and_a_page() -> None:
    assert max(Counter(rule.identifier for rule in RULES).values()) == 1
    assert all(rule.says and rule.page.title for rule in RULES)
    assert all(rule.page.address.startswith("https://docs.github.com/") for rule in RULES)


def test_a_rule_that_is_broken_is_found_out() -> None:
    rule = RULES[0]
    broken = Rule(rule.identifier, rule.says, rule.page, lambda v: v.status("GET", "/user") != 200)
    assert tried(broken) == "GET /api/v3/user: 200"
