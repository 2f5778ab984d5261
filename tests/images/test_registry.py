"""The embedded registries by the OCI protocol: one state with ECR's API, and ECR's refusals."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest

from sandbox.aws.distribution import Distribution
from sandbox.images import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from sandbox.toolchain.tools import CRANE, REGISTRY
from tests.images.conftest import ACCOUNT, HOST, REGION, REPOSITORY, Registries, built

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.images


def asked(
    registries: Registries,
    path: str,
    *,
    method: str = "GET",
    password: str | None = None,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    at: str = "",
) -> tuple[int, dict[str, str], Any]:
    """Ask by the registry's port, as AWS with a password; without one, as nobody."""
    connection = HTTPConnection(at or registries.distribution.address(ACCOUNT, REGION))
    login = base64.b64encode(f"AWS:{password}".encode()).decode()
    given = {"Authorization": f"Basic {login}"} if password is not None else {}
    connection.request(method, path, body or None, {**given, **(headers or {})})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), json.loads(content) if content else None


def error(answer: tuple[int, dict[str, str], Any]) -> tuple[int, str]:
    return answer[0], answer[2]["errors"][0]["code"]


def test_an_image_that_is_pushed_is_in_the_api_as_it_was_pushed(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    (image,) = registries.ecr().describe_images(repositoryName="checkout")["imageDetails"]
    assert image["imageDigest"] == digest
    assert image["imageTags"] == ["v1"]
    assert image["imageManifestMediaType"] == DOCKER_MANIFEST
    assert image["imagePushedAt"]
    (got,) = registries.ecr().batch_get_image(
        repositoryName="checkout", imageIds=[{"imageTag": "v1"}]
    )["images"]
    assert f"sha256:{hashlib.sha256(got['imageManifest'].encode()).hexdigest()}" == digest
    assert got["imageManifest"] == registries.crane("manifest", f"{REPOSITORY}:v1")


def test_an_index_brings_its_members_without_a_tag(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1", provenance=True)
    images = registries.ecr().describe_images(repositoryName="checkout")["imageDetails"]
    kinds = {image["imageDigest"]: image["imageManifestMediaType"] for image in images}
    assert sorted(kinds.values()) == [OCI_INDEX, OCI_MANIFEST, OCI_MANIFEST]
    assert kinds[digest] == OCI_INDEX
    assert registries.digests() == {"v1": digest}


def test_an_image_that_was_put_through_the_api_is_pulled(registries: Registries) -> None:
    ecr = registries.ecr()
    layout = registries.layout()
    digest = layout.plain("through the API")
    blobs = {f"sha256:{each.name}": each for each in layout.folder.glob("blobs/sha256/*")}
    manifest = blobs.pop(digest).read_text()
    for layer, file in blobs.items():
        upload = ecr.initiate_layer_upload(repositoryName="checkout")["uploadId"]
        content = file.read_bytes()
        ecr.upload_layer_part(
            repositoryName="checkout",
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(content) - 1,
            layerPartBlob=content,
        )
        ecr.complete_layer_upload(repositoryName="checkout", uploadId=upload, layerDigests=[layer])
    ecr.put_image(repositoryName="checkout", imageManifest=manifest, imageTag="v1")
    registries.crane("validate", "--remote", f"{REPOSITORY}:v1")
    assert registries.crane("digest", f"{REPOSITORY}:v1") == digest


def test_a_layers_url_is_for_that_layer(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    manifest = json.loads(registries.crane("manifest", f"{REPOSITORY}@{digest}"))
    url = registries.ecr().get_download_url_for_layer(
        repositoryName="checkout", layerDigest=manifest["config"]["digest"]
    )["downloadUrl"]
    context = ssl.create_default_context(cafile=str(registries.distribution.authority.file))
    proxy = ProxyHandler({"https": registries.distribution.variables["HTTPS_PROXY"]})
    opener = build_opener(proxy, HTTPSHandler(context=context))
    with opener.open(url) as answer:
        assert len(answer.read()) == manifest["config"]["size"]
    other = url.replace(manifest["config"]["digest"], manifest["layers"][0]["digest"])
    with pytest.raises(HTTPError, match="403"):
        opener.open(other)
    with pytest.raises(registries.ecr().exceptions.LayersNotFoundException):
        registries.ecr().get_download_url_for_layer(
            repositoryName="checkout", layerDigest=f"sha256:{'0' * 64}"
        )


def test_a_layer_that_is_not_its_digest_is_refused(registries: Registries) -> None:
    ecr = registries.ecr()
    upload = ecr.initiate_layer_upload(repositoryName="checkout")["uploadId"]
    about: Any = {"repositoryName": "checkout", "uploadId": upload}
    ecr.upload_layer_part(**about, partFirstByte=0, partLastByte=2, layerPartBlob=b"abc")
    with pytest.raises(ecr.exceptions.InvalidLayerException):
        ecr.complete_layer_upload(**about, layerDigests=[f"sha256:{'0' * 64}"])


def test_nobody_and_a_wrong_password_are_refused(registries: Registries) -> None:
    for password in (None, "", "wrong", f"{registries.password()}0"):
        status, headers, _ = asked(registries, "/v2/", password=password)
        assert status == 401
        assert headers["WWW-Authenticate"].startswith("Basic ")
    assert asked(registries, "/v2/", password=registries.password())[0] == 200


def test_a_token_of_another_region_is_none(registries: Registries) -> None:
    password = registries.password(region="us-east-1")
    assert asked(registries, "/v2/", password=password)[0] == 401
    elsewhere = registries.distribution.address(ACCOUNT, "us-east-1")
    assert asked(registries, "/v2/", password=password, at=elsewhere)[0] == 200


def test_a_token_is_valid_for_twelve_hours(registries: Registries) -> None:
    (data,) = registries.ecr().get_authorization_token()["authorizationData"]
    later = data["expiresAt"].timestamp()
    assert data["proxyEndpoint"] == f"https://{HOST}"
    password = registries.password()
    with Distribution(registries.aws.url, built(REGISTRY), clock=lambda: later + 60) as aged:
        answer = asked(registries, "/v2/", password=password, at=aged.address(ACCOUNT, REGION))
    assert error(answer) == (403, "DENIED")
    assert "has expired" in answer[2]["errors"][0]["message"]
    with Distribution(registries.aws.url, built(REGISTRY), clock=lambda: later - 60) as fresh:
        answer = asked(registries, "/v2/", password=password, at=fresh.address(ACCOUNT, REGION))
    assert answer[0] == 200


def test_an_image_repository_that_does_not_exist_is_unknown(registries: Registries) -> None:
    layout = registries.layout()
    layout.plain("first")
    done = registries.run(built(CRANE), "push", layout.folder, f"{HOST}/nothing:v1")
    assert done.returncode
    assert "NAME_UNKNOWN: The repository with name 'nothing' does not exist" in done.stderr
    assert not registries.ecr().describe_repositories()["repositories"][1:]


def test_a_tag_that_may_not_move_stays(registries: Registries) -> None:
    first = registries.push(f"{REPOSITORY}:v1")
    layout = registries.layout()
    layout.plain("second")
    done = registries.run(built(CRANE), "push", layout.folder, f"{REPOSITORY}:v1")
    assert done.returncode
    assert (
        "TAG_INVALID: The image tag 'v1' already exists in the 'checkout' repository and cannot be "
        "overwritten because the tag is immutable." in done.stderr
    )
    assert registries.digests() == {"v1": first}


def test_a_tag_that_may_move_moves(registries: Registries) -> None:
    registries.ecr().create_repository(repositoryName="moving", imageTagMutability="MUTABLE")
    first = registries.push(f"{HOST}/moving:v1")
    second = registries.push(f"{HOST}/moving:v1", "second")
    assert registries.digests("moving") == {"v1": second}
    images = registries.ecr().describe_images(repositoryName="moving")["imageDetails"]
    assert {image["imageDigest"] for image in images} == {first, second}


def manifest_of(layout_manifest: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(layout_manifest) | changes).encode()


def test_a_manifest_whose_layers_are_missing_is_refused(registries: Registries) -> None:
    layout = registries.layout()
    digest = layout.plain("never sent")
    answer = asked(
        registries,
        "/v2/checkout/manifests/v1",
        method="PUT",
        password=registries.password(),
        body=(layout.folder / "blobs/sha256" / digest[7:]).read_bytes(),
        headers={"Content-Type": DOCKER_MANIFEST},
    )
    assert error(answer) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert registries.digests() == {}


def test_a_layer_is_known_in_the_image_repository_that_has_it_alone(registries: Registries) -> None:
    registries.ecr().create_repository(repositoryName="other")
    digest = registries.push(f"{REPOSITORY}:v1")
    manifest = json.loads(registries.crane("manifest", f"{REPOSITORY}@{digest}"))
    layer = manifest["layers"][0]["digest"]
    password = registries.password()
    for name, status in (("checkout", 200), ("other", 404)):
        path = f"/v2/{name}/blobs/{layer}"
        assert asked(registries, path, method="HEAD", password=password)[0] == status


def test_an_index_whose_members_are_missing_is_refused(registries: Registries) -> None:
    layout = registries.layout()
    digest = layout.index("never sent", "linux/amd64", provenance=True)
    answer = asked(
        registries,
        "/v2/checkout/manifests/v1",
        method="PUT",
        password=registries.password(),
        body=(layout.folder / "blobs/sha256" / digest[7:]).read_bytes(),
        headers={"Content-Type": OCI_INDEX},
    )
    assert answer[0] == 404
    assert registries.digests() == {}


def test_a_manifest_under_another_digest_is_refused(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    manifest = registries.crane("manifest", f"{REPOSITORY}@{digest}").encode()
    answer = asked(
        registries,
        f"/v2/checkout/manifests/sha256:{'0' * 64}",
        method="PUT",
        password=registries.password(),
        body=manifest,
        headers={"Content-Type": DOCKER_MANIFEST},
    )
    assert error(answer) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"layers": 1}', b'{"config": {}}'])
def test_what_is_no_manifest_is_refused(registries: Registries, body: bytes) -> None:
    answer = asked(
        registries,
        "/v2/checkout/manifests/v1",
        method="PUT",
        password=registries.password(),
        body=body,
        headers={"Content-Type": DOCKER_MANIFEST},
    )
    assert answer[0] == 400


def test_an_image_that_is_deleted_cannot_be_pulled(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    registries.ecr().batch_delete_image(
        repositoryName="checkout", imageIds=[{"imageDigest": digest}]
    )
    for reference in ("v1", digest):
        answer = asked(
            registries, f"/v2/checkout/manifests/{reference}", password=registries.password()
        )
        assert error(answer) == (404, "MANIFEST_UNKNOWN")


def test_nothing_is_deleted_by_the_protocol(registries: Registries) -> None:
    digest = registries.push(f"{REPOSITORY}:v1")
    path = f"/v2/checkout/manifests/{digest}"
    answer = asked(registries, path, method="DELETE", password=registries.password())
    assert error(answer) == (405, "UNSUPPORTED")
    assert registries.digests() == {"v1": digest}


def test_each_request_is_a_call_of_the_api_by_whoever_logged_in(registries: Registries) -> None:
    registries.ecr("222222222222").create_repository(repositoryName="checkout")
    registries.log_in("222222222222")
    registries.aws.forget_calls()
    registries.push(f"{HOST.replace(ACCOUNT, '222222222222')}/checkout:v1")
    calls = registries.aws.calls()
    assert {call.account for call in calls} == {"222222222222"}
    assert {call.action for call in calls} >= {
        "InitiateLayerUpload",
        "UploadLayerPart",
        "CompleteLayerUpload",
        "BatchCheckLayerAvailability",
        "PutImage",
    }
    assert registries.digests() == {}


def test_what_the_api_refuses_is_refused_in_the_protocol(registries: Registries) -> None:
    layout = registries.layout()
    layout.plain("first")
    registries.aws.refusals.arm("ecr", "PutImage", "AccessDeniedException", times=None)
    done = registries.run(built(CRANE), "push", layout.folder, f"{REPOSITORY}:v1")
    assert done.returncode
    assert "DENIED" in done.stderr
    assert registries.digests() == {}


def test_no_client_is_led_anywhere_but_to_registries(registries: Registries) -> None:
    done = registries.run(built(CRANE), "digest", "registry.example.com/checkout:v1")
    assert done.returncode
    assert "the embedded AWS leads to registries only" in done.stderr
