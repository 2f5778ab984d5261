"""Find the images that run, and say which of them the lifecycle policies would delete, and when.

Owns what counts as in use, and the pinning of what is. Reads Lambda functions, ECS services and tasks,
pods, and the registries with their policies; what becomes of an image is ecr/lifecycle/fate.py's.
Writes nothing but tags, and those only with --pin --yes: one tag live-DIGEST for each image in danger,
all of them checked before the first. It never moves or removes a tag.
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
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.aws.images import (
    IMAGES_A_REQUEST,
    described_images,
    manifests_of,
    policy_of,
    stored_manifest,
    with_parts,
)
from ecr.aws.session import Aws, aws_errors_as, is_refusal
from ecr.cli.exit_codes import FOUND
from ecr.cli.options import int_between, refuse_unused_options
from ecr.cli.registries import (
    RegistrySelection,
    add_registry_options,
    registries_of,
    selected_registries,
)
from ecr.cli.table import table
from ecr.errors import EstateError
from ecr.images.image import Image
from ecr.images.manifest import parse_manifest
from ecr.lifecycle.fate import PACE, Fate, Fates, UseState
from ecr.lifecycle.policy import Policy, parse_policy
from ecr.lifecycle.simulator import DAY, MOST_DAYS, entered, simulate
from ecr.plan.model import DeletionRule
from ecr.plan.registry_settings import deletion_rules
from ecr.registry.registry import ImageReference, Placement, Registry

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

SHORT_DIGEST = 19

BAD: tuple[UseState, ...] = ("gone", "archived", "goes")

NOT_READ = "ECS tasks that a schedule starts, AWS Batch, App Runner, and what Kubernetes has scaled to nothing"
"""What may run an image and is not looked at: said with every audit, for unread is not unused."""

DELETED = ("ResourceNotFoundException", "ClusterNotFoundException")
"""The refusals about a function or a cluster that was there when they were listed."""

ENDED_PHASES = ("Succeeded", "Failed")
"""The phases of a pod whose containers have ended and are not started again (Kubernetes
documentation, "Pod Lifecycle")."""

UsePlace = tuple[Registry, str]
"""An image repository: its registry and its name."""


@dataclass(frozen=True, slots=True)
class Use:
    """A workload, and the image that it runs.

    ``image_id`` is the digest of the image's configuration, where a cluster knows no more.
    """

    who: str
    reference: ImageReference
    image_id: str = ""


@dataclass(frozen=True, slots=True)
class ImageInUse:
    """What becomes of an image in use. ``on`` is the ISO date on which it goes, if it does.

    ``pin_at`` is where a tag would keep it: its own image repository, or the one whose deletions are
    replicated there, or both.
    """

    place: UsePlace
    digest: str
    tags: tuple[str, ...]
    users: tuple[str, ...]
    state: UseState
    reason: str
    on: str | None = None
    doubt: str | None = None
    pin_at: tuple[UsePlace, ...] = ()

    @property
    def pin(self) -> str:
        """Return the tag that would keep it: of the image's own digest, so that it never has to move."""
        return f"live-{self.digest.removeprefix('sha256:')[:12]}"


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
    findings, foreign = _audit(access, selection, used, options.days)
    pins = _pins(access, findings) if options.pin else []
    if options.yes:
        pins = _pinned(access, pins)
        if any(not each.refused for each in pins):
            findings, _ = _audit(access, selection, used, options.days)
    if options.json:
        _print_json(findings, pins, done=options.yes)
    else:
        _print_table(findings, pins, done=options.yes)
    sys.stderr.write(
        f"{len(used)} uses of {len(findings)} images; {foreign} uses are of other registries; "
        f"not read: {NOT_READ}\n"
    )
    bad = any(each.state in BAD for each in findings) or any(each.refused for each in pins)
    return FOUND if bad else 0


def _uses(access: Aws, places: Iterable[Registry], kubeconfigs: Iterable[Path]) -> Iterator[Use]:
    for place in places:
        yield from _functions(access, place)
        yield from _services(access, place)
    for kubeconfig in kubeconfigs:
        yield from _pods(kubeconfig)


def _use(who: str, image: str, digest: str = "", image_id: str = "") -> Iterator[Use]:
    """Yield the use of an image in ECR; ``digest`` is what runs, where that is known better."""
    found = ImageReference.parse(image)
    if found:
        yield Use(who, replace(found, digest=digest or found.digest), image_id)


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
        try:
            with aws_errors_as(f"reading the function {name}:{version} of {place.key}"):
                code = client.get_function(FunctionName=name, Qualifier=version)["Code"]
        except EstateError as error:
            if is_refusal(error, *DELETED):
                continue
            raise
        called = ", ".join(aliases[name].get(version, ()))
        who = f"lambda {place.key} {name}:{version}" + (f" ({called})" if called else "")
        # A tag may have moved since; what it meant when the function was deployed is resolved.
        by_digest = "@" in code["ImageUri"]
        resolved = code.get("ResolvedImageUri", code["ImageUri"])
        yield from _use(who, code["ImageUri"] if by_digest else resolved)


