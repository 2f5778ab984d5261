"""The toolchain: found, built or refused; only the last test runs what it made."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pytest

from sandbox.toolchain import Toolchain, ToolchainError, build, commands, ensure_toolchain
from sandbox.toolchain.build import PLUGIN_VERSIONS, PULUMI_VERSION, SERVICES, Built
from sandbox.toolchain.commands import Commands
from sandbox.toolchain.trim import CLIENTS, SERVICE_LIST, trim

PULUMI = ("pulumi", "pulumi-language-python")


def ignore(_line: str) -> None: ...


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def put_on_path(
    monkeypatch: pytest.MonkeyPatch, folder: Path, script: str = "", *names: str
) -> None:
    """Make `folder` all there is on PATH, with shell commands of these names in it."""
    folder.mkdir(exist_ok=True)
    for name in names:
        write(folder / name, f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def aws_provider(folder: Path, services: Sequence[str], imports: Mapping[str, str]) -> Path:
    """Write an upstream provider in small: a package, a client and a test for each service."""
    module = "github.com/hashicorp/terraform-provider-aws"
    write(folder / "go.mod", f"module {module}\n")
    for part in ("names", "version", "xpprovider"):
        write(folder / part / "it.go", f"package {part}\n")
    for service in services:
        package = folder / "internal/service" / service
        imported = f'import "{module}/internal/service/{imports[service]}"\n'
        call = f"func use() {{ c.{service.upper()}Client(ctx) }}\n"
        write(
            package / "it.go",
            f"package {service}\n{imported if imports[service] else ''}{call}",
        )
        write(package / "it_test.go", f"package {service}\n")
    packages = [f'\t"{module}/internal/service/{service}"\n' for service in services]
    listed = [f"\t\t{service}.ServicePackage(ctx),\n" for service in services]
    write(
        folder / SERVICE_LIST, f"import (\n{''.join(packages)})\nv := {{\n{''.join(listed)}\t}}\n"
    )
    sdks = [f'\t"github.com/aws/aws-sdk-go-v2/service/{service}"\n' for service in services]
    clients = [
        f"func (c *AWSClient) {service.upper()}Client(ctx context.Context) *{service}.Client {{\n"
        f"\treturn nil\n}}\n\n"
        for service in services
    ]
    write(folder / CLIENTS, f"import (\n{''.join(sdks)})\n\n{''.join(clients)}")
    return folder


class FakeRun:
    """Runs nothing; leaves what the real commands would leave."""

    def __init__(self, target: Built, aws: Path, aws_sum: str = build.AWS_SUM) -> None:
        self.target, self.aws, self.aws_sum = target, aws, aws_sum
        self.commands: list[str] = []

    def __call__(
        self, _what: str, command: Sequence[str | Path], /, *, cwd: Path, env: Mapping[str, str]
    ) -> str:
        assert cwd.is_dir()
        assert all(env.values())
        words = [str(word) for word in command]
        self.commands.append(" ".join(words))
        if "-o" in words:
            Path(words[words.index("-o") + 1]).write_text("binary")
        if words[1:3] == ["plugin", "install"]:
            write(self.target.plugin(words[4]), "binary")
        if words[:3] == ["go", "mod", "download"]:
            return json.dumps({"Sum": self.aws_sum, "Dir": str(self.aws)})
        return ""

    def compiled(self) -> set[str]:
        return {words.split()[-1].rpartition("/")[2] for words in self.commands if " -o " in words}


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put_on_path(monkeypatch, tmp_path / "path", "echo go version go1.99.0", "go")


@pytest.fixture
def run(tmp_path: Path) -> FakeRun:
    aws = aws_provider(tmp_path / "aws", SERVICES, dict.fromkeys(SERVICES, ""))
    return FakeRun(Built(tmp_path / "toolchain"), aws)


def test_the_versions_built_are_those_of_the_sdks() -> None:
    assert version("pulumi") == PULUMI_VERSION
    assert {name: version(f"pulumi-{name}") for name in PLUGIN_VERSIONS} == PLUGIN_VERSIONS


@pytest.mark.parametrize("changed", ["providers/aws/main.go", "cli/go.sum", "trim.py"])
def test_a_changed_source_is_another_toolchain(changed: str, tmp_path: Path) -> None:
    copy = shutil.copytree(build.HERE, tmp_path / "sources")
    assert build.recipe_key(copy) == build.recipe_key()
    with (copy / changed).open("a") as source:
        source.write("\n")
    assert build.recipe_key(copy) != build.recipe_key()


def test_the_cache_is_where_the_user_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.built().folder == tmp_path / "ecr-estate/toolchain" / build.recipe_key()


def test_trimming_keeps_the_services_asked_for_and_those_they_import(tmp_path: Path) -> None:
    upstream = ("ecr", "iam", "s3", "sns")
    source = aws_provider(
        tmp_path / "aws", upstream, {"ecr": "", "iam": "", "s3": "", "sns": "iam"}
    )
    trim(source, tmp_path / "copy", ["ecr", "sns"])
    kept = {folder.name for folder in (tmp_path / "copy/internal/service").iterdir()}
    assert kept == {"ecr", "iam", "sns"}
    assert not list((tmp_path / "copy").rglob("*_test.go"))


def test_trimming_registers_only_the_services_asked_for(tmp_path: Path) -> None:
    source = aws_provider(tmp_path / "aws", ("ecr", "iam"), {"ecr": "iam", "iam": ""})
    trim(source, tmp_path / "copy", ["ecr"])
    listed = (tmp_path / "copy" / SERVICE_LIST).read_text()
    assert "ecr.ServicePackage(ctx)" in listed
    assert "iam" not in listed


def test_trimming_brings_the_tests_asked_for_and_what_drives_them(tmp_path: Path) -> None:
    source = aws_provider(
        tmp_path / "aws", ("ecr", "iam", "ram"), dict.fromkeys(("ecr", "iam", "ram"), "")
    )
    driver = 'package acctest\nimport "github.com/hashicorp/terraform-provider-aws/internal/service/ram"\n'
    write(source / "internal/acctest/it.go", driver)
    write(source / "internal/service/ecr/testdata/main.tf", "")
    write(source / "go.sum", "")
    trim(source, tmp_path / "copy", ["ecr", "iam"], ["ecr"])
    copy = tmp_path / "copy/internal"
    assert {file.parent.name for file in copy.rglob("*_test.go")} == {"ecr"}
    assert (copy / "service/ecr/testdata/main.tf").is_file()
    assert (copy / "service/ram/it.go").is_file()
    assert (copy / "acctest/it.go").is_file()
    assert (tmp_path / "copy/go.sum").is_file()


def test_trimming_drops_the_clients_that_nothing_calls(tmp_path: Path) -> None:
    source = aws_provider(tmp_path / "aws", ("ecr", "s3"), {"ecr": "", "s3": ""})
    trim(source, tmp_path / "copy", ["ecr"])
    clients = (tmp_path / "copy" / CLIENTS).read_text()
    assert "ECRClient" in clients
    assert "s3" not in clients.lower()


def test_trimming_to_an_unknown_service_says_which(tmp_path: Path) -> None:
    source = aws_provider(tmp_path / "aws", ("ecr",), {"ecr": ""})
    with pytest.raises(ValueError, match="no service 'ecrr'"):
        trim(source, tmp_path / "copy", ["ecrr"])


@pytest.mark.usefixtures("go")
def test_a_build_leaves_a_whole_toolchain_and_no_work(run: FakeRun) -> None:
    build.build(run.target, ignore, run)
    assert run.target.is_complete()
    assert run.compiled() == {"pulumi", "github", "aws"}
    assert not (run.target.folder / "work").exists()


@pytest.mark.usefixtures("go")
@pytest.mark.parametrize("name", PLUGIN_VERSIONS)
def test_an_interrupted_build_goes_on_with_what_is_missing(name: str, run: FakeRun) -> None:
    build.build(run.target, ignore, run)
    run.target.plugin(name).unlink()
    run.commands.clear()
    build.build(run.target, ignore, run)
    assert run.target.is_complete()
    assert run.compiled() == {name}


@pytest.mark.usefixtures("go")
def test_a_plugin_that_pulumi_was_still_copying_is_missing(run: FakeRun) -> None:
    build.build(run.target, ignore, run)
    folder = run.target.plugin("aws").parent
    folder.with_name(f"{folder.name}.partial").touch()
    assert not run.target.is_complete()


def test_what_stands_is_not_built_again(
    monkeypatch: pytest.MonkeyPatch, run: FakeRun, tmp_path: Path
) -> None:
    write(run.target.pulumi, "binary")
    for name in PLUGIN_VERSIONS:
        write(run.target.plugin(name), "binary")
    put_on_path(monkeypatch, tmp_path / "empty")
    build.build(run.target, ignore, run)
    assert run.commands == []


@pytest.mark.usefixtures("go")
def test_a_module_with_another_sum_is_refused_before_anything_of_it_runs(run: FakeRun) -> None:
    run.aws_sum = "h1:other"
    with pytest.raises(ToolchainError, match=f"its sum is h1:other, not {build.AWS_SUM[:8]}"):
        build.build(run.target, ignore, run)
    assert run.compiled() == {"pulumi"}


def test_without_go_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, run: FakeRun, tmp_path: Path
) -> None:
    put_on_path(monkeypatch, tmp_path / "empty")
    with pytest.raises(ToolchainError, match=r"no Go to build one. Install Go 1.26 or newer"):
        build.build(run.target, ignore, run)


@pytest.mark.parametrize(
    "answer",
    [
        "echo go version go1.22.4 linux/amd64",
        "echo 'go: go.mod requires go >= 1.26 (running go 1.22.4)' >&2; exit 1",
    ],
)
def test_a_go_too_old_is_named_with_the_version_needed(
    answer: str, monkeypatch: pytest.MonkeyPatch, run: FakeRun, tmp_path: Path
) -> None:
    put_on_path(monkeypatch, tmp_path / "old", answer, "go")
    with pytest.raises(ToolchainError, match=r"too old: go.*1.22.4.*Install Go 1.26 or newer"):
        build.build(run.target, ignore, run)


@pytest.mark.usefixtures("go")
def test_a_second_process_says_that_it_waits_and_then_builds_nothing(run: FakeRun) -> None:
    said = threading.Event()
    run.target.folder.mkdir()
    with (run.target.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = threading.Thread(
            target=build.build, args=(run.target, lambda _: said.set(), run), daemon=True
        )
        second.start()
        assert said.wait(timeout=60)
        write(run.target.pulumi, "binary")
        for name in PLUGIN_VERSIONS:
            write(run.target.plugin(name), "binary")
    second.join(timeout=60)
    assert not second.is_alive()
    assert run.commands == []


def test_a_command_that_fails_shows_its_last_lines_the_remedy_and_the_log(tmp_path: Path) -> None:
    script = "echo one; echo 'write: no space left on device' >&2; exit 3"
    with pytest.raises(ToolchainError) as error:
        Commands(tmp_path / "log", ignore)("linking", ["sh", "-c", script], cwd=tmp_path, env={})
    for part in ("linking failed", "The disk is full", "no space left", str(tmp_path / "log")):
        assert part in str(error.value)
    assert "one\n" in (tmp_path / "log").read_text()


def test_a_long_command_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "_EVERY", 0.01)
    os.mkfifo(tmp_path / "end")

    def report(line: str) -> None:
        assert "compiling" in line
        # Opens only when the command reads at the other end, which lets it end.
        with suppress(OSError):
            os.close(os.open(tmp_path / "end", os.O_WRONLY | os.O_NONBLOCK))

    run = Commands(tmp_path / "log", report)
    assert run("compiling", ["sh", "-c", "read x <end; echo x"], cwd=tmp_path, env={}) == "x\n"


def test_an_interrupted_command_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "_EVERY", 0.01)
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)

    def interrupt_when_it_runs(_line: str) -> None:
        try:
            os.read(alive, 1)
        except BlockingIOError:  # the command has opened the other end
            raise KeyboardInterrupt from None

    run = Commands(tmp_path / "log", interrupt_when_it_runs)
    with pytest.raises(KeyboardInterrupt):
        run("compiling", ["sh", "-c", "sleep 1000 >alive; true"], cwd=tmp_path, env={})
    os.set_blocking(alive, True)  # the end of a process takes as long as it takes
    assert os.read(alive, 1) == b""  # nobody holds the other end any more
    os.close(alive)


def test_a_command_past_its_limit_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "_EVERY", 0.01)
    with pytest.raises(ToolchainError, match="not done after"):
        Commands(tmp_path / "log", ignore, limit=0)(
            "downloading", ["sleep", "1000"], cwd=tmp_path, env={}
        )


def pulumi_script(release: str, plugins: Mapping[str, str]) -> str:
    """Write a pulumi that has these plugins and can download none."""
    listed = json.dumps([{"name": name, "version": value} for name, value in plugins.items()])
    answers = {"version": f"echo v{release}", "plugin\\ ls\\ --json": f"echo '{listed}'"}
    cases = "\n".join(f"{arguments}) {answer};;" for arguments, answer in answers.items())
    return f'case "$*" in\n{cases}\n*) echo no network >&2; exit 1;;\nesac'


def test_a_pulumi_on_path_with_the_plugins_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = pulumi_script(PULUMI_VERSION, PLUGIN_VERSIONS)
    put_on_path(monkeypatch, tmp_path / "path", script, *PULUMI)
    found = ensure_toolchain(ignore)
    assert (found.pulumi, found.origin) == (tmp_path / "path/pulumi", "found on PATH")
    assert "PULUMI_HOME" not in found.environment


@pytest.mark.parametrize(
    ("script", "names", "reason"),
    [
        (pulumi_script("3.9.0", PLUGIN_VERSIONS), PULUMI, "older than the Python SDK"),
        (pulumi_script(PULUMI_VERSION, PLUGIN_VERSIONS), PULUMI[:1], "has no pulumi-language"),
        (pulumi_script(PULUMI_VERSION, {}), PULUMI, "no network"),
    ],
)
def test_a_pulumi_on_path_that_will_not_do_is_passed_over_with_the_reason(
    script: str,
    names: Sequence[str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put_on_path(monkeypatch, tmp_path / "path", script, *names)
    lines: list[str] = []
    with pytest.raises(ToolchainError, match="no Go to build one"):
        ensure_toolchain(lines.append)
    assert reason in "\n".join(lines)


def test_a_toolchain_of_ours_on_path_is_not_taken_for_the_users_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ours = build.built()
    for name in PLUGIN_VERSIONS:
        write(ours.plugin(name), "binary")
    script = pulumi_script(PULUMI_VERSION, PLUGIN_VERSIONS)
    ours.pulumi.parent.mkdir()
    put_on_path(monkeypatch, ours.pulumi.parent, script, *PULUMI)
    found = ensure_toolchain(ignore)
    assert (found.pulumi, found.origin) == (ours.pulumi, "built from Go modules")
    assert found.environment["PULUMI_HOME"] == str(ours.home)


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    return ensure_toolchain(print)


class Project:
    """A Pulumi project with a stack in a file backend."""

    def __init__(self, toolchain: Toolchain, folder: Path, program: str) -> None:
        self.toolchain, self.folder = toolchain, folder / "project"
        self.state = folder / "state"
        self.state.mkdir()
        write(self.folder / "Pulumi.yaml", "name: project\nruntime: python\n")
        write(self.folder / "__main__.py", program)
        self.pulumi("stack", "init", "dev")

    def pulumi(self, *arguments: str, code: int = 0) -> str:
        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE": "embedded",
        }
        done = subprocess.run(
            [self.toolchain.pulumi, "--non-interactive", *arguments],
            cwd=self.folder,
            env=os.environ | self.toolchain.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        assert "warning" not in done.stdout
        return done.stdout


@pytest.mark.engine
def test_the_command_line_is_as_new_as_the_sdk(toolchain: Toolchain) -> None:
    answer = subprocess.check_output([toolchain.pulumi, "version"], text=True)
    assert build.version_in(answer) >= build.version_in(PULUMI_VERSION)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("aws", "aws:ecr/repository:Repository"),
        ("aws", "aws:ecr/getRepositories:getRepositories"),
        ("github", "github:index/repository:Repository"),
        ("github", "github:index/getRestApi:getRestApi"),
    ],
)
def test_a_provider_tells_its_schema(name: str, token: str, toolchain: Toolchain) -> None:
    answer = subprocess.check_output(
        [toolchain.pulumi, "package", "get-schema", f"{name}@{PLUGIN_VERSIONS[name]}"],
        env=os.environ | toolchain.environment,
    )
    schema = json.loads(answer)
    assert token in schema["resources"] | schema["functions"]


@pytest.mark.engine
def test_a_program_runs_afresh_in_preview_and_update(toolchain: Toolchain, tmp_path: Path) -> None:
    program = (
        "import pulumi, counter, sys\n"
        "pulumi.export('runs', next(counter.runs))\n"
        "pulumi.export('size', pulumi.Config().require_int('size'))\n"
        "pulumi.export('python', sys.prefix)"
    )
    project = Project(toolchain, tmp_path, program)
    write(project.folder / "counter.py", "import itertools\nruns = itertools.count(1)")
    project.pulumi("config", "set", "size", "3")
    project.pulumi("up", "--yes")
    outputs = json.loads(project.pulumi("stack", "output", "--json"))
    assert outputs == {"runs": 1, "size": 3, "python": sys.prefix}
    project.pulumi("preview", "--expect-no-changes")


@pytest.mark.engine
@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        ("raise pulumi.RunError('size: too big')", "error: size: too big"),
        ("def f(): 1/0\nf()", "ZeroDivisionError: division by zero"),
        ("async def main(): 1/0\npulumi.run(main)", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_program_that_fails_is_told_once_and_in_its_own_words(
    failure: str, shown: str, toolchain: Toolchain, tmp_path: Path
) -> None:
    project = Project(toolchain, tmp_path, f"import pulumi\n{failure}\n")
    output = project.pulumi("preview", "--color=never", code=1).partition("Diagnostics:")[2]
    assert output.count(shown) == 1
    assert "inline source" not in output
    assert "site-packages" not in output
