"""Creation templates: what ECR gives the image repositories that it makes by itself.

Owns which templates each registry has, what stands by other hands in their place, and the mark by which the
next deployment knows what a push made. A template acts once, when ECR makes an image repository; what is
made from it is not looked at again but by a deployment. Reads nothing.

Sources: Amazon ECR User Guide, "Templates to control repositories created during a pull through cache,
create on push, or replication action".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from ecr.errors import first_of
from ecr.ledger.ledger import Ledger
from ecr.lifecycle.policy import Policy, Rule
from ecr.plan.access.registry_policies import functions_may_pull, placement_policy
from ecr.plan.architectures import copy_registries, source_registries
from ecr.plan.caches import cached, caches_of
from ecr.plan.keys import encryption_key
from ecr.plan.lifecycle import choose, lifecycle_document
from ecr.plan.model import (
    CreationTemplate,
    Observed,
    RegistryPlan,
    StandingTemplates,
    encryption_word,
    mutability_word,
)
from ecr.plan.overrides import is_for
from ecr.plan.registry_settings import ROOT, template_prefixes, template_role, templates_by_us
from ecr.registry.registry import Placement, Registry
from ecr.settings.models import Settings

MARK = "creation-template"
"""The tag that says by the template of which prefix ECR made an image repository. A deployment that takes one
up gives it the tags of its service, and takes this one away."""

_CACHE = "PULL_THROUGH_CACHE"
_BY_ITSELF = (_CACHE, "REPLICATION")
_ON_PUSH = "CREATE_ON_PUSH"


def templates_of(registry: Registry, settings: Settings, owner: str) -> Iterator[CreationTemplate]:
    """Yield the templates of a registry. ``owner`` is the stack, as the tags of what it makes name it."""
    key, role = encryption_key(registry, settings), template_role(registry, settings)
    caches = {each.prefix for each in caches_of(registry, settings)}
    yield from (_of_cache(each, registry, settings, owner) for each in sorted(caches))
    for prefix in template_prefixes(registry, settings):
        if prefix in caches:
            continue
        # Of names that nobody has yet, only the first part is known: an override is for them if it is
        # for everything below it.
        below = "" if prefix == ROOT else f"{prefix}/*"
        chosen = next(
            (each for each in settings.images.overrides if is_for(each, below, None)),
            settings.images,
        )
        lasting = next(
            (each for each in settings.lifecycle.overrides if is_for(each, below, None)), None
        )
        lifecycle = settings.lifecycle.model_copy(
            update={"overrides": (lasting,) if lasting else ()}
        )
        exclusions = chosen.mutable_tags if chosen.immutable else chosen.immutable_tags
        # A namespace's template stands before that of ROOT, for whatever ECR makes.
        by_itself = _BY_ITSELF if settings.registries.templates else ()
        yield CreationTemplate(
            prefix=prefix,
            applied_for=by_itself if prefix == ROOT else (_ON_PUSH, *by_itself),
            description=f"Managed by {owner}",
            mutability=mutability_word(immutable=chosen.immutable, exclusions=exclusions),
            exclusions=exclusions,
            encryption=encryption_word(key, dual_layer=settings.images.dual_layer),
            kms_key=key,
            lifecycle=lifecycle_document(choose(lifecycle, below, None)),
            policy=_policy(registry, None if prefix == ROOT else prefix, settings),
            tags={**settings.tags, "managed-by": owner, MARK: prefix} if role else {},
            role=role,
        )


def _of_cache(prefix: str, registry: Registry, settings: Settings, owner: str) -> CreationTemplate:
    """Return the template of a pull-through cache.

    Its tags move as the upstream's do. It gives none of AWS: whoever pulls would need ecr:TagResource (Amazon ECR
    User Guide, "IAM permissions required to sync an upstream registry with an Amazon ECR private registry").
    """
    key = encryption_key(registry, settings)
    days = Rule(
        priority=1,
        tag_status="any",
        count_type="sinceImagePushed",
        count=settings.pull_through_cache.days,
        description="Cached images, which a pull caches again",
    )
    return CreationTemplate(
        prefix=prefix,
        applied_for=(_CACHE,),
        description=f"Managed by {owner}",
        mutability=mutability_word(immutable=False, exclusions=()),
        encryption=encryption_word(key, dual_layer=settings.images.dual_layer),
        kms_key=key,
        lifecycle=Policy((days,)).to_json(),
        role=template_role(registry, settings) if key else None,
    )


def _policy(registry: Registry, namespace: str | None, settings: Settings) -> str | None:
    if registry not in source_registries(settings) and registry not in copy_registries(settings):
        return functions_may_pull(registry)
    functions = settings.access.functions
    return placement_policy(
        registry, namespace, settings, functions=functions is not None and functions.services.all
    )


def with_templates(
    plan: RegistryPlan, settings: Settings, ledger: Ledger, observed: Observed, owner: str
) -> RegistryPlan:
    """Return the plan of a registry with its templates: all that are wanted, but those of other hands.

    One that this stack made and lost is known by its description.
    """
    wanted = tuple(templates_of(plan.registry, settings, owner))
    standing = observed.templates_made.get(plan.registry, StandingTemplates())
    adopting = plan.registry.key in settings.registries.adopted
    ours = templates_by_us(plan.registry, ledger) | standing.held
    descriptions = {each.prefix: each.description for each in wanted}
    foreign = {
        prefix
        for prefix, said in standing.now.items()
        if prefix not in ours and said != descriptions.get(prefix)
    }
    taken = {
        prefix
        for prefix in descriptions.keys() & standing.now.keys()
        if prefix not in ours and (adopting or prefix not in foreign)
    }
    return replace(
        plan,
        templates=tuple(each for each in wanted if adopting or each.prefix not in foreign),
        found_templates=frozenset(taken),
        other_templates=frozenset(foreign - taken),
    )


def templates_left_alone(plans: Iterable[RegistryPlan], settings: Settings) -> Iterator[str]:
    """Yield what is to be said of templates that are wanted and stand by other hands."""
    for plan in plans:
        wanted = template_prefixes(plan.registry, settings)
        if left := [each for each in wanted if each in plan.other_templates]:
            yield (
                f"registry {plan.registry.key}: the creation templates of {', '.join(left)} are by other "
                "hands; they stay as they are, unless registries.adopted names the registry"
            )


def marked(tags: Mapping[str, str], owners: AbstractSet[str]) -> bool:
    """Return whether ECR made an image repository by a template of the estate.

    ``owners`` are PROJECT/STACK of all its stacks.
    """
    return tags.get("managed-by") in owners and MARK in tags


def made_for_nobody(
    observed: Observed,
    planned: Iterable[Placement],
    settings: Settings,
    owners: AbstractSet[str],
) -> Iterator[str]:
    """Say which image repositories ECR made by the estate's templates that are of no service and of no cache."""
    known = {each.location for each in planned}
    found: Sequence[str] = sorted(
        location
        for location, tags in observed.unknown.items()
        if location not in known
        and marked(tags, owners)
        and cached(Placement.at(location), settings) is None
    )
    if found:
        yield (
            f"{len(found)} image repositories were made by ECR, by a creation template, and are of no "
            f"service: {', '.join(first_of(found, 5))}; if a name is misspelt, delete the image repository"
        )
