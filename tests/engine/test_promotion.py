"""Promotion between real registries, by the real crane, of an image for two platforms."""

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ecr.cli.main import main
from ecr.ledger.ledger import Entry, Ledger
from ecr.promotion import RECORD
from ecr.promotion.crane import EMPTY, crane, digest_of
from sandbox.toolchain.tools import CRANE, ensure_tool
from tests.builders import outputs_file

pytestmark = pytest.mark.engine

STAGES = ("dev", "test", "prod")


class Stages:
    """Three registries, one a stage, and the outputs of a stack that names them."""

    def __init__(self, binary: Path, folder: Path, hosts: list[str]) -> None:
        self._binary, self._folder = binary, folder
        self.urls = dict(zip(STAGES, (f"{host}/checkout" for host in hosts), strict=True))
        entry = Entry(repository="checkout", service="checkout", state="active", since="2026-11-22")
        outputs_file(
            folder,
            ledger=Ledger({1: entry}).to_output(),
            imageRepositories={"checkout": list(self.urls.values())},
            report={"stages": list(STAGES)},
        )

    def crane(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._binary, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def build(self, tag: str, content: str) -> str:
        """Push an image for two platforms to dev, with a signature and an attestation."""
        repository = self.urls["dev"]
        platforms = []
        for name in ("amd64", "arm64"):
            (self._folder / "content").write_text(f"{content} for {name}")
            with tarfile.open(self._folder / "layer.tar", "w") as layer:
                layer.add(self._folder / "content", "content")
            one = f"{repository}:{tag}-{name}"
            layer_file = str(self._folder / "layer.tar")
            self.crane("append", "--oci-empty-base", "-f", layer_file, "-t", one)
            platforms.append(
                self.crane("mutate", one, "--set-platform", f"linux/{name}", "-t", one)
            )
        manifests = [part for each in platforms for part in ("-m", each)]
        self.crane("index", "append", *manifests, "-t", f"{repository}:{tag}")
        digest = self.digest("dev", tag)
        self.crane("tag", f"{repository}:{tag}-amd64", f"{digest.replace(':', '-')}.sig")
        self.attest(platforms[0])
        self.attest(f"{repository}@{digest}")
        return digest

    def attest(self, subject: str) -> str:
        """Let a small artifact refer to an image, and give its digest."""
        repository, _, digest = subject.partition("@")
        content = self.crane("manifest", subject)
        empty = {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": digest_of(EMPTY),
            "size": len(EMPTY),
        }
        with crane([]) as tool:
            return tool.push_empty(
                repository,
                {
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "artifactType": "application/vnd.example.attestation",
                    "config": empty,
                    "layers": [empty],
                    "subject": {
                        "mediaType": json.loads(content)["mediaType"],
                        "digest": digest,
                        "size": len(content),
                    },
                },
            )

    def lose(self, stage: str, reference: str) -> None:
        """Delete a manifest or a tag, as if it had never come."""
        host, _, name = self.urls[stage].partition("/")
        with closing(HTTPConnection(host)) as connection:
            connection.request("DELETE", f"/v2/{name}/manifests/{reference}")
            assert connection.getresponse().status == HTTPStatus.ACCEPTED

    def digest(self, stage: str, tag: str) -> str:
        return self.crane("digest", f"{self.urls[stage]}:{tag}")

    def holds(self, stage: str, digest: str) -> bool:
        command = [str(self._binary), "manifest", f"{self.urls[stage]}@{digest}"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def referrers(self, stage: str, digest: str) -> list[dict[str, Any]]:
        reference = f"{self.urls[stage]}:{digest.replace(':', '-')}"
        listed = json.loads(self.crane("manifest", reference))["manifests"]
        url = self.urls[stage]
        return [json.loads(self.crane("manifest", f"{url}@{each['digest']}")) for each in listed]

    def platforms(self, digest: str) -> list[str]:
        index = json.loads(self.crane("manifest", f"{self.urls['dev']}@{digest}"))
        return [each["digest"] for each in index["manifests"]]

    def promote(self, source: str, target: str, *options: str) -> int:
        given = ["checkout", "--from", source, "--to", target, "--allow-unscanned"]
        outputs = str(self._folder / "outputs.json")
        return main(["promote", *given, "--outputs", outputs, *(options or ("--tag", "v1"))])


@contextmanager
def serving(binary: Path) -> Iterator[str]:
    """Serve a registry on a free port of the loopback interface, and give its host."""
    command = [str(binary), "registry", "serve", "--address", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = process.stderr.readline()
        port = re.search(r"serving on port (\d+)", said)
        # What it goes on to say has to be taken from it, or it would wait.
        reader = Thread(target=process.stderr.read)
        reader.start()
        try:
            assert port, said
            yield f"127.0.0.1:{port[1]}"
        finally:
            process.kill()
            reader.join()


@pytest.fixture
def stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    binary = ensure_tool(CRANE, print)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    with ExitStack() as running:
        hosts = [running.enter_context(serving(binary)) for _ in STAGES]
        yield Stages(binary, tmp_path, hosts)


def test_an_image_keeps_its_digest_and_all_that_refers_to_it_through_all_stages(
    stages: Stages,
) -> None:
    digest = stages.build("v1", "first")
    signature = f"{digest.replace(':', '-')}.sig"
    assert stages.promote("dev", "test") == 0
    assert stages.promote("test", "prod") == 0
    assert {stages.digest(stage, "v1") for stage in STAGES} == {digest}
    assert {stages.digest(stage, signature) for stage in STAGES} == {
        stages.digest("dev", "v1-amd64")
    }
    assert all(stages.holds("prod", each) for each in stages.platforms(digest))
    attested = stages.platforms(digest)[0]
    assert stages.referrers("prod", attested) == stages.referrers("dev", attested)
    stages.crane("validate", "--remote", f"{stages.urls['prod']}:v1")


def test_who_promoted_is_told_by_what_refers_to_the_image(stages: Stages) -> None:
    digest = stages.build("v1", "first")
    stages.promote("dev", "test")
    stages.promote("test", "prod")
    found = [each for each in stages.referrers("prod", digest) if each["artifactType"] == RECORD]
    steps = {
        (about["ecr-estate.promotion.from-stage"], about["ecr-estate.promotion.to-stage"])
        for about in (each["annotations"] for each in found)
    }
    assert steps == {("dev", "test"), ("test", "prod")}
    assert all(each["annotations"]["ecr-estate.promotion.by"] for each in found)


def test_a_second_promotion_changes_nothing_and_says_so(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = stages.build("v1", "first")
    stages.promote("dev", "test")
    referrers = stages.referrers("test", digest)
    assert stages.promote("dev", "test") == 0
    assert capsys.readouterr().out.endswith(f"is {digest} already\n")
    assert stages.referrers("test", digest) == referrers


def test_a_promotion_that_broke_off_after_the_first_platform_goes_on(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = stages.build("v1", "first")
    first, second = stages.platforms(digest)
    stages.crane("copy", f"{stages.urls['dev']}@{first}", f"{stages.urls['test']}@{first}")
    assert stages.promote("dev", "test") == 0
    said = capsys.readouterr().out
    assert second in said
    assert f"platform {first}" not in said
    assert stages.digest("test", "v1") == digest


def test_a_platform_that_is_lost_under_its_index_is_brought_again(stages: Stages) -> None:
    digest = stages.build("v1", "first")
    stages.promote("dev", "test")
    lost = stages.platforms(digest)[1]
    stages.lose("test", lost)
    assert not stages.holds("test", lost)
    assert stages.promote("dev", "test") == 0
    assert stages.holds("test", lost)


def test_no_stage_is_skipped(stages: Stages, capsys: pytest.CaptureFixture[str]) -> None:
    digest = stages.build("v1", "first")
    assert stages.promote("dev", "prod") == 1
    assert "one step at a time" in capsys.readouterr().err
    assert not stages.holds("prod", digest)


def test_a_tag_that_is_another_images_is_not_moved(
    stages: Stages, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stages.build("v1", "first")
    stages.promote("dev", "test")
    after = stages.build("v1", "second")
    assert stages.promote("dev", "test") == 1
    assert "no tag was moved" in capsys.readouterr().err
    assert stages.digest("test", "v1") == before
    assert not stages.holds("test", after)


def test_a_dry_run_leaves_the_next_stage_as_it_was(stages: Stages) -> None:
    digest = stages.build("v1", "first")
    assert stages.promote("dev", "test", "--tag", "v1", "--dry-run") == 0
    assert not stages.holds("test", digest)


def test_an_image_is_promoted_by_its_digest_too(stages: Stages) -> None:
    digest = stages.build("v1", "first")
    assert stages.promote("dev", "test", "--digest", digest) == 0
    assert stages.digest("test", f"from-dev-{digest[7:19]}") == digest


def test_an_image_without_a_scan_is_refused_unless_told(
    stages: Stages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages.build("v1", "first")
    given = ["promote", "checkout", "--from", "dev", "--to", "test", "--tag", "v1"]
    assert main([*given, "--outputs", str(tmp_path / "outputs.json")]) == 1
    assert "--allow-unscanned" in capsys.readouterr().err
