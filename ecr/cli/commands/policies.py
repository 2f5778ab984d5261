"""Print every policy document of a stack, each with its size against AWS's limit.

Owns how the documents and the access matrix are asked for and how they read. Takes the settings from
a stack's file, or from the stack that is selected; asks GitHub only where the settings say so, and AWS
never. It changes nothing.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ecr.access_proof.matrix import page
from ecr.cli.options import stop_where_ignored
from ecr.engine.outputs import Outputs
from ecr.engine.stack import Stack, inventory_of
from ecr.engine.stack_file import checked, read_stack_file, read_text
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.deploy_roles import deployment_documents
from ecr.plan.build import build_plan
from ecr.plan.limits import documents_of
from ecr.plan.model import Observed
from ecr.settings.models import PROJECT

if TYPE_CHECKING:
    from ecr.plan.access.documents import Document
    from ecr.plan.model import EstatePlan
    from ecr.settings.models import Settings

INTRODUCTION = """\
# Who may do what

Each cell is computed: the estate's documents are evaluated as IAM evaluates them, for the stack in
`{file}`. Callers of other accounts, and the admin, have an identity policy
that allows everything, so that only these documents stand in their way; the others have the policies
that are made for them. *denied* is by a statement that denies, which nothing else can outweigh; *no* is
for want of one that allows.

[Access](../guides/access.md) says how to read it, and `python -m ecr policies --matrix` prints it for a
stack of yours. This page is written by that command.
"""


ROLES = """\
# The roles that deploy and preview

One role in each account, for `{file}`: the one that `pulumi up` assumes, and one that is enough for
`pulumi preview`, with or without `--refresh`, and changes nothing. `python -m ecr policies --roles` prints them
for a stack of yours.

They allow the calls that the AWS provider makes for what the settings ask for, and no others. A test on the real
engine compares them with the calls that reach the embedded AWS, and fails where a call is missing or too many
are allowed. Only what AWS asks for beside a call is added: for the roles of services, for Amazon Inspector and
for a key of your own.

- **When a feature is taken out of the settings**, deploy once more with the documents from before: they have the
  permission to clear it away. Only `pushRoles.permissionsBoundary` is lifted with the new ones.
- **Deleting image repositories** is in them only while `retire` names some.
- The keys of alerts have no names that could be foreseen, so `key/*` stands for them. They have the tag `ecr-estate`
  = `alerts`. The deploy role changes the policy of a key, or schedules its deletion, only where the key has it, and
  never of the images' own key, `images.kmsKey`, which it cannot tag either. It can tag other keys: AWS lets nobody tag
  a new key who may tag just some. A service control policy can close that for the keys that have to be kept.
- Without `pushRoles.permissionsBoundary`, whoever deploys can give a role under `/ecr-estate/push-*` any policy.
- Replicas need `iam:CreateServiceLinkedRole` once, when AWS makes replication's own role.

This page is written by that command.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--stack", metavar="NAME", help="the stack, if not the one selected")
    parser.add_argument(
        "--config-file", metavar="FILE", help="its settings, if not in Pulumi.<stack>.yaml"
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="a stack's file, instead of a stack that the engine knows",
    )
    parser.add_argument(
        "--outputs",
        type=Path,
        metavar="FILE",
        help="with --settings: the outputs of its last deployment, from `pulumi stack output --json`",
    )
    parser.add_argument(
        "--roles", action="store_true", help="only the roles that deploy and preview"
    )
    parser.add_argument(
        "--matrix", action="store_true", help="the access matrix instead, as Markdown"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--page", action="store_true", help="with --roles: a page, in Markdown")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, metavar="FILE", help="write to a file")
    where.add_argument(
        "--check", type=Path, metavar="FILE", help="write nothing, and fail if the file is stale"
    )


def run(options: argparse.Namespace) -> int:
    """Print the documents or the matrix, write them, or compare them with what was written before."""
    file = options.settings is not None
    stop_where_ignored(
        (options.outputs and not file, "--outputs: is for --settings; a stack has its own"),
        (file and options.stack, "--stack: --settings is read instead; give one of the two"),
        (file and options.config_file, "--config-file: --settings is read instead; give one"),
        (
            options.roles and options.matrix,
            "--matrix: --roles prints no matrix; give one of the two",
        ),
        (options.json and options.matrix, "--json: the matrix is Markdown only; leave it out"),
        (options.page and not options.roles, "--page: is for --roles; give both, or neither"),
    )
    text = _text(options)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    elif options.check:
        held = read_text(options.check) if options.check.exists() else ""
        if held != text:
            raise EstateError(
                "The page is stale.", [f"{options.check}: write it again, with --output"]
            )
    else:
        sys.stdout.write(text)
    return 0


def _text(options: argparse.Namespace) -> str:
    settings, ledger, file = _stack(options)
    roles = [each for pair in deployment_documents(settings).values() for each in pair]
    if options.roles:
        return _page(roles, file) if options.page else _listed(roles, as_json=options.json)
    plan = _plan(settings, ledger)
    if options.matrix:
        return page(plan, settings, INTRODUCTION.format(file=file))
    return _listed([*documents_of(plan), *roles], as_json=options.json)


def _stack(options: argparse.Namespace) -> "tuple[Settings, Ledger, str]":
    """Give the settings, the ledger and the settings' file, by the engine's command line or from files."""
    if options.settings is None:
        stack = Stack(options.stack, options.config_file)
        file = options.config_file or f"Pulumi.{stack.name}.yaml"
        return stack.settings(), stack.ledger(), file
    ledger = Outputs.read(options.outputs).ledger if options.outputs else Ledger()
    # As it is called from here, so that a page is the same on every machine.
    file, here = options.settings, Path.cwd()
    file = file.relative_to(here) if file.is_relative_to(here) else file
    return checked(read_stack_file(options.settings)), ledger, str(file)


def _plan(settings: "Settings", ledger: "Ledger") -> "EstatePlan":
    """Plan as a deployment would, but for what only the registries know."""
    inventory = asyncio.run(inventory_of(settings, ledger))
    today = datetime.now(UTC).date().isoformat()
    return build_plan(settings, inventory, ledger, Observed(), owner=PROJECT, today=today)


def _listed(documents: "Iterable[Document]", *, as_json: bool) -> str:
    if as_json:
        return (
            json.dumps(
                [
                    {
                        "kind": each.kind,
                        "of": each.where,
                        "characters": len(each.text),
                        "limit": each.limit,
                        "document": json.loads(each.text),
                    }
                    for each in documents
                ],
                indent=2,
            )
            + "\n"
        )
    return "\n".join(_shown(documents))


def _page(documents: "Iterable[Document]", file: str) -> str:
    parts = [ROLES.format(file=file)]
    for each in documents:
        document = json.dumps(json.loads(each.text), indent=2)
        title = each.where[0].upper() + each.where[1:]
        parts.append(
            f"## {title}\n\n{len(each.text):,} of {each.limit:,} characters.\n\n```json\n{document}\n```\n"
        )
    return "\n".join(parts)


def _shown(documents: "Iterable[Document]") -> Iterator[str]:
    for each in documents:
        used = len(each.text)
        words = {"trust": "trust policy", "identity": "identity policy", "role": "its own policy"}
        what = words.get(each.kind, f"{each.kind} policy")
        yield (
            f"{each.where}: {what}, {used:,} of {each.limit:,} characters "
            f"({used / each.limit:.0%})\n{json.dumps(json.loads(each.text), indent=2)}\n"
        )
