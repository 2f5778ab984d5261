"""The workflows: pinned, with no more rights than they need, no secret, and scripts that do as they say."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from benchmarks.state import BOUNDED, Written, sentence
from ecr.engine.types import REPOSITORY
from sandbox.workflows import main

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = ROOT / ".github/actions/estate/action.yml"
SCRIPTS = {
    *("github-token", "revoke", "plan", "deploy", "docs", "drift", "post", "run"),
    *("tell", "notify", "watch", "confirmation", "take"),
}
INLINE = {
    "Check what is given",
    "Look at the gate",
    "Install what promotes",
    "Wait for the role and the image repository",
    "Promote",
    "Build and push",
}
"""Steps whose shell stands in the workflow itself; tests/test_operations_promote.py and
tests/test_push_workflow.py are about them."""

BY_MAKE = {
    f"make {target}"
    for target in (
        "browser",
        "check",
        "cluster",
        "docs",
        "second-opinion",
        "engine",
        "first-day",
        "install-deploy",
        "lowest",
        "rest",
        "sandbox",
        "unit",
    )
}
each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.stem))
needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="the scripts need jq")


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(file)["jobs"]
    return found


def steps() -> Iterator[dict[str, Any]]:
    yield from read(ACTION)["runs"]["steps"]
    for file in WORKFLOWS:
        for job in jobs(file).values():
            yield from job.get("steps", [])


def rights(name: str) -> dict[str, set[str]]:
    """What each job may write."""
    return {
        key: {right for right, level in job["permissions"].items() if level == "write"}
        for key, job in jobs(ROOT / f".github/workflows/{name}.yml").items()
    }


@pytest.mark.parametrize("file", [ACTION, *WORKFLOWS], ids=lambda file: str(file.stem))
def test_every_action_is_pinned_by_its_commit_and_names_its_version(file: Path) -> None:
    used = re.findall(r"uses: (.+)", file.read_text())
    pinned = r"(?:[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\./\.github/(?:actions/estate|workflows/\w+-stack\.yml))"
    assert [each for each in used if not re.fullmatch(pinned, each)] == []


@each_workflow
def test_a_workflow_has_no_right_and_each_job_its_own(file: Path) -> None:
    assert read(file)["permissions"] == {}
    for job in jobs(file).values():
        assert "permissions" in job
        assert "timeout-minutes" in job or "uses" in job


def test_no_job_may_write_more_than_it_must() -> None:
    assert not set().union(*rights("ci").values())
    assert rights("preview") == {"plan": {"id-token"}, "comment": {"pull-requests"}}
    assert rights("deploy") == {"stack": {"id-token", "issues"}}
    assert rights("confirm") == {"approve": set(), "stack": {"id-token", "issues"}}
    assert rights("service") == {"stack": {"id-token", "issues"}}
    assert rights("watch") == {"watch": {"id-token", "issues"}}
    assert rights("deploy-stack") == {
        "plan": {"id-token"},
        "deploy": {"id-token"},
        "tell": {"id-token", "issues"},
    }
    assert rights("drift") == {"stack": {"id-token", "issues"}}
    assert rights("drift-stack") == {"compare": {"id-token"}, "issue": {"issues"}}
    assert rights("docs") == {
        "estate": {"id-token"},
        "build": set(),
        "publish": {"pages", "id-token"},
    }


@each_workflow
def test_no_long_lived_secret_is_used(file: Path) -> None:
    secrets = re.findall(r"secrets\.([\w-]+)", file.read_text())
    # The caller may hand promote a token to read this repository with; without it, its own is used.
    assert secrets == (["estate-token"] if file.stem == "promote" else [])
    assert "pull_request_target" not in file.read_text()


def test_a_fork_gets_no_role() -> None:
    job = jobs(ROOT / ".github/workflows/preview.yml")["plan"]
    assert "head.repo.full_name == github.repository" in job["if"]


def test_the_job_that_writes_the_comment_runs_no_code_of_the_pull_request() -> None:
    checkout = jobs(ROOT / ".github/workflows/preview.yml")["comment"]["steps"][0]
    base = "${{ inputs.program-ref || github.event.pull_request.base.sha }}"
    assert checkout["with"]["ref"] == base
    # A pull request cannot change what the branch that is merged into calls, nor by which version.
    assert checkout["with"]["repository"] == "${{ inputs.program || github.repository }}"


def test_one_deployment_runs_at_a_time_and_is_never_cancelled() -> None:
    assert read(ROOT / ".github/workflows/deploy.yml")["concurrency"] == {
        "group": "deploy",
        "cancel-in-progress": False,
    }


STACKS = """${{ fromJSON(vars.ECR_ESTATE_STACKS || '["prod"]') }}"""


@pytest.mark.parametrize("name", ["preview", "deploy", "drift"])
def test_every_job_is_for_every_stack_and_one_that_fails_does_not_end_the_others(name: str) -> None:
    for job in jobs(ROOT / f".github/workflows/{name}.yml").values():
        assert job["strategy"]["matrix"] == {"stack": STACKS}
        assert job["strategy"]["fail-fast"] is False
        assert job["strategy"].get("max-parallel") == (1 if name == "deploy" else None)


def test_what_a_stack_leaves_behind_is_called_after_it() -> None:
    names = [
        step["with"]["name"]
        for name in ("preview", "deploy-stack", "drift-stack")
        for job in jobs(ROOT / f".github/workflows/{name}.yml").values()
        for step in job["steps"]
        if "-artifact" in step.get("uses", "")
    ]
    assert len(names) == 7
    assert all(each.endswith(("-${{ inputs.stack }}", "-${{ matrix.stack }}")) for each in names)


def hours(cron: str) -> set[int]:
    minute, field, *rest = cron.split()
    assert (minute, rest) == ("17", ["*", "*", "*"])
    found: set[int] = set()
    for part in field.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_no_scheduled_run_takes_the_place_of_a_refresh_that_waits() -> None:
    deploy = read(ROOT / ".github/workflows/deploy.yml")
    plain, refresh = (each["cron"] for each in deploy[ON]["schedule"])
    assert f"github.event.schedule == '{refresh}'" in deploy["jobs"]["stack"]["with"]["refresh"]
    one = read(ROOT / ".github/workflows/deploy-stack.yml")
    assert one["env"]["REFRESH"] == "${{ inputs.refresh }}"
    assert len(hours(refresh)) == 2  # the second, where a merge took the place of the first
    after = {hour + more for hour in hours(refresh) for more in (0, 1)}
    assert hours(plain) == set(range(24)) - after


def test_a_confirmation_is_approved_and_no_deployment_waits_for_it() -> None:
    confirm = jobs(ROOT / ".github/workflows/confirm.yml")
    assert confirm["approve"]["environment"] == "production-guarded"
    assert "vars.ECR_ESTATE_GUARDED == 'true'" in confirm["approve"]["if"]
    assert "concurrency" not in confirm["approve"]
    waiting = read(ROOT / ".github/workflows/confirm.yml")["concurrency"]["group"]
    deploying = read(ROOT / ".github/workflows/deploy.yml")["concurrency"]
    assert confirm["stack"]["needs"] == "approve"
    assert confirm["stack"]["concurrency"] == deploying
    assert waiting != deploying["group"]
    assert confirm["stack"]["with"]["confirm"] == "${{ inputs.confirm }}"
    job = jobs(ROOT / ".github/workflows/deploy-stack.yml")["deploy"]
    assert job["environment"] == "production"
    (deploy,) = [step for step in job["steps"] if ".ci/deploy" in step.get("run", "")]
    assert deploy["env"]["GUARDED"] == "${{ vars.ECR_ESTATE_GUARDED }}"
    assert deploy["env"]["CONFIRM"] == "${{ inputs.confirm }}"
    everyday = jobs(ROOT / ".github/workflows/deploy.yml")["stack"]
    assert "confirm" not in everyday["with"]


def test_nothing_is_deployed_where_the_plan_found_nothing() -> None:
    job = jobs(ROOT / ".github/workflows/deploy-stack.yml")["deploy"]
    assert job["if"] == (
        "!cancelled() && (inputs.repository != '' || needs.plan.result == 'success' && "
        "(needs.plan.outputs.changes == 'true' || inputs.refresh || inputs.confirm != ''))"
    )


def test_one_service_waits_for_no_plan_and_says_nothing_of_the_whole_estate() -> None:
    whole = jobs(ROOT / ".github/workflows/deploy-stack.yml")
    assert whole["plan"]["if"] == "inputs.repository == ''"
    assert whole["tell"]["if"] == "always() && !cancelled() && inputs.repository == ''"
    (deploy,) = [step for step in whole["deploy"]["steps"] if ".ci/deploy" in step.get("run", "")]
    assert deploy["env"]["REPOSITORY"] == "${{ inputs.repository }}"
    # What looks whether the estate was deployed lately counts the runs of deploy.yml.
    everyday, one = (read(ROOT / f".github/workflows/{name}.yml") for name in ("deploy", "service"))
    assert "repository" not in everyday["jobs"]["stack"]["with"]
    assert one["concurrency"] == everyday["concurrency"]
    assert one["jobs"]["stack"]["with"] == {
        "stack": "${{ inputs.stack }}",
        "refresh": False,
        "repository": "${{ inputs.repository }}",
    }


def test_no_expression_becomes_part_of_a_script() -> None:
    assert [step["run"] for step in steps() if "${{" in step.get("run", "")] == []


def test_every_script_of_a_step_is_one_that_is_run_by_a_test() -> None:
    unknown = [
        step["run"]
        for step in steps()
        if "run" in step
        and step["run"] not in BY_MAKE
        and step.get("name") not in INLINE
        and not set(re.findall(r"\.ci/([\w-]+)", step["run"])) & SCRIPTS
    ]
    assert unknown == []
    assert {file.name for file in (ROOT / ".ci").iterdir()} == SCRIPTS


def test_the_engine_of_the_workflows_is_the_one_of_the_sdk() -> None:
    engines = [step for step in steps() if "pulumi/actions" in step.get("uses", "")]
    (version,) = {engine["with"]["pulumi-version"] for engine in engines}
    for lock in ("requirements.lock", "requirements-deploy.lock"):
        assert f"pulumi=={version} " in (ROOT / lock).read_text()


def planted(folder: Path, workflow: str, script: str = "") -> int:
    """What the check says of a copy of the workflows with one of them changed."""
    shutil.copytree(ROOT / ".github", folder / ".github")
    shutil.copytree(ROOT / ".ci", folder / ".ci")
    file = folder / ".github/workflows/drift-stack.yml"
    file.write_text(workflow)
    if script:
        (folder / ".ci/post").write_text(script)
    return main([str(folder)])


DRIFT = (ROOT / ".github/workflows/drift-stack.yml").read_text()


@pytest.mark.parametrize(
    "bad",
    [
        DRIFT.replace("needs: compare", "needs: nothing"),
        re.sub(r"actions/checkout@\w+", "actions/checkout@main", DRIFT),
        DRIFT.replace(
            "run: .ci/drift", "run: .ci/drift ${{ github.event.pull_request.title }}"
        ).replace("workflow_call:", "pull_request_target:\n  workflow_call:"),
        DRIFT.replace("run: .ci/drift", "run: cat $STACK"),
        DRIFT.replace("permissions: {}", "permissions: write-all"),
    ],
    ids=["meaning", "unpinned", "injection", "shell", "rights"],
)
def test_the_check_finds_what_is_wrong_with_a_workflow(
    tmp_path: Path, bad: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bad != DRIFT
    assert planted(tmp_path, bad) == 1
    assert "drift-stack.yml" in capfd.readouterr().out


def test_the_check_finds_what_is_wrong_with_a_script(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert planted(tmp_path, DRIFT, "#!/usr/bin/env bash\ncat $1\n") == 1
    assert "SC2086" in capfd.readouterr().out


class Place:
    """A folder with commands of our own on the PATH, and the files that GitHub gives a step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scripts = ROOT / ".ci"
        self.output = folder / "github-output"
        self.environment = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "TMPDIR": str(folder / "tmp"),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "GITHUB_REPOSITORY": "acme/estate",
            "STACK": "prod",
            "OUT": str(folder),
        }
        (folder / "bin").mkdir()
        (folder / "tmp").mkdir()

    def put(self, name: str, script: str) -> None:
        """Put a command on the PATH; each call of it is noted, an argument a line."""
        file = self.folder / "bin" / name
        file.write_text(
            f"#!/bin/bash\nprintf '%s\\n' \"$@\" >> {self.folder}/{name}.log\n{script}\n"
        )
        file.chmod(0o755)

    def called(self, name: str) -> list[str]:
        log = self.folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def run(self, script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.scripts / script, *arguments],
            env={**self.environment, **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


DIGEST = {
    "steps": [{"op": "create", "urn": f"urn:pulumi:prod::ecr-estate::{REPOSITORY}::1/r/api"}],
    "changeSummary": {"create": 1},
}
CHANGES = {"created": {"services": 1, "imageRepositories": 1, "reasons": {"new": ["api"]}}}


def engine(place: Place, report: dict[str, Any], code: int = 0) -> None:
    (place.folder / "digest").write_text(json.dumps(DIGEST))
    (place.folder / "said").write_text(json.dumps({"stack": "prod", "guards": [], **report}))
    place.put(
        "pulumi",
        f'cp {place.folder}/said "$ECR_ESTATE_REPORT"; cat {place.folder}/digest; exit {code}',
    )


@needs_jq
def test_plan_writes_the_comment_and_says_that_no_guard_has_tripped(place: Place) -> None:
    engine(place, {"changes": CHANGES})
    done = place.run("plan", REFRESH="true")
    assert done.returncode == 0, done.stderr
    assert place.outputs() == {"guarded": "false", "confirm": "{}", "changes": "true"}
    comment = (place.folder / "comment.md").read_text()
    assert comment.startswith("<!-- ecr-estate plan prod -->")
    assert (place.folder / "summary").read_text() == comment
    assert place.called("pulumi")[2:6] == ["--stack", "prod", "--refresh", "--run-program"]


@needs_jq
def test_plan_hands_on_what_a_guard_has_counted_and_is_no_failure(place: Place) -> None:
    guards = [
        {"guard": "vanished", "count": 12, "tripped": True},
        {"guard": "renamed", "count": 1, "tripped": False},
    ]
    error = {"step": "plan", "problem": "12 vanish.", "offences": ["api: archived"]}
    engine(place, {"guards": guards, "error": error}, code=255)
    done = place.run("plan")
    assert done.returncode == 0, done.stderr
    assert place.outputs() == {
        "guarded": "true",
        "confirm": '{"vanished":12}',
        "changes": "true",
    }
    assert "12 vanish" in (place.folder / "comment.md").read_text()


@needs_jq
@pytest.mark.parametrize(
    ("counts", "report", "changes"),
    [
        ({"same": 9}, {"outputsChanged": False}, "false"),
        ({"same": 9, "update": 1}, {"outputsChanged": False}, "true"),
        ({"same": 9}, {"outputsChanged": True}, "true"),
        ({"same": 9}, {}, "true"),
    ],
)
def test_plan_says_whether_there_is_anything_to_deploy(
    place: Place, counts: dict[str, int], report: dict[str, Any], changes: str
) -> None:
    engine(place, report)
    (place.folder / "digest").write_text(json.dumps({"changeSummary": counts}))
    assert place.run("plan").returncode == 0
    assert place.outputs()["changes"] == changes


@needs_jq
def test_plan_fails_where_anything_else_is_wrong_and_still_writes_the_comment(
    place: Place,
) -> None:
    engine(place, {"error": {"step": "settings", "problem": "Wrong.", "offences": []}}, code=255)
    assert place.run("plan").returncode == 1
    assert "Wrong" in (place.folder / "comment.md").read_text()


FAILED = "### Plan of `prod`: none, the preview failed"


@needs_jq
@pytest.mark.parametrize(
    "fails", ["echo nonsense; exit 255", "exit 1"], ids=["no digest", "nothing said"]
)
def test_where_there_is_no_plan_the_comment_says_that_it_failed(place: Place, fails: str) -> None:
    place.put("pulumi", fails)
    done = place.run("plan")
    assert done.returncode == 1
    comment = (place.folder / "comment.md").read_text()
    assert comment.startswith(f"<!-- ecr-estate plan prod -->\n\n{FAILED}\n")
    assert (place.folder / "summary").read_text() == comment
    assert place.outputs() == {"guarded": "false", "confirm": "{}", "changes": "true"}


def test_the_comment_says_so_before_there_is_anything_to_preview_with(place: Place) -> None:
    (_, program, take, begin, prepare, *_) = jobs(ROOT / ".github/workflows/preview.yml")["plan"][
        "steps"
    ]
    assert program["if"] == take["if"] == "inputs.program != ''"
    assert (begin["run"], prepare["name"]) == (".ci/plan begin", "Prepare")
    place.put("pulumi", "")
    done = place.run("plan", "begin", STACK="acme/prod")
    assert done.returncode == 0, done.stderr
    assert FAILED in (place.folder / "comment.md").read_text()
    assert place.called("pulumi") == []


@needs_jq
def test_the_mark_is_the_same_whether_the_preview_failed_or_not(place: Place) -> None:
    engine(place, {"changes": CHANGES})
    assert place.run("plan").returncode == 0
    mark, _, rest = (place.folder / "comment.md").read_text().partition("\n")
    assert FAILED not in rest
    place.put("pulumi", "exit 1")
    assert place.run("plan").returncode == 1
    assert (place.folder / "comment.md").read_text().startswith(f"{mark}\n")


@pytest.fixture
def checkout(place: Place) -> Place:
    """A place with the scripts and a stack's file of its own, which a deployment may write."""
    shutil.copytree(ROOT / ".ci", place.folder / ".ci")
    (place.folder / "Pulumi.prod.yaml").write_text("config: {}\n")
    place.scripts = place.folder / ".ci"
    place.put(
        "pulumi",
        'case "$*" in *"config set"*) echo confirmed >> Pulumi.prod.yaml;; *" up "*) '
        'cp Pulumi.prod.yaml deployed; exit "${CODE:-0}";; *output*) echo "{}";; esac',
    )
    place.put("aws", "")
    return place


@needs_jq
@pytest.mark.parametrize("more", [{}, {"GUARDED": "true"}], ids=["elsewhere", "on GitHub"])
def test_deploy_confirms_what_was_approved_and_publishes_the_outputs(
    checkout: Place, more: dict[str, str]
) -> None:
    done = checkout.run(
        "deploy", CONFIRM='{"vanished":12}', OUTPUTS="s3://acme/outputs.json", **more
    )
    assert done.returncode == 0, done.stderr
    called = " ".join(checkout.called("pulumi"))
    assert "config set --stack prod --path ecr-estate:confirm.vanished 12" in called
    assert "up --stack prod --yes --skip-preview --suppress-outputs" in called
    assert "--refresh" not in called
    assert checkout.called("aws")[-1] == "s3://acme/outputs.json"


@needs_jq
@pytest.mark.parametrize("repository", ["checkout", "--config-file=other.yaml"])
def test_deploy_deploys_one_service_by_the_command_for_it(checkout: Place, repository: str) -> None:
    checkout.put("python", "")
    python = str(checkout.folder / "bin/python")
    done = checkout.run(
        "deploy", REPOSITORY=repository, PYTHON=python, OUTPUTS="s3://acme/outputs.json"
    )
    assert done.returncode == 0, done.stderr
    said = ["-m", "ecr", "deploy", "--stack", "prod", "--yes", "--", repository]
    assert checkout.called("python") == said
    assert "up" not in checkout.called("pulumi")
    assert checkout.called("aws")[-1] == "s3://acme/outputs.json"
    checkout.put("python", "exit 1")
    assert checkout.run("deploy", REPOSITORY=repository, PYTHON=python).returncode == 1


@needs_jq
def test_deploy_calls_the_outputs_after_the_stack_where_the_address_is_a_folder(
    checkout: Place,
) -> None:
    done = checkout.run("deploy", OUTPUTS="s3://acme/outputs/", STACK="acme/prod-1")
    assert done.returncode == 0, done.stderr
    assert checkout.called("aws")[-1] == "s3://acme/outputs/prod-1.json"


@needs_jq
@pytest.mark.parametrize("code", ["0", "255"])
def test_a_confirmation_holds_for_one_deployment_however_it_ends(
    checkout: Place, code: str
) -> None:
    done = checkout.run("deploy", CONFIRM='{"vanished":12}', CODE=code)
    assert done.returncode == int(code), done.stderr
    assert (checkout.folder / "deployed").read_text() == "config: {}\nconfirmed\n"
    assert (checkout.folder / "Pulumi.prod.yaml").read_text() == "config: {}\n"
    assert not list(checkout.folder.glob("*.before"))


@needs_jq
@pytest.mark.parametrize("guarded", ["", "false"])
def test_a_tripped_guard_stops_the_deployment_where_no_reviewers_were_set_up(
    checkout: Place, guarded: str
) -> None:
    done = checkout.run("deploy", CONFIRM='{"vanished":12}', GUARDED=guarded)
    assert done.returncode == 1
    assert "ECR_ESTATE_GUARDED" in done.stderr
    assert '{"vanished":12}' in done.stderr
    assert checkout.called("pulumi") == []
    assert checkout.run("deploy", CONFIRM="{}", GUARDED=guarded).returncode == 0


@pytest.mark.parametrize("addresses", [["s3://acme/prod"], ["s3://acme/prod", "s3://acme/prod-1"]])
@pytest.mark.parametrize("calls", [[""], ["fetch", "build"]], ids=["at once", "in two jobs"])
def test_docs_fetches_the_outputs_of_the_stacks_that_the_site_shows(
    place: Place, addresses: list[str], calls: list[str]
) -> None:
    place.put("aws", 'touch "${@: -1}"')
    place.put("make", "")
    for call in calls:
        done = place.run("docs", *filter(None, [call]), FROM=" ".join(addresses))
        assert done.returncode == 0, done.stderr
    fetched = [str(place.folder / f"outputs-0{number}.json") for number, _ in enumerate(addresses)]
    pairs = zip(addresses, fetched, strict=True)
    asked = [["s3", "cp", "--only-show-errors", one, other] for one, other in pairs]
    assert place.called("aws") == list(chain.from_iterable(asked))
    assert place.called("make") == ["docs", f"OUTPUTS={' '.join(fetched)}", "STACK=prod"]


@pytest.mark.parametrize("call", [[], ["build"]], ids=["at once", "in its own job"])
def test_docs_shows_the_sandbox_where_no_stack_is_named(place: Place, call: list[str]) -> None:
    place.put("aws", "")
    place.put("make", "")
    assert place.run("docs", *call, FROM="").returncode == 0
    assert (place.called("aws"), place.called("make")) == ([], ["docs"])


def test_docs_does_not_show_the_sandbox_for_a_stack_that_was_named(place: Place) -> None:
    place.put("aws", "")
    done = place.run("docs", "fetch", FROM="")
    assert done.returncode == 2
    assert "ECR_ESTATE_SITE_OUTPUTS" in done.stderr


def test_a_fork_publishes_no_site_and_the_build_has_no_role() -> None:
    docs = jobs(ROOT / ".github/workflows/docs.yml")
    assert docs["estate"]["if"].startswith("vars.ECR_ESTATE_SITE == 'true' && ")
    assert "&& vars.ECR_ESTATE_SITE == 'true'" in docs["build"]["if"]
    assert docs["publish"]["needs"] == "build"
    assert "needs.build.result == 'success'" in docs["publish"]["if"]
    roles = [
        key
        for key, job in docs.items()
        for step in job["steps"]
        if "configure-aws-credentials" in step.get("uses", "")
    ]
    assert roles == ["estate"]


def test_every_job_without_a_variable_for_it_is_skipped_but_those_of_ci() -> None:
    """What the guide says of a fork, which has none of the variables."""
    free = {
        (file.stem, key)
        for file in WORKFLOWS
        if "workflow_call" not in read(file)[ON]
        for key, job in jobs(file).items()
        if "vars." not in job.get("if", "") and "needs" not in job
    }
    assert {stem for stem, _ in free} == {"ci"}


ON: Any = True
"""What YAML 1.1 makes of the key `on`."""


def test_the_guides_name_every_variable_of_the_workflows_and_no_other() -> None:
    files = [*WORKFLOWS, ACTION]
    used = {name for file in files for name in re.findall(r"vars\.(ECR_\w+)", file.read_text())}
    promoting = (ROOT / "docs/guides/promoting.md").read_text()
    rows = re.findall(r"^    \| (`ECR_ESTATE_.+?) \|", GUIDE + promoting, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == used


@needs_jq
def test_deploy_confirms_nothing_by_itself_and_publishes_nothing_after_a_failure(
    place: Place,
) -> None:
    place.put("pulumi", "exit 3")
    place.put("aws", "")
    assert place.run("deploy", OUTPUTS="s3://acme/outputs.json", REFRESH="true").returncode == 3
    assert "confirm" not in " ".join(place.called("pulumi"))
    assert {"--refresh", "--run-program"} <= set(place.called("pulumi"))
    assert place.called("aws") == []


ENDING = """
import pathlib, signal, sys, time
told = []
signal.signal(signal.SIGINT, lambda *_: told.append(1))
while not told:
    time.sleep(0.01)
time.sleep(0.2)
pathlib.Path(sys.argv[1]).write_text(str(len(told)))
sys.exit(1)
"""
"""An engine that ends when it is told to, once its state is written, as the real one does."""


@needs_jq
def test_a_deployment_ends_before_its_credentials_do_and_says_that_the_next_goes_on(
    place: Place,
) -> None:
    (place.folder / "ending.py").write_text(ENDING)
    place.put("pulumi", f'exec "{sys.executable}" {place.folder}/ending.py {place.folder}/state')
    # The limit is noted, and a second in its place.
    limit = '[ "$3" -gt 60 ] && set -- "$1" "$2" 1 "${@:4}"'
    place.put("timeout", f'{limit}\nexec {shutil.which("timeout")} "$@"')
    place.put("aws", "")
    done = place.run("deploy", DURATION="7200", OUTPUTS="s3://acme/outputs.json")
    assert done.returncode == 124, done.stderr
    assert place.called("timeout")[2] == str(7200 - 300)
    assert (place.folder / "state").read_text() == "1"  # told once: the second time would kill
    assert "the next deployment goes on" in done.stderr
    assert place.called("aws") == []


@needs_jq
@pytest.mark.parametrize("duration", ["an hour", "300", "1e4"])
def test_a_duration_that_leaves_no_time_is_refused(place: Place, duration: str) -> None:
    place.put("pulumi", "")
    done = place.run("deploy", DURATION=duration)
    assert done.returncode == 2
    assert f"DURATION is {duration}" in done.stderr
    assert place.called("pulumi") == []


def test_the_role_lasts_as_long_as_the_job_that_has_it() -> None:
    hour = 60
    assert read(ACTION)["inputs"]["duration"]["default"] == "3600"
    found = [
        (step["with"], job)
        for file in WORKFLOWS
        for job in jobs(file).values()
        for step in job.get("steps", [])
        if step.get("uses") == "./.github/actions/estate"
    ]
    assert len(found) == 4
    for given, job in found:
        if "duration" not in given:
            assert job["timeout-minutes"] <= hour
            continue
        (deploy,) = [step for step in job["steps"] if ".ci/deploy" in step.get("run", "")]
        assert deploy["env"]["DURATION"] == given["duration"]
        assert given["duration"] == "${{ vars.ECR_ESTATE_DEPLOY_SECONDS || '3600' }}"
        assert job["timeout-minutes"] * 60 > LONGEST
    assert f"at most {LONGEST:,}" in (ROOT / "docs/guides/pipeline.md").read_text()


LONGEST = 20_000
"""Seconds of a deployment that the guide allows: a job on GitHub's runners ends after six hours."""


@pytest.mark.parametrize("fails", ["build", "logout", "nothing"])
def test_push_logs_out_however_the_build_ends(place: Place, fails: str) -> None:
    place.put("aws", "echo a-password")
    place.put(
        "docker",
        f'case "$*" in "login "*) cat > {os.devnull};; *inspect*) [ -e {place.folder}/built ] && echo sha256:1;; '
        f'*{fails}*) exit 1;; "buildx build "*) touch {place.folder}/built;; esac',
    )
    (step,) = [each for each in steps() if each.get("name") == "Build and push"]
    given = ("REGION", "CONTEXT", "DOCKERFILE", "PLATFORM", "PROVENANCE", "TAG")
    done = subprocess.run(
        ["/bin/bash", "-c", step["run"]],
        env={**place.environment, **dict.fromkeys(given, "x"), "REPOSITORY": "host/api"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if fails == "build" else 0), done.stderr
    assert place.called("docker")[-2:] == ["logout", "host"]
    assert place.output.exists() == (fails != "build")


def test_drift_says_whether_there_is_any(place: Place) -> None:
    engine(place, {})
    done = place.run("drift")
    assert done.returncode == 0, done.stderr
    assert place.outputs() == {"found": "true"}
    (place.folder / "digest").write_text('{"changeSummary": {"same": 1}}')
    done = place.run("drift")
    assert done.returncode == 0, done.stderr
    assert place.outputs() == {"found": "false"}
    assert "<!-- ecr-estate drift prod -->" in (place.folder / "issue.md").read_text()


GH = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1]); arguments = sys.argv[2:]
path = next(each for each in arguments if each.startswith("repos/"))
held = json.loads((folder / "held").read_text())
if "--method" not in arguments:
    pages = held["comments" if "/comments" in path else "issues"]
    sys.stdout.write("".join(json.dumps(page) for page in pages))
else:
    body = json.load(sys.stdin)
    said = [arguments[arguments.index("--method") + 1], path, body]
    with (folder / "sent").open("a") as sent:
        sent.write(json.dumps(said) + "\\n")
"""


@pytest.fixture
def forge(place: Place) -> Place:
    """A `gh` that holds comments and issues, and notes what is sent."""
    (place.folder / "gh.py").write_text(GH)
    place.put("gh", f'exec "{sys.executable}" {place.folder}/gh.py {place.folder} "$@"')
    hold(place)
    return place


def hold(place: Place, *rows: dict[str, Any], kind: str = "comments") -> None:
    (place.folder / "held").write_text(json.dumps({"comments": [[]], "issues": [[]], kind: [rows]}))


def sent(place: Place) -> list[Any]:
    file = place.folder / "sent"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def text(place: Place, words: str = "new") -> str:
    file = place.folder / "text.md"
    file.write_text(f'<!-- ecr-estate mark -->\n{words} "quoted" $(not run)\n')
    return str(file)


OURS = {"login": "github-actions[bot]"}
REPO = "repos/acme/estate"


@needs_jq
def test_the_first_comment_is_written_and_the_next_one_takes_its_place(forge: Place) -> None:
    body = '<!-- ecr-estate mark -->\nnew "quoted" $(not run)\n'
    done = forge.run("post", "comment", "7", text(forge))
    assert done.returncode == 0, done.stderr
    hold(
        forge,
        {
            "id": 1,
            "user": {"login": "somebody"},
            "body": "<!-- ecr-estate mark -->\nlooks like ours",
        },
        {"id": 2, "user": OURS, "body": "another of ours"},
        {"id": 3, "user": OURS, "body": "<!-- ecr-estate mark -->\nold"},
    )
    done = forge.run("post", "comment", "7", text(forge))
    assert done.returncode == 0, done.stderr
    assert sent(forge) == [
        ["POST", f"{REPO}/issues/7/comments", {"body": body}],
        ["PATCH", f"{REPO}/issues/comments/3", {"body": body}],
    ]


RUN = {
    "GITHUB_SERVER_URL": "https://github.example",
    "GITHUB_RUN_ID": "7",
}
WAITING = {
    "guards": [
        {"guard": "vanished", "count": 12, "among": 140, "allowed": 7, "tripped": True,
         "what": "services would vanish"},
        {"guard": "renamed", "count": 1, "among": 140, "allowed": 7, "tripped": False,
         "what": "repositories are renamed"},
    ]
}  # fmt: skip


def told(forge: Place, planned: str = "success", deployed: str = "success", **more: str) -> str:
    done = forge.run("tell", PLANNED=planned, DEPLOYED=deployed, **RUN, **more)
    assert done.returncode == 0, done.stderr
    return (forge.folder / "issue.md").read_text()


@needs_jq
@pytest.mark.parametrize(
    ("planned", "deployed", "job"),
    [("failure", "skipped", "Plan"), ("success", "failure", "Deploy")],
)
def test_a_deployment_that_fails_opens_an_issue_and_calls_what_is_to_be_called(
    forge: Place, planned: str, deployed: str, job: str
) -> None:
    forge.put("aws", "true")
    forge.put("curl", "cat > /dev/null")
    topic = "arn:aws:sns:eu-west-1:111122223333:estate"
    body = told(forge, planned, deployed, TOPIC=topic, WEBHOOK="https://chat.example/hook")
    assert body.startswith("<!-- ecr-estate deploy prod -->\n")
    assert f"The job `{job}`" in body
    assert "https://github.example/acme/estate/actions/runs/7" in body
    assert [(method, path) for method, path, _ in sent(forge)] == [("POST", f"{REPO}/issues")]
    assert sent(forge)[0][2]["title"] == "prod was not deployed"
    assert topic in forge.called("aws")
    assert "https://chat.example/hook" in forge.called("curl")


@needs_jq
def test_what_waits_is_an_issue_with_the_command_that_confirms_it(forge: Place) -> None:
    (forge.folder / "plan.json").write_text(json.dumps(WAITING))
    body = told(forge)
    assert "12 of 140 services would vanish at once, more than 7" in body
    assert "renamed" not in body
    command = "gh workflow run confirm.yml --field stack=prod --field confirm='{\"vanished\":12}'"
    assert command in body
    assert sent(forge)[0][2]["title"] == "Changes of prod wait for a confirmation"


@needs_jq
@pytest.mark.parametrize("deployed", ["success", "skipped"])
def test_the_next_success_closes_the_issue(forge: Place, deployed: str) -> None:
    mine = {"number": 5, "user": OURS, "body": "<!-- ecr-estate deploy prod -->\nold"}
    hold(forge, mine, kind="issues")
    told(forge, deployed=deployed)
    assert [(method, path) for method, path, _ in sent(forge)] == [("PATCH", f"{REPO}/issues/5")]
    assert sent(forge)[0][2]["state"] == "closed"


@needs_jq
def test_a_topic_or_a_webhook_that_does_not_answer_fails_nothing(forge: Place) -> None:
    forge.put("aws", "exit 1")
    forge.put("curl", "exit 7")
    told(forge, "failure", "skipped", TOPIC="arn", WEBHOOK="https://chat.example/hook")


@needs_jq
@pytest.mark.parametrize(
    ("last", "overdue"),
    [("2026-11-27T10:00:00Z", False), ("2026-11-27T08:00:00Z", True), (None, True)],
)
def test_a_watch_opens_an_issue_where_nothing_was_deployed_for_three_hours(
    forge: Place,
    last: str | None,
    overdue: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    runs = {"workflow_runs": [{"updated_at": last}] if last else []}
    (forge.folder / "runs").write_text(json.dumps(runs))
    forge.put(
        "gh",
        f'case "$*" in *workflows/deploy.yml/runs*) cat {forge.folder}/runs; exit;; esac\n'
        f'exec "{sys.executable}" {forge.folder}/gh.py {forge.folder} "$@"',
    )
    hold(forge, {"number": 5, "user": OURS, "body": "<!-- ecr-estate watch -->\nx"}, kind="issues")
    noon = "1795780800"  # 2026-11-27T12:00:00Z
    done = forge.run("watch", NOW=noon, **RUN)
    assert done.returncode == 0, done.stderr
    ((method, path, body),) = sent(forge)
    assert (method, path) == ("PATCH", f"{REPO}/issues/5")
    assert (body.get("state") == "closed") is not overdue


@needs_jq
@pytest.mark.parametrize(
    ("given", "code"),
    [('{"vanished": 12}', 0), ("{}", 2), ('{"vanished": 0}', 2), ('{"vanished": "12"}', 2),
     ("12", 2), ("not JSON", 2), ('{"vanished": 1.5}', 2)],
)  # fmt: skip
def test_a_confirmation_that_is_none_is_refused_before_anybody_is_asked(
    place: Place, given: str, code: int
) -> None:
    done = place.run("confirmation", CONFIRM=given)
    assert done.returncode == code
    assert (code == 0) == ("For the next deployment of prod alone" in done.stdout)


@needs_jq
def test_drift_has_one_issue_which_is_opened_updated_and_closed(forge: Place) -> None:
    forge.run("post", "issue", "AWS has drifted", text(forge))
    forge.run("post", "closed", text(forge))
    pull = {"number": 4, "user": OURS, "body": "<!-- ecr-estate mark -->", "pull_request": {}}
    hold(
        forge,
        pull,
        {"number": 5, "user": OURS, "body": "<!-- ecr-estate mark -->\nold"},
        kind="issues",
    )
    forge.run("post", "issue", "AWS has drifted", text(forge))
    done = forge.run("post", "closed", text(forge))
    assert done.returncode == 0, done.stderr
    assert [(method, path) for method, path, _ in sent(forge)] == [
        ("POST", f"{REPO}/issues"),
        ("PATCH", f"{REPO}/issues/5"),
        ("PATCH", f"{REPO}/issues/5"),
    ]
    assert sent(forge)[0][2]["title"] == "AWS has drifted"
    assert sent(forge)[2][2]["state"] == "closed"


@needs_jq
@pytest.mark.parametrize(
    "words",
    ["", "no mark\n", "<!-- -->\n", "<!-- ecr-estate -->\n", "\n<!-- ecr-estate plan a -->\n"],
)
def test_what_begins_with_no_mark_is_not_posted(forge: Place, words: str) -> None:
    hold(forge, {"id": 2, "user": OURS, "body": "another of ours"})
    file = forge.folder / "text.md"
    file.write_text(words)
    done = forge.run("post", "comment", "7", str(file))
    assert done.returncode == 2
    assert "is no mark" in done.stderr
    assert sent(forge) == []


@needs_jq
def test_a_comment_that_cannot_be_written_is_a_failure(place: Place) -> None:
    place.put("gh", "exit 1")
    assert place.run("post", "comment", "7", text(place)).returncode != 0


def test_what_cannot_be_posted_is_named(place: Place) -> None:
    done = place.run("post", "tweet", text(place))
    assert done.returncode == 2
    assert "tweet" in done.stderr


class App(BaseHTTPRequestHandler):
    """GitHub's endpoint for the tokens of an app."""

    asked: list[tuple[str, str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers["Authorization"].split()[1], body))
        known = self.path.endswith("/42/access_tokens")
        answer = json.dumps({"token": "ghs_hour"} if known else {"message": "Not Found"}).encode()
        self.send_response(201 if known else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_DELETE(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"].split()[1], None))
        self.send_response(204 if self.headers["Authorization"] == "Bearer ghs_hour" else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def app() -> Iterator[tuple[str, list[tuple[str, str, Any]]]]:
    asked: list[tuple[str, str, Any]] = []
    server = HTTPServer(("127.0.0.1", 0), type("Known", (App,), {"asked": asked}))
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


SIGN = """
import base64, pathlib, sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
key = serialization.load_pem_private_key(pathlib.Path(sys.argv[1]).read_bytes(), None)
message = pathlib.Path(sys.argv[sys.argv.index("--message") + 1].removeprefix("fileb://")).read_bytes()
print(base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode())
"""


def signing(place: Place) -> rsa.RSAPublicKey:
    """Put an `aws` on the PATH that signs as KMS does, and give the key to check with."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = rsa.generate_private_key(65537, 2048)
    (place.folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (place.folder / "sign.py").write_text(SIGN)
    place.put(
        "aws",
        f'exec "{sys.executable}" {place.folder}/sign.py {place.folder}/key.pem "$@"',
    )
    return key.public_key()


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


APP = {"APP": "Iv1.abc", "INSTALLATION": "42", "KEY": "arn:aws:kms:eu-west-1:111122223333:key/1"}


@needs_jq
def test_a_token_is_had_by_a_signature_of_kms_and_may_only_read(
    place: Place, app: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    public, (url, asked) = signing(place), app
    done = place.run("github-token", GITHUB_API_URL=url, **APP)
    assert done.returncode == 0, done.stderr
    assert place.outputs() == {"token": "ghs_hour"}
    assert done.stdout == "::add-mask::ghs_hour\n"
    ((path, jwt, body),) = asked
    assert path == "/app/installations/42/access_tokens"
    assert body == {"permissions": {"metadata": "read", "organization_custom_properties": "read"}}
    head, claims, signature = jwt.split(".")
    public.verify(
        decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    assert json.loads(decoded(head)) == {"alg": "RS256", "typ": "JWT"}
    said = json.loads(decoded(claims))
    assert said["iss"] == "Iv1.abc"
    assert said["exp"] - said["iat"] == 600
    assert "--signing-algorithm" in place.called("aws")


def test_a_token_is_ended_with_its_job_and_stands_in_no_argument(
    place: Place, app: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    url, asked = app
    done = place.run("revoke", GITHUB_API_URL=url, GITHUB_TOKEN="ghs_hour")
    assert (done.returncode, done.stdout) == (0, "")
    assert asked == [("/installation/token", "ghs_hour", None)]
    refused = place.run("revoke", GITHUB_API_URL=url, GITHUB_TOKEN="ghs_other")
    assert refused.returncode == 0
    assert "::warning::" in refused.stdout
    assert "ghs_other" not in refused.stdout + refused.stderr
    assert place.run("revoke", GITHUB_API_URL=url, GITHUB_TOKEN="").returncode == 0
    assert len(asked) == 2


def test_every_job_that_has_a_token_ends_it_last_whatever_happened() -> None:
    ended = 0
    for file in WORKFLOWS:
        for job in jobs(file).values():
            if any("actions/estate" in step.get("uses", "") for step in job.get("steps", ())):
                last = job["steps"][-1]
                assert last["run"] == ".ci/revoke"
                assert last["if"].startswith("always()")
                ended += 1
    assert ended == 4


@needs_jq
def test_an_app_that_is_not_installed_is_an_error_with_a_remedy(
    place: Place, app: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    signing(place)
    done = place.run("github-token", GITHUB_API_URL=app[0], **{**APP, "INSTALLATION": "1"})
    assert done.returncode == 1
    assert "check the app, its installation and its key" in done.stderr
    assert not place.output.exists()


@needs_jq
@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ({"PERMISSIONS": '{"metadata": "read"}'}, {"metadata": "read"}),
        (
            {"VARIABLES": "write"},
            {
                "metadata": "read",
                "organization_custom_properties": "read",
                "actions_variables": "write",
            },
        ),
        (
            {"PERMISSIONS": '{"metadata": "read"}', "VARIABLES": "read"},
            {"metadata": "read", "actions_variables": "read"},
        ),
    ],
)
def test_a_token_has_the_permissions_that_are_asked_for_and_an_error_names_them(
    place: Place,
    app: tuple[str, list[tuple[str, str, Any]]],
    more: dict[str, str],
    asked: dict[str, str],
) -> None:
    signing(place)
    url, received = app
    assert place.run("github-token", GITHUB_API_URL=url, **APP, **more).returncode == 0
    refused = place.run("github-token", GITHUB_API_URL=url, **{**APP, "INSTALLATION": "1"}, **more)
    assert [body for _, _, body in received] == [{"permissions": asked}] * 2
    assert json.dumps({"permissions": asked}, separators=(",", ":")) in refused.stderr


@needs_jq
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"PERMISSIONS": "metadata"}, "PERMISSIONS is metadata"),
        ({"PERMISSIONS": '["read"]'}, 'PERMISSIONS is ["read"]'),
        ({"PERMISSIONS": '{"metadata": "admin"}'}, "read or write"),
        ({"APP": ""}, "APP is empty"),
    ],
)
def test_what_cannot_be_asked_for_is_said_before_anything_is_signed(
    place: Place, wrong: dict[str, str], said: str
) -> None:
    place.put("aws", "")
    done = place.run("github-token", **{**APP, **wrong})
    assert done.returncode == 2
    assert said in done.stderr
    assert place.called("aws") == []


@needs_jq
def test_what_was_signed_is_in_no_argument(
    place: Place, app: tuple[str, list[tuple[str, str, Any]]]
) -> None:
    signing(place)
    place.put("curl", f'exec {shutil.which("curl")} "$@"')
    assert place.run("github-token", GITHUB_API_URL=app[0], **APP).returncode == 0
    ((_, jwt, _),) = app[1]
    arguments = " ".join([*place.called("curl"), *place.called("aws")])
    assert arguments
    assert not [part for part in jwt.split(".") if part in arguments]
    left = [file for file in (place.folder / "tmp").iterdir() if file.is_file()]
    assert left == []


def test_what_runs_unread_code_takes_the_app_of_its_own_and_never_one_that_writes() -> None:
    for name, key in (("preview", "plan"), ("drift-stack", "compare"), ("deploy-stack", "plan")):
        given = prepared(name, key)
        assert given["role"] == "${{ vars.ECR_ESTATE_PREVIEW_ROLE }}"
        own, unless, ordinary, none = re.split(r" (?:\|\||&&) ", given["app"][4:-3])
        assert own == "vars.ECR_ESTATE_PREVIEW_APP"
        assert (unless, ordinary) == ("vars.ECR_ESTATE_VARIABLES != 'true'", "vars.ECR_ESTATE_APP")
        assert none == "''"  # which .ci/github-token refuses
    assert prepared("deploy-stack", "deploy")["app"] == "${{ vars.ECR_ESTATE_APP }}"


def prepared(name: str, key: str) -> dict[str, str]:
    """What a job gives the action that prepares it."""
    (step,) = [
        step
        for step in jobs(ROOT / f".github/workflows/{name}.yml")[key]["steps"]
        if step.get("uses") == "./.github/actions/estate"
    ]
    given: dict[str, str] = step["with"]
    return given


GUIDE = (ROOT / "docs/guides/pipeline.md").read_text()


def test_the_guide_lets_each_role_trust_the_subjects_of_its_jobs_and_no_others() -> None:
    issuer = "token.actions.githubusercontent.com"
    trusts = []
    for each in re.findall(r"~~~json\n(.*?)~~~", GUIDE, re.DOTALL):
        (statement,) = json.loads(each)["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        (operator,) = statement["Condition"]
        assert operator == "StringEquals"  # a pattern would match more than it seems to
        trusts.append(
            {
                key.removeprefix(f"{issuer}:"): value
                for key, value in statement["Condition"][operator].items()
            }
        )
    prefix = "repo:acme/ecr-estate:"
    everybody = {"aud": "sts.amazonaws.com", "repository_id": "123456789"}
    workflow = ".github/workflows/deploy-stack.yml"
    assert trusts == [
        {**everybody, "sub": [f"{prefix}pull_request", f"{prefix}ref:refs/heads/main"]},
        {
            **everybody,
            "sub": f"{prefix}environment:production",
            "job_workflow_ref": f"acme/ecr-estate/{workflow}@refs/heads/main",
        },
    ]
    assert (ROOT / workflow).exists()
    deploys = [
        (file.name, key)
        for file in WORKFLOWS
        for key, job in jobs(file).items()
        for step in job.get("steps", [])
        if "ECR_ESTATE_DEPLOY_ROLE" in str(step.get("with", {}).get("role"))
    ]
    assert deploys == [("deploy-stack.yml", "deploy")]


def test_only_a_deployment_may_write_variables_and_only_where_they_are_kept() -> None:
    asked = {
        key: step["with"]["variables"]
        for file in WORKFLOWS
        for key, job in jobs(file).items()
        for step in job.get("steps", [])
        if step.get("uses") == "./.github/actions/estate"
    }
    read_only = "${{ vars.ECR_ESTATE_VARIABLES == 'true' && 'read' || '' }}"
    assert asked.pop("deploy") == "${{ vars.ECR_ESTATE_VARIABLES == 'true' && 'write' || '' }}"
    assert set(asked.values()) == {read_only}


def test_the_deployment_writes_the_state_as_it_was_measured() -> None:
    """The guide's figure is of these variables, and a job may still say otherwise."""
    script = (ROOT / ".ci" / "deploy").read_text()
    for name, value in BOUNDED.items():
        assert f"export {name}=${{{name}:-{value}}}" in script


def test_the_guide_has_the_figure_as_it_was_measured() -> None:
    plain, bounded = Written(4, 32.5, 8.1), Written(2, 0.5, 0.2)
    said = sentence(plain, bounded)
    assert "4 whole copies by itself, 32.5 MiB, which is 278 GiB a year" in said
    guide = (ROOT / "docs" / "guides" / "large-estates.md").read_text()
    shape = re.sub(r"[\d.,]+", "#", said)
    assert shape in re.sub(r"[\d.,]+", "#", guide)


def test_a_job_logs_in_to_pulumi_cloud_by_its_token_and_only_where_that_has_the_state() -> None:
    """Nothing is stored: the token of OpenID Connect is exchanged, in every job that talks to the engine."""
    action = yaml.safe_load(ACTION.read_text())
    (login,) = (
        each for each in action["runs"]["steps"] if "pulumi/auth-actions" in each.get("uses", "")
    )
    assert login["if"] == "inputs.organisation != ''"
    assert login["with"]["organization"] == "${{ inputs.organisation }}"
    assert action["inputs"]["organisation"]["default"] == ""
    prepared = [each for each in steps() if each.get("uses") == "./.github/actions/estate"]
    assert len(prepared) >= 4
    for each in prepared:
        assert each["with"]["organisation"] == "${{ vars.ECR_ESTATE_PULUMI_ORGANISATION }}"


def test_a_job_installs_what_a_deployment_needs_and_keeps_it_for_the_next() -> None:
    action = yaml.safe_load(ACTION.read_text())
    python, install = action["runs"]["steps"][:2]
    assert python["with"]["cache"] == "pip"
    assert python["with"]["cache-dependency-path"] == "requirements-deploy.lock"
    assert install["run"] == "make install-deploy"
    whole, small = (
        (ROOT / name).read_text().count("==")
        for name in ("requirements.lock", "requirements-deploy.lock")
    )
    assert small < whole / 2


@needs_jq
def test_an_answer_without_a_token_is_an_error_that_shows_nothing_of_it(place: Place) -> None:
    signing(place)
    place.put("curl", """echo '{"secret": "ghs_hidden"}'""")
    done = place.run("github-token", **APP)
    assert done.returncode == 1
    assert "GitHub answered without a token" in done.stderr
    assert "ghs_hidden" not in done.stderr + done.stdout
    assert not place.output.exists()
