"""Adoption: what becomes of image repositories that others made, once this stack manages them.

Owns the comparison of the plan with what a registry holds, the settings that would leave it as it is,
and the file for ``pulumi import``. Pure: it is given both sides. It never imports policies, because
the provider would replace one that differs, which ends the old one first; declaring it over what is
there is one call.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecr.plan.model import ImageRepository, Registry

REPOSITORY = "aws:ecr/repository:Repository"
PROVIDER = "pulumi:providers:aws"

KEPT = "kept as it is"


@dataclass(frozen=True, slots=True)
class Standing:
    """An image repository as ECR describes it; the policies are JSON documents, None without one."""

    mutability: str = "MUTABLE"
    mutable_tags: tuple[str, ...] = ()
    encryption: str = "AES256"
    kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lifecycle: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One property of an image repository: as it is, and as the first deployment leaves it."""

    what: str
    now: str
    then: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """An image repository to be adopted, with what stands there."""

    planned: ImageRepository
    standing: Standing

    @property
    def location(self) -> str:
        """Give "ACCOUNT/REGION/NAME"."""
        return self.planned.placement.location

    def differences(self) -> list[Difference]:
        """List what the first deployment changes, and what it leaves though the plan differs."""
        planned, standing = self.planned, self.standing
        wanted = "KMS" if planned.kms_key else "AES256"
        rows = [
            Difference(
                "tag mutability",
                _mutability(standing.mutability, standing.mutable_tags),
                _mutability(mutability(planned), planned.mutable_tags),
            ),
            *(
                Difference(f"tag {key}", standing.tags.get(key, "-"), planned.tags.get(key, "-"))
                for key in sorted({*standing.tags, *planned.tags})
            ),
            _document("lifecycle policy", standing.lifecycle, planned.lifecycle),
            _document("repository policy", standing.policy, planned.policy),
        ]
        changed = [row for row in rows if row.now != row.then]
        if (standing.encryption, standing.kms_key) != (wanted, planned.kms_key):
            now = " ".join(filter(None, (standing.encryption, standing.kms_key)))
            changed.append(Difference("encryption", now, f"{KEPT}, for ECR cannot change it"))
        return changed


def mutability(planned: ImageRepository) -> str:
    """Give ECR's word for how the tags of a planned image repository may move."""
    suffix = "IMMUTABLE" if planned.immutable else "MUTABLE"
    return f"{suffix}_WITH_EXCLUSION" if planned.mutable_tags else suffix


def settings_that_keep(adoptions: Iterable[Adoption]) -> dict[str, Any]:
    """Give the settings, by key, under which the first deployment would change less.

    They hold for the whole stack: an operator weighs each. Those for one image repository alone,
    names and selection.exclude, leave it unmanaged.
    """
    every = list(adoptions)
    offers: dict[str, Any] = {}
    if any(each.standing.mutability == "MUTABLE" and each.planned.immutable for each in every):
        offers["images"] = {"immutable": False}
    elif missing := {
        pattern
        for each in every
        for pattern in each.standing.mutable_tags
        if each.planned.immutable and pattern not in each.planned.mutable_tags
    }:
        offers["images"] = {"mutableTags": sorted({*every[0].planned.mutable_tags, *missing})}
    if any(
        each.standing.lifecycle
        and each.planned.lifecycle
        and not _same(each.standing.lifecycle, each.planned.lifecycle)
        for each in every
    ):
        offers["lifecycle"] = {"preset": "none"}
    lost: dict[str, set[str]] = {}
    for each in every:
        for key in each.standing.tags.keys() - each.planned.tags.keys():
            lost.setdefault(key, set()).add(each.standing.tags[key])
    if alike := {key: values.pop() for key, values in sorted(lost.items()) if len(values) == 1}:
        offers["tags"] = alike
    return offers


def import_file(
    adoptions: Iterable[Adoption],
    configured: Mapping[Registry, str | None],
    providers: Mapping[str, str],
    version: str,
) -> dict[str, Any]:
    """Give the file for ``pulumi import``.

    ``configured`` maps registries to roles, the first of an account being its provider's; ``providers``
    are the URNs of those that the state holds, by account. The others are made by the import, exactly
    as the program declares them. The Region is part of each id.
    """
    every = list(adoptions)
    accounts = dict.fromkeys(each.planned.placement.registry.account for each in every)
    return {
        "nameTable": {each: providers[each] for each in accounts if each in providers},
        "resources": [
            *(
                _provider(account, configured, version)
                for account in accounts
                if account not in providers
            ),
            *(
                {
                    "type": REPOSITORY,
                    "name": each.location,
                    "id": f"{each.planned.placement.name}@{each.planned.placement.registry.region}",
                    "provider": each.planned.placement.registry.account,
                    "version": version,
                }
                for each in every
            ),
        ],
    }


def _provider(
    account: str, configured: Mapping[Registry, str | None], version: str
) -> dict[str, Any]:
    registry, role = next(each for each in configured.items() if each[0].account == account)
    inputs = {
        "region": registry.region,
        "allowedAccountIds": json.dumps([account]),
        # What the SDK adds by itself: without it the first deployment would update the provider.
        "skipCredentialsValidation": "false",
        "skipRegionValidation": "true",
    }
    if role:
        assumed = [{"roleArn": role, "sessionName": "ecr-estate"}]
        inputs["assumeRoles"] = json.dumps(assumed, separators=(",", ":"))
    return {"type": PROVIDER, "name": account, "version": version, "inputs": inputs}


def _mutability(word: str, filters: Iterable[str]) -> str:
    excluded = ", ".join(filters)
    return f"{word} ({excluded})" if excluded else word


def _document(what: str, now: str | None, then: str | None) -> Difference:
    held = "none" if now is None else "its own"
    if then is None:
        # One that the plan does not have is not taken up, and so is never ended either.
        return Difference(what, held, held if now is None else KEPT)
    return Difference(what, held, held if _same(now, then) else "as planned")


def _same(now: str | None, then: str | None) -> bool:
    return now is not None and then is not None and json.loads(now) == json.loads(then)
