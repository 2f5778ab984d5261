"""A stack as a command reads it through ``pulumi``, outside a deployment.

Owns the reading of its settings, state and ledger. Reads no secret, and changes nothing.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ecr.engine.command import engine_output
from ecr.engine.types import PROVIDER, REPOSITORY, STACK
from ecr.errors import EstateError
from ecr.github.http import environment_fetch
from ecr.github.inventory import read_inventory, uses_properties
from ecr.github.listing import find_repository, list_organisation
from ecr.github.model import Inventory, Repository
from ecr.ledger.ledger import Ledger, gather, parse_ledger
from ecr.ledger.shards import shard_of
from ecr.settings.load import PROJECT, parse_settings
from ecr.settings.models import Settings

GITHUB_REMEDY = "set GITHUB_TOKEN; this command reads no secret of the stack"
"""What to do where a command has no token."""


class Stack:
    """A stack, read through ``pulumi``. Secrets stay encrypted, for none is asked for."""

    def __init__(self, name: str | None, config_file: str | None) -> None:
        self._which = stack_options(name, None)
        self._config_file = stack_options(None, config_file)
        self.name = self._pulumi("stack", "--show-name").strip().rpartition("/")[2]
        self._resources = resources_of(self._pulumi("stack", "export"))

    def settings(self) -> Settings:
        """Read the settings, as a deployment would be given them."""
        return _parsed(self._pulumi("config", "--json", *self._config_file))

    def ledger(self) -> Ledger:
        """Read the ledger from the last outputs."""
        outputs = next(
            (each.get("outputs") for each in self._of(STACK)),
            None,
        )
        return parse_ledger((outputs or {}).get("ledger"))

    async def held(self) -> dict[str, Mapping[str, str]]:
        """Return the locations that the state holds, with the tags that it knows of each."""
        return {
            each["urn"].rpartition("::")[2]: (each.get("outputs") or {}).get("tags") or {}
            for each in self._of(REPOSITORY)
        }

    async def whole(self) -> dict[str, Mapping[str, Any]]:
        """Return what the state holds, by the engine's names (URNs)."""
        return {each["urn"]: each for each in self._resources}

    def providers(self) -> dict[str, str]:
        """Return the URNs of the AWS providers that the state holds, by account."""
        return {each["urn"].rpartition("::")[2]: each["urn"] for each in self._of(PROVIDER)}

    def commands(self, file: str) -> Iterator[str]:
        """Yield what an operator runs next."""
        imported = ["import", "--file", file, "--generate-code=false", "--protect=true", "--yes"]
        yield shlex.join(["pulumi", *imported, *self._which, *self._config_file])
        yield shlex.join(["pulumi", "up", *self._which, *self._config_file])

    def _of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (each for each in self._resources if each["type"] == kind and not each.get("delete"))

    def _pulumi(self, *arguments: str) -> str:
        return _said([*arguments, *self._which])


def stack_settings(name: str | None, config_file: str | None) -> Settings:
    """Read the settings of a stack and nothing else of it, as a deployment would be given them."""
    return _parsed(_said(["config", "--json", *stack_options(name, config_file)]))


def stack_options(name: str | None, config_file: str | None) -> list[str]:
    """Return the options by which `pulumi` is told a stack, and the file of its settings."""
    return [
        *(("--stack", name) if name else ()),
        *(("--config-file", config_file) if config_file else ()),
    ]


def _said(arguments: Sequence[str]) -> str:
    remedy = "check --stack, the login and the passphrase"
    return engine_output(arguments, "The stack cannot be read.", remedy)


def _parsed(config: str) -> Settings:
    """Return the settings in what `pulumi config --json` printed."""
    held = json.loads(config)
    secret = [key for key, each in held.items() if each["secret"] and key.startswith(f"{PROJECT}:")]
    if secret:
        raise EstateError(
            "Settings of this project are stored as secrets, which this command never asks for.",
            [f"{key}: store it in plain, for it is none" for key in secret],
        )
    return parse_settings(
        {key: each["value"] for key, each in held.items() if not each["secret"]},
        namespace=PROJECT,
    )


def exported(stack: str) -> list[dict[str, Any]]:
    """Return the resources in the state of a stack. Raises EstateError where it is not given."""
    text = engine_output(
        ["stack", "export", "--stack", stack],
        f"The state of the stack {stack} cannot be read.",
        f"where it is new, make it first: pulumi stack init {stack}",
    )
    return resources_of(text)


def resources_of(state: str) -> list[dict[str, Any]]:
    """Return the resources in what `pulumi stack export` printed."""
    resources: list[dict[str, Any]] = json.loads(state)["deployment"].get("resources") or []
    return resources


async def inventory_of(settings: Settings, ledger: Ledger) -> Inventory:
    """Read the same inventory as a deployment, without the engine."""
    asked = ledger.to_confirm(settings.retire)
    if settings.static is not None or settings.static_file is not None:
        return await read_inventory(settings, asked)
    properties = uses_properties(settings.model_dump())
    with environment_fetch(settings.github.base_url, GITHUB_REMEDY) as fetch:
        return await list_organisation(fetch, settings.github, asked, properties=properties)


async def repositories_named(names: Sequence[str], settings: Settings) -> list[Repository]:
    """Return the repositories of these names, in any case, as the source of the settings has them.

    Raises EstateError where it has none of a name.
    """
    if settings.static is None and settings.static_file is None:
        with environment_fetch(settings.github.base_url, GITHUB_REMEDY) as fetch:
            return [await find_repository(fetch, settings.github, each) for each in names]
    listed = (await read_inventory(settings, ())).repositories
    known = {each.name.lower(): each for each in listed}
    unknown = [each for each in names if each.lower() not in known]
    if unknown:
        raise EstateError(
            "The list of repositories lacks what is to be deployed; nothing was changed.",
            [f"{each}: is not in it; add it first, with its id" for each in unknown],
        )
    return [known[each.lower()] for each in names]


def ledger_of_all(stack: Stack, settings: Settings, config_file: str | None) -> Ledger:
    """Read the ledger of the stack, and of the others that share the estate."""
    others = {
        index: Stack(name, config_file).ledger()
        for index, name in enumerate(settings.shards)
        if name != stack.name
    }
    shard = shard_of(stack.name, settings.shards)
    return gather(stack.ledger(), others, shard) if others else stack.ledger()
