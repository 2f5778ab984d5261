"""Rules about images: pushing, tags, pulling, deleting, listing, archiving and layers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from sandbox.aws.rules.table import (
    IMAGE,
    INDEX,
    OTHER,
    Operation,
    Page,
    Stage,
    holds,
    manifest,
    refuses,
)
from sandbox.aws.world import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

_PUT = Operation("PutImage")
_DELETE = Operation("BatchDeleteImage")
_GET = Operation("BatchGetImage")
_FILTER = Operation("DescribeImagesFilter")
_STORAGE = Operation("UpdateImageStorageClass")
_NOWHERE = f"sha256:{'0' * 64}"


def _put(stage: Stage, **asked: Any) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.put_image(repositoryName="api", **asked)


@refuses(_PUT, "an image for a repository that is not there", "RepositoryNotFoundException")
def push_to_nowhere(stage: Stage) -> Callable[[], object]:
    return lambda: stage.push("v1")


@refuses(_PUT, "a manifest without a mediaType, when the request names none either")
def no_media_type(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(mediaType=None), imageTag="v1")


@refuses(_PUT, "a manifest of a mediaType that is no image's")
def unknown_media_type(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(mediaType="text/plain"), imageTag="v1")


@refuses(_PUT, "an imageManifestMediaType that is not the manifest's")
def media_types_that_differ(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(), imageManifestMediaType=INDEX)


@refuses(_PUT, "a manifest that is not JSON")
def manifest_that_is_not_json(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest="first", imageManifestMediaType=IMAGE)


@refuses(_PUT, "a digest that is not the manifest's", "ImageDigestDoesNotMatchException")
def wrong_digest(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(), imageDigest=_NOWHERE)


@refuses(_PUT, "a tag with a character that no tag has")
def tag_with_a_slash(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(), imageTag="v1/2")


@refuses(_PUT, "a tag of 129 characters")
def tag_too_long(stage: Stage) -> Callable[[], object]:
    return _put(stage, imageManifest=manifest(), imageTag="v" * 129)


@refuses(_PUT, "an image that is there with the same tag", "ImageAlreadyExistsException")
def the_same_image_again(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push("v1")
    return lambda: stage.push("v1")


@refuses(_PUT, "an image that is there, without a tag", "ImageAlreadyExistsException")
def the_same_image_without_a_tag(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.push("v1")
    return stage.push


@refuses(_PUT, "a manifest list of an image that is not there", "ReferencedImagesNotFoundException")
def list_of_nothing(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.push_list("v1", _NOWHERE)


@refuses(_PUT, "a manifest with a layer that was not uploaded", "LayersNotFoundException")
def layer_that_is_not_there(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.push("v1", layers=[{"digest": _NOWHERE}])


@refuses(_PUT, "a manifest whose configuration was not uploaded", "LayersNotFoundException")
def configuration_that_is_not_there(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.push("v1", config={"digest": _NOWHERE})


@refuses(Page.QUOTAS, "one image more than the quota of a repository", "LimitExceededException")
def too_many_images(stage: Stage) -> Callable[[], object]:
    stage.world.quotas.images = 1
    stage.repository()
    stage.push("v1")
    return lambda: stage.push("v2", "second")


@refuses(Page.QUOTAS, "one tag more than the quota of an image", "LimitExceededException")
def too_many_tags_of_an_image(stage: Stage) -> Callable[[], object]:
    stage.world.quotas.tags_of_an_image = 1
    stage.repository()
    stage.push("v1")
    return lambda: stage.push("v2")


# Tags that may not move


def _move(stage: Stage, tag: str, mutability: str, *filters: str) -> Callable[[], object]:
    named = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    excluded: dict[str, Any] = {"imageTagMutabilityExclusionFilters": named} if named else {}
    stage.repository(imageTagMutability=mutability, **excluded)
    stage.push(tag)
    return lambda: stage.push(tag, "second")


@refuses(
    Page.IMMUTABILITY, "moving a tag where tags are IMMUTABLE", "ImageTagAlreadyExistsException"
)
def move_an_immutable_tag(stage: Stage) -> Callable[[], object]:
    return _move(stage, "v1", "IMMUTABLE")


@refuses(
    Page.IMMUTABILITY,
    "moving a tag outside the filters of IMMUTABLE_WITH_EXCLUSION",
    "ImageTagAlreadyExistsException",
)
def move_a_tag_outside_the_exclusion(stage: Stage) -> Callable[[], object]:
    return _move(stage, "v1", "IMMUTABLE_WITH_EXCLUSION", "cache-*")


@refuses(
    Page.IMMUTABILITY,
    "moving a tag inside the filters of MUTABLE_WITH_EXCLUSION",
    "ImageTagAlreadyExistsException",
)
def move_a_tag_inside_the_exclusion(stage: Stage) -> Callable[[], object]:
    return _move(stage, "v1", "MUTABLE_WITH_EXCLUSION", "v*")


@refuses(
    Page.IMMUTABILITY,
    "moving a tag that only a wildcard of another kind would exclude",
    "InvalidParameterException",
)
def a_question_mark_is_no_wildcard(stage: Stage) -> Callable[[], object]:
    named = [{"filterType": "WILDCARD", "filter": "v?"}]
    return lambda: stage.repository(
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=named
    )


@refuses(
    Page.ARCHIVING,
    "moving an immutable tag off an archived image",
    "ImageTagAlreadyExistsException",
)
def move_a_tag_off_an_archived_image(stage: Stage) -> Callable[[], object]:
    stage.repository(imageTagMutability="IMMUTABLE")
    stage.archive(stage.push("v1"))
    return lambda: stage.push("v1", "second")


@holds(_PUT, "a tag that moves leaves its old image untagged, and does not delete it")
def a_moved_tag_leaves_an_image(stage: Stage) -> bool:
    stage.repository()
    old, new = stage.push("v1"), stage.push("v1", "second")
    return stage.tags() == {old: [], new: ["v1"]}


# Deleting


@holds(_DELETE, "a part of a manifest list is not deleted while the list is there")
def delete_a_part_of_a_list(stage: Stage) -> bool:
    stage.repository()
    part = stage.push()
    stage.push_list("v1", part)
    failed = stage.failures({"imageDigest": part}) == ["ImageReferencedByManifestList"]
    return failed and part in stage.tags()


@holds(_DELETE, "a part is not deleted by its last tag while the list is there")
def delete_a_part_by_its_tag(stage: Stage) -> bool:
    stage.repository()
    part = stage.push("amd64")
    stage.push_list("v1", part)
    failed = stage.failures({"imageTag": "amd64"}) == ["ImageReferencedByManifestList"]
    return failed and part in stage.tags()


@holds(_DELETE, "a list and its parts are not deleted by one request")
def delete_a_list_with_its_parts(stage: Stage) -> bool:
    stage.repository()
    part = stage.push()
    whole = stage.push_list("v1", part)
    failures = stage.failures({"imageDigest": whole}, {"imageDigest": part})
    return failures == ["ImageReferencedByManifestList"] and list(stage.tags()) == [part]


@refuses(_DELETE, "deleting 101 images by one request")
def delete_too_many(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.failures(*({"imageTag": f"v{n}"} for n in range(101)))


@holds(_DELETE, "an identifier without tag and digest is not deleted")
def delete_nothing(stage: Stage) -> bool:
    stage.repository()
    return stage.failures({}) == ["MissingDigestAndTag"]


@holds(_DELETE, "an image that is not there is not deleted")
def delete_what_is_not_there(stage: Stage) -> bool:
    stage.repository()
    return stage.failures({"imageTag": "v1"}, {"imageDigest": _NOWHERE}) == ["ImageNotFound"] * 2


@holds(_DELETE, "a digest that is malformed is not looked for")
def delete_a_malformed_digest(stage: Stage) -> bool:
    stage.repository()
    return stage.failures({"imageDigest": "sha256:1"}) == ["InvalidImageDigest"]


@holds(_DELETE, "a tag together with the digest of another image is not deleted")
def delete_a_tag_of_another_image(stage: Stage) -> bool:
    stage.repository()
    first, second = stage.push("v1"), stage.push("v2", "second")
    failures = stage.failures({"imageTag": "v1", "imageDigest": second})
    return failures == ["ImageTagDoesNotMatchDigest"] and set(stage.tags()) == {first, second}


@holds(_DELETE, "an image goes with its last tag, and stays while it has another")
def delete_the_last_tag(stage: Stage) -> bool:
    stage.repository()
    digest = stage.push("v1")
    stage.push("v2")
    stage.failures({"imageTag": "v1"})
    kept = stage.tags() == {digest: ["v2"]}
    stage.failures({"imageTag": "v2"})
    return kept and stage.tags() == {}


@holds(Page.DELETING, "what refers to an image that was deleted goes within a day")
def referrers_go_after_their_subject(stage: Stage) -> bool:
    stage.repository()
    subject = stage.push("v1")
    signature = stage.push("", "signature", subject={"mediaType": IMAGE, "digest": subject})
    stage.failures({"imageDigest": subject})
    there = list(stage.tags()) == [signature]
    stage.world.clock.move(days=1)
    return there and stage.tags() == {}


# What is hidden


@holds(_FILTER, "DescribeImages hides archived images unless it is asked for them")
def described_archived_images_are_hidden(stage: Stage) -> bool:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    shown = [list(stage.tags(filter={"imageStatus": each})) for each in ("ARCHIVED", "ANY")]
    return stage.tags() == {} and shown == [[digest], [digest]]


@holds(Operation("ListImagesFilter"), "ListImages hides archived images unless asked for them")
def listed_archived_images_are_hidden(stage: Stage) -> bool:
    stage.repository()
    stage.archive(stage.push("v1"))
    plain = stage.ecr.list_images(repositoryName="api")["imageIds"]
    asked = stage.ecr.list_images(repositoryName="api", filter={"imageStatus": "ARCHIVED"})
    return plain == [] and len(asked["imageIds"]) == 1


@holds(_FILTER, "an image that is being restored is hidden like an archived one")
def restoring_images_are_hidden(stage: Stage) -> bool:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    stage.restore(digest)
    hidden = [stage.tags(), stage.tags(filter={"imageStatus": "ARCHIVED"})]
    return hidden == [{}, {}] and list(stage.tags(filter={"imageStatus": "ACTIVATING"})) == [digest]


@refuses(
    _FILTER, "describing an archived image by its tag without the filter", "ImageNotFoundException"
)
def describe_an_archived_image(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.archive(stage.push("v1"))
    return lambda: stage.tags(imageIds=[{"imageTag": "v1"}])


@holds(_FILTER, "a filter on TAGGED hides untagged images, and the other way round")
def tag_status_hides(stage: Stage) -> bool:
    stage.repository()
    tagged, untagged = stage.push("v1"), stage.push("", "second")
    shown = [list(stage.tags(filter={"tagStatus": each})) for each in ("TAGGED", "UNTAGGED")]
    return shown == [[tagged], [untagged]]


@holds(Operation("ListImageReferrers"), "archived referrers are hidden unless asked for")
def archived_referrers_are_hidden(stage: Stage) -> bool:
    stage.repository()
    subject = stage.push("v1")
    stage.archive(stage.push("", "signature", subject={"mediaType": IMAGE, "digest": subject}))
    asked = {"repositoryName": "api", "subjectId": {"imageDigest": subject}}
    plain = stage.ecr.list_image_referrers(**asked)["referrers"]
    every = stage.ecr.list_image_referrers(**asked, filter={"artifactStatus": "ANY"})["referrers"]
    return plain == [] and len(every) == 1


@holds(Operation("DescribeImages"), "DescribeImages says nothing of scans by AWS_NATIVE scanning")
def scans_are_not_described_with_images(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    stage.ecr.start_image_scan(repositoryName="api", imageId={"imageTag": "v1"})
    stage.world.clock.move(seconds=MINUTE)
    (detail,) = stage.ecr.describe_images(repositoryName="api")["imageDetails"]
    return not {"imageScanStatus", "imageScanFindingsSummary"} & detail.keys()


@holds(Operation("DescribeImages"), "more than 100 images in one answer are hidden")
def images_come_in_pages(stage: Stage) -> bool:
    stage.repository()
    for number in range(101):
        stage.push("", str(number))
    answer = stage.ecr.describe_images(repositoryName="api")
    return len(answer["imageDetails"]) == 100 and "nextToken" in answer


# Archiving


@holds(Page.ARCHIVING, "an archived image is not pulled")
def pull_an_archived_image(stage: Stage) -> bool:
    stage.repository()
    stage.archive(stage.push("v1"))
    return stage.failures({"imageTag": "v1"}, operation="batch_get_image") == ["ImageInaccessible"]


@holds(Page.ARCHIVING, "an image that is being restored is not pulled")
def pull_a_restoring_image(stage: Stage) -> bool:
    stage.repository()
    stage.restore(stage.archive(stage.push("v1")))
    return stage.failures({"imageTag": "v1"}, operation="batch_get_image") == ["ImageInaccessible"]


@holds(Page.ARCHIVING, "restoring takes its time, and is dated when it ends")
def restoring_takes_time(stage: Stage) -> bool:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    stage.restore(digest)
    stage.world.clock.move(seconds=19 * MINUTE)
    waiting = stage.statuses() == {digest: "ACTIVATING"}
    stage.world.clock.move(seconds=MINUTE)
    (detail,) = stage.ecr.describe_images(repositoryName="api")["imageDetails"]
    return waiting and "lastActivatedAt" in detail


@holds(Page.ARCHIVING, "pushing an archived image again restores it")
def push_an_archived_image(stage: Stage) -> bool:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    stage.push("v1")
    return stage.statuses() == {digest: "ACTIVATING"}


@refuses(_STORAGE, "archiving an archived image", "ImageStorageClassUpdateNotSupportedException")
def archive_twice(stage: Stage) -> Callable[[], object]:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    return lambda: stage.archive(digest)


@refuses(
    _STORAGE, "restoring an image that is active", "ImageStorageClassUpdateNotSupportedException"
)
def restore_what_is_active(stage: Stage) -> Callable[[], object]:
    stage.repository()
    digest = stage.push("v1")
    return lambda: stage.restore(digest)


@refuses(
    _STORAGE,
    "archiving an image that is being restored",
    "ImageStorageClassUpdateNotSupportedException",
)
def archive_while_restoring(stage: Stage) -> Callable[[], object]:
    stage.repository()
    digest = stage.archive(stage.push("v1"))
    stage.restore(digest)
    return lambda: stage.archive(digest)


@refuses(_STORAGE, "archiving an image that is not there", "ImageNotFoundException")
def archive_what_is_not_there(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.archive(_NOWHERE)


# Pulling


@holds(_GET, "an image that is not there is not pulled")
def pull_what_is_not_there(stage: Stage) -> bool:
    stage.repository()
    return stage.failures({"imageTag": "v1"}, operation="batch_get_image") == ["ImageNotFound"]


@refuses(_GET, "pulling 101 images by one request")
def pull_too_many(stage: Stage) -> Callable[[], object]:
    stage.repository()
    asked = [{"imageTag": f"v{n}"} for n in range(101)]
    return lambda: stage.failures(*asked, operation="batch_get_image")


def _pulled_at(stage: Stage) -> object:
    (detail,) = stage.ecr.describe_images(repositoryName="api")["imageDetails"]
    return detail.get("lastRecordedPullTime")


@holds(Page.EXCLUSIONS, "every BatchGetImage counts as a pull, whoever only looks")
def every_read_is_a_pull(stage: Stage) -> bool:
    stage.repository()
    stage.push("v1")
    never = _pulled_at(stage)
    stage.failures({"imageTag": "v1"}, operation="batch_get_image")
    first = _pulled_at(stage)
    stage.world.clock.move(days=2)
    stage.failures({"imageTag": "v1"}, operation="batch_get_image")
    return never is None and first is not None and _pulled_at(stage) != first


@holds(Page.EXCLUSIONS, "no pull is recorded of a role that is excluded, and of others it is")
def pulls_of_an_excluded_role(stage: Stage) -> bool:
    reader = stage.client("ecr", OTHER)
    reader.create_repository(repositoryName="api")
    stage.push("v1", ecr=reader)
    reader.register_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{OTHER}:role/rules")
    reader.batch_get_image(repositoryName="api", imageIds=[{"imageTag": "v1"}])
    (detail,) = reader.describe_images(repositoryName="api")["imageDetails"]
    reader.deregister_pull_time_update_exclusion(principalArn=f"arn:aws:iam::{OTHER}:role/rules")
    reader.batch_get_image(repositoryName="api", imageIds=[{"imageTag": "v1"}])
    (after,) = reader.describe_images(repositoryName="api")["imageDetails"]
    return "lastRecordedPullTime" not in detail and "lastRecordedPullTime" in after


# Layers


def _upload(stage: Stage, *parts: bytes, digest: str = "") -> Callable[[], object]:
    """Upload parts, and return what completes the upload."""
    upload = stage.ecr.initiate_layer_upload(repositoryName="api")["uploadId"]
    first = 0
    for part in parts:
        stage.ecr.upload_layer_part(
            repositoryName="api",
            uploadId=upload,
            partFirstByte=first,
            partLastByte=first + len(part) - 1,
            layerPartBlob=part,
        )
        first += len(part)
    actual = digest or f"sha256:{hashlib.sha256(b''.join(parts)).hexdigest()}"
    return lambda: stage.ecr.complete_layer_upload(
        repositoryName="api", uploadId=upload, layerDigests=[actual]
    )


@refuses(
    Operation("CompleteLayerUpload"), "a layer whose digest is another", "InvalidLayerException"
)
def layer_of_another_digest(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return _upload(stage, b"layer", digest=_NOWHERE)


@refuses(Operation("CompleteLayerUpload"), "a layer without parts", "EmptyUploadException")
def layer_without_parts(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return _upload(stage)


@refuses(
    Operation("CompleteLayerUpload"), "a layer that is there already", "LayerAlreadyExistsException"
)
def layer_uploaded_twice(stage: Stage) -> Callable[[], object]:
    stage.repository()
    _upload(stage, b"layer")()
    return _upload(stage, b"layer")


@refuses(
    Operation("CompleteLayerUpload"), "an upload that was not begun", "UploadNotFoundException"
)
def upload_that_was_not_begun(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.complete_layer_upload(
        repositoryName="api",
        uploadId="0" * 8 + "-0000-0000-0000-" + "0" * 12,
        layerDigests=[_NOWHERE],
    )


@refuses(Page.QUOTAS, "a layer part below 5 MiB that is not the last", "LayerPartTooSmallException")
def small_part_before_the_last(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: _upload(stage, b"layer", b"more")


@refuses(
    Operation("UploadLayerPart"), "a layer part that leaves a gap", "InvalidLayerPartException"
)
def part_that_leaves_a_gap(stage: Stage) -> Callable[[], object]:
    stage.repository()
    upload = stage.ecr.initiate_layer_upload(repositoryName="api")["uploadId"]
    return lambda: stage.ecr.upload_layer_part(
        repositoryName="api",
        uploadId=upload,
        partFirstByte=1,
        partLastByte=1,
        layerPartBlob=b"a",
    )


@refuses(
    Operation("GetDownloadUrlForLayer"), "a layer that is not there", "LayersNotFoundException"
)
def download_what_is_not_there(stage: Stage) -> Callable[[], object]:
    stage.repository()
    return lambda: stage.ecr.get_download_url_for_layer(repositoryName="api", layerDigest=_NOWHERE)


def _layered(stage: Stage) -> tuple[str, str]:
    """Push an image of one layer, and return both digests."""
    stage.repository()
    _upload(stage, b"layer")()
    layer = f"sha256:{hashlib.sha256(b'layer').hexdigest()}"
    return stage.push("v1", layers=[{"digest": layer}]), layer


@refuses(
    Operation("GetDownloadUrlForLayer"),
    "a layer that belongs to no image",
    "LayerInaccessibleException",
)
def download_of_no_image(stage: Stage) -> Callable[[], object]:
    digest, layer = _layered(stage)
    stage.failures({"imageDigest": digest})
    return lambda: stage.ecr.get_download_url_for_layer(repositoryName="api", layerDigest=layer)


@refuses(
    Page.ARCHIVING, "a layer that belongs to archived images only", "LayerInaccessibleException"
)
def download_of_an_archived_image(stage: Stage) -> Callable[[], object]:
    digest, layer = _layered(stage)
    stage.archive(digest)
    return lambda: stage.ecr.get_download_url_for_layer(repositoryName="api", layerDigest=layer)


# How often


@refuses(Page.COMMON_ERRORS, "more requests than the rate of an operation", "ThrottlingException")
def more_requests_than_the_rate(stage: Stage) -> Callable[[], object]:
    stage.repository()
    stage.world.quotas.throttling = True
    stage.world.quotas.rates = {"BatchGetImage": 0.001}
    return lambda: stage.failures({"imageTag": "v1"}, operation="batch_get_image")