def _aliases(client: Any, name: str) -> dict[str, list[str]]:  # noqa: ANN401 - boto3's client
    found: dict[str, list[str]] = defaultdict(list)
    try:
        with aws_errors_as(f"listing the aliases of the function {name}"):
            aliases = _paged(client, "list_aliases", "Aliases", FunctionName=name)
    except EstateError as error:
        if is_refusal(error, *DELETED):
            return found
        raise
    for alias in aliases:
        routed = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        for version in (alias["FunctionVersion"], *routed):
            found[version].append(alias["Name"])
    return found


def _services(access: Aws, place: Registry) -> Iterator[Use]:
    """Yield what ECS services would start, and what tasks run."""
    client = access.client("ecs", place)
    with aws_errors_as(f"reading the ECS clusters of {place.key}"):
        clusters = _paged(client, "list_clusters", "clusterArns")
    for cluster in clusters:
        where = f"ecs {place.key} {cluster.rpartition('/')[2]}"
        try:
            with aws_errors_as(f"reading {where}"):
                yield from list(_cluster(client, cluster, where))
        except EstateError as error:
            if not is_refusal(error, *DELETED):
                raise


def _cluster(client: Any, cluster: str, where: str) -> Iterator[Use]:  # noqa: ANN401 - boto3's client
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
            yield from _use(who, container.get("image", ""), container.get("imageDigest", ""))


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
        if pod.get("status", {}).get("phase") in ENDED_PHASES:
            continue
        name = f"pod {kubeconfig.name} {pod['metadata']['namespace']}/{pod['metadata']['name']}"
        running = {
            each["name"]: each.get("imageID", "")
            for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
            for each in pod.get("status", {}).get(kind) or ()
        }
        for volume in pod["spec"].get("volumes") or ():
            if "image" in volume:
                yield from _use(name, volume["image"].get("reference", ""))
        for kind in ("containers", "initContainers", "ephemeralContainers"):
            for container in pod["spec"].get(kind) or ():
                # REPOSITORY@DIGEST names a manifest; a digest alone is that of a configuration.
                said = running.get(container["name"], "")
                _, manifest, digest = said.rpartition("@")
                digest = digest.rpartition("://")[2]
                known = digest if digest.startswith("sha256:") else ""
                named = container["image"]
                if not manifest:
                    yield from _use(name, named, image_id=known)
                else:
                    # What a pod asks for may be an image id, or be of a registry that is mirrored.
                    yield from _use(name, named if ImageReference.parse(named) else said, known)


def _audit(
    access: Aws, selection: RegistrySelection, used: Iterable[Use], days: int
) -> tuple[list[ImageInUse], int]:
    """Return a finding for each image in use, and how many uses are of other registries."""
    registries = selection.registries
    places: dict[UsePlace, list[Use]] = defaultdict(list)
    rules = [rule for each in registries for rule in _deletion_rules(access, each)]
    foreign = 0
    for use in used:
        if use.reference.registry in registries:
            places[use.reference.registry, use.reference.name].append(use)
        else:
            foreign += 1
    findings = [
        _from_cache(finding, selection)
        for place, uses in sorted(places.items())
        for finding in _findings(
            access,
            place,
            uses,
            days,
            tuple(dict.fromkeys(each.source for each in rules if each.reaches(Placement(*place)))),
        )
    ]
    return findings, foreign


def _from_cache(finding: ImageInUse, selection: RegistrySelection) -> ImageInUse:
    """Return what becomes of an image; one that a cache holds is fetched again when it is pulled."""
    registry = finding.place[0]
    within = Placement(*finding.place).is_below(selection.caches.get(registry.key, ()))
    if not within or finding.state not in ("gone", "goes"):
        return finding
    return replace(
        finding,
        state="safe",
        reason=f"of a pull-through cache, which a pull fills again: {finding.reason}",
        on=None,
        doubt="as long as the registry that it is cached from has it",
        pin_at=(),
    )


def _deletion_rules(access: Aws, registry: Registry) -> list[DeletionRule]:
    """Return the rules by which a registry's deletions go elsewhere; say where they cannot be read."""
    try:
        with aws_errors_as(f"reading the replication of {registry.key}"):
            answer = access.ecr(registry).describe_registry()
    except EstateError as error:
        if not is_refusal(error, "AccessDeniedException"):
            raise
        sys.stderr.write(
            f"{registry.key}: whether it replicates deletions is not known; allow ecr:DescribeRegistry\n"
        )
        return []
    return list(deletion_rules(registry, answer))


