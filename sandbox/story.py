"""The story of one image, told by what AWS holds: pushed, replicated, run by a function, and kept or not.

Owns the images that it pushes into the estate of a session. Reads the stack's outputs, and tells of each
step what the registries say afterwards. It needs crane, by which it pushes as anybody would.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from sandbox.aws.distribution import Distribution
from sandbox.estate import Registries
from sandbox.images import Layout
from sandbox.toolchain.tools import CRANE, REGISTRY, ensure_tool

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

    from sandbox.aws.world import Clock

COMMIT: Final = "4f2c1a9d0c8b7e6f5a4b3c2d1e0f9a8b7c6d5e4f"
YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class Place:
    """One image repository: its registry and its name."""

    account: str
    region: str
    name: str

    @classmethod
    def of(cls, location: str) -> "Place":
        """Take ACCOUNT/REGION/NAME apart."""
        return cls(*location.split("/", 2))

    @property
    def registry(self) -> str:
        """The registry, as reports name it."""
        return f"{self.account}/{self.region}"

    @property
    def address(self) -> str:
        """What clients of images call it."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{self.name}"


def tell(
    outputs: Mapping[str, Any], environment: Mapping[str, str], folder: Path, clock: "Clock"
) -> Iterator[str]:
    """Yield a line for each step, once it is taken.

    ``outputs`` are the stack's, ``environment`` is a session's, and ``folder`` is made for what is
    pushed. ``clock`` is that of the embedded AWS, and is moved by a year. Raises ToolchainError where
    there is no crane and none can be built.
    """
    found = _with_replicas(outputs)
    if found is None:
        yield "no service has replicas, so no image is pushed"
        return
    with ExitStack() as running:
        registry = ensure_tool(REGISTRY, print)
        crane = ensure_tool(CRANE, print)
        distribution = Distribution(environment["AWS_ENDPOINT_URL"], registry, clock=clock.now)
        story = _Story(environment, folder, crane, clock, found)
        yield from story.steps(running.enter_context(distribution))


def _with_replicas(outputs: Mapping[str, Any]) -> tuple[Place, list[Place]] | None:
    """Return the first service that has both: where it is pushed to, and its replicas."""
    for entry in outputs["ledger"]["services"].values():
        if entry["placements"] and entry["replicas"]:
            return Place.of(next(iter(entry["placements"]))), [*map(Place.of, entry["replicas"])]
    return None


class _Story:
    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        crane: Path,
        clock: "Clock",
        found: tuple[Place, list[Place]],
    ) -> None:
        self._environment, self._folder, self._crane = dict(environment), folder, crane
        self._clock = clock
        self._pushed, self._replicas = found
        self._registries = Registries(environment)

    def steps(self, distribution: Distribution) -> Iterator[str]:
        self._log_in(distribution)
        running = self._push("what runs", COMMIT)
        self._tag(running, "v1.0.0")
        yield f"crane pushed {self._pushed.address}:{COMMIT[:12]} and tagged it v1.0.0: {_short(running)}"
        for place in self._replicas:
            same = running in self._held(place)
            yield f"replicated to {place.registry}: {'the same digest' if same else 'MISSING'}"
        replica = next(
            (each for each in self._replicas if each.account != self._pushed.account),
            self._replicas[0],
        )
        resolved = self._function(replica, f"@{running}")
        yield f"a Lambda function in {replica.registry} runs {resolved}"
        index = self._push("for two platforms", "both", platforms=("linux/amd64", "linux/arm64"))
        yield f"from the index {_short(index)} Lambda makes none: {self._refusal(replica, index)}"
        self._push("an older try", "latest")
        self._push("a newer try", "latest")
        yield from self._a_year_later(self._pushed, replica)

    def _log_in(self, distribution: Distribution) -> None:
        """Write what `docker login` writes."""
        (data,) = self._ecr(self._pushed).get_authorization_token()["authorizationData"]
        host = self._pushed.address.partition("/")[0]
        (self._folder / "docker").mkdir(parents=True)
        auths = {"auths": {host: {"auth": data["authorizationToken"]}}}
        (self._folder / "docker/config.json").write_text(json.dumps(auths))
        self._environment |= distribution.variables
        self._environment["DOCKER_CONFIG"] = str(self._folder / "docker")

    def _push(self, content: str, tag: str, *, platforms: tuple[str, ...] = ()) -> str:
        layout = Layout(self._folder / content.replace(" ", "-"))
        if platforms:
            digest = layout.index(content, *platforms, provenance=False)
        else:
            digest = layout.plain(content)
        self._call("push", str(layout.folder), f"{self._pushed.address}:{tag}")
        return digest

    def _tag(self, digest: str, tag: str) -> None:
        self._call("tag", f"{self._pushed.address}@{digest}", tag)

    def _call(self, *arguments: str) -> None:
        subprocess.run(
            [self._crane, *arguments], env=self._environment, check=True, capture_output=True
        )

    def _ecr(self, place: Place) -> "ECRClient":
        return self._registries.client(place.account, place.region)

    def _held(self, place: Place) -> dict[str, list[str]]:
        """Return the tags of each digest that an image repository holds."""
        pages = self._ecr(place).get_paginator("describe_images")
        return {
            each["imageDigest"]: each.get("imageTags", [])
            for page in pages.paginate(repositoryName=place.name)
            for each in page["imageDetails"]
        }

    def _function(self, place: Place, reference: str) -> str:
        """Make a function from an image of its own registry, and return the image that it runs."""
        iam, functions = (
            self._registries.service(name, place.account, place.region)
            for name in ("iam", "lambda")
        )
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        name = f"story-{reference[-12:]}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        functions.create_function(
            FunctionName=name,
            PackageType="Image",
            Role=role["Role"]["Arn"],
            Code={"ImageUri": f"{place.address}{reference}"},
        )
        made: str = functions.get_function(FunctionName=name)["Code"]["ResolvedImageUri"]
        return made

    def _refusal(self, place: Place, digest: str) -> str:
        try:
            self._function(place, f"@{digest}")
        except ClientError as refused:
            return refused.response["Error"]["Message"].replace(digest, _short(digest))
        return "BUT IT DID"

    def _a_year_later(self, *places: Place) -> Iterator[str]:
        before = [self._held(place) for place in places]
        self._clock.move(days=YEAR)
        for place, held in zip(places, before, strict=True):
            left = self._held(place)
            gone = [_named(digest, tags) for digest, tags in held.items() if digest not in left]
            yield (
                f"after a year the lifecycle policy of {place.registry}/{place.name} has deleted "
                f"{', '.join(gone) or 'nothing'}"
            )
            yield f"  left: {', '.join(_named(digest, tags) for digest, tags in left.items())}"


def _short(digest: str) -> str:
    return digest[:19]


def _named(digest: str, tags: list[str]) -> str:
    return f"{_short(digest)} ({', '.join(each[:12] for each in tags) or 'untagged'})"
