"""What a repository has of Actions already, read before a push role or a variable of ours is made.

Owns two questions to GitHub. The variables of repositories of which the engine's state holds not all three,
one request for thirty; and, of repositories whose push role the state does not hold, the template of their
tokens' subjects, one request each. It asks about no other repository, and changes nothing.

Sources: GitHub REST API, "List repository variables" and "Get the customization template for an OIDC
subject claim for a repository".
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ecr.engine.types import ROLE, VARIABLE
from ecr.errors import EstateError
from ecr.github.listing import ListingRefusedError
from ecr.github.model import DEFAULT_SUBJECT, Inventory, Repository
from ecr.github.transport import Fetch
from ecr.plan.access.push_roles import variable_names
from ecr.plan.model import Observed, Variable
from ecr.plan.overrides import selects
from ecr.settings.models import PushRoles, Settings

PAGE = 30
"""Variables a page: the most that GitHub gives."""

AT_ONCE = 16
"""Repositories that are asked side by side."""

_ROLE = re.compile(r"-(?P<number>\d+)$")
"""How the engine's name of a push role ends."""

_HELD = re.compile(r"-(?P<number>\d+)/(?P<name>[A-Z_][A-Z0-9_]*)$")
"""How the engine's name of a variable ends: that of its role, which has the id, and its own."""


async def read_actions(
    fetch: Fetch,
    state: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    inventory: Inventory,
    observed: Observed,
) -> Observed:
    """Return what was observed, with what repositories have of Actions.

    ``state`` is what the engine's state holds, by its names (URNs).
    """
    if settings.push_roles is None:
        return observed
    held = {
        kind: [urn for urn, each in state.items() if each["type"] == kind]
        for kind in (ROLE, VARIABLE)
    }
    variables, unread = (
        await read_variables(fetch, held[VARIABLE], settings, inventory)
        if settings.push_roles.variables
        else ({}, {})
    )
    templates, notes = await read_templates(fetch, held[ROLE], settings, inventory)
    return replace(
        observed,
        variables=variables,
        unread=unread,
        templates=templates,
        notes=(*observed.notes, *notes),
    )


async def read_variables(
    fetch: Fetch, held: Iterable[str], settings: Settings, inventory: Inventory
) -> tuple[Mapping[int, Mapping[str, Variable]], Mapping[int, str]]:
    """Return the variables that stand, by repository id and by name, and of which nobody says, with why.

    ``held`` are the engine's names of those that its state holds, which are not asked for. Raises
    EstateError, naming each repository, where GitHub says of none, and never has: then it is the token.
    """
    chosen = settings.push_roles
    if chosen is None:
        return {}, {}
    found: dict[int, dict[str, Variable]] = {}
    for urn in held:
        if ending := _HELD.search(urn):
            found.setdefault(int(ending["number"]), {})[ending["name"]] = Variable(urn=urn)
    wanted = set(variable_names(chosen))
    asked = [
        repository
        for repository in _with_roles(chosen, inventory)
        if not wanted <= found.get(repository.id, {}).keys()
    ]
    never = not found
    login = inventory.login or settings.github.organisation
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(repository: Repository) -> dict[str, Variable] | str:
        async with gate:
            return await _of(fetch, login, repository)

    unread: dict[int, str] = {}
    for repository, standing in zip(asked, await asyncio.gather(*map(look, asked)), strict=True):
        if isinstance(standing, str):
            unread[repository.id] = standing
        else:
            found[repository.id] = {**standing, **found.get(repository.id, {})}
    if unread and never and len(unread) == len(asked):
        raise EstateError(
            "The variables of no repository can be read, and one that stands there must not be "
            "written over; nothing was changed.",
            list(unread.values()),
        )
    return found, unread


async def read_templates(
    fetch: Fetch, held: Iterable[str], settings: Settings, inventory: Inventory
) -> tuple[Mapping[int, tuple[str, ...]], tuple[str, ...]]:
    """Return of what GitHub makes the subjects of tokens, by repository id, and what to note.

    Only of repositories that are to get a push role and have none in the engine's state, of which
    ``held`` are the names. What GitHub does not say is left out, and noted.
    """
    chosen = settings.push_roles
    if chosen is None:
        return {}, ()
    standing = {int(ending["number"]) for urn in held if (ending := _ROLE.search(urn))}
    asked = [each for each in _with_roles(chosen, inventory) if each.id not in standing]
    login = inventory.login or settings.github.organisation
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(repository: Repository) -> tuple[str, ...] | None:
        async with gate:
            return await _template_of(fetch, login, repository, inventory.subjects)

    answers = dict(
        zip((each.id for each in asked), await asyncio.gather(*map(look, asked)), strict=True)
    )
    silent = [each.name for each in asked if answers[each.id] is None]
    said = (
        f"GitHub does not say of {len(silent)} new repositories, {silent[0]} the first, of what it makes "
        "the subjects of their tokens, which push roles trust; let the token read Actions of every "
        "repository, or see docs/guides/pushing.md"
        if silent
        else ""
    )
    return {number: keys for number, keys in answers.items() if keys is not None}, (
        said,
    ) if said else ()


def _with_roles(chosen: PushRoles, inventory: Inventory) -> Iterable[Repository]:
    return (
        each
        for each in inventory.repositories
        if each.id not in inventory.deselected and selects(chosen.services, each)
    )


async def _template_of(
    fetch: Fetch, login: str, repository: Repository, organisations: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Read the template of one repository; None where GitHub does not say.

    One that has none of its own takes the organisation's, where it does not keep to the default.
    """
    endpoint = f"repos/{login}/{repository.name}/actions/oidc/customization/sub"
    try:
        reply = await fetch(endpoint)
        said = json.loads(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - HTTP's own number
    except (ListingRefusedError, ValueError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("use_default"), bool):
        return None
    if said["use_default"]:
        return DEFAULT_SUBJECT
    keys = said.get("include_claim_keys")
    return tuple(map(str, keys)) if isinstance(keys, list) and keys else organisations


async def _of(fetch: Fetch, login: str, repository: Repository) -> dict[str, Variable] | str:
    """Read the variables of one repository, or say why they cannot be read."""
    standing: dict[str, Variable] = {}
    page, pages = 1, 1
    while page <= pages:
        endpoint = f"repos/{login}/{repository.name}/actions/variables?per_page={PAGE}&page={page}"
        remedy = "let the token read the variables of every repository (classic: repo)"
        try:
            reply = await fetch(endpoint)
            listed = json.loads(reply.body)
            if reply.status != 200:  # noqa: PLR2004 - HTTP's own number
                said = listed.get("message", "") if isinstance(listed, dict) else ""
                return f"GET {endpoint} was answered with {reply.status} ({said}); {remedy}"
            pages = -(-int(listed["total_count"]) // PAGE)
            standing |= {each["name"]: Variable(each["value"]) for each in listed["variables"]}
        except ListingRefusedError as error:
            return "; ".join(error.offences)
        except (ValueError, KeyError, TypeError) as error:
            return f"GET {endpoint} gave something that is no list of variables ({error!r})"
        page += 1
    return standing
