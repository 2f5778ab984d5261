"""A year of pushes, releases, signatures and restores under each preset: what is left, and what still runs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ecr.cli.main import main
from ecr.images.image import image_of
from ecr.images.manifest import parse_manifest
from ecr.lifecycle.fate import Fates
from ecr.lifecycle.policy import Policy, parse_policy
from ecr.plan.lifecycle import lifecycle_document
from ecr.settings.models import Lifecycle
from tests.images.conftest import ACCOUNT, HOST, REGION, Registries

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

pytestmark = pytest.mark.images

NAME = "service"
ADDRESS = f"{HOST}/{NAME}"
STEPS, DAYS = 24, 15
"""Half a month a step, and a year in all."""

KEPT = 6


@dataclass
class Year:
    """What a team does in one image repository, with crane and with the API."""

    registries: Registries
    running: dict[str, str] = field(default_factory=dict)
    policy: Policy = field(default_factory=lambda: Policy(()))
    releases: dict[str, list[str]] = field(default_factory=dict)
    """Of each release all digests that belong to it, itself first."""
    untagged_referrers: set[str] = field(default_factory=set)
    doubted: set[str] = field(default_factory=set)
    foreseen: set[str] = field(default_factory=set)
    ever: set[str] = field(default_factory=set)

    def begin(self, document: str | None) -> None:
        self.policy = parse_policy(document, "it") if document else Policy(())
        ecr = self.registries.ecr()
        ecr.create_repository(
            repositoryName=NAME,
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest"}],
        )
        if document:
            ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=document)

    def commit(self, step: int) -> str:
        """Push what a commit builds, for two platforms every other time, and move `latest` to it."""
        layout = self.registries.layout()
        content = f"build {step}"
        digest = (
            layout.index(content, "linux/amd64", "linux/arm64", provenance=True)
            if step % 2
            else layout.plain(content)
        )
        tag = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self.registries.crane("push", layout.folder, f"{ADDRESS}:{tag}")
        layout = self.registries.layout()
        layout.plain(f"try {step}")
        self.registries.crane("push", layout.folder, f"{ADDRESS}:latest")
        return digest

    def release(self, digest: str, step: int) -> None:
        """Tag a version; sign it by tag, by a referrer, and by a referrer that has a tag as well."""
        self.registries.crane("tag", f"{ADDRESS}@{digest}", f"v1.{step}.0")
        layout = self.registries.layout()
        by_tag = layout.signature(f"by tag {step}")
        of = f"{ADDRESS}:{digest.replace(':', '-')}"
        self.registries.crane("push", layout.folder, f"{of}.sig")
        (subject,) = self.registries.ecr().batch_get_image(
            repositoryName=NAME, imageIds=[{"imageDigest": digest}]
        )["images"]
        size = len(subject["imageManifest"].encode())
        about = {
            "mediaType": subject["imageManifestMediaType"],
            "digest": digest,
            "size": size,
        }
        layout = self.registries.layout()
        referrer = layout.signature(f"by referrer {step}", subject=about)
        self.registries.crane("push", layout.folder, f"{ADDRESS}@{referrer}")
        self.untagged_referrers.add(referrer)
        layout = self.registries.layout()
        by_both = layout.signature(f"by both {step}", subject=about)
        self.registries.crane("push", layout.folder, of)
        self.releases[digest] = [digest, *self.parts(digest), by_tag, by_both]

    def parts(self, digest: str) -> list[str]:
        (image,) = self.registries.ecr().batch_get_image(
            repositoryName=NAME, imageIds=[{"imageDigest": digest}]
        )["images"]
        return [part.digest for part in parse_manifest(image["imageManifest"]).parts]

    def run_it(self, digest: str, name: str, *, marked: bool) -> None:
        """Make a Lambda function of an image, and mark it as the guide does, or forget to."""
        if marked:
            self.registries.crane("tag", f"{ADDRESS}@{digest}", f"live-{digest[7:19]}")
        iam, functions = (self.registries.client(each) for each in ("iam", "lambda"))
        if not iam.list_roles()["Roles"]:
            iam.create_role(RoleName="function", AssumeRolePolicyDocument="{}")
        functions.create_function(
            FunctionName=name,
            PackageType="Image",
            Role=f"arn:aws:iam::{ACCOUNT}:role/function",
            Code={"ImageUri": f"{ADDRESS}@{digest}"},
            Publish=True,
        )
        self.running[digest] = name

    def pull(self, digest: str) -> None:
        folder = self.registries.layout().folder / "pulled"
        self.registries.crane("pull", "--format=oci", f"{ADDRESS}@{digest}", folder)

    def store(self, digest: str, storage_class: Any) -> None:
        self.registries.ecr().update_image_storage_class(
            repositoryName=NAME,
            imageId={"imageDigest": digest},
            targetStorageClass=storage_class,
        )

    def held(self) -> dict[str, ImageDetailTypeDef]:
        pages = self.registries.ecr().get_paginator("describe_images")
        asked: Any = {"repositoryName": NAME, "filter": {"imageStatus": "ANY"}}
        return {
            each["imageDigest"]: each
            for page in pages.paginate(**asked)
            for each in page["imageDetails"]
        }

    def audit(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Look as a schedule does, and pin what can be pinned."""
        options = ["--registry", f"{ACCOUNT}/{REGION}", "--pin", "--yes"]
        main(["audit", *options])
        for line in capsys.readouterr().out.splitlines():
            if line.startswith("goes"):
                self.foreseen |= {each for each in self.running if each[:19] in line}

    def doubt(self) -> None:
        """Note which referrers the simulator says rest on what Amazon does not say."""
        images = [image_of(each) for each in self.held().values()]
        now = self.registries.aws.world.clock.now()
        fates = Fates(images, self.policy, now=now, days=30)
        self.doubted |= {
            each for each in self.untagged_referrers if fates.of(each).doubt == "referrer"
        }

    def live(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Let the year pass."""
        commits = []
        for step in range(STEPS):
            self.registries.log_in()
            digest = self.commit(step)
            commits.append(digest)
            self.ever |= self.held().keys()
            if step % 4 == 1:
                self.release(digest, step)
                self.doubt()
            if step == 6:
                self.run_it(digest, "marked", marked=True)
            if step == 8:
                self.run_it(digest, "unmarked", marked=False)
            if step == 4:
                self.store(commits[2], "ARCHIVE")
            if step == 7:
                self.store(commits[2], "STANDARD")
                self.registries.aws.world.clock.move(seconds=3600)
                self.run_it(commits[2], "restored", marked=False)
            self.audit(capsys)
            self.registries.aws.world.clock.move(days=DAYS)
            self.audit(capsys)
        self.registries.log_in()


@pytest.fixture
def year(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> Year:
    clock = registries.aws.world.clock
    monkeypatch.setattr("ecr.cli.commands.audit.time", SimpleNamespace(time=clock.now))
    for name, value in {
        "AWS_ENDPOINT_URL": registries.aws.url,
        "AWS_ACCESS_KEY_ID": "AKIASANDBOX000000000",
        "AWS_SECRET_ACCESS_KEY": "any",
    }.items():
        monkeypatch.setenv(name, value)
    return Year(registries)


@pytest.mark.parametrize("preset", ["commit-sha", "semver", "none"])
def test_after_a_year_nothing_that_runs_or_that_a_release_needs_is_gone(
    year: Year, preset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = {} if preset == "none" else {"keepImages": KEPT}
    year.begin(lifecycle_document(Lifecycle.model_validate({"preset": preset, **numbers})))
    year.live(capsys)
    left = year.held()
    assert set(year.running) <= left.keys()
    assert len(year.running) == 3
    for digest in year.running:
        year.pull(digest)
    assert len(year.releases) == 6
    for digest, members in year.releases.items():
        assert left.keys() >= set(members), "an index, its parts, its attestations, its signatures"
        year.pull(digest)
        sig = year.registries.crane("digest", f"{ADDRESS}:{digest.replace(':', '-')}.sig")
        assert sig in members
    gone = year.ever - left.keys()
    # Amazon does not say whether a rule takes an untagged artifact whose subject stays; here it does,
    # and the simulator had marked each of them.
    assert year.doubted == (year.untagged_referrers if preset != "none" else set())
    if preset == "none":
        assert not gone
        return
    assert gone, "the numbers are small enough for the policy to act"
    kinds = Counter(_kind(each) for each in left.values())
    assert kinds["release"] == 6
    assert kinds["commit"] + kinds["live"] >= KEPT, "what is promised is what somebody can run"
    assert kinds["commit"] < STEPS - 6


def test_the_sample_of_older_guides_loses_what_runs_and_the_audit_says_so_before(
    year: Year, capsys: pytest.CaptureFixture[str]
) -> None:
    year.begin(lifecycle_document(Lifecycle.model_validate({"preset": "source-sample"})))
    year.live(capsys)
    lost = set(year.running) - year.held().keys()
    assert lost, "it protects nothing"
    assert lost <= year.foreseen
    assert any(set(members) - year.held().keys() for members in year.releases.values())


def _kind(detail: ImageDetailTypeDef) -> str:
    tags = detail.get("imageTags", [])
    for begin, kind in (("v1.", "release"), ("live-", "live"), ("sha256-", "companion")):
        if any(tag.startswith(begin) for tag in tags):
            return kind
    return "untagged" if not tags else "latest" if tags == ["latest"] else "commit"
