"""What differs between GitHub's side as bootstrap's script sets it up and as it stands.

Owns which settings of the repository that deploys are compared, and how a finding reads: its id, its environments,
the ruleset on its main branch and its variables. Asks GitHub by GET alone, and changes nothing. Who reviews is for
the organisation to say; that somebody does is compared.

Sources: GitHub Docs, "REST API endpoints for deployment environments", "REST API endpoints for deployment branch
policies", "REST API endpoints for rules" and "REST API endpoints for GitHub Actions variables".
"""

import json
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

from ecr.bootstrap.differences import RoleDifference
from ecr.bootstrap.github import BRANCH, GUARDED, PRODUCTION, RULESET, planned_variables
from ecr.bootstrap.roles import Pipeline
from ecr.errors import EstateError
from ecr.github.transport import Fetch
from ecr.registry.registry import Registry

_PAGE = 30
"""Variables that GitHub lists at once, at most."""

_AGAIN = "run bootstrap/github.sh"


async def repository_differences(
    fetch: Fetch, registry: Registry, pipeline: Pipeline, *, two_apps: bool
) -> list[RoleDifference]:
    """Return what is not as the script sets it up. Raises EstateError where GitHub refuses to say."""
    where = f"github:{pipeline.repository}"
    held = await _read(fetch, f"repos/{pipeline.repository}")
    if held is None:
        what = "there is no such repository, or the token does not see it"
        return [RoleDifference(where, "missing", what)]
    if held["id"] != pipeline.repository_id:
        what = (
            f"its id is {held['id']}, and the roles trust {pipeline.repository_id}; bootstrap again"
        )
        return [RoleDifference(where, "out of date", what)]
    found = [
        each
        for name in (PRODUCTION, GUARDED)
        async for each in _of_environment(fetch, pipeline.repository, name)
    ]
    found += [each async for each in _of_ruleset(fetch, pipeline.repository)]
    planned = planned_variables(registry, pipeline, two_apps=two_apps)
    return found + [each async for each in _of_variables(fetch, pipeline.repository, planned)]


async def _read(fetch: Fetch, endpoint: str, *, list_of_it: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Return what GitHub says; None where there is no such thing, which a list of a repository never is."""
    reply = await fetch(endpoint)
    if reply.status == HTTPStatus.NOT_FOUND and not list_of_it:
        return None
    if reply.status != HTTPStatus.OK:
        raise EstateError(
            "GitHub could not be asked; nothing was changed.",
            [
                (
                    f"GET {endpoint} was answered with {reply.status}; give a GITHUB_TOKEN that may read the "
                    "repository's metadata, actions and variables"
                )
            ],
        )
    try:
        return json.loads(reply.body)
    except ValueError as error:
        said = f"GET {endpoint} was answered with what is no JSON; check the base URL"
        raise EstateError("GitHub could not be asked; nothing was changed.", [said]) from error


async def _of_environment(
    fetch: Fetch, repository: str, name: str
) -> AsyncIterator[RoleDifference]:
    where, endpoint = (
        f"github:{repository}: environment {name}",
        f"repos/{repository}/environments/{name}",
    )
    held = await _read(fetch, endpoint)
    if held is None:
        yield RoleDifference(where, "missing", f"there is no such environment; {_AGAIN}")
        return
    rules = [each for each in held["protection_rules"] if each["type"] == "required_reviewers"]
    reviewed = [each for each in rules if each["reviewers"]]
    if name == GUARDED and not reviewed:
        yield RoleDifference(where, "missing", f"nobody reviews what a guard holds; {_AGAIN}")
    elif name == GUARDED and not all(each.get("prevent_self_review") for each in reviewed):
        what = f"whoever started a deployment may approve it; {_AGAIN}"
        yield RoleDifference(where, "out of date", what)
    elif name != GUARDED and reviewed:
        yield RoleDifference(
            where,
            "too much",
            f"every deployment waits for a reviewer, also the hourly one; {_AGAIN}",
        )
    if not (held.get("deployment_branch_policy") or {}).get("custom_branch_policies"):
        what = f"branches other than {BRANCH} may deploy; {_AGAIN}"
        yield RoleDifference(where, "too much", what)
        return
    policies = f"{endpoint}/deployment-branch-policies?per_page=100"
    listed = await _read(fetch, policies, list_of_it=True)
    names = {each["name"] for each in listed["branch_policies"]}
    if BRANCH not in names:
        yield RoleDifference(where, "missing", f"{BRANCH} may not deploy; {_AGAIN}")
    if surplus := tuple(sorted(names - {BRANCH})):
        what = f"branches other than {BRANCH} may deploy; remove them"
        yield RoleDifference(where, "too much", what, (), surplus)


async def _of_ruleset(fetch: Fetch, repository: str) -> AsyncIterator[RoleDifference]:
    where = f"github:{repository}: ruleset {RULESET['name']}"
    endpoint = f"repos/{repository}/rulesets"
    own = f"{endpoint}?includes_parents=false&per_page=100"
    listed = await _read(fetch, own, list_of_it=True)
    number = next((each["id"] for each in listed if each["name"] == RULESET["name"]), None)
    held = None if number is None else await _read(fetch, f"{endpoint}/{number}")
    if held is None:
        what = f"nothing protects {BRANCH}, and who may push to it deploys; {_AGAIN}"
        yield RoleDifference(where, "missing", what)
        return
    lacking = [
        f"{key} {json.dumps(RULESET[key])}"
        for key in ("target", "enforcement", "conditions")
        if held.get(key) != RULESET[key]
    ]
    there = {each["type"]: each.get("parameters", {}) for each in held.get("rules", ())}
    for rule in RULESET["rules"]:
        given = there.get(rule["type"])
        if given is None:
            lacking.append(f"rule {rule['type']}")
            continue
        ought = rule.get("parameters", {})
        lacking += [
            f"rule {rule['type']} {key} {json.dumps(value)}"
            for key, value in ought.items()
            if given.get(key) != value
        ]
    if lacking:
        yield RoleDifference(where, "out of date", f"its rules; {_AGAIN}", tuple(sorted(lacking)))
    if held.get("bypass_actors"):
        surplus = tuple(
            sorted(f"{each['actor_type']} {each.get('actor_id')}" for each in held["bypass_actors"])
        )
        yield RoleDifference(where, "too much", "who may pass it by; remove them", (), surplus)


async def _of_variables(
    fetch: Fetch, repository: str, planned: Mapping[str, str | None]
) -> AsyncIterator[RoleDifference]:
    held: dict[str, str] = {}
    page, total = 1, 1
    while (page - 1) * _PAGE < total:
        endpoint = f"repos/{repository}/actions/variables?per_page={_PAGE}&page={page}"
        answer = await _read(fetch, endpoint, list_of_it=True)
        held |= {each["name"]: each["value"] for each in answer["variables"]}
        page, total = page + 1, answer["total_count"]
    for name, value in planned.items():
        where = f"github:{repository}: variable {name}"
        if name not in held:
            yield RoleDifference(where, "missing", f"there is no such variable; {_AGAIN}")
        elif value is not None and held[name] != value:
            what = f"it is {held[name]}, and not {value}; {_AGAIN}"
            yield RoleDifference(where, "out of date", what)
