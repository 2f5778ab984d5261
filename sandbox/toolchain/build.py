"""The toolchain, built from Go modules: where official downloads cannot be had.

Owns one folder below the user's cache for each recipe, with the command line and, in a PULUMI_HOME
of its own, the two provider plugins. Reads the two Go modules beside this file; fetches what their
go.sum pins, and the AWS provider's source, whose sum is below. Never writes to the clone, and never
puts a binary in place before it is whole: a build that was interrupted goes on with what is missing.
"""

import errno
import fcntl
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.toolchain.commands import Commands, Report, Run, ToolchainError
from sandbox.toolchain.trim import trim

HERE = Path(__file__).parent
PULUMI_VERSION = "3.259.0"
PLUGIN_VERSIONS = {"github": "6.15.0", "aws": "7.51.1"}

# The upstream AWS provider, as exported for use by others. The checksum database does not know it,
# so its sum is pinned here; all other modules are pinned by go.sum.
AWS_MODULE = "github.com/upbound/terraform-provider-aws"
AWS_REVISION = "v0.0.0-20260305123303-f7691456b787"
AWS_SUM = "h1:dJlp2eNgY/iVKTPINdguYlHbHc9CtXBZKmQmqYq0REs="
# What providers/aws/main.go maps; all of the provider's services would compile for most of an hour.
SERVICES = ("ecr", "events", "iam", "kms", "sns", "sts")

GO_BUILD = ("go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false")
_CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_CLI_VERSION = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI_VERSION}"
_GO_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off", "GONOSUMDB": AWS_MODULE}

# The engine takes a language host that lies beside it without a word. As the toolchain is for all
# clones, it runs the interpreter and the host of the one that the environment names.
PYTHON = "SANDBOX_PYTHON"
LANGUAGE_HOST = "SANDBOX_LANGUAGE_HOST"
_LAUNCHER = f"""#!/bin/sh
exec "${{{PYTHON}:?is set by sandbox.toolchain}}" -P -u "${LANGUAGE_HOST}"
"""


def recipe_key(sources: Path = HERE) -> str:
    """Name all that decides what is built: another key is another toolchain."""
    digest = hashlib.sha256()
    for file in sorted([sources / "trim.py", *_go_sources(sources)]):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(sources)} {len(content)}\n".encode() + content)
    choices = [PULUMI_VERSION, PLUGIN_VERSIONS, AWS_REVISION, AWS_SUM, SERVICES, _LAUNCHER]
    digest.update(json.dumps([*choices, sys.platform, platform.machine()]).encode())
    return digest.hexdigest()[:16]


def _go_sources(sources: Path) -> Iterator[Path]:
    for module in ("cli", "providers"):
        for pattern in ("go.mod", "go.sum", "**/*.go"):
            yield from (sources / module).glob(pattern)


@dataclass(frozen=True)
class Built:
    """A toolchain's folder."""

    folder: Path

    @property
    def pulumi(self) -> Path:
        """The command line."""
        return self.folder / "bin/pulumi"

    @property
    def home(self) -> Path:
        """Its PULUMI_HOME."""
        return self.folder / "home"

    @property
    def log(self) -> Path:
        """What the commands of its builds printed."""
        return self.folder / "build.log"

    def plugin(self, name: str) -> Path:
        """Return the path of the provider `name`, where `pulumi plugin install` puts it."""
        version = PLUGIN_VERSIONS[name]
        return self.home / f"plugins/resource-{name}-v{version}/pulumi-resource-{name}"

    def has_plugin(self, name: str) -> bool:
        """Whether the plugin is there whole: pulumi marks one that it is still copying."""
        plugin = self.plugin(name)
        return (
            plugin.is_file()
            and not plugin.parent.with_name(f"{plugin.parent.name}.partial").exists()
        )

    def is_complete(self) -> bool:
        """Whether nothing is left to build."""
        return self.pulumi.is_file() and all(map(self.has_plugin, PLUGIN_VERSIONS))


def built() -> Built:
    """Return the toolchain of this clone's recipe, built or not."""
    return Built(cache_folder() / "toolchain" / recipe_key())


