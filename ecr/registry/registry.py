"""A registry, the ECR of one account and Region, and the place of one image repository in it.

Owns how either is written: ACCOUNT/REGION, ARNs and hosts. Reads nothing but the table of partitions.
"""

from dataclasses import dataclass
from typing import Self

from ecr.registry.regions import domain_of, partition_of


@dataclass(frozen=True, slots=True, order=True)
class Registry:
    """The ECR registry of one account and Region."""

    account: str
    region: str

    @property
    def key(self) -> str:
        """Give "ACCOUNT/REGION", the first part of every location in it."""
        return f"{self.account}/{self.region}"

    @property
    def partition(self) -> str:
        """Give the ARN partition of the Region."""
        return partition_of(self.region)

    @property
    def host(self) -> str:
        """Give the host that images are pushed to and pulled from."""
        return f"{self.account}.dkr.ecr.{self.region}.{domain_of(self.region)}"

    def arn(self, name: str) -> str:
        """Give the ARN of an image repository, or of several by a wildcard."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{name}"

    def role(self, name: str) -> str:
        """Give the ARN of a role of the account."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"


@dataclass(frozen=True, slots=True)
class Placement:
    """One image repository of a service: where, under which name, for which stage (None: all)."""

    registry: Registry
    name: str
    stage: str | None = None

    @property
    def location(self) -> str:
        """Give "ACCOUNT/REGION/NAME": the identity of the image repository in AWS and the engine."""
        return f"{self.registry.key}/{self.name}"

    @classmethod
    def at(cls, location: str) -> Self:
        """Give the placement of a location."""
        account, region, name = location.split("/", 2)
        return cls(Registry(account, region), name)
