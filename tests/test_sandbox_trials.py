"""The verdict on trials, the table, and the recovery that the runbook documents."""

import json
import re
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws import ApiCall
from sandbox.trials import __main__ as command
from sandbox.trials import crashes, features
from sandbox.trials.runs import every_trial, read_findings, run
from sandbox.trials.trial import Trial, changing, chosen
from sandbox.trials.verdict import (
    Expectation,
    Finding,
    complaints,
    exit_code,
    last_line,
    line_that_says,
    page,
)

RUNBOOK = Path(__file__).resolve().parent.parent / "docs" / "runbooks" / "recover-from-a-crash.md"


def finding(**different: Any) -> Finding:
    plain: dict[str, Any] = {
        "group": "Listing",
        "fault": "status-500 (once)",
        "said": "was answered with 500",
        "ended": "stopped",
    }
    return Finding(**{**plain, **different})


def call(action: str, status: int = 200) -> ApiCall:
    return ApiCall("111111111111", "eu-west-1", "ecr", action, status)


def test_every_trial_has_a_name_of_its_own_and_there_are_enough() -> None:
    names = [f"{each.group}: {each.fault}" for each in every_trial()]
    assert len(set(names)) == len(names) >= 320


def test_every_feature_is_killed_loses_an_answer_its_place_and_its_state() -> None:
    faults: dict[str, list[str]] = defaultdict(list)
    for each in features.trials():
        faults[each.group].append(each.fault)
    for group, wanted in {
        "Push roles": ("killed", "is lost", "denied", "of other hands", "the state is lost"),
        "Variables": ("killed", "is lost", "denied", "stands on GitHub", "the state is lost"),
        "Identity provider": (
            "killed",
            "is lost",
            "denied",
            "stands for other",
            "as it is planned",
        ),
        "Alerts": ("killed", "is lost", "denied", "of other hands", "the state is lost"),
        "Registry settings": ("killed", "is lost", "denied", "by other hands", "the state is lost"),
        "Replicas": ("killed", "is lost", "denied", "of other hands"),
        "Namespaces": ("killed", "of other hands", "the state is lost"),
        "Lifecycle policies": ("killed", "is lost", "denied", "refuses", "busy"),
        "Everything at once": ("killed", "the state is lost"),
    }.items():
        for word in wanted:
            assert any(word in fault for fault in faults[group]), (group, word)


def test_what_is_in_somebodys_way_and_is_due_all_the_same_is_named() -> None:
    """A trial of other hands says what has to be deployed whatever they do."""
    for each in features.trials():
        if "other hands" in each.fault and each.expect.ended == "went on":
            assert each.due is not Trial.due, each.fault


def test_the_engine_is_killed_at_forty_points_half_of_them_without_checkpoints() -> None:
    names = [each.fault for each in crashes.trials()]
    without = [name for name in names if "without checkpoints" in name]
    assert len(names) >= 40
    assert len(without) >= 20


def test_the_runbook_lists_exactly_the_commands_that_the_trials_run() -> None:
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", RUNBOOK.read_text(), re.DOTALL | re.MULTILINE)
    commands = [line.strip() for block in blocks for line in block.splitlines()]
    assert commands == list(crashes.RECOVERY)


def test_when_all_is_well_the_last_line_says_so_and_the_code_is_0() -> None:
    findings = [finding(), finding(fault="another")]
    assert last_line(findings) == (
        "faults tried: 2, image repositories lost: 0, unmanaged: 0, held up by others: 0"
    )
    assert exit_code(findings) == 0
    assert not list(complaints(findings))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lost": ("a/b/api",)}, "lost a/b/api"),
        ({"unmanaged": ("a/b/api",)}, "unmanaged a/b/api"),
        ({"held_up": ("a/b/web",)}, "held up by others: a/b/web"),
        ({"complaints": ("it hung",)}, "it hung"),
    ],
)
def test_one_thing_that_is_wrong_is_named_and_makes_the_code_1(
    wrong: dict[str, Any], said: str
) -> None:
    findings = [finding(), finding(fault="bad", **wrong)]
    assert exit_code(findings) == 1
    assert list(complaints(findings)) == [f"Listing, bad: {said}"]


