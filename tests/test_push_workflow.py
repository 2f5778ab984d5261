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


WAITING = """\
echo "aws $1 $2" >> "$LOG"
n=$(grep -c "aws $1 $2" "$LOG")
case "$1 $2" in
  "sts assume-role-with-web-identity")
    if [ "$n" -le "$ROLE_TRIES" ]; then echo "An error occurred (AccessDenied): Not authorized" >&2; exit 254; fi
    printf 'AKIA\\tsecret\\ttoken\\n' ;;
  "ecr batch-check-layer-availability")
    if [ "$n" -le "$REPOSITORY_TRIES" ]; then
      echo "An error occurred (RepositoryNotFoundException): none" >&2; exit 254
    fi ;;
esac
"""
ROLE = "arn:aws:iam::111122223333:role/ecr-push/push-ledger-1"


def waited(folder: Path, **more: str) -> tuple[subprocess.CompletedProcess[str], str]:
    put_command(folder, "aws", WAITING)
    put_command(folder, "curl", 'echo \'{"value": "a-token"}\'')
    put_command(folder, "sleep", ":")
    (step,) = [each for each in job()["steps"] if each.get("name", "").startswith("Wait for")]
    log = folder / "log"
    log.touch()
    given = {
        "PATH": f"{folder}:/usr/bin:/bin",
        "LOG": str(log),
        "ROLE": ROLE,
        "REPOSITORY": REPOSITORY,
        "REGION": "eu-west-1",
        "MINUTES": "10",
        "ROLE_TRIES": "0",
        "REPOSITORY_TRIES": "0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "any",
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://example.com/?a=b",
        **more,
    }
    done = subprocess.run(
        ["/bin/bash", "-c", step["run"]],
        env=given,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done, log.read_text()


def test_a_new_repository_waits_for_its_role_and_its_image_repository_with_a_word(
    tmp_path: Path,
) -> None:
    done, log = waited(tmp_path, ROLE_TRIES="2", REPOSITORY_TRIES="1")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "Waiting for the role push-ledger-1",
        "Waiting for the role push-ledger-1",
        "Waiting for the image repository payments/ledger",
    ]
    assert log.count("aws sts") == 4


def test_where_nothing_comes_the_wait_ends_with_what_is_missing(tmp_path: Path) -> None:
    done, _ = waited(tmp_path, ROLE_TRIES="99", MINUTES="0")
    assert done.returncode == 1
    assert "After 0 minutes the role push-ledger-1 is still not there" in done.stderr
    assert "Not authorized" in done.stderr


def test_without_variables_it_says_when_to_run_it_again(tmp_path: Path) -> None:
    done, log = waited(tmp_path, ROLE="")
    assert done.returncode == 1
    assert "ECR_PUSH_ROLE" in done.stderr
    assert "run this again" in done.stderr
    assert log == ""
