"""What a program writes to the embedded GitHub: repositories, their settings, their variables.

Owns the endpoints that change something, and what the model does not hold: a repository's settings
and its Actions variables, by its id. Only what GitHub's own provider sends is taken. Never decides
who may see a repository: see ``api``.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any

from sandbox.github.organisation import Organisation, OrganisationError, Repository

Document = dict[str, Any]

DEFAULTS: Document = {
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_downloads": True,
    "has_discussions": False,
    "homepage": None,
    "allow_merge_commit": True,
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "allow_forking": True,
    "delete_branch_on_merge": False,
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "merge_commit_title": "MERGE_MESSAGE",
    "merge_commit_message": "PR_TITLE",
    "web_commit_signoff_required": False,
}
"""A new repository's settings (GitHub REST API, "Create an organization repository")."""

_FACTS = ("visibility", "description", "archived", "is_template")
_VARIABLE = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*")
_WRITTEN_AT = "2026-11-22T00:00:00Z"


@dataclass
class Writing:
    """The changes and what came of them. Safe in many threads."""

    organisation: Organisation
    _settings: dict[int, Document] = field(default_factory=dict)
    _variables: dict[int, dict[str, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, repository: Repository) -> Document:
        """Return what was set of a repository that was made here; of others nothing."""
        with self._lock:
            return dict(self._settings.get(repository.id, {}))

    def variable(self, repository: Repository, name: str) -> Document | None:
        """Return a variable (schema: actions-variable)."""
        with self._lock:
            value = self._variables.get(repository.id, {}).get(name.upper())
        if value is None:
            return None
        times = {"created_at": _WRITTEN_AT, "updated_at": _WRITTEN_AT}
        return {"name": name.upper(), "value": value, **times}

    def create(self, body: bytes) -> Repository:
        """Create a repository."""
        said = _said(body)
        facts = {key: said[key] for key in _FACTS if said.get(key) is not None}
        if said.get("private") and "visibility" not in facts:
            facts["visibility"] = "private"
        repository = self.organisation.add(str(said.get("name")), **facts)
        self._set(repository, {**DEFAULTS, **said})
        return repository

    def update(self, repository: Repository, body: bytes) -> Repository:
        """Change a repository's facts, settings or name."""
        said = _said(body)
        name = str(said.get("name") or repository.name)
        if name != repository.name:
            repository = self.organisation.rename(repository.name, name)
        facts = {key: said[key] for key in _FACTS if said.get(key) is not None}
        if facts:
            repository = self.organisation.describe(name, **facts)
        self._set(repository, {**DEFAULTS, **self.settings(repository), **said})
        return repository

    def delete(self, repository: Repository) -> None:
        """Delete a repository, with its variables."""
        self.organisation.delete(repository.name)
        with self._lock:
            self._settings.pop(repository.id, None)
            self._variables.pop(repository.id, None)

    def set_variable(self, repository: Repository, name: str | None, body: bytes) -> None:
        """Create a variable, or change the one of this name."""
        said = _said(body)
        key = (name or str(said.get("name"))).upper()
        if not _VARIABLE.fullmatch(key) or not isinstance(said.get("value"), str):
            raise OrganisationError(f"{key!r} is no variable with a text for a value.")
        with self._lock:
            held = self._variables.setdefault(repository.id, {})
            if name is None and key in held:
                raise OrganisationError("Already exists - Variable already exists.")
            held[key] = said["value"]

    def delete_variable(self, repository: Repository, name: str) -> None:
        """Delete a variable."""
        with self._lock:
            self._variables.get(repository.id, {}).pop(name.upper(), None)

    def _set(self, repository: Repository, said: Document) -> None:
        with self._lock:
            self._settings[repository.id] = {key: said[key] for key in DEFAULTS}


def _said(body: bytes) -> Document:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise OrganisationError("Problems parsing JSON.")
    return said


def change_variable(
    writing: Writing, method: str, repository: Repository, name: str | None, body: bytes
) -> bool:
    """Make a change of a variable; False where there is none of this name."""
    if name is not None and writing.variable(repository, name) is None:
        return False
    if method == "DELETE" and name is not None:
        writing.delete_variable(repository, name)
    else:
        writing.set_variable(repository, name, body)
    return True
