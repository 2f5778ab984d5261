"""The whole program under Pulumi's mocks: a monitor that remembers what was registered.

Used by the tests of the program and by the benchmark. It runs the real ``__main__.py`` the way a
language host does; only the engine, the providers and GitHub's answers are not real.
"""

import asyncio
import contextvars
import json
import logging
import runpy
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pulumi.runtime import configure, mocks, rpc, set_all_config
from pulumi.runtime.settings import set_root_resource
from pulumi.runtime.stack import run_in_stack

from ecr.deploy.standing import Ask
from ecr.registry.registry import Registry
from sandbox.github import Organisation
from sandbox.github.api import Api
from sandbox.github.exchange import Request
from sandbox.github.tokens import CLASSIC

PROGRAM = Path(__file__).parent.parent / "__main__.py"
STACK = "pulumi:pulumi:Stack"

Invoke = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Answers a provider function: its token and arguments to its result."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What the program asked the engine for; ``parent``, ``provider`` and ``imported`` (an id) are as in the request."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    provider: str
    protect: bool
    retain_on_delete: bool
    imported: str
    dependencies: tuple[str, ...]
    aliases: tuple[str, ...]
    ignored: tuple[str, ...]


class Monitor(mocks.MockMonitor):
    """Remembers registrations with the options that mocks alone do not see."""

    def __init__(self, provider: mocks.Mocks) -> None:
        super().__init__(provider)
        self.registrations: list[Registration] = []
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        if request.type != STACK:
            self.registrations.append(
                Registration(
                    type=request.type,
                    name=request.name,
                    inputs=rpc.deserialize_properties(request.object),
                    parent=request.parent,
                    provider=request.provider,
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    imported=request.importId,
                    dependencies=tuple(request.dependencies),
                    aliases=tuple(each.urn for each in request.aliases),
                    ignored=tuple(request.ignoreChanges),
                )
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


class _Provider(mocks.Mocks):
    def __init__(self, invoke: Invoke, last_outputs: Mapping[str, Mapping[str, Any]]) -> None:
        self._invoke = invoke
        self._last_outputs = last_outputs

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:  # type: ignore[override] # plain results are taken too
        if args.token == "pulumi:pulumi:readStackOutputs":
            stack = args.args["name"].rpartition("/")[2]
            return {"name": stack, "outputs": dict(self._last_outputs.get(stack, {}))}
        return self._invoke(args.token, args.args)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a run of the program registered, exported and logged."""

    registrations: list[Registration]
    outputs: dict[str, Any]
    log: list[str] = field(default_factory=list)

    def of(self, kind: str) -> dict[str, Registration]:
        """Registrations of one type (the part after the last slash's colon) by logical name."""
        return {each.name: each for each in self.registrations if each.type.endswith(f":{kind}")}


def deploy(
    config: Mapping[str, str],
    invoke: Invoke,
    *,
    last_outputs: Mapping[str, Any] | None = None,
    other_outputs: Mapping[str, Mapping[str, Any]] | None = None,
    aws: Mapping[str, Mapping[str, Any] | None] | None = None,
    stack: str = "test",
    secret_keys: tuple[str, ...] = (),
    preview: bool = False,
    program: Callable[[], Awaitable[None] | None] | None = None,
) -> Deployment:
    """Run the program to its end. Raises what it raises.

    ``other_outputs`` are those of other stacks, by name; ``aws`` is what AWS answers beside the
    providers, by the operation's name.
    """
    log: list[str] = []

    def run() -> Deployment:
        outputs = {**(other_outputs or {}), stack: last_outputs or {}}
        monitor = Monitor(_Provider(invoke, outputs))
        features = monitor.GetDeploymentInfo(None).supportedFeatures  # type: ignore[no-untyped-call]
        configure(
            mocks.MockSettings(  # type: ignore[no-untyped-call]
                monitor=monitor,
                monitor_features=set(features),
                engine=mocks.MockEngine(_logger(log)),
                project="ecr-estate",
                stack=stack,
                organization="organization",
                dry_run=preview,
            )
        )
        set_root_resource(None)  # type: ignore[arg-type] # the run below makes its own
        set_all_config(dict(config), list(secret_keys))
        # The process outlives the program here, so that its collector is left alone.
        with (
            patch("ecr.program.asking", lambda _: standing(aws or {})),
            patch("ecr.deploy.resources.gc"),
        ):
            _run_until_complete(run_in_stack(program or _main))
        return Deployment(monitor.registrations, monitor.outputs, log)

    return contextvars.copy_context().run(run)


def standing(answers: Mapping[str, Mapping[str, Any] | None]) -> Ask:
    """Answer for accounts in which nobody has set anything, but for these operations."""
    fresh: dict[str, Mapping[str, Any]] = {
        "describe_key": {
            "KeyMetadata": {
                "KeyState": "Enabled",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "KeyUsage": "ENCRYPT_DECRYPT",
            }
        },
        "describe_registry": {"replicationConfiguration": {"rules": []}},
        "get_account_setting": {"name": "REGISTRY_POLICY_SCOPE", "value": "V1"},
        "get_registry_scanning_configuration": {
            "scanningConfiguration": {"scanType": "BASIC", "rules": []}
        },
    }

    async def ask(
        _service: str, operation: str, _registry: Registry, _arguments: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        return {**fresh, **answers}.get(operation)

    return ask


def _logger(log: list[str]) -> logging.Logger:
    logger = logging.Logger("mocks", logging.INFO)  # noqa: LOG001 - one a run, not the process's
    handler = logging.Handler()
    handler.emit = lambda record: log.append(f"{record.levelname}: {record.getMessage()}")  # type: ignore[method-assign]
    logger.addHandler(handler)
    return logger


def _run_until_complete(program: Coroutine[Any, Any, None]) -> None:
    """Run in threads that have event loops, as the mocks want, and close every one afterwards."""
    loops: list[asyncio.AbstractEventLoop] = []

    def prepare() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    try:
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(ThreadPoolExecutor(16, initializer=prepare))
            runner.run(program)
    finally:
        for loop in loops:
            loop.close()


def _main() -> None:
    runpy.run_path(str(PROGRAM), run_name="__main__")


def no_invoke(token: str, _: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for registries and a state that are empty; refuse every other function."""
    if token == "aws:ecr/getRepositories:getRepositories":
        return {"id": "eu-west-1", "names": []}
    if token == "pulumi:pulumi:readStackResourceOutputs":
        return {"outputs": {}}
    raise AssertionError(f"unexpected call of {token}")


def answering(
    organisation: Organisation,
    *,
    state: Mapping[str, Mapping[str, Any]] | None = None,
    variables: Mapping[str, Mapping[str, str]] | None = None,
) -> Invoke:
    """Answer getRestApi as the provider does, from the embedded GitHub's model.

    ``state`` is what the engine's state holds, by URN, and ``variables`` what repositories have.
    """
    api = Api(organisation, [CLASSIC], "http://127.0.0.1/")
    for name, held in (variables or {}).items():
        api.actions.held(organisation.get(name)).update(held)

    def invoke(token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if token == "pulumi:pulumi:readStackResourceOutputs":
            return {"outputs": state or {}}
        if token != "github:index/getRestApi:getRestApi":
            return no_invoke(token, arguments)
        path, _, query = str(arguments["endpoint"]).partition("?")
        asked = dict(part.split("=") for part in query.split("&") if part)
        reply = api.answer(Request("GET", f"/{path}", asked, f"Bearer {CLASSIC.value}"))
        return {
            "id": reply.headers["X-GitHub-Request-Id"],
            "code": reply.status,
            "headers": json.dumps({name: [value] for name, value in reply.headers.items()}),
            "body": reply.body.decode(),
        }

    return invoke
