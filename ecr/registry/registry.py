"""A registry, the ECR of one account and Region, and the place of one image repository in it.

Owns how either is written and read: ACCOUNT/REGION, ARNs, hosts and the addresses of images. Reads
nothing but the table of partitions. Nothing else in the program knows what a host of ECR looks like.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from ecr.errors import EstateError
from ecr.registry.regions import REGION_PATTERN, domain_of, dual_stack_domain_of, partition_of

_KEY = re.compile(rf"([0-9]{{12}})/({REGION_PATTERN})")
_HOST = re.compile(
    rf"(?P<account>[0-9]{{12}})\.dkr(?P<joined>[.-])ecr(?:-fips)?\.(?P<region>{REGION_PATTERN})"
    r"\.(?P<domain>[a-z0-9.-]+?)\.?(?::[0-9]+)?",
    re.ASCII | re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"(?P<host>[^/@]+)/(?P<name>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]*))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, order=True)
class Registry:
    """The ECR registry of one account and Region."""

    account: str
    region: str

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the registry of "ACCOUNT/REGION". Raises EstateError where that is none."""
        found = _KEY.fullmatch(key)
        if not found:
            raise EstateError(
                "There is no such registry.",
                [f"{key}: write the account's 12 digits and the Region: 111122223333/eu-west-1"],
            )
        return cls(found[1], found[2])

    @classmethod
    def of_host(cls, host: str) -> Self | None:
        """Return the registry that a host serves; None where the host is not ECR's.

        Hosts may be those for FIPS, and those for IPv4 and IPv6, which AWS calls dual stack, in any
        case, with the dot at a name's end and with a port (Amazon ECR User Guide, "Making requests to
        Amazon ECR registries"; AWS General Reference, "Amazon ECR endpoints and quotas").
        """
        found = _HOST.fullmatch(host)
        if not found:
            return None
        registry = cls(found["account"], found["region"].lower())
        domain = domain_of if found["joined"] == "." else dual_stack_domain_of
        return registry if found["domain"].lower() == domain(registry.region) else None

    @property
    def key(self) -> str:
        """Return "ACCOUNT/REGION", the first part of every location in it."""
        return f"{self.account}/{self.region}"

    @property
    def partition(self) -> str:
        """Return the ARN partition of the Region."""
        return partition_of(self.region)

    @property
    def host(self) -> str:
        """Return the host that images are pushed to and pulled from."""
        return f"{self.account}.dkr.ecr.{self.region}.{domain_of(self.region)}"

    def arn(self, name: str) -> str:
        """Return the ARN of an image repository, or of several by a wildcard."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{name}"

    def role(self, name: str) -> str:
        """Return the ARN of a role of the account."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"


@dataclass(frozen=True, slots=True)
class Placement:
    """One image repository of a service: where, under which name, for which stage (None: all)."""

    registry: Registry
    name: str
    stage: str | None = None

    @property
    def location(self) -> str:
        """Return "ACCOUNT/REGION/NAME": the identity of the image repository in AWS and the engine."""
        return f"{self.registry.key}/{self.name}"

    def is_below(self, prefixes: Iterable[str]) -> bool:
        """Return whether its name is one of these prefixes, or begins with one before a slash."""
        return any(self.name == each or self.name.startswith(f"{each}/") for each in prefixes)

    @classmethod
    def at(cls, location: str) -> Self:
        """Return the placement of a location."""
        account, region, name = location.split("/", 2)
        return cls(Registry(account, region), name)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """An image as a workload names it; ``tag`` and ``digest`` are "" where the name has none."""

    registry: Registry
    name: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, address: str) -> Self | None:
        """Return what the address of an image in ECR names; None for an image that is elsewhere.

        A scheme before it is left out: container runtimes write ``docker-pullable://``.
        """
        found = _REFERENCE.fullmatch(address.partition("://")[2] or address)
        registry = Registry.of_host(found["host"]) if found else None
        if found is None or registry is None:
            return None
        return cls(registry, found["name"], found["tag"] or "", found["digest"] or "")
