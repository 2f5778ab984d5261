"""`python -m ecr rescan`: bounded by ECR's limit, and going on where it stopped."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr.cli.commands import rescan
from ecr.cli.main import main
from tests.live import Live, live

__all__ = ["live"]


@pytest.fixture
def estate(live: Live) -> Live:
    live.ecr().create_repository(repositoryName="api")
    for days, tag in enumerate(["new", "older", "oldest"]):
        live.push("api", tag, days_ago=days)
    part = live.push("api")
    live.push("api", "index", parts=(part,))
    return live


def rescanned(
    live: Live, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, dict[str, int]]:
    code = main(["rescan", *live.options, "--rate", "0", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_a_run_that_is_bounded_goes_on_where_the_last_one_stopped(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    code, done = rescanned(estate, capsys, "--limit", "2")
    assert (code, done["started"], done["left"]) == (3, 2, 1)
    code, done = rescanned(estate, capsys, "--limit", "2")
    assert (code, done["started"], done["recent"], done["left"]) == (0, 1, 2, 0)
    code, done = rescanned(estate, capsys)
    assert (code, done["started"], done["recent"]) == (0, 0, 3)


def test_only_the_newest_tagged_images_are_scanned_and_progress_is_shown(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rescan", *estate.options, "--rate", "0", "--newest", "2"]) == 0
    shown, said = capsys.readouterr()
    assert shown.startswith("2 scans started, 0 scanned within the day already")
    assert "1 of 1, api: 2 started" in said


def test_an_archived_image_is_not_scanned(estate: Live, capsys: pytest.CaptureFixture[str]) -> None:
    estate.ecr().update_image_storage_class(
        repositoryName="api", imageId={"imageTag": "new"}, targetStorageClass="ARCHIVE"
    )
    code, done = rescanned(estate, capsys)
    assert (code, done["started"], done["left"]) == (0, 2, 0)


def test_what_ecr_scanned_within_the_day_is_not_asked_for_again() -> None:
    def detail(hours: int) -> dict[str, Any]:
        at = datetime.now(UTC) - timedelta(hours=hours)
        return {"imageScanFindingsSummary": {"imageScanCompletedAt": at}}

    assert rescan._was_scanned(detail(23))
    assert not rescan._was_scanned(detail(25))
    assert not rescan._was_scanned({})


@pytest.mark.parametrize(
    ("code", "counted"),
    [
        ("ThrottlingException", "left"),
        ("LimitExceededException", "recent"),
        ("UnsupportedImageTypeException", "unsupported"),
    ],
)
def test_what_aws_throttles_is_left_and_what_it_cannot_scan_is_counted(
    code: str, counted: str
) -> None:
    class Refusing:
        def start_image_scan(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": code, "Message": "not now"}}, "StartImageScan")

    assert rescan._start(Refusing(), "api", "sha256:1") == counted


def test_inspector_is_left_to_itself(estate: Live, capsys: pytest.CaptureFixture[str]) -> None:
    estate.ecr().put_registry_scanning_configuration(scanType="ENHANCED", rules=[])
    assert main(["rescan", *estate.options]) == 1
    assert "its scanning is ENHANCED, and continuous; leave it out" in capsys.readouterr().err


def test_an_image_repository_that_is_not_there_is_said(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rescan", *estate.options, "--repository", "gone"]) == 1
    assert "name an image repository of this registry" in capsys.readouterr().err
