"""Trials of drift: what somebody changes in AWS by hand is found, named, and put right.

Owns the hands, one a kind of change, and the comparison of AWS before and after. What is found is what
`ecr-estate drift` finds; what puts it right is a deployment with `--refresh`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sandbox.session import Run
from sandbox.trials.crashes import DEPLOYED
from sandbox.trials.trial import LAMBDA, QUIET, REGISTRIES, Stage, Trial
from sandbox.trials.verdict import Expectation

GROUP = "Drift"

Hand = Callable[[Stage], object]
"""Changes something in AWS past the engine."""

ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": ["ecr:BatchGetImage"]}
        ],
    }
)
KEEP_ONE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 1,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
RULE = {
    "destinations": [{"region": "eu-central-1", "registryId": "999999999999"}],
    "repositoryFilters": [{"filter": "api", "filterType": "PREFIX_MATCH"}],
}


def _add_rule(stage: Stage) -> None:
    ecr = stage.ecr()
    rules = ecr.describe_registry()["replicationConfiguration"]["rules"]
    ecr.put_replication_configuration(replicationConfiguration={"rules": [*rules, RULE]})


def _retag(stage: Stage) -> None:
    ecr = stage.ecr()
    (found,) = ecr.describe_repositories(repositoryNames=["api"])["repositories"]
    ecr.tag_resource(
        resourceArn=found["repositoryArn"], tags=[{"Key": "managed-by", "Value": "somebody"}]
    )


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of drift: what somebody does, and what the command must say of it."""

    what: str
    hand: Hand
    says: str


KINDS = (
    Kind(
        "tags are made mutable",
        lambda stage: stage.ecr().put_image_tag_mutability(
            repositoryName="api", imageTagMutability="MUTABLE"
        ),
        r"image repository 111111111111/eu-west-1/api: .*imageTagMutability",
    ),
    Kind(
        "a lifecycle policy is changed",
        lambda stage: stage.ecr().put_lifecycle_policy(
            repositoryName="web", lifecyclePolicyText=KEEP_ONE
        ),
        "lifecycle policy of 111111111111/eu-west-1/web: policy",
    ),
    Kind(
        "a lifecycle policy is deleted",
        lambda stage: stage.ecr(LAMBDA).delete_lifecycle_policy(repositoryName="web"),
        "lifecycle policy of 222222222222/eu-west-1/web: is gone",
    ),
    Kind(
        "a replica's policy is changed",
        lambda stage: stage.ecr(LAMBDA).set_repository_policy(
            repositoryName="api", policyText=ANYBODY
        ),
        "policy of 222222222222/eu-west-1/api: policy",
    ),
    Kind(
        "a registry's policy is deleted",
        lambda stage: stage.ecr(LAMBDA).delete_registry_policy(),
        "registry policy of 222222222222/eu-west-1: is gone",
    ),
    Kind(
        "a replication rule is added",
        _add_rule,
        "replication of 111111111111/eu-west-1: replicationConfiguration",
    ),
    Kind(
        "scanning is turned off",
        lambda stage: stage.ecr().put_registry_scanning_configuration(scanType="BASIC", rules=[]),
        "scanning of 111111111111/eu-west-1: rules",
    ),
    Kind(
        "the tags of an image repository are changed",
        _retag,
        r"image repository 111111111111/eu-west-1/api: .*tags",
    ),
    Kind(
        "a replica is deleted",
        lambda stage: stage.ecr(LAMBDA).delete_repository(repositoryName="worker", force=True),
        "image repository 222222222222/eu-west-1/worker: is gone",
    ),
    Kind(
        "an image repository is deleted",
        lambda stage: stage.ecr().delete_repository(repositoryName="worker", force=True),
        "image repository 111111111111/eu-west-1/worker: is gone",
    ),
)


def snapshot(stage: Stage) -> dict[str, Any]:
    """Read everything of the registries that a hand can change, without what differs by itself."""
    return {
        f"{account}/{region}": dict(_registry(stage.ecr((account, region))))
        for account, region in REGISTRIES
    }


def _registry(ecr: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a client of boto3
    yield "replication", ecr.describe_registry()["replicationConfiguration"]
    yield "scanning", ecr.get_registry_scanning_configuration()["scanningConfiguration"]
    with suppress(ClientError):
        yield "policy", json.loads(ecr.get_registry_policy()["policyText"])
    for each in ecr.describe_repositories()["repositories"]:
        name = each["repositoryName"]
        yield (
            name,
            (
                each["imageTagMutability"],
                each.get("imageTagMutabilityExclusionFilters"),
                sorted(
                    (tag["Key"], tag["Value"])
                    for tag in ecr.list_tags_for_resource(resourceArn=each["repositoryArn"])["tags"]
                ),
            ),
        )
        with suppress(ClientError):
            text = ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
            yield f"{name} lifecycle", json.loads(text)
        with suppress(ClientError):
            text = ecr.get_repository_policy(repositoryName=name)["policyText"]
            yield f"{name} policy", json.loads(text)


def find(stage: Stage) -> Run:
    """Run the command that finds drift."""
    return stage.command("drift", "--", "--config-file", str(stage.session.config_file))


def change_and_mend(stage: Stage, hands: Iterable[Hand]) -> Run:
    """Let somebody change AWS, find it, deploy, and compare AWS with what it was before."""
    before = snapshot(stage)
    for hand in hands:
        hand(stage)
    stage.look()
    if snapshot(stage) == before:
        stage.notes.append("nothing was changed by hand")
    found = find(stage)
    mended = stage.session.up("--skip-preview", "--refresh", *QUIET)
    if snapshot(stage) != before:
        stage.notes.append(f"AWS is not as it was: {snapshot(stage)}, not {before}")
    again = find(stage)
    if again.code:
        stage.notes.append(f"there is drift after the deployment:\n{again.output}")
    return Run(mended.code, f"{found.output}\n{mended.output}")


def _trial(kind: Kind) -> Trial:
    return Trial(
        group=GROUP,
        fault=kind.what,
        ground=DEPLOYED,
        expect=Expectation("went on", kind.says),
        deploy=lambda stage: change_and_mend(stage, [kind.hand]),
        spoils=False,
    )


def trials() -> Iterator[Trial]:
    """Return every trial of drift."""
    return map(_trial, KINDS)
