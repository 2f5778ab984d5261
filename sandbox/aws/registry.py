"""Amazon ECR as far as moto lacks it: one registry per account and region.

Owns the answers and refusals of the ECR operations below and everything a registry remembers.
Reads moto's ECR, which it extends by subclassing, and ECR's API model. Never changes moto for
longer than `extended_ecr` lasts.

Each extension names the page of the Amazon ECR API Reference it follows.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from moto.core.base_backend import BackendDict
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.ecr import urls
from moto.ecr.exceptions import ImageAlreadyExistsException, InvalidParameterException
from moto.ecr.models import Image, Repository, ecr_backends

from sandbox.aws import (
    lifecycle_documents,
    lifecycle_evaluation,
    policy_documents,
    request_shapes,
)
from sandbox.aws.pushing import LayerKeeper, PushingResponse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from moto.core.common_types import TYPE_RESPONSE

_DEFAULT_PAGE = 100
_MOST_TAGS = 50
_MOST_DESTINATIONS = 25
_MOST_EXCLUSION_WILDCARDS = 2

# Every value a setting takes, the default first. Amazon's documentation no longer speaks of
# REGISTRY_POLICY_SCOPE V1, but accounts from before 2025 may still be on it.
_ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": ("AWS_NATIVE",),
    "BLOB_MOUNTING": ("DISABLED", "ENABLED"),
    "REGISTRY_POLICY_SCOPE": ("V2", "V1"),
}
_SCAN_FREQUENCIES = {
    "BASIC": ("SCAN_ON_PUSH", "MANUAL"),
    "ENHANCED": ("SCAN_ON_PUSH", "CONTINUOUS_SCAN"),
}
_ACCESS_DENIED = "DESTINATION_REGISTRY_ACCESS_DENIED"

# Moto serves requests on threads and its ECR iterates over dictionaries that others change.
_one_request_at_a_time = threading.RLock()


@contextmanager
def extended_ecr() -> Iterator[None]:
    """Start from an empty AWS whose ECR is the one below; leave moto empty and as it was."""
    backend, paths = ecr_backends.backend, dict(urls.url_paths)
    BackendDict.reset()
    ecr_backends.backend = Registry
    urls.url_paths.update(dict.fromkeys(paths, RegistryResponse.dispatch))
    try:
        yield
    finally:
        ecr_backends.backend = backend
        urls.url_paths.update(paths)
        BackendDict.reset()


class EcrRefusal(ServiceException):
    """An error of ECR that moto has no class for: its code, then what is wrong."""


def _refusal(parameter: str, *offences: str) -> InvalidParameterException:
    """Build ECR's error for a parameter that breaks a constraint."""
    return InvalidParameterException(
        f"Invalid parameter at '{parameter}' failed to satisfy constraint: '{'; '.join(offences)}'"
    )


