"""What real clients do with the embedded registries, by the real addresses of ECR."""

from __future__ import annotations

import json
import shutil

import pytest

from sandbox.toolchain.tools import BUILDX, ORAS, find_tool
from tests.images.conftest import ACCOUNT, HOST, REGION, REPOSITORY, Registries, built

pytestmark = pytest.mark.images


def at_hand(name: str) -> str:
    """Return a client that takes long to build, where it is on PATH; skip by its name where it is not."""
    found = str(find_tool(BUILDX) or "") if name == BUILDX.name else shutil.which(name)
    if not found:
        pytest.skip(f"there is no {name}")
    return found


def test_crane_copies_an_image_with_its_digest_to_another_registry(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1", provenance=True)
    other = "222222222222"
    registries.ecr(other, "us-east-1").create_repository(repositoryName="checkout")
    registries.log_in(other, "us-east-1")
    there = f"{other}.dkr.ecr.us-east-1.amazonaws.com/checkout"
    registries.crane("copy", f"{REPOSITORY}:v1", f"{there}:v1")
    assert registries.crane("digest", f"{there}:v1") == digest
    registries.crane("pull", "--format=oci", f"{there}:v1", registries.folder / "pulled")
    pulled = {each.name for each in (registries.folder / "pulled/blobs/sha256").iterdir()}
    assert pulled == {each.name for each in registries.folder.glob("layout-1/blobs/sha256/*")}


def test_crane_tags_and_lists(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    registries.crane("tag", f"{REPOSITORY}@{digest}", "v2")
    assert registries.crane("ls", REPOSITORY).split() == ["v1", "v2"]
    assert registries.digests() == {"v1": digest, "v2": digest}


def test_crane_speaks_http_with_the_registrys_port(registries: Registries) -> None:
    port = registries.distribution.address(ACCOUNT, REGION)
    digest = registries.push(f"{port}/checkout:v1")
    assert registries.digests() == {"v1": digest}
    assert registries.crane("digest", f"{REPOSITORY}:v1") == digest


def test_oras_attaches_to_an_image_and_finds_it_again(registries: Registries) -> None:
    oras = built(ORAS)
    digest = registries.push(f"{REPOSITORY}:v1")
    (registries.folder / "report.json").write_text("{}")
    kind = "application/vnd.example.report"
    attach = (oras, "attach", "--artifact-type", kind, f"{REPOSITORY}:v1", "report.json")
    done = registries.run(*attach)
    assert done.returncode == 0, done.stderr
    found = registries.run(oras, "discover", "--format", "json", f"{REPOSITORY}@{digest}")
    (referrer,) = json.loads(found.stdout)["referrers"]
    assert referrer["artifactType"] == kind
    registries.ecr().batch_delete_image(
        repositoryName="checkout", imageIds=[{"imageDigest": referrer["digest"]}]
    )
    found = registries.run(oras, "discover", "--format", "json", f"{REPOSITORY}@{digest}")
    assert not json.loads(found.stdout)["referrers"]


def test_oras_copies_an_image_with_what_refers_to_it(registries: Registries) -> None:
    oras = built(ORAS)
    registries.ecr().create_repository(repositoryName="other")
    digest = registries.push(f"{REPOSITORY}:v1")
    (registries.folder / "report.json").write_text("{}")
    attach = (oras, "attach", "--artifact-type", "a/b", f"{REPOSITORY}:v1", "report.json")
    assert registries.run(*attach).returncode == 0
    done = registries.run(oras, "copy", "--recursive", f"{REPOSITORY}:v1", f"{HOST}/other:v1")
    assert done.returncode == 0, done.stderr
    assert registries.digests("other") == {"v1": digest}
    found = registries.run(oras, "discover", "--format", "json", f"{HOST}/other@{digest}")
    assert len(json.loads(found.stdout)["referrers"]) == 1


def test_oras_pushes_and_pulls_a_file_of_some_size(registries: Registries) -> None:
    oras = built(ORAS)
    content = bytes(range(256)) * 4096 * 12  # more than one part of a layer
    (registries.folder / "large").write_bytes(content)
    pushed = registries.run(oras, "push", f"{REPOSITORY}:large", "large:application/octet-stream")
    assert pushed.returncode == 0, pushed.stderr
    (registries.folder / "large").unlink()
    pulled = registries.run(oras, "pull", f"{REPOSITORY}:large")
    assert pulled.returncode == 0, pulled.stderr
    assert (registries.folder / "large").read_bytes() == content


@pytest.mark.parametrize(("option", "same"), [("--prefer-index=false", True), ("", False)])
def test_buildx_retags_a_plain_image_as_itself_only_when_told(
    registries: Registries, option: str, *, same: bool
) -> None:
    buildx = at_hand(BUILDX.name)
    digest = registries.push(f"{REPOSITORY}:sha")
    options = [option] if option else []
    done = registries.run(
        buildx, "imagetools", "create", *options, "--tag", f"{REPOSITORY}:v1", f"{REPOSITORY}:sha"
    )
    assert done.returncode == 0, done.stderr
    assert (registries.digests()["v1"] == digest) is same


def test_buildx_retags_an_index_as_itself(registries: Registries) -> None:
    buildx = at_hand(BUILDX.name)
    digest = registries.push(f"{REPOSITORY}:sha", provenance=True)
    options = ("--prefer-index=false", "--tag", f"{REPOSITORY}:v1")
    done = registries.run(buildx, "imagetools", "create", *options, f"{REPOSITORY}:sha")
    assert done.returncode == 0, done.stderr
    assert registries.digests() == {"sha": digest, "v1": digest}


def test_skopeo_copies_with_the_digest(registries: Registries) -> None:
    skopeo = at_hand("skopeo")
    registries.ecr().create_repository(repositoryName="other")
    digest = registries.push(f"{REPOSITORY}:v1", provenance=True)
    auth = ("--authfile", registries.folder / "docker/config.json")
    source, target = f"docker://{REPOSITORY}:v1", f"docker://{HOST}/other:v1"
    done = registries.run(
        skopeo, "--insecure-policy", "copy", "--all", "--preserve-digests", *auth, source, target
    )
    assert done.returncode == 0, done.stderr
    assert registries.digests("other") == {"v1": digest}


def test_cosign_signs_and_verifies_by_a_key(registries: Registries) -> None:
    cosign = at_hand("cosign")
    digest = registries.push(f"{REPOSITORY}:v1")
    registries.variables["COSIGN_PASSWORD"] = "password"
    assert registries.run(cosign, "generate-key-pair").returncode == 0
    signed = registries.run(
        *(cosign, "sign", "--yes", "--key", "cosign.key"),
        *("--tlog-upload=false", "--use-signing-config=false"),
        f"{REPOSITORY}@{digest}",
    )
    assert signed.returncode == 0, signed.stderr
    verified = registries.run(
        *(cosign, "verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true"),
        f"{REPOSITORY}@{digest}",
    )
    assert verified.returncode == 0, verified.stderr
    assert registries.digests()["v1"] == digest
