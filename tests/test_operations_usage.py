"""`ecr-estate usage`: what is stored is counted once, costs what the prices say, and what can go is named."""

import csv
import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecr.aws.images import creations_of, policy_of
from ecr.cli.commands import usage
from ecr.cli.main import main
from ecr.ledger.ledger import Entry, Ledger
from ecr.lifecycle.simulator import DAY
from ecr.plan.lifecycle import lifecycle_document
from ecr.settings.models import Lifecycle
from ecr.settings.prices import GB, Prices
from ecr.usage.measure import Measured
from ecr.usage.report import (
    Costed,
    Whose,
    costed,
    figures_by,
    findings,
    owners_by_location,
    proposed_settings,
)
from tests.builders import outputs_file, stack_file
from tests.live import ARTIFACTS, LAMBDA, REGION, REGISTRY, ROLE, Live, live

__all__ = ["live"]

NOW = 1_795_000_000.0
ELSEWHERE = f"{LAMBDA}/us-east-1"
POLICY = lifecycle_document(Lifecycle.model_validate({"keepImages": 2, "companionsByTag": 0}))


def layer(letter: str, size: int) -> bytes:
    return letter.encode() * size


def stored(live: Live, name: str, content: bytes, kind: str) -> dict[str, Any]:
    """Upload what an image consists of, as clients do, and give its descriptor."""
    ecr = live.ecr()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    (known,) = ecr.batch_check_layer_availability(repositoryName=name, layerDigests=[digest])[
        "layers"
    ] or [{}]
    if known.get("layerAvailability") != "AVAILABLE":
        upload = ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        ecr.upload_layer_part(
            repositoryName=name,
            uploadId=upload,
            partFirstByte=0,
            partLastByte=len(content) - 1,
            layerPartBlob=content,
        )
        ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    media_type = f"application/vnd.oci.image.{kind}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def pushed(live: Live, name: str, tag: str, *layers: bytes, days_ago: float = 0) -> str:
    """Push an image of these layers and a configuration of ten bytes, and give its digest."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": stored(live, name, layer("c", 10), "config.v1+json"),
        "layers": [stored(live, name, each, "layer.v1.tar+gzip") for each in layers],
        "annotations": {"tag": tag},
    }
    answer = live.ecr().put_image(
        repositoryName=name, imageManifest=json.dumps(manifest), imageTag=tag
    )
    digest = str(answer["image"]["imageId"]["imageDigest"])
    live.age(name, digest, days_ago)
    return digest


def reported(live: Live, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["usage", *live.options, "--json", *arguments]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.fixture
def two_images(live: Live) -> Live:
    """Two images that share their largest layer, in an image repository of the artifacts registry."""
    live.ecr().create_repository(repositoryName="api")
    pushed(live, "api", "old", layer("a", 1000), layer("b", 500), days_ago=40)
    pushed(live, "api", "new", layer("a", 1000), layer("d", 250))
    return live


def test_without_manifests_every_image_counts_with_all_its_layers_and_says_so(
    two_images: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    report = reported(two_images, capsys)
    (held,) = report["imageRepositories"]
    assert held["standardBytes"] == 1510 + 1260
    assert held["platforms"] == {}
    assert not report["sharedLayersOnce"]
    assert main(["usage", *two_images.options]) == 0
    assert "it is at most this much" in capsys.readouterr().err


def test_with_layers_what_images_share_is_counted_once_and_is_the_older_images(
    two_images: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    report = reported(two_images, capsys, "--layers")
    (held,) = report["imageRepositories"]
    assert held["standardBytes"] == 1000 + 500 + 250 + 10
    assert (held["pushedImages"], held["pushedBytes"]) == (1, 250)
    assert report["byMonth"][:2] == [250, 1510]


def test_an_index_and_its_parts_are_counted_once_and_its_platforms_are_named(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    live.ecr().create_repository(repositoryName="api")
    parts = {
        "amd64": pushed(live, "api", "a", layer("a", 1000)),
        "arm64": pushed(live, "api", "b", layer("b", 3000)),
    }
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": 400,
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in parts.items()
        ],
    }
    live.ecr().put_image(repositoryName="api", imageManifest=json.dumps(index), imageTag="release")
    report = reported(live, capsys, "--layers")
    (held,) = report["imageRepositories"]
    assert held["images"] == 3
    assert held["standardBytes"] == 4010
    assert {each["name"]: each["bytes"] for each in report["byPlatform"]} == {
        "linux/amd64": 1010,
        "linux/arm64": 3000,
    }


def test_the_prices_are_those_of_the_settings_and_are_named_with_their_date(
    two_images: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = {
        "asOf": "2026-11-27",
        "source": "our contract",
        "currency": "EUR",
        "standardGbMonth": GB / 100,
    }
    file = stack_file(tmp_path, prices=prices)
    assert main(["usage", *two_images.options, "--settings", file, "--layers"]) == 0
    shown = capsys.readouterr()
    assert "EUR a month" in shown.out
    assert "17.60 EUR a month" in shown.err
    assert "prices of 2026-11-27 (our contract)" in shown.err


def test_growth_against_an_earlier_report_is_what_was_added_less_what_has_gone(
    two_images: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "before.json"
    earlier.write_text(json.dumps(reported(two_images, capsys)))
    two_images.ecr().batch_delete_image(repositoryName="api", imageIds=[{"imageTag": "old"}])
    report = reported(two_images, capsys, "--before", str(earlier))
    (line,) = report["byRegistry"]
    assert line["growthBytes"] == -1510
    earlier.write_text("[]")
    assert main(["usage", *two_images.options, "--before", str(earlier)]) == 1
    assert "is no report" in capsys.readouterr().err


def test_csv_has_a_line_for_each_group_and_no_formulas(
    two_images: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usage", *two_images.options, "--csv", "--by", "registry"]) == 0
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (line["registry"], line["images"]) == (REGISTRY, "2")
    rows = [costed_row("=cmd", Whose("=cmd", "=HYPERLINK(1)", "active", "placement"))]
    usage._print_csv("owner", figures_by(rows, "owner"))
    (line,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert line["owner"] == "'=HYPERLINK(1)"


def test_what_was_interrupted_goes_on_where_it_ended(
    live: Live,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        live.ecr().create_repository(repositoryName=f"service-{number}")
    journal = tmp_path / "usage.journal"
    asked: list[str] = []
    read = policy_of

    def interrupted(ecr: Any, name: str) -> str | None:
        asked.append(name)
        if name == "service-3" and len(asked) <= 5:
            raise KeyboardInterrupt
        return read(ecr, name)

    monkeypatch.setattr(usage, "policy_of", interrupted)
    monkeypatch.setattr(usage, "READERS", 1)
    assert main(["usage", *live.options, "--resume", str(journal)]) == 130
    assert len(journal.read_text().splitlines()) == 4
    # A line that was cut off in the middle is measured anew.
    journal.write_text(journal.read_text()[:-20])
    asked.clear()
    asked += ["before"] * 5
    report = reported(live, capsys, "--resume", str(journal))
    assert len(report["imageRepositories"]) == 5
    assert asked[5:] == ["service-2", "service-3", "service-4"]
    assert not journal.exists()


def test_a_journal_of_other_registries_is_refused(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "usage.journal"
    journal.write_text('{"journal": 1, "registries": ["999999999999/eu-west-1"]}\n')
    assert main(["usage", *live.options, "--resume", str(journal)]) == 1
    assert "of other registries" in capsys.readouterr().err
    assert journal.exists()


def test_an_image_repository_that_goes_meanwhile_is_left_out(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    live.ecr().create_repository(repositoryName="stays")
    listed = creations_of

    def with_one_more(ecr: Any) -> dict[str, float]:
        return {**listed(ecr), "gone": NOW}

    monkeypatch.setattr(usage, "creations_of", with_one_more)
    assert [each["name"] for each in reported(live, capsys)["imageRepositories"]] == ["stays"]


def test_amazon_inspector_is_reckoned_where_a_registry_is_scanned_by_it(
    two_images: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reported(two_images, capsys)["byService"][0]["scanningCost"] == 0
    two_images.ecr().put_registry_scanning_configuration(
        scanType="ENHANCED",
        rules=[
            {
                "scanFrequency": "CONTINUOUS_SCAN",
                "repositoryFilters": [{"filter": "a*", "filterType": "WILDCARD"}],
            }
        ],
    )
    assert reported(two_images, capsys)["byService"][0]["scanningCost"] == 0.09


def test_images_that_the_policy_should_have_taken_by_now_are_counted(
    live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    live.ecr().create_repository(repositoryName="api")
    for days, tag in enumerate("abcd", 2):
        live.push("api", tag, days_ago=days)
    live.ecr().put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=POLICY or "")
    report = reported(live, capsys)
    assert report["imageRepositories"][0]["overdueImages"] == 2
    (found,) = report["findings"]
    assert (found["finding"], found["step"]) == ("overdue", "ask")
    assert "2 images should have gone" in found["text"]


def measured(name: str, registry: str = REGISTRY, *, days: float = 400, **facts: Any) -> Measured:
    """An image repository that was made so many days ago."""
    return Measured(registry, name, NOW - days * DAY, **{"has_policy": True, **facts})


def costed_row(name: str, whose: Whose, **facts: Any) -> Costed:
    one = measured(name, **facts)
    return costed([one], {one.location: whose}, Prices(), {})[0]


@pytest.mark.parametrize(
    ("state", "images", "kind", "step"),
    [
        ("kept", 0, "empty", "retire"),
        ("retiring", 0, "empty", "retire"),
        ("active", 0, "empty", "exclude"),
        ("kept", 3, "unused", "retire"),
        ("active", 3, "unused", "archive"),
    ],
)
def test_what_nobody_uses_is_found_with_the_next_step(
    state: str, images: int, kind: str, step: str
) -> None:
    row = costed_row("api", Whose("api", "", state, "placement"), images=images)
    (found,) = findings([row], months=6, now=NOW)
    assert (found.kind, found.step, found.who) == (kind, step, "api")


def test_a_service_that_is_pulled_from_one_of_its_copies_is_in_use() -> None:
    whose = Whose("api", "", "active", "placement")
    idle = costed_row("api", whose, images=1, last_push=NOW - 399 * DAY)
    pulled = costed_row("api", whose, registry=ELSEWHERE, images=1, last_pull=NOW - DAY)
    assert findings([idle, pulled], months=6, now=NOW) == []
    assert [each.kind for each in findings([idle], months=6, now=NOW)] == ["unused"]


def test_what_is_new_is_neither_empty_nor_unused() -> None:
    row = costed_row("api", Whose("api", "", "active", "placement"), days=20)
    assert findings([row], months=1, now=NOW) == []


def test_what_no_ledger_has_and_what_keeps_everything_is_found() -> None:
    ours = costed_row("api", Whose("api", "", "active", "placement"), days=1)
    foreign = costed_row("other", Whose("", "", "", ""), days=1, images=1, has_policy=False)
    found = {
        (each.kind, each.who, each.step) for each in findings([ours, foreign], months=6, now=NOW)
    }
    location = f"{REGISTRY}/other"
    assert found == {("unmanaged", location, "adopt"), ("unbounded", location, "ask")}


def test_who_owns_a_service_is_only_asked_where_some_service_has_an_owner() -> None:
    nobodys = costed_row("api", Whose("api", "", "active", "placement"), days=1)
    assert findings([nobodys], months=6, now=NOW) == []
    owned = costed_row("web", Whose("web", "payments", "active", "placement"), days=1)
    (found,) = findings([nobodys, owned], months=6, now=NOW)
    assert (found.kind, found.who, found.step) == ("unowned", "api", "ask")


def test_a_copy_in_another_region_costs_the_transfer_of_what_was_pushed() -> None:
    near, far = (
        measured("api", f"{LAMBDA}/{REGION}", pushed_bytes=GB),
        measured("api", ELSEWHERE, pushed_bytes=GB),
    )
    whose = Whose("api", "", "active", "replica", frozenset({REGION}))
    rows = costed([near, far], {near.location: whose, far.location: whose}, Prices(), {})
    assert [row.transfer for row in rows] == [0.0, 0.02]


def test_the_archive_of_a_registry_is_cheaper_beyond_its_first_part() -> None:
    prices = Prices.model_validate({"archiveTierGb": 10})
    rows = costed([measured("a", archive=15 * GB), measured("b", archive=5 * GB)], {}, prices, {})
    assert [round(row.storage, 3) for row in rows] == [1.275, 0.425]


def test_owners_and_parts_are_those_of_the_ledgers() -> None:
    entry = Entry(
        "api",
        "api",
        "active",
        "2026-11-27",
        {f"{REGISTRY}/api-prod": "active"},
        {f"{ELSEWHERE}/api-prod": "active"},
        owner="payments",
    )
    whose = owners_by_location([Ledger({1: entry})], ["dev", "prod"])
    assert {place: (each.owner, each.part) for place, each in whose.items()} == {
        f"{REGISTRY}/api-prod": ("payments", "placement of prod"),
        f"{ELSEWHERE}/api-prod": ("payments", "replica of prod"),
    }


def test_the_page_is_written_from_a_stacks_outputs(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live.ecr().create_repository(repositoryName="api")
    pushed(live, "api", "new", layer("a", 1000))
    entry = Entry(
        "api", "api", "active", "2026-11-27", {f"{REGISTRY}/api": "active"}, owner="payments"
    )
    file = outputs_file(
        tmp_path, ledger=Ledger({1: entry}).to_output(), report={"registries": [REGISTRY]}
    )
    script = tmp_path / "data.js"
    options = ["--outputs", str(file), "--role-name", ROLE, "--output", str(script)]
    assert main(["usage", *options, "--stack", "prod", "--by", "owner"]) == 0
    assert "payments" in capsys.readouterr().out
    report = json.loads(script.read_text().removeprefix("window.usage = ").rstrip(";\n"))
    assert report["stack"] == "prod"
    assert [(each["name"], each["images"]) for each in report["byOwner"]] == [("payments", 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--by", "platform"], "--by platform"), (["--stack", "prod"], "--stack")],
)
def test_an_option_that_would_have_no_effect_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["usage", "--registry", REGISTRY, *arguments]) == 2
    assert said in capsys.readouterr().err


def test_what_was_found_becomes_a_change_of_settings_to_review() -> None:
    rows = [
        costed_row("dead", Whose("dead", "", "kept", "placement"), images=2),
        costed_row("hollow", Whose("hollow", "", "active", "placement", repository="Hollow")),
        costed_row("idle", Whose("idle", "", "active", "placement"), images=1),
        costed_row("foreign", Whose("", "", "", ""), days=1),
        costed_row("busy", Whose("busy", "", "active", "placement"), days=1, images=1),
    ]
    found = findings(rows, months=6, now=NOW)
    github = {"organisation": "acme", "selection": {"exclude": ["docs-*"], "forks": True}}
    changed, reasons = proposed_settings(rows, found, {"github": github, "retire": ["older"]})
    assert changed == {
        "github": {
            "organisation": "acme",
            "selection": {"exclude": ["docs-*", "Hollow"], "forks": True},
        },
        "retire": ["older", "dead"],
        "adopted": ["foreign"],
    }
    assert any(each.startswith("idle: archive: nobody pushed") for each in reasons)
    assert not any(each.startswith("busy") for each in reasons)


def test_a_proposal_is_a_stack_files_yaml_that_the_settings_take(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live.ecr().create_repository(repositoryName="dead")
    live.aws.registry(ARTIFACTS, REGION).repositories["dead"].created_at -= timedelta(days=400)
    entry = Entry("dead", "dead", "kept", "2026-11-27", {f"{REGISTRY}/dead": "kept"})
    file = outputs_file(
        tmp_path, ledger=Ledger({1: entry}).to_output(), report={"registries": [REGISTRY]}
    )
    settings_file = stack_file(tmp_path)
    asked = ["usage", "--outputs", str(file), "--role-name", ROLE, "--propose"]
    assert main(asked) == 2
    assert main([*asked, "--settings", settings_file]) == 0
    shown = capsys.readouterr().out
    assert "# dead: retire: it has been empty for 6 months" in shown
    assert yaml.safe_load(shown) == {"config": {"ecr-estate:retire": ["dead"]}}
