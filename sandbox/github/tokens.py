"""The kinds of tokens that GitHub takes, and what each of them may see and change.

Owns the tokens' scopes, permissions and repositories. Reads nothing of the model but a repository's
visibility and id. Never speaks HTTP: ``api`` asks these tokens.

Sources, at docs.github.com: "Scopes for OAuth apps"; "Permissions required for fine-grained personal
access tokens"; "Permissions required for GitHub Apps"; "Use GITHUB_TOKEN for authentication in
workflows"; "Authorizing a personal access token for use with single sign-on".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandbox.github.organisation import Repository

Level = Literal["read", "write"]
Kind = Literal["anonymous", "classic", "fine-grained", "installation", "workflow"]

WORKFLOW_PERMISSIONS = frozenset(
    {
        "actions",
        "attestations",
        "checks",
        "contents",
        "deployments",
        "discussions",
        "id_token",
        "issues",
        "metadata",
        "models",
        "packages",
        "pages",
        "pull_requests",
        "security_events",
        "statuses",
    }
)
"""What a workflow may ask for its own token ("Workflow syntax", ``permissions``): no variables, no
administration, and nothing of the organisation."""

_IMPLIED = {
    "admin:org": ("write:org", "read:org"),
    "write:org": ("read:org",),
    "repo": ("public_repo",),
}
"""Scopes that hold others ("Scopes for OAuth apps")."""


@dataclass(frozen=True)
class Need:
    """What an endpoint asks of a token: one of the scopes, or the permission at its level."""

    permission: str
    level: Level
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Token:
    """A token: its kind, and what it may read and change.

    ``scopes`` are a classic token's. ``permissions`` are those of the other kinds, which can always read
    metadata. ``repositories`` are the ids of the selected repositories, and None where all are;
    public ones are seen in either case. ``owner`` says that the account behind it is an owner of the
    organisation; ``authorised`` that a classic token is authorised for its single sign-on.
    """

    value: str
    kind: Kind
    scopes: tuple[str, ...] = ()
    permissions: Mapping[str, Level] = field(default_factory=dict)
    repositories: frozenset[int] | None = None
    owner: bool = False
    authorised: bool = True

    def __post_init__(self) -> None:
        beyond = set(self.permissions) - WORKFLOW_PERMISSIONS
        if self.kind == "workflow" and beyond:
            raise ValueError(
                f"A workflow's token has no permission {min(beyond)}; GitHub knows "
                f"{', '.join(sorted(WORKFLOW_PERMISSIONS))}."
            )

    @property
    def installed(self) -> bool:
        """Whether it is an app's installation's; a workflow's own token is one."""
        return self.kind in {"installation", "workflow"}

    @property
    def counts(self) -> bool:
        """Whether it is told how many private repositories there are ("Get an organization")."""
        reads = "admin:org" in self.scopes or "organization_administration" in self.permissions
        return self.owner and reads

    @property
    def reads_properties(self) -> bool:
        """Whether a listing tells it the custom properties."""
        named = {"organization_custom_properties", "repository_custom_properties"}
        return self.kind in {"anonymous", "classic"} or not named.isdisjoint(self.permissions)

    @property
    def reaches_all(self) -> bool:
        """Whether no repository of the organisation is hidden from it."""
        if self.kind == "classic":
            return "repo" in self.scopes
        return self.kind != "anonymous" and self.repositories is None

    def sees(self, repository: Repository) -> bool:
        """Whether it may know of a repository."""
        if not repository.private:
            return True
        # Another owner's private repositories are hidden from every token that the sandbox knows.
        return not repository.other_owner and self.reaches(repository)

    def reaches(self, repository: Repository) -> bool:
        """Whether a repository is within what the token was given, public or not."""
        if self.kind == "anonymous":
            return False
        if self.kind == "classic":
            return "repo" in self.scopes or (
                not repository.private and "public_repo" in self.scopes
            )
        return self.repositories is None or repository.id in self.repositories

    def may(self, need: Need, repository: Repository | None = None) -> bool:
        """Whether it may use an endpoint, of a repository or of the organisation."""
        if repository is not None and not self.reaches(repository):
            return False
        if self.kind == "classic":
            return not self.held.isdisjoint(need.scopes)
        given = self.permissions.get(need.permission)
        return given == "write" or (given == "read" and need.level == "read")

    @property
    def held(self) -> frozenset[str]:
        """A classic token's scopes, with those that they hold."""
        return frozenset(
            each for scope in self.scopes for each in (scope, *_IMPLIED.get(scope, ()))
        )

    @property
    def told(self) -> str | None:
        """The header X-OAuth-Scopes, which the other kinds do not get."""
        return ", ".join(self.scopes) if self.kind == "classic" else None


def classic(value: str, *scopes: str, owner: bool = False, authorised: bool = True) -> Token:
    """Return a classic personal access token."""
    return Token(value, "classic", scopes=scopes, owner=owner, authorised=authorised)


def fine_grained(
    value: str,
    repositories: Iterable[Repository] | None = None,
    *,
    owner: bool = False,
    **permissions: Level,
) -> Token:
    """Return a fine-grained token of the organisation, for all repositories or the selected ones."""
    return Token(
        value, "fine-grained", permissions=permissions, repositories=_ids(repositories), owner=owner
    )


def installation(
    value: str, repositories: Iterable[Repository] | None = None, **permissions: Level
) -> Token:
    """Return the token of an app that is installed on all repositories or on selected ones."""
    return Token(value, "installation", permissions=permissions, repositories=_ids(repositories))


def workflow(value: str, repository: Repository, **permissions: Level) -> Token:
    """Return a workflow's own token: that of an app which is installed on one repository."""
    given: dict[str, Level] = {"contents": "read", **permissions}
    return Token(value, "workflow", permissions=given, repositories=frozenset({repository.id}))


def _ids(repositories: Iterable[Repository] | None) -> frozenset[int] | None:
    return None if repositories is None else frozenset(each.id for each in repositories)


CLASSIC = classic(
    "ghp_sandboxClassic", "admin:org", "admin:org_hook", "delete_repo", "repo", owner=True
)
MEMBER = classic("ghp_sandboxMember", "read:org", "repo")
REPO_ONLY = classic("ghp_sandboxRepoOnly", "repo")
PUBLIC_ONLY = classic("ghp_sandboxPublicOnly", "public_repo")
UNAUTHORISED = classic("ghp_sandboxUnauthorised", "read:org", "repo", authorised=False)
FINE_GRAINED = fine_grained(
    "github_pat_sandbox",
    owner=True,
    actions="read",
    contents="read",
    actions_variables="write",
    organization_administration="read",
    organization_custom_properties="read",
)
FINE_GRAINED_PUBLIC = fine_grained(
    "github_pat_sandboxPublic", (), organization_custom_properties="read"
)
APP = installation(
    "ghs_sandboxApp",
    actions="read",
    contents="read",
    actions_variables="write",
    organization_administration="read",
    organization_custom_properties="read",
)
TOKENS = (
    CLASSIC,
    MEMBER,
    REPO_ONLY,
    PUBLIC_ONLY,
    UNAUTHORISED,
    FINE_GRAINED,
    FINE_GRAINED_PUBLIC,
    APP,
)
ANONYMOUS = Token("", "anonymous")
