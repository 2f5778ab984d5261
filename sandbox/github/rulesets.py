"""Rulesets of the embedded GitHub, of a repository and of the organisation.

Owns the rulesets. They are kept and told, and enforced upon nothing: no branch is pushed to here. Never
decides who may ask: see ``api``.

Source, at docs.github.com: "REST API endpoints for rules" of repositories and of organisations.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.github.exchange import Asked, Document, Endpoint, Told, invalid, missing, paged
from sandbox.github.tokens import Need

if TYPE_CHECKING:
    from sandbox.github.organisation import Organisation

RULES = frozenset(
    {
        "branch_name_pattern",
        "code_scanning",
        "commit_author_email_pattern",
        "commit_message_pattern",
        "committer_email_pattern",
        "copilot_code_review",
        "creation",
        "deletion",
        "file_extension_restriction",
        "file_path_restriction",
        "max_file_path_length",
        "max_file_size",
        "merge_queue",
        "non_fast_forward",
        "pull_request",
        "required_deployments",
        "required_linear_history",
        "required_signatures",
        "required_status_checks",
        "tag_name_pattern",
        "update",
        "workflows",
    }
)
"""The kinds of rules ("Create a repository ruleset", ``rules``)."""

_READ = Need("metadata", "read", ("repo",))
_WRITE = Need("administration", "write", ("repo",))
_ADMIN = Need("organization_administration", "write", ("admin:org",))
_AT = "2026-11-22T00:00:00Z"


@dataclass
class Rulesets:
    """The rulesets, and the endpoints that keep them. Safe in many threads."""

    organisation: Organisation
    base: str
    _held: dict[int, dict[int, Document]] = field(default_factory=lambda: defaultdict(dict))
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(900_001))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def every(self, asked: Asked) -> Told:
        """List the rulesets, without their rules."""
        rows = [
            {key: row[key] for key in row if key not in {"rules", "conditions", "bypass_actors"}}
            for row in self._of(asked).values()
        ]
        return Told(paged(asked.request, rows))

    def one(self, asked: Asked, ruleset: str) -> Told:
        """Tell one ruleset."""
        return Told(self._one(asked, ruleset))

    def new(self, asked: Asked) -> Told:
        """Create a ruleset. A name is given once."""
        with self._lock:
            document = self._checked(asked, asked.request.said(), next(self._ids))
            self._of(asked)[document["id"]] = document
        return Told(document, 201)

    def change(self, asked: Asked, ruleset: str) -> Told:
        """Change what the body says of a ruleset, and keep the rest."""
        with self._lock:
            held = self._one(asked, ruleset)
            document = self._checked(asked, {**held, **asked.request.said()}, held["id"])
            self._of(asked)[held["id"]] = document
        return Told(document)

    def end(self, asked: Asked, ruleset: str) -> Told:
        """Delete a ruleset."""
        with self._lock:
            del self._of(asked)[self._one(asked, ruleset)["id"]]
        return Told(None, 204)

    def _of(self, asked: Asked) -> dict[int, Document]:
        return self._held[asked.about.id if asked.about else self.organisation.id]

    def _one(self, asked: Asked, ruleset: str) -> Document:
        held = self._of(asked).get(int(ruleset))
        if held is None:
            raise missing()
        return held

    def _checked(self, asked: Asked, said: Document, identity: int) -> Document:
        repository = asked.about
        targets = {"branch", "tag", "push"} | (set() if repository else {"repository"})
        name, rules = said.get("name"), said.get("rules", [])
        others = (row for row in self._of(asked).values() if row["id"] != identity)
        checks = (
            (isinstance(name, str) and bool(name), "name is missing"),
            (said.get("target", "branch") in targets, "target is invalid"),
            (
                said.get("enforcement") in {"disabled", "active", "evaluate"},
                "enforcement is disabled, active or evaluate",
            ),
            (_rules(rules), "rules have a type that there is"),
            (_conditions(said.get("conditions")), "ref_name has include and exclude"),
            (name not in {row["name"] for row in others}, "Name must be unique"),
        )
        for holds, why in checks:
            if not holds:
                raise invalid(f"Validation Failed: {why}")
        owner = self.organisation.login
        source = f"{owner}/{repository.name}" if repository else owner
        kind = "repos" if repository else "orgs"
        return {
            "id": identity,
            "name": name,
            "target": said.get("target", "branch"),
            "source_type": "Repository" if repository else "Organization",
            "source": source,
            "enforcement": said["enforcement"],
            "bypass_actors": said.get("bypass_actors", []),
            "node_id": f"RRS_{identity}",
            "_links": {
                "self": {"href": f"{self.base}api/v3/{kind}/{source}/rulesets/{identity}"},
                "html": {"href": f"{self.base}{source}/rules/{identity}"},
            },
            "conditions": said.get("conditions"),
            "rules": rules,
            "created_at": _AT,
            "updated_at": _AT,
        }


def _rules(rules: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(rules, list) and all(
        isinstance(rule, dict) and rule.get("type") in RULES for rule in rules
    )


def _conditions(conditions: Any) -> bool:  # noqa: ANN401 - JSON
    if conditions is None:
        return True
    named = conditions.get("ref_name", {}) if isinstance(conditions, dict) else None
    return isinstance(named, dict) and all(
        isinstance(each, list) and all(isinstance(pattern, str) for pattern in each)
        for each in named.values()
    )


def of_repositories(rulesets: Rulesets) -> tuple[Endpoint, ...]:
    """Return the endpoints of a repository."""
    return _endpoints(rulesets, _READ, _WRITE)


def of_organisation(rulesets: Rulesets) -> tuple[Endpoint, ...]:
    """Return the endpoints of the organisation, which administrators only may use."""
    return _endpoints(rulesets, _ADMIN, _ADMIN)


def _endpoints(rulesets: Rulesets, read: Need, write: Need) -> tuple[Endpoint, ...]:
    every, one = "/rulesets", r"/rulesets/(?P<ruleset>[0-9]+)"
    return (
        Endpoint("GET", every, rulesets.every, read),
        Endpoint("POST", every, rulesets.new, write),
        Endpoint("GET", one, rulesets.one, read),
        Endpoint("PUT", one, rulesets.change, write),
        Endpoint("DELETE", one, rulesets.end, write),
    )
