"""Creation templates: what ECR makes by itself, what stands by other hands, and what a push made."""

import json
from typing import Any

import pulumi
import pytest

from ecr.plan.access.deploy_roles import template_documents
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    config,
    settings,
    with_replicas,
)
from tests.mocks import Deployment, deploy
from tests.policy_grammar import offences_of

TYPE = "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate"
OWNER = "ecr-estate/test"
ROLE = {"templateRole": "ecr-estate-templates"}
NET = {"templates": True, **ROLE}
PAYMENTS = {"known": {"payments": {"createOnPush": True}, "search": {}}}
BRIDGE: dict[str, Any] = {"registries": ROLE, "namespaces": PAYMENTS}
MARKED = {"managed-by": OWNER, "creation-template": "payments"}


def deployed(
    last: Deployment | None = None,
    aws: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    found: dict[str, dict[str, str]] | None = None,
    **changes: Any,
) -> Deployment:
    """Deploy; ``found`` are the tags of image repositories of the artifacts registry, by name."""

    def invoke(token: str, arguments: Any) -> dict[str, Any]:
        if token == "aws:ecr/getRepositories:getRepositories":
            return {"id": "eu-west-1", "names": list(found or ())}
        if token == "aws:ecr/getRepository:getRepository":
            return {"tags": (found or {})[arguments["name"]]}
        return {"outputs": state or {}}

    chosen = {"static": [{"id": 1, "name": "api"}], **changes}
    outputs = last.outputs if last else None
    return deploy(config(**chosen), invoke, last_outputs=outputs, aws=aws)


def made(done: Deployment) -> dict[str, Any]:
    return {name: each.inputs for name, each in done.of("RepositoryCreationTemplate").items()}


def test_without_the_settings_there_is_no_template() -> None:
    assert not made(deployed())
    assert not template_documents(settings())


def test_the_net_catches_what_ecr_makes_by_itself_and_no_push() -> None:
    templates = made(deployed(registries={"templates": True}, **with_replicas()))
    assert templates.keys() == {f"{SOURCE}/templates/ROOT", f"{REPLICAS}/templates/ROOT"}
    ours = templates[f"{SOURCE}/templates/ROOT"]
    assert ours["appliedFors"] == ["PULL_THROUGH_CACHE", "REPLICATION"]
    assert ours["imageTagMutability"] == "IMMUTABLE"
    assert (
        ours["lifecyclePolicy"]
        == deployed().of("LifecyclePolicy")[f"{SOURCE}/api"].inputs["policy"]
    )
    assert "resourceTags" not in ours
    assert "customRoleArn" not in ours
    assert "Lambda" in templates[f"{REPLICAS}/templates/ROOT"]["repositoryPolicy"]


def test_the_bridge_is_for_the_namespaces_that_choose_it_where_images_are_pushed() -> None:
    templates = made(deployed(**BRIDGE, **with_replicas()))
    assert templates.keys() == {f"{SOURCE}/templates/payments"}
    bridge = templates[f"{SOURCE}/templates/payments"]
    assert bridge["appliedFors"] == ["CREATE_ON_PUSH"]
    assert bridge["resourceTags"] == MARKED
    assert bridge["customRoleArn"] == f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-templates"


def test_with_the_net_a_namespace_is_caught_by_its_own_template() -> None:
    templates = made(deployed(registries=NET, namespaces=PAYMENTS))
    assert templates[f"{SOURCE}/templates/payments"]["appliedFors"] == [
        "CREATE_ON_PUSH",
        "PULL_THROUGH_CACHE",
        "REPLICATION",
    ]


