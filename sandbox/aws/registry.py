"""Amazon ECR as far as moto lacks it: one registry per account and region.

Owns what a registry remembers and which requests about it are refused; the operations, from request
to answer, are in `responses`. Reads moto's ECR, which it extends by subclassing. Never changes moto
for longer than `responses.extended_ecr` lasts.

Each extension names the page of Amazon's that it follows; the rules that are tried against it, with
their pages, are those of `sandbox.aws.rules`.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from moto.ecr import urls
from moto.ecr.exceptions import (
    ImageAlreadyExistsException,
    ImageNotFoundException,
    LifecyclePolicyNotFoundException,
    UploadNotFoundException,
)

from sandbox.aws import (
    delivery,
    lifecycle_documents,
    lifecycle_evaluation,
    policy_documents,
    principals,
)
from sandbox.aws.pushing import LayerKeeper
from sandbox.aws.refusals import EcrRefusal, invalid
from sandbox.aws.registry_settings import RegistrySettings
from sandbox.aws.replication import Replication
from sandbox.aws.scanning import Scanning
from sandbox.aws.stored_images import ACTIVATING, ACTIVE, ARCHIVED, LISTS, MANIFESTS, StoredImage
from sandbox.aws.template_roles import why_not_made
from sandbox.aws.wildcards import matches
from sandbox.aws.world import DAY

if TYPE_CHECKING:
    from types import ModuleType

    from moto.ecr.models import Repository

_MOST_TAGS = 50
_MOST_EXCLUSION_WILDCARDS = 2
_MIB = 1024 * 1024
_LEAST_PART, _MOST_PART = 5 * _MIB, 10 * _MIB
_SCAN_FREQUENCIES = {
    "BASIC": ("SCAN_ON_PUSH", "MANUAL"),
    "ENHANCED": ("SCAN_ON_PUSH", "CONTINUOUS_SCAN"),
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# OCI Distribution Specification, "Pulling manifests".
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


class Registry(LayerKeeper):
    """What one registry holds, and which of the requests about it ECR refuses."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.settings = RegistrySettings(self)
        self.replication = Replication(self)
        self.scanning = Scanning(self)
        self._previews: dict[str, dict[str, Any]] = {}
        self._evaluations: dict[str, int] = {}
        self._evaluated_at: dict[str, float] = {}
        self._smallest_parts: dict[str, int] = {}

    @property
    def _url_module(self) -> ModuleType:
        # Moto looks for it beside the class.
        return urls

    def send(self, kind: str, **detail: object) -> None:
        """Send an event (Amazon ECR User Guide, "Amazon ECR events and EventBridge")."""
        event = {
            "version": "0",
            "source": "aws.ecr",
            "detail-type": kind,
            "account": self.account_id,
            "region": self.region_name,
            "time": datetime.fromtimestamp(self.now(), UTC).isoformat(),
            "resources": [],
            "detail": detail,
        }
        self.world.events.append(event)
        self.world.deliveries.extend(delivery.deliveries(event))

    # Image repositories

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
        """Amazon ECR API Reference, CreateRepository: tags, encryption, filters and the quota."""
        filters = image_tag_mutability_exclusion_filters
        self.check_tags({}, tags)
        self.check_mutability(image_tag_mutability or "MUTABLE", filters)
        encryption = encryption_config or {}
        if encryption.get("encryptionType") == "AES256" and "kmsKey" in encryption:
            raise invalid("encryptionConfiguration", "kmsKey is for the encryptionType KMS only")
        most = self.world.quotas.repositories
        if repository_name not in self.repositories and len(self.repositories) >= most:
            raise EcrRefusal(
                "LimitExceededException",
                f"The registry with id '{self.account_id}' already has the maximum allowed number "
                f"of repositories which is '{most}'",
            )
        made = super().create_repository(
            repository_name,
            registry_id,
            encryption_config,
            image_scan_config,
            image_tag_mutability,
            tags,
            filters,
        )
        made.created_at = datetime.fromtimestamp(self.now(), UTC)
        self._apply_scanning(made)
        return made

    def create_for(self, name: str, action: str) -> Repository:
        """Make an image repository as a push, a replication or a cache does: from its template.

        Amazon ECR User Guide, "Templates to control repositories created during a pull through cache,
        create on push, or replication action". Without a template, default settings.
        """
        template = self.settings.template_for(name, action) or {}
        tags = list(template.get("resourceTags") or [])
        if template:
            arn = f"arn:{self.partition}:ecr:{self.region_name}:{self.account_id}:repository/{name}"
            held = {each["Key"]: each["Value"] for each in tags}
            if wrong := why_not_made(template, arn, held):
                raise EcrRefusal("ValidationException", f"{name} was not made: {wrong}")
        made = self.create_repository(
            name,
            None,
            dict(template.get("encryptionConfiguration") or {}),
            None,
            template.get("imageTagMutability", "MUTABLE"),
            tags,
            template.get("imageTagMutabilityExclusionFilters"),
        )
        made.policy = template.get("repositoryPolicy")
        if policy := template.get("lifecyclePolicy"):
            self._keep_lifecycle_policy(made, policy)
        return made

    def pushed_to(self, name: str, registry_id: str | None = None) -> Repository:
        """Return what is pushed to, made if a template is for that; refuse where none is."""
        if name not in self.repositories and self.settings.template_for(name, "CREATE_ON_PUSH"):
            return self.create_for(name, "CREATE_ON_PUSH")
        return self._get_repository(name, registry_id)

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

    def put_image_scanning_configuration(
        self, registry_id: str, repository_name: str, image_scan_config: dict[str, Any]
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, ImageScanningConfiguration: scanOnPush that is not said is false."""
        said = {"scanOnPush": False, **image_scan_config}
        answer: dict[str, Any] = super().put_image_scanning_configuration(
            registry_id, repository_name, said
        )
        return answer

    def put_image_tag_mutability(
        self,
        registry_id: str,
        repository_name: str,
        image_tag_mutability: str,
        image_tag_mutability_exclusion_filters: list[Any] | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, PutImageTagMutability: filters fit the mutability."""
        filters = image_tag_mutability_exclusion_filters
        self.check_mutability(image_tag_mutability, filters)
        answer = super().put_image_tag_mutability(
            registry_id, repository_name, image_tag_mutability, filters
        )
        return {**answer, "imageTagMutabilityExclusionFilters": filters}

    def check_mutability(self, mutability: str, filters: list[Any] | None) -> None:
        """Refuse exclusion filters that have too many wildcards, or do not fit the mutability."""
        many = [
            f"{each['filter']} has more than {_MOST_EXCLUSION_WILDCARDS} wildcards"
            for each in filters or ()
            if each["filter"].count("*") > _MOST_EXCLUSION_WILDCARDS
        ]
        if many:
            raise invalid("imageTagMutabilityExclusionFilters", *many)
        self.validate_image_tag_mutability_params_compatibility(mutability, filters)

    def tag_resource(self, arn: str, tags: list[dict[str, str]]) -> None:
        """Amazon ECR API Reference, TagResource: 50 tags with those there already."""
        self.check_tags(self.tagger.get_tag_dict_for_resource(arn), tags)
        super().tag_resource(arn, tags)

    def check_tags(self, present: dict[str, str], added: list[dict[str, str]]) -> None:
        """Refuse resource tags that ECR refuses, and more than 50 in all."""
        if offences := self.tagger.validate_tags(added):
            raise EcrRefusal("InvalidTagParameterException", offences)
        if len(present.keys() | {tag["Key"] for tag in added}) > _MOST_TAGS:
            raise EcrRefusal("TooManyTagsException", f"A repository has at most {_MOST_TAGS} tags")

    # Policies

    def put_lifecycle_policy(
        self, registry_id: str, repository_name: str, lifecycle_policy_text: str
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, PutLifecyclePolicy: the whole grammar.

        It is applied once a day from then on: "you should expect that images become expired within 24
        hours after they meet the expiration criteria".
        """
        repository = self._get_repository(repository_name, registry_id)
        _check_lifecycle_policy(lifecycle_policy_text)
        self._keep_lifecycle_policy(repository, lifecycle_policy_text)
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "lifecyclePolicyText": lifecycle_policy_text,
        }

    def _keep_lifecycle_policy(self, repository: Repository, text: str) -> None:
        repository.lifecycle_policy = text
        self._evaluated_at.pop(repository.name, None)
        turn = self._evaluations[repository.name] = self._evaluations.get(repository.name, 0) + 1
        self.world.clock.later(DAY, lambda: self._evaluate_daily(repository, turn))

    def _evaluate_daily(self, repository: Repository, turn: int) -> None:
        stands = self.repositories.get(repository.name) is repository
        if not stands or not repository.lifecycle_policy:
            return
        if self._evaluations[repository.name] != turn:
            return
        self._evaluated_at[repository.name] = self.now()
        policy = json.loads(repository.lifecycle_policy)
        actions = {rule["rulePriority"]: rule["action"]["type"] for rule in policy["rules"]}
        images = self.stored(repository)
        taken = lifecycle_evaluation.evaluate(policy, _as_seen(images), self.now())
        for image in images:
            match actions.get(taken.get(image.image_digest, 0)):
                case "expire":
                    self.remove(repository, image)
                    self.replication.deleted(image, None)
                case "transition":
                    self._archive(image)
        self.world.clock.later(DAY, lambda: self._evaluate_daily(repository, turn))

    def get_lifecycle_policy(self, registry_id: str, repository_name: str) -> dict[str, Any]:
        """Amazon ECR API Reference, GetLifecyclePolicy: when it was applied, if it was."""
        repository = self._get_repository(repository_name, registry_id)
        if not repository.lifecycle_policy:
            raise LifecyclePolicyNotFoundException(repository_name, repository.registry_id)
        applied = self._evaluated_at.get(repository_name)
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "lifecyclePolicyText": repository.lifecycle_policy,
            **({} if applied is None else {"lastEvaluatedAt": applied}),
        }

    def start_preview(self, repository_name: str, text: str | None) -> dict[str, Any]:
        """Amazon ECR API Reference, StartLifecyclePolicyPreview: a policy to try, or its own."""
        repository = self._get_repository(repository_name)
        text = text or repository.lifecycle_policy
        if not text:
            raise LifecyclePolicyNotFoundException(repository_name, repository.registry_id)
        if self._previews.get(repository_name, {}).get("status") == "IN_PROGRESS":
            raise EcrRefusal(
                "LifecyclePolicyPreviewInProgressException", "The last preview has not ended"
            )
        _check_lifecycle_policy(text)
        asked = {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "lifecyclePolicyText": text,
            "status": "IN_PROGRESS",
        }
        self._previews[repository_name] = asked
        delay = self.world.delays.previewing
        self.world.clock.later(delay, lambda: self._end_preview(repository, asked))
        return asked

    def _end_preview(self, repository: Repository, asked: dict[str, Any]) -> None:
        policy = json.loads(asked["lifecyclePolicyText"])
        actions = {rule["rulePriority"]: rule["action"] for rule in policy["rules"]}
        seen = _as_seen(self.stored(repository))
        taken = lifecycle_evaluation.evaluate(policy, seen, self.now())
        results = [
            {
                "imageDigest": each["imageDigest"],
                "imageTags": each["imageTags"],
                "imagePushedAt": each["imagePushedAt"],
                "storageClass": "STANDARD" if each["imageStatus"] == ACTIVE else "ARCHIVE",
                "appliedRulePriority": by,
                "action": {"type": "EXPIRE"}
                if actions[by]["type"] == "expire"
                else {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"},
            }
            for each in seen
            if (by := taken.get(each["imageDigest"]))
        ]
        archiving = sum(each["action"]["type"] == "TRANSITION" for each in results)
        summary: dict[str, Any] = {"expiringImageTotalCount": len(results) - archiving}
        if archiving:
            summary["transitioningImageTotalCounts"] = [
                {"targetStorageClass": "ARCHIVE", "imageTotalCount": archiving}
            ]
        self._previews[repository.name] = {
            **asked,
            "status": "COMPLETE",
            "previewResults": results,
            "summary": summary,
        }

    def preview(self, repository_name: str) -> dict[str, Any]:
        """Amazon ECR API Reference, GetLifecyclePolicyPreview."""
        self._get_repository(repository_name)
        if repository_name not in self._previews:
            raise EcrRefusal("LifecyclePolicyPreviewNotFoundException", "No preview was started")
        return self._previews[repository_name]

    def set_repository_policy(
        self, registry_id: str, repository_name: str, policy_text: str
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, SetRepositoryPolicy."""
        repository = self._get_repository(repository_name, registry_id)
        self._check_policy("repository", policy_documents.repository_policy_offences(policy_text))
        self._check_policy("repository", self._strangers(policy_text))
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
            scope=self.settings.account_setting("REGISTRY_POLICY_SCOPE"),
        )
        self._check_policy("registry", found)
        self._check_policy("registry", self._strangers(policy_text))
        self.registry_policy = policy_text
        return {"registryId": self.account_id, "policyText": policy_text}

    def _strangers(self, text: str) -> list[str]:
        return [f"{each} is not a principal" for each in principals.unknown(text, self.world)]

    @staticmethod
    def _check_policy(whose: str, offences: list[str]) -> None:
        if offences:
            raise invalid("PolicyText", f"Invalid {whose} policy provided", *offences)

    # Scanning and replication

    def put_registry_scanning_configuration(
        self, scan_type: str, rules: list[dict[str, Any]]
    ) -> None:
        """Amazon ECR API Reference, PutRegistryScanningConfiguration: frequencies by type."""
        known = _SCAN_FREQUENCIES[scan_type]
        if {rule["scanFrequency"] for rule in rules} - set(known):
            raise invalid("rules", f"{scan_type} scanning takes {' and '.join(known)}")
        self.registry_scanning_configuration = {"scanType": scan_type, "rules": rules}
        for repository in self.repositories.values():
            self._apply_scanning(repository)

    def _apply_scanning(self, repository: Repository) -> None:
        """Note how a repository is scanned: where both frequencies fit, continuous scanning wins."""
        fitting = [
            (rule["scanFrequency"] == "CONTINUOUS_SCAN", rule["scanFrequency"], each)
            for rule in self.registry_scanning_configuration["rules"]
            for each in rule["repositoryFilters"]
            if self._match_repository_filter(each["filter"], repository.name)
        ]
        _, frequency, applied = max(
            fitting, key=lambda each: each[0], default=(False, "MANUAL", None)
        )
        repository.scanning_config["scanFrequency"] = frequency
        repository.scanning_config["appliedScanFilters"] = [applied] if applied else []

    def _match_repository_filter(self, filter: str, repository_name: str) -> bool:  # noqa: A002 - moto's name
        # Amazon ECR User Guide, "Filters to choose which repositories are scanned": without a
        # wildcard a filter is looked for anywhere in the name.
        return matches(repository_name, filter if "*" in filter else f"*{filter}*")

    def put_replication_configuration(self, replication_config: dict[str, Any]) -> dict[str, Any]:
        """Amazon ECR API Reference, PutReplicationConfiguration: up to 25 rules."""
        self.replication.check(replication_config)
        self.replication_config = replication_config
        return {"replicationConfiguration": replication_config}

    # Images

    def stored(self, repository: Repository) -> list[StoredImage]:
        """Return the images of an image repository, the oldest push first."""
        return cast("list[StoredImage]", list(repository.images))

    def find(self, repository: Repository, digest: str) -> StoredImage | None:
        """Return the image of a digest, if it is there."""
        return next((each for each in self.stored(repository) if each.image_digest == digest), None)

    def image(
        self, repository_name: str, image_id: dict[str, str], registry_id: str | None = None
    ) -> StoredImage:
        """Return the image of a tag or digest; raise ECR's errors when there is none."""
        repository = self._get_repository(repository_name, registry_id)
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        if not digest and not tag:
            raise invalid("imageId", "both tag and digest cannot be null")
        for each in self.stored(repository):
            if digest in (None, each.image_digest) and (tag is None or tag in each.image_tags):
                return each
        raise ImageNotFoundException(
            image_id=f"{{imageDigest:'{digest or 'null'}', imageTag:'{tag or 'null'}'}}",
            repository_name=repository_name,
            registry_id=repository.registry_id,
        )

    def put_image(
        self,
        repository_name: str,
        image_manifest: str,
        image_tag: str,
        image_manifest_mediatype: str | None = None,
        digest: str | None = None,
    ) -> StoredImage:
        """Amazon ECR API Reference, PutImage.

        Unlike moto: the digest is the manifest's own, what a manifest names has to be there, a tag that
        moves leaves its old image untagged instead of deleting it, and the image is scanned and
        replicated. Pushing an archived image restores it ("Archiving an image").
        """
        repository = self.pushed_to(repository_name)
        media_type = _media_type(image_manifest, image_manifest_mediatype)
        if image_tag and not _TAG.fullmatch(image_tag):
            raise invalid("imageTag", f"must satisfy regular expression '{_TAG.pattern}'")
        actual = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        if digest not in (None, actual):
            raise EcrRefusal(
                "ImageDigestDoesNotMatchException",
                f"The digest {digest} does not match the manifest's, {actual}",
            )
        made = StoredImage(
            self.account_id,
            repository_name,
            image_manifest,
            media_type,
            actual,
            pushed_at=self.now(),
        )
        self._check_referenced(repository, made)
        held = (self.find(repository, part) for part in made.parts)
        made.largest_part = max((each.image_size_in_bytes or 0 for each in held if each), default=0)
        present = self.find(repository, actual)
        if present and present.status != ARCHIVED and image_tag in (None, *present.image_tags):
            raise ImageAlreadyExistsException(
                repository.name, repository.registry_id, actual, image_tag
            )
        self._check_tag(repository, present or made, image_tag)
        if present and present.status == ARCHIVED:
            self._restore(present)
        if not present:
            self._check_quota(repository)
            repository.images.append(made)
        if image_tag:
            self.tag(repository, actual, image_tag)
        pushed = present or made
        self._tell("PUSH", pushed, image_tag)
        if not present:
            self.scanning.pushed(pushed)
        self.replication.pushed(pushed, image_tag)
        return pushed

    def _check_referenced(self, repository: Repository, image: StoredImage) -> None:
        missing = [each for each in image.parts if not self.find(repository, each)]
        if missing:
            raise EcrRefusal(
                "ReferencedImagesNotFoundException",
                f"Images with digests '{', '.join(missing)}' required for pushing image into "
                f"repository with name '{repository.name}' in the registry with id "
                f"'{repository.registry_id}' do not exist",
            )
        absent = [each for each in image.blobs if not self.holds_layer(repository, each)]
        if absent:
            raise EcrRefusal(
                "LayersNotFoundException",
                f"Layers with digests '{', '.join(absent)}' required for pushing image into "
                f"repository with name '{repository.name}' in the registry with id "
                f"'{repository.registry_id}' do not exist",
            )

    def _check_quota(self, repository: Repository) -> None:
        most = self.world.quotas.images
        if len(repository.images) >= most:
            raise EcrRefusal(
                "LimitExceededException", f"At most {most} images in {repository.name}"
            )

    def _check_tag(self, repository: Repository, image: StoredImage, tag: str | None) -> None:
        if not tag or tag in image.image_tags:
            return
        taken = any(tag in each.image_tags for each in repository.images)
        if taken and not may_move(repository, tag):
            raise EcrRefusal(
                "ImageTagAlreadyExistsException",
                f"The image tag '{tag}' already exists in the '{repository.name}' "
                "repository and cannot be overwritten because the tag is immutable.",
            )
        most = self.world.quotas.tags_of_an_image
        if len(image.image_tags) >= most:
            raise EcrRefusal("LimitExceededException", f"At most {most} tags of one image")

    def add(self, repository: Repository, image: StoredImage) -> StoredImage:
        """Take in a copy of an image of another registry, without its tags; it is pushed now."""
        taken = StoredImage(
            self.account_id,
            repository.name,
            image.image_manifest,
            str(image.image_manifest_media_type),
            image.image_digest,
            pushed_at=self.now(),
        )
        repository.layers.update(image.blobs)
        repository.images.append(taken)
        self._tell("PUSH", taken, None)
        self.scanning.pushed(taken)
        return taken

    def tag(self, repository: Repository, digest: str, tag: str) -> None:
        """Return a tag to an image, and take it from another; a tag that may not move stays."""
        image = self.find(repository, digest)
        holders = [each for each in self.stored(repository) if tag in each.image_tags]
        if not image or image in holders or (holders and not may_move(repository, tag)):
            return
        for holder in holders:
            self.untag(holder, tag)
        image.update_tag(tag)

    @staticmethod
    def untag(image: StoredImage, tag: str) -> None:
        """Take a tag from an image."""
        image.remove_tag(tag)
        if not image.image_tags:
            # Moto's own value for an image without a tag, whatever it declares.
            image.image_tag = None  # type: ignore[assignment]

    def remove(self, repository: Repository, image: StoredImage) -> None:
        """Delete an image; what refers to it goes within a day ("Deleting an image")."""
        if image in repository.images:
            repository.images.remove(image)
            self._tell("DELETE", image, None)
            subject = image.image_digest
            self.world.clock.later(DAY, lambda: self._remove_referrers(repository, subject))

    def _remove_referrers(self, repository: Repository, subject: str) -> None:
        if self.find(repository, subject):
            return
        for image in self.stored(repository):
            if image.subject == subject:
                self.remove(repository, image)

    def _tell(self, action: str, image: StoredImage, tag: str | None) -> None:
        self.send(
            "ECR Image Action",
            **{
                "result": "SUCCESS",
                "repository-name": image.repository_name,
                "image-digest": image.image_digest,
                "action-type": action,
                **({"image-tag": tag} if tag else {}),
            },
        )

    def delete_image(self, repository: Repository, asked: dict[str, str], listed: set[str]) -> str:
        """Delete what an entry of BatchDeleteImage names, and return the code of a failure.

        A tag alone is taken from its image, which goes with its last tag; a digest takes the image.
        ``listed`` are the parts of manifest lists when the request came.
        """
        found = self.identify(repository, asked)
        if isinstance(found, str):
            return found
        tag = asked.get("imageTag")
        whole = not tag or found.image_tags == [tag]
        if whole and found.image_digest in listed:
            return "ImageReferencedByManifestList"
        if whole:
            self.remove(repository, found)
        else:
            self.untag(found, str(tag))
        self.replication.deleted(found, None if whole else tag)
        return ""

    def identify(self, repository: Repository, asked: dict[str, str]) -> StoredImage | str:
        """Return the image that an identifier means, or ECR's code (ImageFailure, failureCode)."""
        digest, tag = asked.get("imageDigest"), asked.get("imageTag")
        if not digest and not tag:
            return "MissingDigestAndTag"
        if digest and not _DIGEST.fullmatch(digest):
            return "InvalidImageDigest"
        if tag and not _TAG.fullmatch(tag):
            return "InvalidImageTag"
        tagged = next((each for each in self.stored(repository) if tag in each.image_tags), None)
        found = self.find(repository, digest) if digest else tagged
        if not found:
            return "ImageNotFound"
        if tag and found is not tagged:
            return "ImageTagDoesNotMatchDigest"
        return found

    # Storage classes

    def change_storage_class(self, image: StoredImage, target: str) -> None:
        """Amazon ECR API Reference, UpdateImageStorageClass; restoring takes up to 20 minutes."""
        if (image.status, target) == (ACTIVE, "ARCHIVE"):
            self._archive(image)
        elif (image.status, target) == (ARCHIVED, "STANDARD"):
            self._restore(image)
        else:
            raise EcrRefusal(
                "ImageStorageClassUpdateNotSupportedException",
                f"The image is {image.status}; it cannot be moved to {target}",
            )

    def _archive(self, image: StoredImage) -> None:
        image.status, image.archived_at = ARCHIVED, self.now()

    def _restore(self, image: StoredImage) -> None:
        image.status = ACTIVATING

        def end() -> None:
            image.status, image.activated_at = ACTIVE, self.now()

        self.world.clock.later(self.world.delays.restoring, end)

    # Layers

    def initiate_layer_upload(
        self, repository_name: str, registry_id: str | None = None
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, InitiateLayerUpload: it creates on push, too."""
        self.pushed_to(repository_name, registry_id)
        return super().initiate_layer_upload(repository_name, registry_id)

    def upload_layer_part(  # noqa: PLR0917 - moto's signature
        self,
        repository_name: str,
        upload_id: str,
        part_first_byte: int,
        part_last_byte: int,
        layer_part_blob: bytes,
        registry_id: str | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, UploadLayerPart: at most 10 MiB, and all of the part."""
        size = len(layer_part_blob or b"")
        if size > _MOST_PART or size != part_last_byte - part_first_byte + 1:
            raise invalid("layerPartBlob", "must be the bytes that are named, at most 10 MiB")
        # Only the last part may be small: the part before is looked at when another comes.
        least = self._smallest_parts.get(upload_id, _LEAST_PART)
        if least < _LEAST_PART:
            raise EcrRefusal("LayerPartTooSmallException", "Layer parts must be at least 5 MiB")
        answer = super().upload_layer_part(
            repository_name,
            upload_id,
            part_first_byte,
            part_last_byte,
            layer_part_blob,
            registry_id,
        )
        self._smallest_parts[upload_id] = min(least, size)
        return answer

    def complete_layer_upload(
        self,
        repository_name: str,
        upload_id: str,
        layer_digests: list[str],
        registry_id: str | None = None,
    ) -> dict[str, Any]:
        """Amazon ECR API Reference, CompleteLayerUpload: the digest is that of the bytes."""
        repository = self._get_repository(repository_name, registry_id)
        upload = repository.uploads.get(upload_id)
        if upload is None:
            raise UploadNotFoundException(upload_id, repository_name, repository.registry_id)
        if not upload.layer_parts:
            raise EcrRefusal("EmptyUploadException", f"Upload {upload_id} has no parts")
        actual = f"sha256:{hashlib.sha256(bytes(upload.layer_parts)).hexdigest()}"
        if actual not in layer_digests:
            raise EcrRefusal("InvalidLayerException", f"The digest of the layer is {actual}")
        if actual in repository.layers:
            raise EcrRefusal("LayerAlreadyExistsException", f"{actual} is there already")
        return super().complete_layer_upload(repository_name, upload_id, layer_digests, registry_id)

    def download_url(self, repository_name: str, digest: str, registry_id: str | None) -> str:
        """Amazon ECR API Reference, GetDownloadUrlForLayer: of an image that can be pulled."""
        url = super().download_url(repository_name, digest, registry_id)
        repository = self._get_repository(repository_name, registry_id)
        holders = [each for each in self.stored(repository) if digest in each.blobs]
        if not any(each.status == ACTIVE for each in holders):
            raise EcrRefusal("LayerInaccessibleException", f"{digest} belongs to no active image")
        return url


def may_move(repository: Repository, tag: str) -> bool:
    """Amazon ECR User Guide, "Preventing image tags from being overwritten in Amazon ECR"."""
    filters = repository.image_tag_mutability_exclusion_filters or ()
    excluded = any(matches(tag, each["filter"]) for each in filters)
    return repository.image_tag_mutability.startswith("MUTABLE") != excluded


def _check_lifecycle_policy(text: str) -> None:
    if found := lifecycle_documents.offences(text):
        raise invalid("LifecyclePolicyText", "Lifecycle policy validation failure", *found)


def _as_seen(images: list[StoredImage]) -> list[dict[str, Any]]:
    return [{"imageTags": [], **image.detail(), "parts": image.parts} for image in images]


def _media_type(manifest: str, named: str | None) -> str:
    """Return the media type of a manifest, which it has itself or which the request names."""
    try:
        content = json.loads(manifest)
        own = content.get("mediaType")
    except (ValueError, AttributeError) as problem:
        raise invalid("imageManifest", "must be a JSON object with a mediaType") from problem
    if not own and not named:
        raise invalid(
            "imageManifest", "must have a mediaType, or imageManifestMediaType must be specified"
        )
    if own and named and own != named:
        raise invalid("imageManifestMediaType", f"is not the manifest's own, {own}")
    media_type = str(own or named)
    if media_type not in (*LISTS, *MANIFESTS):
        raise invalid("imageManifest", f"has the unsupported mediaType {media_type}")
    return media_type
