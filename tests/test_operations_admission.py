"""The list of denied images: what is read of ECR, what is decided, and how it is written."""

import argparse
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from ecr.admission import cluster, lists
from ecr.admission.decisions import Decision, decide
from ecr.admission.lists import key_of, run_record, to_yaml
from ecr.admission.model import Finding, Held, ImageScan, ScannedImage, reaches
from ecr.admission.registries import Pace, Reader
from ecr.admission.waivers import Waiver, read_waivers
from ecr.cli.commands import admission
from ecr.cli.main import main
from ecr.errors import EstateError
from ecr.images.image import MANIFESTS as MANIFESTS_OF_IMAGES
from ecr.registry.registry import Registry
from sandbox.aws import EmbeddedAws
from sandbox.aws.findings import put_findings
from tests.builders import ARTIFACTS, LAMBDA, SOURCE, outputs_file

CENTRAL, REPLICA = Registry(ARTIFACTS, "eu-west-1"), Registry(LAMBDA, "eu-west-1")
TODAY = date(2026, 11, 22)
BAD = Finding("CVE-2026-0001", "CRITICAL")
WORSE = Finding("CVE-2026-0002", "CRITICAL")


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def image(letter: str, *tags: str, findings: Sequence[Finding] = (), **facts: Any) -> ScannedImage:
    given: dict[str, Any] = {"registry": CENTRAL, "name": "checkout"}
    given |= {"scan": ImageScan(True, tuple(findings))} | facts
    return ScannedImage(digest=digest(letter), tags=tags, **given)


def held(*images: ScannedImage, registry: Registry = CENTRAL, names: Sequence[str] = ()) -> Held:
    return Held(registry, frozenset([*names, *(each.name for each in images)]), images)


def waiver(**facts: Any) -> Waiver:
    return Waiver(**({"reason": "not reachable", "expires": "2026-12-31"} | facts))


def decided(
    *given: Held,
    waivers: Sequence[Waiver] = (),
    deny_unscanned: bool = False,
    before: Sequence[str] = (),
) -> Decision:
    return decide(given, waivers, today=TODAY, deny_unscanned=deny_unscanned, before=before)


def denied(*given: Held, **options: Any) -> list[str]:
    return list(decided(*given, **options).entries("vulnerable"))


# What is decided


def test_severities_are_compared_from_the_threshold_on() -> None:
    assert reaches("CRITICAL", "HIGH")
    assert reaches("HIGH", "HIGH")
    assert not reaches("MEDIUM", "HIGH")
    assert not reaches("UNDEFINED", "INFORMATIONAL")


def test_an_image_with_a_finding_is_denied_by_its_tags_and_its_digest() -> None:
    assert denied(held(image("a", "1f", "v1", findings=[BAD]), image("b", "2f"))) == [
        f"{SOURCE}/checkout:1f",
        f"{SOURCE}/checkout:v1",
        f"{SOURCE}/checkout@{digest('a')}",
    ]


def test_an_image_is_denied_under_its_replicas_names_before_it_has_arrived_there() -> None:
    replica = held(registry=REPLICA, names=["checkout"])
    entries = denied(held(image("a", "1f", findings=[BAD])), replica)
    assert f"{REPLICA.key}/checkout:1f" in entries
    assert f"{REPLICA.key}/checkout@{digest('a')}" in entries


def test_a_registry_without_an_image_repository_of_the_name_has_no_entries() -> None:
    replica = held(registry=REPLICA, names=["other"])
    assert not [
        entry
        for entry in denied(held(image("a", "1f", findings=[BAD])), replica)
        if entry.startswith(REPLICA.key)
    ]


def test_what_one_registry_finds_counts_in_all() -> None:
    replica = held(image("a", "1f", registry=REPLICA, findings=[BAD]), registry=REPLICA)
    assert f"{SOURCE}/checkout:1f" in denied(held(image("a", "1f")), replica)


def test_an_image_is_its_digest_whatever_it_is_called() -> None:
    promoted = image("a", "1f", name="checkout-prod")
    entries = denied(held(image("a", "1f", findings=[BAD]), promoted))
    assert f"{SOURCE}/checkout-prod:1f" in entries


def test_a_tag_that_is_another_image_elsewhere_is_not_denied_there() -> None:
    replica = held(image("b", "1f", registry=REPLICA), registry=REPLICA)
    entries = denied(held(image("a", "1f", findings=[BAD])), replica)
    assert f"{REPLICA.key}/checkout:1f" not in entries
    assert f"{REPLICA.key}/checkout@{digest('a')}" in entries


def test_an_index_is_as_bad_as_the_images_it_stands_for() -> None:
    index = image("c", "v1", parts=(digest("a"), digest("b")), scan=ImageScan(False))
    entries = denied(held(image("a", findings=[BAD]), image("b"), index))
    assert f"{SOURCE}/checkout:v1" in entries
    assert f"{SOURCE}/checkout@{digest('b')}" not in entries


def test_an_image_without_a_scan_is_denied_only_when_asked() -> None:
    unscanned = held(image("a", "1f", scan=ImageScan(False)))
    assert decided(unscanned).denied == ()
    asked = decided(unscanned, deny_unscanned=True)
    assert f"{SOURCE}/checkout:1f" in asked.entries("unscanned")
    assert asked.entries("vulnerable") == ()


