"""The parts of the API server: built once, taken up after an interruption, or refused with the remedy."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sandbox.kubernetes import build, ensure_parts, eventually
from sandbox.toolchain import ToolchainError


def ignore(_line: str) -> None: ...


class FakeGo:
    """Compiles nothing, and leaves what a compiler would leave."""

    def __init__(self) -> None:
        self.compiled: list[str] = []

    def __call__(
        self, _what: str, command: Sequence[str | Path], /, *, cwd: Path, env: Mapping[str, str]
    ) -> str:
        assert (cwd / "go.mod").is_file()
        assert env["GOWORK"] == "off"
        words = [str(word) for word in command]
        Path(words[words.index("-o") + 1]).write_text("binary")
        self.compiled.append(words[-1].rpartition("/")[2])
        return ""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "go").write_text("#!/bin/sh\necho go version go1.99.0\n")
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.usefixtures("go")
def test_every_part_is_built_once_into_the_users_cache(tmp_path: Path) -> None:
    run = FakeGo()
    found = ensure_parts(ignore, run)
    assert found.folder.is_relative_to(tmp_path / "cache/ecr-estate/kubernetes")
    assert not found.missing()
    ensure_parts(ignore, run)
    assert run.compiled == ["kube-apiserver", "v3", "kubectl"]


@pytest.mark.usefixtures("go")
def test_an_interrupted_build_goes_on_with_what_is_missing() -> None:
    found = ensure_parts(ignore, FakeGo())
    found["etcd"].rename(found.folder / "etcd.part")
    run = FakeGo()
    ensure_parts(ignore, run)
    assert run.compiled == ["v3"]


def test_without_go_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match=r"no Go to build one. Install Go 1.24.0 or newer"):
        ensure_parts(ignore, FakeGo())


def test_the_version_built_is_the_modules() -> None:
    assert f"k8s.io/kubernetes {build.VERSION}" in (build.MODULE / "go.mod").read_text()


def test_what_does_not_come_about_says_what_was_there_instead() -> None:
    with pytest.raises(TimeoutError, match="the last answer was 0"):
        eventually(lambda: 0, within=0)
