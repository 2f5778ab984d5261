"""The sandbox's command line: run the project for real against an embedded AWS and GitHub."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.aws import ApiCall
from sandbox.session import (
    PROJECT,
    STACK,
    STACK_FILE,
    Session,
    SessionError,
    environment_of,
    require_none_running,
    running,
)
from sandbox.toolchain.commands import ToolchainError

DIRECTORY = PROJECT / ".sandbox"
_LET_THROUGH = {"allowed", "needs no permission"}
OUTPUTS = "outputs.json"
"""What `make sandbox` leaves in that folder: the stack's outputs, for the site's estate page."""


def _account(number: str) -> dict[str, str]:
    role = f"arn:aws:iam::{number * 12}:role/ecr-estate-deploy"
    return {"account": number * 12, "role": role}


def _lambda_accounts(serving_2: str, serving_3: str) -> dict[str, Any]:
    return {
        "accounts": [
            {**_account("2"), "regions": ["eu-west-1"], "serves": serving_2},
            {**_account("3"), "regions": ["eu-west-1", "us-east-1"], "serves": serving_3},
        ],
        "services": {"property": "lambda"},
    }


ARCHITECTURES: dict[str, dict[str, Any] | None] = {
    "central": None,
    "per-stage": {
        "architecture": "per-stage",
        "stages": ["dev", "staging", "prod"],
        "lambdaReplicas": _lambda_accounts("dev", "prod"),
    },
    "per-account-set": {
        "architecture": "per-account-set",
        "accountSets": [
            {"name": "nonprod", "region": "eu-west-1", **_account("1")},
            {"name": "prod", "region": "eu-west-1", **_account("4")},
        ],
        "lambdaReplicas": _lambda_accounts("nonprod", "prod"),
    },
}
"""What is laid over the sandbox's settings for each architecture."""