def entries_of(entries: Sequence[str]) -> set[str]:
    """The tags, or the first letters of digests, that entries stand for."""
    return {entry.rpartition(":")[2][:2].replace("aa", "a") for entry in entries}


def unscanned(*images: ScannedImage) -> set[str]:
    return entries_of(decided(held(*images), deny_unscanned=True).entries("unscanned"))


def test_an_index_is_unscanned_until_all_that_runs_of_it_is_scanned() -> None:
    index = image("c", "v1", parts=(digest("a"), digest("b")), scan=ImageScan(False))
    amd, arm, late = image("a"), image("b"), image("b", scan=ImageScan(False))
    assert unscanned(index, amd, arm) == set()
    assert unscanned(index, amd, late) == {"v1", "cc", "bb"}


def test_an_attestation_in_an_index_has_no_scan_and_needs_none() -> None:
    parts = (digest("a"), digest("b"))
    index = image("c", "v1", parts=parts, notes=frozenset(parts[1:]), scan=ImageScan(False))
    assert unscanned(index, image("a"), image("b", scan=ImageScan(False))) == {"bb"}


NESTED = [
    image("d", "nested", parts=(digest("c"),), scan=ImageScan(False)),
    image("c", "flat", parts=(digest("a"), digest("b")), scan=ImageScan(False)),
    image("b"),
]


def test_an_index_in_an_index_is_as_bad_as_the_image_that_runs_in_the_end() -> None:
    entries = denied(held(*NESTED, image("a", "plain", findings=[BAD])))
    assert {entry.rpartition(":")[2] for entry in entries if "@" not in entry} == {
        "plain", "flat", "nested",
    }  # fmt: skip
    assert f"{SOURCE}/checkout@{digest('d')}" in entries


def test_indexes_that_lead_in_a_circle_are_judged_all_the_same() -> None:
    circle = [
        image("c", "one", parts=(digest("d"),), scan=ImageScan(False)),
        image("d", "two", parts=(digest("c"), digest("a")), scan=ImageScan(False)),
    ]
    entries = denied(held(*circle, image("a", findings=[BAD])))
    assert {f"{SOURCE}/checkout:one", f"{SOURCE}/checkout:two"} <= set(entries)


@pytest.mark.parametrize(
    "index",
    [
        image("d", "v1", parts=(digest("a"), digest("f")), scan=ImageScan(False)),  # not there
        image(
            "d", "v1", parts=(digest("a"), digest("e")), scan=ImageScan(False)
        ),  # of unknown kind
        image("d", "v1", parts=None, scan=ImageScan(False)),  # not understood
    ],
)
def test_an_index_of_which_not_all_is_known_is_unscanned_and_is_said(index: ScannedImage) -> None:
    there = held(image("a"), image("e", known=False), index)
    assert decided(there).incomplete == (f"checkout@{digest('d')}",)
    assert decided(there).denied == ()
    assert f"{SOURCE}/checkout:v1" in decided(there, deny_unscanned=True).entries("unscanned")


# A verdict stays

UNSETTLED = ["IN_PROGRESS", "PENDING", "FAILED", "SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE"]


@pytest.mark.parametrize("status", UNSETTLED)
def test_what_was_denied_stays_denied_while_no_scan_has_finished(status: str) -> None:
    waiting = image("a", "1f", scan=ImageScan(False, unsettled=status))
    assert decided(held(waiting)).denied == ()
    (kept,) = decided(held(waiting), before=[digest("a")]).denied
    assert (kept.why, kept.kept, kept.findings) == ("vulnerable", True, ())
    assert f"{SOURCE}/checkout:1f" in kept.entries


def test_what_was_denied_stays_denied_when_ecr_knows_of_no_scan_any_more() -> None:
    assert denied(held(image("a", "1f", scan=ImageScan(False))), before=[digest("a")])


def test_a_finished_scan_lifts_a_verdict_and_so_does_a_waiver_for_the_image() -> None:
    assert not denied(held(image("a", "1f")), before=[digest("a")])
    waiting = held(image("a", "1f", scan=ImageScan(False, unsettled="FAILED")))
    covered = [waiver(image="checkout:1f")]
    assert not denied(waiting, before=[digest("a")], waivers=covered)
    assert denied(waiting, before=[digest("a")], waivers=[waiver(finding=BAD.name)])


def test_a_finished_scan_in_one_registry_lifts_nothing_while_another_one_runs() -> None:
    there = image("a", "1f", registry=REPLICA, scan=ImageScan(False, unsettled="IN_PROGRESS"))
    both = held(image("a", "1f")), held(there, registry=REPLICA)
    assert denied(*both, before=[digest("a")])


@pytest.mark.parametrize("status", UNSETTLED)
def test_the_findings_that_ecr_still_has_count_whatever_became_of_the_scan(status: str) -> None:
    (bad,) = decided(held(image("a", scan=ImageScan(False, (BAD,), 1, status)))).denied
    assert (bad.kept, bad.findings) == (False, (BAD,))


def test_an_index_stays_denied_with_the_platform_that_does() -> None:
    there = held(*NESTED, image("a", scan=ImageScan(False, unsettled="PENDING")))
    entries = denied(there, before=[digest("a")])
    assert f"{SOURCE}/checkout:nested" in entries
    assert not denied(held(*NESTED, image("a")), before=[digest(each) for each in "acd"])


