"""`ecr-estate simulate`: from files and live registries, in words and in JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.main import main
from tests.live import ARTIFACTS, REGISTRY, Live, live

__all__ = ["live"]

POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["live-*"],
                "countType": "imageCountMoreThan",
                "countNumber": 1_000_000,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "selection": {
                "tagStatus": "any",
                "countType": "imageCountMoreThan",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        },
    ]
}
AT = "--at", "2026-11-22T12:00:00+00:00"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("policy.json").write_text(json.dumps(POLICY, indent=2))
    images = [entry("a", 10, "one"), entry("b", 9, "live-two"), entry("c", 8, "three")]
    Path("binary").write_bytes(b"{\xff\xfe")
    Path("details.json").write_text('{"imageDetails": 3}')
    Path("twice.json").write_text('{"rules": [], "rules": []}')
    Path("images.jsonl").write_text("\n".join(json.dumps(each) for each in images))
    return tmp_path


def entry(digest: str, days: int, *tags: str) -> dict[str, Any]:
    return {
        "repositoryName": "api",
        "imageDigest": f"sha256:{digest}",
        "imageTags": tags,
        "imagePushedAt": f"2026-11-{22 - days:02}T12:00:00+00:00",
    }


@pytest.mark.usefixtures("files")
def test_a_table_says_what_goes_by_which_rule_and_what_is_protected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "images.jsonl", "--policy", "policy.json", *AT]) == 0
    shown, said = capsys.readouterr()
    assert shown.splitlines() == [
        "api: 3 images, 1 go now, 2 stay",
        "rule 1 protects 1 from rule 2",
        "image     tags  pushed      action  rule  reason",
        "sha256:a  one   2026-11-12  expire  2     beyond the newest 1 of each any image",
    ]
    assert "3 images in " in said
    assert "MiB at the peak" in said


@pytest.mark.usefixtures("files")
def test_the_days_to_come_are_shown_with_the_pushes_expected(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--policy", "policy.json", *AT, "--days", "2", "--pushes", "1", "--json"]
    assert main(["simulate", "images.jsonl", *arguments]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [(each["date"], each["imageDigest"]) for each in found["forecast"]] == [
        ("2026-11-22", "sha256:a"),
        ("2026-11-23", "sha256:c"),
        ("2026-11-24", "expected 1.0"),
    ]
    assert main(["simulate", "images.jsonl", *arguments[:-1]]) == 0
    assert "2026-11-23  expire  rule 2  1" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_two_policies_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--policy", "policy.json", "--compare", "none", *AT]
    assert main(["simulate", "images.jsonl", *arguments]) == 0
    shown = capsys.readouterr().out
    assert "under none 0 go now; 1 images fare otherwise" in shown
    assert "stays: no rule selects it" in shown
    assert main(["simulate", "images.jsonl", *arguments, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["differences"][0]["imageDigest"] == "sha256:a"


@pytest.mark.usefixtures("files")
def test_all_images_are_listed_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "images.jsonl", "--policy", "policy.json", "--all", *AT]) == 0
    assert "stays   1     its tag is protected" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_a_long_table_says_how_much_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--policy", "policy.json", "--all", "--show", "1", *AT]
    assert main(["simulate", "images.jsonl", *arguments]) == 0
    assert "... and 2 more (--show)" in capsys.readouterr().out


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either a file of images, or registries"),
        (["images.jsonl"], "give --policy with a file, or one of commit-sha"),
        (["images.jsonl", "--policy", "none", "--at", "noon"], "--at noon: write it as"),
        (["images.jsonl", "--policy", "none", "--check"], "--check: is for live registries"),
        (
            ["images.jsonl", "--policy", "none", "--image-repository", "api"],
            "--image-repository: is for",
        ),
        (["--registry", "ireland"], "ireland: write the account's 12 digits"),
    ],
)
def test_options_that_leave_nothing_to_do_are_said_with_the_remedy(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images.jsonl", "--policy", "missing"], "missing: No such file or directory"),
        (["missing", "--policy", "none"], "missing: No such file or directory"),
        (["policy.json", "--policy", "none"], "line 1: give the output"),
        (["binary", "--policy", "none"], "binary: is not UTF-8"),
        ([".", "--policy", "none"], ".: Is a directory"),
        (["details.json", "--policy", "none"], "line 1: give the output"),
        (["images.jsonl", "--policy", "twice.json"], "has the key 'rules' twice"),
        (["--outputs", "binary"], "binary: is not text in UTF-8"),
        (["--outputs", "missing"], "missing: No such file or directory"),
        (["--outputs", "policy.json"], "write it anew by `pulumi stack output --json"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_remedy(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("imageDigest", 7),
        ("imageTags", "v1"),
        ("imageTags", [1]),
        ("imagePushedAt", float("nan")),
        ("imagePushedAt", float("inf")),
        ("imagePushedAt", -1e12),
        ("imagePushedAt", 10**400),
        ("imagePushedAt", None),
        ("subjectManifestDigest", ["sha256:a"]),
        ("repositoryName", ["api"]),
    ],
)
def test_an_entry_that_is_no_image_is_named_by_its_line(
    key: str, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [entry("a", 1), {**entry("b", 1), key: value}]
    Path("images.jsonl").write_text("\n".join(map(json.dumps, entries)))
    assert main(["simulate", "images.jsonl", "--policy", "none"]) == 1
    assert "line 2: " in capsys.readouterr().err


OF = f"sha256:{'a' * 64}"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.mark.usefixtures("files")
def test_lists_of_which_the_parts_are_not_known_are_said_and_what_goes_beside_them_is_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    held = {**entry("list", 1, "v1"), "imageManifestMediaType": INDEX}
    Path("images.jsonl").write_text("\n".join(map(json.dumps, (held, entry("part", 9)))))
    assert main(["simulate", "images.jsonl", "--policy", "commit-sha", *AT]) == 0
    shown, said = capsys.readouterr()
    assert "pushed more than 7 days ago ? unknown parts" in shown
    assert "api: of 1 manifest list the parts are not known: untagged images may be" in said
    held["parts"] = ["sha256:part"]
    Path("images.jsonl").write_text("\n".join(map(json.dumps, (held, entry("part", 9)))))
    arguments = ["--policy", "commit-sha", "--all", "--json", *AT]
    assert main(["simulate", "images.jsonl", *arguments]) == 0
    shown, said = capsys.readouterr()
    assert [each["doubt"] for each in json.loads(shown)[0]["verdicts"]] == [None, "held part"]
    assert "are not known" not in said


@pytest.mark.usefixtures("files")
def test_signatures_that_go_while_their_images_stay_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = [
        {**entry("", 1, "three"), "imageDigest": OF},
        entry("s", 9, f"{OF.replace(':', '-')}.sig"),
    ]
    Path("images.jsonl").write_text("\n".join(map(json.dumps, images)))
    assert main(["simulate", "images.jsonl", "--policy", "policy.json", *AT]) == 0
    assert "by tag that go while their images stay: 1; shield" in (capsys.readouterr().out)
    assert main(["simulate", "images.jsonl", "--policy", "commit-sha", *AT]) == 0
    assert "signatures" not in capsys.readouterr().out


@pytest.mark.usefixtures("files")
def test_images_of_a_later_date_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["simulate", "images.jsonl", "--policy", "none", "--at", "2026-11-13T18:00:00"]
    assert main(asked) == 0
    assert "api: 1 are dated later than the moment" in capsys.readouterr().err


@pytest.mark.usefixtures("files")
def test_a_malformed_policy_is_reported_by_line_and_rule(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("policy.json").write_text(json.dumps(POLICY, indent=2).replace("1000000", "0"))
    assert main(["simulate", "images.jsonl", "--policy", "policy.json"]) == 1
    assert "line 11, rule 1: selection.countNumber = 0" in capsys.readouterr().err


def test_a_live_registry_is_simulated_under_its_own_policy_and_ecr_agrees(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    ecr = live.ecr()
    ecr.create_repository(repositoryName="api")
    ecr.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=json.dumps(POLICY))
    for days, tag in enumerate(["new", "live-old", "old"]):
        live.push("api", tag, days_ago=days)
    assert main(["simulate", *live.options, "--check"]) == 0
    shown, said = capsys.readouterr()
    assert f"{ARTIFACTS}/eu-west-1/api: 3 images, 1 go now, 2 stay" in shown
    assert "ECR's preview agrees on 1 images" in said


def test_of_a_live_registry_manifests_are_read_where_a_list_may_hold_what_goes(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live.ecr().create_repository(repositoryName="api")
    part = live.push("api", days_ago=9)
    live.push("api", "v1.0.0", parts=(part,))
    assert main(["simulate", *live.options, "--policy", "commit-sha"]) == 0
    assert "2 images, 0 go now, 2 stay" in capsys.readouterr().out
    pulls: list[str] = []

    def noted(_: object, __: str, digests: list[str]) -> dict[str, str]:
        pulls.extend(digests)
        return {}

    monkeypatch.setattr("ecr.aws.images.manifests_of", noted)
    assert main(["simulate", *live.options, "--policy", "semver", "--at", "2026-01-01"]) == 0
    assert main(["simulate", *live.options, "--policy", "none"]) == 0
    assert pulls == []


def test_where_ecr_does_not_agree_the_exit_code_says_so(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live.ecr().create_repository(repositoryName="api")
    live.push("api", "old")
    monkeypatch.setattr("sandbox.aws.lifecycle_evaluation.evaluate", lambda *_: {})
    policy = ["--policy", "source-sample", "--at", "2099-01-01"]
    assert main(["simulate", *live.options, *policy, "--check"]) == 0
    live.push("api", "older", days_ago=99)
    for number in range(10):
        live.push("api", f"t{number}")
    assert main(["simulate", *live.options, *policy, "--check"]) == 3
    assert "only the simulator has sha256:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--registry", REGISTRY], "account 111111111111: these are of 123456789012; use its own"),
        (
            ["--registry", REGISTRY, "--role-name", "r", "--image-repository", "gone"],
            "RepositoryNotFound",
        ),
    ],
)
def test_a_registry_that_is_not_there_is_said(
    arguments: list[str], said: str, live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert live
    assert main(["simulate", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_missing_credentials_are_said(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert live
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "missing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "missing")
    assert main(["simulate", "--registry", REGISTRY]) == 1
    assert "There are no AWS credentials." in capsys.readouterr().err