def _findings(
    access: Aws, place: UsePlace, uses: Sequence[Use], days: int, sources: Sequence[Registry]
) -> Iterator[ImageInUse]:
    """Yield a finding for each image; ``sources`` are the registries whose deletions reach it here."""
    registry, name = place
    ecr = access.ecr(registry)
    images, policy = _held(ecr, place)
    configs = _pullable_configs(
        ecr, name, images, {use.image_id for use in uses if use.image_id and not use.reference.digest}
    )  # fmt: skip
    tagged = {tag: image.digest for image in images for tag in image.tags}
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for use in uses:
        tag = use.reference.tag or "latest"
        digest = use.reference.digest or tagged.get(tag) or f"tag {tag}"
        if use.image_id and not use.reference.digest:
            digest = configs.get(use.image_id, f"image id {use.image_id}")
        users[digest][use.who] = None
    now = time.time()
    fates = _fates(ecr, name, images, policy, users, now=now, days=days)
    above = {
        source: _fates(access.ecr(source), name, *_held(access.ecr(source), (source, name)), users,
                       now=now, days=days)
        for source in sources
    }  # fmt: skip
    tags = {image.digest: image.tags for image in images}
    for digest, who in sorted(users.items()):
        own = fates.of(digest)
        fate, deleted_by = _with_deletions(own, above, digest)
        on = None if fate.day is None or fate.state != "goes" else _date(now, fate.day)
        pin_at = (*([place] if own.state == "goes" else ()), *((each, name) for each in deleted_by))
        yield ImageInUse(
            place,
            digest,
            tags.get(digest, ()),
            tuple(who),
            fate.state,
            fate.reason,
            on,
            fate.doubt,
            pin_at,
        )


def _fates(
    ecr: "ECRClient",
    name: str,
    images: Sequence[Image],
    policy: Policy,
    digests: Iterable[str],
    *,
    now: float,
    days: int,
) -> Fates:
    """Return the fates of images; manifests are read only where they decide."""
    fates = Fates(images, policy, now=now, days=days)
    if not fates.need_parts(digests):
        return fates
    return Fates(with_parts(ecr, name, images), policy, now=now, days=days)


def _with_deletions(
    own: Fate, above: Mapping[Registry, Fates], digest: str
) -> tuple[Fate, list[Registry]]:
    """Return the earlier of a replica's own fate and of deletions that reach it, and whose they are.

    Replicated deletions ask for no shield of the replica (Amazon ECR User Guide, "Replicating image
    deletions in Amazon ECR"). What the source has lost already is not deleted again.
    """
    if own.state in ("gone", "archived"):
        return own, []
    fate, deleted_by = own, []
    for source, fates in above.items():
        deletion = fates.deletion(digest)
        if deletion is None:
            continue
        if deletion.state == "goes":
            deleted_by.append(source)
        if fate.state == "safe" or (_day(deletion) < _day(fate)):
            reason = f"{source.key} replicates its deletion: {deletion.reason}"
            fate = replace(deletion, reason=reason)
    return fate, deleted_by


def _day(fate: Fate) -> float:
    return math.inf if fate.day is None else fate.day


def _date(now: float, day: float) -> str:
    return datetime.fromtimestamp(now + day * DAY, UTC).date().isoformat()


def _held(ecr: "ECRClient", place: UsePlace) -> tuple[list[Image], Policy]:
    """Return the images of an image repository and its policy; nothing where it is not there."""
    registry, name = place
    try:
        images = described_images(ecr, name)
        text = policy_of(ecr, name)
    except EstateError as error:
        if is_refusal(error, "RepositoryNotFoundException"):
            return [], Policy(())
        raise
    if not text:
        return images, Policy(())
    return images, parse_policy(text, f"the policy of {registry.key}/{name}", accepted=True)


def _pullable_configs(
    ecr: "ECRClient", name: str, images: Sequence[Image], wanted: AbstractSet[str]
) -> dict[str, str]:
    """Return the digests of images by their configuration's digest, newest first, until all are found.

    A container runtime that was not given a digest knows the configuration's alone, the image id.
    """
    found: dict[str, str] = {}
    newest = sorted((each for each in images if each.pullable and each.parts == ()), key=entered)
    digests = [each.digest for each in reversed(newest)]
    for start in range(0, len(digests), IMAGES_A_REQUEST):
        if not wanted - found.keys():
            break
        for digest, text in manifests_of(
            ecr, name, digests[start : start + IMAGES_A_REQUEST]
        ).items():
            try:
                found.setdefault(parse_manifest(text).config, digest)
            except ValueError:
                continue
    return found