def test_an_index_stays_denied_when_the_platform_it_was_denied_for_is_gone() -> None:
    assert f"{SOURCE}/checkout:flat" in denied(held(*NESTED), before=[digest("a"), digest("c")])


def test_what_was_denied_and_is_archived_is_denied_when_it_comes_back() -> None:
    archived = held(image("a", "1f", scan=ImageScan(False), pullable=False))
    assert denied(archived, before=[digest("a")])
    assert decided(archived, deny_unscanned=True).denied == ()


@pytest.mark.parametrize(
    "covers",
    [
        {"finding": BAD.name},
        {"image": "checkout"},
        {"image": "checkout:1f"},
        {"image": f"checkout@{digest('a')}"},
        {"finding": BAD.name, "image": "checkout:1f"},
    ],
)
def test_a_waived_image_is_not_denied(covers: dict[str, str]) -> None:
    outcome = decided(held(image("a", "1f", findings=[BAD])), waivers=[waiver(**covers)])
    assert (outcome.denied, outcome.waived, outcome.unused) == ((), 1, ())


@pytest.mark.parametrize(
    "covers",
    [
        {"finding": WORSE.name},
        {"image": "other"},
        {"image": "checkout:2f"},
        {"finding": BAD.name, "image": "other"},
        {"finding": BAD.name, "expires": "2026-11-21"},
    ],
)
def test_a_waiver_for_something_else_or_of_yesterday_covers_nothing(
    covers: dict[str, str],
) -> None:
    assert denied(held(image("a", "1f", findings=[BAD])), waivers=[waiver(**covers)])


def test_a_waiver_counts_on_its_last_day_and_is_reported_from_the_next() -> None:
    last, late = (waiver(finding="CVE-1", expires=f"2026-11-{day}") for day in (22, 21))
    outcome = decided(held(), waivers=[last, late])
    assert outcome.expired == (late,)
    assert outcome.unused == (last,)


def test_every_finding_needs_a_waiver() -> None:
    bad = held(image("a", "1f", findings=[BAD, WORSE]))
    outcome = decided(bad, waivers=[waiver(finding=BAD.name)])
    assert [each.findings for each in outcome.denied] == [(WORSE,)]


def test_a_waiver_for_the_image_within_covers_the_index_that_stands_for_it() -> None:
    index = image("c", "v1", parts=(digest("a"),), scan=ImageScan(False))
    child = waiver(image=f"checkout@{digest('a')}")
    assert not denied(held(image("a", findings=[BAD]), index), waivers=[child])


def test_the_order_of_what_was_read_does_not_matter() -> None:
    one, two = image("a", "1", findings=[BAD]), image("b", "2", findings=[WORSE, BAD])
    replica = held(registry=REPLICA, names=["checkout"])
    entries = decided(held(one, two), replica).entries("vulnerable")
    again = decided(replica, held(two, one)).entries("vulnerable")
    documents = (lists.lists({"vulnerable": each}) for each in (entries, again[::-1]))
    assert len({to_yaml(each) for each in documents}) == 1


# The file of waivers


def waivers_file(folder: Path, *entries: Mapping[str, str], text: str = "") -> Path:
    file = folder / "waivers.yaml"
    file.write_text(text or yaml.safe_dump({"waivers": list(entries)}))
    return file


def test_waivers_are_read_from_yaml(tmp_path: Path) -> None:
    file = waivers_file(
        tmp_path, {"finding": "CVE-1", "reason": "no shell in it", "expires": "2026-12-31"}
    )
    assert str(read_waivers(file)[0]) == "CVE-1, expires 2026-12-31 (no shell in it)"


@pytest.mark.parametrize(
    ("entry", "offence"),
    [
        ({"reason": "r", "expires": "2026-12-31"}, "neither a finding nor an image"),
        ({"finding": "CVE-1", "expires": "2026-12-31"}, "waivers.0.reason"),
        ({"finding": "CVE-1", "reason": " ", "expires": "2026-12-31"}, "waivers.0.reason"),
        ({"finding": "CVE-1", "reason": "r"}, "waivers.0.expires"),
        ({"finding": "CVE-1", "reason": "r", "expires": "soon"}, "waivers.0.expires"),
        ({"cve": "CVE-1", "reason": "r", "expires": "2026-12-31"}, "waivers.0.cve"),
    ],
)
def test_a_waiver_that_says_too_little_or_too_much_is_refused(
    entry: dict[str, str], offence: str, tmp_path: Path
) -> None:
    with pytest.raises(EstateError) as refused:
        read_waivers(waivers_file(tmp_path, entry))
    assert offence in str(refused.value)


@pytest.mark.parametrize("text", ["waivers: [", "[]", "\x00"])
def test_a_file_that_holds_no_waivers_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(EstateError, match=r"waivers\.yaml"):
        read_waivers(waivers_file(tmp_path, text=text))


# The lists


def many(count: int) -> list[str]:
    return [f"{SOURCE}/service-{number:06}:v{number:06}" for number in range(count)]


def test_there_is_a_list_even_when_nothing_is_denied() -> None:
    (only,) = lists.lists({"vulnerable": ()})
    assert only["data"] == {"schema": "1"}


def test_every_entry_is_in_one_list_below_its_key() -> None:
    entries = many(30_000)
    documents = lists.lists({"vulnerable": entries})
    found = [
        (key, entry)
        for each in documents
        for key, below in each["data"].items()
        if key != "schema"
        for entry in below.split("\n")
    ]
    assert len(documents) > 1
    assert sorted(entry for _, entry in found) == entries
    assert all(key_of("vulnerable", entry) == key for key, entry in found)


