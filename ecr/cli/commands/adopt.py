"""Write the file for `pulumi import` of image repositories that others made, and say what else stands.

Owns the reading of a stack from outside a deployment: its settings, state and ledger by the engine's
command line, GitHub by plain HTTPS, the registries by boto3. It plans as a deployment would, and says
what the first one will change. It writes one local file, and changes nothing in AWS, in GitHub or in
the state; it never shows a secret.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr.aws.images import details_of, names_of, policy_of
from ecr.aws.session import Aws, aws_errors_as
from ecr.cli.table import printable, table
from ecr.deploy.adoption import (
    Adoption,
    Difference,
    ExistingRepository,
    import_file,
    settings_that_keep,
)
from ecr.deploy.observation import observe
from ecr.deploy.standing import asking_by, observe_beside
from ecr.deploy.variables import read_actions
from ecr.engine.stack import GITHUB_REMEDY, Stack, inventory_of, ledger_of_all
from ecr.github.http import environment_fetch
from ecr.plan.architectures import configured_registries
from ecr.plan.build import build_plan
from ecr.plan.identity import made_by
from ecr.registry.registry import Placement, Registry
from ecr.settings.load import PROJECT

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

    from ecr.deploy.observation import Read
    from ecr.github.model import Inventory
    from ecr.ledger.ledger import Ledger
    from ecr.plan.model import EstatePlan, Observed, SettingOfOthers, Standing
    from ecr.settings.models import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--stack", metavar="NAME", help="the stack, if not the one selected")
    parser.add_argument(
        "--config-file", metavar="FILE", help="its settings, if not in Pulumi.<stack>.yaml"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default="adopt.json",
        help="where to write (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(options: argparse.Namespace) -> int:
    """Compare, write the file if there is anything to adopt, and print what comes next."""
    stack = Stack(options.stack, options.config_file)
    settings = stack.settings()
    ledger = ledger_of_all(stack, settings, options.config_file)
    inventory = asyncio.run(inventory_of(settings, ledger))
    registries = configured_registries(settings)
    aws = Aws(roles={each.account: role for each, role in registries.items() if role})
    plan, adoptions = compare_with_aws(stack, settings, ledger, inventory, aws)
    recovered = sum(each.found for each in plan.image_repositories) - len(adoptions)
    commands = list(stack.commands(options.output)) if adoptions else []
    offers = {f"{PROJECT}:{path}": value for path, value in settings_that_keep(adoptions).items()}
    if adoptions:
        document = import_file(adoptions, registries, stack.providers(), version("pulumi-aws"))
        Path(options.output).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if options.json:
        print_json(adoptions, offers, commands, recovered, plan)
    else:
        print_settings(plan.waiting_settings)
        print_replaced(plan.replaced_settings)
        print_beside(plan.standing)
        print_tables(adoptions, offers, commands, recovered)
    return 0


def reading(aws: Aws) -> "Read":
    """Answer as the provider's data sources do, with boto3."""

    async def read(
        function: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        ecr = aws.ecr(registry)
        if function == "getRepositories":
            return {"names": names_of(ecr)}
        if function == "getImages":
            return {"imageIds": details_of(ecr, arguments["repositoryName"])}
        name = arguments["name"]
        with aws_errors_as(f"reading the tags of {registry.key}/{name}"):
            answer = ecr.list_tags_for_resource(resourceArn=registry.arn(name))
        return {"tags": {each["Key"]: each["Value"] for each in answer["tags"]}}

    return read


def existing(ecr: "ECRClient", name: str, tags: Mapping[str, str]) -> ExistingRepository:
    """Describe one image repository."""
    with aws_errors_as(f"reading {name}"):
        (held,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        try:
            policy = ecr.get_repository_policy(repositoryName=name)["policyText"]
        except ecr.exceptions.RepositoryPolicyNotFoundException:
            policy = None
    encryption = held.get("encryptionConfiguration", {"encryptionType": "AES256"})
    return ExistingRepository(
        mutability=held["imageTagMutability"],
        exclusions=tuple(
            each["filter"] for each in held.get("imageTagMutabilityExclusionFilters", ())
        ),
        encryption=encryption["encryptionType"],
        kms_key=encryption.get("kmsKey"),
        tags=tags,
        lifecycle=policy_of(ecr, name),
        policy=policy,
    )


async def observed_by(
    stack: Stack, settings: "Settings", ledger: "Ledger", inventory: "Inventory", aws: Aws
) -> "Observed":
    """Look at what a deployment would look at, and for keys of alerts that nobody needs any more."""
    observed = await observe(reading(aws), stack.held, settings, inventory, ledger)
    observed = await observe_beside(
        asking_by(aws), stack.whole, observed, settings, ledger, every=True
    )
    chosen = settings.push_roles
    listed = settings.static is None and settings.static_file is None
    if chosen is None or not (listed or chosen.variables):
        return observed
    with environment_fetch(settings.github.base_url, GITHUB_REMEDY) as fetch:
        return await read_actions(fetch, await stack.whole(), settings, inventory, observed)


def compare_with_aws(
    stack: Stack, settings: "Settings", ledger: "Ledger", inventory: "Inventory", aws: Aws
) -> tuple["EstatePlan", list[Adoption]]:
    """Plan as if everything that stands already were adopted; give the plan, and what is not ours."""
    observed = asyncio.run(observed_by(stack, settings, ledger, inventory, aws))
    owner = f"{PROJECT}/{stack.name}"
    owners = {owner, *(f"{PROJECT}/{each}" for each in settings.shards)}
    every = tuple({Placement.at(location).name for location in observed.unknown})
    plan = build_plan(
        settings.model_copy(update={"adopted": every, "strict": False}),
        inventory,
        ledger,
        observed,
        owner=owner,
        today=datetime.now(UTC).date().isoformat(),
    )
    adoptions = []
    for each in plan.image_repositories:
        placement, tags = each.placement, observed.unknown.get(each.placement.location, {})
        if each.found and not made_by(tags, owners):
            held = existing(aws.ecr(placement.registry), placement.name, tags)
            adoptions.append(Adoption(each, held))
    return plan, adoptions


def print_settings(waiting: Sequence["SettingOfOthers"]) -> None:
    """Print which settings of registries are by other hands, as they stand and as they are planned."""
    if not waiting:
        return
    say = sys.stdout.write
    say(
        "What stands once for a registry, by other hands. A deployment leaves it as it is, and would have "
        "replaced it whole:\n\n"
    )
    say(_settings_table(waiting))
    registries = sorted({each.registry.key for each in waiting})
    say(
        "\nTo have it replaced, for good:\n\n"
        f"  {PROJECT}:registries.adopted: {json.dumps(registries)}\n\n"
        "To leave it, name the setting under registries.unmanaged.\n\n"
    )


def print_replaced(replaced: Sequence["SettingOfOthers"]) -> None:
    """Print which settings of adopted registries the next deployment replaces."""
    if replaced:
        sys.stdout.write(
            "What stands once for a registry, by other hands, and is replaced whole by the next deployment, for "
            "registries.adopted names the registry:\n\n"
            f"{_settings_table(replaced)}\n"
        )


def _settings_table(settings: Iterable["SettingOfOthers"]) -> str:
    rows = [(each.registry.key, each.setting, each.now, each.then) for each in settings]
    return table(("registry", "setting", "now", "then"), rows)


def print_beside(standing: Sequence["Standing"]) -> None:
    """Print what stands beside image repositories where the plan would have its own, and what to do."""
    if not standing:
        return
    say = sys.stdout.write
    say("What stands where something else than an image repository goes, and is left as it is:\n\n")
    rows = [(each.kind, each.name, each.now, each.then) for each in standing]
    say(table(("what", "name", "now", "then"), rows))
    say("\n")
    for each in standing:
        say(f"  {printable(each.note)}\n")
    say("\n")


def print_tables(
    adoptions: Sequence[Adoption],
    offers: Mapping[str, Any],
    commands: Iterable[str],
    recovered: int,
) -> None:
    """Print what there is to know, for a person."""
    say = sys.stdout.write
    if recovered:
        say(
            f"{recovered} image repositories are this stack's own by their tags, and not in its "
            "state; the next deployment takes them up by itself.\n"
        )
    if not adoptions:
        say("There is nothing to adopt: no planned image repository stands by other hands.\n")
        return
    say(
        f"{len(adoptions)} planned image repositories stand already, by other hands. Imported, they "
        "are not changed; the first deployment afterwards changes them in place:\n\n"
    )
    rows = [
        (each.location, row.what, row.now, row.then)
        for each in adoptions
        for row in each.differences() or [Difference("everything", "as planned", "as planned")]
    ]
    say(table(("image repository", "what", "now", "then"), rows))
    if offers:
        say(
            "\nThese settings would leave more as it is, in the whole stack; weigh each one before "
            "the deployment:\n\n"
        )
        for path, value in offers.items():
            say(f"  {path} = {json.dumps(value)}\n")
    names = sorted({each.planned.placement.name for each in adoptions})
    say(
        "\nTo leave one alone instead, exclude its repository under github.selection.exclude, or "
        "choose another name under names, and run this again.\n\nNext:\n\n"
    )
    for command in commands:
        say(f"  {command}\n")
    say(
        "\nOr let the deployment do both at once, where nobody can run `pulumi import`:\n\n"
        f"  {PROJECT}:adopted: {json.dumps(names)}\n"
    )


def print_json(
    adoptions: Sequence[Adoption],
    offers: Mapping[str, Any],
    commands: Iterable[str],
    recovered: int,
    plan: "EstatePlan",
) -> None:
    """Print the same for a machine."""
    document = {
        "adopt": {each.location: [asdict(row) for row in each.differences()] for each in adoptions},
        "registrySettings": [each.described() for each in plan.waiting_settings],
        "replacedSettings": [each.described() for each in plan.replaced_settings],
        "beside": [asdict(each) for each in plan.standing],
        "recovered": recovered,
        "settingsThatKeep": offers,
        "commands": list(commands),
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
