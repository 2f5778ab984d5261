"""The table of rules of the embedded AWS: each is tried, and the table itself is sound."""

import re

import pytest

from sandbox.aws.rules import TEST, Rule, all_rules, tried
from sandbox.aws.rules.table import Operation, Page
from sandbox.github.rules import RULES
from sandbox.rules import enforce, tries

ENOUGH = 120


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.identifier)
def test_a_rule_holds(rule: Rule) -> None:
    assert not tried(rule)


AMAZONS_OWN = ("https://docs.aws.amazon.com/", "https://aws.amazon.com/about-aws/whats-new/")


def test_there_are_enough_rules_and_each_has_a_name_and_a_page_of_its_own() -> None:
    rules = all_rules()
    assert len(rules) >= ENOUGH
    assert len({each.says for each in rules}) == len(rules)
    for each in rules:
        assert re.fullmatch(r"[a-zA-Z0-9-]+", each.identifier)
        assert each.page.address.startswith(AMAZONS_OWN)


def test_every_page_is_cited() -> None:
    assert {each.page for each in all_rules() if isinstance(each.page, Page)} == set(Page)


def test_the_command_tries_the_rules_of_both_doubles() -> None:
    assert len(list(tries())) == len(all_rules()) + len(RULES)


def test_a_violation_that_is_accepted_is_counted_and_shown() -> None:
    kind = Rule("kind", "anything at all", Operation("PutImage"), lambda _: "")
    strict = Rule("strict", "nothing", Page.QUOTAS, lambda _: "")
    said: list[str] = []
    table = [(kind, TEST, lambda: "it was accepted"), (strict, TEST, lambda: "")]
    assert enforce(said.append, table) == 1
    assert said[0] == "ACCEPTED  kind: anything at all"
    assert said[-1] == "rules enforced: 1, violations accepted: 1"
