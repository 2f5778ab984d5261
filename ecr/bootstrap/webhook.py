"""An AWS Lambda function that starts a deployment when GitHub says that a repository has come, gone or changed.

Owns the check of the signature, and whether a deployment is to be started: not where one waits already, because
it will read the new repository as well. Reads the webhook's secret, and signs by the app's key in AWS KMS for a
token that may start workflows of one repository. It is a file by itself: bootstrap's template has its text.

Sources: GitHub Docs, "Validating webhook deliveries", "Create a repository dispatch event", "Generating a JSON
Web Token (JWT) for a GitHub App"; AWS Lambda Developer Guide, "Invoking Lambda function URLs".
"""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.request
from functools import cache
from typing import Any

import boto3

CHANGES = frozenset(
    {
        "archived",
        "created",
        "deleted",
        "renamed",
        "transferred",
        "unarchived",
        "privatized",
        "publicized",
    }
)
SETTLES = 3.0
"""Seconds in which no run that was just asked for can have read GitHub; another event needs no run of its own."""

_WAITING = {"pending", "queued", "requested", "waiting"}
_held: dict[str, Any] = {"token": "", "until": 0.0, "asked": 0.0}


def handler(event: dict[str, Any], _context: object = None) -> dict[str, Any]:
    """Answer one delivery; what it answers, GitHub shows under the webhook's recent deliveries."""
    body = str(event.get("body") or "").encode()
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    headers = {key.lower(): value for key, value in event.get("headers", {}).items()}
    signature = "sha256=" + hmac.new(_secret(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(headers.get("x-hub-signature-256", ""), signature):
        return _answer(401, "the signature is not that of this webhook")
    if headers.get("x-github-event") != "repository":
        return _answer(200, "nothing to do")
    action = json.loads(body).get("action")
    if action not in CHANGES:
        return _answer(200, "nothing to do")
    if time.time() - _held["asked"] < SETTLES or _waits():
        return _answer(200, "a deployment waits already")
    payload = {"event_type": "repository", "client_payload": {"action": action}}
    _github("POST", f"/repos/{os.environ['REPOSITORY']}/dispatches", _token(), payload)
    _held["asked"] = time.time()
    return _answer(202, "a deployment is started")


def _answer(status: int, said: str) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "text/plain"}, "body": said}


@cache
def _secret() -> bytes:
    secrets = boto3.client("secretsmanager")
    found: str = secrets.get_secret_value(SecretId=os.environ["SECRET"])["SecretString"]
    return found.encode()


def _waits() -> bool:
    path = f"/repos/{os.environ['REPOSITORY']}/actions/workflows/deploy.yml/runs?per_page=10"
    runs = _github("GET", path, _token())["workflow_runs"]
    return any(each["status"] in _WAITING for each in runs)


def _token() -> str:
    """Return a token of the app's installation, for this repository and for what is done here only."""
    if _held["until"] < time.time():
        key, kms = os.environ["KEY"], boto3.client("kms")
        tags = {
            each["TagKey"]: each["TagValue"] for each in kms.list_resource_tags(KeyId=key)["Tags"]
        }
        now = int(time.time())
        claims = {"iat": now - 60, "exp": now + 540, "iss": tags["client-id"]}
        unsigned = ".".join(_encoded(json.dumps(each).encode()) for each in (_HEADER, claims))
        signed = kms.sign(
            KeyId=key,
            Message=unsigned.encode(),
            MessageType="RAW",
            SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
        )["Signature"]
        jwt = f"{unsigned}.{_encoded(signed)}"
        owner, _, name = os.environ["REPOSITORY"].partition("/")
        installation = _github("GET", f"/orgs/{owner}/installation", jwt)["id"]
        wanted = {"repositories": [name], "permissions": {"actions": "read", "contents": "write"}}
        path = f"/app/installations/{installation}/access_tokens"
        _held["token"] = _github("POST", path, jwt, wanted)["token"]
        _held["until"] = now + 3_000
    token: str = _held["token"]
    return token


_HEADER = {"alg": "RS256", "typ": "JWT"}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _github(method: str, path: str, bearer: str, said: object = None) -> Any:  # noqa: ANN401 - JSON
    request = urllib.request.Request(  # noqa: S310 - the address is the template's
        os.environ["API"] + path,
        method=method,
        data=None if said is None else json.dumps(said).encode(),
        headers={
            "Authorization": f"Bearer {bearer}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - as above
        return json.loads(answer.read() or b"null")
