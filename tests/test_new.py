"""An organisation's own repository: made from what the package ships, whole, and never over anything."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr import __version__
from ecr.cli.commands.new import EXAMPLE, TEMPLATE
from ecr.cli.main import main
from ecr.engine.stack_file import checked, read_stack_file
from sandbox.toolchain.tools import ACTIONLINT, ensure_tool
from tests.snippets import ROOT

ANSWERS = {
    "organisation": "octo",
    "account": "111122223333",
    "region": "eu-west-1",
    "aws-organisation": "o-a1b2c3d4e5",
    "program": "tools/ecr-estate",
}


def words(**changes: str) -> list[str]:
    answers = {**ANSWERS, **{key.replace("_", "-"): each for key, each in changes.items()}}
    return [word for key, each in answers.items() for word in (f"--{key}", each)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(*more: str, **changes: str) -> Path:
    assert main(["new", "acme", *words(**changes), *more]) == 0
    return Path("acme")


def test_it_is_whole_and_names_one_version() -> None:
    folder = made()
    files = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
    workflows = {
        f".github/workflows/{name}.yml"
        for name in ("confirm", "deploy", "drift", "preview", "service", "watch")
    }
    assert files == {
        *("Pulumi.yaml", "Pulumi.acme.yaml", "README.md", "__main__.py", "requirements.txt"),
        *(".gitignore", *workflows),
    }
    assert (folder / "requirements.txt").read_text() == f"ecr-estate=={__version__}\n"
    for name in workflows:
        text = (folder / name).read_text()
        assert set(re.findall(r"uses: (\S+?)/\.github", text)) == {"tools/ecr-estate"}
        assert set(re.findall(r"@(v\S+)|program-ref: (\S+)", text)) == {
            (f"v{__version__}", ""),
            ("", f"v{__version__}"),
        }
    assert not any(EXAMPLE in each.read_text() for each in folder.rglob("*") if each.is_file())


def test_what_was_made_is_said_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    folder = made("--json")
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == __version__
    assert set(said["files"]) == {str(each) for each in folder.rglob("*") if each.is_file()}


def test_its_settings_are_the_answers() -> None:
    folder = made("--lambda-account", "444455556666/eu-west-1")
    settings = checked(read_stack_file(folder / "Pulumi.acme.yaml"))
    assert settings.github.organisation == "octo"
    assert settings.artifacts.role == "arn:aws:iam::111122223333:role/ecr-estate-deploy"
    (account,) = settings.lambda_replicas.accounts
    assert (account.account, account.regions) == ("444455556666", ("eu-west-1",))
    assert settings.preview_role == "ecr-estate-read"


def test_its_project_is_this_ones_without_the_template() -> None:
    project = yaml.safe_load((made() / "Pulumi.yaml").read_text())
    assert project == yaml.safe_load((ROOT / "Pulumi.yaml").read_text())


def test_bootstrap_takes_what_it_has_made() -> None:
    folder = made()
    options = ["--repository", "octo/estate", "--repository-id", "1", "--reviewer", "user:octocat"]
    operators = ["--operators", "arn:aws:iam::111122223333:role/operators"]
    out = ["--program", "tools/ecr-estate", "--output", "out"]
    settings = ["--settings", str(folder / "Pulumi.acme.yaml")]
    assert main(["bootstrap", *settings, *options, *operators, *out]) == 0
    ref = f"tools/ecr-estate/.github/workflows/deploy-stack.yml@refs/tags/v{__version__}"
    assert ref in Path("out/artifacts.template.json").read_text()


def test_pulumi_finds_a_template_with_every_answer_that_has_to_be_given() -> None:
    template = yaml.safe_load((TEMPLATE / "Pulumi.yaml").read_text())
    asked = template["template"]["config"]
    needed = {f"ecr-estate:{key}" for key in template["config"]}
    assert needed <= asked.keys()
    values = {key.partition(":")[2]: each.get("default") for key, each in asked.items()}
    assert checked({**values, "awsOrganisation": "o-a1b2c3d4e5"}).github.organisation == "acme"


def inputs(name: str) -> dict[str, Any]:
    text = (ROOT / f".github/workflows/{name}.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)[True]["workflow_call"]["inputs"]
    return found


@pytest.mark.parametrize("file", sorted((TEMPLATE / ".github/workflows").glob("*.yml")), ids=str)
def test_a_thin_workflow_calls_one_that_can_be_called_and_gives_it_all_and_enough(
    file: Path,
) -> None:
    thin = yaml.safe_load(file.read_text())
    assert thin["permissions"] == {}
    (job,) = thin["jobs"].values()
    assert "steps" not in job
    name = re.fullmatch(rf"{EXAMPLE}/\.github/workflows/([\w-]+)\.yml@v.*", job["uses"])
    assert name
    called = inputs(name[1])
    assert job["with"].keys() <= called.keys()
    assert {key for key, each in called.items() if each.get("required")} <= job["with"].keys()
    rights = yaml.safe_load((ROOT / f".github/workflows/{name[1]}.yml").read_text())["jobs"]
    for inner in rights.values():
        assert inner["permissions"].items() <= job["permissions"].items()


def test_the_thin_workflows_run_at_the_hours_of_this_repositorys_own() -> None:
    for name in ("confirm", "deploy", "drift", "preview", "service", "watch"):
        thin = yaml.safe_load((TEMPLATE / f".github/workflows/{name}.yml").read_text())[True]
        own = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())[True]
        assert thin == {key: each for key, each in own.items() if key != "workflow_call"}


def test_actionlint_has_nothing_to_say() -> None:
    files = sorted(map(str, (TEMPLATE / ".github/workflows").glob("*.yml")))
    linter = str(ensure_tool(ACTIONLINT, print))
    done = subprocess.run(
        [linter, "-no-color", *files], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_a_job_gets_the_programs_files_and_keeps_the_organisations(tmp_path: Path) -> None:
    folder = made()
    program = folder / ".program"
    for name in ("ecr", ".ci", ".github"):
        shutil.copytree(ROOT / name, program / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements-deploy.lock", "Pulumi.prod.yaml", "__main__.py"):
        shutil.copy(ROOT / name, program / name)
    own = (folder / "README.md").read_text()
    subprocess.run([".program/.ci/take"], cwd=folder, check=True)
    assert (folder / ".ci/plan").is_file()
    assert (folder / ".github/actions/estate/action.yml").is_file()
    assert (folder / "README.md").read_text() == own
    assert not program.exists()
    assert not (folder / "Pulumi.prod.yaml").exists()
    assert not (folder / ".github/workflows/ci.yml").exists()
    run = [sys.executable, "-c", "import ecr; print(ecr.__file__)"]
    done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "acme/ecr/__init__.py")


def test_what_is_missing_is_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(
        sys, "stdin", Terminal("octo\n111122223333\neu-west-1\no-a1b2c3d4e5\nt/e\n")
    )
    assert main(["new", "acme"]) == 0
    assert checked(read_stack_file(Path("acme/Pulumi.acme.yaml"))).github.organisation == "octo"


def test_without_a_terminal_every_missing_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(["new", "acme", "--organisation", "octo"]) == 2
    told = capsys.readouterr().err
    assert all(f"--{key}: " in told for key in ANSWERS if key != "organisation")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"account": "1"}, "artifacts.account"),
        ({"region": "Ireland"}, "artifacts.region"),
        ({"organisation": "a b"}, "github.organisation"),
        ({"aws_organisation": "acme"}, "awsOrganisation"),
        ({"program": "ecr-estate"}, "program: ecr-estate is no repository"),
    ],
)
def test_a_wrong_answer_is_refused_before_anything_is_written(
    changes: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "acme", *words(**changes)]) == 1
    assert said in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_folder_that_has_something_in_it_is_left_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("acme").mkdir()
    Path("acme/README.md").write_text("ours")
    assert main(["new", "acme", *words()]) == 1
    assert "acme: is not an empty folder" in capsys.readouterr().err
    assert list(Path("acme").iterdir()) == [Path("acme/README.md")]
    assert main(["new", "acme", *words(), "--folder", "acme/README.md"]) == 1


@pytest.mark.parametrize("name", ["a/b", "..", "a b"])
def test_a_name_that_is_none_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", name, *words()]) == 2
    assert "There is no such name" in capsys.readouterr().err
