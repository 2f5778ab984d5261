"""GitHub Actions of the embedded GitHub: variables, environments and the subjects of tokens.

Owns what was set of each, by the repository's id. Takes what GitHub documents and refuses the rest.
Never decides who may ask: see ``api``.

Sources, at docs.github.com: "Variables reference" and "REST API endpoints for GitHub Actions
variables"; "Managing environments for deployment" and "REST API endpoints for deployment
environments"; "OpenID Connect reference" and "REST API endpoints for GitHub Actions OIDC".
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.github.documents import account
from sandbox.github.exchange import (
    Asked,
    Document,
    Endpoint,
    RefusedError,
    Told,
    invalid,
    missing,
    paged,
)
from sandbox.github.tokens import Need

if TYPE_CHECKING:
    from sandbox.github.organisation import Organisation, Repository

MOST_VARIABLES = 500
"""Variables of one repository ("Variables reference", limits)."""

LONGEST_VALUE = 48 * 1024
"""Bytes of a variable's value ("Variables reference", limits)."""

MOST_REVIEWERS = 6
"""Users and teams that an environment names ("Create or update an environment")."""

LONGEST_WAIT = 43_200
"""Minutes that an environment may let a job wait: 30 days."""

CLAIMS = frozenset(
    {
        "actor",
        "actor_id",
        "base_ref",
        "context",
        "enterprise",
        "enterprise_id",
        "environment",
        "environment_node_id",
        "event_name",
        "head_ref",
        "job_workflow_ref",
        "job_workflow_sha",
        "ref",
        "ref_protected",
        "ref_type",
        "repo",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repository_visibility",
        "run_attempt",
        "run_id",
        "run_number",
        "runner_environment",
        "sha",
        "workflow",
        "workflow_ref",
        "workflow_sha",
    }
)
"""What a subject may be made of ("OpenID Connect reference")."""

