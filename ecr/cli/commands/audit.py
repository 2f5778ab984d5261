"""Find the images that run, and say which of them the lifecycle policies would delete, and when.

Owns what counts as in use, and the pinning of what is. Reads Lambda functions, ECS services and tasks,
pods, and the registries with their policies. Writes nothing but tags, and those only with --pin --yes:
one tag live-DIGEST for each image in danger. It never moves or removes a tag.
"""

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ecr.aws.images import images_if_there, manifests_of, policy_of
from ecr.aws.session import Aws, aws_errors_as
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import int_between, refuse_unused_options
from ecr.cli.registries import add_registry_options, registries_of, selected_registries
from ecr.cli.table import table
from ecr.errors import EstateError
from ecr.images.image import Image
from ecr.lifecycle.policy import Policy, parse_policy
from ecr.lifecycle.simulator import DAY, MOST_DAYS, Verdict, explain, simulate
from ecr.registry.registry import ImageReference, Registry

PACE = 30
"""Days over which pushes are counted, to say when a count takes an image."""

SHORT_DIGEST = 19

UseState = Literal["gone", "archived", "goes", "kept", "safe"]
BAD: tuple[UseState, ...] = ("gone", "archived", "goes")

FoundIn = tuple[Registry, str]
"""An image repository: its registry and its name."""


