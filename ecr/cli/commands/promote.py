"""Promote the exact image of one stage to the next, by digest, or print the policies that it needs.

Owns the way from a service and two stages to two image repositories: read from the stack's outputs,
refused when a stage would be skipped. What is copied, and in which order, is `ecr.promotion`'s.
"""

import argparse
import getpass
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecr.aws.session import Aws
from ecr.cli.options import int_between, refuse_unused_options
from ecr.engine.command import engine_output
from ecr.engine.outputs import Outputs
from ecr.errors import EstateError, UsageError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.promotion_roles import (
    READER,
    promotion_documents,
    promotion_role_name,
    promotion_trust,
    reader_trust,
)
from ecr.plan.access.push_roles import GitHubRepository
from ecr.promotion import CREATED, PREFIX, Promotion, Request, Stage
from ecr.promotion.aws import Side
from ecr.promotion.crane import crane
from ecr.registry.registry import ImageReference, Placement

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("service", nargs="?", metavar="SERVICE", help="whose image it is")
    parser.add_argument("--from", required=True, dest="source", metavar="STAGE", help="where it is")
    parser.add_argument(
        "--to", required=True, dest="target", metavar="STAGE", help="the next stage"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tag", help="the image's tag, which it keeps")
    what.add_argument("--digest", help="the image's digest; it gets the tag from-STAGE-DIGEST")
    what.add_argument(
        "--policy",
        action="store_true",
        help="copy nothing, and print what the role that promotes may do, and whom it trusts, by account",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="with --policy, instead of SERVICE: one role for all services, whichever repository calls",
    )
    parser.add_argument(
        "--estate",
        metavar="OWNER/NAME",
        help="with --policy: the repository on GitHub that has this program, and its workflow promote.yml",
    )
    parser.add_argument(
        "--owner-id",
        type=int_between(1),
        metavar="NUMBER",
        help="with --policy: the number of that owner, as `gh api users/OWNER --jq .id` prints it",
    )
    parser.add_argument(
        "--enhanced",
        action="store_true",
        help="with --policy: scanning is enhanced, so that findings are Amazon Inspector's",
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        metavar="FILE",
        help="the stack's outputs as JSON; without it `pulumi stack output --json` is asked",
    )
    parser.add_argument(
        "--read-role", metavar="ARN", help="the role to assume for reading the first stage"
    )
    parser.add_argument(
        "--allow-critical", action="store_true", help="promote in spite of critical findings"
    )
    parser.add_argument(
        "--allow-unscanned", action="store_true", help="promote without a finished scan"
    )
    parser.add_argument("--dry-run", action="store_true", help="check all, and copy nothing")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(options: argparse.Namespace) -> int:
    """Promote, or print the policies. Raises EstateError when it must not be."""
    _stop_unless_policy_fits(options)
    outputs = _outputs(options.outputs)
    chain = _chain(outputs)
    chain.stop_unless_next(options.source, options.target)
    if options.policy:
        sys.stdout.write(f"{json.dumps(_policies(chain, outputs.ledger, options), indent=2)}\n")
        return 0
    _stop_unless_well_named(options)
    source, target = (
        Stage(name, chain.url(options.service, name)) for name in (options.source, options.target)
    )
    here, there = Side(Aws()), Side(_reader(source.url, options.read_role))
    request = Request(
        source,
        target,
        tag=options.tag,
        digest=options.digest,
        allow_critical=options.allow_critical,
        allow_unscanned=options.allow_unscanned,
        dry_run=options.dry_run,
    )
    progress = sys.stderr if options.json else sys.stdout
    with crane(itertools.chain(there.logins(source.url), here.logins(target.url))) as tool:
        promotion = Promotion(
            request, tool, there, here, lambda line: print(line, file=progress, flush=True)
        )
        outcome = promotion.run(_who(here, target.url))
    if options.json:
        about = {"service": options.service, "from": asdict(source), "to": asdict(target)}
        sys.stdout.write(f"{json.dumps({**about, **asdict(outcome)}, indent=2)}\n")
    return 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The stages in the order of promotion, and the URLs of each service's images in that order."""

    stages: Sequence[str]
    urls: Mapping[str, Sequence[str]]
    idle: Mapping[str, str]
    """The states of services that are not active."""

    def stop_unless_next(self, source: str, target: str) -> None:
        """Raise EstateError unless the one stage directly follows the other."""
        if not self.stages:
            raise EstateError(
                "The estate has no stages; nothing was changed.",
                ["architecture: central has one image repository for all stages, and no promotion"],
            )
        unknown = [name for name in (source, target) if name not in self.stages]
        order = " → ".join(self.stages)
        if unknown:
            raise EstateError(
                "A stage is not known; nothing was changed.",
                [f"{name}: is none of the stages, which are {order}" for name in unknown],
            )
        follows = self.stages[self.stages.index(source) + 1 :][:1]
        if tuple(follows) != (target,):
            raise EstateError(
                "A promotion goes to the next stage only; nothing was changed.",
                [f"{source} to {target}: the stages are {order}; promote one step at a time"],
            )

    def url(self, service: str | None, stage: str) -> str:
        """Return the image repository of a service for a stage. Raises EstateError if it has none."""
        if service is None:
            raise UsageError("No service is named.", ["SERVICE: is required, before the options"])
        if service in self.idle:
            raise EstateError(
                "The service is not active; nothing was changed.",
                [f"{service}: is {self.idle[service]}; its images stay where they are"],
            )
        urls = self.urls.get(service, ())
        if len(urls) < len(self.stages):
            raise EstateError(
                "The service has no image repositories for the stages; nothing was changed.",
                [f"{service}: is it a service's name? If it is new, deploy the estate first"],
            )
        return urls[self.stages.index(stage)]

    def placement(self, service: str | None, stage: str) -> Placement:
        """Return the placement of a service, or of all by a wildcard. Raises EstateError."""
        named = service or next((each for each in self.urls if each not in self.idle), None)
        url = self.url(named, stage)
        image = ImageReference.parse(url)
        if image is None:
            raise EstateError("There are no policies for it.", [f"{url}: is not in ECR"])
        if service is None and named is not None:
            return Placement(image.registry, "*" + image.name.removeprefix(named), stage)
        return Placement(image.registry, image.name)


def _chain(outputs: Outputs) -> Chain:
    entries = outputs.ledger.entries.values()
    active = {entry.service for entry in entries if entry.state == "active"}
    idle = {entry.service: entry.state for entry in entries if entry.service not in active}
    return Chain(outputs.stages, outputs.image_repositories, idle)


def _outputs(file: Path | None) -> Outputs:
    """Read the stack's outputs, from a file or from the stack that is selected."""
    if file:
        return Outputs.read(file)
    asked = ["stack", "output", "--json"]
    problem, remedy = "The stack's outputs cannot be read.", "or give them by --outputs FILE"
    text = engine_output(asked, problem, remedy)
    return Outputs.parse(text, "pulumi stack output --json", f"deploy the stack anew, {remedy}")


def _policies(
    chain: Chain, ledger: Ledger, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Return, by account, the name of a role, what it may do and whom it trusts."""
    source, target = (
        chain.placement(options.service, stage) for stage in (options.source, options.target)
    )
    documents = promotion_documents(
        source,
        target,
        [chain.placement(options.service, stage) for stage in chain.stages],
        options.read_role,
        enhanced=options.enhanced,
    )
    name = promotion_role_name(options.service or "all", options.target)
    here = target.registry
    repository = _repository(ledger, options, target) if options.service else None
    trust = promotion_trust(here, options.estate, options.owner_id, options.target, repository)
    roles = {here.account: {"role": name, "policy": documents[here.account], "trust": trust}}
    for account in documents.keys() - roles.keys():
        roles[account] = {
            "role": options.read_role.rpartition("/")[2] if options.read_role else READER,
            "policy": documents[account],
            "trust": reader_trust(f"arn:{here.partition}:iam::{here.account}:role/{name}"),
        }
    return roles


def _repository(
    ledger: Ledger, options: argparse.Namespace, placement: Placement
) -> GitHubRepository:
    """Return the repository that builds a service, or a further image of one. Raises EstateError."""
    owner = options.estate.partition("/")[0]
    location = f"{placement.registry.key}/{placement.name}"
    for number, entry in ledger.entries.items():
        if entry.service == options.service or location in entry.placements:
            return GitHubRepository(owner, options.owner_id, entry.repository, number)
    raise EstateError(
        "The service's repository is not known.",
        [f"{options.service}: the ledger has no {location}; deploy the estate first"],
    )


def _stop_unless_policy_fits(options: argparse.Namespace) -> None:
    """Raise UsageError for options of --policy without it, and for those that it lacks."""
    if not options.policy:
        refuse_unused_options(
            (options.all, "--all: is for --policy"),
            (options.estate, "--estate: is for --policy"),
            (options.owner_id, "--owner-id: is for --policy"),
        )
        return
    offences = []
    if bool(options.service) == options.all:
        offences.append(
            "SERVICE: name one, so that its role can write no other's images; or ask for one role for "
            "all by --all"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", options.estate or "", re.ASCII):
        offences.append(
            "--estate OWNER/NAME: is required; the role trusts the workflow in it alone"
        )
    if options.owner_id is None:
        offences.append("--owner-id NUMBER: is required; ask `gh api users/OWNER --jq .id`")
    if offences:
        raise UsageError("The policies cannot be written.", offences)


def _stop_unless_well_named(options: argparse.Namespace) -> None:
    offences = list(_ill_named(options))
    if offences:
        raise UsageError("The image is not named as images are; nothing was changed.", offences)


def _ill_named(options: argparse.Namespace) -> Iterator[str]:
    if options.tag is not None and not TAG.fullmatch(options.tag):
        yield f"--tag {options.tag}: is not a tag; write letters, digits, `_`, `.` and `-`, at most 128"
    if options.digest is not None and not DIGEST.fullmatch(options.digest):
        yield f"--digest {options.digest}: is not a digest; write sha256: and 64 hexadecimal digits"


def _reader(url: str, role: str | None) -> Aws:
    """Return the way into the first stage's account: in a role, or as the second stage's is."""
    image = ImageReference.parse(url)
    return Aws(roles={image.registry.account: role} if image and role else None)


def _who(side: Side, url: str) -> dict[str, str]:
    """Say who promotes, and when, as annotations of the record."""
    about = {CREATED: datetime.now(UTC).isoformat(timespec="seconds")}
    about[f"{PREFIX}by"] = side.caller(url) or getpass.getuser()
    if "GITHUB_RUN_ID" in os.environ:
        named = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_ACTOR")
        server, repository, number, actor = (os.environ.get(each, "") for each in named)
        about[f"{PREFIX}run"] = f"{server}/{repository}/actions/runs/{number}"
        about[f"{PREFIX}actor"] = actor
    return about
