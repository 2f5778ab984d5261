"""`ecr-estate plan` and `drift`: what a reviewer reads, and the exit codes that a pipeline goes by."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.comment import (
    LARGEST,
    ZERO_WIDTH_SPACE,
    code,
    fitted,
    folded,
    json_diff,
    listed,
    number,
    plain,
    spoken,
)
from ecr.cli.main import main
from ecr.cli.table import printable, table
from ecr.engine.types import REPOSITORY

Engine = Callable[..., None]
CREATED = {"services": 1, "imageRepositories": 1, "reasons": {"new on GitHub": ["batch"]}}
GUARD = {
    "guard": "vanished",
    "what": "services would vanish",
    "count": 4,
    "among": 10,
    "allowed": 3,
    "tripped": True,
    "offences": ["api: archived", "web: archived", "a: archived", "b: archived"],
}


def step(operation: str, name: str = "batch", **more: Any) -> dict[str, Any]:
    return {
        "op": operation,
        "urn": f"urn:pulumi:prod::ecr-estate::{REPOSITORY}::1/r/{name}",
        **more,
    }


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A `pulumi` that prints a digest, beside a program that writes a report."""
    monkeypatch.delenv("ECR_ESTATE_REPORT", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def put(
        *steps: dict[str, Any],
        exit_code: int = 0,
        counts: dict[str, int] | None = None,
        **report: Any,
    ) -> None:
        summary = counts or {"create": len(steps)}
        digest = {"steps": steps, "changeSummary": summary, "duration": 2 * 10**9}
        (tmp_path / "digest").write_text(json.dumps(digest))
        (tmp_path / "report").write_text(json.dumps({"stack": "prod", "guards": [], **report}))
        (tmp_path / "pulumi").write_text(
            f'#!/bin/sh\ncp {tmp_path}/report "$ECR_ESTATE_REPORT"\ncat {tmp_path}/digest\n'
            f"exit {exit_code}\n"
        )
        (tmp_path / "pulumi").chmod(0o755)

    return put


def test_the_plan_says_what_why_and_that_the_engine_agrees(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(step("create"), changes={"created": CREATED})
    assert main(["plan"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        "Plan of prod: 1 created",
        "created: 1 service, 1 image repository; their image repositories are made",
        "  new on GitHub: batch",
        "The engine: 1 to create.",
        "Of the image repositories, the engine creates 1; the plan agrees.",
    ]


def test_a_plan_that_the_engine_does_not_share_is_an_error(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(changes={"created": CREATED})
    assert main(["plan"]) == 1
    assert "1 to create by the plan, 0 by the engine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("steps", "changed", "code"),
    [
        ((), False, 0),
        ((), True, 3),
        ((step("update"),), False, 3),
    ],
)
def test_no_change_is_expected_of_resources_and_of_outputs(
    engine: Engine, steps: tuple[dict[str, Any], ...], code: int, *, changed: bool
) -> None:
    engine(*steps, outputsChanged=changed)
    assert main(["plan", "--expect-no-changes"]) == code
    assert main(["plan"]) == 0


def test_a_preview_by_another_role_than_that_of_the_deployment_is_no_change(
    engine: Engine,
) -> None:
    provider = {
        "op": "update",
        "urn": "urn:pulumi:prod::ecr-estate::pulumi:providers:aws::111111111111",
    }
    engine(provider, outputsChanged=False, counts={"update": 1, "same": 9})
    assert main(["plan", "--expect-no-changes"]) == 0


def test_what_is_missing_counts_as_created_only_where_the_engine_refreshes(engine: Engine) -> None:
    engine(step("create"), changes={"missing": CREATED})
    assert main(["plan", "--", "--refresh"]) == 0
    assert main(["plan"]) == 1


def test_a_guard_has_an_exit_code_of_its_own_and_its_offences_are_listed(
    engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    error = {"step": "plan", "problem": "4 of 10 vanish.", "offences": ["api: archived"]}
    engine(exit_code=255, guards=[GUARD], error=error)
    assert main(["plan", "--output", str(tmp_path / "plan.json")]) == 3
    assert "  - api: archived" in capsys.readouterr().out
    written = json.loads((tmp_path / "plan.json").read_text())
    assert (written["outcome"], written["guards"]) == ("stopped", [GUARD])
    assert main(["plan", "--comment"]) == 3
    shown = capsys.readouterr().out
    assert "> [!WARNING]\n> 4 of 10 vanish." in shown
    assert "api: archived" in shown


def test_what_a_guard_holds_is_said_beside_what_is_deployed(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(step("create"), guards=[GUARD], changes={"created": CREATED})
    assert main(["plan"]) == 3
    shown = capsys.readouterr().out
    assert shown.startswith("Plan of prod: 4 waiting, 1 created\n")
    assert "set `confirm.vanished` to 4 for one deployment" in shown
    assert "  - api: archived\n" in shown
    assert main(["plan", "--comment"]) == 3
    shown = capsys.readouterr().out
    assert "> [!WARNING]\n> 4 of 10 services would vanish at once, more than 3." in shown
    assert "**created**" in shown


def test_a_setting_of_other_hands_is_shown_as_it_is_and_as_it_is_planned(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = {"registry": "111111111111/eu-west-1", "setting": "scanning", "now": "A", "then": "B"}
    engine(step("create"), changes={"created": CREATED}, waitingSettings=[waits])
    assert main(["plan"]) == 0, "what waits to be adopted holds nobody up"
    shown = capsys.readouterr().out
    assert shown.startswith("Plan of prod: 1 setting of registries waiting, 1 created\n")
    assert "  - 111111111111/eu-west-1, scanning\n    - A\n    + B\n" in shown
    assert 'registries.adopted: ["111111111111/eu-west-1"]' in shown
    assert main(["plan", "--comment"]) == 0
    shown = capsys.readouterr().out
    assert "> [!WARNING]\n> 1 setting of registries, made by other hands" in shown
    assert "! scanning of 111111111111/eu-west-1\n- A\n+ B" in shown


def test_a_setting_that_an_adopted_registry_loses_is_shown_as_it_is_and_as_it_becomes(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    goes = {"registry": "111111111111/eu-west-1", "setting": "policy", "now": "A", "then": "B"}
    engine(step("create"), changes={"created": CREATED}, replacedSettings=[goes])
    assert main(["plan"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Plan of prod: 1 setting of registries replaced, 1 created\n")
    assert "replaced: 1 setting of registries, made by other hands, which this deployment" in shown
    assert "  - 111111111111/eu-west-1, policy\n    - A\n    + B\n" in shown
    assert main(["plan", "--comment"]) == 0
    shown = capsys.readouterr().out
    assert "> [!WARNING]\n> 1 setting of registries, made by other hands" in shown
    assert "What stands, and what replaces it" in shown
    assert "! policy of 111111111111/eu-west-1\n- A\n+ B" in shown
    assert main(["plan", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["replacedSettings"] == [goes]


def test_a_long_setting_is_shown_line_by_line() -> None:
    now = json.dumps({"Sid": "Partner", "Action": ["ecr:ReplicateImage"] * 5})
    then = json.dumps({"Sid": "Organisation", "Action": ["ecr:ReplicateImage"] * 5})
    lines = json_diff(now, then)
    assert [each for each in lines if not each.startswith(" ")] == [
        '-   "Sid": "Partner",',
        '+   "Sid": "Organisation",',
    ]
    assert lines[0] == "  {"
    assert json_diff("none", then)[0] == "- none"


def test_what_stands_beside_image_repositories_by_other_hands_is_in_the_plan_and_the_comment(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    stands = {
        "kind": "variable",
        "name": "api/ECR_REGION",
        "now": "x",
        "then": "y",
        "note": "api has it",
    }
    engine(step("create"), changes={"created": CREATED}, standing=[stands] * 7)
    assert main(["plan"]) == 0
    shown = capsys.readouterr().out
    assert "left alone: Left as they are: 7 variables." in shown
    assert shown.count("  - api has it\n") == 7
    assert main(["plan", "--comment"]) == 0
    shown = capsys.readouterr().out
    assert "> [!NOTE]\n> Left as they are: 7 variables." in shown
    assert "The other 2</summary>" in shown


def test_what_is_between_backquotes_is_code_and_nothing_else_means_anything() -> None:
    assert spoken("choose one under `names`, or `_` @acme") == (
        f"choose one under `names`, or `_` \\@{ZERO_WIDTH_SPACE}acme"
    )
    assert spoken("an odd ` @acme") == f"an odd \\` \\@{ZERO_WIDTH_SPACE}acme"
    assert spoken("a `b|c` d") == "a `b\\|c` d"


def test_any_other_error_is_a_plain_failure(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(exit_code=255, error={"step": "settings", "problem": "Wrong.", "offences": []})
    assert main(["plan", "--comment"]) == 1
    assert "> [!CAUTION]\n> Wrong." in capsys.readouterr().out


def test_the_comment_begins_with_its_mark_and_holds_the_engines_diff(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(step("create"), changes={"created": CREATED})
    assert main(["plan", "--comment"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("<!-- ecr-estate plan prod -->\n")
    assert (
        "| **created**: their image repositories are made | 1 | 1 | `batch`: new on GitHub |"
        in (shown)
    )
    assert "```diff\n+ Repository 1/r/batch\n```" in shown


def test_a_large_plan_is_cut_and_says_so(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"service-{number}" for number in range(3000)]
    created = {"services": 3000, "imageRepositories": 3000, "reasons": {"new on GitHub": names}}
    engine(*(step("create", name) for name in names), changes={"created": created})
    assert main(["plan", "--comment"]) == 0
    shown = capsys.readouterr().out
    assert len(shown) < LARGEST
    assert "and 2,990 more" in shown
    assert "... and 2,600 more lines" in shown


def test_the_json_holds_the_whole_plan(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine(step("create"), changes={"created": CREATED})
    assert main(["plan", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    planned = {"create": 1, "import": 0, "delete": 0}
    assert printed["imageRepositories"] == {"planned": planned, "engine": {**planned, "update": 0}}
    assert printed["changes"] == {"created": CREATED}


def test_drift_names_what_aws_has_instead(
    engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    old = {"inputs": {"imageTagMutability": "IMMUTABLE"}}
    new = {"inputs": {"imageTagMutability": "MUTABLE"}}
    changed = step("update", "api", oldState=old, newState=new, diffReasons=["imageTagMutability"])
    engine(changed, step("delete", "web"))
    assert main(["drift", "--output", str(tmp_path / "drift.json")]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "image repository 1/r/api: imageTagMutability",
        '  imageTagMutability: "IMMUTABLE" was deployed, "MUTABLE" is in AWS',
        "image repository 1/r/web: is gone",
        "Drift: 2 resources; `pulumi up --refresh --run-program` puts that right.",
    ]
    found = json.loads((tmp_path / "drift.json").read_text())["drift"]
    assert [each["gone"] for each in found] == [False, True]
    assert main(["drift", "--comment"]) == 3
    assert "1 image repository and the images in it were deleted" in capsys.readouterr().out


def test_drift_is_looked_for_though_the_program_stops(
    engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine(step("delete", "web"), error={"step": "plan", "problem": "No.", "offences": []})
    (tmp_path / "pulumi").write_text(
        "#!/bin/sh\n"
        f'case "$*" in *--run-program*) cp {tmp_path}/report "$ECR_ESTATE_REPORT"; '
        f"echo '{{\"diagnostics\": []}}'; exit 255;; esac\n"
        f"cat {tmp_path}/digest\n"
    )
    assert main(["drift"]) == 3
    assert "image repository 1/r/web: is gone" in capsys.readouterr().out


DELETIONS = {
    "source": "111111111111/eu-west-1",
    "destination": "222222222222/eu-west-1",
    "replicas": ["api"],
    "means": "111111111111/eu-west-1: delete replication is on",
}


@pytest.mark.parametrize("form", [[], ["--comment"], ["--json"]])
def test_delete_replication_is_shown_by_the_plan_and_is_drift(
    engine: Engine, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    engine(replicatedDeletions=[DELETIONS])
    assert main(["plan", *form]) == 0
    assert "111111111111/eu-west-1: delete replication is on" in capsys.readouterr().out
    assert main(["drift", *form]) == 3
    shown = capsys.readouterr().out
    assert "111111111111/eu-west-1: delete replication is on" in shown
    assert "AWS is as it was deployed" not in shown


@pytest.mark.parametrize("form", [[], ["--comment"]])
def test_no_drift_is_said_and_exits_well(
    engine: Engine, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    engine()
    assert main(["drift", *form]) == 0
    assert "AWS is as it was deployed" in capsys.readouterr().out


def test_no_text_from_elsewhere_is_read_as_markdown() -> None:
    assert code("a`b|c\nd") == "`a'b\\|c d`"
    assert plain("[x](y) <img> *b*") == "\\[x\\](y) \\<img\\> \\*b\\*"
    assert "```\n'''\n```" in folded("t", ["```"])
    assert listed(["a", "b", "c"], 2) == "`a`, `b` and 1 more"


@pytest.mark.parametrize(
    "text",
    ["@acme/team", "see #1", "acme/api#7", "https://evil.example/x", "www.evil.example", "GH-26",
     "me@acme.example", "\\@acme", "WWW.evil.example", "gh-26"],
)  # fmt: skip
def test_no_text_from_elsewhere_mentions_anybody_or_becomes_a_link(text: str) -> None:
    """What GitHub looks for once Markdown is done: no backslash hides it (github/markup#1168)."""
    left = re.sub(r"\\(.)", r"\1", plain(text))
    found = r"@\w|#\d|://|(?i:\bwww\.)|(?i:\bGH-\d)"
    assert re.search(found, text)
    assert not re.search(found, left)


def test_control_characters_are_spelt_out_in_comments_and_on_a_terminal() -> None:
    evil = "app\x1b]52;c;x\x07\u202e\x1b[2J"
    for shown in (code(evil), plain(evil), printable(evil), table(("file",), [(evil,)])):
        assert "\\x1b" in shown
        assert shown.replace("\n", "").replace("\u200b", "").isprintable()


def test_numbers_agree_with_their_nouns() -> None:
    assert [number(1, "service"), number(2, "image repository"), number(0, "resource")] == [
        "1 service",
        "2 image repositories",
        "0 resources",
    ]


def test_sections_for_which_there_is_no_room_are_left_out_and_it_is_said() -> None:
    text = fitted(["first", "x" * LARGEST, "", "last"])
    assert text.startswith("first\n\nlast\n\n_More than")
