"""The operations of the embedded ECR, from request to answer.

Owns the answers, their pages, which images they hide, and the rate of requests. Reads requests,
ECR's API model and a registry. Never decides what a registry holds.

Each operation follows the page of its name in the Amazon ECR API Reference.
"""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, cast

from moto.core.base_backend import BackendDict
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.ecr import urls
from moto.ecr.exceptions import InvalidParameterException
from moto.ecr.models import ecr_backends

from sandbox.aws import principals, request_shapes
from sandbox.aws.cache_filling import fill
from sandbox.aws.pushing import PushingResponse
from sandbox.aws.refusals import invalid
from sandbox.aws.registry import Registry
from sandbox.aws.stored_images import ACTIVE, StoredImage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.core.common_types import TYPE_RESPONSE

    from sandbox.aws.world import World

_DEFAULT_PAGE = 100
_DEFAULT_REFERRERS = 50
_FAILURES = {
    "ImageInaccessible": "The image is archived or being restored, and cannot be pulled",
    "ImageNotFound": "Requested image not found",
    "ImageReferencedByManifestList": "Requested image referenced by manifest list",
    "ImageTagDoesNotMatchDigest": "The tag and the digest are of different images",
    "InvalidImageDigest": "Invalid request parameters: image digest should satisfy the regex "
    "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
    "InvalidImageTag": "Invalid request parameters: the image tag is not one",
    "MissingDigestAndTag": "Invalid request parameters: both tag and digest cannot be null",
}


@contextmanager
def extended_ecr(world: World) -> Iterator[None]:
    """Start from an empty AWS whose ECR is the one here; leave moto empty and as it was."""
    backend, paths = ecr_backends.backend, dict(urls.url_paths)
    BackendDict.reset()
    Registry.world = world
    RegistryResponse.credits.clear()
    ecr_backends.backend = Registry
    urls.url_paths.update(dict.fromkeys(paths, RegistryResponse.dispatch))
    try:
        yield
    finally:
        ecr_backends.backend = backend
        urls.url_paths.update(paths)
        BackendDict.reset()


