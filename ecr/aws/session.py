"""AWS as the operator's commands see it: which registries there are, and clients for each.

Owns credentials by account, the reading of images, and how a failure is said. Reads the stack's
outputs, and AWS's API through boto3, which is imported only when a command needs it. Changes nothing
in AWS: that is up to the command. No deployment uses it. Throttled calls are tried again by boto3.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.engine.outputs import Outputs
from ecr.errors import EstateError
from ecr.lifecycle.simulator import Image, image_of
from ecr.registry.registry import ImageReference, Registry

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

LISTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types of manifests that name other manifests."""

MANIFESTS = (
    *LISTS,
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

BATCH = 100
"""Images of one BatchGetImage request (Amazon ECR API Reference)."""


@dataclass(frozen=True, slots=True)
class Estate:
    """What a command is to look at.

    ``placements`` and ``replicas`` map names to the registries that hold them; they are empty where
    registries were given one by one.
    """

    registries: tuple[Registry, ...]
    placements: Mapping[str, tuple[Registry, ...]] = field(default_factory=dict)
    replicas: Mapping[str, tuple[Registry, ...]] = field(default_factory=dict)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command learns of the registries, and gets into them."""
    which = parser.add_argument_group("registries")
    which.add_argument(
        "--outputs",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="all registries of the stack, from what `pulumi stack output --json` printed; of an "
        "estate of several stacks, give the file of each",
    )
    which.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="ACCOUNT/REGION",
        help="one registry; may be given several times",
    )
    which.add_argument(
        "--role-name",
        metavar="NAME",
        help="the role to assume in each account; without it the environment's credentials are used",
    )


def configure_names(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command is kept to some of a registry's image repositories."""
    parser.add_argument(
        "--repository",
        action="append",
        metavar="NAME",
        help="of a registry only this image repository; may be given several times",
    )


def read_estate(options: argparse.Namespace) -> Estate:
    """Give the registries that the options name. Raises EstateError where there is none."""
    parts = [*map(_estate_of, options.outputs), Estate(registries_of(options.registry))]
    estate = Estate(
        tuple(dict.fromkeys(chain.from_iterable(part.registries for part in parts))),
        {name: held for part in parts for name, held in part.placements.items()},
        {name: held for part in parts for name, held in part.replicas.items()},
    )
    if not estate.registries:
        raise EstateError(
            "No registry is named.",
            ["give --outputs with a file of `pulumi stack output --json`, or --registry"],
        )
    return estate


def registries_of(texts: Iterable[str]) -> tuple[Registry, ...]:
    """Read "ACCOUNT/REGION" of each text, once. Raises EstateError."""
    return tuple(map(Registry.parse, dict.fromkeys(texts)))


def _estate_of(file: Path) -> Estate:
    outputs = Outputs.read(file)
    return Estate(
        outputs.registries, _located(outputs.image_repositories), _located(outputs.replicas)
    )


def _located(urls: Mapping[str, Sequence[str]]) -> dict[str, tuple[Registry, ...]]:
    found = {name: [ImageReference.parse(url) for url in each] for name, each in urls.items()}
    return {name: tuple(one.registry for one in each if one) for name, each in found.items()}


class Aws:
    """Clients by service and registry, with the credentials of the registry's account.

    The endpoint, the credentials and the Region come from the environment as boto3 takes them. The
    role to assume is the one called ``role_name`` in every account, or that of ``roles``, ARNs by
    account. An account is only worked in with credentials that are its own.
    """

    def __init__(
        self, role_name: str | None = None, *, roles: Mapping[str, str] | None = None
    ) -> None:
        try:
            import boto3  # noqa: PLC0415 - see the module's docstring
            from botocore.config import Config  # noqa: PLC0415
        except ImportError:
            raise EstateError(
                "boto3 is not installed.",
                ["commands that ask AWS need it: install the project's extra `sandbox`, or boto3"],
            ) from None
        self._role_name = role_name
        self._roles = roles or {}
        self._boto3 = boto3
        self._once = Config(retries={"total_max_attempts": 1})
        self._retries = Config(retries={"mode": "adaptive", "max_attempts": 10})
        self._session = cache(self._open)
        self.client: Callable[[str, Registry], Any] = cache(self._client)

    def ecr(self, registry: Registry) -> "ECRClient":
        """Give the client of one registry."""
        client: ECRClient = self.client("ecr", registry)
        return client

    def ecr_once(self, registry: Registry) -> "ECRClient":
        """Give a client that tries once: boto3 takes ECR's daily limit of scans for throttling."""
        client: ECRClient = self._client("ecr", registry, self._once)
        return client

    def _client(self, service: str, registry: Registry, config: Any = None) -> Any:  # noqa: ANN401 - a service's client
        with explained(f"connecting to {service} of {registry.key}"):
            session = self._session(registry.account, registry.partition, registry.region)
            return session.client(
                service, region_name=registry.region, config=config or self._retries
            )

    def _open(self, account: str, partition: str, region: str) -> Any:  # noqa: ANN401 - boto3's
        own = self._boto3.Session()
        sts = own.client("sts", region_name=region, config=self._retries)
        role = self._roles.get(account)
        if self._role_name:
            role = f"arn:{partition}:iam::{account}:role/{self._role_name}"
        if role:
            with explained(f"assuming {role}"):
                given = sts.assume_role(RoleArn=role, RoleSessionName="ecr-estate")["Credentials"]
            return self._boto3.Session(
                aws_access_key_id=given["AccessKeyId"],
                aws_secret_access_key=given["SecretAccessKey"],
                aws_session_token=given["SessionToken"],
            )
        with explained(f"asking whose credentials these are, for account {account}"):
            held = sts.get_caller_identity()["Account"]
        if held != account:
            raise EstateError(
                "The credentials are of another account.",
                [f"account {account}: these are of {held}; use its own, or name a role"],
            )
        return own


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Say what AWS refuses as an EstateError: what was being done, what it said, the remedy."""
    from botocore import exceptions  # noqa: PLC0415 - see the module's docstring

    try:
        yield
    except exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        raise EstateError(
            "AWS refused a request.",
            [f"{doing}: {code}: {error.response['Error'].get('Message', '')}; {_remedy(code)}"],
        ) from error
    except exceptions.NoCredentialsError as error:
        raise EstateError(
            "There are no AWS credentials.",
            [f"{doing}: log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"],
        ) from error
    except (exceptions.BotoCoreError, OSError, ValueError) as error:
        raise EstateError(
            "AWS could not be asked.",
            [f"{doing}: {error}; correct the Region, the credentials or the network"],
        ) from error


def _remedy(code: str) -> str:
    if "AccessDenied" in code or "UnrecognizedClient" in code or "Unauthorized" in code:
        return "let the role do it, or name another"
    if "Expired" in code or "InvalidClientToken" in code:
        return "log in again"
    if code == "RepositoryNotFoundException":
        return "name an image repository of this registry"
    return "correct what it names and run the command again"


def is_refusal(error: BaseException | None, *codes: str) -> bool:
    """Whether AWS refused with one of the error codes."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return response.get("Error", {}).get("Code") in codes


def names_of(ecr: "ECRClient") -> list[str]:
    """Give the names of all image repositories of a registry."""
    with explained("listing image repositories"):
        pages = ecr.get_paginator("describe_repositories").paginate()
        return [each["repositoryName"] for page in pages for each in page["repositories"]]


def details_of(ecr: "ECRClient", name: str) -> list[Any]:
    """Give ECR's description of each image of an image repository."""
    with explained(f"reading the images of {name}"):
        pages = ecr.get_paginator("describe_images").paginate(repositoryName=name)
        return [detail for page in pages for detail in page["imageDetails"]]


def images_of(ecr: "ECRClient", name: str) -> list[Image]:
    """Give the images of an image repository, manifest lists with their parts."""
    details = details_of(ecr, name)
    lists = [
        detail["imageDigest"] for detail in details if detail.get("imageManifestMediaType") in LISTS
    ]
    parts = {
        digest: tuple(each["digest"] for each in json.loads(manifest).get("manifests", ()))
        for digest, manifest in manifests_of(ecr, name, lists).items()
    }
    return [
        image_of(detail)._replace(parts=parts.get(detail["imageDigest"], ())) for detail in details
    ]


def images_if_there(ecr: "ECRClient", name: str) -> list[Image] | None:
    """Give the images of an image repository; None where there is no such image repository."""
    try:
        return images_of(ecr, name)
    except EstateError as error:
        if is_refusal(error.__cause__, "RepositoryNotFoundException"):
            return None
        raise


def manifests_of(ecr: "ECRClient", name: str, digests: Sequence[str]) -> dict[str, str]:
    """Give the manifests of images by digest, as they were pushed; what is gone is left out."""
    found: dict[str, str] = {}
    for start in range(0, len(digests), BATCH):
        with explained(f"reading manifests of {name}"):
            answer = ecr.batch_get_image(
                repositoryName=name,
                imageIds=[{"imageDigest": digest} for digest in digests[start : start + BATCH]],
                acceptedMediaTypes=list(MANIFESTS),
            )
        found |= {
            each["imageId"]["imageDigest"]: each["imageManifest"] for each in answer["images"]
        }
    return found


def policy_of(ecr: "ECRClient", name: str) -> str | None:
    """Give the text of an image repository's lifecycle policy; None where it has none."""
    with explained(f"reading the lifecycle policy of {name}"):
        try:
            return ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
        except ecr.exceptions.LifecyclePolicyNotFoundException:
            return None
