"""The verdict on the acceptance tests: what counts as passed, failed or excluded, and the last line."""

from sandbox.conformance.__main__ import Verdict, reasons, results

LOG = """=== RUN   TestAccECRRepository_basic
--- PASS: TestAccECRRepository_basic (3.10s)
--- FAIL: TestAccECRRepository_tags (1.00s)
    --- PASS: TestAccECRRepository_tags/inner (1.00s)
--- SKIP: TestAccECRImage_other (0.00s)
--- FAIL: TestAccECRImagesDataSource_basic (0.10s)
"""


def test_results_are_those_of_whole_tests() -> None:
    assert results(LOG) == [
        ("PASS", "TestAccECRRepository_basic"),
        ("FAIL", "TestAccECRRepository_tags"),
        ("SKIP", "TestAccECRImage_other"),
        ("FAIL", "TestAccECRImagesDataSource_basic"),
    ]


def test_a_failure_is_counted_unless_it_is_listed_with_its_reason() -> None:
    verdict = Verdict()
    verdict.count(results(LOG), {"TestAccECRImages.*": "it wants a service that is not here"})
    assert verdict.failed == ["TestAccECRRepository_tags"]
    *said, last = verdict.lines()
    assert "excluded  TestAccECRImagesDataSource_basic: it wants a service that is not here" in said
    assert last == ("acceptance tests passed: 1, failed: 1, excluded: 1, skipped by themselves: 1")


def test_a_test_that_is_excluded_and_passes_is_to_be_taken_off_the_list() -> None:
    verdict = Verdict()
    verdict.count([("PASS", "TestAccECRRepository_basic")], {"TestAccECR.*": "no longer true"})
    assert verdict.better == ["TestAccECRRepository_basic"]
    assert any("take it out of exclusions.toml" in line for line in verdict.lines())


def test_every_exclusion_has_a_reason() -> None:
    assert all(reasons().values())
