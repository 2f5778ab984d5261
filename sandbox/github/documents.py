"""The JSON documents of GitHub's REST API, in the shape of GitHub's published schema.

Owns the fields; the tests hold them against the schema. Reads the model. Never decides who may see
what: callers pass only what their reader may see.
"""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.github.organisation import Organisation, Repository

Document = dict[str, Any]

DOCS = "https://docs.github.com/rest"

_REPOSITORY_LINKS = {
    "url": "",
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}


def repository_row(
    organisation: Organisation, repository: Repository, base: str, *, admin: bool
) -> Document:
    """Return the row of a listing (schema: minimal-repository).

    ``base`` is the site's URL with its closing slash; ``admin`` adds what only members are told.
    """
    login = repository.other_owner or organisation.login
    full_name = f"{login}/{repository.name}"
    api = f"{base}api/v3/repos/{full_name}"
    site = f"{base}{full_name}"
    row: Document = {
        "id": repository.id,
        "node_id": _node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": full_name,
        "private": repository.private,
        "owner": account(
            login,
            organisation.id + bool(repository.other_owner),
            base,
            "User" if repository.other_owner else "Organization",
        ),
        "html_url": site,
        "description": repository.description,
        "fork": repository.fork,
        **{field: api + path for field, path in _REPOSITORY_LINKS.items()},
        "git_url": f"git:{site.partition(':')[2]}.git",
        "ssh_url": f"git@{base.split('/')[2].partition(':')[0]}:{full_name}.git",
        "clone_url": f"{site}.git",
        "svn_url": site,
        "mirror_url": None,
        "homepage": None,
        "created_at": _time(repository.created_at),
        "updated_at": _time(repository.updated_at),
        "pushed_at": _time(repository.pushed_at),
        "size": 128,
        "language": repository.language,
        "has_issues": not repository.archived,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "archived": repository.archived,
        "disabled": False,
        "license": None,
        "allow_forking": True,
        "is_template": repository.is_template,
        "web_commit_signoff_required": False,
        "topics": list(repository.topics),
        "visibility": repository.visibility,
        "default_branch": repository.default_branch,
        "custom_properties": dict(repository.properties),
        **dict.fromkeys(("forks_count", "stargazers_count", "watchers_count"), 0),
        **dict.fromkeys(("forks", "open_issues_count", "open_issues", "watchers"), 0),
    }
    if admin:
        row["permissions"] = dict.fromkeys(("admin", "maintain", "push", "triage", "pull"), True)
    return row


def repository(
    organisation: Organisation, repository: Repository, base: str, *, admin: bool
) -> Document:
    """Return a repository by itself (schema: full-repository)."""
    row = repository_row(organisation, repository, base, admin=admin)
    if not repository.other_owner:
        row["organization"] = row["owner"]
    return {**row, "network_count": 0, "subscribers_count": 0}


def tree(organisation: Organisation, repository: Repository, base: str) -> Document:
    """Return every file of the default branch (schema: git-tree)."""
    url = f"{base}api/v3/repos/{organisation.login}/{repository.name}/git"
    files = [
        {
            "path": path,
            "mode": "100644",
            "type": "blob",
            "sha": _sha(path),
            "size": len(path),
            "url": f"{url}/blobs/{_sha(path)}",
        }
        for path in repository.files
    ]
    sha = _sha(*repository.files)
    return {"sha": sha, "url": f"{url}/trees/{sha}", "tree": files, "truncated": False}


def _sha(*texts: str) -> str:
    return sha256("\n".join(texts).encode()).hexdigest()[:40]


def organization(organisation: Organisation, base: str, *, counts: bool) -> Document:
    """Return the organisation (schema: organization-full); ``counts`` adds what owners are told."""
    private = organisation.counts()[True]
    api = f"{base}api/v3/orgs/{organisation.login}"
    document: Document = {
        "login": organisation.login,
        "id": organisation.id,
        "node_id": _node_id("Organization", organisation.id),
        "url": api,
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events",
        "hooks_url": f"{api}/hooks",
        "issues_url": f"{api}/issues",
        "members_url": f"{api}/members{{/member}}",
        "public_members_url": f"{api}/public_members{{/member}}",
        "avatar_url": f"{base}avatars/u/{organisation.id}",
        "description": None,
        "name": organisation.login,
        "is_verified": False,
        "has_organization_projects": True,
        "has_repository_projects": True,
        "public_repos": organisation.counts()[False],
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "html_url": f"{base}{organisation.login}",
        "created_at": _time(organisation.created_at),
        "updated_at": _time(organisation.created_at),
        "archived_at": None,
        "type": "Organization",
    }
    if counts:
        document |= {
            "total_private_repos": private,
            "owned_private_repos": private,
            "private_gists": 0,
            "plan": {
                "name": "enterprise",
                "space": 976_562_499,
                "private_repos": 999_999,
                "filled_seats": 1,
                "seats": 10,
            },
        }
    return document


def organization_row(organisation: Organisation, base: str) -> Document:
    """Return the organisation as an event holds it (schema: organization-simple-webhooks)."""
    whole = organization(organisation, base, counts=False)
    keys = ("login", "id", "node_id", "url", "repos_url", "events_url", "hooks_url", "issues_url")
    more = ("members_url", "public_members_url", "avatar_url", "description")
    return {key: whole[key] for key in (*keys, *more)}


def user(organisation: Organisation, base: str) -> Document:
    """Return the account that every accepted token belongs to (schema: public-user)."""
    return {
        **account("sandbox-user", organisation.id + 2, base, "User"),
        **dict.fromkeys(("name", "company", "location", "email", "hireable", "bio")),
        "blog": "",
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0),
        "created_at": _time(organisation.created_at),
        "updated_at": _time(organisation.created_at),
    }


def rate_limit(*, limit: int, used: int, remaining: int, reset: int) -> Document:
    """Return the state of the rate limits (schema: rate-limit-overview)."""
    core = {"limit": limit, "used": used, "remaining": remaining, "reset": reset}
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": reset}
    return {"resources": {"core": core, "search": search}, "rate": core}


def error(status: int, message: str, documentation: str = DOCS) -> Document:
    """Return the body of a refusal (schema: basic-error)."""
    return {"message": message, "documentation_url": documentation, "status": str(status)}


def account(login: str, identity: int, base: str, kind: str) -> Document:
    """Return a user or an organisation as other documents hold it (schema: simple-user)."""
    api = f"{base}api/v3/users/{login}"
    return {
        "login": login,
        "id": identity,
        "node_id": _node_id(kind, identity),
        "avatar_url": f"{base}avatars/u/{identity}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{base}{login}",
        **{field: api + path for field, path in _USER_LINKS.items()},
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def _node_id(kind: str, identity: int) -> str:
    return base64.b64encode(f"{len(kind):02}:{kind}{identity}".encode()).decode()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
