"""The operators' commands that touch images, with real ones: promote, pin and backfill keep digests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from ecr.cli.main import main
from ecr.ledger.ledger import Entry, Ledger
from ecr.plan.lifecycle import lifecycle_document
from ecr.settings.models import Lifecycle
from sandbox.toolchain.tools import CRANE, ORAS
from tests.builders import outputs_file
from tests.images.conftest import REGION, Registries, built
from tests.images.test_clients import at_hand

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

pytestmark = pytest.mark.images

FIRST, SECOND = "111111111111", "222222222222"
ROLE = "ecr-estate-operate"


def address(account: str) -> str:
    return f"{account}.dkr.ecr.{REGION}.amazonaws.com/checkout"


class Estate:
    """Two accounts with the image repository `checkout`, and an operator who works in the second."""

    def __init__(self, registries: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registries = registries
        self.first, self.second = (self._made(account) for account in (FIRST, SECOND))
        sts = boto3.client(
            "sts",
            region_name=REGION,
            endpoint_url=registries.aws.url,
            aws_access_key_id="AKIASANDBOX000000000",
            aws_secret_access_key="any",
        )
        keys = sts.assume_role(RoleArn=f"arn:aws:iam::{SECOND}:role/{ROLE}", RoleSessionName="test")
        given = keys["Credentials"]
        for name, value in {
            "AWS_ENDPOINT_URL": registries.aws.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # boto3 reads it, and configure-aws-credentials sets both
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
            "HOME": str(registries.folder),
            "PATH": os.pathsep.join([str(built(CRANE).parent), os.environ["PATH"]]),
            **registries.distribution.variables,
        }.items():
            monkeypatch.setenv(name, value)

    def _made(self, account: str) -> ECRClient:
        ecr = self.registries.ecr(account)
        ecr.create_repository(repositoryName="checkout", imageTagMutability="IMMUTABLE")
        self.registries.log_in(account)
        return ecr

    def outputs(self, **written: Any) -> str:
        return str(outputs_file(self.registries.folder, **written))

    def tags(self, ecr: ECRClient) -> dict[str, str]:
        images = ecr.describe_images(repositoryName="checkout")["imageDetails"]
        return {tag: each["imageDigest"] for each in images for tag in each.get("imageTags", ())}

    def digests(self, ecr: ECRClient) -> set[str]:
        images = ecr.describe_images(repositoryName="checkout")["imageDetails"]
        return {each["imageDigest"] for each in images}


@pytest.fixture
def estate(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> Estate:
    return Estate(registries, monkeypatch)


@pytest.mark.parametrize("provenance", [False, True])
def test_a_promoted_image_has_its_digest_and_all_that_refers_to_it(
    estate: Estate, *, provenance: bool
) -> None:
    digest = estate.registries.push(f"{address(FIRST)}:v1", provenance=provenance)
    (estate.registries.folder / "report.json").write_text("{}")
    attach = ("attach", "--artifact-type", "a/b", f"{address(FIRST)}:v1", "report.json")
    attached = estate.registries.run(built(ORAS), *attach)
    assert attached.returncode == 0, attached.stderr
    entry = Entry(repository="checkout", service="checkout", state="active", since="2026-11-22")
    outputs = estate.outputs(
        ledger=Ledger({1: entry}).to_output(),
        imageRepositories={"checkout": [address(FIRST), address(SECOND)]},
        report={"stages": ["dev", "prod"]},
    )
    role = f"arn:aws:iam::{FIRST}:role/{ROLE}"
    command = ["promote", "checkout", "--from", "dev", "--to", "prod", "--tag", "v1"]
    options = ["--read-role", role, "--allow-unscanned", "--outputs", outputs]
    assert main([*command, *options]) == 0
    assert estate.tags(estate.second)["v1"] == digest
    assert estate.digests(estate.first) < estate.digests(estate.second)  # and the record
    found = estate.registries.run(
        built(ORAS), "discover", "--format", "json", f"{address(SECOND)}@{digest}"
    )
    kinds = {each["artifactType"] for each in json.loads(found.stdout)["referrers"]}
    assert "a/b" in kinds
    assert len(kinds) == 2
    assert main([*command, *options]) == 0


def replicas(estate: Estate) -> list[str]:
    """Return the options by which a command finds that the second account has the replica."""
    for ecr in (estate.first, estate.second):
        ecr.put_lifecycle_policy(
            repositoryName="checkout",
            lifecyclePolicyText=json.dumps(
                {
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
            ),
        )
    outputs = estate.outputs(
        report={"registries": [f"{FIRST}/{REGION}", f"{SECOND}/{REGION}"]},
        imageRepositories={"checkout": [address(FIRST)]},
        replicas={"checkout": [address(SECOND)]},
    )
    return ["--outputs", outputs, "--role-name", ROLE]


def let_replicate(estate: Estate) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{FIRST}:root"},
        "Action": "ecr:ReplicateImage",
        "Resource": f"arn:aws:ecr:{REGION}:{SECOND}:repository/*",
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    estate.second.put_registry_policy(policyText=json.dumps(document))
    destination: Any = {"region": REGION, "registryId": SECOND}
    estate.first.put_replication_configuration(
        replicationConfiguration={"rules": [{"destinations": [destination]}]}
    )


@pytest.mark.parametrize("provenance", [False, True])
@pytest.mark.parametrize("way", ["crane", "skopeo", "backfill"])
def test_a_replica_is_filled_with_the_same_images(
    estate: Estate, way: str, *, provenance: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "skopeo":
        folder = str(Path(at_hand(way)).parent)
        monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))
        trusted = estate.registries.folder / ".config/containers/policy.json"
        trusted.parent.mkdir(parents=True)
        trusted.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    digest = estate.registries.push(f"{address(FIRST)}:v1", provenance=provenance)
    let_replicate(estate)
    options = replicas(estate)
    estate.registries.aws.world.delays.backfilling = 0
    assert main(["replicas", *options, "--fill", way, "--yes"]) == 0
    assert estate.tags(estate.second) == {"v1": digest}
    assert estate.digests(estate.second) == estate.digests(estate.first)
    pulled = estate.registries.folder / "pulled"
    estate.registries.crane("pull", "--format=oci", f"{address(SECOND)}:v1", pulled)
    assert (pulled / "blobs/sha256" / digest[7:]).exists()


def test_an_image_that_was_replicated_is_pulled_from_its_replica(estate: Estate) -> None:
    let_replicate(estate)
    digest = estate.registries.push(f"{address(FIRST)}:v1")
    estate.registries.crane("validate", "--remote", f"{address(SECOND)}@{digest}")


def test_a_pinned_image_is_the_one_that_runs(estate: Estate) -> None:
    digest = estate.registries.push(f"{address(FIRST)}:running")
    iam, functions = (_client(service) for service in ("iam", "lambda"))
    trust = {"Version": "2012-10-17", "Statement": []}
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))
    let_replicate(estate)
    options = replicas(estate)
    assert main(["replicas", *options, "--fill", "crane", "--yes"]) == 0
    functions.create_function(
        FunctionName="checkout",
        PackageType="Image",
        Role=role["Role"]["Arn"],
        Code={"ImageUri": f"{address(SECOND)}@{digest}"},
        Publish=True,
    )
    for newer in "ab":
        estate.registries.push(f"{address(SECOND)}:{newer}", newer)
    _age(digest)
    assert main(["audit", *options]) == 3
    assert main(["audit", *options, "--pin", "--yes"]) == 0
    pin = f"live-{digest[7:19]}"
    assert estate.tags(estate.second)[pin] == digest
    assert estate.registries.crane("digest", f"{address(SECOND)}:{pin}") == digest
    estate.registries.crane("validate", "--remote", f"{address(SECOND)}:{pin}")


def test_push_promotion_and_audit_agree_on_an_image_of_several_platforms(
    estate: Estate, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = estate.registries.layout()
    index = layout.index("both", "linux/amd64", "linux/arm64", provenance=True)
    estate.registries.crane("push", layout.folder, f"{address(FIRST)}:v1.0.0")
    assert estate.tags(estate.first) == {"v1.0.0": index}, "what was built is what the tag names"

    entry = Entry(repository="checkout", service="checkout", state="active", since="2026-11-22")
    outputs = estate.outputs(
        ledger=Ledger({1: entry}).to_output(),
        imageRepositories={"checkout": [address(FIRST), address(SECOND)]},
        report={
            "stages": ["dev", "prod"],
            "registries": [f"{FIRST}/{REGION}", f"{SECOND}/{REGION}"],
        },
    )
    promote = ["promote", "checkout", "--from", "dev", "--to", "prod", "--tag", "v1.0.0", "--json"]
    role = f"arn:aws:iam::{FIRST}:role/{ROLE}"
    options = ["--read-role", role, "--allow-unscanned", "--outputs", outputs]
    assert main([*promote, *options]) == 0
    assert index in capsys.readouterr().out
    assert estate.tags(estate.second)["v1.0.0"] == index
    assert estate.digests(estate.first) < estate.digests(estate.second)

    manifest = json.loads(estate.registries.crane("manifest", f"{address(SECOND)}:v1.0.0"))
    runs = manifest["manifests"][0]["digest"]
    iam, functions, ecs = (_client(service) for service in ("iam", "lambda", "ecs"))
    trust = {"Version": "2012-10-17", "Statement": []}
    made = iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))
    functions.create_function(
        FunctionName="checkout",
        PackageType="Image",
        Role=made["Role"]["Arn"],
        Code={"ImageUri": f"{address(SECOND)}@{runs}"},
    )
    ecs.create_cluster(clusterName="main")
    definition = ecs.register_task_definition(
        family="checkout",
        containerDefinitions=[
            {"name": "checkout", "image": f"{address(SECOND)}:v1.0.0", "memory": 64}
        ],
    )["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(
        cluster="main", serviceName="checkout", taskDefinition=definition, desiredCount=0
    )
    policy = lifecycle_document(Lifecycle.model_validate({"keepImages": 1, "companionsByTag": 0}))
    estate.second.put_lifecycle_policy(repositoryName="checkout", lifecyclePolicyText=policy or "")
    estate.registries.aws.world.clock.move(days=40)
    estate.registries.log_in(SECOND)
    capsys.readouterr()
    assert main(["audit", "--outputs", outputs, "--role-name", ROLE, "--json"]) == 0
    found = {each["imageDigest"]: each for each in json.loads(capsys.readouterr().out)}
    assert found.keys() == {index, runs}, "the audit knows both by the digests that were pushed"
    assert {each["state"] for each in found.values()} == {"safe"}
    estate.registries.crane("validate", "--remote", f"{address(SECOND)}@{runs}")


def _client(service: str) -> Any:
    session: Any = boto3.Session(region_name=REGION)
    return session.client(service)


def _age(digest: str) -> None:
    """Move a push into the past, which no API can."""
    from moto.ecr.models import ecr_backends  # noqa: PLC0415 - moto takes a second to import

    images = ecr_backends[SECOND][REGION].repositories["checkout"].images
    next(each for each in images if each.image_digest == digest).image_pushed_at -= 86_400
