"""Actions variables that repositories have already, read before any of ours is written.

Owns the question to GitHub. It asks about repositories of which the engine's state holds not all three
variables, and about no other; one request for thirty variables. Changes nothing.

Source: GitHub REST API, "List repository variables".
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping

from ecr.errors import EstateError
from ecr.github.listing import ListingRefusedError
from ecr.github.model import Inventory, Repository
from ecr.github.transport import Fetch
from ecr.plan.access.push_roles import variable_names
from ecr.plan.model import Variable
from ecr.plan.overrides import selects
from ecr.settings.models import Settings

PAGE = 30
"""Variables a page: the most that GitHub gives."""

AT_ONCE = 16
"""Repositories that are asked side by side."""

_HELD = re.compile(r"-(?P<number>\d+)/(?P<name>[A-Z_][A-Z0-9_]*)$")
"""How the engine's name of a variable ends: that of its role, which has the id, and its own."""


async def read_variables(
    fetch: Fetch, held: Iterable[str], settings: Settings, inventory: Inventory
) -> Mapping[int, Mapping[str, Variable]]:
    """Return the variables that stand, by repository id and by name.

    ``held`` are the engine's names of those that its state holds, which are not asked for. Raises
    EstateError, naming each repository, where GitHub does not say.
    """
    chosen = settings.push_roles
    if chosen is None:
        return {}
    found: dict[int, dict[str, Variable]] = {}
    for urn in held:
        if ending := _HELD.search(urn):
            found.setdefault(int(ending["number"]), {})[ending["name"]] = Variable(urn=urn)
    wanted = set(variable_names(chosen))
    asked = [
        repository
        for repository in inventory.repositories
        if repository.id not in inventory.deselected
        and selects(chosen.services, repository)
        and not wanted <= found.get(repository.id, {}).keys()
    ]
    login = inventory.login or settings.github.organisation
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(repository: Repository) -> dict[str, Variable] | str:
        async with gate:
            return await _of(fetch, login, repository)

    refused = []
    for repository, standing in zip(asked, await asyncio.gather(*map(look, asked)), strict=True):
        if isinstance(standing, str):
            refused.append(standing)
        else:
            found[repository.id] = {**standing, **found.get(repository.id, {})}
    if refused:
        raise EstateError(
            "The variables of some repositories cannot be read, and one that stands there must not be "
            "written over; nothing was changed.",
            refused,
        )
    return found


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
