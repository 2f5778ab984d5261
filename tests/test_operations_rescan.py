"""`ecr-estate rescan`: bounded by ECR's limit, and going on where it stopped."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr.cli.commands import rescan
from ecr.cli.main import main
from tests.live import INDEX, Live, live

__all__ = ["live"]


@pytest.fixture
def estate(live: Live) -> Live:
    live.ecr().create_repository(repositoryName="api")
    for days, tag in enumerate(["new", "older", "oldest"]):
        live.push("api", tag, days_ago=days)
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
    assert said.startswith("1 of 2 scans started; api\n")


def test_of_an_image_for_several_platforms_each_platform_is_scanned(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [estate.push("api", f"only-{name}", days_ago=30) for name in ("amd64", "arm64")]
    inner = estate.push("api", parts=(parts[1],))
    estate.push("api", "v1", parts=(parts[0], inner))
    _, done = rescanned(estate, capsys, "--newest", "2")
    assert (done["started"], done["skipped"]) == (3, 0)
    _, done = rescanned(estate, capsys, "--newest", "2")
    assert (done["started"], done["recent"]) == (0, 3)


def test_signatures_take_no_place_among_the_newest(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    estate.push("api", f"sha256-{'a' * 64}.sig")
    _, done = rescanned(estate, capsys, "--newest", "3")
    assert (done["started"], done["unsupported"]) == (3, 0)


def test_what_has_no_packages_is_counted_and_not_asked_for() -> None:
    digests = {
        name: f"sha256:{letter * 64}"
        for name, letter in [("top", "a"), ("image", "b"), ("note", "c")]
    }
    marks = {"vnd.docker.reference.type": "attestation-manifest"}
    marks |= {"vnd.docker.reference.digest": digests["image"]}
    nowhere = {"os": "unknown", "architecture": "unknown"}
    manifest = {
        "manifests": [
            {"digest": digests["image"]},
            {"digest": digests["note"], "annotations": marks, "platform": nowhere},
            {"digest": f"sha256:{'d' * 64}"},
        ]
    }

    class Holding:
        def batch_get_image(self, **_: object) -> dict[str, Any]:
            one = {
                "imageId": {"imageDigest": digests["top"]},
                "imageManifest": json.dumps(manifest),
            }
            return {"images": [one]}

    now = datetime.now(UTC)
    details = [{"imageDigest": each, "imagePushedAt": now} for each in digests.values()]
    details[0] |= {"imageTags": ["v1"], "imageManifestMediaType": INDEX}
    chosen = list(rescan._chosen(Holding(), "api", details, 10))  # type: ignore[arg-type] # as much of ECR as it takes
    assert [each and each["imageDigest"] for each in chosen] == [digests["image"], None, None]


@pytest.mark.parametrize(
    "facts",
    [
        {"imageStatus": "ARCHIVED"},
        {"subjectManifestDigest": "sha256:1"},
        {"artifactMediaType": "application/vnd.cncf.helm.config.v1+json"},
        {"imageManifestMediaType": INDEX},
    ],
)
def test_what_is_archived_or_no_image_has_no_packages(facts: dict[str, str]) -> None:
    assert rescan._has_packages({})
    assert not rescan._has_packages(facts)


def test_many_scans_are_started_only_when_somebody_says_so(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescan, "MANY", 2)
    assert main(["rescan", *estate.options, "--rate", "0"]) == 1
    said = capsys.readouterr().err
    assert "3 scans would be started; none was" in said
    assert "--yes: is missing" in said
    assert main(["rescan", *estate.options, "--rate", "0", "--limit", "2"]) == 3
    assert main(["rescan", *estate.options, "--rate", "0", "--yes"]) == 0


def test_no_more_is_started_than_ecr_scans_in_a_day(
    estate: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescan, "A_DAY", 2)
    code, done = rescanned(estate, capsys)
    assert (code, done["started"], done["left"]) == (3, 2, 1)
    code, done = rescanned(estate, capsys)
    assert (code, done["started"], done["left"]) == (3, 0, 1)


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
    assert main(["rescan", *estate.options, "--image-repository", "gone"]) == 1
    assert "name an image repository of this registry" in capsys.readouterr().err


def test_the_old_name_of_the_option_is_understood_with_a_notice(
    estate: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rescan", *estate.options, "--repository", "gone"]) == 1
    assert "--repository is now --image-repository" in capsys.readouterr().err
