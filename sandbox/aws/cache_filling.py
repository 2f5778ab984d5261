"""A pull that fills a pull-through cache of the embedded ECR, from another ECR of the same AWS.

Owns when a pull fills one, as whom ECR reads the upstream, and what is copied. Reads and changes registries. Other
upstreams than ECR cannot be reached from here: a pull of what such a cache has not yet finds nothing. A tag that moves
upstream is not looked for again.

Sources: Amazon ECR User Guide, "Sync an upstream registry with an Amazon ECR private registry" and "Setting up
permissions for cross-account ECR to ECR PTC". What the upstream has to allow is not in the stored copies of that page:
here it is what the role's own example policy says of reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends

from ecr.access_proof.evaluate import Caller, explain_access
from sandbox.aws.identity import role_documents
from sandbox.aws.needs import CACHE_SERVICE
from sandbox.aws.refusals import EcrRefusal
from sandbox.aws.stored_images import ACTIVE, StoredImage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moto.ecr.models import Repository

    from sandbox.aws.registry import Registry

READS = (
    "ecr:BatchGetImage",
    "ecr:BatchImportUpstreamImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetImageCopyStatus",
)
"""What that role needs of the upstream."""


def fill(registry: Registry, name: str, images: Sequence[Mapping[str, str]]) -> None:
    """Bring the images that are asked for into a cache, if the name is of one and its upstream has them."""
    rule = registry.settings.cache_rule_for(name)
    if rule is None or rule["upstreamRegistry"] != "ecr":
        return
    held = registry.repositories.get(name)
    missing = [
        each
        for each in images
        if held is None or registry.identify(held, dict(each)) == "ImageNotFound"
    ]
    if not missing:
        return
    account, _, rest = rule["upstreamRegistryUrl"].removeprefix("https://").partition(".dkr.ecr.")
    source = cast("Registry", ecr_backends[account][rest.partition(".")[0]])
    within = rule.get("upstreamRepositoryPrefix", "ROOT")
    below = name.removeprefix(f"{rule['ecrRepositoryPrefix']}/")
    there = source.repositories.get(below if within == "ROOT" else f"{within}/{below}")
    if there is None:
        return
    if why := _why_unreadable(rule, source, there):
        raise EcrRefusal("UnableToGetUpstreamImageException", why)
    for each in missing:
        found = source.identify(there, dict(each))
        if isinstance(found, StoredImage) and found.status == ACTIVE:
            if name not in registry.repositories:
                registry.create_for(name, "PULL_THROUGH_CACHE")
            _copy(registry, source, there, name, found)
            if tag := each.get("imageTag"):
                registry.tag(registry.repositories[name], found.image_digest, tag)


def _copy(
    registry: Registry, source: Registry, there: Repository, name: str, image: StoredImage
) -> None:
    repository = registry.repositories[name]
    if registry.find(repository, image.image_digest):
        return
    for digest in image.parts:
        if part := source.find(there, digest):
            _copy(registry, source, there, name, part)
    registry.add(repository, image)


def _why_unreadable(rule: Mapping[str, Any], source: Registry, there: Repository) -> str:
    """Say why ECR cannot read an image repository of the upstream as the rule's role; "" where it can."""
    arn = rule.get("customRoleArn")
    if not arn:
        return ""
    _, partition, _, _, account, _ = str(arn).split(":", 5)
    roles = iam_backends[account][partition].roles.values()
    role = next((each for each in roles if each.arn == arn), None)
    if role is None:
        return f"{arn} does not exist"
    trust = (str(role.assume_role_policy_document),)
    if not _is_let(Caller("service", CACHE_SERVICE), "sts:AssumeRole", str(arn), trust, account):
        return f"{arn} does not trust {CACHE_SERVICE}"
    policies, boundary = role_documents(role)
    caller = Caller("role", str(arn), policies=policies, boundary=boundary)
    resource = f"arn:{source.partition}:ecr:{source.region_name}:{source.account_id}:repository/{there.name}"
    documents = tuple(filter(None, (source.registry_policy, there.policy)))
    refused = (
        action
        for action in READS
        if not _is_let(caller, action, resource, documents, source.account_id)
    )
    action = next(refused, None)
    return f"{arn} is not authorized to perform: {action} on resource: {resource}" if action else ""


def _is_let(
    caller: Caller, action: str, resource: str, documents: tuple[str, ...], account: str
) -> bool:
    return (
        explain_access(caller, action, resource, documents, account=account).decision == "allowed"
    )
