"""`ecr-estate deploy` on the engine: one new service, and nothing of the others."""

import sys
from typing import Any

import pytest

from ecr.engine.invoke import ONLY
from sandbox import processes
from sandbox.aws import ApiCall
from sandbox.session import PROJECT, Run, Session
from sandbox.trials.crashes import kill
from tests.engine.conftest import Open
from tests.engine.test_estate import ONE_LAMBDA_ACCOUNT, changes, deploy, held

pytestmark = pytest.mark.engine


def command(session: Session, *arguments: str) -> Run:
    done = processes.run(
        [
            sys.executable,
            "-m",
            "ecr",
            "deploy",
            *arguments,
            "--config-file",
            str(session.config_file),
        ],
        environment=session.environment,
        directory=PROJECT,
        capture=True,
    )
    return Run(done.returncode, done.stdout)


def services(outputs: dict[str, Any]) -> set[str]:
    return {each["service"] for each in outputs["ledger"]["services"].values()}


def test_one_new_service_is_deployed_and_whatever_else_changed_waits(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    deploy(session)
    for name in ("worker", "job"):
        session.github.organisation.add(name)
    session.github.organisation.rename("web", "site")
    shown = command(session, "worker")
    assert shown.code == 0, shown.output
    assert "--yes" in shown.output
    assert set(held(session).repositories) == {"api", "web"}
    session.aws.forget_calls()
    done = command(session, "WORKER", "--yes")
    assert done.code == 0, done.output
    assert "2 other changes wait" in done.output
    assert set(held(session).repositories) == {"api", "web", "worker"}
    touched = {
        each.subject.rpartition("/")[2]
        for each in session.aws.calls()
        if each.action.startswith(("Create", "Delete", "Tag", "Set", "Put"))
        and each.subject.rpartition("/")[2] in {"api", "web", "worker", "job"}
    }
    assert touched == {"worker"}
    outputs = session.outputs()
    assert services(outputs) == {"api", "web", "worker"}
    assert outputs["replicas"].keys() == {"api", "web", "worker"}
    session.aws.forget_calls()
    again = command(session, "worker", "--yes")
    assert again.code == 0, again.output
    assert changes(session) == ""
    # The rename and the other new one are all that is left for the whole estate.
    deploy(session)
    assert set(held(session).repositories) == {"api", "web", "worker", "job"}
    unchanged = session.preview("--expect-no-changes")
    assert unchanged.code == 0, unchanged.output


def test_after_a_part_a_preview_of_the_whole_estate_finds_nothing(open_session: Open) -> None:
    roles = {"createProvider": True, "variables": True}
    session = open_session("api", lambdaReplicas=None, pushRoles=roles)
    deploy(session)
    worker = session.github.organisation.add("worker")
    done = command(session, "worker", "--yes")
    assert done.code == 0, done.output
    role = session.outputs()["pushRoles"]["worker"]
    assert role.endswith(f"/push-worker-{worker.id}")
    assert session.github.api.actions.held(worker)["ECR_PUSH_ROLE"] == role
    unchanged = session.preview("--expect-no-changes")
    assert unchanged.code == 0, unchanged.output
    assert "Outputs:" not in unchanged.output


def test_without_targets_the_program_stops_before_the_engine_deletes_anything(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    worker = session.github.organisation.add("worker")
    session.own_variables[ONLY] = f"{worker.id}=worker"
    session.aws.forget_calls()
    refused = session.up("--skip-preview")
    assert refused.code != 0
    assert "was not told that it deploys a part" in refused.output
    assert changes(session) == ""
    del session.own_variables[ONLY]
    assert held(session).lifecycle_policies == 2
    done = command(session, "worker", "--yes")
    assert done.code == 0, done.output
    deploy(session)  # takes what the stopped run has left out of the state
    unchanged = session.preview("--expect-no-changes")
    assert unchanged.code == 0, unchanged.output


def test_a_repository_that_is_not_there_is_refused_before_the_engine_runs(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=None)
    refused = command(session, "nothing", "--yes")
    assert refused.code == 1
    assert "nothing: sandbox-org has no such repository" in refused.output
    (early,) = [each for each in (command(session, "api", "--yes"),) if each.code]
    assert "nothing is deployed yet" in early.output
    assert held(session).repositories == {}


def test_a_deployment_that_is_killed_half_way_goes_on_when_it_is_run_again(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    session.github.organisation.add("worker")

    def strike(_: ApiCall) -> None:
        kill(session, whole=False)

    with session.aws.at_call(1, strike, action="PutLifecyclePolicy"):
        killed = command(session, "worker", "--yes")
    assert killed.code == 1
    assert set(held(session).repositories) == {"api", "worker"}
    assert services(session.outputs()) == {"api"}
    unlocked = session.pulumi("cancel", "--yes")
    assert unlocked.code == 0, unlocked.output
    done = command(session, "worker", "--yes")
    assert done.code == 0, done.output
    assert services(session.outputs()) == {"api", "worker"}
    assert held(session).lifecycle_policies == 2
    unchanged = session.preview("--expect-no-changes")
    assert unchanged.code == 0, unchanged.output
