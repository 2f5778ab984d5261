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

from ecr.access_proof.matrix import matrix_tables
from ecr.cli.options import refuse_unused_options
from ecr.engine.outputs import Outputs
from ecr.engine.stack import Stack, inventory_of
from ecr.engine.stack_file import checked, read_stack_file
from ecr.ledger.ledger import Ledger
from ecr.plan.access.deploy_roles import (
    boundary_document,
    deployment_documents,
    template_documents,
)
from ecr.plan.build import build_plan
from ecr.plan.limits import documents_of
from ecr.plan.model import Observed
from ecr.settings.load import PROJECT

if TYPE_CHECKING:
    from ecr.plan.access.documents import Document
    from ecr.plan.model import EstatePlan
    from ecr.settings.models import Settings


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
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the documents, or the matrix."""
    file = options.settings is not None
    refuse_unused_options(
        (options.outputs and not file, "--outputs: is for --settings; a stack has its own"),
        (file and options.stack, "--stack: --settings is read instead; give one of the two"),
        (file and options.config_file, "--config-file: --settings is read instead; give one"),
        (
            options.roles and options.matrix,
            "--matrix: --roles prints no matrix; give one of the two",
        ),
        (options.json and options.matrix, "--json: the matrix is Markdown only; leave it out"),
    )
    settings, ledger = _stack(options)
    roles = role_documents(settings)
    if options.roles:
        text = _listed(roles, as_json=options.json)
    elif options.matrix:
        text = matrix_tables(plan_of(settings, ledger), settings)
    else:
        documents = [*documents_of(plan_of(settings, ledger)), *roles]
        text = _listed(documents, as_json=options.json)
    sys.stdout.write(text)
    return 0


def role_documents(settings: "Settings") -> "list[Document]":
    """Return the documents of the roles that deploy and preview, and of what these roles need beside.

    They are the boundary of push roles, and the roles that ECR assumes by creation templates.
    """
    boundary = boundary_document(settings)
    pairs = deployment_documents(settings).values()
    return [
        *(each for pair in pairs for each in pair),
        *([boundary] if boundary else []),
        *template_documents(settings).values(),
    ]


def _stack(options: argparse.Namespace) -> "tuple[Settings, Ledger]":
    """Return the settings and the ledger, by the engine's command line or from files."""
    if options.settings is None:
        stack = Stack(options.stack, options.config_file)
        return stack.settings(), stack.ledger()
    ledger = Outputs.read(options.outputs).ledger if options.outputs else Ledger()
    return checked(read_stack_file(options.settings)), ledger


def plan_of(settings: "Settings", ledger: "Ledger") -> "EstatePlan":
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


def _shown(documents: "Iterable[Document]") -> Iterator[str]:
    for each in documents:
        used = len(each.text)
        words = {"trust": "trust policy", "identity": "identity policy", "role": "its own policy"}
        what = words.get(each.kind, f"{each.kind} policy")
        yield (
            f"{each.where}: {what}, {used:,} of {each.limit:,} characters "
            f"({used / each.limit:.0%})\n{json.dumps(json.loads(each.text), indent=2)}\n"
        )
