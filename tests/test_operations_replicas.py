"""`ecr-estate replicas`: gaps are found, filled, and what was filled is verified."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ecr.aws.session import Aws
from ecr.cli.commands import replicas
from ecr.cli.main import main
from ecr.cli.registries import RegistrySelection
from ecr.plan.access.registry_policies import replica_policy
from ecr.registry.registry import Registry
from tests.builders import settings
from tests.live import ARTIFACTS, LAMBDA, REGION, ROLE, Live, live

__all__ = ["live"]

SOURCE, REPLICA = Registry(ARTIFACTS, REGION), Registry(LAMBDA, REGION)


@pytest.fixture(autouse=True)
def time_goes_by(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the embedded AWS lets its time go by."""
    monkeypatch.setattr(
        "time.sleep", lambda seconds: live.aws.world.clock.move(seconds=60 * seconds)
    )


@pytest.fixture
def estate(live: Live) -> Live:
    """An image repository with images from before replication was configured."""
    live.ecr().create_repository(repositoryName="api")
    part = live.push("api")
    live.push("api", "v1", parts=(part,))
    live.ecr(LAMBDA).create_repository(repositoryName="api")
    policy = replica_policy(REPLICA, [SOURCE], settings(), None)
    live.ecr(LAMBDA).put_registry_policy(policyText=policy)
    live.ecr().put_replication_configuration(
        replicationConfiguration={
            "rules": [{"destinations": [{"region": REGION, "registryId": LAMBDA}]}]
        }
    )
    live.options = [
        "--outputs",
        live.outputs({"api": [ARTIFACTS]}, {"api": [LAMBDA]}),
        "--role-name",
        ROLE,
    ]
    return live


