"""What stands in AWS beside image repositories: the settings of registries, before any is written.

Owns the questions that the AWS provider has no data source for. They are asked with boto3, by the same
role in each account as the provider's, and only about what this stack is not known to have made. It
changes nothing, and reads no image.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.engine.types import (
    ACCOUNT_SETTING,
    REGISTRY_POLICY,
    REPLICATION_CONFIGURATION,
    SCANNING,
)
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.architectures import configured_registries
from ecr.plan.model import StandingSettings
from ecr.plan.registry_settings import SCOPE, canonical, to_ask
from ecr.registry.registry import Registry
from ecr.settings.models import RegistrySetting, Settings

Ask = Callable[[str, str, Registry, Mapping[str, Any]], Awaitable[Mapping[str, Any] | None]]
"""Call AWS: service, boto3's name of the operation, registry, arguments. None says that it is not there."""

State = Callable[[], Awaitable[Mapping[str, Mapping[str, Any]]]]
"""Return what the engine's state holds, by the engine's names (URNs)."""

NOT_THERE = ("NoSuchEntity", "NotFound", "NotFoundException", "RegistryPolicyNotFoundException")
"""How IAM, SNS, KMS and ECR say that something is not there."""

KINDS: Mapping[RegistrySetting, str] = {
    "policy": REGISTRY_POLICY,
    "replication": REPLICATION_CONFIGURATION,
    "scanning": SCANNING,
    "accountSettings": ACCOUNT_SETTING,
}


def asking(roles: Mapping[Registry, str | None]) -> Ask:
    """Ask by the roles of registries, in each account by that of its first, as the provider does."""
    by_account: dict[str, str | None] = {}
    for registry, role in roles.items():
        by_account.setdefault(registry.account, role)
    return asking_by(Aws(roles={account: role for account, role in by_account.items() if role}))


def asking_by(aws: Aws) -> Ask:
    """Ask through one session, all pages of a list at once."""

    async def ask(
        service: str, operation: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        client = aws.client(service, registry)

        def call() -> Mapping[str, Any]:
            with aws_errors_as(f"{operation} in {registry.key}"):
                if client.can_paginate(operation):
                    pages = client.get_paginator(operation).paginate(**arguments)
                    whole: Mapping[str, Any] = pages.build_full_result()
                    return whole
                answer: Mapping[str, Any] = getattr(client, operation)(**arguments)
                return answer

        try:
            return await asyncio.to_thread(call)
        except EstateError as error:
            if is_refusal(error, *NOT_THERE):
                return None
            raise

    return ask


async def read_settings(
    ask: Ask, state: State, settings: Settings, ledger: Ledger
) -> dict[Registry, StandingSettings]:
    """Read the settings of registries that the ledger does not call this stack's own.

    Raises EstateError where one cannot be read: what is not known may not be written over.
    """
    if not ledger.shard.owns_registry_settings:
        return {}
    wanted = {
        registry: settings_asked
        for registry in configured_registries(settings)
        if registry.key not in settings.registries.adopted
        and (settings_asked := to_ask(registry, settings, ledger))
    }
    if not wanted:
        return {}
    made = {(each["type"], urn.rpartition("::")[2]) for urn, each in (await state()).items()}

    async def look(
        registry: Registry, asked: tuple[RegistrySetting, ...]
    ) -> tuple[Registry, StandingSettings]:
        found = await asyncio.gather(*(_now(ask, registry, setting) for setting in asked))
        held = frozenset(each for each in asked if (KINDS[each], registry.key) in made)
        return registry, StandingSettings(dict(zip(asked, found, strict=True)), held)

    return dict(await asyncio.gather(*(look(*each) for each in wanted.items())))


async def _now(ask: Ask, registry: Registry, setting: RegistrySetting) -> str | None:
    """Return a setting of a registry as it stands, as canonical text; None where there is none."""
    match setting:
        case "policy":
            answer = await ask("ecr", "get_registry_policy", registry, {})
            return canonical(json.loads(answer["policyText"])) if answer else None
        case "replication":
            answer = await ask("ecr", "describe_registry", registry, {})
            return canonical((answer or {}).get("replicationConfiguration") or {"rules": []})
        case "scanning":
            answer = await ask("ecr", "get_registry_scanning_configuration", registry, {})
            scanning = (answer or {}).get("scanningConfiguration") or {}
            return canonical({"scanType": "BASIC", "rules": [], **scanning})
        case "accountSettings":
            answer = await ask("ecr", "get_account_setting", registry, {"name": SCOPE})
            return canonical(answer["value"]) if answer else None
