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

from ecr.engine.types import PROVIDER, REPOSITORY
from ecr.plan.model import ImageRepository
from ecr.registry.registry import Registry

KEPT = "kept as it is"


@dataclass(frozen=True, slots=True)
class ExistingRepository:
    """An image repository as ECR describes it; the policies are JSON documents, None without one.

    ``exclusions`` are wildcards of tags for which ``mutability`` does not hold: of tags that may move
    under IMMUTABLE_WITH_EXCLUSION, and of tags that never move under MUTABLE_WITH_EXCLUSION (Amazon ECR
    API Reference, "PutImageTagMutability").
    """

    mutability: str = "MUTABLE"
    exclusions: tuple[str, ...] = ()
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
    existing: ExistingRepository

    @property
    def location(self) -> str:
        """Return "ACCOUNT/REGION/NAME"."""
        return self.planned.placement.location

    def differences(self) -> list[Difference]:
        """List what the first deployment changes, and what it leaves though the plan differs."""
        planned, existing = self.planned, self.existing
        tags = planned.tags
        changed = {key: held for key, held in existing.tags.items() if tags.get(key) != held}
        further = {key: tags[key] for key in tags.keys() - existing.tags.keys()}
        rows = [
            Difference(
                "tag mutability",
                _mutability(existing.mutability, existing.exclusions),
                _mutability(planned.mutability, planned.exclusions),
            ),
            Difference("tags", _listed(changed), _listed({key: tags.get(key) for key in changed})),
            Difference("further tags", "-", _listed(further) or "-"),
            _document("lifecycle policy", existing.lifecycle, planned.lifecycle),
            _document("repository policy", existing.policy, planned.policy),
        ]
        differing = [row for row in rows if row.now != row.then]
        if (existing.encryption, existing.kms_key) != (planned.encryption, planned.kms_key):
            now = " ".join(filter(None, (existing.encryption, existing.kms_key)))
            differing.append(Difference("encryption", now, f"{KEPT}, for ECR cannot change it"))
        return differing


def settings_that_keep(adoptions: Iterable[Adoption]) -> dict[str, Any]:
    """Return the settings, by their paths, under which the first deployment would change less.

    They hold for the whole stack, so an operator weighs each.
    """
    offers: dict[str, Any] = {}
    kept_tags: dict[str, set[str]] = {}
    for each in adoptions:
        planned, existing = each.planned, each.existing
        moves = existing.mutability.startswith("MUTABLE")
        if planned.immutable and moves:
            offers["images.immutable"] = False
        key = "images.immutableTags" if moves else "images.mutableTags"
        if moves or planned.immutable:
            held = planned.immutable_tags if moves else planned.mutable_tags
            if not set(existing.exclusions) <= set(held):
                offers[key] = sorted({*offers.get(key, held), *existing.exclusions})
        if (
            existing.lifecycle
            and planned.lifecycle
            and not _same(existing.lifecycle, planned.lifecycle)
        ):
            offers["lifecycle.preset"] = "none"
        for key in existing.tags.keys() - planned.tags.keys():
            kept_tags.setdefault(key, set()).add(existing.tags[key])
    if offers.get("images.immutable") is False:
        # All tags may move then, and a list of those that may is refused beside it.
        offers["images.mutableTags"] = []
    for key, values in sorted(kept_tags.items()):
        if len(values) == 1:
            offers[f"tags.{key}"] = values.pop()
    return offers


def import_file(
    adoptions: Iterable[Adoption],
    configured: Mapping[Registry, str | None],
    providers: Mapping[str, str],
    version: str,
) -> dict[str, Any]:
    """Return the file for ``pulumi import``.

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


def _listed(tags: Mapping[str, str | None]) -> str:
    return ", ".join(
        f"no {key}" if value is None else f"{key}={value}" for key, value in sorted(tags.items())
    )


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
