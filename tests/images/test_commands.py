"""The command lines of documents and workflows that touch an image, run, and judged by the digests they leave."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from sandbox.toolchain.tools import BUILDX, CRANE, find_tool
from tests import snippets
from tests.images.conftest import REGION, Registries, built

pytestmark = pytest.mark.images

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "111122223333"
HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
REPOSITORY = f"{HOST}/checkout"
SHA = "0e2b6f1c9d0f4a7c8e21b5a6f3d4c2b1a0987654"
GUIDE = "docs/guides/joining.md"


class Machine:
    """A runner of GitHub: bash, `aws` and `docker`, whose login is the runner's own."""

    def __init__(self, registries: Registries, docker: int) -> None:
        self.registries = registries
        self.ecr = registries.ecr(ACCOUNT)
        self.ecr.create_repository(repositoryName="checkout", imageTagMutability="IMMUTABLE")
        self.folder = registries.folder
        (self.folder / "bin").mkdir()
        self._put("aws", ROOT / "tests/engine/aws_cli.py")
        self._put("docker", ROOT / "tests/images/docker.py")
        (self.folder / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
        keys = self._keys()
        registries.variables = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "PYTHONPATH": str(ROOT),
            "DOCKER_MAJOR": str(docker),
            "CRANE": str(built(CRANE)),
            "AWS_ENDPOINT_URL": registries.aws.url,
            "AWS_REGION": REGION,
            **keys,
        }
        if buildx := find_tool(BUILDX):
            registries.variables["BUILDX"] = str(buildx)

    def _put(self, name: str, script: Path) -> None:
        file = self.folder / "bin" / name
        file.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        file.chmod(0o700)

    def _keys(self) -> dict[str, str]:
        signer: Any = self.ecr
        frozen = signer._request_signer._credentials.get_frozen_credentials()
        return {
            "AWS_ACCESS_KEY_ID": frozen.access_key,
            "AWS_SECRET_ACCESS_KEY": frozen.secret_key,
            "AWS_SESSION_TOKEN": frozen.token,
        }

    def bash(self, script: str, **variables: str) -> str:
        self.registries.variables |= variables
        done = self.registries.run("/bin/bash", "-euo", "pipefail", "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def log_in(self) -> None:
        self.registries.log_in(ACCOUNT)

    def images(self) -> dict[str, str]:
        """Return the media type of each digest."""
        details = self.ecr.describe_images(repositoryName="checkout")["imageDetails"]
        return {each["imageDigest"]: each["imageManifestMediaType"] for each in details}

    def tags(self) -> dict[str, str]:
        details = self.ecr.describe_images(repositoryName="checkout")["imageDetails"]
        return {tag: each["imageDigest"] for each in details for tag in each.get("imageTags", ())}


@pytest.fixture(params=[28, 29], ids=lambda major: f"docker-{major}")
def machine(request: pytest.FixtureRequest, registries: Registries) -> Machine:
    return Machine(registries, request.param)


def push_step(**inputs: str) -> tuple[str, dict[str, str]]:
    """Return the workflow's step that pushes, and its variables for these inputs."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/push.yml").read_text())
    known = workflow[True]["workflow_call"]["inputs"]
    given = {"repository": REPOSITORY, "region": REGION, **inputs}
    values = {
        f"${{{{ inputs.{name} }}}}": given.get(name, str(each.get("default", "")).lower())
        if each["type"] == "boolean"
        else given.get(name, str(each.get("default", "")))
        for name, each in known.items()
    }
    step = workflow["jobs"]["push"]["steps"][-1]
    values["${{ github.sha }}"] = SHA
    return step["run"], {name: values[value] for name, value in step["env"].items()}


def test_the_push_workflow_leaves_one_image_that_a_function_can_be_made_from(
    machine: Machine,
) -> None:
    script, variables = push_step()
    output = machine.folder / "output"
    machine.bash(script, **variables, GITHUB_OUTPUT=str(output))
    (digest,) = machine.images()
    assert machine.images()[digest] in {DOCKER_MANIFEST, OCI_MANIFEST}
    assert machine.tags() == {SHA: digest}
    assert output.read_text() == f"image={REPOSITORY}@{digest}\n"


def test_the_push_workflow_pushes_a_commit_once(machine: Machine) -> None:
    script, variables = push_step()
    output = machine.folder / "output"
    machine.bash(script, **variables, GITHUB_OUTPUT=str(output))
    before = machine.tags()
    (machine.folder / "Dockerfile").write_text("FROM another\n")
    said = machine.bash(script, **variables, GITHUB_OUTPUT=str(output))
    assert f"{REPOSITORY}:{SHA} is there already" in said
    assert machine.tags() == before
    assert len(set(output.read_text().splitlines())) == 1


@pytest.mark.parametrize("machine", [29], indirect=True)
def test_with_provenance_the_push_workflow_leaves_an_index_with_an_attestation(
    machine: Machine,
) -> None:
    script, variables = push_step(provenance="true")
    machine.bash(script, **variables, GITHUB_OUTPUT=str(machine.folder / "output"))
    kinds = machine.images()
    assert sorted(kinds.values()) == [OCI_INDEX, OCI_MANIFEST, OCI_MANIFEST]
    assert kinds[machine.tags()[SHA]] == OCI_INDEX


@pytest.mark.parametrize("machine", [29], indirect=True)
def test_for_two_platforms_the_push_workflow_leaves_an_index_of_two(machine: Machine) -> None:
    script, variables = push_step(platform="linux/amd64,linux/arm64")
    machine.bash(script, **variables, GITHUB_OUTPUT=str(machine.folder / "output"))
    machine.log_in()  # the workflow has logged out
    index = json.loads(machine.registries.crane("manifest", f"{REPOSITORY}:{SHA}"))
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64"]


def guide(language: str, containing: str) -> str:
    (found,) = (
        block.text
        for block in snippets.blocks()
        if block.page == GUIDE and block.language == language and containing in block.text
    )
    return found


def test_the_guides_workflow_leaves_one_image(machine: Machine) -> None:
    workflow = yaml.safe_load(guide("yaml", "docker build"))
    (script,) = (step["run"] for step in workflow["jobs"]["image"]["steps"] if "run" in step)
    image = workflow["env"]["IMAGE"].replace("${{ github.sha }}", SHA)
    machine.log_in()
    machine.bash(script, IMAGE=image)
    (digest,) = machine.images()
    assert machine.tags() == {SHA: digest}
    (machine.folder / "Dockerfile").write_text("FROM another\n")
    machine.bash(script, IMAGE=image)
    assert machine.tags() == {SHA: digest}


def pushed(machine: Machine, *, provenance: bool = False) -> str:
    machine.log_in()
    return machine.registries.push(f"{REPOSITORY}:{SHA}", provenance=provenance)


@pytest.mark.parametrize("provenance", [False, True])
@pytest.mark.parametrize("machine", [28], indirect=True)
def test_the_guides_version_is_the_same_image(machine: Machine, *, provenance: bool) -> None:
    digest = pushed(machine, provenance=provenance)
    machine.bash(guide("sh", ":v1.4.0"))
    assert machine.tags() == {SHA: digest, "v1.4.0": digest}


@pytest.mark.parametrize("provenance", [False, True])
@pytest.mark.parametrize("machine", [28], indirect=True)
def test_the_guides_live_mark_is_on_the_image_that_it_names(
    machine: Machine, *, provenance: bool
) -> None:
    digest = pushed(machine, provenance=provenance)
    machine.bash(guide("sh", ":live-"))
    assert machine.tags() == {SHA: digest, f"live-{digest[7:19]}": digest}
