"""The pages of the access matrix and of the roles that deploy, computed for the example stacks.

Owns how they read. Reads the example stacks' files and the program; asks nobody.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from ecr.access_proof.matrix import matrix_tables
from ecr.cli.commands.policies import plan_of, role_documents
from ecr.engine.stack_file import checked, read_stack_file
from ecr.ledger.ledger import Ledger
from ecr.plan.access.documents import Document
from ecr.settings.models import Settings

PROJECT = Path(__file__).resolve().parent.parent

ACCESS_STACK = "examples/access/Pulumi.access.yaml"
ROLES_STACK = "Pulumi.prod.yaml"

ACCESS = """\
---
hide: [navigation, toc]
---

# Who may do what

<div id="ask" class="estate-filter" markdown="0"></div>

Each cell is computed: the estate's documents are evaluated as IAM evaluates them, for the stack in
`{file}`. Callers of other accounts, and the admin, have an identity policy
that allows everything, so that only these documents stand in their way; the others have the policies
that are made for them. *denied* means that a statement denies it, which nothing else
can outweigh. *no* means that no statement allows it.

[Access](../guides/access.md) says how to read it, and `ecr-estate policies --matrix` prints it for a
stack of yours. {written}
"""


ASKING = '<script src="../javascripts/ask.js"></script>\n'
"""What makes a question of the tables, in the browser."""

ROLES = """\
# The roles that deploy and preview

One role in each account, for `{file}`: the one that `pulumi up` assumes, and one that is enough for
`pulumi preview`, with or without `--refresh`, and changes nothing. `ecr-estate policies --roles` prints them
for a stack of yours.

They allow the calls that the AWS provider makes for what the settings ask for, and no others. A test on the real
engine compares them with the calls that reach the embedded AWS, and fails where a call is missing or too many
are allowed. Only what AWS asks for beside a call is added: for the roles of services, for Amazon Inspector and
for a key of your own.

- **When a feature is taken out of the settings**, deploy once more with the documents from before: they have the
  permission to clear it away. Only `pushRoles.permissionsBoundary` is lifted with the new ones.
- **Deleting image repositories** is in them only while `retire` names some.
- The keys of alerts have no names that could be foreseen, so `key/*` stands for them. They have the tag `ecr-estate`
  = `alerts`. The deploy role changes the policy of a key, or schedules its deletion, only where the key has it. A key
  with an alias is out of its reach, and so is the images' own key: it can neither tag it nor change it. Give every
  key that has to be kept an alias: AWS lets nobody tag a new key who may tag just some.
- Without `pushRoles.permissionsBoundary`, whoever deploys can give a role under `/ecr-estate/push-*` any policy. The
  last document is such a boundary.
- Replicas need `iam:CreateServiceLinkedRole` once, when AWS makes replication's own role.

{written}
"""


def _settings(file: str) -> Settings:
    return checked(read_stack_file(PROJECT / file))


def access_page(written: str) -> str:
    """Return the page of the access matrix; ``written`` says by what pages are written."""
    settings = _settings(ACCESS_STACK)
    introduction = ACCESS.format(file=ACCESS_STACK, written=written)
    tables = matrix_tables(plan_of(settings, Ledger()), settings)
    return f"{introduction}\n{_folded(tables)}\n{ASKING}"


def _folded(tables: str) -> str:
    """Return the tables, each in a part that one opens: the question above them is the way in."""
    lines: list[str] = []
    within = False
    for line in tables.splitlines():
        if line.startswith("|") and not within:
            lines += ['??? note "All callers"', ""]
        within = line.startswith("|")
        lines.append(f"    {line}" if within else line)
    return "\n".join(lines) + "\n"


def roles_page(written: str) -> str:
    """Return the page of the roles that deploy and preview; ``written`` as above."""
    introduction = ROLES.format(file=ROLES_STACK, written=written)
    return "\n".join([introduction, *_sections(role_documents(_settings(ROLES_STACK)))])


def _sections(documents: Iterable[Document]) -> Iterable[str]:
    for each in documents:
        document = json.dumps(json.loads(each.text), indent=2)
        title = each.where[0].upper() + each.where[1:]
        yield (
            f"## {title}\n\n{len(each.text):,} of {each.limit:,} characters.\n\n"
            f"```json\n{document}\n```\n"
        )
