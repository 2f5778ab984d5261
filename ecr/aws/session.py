"""The one way into AWS for every command: clients by registry, with the right account's credentials.

Owns credentials and their renewal, retries, the check that credentials are of the account that is
worked in, and how a failure of AWS is reported. Reads the environment as boto3 does. boto3 is
imported when the first client is needed, because some commands need none. Changes nothing in AWS:
that is up to the command. A deployment reads by it what the AWS provider cannot read.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from ecr.errors import EstateError
from ecr.registry.registry import Registry

if TYPE_CHECKING:
    from boto3 import Session
    from botocore.credentials import RefreshableCredentials
    from mypy_boto3_ecr import ECRClient

SESSION_NAME = "ecr-estate"
"""What the sessions of assumed roles are called in AWS CloudTrail."""

CONNECTIONS = 10
"""How many connections a client keeps, unless told otherwise: botocore's own default."""

ADAPTIVE: Mapping[str, str | int] = {"mode": "adaptive", "max_attempts": 10}
"""How a call is tried again where AWS throttles or does not answer: with growing pauses, and with
fewer calls a second by the whole client (AWS SDKs and Tools Reference Guide, "Retry behavior")."""


ONCE: Mapping[str, str | int] = {"total_max_attempts": 1}
"""How a call is made whose refusal must not be taken for throttling."""


class Aws:
    """Clients by service and registry, with the credentials of the registry's account.

    The endpoint and the first credentials come from the environment, as boto3 takes them. The role
    to assume is the one called ``role_name`` in every account, or that of ``roles``, which maps
    accounts to ARNs; its credentials are renewed before they expire. An account is only worked in
    with credentials that are its own. Clients are kept, and may be used by ``connections`` threads.
    """

    def __init__(
        self,
        role_name: str | None = None,
        *,
        roles: Mapping[str, str] | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self._role_name = role_name
        self._roles = roles or {}
        self._connections = connections
        self._session = cache(self._open)
        self.client: Callable[[str, Registry], Any] = cache(self._client)

    def ecr(self, registry: Registry) -> "ECRClient":
        """Return the client of one registry."""
        client: ECRClient = self.client("ecr", registry)
        return client

    def ecr_once(self, registry: Registry) -> "ECRClient":
        """Return a client that tries once: boto3 takes ECR's daily limit of scans for throttling."""
        client: ECRClient = self._client("ecr", registry, ONCE)
        return client

    def caller(self, registry: Registry) -> str:
        """Return the ARN of whoever works in a registry's account."""
        sts = self.client("sts", registry)
        with aws_errors_as(f"asking who works in account {registry.account}"):
            arn: str = sts.get_caller_identity()["Arn"]
        return arn

    def _client(
        self, service: str, registry: Registry, retries: Mapping[str, str | int] | None = None
    ) -> Any:  # noqa: ANN401 - a service's client
        session = self._session(registry)
        with aws_errors_as(f"connecting to {service} of {registry.key}"):
            return self._made(session, service, registry, retries or ADAPTIVE)

    def _made(self, session: Any, service: str, registry: Registry, retries: Any) -> Any:  # noqa: ANN401 - boto3's
        from botocore.config import Config  # noqa: PLC0415 - see the module's docstring

        config = Config(retries=retries, max_pool_connections=self._connections)
        return session.client(service, region_name=registry.region, config=config)

    def _open(self, registry: Registry) -> "Session":
        boto3 = _boto3()
        with aws_errors_as(f"connecting to sts of {registry.key}"):
            own: Session = boto3.Session()
            sts = self._made(own, "sts", registry, ADAPTIVE)
        role = self._roles.get(registry.account)
        if self._role_name:
            role = registry.role(self._role_name)
        if role:
            return _assumed(sts, role, registry)
        with aws_errors_as(f"asking whose credentials these are, for account {registry.account}"):
            account = sts.get_caller_identity()["Account"]
        if account != registry.account:
            raise EstateError(
                "The credentials are of another account.",
                [
                    f"account {registry.account}: these are of {account}; use its own, or name a role"
                ],
            )
        return own


class _RoleProvider:
    """What botocore asks for the credentials of a role: one of its credential providers, by shape."""

    METHOD = "ecr-estate-role"

    def __init__(self, credentials: "RefreshableCredentials") -> None:
        self._credentials = credentials

    def load(self) -> "RefreshableCredentials":
        """Return the credentials, which renew themselves."""
        return self._credentials


def _assumed(sts: Any, role: str, registry: Registry) -> "Session":  # noqa: ANN401 - boto3's
    """Return a session in a role. botocore assumes the role again before the credentials expire."""
    from botocore.credentials import (  # noqa: PLC0415 - see the module's docstring
        CredentialResolver,
        RefreshableCredentials,
    )
    from botocore.session import get_session  # noqa: PLC0415

    def assume() -> dict[str, Any]:
        with aws_errors_as(f"assuming {role}"):
            answer = sts.assume_role(RoleArn=role, RoleSessionName=SESSION_NAME)
        account = answer["AssumedRoleUser"]["Arn"].split(":")[4]
        if account != registry.account:
            raise EstateError(
                "The role is of another account.",
                [f"account {registry.account}: {role} is of {account}; name a role of its own"],
            )
        keys = answer["Credentials"]
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": keys["Expiration"].isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(
        assume(), refresh_using=assume, method=_RoleProvider.METHOD
    )
    session = get_session()
    provider: Any = _RoleProvider(credentials)
    session.register_component("credential_provider", CredentialResolver([provider]))
    opened: Session = _boto3().Session(botocore_session=session)
    return opened


def _boto3() -> Any:  # noqa: ANN401 - a module
    try:
        import boto3  # noqa: PLC0415 - see the module's docstring
    except ImportError as error:
        raise EstateError(
            "boto3 is not installed.",
            ["what asks AWS needs it: `python -m pip install boto3` in this environment"],
        ) from error
    return boto3


@contextmanager
def aws_errors_as(doing: str) -> Iterator[None]:
    """Raise what AWS refuses as an EstateError: what was being done, the answer, the remedy."""
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


_BAD_CREDENTIALS = ("Expired", "InvalidClientToken", "UnrecognizedClient", "Signature")


def _remedy(code: str) -> str:
    if any(sign in code for sign in _BAD_CREDENTIALS):
        return "log in again, or correct the credentials"
    if "AccessDenied" in code or "Unauthorized" in code:
        return "let the role do it, or name another"
    if code == "RepositoryNotFoundException":
        return "name an image repository of this registry"
    return "correct what it names and run the command again"


def is_refusal(error: EstateError, *codes: str) -> bool:
    """Return whether an error of ``aws_errors_as`` is a refusal of AWS with one of these codes."""
    # Where nobody answered, botocore's errors of HTTP have one that is None.
    response: Mapping[str, Any] = getattr(error.__cause__, "response", None) or {}
    return response.get("Error", {}).get("Code") in codes
