"""What an estate has beside image repositories: as AWS and GitHub hold it, and as the engine's state does.

Owns one name for each push role, variable, identity provider, topic, event rule and key, by which the two
sides are compared: what the state lacks is an orphan, and what stands twice has two names. Reads AWS by its
API as an administrator, variables from the embedded GitHub, and an exported state. Changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ecr.engine.types import ALERT_KEY, ALERT_TOPIC, IDENTITY_PROVIDER, ROLE, VARIABLE
from ecr.plan.access.push_roles import ISSUER
from ecr.plan.alerts import KEY_TAGS
from ecr.plan.alerts import NAME as ALERTS
from ecr.plan.model import PUSH_ROLE_PATH
from sandbox.estate import Registries
from sandbox.github import EmbeddedGitHub

ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"
EVENT_RULE = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"

PREFIX = "ECR_"
"""How the names of the estate's variables begin in every trial."""


def managed_beside(resources: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of what an exported state holds."""
    for each in resources:
        # The logical name begins with ACCOUNT, or with ACCOUNT/REGION.
        name, outputs = each["urn"].split("::")[-1], each.get("outputs") or {}
        match each["type"]:
            case kind if kind == ROLE:
                yield f"role {name}"
            case kind if kind == ROLE_POLICY:
                yield f"policy of role {name}"
            case kind if kind == IDENTITY_PROVIDER:
                yield f"identity provider {name.partition('/')[0]}"
            case kind if kind == ALERT_KEY:
                yield f"key {name.removesuffix('/alerts')}/{outputs['keyId']}"
            case kind if kind == ALERT_TOPIC:
                yield f"topic {name.removesuffix('/alerts')}"
            case kind if kind == EVENT_RULE:
                yield f"rule {name}"
            case kind if kind == EVENT_TARGET:
                yield f"target of rule {name}"
            case kind if kind == VARIABLE:
                yield f"variable {outputs['repository']}/{outputs['variableName']}"


def held_beside(
    registries: Registries, places: Iterable[tuple[str, str]], github: EmbeddedGitHub
) -> Iterator[str]:
    """Yield the names of what AWS and GitHub hold that an estate may have made."""
    places = list(places)
    for account in dict.fromkeys(account for account, _ in places):
        yield from _roles(registries, account)
    for account, region in places:
        yield from _alerts(registries, account, region)
    for repository in github.organisation:
        for name in sorted(github.api.actions.held(repository)):
            if name.startswith(PREFIX):
                yield f"variable {repository.name}/{name}"


def _roles(registries: Registries, account: str) -> Iterator[str]:
    iam = registries.service("iam", account, "us-east-1")
    for role in iam.list_roles(PathPrefix=PUSH_ROLE_PATH)["Roles"]:
        yield f"role {account}/{role['RoleName']}"
        for _ in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            yield f"policy of role {account}/{role['RoleName']}"
    for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
        if provider["Arn"].endswith(f"/{ISSUER}"):
            yield f"identity provider {account}"


def _alerts(registries: Registries, account: str, region: str) -> Iterator[str]:
    key = f"{account}/{region}"
    kms = registries.service("kms", account, region)
    for each in kms.list_keys()["Keys"]:
        named = {"KeyId": each["KeyId"]}
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(**named)["Tags"]}
        if KEY_TAGS.items() <= tags.items() and kms.describe_key(**named)["KeyMetadata"]["Enabled"]:
            yield f"key {key}/{each['KeyId']}"
    sns = registries.service("sns", account, region)
    for topic in sns.list_topics()["Topics"]:
        if topic["TopicArn"].endswith(f":{ALERTS}"):
            yield f"topic {key}"
    events = registries.service("events", account, region)
    for rule in events.list_rules(NamePrefix=ALERTS)["Rules"]:
        yield f"rule {key}/{rule['Name']}"
        for _ in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            yield f"target of rule {key}/{rule['Name']}"