@given(
    entries=st.sets(st.from_regex(r"s/[a-z]{1,3}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,3}", fullmatch=True)),
    per_key=st.integers(1, 3),
)
def test_no_entry_is_lost_or_twice_however_full_the_lists_are(
    entries: set[str], per_key: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "MOST_PER_KEY", per_key)
        patch.setattr(lists, "MOST_BYTES", 100)
        documents = lists.lists({"vulnerable": sorted(entries), "unscanned": sorted(entries)})
    for kind in ("vulnerable", "unscanned"):
        found = [
            entry
            for each in documents
            for key, below in each["data"].items()
            if key.startswith(kind)
            for entry in below.split("\n")
            if key_of(kind, entry) == key
        ]
        assert sorted(found) == sorted(entries)
    keys = {key for each in documents for key in each["data"]}
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key) for key in keys)


def test_every_list_keeps_below_what_kubernetes_takes() -> None:
    for each in lists.lists({"vulnerable": many(30_000)}):
        assert len(json.dumps(each)) < 1024 * 1024
        assert max(below.count("\n") for below in each["data"].values()) < lists.MOST_PER_KEY


def test_a_key_with_too_many_entries_is_in_several_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_PER_KEY", 10)
    alike = [f"{SOURCE}/service-{number}:latest" for number in range(100)]
    documents = lists.lists({"vulnerable": alike})
    assert [each["data"]["vulnerable-st"].count("\n") for each in documents] == [9] * 10


def test_a_new_entry_changes_one_list_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_BYTES", 500_000)
    before, after = (lists.lists({"vulnerable": many(count)}) for count in (30_000, 30_001))
    names = [{each["metadata"]["name"] for each in one} for one in (before, after)]
    assert len(before) == len(after) > 2
    assert len(names[1] - names[0]) == 1


def test_a_tag_of_one_character_has_a_key_that_kubernetes_takes() -> None:
    assert key_of("vulnerable", f"{SOURCE}/service:1") == "vulnerable-.1"


def test_yaml_has_an_entry_a_line_and_reads_back() -> None:
    documents = lists.lists({"vulnerable": ["a:11", "b:11"], "unscanned": ["true"]})
    text = to_yaml([*documents, run_record({"written": "2026-11-22"})])
    assert "\n    a:11\n    b:11\n" in text
    assert list(yaml.safe_load_all(text))[:-1] == documents


# What is read of ECR


def refusal(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "told to"}}, operation)


class FakeEcr:
    """Answers as ECR does, in pages of two; fails where it is told to.

    ``client`` is boto3's own, so that what is asked is what ECR's API takes.
    """

    def __init__(
        self, images: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str] | None = None
    ) -> None:
        self.images, self.failures = images, failures or {}
        self.calls: list[str] = []
        self.client = boto3.client(
            "ecr", region_name="eu-west-1", aws_access_key_id="any", aws_secret_access_key="any"
        )
        self.client.meta.events.register_last("before-call.ecr", self._answer)  # type: ignore[arg-type] # an answer is allowed, too

    def _answer(self, model: Any, params: Any, **_: object) -> tuple[Any, Mapping[str, Any]]:
        try:
            answer = getattr(self, xform_name(model.name))(**json.loads(params["body"]))
        except ClientError as error:
            return argparse.Namespace(status_code=400), error.response
        return argparse.Namespace(status_code=200), answer

    def _page(self, operation: str, key: str, entries: Sequence[Any], asked: Any) -> dict[str, Any]:
        self.calls.append(operation)
        if operation in self.failures:
            raise refusal(self.failures[operation], operation)
        start = int(asked.get("nextToken", 0))
        end = start + 2
        more = {"nextToken": str(end)} if end < len(entries) else {}
        return {key: entries[start:end], **more}

    def describe_repositories(self, **asked: Any) -> dict[str, Any]:
        names = [{"repositoryName": name} for name in self.images]
        return self._page("describe_repositories", "repositories", names, asked)

    def describe_images(self, **asked: Any) -> dict[str, Any]:
        name = asked["repositoryName"]
        details = [
            {
                "repositoryName": name,
                "imageDigest": each,
                "imageManifestMediaType": MANIFESTS_OF_IMAGES[-1],
                **facts.get("detail", {}),
            }
            for each, facts in self.images[name].items()
        ]
        return self._page("describe_images", "imageDetails", details, asked)

    def describe_image_scan_findings(self, **asked: Any) -> dict[str, Any]:
        facts = self.images[asked["repositoryName"]][asked["imageId"]["imageDigest"]]
        if "code" in facts:
            raise refusal(facts["code"], "DescribeImageScanFindings")
        form, found = facts.get("form", "findings"), facts.get("findings", [])
        page = self._page("describe_image_scan_findings", form, found, asked)
        status = {"status": facts.get("status", "COMPLETE")}
        counts = {"findingSeverityCounts": {"CRITICAL": len(found)}}
        more = {key: page.pop(key) for key in list(page) if key == "nextToken"}
        return {"imageScanStatus": status, "imageScanFindings": page | counts, **more}

    def batch_get_image(self, **asked: Any) -> dict[str, Any]:
        self.calls.append("batch_get_image")
        found = self.images[asked["repositoryName"]]
        return {
            "images": [
                {"imageId": each, "imageManifest": found[each["imageDigest"]]["manifest"]}
                for each in asked["imageIds"]
                if "manifest" in found[each["imageDigest"]]
            ],
            "failures": [],
        }


