"""Replication between the registries of the embedded ECR, and backfills of it.

Owns which image is copied where, what becomes of it, and how deletions follow. Reads the replication
configuration of the source and the registry policy of the destination. Never passes on what was
itself received.

Sources: Amazon ECR User Guide, "Private image replication in Amazon ECR", "Replicating image
deletions in Amazon ECR" and "Replication backfill"; Amazon ECR API Reference,
StartReplicationBackfill, StopReplicationBackfill and DescribeReplicationBackfillResults.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from moto.ecr.models import ecr_backends

from sandbox.aws import policy_documents
from sandbox.aws.refusals import EcrRefusal, invalid
from sandbox.aws.stored_images import ACTIVE
from sandbox.aws.world import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.ecr.models import Repository

    from sandbox.aws.registry import Registry
    from sandbox.aws.stored_images import StoredImage

Place = tuple[str, str]
"""A Region, and the account of a registry in it."""

_ACCESS_DENIED = "DESTINATION_REGISTRY_ACCESS_DENIED"
_MOST_DESTINATIONS = 25
_ENOUGH_TO_FAIL = 100
_KEPT = 90 * DAY
_RUNNING = ("PREPARING", "IN_PROGRESS")


@dataclass(slots=True)
class Backfill:
    """One backfill: where to, how far it is, and what became of each image and tag."""

    identifier: str
    destination: dict[str, str]
    started_at: float
    status: str = "PREPARING"
    total: int | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    ended_at: float | None = None

    def head(self) -> dict[str, Any]:
        """Return what every answer says of it."""
        return {
            "replicationBackfillId": self.identifier,
            "destination": self.destination,
            "status": self.status,
            "startedAt": self.started_at,
        }

    def summary(self) -> dict[str, Any]:
        """Return what a list says of it; there is no progress before it has been prepared."""
        failed = [each for each in self.results if each["status"] == "FAILED"]
        progress = {
            "totalReplicationCount": self.total,
            "completedReplicationCount": len(self.results) - len(failed),
            "failedReplicationCount": len(failed),
            "failureCodes": sorted({each["failureCode"] for each in failed}),
        }
        return {
            **self.head(),
            **({} if self.total is None else {"progress": progress}),
            **({} if self.ended_at is None else {"endedAt": self.ended_at}),
        }


class Replication:
    """What one registry sends to others."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._outcomes: dict[tuple[str, str], dict[Place, str]] = {}
        self._backfills: dict[str, Backfill] = {}

    @property
    def _rules(self) -> list[dict[str, Any]]:
        rules: list[dict[str, Any]] = self._registry.replication_config["rules"]
        return rules

    def check(self, configuration: dict[str, Any]) -> None:
        """Refuse a replication configuration that ECR refuses."""
        here = (self._registry.region_name, self._registry.account_id)
        destinations = {
            (destination["region"], destination["registryId"])
            for rule in configuration["rules"]
            for destination in rule["destinations"]
        }
        found = []
        if here in destinations:
            found.append("Replication destination cannot be the same as the source registry")
        if len(destinations) > _MOST_DESTINATIONS:
            found.append(f"At most {_MOST_DESTINATIONS} unique destinations over all rules")
        known = ecr_backends[self._registry.account_id]
        found += [f"{region} is not a Region" for region, _ in destinations if region not in known]
        if found:
            raise invalid("replicationConfiguration", *found)

    def _destinations(self, name: str, *, deleting: bool = False) -> Iterator[Place]:
        for rule in self._rules:
            filters = rule.get("repositoryFilters")
            if filters and not any(name.startswith(each["filter"]) for each in filters):
                continue
            if deleting and not rule.get("deleteReplication", {}).get("enabled"):
                continue
            for destination in rule["destinations"]:
                yield destination["region"], destination["registryId"]

    def pushed(self, image: StoredImage, tag: str | None) -> None:
        """Send a new image or tag wherever a rule says so."""
        for place in dict.fromkeys(self._destinations(image.repository_name)):
            outcome = self._outcomes.setdefault((image.repository_name, image.image_digest), {})
            outcome[place] = "IN_PROGRESS"

            def send(place: Place = place) -> None:
                self._send(image, tag, place)

            self._registry.world.clock.later(self._registry.world.delays.replicating, send)

    def _send(self, image: StoredImage, tag: str | None, place: Place) -> str | None:
        """Copy an image to a place, and return the code of a failure."""
        region, account = place
        target = cast("Registry", ecr_backends[account][region])
        failure = _receive(target, self._registry, image, tag)
        outcome = self._outcomes.setdefault((image.repository_name, image.image_digest), {})
        outcome[place] = failure or "COMPLETE"
        self._registry.send(
            "ECR Replication Action",
            **{
                "result": "FAILED" if failure else "SUCCESS",
                "repository-name": image.repository_name,
                "image-digest": image.image_digest,
                **({"image-tag": tag} if tag else {}),
                "source-account": self._registry.account_id,
                "source-region": self._registry.region_name,
                "destination-account": account,
                "destination-region": region,
                "action-type": "REPLICATE",
                **({"failure-code": failure} if failure else {}),
            },
        )
        return failure

    def deleted(self, image: StoredImage, tag: str | None) -> None:
        """Let a deletion, or where a tag is named its removal, follow where a rule says so."""
        places = dict.fromkeys(self._destinations(image.repository_name, deleting=True))
        for region, account in places:
            target = cast("Registry", ecr_backends[account][region])
            repository = target.repositories.get(image.repository_name)
            copy = repository and target.find(repository, image.image_digest)
            if repository and copy and _is_let(target, self._registry, repository.name):
                if tag is None:
                    target.remove(repository, copy)
                else:
                    target.untag(copy, tag)

    def statuses(self, image: StoredImage) -> list[dict[str, str]]:
        """Return what DescribeImageReplicationStatus says: one entry a destination."""
        outcome = self._outcomes.get((image.repository_name, image.image_digest), {})
        return [
            {"region": region, "registryId": account}
            | (
                {"status": status}
                if status in ("COMPLETE", "IN_PROGRESS")
                else {"status": "FAILED", "failureCode": status}
            )
            for (region, account), status in outcome.items()
        ]

    def start_backfill(self, destination: dict[str, str]) -> Backfill:
        """Begin to copy what stands already to a destination that has a rule."""
        configured = [each for rule in self._rules for each in rule["destinations"]]
        if destination not in configured:
            raise invalid("destination", "is not in the registry's replication configuration")
        running = [each for each in self._backfills.values() if each.status in _RUNNING]
        if any(each.destination["region"] == destination["region"] for each in running):
            raise EcrRefusal(
                "ReplicationBackfillInProgressException",
                f"A replication backfill to {destination['region']} is in progress already",
            )
        most = self._registry.world.quotas.backfills_at_once
        if len(running) >= most:
            raise EcrRefusal(
                "LimitExceededException", f"At most {most} replication backfills at once"
            )
        backfill = Backfill(str(uuid.uuid4()), destination, self._registry.now())
        self._backfills[backfill.identifier] = backfill
        answered = Backfill(backfill.identifier, destination, backfill.started_at)
        delay, clock = self._registry.world.delays.backfilling, self._registry.world.clock
        clock.later(delay / 2, lambda: self._prepare(backfill))
        clock.later(delay, lambda: self._finish(backfill))
        return answered

    def _work(self, backfill: Backfill) -> list[tuple[StoredImage, str | None]]:
        place = backfill.destination["region"], backfill.destination["registryId"]
        return [
            (image, tag)
            for name, repository in self._registry.repositories.items()
            if place in self._destinations(name)
            for image in self._registry.stored(repository)
            if image.status == ACTIVE
            for tag in image.image_tags or [None]  # type: ignore[list-item]  # no tag is a copy, too
        ]

    def _prepare(self, backfill: Backfill) -> None:
        if backfill.status == "PREPARING":
            backfill.status, backfill.total = "IN_PROGRESS", len(self._work(backfill))

    def _finish(self, backfill: Backfill) -> None:
        if backfill.status != "IN_PROGRESS":
            return
        place = backfill.destination["region"], backfill.destination["registryId"]
        failed = 0
        for image, tag in self._work(backfill):
            failure = self._send(image, tag, place)
            failed += bool(failure)
            identity = {"imageDigest": image.image_digest} | ({"imageTag": tag} if tag else {})
            backfill.results.append(
                {"repositoryName": image.repository_name, "imageId": identity}
                | (
                    {"status": "FAILED", "failureCode": failure}
                    if failure
                    else {"status": "COMPLETE"}
                )
            )
            done = len(backfill.results)
            if done >= _ENOUGH_TO_FAIL and failed * 2 >= done:
                backfill.status = "FAILED"
                break
        else:
            backfill.status = "COMPLETE"
        backfill.ended_at = self._registry.now()

    def stop_backfill(self, identifier: str) -> Backfill:
        """Stop one that runs; what it has copied stays."""
        backfill = self.backfill(identifier)
        if backfill.status not in _RUNNING:
            raise EcrRefusal(
                "ReplicationBackfillInvalidStatusException",
                f"The replication backfill is {backfill.status}; it cannot be stopped",
            )
        backfill.status, backfill.ended_at = "STOPPED", self._registry.now()
        return backfill

    def backfill(self, identifier: str) -> Backfill:
        """Return one backfill, for 90 days after its end."""
        found = self._backfills.get(identifier)
        if not found or not self._is_kept(found):
            raise EcrRefusal(
                "ReplicationBackfillNotFoundException",
                f"There is no replication backfill {identifier}",
            )
        return found

    def backfills(self) -> list[Backfill]:
        """Return those that run, and those that ended within 90 days."""
        return [each for each in self._backfills.values() if self._is_kept(each)]

    def _is_kept(self, backfill: Backfill) -> bool:
        return backfill.ended_at is None or self._registry.now() - backfill.ended_at < _KEPT


