"""Promotion: what is refused, what is copied and in which order; the registries are dictionaries."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from ecr.aws.session import Aws
from ecr.cli.commands import promote
from ecr.cli.main import main
from ecr.deploy.outputs import outputs
from ecr.errors import EstateError
from ecr.images.family import Families
from ecr.images.image import Image as Stored
from ecr.images.manifest import ATTESTATION_LAYER, IMAGE_CONFIGS, can_run
from ecr.ledger.ledger import Entry, Ledger
from ecr.plan.access.promotion_roles import promotion_documents
from ecr.promotion import RECORD, Outcome, Promotion, Request, Stage
from ecr.promotion.aws import ScanState, Side
from ecr.promotion.crane import PACKAGE, Answer, Crane, Login, crane, digest_of
from ecr.registry.registry import Placement, Registry
from tests.builders import outputs_file, plan, repositories, settings

DEV, TEST, PROD = (f"registry.test/checkout-{stage}" for stage in ("dev", "test", "prod"))
BY = {"ecr-estate.promotion.by": "somebody"}
CLEAN = ScanState("COMPLETE")


class Registries:
    """crane and the registries that it talks to, in memory; ``calls`` are what changed them."""

    def __init__(self) -> None:
        self.manifests: dict[str, bytes] = {}
        self.named: dict[str, str] = {}
        self.calls: list[str] = []
        self.broken_after: int | None = None

    def put(self, repository: str, manifest: Mapping[str, Any], *tags: str) -> str:
        digest = self.keep(repository, json.dumps(manifest).encode())
        for tag in tags:
            self.named[f"{repository}:{tag}"] = digest
        return digest

    def keep(self, repository: str, content: bytes) -> str:
        """Keep a manifest as it is and, as registries without the API do, list what it refers to."""
        digest = digest_of(content)
        self.manifests[f"{repository}@{digest}"] = content
        subject = json.loads(content).get("subject")
        if subject:
            where = f"{repository}:{subject['digest'].replace(':', '-')}"
            known = json.loads(self.manifests.get(self._place(where), b'{"manifests":[]}'))
            known["manifests"].append({"digest": digest})
            listed = json.dumps({"manifests": known["manifests"]}).encode()
            self.manifests[f"{repository}@{digest_of(listed)}"] = listed
            self.named[where] = digest_of(listed)
        return digest

    def _place(self, reference: str) -> str:
        repository, _, _ = reference.rpartition(":")
        return f"{repository}@{self.named.get(reference)}" if "@" not in reference else reference

    def __call__(self, arguments: Sequence[str], given: bytes) -> Answer:
        command, first, *rest = arguments
        if command in {"digest", "manifest"}:
            place = self._place(first)
            if place not in self.manifests:
                return Answer(1, b"", "Error: MANIFEST_UNKNOWN: Unknown manifest")
            content = self.manifests[place]
            return Answer(0, content if command == "manifest" else digest_of(content).encode(), "")
        if command == "ls":
            found = [each.rpartition(":") for each in self.named]
            return Answer(
                0, "\n".join(tag for place, _, tag in found if place == first).encode(), ""
            )
        if self.broken_after == len(self.calls):
            return Answer(1, b"", "Error: connection reset")
        self.calls.append(f"{command} {rest[0].rpartition('/')[2]}")
        if command == "copy":
            self.keep(rest[0].partition("@")[0], self.manifests[first])
        elif command == "tag":
            repository, _, digest = first.partition("@")
            self.named[f"{repository}:{rest[0]}"] = digest
        else:
            repository, _, digest = rest[0].partition("@")
            blob = Path(first, "blobs/sha256", digest.removeprefix("sha256:"))
            self.keep(repository, blob.read_bytes())
        assert given == b""
        return Answer(0, b"", "")


class Findings(Side):
    """An ECR that has scanned, with the same result for every image but the ``bad`` one."""

    def __init__(self, scan: ScanState = CLEAN, bad: str = "") -> None:
        super().__init__(Aws())
        self.result, self.bad = scan, bad
        self.asked: list[str] = []

    def scan(self, url: str, digest: str) -> ScanState:
        assert url
        self.asked.append(digest)
        return ScanState("COMPLETE", critical=9) if digest == self.bad else self.result


ROOTFS = "application/vnd.oci.image.layer.v1.tar+gzip"


def platform(name: str, layer: str = ROOTFS, config: str = IMAGE_CONFIGS[0]) -> dict[str, Any]:
    return {
        "config": {"mediaType": config, "digest": name},
        "layers": [{"mediaType": layer, "digest": name}],
    }


SIGNATURE = platform("signature", "application/vnd.dev.cosign.simplesigning.v1+json")
PROVENANCE = platform("provenance", ATTESTATION_LAYER)


@pytest.fixture
def registries() -> Registries:
    """An image of two platforms in dev, called v1, with a signature and an attestation."""
    filled = Registries()
    platforms = [filled.put(DEV, platform(name)) for name in ("amd64", "arm64")]
    top = filled.put(DEV, {"manifests": [{"digest": each} for each in platforms]}, "v1")
    filled.put(DEV, {"subject": {"digest": top}, "artifactType": "application/attestation"})
    filled.put(DEV, SIGNATURE, f"{top.replace(':', '-')}.sig")
    return filled


def image(registries: Registries) -> str:
    return registries.named[f"{DEV}:v1"]


def run(
    registries: Registries,
    source: str = DEV,
    target: str = TEST,
    scan: ScanState = CLEAN,
    bad: str = "",
    **options: Any,
) -> Outcome:
    stages = Stage("dev", source), Stage("test", target)
    request = Request(*stages, **{"tag": "v1", "digest": None, **options})
    lines: list[str] = []
    return Promotion(request, Crane(registries), Findings(scan, bad), Findings(), lines.append).run(
        BY
    )


def held(registries: Registries, repository: str) -> set[str]:
    """The digests in an image repository, without the lists of referrers."""
    lists = {
        digest
        for name, digest in registries.named.items()
        if name.rpartition(":")[2][:7] == "sha256-" and "." not in name.rpartition(":")[2]
    }
    found = (each.partition("@") for each in registries.manifests)
    return {digest for place, _, digest in found if place == repository} - lists


def records(registries: Registries, repository: str) -> list[dict[str, Any]]:
    contents = [
        json.loads(content)
        for place, content in registries.manifests.items()
        if place.startswith(f"{repository}@")
    ]
    return [each for each in contents if each.get("artifactType") == RECORD]


def test_an_image_is_promoted_with_its_platforms_its_signature_and_all_that_refers_to_it(
    registries: Registries,
) -> None:
    outcome = run(registries)
    assert outcome.state == "promoted"
    assert registries.named[f"{TEST}:v1"] == image(registries) == outcome.digest
    assert held(registries, TEST) == held(registries, DEV) | {outcome.record}
    assert f"{TEST}:{image(registries).replace(':', '-')}.sig" in registries.named


def test_the_tag_is_the_last_that_is_set(registries: Registries) -> None:
    run(registries)
    *before, last = registries.calls
    assert last == "tag v1"
    assert [each.partition(" ")[0] for each in before] == ["copy"] * 5 + ["push", "tag"]


def test_who_promoted_and_from_where_refers_to_the_image(registries: Registries) -> None:
    run(registries)
    (record,) = records(registries, TEST)
    assert record["subject"]["digest"] == image(registries)
    assert record["annotations"] == {
        "ecr-estate.promotion.from": DEV,
        "ecr-estate.promotion.from-stage": "dev",
        "ecr-estate.promotion.to": TEST,
        "ecr-estate.promotion.to-stage": "test",
        **BY,
    }


def test_the_records_of_earlier_promotions_go_along(registries: Registries) -> None:
    run(registries)
    run(registries, TEST, PROD)
    targets = {each["annotations"]["ecr-estate.promotion.to"] for each in records(registries, PROD)}
    assert targets == {TEST, PROD}


def test_a_second_promotion_finds_all_there_and_changes_nothing(registries: Registries) -> None:
    run(registries)
    registries.calls.clear()
    assert run(registries).state == "already there"
    assert registries.calls == []


@pytest.mark.parametrize("calls", range(8))
def test_an_interrupted_promotion_sets_no_tag_and_goes_on_when_it_is_run_again(
    registries: Registries, calls: int
) -> None:
    registries.broken_after = calls
    with pytest.raises(EstateError, match="running again goes on"):
        run(registries)
    assert f"{TEST}:v1" not in registries.named
    registries.broken_after = None
    assert run(registries).state == "promoted"
    assert len(registries.calls) == len(set(registries.calls)) == 8


def test_a_dry_run_says_what_it_would_copy_and_copies_nothing(registries: Registries) -> None:
    outcome = run(registries, dry_run=True)
    assert (outcome.state, len(outcome.copied)) == ("would be promoted", 5)
    assert registries.calls == []


def test_an_image_that_is_named_by_its_digest_gets_a_tag_that_says_where_it_is_from(
    registries: Registries,
) -> None:
    digest = image(registries)
    assert run(registries, tag=None, digest=digest).tag == f"from-dev-{digest[7:19]}"


def test_a_tag_of_another_image_is_not_moved(registries: Registries) -> None:
    registries.put(TEST, platform("another"), "v1")
    with pytest.raises(EstateError, match="choose another tag"):
        run(registries)
    assert registries.calls == []


def test_a_signature_that_differs_is_not_replaced(registries: Registries) -> None:
    registries.put(TEST, {"layers": ["mine"]}, f"{image(registries).replace(':', '-')}.sig")
    with pytest.raises(EstateError, match=r"\.sig: is sha256"):
        run(registries)


def test_an_image_that_is_not_in_the_first_stage_is_not_looked_for_elsewhere(
    registries: Registries,
) -> None:
    with pytest.raises(EstateError, match="no such image in stage dev"):
        run(registries, tag="v2")


def test_an_image_that_is_not_whole_is_refused(registries: Registries) -> None:
    del registries.manifests[f"{DEV}@{digest_of(json.dumps(platform('arm64')).encode())}"]
    with pytest.raises(EstateError, match="not whole"):
        run(registries)


def test_a_manifest_that_is_not_its_digests_is_refused(registries: Registries) -> None:
    platforms = [each for each, content in registries.manifests.items() if b"arm64" in content]
    registries.manifests[platforms[0]] = b"{}"
    with pytest.raises(EstateError, match="another manifest than the one asked for"):
        run(registries)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "FAILED", "never scanned"])
def test_an_image_without_a_finished_scan_is_refused_unless_told(
    registries: Registries, status: str
) -> None:
    with pytest.raises(EstateError, match=f"no finished scan .{status}.*--allow-unscanned"):
        run(registries, scan=ScanState(status))
    assert run(registries, scan=ScanState(status), allow_unscanned=True).state == "promoted"


def test_an_image_with_critical_findings_is_refused_unless_told(registries: Registries) -> None:
    found = ScanState("COMPLETE", critical=2)
    with pytest.raises(EstateError, match=r"2 critical findings.*--allow-critical"):
        run(registries, scan=found, allow_unscanned=True)
    assert run(registries, scan=found, allow_critical=True).state == "promoted"


def test_findings_are_asked_of_each_platform_and_of_nothing_that_does_not_run(
    registries: Registries,
) -> None:
    outcome = run(registries)
    assert set(outcome.scans) == {
        digest_of(json.dumps(platform(name)).encode()) for name in ("amd64", "arm64")
    }


def test_an_attestation_beside_the_platforms_is_not_scanned_but_what_could_run_is(
    registries: Registries,
) -> None:
    mark = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    nowhere, somewhere = (
        {"platform": {"architecture": name, "os": name}} for name in ("unknown", "linux")
    )
    told = {"digest": registries.put(DEV, PROVENANCE), **mark, **nowhere}
    disguised = {"digest": registries.put(DEV, platform("program")), **mark, **somewhere}
    registries.put(DEV, {"manifests": [told, disguised]}, "v2")
    assert set(run(registries, tag="v2").scans) == {disguised["digest"]}
    assert told["digest"] in held(registries, TEST)


MARKED = {
    "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    "platform": {"architecture": "unknown", "os": "unknown"},
}


def hide(registries: Registries, how: str) -> str:
    """Put an image that runs beside a clean one in dev, called v2, and give its digest."""
    clean = registries.put(DEV, platform("clean"), "v2")
    if how == "as a signature":
        return registries.put(DEV, platform("evil"), f"{clean.replace(':', '-')}.sig")
    if how == "as what refers to it":
        return registries.put(DEV, {**platform("evil"), "subject": {"digest": clean}})
    if how == "in a list that is called a signature":
        evil = registries.put(DEV, platform("evil"))
        listed = {"manifests": [{"digest": evil}]}
        registries.put(DEV, listed, f"{clean.replace(':', '-')}.att")
        return evil
    evil = registries.put(DEV, platform("evil"))
    if how == "in a list that is marked as an attestation":
        inner = registries.put(DEV, {"manifests": [{"digest": evil}]})
        children: list[dict[str, Any]] = [{"digest": clean}, {"digest": inner, **MARKED}]
    else:
        children = [{"digest": clean}, {"digest": evil, **MARKED}]
    registries.put(DEV, {"manifests": children}, "v2")
    return evil


@pytest.mark.parametrize(
    "how",
    [
        "as a signature",
        "as what refers to it",
        "as an attestation",
        "in a list that is called a signature",
        "in a list that is marked as an attestation",
    ],
)
def test_whatever_could_run_is_judged_under_which_name_it_comes_along(
    registries: Registries, how: str
) -> None:
    evil = hide(registries, how)
    with pytest.raises(EstateError, match=f"{evil}: 9 critical findings"):
        run(registries, tag="v2", bad=evil)
    assert registries.calls == []


def test_a_tag_that_only_looks_like_a_signatures_is_not_copied(registries: Registries) -> None:
    evil = registries.put(DEV, platform("evil"), f"{image(registries).replace(':', '-')}.run")
    assert run(registries, bad=evil).state == "promoted"
    assert evil not in held(registries, TEST)
    assert not [name for name in registries.named if name.startswith(TEST) and ".run" in name]


def test_promotion_takes_along_the_whole_family_and_judges_what_the_clusters_judge(
    registries: Registries,
) -> None:
    amd, arm = (registries.put(DEV, platform(name)) for name in ("linux-amd64", "linux-arm64"))
    notes = [
        registries.put(DEV, {**PROVENANCE, "annotations": {"of": each}}) for each in (amd, arm)
    ]
    inner = registries.put(DEV, {"manifests": [{"digest": arm}, {"digest": notes[1], **MARKED}]})
    children = [{"digest": amd}, {"digest": notes[0], **MARKED}, {"digest": inner}]
    top = registries.put(DEV, {"manifests": children}, "v2")
    signature = registries.put(DEV, SIGNATURE, f"{amd.replace(':', '-')}.sig")
    outcome = run(registries, tag="v2")
    stored = [
        Stored(top, 0.0, ("v2",), parts=(amd, notes[0], inner)),
        Stored(inner, 0.0, parts=(arm, notes[1])),
        *(Stored(each, 0.0) for each in (amd, arm, *notes)),
        Stored(signature, 0.0, (f"{amd.replace(':', '-')}.sig",)),
    ]
    family = Families(stored)
    assert set(family.whole(top).digests) == held(registries, TEST) - {outcome.record}
    judged = {each for each in family.below(top).digests if not family.parts(each)} - set(notes)
    assert set(outcome.scans) == judged == {amd, arm}


def test_a_platform_that_refers_to_another_is_scanned_too(registries: Registries) -> None:
    first = registries.put(DEV, platform("first"))
    second = registries.put(DEV, {**platform("second"), "subject": {"digest": first}})
    registries.put(DEV, {"manifests": [{"digest": first}, {"digest": second}]}, "v2")
    assert set(run(registries, tag="v2").scans) == {first, second}


def test_what_is_there_already_is_not_refused_for_what_was_found_since(
    registries: Registries,
) -> None:
    run(registries)
    assert run(registries, scan=ScanState("COMPLETE", critical=1)).state == "already there"


@pytest.mark.parametrize(
    ("manifest", "runs"),
    [
        (platform("docker", "application/vnd.docker.image.rootfs.diff.tar.gzip", IMAGE_CONFIGS[1]), True),
        ({"layers": [{}]}, True),  # nothing says that it does not
        ({"fsLayers": []}, True),
        (SIGNATURE, False),
        (PROVENANCE, False),
        (platform("folder", config="application/vnd.oci.empty.v1+json"), False),  # oras attach
        (platform("chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"), False),
        ({"manifests": []}, False),
    ],
)  # fmt: skip
def test_what_runs_has_an_images_configuration_and_file_systems(
    manifest: dict[str, Any],
    runs: bool,  # noqa: FBT001 - what is expected of the manifest
) -> None:
    assert can_run(manifest) == runs


def test_what_is_no_image_is_scanned_all_the_same_and_so_refused(registries: Registries) -> None:
    registries.put(DEV, {"layers": ["chart"]}, "chart")
    with pytest.raises(EstateError, match="UNSUPPORTED_IMAGE"):
        run(registries, tag="chart", scan=ScanState("UNSUPPORTED_IMAGE"))


ECR = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/checkout-dev"


class Client:
    """ECR's API with canned answers."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def answer(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    describe_image_scan_findings = list_image_referrers = get_authorization_token = answer