class RegistryResponse(PushingResponse):
    """The operations, from the request to the answer."""

    credits: ClassVar[defaultdict[tuple[str, str, str], tuple[float, float]]] = defaultdict(
        lambda: (0.0, float("inf"))
    )

    def call_action(self) -> TYPE_RESPONSE:
        """Do what has fallen due, and refuse what ECR refuses before an operation sees it."""
        clock = Registry.world.clock
        # Moto serves requests on threads and its ECR iterates over dictionaries that others change.
        with clock.busy:
            clock.catch_up()
            operation = get_service_model("ecr").operation_model(self._get_action())
            if not self._has_credit(operation.name):
                # An error of every service, which is in no model of one.
                body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
                return HTTPStatus.BAD_REQUEST, {}, json.dumps(body)
            found = request_shapes.offences(operation.input_shape, json.loads(self.body or "{}"))
            if offences := "; ".join(found):
                return self.serialized(ActionResult(InvalidParameterException(offences)))
            return super().call_action()

    def _has_credit(self, operation: str) -> bool:
        """Take a request's credit: a second's worth is stored, and comes back by the second.

        Amazon ECR User Guide, "Troubleshooting Amazon ECR error messages", HTTP 429.
        """
        quotas, now = Registry.world.quotas, Registry.world.clock.now()
        rate = quotas.rates.get(operation)
        if not quotas.throttling or rate is None:
            return True
        key = (self.current_account, self.region, operation)
        seen, held = self.credits[key]
        held = min(rate, held + (now - seen) * rate)
        self.credits[key] = (now, held - 1 if held >= 1 else held)
        return held >= 1

    @property
    def registry(self) -> Registry:
        """The registry of the caller's account and region."""
        return cast("Registry", self.ecr_backend)

    def _request(self) -> dict[str, Any]:
        wanted: dict[str, Any] = json.loads(self.body or "{}")
        return wanted

    def _head(self) -> dict[str, str]:
        return {"registryId": self.registry.account_id}

    def _page(
        self, answer: ActionResult, result_key: str, chosen: str = "", most: int = _DEFAULT_PAGE
    ) -> ActionResult:
        token, asked = self._get_param("nextToken"), self._get_param("maxResults")
        if chosen and self._get_param(chosen):
            if token or asked:
                raise invalid("maxResults", f"cannot be used together with {chosen}")
            return answer
        if token and not token.isdecimal():
            raise invalid("nextToken", "is not a token of an earlier answer")
        whole = cast("dict[str, Any]", answer.result)
        start = int(token or 0)
        end = start + (asked or most)
        more = {"nextToken": str(end)} if end < len(whole[result_key]) else {}
        return ActionResult({**whole, result_key: whole[result_key][start:end], **more})

    # The registry

    def put_account_setting(self) -> ActionResult:
        """PutAccountSetting."""
        name, value = self._get_param("name"), self._get_param("value")
        self.registry.settings.put_account_setting(name, value)
        return ActionResult({"name": name, "value": value})

    def get_account_setting(self) -> ActionResult:
        """GetAccountSetting."""
        name = self._get_param("name")
        return ActionResult({"name": name, "value": self.registry.settings.account_setting(name)})

    def put_registry_scanning_configuration(self) -> ActionResult:
        """PutRegistryScanningConfiguration: both members are optional."""
        scan_type, rules = self._get_param("scanType", "BASIC"), self._get_param("rules", [])
        self.registry.put_registry_scanning_configuration(scan_type, rules)
        return ActionResult(
            {"registryScanningConfiguration": self.registry.registry_scanning_configuration}
        )

    def create_repository_creation_template(self) -> ActionResult:
        """CreateRepositoryCreationTemplate."""
        made = self.registry.settings.create_template(self._request())
        return ActionResult({**self._head(), "repositoryCreationTemplate": made})

    def update_repository_creation_template(self) -> ActionResult:
        """UpdateRepositoryCreationTemplate."""
        made = self.registry.settings.update_template(self._request())
        return ActionResult({**self._head(), "repositoryCreationTemplate": made})

    def delete_repository_creation_template(self) -> ActionResult:
        """DeleteRepositoryCreationTemplate."""
        gone = self.registry.settings.delete_template(self._get_param("prefix"))
        return ActionResult({**self._head(), "repositoryCreationTemplate": gone})

    def describe_repository_creation_templates(self) -> ActionResult:
        """DescribeRepositoryCreationTemplates: those of the prefixes that there are, or all in pages.

        Among its errors is none for a prefix without a template.
        """
        settings, chosen = self.registry.settings, self._get_param("prefixes")
        asked = {each.removesuffix("/") for each in chosen or settings.templates}
        templates = [each for prefix, each in settings.templates.items() if prefix in asked]
        answer = {**self._head(), "repositoryCreationTemplates": templates}
        return self._page(ActionResult(answer), "repositoryCreationTemplates", "prefixes")

    def create_pull_through_cache_rule(self) -> ActionResult:
        """CreatePullThroughCacheRule."""
        return ActionResult(self.registry.settings.create_cache_rule(self._request()))

    def update_pull_through_cache_rule(self) -> ActionResult:
        """UpdatePullThroughCacheRule."""
        return ActionResult(self.registry.settings.update_cache_rule(self._request()))

    def delete_pull_through_cache_rule(self) -> ActionResult:
        """DeletePullThroughCacheRule."""
        gone = self.registry.settings.cache_rule(self._get_param("ecrRepositoryPrefix"))
        del self.registry.settings.cache_rules[gone["ecrRepositoryPrefix"]]
        return ActionResult(gone)

    def describe_pull_through_cache_rules(self) -> ActionResult:
        """DescribePullThroughCacheRules: those of the prefixes, or all in pages."""
        settings, chosen = self.registry.settings, self._get_param("ecrRepositoryPrefixes")
        rules = settings.cache_rules.values() if not chosen else map(settings.cache_rule, chosen)
        answer = ActionResult({"pullThroughCacheRules": list(rules)})
        return self._page(answer, "pullThroughCacheRules", "ecrRepositoryPrefixes")

    def validate_pull_through_cache_rule(self) -> ActionResult:
        """ValidatePullThroughCacheRule: nothing is reached here, so a rule that stands is valid."""
        rule = self.registry.settings.cache_rule(self._get_param("ecrRepositoryPrefix"))
        return ActionResult({**rule, "isValid": True})

    def put_signing_configuration(self) -> ActionResult:
        """PutSigningConfiguration."""
        wanted = self._get_param("signingConfiguration")
        self.registry.settings.put_signing(wanted)
        return ActionResult({"signingConfiguration": wanted})

    def get_signing_configuration(self) -> ActionResult:
        """GetSigningConfiguration."""
        held = self.registry.settings.get_signing()
        return ActionResult({**self._head(), "signingConfiguration": held})

    def delete_signing_configuration(self) -> ActionResult:
        """DeleteSigningConfiguration."""
        held = self.registry.settings.get_signing()
        self.registry.settings.signing = None
        return ActionResult({**self._head(), "signingConfiguration": held})

    def register_pull_time_update_exclusion(self) -> ActionResult:
        """RegisterPullTimeUpdateExclusion."""
        principal = self._get_param("principalArn")
        self.registry.settings.exclude(principal)
        return ActionResult({"principalArn": principal, "createdAt": self.registry.now()})

    def deregister_pull_time_update_exclusion(self) -> ActionResult:
        """DeregisterPullTimeUpdateExclusion."""
        principal = self._get_param("principalArn")
        self.registry.settings.include(principal)
        return ActionResult({"principalArn": principal})

    def list_pull_time_update_exclusions(self) -> ActionResult:
        """ListPullTimeUpdateExclusions: pages of 100 unless told."""
        answer = ActionResult({"pullTimeUpdateExclusions": self.registry.settings.exclusions})
        return self._page(answer, "pullTimeUpdateExclusions")

    # Replication

    def describe_image_replication_status(self) -> ActionResult:
        """DescribeImageReplicationStatus."""
        name, image_id = self._get_param("repositoryName"), self._get_param("imageId")
        image = self.registry.image(name, image_id, self._get_param("registryId"))
        return ActionResult(
            {
                "repositoryName": name,
                "imageId": {**image_id, "imageDigest": image.image_digest},
                "replicationStatuses": self.registry.replication.statuses(image),
            }
        )

    def start_replication_backfill(self) -> ActionResult:
        """StartReplicationBackfill; the answer says that it is being prepared."""
        started = self.registry.replication.start_backfill(self._get_param("destination"))
        return ActionResult({**self._head(), **started.head()})

    def stop_replication_backfill(self) -> ActionResult:
        """StopReplicationBackfill."""
        identifier = self._get_param("replicationBackfillId")
        stopped = self.registry.replication.stop_backfill(identifier)
        return ActionResult({**self._head(), **stopped.head()})

    def list_replication_backfills(self) -> ActionResult:
        """ListReplicationBackfills: pages of 50 unless told."""
        found = [each.summary() for each in self.registry.replication.backfills()]
        answer = ActionResult({**self._head(), "backfills": found})
        return self._page(answer, "backfills", most=50)

    def describe_replication_backfill_results(self) -> ActionResult:
        """DescribeReplicationBackfillResults: single results once it has ended."""
        identifier, only = (
            self._get_param("replicationBackfillId"),
            self._get_param("resultStatusFilter"),
        )
        found = self.registry.replication.backfill(identifier)
        results = [
            each
            for each in found.results
            if found.ended_at is not None and only in (None, each["status"])
        ]
        answer = ActionResult({**self._head(), **found.summary(), "results": results})
        return self._page(answer, "results")

    # Image repositories and their policies

    def describe_repositories(self) -> ActionResult:
        """DescribeRepositories: pages of 100 unless told."""
        return self._page(super().describe_repositories(), "repositories", "repositoryNames")

    def start_lifecycle_policy_preview(self) -> ActionResult:
        """StartLifecyclePolicyPreview."""
        name, text = self._get_param("repositoryName"), self._get_param("lifecyclePolicyText")
        return ActionResult(self.registry.start_preview(name, text))

    def get_lifecycle_policy_preview(self) -> ActionResult:
        """GetLifecyclePolicyPreview: pages of 100 unless told."""
        whole = self.registry.preview(self._get_param("repositoryName"))
        chosen, only = self._get_param("imageIds"), self._get_param("filter", {}).get("tagStatus")
        results = [
            each
            for each in whole.get("previewResults", [])
            if _has_tag_status(each["imageTags"], only)
            and (not chosen or any(_is_named(each, by) for by in chosen))
        ]
        return self._page(
            ActionResult({**whole, "previewResults": results}), "previewResults", "imageIds"
        )

    # Images

    def put_image(self) -> ActionResult:
        """PutImage."""
        tag = self._get_param("imageTag")
        pushed = self.registry.put_image(
            self._get_param("repositoryName"),
            self._get_param("imageManifest"),
            tag,
            self._get_param("imageManifestMediaType"),
            self._get_param("imageDigest"),
        )
        return ActionResult({"image": _got(pushed, {"imageTag": tag} if tag else {})})

    def _visible(self) -> list[StoredImage]:
        """Return the images that a list shows: only ACTIVE ones unless the filter says otherwise.

        Amazon ECR API Reference, DescribeImagesFilter and ListImagesFilter.
        """
        repository = self.registry.describe_repositories(
            self._get_param("registryId"), [self._get_param("repositoryName")]
        )[0]
        only = self._get_param("filter", {})
        status = only.get("imageStatus", ACTIVE)
        return [
            each
            for each in self.registry.stored(repository)
            if status in ("ANY", each.status)
            and _has_tag_status(each.image_tags, only.get("tagStatus"))
        ]

    def list_images(self) -> ActionResult:
        """ListImages: pages of 100 unless told."""
        listed = [
            {"imageDigest": each.image_digest} | ({"imageTag": tag} if tag else {})
            for each in self._visible()
            for tag in each.image_tags or [""]
        ]
        return self._page(ActionResult({"imageIds": listed}), "imageIds")

    def describe_images(self) -> ActionResult:
        """DescribeImages: pages of 100 unless told; an image that is not shown is not found."""
        visible, name = self._visible(), self._get_param("repositoryName")
        chosen = self._get_param("imageIds")
        if chosen:
            named = [self.registry.image(name, each) for each in chosen]
            for image, asked in zip(named, chosen, strict=True):
                if image not in visible:
                    self.registry.image(name, {**asked, "imageTag": "is not shown"})
            visible = list(dict.fromkeys(named))
        answer = ActionResult({"imageDetails": [each.detail() for each in visible]})
        return self._page(answer, "imageDetails", "imageIds")

    def batch_get_image(self) -> ActionResult:
        """BatchGetImage: a pull, which is recorded unless the caller is excluded, and fills a cache."""
        name = self._get_param("repositoryName")
        fill(self.registry, name, self._get_param("imageIds"))
        (repository,) = self.registry.describe_repositories(self._get_param("registryId"), [name])
        caller = principals.caller(self.access_key, self.current_account)
        images, failures = [], []
        for asked in self._get_param("imageIds"):
            found = self.registry.identify(repository, asked)
            if isinstance(found, StoredImage) and found.status != ACTIVE:
                found = "ImageInaccessible"
            if isinstance(found, str):
                failures.append(_failure(asked, found))
                continue
            if caller not in self.registry.settings.exclusions:
                found.pulled_at = self.registry.now()
            images.append(_got(found, asked))
        return ActionResult({"images": images, "failures": failures})

    def batch_delete_image(self) -> ActionResult:
        """BatchDeleteImage: what a manifest list names is kept while the list is there."""
        name = self._get_param("repositoryName")
        (repository,) = self.registry.describe_repositories(self._get_param("registryId"), [name])
        listed = {part for each in self.registry.stored(repository) for part in each.parts}
        deleted, failures = [], []
        for asked in self._get_param("imageIds"):
            found = self.registry.identify(repository, asked)
            tags = [] if isinstance(found, str) else list(found.image_tags)
            if failure := self.registry.delete_image(repository, asked, listed):
                failures.append(_failure(asked, failure))
            elif isinstance(found, StoredImage):
                gone = [asked["imageTag"]] if "imageTag" in asked else tags or [""]
                deleted += [
                    {"imageDigest": found.image_digest} | ({"imageTag": tag} if tag else {})
                    for tag in gone
                ]
        return ActionResult({"imageIds": deleted, "failures": failures})

    def update_image_storage_class(self) -> ActionResult:
        """UpdateImageStorageClass."""
        name, asked = self._get_param("repositoryName"), self._get_param("imageId")
        image = self.registry.image(name, asked, self._get_param("registryId"))
        self.registry.change_storage_class(image, self._get_param("targetStorageClass"))
        return ActionResult(
            {
                **self._head(),
                "repositoryName": name,
                "imageId": {**asked, "imageDigest": image.image_digest},
                "imageStatus": image.status,
            }
        )

    def list_image_referrers(self) -> ActionResult:
        """ListImageReferrers: pages of 50 unless told; only ACTIVE ones unless the filter says so."""
        name, subject = self._get_param("repositoryName"), self._get_param("subjectId")
        (repository,) = self.registry.describe_repositories(self._get_param("registryId"), [name])
        only = self._get_param("filter", {})
        types, status = only.get("artifactTypes"), only.get("artifactStatus", ACTIVE)
        found = [
            {
                "digest": each.image_digest,
                "mediaType": each.image_manifest_media_type,
                "artifactType": each.artifact_type,
                "size": len(each.image_manifest.encode()),
                "annotations": each.annotations,
                "artifactStatus": each.status,
            }
            for each in self.registry.stored(repository)
            if each.subject == subject["imageDigest"]
            and status in ("ANY", each.status)
            and (not types or each.artifact_type in types)
        ]
        return self._page(ActionResult({"referrers": found}), "referrers", most=_DEFAULT_REFERRERS)

    # Scanning

    def start_image_scan(self) -> ActionResult:
        """StartImageScan."""
        name, asked = self._get_param("repositoryName"), self._get_param("imageId")
        image = self.registry.image(name, asked, self._get_param("registryId"))
        return ActionResult(
            {
                **self._head(),
                "repositoryName": name,
                "imageId": {**asked, "imageDigest": image.image_digest},
                "imageScanStatus": self.registry.scanning.start(image),
            }
        )

    def describe_image_scan_findings(self) -> ActionResult:
        """DescribeImageScanFindings: pages of 100 findings unless told."""
        name, asked = self._get_param("repositoryName"), self._get_param("imageId")
        image = self.registry.image(name, asked, self._get_param("registryId"))
        answer = self.registry.scanning.described(image, asked)
        found = answer.get("imageScanFindings")
        if not found:
            return ActionResult(answer)
        key = "findings" if "findings" in found else "enhancedFindings"
        page = cast("dict[str, Any]", self._page(ActionResult(found), key).result)
        more = {"nextToken": page.pop("nextToken")} if "nextToken" in page else {}
        return ActionResult({**answer, "imageScanFindings": page, **more})


def _has_tag_status(tags: list[str], wanted: str | None) -> bool:
    return wanted in (None, "ANY", "TAGGED" if tags else "UNTAGGED")


def _is_named(result: dict[str, Any], by: dict[str, str]) -> bool:
    tag = by.get("imageTag")
    return by.get("imageDigest") in (None, result["imageDigest"]) and (
        tag is None or tag in result["imageTags"]
    )


def _got(image: StoredImage, asked: dict[str, str]) -> dict[str, Any]:
    return {
        "registryId": image.registry_id,
        "repositoryName": image.repository_name,
        "imageId": {**asked, "imageDigest": image.image_digest},
        "imageManifest": image.image_manifest,
        "imageManifestMediaType": image.image_manifest_media_type,
    }


def _failure(asked: dict[str, str], code: str) -> dict[str, Any]:
    return {"imageId": asked, "failureCode": code, "failureReason": _FAILURES[code]}