def basic(*names: str, severity: str = "CRITICAL") -> list[dict[str, str]]:
    return [{"name": name, "severity": severity} for name in names]


def read(ecr: FakeEcr, *expected: str, said: Callable[[str], None] = lambda _: None) -> Held:
    reader = Reader(lambda _: ecr.client, threshold="CRITICAL", rate=1e6, workers=2, said=said)
    return reader.read({CENTRAL: expected})[0]


def scans(found: Held) -> dict[str, ImageScan]:
    return {each.digest: each.scan for each in found.images}


def test_every_page_of_everything_is_read() -> None:
    names = [f"CVE-{number}" for number in range(5)]
    images = {digest(letter): {"findings": basic(*names)} for letter in "abc"}
    found = read(FakeEcr({f"service-{number}": images for number in range(5)}))
    assert len(found.names) == 5
    assert len(found.images) == 15
    assert {len(each.scan.findings) for each in found.images} == {5}
    assert {each.scan.total for each in found.images} == {5}


def test_findings_below_the_threshold_are_counted_and_not_kept() -> None:
    images = {digest("a"): {"findings": basic("CVE-1", severity="HIGH")}}
    assert scans(read(FakeEcr({"checkout": images}))) == {digest("a"): ImageScan(True, (), 1)}


def test_enhanced_findings_are_known_by_their_vulnerability_and_only_when_open() -> None:
    form = {
        "form": "enhancedFindings",
        "status": "ACTIVE",
        "findings": [
            {
                "title": "CVE-1 - openssl",
                "severity": "CRITICAL",
                "status": "ACTIVE",
                "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-1"},
            },
            {"title": "CVE-2 - zlib", "severity": "CRITICAL", "status": "SUPPRESSED"},
        ],
    }
    (scan,) = scans(read(FakeEcr({"checkout": {digest("a"): form}}))).values()
    assert scan.findings == (Finding("CVE-1", "CRITICAL"),)


@pytest.mark.parametrize(
    "facts", [{"code": "ScanNotFoundException"}, {"status": "UNSUPPORTED_IMAGE"}]
)
def test_an_image_without_a_scan_is_unscanned(facts: dict[str, str]) -> None:
    (scan,) = scans(read(FakeEcr({"checkout": {digest("a"): facts}}))).values()
    assert (scan.scanned, scan.unsettled) == (False, "")


@pytest.mark.parametrize("status", UNSETTLED)
def test_the_findings_of_a_scan_that_says_nothing_new_are_read_and_its_state_is_kept(
    status: str,
) -> None:
    facts = {"status": status, "findings": basic("CVE-1", "CVE-2", "CVE-3")}
    (scan,) = scans(read(FakeEcr({"checkout": {digest("a"): facts}}))).values()
    assert (scan.scanned, scan.unsettled, len(scan.findings)) == (False, status, 3)


@pytest.mark.parametrize(
    ("status", "counted"), [("SCAN_ELIGIBILITY_EXPIRED", ["CVE-1"]), ("ACTIVE", [])]
)
def test_findings_that_inspector_closed_count_where_it_does_not_look_any_more(
    status: str, counted: list[str]
) -> None:
    closed = {"title": "CVE-1", "severity": "CRITICAL", "status": "CLOSED"}
    facts = {"status": status, "form": "enhancedFindings", "findings": [closed]}
    (scan,) = scans(read(FakeEcr({"checkout": {digest("a"): facts}}))).values()
    assert [each.name for each in scan.findings] == counted


def test_an_image_that_is_gone_is_left_out() -> None:
    facts = {"code": "ImageNotFoundException"}
    assert read(FakeEcr({"checkout": {digest("a"): facts}})).images == ()


def test_of_an_archived_image_nothing_is_asked_and_it_is_known_all_the_same() -> None:
    ecr = FakeEcr({"checkout": {digest("a"): {"detail": {"imageStatus": "ARCHIVED"}}}})
    (archived,) = read(ecr).images
    assert not archived.pullable
    assert "describe_image_scan_findings" not in ecr.calls


def test_the_manifest_of_an_index_says_what_it_stands_for() -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    manifest = json.dumps({"manifests": [{"digest": digest("b")}, {"digest": digest("a")}]})
    index = {"detail": {"imageManifestMediaType": kind}, "manifest": manifest}
    found = read(FakeEcr({"checkout": {digest("a"): {}, digest("c"): index}}))
    assert [each.parts for each in found.images] == [(), (digest("a"), digest("b"))]


def index_of(manifest: object) -> dict[str, Any]:
    kind = "application/vnd.oci.image.index.v1+json"
    return {"detail": {"imageManifestMediaType": kind}, "manifest": json.dumps(manifest)}


def test_only_a_part_of_no_platform_is_taken_for_the_attestation_that_it_is_marked_as() -> None:
    marks = {"vnd.docker.reference.type": "attestation-manifest"}
    marks |= {"vnd.docker.reference.digest": digest("f")}
    parts = [
        {"digest": digest(letter), "annotations": marks, "platform": {"os": os, "architecture": os}}
        for letter, os in [("a", "unknown"), ("b", "linux")]
    ]
    (found,) = read(FakeEcr({"checkout": {digest("c"): index_of({"manifests": parts})}})).images
    assert found.notes == {digest("a")}