def aws(*answers: Any) -> tuple[Side, Client]:
    client, access = Client(*answers), Aws()
    access.client = lambda *_: client
    return Side(access), client


def test_the_findings_are_those_of_the_image_in_its_own_account() -> None:
    side, client = aws(
        {
            "imageScanStatus": {"status": "COMPLETE"},
            "imageScanFindings": {"findingSeverityCounts": {"CRITICAL": 3, "HIGH": 1}},
        }
    )
    assert side.scan(ECR, "sha256:1") == ScanState("COMPLETE", 3)
    assert client.asked == [
        {
            "registryId": "111111111111",
            "repositoryName": "checkout-dev",
            "imageId": {"imageDigest": "sha256:1"},
        }
    ]


def test_an_image_that_ecr_never_scanned_and_one_that_is_not_in_ecr_have_no_finished_scan() -> None:
    side, _ = aws(
        ClientError({"Error": {"Code": "ScanNotFoundException"}}, "DescribeImageScanFindings")
    )
    assert not side.scan(ECR, "sha256:1").finished
    assert not side.scan(DEV, "sha256:1").finished


def test_all_pages_of_referrers_are_read() -> None:
    side, client = aws(
        {"referrers": [{"digest": "sha256:a"}], "nextToken": "more"},
        {"referrers": [{"digest": "sha256:b"}]},
    )
    assert side.referrers(ECR, "sha256:1") == ["sha256:a", "sha256:b"]
    assert [each.get("nextToken") for each in client.asked] == [None, "more"]


