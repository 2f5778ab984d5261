"""Every rule that the embedded AWS and the embedded GitHub enforce, tried one after another.

Owns the order and the last line. Reads the two tables; each has its own way to try a rule.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sandbox.aws import rules as aws
from sandbox.github import rules as github

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Try = tuple[aws.Rule | github.Rule, str, Callable[[], str]]
    """A rule, the test that tries it, and a try, which returns what was accepted; "" where nothing was."""

GITHUB_TEST = "tests/test_sandbox_github_rules.py::test_a_rule_cannot_be_broken"
"""The test that tries a rule of GitHub's, without its identifier."""


def tries() -> Iterator[Try]:
    """Yield every rule, those of AWS first."""
    for ours in aws.all_rules():
        yield ours, aws.TEST, partial(aws.tried, ours)
    for theirs in github.RULES:
        yield theirs, GITHUB_TEST, partial(github.tried, theirs)


def enforce(say: Callable[[str], None], table: Iterable[Try]) -> int:
    """Try every rule, print the table, and return how many violations were accepted."""
    enforced = violated = 0
    for rule, test, attempt in table:
        how = attempt()
        violated += bool(how)
        enforced += not how
        say(f"{'ACCEPTED' if how else 'enforced'}  {rule.identifier}: {rule.says}")
        say(f"          {rule.page.title}, {rule.page.address}")
        say(f"          {test}[{rule.identifier}]")
        if how:
            say(f"          {how}")
    say(f"rules enforced: {enforced}, violations accepted: {violated}")
    return violated