def test_a_template_has_the_key_of_its_registry_and_what_is_chosen_for_its_namespace() -> None:
    key = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
    moving = {"names": ["payments/*"], "mutableTags": ["latest"]}
    short = {"names": ["payments/*"], "keepImages": 3}
    one_service = {"names": ["payments/api"], "immutable": False}
    bridge = made(
        deployed(
            registries=ROLE,
            namespaces=PAYMENTS,
            images={"kmsKey": key, "overrides": [one_service, moving]},
            lifecycle={"overrides": [short]},
        )
    )[f"{SOURCE}/templates/payments"]
    assert bridge["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": key}]
    assert bridge["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert [each["filter"] for each in bridge["imageTagMutabilityExclusionFilters"]] == ["latest"]
    assert "keep 3 tagged images" in bridge["lifecyclePolicy"]


def test_by_repository_policies_what_a_push_made_can_be_read_and_pushed_to() -> None:
    pusher = f"arn:aws:iam::{LAMBDA}:role/push"
    known = {"payments": {"createOnPush": True, "pushers": [pusher]}}
    done = deployed(registries=ROLE, namespaces={"known": known}, access={"policy": "repository"})
    policy = json.loads(made(done)[f"{SOURCE}/templates/payments"]["repositoryPolicy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["OrganisationPull", "Push"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"namespaces": PAYMENTS}, "namespaces.known.payments.createOnPush needs it for the tag"),
        (
            {
                "registries": {"templates": True},
                "images": {"kmsKey": f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"},
            },
            "a template with a KMS key needs it",
        ),
        ({"owners": {"property": "team", "tag": "creation-template"}}, "is a tag of the program"),
    ],
)
def test_what_a_template_cannot_do_is_refused_in_the_settings(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(pulumi.RunError, match=said):
        deployed(**changes)


def standing(description: str = "of the platform team") -> dict[str, Any]:
    found = {"prefix": "ROOT", "description": description}
    return {"describe_repository_creation_templates": {"repositoryCreationTemplates": [found]}}


def test_a_template_of_other_hands_is_left_alone_and_said() -> None:
    done = deployed(registries=NET, aws=standing())
    assert not made(done)
    assert any("creation templates of ROOT are by other hands" in line for line in done.log)
    assert "templates/ROOT" not in done.outputs["ledger"]["registries"][SOURCE]
    again = deployed(done, registries=NET, aws=standing())
    assert not made(again)


def test_a_template_of_other_hands_is_taken_up_where_the_registry_is_adopted() -> None:
    adopting = {**NET, "adopted": [SOURCE]}
    done = deployed(deployed(registries=NET, aws=standing()), registries=adopting, aws=standing())
    taken = done.of("RepositoryCreationTemplate")[f"{SOURCE}/templates/ROOT"]
    assert taken.imported == "ROOT@eu-west-1"
    after = deployed(done, registries=NET, aws=standing())
    assert made(after), "an adopted one stays adopted"
    assert not after.of("RepositoryCreationTemplate")[f"{SOURCE}/templates/ROOT"].imported


def test_what_a_lost_state_held_is_known_by_its_description() -> None:
    done = deployed(registries=NET, aws=standing(f"Managed by {OWNER}"))
    taken = done.of("RepositoryCreationTemplate")[f"{SOURCE}/templates/ROOT"]
    assert taken.imported == "ROOT@eu-west-1"


def test_what_a_killed_deployment_had_made_is_its_own() -> None:
    urn = f"urn:pulumi:test::ecr-estate::{TYPE}::{SOURCE}/templates/ROOT"
    state = {urn: {"type": TYPE, "outputs": {}}}
    done = deployed(registries=NET, aws=standing(f"Managed by {OWNER}"), state=state)
    assert not done.of("RepositoryCreationTemplate")[f"{SOURCE}/templates/ROOT"].imported


def test_what_this_stack_has_made_is_not_asked_for_again() -> None:
    first = deployed(registries=NET)
    assert made(deployed(first, registries=NET, aws=standing())) == made(first)


PUSHED: dict[str, Any] = {
    **BRIDGE,
    "static": [{"id": 7, "name": "ledger"}],
    "namespaces": {**PAYMENTS, "repositories": {"ledger": "payments"}},
}


def test_what_a_push_made_is_taken_up_without_an_operator() -> None:
    done = deployed(found={"payments/ledger": MARKED}, **PUSHED)
    (taken,) = done.of("Repository").values()
    assert taken.imported == "payments/ledger@eu-west-1"
    assert taken.inputs["tags"]["github-id"] == "7"
    assert "creation-template" not in taken.inputs["tags"]
    assert done.outputs["leftOut"] == []


@pytest.mark.parametrize(
    "tags",
    [{}, {"creation-template": "payments"}, {**MARKED, "managed-by": "another/prod"}],
)
def test_what_no_template_of_the_estate_made_is_of_other_hands(tags: dict[str, str]) -> None:
    done = deployed(found={"payments/ledger": tags}, **PUSHED)
    assert not done.of("Repository")
    assert done.outputs["leftOut"]


def test_what_a_push_made_and_no_repository_is_called_by_is_said() -> None:
    done = deployed(found={"payments/legder": MARKED}, **PUSHED)
    assert any(
        "1 image repositories were made by ECR" in line and "payments/legder" in line
        for line in done.log
    )
    assert list(done.of("Repository")) == [f"{SOURCE}/payments/ledger"]


def test_what_a_cache_made_by_the_net_is_not_said_to_be_of_nobody() -> None:
    cache = {"prefix": "quay", "upstream": "quay.io"}
    found = {"quay/app": {"managed-by": OWNER, "creation-template": "ROOT"}}
    done = deployed(registries=NET, pullThroughCache={"rules": [cache]}, found=found)
    assert not any("made by ECR" in line for line in done.log)


def test_the_role_that_ecr_assumes_may_make_image_repositories_and_use_the_keys() -> None:
    key = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
    chosen = settings(registries=NET, images={"kmsKey": key}, **with_replicas())
    documents = template_documents(chosen)
    assert documents.keys() == {ARTIFACTS, LAMBDA}
    assert not [wrong for each in documents.values() for wrong in offences_of(each)]
    ours = json.loads(documents[ARTIFACTS].text)["Statement"]
    assert ours[0]["Action"] == ["ecr:CreateRepository", "ecr:ReplicateImage", "ecr:TagResource"]
    assert ours[1]["Resource"] == key
    theirs = json.loads(documents[LAMBDA].text)["Statement"]
    assert [each["Sid"] for each in theirs] == ["Make"]
    bridge = settings(**BRIDGE, **with_replicas())
    assert template_documents(bridge).keys() == {ARTIFACTS}


def test_more_templates_than_a_registry_takes_are_refused() -> None:
    known = {f"team-{number}": {"createOnPush": True} for number in range(50)}
    with pytest.raises(pulumi.RunError, match="it has 51 creation templates"):
        deployed(registries=NET, namespaces={"known": known})
