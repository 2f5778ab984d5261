"""Creation templates on the real engine: deployed, drifted, lost and ended, and what a push made taken up."""

from typing import Any

import pytest

from ecr.access_proof.evaluate import Caller, decide_access
from ecr.registry.registry import Registry
from sandbox.aws.rules.table import manifest
from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held

pytestmark = pytest.mark.engine

READER = "555555555555"
PULL, PUSH = "ecr:BatchGetImage", "ecr:PutImage"
PUSHER = f"arn:aws:iam::{READER}:role/payments-ci"

SETTINGS: dict[str, Any] = {
    "lambdaReplicas": ONE_LAMBDA_ACCOUNT,
    "registries": {"templates": True, "templateRole": "ecr-estate-templates"},
    "namespaces": {
        "known": {
            "payments": {"createOnPush": True, "readers": [READER], "pushers": [PUSHER]},
        },
        "repositories": {"ledger": "payments"},
    },
}

IMMUTABLE = "IMMUTABLE_WITH_EXCLUSION"
"""As the sandbox's own settings have it, which let a few tags move."""


def templates(session: Session, registry: tuple[str, str] = ARTIFACTS) -> dict[str, Any]:
    client = Registries(session.environment).client(*registry)
    found = client.describe_repository_creation_templates()["repositoryCreationTemplates"]
    return {each["prefix"]: each for each in found}


def may(policy: str, account: str, action: str, name: str, *, role: str = "") -> bool:
    """Whether a registry policy lets somebody of the organisation in, whose own policies allow everything."""
    allowed = '{"Statement":[{"Effect":"Allow","Action":"ecr:*","Resource":"*"}]}'
    who = Caller(
        "role",
        role or f"arn:aws:iam::{account}:role/node",
        organisation="o-sandbox0001",
        policies=(allowed,),
    )
    arn = Registry(*ARTIFACTS).arn(name)
    return decide_access(who, action, arn, [policy], account=ARTIFACTS[0]) == "allowed"


def unchanged(session: Session) -> None:
    again = session.preview("--refresh", "--expect-no-changes")
    assert again.code == 0, again.output


def test_templates_settle_drift_is_put_right_and_they_survive_a_lost_state(
    open_session: Open,
) -> None:
    session = open_session("api", **SETTINGS)
    deploy(session)
    unchanged(session)
    ours = templates(session)
    assert ours.keys() == {"ROOT", "payments"}
    assert {each["imageTagMutability"] for each in ours.values()} == {IMMUTABLE}
    assert all(each["lifecyclePolicy"] for each in ours.values())
    assert templates(session, LAMBDA).keys() == {"ROOT"}

    ecr = Registries(session.environment).client(*ARTIFACTS)
    ecr.update_repository_creation_template(
        prefix="ROOT",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filter": "v*", "filterType": "WILDCARD"}],
    )
    ecr.delete_repository_creation_template(prefix="payments")
    assert session.preview("--refresh", "--expect-no-changes").code != 0
    assert session.up("--refresh").code == 0
    assert templates(session).keys() == ours.keys()
    assert templates(session)["ROOT"]["imageTagMutability"] == IMMUTABLE

    lose_the_state(session)
    deploy(session)
    unchanged(session)
    assert templates(session).keys() == ours.keys()

    session.configure({"lambdaReplicas": ONE_LAMBDA_ACCOUNT})
    deploy(session)
    unchanged(session)
    assert not templates(session)
    assert not templates(session, LAMBDA)


def test_what_a_push_made_is_immutable_and_the_next_deployment_takes_it_up(
    open_session: Open,
) -> None:
    session = open_session("api", **SETTINGS)
    deploy(session)
    ecr = Registries(session.environment).client(*ARTIFACTS)
    text, name = manifest("first"), "payments/ledger"
    image = {"repositoryName": name, "imageManifest": text, "imageTag": "v1"}
    ecr.put_image(**image)
    (made,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert made["imageTagMutability"] == IMMUTABLE
    assert ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.put_image(**{**image, "repositoryName": "elsewhere"})

    session.github.organisation.add("ledger")
    preview = session.preview()
    assert "1 to import" in preview.output, preview.output
    deploy(session)
    unchanged(session)
    arn = made["repositoryArn"]
    tags = {
        each["Key"]: each["Value"] for each in ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    }
    assert tags["service"] == name
    assert "creation-template" not in tags
    # The namespace is of this one service, and so its readers and pushers are the service's own.
    policy = ecr.get_registry_policy()["policyText"]
    assert may(policy, READER, PULL, name)
    assert may(policy, READER, PUSH, name, role=PUSHER)
    assert not may(policy, READER, PUSH, "api", role=PUSHER)
    assert not may(policy, READER, PUSH, name)
    assert not may(policy, LAMBDA[0], PULL, name)
    assert may(policy, LAMBDA[0], PULL, "api")
    (still,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert still["createdAt"] == made["createdAt"]
    assert [
        each["imageTags"] for each in ecr.describe_images(repositoryName=name)["imageDetails"]
    ] == [["v1"]]
    assert name in held(session, LAMBDA).repositories
