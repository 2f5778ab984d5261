"""`python -m ecr replicas`: gaps are found, filled, and what was filled is verified."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ecr.cli.main import main
from ecr.plan.access.registry_policies import replica_policy
from ecr.registry.registry import Registry
from tests.builders import settings
from tests.live import ARTIFACTS, LAMBDA, REGION, ROLE, Live, live

__all__ = ["live"]

SOURCE, REPLICA = Registry(ARTIFACTS, REGION), Registry(LAMBDA, REGION)


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

    assert main(["replicas", *estate.options, "--fill", "backfill", "--yes"]) == 3
    assert "0 of 2 gaps are filled" in capsys.readouterr().out
    estate.aws.world.clock.move(seconds=600)
    assert main(["replicas", *estate.options, "--verify"]) == 0
    assert "1 replicas, 0 gaps, 0 damaged" in capsys.readouterr().err


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
    assert main(["replicas", *estate.options, "--repository", "nosuch"]) == 1
    assert "--repository nosuch: is none of those" in capsys.readouterr().err


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
    assert (code, [gap["repository"] for gap in gaps]) == (3, ["api", "api", "web"])


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


def test_a_second_backfill_to_a_region_waits_for_the_first(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "333333333333"
    estate.ecr().put_replication_configuration(
        replicationConfiguration={
            "rules": [
                {"destinations": [{"region": REGION, "registryId": each}]}
                for each in (LAMBDA, other)
            ]
        }
    )
    estate.options[1] = estate.outputs({"api": [ARTIFACTS]}, {"api": [LAMBDA, other]})
    assert main(["replicas", *estate.options, "--fill", "backfill", "--yes"]) == 3
    said = capsys.readouterr().err
    assert f"{LAMBDA}/{REGION}: backfill " in said
    assert f"{other}/{REGION}: not started, since another backfill is in progress" in said


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