STARTING = 900.0
"""Seconds that a background session may take to come up; the toolchain may have to be built."""


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands; what it parses has the command as ``act``."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Run the project for real: Pulumi's engine and providers, against an AWS and a "
        "GitHub that are embedded in this process and listen on loopback only.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, act: Callable[[argparse.Namespace], int], summary: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=summary, description=summary)
        added.set_defaults(act=act)
        return added

    run = command(
        "run", _run, "deploy, preview that nothing is left to change, print the estate, stop"
    )
    run.add_argument("--architecture", choices=ARCHITECTURES, default="central")
    run.add_argument(
        "--settings", type=Path, metavar="FILE", default=STACK_FILE, help="another stack's file"
    )
    command("first-day", _first_day, "go from an empty folder and empty accounts to a pushed image")
    command("start", _start, "bring everything up in the background, and leave it running")
    command("stop", _stop, "end what `start` left running")
    command("shell", _shell, "open a shell in which `pulumi` works on the sandbox")
    command("estate", _estate, "print the estate as AWS holds it now")
    command("serve", _serve, "bring everything up in the foreground, until Ctrl-C")
    command("rules", _rules, "try to break every rule of the embedded AWS, and print the table")
    organisation = command("org", _org, "look at, change or break the embedded organisation")
    _add_organisation_commands(organisation)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    options = command_line().parse_args(arguments)
    try:
        code: int = options.act(options)
    except KeyboardInterrupt:
        print("interrupted; everything that was started is ended", file=sys.stderr)
        return 130
    except (SessionError, ToolchainError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return code


def _say(line: str) -> None:
    print(f"sandbox: {line}", flush=True)


def _session(settings: Mapping[str, Any] | None = None, stack_file: Path = STACK_FILE) -> Session:
    from sandbox.toolchain import ensure_toolchain  # noqa: PLC0415 - not every command needs it

    require_none_running(DIRECTORY)
    toolchain = ensure_toolchain(_say)
    return Session(DIRECTORY, toolchain, settings=settings, stack_file=stack_file.resolve())


def _run(options: argparse.Namespace) -> int:
    """Deploy, preview, read back and print, each step said before it is taken."""
    if not options.settings.exists():
        _say(f"{options.settings} is not there; name a stack's file")
        return 1
    with _session(ARCHITECTURES[options.architecture], options.settings) as session:
        _say(f"AWS at {session.aws.url}, GitHub at {session.github.url}")
        _say(f"pulumi up on the stack {STACK}: {len(session.github.organisation)} repositories")
        began = time.monotonic()
        done = session.up("--skip-preview", "--suppress-outputs", show=True)
        took = time.monotonic() - began
        if done.code:
            _say(f"pulumi up failed with exit code {done.code}; its reasons are above")
            return done.code
        calls = session.github.calls()
        _say("pulumi preview, which must find nothing to change")
        again = session.preview("--expect-no-changes", "--suppress-outputs", show=True)
        if again.code:
            _say("the preview found changes, though nothing was changed; they are above")
            return again.code
        outputs = session.outputs()
        (DIRECTORY / OUTPUTS).write_text(json.dumps(outputs), encoding="utf-8")
        _print_estate(session.environment, outputs)
        aws = Counter(f"{each.service}:{each.action}" for each in session.aws.calls())
        _tell_story(session, outputs)
        print(f"\npulumi up took {took:.1f} s and made {len(calls)} GitHub calls", end="; ")
        print(f"both runs together made {aws.total()} AWS calls.")
        print("pulumi preview: no changes.")
        _print_decisions(session.aws.calls())
    return 0


def _print_estate(environment: dict[str, str], outputs: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - with boto3, a third of a second

    from sandbox.estate import Registries, registries_table, services_table  # noqa: PLC0415

    registries = Registries(environment, "onlooker")
    contents = [
        registries.read(*key.split("/")) for key in outputs.get("report", {}).get("registries", [])
    ]
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(services_table(outputs, contents))
    console.print(registries_table(contents))
    report = outputs["report"]
    for each in outputs["leftOut"]:
        console.print(f"left out: {each['repository']} ({each['id']}): {each['reason']}")
    console.print(f"deselected: {report['deselected'] or 'none'}")
    for service, role in outputs.get("pushRoles", {}).items():
        console.print(f"pushes {service}: {role}")
    for name in outputs.get("namespaces", {}):
        below = [each for each in outputs["imageRepositories"] if each.startswith(f"{name}/")]
        console.print(f"namespace {name}: {', '.join(below) or 'empty'}")
    for prefix, names in report["bleeding"].items():
        console.print(f"prefix {prefix}* also covers {', '.join(names)}: not copied, harmless")


def _print_decisions(calls: Sequence[ApiCall]) -> None:
    """Say how many calls IAM decided, and who made them."""
    decided = [each for each in calls if each.decision]
    refused = [each for each in decided if each.decision not in _LET_THROUGH]
    print(f"Of {len(calls)} AWS calls, {len(decided)} were decided as IAM decides: ", end="")
    print(f"{len(decided) - len(refused)} let through, {len(refused)} refused. Who made them:")
    for principal, count in Counter(each.principal or "nobody known" for each in decided).items():
        print(f"  {count:>6}  {principal}")


def _tell_story(session: Session, outputs: Mapping[str, Any]) -> None:
    """Push an image into the estate, and say what becomes of it."""
    from sandbox.story import tell  # noqa: PLC0415 - with boto3 and moto

    print("\nThe story of an image")
    try:
        clock, folder = session.aws.world.clock, session.directory / "images"
        for line in tell(outputs, session.environment, folder, clock):
            print(line, flush=True)
    except ToolchainError as error:
        print(f"no image was pushed: {error}")


def _rules(_: argparse.Namespace) -> int:
    from sandbox.rules import enforce, tries  # noqa: PLC0415 - not every command needs it

    return 1 if enforce(print, tries()) else 0


def _first_day(_: argparse.Namespace) -> int:
    from sandbox.first_day import FirstDayError, first_day  # noqa: PLC0415 - with boto3 and moto
    from sandbox.toolchain import ensure_toolchain  # noqa: PLC0415 - not every command needs it

    try:
        told = first_day(DIRECTORY.with_name(".first-day"), ensure_toolchain(_say), _say)
    except FirstDayError as error:
        _say(str(error))
        return 1
    for index, (command, took) in enumerate(told.commands, 1):
        print(f"{index}. {took:6.1f} s  {command}")
    print(f"{len(told.commands)} commands; ", end="")
    print(f"{told.seconds:.1f} seconds from repository created to image pushed.")
    return 0 if told.good else 1


def _serve(_: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _session() as session:
        _say(f"up: AWS at {session.aws.url}, GitHub at {session.github.url}; Ctrl-C ends it")
        signal.pause()
    return 0


def _start(_: argparse.Namespace) -> int:
    if running(DIRECTORY):
        _say("is up already; `make sandbox-shell` opens a shell in it, `make sandbox-stop` ends it")
        return 0
    DIRECTORY.mkdir(exist_ok=True)
    log = DIRECTORY.with_name(".sandbox.log")
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "serve"],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    shown = 0
    deadline = time.monotonic() + STARTING
    up = False
    try:
        while server.poll() is None and time.monotonic() < deadline:
            said = log.read_text()
            print(said[shown:], end="", flush=True)
            shown = len(said)
            up = running(DIRECTORY) is not None
            if up:
                return 0
            time.sleep(0.2)
    finally:
        if not up and server.poll() is None:
            # It leads a session of its own, which Ctrl-C at the terminal does not reach.
            # SIGINT it may have inherited as ignored, from a shell that runs it in the background.
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    _say(f"did not come up; what it said is in {log.name}")
    return 1


def _require_running() -> dict[str, str]:
    session = running(DIRECTORY)
    if session is None:
        raise SystemExit(
            "sandbox: is not up; start it with `make sandbox-shell` or `make sandbox-start`"
        )
    variables: dict[str, str] = session["variables"]
    return variables


def _stop(_: argparse.Namespace) -> int:
    session = running(DIRECTORY)
    if session is None:
        _say("is not up")
        return 0
    os.kill(session["process"], signal.SIGTERM)
    while running(DIRECTORY):
        time.sleep(0.1)
    _say("is ended")
    return 0


def _shell(_: argparse.Namespace) -> int:
    """Open a shell in the running session, or in one that lives as long as the shell."""
    if session := running(DIRECTORY):
        return _open_shell(session["variables"])
    with _session() as opened:
        return _open_shell(opened.variables)


def _open_shell(variables: dict[str, str]) -> int:
    shell = os.environ.get("SHELL", "/bin/sh")
    virtual = str(Path(sys.executable).parent)
    path = os.pathsep.join([virtual, variables.get("PATH", os.environ["PATH"])])
    _say("try: pulumi up; python -m sandbox org list; python -m sandbox estate; exit")
    return subprocess.run(
        [shell], env=environment_of({**variables, "PATH": path}), cwd=PROJECT, check=False
    ).returncode


def _estate(_: argparse.Namespace) -> int:
    variables = _require_running()
    shown = subprocess.run(
        ["pulumi", "stack", "output", "--json"],  # noqa: S607 - found by the session's own PATH
        env=environment_of(variables),
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    outputs = json.loads(shown.stdout)
    if "ledger" not in outputs:
        _say("nothing is deployed yet; run `pulumi up` in `make sandbox-shell`")
        return 1
    _print_estate(variables, outputs)
    return 0


def _add_organisation_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="change", required=True, metavar="CHANGE")
    commands.add_parser("list", help="list the repositories")
    for name, summary in (
        ("add", "add a repository"),
        ("delete", "delete a repository"),
        ("archive", "archive a repository"),
        ("unarchive", "unarchive a repository"),
    ):
        commands.add_parser(name, help=summary).add_argument("name")
    rename = commands.add_parser("rename", help="rename a repository")
    rename.add_argument("name")
    rename.add_argument("to")
    properties = commands.add_parser("set", help="set a custom property of a repository")
    properties.add_argument("name")
    properties.add_argument("properties", nargs="+", metavar="PROPERTY=VALUE")
    fault = commands.add_parser("fault", help="make the next matching answer go wrong")
    fault.add_argument("fault", nargs="?", help="without it, the faults are listed")
    fault.add_argument("--page", type=int, help="which page of the listing")
    fault.add_argument("--times", type=int, default=1, help="how often; 0 is for ever")
    commands.add_parser("mend", help="disarm all faults")


def _org(options: argparse.Namespace) -> int:
    from sandbox.github.client import ControlError, GitHubControl  # noqa: PLC0415

    control = GitHubControl(_require_running()["GITHUB_BASE_URL"])
    try:
        _say(_change(control, options))
    except ControlError as error:
        _say(str(error))
        return 1
    return 0


def _change(control: Any, options: argparse.Namespace) -> str:  # noqa: ANN401 - imported where it is used
    match options.change:
        case "list":
            repositories = control.state()["repositories"]
            return f"{len(repositories)} repositories\n" + "\n".join(
                f"{each['id']}  {each['name']}{'  archived' if each['archived'] else ''}"
                for each in repositories
            )
        case "fault" if options.fault is None:
            return "faults\n" + "\n".join(
                f"{each['name']}: {each['line']}" for each in control.catalogue()
            )
        case "fault":
            control.arm(options.fault, page=options.page, times=options.times or None)
            return f"{options.fault} is armed"
        case "mend":
            control.disarm()
            return "all faults are disarmed"
        case "set":
            if wrong := [each for each in options.properties if "=" not in each]:
                raise SessionError(f"{', '.join(wrong)}: write PROPERTY=VALUE")
            control.set_properties(
                options.name, dict(each.split("=", 1) for each in options.properties)
            )
        case "rename":
            control.rename(options.name, options.to)
        case change:
            getattr(control, change)(options.name)
    return f"{options.change}: {options.name} is done; see it with `pulumi preview`"


if __name__ == "__main__":
    sys.exit(main())