def test_an_index_that_cannot_be_understood_is_known_as_such() -> None:
    (found,) = read(FakeEcr({"checkout": {digest("c"): index_of({"manifests": [{}]})}})).images
    assert found.parts is None


def test_an_index_is_fetched_once_however_many_registries_hold_it() -> None:
    ecr = FakeEcr({"checkout": {digest("c"): index_of({"manifests": []})}})
    reader = Reader(
        lambda _: ecr.client, threshold="CRITICAL", rate=1e6, workers=1, said=lambda _: None
    )
    reader.read({CENTRAL: (), REPLICA: ()})
    assert ecr.calls.count("batch_get_image") == 1


def test_an_index_whose_manifest_cannot_be_read_is_an_error() -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    index = {"detail": {"imageManifestMediaType": kind}}
    with pytest.raises(EstateError, match="its manifest cannot be read"):
        read(FakeEcr({"checkout": {digest("c"): index}}))


@pytest.mark.parametrize(
    "operation", ["describe_repositories", "describe_images", "describe_image_scan_findings"]
)
def test_a_call_that_fails_fails_the_run(operation: str) -> None:
    ecr = FakeEcr({"checkout": {digest("a"): {}}}, {operation: "AccessDeniedException"})
    with pytest.raises(EstateError, match="the last one stands") as refused:
        read(ecr)
    assert SOURCE in str(refused.value)
    assert "AccessDenied" in str(refused.value)


def test_an_image_repository_of_the_outputs_that_is_not_there_fails_the_run() -> None:
    with pytest.raises(EstateError, match=f"{SOURCE}: gone: is in the outputs and not in ECR"):
        read(FakeEcr({"checkout": {}}), "checkout", "gone")


def test_progress_is_said_with_what_is_left() -> None:
    lines: list[str] = []
    read(FakeEcr({"checkout": {digest("a"): {}}}), said=lines.append)
    assert lines[-1].startswith(f"{SOURCE}: 1 of 1 images, ")
    assert lines[-1].endswith("0 s left")


def test_calls_are_kept_to_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", pause)
    pace = Pace(10)
    for _ in range(11):
        pace.wait()
    assert now[0] == pytest.approx(1.0)


# The cluster


class FakeKubectl:
    """Remembers what it was asked; `there` are the lists in the cluster."""

    def __init__(self, *there: str, failing: str = "") -> None:
        self.there, self.failing = there, failing
        self.asked: list[tuple[str, ...]] = []
        self.applied: list[str] = []
        self.items: list[dict[str, Any]] = []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        verb, *arguments = command[1], *command[4:]
        self.asked.append((verb, *arguments))
        if verb == self.failing:
            return subprocess.CompletedProcess(command, 1, "", "no route to host\n")
        if verb == "apply":
            items = json.loads(options["input"])["items"]
            self.applied += [each["metadata"]["name"] for each in items]
        if arguments[-1] == "json" and "configmaps" in arguments:
            return subprocess.CompletedProcess(command, 0, json.dumps({"items": self.items}), "")
        return subprocess.CompletedProcess(command, 0, "\n".join(self.there), "")


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeKubectl]:
    def install(*there: str, failing: str = "") -> FakeKubectl:
        fake = FakeKubectl(*(f"configmap/{name}" for name in there), failing=failing)
        monkeypatch.setattr(subprocess, "run", fake)
        monkeypatch.setattr(shutil, "which", lambda name: name)
        return fake

    return install


def test_old_lists_are_taken_away_only_after_the_new_ones_are_there(
    kubectl: Callable[..., FakeKubectl],
) -> None:
    documents = lists.lists({"vulnerable": ["a:11"]})
    name = documents[0]["metadata"]["name"]
    fake = kubectl("old", name)
    assert cluster.apply(documents, run_record({})) == 1
    assert [verb for verb, *_ in fake.asked] == ["apply", "get", "delete", "apply"]
    assert fake.asked[2][-1] == "old"
    assert fake.applied == [name, lists.RUN]


def test_the_digests_that_the_lists_in_the_cluster_deny_are_read(
    kubectl: Callable[..., FakeKubectl],
) -> None:
    bad = decided(held(image("a", "1f", findings=[BAD]), image("b", scan=ImageScan(False))))
    entries = {why: bad.entries(why) for why in ("vulnerable", "unscanned")}
    fake = kubectl()
    fake.items = [*lists.lists(entries), run_record({"vulnerable-aa": f"x@{digest('c')}"})]
    assert cluster.denied() == {digest("a")}


@pytest.mark.parametrize("failing", ["apply", "get"])
def test_when_kubectl_fails_nothing_is_taken_away(
    failing: str, kubectl: Callable[..., FakeKubectl]
) -> None:
    fake = kubectl("old", failing=failing)
    with pytest.raises(EstateError, match="no route to host"):
        cluster.apply(lists.lists({}), run_record({}))
    assert "delete" not in [verb for verb, *_ in fake.asked]


def test_without_kubectl_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EstateError, match="no kubectl on PATH"):
        cluster.written()


# The command


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fake")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "fake")
        yield running


