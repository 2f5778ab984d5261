"""Small tools: the user's own is used, one that is built is built once, and without Go the error says so."""

from pathlib import Path

import pytest

from sandbox.toolchain import ToolchainError
from sandbox.toolchain.tools import (
    ACTIONLINT,
    BUILDX,
    CRANE,
    ORAS,
    REGISTRY,
    Tool,
    ensure_tool,
    find_tool,
    main,
)

each_tool = pytest.mark.parametrize(
    "tool", [CRANE, ACTIONLINT, ORAS, BUILDX], ids=lambda tool: str(tool.name)
)


def put(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder / name


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all there is on PATH, beside an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


@each_tool
def test_a_tool_on_the_path_is_used(path: Path, tool: Tool) -> None:
    own = put(path, tool.name, "")
    assert ensure_tool(tool, print) == own


@each_tool
def test_a_tool_is_built_once(path: Path, tool: Tool) -> None:
    go = put(path, "go", 'while [ "$1" != -o ]; do shift; done; echo "#!/bin/sh" > "$2"')
    lines: list[str] = []
    built = ensure_tool(tool, lines.append)
    go.unlink()
    assert ensure_tool(tool, lines.append) == built
    assert len(lines) == 1


def test_a_build_that_fails_leaves_no_tool(path: Path) -> None:
    put(path, "go", "echo no such module >&2; exit 1")
    for _ in range(2):
        with pytest.raises(ToolchainError, match="no such module"):
            ensure_tool(CRANE, print)


def test_the_projects_own_program_is_never_another_of_its_name(path: Path) -> None:
    put(path, REGISTRY.name, "")
    assert find_tool(REGISTRY) is None
    with pytest.raises(ToolchainError, match="Install Go"):
        ensure_tool(REGISTRY, print)


@each_tool
def test_looking_for_a_tool_builds_none(path: Path, tool: Tool) -> None:
    put(path, "go", "exit 1")
    assert find_tool(tool) is None
    own = put(path, tool.name, "")
    assert find_tool(tool) == own


def test_the_command_says_where_each_tool_is(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = [put(path, name, "") for name in ("oras", "buildx")]
    assert main(["oras", "buildx"]) == 0
    assert capsys.readouterr().out == f"oras: {own[0]}\nbuildx: {own[1]}\n"
    assert main(["crane"]) == 1
    assert "Install either" in capsys.readouterr().err


@each_tool
@pytest.mark.usefixtures("path")
def test_without_the_tool_and_without_go_the_error_names_both(tool: Tool) -> None:
    with pytest.raises(ToolchainError, match="Install either"):
        ensure_tool(tool, print)


@each_tool
def test_a_tool_is_pinned_by_its_own_module(tool: Tool) -> None:
    assert f"tool {tool.package}\n" in (tool.module / "go.mod").read_text()
    assert (tool.module / "go.sum").read_text()