def test_credentials_are_asked_for_ecr_only() -> None:
    token = base64.b64encode(b"AWS:secret").decode()
    side, _ = aws({"authorizationData": [{"authorizationToken": token}]})
    assert list(side.logins(ECR)) == [Login(ECR.partition("/")[0], "AWS", "secret")]
    assert list(side.logins(DEV)) == []


def put_command(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder / name


def put_crane_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    put_command(folder, "crane", script)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_password_goes_through_standard_input_into_a_folder_that_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'cat > "$DOCKER_CONFIG/config.json"; echo "$DOCKER_CONFIG" "$@" >> "$TMPDIR/seen"'
    put_crane_on_path(tmp_path / "bin", monkeypatch, script)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with crane([Login("host", "AWS", "secret")]):
        folder, *arguments = (tmp_path / "seen").read_text().split()
        assert Path(folder, "config.json").read_text() == "secret"
    assert arguments == ["auth", "login", "host", "-u", "AWS", "--password-stdin"]
    assert not Path(folder).exists()


def test_a_registry_that_cannot_be_reached_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_crane_on_path(tmp_path, monkeypatch, "echo 'Error: connection refused' >&2; exit 1")
    with crane([]) as tool, pytest.raises(EstateError, match="connection refused"):
        tool.digest("registry.test/checkout:v1")


def test_without_crane_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EstateError, match="go install"), crane([]):
        pass


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """The outputs of a stack with three stages, an active service and one that is kept."""
    entries = {
        1: Entry(repository="checkout", service="checkout", state="active", since="2026-11-22"),
        2: Entry(repository="gone", service="gone", state="kept", since="2026-11-22"),
    }
    urls = {
        name: [
            f"{Registry(account, 'eu-west-1').host}/{name}"
            for account in ("111111111111", "222222222222", "333333333333")
        ]
        for name in ("checkout", "gone")
    }
    ledger, stages = Ledger(entries).to_output(), ["dev", "test", "prod"]
    return outputs_file(tmp_path, ledger=ledger, imageRepositories=urls, report={"stages": stages})


