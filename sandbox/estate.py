"""The estate as AWS holds it: read back through the API, never from the engine's state.

Owns the table that `make sandbox` prints. Reads the registries of the accounts and Regions that it is
given, as an onlooker of each account, and never by the roles of the estate.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from rich.table import Table

from sandbox.aws.hands import Hand, credentials_of

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

ROLE = "ecr-estate-deploy"


@dataclass(frozen=True, slots=True)
class RegistryContents:
    """What one registry holds. ``repositories`` are ECR's descriptions by name."""

    account: str
    region: str
    repositories: Mapping[str, Any]
    lifecycle_policies: int
    repository_policies: int
    registry_policy: bool
    replication_rules: tuple[Mapping[str, Any], ...]
    scan_type: str


class Registries:
    """Looks into registries at one endpoint, or changes them, as other hands than the estate's."""

    def __init__(self, environment: Mapping[str, str], hand: Hand = "administrator") -> None:
        self._endpoint = environment["AWS_ENDPOINT_URL"]
        self._session = boto3.Session(region_name=environment["AWS_REGION"])
        self._hand = hand

    def client(self, account: str, region: str) -> "ECRClient":
        """Return a client for one registry."""
        client: ECRClient = self.service("ecr", account, region)
        return client

    def service(self, name: str, account: str, region: str) -> Any:  # noqa: ANN401 - any service's client
        """Return a client for a service of one account and Region."""
        session: Any = self._session  # its client is typed by literal names only
        return session.client(
            name,
            region_name=region,
            endpoint_url=self._endpoint,
            **credentials_of(account, self._hand),
        )

    def read(self, account: str, region: str) -> RegistryContents:
        """Read everything that one registry holds."""
        ecr = self.client(account, region)
        pages = ecr.get_paginator("describe_repositories").paginate()
        repositories = {
            each["repositoryName"]: each for page in pages for each in page["repositories"]
        }
        scanning = ecr.get_registry_scanning_configuration()["scanningConfiguration"]
        return RegistryContents(
            account=account,
            region=region,
            repositories=repositories,
            lifecycle_policies=sum(
                _exists(ecr.get_lifecycle_policy, repositoryName=name) for name in repositories
            ),
            repository_policies=sum(
                _exists(ecr.get_repository_policy, repositoryName=name) for name in repositories
            ),
            registry_policy=_exists(ecr.get_registry_policy),
            replication_rules=tuple(ecr.describe_registry()["replicationConfiguration"]["rules"]),
            scan_type=scanning["scanType"],
        )


def _exists(read: Any, **arguments: str) -> bool:  # noqa: ANN401 - boto3's methods share no type
    try:
        read(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"].endswith("NotFoundException"):
            return False
        raise
    return True


def registries_table(contents: Iterable[RegistryContents]) -> Table:
    """Return one line a registry."""
    table = Table(title="Registries, as AWS holds them", title_justify="left")
    for heading in ("registry", "image repositories", "lifecycle", "repository policies"):
        table.add_column(heading, justify="left" if heading == "registry" else "right")
    for heading in ("registry policy", "scanning", "replicates to"):
        table.add_column(heading)
    for each in contents:
        table.add_row(
            f"{each.account}/{each.region}",
            str(len(each.repositories)),
            str(each.lifecycle_policies),
            str(each.repository_policies),
            "yes" if each.registry_policy else "no",
            each.scan_type,
            "\n".join(_rules(each)) or "-",
        )
    return table


def _rules(contents: RegistryContents) -> Iterator[str]:
    for rule in contents.replication_rules:
        places = ", ".join(
            f"{each['registryId']}/{each['region']}" for each in rule["destinations"]
        )
        filters = [each["filter"] for each in rule.get("repositoryFilters", [])]
        yield f"{places}: {', '.join(f'{each}*' for each in filters) or 'everything'}"


def services_table(outputs: Mapping[str, Any], contents: Iterable[RegistryContents]) -> Table:
    """Return one line a service: its repository, state, and where AWS holds its images."""
    held = {
        f"{each.account}/{each.region}/{name}" for each in contents for name in each.repositories
    }
    table = Table(title="Services", title_justify="left")
    for heading in ("GitHub repository", "state", "image repositories", "replicas"):
        table.add_column(heading, overflow="fold")
    for entry in outputs["ledger"]["services"].values():
        table.add_row(
            entry["repository"],
            entry["state"],
            ", ".join(
                location if location in held else f"MISSING {location}"
                for location in entry["placements"]
            ),
            ", ".join(
                location.rsplit("/", 1)[0] if location in held else f"MISSING {location}"
                for location in entry["replicas"]
            )
            or "-",
        )
    return table