DEFAULT_CLAIMS = ("repo", "context")
"""What a subject is made of where nobody has said otherwise."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CLAIM = re.compile(r"\w+", re.ASCII)
_AT = "2026-11-22T00:00:00Z"

_VARIABLES_READ = Need("actions_variables", "read", ("repo",))
_VARIABLES_WRITE = Need("actions_variables", "write", ("repo",))
_ENVIRONMENTS_READ = Need("actions", "read", ("repo",))
_ENVIRONMENTS_WRITE = Need("administration", "write", ("repo",))
_ENVIRONMENT_VARIABLES_READ = Need("environments", "read", ("repo",))
_ENVIRONMENT_VARIABLES_WRITE = Need("environments", "write", ("repo",))
_SUBJECT_READ = Need("actions", "read", ("repo",))
_SUBJECT_WRITE = Need("actions", "write", ("repo",))
_TEMPLATE_READ = Need("organization_administration", "read", ("read:org",))
_TEMPLATE_WRITE = Need("organization_administration", "write", ("write:org",))

Held = dict[str, str]
"""Variables by their names in capitals, as GitHub keeps them."""


@dataclass
class Actions:
    """What was set, and the endpoints that set it. Safe in many threads."""

    organisation: Organisation
    base: str
    template: tuple[str, ...] = DEFAULT_CLAIMS
    immutable: bool = False
    _variables: dict[int, Held] = field(default_factory=lambda: defaultdict(dict))
    _environments: dict[int, dict[str, Document]] = field(default_factory=lambda: defaultdict(dict))
    _branches: dict[tuple[int, str], list[Document]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _of_environments: dict[tuple[int, str], Held] = field(default_factory=lambda: defaultdict(dict))
    _subjects: dict[int, Document] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(700_001))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def forget(self, repository: Repository) -> None:
        """Forget a repository that is deleted, with all that was set of it."""
        with self._lock:
            self._variables.pop(repository.id, None)
            self._environments.pop(repository.id, None)
            self._subjects.pop(repository.id, None)
            for key in [key for key in self._of_environments if key[0] == repository.id]:
                del self._of_environments[key]

    def held(self, repository: Repository) -> Held:
        """Return a repository's variables, to be read and filled by whoever arranges a test."""
        with self._lock:
            return self._variables[repository.id]

    # Variables

    def variables(self, asked: Asked, environment: str | None = None) -> Told:
        """List the variables: 10 a page by default, and 30 at most."""
        held = self._held(asked, environment)
        rows = [_variable(name, value) for name, value in sorted(held.items())]
        size = asked.request.size(10, 30)
        page = paged(asked.request, rows, default=10, most=30)
        last = max(1, -(-len(rows) // size))
        return Told({"total_count": len(rows), "variables": page}, last=last)

    def variable(self, asked: Asked, name: str, environment: str | None = None) -> Told:
        """Tell one variable, by its name in any case."""
        held = self._held(asked, environment)
        if name.upper() not in held:
            raise missing()
        return Told(_variable(name.upper(), held[name.upper()]))

    def new_variable(self, asked: Asked, environment: str | None = None) -> Told:
        """Create a variable. One that exists is a conflict, whatever its value."""
        said = asked.request.said()
        name, value = _named(said.get("name")), _valued(said.get("value"))
        with self._lock:
            held = self._held(asked, environment)
            if name in held:
                raise RefusedError(409, "Already exists - Variable already exists")
            if len(held) >= (MOST_VARIABLES if environment is None else 100):
                raise invalid("Variable limit exceeded.")
            held[name] = value
        return Told({}, 201)

    def change_variable(self, asked: Asked, name: str, environment: str | None = None) -> Told:
        """Change a variable's value, or its name to one that is free."""
        said = asked.request.said()
        key = name.upper()
        with self._lock:
            held = self._held(asked, environment)
            if key not in held:
                raise missing()
            new = _named(said["name"]) if said.get("name") else key
            if new != key and new in held:
                raise RefusedError(409, "Already exists - Variable already exists")
            value = _valued(said["value"]) if said.get("value") is not None else held[key]
            del held[key]
            held[new] = value
        return Told(None, 204)

    def end_variable(self, asked: Asked, name: str, environment: str | None = None) -> Told:
        """Delete a variable."""
        with self._lock:
            if self._held(asked, environment).pop(name.upper(), None) is None:
                raise missing()
        return Told(None, 204)

    def _held(self, asked: Asked, environment: str | None) -> Held:
        with self._lock:
            if environment is None:
                return self.held(asked.repository)
            self._environment(asked, environment)
            return self._of_environments[asked.repository.id, environment.casefold()]

    # Environments

    def environments(self, asked: Asked) -> Told:
        """List the environments."""
        rows = [row for _, row in sorted(self._environments[asked.repository.id].items())]
        page = paged(asked.request, rows)
        return Told({"total_count": len(rows), "environments": page})

    def environment(self, asked: Asked, environment: str) -> Told:
        """Tell one environment, by its name in any case."""
        return Told(self._environment(asked, environment))

    def set_environment(self, asked: Asked, environment: str) -> Told:
        """Create an environment, or replace its protection rules."""
        rules, policy = self._protection(asked.request.said())
        repository = asked.repository
        url = f"{self.base}{self.organisation.login}/{repository.name}"
        with self._lock:
            held = self._environments[repository.id].get(environment.casefold())
            identity = held["id"] if held else next(self._ids)
            document = {
                "id": identity,
                "node_id": f"EN_{identity}",
                "name": held["name"] if held else environment,
                "url": f"{self.base}api/v3/repos/{self.organisation.login}/{repository.name}"
                f"/environments/{environment}",
                "html_url": f"{url}/deployments/activity_log?environments_filter={environment}",
                "created_at": _AT,
                "updated_at": _AT,
                "can_admins_bypass": True,
                "protection_rules": rules,
                "deployment_branch_policy": policy,
            }
            self._environments[repository.id][environment.casefold()] = document
        return Told(document)

    def end_environment(self, asked: Asked, environment: str) -> Told:
        """Delete an environment, with its variables."""
        with self._lock:
            self._environment(asked, environment)
            del self._environments[asked.repository.id][environment.casefold()]
            self._of_environments.pop((asked.repository.id, environment.casefold()), None)
        return Told(None, 204)

    def branch_policies(self, asked: Asked, environment: str) -> Told:
        """List the names of branches that may deploy to an environment."""
        self._environment(asked, environment)
        rows = self._branches[asked.repository.id, environment.casefold()]
        return Told({"total_count": len(rows), "branch_policies": list(rows)})

    def new_branch_policy(self, asked: Asked, environment: str) -> Told:
        """Let a branch deploy; only where the environment has a list of its own.

        "REST API endpoints for deployment branch policies": else 404, and 303 for a name that is there.
        """
        held = self._environment(asked, environment)
        if not (held["deployment_branch_policy"] or {}).get("custom_branch_policies"):
            raise missing()
        name = asked.request.said().get("name")
        if not isinstance(name, str) or not name:
            raise invalid("name is a text")
        with self._lock:
            rows = self._branches[asked.repository.id, environment.casefold()]
            if any(row["name"] == name for row in rows):
                raise RefusedError(303, "Response if the same branch name pattern already exists")
            row = {"id": next(self._ids), "name": name, "type": "branch"}
            rows.append(row)
        return Told(row)

    def _environment(self, asked: Asked, name: str) -> Document:
        held = self._environments[asked.repository.id].get(name.casefold())
        if held is None:
            raise missing()
        return held

    def _protection(self, said: Document) -> tuple[list[Document], Document | None]:
        """Return the rules and the branch policy that a body asks for."""
        rules: list[Document] = []
        wait = said.get("wait_timer", 0)
        if type(wait) is not int or not 0 <= wait <= LONGEST_WAIT:
            raise invalid(f"wait_timer must be between 0 and {LONGEST_WAIT}")
        if wait:
            rules.append({**self._rule("wait_timer"), "wait_timer": wait})
        reviewers = said.get("reviewers") or []
        if not isinstance(reviewers, list) or len(reviewers) > MOST_REVIEWERS:
            raise invalid(f"An environment has at most {MOST_REVIEWERS} reviewers")
        if reviewers:
            rules.append(
                {
                    **self._rule("required_reviewers"),
                    "prevent_self_review": said.get("prevent_self_review") is True,
                    "reviewers": [self._reviewer(each) for each in reviewers],
                }
            )
        policy = said.get("deployment_branch_policy")
        if policy is not None:
            keys = ("protected_branches", "custom_branch_policies")
            values = [policy.get(key) for key in keys] if isinstance(policy, dict) else []
            if sorted(map(repr, values)) != ["False", "True"]:
                raise invalid(f"Exactly one of {keys[0]} and {keys[1]} must be true")
            rules.append(self._rule("branch_policy"))
        return rules, policy

    def _rule(self, kind: str) -> Document:
        identity = next(self._ids)
        return {"id": identity, "node_id": f"GA_{identity}", "type": kind}

    def _reviewer(self, said: Any) -> Document:  # noqa: ANN401 - JSON
        if (
            not isinstance(said, dict)
            or said.get("type") not in {"User", "Team"}
            or type(said.get("id")) is not int
        ):
            raise invalid("A reviewer is a User or a Team with an id")
        identity = said["id"]
        api = f"{self.base}api/v3"
        if said["type"] == "Team":
            team = f"{api}/organizations/{self.organisation.id}/team/{identity}"
            reviewer: Document = {
                "id": identity,
                "node_id": f"T_{identity}",
                "url": team,
                "members_url": f"{team}/members{{/member}}",
                "name": f"team-{identity}",
                "slug": f"team-{identity}",
                "description": None,
                "permission": "push",
                "privacy": "closed",
                "html_url": f"{self.base}orgs/{self.organisation.login}/teams/team-{identity}",
                "repositories_url": f"{team}/repos",
                "parent": None,
                "type": "organization",
                "organization_id": self.organisation.id,
            }
        else:
            reviewer = account(f"user-{identity}", identity, self.base, "User")
        return {"type": said["type"], "reviewer": reviewer}

    # Subjects of OpenID Connect tokens

    def organisation_template(self, _: Asked) -> Told:
        """Tell the organisation's template, which is for repositories that have taken it only."""
        return Told(
            {"include_claim_keys": list(self.template), "use_immutable_subject": self.immutable}
        )

    def set_organisation_template(self, asked: Asked) -> Told:
        """Set the organisation's template."""
        said = asked.request.said()
        with self._lock:
            if "include_claim_keys" in said:
                self.template = _claims(said["include_claim_keys"])
            if "use_immutable_subject" in said:
                self.immutable = _flag(said["use_immutable_subject"], "use_immutable_subject")
        return Told({}, 201)

    def subject(self, asked: Asked) -> Told:
        """Tell the repository's template; one that nobody has set is the default."""
        held = self._subjects.get(asked.repository.id, {"use_default": True})
        return Told({**held, "sub_claim_prefix": self._prefix(asked.repository, held)})

    def set_subject(self, asked: Asked) -> Told:
        """Set whether the repository takes a template, and which."""
        said = asked.request.said()
        held: Document = {"use_default": _flag(said.get("use_default"), "use_default")}
        if not held["use_default"] and said.get("include_claim_keys") is not None:
            held["include_claim_keys"] = list(_claims(said["include_claim_keys"]))
        if "use_immutable_subject" in said:
            held["use_immutable_subject"] = _flag(
                said["use_immutable_subject"], "use_immutable_subject"
            )
        with self._lock:
            self._subjects[asked.repository.id] = held
        return Told({}, 201)

    def _prefix(self, repository: Repository, held: Document) -> str:
        owner = self.organisation
        if held.get("use_immutable_subject", self.immutable):
            return f"repo:{owner.login}@{owner.id}/{repository.name}@{repository.id}"
        return f"repo:{owner.login}/{repository.name}"


def _named(name: Any) -> str:  # noqa: ANN401 - JSON
    """Return a variable's name as GitHub keeps it ("Variables reference", naming conventions)."""
    if not isinstance(name, str) or not name:
        raise invalid("Variable name is required.")
    if not _NAME.fullmatch(name):
        raise invalid(
            "Variable names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or "
            "underscores (_). Spaces are not allowed, and they must not start with a number."
        )
    if name.upper().startswith("GITHUB_"):
        raise invalid("Variable names must not start with GITHUB_.")
    return name.upper()


def _valued(value: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, str):
        raise invalid("Variable value is required.")
    if len(value.encode()) > LONGEST_VALUE:
        raise invalid("Variable value exceeds the maximum size of 48 KB.")
    return value


def _variable(name: str, value: str) -> Document:
    return {"name": name, "value": value, "created_at": _AT, "updated_at": _AT}


def _claims(keys: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON
    if (
        not isinstance(keys, list)
        or not keys
        or not all(isinstance(key, str) and _CLAIM.fullmatch(key) for key in keys)
        or len(set(keys)) != len(keys)
    ):
        raise invalid("include_claim_keys is a list of different claim keys")
    if unknown := sorted(set(keys) - CLAIMS):
        raise invalid(f"Invalid claim keys: {', '.join(unknown)}")
    return tuple(keys)


def _flag(value: Any, key: str) -> bool:  # noqa: ANN401 - JSON
    if not isinstance(value, bool):
        raise invalid(f"{key} is true or false")
    return value


_VARIABLE = r"(?P<name>[^/]+)"
_ENVIRONMENT = r"/environments/(?P<environment>[^/]+)"


def of_repositories(actions: Actions) -> tuple[Endpoint, ...]:
    """Return the endpoints of a repository."""
    variables, one = "/actions/variables", f"/actions/variables/{_VARIABLE}"
    inside, inner = f"{_ENVIRONMENT}/variables", f"{_ENVIRONMENT}/variables/{_VARIABLE}"
    branches = f"{_ENVIRONMENT}/deployment-branch-policies"
    subject = "/actions/oidc/customization/sub"
    read, write = _ENVIRONMENT_VARIABLES_READ, _ENVIRONMENT_VARIABLES_WRITE
    return (
        Endpoint("GET", variables, actions.variables, _VARIABLES_READ),
        Endpoint("POST", variables, actions.new_variable, _VARIABLES_WRITE),
        Endpoint("GET", one, actions.variable, _VARIABLES_READ),
        Endpoint("PATCH", one, actions.change_variable, _VARIABLES_WRITE),
        Endpoint("DELETE", one, actions.end_variable, _VARIABLES_WRITE),
        Endpoint("GET", "/environments", actions.environments, _ENVIRONMENTS_READ),
        Endpoint("GET", _ENVIRONMENT, actions.environment, _ENVIRONMENTS_READ),
        Endpoint("PUT", _ENVIRONMENT, actions.set_environment, _ENVIRONMENTS_WRITE),
        Endpoint("DELETE", _ENVIRONMENT, actions.end_environment, _ENVIRONMENTS_WRITE),
        Endpoint("GET", branches, actions.branch_policies, _ENVIRONMENTS_READ),
        Endpoint("POST", branches, actions.new_branch_policy, _ENVIRONMENTS_WRITE),
        Endpoint("GET", inside, actions.variables, read),
        Endpoint("POST", inside, actions.new_variable, write),
        Endpoint("GET", inner, actions.variable, read),
        Endpoint("PATCH", inner, actions.change_variable, write),
        Endpoint("DELETE", inner, actions.end_variable, write),
        Endpoint("GET", subject, actions.subject, _SUBJECT_READ),
        Endpoint("PUT", subject, actions.set_subject, _SUBJECT_WRITE),
    )


def of_organisation(actions: Actions) -> tuple[Endpoint, ...]:
    """Return the endpoints of the organisation."""
    template = "/actions/oidc/customization/sub"
    return (
        Endpoint("GET", template, actions.organisation_template, _TEMPLATE_READ),
        Endpoint("PUT", template, actions.set_organisation_template, _TEMPLATE_WRITE),
    )
