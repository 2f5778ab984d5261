"""Limits: what AWS would refuse half-way through a deployment, found before it begins.

Owns the quotas and sizes; each names the AWS page it comes from. It changes nothing in the plan.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from ecr.errors import EstateError
from ecr.plan.model import ImageRepository, RegistryPlan

REPOSITORIES = 100_000
"""Image repositories a registry (Amazon ECR User Guide, "Amazon ECR service quotas")."""

POLICY = 10_240
"""Characters of a registry or repository policy (Amazon ECR API Reference)."""

LIFECYCLE = 30_720
"""Characters of a lifecycle policy (Amazon ECR API Reference, PutLifecyclePolicy)."""

TAGS = 50
"""Tags of a resource (Amazon ECR User Guide, "Tagging a private repository")."""


def check_limits(
    registries: Iterable[RegistryPlan], image_repositories: Iterable[ImageRepository]
) -> None:
    """Raise EstateError, naming every offender, where the plan is over a limit of AWS."""
    offences = [*_of_registries(registries), *_of_image_repositories(tuple(image_repositories))]
    if offences:
        raise EstateError("The plan is over the limits of AWS; nothing was changed.", offences)


def _of_registries(registries: Iterable[RegistryPlan]) -> Iterator[str]:
    for plan in registries:
        if len(plan.policy) > POLICY:
            yield (
                f"registry {plan.registry.key}: its policy has {len(plan.policy)} characters, and "
                f"ECR takes {POLICY}; grant to the organisation rather than to single accounts"
            )


def _of_image_repositories(image_repositories: tuple[ImageRepository, ...]) -> Iterator[str]:
    held = Counter(each.placement.registry for each in image_repositories)
    for registry, count in held.items():
        if count > REPOSITORIES:
            yield (
                f"registry {registry.key}: {count} image repositories are planned, and ECR holds "
                f"{REPOSITORIES}; select fewer, or ask AWS for a higher quota"
            )
    # Documents and tags are shared by thousands; each different one is measured once.
    documents = {
        (each.lifecycle, each.policy, len(each.tags)): each.placement.location
        for each in image_repositories
    }
    for (lifecycle, policy, tags), location in documents.items():
        if lifecycle and len(lifecycle) > LIFECYCLE:
            yield (
                f"{location}: its lifecycle policy has {len(lifecycle)} characters, and ECR takes "
                f"{LIFECYCLE}; protect fewer tag patterns"
            )
        if policy and len(policy) > POLICY:
            yield (
                f"{location}: its policy has {len(policy)} characters, and ECR takes {POLICY}; "
                "name fewer principals"
            )
        if tags > TAGS:
            yield f"{location}: it has {tags} tags, and AWS takes {TAGS}; set fewer under `tags`"
