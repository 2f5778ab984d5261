"""The trial of lifecycle policies: ECR is asked before an old policy is ended for a new one.

Owns one question a document. The AWS provider replaces a lifecycle policy that changes, and ends the old
one first; a document that ECR refuses would leave every image repository without any. So each document
that is new to the image repositories that stand is tried on one of them by ECR's own preview, which
changes nothing.

Source: Amazon ECR API Reference, "StartLifecyclePolicyPreview".
"""

import json
from collections import defaultdict
from collections.abc import Container, Iterable

from ecr.aws.session import is_refusal
from ecr.deploy.standing import Ask
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.model import EstatePlan, ImageRepository, Observed

TRIALS = 3
"""Image repositories that are asked where another preview is under way."""

BUSY = "LifecyclePolicyPreviewInProgressException"


async def try_lifecycles(
    ask: Ask, plan: EstatePlan, ledger: Ledger, observed: Observed, *, preview: bool
) -> None:
    """Try every lifecycle policy that takes the place of another.

    Raises EstateError where ECR refuses one, before anything is changed. A preview by a role that only
    reads may not ask; the deployment does then.
    """
    known = {
        location
        for entry in ledger.owned.values()
        for location in (*entry.placements, *entry.replicas)
    }
    standing = (known | observed.unknown.keys()) - observed.absent
    refused: list[str] = []
    for document, candidates in _by_document(plan.image_repositories, standing).items():
        try:
            await _try_one(ask, document, candidates)
        except EstateError as error:
            if preview and is_refusal(error, "AccessDeniedException"):
                return
            if not is_refusal(error, "InvalidParameterException", "ValidationException", BUSY):
                raise
            refused += error.offences
    if refused:
        raise EstateError(
            "ECR does not take a lifecycle policy of this plan; nothing was changed, and every image "
            "repository keeps the policy that it has.",
            refused,
        )


def _by_document(
    planned: Iterable[ImageRepository], standing: Container[str]
) -> dict[str, list[ImageRepository]]:
    """Return the first image repositories that stand and are to have each document."""
    found: dict[str, list[ImageRepository]] = defaultdict(list)
    for each in planned:
        stands = each.placement.location in standing and each.state != "retiring"
        if each.lifecycle and stands and len(found[each.lifecycle]) < TRIALS:
            found[each.lifecycle].append(each)
    return {document: candidates for document, candidates in found.items() if candidates}


async def _try_one(ask: Ask, document: str, candidates: list[ImageRepository]) -> None:
    """Try a document on the first candidate that has another and is free; one in force was taken."""
    for index, each in enumerate(candidates):
        registry, named = each.placement.registry, {"repositoryName": each.placement.name}
        answer = await ask("ecr", "get_lifecycle_policy", registry, named)
        if answer is None:
            continue
        if json.loads(answer["lifecyclePolicyText"]) == json.loads(document):
            return
        try:
            arguments = {**named, "lifecyclePolicyText": document}
            await ask("ecr", "start_lifecycle_policy_preview", registry, arguments)
        except EstateError as error:
            if not is_refusal(error, BUSY) or index == len(candidates) - 1:
                raise
        else:
            return