@dataclass(frozen=True, slots=True)
class Pin:
    """What pinning an image comes to: done, to be done, or refused with the reason."""

    finding: ImageInUse
    place: UsePlace
    manifest: str = ""
    media_type: str = ""
    refused: str = ""

    @property
    def address(self) -> str:
        """Return the image that is tagged, as a command takes it."""
        registry, name = self.place
        return f"{registry.key}/{name}@{self.finding.digest}"


def _pins(access: Aws, findings: Iterable[ImageInUse]) -> list[Pin]:
    """Check each image in danger: its policy, its tag, its manifest. Writes nothing."""
    return [
        _checked(access, each, place)
        for each in findings
        if each.state == "goes"
        for place in each.pin_at
    ]


def _checked(access: Aws, finding: ImageInUse, place: UsePlace) -> Pin:
    registry, name = place
    ecr = access.ecr(registry)
    try:
        text = policy_of(ecr, name)
        held = described_images(ecr, name)
        policy = (
            parse_policy(text, f"the policy of {registry.key}/{name}", accepted=True)
            if text
            else Policy(())
        )
        tags = next((each.tags for each in held if each.digest == finding.digest), ())
        pinned = Image(finding.digest, time.time(), (*tags, finding.pin))
        (verdict,) = simulate([pinned], policy, now=pinned.pushed_at).verdicts
        if verdict.why != "shielded":
            return Pin(
                finding,
                place,
                refused=f"no rule of its policy protects {finding.pin}; add live-* to "
                "lifecycle.protectedTags and deploy",
            )
        named = next((each.digest for each in held if finding.pin in each.tags), finding.digest)
        if named != finding.digest:
            return Pin(finding, place, refused=f"its tag names {named} already; remove that tag")
        manifest, media_type = stored_manifest(ecr, name, finding.digest)
    except EstateError as error:
        return Pin(finding, place, refused="; ".join(error.offences))
    return Pin(finding, place, manifest, media_type)


def _pinned(access: Aws, pins: Iterable[Pin]) -> list[Pin]:
    """Tag what can be tagged; return every pin, with the reason where ECR refused it."""
    return [pin if pin.refused else _tagged(access, pin) for pin in pins]


def _tagged(access: Aws, pin: Pin) -> Pin:
    registry, name = pin.place
    try:
        with aws_errors_as(f"tagging {pin.address} {pin.finding.pin}"):
            access.ecr(registry).put_image(
                repositoryName=name,
                imageManifest=pin.manifest,
                imageManifestMediaType=pin.media_type,
                imageTag=pin.finding.pin,
                imageDigest=pin.finding.digest,
            )
    except EstateError as error:
        # It has the tag by now: somebody else pinned it meanwhile.
        if not is_refusal(error, "ImageAlreadyExistsException"):
            return replace(pin, refused="; ".join(error.offences))
    return pin


def _print_table(findings: Sequence[ImageInUse], pins: Sequence[Pin], *, done: bool) -> None:
    order = {state: index for index, state in enumerate((*BAD, "kept", "safe"))}
    rows = [
        (
            each.state,
            each.on or "-",
            f"{each.place[0].key}/{each.place[1]}@{each.digest[:SHORT_DIGEST]}",
            each.reason + (f" ? {each.doubt}" if each.doubt else ""),
            each.users[0] + (f" and {len(each.users) - 1} more" if len(each.users) > 1 else ""),
        )
        for each in sorted(findings, key=lambda each: (order[each.state], each.on or "9"))
    ]
    sys.stdout.write(table(("state", "on", "image", "why", "used by"), rows))
    for each in pins:
        said = "not tagged" if each.refused else "tagged" if done else "would tag"
        why = f": {each.refused}" if each.refused else ""
        sys.stdout.write(f"{said} {each.address} {each.finding.pin}{why}\n")
    if pins and not done:
        sys.stdout.write("nothing was changed; add --yes to tag them\n")


def _print_json(findings: Sequence[ImageInUse], pins: Sequence[Pin], *, done: bool) -> None:
    pinned: dict[tuple[UsePlace, str], list[Pin]] = defaultdict(list)
    for one in pins:
        pinned[one.finding.place, one.finding.digest].append(one)
    said: list[Mapping[str, Any]] = []
    for each in findings:
        found = pinned.get((each.place, each.digest), [])
        refused = "; ".join(pin.refused for pin in found if pin.refused)
        said.append(
            {
                "registry": each.place[0].key,
                "imageRepository": each.place[1],
                "imageDigest": each.digest,
                "imageTags": list(each.tags),
                "usedBy": list(each.users),
                "state": each.state,
                "on": each.on,
                "reason": each.reason,
                "doubt": each.doubt,
                "pin": each.pin if found else None,
                "pinAt": [f"{registry.key}/{name}" for registry, name in each.pin_at],
                "pinned": bool(done and found and not refused),
                "pinRefused": refused or None,
            }
        )
    json.dump(said, sys.stdout, indent=2)
    sys.stdout.write("\n")
