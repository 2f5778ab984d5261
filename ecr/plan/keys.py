"""Keys: which KMS key encrypts the images of a registry, and whether it can, before it is for ever.

Owns the choice of the key, for an image repository's encryption cannot be changed. Where new image repositories
would be made under a key that cannot encrypt, it stops the deployment; where they stand already, it says so,
for then nothing can be pulled from them either.

Sources: Amazon ECR User Guide, "Encryption at rest" (symmetric keys only; what a disabled key does); AWS KMS
Developer Guide, "Key states of AWS KMS keys".
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.architectures import artifacts_registry
from ecr.plan.model import ImageRepository, Observed, StandingKey
from ecr.registry.registry import Registry
from ecr.settings.models import Settings


def encryption_key(registry: Registry, settings: Settings) -> str | None:
    """Return the key of the image repositories of a registry; None for ECR's own encryption."""
    named = settings.images.kms_keys.get(registry.key)
    if named is None and registry == artifacts_registry(settings):
        return settings.images.kms_key
    return named


def chosen_keys(registries: Iterable[Registry], settings: Settings) -> dict[Registry, str]:
    """Return the keys of those registries that have one."""
    return {each: key for each in registries if (key := encryption_key(each, settings))}


def check_keys(
    image_repositories: Iterable[ImageRepository], ledger: Ledger, observed: Observed
) -> Iterator[str]:
    """Yield what an operator should hear of the keys.

    Raises EstateError for keys that cannot encrypt what would be made under them now.
    """
    stand = {
        location
        for entry in ledger.entries.values()
        for location in (*entry.placements, *entry.replicas)
        if location not in observed.absent
    }
    new: Counter[Registry] = Counter(
        each.placement.registry
        for each in image_repositories
        if each.kms_key
        and each.placement.location not in stand
        and each.placement.location not in observed.unknown
    )
    offences = []
    for registry, key in observed.keys.items():
        wrong = why_unusable(key)
        if wrong is None:
            continue
        if not key.read:
            yield f"registry {registry.key}: its key {key.arn} was not looked at: {wrong}"
        elif new[registry]:
            offences.append(
                f"registry {registry.key}: its key {key.arn} {wrong}; {new[registry]} image repositories would "
                "be made under it, and encryption cannot be changed afterwards"
            )
        else:
            yield (
                f"registry {registry.key}: its key {key.arn} {wrong}; no image of this registry can be pulled or "
                "pushed until it can be used (docs: practice, encryption)"
            )
    if offences:
        raise EstateError("A key cannot encrypt images; nothing was changed.", offences)


def why_unusable(key: StandingKey) -> str | None:
    """Say why a key cannot encrypt images; None where it can."""
    if not key.read:
        return "the role lacks kms:DescribeKey"
    if key.state is None:
        return "does not exist; correct its ARN, or make it"
    if key.state != "Enabled":
        return f"is in the state {key.state}; enable it, or cancel its deletion"
    if key.spec != "SYMMETRIC_DEFAULT" or key.usage != "ENCRYPT_DECRYPT":
        return f"is of the kind {key.spec} for {key.usage}; name a symmetric one that encrypts and decrypts"
    return None


def standing_key(arn: str, answer: Mapping[str, object] | None) -> StandingKey:
    """Return what KMS says of a key; ``answer`` is its metadata, None where there is no such key."""
    if answer is None:
        return StandingKey(arn)
    return StandingKey(
        arn,
        str(answer["KeyState"]),
        str(answer.get("KeySpec", "")),
        str(answer.get("KeyUsage", "")),
    )