def refusal(
    capsys: pytest.CaptureFixture[str], stack: Path, *arguments: str, source: str, target: str
) -> str:
    given = ["promote", *arguments, "--from", source, "--to", target, "--outputs", str(stack)]
    assert main(given) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("dev", "prod", "one step at a time"),
        ("prod", "dev", "one step at a time"),
        ("dev", "dev", "one step at a time"),
        ("prod", "test", "one step at a time"),
        ("dev", "qa", "qa: is none of the stages, which are dev → test → prod"),
    ],
)
def test_no_stage_is_skipped_and_none_is_gone_back_to(
    capsys: pytest.CaptureFixture[str], stack: Path, source: str, target: str, reason: str
) -> None:
    said = refusal(capsys, stack, "checkout", "--tag", "v1", source=source, target=target)
    assert reason in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone", "--tag", "v1"], "gone: is kept"),
        (["unknown", "--tag", "v1"], "is it a service's name?"),
    ],
)
def test_what_cannot_be_promoted_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], stack: Path, arguments: list[str], reason: str
) -> None:
    assert reason in refusal(capsys, stack, *arguments, source="dev", target="test")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--tag", "v1"], "SERVICE: is required"),
        (["checkout", "--tag=-rm"], "--tag -rm: is not a tag"),
        (["checkout", "--digest", "sha256:12"], "64 hexadecimal digits"),
    ],
)
def test_what_no_image_can_be_called_is_a_wrong_option(
    capsys: pytest.CaptureFixture[str], stack: Path, arguments: list[str], reason: str
) -> None:
    given = ["promote", *arguments, "--from", "dev", "--to", "test", "--outputs", str(stack)]
    assert main(given) == 2
    assert reason in capsys.readouterr().err


