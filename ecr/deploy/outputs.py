"""The report: what a deployment tells its operator, and what it leaves in the stack's outputs.

Reads the plan. Its outputs are plain values that change only when the estate does, so that a preview
without changes stays empty.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from ecr import __version__
from ecr.deploy.service import for_services
from ecr.errors import first_of
from ecr.github.model import Inventory
from ecr.plan.architectures import configured_registries
from ecr.plan.model import EstatePlan
from ecr.settings.models import Settings

OUTPUTS: Mapping[str, str] = {
    "ledger": "which GitHub repository owns which image repositories, with its schema's number; the "
    "next deployment reads it before it decides anything",
    "imageRepositories": "for each service, and for each further image of one, where to push and "
    "pull, in the order of promotion",
    "replicas": "the same for replicas",
    "leftOut": "repositories that were selected but cannot be placed, each with the reason",
    "deselected": "repositories that the rules of the settings leave out, each with the reason",
    "forServices": "what a service's own program needs to know of the artifacts registry",
    "pushRoles": "for each service that has one, the role by which its workflows push",
    "namespaces": "for each namespace, the identity policy of whoever runs its images, as text",
    "report": "counts by state, kind and owner, the stages in the order of promotion, the registries, what "
    "waits for a confirmation, which settings of registries wait to be adopted, what was deselected and why, the topics of the alerts, and which replication prefixes bleed",
}
"""What each output of a stack means, for the reference."""


def announce(inventory: Inventory, plan: EstatePlan) -> None:
    """Say in the engine's log what was read, what is left out and what an operator should know."""
    pulumi.log.info(
        f"{len(inventory.repositories)} repositories in {inventory.calls} requests, "
        f"{sum(plan.deselected.values())} deselected, {len(plan.image_repositories)} image "
        f"repositories planned"
    )
    if plan.left_out:
        pulumi.log.warn(
            f"{len(plan.left_out)} "
            + (
                "repository or image repository is"
                if len(plan.left_out) == 1
                else "repositories or image repositories are"
            )
            + " left out:\n"
            + _listed(f"{each.repository}: {each.reason}" for each in plan.left_out)
        )
    if plan.bleeds:
        pulumi.log.info(
            "Replication prefixes cover names that want no replica; their pushes are not copied, for "
            "destinations create nothing:\n"
            + _listed(f"{each.prefix}: {', '.join(first_of(each.names))}" for each in plan.bleeds)
        )
    for guard in plan.guards:
        if guard.tripped:
            pulumi.log.warn(
                f"{guard.summary}. They are held as they are, and everything else is deployed. If "
                f"it is right, set {guard.confirmation} for one deployment; see "
                "docs/runbooks/guard-tripped.md:\n" + _listed(guard.offences)
            )
    if plan.waiting_settings:
        pulumi.log.warn(
            "Settings of registries are by other hands. They are left as they are, and everything else "
            "is deployed. To have them replaced, name the registry under registries.adopted; to leave "
            "them for good, name the setting under registries.unmanaged; see docs/runbooks/adopt.md:\n"
            + _listed(
                f"{each.registry.key}: {each.setting} is {each.now}, and {each.then} is planned"
                for each in plan.waiting_settings
            )
        )
    if plan.replaced_settings:
        pulumi.log.warn(
            "Settings of registries by other hands are replaced whole, for registries.adopted names their "
            "registries; see docs/runbooks/adopt.md:\n"
            + _listed(
                f"{each.registry.key}: {each.setting} is {each.now}, and becomes {each.then}"
                for each in plan.replaced_settings
            )
        )
    if plan.deletions:
        pulumi.log.warn(
            "Registries replicate deletions, which this program switches on nowhere:\n"
            + _listed(map(str, plan.deletions))
        )
    notes = (*inventory.notes, *plan.notes)
    if notes:
        pulumi.log.warn("Please note:\n" + _listed(notes))


def outputs(settings: Settings, plan: EstatePlan) -> dict[str, Any]:
    """Return the stack's outputs, by the names in OUTPUTS."""
    bleeding: dict[str, set[str]] = defaultdict(set)
    for each in plan.bleeds:
        bleeding[each.prefix].update(each.names)
    return {
        "ledger": plan.ledger.to_output(),
        "imageRepositories": _urls(plan, "placement"),
        "replicas": _urls(plan, "replica"),
        "leftOut": [
            {"id": each.id, "repository": each.repository, "reason": each.reason}
            for each in plan.left_out
        ],
        "deselected": [
            {"id": each.id, "repository": each.repository, "reason": each.reason}
            for each in sorted(plan.unselected, key=lambda each: each.id)
        ],
        "forServices": for_services(settings, plan),
        "pushRoles": {each.service: each.arn for each in plan.push_roles},
        "namespaces": dict(plan.namespaces),
        "report": {
            "program": __version__,
            "services": dict(Counter(entry.state for entry in plan.ledger.entries.values())),
            "imageRepositories": dict(Counter(each.kind for each in plan.image_repositories)),
            "stages": list(plan.stages),
            "registries": [each.key for each in configured_registries(settings)],
            "deselected": dict(plan.deselected),
            "leftOut": len(plan.left_out),
            "owners": dict(
                Counter(each.owner for each in plan.ledger.entries.values() if each.owner)
            ),
            "waiting": {each.key: each.count for each in plan.guards if each.tripped},
            "waitingSettings": [each.described() for each in plan.waiting_settings],
            "alertTopics": [each.topic_arn for each in plan.alerts],
            "bleeding": {prefix: sorted(bleeding[prefix]) for prefix in sorted(bleeding)},
        },
    }


def within(last: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stack's outputs after a deployment of a part: ``made`` of the part, laid over the ``last``."""
    addresses = ("imageRepositories", "replicas", "pushRoles")
    merged = {each: {**last[each], **made[each]} for each in addresses}
    counts = {
        kind: sum(map(len, merged[of].values()))
        for kind, of in (("placement", "imageRepositories"), ("replica", "replicas"))
    }
    report = {
        **last["report"],
        **{each: made["report"][each] for each in ("program", "services", "owners")},
        "imageRepositories": {kind: count for kind, count in counts.items() if count},
    }
    return {**last, **merged, "ledger": made["ledger"], "report": report}


def _urls(plan: EstatePlan, kind: str) -> dict[str, list[str]]:
    """Return the addresses of one kind by service or named image, in the order of promotion."""
    urls: dict[str, list[str]] = defaultdict(list)
    for each in plan.image_repositories:
        if each.kind == kind:
            urls[each.tags.get("image", each.tags["service"])].append(each.url)
    return dict(urls)


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"  - {line}" for line in first_of(list(lines)))
