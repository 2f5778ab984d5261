"""One service by itself: what a service's own program needs to make its image repository.

Owns what the central program tells such programs, as its output ``forServices``, and the documents
of the role that pushes. The central program then leaves the service out of its selection: an image
repository belongs to one stack. Its registry policy and replication cover the service all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ecr.errors import EstateError
from ecr.plan.access import PULL
from ecr.plan.architectures import artifacts_registry
from ecr.plan.lifecycle import lifecycle_document
from ecr.plan.model import EstatePlan, ImageRepository, Placement, Registry
from ecr.plan.naming import service_name
from ecr.settings import Settings

PUSH = (
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)
"""What `docker push` needs beside pulling (Amazon ECR User Guide, "IAM permissions for pushing")."""

ISSUER = "token.actions.githubusercontent.com"
"""Who vouches for a workflow (GitHub Docs, "Configuring OpenID Connect in Amazon Web Services")."""


def for_services(settings: Settings, plan: EstatePlan) -> dict[str, Any]:
    """Give the stack's output ``forServices``, of which ``Estate.of`` reads; the engine drops nulls."""
    registry = artifacts_registry(settings)
    rules = next((each.replication for each in plan.registries if each.registry == registry), ())
    return {
        "registry": registry.key,
        "immutable": settings.images.immutable,
        "mutableTags": list(settings.images.mutable_tags),
        "kmsKey": settings.images.kms_key,
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
    kms_key: str | None
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
            kms_key=output.get("kmsKey"),
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
            kms_key=self.kms_key,
            lifecycle=self.lifecycle,
        )

    def replicated_to(self, name: str) -> tuple[str, ...]:
        """Give the registries to which the central program's rules send an image repository."""
        return tuple(
            destination
            for rule in self.replication
            for destination in rule["destinations"]
            if not rule["prefixes"] or name.startswith(tuple(rule["prefixes"]))
        )


def push_trust(
    registry: Registry, organisation: tuple[str, int], repository: tuple[str, int]
) -> str:
    """Let the workflows of exactly one repository assume a role of the registry's account.

    Each is a name and its numeric id. GitHub names a repository made since 2026-07-15 with both ids
    (GitHub Docs, "OpenID Connect reference"), and an older one by names alone.
    """
    owner, name = organisation[0], repository[0]
    provider = f"arn:{registry.partition}:iam::{registry.account}:oidc-provider/{ISSUER}"
    return _document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com"},
                "StringLike": {
                    f"{ISSUER}:sub": [
                        f"repo:{owner}/{name}:*",
                        f"repo:{owner}@{organisation[1]}/{name}@{repository[1]}:*",
                    ]
                },
            },
        }
    )


def push_policy(placement: Placement) -> str:
    """Let a role push to one image repository. Logging in has no resource of its own."""
    return _document(
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": sorted([*PULL, *PUSH]),
            "Resource": placement.registry.arn(placement.name),
        },
    )


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":")
    )
