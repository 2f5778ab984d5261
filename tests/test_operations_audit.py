"""`ecr-estate audit`: what runs is found, said to be in danger, pinned, and then safe."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr.aws.images import details_of
from ecr.aws.session import Aws
from ecr.bootstrap.roles import audit_policy
from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.images.image import Image
from ecr.plan.lifecycle import lifecycle_document
from ecr.registry.registry import Registry
from ecr.settings.models import Lifecycle
from tests.live import ARTIFACTS, LAMBDA, REGION, REGISTRY, ROLE, Live, live

__all__ = ["live"]

KEEP_TWO = (
    lifecycle_document(Lifecycle.model_validate({"keepImages": 2, "companionsByTag": 0})) or ""
)


@pytest.fixture
def estate(live: Live) -> Live:
    """An image repository in the artifacts registry and its replica, under a policy that keeps two."""
    for account in (ARTIFACTS, LAMBDA):
        ecr = live.ecr(account)
        ecr.create_repository(repositoryName="api")
        ecr.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=KEEP_TWO)
    outputs = live.outputs({"api": [ARTIFACTS]}, {"api": [LAMBDA]})
    live.options = ["--outputs", outputs, "--role-name", ROLE]
    return live


def uri(account: str, reference: str) -> str:
    return f"{account}.dkr.ecr.{REGION}.amazonaws.com/api{reference}"


def function(live: Live, account: str, digest: str, name: str = "checkout") -> None:
    live.client("lambda", account).create_function(
        FunctionName=name,
        PackageType="Image",
        Role=f"arn:aws:iam::{account}:role/{live.function_role(account)}",
        Code={"ImageUri": uri(account, f"@{digest}")},
        Publish=True,
    )


def audited(live: Live, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main(["audit", *live.options, "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def fill(live: Live, account: str, tags: str = "cd", days_ago: int = 1) -> None:
    """Push newer images than the one that runs."""
    for tag in tags:
        live.push("api", tag, account=account, days_ago=days_ago)


def test_a_function_whose_image_would_go_is_found_pinned_and_then_safe(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = estate.push("api", "running", account=LAMBDA, days_ago=9)
    function(estate, LAMBDA, digest)
    fill(estate, LAMBDA)

    code, (found,) = audited(estate, capsys)
    assert (code, found["state"], found["registry"]) == (3, "goes", f"{LAMBDA}/{REGION}")
    assert "rule 5 expires it: beyond the newest 2" in found["reason"]
    assert f"lambda {LAMBDA}/{REGION} checkout:1" in found["usedBy"]

    pin = f"live-{digest[7:19]}"
    assert main(["audit", *estate.options, "--pin"]) == 3
    shown = capsys.readouterr().out
    assert f"would tag {LAMBDA}/{REGION}/api@{digest} {pin}" in shown
    assert "nothing was changed; add --yes" in shown
    assert audited(estate, capsys)[0] == 3

    code, (found,) = audited(estate, capsys, "--pin", "--yes")
    assert (code, found["state"], found["pin"], found["pinned"]) == (0, "safe", pin, True)
    assert sorted(found["imageTags"]) == [pin, "running"]
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (0, "safe")
    assert found["reason"] == "rule 1: its tag is protected"


def test_an_image_that_is_gone_is_found(estate: Live, capsys: pytest.CaptureFixture[str]) -> None:
    digest = estate.push("api", "running", account=LAMBDA)
    function(estate, LAMBDA, digest)
    estate.ecr(LAMBDA).batch_delete_image(repositoryName="api", imageIds=[{"imageDigest": digest}])
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (3, "gone")
    estate.ecr(LAMBDA).delete_repository(repositoryName="api", force=True)
    assert audited(estate, capsys)[1][0]["state"] == "gone"


@pytest.mark.parametrize("restoring", [False, True])
def test_an_image_that_is_archived_or_being_restored_is_found_as_such(
    estate: Live, capsys: pytest.CaptureFixture[str], *, restoring: bool
) -> None:
    digest = estate.push("api", "v1")
    function(estate, ARTIFACTS, digest)
    for target in ("ARCHIVE", *(["STANDARD"] if restoring else [])):
        estate.ecr().update_image_storage_class(
            repositoryName="api",
            imageId={"imageDigest": digest},
            targetStorageClass=target,  # type: ignore[arg-type]  # both are values of it
        )
    code, found = audited(estate, capsys)
    assert (code, [each["state"] for each in found]) == (3, ["archived"])


def test_a_count_says_when_it_will_take_what_runs_at_the_pace_of_the_pushes(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = estate.push("api", "running", account=LAMBDA, days_ago=9)
    function(estate, LAMBDA, digest)
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (0, "kept")
    assert "goes after 2 more" in found["reason"]
    fill(estate, LAMBDA, "c")
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (3, "goes")
    assert "goes after 1 more, at 0.1 pushes a day" in found["reason"]
    assert audited(estate, capsys, "--days", "3")[0] == 0


def test_a_part_of_a_manifest_list_lives_as_long_as_the_list(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    part = estate.push("api", account=LAMBDA, days_ago=99)
    index = estate.push("api", "v1.0.0", account=LAMBDA, days_ago=99, parts=(part,))
    function(estate, LAMBDA, part)
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (0, "safe")
    assert found["reason"].startswith("with its manifest list: rule 2: its tag is protected")
    estate.ecr(LAMBDA).batch_delete_image(repositoryName="api", imageIds=[{"imageDigest": index}])
    assert audited(estate, capsys)[1][0]["state"] == "goes"


@pytest.mark.parametrize("named", [":running", "@{}", ":moved-since@{}"])
def test_task_definitions_of_services_are_in_use_by_tag_and_by_digest(
    estate: Live, capsys: pytest.CaptureFixture[str], named: str
) -> None:
    digest = estate.push("api", "running", days_ago=9)
    fill(estate, ARTIFACTS)
    ecs = estate.client("ecs", LAMBDA)
    ecs.create_cluster(clusterName="main")
    definition = ecs.register_task_definition(
        family="api",
        containerDefinitions=[
            {"name": "api", "image": uri(ARTIFACTS, named.format(digest)), "memory": 64},
            {"name": "other", "image": "public.ecr.aws/docker/library/nginx", "memory": 64},
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(cluster="main", serviceName="api", taskDefinition=definition, desiredCount=0)
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"], found["imageDigest"]) == (3, "goes", digest)
    assert found["usedBy"] == [f"ecs {LAMBDA}/{REGION} main api api:1"]
    assert found["registry"] == REGISTRY


def test_a_tag_that_no_image_has_is_gone(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods(tmp_path, monkeypatch, [pod(uri(ARTIFACTS, ""))])
    code, (found,) = audited(estate, capsys, "--kubeconfig", "cluster")
    assert (code, found["state"], found["imageDigest"]) == (3, "gone", "tag latest")


def pod(image: str, image_id: str = "") -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "c", "imageID": image_id}]} if image_id else {}
    return {
        "metadata": {"namespace": "shop", "name": "api-0"},
        "spec": {"containers": [{"name": "c", "image": image}]},
        "status": status,
    }


def pods(folder: Path, monkeypatch: pytest.MonkeyPatch, items: list[dict[str, Any]]) -> None:
    """Put a kubectl on the PATH that knows these pods."""
    (folder / "pods.json").write_text(json.dumps({"items": items}))
    kubectl = folder / "kubectl"
    kubectl.write_text(f"#!/bin/sh\n/bin/cat {folder}/pods.json\n")
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_a_pod_uses_what_it_runs_rather_than_what_its_tag_means_now(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = estate.push("api", "old", days_ago=9)
    fill(estate, ARTIFACTS)
    running = pod(uri(ARTIFACTS, ":c"), uri(ARTIFACTS, f"@{digest}"))
    pods(tmp_path, monkeypatch, [running, pod("nginx")])
    code, (found,) = audited(estate, capsys, "--kubeconfig", "cluster")
    assert (code, found["state"], found["imageDigest"]) == (3, "goes", digest)
    assert found["usedBy"] == ["pod cluster shop/api-0"]


def test_a_pod_that_asks_for_an_image_id_uses_what_its_node_says(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = estate.push("api", "v1.0.0")
    config = f"sha256:{'c' * 64}"
    pods(tmp_path, monkeypatch, [pod(config, uri(ARTIFACTS, f"@{digest}"))])
    code, (found,) = audited(estate, capsys, "--kubeconfig", "cluster")
    assert (code, found["imageDigest"]) == (0, digest)


def test_a_digest_that_a_pod_names_is_believed_whatever_the_image_id(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = estate.push("api", "v1.0.0")
    running = pod(uri(ARTIFACTS, f"@{digest}"), f"docker://sha256:{'c' * 64}")
    pods(tmp_path, monkeypatch, [running])
    code, (found,) = audited(estate, capsys, "--kubeconfig", "cluster")
    assert (code, found["state"], found["imageDigest"]) == (0, "safe", digest)


def test_a_volume_that_is_an_image_uses_it(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digest = estate.push("api", "v1.0.0")
    volumes = [
        {"name": "model", "image": {"reference": uri(ARTIFACTS, ":v1.0.0")}},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounted = {"metadata": pod("")["metadata"], "spec": {"containers": [], "volumes": volumes}}
    pods(tmp_path, monkeypatch, [mounted])
    code, (found,) = audited(estate, capsys, "--kubeconfig", "cluster")
    assert (code, found["imageDigest"], found["usedBy"]) == (0, digest, ["pod cluster shop/api-0"])


def test_without_kubectl_pods_cannot_be_read(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["audit", *estate.options, "--kubeconfig", "cluster"]) == 1
    assert "put it on the PATH" in capsys.readouterr().err


def test_a_cluster_that_refuses_is_said(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods(tmp_path, monkeypatch, [])
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho Unauthorized >&2\nexit 1\n")
    assert main(["audit", *estate.options, "--kubeconfig", "cluster"]) == 1
    assert "cluster: Unauthorized; log in to the cluster" in capsys.readouterr().err


def test_a_pin_that_would_protect_nothing_is_refused(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.ecr(LAMBDA).put_lifecycle_policy(
        repositoryName="api",
        lifecyclePolicyText=lifecycle_document(Lifecycle(preset="source-sample")) or "",
    )
    function(estate, LAMBDA, estate.push("api", "running", account=LAMBDA, days_ago=9))
    fill(estate, LAMBDA, "abcdefghij")
    assert main(["audit", *estate.options, "--pin", "--yes"]) == 3
    shown = capsys.readouterr().out
    assert "not tagged " in shown
    assert "add live-* to lifecycle.protectedTags" in shown


def test_of_two_pins_the_one_that_can_be_is_done_and_the_other_is_named(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    unshielded = lifecycle_document(Lifecycle(preset="source-sample")) or ""
    estate.ecr(LAMBDA).put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=unshielded)
    for account, more in ((ARTIFACTS, "cd"), (LAMBDA, "abcdefghij")):
        function(estate, account, estate.push("api", "running", account=account, days_ago=9))
        fill(estate, account, more)
    dry, found = audited(estate, capsys, "--pin")
    assert dry == 3
    assert [bool(each["pinRefused"]) for each in found] == [False, True]
    code, found = audited(estate, capsys, "--pin", "--yes")
    assert code == 3
    states = {each["registry"]: (each["state"], each["pinned"]) for each in found}
    assert states == {REGISTRY: ("safe", True), f"{LAMBDA}/{REGION}": ("goes", False)}


def test_a_part_that_was_pinned_is_safe_and_is_not_pinned_again(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    part = estate.push("api", account=LAMBDA, days_ago=99)
    estate.push("api", "sha", account=LAMBDA, days_ago=99, parts=(part,))
    function(estate, LAMBDA, part)
    fill(estate, LAMBDA)
    assert audited(estate, capsys)[1][0]["state"] == "goes"
    for pinned in (True, False):
        code, (found,) = audited(estate, capsys, "--pin", "--yes")
        assert (code, found["state"], found["pinned"]) == (0, "safe", pinned)


def test_a_pin_whose_tag_is_another_images_is_refused(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = estate.push("api", "running", account=LAMBDA, days_ago=9)
    function(estate, LAMBDA, digest)
    other = estate.push("api", f"live-{digest[7:19]}", account=LAMBDA, days_ago=1)
    fill(estate, LAMBDA)
    code, (found,) = audited(estate, capsys, "--pin", "--yes")
    assert (code, found["pinned"]) == (3, False)
    assert f"its tag names {other} already" in found["pinRefused"]


def test_a_pin_that_ecr_refuses_is_said_and_one_that_stands_is_done(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    function(estate, LAMBDA, estate.push("api", "running", account=LAMBDA, days_ago=9))
    fill(estate, LAMBDA)
    given: list[dict[str, Any]] = []
    known = Aws.ecr

    def refusing(code: str) -> None:
        def ecr(self: Aws, registry: Registry) -> Any:
            client = known(self, registry)

            def put_image(**arguments: Any) -> None:
                given.append(arguments)
                raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutImage")

            monkeypatch.setattr(client, "put_image", put_image)
            return client

        monkeypatch.setattr(Aws, "ecr", ecr)

    refusing("LayersNotFoundException")
    code, (found,) = audited(estate, capsys, "--pin", "--yes")
    assert (code, found["pinned"]) == (3, False)
    assert "LayersNotFoundException: no" in found["pinRefused"]
    assert given[0]["imageManifestMediaType"].endswith("json")
    refusing("ImageAlreadyExistsException")
    assert audited(estate, capsys, "--pin", "--yes")[1][0]["pinRefused"] is None


def test_manifests_are_read_only_where_a_list_may_hold_what_would_go(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = estate.push("api", "v2.0.0", account=LAMBDA, days_ago=99)
    estate.push("api", "v1.0.0", account=LAMBDA, days_ago=99, parts=(part,))
    function(estate, LAMBDA, part)
    pulls: list[str] = []

    def noted(_: object, __: str, digests: list[str]) -> dict[str, str]:
        pulls.extend(digests)
        return {}

    monkeypatch.setattr("ecr.aws.images.manifests_of", noted)
    assert audited(estate, capsys)[1][0]["state"] == "safe"
    assert pulls == []


def test_archived_images_are_asked_for_and_are_not_gone(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = estate.push("api", "v1.0.0", account=LAMBDA)
    function(estate, LAMBDA, digest)
    monkeypatch.setattr(
        "ecr.cli.commands.audit.described_images",
        lambda *_: [Image(digest, 0.0, ("v1.0.0",), storage_class="archive")],
    )
    code, (found,) = audited(estate, capsys)
    assert (code, found["state"]) == (3, "archived")
    monkeypatch.undo()
    asked: list[Any] = []
    with pytest.raises(EstateError):
        details_of(Asked(asked), "api")  # type: ignore[arg-type] # no more of a client is used
    assert asked == [{"imageStatus": "ANY"}]


class Asked:
    """A client of ECR that notes the filter that it is asked with, and refuses."""

    def __init__(self, asked: list[Any]) -> None:
        self._asked = asked

    def get_paginator(self, _: str) -> "Asked":
        return self

    def paginate(self, **arguments: Any) -> None:
        self._asked.append(arguments["filter"])
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "DescribeImages")


@pytest.mark.parametrize("operation", ["get_function", "list_aliases"])
def test_a_function_that_is_deleted_meanwhile_does_not_end_the_audit(
    estate: Live,
    operation: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function(estate, LAMBDA, estate.push("api", "v1.0.0", account=LAMBDA))
    from moto.awslambda.exceptions import UnknownFunctionException  # noqa: PLC0415 - likewise
    from moto.awslambda.models import LambdaBackend  # noqa: PLC0415 - only this test needs it

    def gone(*_: Any, **__: Any) -> None:
        raise UnknownFunctionException("arn:aws:lambda:eu-west-1:222222222222:function:checkout")

    monkeypatch.setattr(LambdaBackend, operation, gone)
    code, found = audited(estate, capsys)
    assert (code, len(found)) == (0, 0 if operation == "get_function" else 1)


def test_a_pod_of_which_only_the_image_id_is_known_is_found_by_its_configuration(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, config, other = (f"sha256:{digit * 64}" for digit in "abc")
    manifests = {running: json.dumps({"config": {"digest": config}}), other: "{}"}
    images = [Image(digest, 1.0 + number) for number, digest in enumerate(manifests)]
    monkeypatch.setattr("ecr.cli.commands.audit.described_images", lambda *_: images)
    monkeypatch.setattr("ecr.cli.commands.audit.manifests_of", lambda *_: manifests)
    address = uri(ARTIFACTS, ":c")
    pods(tmp_path, monkeypatch, [pod(address, f"docker://{config}"), pod(address, other)])
    _, found = audited(estate, capsys, "--kubeconfig", "cluster")
    assert {each["imageDigest"]: each["state"] for each in found} == {
        running: "goes", f"image id {other}": "gone",
    }  # fmt: skip


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_has_finished_uses_nothing(
    estate: Live,
    phase: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished = pod(uri(ARTIFACTS, ":gone"))
    finished["status"]["phase"] = phase
    pods(tmp_path, monkeypatch, [finished])
    assert audited(estate, capsys, "--kubeconfig", "cluster") == (0, [])


def test_what_is_not_read_is_said_every_time(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *estate.options]) == 0
    assert "not read: ECS tasks that a schedule starts, AWS Batch, App Runner" in (
        capsys.readouterr().err
    )


def test_an_alias_and_every_version_are_named(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    function(estate, LAMBDA, estate.push("api", "v1.0.0", account=LAMBDA))
    estate.client("lambda", LAMBDA).create_alias(
        FunctionName="checkout", Name="production", FunctionVersion="1"
    )
    assert main(["audit", *estate.options]) == 0
    assert "and 1 more" in capsys.readouterr().out
    _, (found,) = audited(estate, capsys)
    assert f"lambda {LAMBDA}/{REGION} checkout:1 (production)" in found["usedBy"]


def test_a_function_deployed_by_tag_uses_what_the_tag_meant_then(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.awslambda.models import LambdaFunction  # noqa: PLC0415 - only this test needs it

    digest = estate.push("api", "v1.0.0", account=LAMBDA)
    function(estate, LAMBDA, digest)
    # Moto resolves no tag.
    code = {"ImageUri": uri(LAMBDA, ":v1.0.0"), "ResolvedImageUri": uri(LAMBDA, f"@{digest}")}
    known = LambdaFunction.get_code
    monkeypatch.setattr(LambdaFunction, "get_code", lambda each: {**known(each), "Code": code})
    _, (found,) = audited(estate, capsys)
    assert found["imageDigest"] == digest


def test_uses_of_other_registries_are_counted_and_not_looked_at(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    live.ecr(LAMBDA).create_repository(repositoryName="api")
    function(live, LAMBDA, live.push("api", "a", account=LAMBDA))
    arguments = [*live.options, "--workloads", f"{LAMBDA}/{REGION}"]
    assert main(["audit", *arguments]) == 0
    assert "2 uses of 0 images; 2 uses are of other registries" in capsys.readouterr().err


def test_yes_alone_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--yes"]) == 2
    assert "--yes: is for --pin; give both, or neither" in capsys.readouterr().err


def replicating(live: Live, **more: Any) -> None:
    """Replicate from the artifacts registry to the replica's, as another hand may have set it."""
    live.ecr(LAMBDA).put_registry_policy(
        policyText=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{ARTIFACTS}:root"},
                        "Action": "ecr:ReplicateImage",
                        "Resource": f"arn:aws:ecr:{REGION}:{LAMBDA}:repository/*",
                    }
                ],
            }
        )
    )
    rule: Any = {"destinations": [{"region": REGION, "registryId": LAMBDA}], **more}
    live.ecr().put_replication_configuration(replicationConfiguration={"rules": [rule]})


