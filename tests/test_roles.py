"""The roles that deploy and preview: what the documents hold for which settings."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from ecr.access_proof.evaluate import AccessDecision, Caller, Values, decide_access
from ecr.plan.access.deploy_roles import UNCALLED, boundary_document, deployment_documents
from ecr.plan.access.documents import Document
from tests.builders import ARTIFACTS, LAMBDA, settings, with_replicas
from tests.policy_grammar import offences_of

ROOT = Path(__file__).parent.parent
ALERTS: dict[str, Any] = {"alerts": {"severities": ["HIGH"]}}
TEMPLATES = {"templates": True, "templateRole": "ecr-estate-templates"}
PUSH: dict[str, Any] = {"pushRoles": {"organisationId": 7}}


def actions(document: Document) -> set[str]:
    statements = json.loads(document.text)["Statement"]
    return {
        action
        for statement in statements
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }


def deploying(account: str = ARTIFACTS, **changes: Any) -> set[str]:
    return actions(deployment_documents(settings(**changes))[account][0])


def test_each_account_has_a_document_to_deploy_and_one_to_preview() -> None:
    documents = deployment_documents(settings(**with_replicas()))
    assert documents.keys() == {ARTIFACTS, LAMBDA}
    for deploys, previews in documents.values():
        assert actions(previews) < actions(deploys)
        assert not offences_of(deploys)
        assert not offences_of(previews)


@pytest.mark.parametrize("changes", [{}, with_replicas(), ALERTS, PUSH, {"retire": ["old"]}])
def test_a_preview_may_change_nothing_and_touch_no_image(changes: dict[str, Any]) -> None:
    for _, previews in deployment_documents(settings(**changes)).values():
        verbs = {action.partition(":")[2] for action in actions(previews)}
        assert all(verb.startswith(("Get", "List", "Describe")) for verb in verbs)
        assert not verbs & {"GetDownloadUrlForLayer", "GetAuthorizationToken"}


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        (with_replicas(), {"ecr:PutReplicationConfiguration", "iam:CreateServiceLinkedRole"}),
        ({"registryPolicyScope": "V2"}, {"ecr:PutAccountSetting"}),
        ({"retire": ["old"]}, {"ecr:DeleteRepository", "ecr:ListImages"}),
        (
            {"registries": {"pullTimeExclusions": ["ecr-estate-audit"]}},
            {
                "ecr:DeregisterPullTimeUpdateExclusion",
                "ecr:ListPullTimeUpdateExclusions",
                "ecr:RegisterPullTimeUpdateExclusion",
            },
        ),
        (
            {"registries": TEMPLATES},
            {
                "ecr:CreateRepositoryCreationTemplate",
                "ecr:DeleteRepositoryCreationTemplate",
                "ecr:DescribeRepositoryCreationTemplates",
                "ecr:UpdateRepositoryCreationTemplate",
                "iam:PassRole",
            },
        ),
        ({"images": {"count": True}}, {"ecr:ListImages"}),
        (ALERTS, {"sns:CreateTopic", "events:PutRule", "kms:CreateKey"}),
        (PUSH, {"iam:CreateRole", "iam:PutRolePolicy"}),
        ({"access": {"policy": "repository"}}, {"ecr:SetRepositoryPolicy"}),
        ({"scanning": {"type": "ENHANCED"}}, {"inspector2:Enable"}),
        ({"images": {"kmsKey": f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"}}, {"kms:CreateGrant"}),
    ],
)
def test_each_feature_brings_its_own_permissions_and_is_not_there_without(
    changes: dict[str, Any], more: set[str]
) -> None:
    assert not deploying() & more
    assert deploying(**changes) >= more


def test_without_a_registry_policy_none_may_be_written() -> None:
    assert "ecr:PutRegistryPolicy" in deploying()
    assert "ecr:PutRegistryPolicy" not in deploying(access={"policy": "repository"})


def test_with_a_boundary_roles_are_written_within_it_only() -> None:
    boundary = f"arn:aws:iam::{ARTIFACTS}:policy/push"
    chosen = settings(pushRoles={"organisationId": 7, "permissionsBoundary": boundary})
    deploys, _ = deployment_documents(chosen)[ARTIFACTS]
    granting = [
        each
        for each in json.loads(deploys.text)["Statement"]
        if "iam:PutRolePolicy" in each["Action"] or "iam:CreateRole" in each["Action"]
    ]
    assert [each["Condition"] for each in granting] == [
        {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    ]


IMAGES_KEY = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/images"
ALERTS_KEY = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/alerts"
OURS = {"aws:ResourceTag/ecr-estate": "alerts"}
ASKED = {"aws:RequestTag/ecr-estate": "alerts"}


def may(
    changes: dict[str, Any],
    action: str,
    resource: str,
    context: Mapping[str, Values] = MappingProxyType({}),
) -> AccessDecision:
    """What the deploy role of these settings may do in the artifacts account."""
    deploys, _ = deployment_documents(settings(**changes))[ARTIFACTS]
    assert not offences_of(deploys)
    role = f"arn:aws:iam::{ARTIFACTS}:role/deploy"
    who = Caller("role", role, policies=(deploys.text,), context=context)
    return decide_access(who, action, resource, account=ARTIFACTS)


@pytest.mark.parametrize("action", ["kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"])
def test_a_key_is_changed_or_ended_only_if_it_has_the_tag_of_the_alerts(action: str) -> None:
    assert may(ALERTS, action, ALERTS_KEY, OURS) == "allowed"
    assert may(ALERTS, action, ALERTS_KEY) == "not allowed"
    foreign = {"aws:ResourceTag/ecr-estate": "other"}
    assert may(ALERTS, action, ALERTS_KEY, foreign) == "not allowed"


def test_a_key_is_made_and_tagged_only_as_one_of_the_alerts() -> None:
    for action, resource in (("kms:CreateKey", "*"), ("kms:TagResource", ALERTS_KEY)):
        assert may(ALERTS, action, resource, ASKED) == "allowed"
        assert may(ALERTS, action, resource) == "not allowed"


@pytest.mark.parametrize("by_alias", [False, True])
@pytest.mark.parametrize(
    "action",
    ["kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource"],
)
def test_the_images_own_key_is_never_changed_whatever_its_tags(action: str, by_alias: bool) -> None:  # noqa: FBT001 - a parameter of the test
    alias = "alias/images" if by_alias else ""
    named = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:{alias}" if by_alias else IMAGES_KEY
    chosen = {**ALERTS, "images": {"kmsKey": named}}
    context: dict[str, Values] = {**OURS, **ASKED}
    aliased: dict[str, Values] = {"kms:ResourceAliases": (alias,)} if by_alias else {}
    assert may(chosen, action, IMAGES_KEY, {**context, **aliased}) == "denied"
    assert may(chosen, action, ALERTS_KEY, context) == "allowed"


@pytest.mark.parametrize("account", [ARTIFACTS, LAMBDA])
@pytest.mark.parametrize(
    "action",
    ["kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource"],
)
def test_a_key_of_other_hands_that_has_an_alias_is_out_of_reach_whatever_its_tags(
    action: str, account: str
) -> None:
    deploys, _ = deployment_documents(settings(**ALERTS, **with_replicas()))[account]
    key = f"arn:aws:kms:eu-west-1:{account}:key/database"
    context: dict[str, Values] = {**OURS, **ASKED, "kms:ResourceAliases": ("alias/database",)}
    who = Caller(
        "role", f"arn:aws:iam::{account}:role/deploy", policies=(deploys.text,), context=context
    )
    assert decide_access(who, action, key, account=account) == "denied"


def test_the_boundary_of_push_roles_lets_them_push_images_and_nothing_else() -> None:
    assert boundary_document(settings()) is None
    boundary = boundary_document(settings(**PUSH))
    assert boundary is not None
    assert not offences_of(boundary)
    assert actions(boundary) >= {"ecr:PutImage", "ecr:BatchGetImage"}
    who = Caller("role", f"arn:aws:iam::{ARTIFACTS}:role/push", policies=(boundary.text,))
    image = f"arn:aws:ecr:eu-west-1:{ARTIFACTS}:repository/api"
    assert decide_access(who, "ecr:PutImage", image, account=ARTIFACTS) == "allowed"
    for action in ("ecr:BatchDeleteImage", "ecr:DeleteRepository", "iam:CreateRole"):
        assert decide_access(who, action, image, account=ARTIFACTS) == "not allowed"


def test_grants_on_the_images_key_are_made_through_ecr_only() -> None:
    key = {"images": {"kmsKey": IMAGES_KEY}}
    through = {"kms:ViaService": "ecr.eu-west-1.amazonaws.com"}
    assert may(key, "kms:CreateGrant", IMAGES_KEY, through) == "allowed"
    assert may(key, "kms:CreateGrant", IMAGES_KEY) == "not allowed"
    elsewhere = {"kms:ViaService": "ecr.us-east-1.amazonaws.com"}
    assert may(key, "kms:CreateGrant", IMAGES_KEY, elsewhere) == "not allowed"


def test_an_alias_stands_for_the_key_that_has_it() -> None:
    alias = {"images": {"kmsKey": f"arn:aws:kms:eu-west-1:{ARTIFACTS}:alias/images"}}
    through = {"kms:ViaService": "ecr.eu-west-1.amazonaws.com"}
    has: dict[str, Values] = {**through, "kms:ResourceAliases": ("alias/images", "alias/other")}
    assert may(alias, "kms:CreateGrant", IMAGES_KEY, has) == "allowed"
    assert may(alias, "kms:CreateGrant", IMAGES_KEY, through) == "not allowed"


def test_in_china_ecr_is_known_by_both_domains() -> None:
    key = f"arn:aws-cn:kms:cn-north-1:{ARTIFACTS}:key/images"
    chosen = settings(
        artifacts={"account": ARTIFACTS, "region": "cn-north-1"}, images={"kmsKey": key}
    )
    deploys, _ = deployment_documents(chosen)[ARTIFACTS]
    for domain in ("amazonaws.com", "amazonaws.com.cn"):
        who = Caller(
            "role",
            f"arn:aws-cn:iam::{ARTIFACTS}:role/deploy",
            policies=(deploys.text,),
            context={"kms:ViaService": f"ecr.cn-north-1.{domain}"},
        )
        assert decide_access(who, "kms:CreateGrant", key, account=ARTIFACTS) == "allowed"


def test_a_boundary_is_put_on_roles_that_stand_and_is_never_lifted_where_one_is_required() -> None:
    boundary = f"arn:aws:iam::{ARTIFACTS}:policy/push"
    within: dict[str, Any] = {"pushRoles": {"organisationId": 7, "permissionsBoundary": boundary}}
    role = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate/push-api-1"
    put, lift = "iam:PutRolePermissionsBoundary", "iam:DeleteRolePermissionsBoundary"
    held = {"iam:PermissionsBoundary": boundary}
    assert may(within, put, role, held) == "allowed"
    wider = {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert may(within, put, role, wider) == "not allowed"
    assert may(within, lift, role, held) == "not allowed"
    assert may(PUSH, lift, role, held) == "allowed"
    assert may(PUSH, lift, f"arn:aws:iam::{ARTIFACTS}:role/admin", held) == "not allowed"


def test_only_the_account_that_is_pushed_to_gets_push_roles() -> None:
    assert "iam:CreateRole" not in deploying(LAMBDA, **PUSH, **with_replicas())


def test_what_is_asked_for_beside_a_call_is_asked_for_by_some_setting() -> None:
    everything = deploying(
        scanning={"type": "ENHANCED"},
        images={"kmsKey": f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"},
        pullThroughCache={
            "rules": [
                {
                    "prefix": "elsewhere",
                    "upstream": f"{LAMBDA}.dkr.ecr.eu-west-1.amazonaws.com",
                    "role": f"arn:aws:iam::{ARTIFACTS}:role/ecr-cache",
                }
            ]
        },
        registries=TEMPLATES,
        **with_replicas(),
    )
    assert everything >= UNCALLED


def test_the_documents_in_the_readme_are_those_of_the_settings_that_it_names() -> None:
    artifacts, replicas = "111122223333", "444455556666"
    documents = deployment_documents(
        settings(
            artifacts={"account": artifacts, "region": "eu-west-1"},
            registryPolicyScope="V2",
            **with_replicas(replicas),
        )
    )
    shown = re.findall(
        r"^```json\n(.*?)^```$",
        (ROOT / "docs/guides/first-deployment.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert json.loads(shown[0]) == json.loads(documents[artifacts][0].text)
    assert json.loads(shown[1]) == json.loads(documents[replicas][0].text)