def test_what_has_passed_is_kept_and_not_run_again(tmp_path: Path) -> None:
    kept = tmp_path / "findings"
    first, second = every_trial()[:2]
    lines = [
        asdict(finding(group=each.group, fault=each.fault, complaints=wrong))
        for each, wrong in ((first, ["it hung"]), (first, []), (second, []))
    ]
    kept.write_text("".join(f"{json.dumps(each)}\n" for each in lines) + '{"group": "cut o')
    assert [each.fault for each in run([first, second], 1, kept)] == [first.fault, second.fault]
    assert all(each.passed for each in read_findings(kept))


def test_no_trial_at_all_is_no_success() -> None:
    assert exit_code([]) == 1


def test_what_is_lost_unmanaged_and_held_up_is_counted_one_by_one() -> None:
    findings = [finding(lost=("a", "b")), finding(unmanaged=("c",), held_up=("d", "e", "f"))]
    assert last_line(findings) == (
        "faults tried: 2, image repositories lost: 2, unmanaged: 1, held up by others: 3"
    )


@pytest.mark.parametrize(
    ("said", "ended", "changed", "complaint"),
    [
        ("500", "went on", 0, "it went on, where it should have stopped"),
        ("", "stopped", 0, "nothing was said that matches '500'"),
        ("500", "stopped", 2, "AWS was changed by 2 calls, not 0"),
    ],
)
def test_an_expectation_names_what_came_otherwise(
    said: str, ended: Any, changed: int, complaint: str
) -> None:
    expected = Expectation("stopped", "500", changes=0)
    assert list(expected.complaints(said, ended, changed)) == [complaint]


def test_where_any_number_of_changes_is_right_none_is_complained_of() -> None:
    assert not list(Expectation("went on", "fine").complaints("fine", "went on", 7))


def test_what_the_program_said_is_shown_without_the_engines_own_words() -> None:
    output = (
        "@ updating....\n"
        "    pulumi:pulumi:Stack ecr-estate-sandbox running error: Nothing was changed.\n"
        "    pulumi:pulumi:Stack ecr-estate-sandbox running   - GET orgs/acme was   answered with 500\n"
    )
    assert line_that_says(output, "500") == "GET orgs/acme was answered with 500"
    assert line_that_says(output, "Nothing") == "Nothing was changed."
    assert not line_that_says(output, "404")


def test_only_calls_that_were_answered_well_and_change_something_count_as_changes() -> None:
    calls = [
        call("CreateRepository"),
        call("CreateRepository", 400),
        call("DescribeRepositories"),
        call("AssumeRole"),
        call("PutLifecyclePolicy"),
    ]
    assert [each.action for each in changing(calls)] == ["CreateRepository", "PutLifecyclePolicy"]


def test_trials_are_chosen_by_group_or_fault() -> None:
    trials = every_trial()
    assert {each.group for each in chosen(trials, "^crash")} == {crashes.GROUP}
    assert [each.fault for each in chosen(trials, r"status-500 \(once\)")] == ["status-500 (once)"]
    assert len(list(chosen(trials, ""))) == len(trials)


def test_the_page_has_a_table_a_group_and_nothing_in_it_is_read_as_markdown() -> None:
    text = page([finding(said="a | b <c>"), finding(group="Crash", changed=3)])
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Listing", "Crash"]
    assert r"a \| b \<c\>" in text
    assert "| 0 | 0 | 0 | 3 |" in text


def test_the_faults_are_listed_without_being_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--only", "json-cut"]) == 0
    assert "Listing: json-cut (once)" in capsys.readouterr().out.splitlines()


def test_a_pattern_that_matches_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "no such fault"])
    assert "--list names them" in capsys.readouterr().err
