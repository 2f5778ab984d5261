"""Lifecycle: when images go. Which rules each image repository gets, as the JSON that ECR takes.

Owns the presets, and which of the settings' overrides applies to a service. ECR evaluates every rule
over the whole image repository; an image that matches the tagging requirement of a rule can never be
touched by a rule of lower priority, which is how tags are protected here (Amazon ECR User Guide,
"Lifecycle policy evaluation rules"). Never reads or judges images: ecr/lifecycle/simulator.py does.
"""

from collections.abc import Iterable, Iterator

from ecr.github.model import Repository
from ecr.images.family import COMPANION_TAGS
from ecr.lifecycle.policy import Policy, Rule
from ecr.plan.overrides import is_for
from ecr.settings.models import Lifecycle, LifecycleChoice, LifecycleOverride

NEVER = 1_000_000
"""A count that no image repository reaches: ECR's quota is 100,000 images."""

EVERY_VERSION = "*.*.*"
"""Release versions and their candidates alike: an image that became a release carries both tags."""


def lifecycle_policy(choice: LifecycleChoice) -> Policy | None:
    """Return the rules of a choice; None where images never go."""
    match choice.preset:
        case "none":
            return None
        case "custom":
            rules = list(choice.typed_rules())
        case "source-sample":
            # The practice document's sample, word for word.
            rules = [
                _untagged(1, 7, "Untagged images policy"),
                Rule(
                    priority=2,
                    tag_status="any",
                    count_type="imageCountMoreThan",
                    count=10,
                    description="Any image policy",
                ),
            ]
        case "semver":
            rules = list(_shielded((*choice.protected_tags, EVERY_VERSION), choice))
        case "commit-sha":
            rules = list(_shielded(choice.protected_tags, choice))
    return Policy(tuple(rules))


def lifecycle_document(choice: LifecycleChoice) -> str | None:
    """Return the canonical document of a choice; None where images never go."""
    policy = lifecycle_policy(choice)
    return policy.to_json() if policy else None


def choose(lifecycle: Lifecycle, service: str, repository: Repository | None) -> LifecycleChoice:
    """Return what applies to a service: the first override that it meets, or the settings themselves.

    ``service`` is the name chosen once, so that a rename on GitHub changes no lifecycle policy.
    ``repository`` is None where GitHub no longer lists it. Its properties are then unknown, and if an
    override might have asked for them nothing expires: what is kept is never lost to a listing.
    """
    for override in lifecycle.overrides:
        match is_for(override, service, repository):
            case True:
                return _laid_over(lifecycle, override)
            case None:
                return LifecycleChoice(preset="none")
    return lifecycle


def _laid_over(lifecycle: Lifecycle, override: LifecycleOverride) -> LifecycleChoice:
    """Return the override's own values, and the lifecycle's where it has none."""
    keys = LifecycleChoice.model_fields
    return LifecycleChoice.model_construct(
        **{
            key: getattr(override if key in override.model_fields_set else lifecycle, key)
            for key in keys
        }
    )


def _shielded(protected: Iterable[str], choice: LifecycleChoice) -> Iterator[Rule]:
    priority = 0
    # One rule a pattern: the entries of one list must all be met. A signature by tag is an image like
    # any other to ECR, and pushed before the images that it would outlive: it needs a shield too.
    shields = dict.fromkeys((*protected, COMPANION_TAGS))
    for priority, pattern in enumerate(shields, 1):
        yield Rule(
            priority=priority,
            tag_status="tagged",
            patterns=(pattern,),
            count_type="imageCountMoreThan",
            count=NEVER,
            description=f"protect {pattern}: a match here shields from the rules below",
        )
    days, kept, beside = choice.untagged_days, choice.keep_images, choice.companions_by_tag
    yield _untagged(priority + 1, days, f"untagged images go after {days} days")
    # Not `any`: untagged pushes would then use up the count of tagged images. A rule counts what a
    # higher one shields as well, so that there have to be places for what signs the images kept.
    room = f", with room for {beside} by tag beside each" if beside else ""
    yield Rule(
        priority=priority + 2,
        tag_status="tagged",
        patterns=("*",),
        count_type="imageCountMoreThan",
        count=kept * (1 + beside),
        description=f"keep {kept} tagged images{room}",
    )


def _untagged(priority: int, days: int, description: str) -> Rule:
    return Rule(
        priority=priority,
        tag_status="untagged",
        count_type="sinceImagePushed",
        count=days,
        description=description,
    )
