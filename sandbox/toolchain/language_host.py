"""The Python language host of a Pulumi engine that was built here; an official one has its own.

Owns one process: the engine starts it, asks it to run the project's program, once for the preview
and once for the update, and ends it. The protocol is the SDK's own server for inline programs;
added is what a program in a folder needs. Each run starts afresh: `__main__.py` is executed again
and the project's modules are imported again. Never outlives its engine.
"""

import json
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from concurrent import futures
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.automation import _server
from pulumi.errors import RunError
from pulumi.runtime import run_in_stack
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2
from typing_extensions import override


class Host(_server.LanguageServer):
    """Runs the program of the folder that a request names."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self.cancelled = threading.Event()

    @override
    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=metadata.version("pulumi"))

    @override
    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()

    @override
    def Run(self, request: Any, context: Any) -> language_pb2.RunResponse:
        folder = Path(request.info.program_directory).resolve()
        os.chdir(folder)
        # As the official host does; the SDK's server sets its own copy only when there is any.
        os.environ["PULUMI_CONFIG"] = json.dumps(dict(request.config))
        os.environ["PULUMI_CONFIG_SECRET_KEYS"] = json.dumps(list(request.configSecretKeys))
        self.program = lambda: _execute(folder / request.info.entry_point)
        before = sys.path.copy(), set(sys.modules)
        sys.path.insert(0, str(folder))
        try:
            result = super().Run(request, context)  # type: ignore[no-untyped-call]
        finally:
            sys.path[:], known = before
            for name in set(sys.modules) - known:
                if _is_project_file(getattr(sys.modules[name], "__file__", None)):
                    del sys.modules[name]
        # The server has shown the error; returned, it would be shown again.
        return language_pb2.RunResponse(bail=True) if result.error else result


def _execute(program: Path) -> None:
    file = program / "__main__.py" if program.is_dir() else program
    runpy.run_path(str(file), run_name="__main__")


def _is_project_file(name: str | None) -> bool:
    """Whether a file is the project's: below its folder, and not an installed package there."""
    return (
        name is not None
        and Path(name).is_relative_to(Path.cwd())
        and not Path(name).is_relative_to(Path(sys.prefix).resolve())
    )


async def _run_in_stack(program: Callable[[], Awaitable[None] | None]) -> None:
    """Say of any failure what the program's author can use, instead of the SDK's whole stack."""
    try:
        await run_in_stack(program)
    except (RunError, grpc.RpcError):
        raise
    except SystemExit as exit_:
        if exit_.code:
            raise RunError(f"the program exited with {exit_.code}") from exit_
    except Exception as error:
        raise RunError(f"the program failed:\n{_in_short(error)}") from error


def _in_short(error: BaseException) -> str:
    """Return the error and where in the project it, or what caused it, was raised."""
    frames = traceback.StackSummary()
    cause: BaseException | None = error
    while cause and not frames:
        frames.extend(
            frame
            for frame in traceback.extract_tb(cause.__traceback__)
            if _is_project_file(frame.filename) and frame.filename != __file__
        )
        cause = cause.__cause__ or cause.__context__
    return "".join([*frames.format(), *traceback.format_exception_only(error)]).rstrip()


def serve() -> NoReturn:
    """Serve one engine on a loopback port, printed as the first line, as the engine expects."""
    engine = os.getppid()
    host = Host()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit())
    server.start()
    print(port, flush=True)
    try:
        # An engine that was killed says nothing; its child then has another parent.
        while not host.cancelled.wait(timeout=1) and os.getppid() == engine:
            pass
        server.stop(grace=0.5).wait()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # a program that still waits for something would keep the interpreter alive


if __name__ == "__main__":
    # The server has no other way in for what wraps the whole program.
    _server.run_in_stack = _run_in_stack  # type: ignore[attr-defined, assignment]
    serve()