class RegistryResponse(PushingResponse):
    """The operations, from the request to the answer."""

    def call_action(self) -> TYPE_RESPONSE:
        """Refuse what ECR's API model refuses before an operation sees it."""
        with _one_request_at_a_time:
            operation = get_service_model("ecr").operation_model(self._get_action())
            found = request_shapes.offences(operation.input_shape, json.loads(self.body or "{}"))
            if offences := "; ".join(found):
                return self.serialized(ActionResult(InvalidParameterException(offences)))
            return super().call_action()

    @property
    def registry(self) -> Registry:
        """The registry of the caller's account and region."""
        return cast("Registry", self.ecr_backend)

    def put_account_setting(self) -> ActionResult:
        """Amazon ECR API Reference, PutAccountSetting."""
        name, value = self._get_param("name"), self._get_param("value")
        self.registry.put_account_setting(name, value)
        return ActionResult({"name": name, "value": value})

    def get_account_setting(self) -> ActionResult:
        """Amazon ECR API Reference, GetAccountSetting."""
        name = self._get_param("name")
        return ActionResult({"name": name, "value": self.registry.get_account_setting(name)})

    def put_registry_scanning_configuration(self) -> ActionResult:
        """Amazon ECR API Reference, PutRegistryScanningConfiguration: both members are optional."""
        scan_type, rules = self._get_param("scanType", "BASIC"), self._get_param("rules", [])
        self.registry.put_registry_scanning_configuration(scan_type, rules)
        return ActionResult(
            {"registryScanningConfiguration": self.registry.registry_scanning_configuration}
        )

    def describe_image_replication_status(self) -> ActionResult:
        """Amazon ECR API Reference, DescribeImageReplicationStatus."""
        name, image_id = self._get_param("repositoryName"), self._get_param("imageId")
        image = self.registry.image(name, image_id)
        return ActionResult(
            {
                "repositoryName": name,
                "imageId": {**image_id, "imageDigest": image.image_digest},
                "replicationStatuses": self.registry.replication_statuses(name, image),
            }
        )

    def describe_repositories(self) -> ActionResult:
        """Amazon ECR API Reference, DescribeRepositories: pages of 100 unless told."""
        return self._page(super().describe_repositories(), "repositories", "repositoryNames")

    def list_images(self) -> ActionResult:
        """Amazon ECR API Reference, ListImages: pages of 100 unless told."""
        return self._page(super().list_images(), "imageIds")

    def describe_images(self) -> ActionResult:
        """Amazon ECR API Reference, DescribeImages: pages of 100 unless told."""
        return self._page(super().describe_images(), "imageDetails", "imageIds")

    def start_lifecycle_policy_preview(self) -> ActionResult:
        """Amazon ECR API Reference, StartLifecyclePolicyPreview; it is complete at once."""
        name, text = self._get_param("repositoryName"), self._get_param("lifecyclePolicyText")
        return ActionResult(self.registry.start_preview(name, text) | {"status": "IN_PROGRESS"})

    def get_lifecycle_policy_preview(self) -> ActionResult:
        """Amazon ECR API Reference, GetLifecyclePolicyPreview: pages of 100 unless told."""
        answer = ActionResult(self.registry.preview(self._get_param("repositoryName")))
        return self._page(answer, "previewResults", "imageIds")

    def start_replication_backfill(self) -> ActionResult:
        """Amazon ECR API Reference, StartReplicationBackfill; it has ended at once."""
        return ActionResult(self.registry.start_backfill(self._get_param("destination")))

    def describe_replication_backfill_results(self) -> ActionResult:
        """Amazon ECR API Reference, DescribeReplicationBackfillResults, without single images."""
        return ActionResult(self.registry.backfill(self._get_param("replicationBackfillId")))

    def _page(self, answer: ActionResult, result_key: str, chosen: str = "") -> ActionResult:
        token, most = self._get_param("nextToken"), self._get_param("maxResults")
        if chosen and self._get_param(chosen):
            if token or most:
                raise _refusal("maxResults", f"cannot be used together with {chosen}")
            return answer
        if token and not token.isdecimal():
            raise _refusal("nextToken", "is not a token of an earlier answer")
        whole = cast("dict[str, Any]", answer.result)
        start = int(token or 0)
        end = start + (most or _DEFAULT_PAGE)
        more = {"nextToken": str(end)} if end < len(whole[result_key]) else {}
        return ActionResult({**whole, result_key: whole[result_key][start:end], **more})


