"""The pipeline's own scripts on the real engine: the plan is the engine's, guards wait, drift is put right."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from sandbox.session import PROJECT, Run, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ONE_LAMBDA_ACCOUNT, deploy, held

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("jq"), reason="the pipeline's scripts need jq"),
]


class Checkout:
    """A checkout of the project, as a job has it, in a session of its own."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session, self.folder, self.out = session, folder, folder / "out"
        self.out.mkdir(parents=True)
        for name in ("ecr", "__main__.py", "Pulumi.yaml", ".venv"):
            (folder / name).symlink_to(PROJECT / name)
        shutil.copytree(PROJECT / ".ci", folder / ".ci")
        self.configure()

    def configure(self) -> None:
        shutil.copy(self.session.config_file, self.folder / "Pulumi.sandbox.yaml")

    def run(self, script: str, **more: str) -> Run:
        (self.out / "outputs").unlink(missing_ok=True)
        place = {
            "STACK": "sandbox",
            "OUT": str(self.out),
            "GITHUB_OUTPUT": str(self.out / "outputs"),
            "GITHUB_STEP_SUMMARY": str(self.out / "summary"),
            "PATH": f"{self.session.toolchain.pulumi.parent}:{self.session.environment['PATH']}",
        }
        done = processes.run(
            [str(self.folder / ".ci" / script)],
            environment={**self.session.environment, **place, **more},
            directory=self.folder,
            capture=True,
        )
        return Run(done.returncode, done.stdout)

    def output(self, name: str) -> str:
        lines = (self.out / "outputs").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)[name]

    def plan(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.out / "plan.json").read_text())
        return read

    @property
    def comment(self) -> str:
        return (self.out / "comment.md").read_text()


def test_what_a_reviewer_reads_is_what_the_engine_does(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", "worker", ".github", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    job = Checkout(session, tmp_path / "checkout")
    first = job.run("plan")
    assert first.code == 0, first.output
    assert job.plan()["imageRepositories"]["engine"]["create"] == 6
    assert job.plan()["agrees"]
    assert "3 created, 1 left out" in job.comment

    done = job.run("deploy")
    assert done.code == 0, done.output
    assert set(held(session).repositories) == {"api", "web", "worker"}
    report = json.loads((job.out / "report.json").read_text())
    assert (report["outcome"], report["github"]["readings"]) == ("declared", 1)
    assert json.loads((job.out / "outputs.json").read_text())["ledger"]["schema"] == 1

    session.github.organisation.add("batch")
    session.github.organisation.rename("web", "site")
    session.github.organisation.archive("worker")
    again = job.run("plan")
    assert again.code == 0, again.output
    plan = job.plan()
    assert plan["agrees"]
    assert {what: kind["services"] for what, kind in plan["changes"].items()} == {
        "created": 1,
        "renamed": 1,
        "kept": 1,
        "left out": 1,
    }
    # A renamed service is one update for each of its image repositories, and nothing else updates.
    assert plan["changes"]["renamed"]["imageRepositories"] == 2
    assert plan["imageRepositories"]["engine"] == {
        "create": 2,
        "import": 0,
        "delete": 0,
        "update": 2,
    }
    assert '!     tags["github-repository"]: "web" => "site"' in job.comment
    assert "| **kept**: nothing is deleted, nothing is filled any more | 1 | 2 | archived: " in (
        job.comment
    )


def test_a_guard_waits_for_an_approval_that_is_for_its_number_alone(
    open_session: Open, tmp_path: Path
) -> None:
    names = [f"service-{number}" for number in range(6)]
    session = open_session(*names, lambdaReplicas=None)
    job = Checkout(session, tmp_path / "checkout")
    deploy(session)
    for name in names[:4]:
        session.github.organisation.archive(name)
    planned = job.run("plan")
    assert planned.code == 0, planned.output
    assert job.output("guarded") == "true"
    approved = job.output("confirm")
    assert json.loads(approved) == {"vanished": 4}
    assert "service-0: archived" in job.comment

    assert job.run("deploy").code != 0
    session.github.organisation.archive(names[4])
    more = job.run("deploy", CONFIRM=approved)
    assert more.code != 0
    assert "5 of 6 services would vanish" in more.output
    session.github.organisation.unarchive(names[4])
    job.configure()
    done = job.run("deploy", CONFIRM=approved)
    assert done.code == 0, done.output
    services = session.outputs()["ledger"]["services"].values()
    assert sorted(each["state"] for each in services) == ["active"] * 2 + ["kept"] * 4
    assert set(held(session).repositories) == set(names)


def test_the_command_says_the_same_at_a_terminal(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=None)
    done = processes.run(
        [sys.executable, "-m", "ecr", "plan", "--", "--config-file", str(session.config_file)],
        environment={
            **session.environment,
            "PATH": f"{session.toolchain.pulumi.parent}:{session.environment['PATH']}",
        },
        directory=PROJECT,
        capture=True,
    )
    assert done.returncode == 0, done.stdout
    assert "Plan of sandbox: 1 created" in done.stdout
    assert "Of the image repositories, the engine creates 1; the plan agrees." in done.stdout
