"""The options by which `bootstrap` and `doctor` learn what the settings do not have.

Owns these options and their check. Reads nothing but what was given.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from ecr import __version__
from ecr.bootstrap.roles import Pipeline
from ecr.cli.options import int_between
from ecr.errors import UsageError
from ecr.plan.architectures import artifacts_registry
from ecr.settings.models import Settings

_SLUG = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}/[A-Za-z0-9._-]{1,100}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}")
_BUCKET = re.compile(r"(?!xn--)[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9](?<!-s3alias)")
"""Amazon S3 User Guide, "General purpose bucket naming rules"; without dots, which break TLS."""

_STACK = re.compile(r"[A-Za-z0-9._-]{1,100}")

MOST = 10**15
"""The largest number that is taken for an id of GitHub."""


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    """Add the settings' file, and what the pipeline is called."""
    parser.add_argument(
        "--settings", type=Path, metavar="FILE", required=True, help="the stack's file"
    )
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        required=True,
        help="the GitHub repository whose workflows deploy",
    )
    parser.add_argument(
        "--repository-id",
        type=int_between(1, MOST),
        metavar="N",
        required=True,
        help="its id, from `gh api repos/OWNER/NAME --jq .id`",
    )
    parser.add_argument(
        "--owner-id",
        type=int_between(1, MOST),
        metavar="N",
        help="the id of its owner, for a repository that was made or renamed since 15 July 2026, of "
        "which GitHub's tokens have both ids; from `gh api repos/OWNER/NAME --jq .owner.id`",
    )
    parser.add_argument(
        "--operators",
        action="append",
        metavar="ARN",
        required=True,
        help="a role of people, which may look, and break the glass; it must exist, and may be given "
        "several times",
    )
    parser.add_argument(
        "--program",
        metavar="OWNER/NAME",
        help="the repository whose released workflows are called, at this version; without it they "
        "are the pipeline's own",
    )
    parser.add_argument(
        "--bucket", metavar="NAME", help="the state's bucket; ecr-estate-ACCOUNT-REGION without it"
    )
    parser.add_argument(
        "--promoter",
        metavar="NAME",
        help="the name of the role that promotes, where stages are in several accounts; without it those "
        "that `promote --policy` names",
    )
    parser.add_argument(
        "--without-webhook",
        action="store_true",
        help="no webhook of the organisation starts deployments; repositories that are created then wait for the "
        "hourly one",
    )


def pipeline_of(options: argparse.Namespace, settings: Settings) -> Pipeline:
    """Return what the options say. Raises UsageError, listing every offence."""
    ours = artifacts_registry(settings)
    bucket = options.bucket or f"ecr-estate-{ours.account}-{ours.region}"
    if offences := list(_offences(options, bucket)):
        raise UsageError("The options are wrong; nothing was made.", offences)
    where, ref = options.repository, "refs/heads/main"
    if options.program:
        where, ref = options.program, f"refs/tags/v{__version__}"
    stack = options.settings.name.removeprefix("Pulumi.").removesuffix(".yaml")
    return Pipeline(
        repository=options.repository,
        repository_id=options.repository_id,
        owner_id=options.owner_id,
        workflow=f"{where}/.github/workflows/deploy-stack.yml@{ref}",
        operators=tuple(dict.fromkeys(options.operators)),
        bucket=bucket,
        promoter=options.promoter,
        stacks=settings.shards or (stack,),
        webhook=not options.without_webhook,
    )


def _offences(options: argparse.Namespace, bucket: str) -> Iterator[str]:
    for name in ("repository", "program"):
        value = getattr(options, name)
        if value and not _SLUG.fullmatch(value):
            yield f"--{name}: {value} is no repository; write OWNER/NAME"
    for each in options.operators:
        if not _ROLE.fullmatch(each):
            yield f"--operators: {each} is not the ARN of a role; write arn:aws:iam::ACCOUNT:role/NAME"
    if not _BUCKET.fullmatch(bucket):
        yield (
            f"--bucket: {bucket} is no name for a bucket; use 3 to 63 lower-case letters, digits and "
            "hyphens"
        )
    if options.promoter and not re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", options.promoter):
        yield f"--promoter: {options.promoter} is not the name of a role; write it without its ARN"
    file = options.settings.name
    if not _STACK.fullmatch(file.removeprefix("Pulumi.").removesuffix(".yaml")):
        yield f"--settings: {file} names no stack; call it Pulumi.STACK.yaml"
