"""The reusable workflow that pushes: without a key, under the commit's SHA, and never twice."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github/workflows/push.yml"
REPOSITORY = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/payments/ledger"
SHA = "4f2c1a9d0c8b7e6f5a4b3c2d1e0f9a8b7c6d5e4f"
DIGEST = f"sha256:{'a' * 64}"

DOCKER = f"""\
echo "docker $*" >> "$LOG"
case "$*" in
  "login "*) cat >> "$LOG"; echo >> "$LOG" ;;
  "buildx imagetools inspect "*) [ -e "$PUSHED" ] && echo {DIGEST} ;;
  "buildx build "*) touch "$PUSHED" ;;
esac
"""


def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]["push"]
    return found


def test_it_may_read_its_repository_and_ask_for_a_token_and_nothing_else() -> None:
    assert job()["permissions"] == {"contents": "read", "id-token": "write"}
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {}


def test_it_uses_no_action_that_could_move() -> None:
    actions = [step["uses"] for step in job()["steps"] if "uses" in step]
    assert len(actions) == 2
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions)


def test_no_input_becomes_part_of_a_script() -> None:
    assert [step["run"] for step in job()["steps"] if "${{" in step.get("run", "")] == []


def test_it_takes_what_the_variables_of_a_push_role_say() -> None:
    inputs = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_call"]["inputs"]
    assert {name for name, each in inputs.items() if each["required"]} == {
        "role",
        "repository",
        "region",
    }
    for variable in ("ECR_PUSH_ROLE", "ECR_REPOSITORY", "ECR_REGION"):
        assert any(variable in each["description"] for each in inputs.values())


@pytest.mark.parametrize("missing", ["ROLE", "REPOSITORY", "REGION"])
def test_a_repository_that_has_no_variables_yet_is_told_when_it_gets_them(missing: str) -> None:
    first = job()["steps"][0]
    given = {"ROLE": "arn", "REPOSITORY": REPOSITORY, "REGION": "eu-west-1"}
    assert first["env"].keys() == given.keys()

    def run(**more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["/bin/bash", "-euc", first["run"]],
            env={**given, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    assert run().returncode == 0
    refused = run(**{missing: ""})
    assert refused.returncode == 1
    assert f"::error::The input {missing.lower()} is empty" in refused.stdout
    assert "run the estate's workflow deploy" in refused.stdout


def test_no_provenance_is_attached_unless_asked_for() -> None:
    inputs = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_call"]["inputs"]
    assert inputs["provenance"]["default"] is False


def put_command(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o700)


@pytest.mark.parametrize("pushed", [False, True])
def test_the_image_is_pushed_once_under_the_commits_sha(tmp_path: Path, *, pushed: bool) -> None:
    put_command(tmp_path, "aws", "echo a-password")
    put_command(tmp_path, "docker", DOCKER)
    log, output, marker = tmp_path / "log", tmp_path / "output", tmp_path / "pushed"
    if pushed:
        marker.touch()
    done = subprocess.run(
        ["/bin/bash", "-c", job()["steps"][-1]["run"]],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "LOG": str(log),
            "PUSHED": str(marker),
            "GITHUB_OUTPUT": str(output),
            "REPOSITORY": REPOSITORY,
            "REGION": "eu-west-1",
            "CONTEXT": ".",
            "DOCKERFILE": "Dockerfile",
            "PLATFORM": "linux/amd64",
            "PROVENANCE": "false",
            "TAG": SHA,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = log.read_text()
    host = REPOSITORY.partition("/")[0]
    assert f"docker login --username AWS --password-stdin {host}\na-password\n" in said
    built = "docker buildx build --provenance=false --platform linux/amd64 --file ./Dockerfile"
    assert said.count(f"{built} --tag {REPOSITORY}:{SHA} --push .") == (0 if pushed else 1)
    assert said.endswith(f"docker logout {host}\n")
    assert output.read_text() == f"image={REPOSITORY}@{DIGEST}\n"
