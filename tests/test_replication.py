"""Replication: covers are complete, touch as little as can be and fit ECR's limits."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.errors import EstateError
from ecr.plan.replication import (
    MAX_DESTINATIONS,
    MAX_FILTERS,
    MAX_RULES,
    prefix_cover,
    replication_rules,
)
from ecr.registry.registry import Registry

NAMES = st.sets(st.text("ab-", min_size=2, max_size=5), min_size=1, max_size=7)


def touched(prefixes: tuple[str, ...], names: set[str]) -> set[str]:
    return {name for name in names if name.startswith(prefixes)}


def cheapest(wanted: set[str], names: set[str]) -> tuple[int, int]:
    """The least (unwanted names touched, prefixes), by trying every set of candidate prefixes."""
    candidates = {name[:end] for name in wanted for end in range(2, len(name) + 1)}
    return min(
        (len(touched(chosen, names) - wanted), size)
        for size in range(len(wanted) + 1)
        for chosen in combinations(sorted(candidates), size)
        if touched(chosen, wanted) == wanted
    )


@given(NAMES, st.data())
def test_the_cover_is_complete_least_and_smallest(names: set[str], data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.sampled_from(sorted(names)), max_size=4))
    cover = prefix_cover(wanted, names)
    assert cover is not None
    assert touched(cover, wanted) == wanted
    assert (len(touched(cover, names) - wanted), len(cover)) == cheapest(wanted, names)
    assert all(len(prefix) >= 2 for prefix in cover)


@given(NAMES, st.data(), st.integers(1, 4))
def test_a_limit_is_kept_and_everything_wanted_still_covered(
    names: set[str], data: st.DataObject, limit: int
) -> None:
    wanted = data.draw(st.sets(st.sampled_from(sorted(names)), min_size=1, max_size=4))
    cover = prefix_cover(wanted, names, limit)
    if cover is None:
        assert all(
            touched(chosen, wanted) != wanted
            for chosen in combinations({name[:2] for name in wanted}, limit)
        )
    else:
        assert len(cover) <= limit
        assert touched(cover, wanted) == wanted


def test_a_common_prefix_is_preferred_to_many_names() -> None:
    wanted = {"lambda-a", "lambda-b", "lambda-c"}
    assert prefix_cover(wanted, {*wanted, "api"}) == ("lambda-",)


def test_a_name_that_begins_another_bleeds_and_is_reported() -> None:
    registry = Registry("222222222222", "eu-west-1")
    rules, bleeds = replication_rules({registry: {"atmos"}}, {"atmos", "atmos-docs", "api"})
    assert rules[0].prefixes == ("atmos",)
    assert [(bleed.prefix, bleed.names) for bleed in bleeds] == [("atmos", ("atmos-docs",))]


def test_no_filter_is_needed_where_every_name_is_wanted() -> None:
    registry = Registry("222222222222", "eu-west-1")
    rules, bleeds = replication_rules({registry: {"api", "web"}}, {"api", "web"})
    assert [rule.prefixes for rule in rules] == [()]
    assert not bleeds


def test_nothing_wanted_needs_no_rule() -> None:
    assert replication_rules({Registry("2", "eu-west-1"): set()}, {"api"}) == ((), ())


def test_registries_that_want_the_same_share_a_rule() -> None:
    here, there = Registry("222222222222", "eu-west-1"), Registry("333333333333", "eu-west-1")
    other = Registry("444444444444", "eu-west-1")
    rules, _ = replication_rules({here: {"api"}, there: {"api"}, other: {"web"}}, {"api", "web"})
    assert [(rule.destinations, rule.prefixes) for rule in rules] == [
        ((here, there), ("api",)),
        ((other,), ("web",)),
    ]


def test_more_prefixes_than_a_rule_takes_are_spread_over_several() -> None:
    wanted = {f"x{number:03}-wanted" for number in range(250)}
    names = wanted | {f"x{number:03}-other" for number in range(250)}
    rules, bleeds = replication_rules({Registry("2", "eu-west-1"): wanted}, names)
    assert [len(rule.prefixes) for rule in rules] == [100, 100, 50]
    assert not bleeds


def test_a_fleet_that_needs_too_many_prefixes_bleeds_rather_than_fails() -> None:
    wanted = {f"{number:04}-wanted" for number in range(3000)}
    names = wanted | {f"{number:04}-other" for number in range(3000)}
    rules, bleeds = replication_rules({Registry("2", "eu-west-1"): wanted}, names)
    assert len(rules) <= MAX_RULES
    assert all(len(rule.prefixes) <= MAX_FILTERS for rule in rules)
    assert bleeds


def test_too_many_registries_are_refused_with_the_remedy() -> None:
    wanted = {
        Registry(f"{number:012}", "eu-west-1"): {"api"} for number in range(MAX_DESTINATIONS + 1)
    }
    with pytest.raises(EstateError, match="list fewer accounts and Regions"):
        replication_rules(wanted, {"api", "web"})


def test_a_fleet_that_cannot_fit_is_refused_with_the_remedy() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    wanted = {f"{a}{b}-x" for a in letters for b in letters if a != "z"}
    groups = {
        Registry(f"{number:012}", "eu-west-1"): wanted
        - {f"aa{'' if number else '-x'}"}
        - {f"b{letters[number]}-x"}
        for number in range(5)
    }
    with pytest.raises(EstateError, match="common prefix"):
        replication_rules(groups, wanted | {"zz-other"})


def test_more_sets_of_services_than_a_registry_has_rules_are_refused_at_once() -> None:
    names = [f"s{number}" for number in range(MAX_RULES)]
    wanted = {Registry(f"3{number:011}", "eu-west-1"): [name] for number, name in enumerate(names)}
    wanted[Registry("222222222222", "eu-west-1")] = names
    with pytest.raises(EstateError, match="want 11 different sets of services"):
        replication_rules(wanted, names)
