"""What a registry holds, as commands read it: image repositories, images, manifests, policies.

Owns the calls that read ECR, and their pages. Every function takes the client of one registry, and
raises EstateError where AWS refuses. Changes nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ecr.aws.session import aws_errors_as, is_refusal
from ecr.errors import EstateError
from ecr.images.image import LISTS, MANIFESTS, Image, image_of
from ecr.images.manifest import parse_manifest

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

IMAGES_A_REQUEST = 100
"""Images of one BatchGetImage request (Amazon ECR API Reference, "BatchGetImage")."""

PAGES: Any = {"PageSize": 1000}
"""The most that one page holds, of image repositories, images and findings (Amazon ECR API
Reference, "DescribeRepositories", "DescribeImages", "DescribeImageScanFindings")."""


def names_of(ecr: "ECRClient") -> list[str]:
    """Return the names of all image repositories of a registry."""
    with aws_errors_as("listing image repositories"):
        pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig=PAGES)
        return [each["repositoryName"] for page in pages for each in page["repositories"]]


def creations_of(ecr: "ECRClient") -> dict[str, float]:
    """Return when each image repository of a registry was made, in seconds since 1970, by its name."""
    with aws_errors_as("listing image repositories"):
        pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig=PAGES)
        return {
            each["repositoryName"]: each["createdAt"].timestamp()
            for page in pages
            for each in page["repositories"]
        }


def each_detail(ecr: "ECRClient", name: str) -> Iterator[Any]:
    """Yield ECR's description of each image of an image repository, whatever its status.

    Without the filter ECR leaves out what is archived, or being restored (Amazon ECR API Reference,
    "DescribeImagesFilter"). No more than one page is held.
    """
    with aws_errors_as(f"reading the images of {name}"):
        paginator = ecr.get_paginator("describe_images")
        pages = paginator.paginate(
            repositoryName=name, filter={"imageStatus": "ANY"}, PaginationConfig=PAGES
        )
        for page in pages:
            yield from page["imageDetails"]


def details_of(ecr: "ECRClient", name: str) -> list[Any]:
    """Return ECR's description of each image of an image repository, whatever its status."""
    return list(each_detail(ecr, name))


def is_index(detail: Mapping[str, Any]) -> bool:
    """Return whether ECR describes an image index: a manifest that names other manifests."""
    return detail.get("imageManifestMediaType") in LISTS


def images_of(ecr: "ECRClient", name: str) -> list[Image]:
    """Return the images of an image repository, image indexes with their parts."""
    return with_parts(ecr, name, described_images(ecr, name))


def described_images(ecr: "ECRClient", name: str) -> list[Image]:
    """Return the images of an image repository; of image indexes the parts are not known.

    No manifest is read: to ECR reading one is a pull, by which it would seem to be in use.
    """
    return [image_of(detail) for detail in details_of(ecr, name)]


def with_parts(ecr: "ECRClient", name: str, images: Iterable[Image]) -> list[Image]:
    """Return the images, with the parts of the image indexes that can be pulled.

    Those of an archived index, and of one that is no manifest, stay unknown.
    """
    read: dict[str, tuple[str, ...]] = {}
    held = list(images)
    unread = [each.digest for each in held if each.parts is None and each.pullable]
    for digest, text in manifests_of(ecr, name, unread).items():
        try:
            read[digest] = tuple(part.digest for part in parse_manifest(text).parts)
        except ValueError:
            continue
    return [each._replace(parts=read.get(each.digest, each.parts)) for each in held]


def stored_manifest(ecr: "ECRClient", name: str, digest: str) -> tuple[str, str]:
    """Return the text of one image's manifest as it was pushed, and its media type.

    Raises EstateError where the image is gone.
    """
    with aws_errors_as(f"reading the manifest of {name}@{digest}"):
        answer = ecr.batch_get_image(
            repositoryName=name,
            imageIds=[{"imageDigest": digest}],
            acceptedMediaTypes=list(MANIFESTS),
        )
    for image in answer["images"]:
        return image["imageManifest"], image["imageManifestMediaType"]
    raise EstateError(
        "An image is gone.", [f"{name}@{digest}: ECR did not return its manifest; look again"]
    )


def images_if_there(ecr: "ECRClient", name: str) -> list[Image] | None:
    """Return the images as `described_images` does; None where there is no such image repository."""
    try:
        return described_images(ecr, name)
    except EstateError as error:
        if is_refusal(error, "RepositoryNotFoundException"):
            return None
        raise


def manifests_of(ecr: "ECRClient", name: str, digests: Sequence[str]) -> dict[str, str]:
    """Return the manifests of images by digest, as they were pushed; what is gone is left out.

    Raises EstateError for a manifest that is there and cannot be read: without it, what an image
    index names would pass for what nothing names.
    """
    found: dict[str, str] = {}
    unread: list[str] = []
    for start in range(0, len(digests), IMAGES_A_REQUEST):
        wanted = digests[start : start + IMAGES_A_REQUEST]
        with aws_errors_as(f"reading manifests of {name}"):
            answer = ecr.batch_get_image(
                repositoryName=name,
                imageIds=[{"imageDigest": digest} for digest in wanted],
                acceptedMediaTypes=list(MANIFESTS),
            )
        found |= {
            each["imageId"]["imageDigest"]: each["imageManifest"] for each in answer["images"]
        }
        why = {
            each.get("imageId", {}).get("imageDigest"): each.get("failureCode", "")
            for each in answer.get("failures", ())
        }
        unread += [
            f"{name}@{digest}: its manifest cannot be read ({why.get(digest, 'no answer')})"
            for digest in wanted
            if digest not in found and why.get(digest) != "ImageNotFound"
        ]
    if unread:
        raise EstateError("ECR did not return every manifest; run the command again.", unread)
    return found


def policy_of(ecr: "ECRClient", name: str) -> str | None:
    """Return the text of an image repository's lifecycle policy; None where it has none."""
    with aws_errors_as(f"reading the lifecycle policy of {name}"):
        try:
            return ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
        except ecr.exceptions.LifecyclePolicyNotFoundException:
            return None
