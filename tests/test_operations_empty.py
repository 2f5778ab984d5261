"""`ecr-estate empty`: what retires is emptied, lists first and in batches, and nothing that runs goes."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.commands import empty
from ecr.cli.main import main
from ecr.ledger.ledger import Entry, Ledger, LedgerState
from tests.builders import outputs_file
from tests.live import ARTIFACTS, LAMBDA, REGION, REGISTRY, ROLE, Live, live

__all__ = ["live"]

REPLICA = f"{LAMBDA}/{REGION}"


@pytest.fixture
def estate(live: Live) -> Live:
    """An image repository and its replica."""
    for account in (ARTIFACTS, LAMBDA):
        live.ecr(account).create_repository(repositoryName="api")
    return live


def outputs(folder: Path, state: LedgerState = "kept") -> list[str]:
    entry = Entry(
        "api",
        "api",
        state,
        "2026-11-27",
        {f"{REGISTRY}/api": state},
        {f"{REPLICA}/api": state},
    )
    file = outputs_file(folder, ledger=Ledger({1: entry}).to_output())
    return ["api", "--outputs", str(file), "--role-name", ROLE]


def audit(folder: Path, *digests: str, state: str = "kept") -> list[str]:
    """What the audit says is in use in the artifacts registry."""
    file = folder / "audit.json"
    said = [
        {"registry": REGISTRY, "imageRepository": "api", "imageDigest": each, "state": state}
        for each in digests
    ]
    file.write_text(json.dumps(said))
    return ["--audit", str(file)]


def held(live: Live, account: str = ARTIFACTS) -> set[str]:
    pages = live.ecr(account).get_paginator("list_images").paginate(repositoryName="api")
    return {each["imageDigest"] for page in pages for each in page["imageIds"]}


def test_nothing_goes_without_yes_and_what_would_is_said(
    estate: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.push("api", "a")
    assert main(["empty", *outputs(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "would be deleted" in shown
    assert "nothing was changed" in shown
    assert len(held(estate)) == 1
    assert main(["empty", *outputs(tmp_path), "--yes"]) == 1
    assert "Nothing is deleted without an audit" in capsys.readouterr().err
    assert len(held(estate)) == 1


def test_lists_go_before_their_parts_in_placement_and_replica(
    estate: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for account in (ARTIFACTS, LAMBDA):
        part = estate.push("api", "", account=account)
        inner = estate.push("api", "inner", account=account, parts=(part,))
        estate.push("api", "outer", account=account, parts=(inner,))
    assert main(["empty", *outputs(tmp_path), *audit(tmp_path), "--yes", "--json"]) == 0
    said: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [each["location"] for each in said] == [f"{REGISTRY}/api", f"{REPLICA}/api"]
    assert [each["images"] for each in said] == [3, 3]
    assert held(estate) == held(estate, LAMBDA) == set()


def test_more_images_than_a_request_takes_go_in_batches(
    estate: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(empty, "DELETIONS_A_REQUEST", 2)
    for tag in "abcde":
        estate.push("api", tag)
    assert main(["empty", *outputs(tmp_path), *audit(tmp_path), "--yes"]) == 0
    assert held(estate) == set()


def test_what_runs_is_spared_with_its_list_its_parts_and_its_signature(
    estate: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs, beside = estate.push("api", "runs"), estate.push("api", "beside")
    index = estate.push("api", "index", parts=(runs, beside))
    signature = estate.push("api", f"sha256-{runs[7:]}.sig")
    estate.push("api", "idle")
    code = main(["empty", *outputs(tmp_path), *audit(tmp_path, runs), "--yes"])
    assert code == 3
    assert held(estate) == {runs, beside, index, signature}
    assert "spared" in capsys.readouterr().out


def test_what_somebody_wants_that_is_gone_already_spares_nothing(
    estate: Live, tmp_path: Path
) -> None:
    estate.push("api", "a")
    asked = [*outputs(tmp_path), *audit(tmp_path, "tag latest", state="gone"), "--yes"]
    assert main(["empty", *asked]) == 0
    assert held(estate) == set()


def test_an_archived_list_goes_before_what_it_may_hold(estate: Live, tmp_path: Path) -> None:
    part = estate.push("api", "part")
    index = estate.push("api", "index", parts=(part,))
    estate.ecr().update_image_storage_class(
        repositoryName="api", imageId={"imageDigest": index}, targetStorageClass="ARCHIVE"
    )
    assert main(["empty", *outputs(tmp_path), *audit(tmp_path), "--yes"]) == 0
    assert held(estate) == set()


def test_a_service_that_is_active_and_a_name_that_nobody_has_are_refused(
    estate: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.push("api", "a")
    asked = ["nobodys", *outputs(tmp_path, "active"), *audit(tmp_path), "--yes"]
    assert main(["empty", *asked]) == 1
    said = capsys.readouterr().err
    assert f"{REGISTRY}/api: is active" in said
    assert "nobodys: no ledger has it" in said
    assert len(held(estate)) == 1


@pytest.mark.parametrize("text", ["{}", "[1]", "no JSON"])
def test_an_audit_that_is_none_is_refused(
    text: str, estate: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.push("api", "a")
    asked = [*outputs(tmp_path), *audit(tmp_path), "--yes"]
    (tmp_path / "audit.json").write_text(text)
    assert main(["empty", *asked]) == 1
    assert "The audit cannot be read" in capsys.readouterr().err
    assert len(held(estate)) == 1


def test_an_audit_of_yesterday_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [*outputs(tmp_path), *audit(tmp_path), "--yes"]
    before = time.time() - 2 * 86_400
    os.utime(tmp_path / "audit.json", (before, before))
    assert main(["empty", *asked]) == 1
    assert "more than a day old" in capsys.readouterr().err