def test_an_estate_without_stages_has_no_promotion(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ("checkout", "--tag", "v1")
    said = refusal(capsys, outputs_file(tmp_path), *arguments, source="dev", target="test")
    assert "central has one image repository" in said


def test_the_outputs_come_from_the_selected_stack_unless_a_file_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\necho no stack is selected >&2\nexit 1\n")
    script.chmod(0o755)
    given = ["promote", "checkout", "--from", "dev", "--to", "test", "--tag", "v1"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(given) == 1
    assert "no stack is selected; or give them by --outputs FILE" in capsys.readouterr().err
    script.unlink()
    assert main(given) == 1
    assert "install it, and put it on the PATH" in capsys.readouterr().err


def test_the_outcome_is_json_on_request_and_progress_does_not_disturb_it(
    capsys: pytest.CaptureFixture[str],
    stack: Path,
    registries: Registries,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = json.loads(stack.read_text())
    written["imageRepositories"]["checkout"] = [DEV, TEST, PROD]
    stack.write_text(json.dumps(written))

    @contextmanager
    def in_memory(logins: Iterable[Login]) -> Iterator[Crane]:
        assert list(logins) == []
        yield Crane(registries)

    monkeypatch.setattr(promote, "crane", in_memory)
    given = ["promote", "checkout", "--from", "dev", "--to", "test", "--tag", "v1", "--json"]
    assert main([*given, "--allow-unscanned", "--outputs", str(stack)]) == 0
    printed = capsys.readouterr()
    outcome = json.loads(printed.out)
    assert outcome["state"] == "promoted"
    assert outcome["to"] == {"name": "test", "url": TEST}
    assert "[5/5]" in printed.err


def test_the_program_says_the_stages_in_the_order_of_promotion() -> None:
    chosen: dict[str, Any] = {"architecture": "per-stage", "stages": ["dev", "test", "prod"]}
    said = outputs(settings(**chosen), plan(*repositories("checkout"), **chosen))
    assert said["report"]["stages"] == ["dev", "test", "prod"]
    assert [url.rpartition("-")[2] for url in said["imageRepositories"]["checkout"]] == [
        "dev",
        "test",
        "prod",
    ]
    assert outputs(settings(), plan(*repositories("checkout")))["report"]["stages"] == []


HERE, THERE = Registry("111111111111", "eu-west-1"), Registry("222222222222", "eu-west-1")


def allowed(document: dict[str, Any], resource: str) -> set[str]:
    return {
        action
        for statement in document["Statement"]
        if statement["Resource"] == resource and statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
    }


def listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def test_the_role_may_read_one_stage_and_write_the_next_and_delete_nothing() -> None:
    documents = promotion_documents(Placement(HERE, "*-dev"), Placement(HERE, "*-prod"))
    assert set(documents) == {HERE.account}
    read = allowed(documents[HERE.account], HERE.arn("*-dev"))
    write = allowed(documents[HERE.account], HERE.arn("*-prod"))
    assert "ecr:PutImage" in write
    assert "ecr:PutImage" not in read
    assert "ecr:DescribeImageScanFindings" in read
    assert not [each for each in read | write if "Delete" in each or "Repository" in each]


def test_across_accounts_a_second_role_reads_and_the_first_may_assume_only_it() -> None:
    documents = promotion_documents(Placement(HERE, "*"), Placement(THERE, "*"))
    reader = "arn:aws:iam::111111111111:role/ecr-promotion-reader"
    assert allowed(documents[THERE.account], reader) == {"sts:AssumeRole"}
    assert "ecr:PutImage" in allowed(documents[THERE.account], THERE.arn("*"))
    assert "ecr:PutImage" not in json.dumps(documents[HERE.account])


def test_under_enhanced_scanning_whoever_reads_the_images_reads_inspectors_findings_too() -> None:
    inspector = {"inspector2:ListCoverage", "inspector2:ListFindings"}
    source, target = Placement(HERE, "*"), Placement(THERE, "*")
    documents = promotion_documents(source, target, enhanced=True)
    assert inspector <= allowed(documents[HERE.account], "*")
    assert not inspector & allowed(documents[THERE.account], "*")
    assert "inspector2" not in json.dumps(promotion_documents(source, target))
    alone = promotion_documents(Placement(HERE, "*-dev"), Placement(HERE, "*-prod"), enhanced=True)
    assert inspector <= allowed(alone[HERE.account], "*")


def test_a_stage_whose_name_ends_like_the_next_ones_cannot_be_written() -> None:
    others = [Placement(HERE, f"*-{stage}") for stage in ("dev", "non-prod", "prod")]
    document = promotion_documents(others[0], others[2], others)[HERE.account]
    (denied,) = [each for each in document["Statement"] if each["Effect"] == "Deny"]
    assert denied["Resource"] == [HERE.arn("*-non-prod")]
    assert "ecr:PutImage" in denied["Action"]


POLICY = ["--policy", "--estate", "acme/ecr-estate", "--owner-id", "7"]


def printed(
    capsys: pytest.CaptureFixture[str], stack: Path, *arguments: str
) -> dict[str, dict[str, Any]]:
    given = ["--from", "dev", "--to", "test", "--outputs", str(stack), *POLICY]
    assert main(["promote", *arguments, *given]) == 0
    found: dict[str, dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_the_policies_are_printed_for_one_service_or_for_all_when_asked_for_all(
    capsys: pytest.CaptureFixture[str], stack: Path
) -> None:
    one = printed(capsys, stack, "checkout")["222222222222"]
    assert "ecr:PutImage" in allowed(one["policy"], THERE.arn("checkout"))
    assert one["role"] == "promote-checkout-to-test"
    assert "inspector2" not in json.dumps(one)
    every = printed(capsys, stack, "--all", "--enhanced")
    assert "ecr:PutImage" in allowed(every["222222222222"]["policy"], THERE.arn("*"))
    assert "inspector2:ListFindings" in json.dumps(every)


def test_a_services_role_trusts_its_own_repository_in_the_estates_workflow_and_nobody_else(
    capsys: pytest.CaptureFixture[str], stack: Path
) -> None:
    roles = printed(capsys, stack, "checkout")
    (trust,) = roles["222222222222"]["trust"]["Statement"]
    github = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {f"{github}:aud": "sts.amazonaws.com", f"{github}:repository_id": "1"},
        "StringLike": {
            f"{github}:sub": [
                "repo:acme/checkout:environment:test",
                "repo:acme@7/checkout@1:environment:test",
            ],
            f"{github}:job_workflow_ref": "acme/ecr-estate/.github/workflows/promote.yml@*",
        },
    }
    (reading,) = roles["111111111111"]["trust"]["Statement"]
    assert reading["Principal"]["AWS"].endswith("222222222222:role/promote-checkout-to-test")


def test_one_role_for_all_services_trusts_the_workflow_in_whichever_repository_calls_it(
    capsys: pytest.CaptureFixture[str], stack: Path
) -> None:
    (trust,) = printed(capsys, stack, "--all")["222222222222"]["trust"]["Statement"]
    said = json.dumps(trust["Condition"])
    assert "promote.yml@*" in said
    assert "repo:acme/*:environment:test" in said
    assert "repository_id" not in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (POLICY, "ask for one role for all by --all"),
        (["checkout", "--all", *POLICY], "ask for one role for all by --all"),
        (["checkout", "--policy", "--owner-id", "7"], "--estate OWNER/NAME: is required"),
        (["checkout", "--policy", "--estate", "acme"], "--owner-id NUMBER: is required"),
        (["checkout", "--tag", "v1", "--all"], "--all: is for --policy"),
    ],
)
def test_policies_are_not_written_by_halves(
    capsys: pytest.CaptureFixture[str], stack: Path, arguments: list[str], reason: str
) -> None:
    given = ["--from", "dev", "--to", "test", "--outputs", str(stack)]
    assert main(["promote", *arguments, *given]) == 2
    assert reason in capsys.readouterr().err


ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github/workflows/promote.yml"


def job() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]["promote"]
    return found