def _is_let(target: Registry, source: Registry, name: str, *, creating: bool = False) -> bool:
    """Return whether the destination's registry policy lets the source replicate to a name."""
    if target.account_id == source.account_id:
        return True
    needed = ["ecr:ReplicateImage", *(["ecr:CreateRepository"] if creating else ())]
    arn = f"arn:{target.partition}:ecr:{target.region_name}:{target.account_id}:repository/{name}"
    return all(
        policy_documents.lets_replicate(
            target.registry_policy, source=source.account_id, action=action, resource=arn
        )
        for action in needed
    )


def _receive(target: Registry, source: Registry, image: StoredImage, tag: str | None) -> str | None:
    """Take an image in, the parts of a manifest list first; return the code of a failure.

    A missing image repository is made from the template for replication, or else with default
    settings; a tag that may not move here stays where it is.
    """
    name = image.repository_name
    creating = name not in target.repositories
    if not _is_let(target, source, name, creating=creating):
        return _ACCESS_DENIED
    if creating:
        target.create_for(name, "REPLICATION")
    repository = target.repositories[name]
    _take(target, source, repository, image)
    if tag:
        target.tag(repository, image.image_digest, tag)
    return None


def _take(target: Registry, source: Registry, repository: Repository, image: StoredImage) -> None:
    if target.find(repository, image.image_digest):
        return
    for digest in image.parts:
        part = source.find(source.repositories[repository.name], digest)
        if part:
            _take(target, source, repository, part)
    target.add(repository, image)
