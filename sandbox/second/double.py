"""The second AWS as a session has it: started, filled with roles, and ended.

Owns the process. Makes roles and identity providers as the root of their accounts, which ministack knows by the
account's number. Reads nothing but its answers.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

PACKAGES = Path(os.environ.get("SECOND_OPINION") or Path(sys.prefix) / "second-opinion").resolve()
"""Where `make second-opinion` puts ministack, and what it wants beside it."""

_SECRET = "second-opinion"  # noqa: S105 - of accounts that exist for a minute
_PATIENCE = 60.0


class SecondAws:
    """Context manager: ministack with authentication on, on loopback, empty at first."""

    def __init__(self, organisation: str, log: Path) -> None:
        self.url = ""
        self._organisation = organisation
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._log.parent),
            "PYTHONPATH": str(PACKAGES),
            "AUTH": "true",
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "SECOND_ORGANISATION": self._organisation,
            "SERVICES": "ecr,iam,sts,kms,sns,events",
            # What else it would listen on.
            "IOT_MTLS_ENABLED": "false",
            "SFTP_ENABLED": "false",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("mended.py"))],
                env=environment,
                cwd=self._log.parent,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"ministack did not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/_ministack/health", timeout=5)
        except httpx.TransportError:
            return False
        return answer.is_success

    def client(self, service: str, account: str, region: str = "eu-west-1") -> Any:  # noqa: ANN401 - typed by literal names only
        """Return a client of the root of an account."""
        import boto3  # noqa: PLC0415 - a quarter of a second, which most sessions need not wait

        opened: Any = boto3
        return opened.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=account,
            aws_secret_access_key=_SECRET,
        )

    def put_role(
        self,
        arn: str,
        trust: str,
        policies: Mapping[str, str],
        *,
        boundary: str | None = None,
        seconds: int = 3600,
    ) -> None:
        """Make a role, or give one that stands another trust policy and other inline policies."""
        name = arn.rpartition("/")[2]
        iam = self.client("iam", arn.split(":")[4])
        more = {"PermissionsBoundary": boundary} if boundary else {}
        try:
            iam.get_role(RoleName=name)
        except iam.exceptions.NoSuchEntityException:
            iam.create_role(
                RoleName=name,
                AssumeRolePolicyDocument=trust,
                MaxSessionDuration=seconds,
                **more,
            )
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        for old in set(iam.list_role_policies(RoleName=name)["PolicyNames"]) - policies.keys():
            iam.delete_role_policy(RoleName=name, PolicyName=old)
        for policy, document in policies.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)

    def put_provider(self, arn: str, audience: str) -> None:
        """Make an identity provider."""
        url = "https://" + arn.partition("oidc-provider/")[2]
        self.client("iam", arn.split(":")[4]).create_open_id_connect_provider(
            Url=url, ClientIDList=[audience], ThumbprintList=["a" * 40]
        )

    def remove_provider(self, arn: str) -> None:
        """Take an identity provider away."""
        self.client("iam", arn.split(":")[4]).delete_open_id_connect_provider(
            OpenIDConnectProviderArn=arn
        )

    def session_of(
        self, role: str, claims: Mapping[str, str], *, region: str, seconds: int = 3600
    ) -> dict[str, str]:
        """Return credentials of a role for a job with these claims, as boto3 takes them."""
        token = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "none"}, {**claims, "exp": int(time.time()) + seconds}, "none")
        )
        sts = self.client("sts", role.split(":")[4], region)
        given = sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="job", WebIdentityToken=token, DurationSeconds=seconds
        )["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }
