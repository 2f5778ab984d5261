"""The pipeline's own scripts on the real engine: the plan is the engine's, guards wait, drift is put right."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from sandbox.checkout import Checkout
from sandbox.deployers import role_of
from sandbox.session import PROJECT, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("jq"), reason="the pipeline's scripts need jq"),
]


def test_what_a_reviewer_reads_is_what_the_engine_does(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", "worker", ".github", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    job = Checkout(session, tmp_path / "checkout")
    first = job.script("plan")
    assert first.code == 0, first.output
    assert job.plan()["imageRepositories"]["engine"]["create"] == 6
    assert job.plan()["agrees"]
    assert "3 created, 1 left out" in job.comment

    done = job.script("deploy")
    assert done.code == 0, done.output
    assert set(held(session).repositories) == {"api", "web", "worker"}
    report = json.loads((job.out / "report.json").read_text())
    assert (report["outcome"], report["github"]["readings"]) == ("declared", 1)
    assert json.loads((job.out / "outputs.json").read_text())["ledger"]["schema"] == 1

    session.github.organisation.add("batch")
    session.github.organisation.rename("web", "site")
    session.github.organisation.archive("worker")
    again = job.script("plan")
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
    kept = "| **kept**: nothing is deleted, nothing is filled any more | 1 | 2 | "
    (row,) = (line for line in job.comment.splitlines() if line.startswith(kept))
    assert row.endswith(": archived |")


def test_a_preview_and_the_search_for_drift_need_no_more_than_the_role_that_reads(
    open_session: Open, tmp_path: Path
) -> None:
    guide = (PROJECT / "docs/guides/pipeline.md").read_text()
    (policy,) = re.findall(r"^ *```json\n(.*?)^ *```$", guide, re.DOTALL | re.MULTILINE)
    allowed = {each.partition(":")[2] for each in json.loads(policy)["Statement"][0]["Action"]}
    session = open_session(
        "api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT, previewRole="ecr-estate-read"
    )
    job = Checkout(session, tmp_path / "checkout")
    assert job.script("deploy").code == 0
    session.github.organisation.add("worker")
    job.configure(retire=["api"])
    for script, more in (("plan", {}), ("plan", {"REFRESH": "true"}), ("drift", {})):
        session.aws.forget_calls()
        done = job.script(script, **more)
        assert done.code == 0, done.output
        asked = {each.action for each in session.aws.calls() if each.service == "ecr"}
        assert asked
        assert asked <= allowed
        assert used(session) == {role_of("previews"), *roles("ecr-estate-read")}
        assert assumed(session) == roles("ecr-estate-read")
    assert not [each for each in allowed if not each.startswith(("Describe", "Get", "List"))]


def test_a_deployment_uses_the_roles_that_write_and_no_other(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session("api", lambdaReplicas=ONE_LAMBDA_ACCOUNT, previewRole="ecr-estate-read")
    job = Checkout(session, tmp_path / "checkout")
    for more in ({}, {"REFRESH": "true"}):
        session.aws.forget_calls()
        done = job.script("deploy", **more)
        assert done.code == 0, done.output
        assert used(session) == {role_of("deployments"), *roles("ecr-estate-deploy")}
        assert assumed(session) == roles("ecr-estate-deploy")


def test_one_service_is_deployed_at_once_by_the_roles_of_a_deployment(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session("api", lambdaReplicas=ONE_LAMBDA_ACCOUNT, previewRole="ecr-estate-read")
    job = Checkout(session, tmp_path / "checkout")
    assert job.script("deploy").code == 0
    session.github.organisation.add("web")
    session.github.organisation.add("worker")
    session.aws.forget_calls()
    done = job.script("deploy", REPOSITORY="web")
    assert done.code == 0, done.output
    assert used(session) == {role_of("deployments"), *roles("ecr-estate-deploy")}
    assert set(held(session).repositories) == {"api", "web"}
    assert json.loads((job.out / "outputs.json").read_text())["replicas"].keys() == {"api", "web"}
    assert json.loads((job.out / "report.json").read_text())["outcome"] == "declared"
    missing = job.script("deploy", REPOSITORY="nobody")
    assert missing.code == 1
    assert "nobody" in missing.output
    assert job.script("deploy").code == 0
    assert set(held(session).repositories) == {"api", "web", "worker"}


def test_a_deployment_of_the_pipeline_keeps_one_compressed_state_and_no_backups(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session("api", lambdaReplicas=None)
    job = Checkout(session, tmp_path / "checkout")
    state = session.directory / "state" / ".pulumi"
    assert session.up("--skip-preview").code == 0  # as an operator does, without compression
    before = set(state.rglob("*"))
    session.github.organisation.add("web")
    done = job.script("deploy")
    assert done.code == 0, done.output
    written = {each for each in state.rglob("*") if each.suffix != ".attrs"} - before
    assert not [each for each in written if "backups" in each.parts]
    (held,) = (
        each
        for each in (state / "stacks").rglob("sandbox.json*")
        if each.suffix in {".json", ".gz"}
    )
    assert held.read_bytes()[:2] == b"\x1f\x8b"
    assert set(session.outputs()["imageRepositories"]) == {"api", "web"}
    assert session.preview("--expect-no-changes").code == 0


def roles(name: str) -> set[str]:
    """The role of a name in both accounts."""
    return {f"arn:aws:iam::{account}:role/{name}" for account, _ in (ARTIFACTS, LAMBDA)}


def used(session: Session) -> set[str]:
    """Who made the calls; that each was decided, and none refused."""
    calls = session.aws.calls()
    assert {each.decision for each in calls} <= {"allowed", "needs no permission"}
    return {each.principal for each in calls}


def assumed(session: Session) -> set[str]:
    """The roles that were assumed."""
    return {each.subject for each in session.aws.calls() if each.action == "AssumeRole"}


def test_a_guard_waits_for_an_approval_that_is_for_its_number_alone(
    open_session: Open, tmp_path: Path
) -> None:
    names = [f"service-{number}" for number in range(6)]
    session = open_session(*names, lambdaReplicas=None)
    job = Checkout(session, tmp_path / "checkout")
    deploy(session)
    for name in names[:4]:
        session.github.organisation.archive(name)
    planned = job.script("plan")
    assert planned.code == 0, planned.output
    assert job.output("guarded") == "true"
    approved = job.output("confirm")
    assert json.loads(approved) == {"vanished": 4}
    assert "service-0: archived" in job.comment

    session.github.organisation.archive(names[4])
    session.github.organisation.add("newcomer")
    for confirmed, among in (("", 6), (approved, 7)):
        held_back = job.script("deploy", CONFIRM=confirmed)
        assert held_back.code == 0, held_back.output
        assert f"5 of {among} services would vanish at once" in held_back.output
        assert states(session) == dict.fromkeys((*names, "newcomer"), "active")
    session.github.organisation.unarchive(names[4])
    job.configure()
    done = job.script("deploy", CONFIRM=approved)
    assert done.code == 0, done.output
    assert states(session) == {
        **dict.fromkeys((*names[4:], "newcomer"), "active"),
        **dict.fromkeys(names[:4], "kept"),
    }
    assert set(held(session).repositories) == {*names, "newcomer"}


def states(session: Session) -> dict[str, str]:
    """The state of each service, by the ledger."""
    services = session.outputs()["ledger"]["services"].values()
    return {each["service"]: each["state"] for each in services}


def test_the_command_says_the_same_at_a_terminal(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", lambdaReplicas=None)
    job = Checkout(session, tmp_path / "checkout")
    done = job.run(sys.executable, "-m", "ecr", "plan")
    assert done.code == 0, done.output
    assert "Plan of sandbox: 1 created" in done.output
    assert "Of the image repositories, the engine creates 1; the plan agrees." in done.output