def push(registry: Registry, name: str, tag: str) -> str:
    """Push an image, made of its own name, and give its digest."""
    keys = boto3.client("sts", region_name=registry.region).assume_role(
        RoleArn=f"arn:aws:iam::{registry.account}:role/reader", RoleSessionName="test"
    )["Credentials"]
    ecr = boto3.client(
        "ecr",
        region_name=registry.region,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    if name not in [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]:
        ecr.create_repository(repositoryName=name)
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "annotations": {"made": f"{name}:{tag}"},
    }
    pushed = ecr.put_image(repositoryName=name, imageTag=tag, imageManifest=json.dumps(manifest))
    return pushed["image"]["imageId"]["imageDigest"]


def outputs(folder: Path, **urls: Any) -> Path:
    content = {
        "report": {"registries": [SOURCE, REPLICA.key]},
        "imageRepositories": {"checkout": [f"{CENTRAL.host}/checkout"]},
        "replicas": {"checkout": [f"{REPLICA.host}/checkout"]},
    }
    return outputs_file(folder, **content | urls)


def estate(kind: Any = "basic") -> str:
    """Fill both registries; give the digest of the image that is bad."""
    push(REPLICA, "checkout", "1f")
    push(CENTRAL, "checkout", "2f")
    bad = push(CENTRAL, "checkout", "1f")
    put_findings(
        ARTIFACTS,
        "eu-west-1",
        "checkout",
        bad,
        {BAD.name: "CRITICAL", "CVE-2026-0003": "LOW"},
        kind=kind,
    )
    return bad


