"""No lifecycle policy is ended before ECR has taken the new one, in a preview of ECR's own."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from ecr.aws.session import aws_errors_as
from ecr.deploy.standing import Ask
from ecr.registry.registry import Registry
from tests.builders import config
from tests.mocks import Deployment, deploy, no_invoke, standing

STATIC = [{"id": number, "name": f"service-{number}"} for number in range(1, 6)]
OLD = {"lifecyclePolicyText": json.dumps({"rules": []})}
REFUSED = "StartLifecyclePolicyPreview"


class Ecr:
    """ECR as far as lifecycle policies go: what it has been asked, and what it says."""

    def __init__(self, old: Mapping[str, Any] | None = OLD, **refusals: str) -> None:
        self.old, self.refusals = old, refusals
        self.tried: list[str] = []

    def asking(self, _roles: object) -> Ask:
        other = standing({"get_lifecycle_policy": self.old})

        async def ask(
            service: str, operation: str, registry: Registry, arguments: Mapping[str, Any]
        ) -> Mapping[str, Any] | None:
            if operation != "start_lifecycle_policy_preview":
                return await other(service, operation, registry, arguments)
            name = arguments["repositoryName"]
            self.tried.append(name)
            with aws_errors_as(f"trying a policy on {name}"):
                if code := self.refusals.get(name.replace("-", "_"), self.refusals.get("all")):
                    _refuse(code)
            return {}

        return ask


def _refuse(code: str) -> None:
    from botocore.exceptions import ClientError  # noqa: PLC0415 - one test module, one use

    raise ClientError({"Error": {"Code": code, "Message": "no such rule"}}, REFUSED)


@pytest.fixture(scope="module")
def before() -> Deployment:
    return deploy(config(static=STATIC), no_invoke)


def listed(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for a registry that holds the image repository of every service."""
    if token == "aws:ecr/getRepositories:getRepositories":
        return {"id": "eu-west-1", "names": [each["name"] for each in STATIC]}
    return no_invoke(token, arguments)


def again(
    before: Deployment, ecr: Ecr, monkeypatch: pytest.MonkeyPatch, *, preview: bool = False
) -> Deployment:
    monkeypatch.setattr("tests.mocks.standing", lambda _: ecr.asking(None))
    return deploy(config(static=STATIC), listed, last_outputs=before.outputs, preview=preview)


def test_one_image_repository_is_tried_before_many_are_changed(
    before: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = Ecr()
    done = again(before, ecr, monkeypatch)
    assert ecr.tried == ["service-1"]
    assert len(done.of("LifecyclePolicy")) == 5


@pytest.mark.parametrize("preview", [True, False])
def test_a_refusal_stops_before_any_policy_is_ended(
    before: Deployment, monkeypatch: pytest.MonkeyPatch, *, preview: bool
) -> None:
    ecr = Ecr(all="InvalidParameterException")
    with pytest.raises(pulumi.RunError, match="ECR does not take a lifecycle policy") as refused:
        again(before, ecr, monkeypatch, preview=preview)
    assert "no such rule" in str(refused.value)


def test_what_is_in_force_already_is_not_tried(
    before: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = next(iter(before.of("LifecyclePolicy").values())).inputs["policy"]
    ecr = Ecr({"lifecyclePolicyText": json.dumps(json.loads(policy), indent=2)})
    again(before, ecr, monkeypatch)
    assert not ecr.tried


def test_where_there_is_no_policy_none_can_be_lost(
    before: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = Ecr(None)
    again(before, ecr, monkeypatch)
    assert not ecr.tried


def test_where_another_preview_is_under_way_the_next_is_asked(
    before: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = "LifecyclePolicyPreviewInProgressException"
    ecr = Ecr(service_1=busy)
    again(before, ecr, monkeypatch)
    assert ecr.tried == ["service-1", "service-2"]
    with pytest.raises(pulumi.RunError, match="nothing was changed"):
        again(before, Ecr(all=busy), monkeypatch)


def test_a_preview_by_a_role_that_only_reads_leaves_the_trial_to_the_deployment(
    before: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    again(before, Ecr(all="AccessDeniedException"), monkeypatch, preview=True)
    with pytest.raises(pulumi.RunError, match="let the role do it"):
        again(before, Ecr(all="AccessDeniedException"), monkeypatch)