def compared(live: Live, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = main(["replicas", *live.options, "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)["gaps"]


def test_what_was_pushed_before_replication_is_missing_and_backfilled(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    code, gaps = compared(estate, capsys)
    assert (code, [gap["missing"] for gap in gaps]) == (3, ["the image"] * 2)

    assert main(["replicas", *estate.options, "--fill", "backfill"]) == 3
    shown = capsys.readouterr().out
    assert f"would backfill {REPLICA.key} from {SOURCE.key}" in shown
    assert "nothing was changed; add --yes" in shown

    assert main(["replicas", *estate.options, "--fill", "backfill", "--yes"]) == 0
    assert "2 of 2 gaps are filled" in capsys.readouterr().out
    assert main(["replicas", *estate.options, "--verify"]) == 0
    assert "1 replicas, 0 gaps, 0 damaged" in capsys.readouterr().err


class Backfills:
    """ECR's backfills: each is in progress at first, and then has these failures, one a page."""

    def __init__(self, *failures: tuple[str, str]) -> None:
        self.failures = failures
        self.asked: list[str] = []
        self.running = ""
        self.looked = 0

    def start_replication_backfill(self, **asked: Any) -> dict[str, Any]:
        assert not self.running, "ECR has one backfill in progress for a Region"
        self.running = asked["destination"]["registryId"]
        self.asked.append(self.running)
        return {"replicationBackfillId": f"of-{self.running}"}

    def describe_replication_backfill_results(self, **asked: Any) -> dict[str, Any]:
        if "resultStatusFilter" in asked:
            page = int(asked.get("nextToken", 0))
            names = [{"repositoryName": name, "failureCode": code} for name, code in self.failures]
            more = {"nextToken": str(page + 1)} if page + 1 < len(names) else {}
            return {"results": names[page : page + 1], **more}
        self.looked += 1
        if self.looked % 2:
            return {"status": "IN_PROGRESS", "progress": {"completed": 1}}
        self.running = ""
        return {"status": "FAILED" if self.failures else "COMPLETE"}


def backfilled(monkeypatch: pytest.MonkeyPatch, ecr: Backfills, *destinations: str) -> list[str]:
    monkeypatch.setattr(replicas, "BETWEEN", 0)
    access = Aws()
    access.ecr = lambda _: ecr  # type: ignore[method-assign, assignment, return-value] # as much of ECR as it takes
    gaps = [
        replicas.Gap("api", SOURCE, Registry(each, REGION), "sha256:1", (), "the image")
        for each in destinations
    ]
    return list(replicas._backfilled(access, gaps, {"api"}))


def test_one_backfill_goes_after_the_other_each_to_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ecr = Backfills()
    said = backfilled(monkeypatch, ecr, LAMBDA, "333333333333")
    assert ecr.asked == [LAMBDA, "333333333333"]
    assert [line.rpartition(" ")[2] for line in said] == ["COMPLETE", "COMPLETE"]
    assert "is IN_PROGRESS completed 1" in capsys.readouterr().err


def test_what_a_backfill_did_not_copy_is_said_by_name_and_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    denied, absent = ("api", "AccessDenied"), ("api-internal", "RepositoryNotFound")
    first, *others = backfilled(monkeypatch, Backfills(denied, denied, absent), LAMBDA)
    assert first == f"{REPLICA.key}: backfill of-{LAMBDA} is FAILED"
    names, hint = f"{REPLICA.key}/api", "it is no replica, and a rule's prefix matches it too"
    assert others == [
        f"{names}: 2 images were not copied (AccessDenied)",
        f"{names}-internal: 1 images were not copied (RepositoryNotFound); {hint}",
    ]


def test_a_rule_that_replicates_deletions_is_said_with_the_replicas_that_it_reaches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = [{"region": REGION, "registryId": LAMBDA}]
    quiet = {"destinations": there, "repositoryFilters": [{"filter": "web"}]}
    off = {**quiet, "deleteReplication": {"enabled": False}}
    on = {
        "destinations": there,
        "repositoryFilters": [{"filter": "api"}],
        "deleteReplication": {"enabled": True},
    }
    names = dict.fromkeys(("api", "api-2", "web"), (REPLICA,))
    selection = RegistrySelection(
        (SOURCE, REPLICA), dict.fromkeys(("api", "api-2", "web"), (SOURCE,)), names
    )
    monkeypatch.setattr(replicas, "_rules", lambda *_: [quiet, off])
    assert list(replicas._deleting(Aws(), selection)) == []
    monkeypatch.setattr(replicas, "_rules", lambda *_: [quiet, off, on])
    (said,) = replicas._deleting(Aws(), selection)
    assert f"{SOURCE.key}: a replication rule also deletes in {REPLICA.key}, from 2 of" in said


def test_a_tag_that_a_replica_lacks_is_a_gap(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["replicas", *estate.options, "--fill", "backfill", "--yes"])
    estate.aws.world.clock.move(seconds=600)
    capsys.readouterr()
    estate.ecr().put_replication_configuration(replicationConfiguration={"rules": []})
    (image,) = estate.ecr().batch_get_image(repositoryName="api", imageIds=[{"imageTag": "v1"}])[
        "images"
    ]
    manifest = image["imageManifest"]
    estate.ecr().put_image(repositoryName="api", imageManifest=manifest, imageTag="live-v1")
    code, (gap,) = compared(estate, capsys)
    assert (code, gap["missing"], gap["imageTags"]) == (3, "tags", ["live-v1"])


def test_a_replica_that_was_deleted_by_hand_is_a_gap(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.ecr(LAMBDA).delete_repository(repositoryName="api", force=True)
    code, gaps = compared(estate, capsys)
    assert (code, {gap["missing"] for gap in gaps}) == (3, {"the image"})
    assert main(["replicas", *estate.options, "--verify"]) == 3


def test_a_name_that_no_replica_has_is_refused(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replicas", *estate.options, "--image-repository", "nosuch"]) == 1
    assert "--image-repository nosuch: is none of those" in capsys.readouterr().err


def test_a_replica_is_compared_with_the_registry_that_fills_it(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "333333333333"
    estate.ecr(other).create_repository(repositoryName="api")
    estate.push("api", "elsewhere", account=other)
    outputs = estate.outputs({"api": [other, ARTIFACTS]}, {"api": [LAMBDA]})
    assert main(["replicas", "--outputs", outputs, "--role-name", ROLE, "--json"]) == 3
    gaps = json.loads(capsys.readouterr().out)["gaps"]
    assert [gap["imageTags"] for gap in gaps] == [[], ["v1"]]


def test_an_estate_of_several_stacks_is_compared_whole(
    estate: Live, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    estate.ecr().put_replication_configuration(replicationConfiguration={"rules": []})
    estate.ecr().create_repository(repositoryName="web")
    estate.ecr(LAMBDA).create_repository(repositoryName="web")
    estate.push("web", "v2")
    first = tmp_path / "first.json"
    Path(estate.options[1]).rename(first)
    second = estate.outputs({"web": [ARTIFACTS]}, {"web": [LAMBDA]})
    estate.options = [f"--outputs={first}", f"--outputs={second}", "--role-name", ROLE]
    code, gaps = compared(estate, capsys)
    assert (code, [gap["imageRepository"] for gap in gaps]) == (3, ["api", "api", "web"])


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """Put a tool on the PATH that writes down how it was called."""
    log = folder / "log"
    path = folder / name
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n/bin/cat "$DOCKER_CONFIG/config.json" >> {log}\n{script}\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    return log


@pytest.mark.parametrize("name", ["crane", "skopeo"])
def test_a_tool_is_called_with_its_passwords_in_a_file_that_goes_again(
    name: str,
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = tool(tmp_path, monkeypatch, name, "exit 0")
    assert main(["replicas", *estate.options, "--fill", name, "--yes"]) == 3
    assert "0 of 2 gaps are filled" in capsys.readouterr().out
    said = log.read_text()
    assert f"{REPLICA.host}/api:v1" in said
    assert f"{REPLICA.host}/api@sha256:" in said
    assert f'"{SOURCE.host}": {{"auth": ' in said
    assert ("--preserve-digests" in said) == (name == "skopeo")


def test_a_tool_that_fails_or_is_not_there_is_said(
    estate: Live,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tool(tmp_path, monkeypatch, "crane", "echo denied >&2; exit 1")
    assert main(["replicas", *estate.options, "--fill", "crane", "--yes"]) == 1
    assert "denied; correct it and run this again" in capsys.readouterr().err
    assert main(["replicas", *estate.options, "--fill", "skopeo", "--yes"]) == 1
    assert "skopeo is not installed." in capsys.readouterr().err


def test_a_backfill_of_somebody_else_in_the_region_is_said(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.ecr().start_replication_backfill(destination={"region": REGION, "registryId": LAMBDA})
    assert main(["replicas", *estate.options, "--fill", "backfill", "--yes"]) == 3
    said = capsys.readouterr()
    assert f"{LAMBDA}/{REGION}: not started, since another backfill is in progress" in (
        said.out + said.err
    )


def test_what_is_archived_is_no_gap(estate: Live, capsys: pytest.CaptureFixture[str]) -> None:
    archived = estate.push("api", "old")
    estate.ecr().update_image_storage_class(
        repositoryName="api", imageId={"imageDigest": archived}, targetStorageClass="ARCHIVE"
    )
    estate.ecr(LAMBDA).batch_delete_image(
        repositoryName="api", imageIds=[{"imageDigest": archived}]
    )
    assert archived not in {gap["imageDigest"] for gap in compared(estate, capsys)[1]}


def test_a_destination_without_a_rule_cannot_be_backfilled(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.ecr().put_replication_configuration(replicationConfiguration={"rules": []})
    assert main(["replicas", *estate.options, "--fill", "backfill", "--yes"]) == 1
    assert "is not in the registry's replication configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--yes"], 2, "--yes: is for --fill; give both, or neither"),
        (
            ["--registry", SOURCE.key],
            1,
            "give --outputs with those of a stack that has lambdaReplicas",
        ),
        ([], 2, "give --outputs with a file"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replicas", *arguments]) == code
    assert said in capsys.readouterr().err
