"""The runbooks do what they say: each command and setting in them is run, in order, as printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.runbooks import RUNBOOKS, Runbook
from tests.engine.test_adoption import TWO_REGIONS, born, make_by_hand
from tests.engine.test_estate import ARTIFACTS, deploy, held

pytestmark = pytest.mark.engine

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "layers": [],
    }
)


def states(session: Session) -> dict[str, str]:
    services = session.outputs()["ledger"]["services"].values()
    return {each["service"]: each["state"] for each in services}


def unchanged(session: Session) -> None:
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output


def test_adopt(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    make_by_hand(session)
    made = born(session)
    looked, _, imported, preview, deployed, _, again = Runbook(
        "adopt.md", session, tmp_path
    ).follow()
    assert "3 planned image repositories stand already" in looked
    assert "= 5 imported" in imported or "= 3 imported" in imported
    assert "replace" not in preview
    assert "delete" not in preview
    assert "~ 3 updated" in deployed
    assert "imported" not in again
    assert {arn: at for arn, at in born(session).items() if arn in made} == made


def test_lost_state(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    deploy(session)
    ledger, made = session.outputs()["ledger"], born(session)
    removed = session.pulumi("stack", "rm", "sandbox", "--force", "--yes", "--preserve-config")
    assert removed.code == 0, removed.output
    _, preview, _ = Runbook("lost-state.md", session, tmp_path).follow()
    assert "= 6 to import" in preview
    assert session.outputs()["ledger"] == ledger
    assert born(session) == made


def test_guard_tripped(open_session: Open, tmp_path: Path) -> None:
    names = [f"service-{number}" for number in range(5)]
    session = open_session(*names, lambdaReplicas=None)
    deploy(session)
    for name in names[:4]:
        session.github.organisation.archive(name)
    runbook = Runbook("guard-tripped.md", session, tmp_path, {"12": "4"})
    shown, _, deployed, *_ = runbook.follow()
    assert "4 of 5 services would vanish at once" in shown
    assert "confirm.vanished to 4" in shown
    assert "service-0 is kept: archived" in deployed
    assert list(states(session).values()).count("kept") == 4
    assert set(held(session).repositories) == set(names)


def test_retire(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    ecr = Registries(session.environment).client(*ARTIFACTS)
    ecr.put_image(repositoryName="api", imageManifest=MANIFEST, imageTag="v1")
    session.github.organisation.delete("api")
    deploy(session)
    runbook = Runbook("retire.md", session, tmp_path, {"old-checkout": "api"})
    _, first = runbook.follow(until=2)
    assert f"retire, first step: {'/'.join(ARTIFACTS)}/api is no longer protected" in first
    full = runbook.follow(since=3, until=4)[0]
    assert "still holds 1 image" in full
    assert set(held(session).repositories) == {"api", "web"}
    _, second, _ = runbook.follow(since=2)
    assert "holds no image and is deleted now" in second
    assert set(held(session).repositories) == {"web"}
    assert states(session) == {"web": "active"}


def test_ledger_unreadable(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    good = session.pulumi("stack", "export").output
    session.github.organisation.add("web")
    deploy(session)
    made = born(session)
    state: dict[str, Any] = json.loads(session.pulumi("stack", "export").output)
    for resource in state["deployment"]["resources"]:
        if resource["type"] == "pulumi:pulumi:Stack":
            resource["outputs"]["ledger"] = "scrambled"
    (tmp_path / "bad.json").write_text(json.dumps(state))
    session.pulumi("stack", "import", "--force", "--file", str(tmp_path / "bad.json"))
    stopped = session.preview()
    assert "The ledger in this stack's outputs cannot be used" in stopped.output
    runbook = Runbook("ledger-unreadable.md", session, tmp_path)
    (runbook.folder / "good.json").write_text(good)
    looked, *_ = runbook.follow(until=3)
    assert "scrambled" in looked
    assert states(session) == {"api": "active", "web": "active"}
    runbook.follow(since=3)
    (tmp_path / "again").mkdir()
    Runbook("lost-state.md", session, tmp_path / "again").follow()
    assert states(session) == {"api": "active", "web": "active"}
    assert born(session) == made


def test_listing_refused(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    session.github.faults.arm("row-duplicated", times=None)
    runbook = Runbook("listing-refused.md", session, tmp_path, {"acme": "sandbox-org"})
    runbook.follow("could not be trusted")
    session.github.faults.clear()
    assert "unchanged" in runbook.follow(until=1)[0]


def test_state_locked(open_session: Open, tmp_path: Path) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    locks = session.directory / "state/.pulumi/locks/organization/ecr-estate/sandbox"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / "9b1c0e86-7d05-4b8f-9f0e-2a4c6d8e0f12.json").write_text(
        json.dumps(
            {
                "pid": 4242,
                "username": "runner",
                "hostname": "runner-1",
                "timestamp": "2026-11-27T03:00:00Z",
            }
        )
    )
    held_up = session.up("--skip-preview")
    assert held_up.code != 0
    assert "the stack is currently locked by 1 lock(s)" in held_up.output
    Runbook("state-locked.md", session, tmp_path).follow()
    unchanged(session)


LISTS = {"index", "push-and-pull-errors"}
"""Pages that lead to runbooks."""

RUN_ELSEWHERE = {
    "recover-from-a-crash": "sandbox/trials, many times",
    "pod-refused": "tests/kubernetes, which have a cluster",
    "replica-not-filled": "tests/test_operations_replicas.py and tests/images/test_operations.py",
    "push-denied": "tests/test_operations_policies.py",
}
"""Runbooks whose commands other tests run, and which."""

NOT_RUN = {
    "credentials-ended": "docker, and keys that an organisation issues, are in no sandbox",
    "image-expired": "CloudTrail is in no sandbox",
    "pull-fails": "no node of a cluster pulls in a sandbox",
    "region-down": "no Region can be taken down in a sandbox",
}
"""Runbooks that were read and never run, and why."""


def test_every_runbook_is_run_by_a_test_or_it_is_said_why_not() -> None:
    here = {name.removeprefix("test_").replace("_", "-") for name in globals()}
    pages = {page.stem for page in RUNBOOKS.glob("*.md")}
    assert pages - here == LISTS | RUN_ELSEWHERE.keys() | NOT_RUN.keys()
