"""One service by itself: what a service's own program needs to make its image repository.

Owns what the central program tells such programs, as its output ``forServices``. An image repository belongs
to one stack, so the operator has to leave the service out of the central program's selection. That program's
registry policy and replication cover the service all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ecr.errors import EstateError
from ecr.plan.architectures import artifacts_registry
from ecr.plan.keys import encryption_key
from ecr.plan.lifecycle import lifecycle_document
from ecr.plan.model import EstatePlan, ImageRepository
from ecr.plan.naming import service_name
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings


def for_services(settings: Settings, plan: EstatePlan) -> dict[str, Any]:
    """Return the stack's output ``forServices``, of which ``Estate.of`` reads; the engine drops nulls."""
    registry = artifacts_registry(settings)
    rules = next(
        (each.own_replication for each in plan.registries if each.registry == registry), ()
    )
    return {
        "registry": registry.key,
        "immutable": settings.images.immutable,
        "mutableTags": list(settings.images.mutable_tags),
        "immutableTags": list(settings.images.immutable_tags),
        "kmsKey": encryption_key(registry, settings),
        "dualLayer": settings.images.dual_layer,
        "lifecycle": lifecycle_document(settings.lifecycle),
        "replication": [
            {
                "destinations": [each.key for each in rule.destinations],
                "prefixes": list(rule.prefixes),
            }
            for rule in rules
        ],
    }


@dataclass(frozen=True, slots=True)
class Estate:
    """What the central program says of the artifacts registry and of how images are kept there."""

    registry: Registry
    immutable: bool
    mutable_tags: tuple[str, ...]
    immutable_tags: tuple[str, ...]
    kms_key: str | None
    dual_layer: bool
    lifecycle: str | None
    replication: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, output: object) -> Self:
        """Read the output ``forServices``. Raises EstateError where the stack has none."""
        if not isinstance(output, dict):
            raise EstateError(
                "The central stack has no output forServices.",
                ["central: name the stack of ecr-estate, and deploy it once with this version"],
            )
        account, region = output["registry"].split("/")
        return cls(
            registry=Registry(account, region),
            immutable=output["immutable"],
            mutable_tags=tuple(output["mutableTags"]),
            immutable_tags=tuple(output.get("immutableTags", ())),
            kms_key=output.get("kmsKey"),
            dual_layer=output.get("dualLayer", False),
            lifecycle=output.get("lifecycle"),
            replication=tuple(output["replication"]),
        )

    def image_repository(
        self, organisation: str, repository: str, *, owner: str
    ) -> ImageRepository:
        """Plan the image repository of one service, as the central program would.

        ``owner`` is the stack that has it. Raises NameRefusedError where ECR has no such name.
        """
        service = service_name(repository, {})
        return ImageRepository(
            placement=Placement(self.registry, service),
            kind="placement",
            state="active",
            tags={
                "managed-by": owner,
                "github-owner": organisation,
                "github-repository": repository,
                "service": service,
            },
            immutable=self.immutable,
            mutable_tags=self.mutable_tags,
            immutable_tags=self.immutable_tags,
            kms_key=self.kms_key,
            dual_layer=self.dual_layer,
            lifecycle=self.lifecycle,
        )

    def replicated_to(self, name: str) -> tuple[str, ...]:
        """Return the registries to which the central program's rules send an image repository."""
        return tuple(
            destination
            for rule in self.replication
            for destination in rule["destinations"]
            if not rule["prefixes"] or name.startswith(tuple(rule["prefixes"]))
        )