class Registry(LayerKeeper):
    """What one registry holds, and which of the requests about it ECR refuses."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.account_settings = {name: values[0] for name, values in _ACCOUNT_SETTINGS.items()}
        self.replications: dict[tuple[str, str], dict[tuple[str, str], str | None]] = {}
        self._previews: dict[str, dict[str, Any]] = {}
        self._backfills: dict[str, dict[str, Any]] = {}

    @property
    def _url_module(self) -> ModuleType:
        # Moto looks for it beside the class.
        return urls

    def put_account_setting(self, name: str, value: str) -> None:
        """Amazon ECR API Reference, PutAccountSetting."""
        self.get_account_setting(name)
        if value not in _ACCOUNT_SETTINGS[name]:
            raise _refusal("value", f"{name} takes {' or '.join(_ACCOUNT_SETTINGS[name])}")
        self.account_settings[name] = value

    def get_account_setting(self, name: str) -> str:
        """Amazon ECR API Reference, GetAccountSetting."""
        if name not in self.account_settings:
            raise _refusal("name", f"must be one of {', '.join(_ACCOUNT_SETTINGS)}")
        return self.account_settings[name]

    def create_repository(  # noqa: PLR0917 - moto's signature
        self,
        repository_name: str,
        registry_id: str | None,
        encryption_config: dict[str, str],
        image_scan_config: object,
        image_tag_mutability: str,
        tags: list[dict[str, str]],
        image_tag_mutability_exclusion_filters: list[Any] | None = None,
    ) -> Repository:
        """Amazon ECR API Reference, CreateRepository: tags, encryption and exclusion filters."""
        self._check_tags({}, tags)
        self._check_exclusions(image_tag_mutability_exclusion_filters)
        encryption = encryption_config or {}
        if encryption.get("encryptionType") == "AES256" and "kmsKey" in encryption:
            raise _refusal("encryptionConfiguration", "kmsKey is for the encryptionType KMS only")
        return super().create_repository(
            repository_name,
            registry_id,
            encryption_config,
            image_scan_config,
            image_tag_mutability,
            tags,
            image_tag_mutability_exclusion_filters,
        )

    def describe_repositories(
        self, registry_id: str | None = None, repository_names: list[str] | None = None
    ) -> list[Repository]:
        """Amazon ECR API Reference, DescribeRepositories.

        Moto walks through the whole registry for one name, which makes creating an estate
        quadratic: the provider reads every repository it creates.
        """
        if repository_names:
            return [self._get_repository(name, registry_id) for name in repository_names]
        return super().describe_repositories(registry_id)

    def put_image_tag_mutability(
        self,
        registry_id: str,
        repository_name: str,
        image_tag_mutability: str,
        image_tag_mutability_exclusion_filters: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, PutImageTagMutability: filters fit the mutability."""
        filters = image_tag_mutability_exclusion_filters
        self._check_exclusions(filters)
        self.validate_image_tag_mutability_params_compatibility(image_tag_mutability, filters)
        answer = super().put_image_tag_mutability(
            registry_id, repository_name, image_tag_mutability, filters
        )
        return {**answer, "imageTagMutabilityExclusionFilters": filters}

    @staticmethod
    def _check_exclusions(filters: list[Any] | None) -> None:
        many = [
            f"{each['filter']} has more than {_MOST_EXCLUSION_WILDCARDS} wildcards"
            for each in filters or ()
            if each["filter"].count("*") > _MOST_EXCLUSION_WILDCARDS
        ]
        if many:
            raise _refusal("imageTagMutabilityExclusionFilters", *many)

    def tag_resource(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Amazon ECR API Reference, TagResource: 50 tags with those there already."""
        self._check_tags(self.tagger.get_tag_dict_for_resource(arn), tags)
        super().tag_resource(arn, tags)

    def _check_tags(self, present: dict[str, str], added: list[dict[str, str]]) -> None:
        if offences := self.tagger.validate_tags(added):
            raise EcrRefusal("InvalidTagParameterException", offences)
        if len(present.keys() | {tag["Key"] for tag in added}) > _MOST_TAGS:
            raise EcrRefusal("TooManyTagsException", f"A repository has at most {_MOST_TAGS} tags")

    def put_lifecycle_policy(
        self, registry_id: str, repository_name: str, lifecycle_policy_text: str
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, PutLifecyclePolicy: the whole grammar."""
        repository = self._get_repository(repository_name, registry_id)
        if found := lifecycle_documents.offences(lifecycle_policy_text):
            raise _refusal("LifecyclePolicyText", "Lifecycle policy validation failure", *found)
        repository.lifecycle_policy = lifecycle_policy_text
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "lifecyclePolicyText": lifecycle_policy_text,
        }

    def start_preview(self, repository_name: str, text: str | None) -> dict[str, Any]:
        """Amazon ECR API Reference, StartLifecyclePolicyPreview: a policy to try, or its own."""
        repository = self._get_repository(repository_name)
        text = text or repository.lifecycle_policy
        if not text:
            raise EcrRefusal("LifecyclePolicyNotFoundException", "There is no policy to preview")
        if found := lifecycle_documents.offences(text):
            raise _refusal("LifecyclePolicyText", "Lifecycle policy validation failure", *found)
        # Whatever moto holds beside these, the preview reads no more of an image.
        images = [
            {
                "imageDigest": image.image_digest,
                "imageTags": image.image_tags,
                "imagePushedAt": image.image_pushed_at,
            }
            for image in repository.images
        ]
        rules = lifecycle_evaluation.evaluate(json.loads(text), images, time.time())
        asked = {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "lifecyclePolicyText": text,
        }
        self._previews[repository_name] = asked | {
            "status": "COMPLETE",
            "previewResults": [
                {**image, "action": {"type": "EXPIRE"}, "appliedRulePriority": rules[digest]}
                for image in images
                if (digest := image["imageDigest"]) in rules
            ],
            "summary": {"expiringImageTotalCount": len(rules)},
        }
        return asked

    def preview(self, repository_name: str) -> dict[str, Any]:
        """Amazon ECR API Reference, GetLifecyclePolicyPreview."""
        self._get_repository(repository_name)
        if repository_name not in self._previews:
            raise EcrRefusal("LifecyclePolicyPreviewNotFoundException", "No preview was started")
        return self._previews[repository_name]

    def start_backfill(self, destination: dict[str, str]) -> dict[str, Any]:
        """Amazon ECR API Reference, StartReplicationBackfill: to a destination that has a rule."""
        configured = [
            each for rule in self.replication_config["rules"] for each in rule["destinations"]
        ]
        if destination not in configured:
            raise _refusal("destination", "is not in the registry's replication configuration")
        failed = 0
        images = [(image, tag) for repository in self.repositories.values()
                  for image in repository.images for tag in image.image_tags or [""]]  # fmt: skip
        for image, tag in images:
            self._replicate(image, tag)
            outcome = self.replications[image.repository_name, image.image_digest]
            failed += bool(outcome.get((destination["region"], destination["registryId"])))
        identifier = str(uuid4())
        self._backfills[identifier] = {
            "registryId": self.account_id,
            "replicationBackfillId": identifier,
            "destination": destination,
            "status": "FAILED" if failed else "COMPLETE",
        }
        return self._backfills[identifier] | {"status": "IN_PROGRESS"}

    def backfill(self, identifier: str) -> dict[str, Any]:
        """Amazon ECR API Reference, DescribeReplicationBackfillResults."""
        if identifier not in self._backfills:
            raise _refusal("replicationBackfillId", "is not a backfill of this registry")
        return self._backfills[identifier]

    def set_repository_policy(
        self, registry_id: str, repository_name: str, policy_text: str
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, SetRepositoryPolicy."""
        repository = self._get_repository(repository_name, registry_id)
        if found := policy_documents.repository_policy_offences(policy_text):
            raise _refusal("PolicyText", "Invalid repository policy provided", *found)
        repository.policy = policy_text
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "policyText": policy_text,
        }

    def put_registry_policy(self, policy_text: str) -> dict[str, Any]:
        """Amazon ECR API Reference, PutRegistryPolicy: every action that the scope knows."""
        found = policy_documents.registry_policy_offences(
            policy_text,
            registry=self.account_id,
            region=self.region_name,
            scope=self.account_settings["REGISTRY_POLICY_SCOPE"],
        )
        if found:
            raise _refusal("PolicyText", "Invalid registry policy provided", *found)
        self.registry_policy = policy_text
        return {"registryId": self.account_id, "policyText": policy_text}

    def put_registry_scanning_configuration(
        self, scan_type: str, rules: list[dict[str, Any]]
    ) -> None:
        """Amazon ECR API Reference, PutRegistryScanningConfiguration: frequencies by type."""
        known = _SCAN_FREQUENCIES[scan_type]
        if {rule["scanFrequency"] for rule in rules} - set(known):
            raise _refusal("rules", f"{scan_type} scanning takes {' and '.join(known)}")
        super().put_registry_scanning_configuration(scan_type, rules)

    def _match_repository_filter(self, filter: str, repository_name: str) -> bool:  # noqa: A002 - moto's name
        # Amazon ECR User Guide, "Filters to choose which repositories are scanned": without a
        # wildcard a filter is looked for anywhere in the name.
        return fnmatchcase(repository_name, filter if "*" in filter else f"*{filter}*")

    def put_replication_configuration(self, replication_config: dict[str, Any]) -> dict[str, Any]:
        """Amazon ECR API Reference, PutReplicationConfiguration: up to 25 rules."""
        destinations = {
            (destination["region"], destination["registryId"])
            for rule in replication_config["rules"]
            for destination in rule["destinations"]
        }
        found = []
        if (self.region_name, self.account_id) in destinations:
            found.append("Replication destination cannot be the same as the source registry")
        if len(destinations) > _MOST_DESTINATIONS:
            found.append(f"At most {_MOST_DESTINATIONS} unique destinations over all rules")
        known = ecr_backends[self.account_id]
        found += [f"{region} is not a Region" for region, _ in destinations if region not in known]
        if found:
            raise _refusal("replicationConfiguration", *found)
        self.replication_config = replication_config
        return {"replicationConfiguration": replication_config}

    def image(self, repository_name: str, image_id: dict[str, str]) -> Image:
        """Return the image of a tag or digest; raise ECR's errors when there is none."""
        repository = self._get_repository(repository_name)
        return repository._get_image(  # noqa: SLF001 - moto has no public way to one image
            image_id.get("imageTag"), image_id.get("imageDigest")
        )

    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> Image:
        """Amazon ECR API Reference, PutImage.

        Unlike moto: the digest is the manifest's own, a tag that moves leaves its old image
        untagged instead of deleting it, exclusion filters are wildcards, and the image is
        replicated (Amazon ECR User Guide, "Private image replication in Amazon ECR").
        """
        repository = self._get_repository(repository_name)
        try:
            manifest = json.loads(image_manifest)
            media_type = image_manifest_mediatype or manifest["mediaType"]
        except (ValueError, KeyError, TypeError) as problem:
            raise _refusal("imageManifest", "must be JSON with a mediaType") from problem
        actual = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        if digest not in (None, actual):
            raise EcrRefusal(
                "ImageDigestDoesNotMatchException",
                f"The digest {digest} does not match the manifest's, {actual}",
            )
        pushed = self._store(
            repository,
            Image(self.account_id, image_tag, image_manifest, repository_name, media_type, actual),
        )
        self._replicate(pushed, image_tag)
        return pushed

    def _store(self, repository: Repository, image: Image) -> Image:
        tag = image.image_tag
        present = next(
            (each for each in repository.images if each.image_digest == image.image_digest), None
        )
        if present and (not tag or tag in present.image_tags):
            raise ImageAlreadyExistsException(
                repository.name, repository.registry_id, image.image_digest, tag
            )
        for holder in repository.images:
            if tag in holder.image_tags:
                if not _may_move(repository, tag):
                    raise EcrRefusal(
                        "ImageTagAlreadyExistsException",
                        f"The image tag '{tag}' already exists in the '{repository.name}' "
                        "repository and cannot be overwritten because the tag is immutable.",
                    )
                holder.remove_tag(tag)
                if not holder.image_tags:
                    # Moto's own value for an image without a tag, whatever it declares.
                    holder.image_tag = None  # type: ignore[assignment]
        if present:
            present.update_tag(tag)
            return present
        repository.images.append(image)
        return image

    def _replicate(self, image: Image, tag: str) -> None:
        name = image.repository_name
        outcome = self.replications.setdefault((name, image.image_digest), {})
        for rule in self.replication_config["rules"]:
            filters = rule.get("repositoryFilters")
            if filters and not any(name.startswith(each["filter"]) for each in filters):
                continue
            for destination in rule["destinations"]:
                region, registry = destination["region"], destination["registryId"]
                target = cast("Registry", ecr_backends[registry][region])
                outcome[region, registry] = target.receive(image, tag, source=self.account_id)

    def receive(self, image: Image, tag: str, *, source: str) -> str | None:
        """Take a replicated image; return ECR's failure code, or None when it is here now.

        Amazon ECR User Guide, "Private image replication in Amazon ECR" and "Registry policy
        examples for Amazon ECR": the policy of this registry decides about other accounts,
        a missing repository is created with default settings, a tag that is immutable here
        stays where it is, and what is received is not replicated again.
        """
        name = image.repository_name
        arn = f"arn:{self.partition}:ecr:{self.region_name}:{self.account_id}:repository/{name}"
        needed = ["ecr:ReplicateImage"]
        if name not in self.repositories:
            needed.append("ecr:CreateRepository")
        if source != self.account_id and not all(
            policy_documents.lets_replicate(
                self.registry_policy, source=source, action=action, resource=arn
            )
            for action in needed
        ):
            return _ACCESS_DENIED
        if name not in self.repositories:
            self.create_repository(name, None, {}, None, "MUTABLE", [])
        self._take(self.repositories[name], image, tag)
        return None

    def _take(self, repository: Repository, image: Image, tag: str) -> None:
        taken = any(tag in each.image_tags for each in repository.images)
        kept = "" if taken and not _may_move(repository, tag) else tag
        copy = Image(
            self.account_id,
            kept or None,  # type: ignore[arg-type]  # moto's own value for no tag
            image.image_manifest,
            repository.name,
            image.image_manifest_media_type,
            image.image_digest,
        )
        try:
            self._store(repository, copy)
        except ImageAlreadyExistsException:
            return  # it was replicated by an earlier push

    def replication_statuses(self, repository_name: str, image: Image) -> list[dict[str, str]]:
        """Amazon ECR API Reference, DescribeImageReplicationStatus: one entry a destination."""
        outcome = self.replications.get((repository_name, image.image_digest), {})
        return [
            {"region": region, "registryId": registry}
            | ({"status": "FAILED", "failureCode": failure} if failure else {"status": "COMPLETE"})
            for (region, registry), failure in outcome.items()
        ]


def _may_move(repository: Repository, tag: str) -> bool:
    """Amazon ECR User Guide, "Preventing image tags from being overwritten in Amazon ECR"."""
    filters = repository.image_tag_mutability_exclusion_filters or ()
    excluded = any(fnmatchcase(tag, each["filter"]) for each in filters)
    return repository.image_tag_mutability.startswith("MUTABLE") != excluded
