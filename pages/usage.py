"""The usage page's data: a report of a real stack where it is given, of the sandbox's images otherwise.

Owns the images that the sample is measured of: it pushes them into the image repositories that the sandbox's
stack would make, layer by layer, and then calls the operator's own command. The sample is committed, for
the site is built without an AWS; ``python -m pages.usage`` measures it anew.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3

from ecr.cli.commands.usage import usage_script
from ecr.cli.main import main as command_line
from pages.estate import sandbox_outputs
from sandbox.aws import EmbeddedAws

SAMPLE = Path(__file__).resolve().parent.parent / "docs/usage/sample.json"

BASES = {name: name.encode() * 10_000 for name in ("debian", "alpine", "python")}
"""Layers that the images of a service have in common."""

DAY = 86_400
OWNERS = ("payments", "search", "platform")
SERVICES = 12
"""Services of the sample: what is measured of more looks the same, and takes longer to push."""

MOST_IMAGES = 6


def usage_data(report: Path | None = None) -> str:
    """Return the script of the page, of a report that `ecr-estate usage --json` printed, or the sample."""
    return usage_script(json.loads((report or SAMPLE).read_text(encoding="utf-8")))


def measure_sample() -> str:
    """Push images into the embedded AWS, measure them, and return the report."""
    outputs = sandbox_outputs()
    with EmbeddedAws() as aws, _environment(aws.url) as folder:
        chance = random.Random(2026)  # noqa: S311 - a sample, the same each time
        held = list(outputs["ledger"]["services"].items())[
            :: len(outputs["ledger"]["services"]) // SERVICES
        ]
        outputs["ledger"]["services"] = dict(held)
        for _, entry in held:
            entry["owner"] = chance.choice((*OWNERS, ""))
            number = chance.choice((0, 1, 2, 4, MOST_IMAGES))
            since = chance.choice((0, 3, 200, 400))
            bases = chance.choice(list(BASES.values()))
            for index in range(number):
                age = since + index * chance.choice((1, 9, 33))
                content = [bases, chance.randbytes(chance.randrange(5_000, 40_000))]
                for location in (*entry["placements"], *entry["replicas"]):
                    _push(aws, location, content, tag=f"v1.{number - index}", days_ago=age)
            for location in (*entry["placements"], *entry["replicas"]):
                _made(aws, location, days_ago=500)
        file = folder / "outputs.json"
        file.write_text(json.dumps(outputs), encoding="utf-8")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            role = ["--role-name", "ecr-estate-audit"]
            command_line(["usage", "--outputs", str(file), *role, "--layers", "--json"])
    report = json.loads(printed.getvalue())
    report["stack"] = "sandbox"
    return json.dumps(report, indent=1, sort_keys=True) + "\n"


@contextlib.contextmanager
def _environment(url: str) -> Iterator[Path]:
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "AKIAOPERATOR00000000",
        "AWS_SECRET_ACCESS_KEY": "embedded-aws-takes-any-key",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
    finally:
        os.environ.clear()
        os.environ |= before


@cache
def _ecr(account: str, region: str) -> Any:  # noqa: ANN401 - boto3's client
    sts = boto3.client("sts", region_name=region)
    role = f"arn:aws:iam::{account}:role/ecr-estate-audit"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="sample")["Credentials"]
    session = boto3.Session(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region
    )
    return session.client("ecr")


@cache
def _client(location: str) -> tuple[Any, str]:
    """Return a client of the registry of a location, and the name there; make what is not there."""
    account, region, name = location.split("/", 2)
    client = _ecr(account, region)
    client.create_repository(repositoryName=name)
    rule = {
        "rulePriority": 1,
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 5},
        "action": {"type": "expire"},
    }
    text = json.dumps({"rules": [rule]})
    client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
    return client, name


def _made(aws: EmbeddedAws, location: str, *, days_ago: int) -> None:
    account, region, name = location.split("/", 2)
    _client(location)
    made = aws.registry(account, region).repositories[name]
    made.created_at -= timedelta(days=days_ago)


def _push(
    aws: EmbeddedAws, location: str, layers: list[bytes], *, tag: str, days_ago: float
) -> None:
    client, name = _client(location)
    config = _stored(client, name, b'{"architecture": "amd64"}', "config.v1+json")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [_stored(client, name, each, "layer.v1.tar+gzip") for each in layers],
    }
    answer = client.put_image(repositoryName=name, imageManifest=json.dumps(manifest), imageTag=tag)
    account, region, _ = location.split("/", 2)
    image = aws.registry(account, region).image(name, answer["image"]["imageId"])
    image.image_pushed_at -= round(days_ago * DAY)


def _stored(client: Any, name: str, content: bytes, kind: str) -> Mapping[str, Any]:  # noqa: ANN401 - boto3's client
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    upload = client.initiate_layer_upload(repositoryName=name)["uploadId"]
    client.upload_layer_part(
        repositoryName=name,
        uploadId=upload,
        partFirstByte=0,
        partLastByte=len(content) - 1,
        layerPartBlob=content,
    )
    with contextlib.suppress(client.exceptions.LayerAlreadyExistsException):
        client.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
    media_type = f"application/vnd.oci.image.{kind}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


if __name__ == "__main__":
    SAMPLE.write_text(measure_sample(), encoding="utf-8")
