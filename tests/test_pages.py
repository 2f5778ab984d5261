"""What the site is given beyond its pages: fresh, pinned, and said to be missing where it is."""

import argparse
import base64
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from ecr.cli.commands import operations
from ecr.deploy.outputs import OUTPUTS
from ecr.errors import EstateError
from ecr.usage.report import USAGE_SCHEMA
from pages import __main__ as pages
from pages import browser, reference, vendor
from pages.estate import sandbox_outputs
from pages.playground import MODULES, sources
from pages.usage import usage_data

NAME = "tool.js"


def tarball(text: bytes = b"fine") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        held = tarfile.TarInfo(f"package/{NAME}")
        held.size = len(text)
        archive.addfile(held, io.BytesIO(text))
    return packed.getvalue()


def package(of: bytes, *files: str) -> vendor.Package:
    digest = base64.b64encode(hashlib.sha512(of).digest()).decode()
    return vendor.Package("tool", "1.0.0", f"sha512-{digest}", files or (NAME,))


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that packs what lies beside it, into an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text('#!/bin/sh\n/bin/cat "$0.tgz" > tool-1.0.0.tgz\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder / "npm.tgz"


def test_a_part_is_fetched_once_and_then_had(npm: Path, tmp_path: Path) -> None:
    packed = tarball()
    npm.write_bytes(packed)
    folder = vendor.fetched(package(packed))
    assert (folder / NAME).read_bytes() == b"fine"
    (npm.parent / "npm").unlink()
    vendor.copy(package(packed), tmp_path / "site")
    assert (tmp_path / "site" / NAME).read_bytes() == b"fine"
    assert [each.name for each in folder.parent.iterdir()] == ["tool-1.0.0"]


def test_a_part_that_is_not_the_one_that_is_pinned_is_refused(npm: Path, tmp_path: Path) -> None:
    npm.write_bytes(tarball(b"other"))
    with pytest.raises(EstateError, match="does not have the integrity"):
        vendor.fetched(package(tarball()))
    assert list((tmp_path / "cache/ecr-estate/npm").iterdir()) == []


def test_a_part_that_lacks_a_file_is_refused(npm: Path) -> None:
    packed = tarball()
    npm.write_bytes(packed)
    with pytest.raises(EstateError, match=r"has no file other\.js"):
        vendor.fetched(package(packed, NAME, "other.js"))


def test_what_npm_cannot_bring_is_said(npm: Path) -> None:
    with pytest.raises(EstateError, match="npm could not fetch it"):
        vendor.fetched(package(b""))
    (npm.parent / "npm").unlink()
    with pytest.raises(EstateError, match="npm is missing; install"):
        vendor.fetched(package(b""))


def test_without_npm_the_site_is_built_and_says_what_it_lacks(
    npm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (npm.parent / "npm").unlink()
    pages.bring_parts(tmp_path)
    assert "npm is missing" in capsys.readouterr().err
    assert (tmp_path / "vendor/iframe-worker.js").read_text().startswith("//")
    with pytest.raises(EstateError, match="part of the site"):
        pages.bring_parts(tmp_path, whole=True)


def test_a_missing_chromium_is_said_with_its_remedy(
    npm: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert npm.parent.is_dir()
    assert browser.chromium() is None
    assert browser.main() == 1
    assert "install the system's package (Debian: chromium)" in capsys.readouterr().err


def test_chromium_is_installed_by_the_systems_packages_where_the_user_may(
    npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(vendor, "fetched", lambda _: npm.parent)
    apt = npm.parent / "apt-get"
    apt.write_text(
        '#!/bin/sh\necho "$DEBIAN_FRONTEND $@" >> "$0.log"\n'
        'case "$2" in install) : > "${0%apt-get}chromium"; /bin/chmod +x "${0%apt-get}chromium";; '
        "esac\n"
    )
    apt.chmod(0o755)
    assert browser.main() == 0
    assert (npm.parent / "apt-get.log").read_text().splitlines() == [
        "noninteractive -qq update",
        "noninteractive -qq install --yes --no-install-recommends chromium",
    ]
    assert browser.chromium() == str(npm.parent / "chromium")
    (npm.parent / "chromium").unlink()
    apt.write_text("#!/bin/sh\nexit 100\n")
    assert browser.main() == 1


def test_every_pin_is_of_one_version_and_has_an_integrity() -> None:
    for each in (vendor.PYODIDE, vendor.IFRAME_WORKER, vendor.AXE):
        assert all(part.isdigit() for part in each.version.split("."))
        assert each.integrity.startswith("sha512-")


def test_the_browser_is_given_every_module_that_the_playground_imports() -> None:
    imported = {
        line.split()[1]
        for text in sources().values()
        for line in text.splitlines()
        if line.startswith(("from ecr.", "from pages."))
    }
    assert imported <= set(MODULES)


def test_the_estates_data_is_the_sandboxs_unless_a_stack_is_given(tmp_path: Path) -> None:
    (tmp_path / "estate").mkdir()
    pages.write_estate([], None, tmp_path)
    script = tmp_path / "estate/data.js"
    assert '"stack":"sandbox"' in script.read_text()
    (tmp_path / "outputs.json").write_text(json.dumps(sandbox_outputs("2026-01-02")))
    pages.write_estate([tmp_path / "outputs.json"], "prod", tmp_path)
    assert '"stack":"prod"' in script.read_text()
    assert '"2026-01-02"' in script.read_text()


def test_the_reference_is_fresh() -> None:
    pages.check_reference()


def test_a_stale_reference_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    pages.write_reference(tmp_path)
    pages.check_reference(tmp_path)
    with (tmp_path / "reference/limits.md").open("a") as page:
        page.write("\nmore\n")
    with pytest.raises(EstateError) as stale:
        pages.check_reference(tmp_path)
    assert stale.value.offences == ("docs/reference/limits.md: run `python -m pages`",)


@pytest.mark.parametrize("name", sorted(operations()))
def test_the_reference_has_every_command_and_each_of_its_options(name: str) -> None:
    page = reference.commands()
    section = page.partition(f"### `ecr-estate {name}`")[2].partition("\n### ")[0]
    parser = argparse.ArgumentParser()
    operations()[name].configure(parser)
    options = [
        action.option_strings[-1]
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    ]
    assert [option for option in options[1:] if f"<code>{option}" not in section] == []
    assert str(operations()[name].__doc__).partition("\n")[0] in section


def test_the_reference_has_every_output_and_none_besides() -> None:
    assert set(OUTPUTS) == set(sandbox_outputs())


def test_a_limit_is_shown_with_the_docstring_below_it(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'A = 1_000\nB, C = 2, 0.5\n"""Of\nall."""\n_D = 4\n"""Not public."""\nE = 5\nF = []\n'
    )
    assert list(reference.constants(module)) == [
        ("A", "1,000", "Of all."),
        ("B", "2", "Of all."),
        ("C", "0.5", "Of all."),
    ]


def test_the_usage_pages_sample_was_measured_by_this_version(tmp_path: Path) -> None:
    script = usage_data()
    report = json.loads(script.removeprefix("window.usage = ").rstrip(";\n"))
    assert report["schema"] == USAGE_SCHEMA
    assert report["sharedLayersOnce"]
    assert report["byOwner"]
    assert {each["finding"] for each in report["findings"]} >= {"empty", "unused", "unowned"}
    own = tmp_path / "usage.json"
    own.write_text('{"schema": 1}')
    assert usage_data(own) == 'window.usage = {"schema":1};\n'
