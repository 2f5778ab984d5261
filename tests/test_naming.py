"""Names: only case changes; what ECR cannot hold is refused with the reason."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr.plan.naming import NameRefusedError, service_name, why_refused

GITHUB_NAMES = st.from_regex(r"[-a-zA-Z0-9_.]{1,100}", fullmatch=True)
ECR = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        (".github", "begin and end with a letter or digit"),
        ("api-", "begin and end with a letter or digit"),
        ("a--b", "no two separators side by side"),
        ("a-_b", "no two separators side by side"),
        ("x", "2 to 256 characters, and this has 1"),
    ],
)
def test_a_name_that_ecr_cannot_hold_is_refused_with_the_reason(
    repository: str, reason: str
) -> None:
    with pytest.raises(NameRefusedError, match=reason):
        service_name(repository, {})


def test_an_operator_chooses_another_name_whatever_the_case_of_the_key() -> None:
    assert service_name(".GitHub", {".github": "dot-github"}) == "dot-github"


@given(GITHUB_NAMES)
def test_a_name_is_its_repository_in_lower_case_or_refused(repository: str) -> None:
    try:
        name = service_name(repository, {})
    except NameRefusedError:
        assert not ECR.fullmatch(repository.lower()) or len(repository) < 2
    else:
        assert name == repository.lower()
        assert ECR.fullmatch(name)


@given(GITHUB_NAMES, GITHUB_NAMES)
def test_two_repositories_share_a_name_only_if_github_could_not_hold_both(
    one: str, other: str
) -> None:
    if why_refused(one.lower()) is None and why_refused(other.lower()) is None:
        assert (service_name(one, {}) == service_name(other, {})) == (one.lower() == other.lower())