@dataclass(frozen=True, slots=True)
class Use:
    """A workload, and the image that it runs."""

    who: str
    reference: ImageReference


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """What becomes of an image in use. ``on`` is the ISO date on which it goes, if it does."""

    place: FoundIn
    digest: str
    tags: tuple[str, ...]
    users: tuple[str, ...]
    state: UseState
    reason: str
    on: str | None = None

    @property
    def pin(self) -> str:
        """Return the tag that would keep it: of the image's own digest, so that it never has to move."""
        return f"live-{self.digest.removeprefix('sha256:')[:12]}"

    @property
    def address(self) -> str:
        """Return the image as a command takes it."""
        registry, name = self.place
        return f"{registry.key}/{name}@{self.digest}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_registry_options(parser)
    parser.add_argument(
        "--workloads",
        action="append",
        default=[],
        metavar="ACCOUNT/REGION",
        help="where functions and services run, beside the registries' own accounts and Regions",
    )
    parser.add_argument(
        "--kubeconfig",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="also the pods of this cluster, by kubectl; may be given several times",
    )
    parser.add_argument(
        "--days",
        type=int_between(0, MOST_DAYS),
        default=PACE,
        metavar="N",
        help=f"how many days ahead an image counts as in danger ({PACE})",
    )
    parser.add_argument(
        "--pin", action="store_true", help="say which images in danger would be tagged live-DIGEST"
    )
    parser.add_argument("--yes", action="store_true", help="with --pin: tag them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(options: argparse.Namespace) -> int:
    """Audit, pin where asked, and give 3 where something in use is gone, archived or in danger."""
    refuse_unused_options(
        (options.yes and not options.pin, "--yes: is for --pin; give both, or neither")
    )
    selection, access = selected_registries(options), Aws(options.role_name)
    elsewhere = registries_of(options.workloads)
    used = list(
        _uses(access, dict.fromkeys((*selection.registries, *elsewhere)), options.kubeconfig)
    )
    findings, foreign = _audit(access, selection.registries, used, options.days)
    pinned: list[ImageInUse] = []
    if options.pin:
        pinned = [each for each in findings if each.state == "goes"]
        for each in pinned if options.yes else ():
            _pin(access, each)
        if options.yes and pinned:
            findings, _ = _audit(access, selection.registries, used, options.days)
    if options.json:
        _print_json(findings, pinned, done=options.yes)
    else:
        _print_table(findings, pinned, done=options.yes)
    sys.stderr.write(
        f"{len(used)} uses of {len(findings)} images; {foreign} uses are of other registries\n"
    )
    return FOUND if any(each.state in BAD for each in findings) else 0


def _uses(access: Aws, places: Iterable[Registry], kubeconfigs: Iterable[Path]) -> Iterator[Use]:
    for place in places:
        yield from _functions(access, place)
        yield from _services(access, place)
    for kubeconfig in kubeconfigs:
        yield from _pods(kubeconfig)


def _use(who: str, image: str, digest: str = "") -> Iterator[Use]:
    """Yield the use of an image in ECR; ``digest`` is what runs, where that is known better."""
    found = ImageReference.parse(image)
    if found:
        yield Use(who, replace(found, digest=digest or found.digest))


def _functions(access: Aws, place: Registry) -> Iterator[Use]:
    """Yield every version of every function; an alias is a name for one or two of them."""
    client = access.client("lambda", place)
    with aws_errors_as(f"listing the functions of {place.key}"):
        pages = client.get_paginator("list_functions").paginate(FunctionVersion="ALL")
        versions = [
            each
            for page in pages
            for each in page["Functions"]
            if each.get("PackageType") == "Image"
        ]
    aliases = {name: _aliases(client, name) for name in {each["FunctionName"] for each in versions}}
    for each in versions:
        name, version = each["FunctionName"], each["Version"]
        with aws_errors_as(f"reading the function {name}:{version} of {place.key}"):
            code = client.get_function(FunctionName=name, Qualifier=version)["Code"]
        called = ", ".join(aliases[name].get(version, ()))
        who = f"lambda {place.key} {name}:{version}" + (f" ({called})" if called else "")
        # A tag may have moved since; what it meant when the function was deployed is resolved.
        by_digest = "@" in code["ImageUri"]
        resolved = code.get("ResolvedImageUri", code["ImageUri"])
        yield from _use(who, code["ImageUri"] if by_digest else resolved)


def _aliases(client: Any, name: str) -> dict[str, list[str]]:  # noqa: ANN401 - boto3's client
    found: dict[str, list[str]] = defaultdict(list)
    with aws_errors_as(f"listing the aliases of the function {name}"):
        for page in client.get_paginator("list_aliases").paginate(FunctionName=name):
            for alias in page["Aliases"]:
                routed = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
                for version in (alias["FunctionVersion"], *routed):
                    found[version].append(alias["Name"])
    return found


def _services(access: Aws, place: Registry) -> Iterator[Use]:
    """Yield what ECS services would start, and what tasks run."""
    client = access.client("ecs", place)
    with aws_errors_as(f"reading the ECS services of {place.key}"):
        for cluster in _paged(client, "list_clusters", "clusterArns"):
            where = f"ecs {place.key} {cluster.rpartition('/')[2]}"
            definitions: dict[str, list[str]] = defaultdict(list)
            for service in _described(client, "services", cluster, 10):
                rolling = (*service.get("deployments", ()), *service.get("taskSets", ()))
                for definition in {each["taskDefinition"] for each in (service, *rolling)}:
                    definitions[definition].append(service["serviceName"])
            for definition, names in sorted(definitions.items()):
                said = client.describe_task_definition(taskDefinition=definition)
                for container in said["taskDefinition"]["containerDefinitions"]:
                    who = f"{where} {', '.join(names)} {definition.rpartition('/')[2]}"
                    yield from _use(who, container["image"])
            for task in _described(client, "tasks", cluster, 100):
                for container in task.get("containers", ()):
                    who = f"{where} task {task['taskArn'].rpartition('/')[2]}"
                    yield from _use(
                        who, container.get("image", ""), container.get("imageDigest", "")
                    )


def _paged(client: Any, operation: str, key: str, **arguments: str) -> list[Any]:  # noqa: ANN401 - boto3's client
    return [
        each for page in client.get_paginator(operation).paginate(**arguments) for each in page[key]
    ]


def _described(client: Any, what: str, cluster: str, most: int) -> Iterator[Any]:  # noqa: ANN401 - boto3's client
    """Yield the descriptions of all services or tasks of a cluster, so many a request."""
    arns = _paged(client, f"list_{what}", f"{what[:-1]}Arns", cluster=cluster)
    for start in range(0, len(arns), most):
        chosen = {what: arns[start : start + most]}
        yield from getattr(client, f"describe_{what}")(cluster=cluster, **chosen)[what]


def _pods(kubeconfig: Path) -> Iterator[Use]:
    """Yield what the containers of a cluster's pods run, or would, where they have not begun."""
    kubectl = shutil.which("kubectl")
    if not kubectl:
        raise EstateError(
            "kubectl is not installed.", ["put it on the PATH, or leave --kubeconfig out"]
        )
    done = subprocess.run(
        [kubectl, "--kubeconfig", str(kubeconfig), "get", "pods", "-A", "-o", "json"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise EstateError(
            "The pods cannot be read.",
            [f"{kubeconfig}: {done.stderr.strip()}; log in to the cluster"],
        )
    for pod in json.loads(done.stdout)["items"]:
        name = f"pod {kubeconfig.name} {pod['metadata']['namespace']}/{pod['metadata']['name']}"
        running = {
            each["name"]: each.get("imageID", "")
            for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
            for each in pod.get("status", {}).get(kind) or ()
        }
        for kind in ("containers", "initContainers", "ephemeralContainers"):
            for container in pod["spec"].get(kind) or ():
                digest = running.get(container["name"], "").rpartition("@")[2]
                known = digest if digest.startswith("sha256:") else ""
                yield from _use(name, container["image"], known)


def _audit(
    access: Aws, registries: Sequence[Registry], used: Iterable[Use], days: int
) -> tuple[list[ImageInUse], int]:
    """Return a finding for each image in use, and how many uses are of other registries."""
    places: dict[FoundIn, list[Use]] = defaultdict(list)
    foreign = 0
    for use in used:
        if use.reference.registry in registries:
            places[use.reference.registry, use.reference.name].append(use)
        else:
            foreign += 1
    findings = [
        finding
        for place, uses in sorted(places.items())
        for finding in _findings(access, place, uses, days)
    ]
    return findings, foreign


def _findings(access: Aws, place: FoundIn, uses: Sequence[Use], days: int) -> Iterator[ImageInUse]:
    registry, name = place
    ecr = access.ecr(registry)
    held = images_if_there(ecr, name)
    images = held or []
    text = None if held is None else policy_of(ecr, name)
    policy = parse_policy(text, f"the policy of {registry.key}/{name}") if text else Policy(())
    judge = _Judge(images, policy, days)
    tagged = {tag: image.digest for image in images for tag in image.tags}
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for use in uses:
        tag = use.reference.tag or "latest"
        digest = use.reference.digest or tagged.get(tag) or f"tag {tag}"
        users[digest][use.who] = None
    for digest, who in sorted(users.items()):
        yield judge.finding(place, digest, tuple(who))


class _Judge:
    """Says of each image of one image repository what its policy does to it, and when."""

    def __init__(self, images: Sequence[Image], policy: Policy, days: int) -> None:
        now = time.time()
        simulation = simulate(images, policy, now=now, days=days)
        self._now, self._days = now, days
        self._verdicts = {each.image.digest: each for each in simulation.verdicts}
        self._steps = {each.image.digest: each for each in reversed(simulation.steps)}
        self._lists: dict[str, list[str]] = defaultdict(list)
        for image in images:
            for part in image.parts or ():
                self._lists[part].append(image.digest)
        recent = [each for each in images if each.tags and each.pushed_at > now - PACE * DAY]
        self._pushes_a_day = len(recent) / PACE

    def finding(self, place: FoundIn, digest: str, users: tuple[str, ...]) -> ImageInUse:
        verdict = self._verdicts.get(digest)
        if verdict is None:
            return ImageInUse(place, digest, (), users, "gone", "is not in the registry any more")
        image = verdict.image
        if image.storage_class == "archive":
            reason = "is archived, and cannot be pulled until it is restored"
            return ImageInUse(place, digest, image.tags, users, "archived", reason)
        state, reason, day = self._fate(verdict)
        on = None if day is None else self._date(day)
        return ImageInUse(place, digest, image.tags, users, state, reason, on)

    def _date(self, day: float) -> str:
        return datetime.fromtimestamp(self._now + day * DAY, UTC).date().isoformat()

    def _fate(self, verdict: Verdict) -> tuple[UseState, str, float | None]:
        step = self._steps.get(verdict.image.digest)
        if step:
            by = f"rule {step.rule.priority}"
            if step.day:
                return "goes", f"{by} {step.action}s it then", step.day
            return "goes", f"{by} {step.action}s it: {explain(verdict)}", 0
        holders = [self._verdicts[each] for each in self._lists.get(verdict.image.digest, ())]
        if holders:
            # It goes no earlier than the last of its lists: the one that is best off decides.
            fates = [self._fate(each) for each in holders]
            state, reason, day = max(
                fates, key=lambda fate: math.inf if fate[2] is None else fate[2]
            )
            return state, f"with its manifest list: {reason}", day
        if verdict.why == "within the count" and verdict.margin is not None:
            return self._counted(verdict, verdict.margin)
        by = f"rule {verdict.rule.priority}: " if verdict.rule else ""
        kept: UseState = "kept" if verdict.why == "young enough" else "safe"
        return kept, f"{by}{explain(verdict)}", None

    def _counted(self, verdict: Verdict, margin: int) -> tuple[UseState, str, float | None]:
        """Say when a count takes it, at the pace at which images were pushed lately."""
        rule = verdict.rule.priority if verdict.rule else 0
        reason = f"rule {rule}: {explain(verdict)}"
        if not self._pushes_a_day:
            return "kept", reason, None
        day = margin / self._pushes_a_day
        if day > self._days:
            return "kept", reason, None
        return "goes", f"{reason}, at {self._pushes_a_day:.1f} pushes a day", day


def _pin(access: Aws, finding: ImageInUse) -> None:
    """Tag an image so that its policy spares it; refuse where the policy would not."""
    registry, name = finding.place
    ecr = access.ecr(registry)
    text = policy_of(ecr, name)
    image = Image(finding.digest, time.time(), (*finding.tags, finding.pin))
    policy = parse_policy(text, f"the policy of {registry.key}/{name}") if text else Policy(())
    (verdict,) = simulate([image], policy, now=image.pushed_at).verdicts
    if verdict.why != "shielded":
        raise EstateError(
            "A pin would not protect the image.",
            [
                (
                    f"{registry.key}/{name}: no rule of its policy protects {finding.pin}; add live-* to "
                    "lifecycle.protectedTags and deploy"
                )
            ],
        )
    manifest = manifests_of(ecr, name, [finding.digest])[finding.digest]
    with aws_errors_as(f"tagging {finding.address} {finding.pin}"):
        ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=finding.pin)


def _print_table(
    findings: Sequence[ImageInUse], pinned: Sequence[ImageInUse], *, done: bool
) -> None:
    order = {state: index for index, state in enumerate((*BAD, "kept", "safe"))}
    rows = [
        (
            each.state,
            each.on or "-",
            f"{each.place[0].key}/{each.place[1]}@{each.digest[:SHORT_DIGEST]}",
            each.reason,
            each.users[0] + (f" and {len(each.users) - 1} more" if len(each.users) > 1 else ""),
        )
        for each in sorted(findings, key=lambda each: (order[each.state], each.on or "9"))
    ]
    sys.stdout.write(table(("state", "on", "image", "why", "used by"), rows))
    for each in pinned:
        sys.stdout.write(f"{'tagged' if done else 'would tag'} {each.address} {each.pin}\n")
    if pinned and not done:
        sys.stdout.write("nothing was changed; add --yes to tag them\n")


def _print_json(
    findings: Sequence[ImageInUse], pinned: Sequence[ImageInUse], *, done: bool
) -> None:
    pins = {(each.place, each.digest) for each in pinned}
    said: list[Mapping[str, Any]] = [
        {
            "registry": each.place[0].key,
            "repository": each.place[1],
            "imageDigest": each.digest,
            "imageTags": list(each.tags),
            "usedBy": list(each.users),
            "state": each.state,
            "on": each.on,
            "reason": each.reason,
            "pin": each.pin if (each.place, each.digest) in pins else None,
            "pinned": done and (each.place, each.digest) in pins,
        }
        for each in findings
    ]
    json.dump(said, sys.stdout, indent=2)
    sys.stdout.write("\n")
