"""What a program writes to the embedded GitHub of repositories: they themselves and their settings.

Owns the endpoints that change a repository, and what the model does not hold: its settings, by its id.
Only what GitHub's own provider sends is taken. Never decides who may see a repository: see ``api``.

Source, at docs.github.com: "REST API endpoints for repositories".
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.github.exchange import Document, RefusedError, Request
from sandbox.github.tokens import Need

if TYPE_CHECKING:
    from sandbox.github.organisation import Organisation, Repository

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

CREATE_PUBLIC = Need("administration", "write", ("public_repo", "repo"))
CREATE_PRIVATE = Need("administration", "write", ("repo",))
UPDATE = Need("administration", "write", ("public_repo", "repo"))
DELETE = Need("administration", "write", ("delete_repo",))

_FACTS = ("visibility", "description", "archived", "is_template")


@dataclass
class Writing:
    """The changes and what came of them. Safe in many threads."""

    organisation: Organisation
    _settings: dict[int, Document] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def settings(self, repository: Repository) -> Document:
        """Return what was set of a repository that was made here; of others nothing."""
        with self._lock:
            return dict(self._settings.get(repository.id, {}))

    def create(self, said: Document) -> Repository:
        """Create a repository."""
        facts = {key: said[key] for key in _FACTS if said.get(key) is not None}
        if said.get("private") and "visibility" not in facts:
            facts["visibility"] = "private"
        repository = self.organisation.add(str(said.get("name")), **facts)
        self._set(repository, {**DEFAULTS, **said})
        return repository

    def update(self, repository: Repository, request: Request) -> Repository:
        """Change a repository's facts, settings or name. One that is archived has to be unarchived."""
        said = request.said()
        if repository.archived and said.get("archived") is not False:
            raise RefusedError(403, "Repository was archived so is read-only.")
        name = str(said.get("name") or repository.name)
        if name != repository.name:
            repository = self.organisation.rename(repository.name, name)
        facts = {key: said[key] for key in _FACTS if said.get(key) is not None}
        if facts:
            repository = self.organisation.describe(name, **facts)
        self._set(repository, {**DEFAULTS, **self.settings(repository), **said})
        return repository

    def delete(self, repository: Repository) -> None:
        """Delete a repository, archived or not."""
        self.organisation.delete(repository.name)
        with self._lock:
            self._settings.pop(repository.id, None)

    def _set(self, repository: Repository, said: Document) -> None:
        with self._lock:
            self._settings[repository.id] = {key: said[key] for key in DEFAULTS}