DELETING = {"deleteReplication": {"enabled": True}}


@pytest.mark.parametrize("deletes", [False, True])
def test_what_the_source_would_delete_goes_in_the_replica_where_deletions_are_replicated(
    estate: Live, capsys: pytest.CaptureFixture[str], *, deletes: bool
) -> None:
    replicating(estate, **(DELETING if deletes else {}))
    digest = estate.push("api", "running", days_ago=9)
    estate.aws.world.clock.move(seconds=600)
    there = estate.ecr(LAMBDA)
    (copy,) = there.batch_get_image(repositoryName="api", imageIds=[{"imageDigest": digest}])[
        "images"
    ]
    there.put_image(repositoryName="api", imageManifest=copy["imageManifest"], imageTag="live-own")
    function(estate, LAMBDA, digest)
    fill(estate, ARTIFACTS)
    code, (found,) = audited(estate, capsys)
    assert found["registry"] == f"{LAMBDA}/{REGION}"
    if not deletes:
        assert (code, found["state"]) == (0, "safe")
        return
    assert (code, found["state"]) == (3, "goes")
    assert found["reason"].startswith(f"{ARTIFACTS}/{REGION} replicates its deletion: rule 5")
    assert found["pinAt"] == [f"{ARTIFACTS}/{REGION}/api"], (
        "the replica's own tag would save nothing"
    )
    code, (found,) = audited(estate, capsys, "--pin", "--yes")
    assert (code, found["state"], found["pinned"]) == (0, "safe", True)


def test_whether_deletions_are_replicated_is_said_to_be_unknown_where_it_cannot_be_read(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.push("api", "v1.0.0")
    outputs = estate.options[:2]
    for allowed in (True, False):
        for account in (ARTIFACTS, LAMBDA):
            policy = audit_policy(Registry(account, REGION))
            if not allowed:
                policy["Statement"] = [
                    each for each in policy["Statement"] if each["Sid"] != "Replication"
                ]
            reader(estate, account, policy)
        assert main(["audit", *outputs, "--role-name", "reader"]) == 0
        unknown = "whether it replicates deletions is not known; allow ecr:DescribeRegistry"
        assert (unknown in capsys.readouterr().err) is not allowed


def reader(live: Live, account: str, policy: dict[str, Any]) -> None:
    """Make the role `reader` in an account, or give it another policy."""
    iam = live.client("iam", account)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    if not any(each["RoleName"] == "reader" for each in iam.list_roles()["Roles"]):
        iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="reader", PolicyName="audit", PolicyDocument=json.dumps(policy))