def test_the_workflow_waits_for_the_environment_of_the_next_stage_and_may_change_nothing() -> None:
    assert job()["environment"] == "${{ inputs.to }}"
    assert job()["permissions"] == {"contents": "read", "id-token": "write"}


def test_the_workflow_uses_no_action_that_could_move() -> None:
    actions = [step["uses"] for step in job()["steps"] if "uses" in step]
    assert len(actions) == 4
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in actions)


def test_no_input_of_the_workflow_becomes_part_of_a_script() -> None:
    assert [step["run"] for step in job()["steps"] if "${{" in step.get("run", "")] == []


def test_the_caller_chooses_neither_the_code_nor_what_is_let_pass() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    inputs = set(workflow[True]["workflow_call"]["inputs"])  # YAML reads the key `on` as true
    assert inputs == {"service", "from", "to", "tag", "role", "region", "read-role"}
    (checkout,) = [each for each in job()["steps"] if "checkout@" in each.get("uses", "")]
    assert checkout["with"]["repository"] == "${{ job.workflow_repository }}"
    assert checkout["with"]["ref"] == "${{ job.workflow_sha }}"
    given = job()["steps"][-1]["env"]
    chosen = {key: value for key, value in given.items() if "inputs." not in value}
    assert chosen == {
        "OUTPUTS": "${{ vars.ECR_ESTATE_OUTPUTS }}",
        "ALLOW_UNSCANNED": "${{ vars.ECR_ESTATE_ALLOW_UNSCANNED }}",
        "ALLOW_CRITICAL": "${{ vars.ECR_ESTATE_ALLOW_CRITICAL }}",
    }


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({}, ""),
        ({"REVIEWED": ""}, "nobody was asked"),
        ({"REVIEWED": "false"}, "nobody was asked"),
        ({"OUTPUTS": ""}, "has no variable ECR_ESTATE_OUTPUTS"),
        ({"CODE": ""}, "does not say at which commit"),
        ({"CODE": "main"}, "does not say at which commit"),
    ],
)
def test_nothing_is_promoted_before_somebody_was_asked_by_code_that_is_known(
    wrong: dict[str, str], reason: str
) -> None:
    gate = job()["steps"][0]
    right = {"REVIEWED": "true", "STAGE": "prod", "OUTPUTS": "s3://any", "CODE": "a" * 40}
    assert set(gate["env"]) == set(right)
    done = subprocess.run(
        ["/bin/bash", "-c", gate["run"]],
        env={"PATH": "/usr/bin:/bin", **right, **wrong},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, reason in done.stderr) == (1 if wrong else 0, True)


def test_the_workflow_calls_the_command_as_it_is(tmp_path: Path, stack: Path) -> None:
    script = job()["steps"][-1]["run"]
    python = put_command(tmp_path / "bin", "python", f'exec "{sys.executable}" "$@"')
    put_command(tmp_path / "bin", "aws", 'cp "$4" "$5"')
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "RUNNER_TEMP": str(tmp_path / "bin"),
        "OUTPUTS": str(stack),
        "SERVICE": "checkout",
        "SOURCE": "dev",
        "TARGET": "prod",
        "TAG": "v1",
        "READ_ROLE": "arn:aws:iam::111111111111:role/ecr-promotion-reader",
        "ALLOW_UNSCANNED": "true",
        "ALLOW_CRITICAL": "true",
    }
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "one step at a time" in done.stderr, done.stderr


def test_every_place_that_names_crane_means_the_same_version() -> None:
    module, _, version = PACKAGE.partition("@")
    required = module.removesuffix("/cmd/crane")
    recipe = (ROOT / "sandbox/toolchain/crane/go.mod").read_text()
    assert f"{required} {version} " in recipe
    assert f"cmd/crane@{version}" in (ROOT / "docs/guides/promoting.md").read_text()
