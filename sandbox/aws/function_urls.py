"""Functions of AWS Lambda that are written in a template, and their addresses: they are really run.

Owns each function's process, which is kept warm as Lambda keeps one, its environment, and whom its address lets
in. It runs by the credentials of its role and by nothing else of this process. Never runs any other function.

Sources: AWS Lambda Developer Guide, "Control access to Lambda function URLs" (both permissions), "Invoking Lambda
function URLs" (the event), "Defined runtime environment variables"; AWS CloudFormation Template Reference,
AWS::Lambda::Function Code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PATH = "/_sandbox/functions/"
LONGEST_INLINE = 4 * 1024 * 1024
"""Bytes of a function's source within a template."""

_NEEDED = {("lambda:InvokeFunctionUrl", "*"), ("lambda:InvokeFunction", "*")}

_RUNTIME = """
import importlib.util, json, os, sys
spec = importlib.util.spec_from_loader("index", loader=None)
module = importlib.util.module_from_spec(spec)
exec(compile(os.environ.pop("_SOURCE"), "index.py", "exec"), module.__dict__)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    try:
        answer = module.handler(json.loads(line), None)
    except Exception as error:
        answer = {"errorMessage": str(error), "errorType": type(error).__name__}
    answers.write(json.dumps(answer) + "\\n")
    answers.flush()
"""


@dataclass
class Held:
    """A function: its source, its role, its variables and its seconds; whom its address lets in."""

    source: str
    role: str
    variables: Mapping[str, str]
    timeout: int
    auth: str = ""
    allowed: set[tuple[str, str]] = field(default_factory=set)
    process: subprocess.Popen[str] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    errors: list[str] = field(default_factory=list)


HELD: dict[tuple[str, str, str], Held] = {}
"""The functions by account, Region and name."""

_BASE: list[str] = []
_SESSIONS: list[Callable[[str, str, str], dict[str, str]]] = []


@contextmanager
def answered(base: str, session_of: Callable[[str, str, str], dict[str, str]]) -> Iterator[None]:
    """Answer at the addresses of functions as long as the context lasts; no process is left then."""
    _BASE.append(base)
    _SESSIONS.append(session_of)
    try:
        yield
    finally:
        _BASE.clear()
        _SESSIONS.clear()
        for held in HELD.values():
            _end(held)
        HELD.clear()


def address(account: str, region: str, name: str) -> str:
    """Return the address of a function: a path of loopback here, a host of its own at AWS."""
    return f"{_BASE[0]}{PATH}{account}/{region}/{name}/"


def called(method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """Answer a request at a function's address: a status and a body."""
    account, region, name = path.removeprefix(PATH).strip("/").split("/")[:3]
    held = HELD.get((account, region, name))
    if held is None or held.auth != "NONE" or not held.allowed >= _NEEDED:
        return 403, b'{"Message":"Forbidden"}'
    event = {
        "version": "2.0",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": dict(headers),
        "requestContext": {"http": {"method": method, "path": "/"}},
        "body": body.decode(),
        "isBase64Encoded": False,
    }
    with held.lock:
        answer = _run(held, region, name, event)
    if "errorMessage" in answer:
        held.errors.append(f"{answer['errorType']}: {answer['errorMessage']}")
        return 502, b"Internal Server Error"
    return int(answer["statusCode"]), str(answer.get("body", "")).encode()


def _run(held: Held, region: str, name: str, event: Mapping[str, Any]) -> dict[str, Any]:
    if held.process is None:
        environment = {
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            **held.variables,
            **_SESSIONS[0](held.role, "lambda.amazonaws.com", region),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": _BASE[0],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "_SOURCE": held.source,
        }
        held.process = subprocess.Popen(
            [sys.executable, "-c", _RUNTIME],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    process = held.process
    assert process.stdin, process.stdout  # noqa: S101 - both were asked for
    late = threading.Timer(held.timeout, process.kill)
    late.start()
    try:
        process.stdin.write(json.dumps(event) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()  # type: ignore[union-attr]
    except OSError:
        line = ""
    finally:
        late.cancel()
    if not line:
        _end(held)
        message = f"Task timed out after {held.timeout} seconds, or ended"
        return {"errorType": "Sandbox.Timedout", "errorMessage": message}
    answer: dict[str, Any] = json.loads(line)
    return answer


def _end(held: Held) -> None:
    if held.process:
        held.process.kill()
        held.process.communicate()
        held.process = None