def command(*arguments: object) -> int:
    return main(["admission", "--role-name", "reader", "--rate", "1000", *map(str, arguments)])


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("kind", ["basic", "enhanced"])
def test_the_lists_are_made_from_the_findings_of_every_registry(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = estate(kind)
    file = tmp_path / "lists.yaml"
    assert command("--outputs", outputs(tmp_path), "--output", file, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["images"], report["findings"], report["unscanned"]) == (3, 2, 2)
    assert report["calls"] == 2 + 2 + 3  # image repositories, images, findings
    assert report["denied"] == [
        {
            "image": f"checkout@{bad}",
            "why": "vulnerable",
            "kept": False,
            "findings": [f"{BAD.name} CRITICAL"],
            "entries": [
                f"{SOURCE}/checkout@{bad}",
                f"{SOURCE}/checkout:1f",
                f"{REPLICA.key}/checkout@{bad}",
                f"{REPLICA.key}/checkout:1f",
            ],
        }
    ]
    document, record = yaml.safe_load_all(file.read_text())
    assert f"{SOURCE}/checkout:1f" in document["data"]["vulnerable-1f"]
    assert record["data"]["registries"] == f"{SOURCE}\n{REPLICA.key}"
    assert json.loads(record["data"]["report"])["denied"] == 1


@pytest.mark.usefixtures("aws")
def test_two_runs_write_the_same_lists(tmp_path: Path) -> None:
    estate()
    files = [tmp_path / name for name in ("one.yaml", "two.yaml")]
    for file in files:
        command("--outputs", outputs(tmp_path), "--output", file)
    one, two = (list(yaml.safe_load_all(file.read_text()))[:-1] for file in files)
    assert one == two


@pytest.mark.usefixtures("aws")
def test_a_verdict_stays_while_the_image_is_scanned_again_and_falls_when_it_is_found_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = estate()
    file = tmp_path / "lists.yaml"

    def denied_now(status: str, *findings: str) -> tuple[int, int, dict[str, int], bool]:
        found = dict.fromkeys(findings, "CRITICAL")
        put_findings(ARTIFACTS, "eu-west-1", "checkout", bad, found, status=status)
        assert command("--registry", SOURCE, "--output", file, "--json") == 0
        report = json.loads(capsys.readouterr().out)
        listed = f"{SOURCE}/checkout:1f" in file.read_text()
        return len(report["denied"]), report["kept"], report["unsettled"], listed

    assert denied_now("COMPLETE", "CVE-1") == (1, 0, {}, True)
    assert denied_now("IN_PROGRESS") == (1, 1, {"IN_PROGRESS": 1}, True)
    assert denied_now("FAILED") == (1, 1, {"FAILED": 1}, True)
    assert denied_now("COMPLETE") == (0, 0, {}, False)


@pytest.mark.usefixtures("aws")
def test_a_file_that_holds_no_lists_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate()
    file = tmp_path / "notes.txt"
    file.write_text("what I wanted to remember")
    assert command("--registry", SOURCE, "--output", file) == 1
    assert "holds no lists; nothing was written" in capsys.readouterr().err
    assert file.read_text() == "what I wanted to remember"


@pytest.mark.usefixtures("aws")
def test_a_registry_that_cannot_be_read_keeps_the_last_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate()
    file = tmp_path / "lists.yaml"
    file.write_text("the last good one")
    missing = outputs(tmp_path, replicas={"gone": [f"{REPLICA.host}/gone"]})
    assert command("--outputs", missing, "--output", file) == 1
    assert "the last one stands" in capsys.readouterr().err
    assert {each.name: each.read_text() for each in tmp_path.glob("lists*")} == {
        "lists.yaml": "the last good one"
    }


@pytest.mark.usefixtures("aws")
def test_an_expired_waiver_is_reported_and_a_good_one_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    estate()
    reason = {"reason": "not reachable"}
    file = waivers_file(
        tmp_path,
        {"finding": BAD.name, "expires": "9999-12-31", **reason},
        {"finding": BAD.name, "expires": "2020-01-01", **reason},
    )
    assert command("--registry", SOURCE, "--waivers", file) == 0
    said = capsys.readouterr()
    assert "warning: this waiver has expired and covers nothing: CVE-2026-0001" in said.err
    assert (
        "0 images denied from CRITICAL on, 0 of them for what was known before, 1 waived"
        in said.out
    )


@pytest.mark.usefixtures("aws")
def test_the_threshold_and_the_unscanned_are_choices(
    capsys: pytest.CaptureFixture[str],
) -> None:
    estate()
    assert command("--registry", SOURCE, "--deny-unscanned", "--threshold", "HIGH") == 0
    assert "2 images denied from HIGH on" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--registry", "checkout"],
        ["--registry", SOURCE, "--rate", "0"],
        ["--registry", SOURCE, "--workers", "0"],
        ["--registry", SOURCE, "--threshold", "BAD"],
        ["--registry", SOURCE, "--trusted", "example.org"],
        ["--registry", SOURCE, "--apply", "--output", "lists.yaml"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        sys.exit(command(*arguments))


@pytest.mark.parametrize(("hours", "code"), [(1, 3), (10**6, 0)])
def test_the_age_of_the_list_is_checked(
    hours: int,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    kubectl: Callable[..., FakeKubectl],
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubectl().there = (json.dumps(run_record({"written": "2026-01-01T00:00:00+00:00"})),)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert command("--check-age", hours) == code
    assert ("hours old" in capsys.readouterr().err) == bool(code)


def test_a_record_without_a_time_is_an_error(kubectl: Callable[..., FakeKubectl]) -> None:
    kubectl().there = (json.dumps(run_record({})),)
    with pytest.raises(EstateError, match="does not say when"):
        cluster.written()


# What goes with it


MANIFESTS = Path(__file__).resolve().parent.parent / "kubernetes/admission"
GUIDE = Path(__file__).resolve().parent.parent / "docs/guides/admission.md"


def test_the_guides_role_may_call_what_is_called_and_no_more() -> None:
    kind = "application/vnd.oci.image.index.v1+json"
    index = {"detail": {"imageManifestMediaType": kind}, "manifest": "{}"}
    ecr = FakeEcr({"checkout": {digest("a"): {}, digest("c"): index}})
    read(ecr)
    reading = re.findall(r"^```json\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)[0]
    allowed = json.loads(reading)["Statement"][0]["Action"]
    called = {f"ecr:{operation.title().replace('_', '')}" for operation in ecr.calls}
    assert called == set(allowed)


def test_the_jobs_arguments_are_the_commands() -> None:
    job = yaml.safe_load((MANIFESTS / "job/cronjob.yaml").read_text())
    container = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python", "-m", "ecr", "admission"]
    parser = argparse.ArgumentParser()
    admission.configure(parser)
    options = parser.parse_args(container["args"])
    assert options.apply
    assert read_waivers(MANIFESTS / "job" / options.waivers.name) == ()


def test_the_jobs_image_needs_no_more_than_it_installs() -> None:
    others = ("pulumi", "pulumi_aws", "pulumi_github", "moto", "rich")
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({others!r}))\n"
        "from ecr.cli import main as __main__; import ecr.admission.registries, ecr.admission.cluster\n"
        "__main__.main(['admission', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=MANIFESTS.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


DOCKERFILE = (MANIFESTS / "job/Dockerfile").read_text()


def required(name: str) -> set[str]:
    """What a distribution needs, and what that needs in turn, as lock files name it."""
    found = {name}
    for each in importlib.metadata.requires(name) or ():
        needed = re.split(r"[^A-Za-z0-9-]", each.replace("_", "-"), maxsplit=1)[0].lower()
        if "extra ==" not in each:
            found |= required(needed)
    return found


def test_the_jobs_image_installs_what_the_command_needs_with_hashes_and_nothing_else() -> None:
    assert "COPY kubernetes/admission/job/requirements.lock ./" in DOCKERFILE
    assert "--require-hashes --no-deps -r requirements.lock" in DOCKERFILE
    project = MANIFESTS.parent.parent
    for lock in (MANIFESTS / "job/requirements.lock", project / "requirements-promotion.lock"):
        text = lock.read_text()
        pinned = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        assert pinned == required("boto3") | required("pydantic") | {"pyyaml"}
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text


@pytest.mark.parametrize("command", ["admission", "promote"])
def test_a_command_with_a_dependency_group_of_its_own_needs_no_engine(command: str) -> None:
    blocked = ("pulumi", "pulumi_aws", "pulumi_github", "httpx", "grpc")
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); "
        f"from ecr.cli.main import main; main([{command!r}, '--help'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_jobs_image_has_no_base_that_could_move() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${KUBECTL}", "${PYTHON}"]
    found = re.search(r"^RUN (for .+?;\s+done)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)
    assert found
    pinned, moving = f"python:3.13-slim@{digest('a')}", "python:3.13-slim"
    for kubectl, python, code in [(pinned, pinned, 0), (pinned, moving, 1), (moving, pinned, 1)]:
        done = subprocess.run(
            ["/bin/sh", "-c", found[1]],
            env={"KUBECTL": kubectl, "PYTHON": python},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "named without its digest" in done.stderr) == (code, bool(code))


def test_without_boto3_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert command("--registry", SOURCE) == 1
    assert "pip install boto3" in capsys.readouterr().err
