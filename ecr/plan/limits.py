"""Limits: what AWS would refuse half-way through a deployment, found before it begins.

Owns the quotas and sizes; each names the AWS page it comes from. It changes nothing in the plan. What
is near a limit becomes a note, what is past it an error.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ecr.errors import EstateError
from ecr.lifecycle.policy import MOST_RULES
from ecr.plan.access.documents import LIMITS, REMEDIES, Document
from ecr.plan.model import EstatePlan, ImageRepository, PushRole, RegistryPlan
from ecr.plan.replication import MAX_DESTINATIONS, MAX_RULES
from ecr.registry.registry import Registry

REPOSITORIES = 100_000
"""Image repositories a registry (Amazon ECR User Guide, "Amazon ECR service quotas")."""

ROLES = 1_000
"""IAM roles an account, unless AWS has raised it (IAM User Guide, "IAM and AWS STS quotas")."""

IMAGES = 100_000
"""Images of an image repository (Amazon ECR User Guide, "Amazon ECR service quotas")."""

LIFECYCLE = 30_720
"""Characters of a lifecycle policy (Amazon ECR API Reference, PutLifecyclePolicy)."""

TAGS = 50
"""Tags of a resource (Amazon ECR User Guide, "Tagging a private repository")."""


SCAN_FILTERS = 100
"""Filters of a scanning rule (Amazon ECR API Reference, RegistryScanningRule)."""

EXCLUSIONS = 5
"""Filters that immutability leaves out (Amazon ECR API Reference, PutImageTagMutability)."""

PULL_TIME_EXCLUSIONS = 100
"""Exclusions from pull times (Amazon ECR User Guide, "Pull-time update exclusions")."""

CACHE_RULES = 50
"""Pull-through cache rules of a registry (Amazon ECR User Guide, "Amazon ECR service quotas")."""

CREATION_TEMPLATES = 50
"""Creation templates of a registry (Amazon ECR User Guide, "Amazon ECR service quotas")."""

NEAR = 0.8
"""The part of a limit from which on a plan says that it is near."""

REQUESTS = 5.0
"""Requests a second that a registry's account takes for making and describing image repositories.
AWS publishes no rate for them; this is what a first deployment can count on without being throttled."""

REQUESTS_EACH = {"placement": 5, "replica": 7}
"""Requests for one image repository: it, its lifecycle policy and a replica's own policy are made, and
the AWS provider reads back each, and the tags. `tests/engine/test_estate.py` counts them."""

SOON = 0.25
"""Hours that a first deployment may take before the plan says how long it takes."""


DOCUMENT_WORDS = {"trust": "trust policy"} | dict.fromkeys(LIMITS.keys() - {"trust"}, "policy")
"""What each kind of document is called in a message."""


class _Use(NamedTuple):
    """How much of a limit is used, by what, and the remedy."""

    where: str
    what: str
    used: int
    limit: int
    remedy: str


def check_limits(
    plan: EstatePlan,
    *,
    images: Mapping[str, int] = MappingProxyType({}),
    held: Mapping[Registry, int] | None = None,
    first: bool = False,
) -> tuple[str, ...]:
    """Return what is near a limit of AWS, as notes.

    ``images`` are numbers of images by location, as far as they are known; ``held`` are the image
    repositories of the whole estate by registry, where those planned are but a stack's; ``first``
    says that nothing is deployed yet.

    Raises EstateError, naming every offender, where the plan is over a limit.
    """
    documents = tuple(documents_of(plan))
    uses = [
        *_of_registries(plan.registries),
        *_of_image_repositories(plan.image_repositories, held),
        *_of_documents(documents),
        *_of_push_roles(plan.push_roles),
    ]
    # An image repository that is full refuses pushes, but nothing of the deployment.
    full = [
        _Use(
            location,
            "it holds {} images",
            count,
            IMAGES,
            "try a shorter lifecycle with `ecr-estate simulate`",
        )
        for location, count in sorted(images.items())
    ]
    offences = [
        f"{use.where}: {use.what.format(use.used)}, and AWS takes {use.limit}; {use.remedy}"
        for use in uses
        if use.used > use.limit
    ]
    if offences:
        raise EstateError("The plan is over the limits of AWS; nothing was changed.", offences)
    notes = [
        f"{use.where}: {use.what.format(use.used)}, {use.used / use.limit:.0%} of the {use.limit} "
        f"that AWS takes; {use.remedy}"
        for use in (*uses, *full)
        if use.limit > EXCLUSIONS and use.used >= NEAR * use.limit
    ]
    return (*notes, *(_duration(plan.image_repositories) if first else ()))


def documents_of(plan: EstatePlan) -> Iterator[Document]:
    """Yield every policy document of a plan, those that many image repositories share once."""
    for each in plan.registries:
        if each.own_policy:
            yield Document("registry", f"registry {each.registry.key}", each.own_policy)
    shared: dict[str, str] = {}
    for repository in plan.image_repositories:
        if repository.policy:
            shared.setdefault(repository.policy, repository.placement.location)
    yield from (Document("repository", where, text) for text, where in shared.items())
    for role in plan.push_roles:
        where = f"push role {role.registry.account}/{role.name}"
        yield Document("trust", where, role.trust)
        yield Document("role", where, role.policy)
    for name, policy in plan.namespaces.items():
        yield Document("identity", f"namespace {name}", policy)
    for alerts in plan.alerts:
        yield Document("topic", f"topic {alerts.topic_arn}", alerts.topic_policy)
        yield Document("key", f"key of {alerts.topic_arn}", alerts.key_policy)


def _duration(planned: Iterable[ImageRepository]) -> Iterator[str]:
    """Estimate a first deployment by the busiest account, for each has rates of its own."""
    requests: Counter[str] = Counter()
    for each in planned:
        requests[each.placement.registry.account] += REQUESTS_EACH[each.kind]
    hours = max(requests.values(), default=0) / REQUESTS / 3600
    if hours >= SOON:
        yield (
            f"a first deployment of {sum(requests.values()):,} requests to AWS takes about "
            f"{hours:.1f} hours; it can be interrupted, and goes on where it stopped"
        )


def _of_registries(registries: Iterable[RegistryPlan]) -> Iterator[_Use]:
    for plan in registries:
        where = f"registry {plan.registry.key}"
        for filters in (plan.scan_filters, plan.scan_on_push):
            yield _Use(
                where,
                "a scanning rule has {} filters",
                len(filters),
                SCAN_FILTERS,
                "write wider patterns under `scanning`",
            )
        fewer = "replicate all services, or give those that are replicated a common prefix"
        yield _Use(where, "{} replication rules", len(plan.own_replication), MAX_RULES, fewer)
        yield _Use(
            where,
            "it replicates to {} registries",
            len({each for rule in plan.own_replication for each in rule.destinations}),
            MAX_DESTINATIONS,
            "list fewer accounts and Regions under lambdaReplicas.accounts",
        )
        yield _Use(
            where,
            "{} roles and users are excluded from pull times, those of other hands among them",
            len({*plan.exclusions, *plan.other_exclusions}),
            PULL_TIME_EXCLUSIONS,
            "name fewer under registries.pullTimeExclusions",
        )
        yield _Use(
            where,
            "{} cache rules, those of other hands among them",
            len(plan.caches) + len(plan.other_caches),
            CACHE_RULES,
            "list fewer under pullThroughCache.rules",
        )
        yield _Use(
            where,
            "it has {} creation templates, those of other hands among them",
            len({*(each.prefix for each in plan.templates), *plan.other_templates}),
            CREATION_TEMPLATES,
            "give fewer namespaces createOnPush",
        )


def _of_image_repositories(
    image_repositories: tuple[ImageRepository, ...], held: Mapping[Registry, int] | None
) -> Iterator[_Use]:
    if held is None:
        held = Counter(each.placement.registry for each in image_repositories)
    for registry, count in held.items():
        yield _Use(
            f"registry {registry.key}",
            "{} image repositories are planned",
            count,
            REPOSITORIES,
            "select fewer, or ask AWS for a higher quota",
        )
    # Documents and tags are shared by thousands; each different one is measured once.
    documents = {
        (each.lifecycle, len(each.tags), len(each.exclusions)): each.placement.location
        for each in image_repositories
    }
    for (lifecycle, tags, exclusions), where in documents.items():
        text, fewer = lifecycle or "", "protect fewer tag patterns"
        yield _Use(where, "its lifecycle policy has {} characters", len(text), LIFECYCLE, fewer)
        rules = len(json.loads(text)["rules"]) if text else 0
        yield _Use(where, "its lifecycle policy has {} rules", rules, MOST_RULES, fewer)
        yield _Use(where, "it has {} tags", tags, TAGS, "set fewer under `tags`")
        yield _Use(
            where,
            "{} patterns of tags are left out of whether tags move",
            exclusions,
            EXCLUSIONS,
            "write fewer under images.mutableTags or images.immutableTags",
        )


def _of_documents(documents: Iterable[Document]) -> Iterator[_Use]:
    for each in documents:
        yield _Use(
            each.where,
            f"its {DOCUMENT_WORDS[each.kind]} has {{}} characters",
            len(each.text),
            each.limit,
            REMEDIES[each.kind],
        )


def _of_push_roles(roles: Iterable[PushRole]) -> Iterator[_Use]:
    for account, count in Counter(role.registry.account for role in roles).items():
        yield _Use(
            f"account {account}",
            "{} push roles are planned, beside what other roles it has",
            count,
            ROLES,
            "select fewer under pushRoles.services, or ask AWS for a higher quota",
        )
