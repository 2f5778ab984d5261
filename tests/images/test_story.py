"""The story that `make sandbox` ends with, told of one service and its replica."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.story import tell
from sandbox.toolchain.tools import CRANE
from tests.images.conftest import REGION, Registries, built

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

pytestmark = pytest.mark.images

ARTIFACTS, LAMBDA = "111111111111", "222222222222"
NAME = "lambda-api"
POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 7,
            },
            "action": {"type": "expire"},
        }
    ]
}


def estate(registries: Registries) -> dict[str, Any]:
    """Make an image repository and its replica by hand, and give what a stack says of them."""
    clients: list[ECRClient] = [registries.ecr(account) for account in (ARTIFACTS, LAMBDA)]
    for ecr in clients:
        ecr.create_repository(
            repositoryName=NAME,
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest"}],
        )
        ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(POLICY))
    clients[1].put_registry_policy(
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
    destination: Any = {"region": REGION, "registryId": LAMBDA}
    clients[0].put_replication_configuration(
        replicationConfiguration={"rules": [{"destinations": [destination]}]}
    )
    entry = {
        "placements": {f"{ARTIFACTS}/{REGION}/{NAME}": "active"},
        "replicas": {f"{LAMBDA}/{REGION}/{NAME}": "active"},
    }
    return {"ledger": {"services": {"1": entry}}}


def environment(registries: Registries) -> dict[str, str]:
    return {
        **registries.environment,
        "AWS_ENDPOINT_URL": registries.aws.url,
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX000000000",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_REGION": REGION,
    }


def test_an_image_is_pushed_replicated_run_and_kept(registries: Registries) -> None:
    built(CRANE)
    outputs = estate(registries)
    clock = registries.aws.world.clock
    said = "\n".join(tell(outputs, environment(registries), registries.folder / "story", clock))
    pushed, replicated, function, index, *later = said.splitlines()
    digest = pushed.rpartition(" ")[2]
    assert replicated == f"replicated to {LAMBDA}/{REGION}: the same digest"
    assert f"{NAME}@{digest}" in function
    assert "not supported" in index
    for place, left in zip(later[::2], later[1::2], strict=True):
        assert place.count("(untagged)") == 1
        assert f"{digest} (4f2c1a9d0c8b, v1.0.0)" in left
        assert "(latest)" in left


def test_without_replicas_nothing_is_pushed(registries: Registries) -> None:
    entry: dict[str, Any] = {"placements": {f"{ARTIFACTS}/{REGION}/api": "active"}, "replicas": {}}
    said = [
        *tell(
            {"ledger": {"services": {"1": entry}}},
            environment(registries),
            registries.folder,
            registries.aws.world.clock,
        )
    ]
    assert said == ["no service has replicas, so no image is pushed"]
    assert registries.aws.calls()[0].action == "CreateRepository"
