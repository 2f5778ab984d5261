"""crane: the user's own is used, one that was built is built once, and without Go the error says so."""

from pathlib import Path

import pytest

from sandbox.toolchain import ToolchainError
from sandbox.toolchain.images import ensure_crane


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


def test_a_crane_on_the_path_is_used(path: Path) -> None:
    own = put(path, "crane", "")
    assert ensure_crane(print) == own


def test_crane_is_built_once(path: Path) -> None:
    go = put(path, "go", 'while [ "$1" != -o ]; do shift; done; echo "#!/bin/sh" > "$2"')
    lines: list[str] = []
    built = ensure_crane(lines.append)
    go.unlink()
    assert ensure_crane(lines.append) == built
    assert len(lines) == 1


def test_a_build_that_fails_leaves_no_crane(path: Path) -> None:
    put(path, "go", "echo no such module >&2; exit 1")
    for _ in range(2):
        with pytest.raises(ToolchainError, match="no such module"):
            ensure_crane(print)


@pytest.mark.usefixtures("path")
def test_without_crane_and_without_go_the_error_names_both() -> None:
    with pytest.raises(ToolchainError, match="Install either"):
        ensure_crane(print)