def cache_folder() -> Path:
    """Return this project's folder below the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ecr-estate"


def build(target: Built, report: Report, run: Run | None = None) -> None:
    """Make what `target` lacks; wait when another process is making it.

    Raises ToolchainError when it cannot be made.
    """
    with alone(target.folder, "the toolchain", target.log, report):
        _Build(target, report, run or Commands(target.log, report)).missing()


@contextmanager
def alone(folder: Path, what: str, log: Path, report: Report) -> Iterator[None]:
    """Make the folder and hold its lock, which the system releases however this process ends.

    Raises ToolchainError when the disk turns out to be full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report(f"Another process is building {what} (its log: {log}); waiting.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ToolchainError(f"The disk is full: {error}. About 7 GB are needed.") from error


@dataclass(frozen=True)
class _Build:
    target: Built
    report: Report
    run: Run

    @property
    def work(self) -> Path:
        return self.target.folder / "work"

    def missing(self) -> None:
        """Make each missing part; one after the other, as Go keeps all processors busy itself."""
        steps: list[tuple[str, Callable[[], None]]] = []
        if not self.target.pulumi.is_file():
            steps.append(("the pulumi command line, about 4 minutes", self._command_line))
        plugins = [name for name in PLUGIN_VERSIONS if not self.target.has_plugin(name)]
        if plugins:
            steps.append(("the providers' sources, about half a minute", self._sources))
        for name in plugins:
            title = f"the {name} provider, about 2 minutes"
            steps.append((title, functools.partial(self._plugin, name)))
        if not steps:
            return
        require_go(
            HERE / "providers",
            "No pulumi can be used",
            f"Install Go {{needed}} or newer (go.dev/doc/install), or pulumi {PULUMI_VERSION}.",
        )
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        self.report(
            f"Building Pulumi and its providers from Go modules, once, into {self.target.folder}. "
            "Times are for two cores and empty caches; Ctrl-C is safe, the next run goes on."
        )
        for number, (title, step) in enumerate(steps, start=1):
            self.report(f"[{number}/{len(steps)}] {title}")
            step()
        shutil.rmtree(self.work)
        caches = self.run(
            "asking Go", ["go", "env", "GOCACHE", "GOMODCACHE"], cwd=HERE, env=_GO_ENVIRONMENT
        )
        gigabytes = sum(map(_size, caches.splitlines())) / 1e9
        self.report(
            f"The toolchain is built. Go's own caches hold {gigabytes:.1f} GB, of use to later "
            "builds only; `go clean -cache -modcache` empties them, for all Go projects."
        )

    def _command_line(self) -> None:
        binary = self.work / "pulumi"
        options: list[str | Path] = [
            "-tags",
            "osusergo,grpcnotrace",
            "-ldflags",
            f"-s -w -X {_CLI_VERSION}",
        ]
        self._go("compiling", [*options, "-o", binary, _CLI_PACKAGE], HERE / "cli")
        self.target.pulumi.parent.mkdir(exist_ok=True)
        launcher = self.target.pulumi.with_name("pulumi-language-python")
        launcher.write_text(_LAUNCHER)
        launcher.chmod(0o755)
        binary.replace(self.target.pulumi)

    def _sources(self) -> None:
        """Put the providers' Go module into the work folder, and the AWS provider's beside it."""
        shutil.copytree(HERE / "providers", self.work / "providers")
        # Outside of any module, and so without a go.sum: this is the only sum checked here.
        download = ["go", "mod", "download", "-json", f"{AWS_MODULE}@{AWS_REVISION}"]
        module = json.loads(self.run("downloading", download, cwd=self.work, env=_GO_ENVIRONMENT))
        if module["Sum"] != AWS_SUM:
            raise ToolchainError(
                f"{AWS_MODULE} {AWS_REVISION} is not the one this project was built with: its sum "
                f"is {module['Sum']}, not {AWS_SUM}. Nothing of it was run. Try another GOPROXY."
            )
        trim(Path(module["Dir"]), self.work / "providers/terraform-provider-aws", SERVICES)

    def _plugin(self, name: str) -> None:
        """Link the provider twice, as providers/bridge says, and install the one that serves."""
        module, version = self.work / "providers", PLUGIN_VERSIONS[name]
        generator, binary = self.work / f"generate-{name}", self.work / f"pulumi-resource-{name}"
        generated = module / name / "generated"
        generated.mkdir()
        (generated / "schema.json").touch()  # the generator embeds the folder too
        options: list[str | Path] = ["-ldflags", f"-s -w -X main.version={version}"]
        self._go("compiling", ["-tags", "tfgen", *options, "-o", generator, f"./{name}"], module)
        self.run("computing the schema", [generator, generated], cwd=self.work, env={})
        self._go("linking", [*options, "-o", binary, f"./{name}"], module)
        install: list[str | Path] = [
            *("plugin", "install", "resource", name, version, "--reinstall", "--file"),
            binary,
        ]
        self.run(
            "installing",
            [self.target.pulumi, *install],
            cwd=self.work,
            env={"PULUMI_HOME": str(self.target.home), "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )
        binary.unlink()  # installed is a copy

    def _go(self, what: str, arguments: Sequence[str | Path], module: Path) -> None:
        self.run(what, [*GO_BUILD, *arguments], cwd=module, env=_GO_ENVIRONMENT)


def _size(folder: str) -> int:
    return sum(
        Path(parent, name).lstat().st_size for parent, _, names in os.walk(folder) for name in names
    )


def require_go(module: Path, what: str, remedy: str) -> None:
    """Raise ToolchainError unless a Go new enough, or able to fetch a newer one, is on PATH.

    ``what`` says what is missing without it; ``{needed}`` in the remedy is the module's version.
    """
    needed = re.findall(r"^go (.+)$", (module / "go.mod").read_text(), re.MULTILINE)[0]
    remedy = remedy.format(needed=needed)
    go = shutil.which("go")
    if go is None:
        raise ToolchainError(f"{what}, and there is no Go to build one. {remedy}")
    # Asked in the module's folder: there, Go changes to the version the module needs, if it may.
    answer = subprocess.run(
        [go, "version"], cwd=module, capture_output=True, text=True, check=False
    )
    if version_in(answer.stdout) < version_in(needed):
        said = (answer.stdout or answer.stderr).strip()
        raise ToolchainError(f"Go is too old: {said}. {remedy}")


def version_in(text: str) -> tuple[int, ...]:
    """Return the first version number in `text`, () when there is none."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return tuple(map(int, found[0].split("."))) if found else ()
