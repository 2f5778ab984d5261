"""What the embedded GitHub enforces, rule by rule, each with its page and a try to break it.

Owns the table and the organisation on which each try is made, anew for every rule. A try says whether
GitHub's answer held the rule. Reads nothing but loopback.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sandbox.citations import CitedPage
from sandbox.github.organisation import Organisation
from sandbox.github.server import EmbeddedGitHub
from sandbox.github.tokens import (
    APP,
    CLASSIC,
    FINE_GRAINED,
    MEMBER,
    PUBLIC_ONLY,
    REPO_ONLY,
    UNAUTHORISED,
    Token,
    workflow,
)

_DOCS = "https://docs.github.com/"

Answer = tuple[int, Any, Mapping[str, str]]
"""A status, what the body says, and the headers by their names in lower case."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks the embedded GitHub of the organisation Acme-Corp."""

    github: EmbeddedGitHub

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: Token = CLASSIC,
        host: str | None = None,
    ) -> Answer:
        """Ask; a ``host`` is one that stands in front of the API, which then has no prefix."""
        headers = {"Authorization": f"Bearer {token.value}"} if token.value else {}
        if host:
            headers["Host"] = host
        prefix = "" if host else "/api/v3"
        with closing(http.client.HTTPConnection(urlsplit(self.github.url).netloc)) as connection:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"{prefix}{path}", sent, headers)
            with closing(connection.getresponse()) as response:
                text = response.read()
                told = {name.lower(): value for name, value in response.getheaders()}
                return response.status, json.loads(text) if text else None, told

    def status(self, method: str, path: str, body: object = None, *, token: Token = CLASSIC) -> int:
        """Return the status of an answer."""
        return self.ask(method, path, body, token=token)[0]

    def names(self, token: Token) -> set[str]:
        """Return the names of the repositories that a token sees listed."""
        return {row["name"] for row in self.ask("GET", "/orgs/acme-corp/repos", token=token)[1]}

    def id(self, name: str) -> int:
        """Return a repository's id."""
        return self.github.organisation.get(name).id

    def issued(self, kind: Any, names: list[str] | None = None, **permissions: Any) -> Token:  # noqa: ANN401 - words of a Literal
        """Return a token of a kind for these repositories."""
        return self.github.issue(kind, repositories=names, permissions=permissions)


class Page(CitedPage):
    """A page of docs.github.com."""

    ADDRESSES = (
        "Getting started with the REST API",
        f"{_DOCS}rest/using-the-rest-api/getting-started-with-the-rest-api",
    )
    ADVISORIES = (
        "Collaborating in a temporary private fork to resolve a repository security vulnerability",
        f"{_DOCS}code-security/security-advisories/working-with-repository-security-advisories/collaborating-in-a-temporary-private-fork-to-resolve-a-repository-security-vulnerability",
    )
    APPS = (
        "Permissions required for GitHub Apps",
        f"{_DOCS}rest/authentication/permissions-required-for-github-apps",
    )
    ARCHIVING = (
        "Archiving repositories",
        f"{_DOCS}repositories/archiving-a-github-repository/archiving-repositories",
    )
    AUTHENTICATION = (
        "Authenticating to the REST API",
        f"{_DOCS}rest/authentication/authenticating-to-the-rest-api",
    )
    CREATION = (
        "Create an organization repository",
        f"{_DOCS}rest/repos/repos#create-an-organization-repository",
    )
    DELETION = ("Delete a repository", f"{_DOCS}rest/repos/repos#delete-a-repository")
    DISPATCHES = (
        "Create a repository dispatch event",
        f"{_DOCS}rest/repos/repos#create-a-repository-dispatch-event",
    )
    ENVIRONMENTS = (
        "Create or update an environment",
        f"{_DOCS}rest/deployments/environments#create-or-update-an-environment",
    )
    EVENTS = ("Webhook events and payloads", f"{_DOCS}webhooks/webhook-events-and-payloads")
    FAILED_DELIVERIES = (
        "Handling failed webhook deliveries",
        f"{_DOCS}webhooks/using-webhooks/handling-failed-webhook-deliveries",
    )
    HOOKS = ("REST API endpoints for organization webhooks", f"{_DOCS}rest/orgs/webhooks")
    INSTALLATION = (
        "List repositories accessible to the app installation",
        f"{_DOCS}rest/apps/installations#list-repositories-accessible-to-the-app-installation",
    )
    INSTALLED = (
        "Reviewing and modifying installed GitHub Apps",
        f"{_DOCS}apps/using-github-apps/reviewing-and-modifying-installed-github-apps",
    )
    ORGANISATION = ("Get an organization", f"{_DOCS}rest/orgs/orgs#get-an-organization")
    OWN_TOKEN = ("GITHUB_TOKEN", f"{_DOCS}actions/concepts/security/github_token")
    PERSONAL = (
        "Managing your personal access tokens",
        f"{_DOCS}authentication/keeping-your-account-and-data-secure/managing-your-personal-access-tokens",
    )
    REDIRECTS = (
        "Best practices for using the REST API",
        f"{_DOCS}rest/using-the-rest-api/best-practices-for-using-the-rest-api",
    )
    RESIDENCY = (
        "Network details for GHE.com",
        f"{_DOCS}enterprise-cloud@latest/admin/data-residency/network-details-for-ghecom",
    )
    RULESETS = ("REST API endpoints for rules", f"{_DOCS}rest/repos/rules")
    SCOPES = (
        "Scopes for OAuth apps",
        f"{_DOCS}apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps",
    )
    SUBJECTS = ("OpenID Connect reference", f"{_DOCS}actions/reference/security/oidc")
    SUBJECT_API = ("REST API endpoints for GitHub Actions OIDC", f"{_DOCS}rest/actions/oidc")
    TOKENS = (
        "Permissions required for fine-grained personal access tokens",
        f"{_DOCS}rest/authentication/permissions-required-for-fine-grained-personal-access-tokens",
    )
    TROUBLE = (
        "Troubleshooting the REST API",
        f"{_DOCS}rest/using-the-rest-api/troubleshooting-the-rest-api",
    )
    VARIABLES = ("Variables reference", f"{_DOCS}actions/reference/workflows-and-actions/variables")
    VARIABLE_API = (
        "REST API endpoints for GitHub Actions variables",
        f"{_DOCS}rest/actions/variables",
    )
    VARIABLE_CREATION = (
        "Create a repository variable",
        f"{_DOCS}rest/actions/variables#create-a-repository-variable",
    )
    VARIABLE_LISTING = (
        "List repository variables",
        f"{_DOCS}rest/actions/variables#list-repository-variables",
    )
    VARIABLE_UPDATE = (
        "Update a repository variable",
        f"{_DOCS}rest/actions/variables#update-a-repository-variable",
    )
    WORKFLOWS = (
        "Workflow syntax for GitHub Actions",
        f"{_DOCS}actions/reference/workflows-and-actions/workflow-syntax#permissions",
    )


@dataclass(frozen=True)
class Rule:
    """A rule: what GitHub does, its page, and a try to break it that says whether it held."""

    identifier: str
    says: str
    page: Page
    held: Callable[[Visitor], bool]


def visited() -> EmbeddedGitHub:
    """Return the GitHub on which a rule is tried, to be entered."""
    organisation = Organisation("Acme-Corp")
    organisation.add("open")
    organisation.add("closed", visibility="private")
    organisation.add("inside", visibility="internal")
    organisation.add("old", visibility="private", archived=True)
    return EmbeddedGitHub(organisation)


def tried(rule: Rule) -> str:
    """Try to break a rule on an organisation of its own; return what was seen, empty where it holds."""
    with visited() as github:
        visitor = Visitor(github)
        if rule.held(visitor):
            return ""
        return "; ".join(
            f"{call['method']} {call['path']}: {call['status']}" for call in github.calls()
        )


_VARIABLES = "/repos/acme-corp/closed/actions/variables"
_ENVIRONMENT = "/repos/acme-corp/closed/environments/prod"
_RULESETS = "/repos/acme-corp/closed/rulesets"
_SUBJECT = "/repos/acme-corp/closed/actions/oidc/customization/sub"
_TEMPLATE = "/orgs/acme-corp/actions/oidc/customization/sub"
_HOOKS = "/orgs/acme-corp/hooks"
_DISPATCHES = "/repos/acme-corp/closed/dispatches"
_RULESET = {"name": "main", "enforcement": "active"}
_HOOK = {"name": "web", "events": ["repository"], "config": {"url": "http://127.0.0.1:9/"}}
_ONE = {"name": "ONE", "value": "1"}


def _variable(name: object, value: object = "x") -> Callable[[Visitor], bool]:
    body = {"name": name, "value": value}
    return lambda visitor: visitor.status("POST", _VARIABLES, body) == _INVALID


def _environment(body: object) -> Callable[[Visitor], bool]:
    return lambda visitor: visitor.status("PUT", _ENVIRONMENT, body) == _INVALID


def _refused(
    status: int, method: str, path: str, body: object = None, token: Token = CLASSIC
) -> Callable[[Visitor], bool]:
    return lambda visitor: visitor.status(method, path, body, token=token) == status


def _taken_twice(path: str, body: object, status: int) -> Callable[[Visitor], bool]:
    def held(visitor: Visitor) -> bool:
        first = visitor.status("POST", path, body)
        return first == _CREATED and visitor.status("POST", path, body) == status

    return held


def _workflow(visitor: Visitor) -> Token:
    token = workflow("ghs_own", visitor.github.organisation.get("closed"))
    visitor.github.tokens.append(token)
    return token


def _own_token_lists_one(visitor: Visitor) -> bool:
    token = _workflow(visitor)
    told = visitor.ask("GET", "/installation/repositories", token=token)[1]
    return (
        visitor.names(token) == {"open", "closed"}
        and told["repository_selection"] == "selected"
        and [row["name"] for row in told["repositories"]] == ["closed"]
    )


def _selected(kind: str) -> Callable[[Visitor], bool]:
    return lambda visitor: visitor.names(visitor.issued(kind, ["inside"])) == {"open", "inside"}


def _selection_is_told(visitor: Visitor) -> bool:
    some = visitor.issued("installation", ["inside"])
    told = [
        visitor.ask("GET", "/installation/repositories", token=token)[1] for token in (APP, some)
    ]
    return [(each["repository_selection"], each["total_count"]) for each in told] == [
        ("all", 4),
        ("selected", 1),
    ]


def _counts_for_owners(visitor: Visitor) -> bool:
    told = [
        "total_private_repos" in visitor.ask("GET", "/orgs/acme-corp", token=token)[1]
        for token in (CLASSIC, FINE_GRAINED, MEMBER, REPO_ONLY, APP, _workflow(visitor))
    ]
    return told == [True, True, False, False, False, False]


def _scopes_of_classic_only(visitor: Visitor) -> bool:
    told = [
        visitor.ask("GET", "/orgs/acme-corp", token=token)[2].get("x-oauth-scopes")
        for token in (MEMBER, FINE_GRAINED, APP)
    ]
    return told == ["read:org, repo", None, None]


def _sign_on(visitor: Visitor) -> bool:
    status, _, headers = visitor.ask("GET", "/orgs/acme-corp/repos", token=UNAUTHORISED)
    return status == _FORBIDDEN and headers["x-github-sso"].startswith("required; url=")


def _own_token_has_no_variables(visitor: Visitor) -> bool:
    try:
        workflow("ghs_more", visitor.github.organisation.get("closed"), actions_variables="write")
    except ValueError:
        return visitor.status("POST", _VARIABLES, _ONE, token=_workflow(visitor)) == _FORBIDDEN
    return False


def _reading_does_not_write(visitor: Visitor) -> bool:
    token = visitor.issued("fine-grained", None, actions_variables="read")
    reads = visitor.status("GET", _VARIABLES, token=token)
    return reads == _OK and visitor.status("POST", _VARIABLES, _ONE, token=token) == _FORBIDDEN


def _own_spelling(visitor: Visitor) -> bool:
    told = visitor.ask("GET", "/orgs/ACME-CORP")[1]["login"]
    row = visitor.ask("GET", "/repos/acme-CORP/OPEN")[1]
    return [told, row["full_name"]] == ["Acme-Corp", "Acme-Corp/open"]


def _capitals(visitor: Visitor) -> bool:
    visitor.ask("POST", _VARIABLES, {"name": "one", "value": "1"})
    again = visitor.status("POST", _VARIABLES, {"name": "One", "value": "2"})
    held: str = visitor.ask("GET", f"{_VARIABLES}/oNe")[1]["name"]
    return (again, held) == (_CONFLICT, "ONE")


def _pages_of_variables(visitor: Visitor) -> bool:
    for number in range(35):
        visitor.ask("POST", _VARIABLES, {"name": f"V{number}", "value": "x"})
    sizes = [
        len(visitor.ask("GET", f"{_VARIABLES}{query}")[1]["variables"])
        for query in ("", "?per_page=100")
    ]
    return sizes == [10, 30]


def _many_variables(visitor: Visitor) -> bool:
    repository = visitor.github.organisation.get("closed")
    held = visitor.github.api.actions.held(repository)
    held.update({f"V{number}": "x" for number in range(500)})
    return visitor.status("POST", _VARIABLES, _ONE) == _INVALID


def _no_renaming_onto_another(visitor: Visitor) -> bool:
    visitor.ask("POST", _VARIABLES, _ONE)
    visitor.ask("POST", _VARIABLES, {"name": "TWO", "value": "2"})
    return visitor.status("PATCH", f"{_VARIABLES}/TWO", {"name": "ONE"}) == _CONFLICT


def _archived(method: str, path: str, body: object) -> Callable[[Visitor], bool]:
    return _refused(_FORBIDDEN, method, path.replace("/closed", "/old"), body)


def _environments_are_gone_with_their_variables(visitor: Visitor) -> bool:
    inside = f"{_ENVIRONMENT}/variables"
    if visitor.status("POST", inside, _ONE) != _MISSING:
        return False
    visitor.ask("PUT", _ENVIRONMENT, {})
    visitor.ask("POST", inside, _ONE)
    visitor.ask("DELETE", _ENVIRONMENT)
    visitor.ask("PUT", _ENVIRONMENT, {})
    left: int = visitor.ask("GET", inside)[1]["total_count"]
    return left == 0


def _template_is_taken_by_choice(visitor: Visitor) -> bool:
    visitor.ask("PUT", _TEMPLATE, {"include_claim_keys": ["repo", "job_workflow_ref"]})
    told = visitor.ask("GET", _SUBJECT)[1]
    return told["use_default"] is True and "include_claim_keys" not in told


def _default_ignores_keys(visitor: Visitor) -> bool:
    visitor.ask("PUT", _SUBJECT, {"use_default": True, "include_claim_keys": ["repo"]})
    return "include_claim_keys" not in visitor.ask("GET", _SUBJECT)[1]


def _secret_is_not_told(visitor: Visitor) -> bool:
    hook = {**_HOOK, "config": {**_HOOK["config"], "secret": "s3cret"}}  # type: ignore[dict-item] # the map's own
    made = visitor.ask("POST", _HOOKS, hook)[1]
    return "s3cret" not in json.dumps([made, visitor.ask("GET", _HOOKS)[1]])


def _no_second_try(visitor: Visitor) -> bool:
    made = visitor.ask("POST", _HOOKS, _HOOK)[1]
    visitor.github.organisation.add("new")
    sent = visitor.ask("GET", f"{_HOOKS}/{made['id']}/deliveries")[1]
    return [(row["event"], row["status_code"]) for row in sent] == [("repository", 0), ("ping", 0)]


def _no_event_of_a_transfer_out(visitor: Visitor) -> bool:
    made = visitor.ask("POST", _HOOKS, _HOOK)[1]
    visitor.github.organisation.transfer_out("open")
    sent = visitor.ask("GET", f"{_HOOKS}/{made['id']}/deliveries")[1]
    return [row["event"] for row in sent] == ["ping"]


def _forks_of_advisories_are_listed(visitor: Visitor) -> bool:
    fork = visitor.github.organisation.advise("open")
    return fork.name in visitor.names(CLASSIC) and fork.name not in visitor.names(PUBLIC_ONLY)


def _residency(visitor: Visitor) -> bool:
    host = "api.acme.ghe.com"
    there = visitor.ask("GET", "/orgs/acme-corp", host=host)[0]
    return there == _OK and visitor.ask("GET", "/api/v3/orgs/acme-corp", host=host)[0] == _MISSING


def _server(visitor: Visitor) -> bool:
    return visitor.ask("GET", "/orgs/acme-corp", host="github.acme.example")[0] == _MISSING


def _redirect_keeps_the_method(visitor: Visitor) -> bool:
    visitor.github.organisation.rename("closed", "shut")
    asked = [visitor.status(method, _VARIABLES, _ONE) for method in ("GET", "POST")]
    return asked == [301, 307]


_OK, _CREATED, _FORBIDDEN, _MISSING, _CONFLICT, _INVALID = 200, 201, 403, 404, 409, 422


RULES: tuple[Rule, ...] = (
    # Tokens
    Rule(
        "token-counts",
        "only an owner's token is told how many private repositories there are",
        Page.ORGANISATION,
        _counts_for_owners,
    ),
    Rule(
        "token-scopes",
        "X-OAuth-Scopes is told to classic tokens only",
        Page.SCOPES,
        _scopes_of_classic_only,
    ),
    Rule(
        "token-public-repo",
        "the scope public_repo shows no private or internal repository",
        Page.SCOPES,
        lambda visitor: visitor.names(PUBLIC_ONLY) == {"open"},
    ),
    Rule(
        "token-selected",
        "a fine-grained token for selected repositories sees no other private one",
        Page.PERSONAL,
        _selected("fine-grained"),
    ),
    Rule(
        "app-selected",
        "an app on selected repositories sees no other private one",
        Page.INSTALLED,
        _selected("installation"),
    ),
    Rule(
        "app-selection",
        "an installation is told whether it is on all repositories or on selected ones",
        Page.INSTALLATION,
        _selection_is_told,
    ),
    Rule(
        "app-only",
        "a personal token cannot list an installation's repositories",
        Page.INSTALLATION,
        _refused(_FORBIDDEN, "GET", "/installation/repositories", None, FINE_GRAINED),
    ),
    Rule(
        "app-no-user",
        "an installation is no user",
        Page.APPS,
        _refused(_FORBIDDEN, "GET", "/user", None, APP),
    ),
    Rule(
        "own-token",
        "a workflow's own token is for its repository only",
        Page.OWN_TOKEN,
        _own_token_lists_one,
    ),
    Rule(
        "own-token-variables",
        "a workflow's own token cannot be given variables",
        Page.WORKFLOWS,
        _own_token_has_no_variables,
    ),
    Rule(
        "token-sign-on",
        "a classic token that is not authorised for single sign-on is refused, and told where to be",
        Page.AUTHENTICATION,
        _sign_on,
    ),
    Rule(
        "token-level",
        "a permission to read does not let write",
        Page.TOKENS,
        _reading_does_not_write,
    ),
    Rule(
        "token-hidden",
        "what a token does not see is missing for it, and not forbidden",
        Page.TROUBLE,
        _refused(_MISSING, "GET", _VARIABLES, None, PUBLIC_ONLY),
    ),
    Rule(
        "token-delete",
        "a classic token without delete_repo deletes no repository",
        Page.DELETION,
        _refused(_FORBIDDEN, "DELETE", "/repos/acme-corp/closed", None, REPO_ONLY),
    ),
    Rule(
        "token-private",
        "the scope public_repo makes no private repository",
        Page.CREATION,
        _refused(
            _FORBIDDEN,
            "POST",
            "/orgs/acme-corp/repos",
            {"name": "new", "visibility": "private"},
            PUBLIC_ONLY,
        ),
    ),
    Rule(
        "token-template",
        "a classic token without read:org does not read the organisation's subject template",
        Page.SUBJECT_API,
        _refused(_FORBIDDEN, "GET", _TEMPLATE, None, REPO_ONLY),
    ),
    Rule(
        "token-hooks",
        "a classic token without admin:org_hook sees no hook",
        Page.HOOKS,
        _refused(_FORBIDDEN, "GET", _HOOKS, None, MEMBER),
    ),
    # Names and addresses
    Rule(
        "login-spelling",
        "a login and a name are found in any case, and told in GitHub's own",
        Page.ORGANISATION,
        _own_spelling,
    ),
    Rule(
        "address-server",
        "an Enterprise Server answers below /api/v3 only",
        Page.ADDRESSES,
        _server,
    ),
    Rule(
        "address-residency",
        "with data residency the API is at api.SUBDOMAIN.ghe.com, without a prefix",
        Page.RESIDENCY,
        _residency,
    ),
    Rule(
        "redirect-method",
        "what is written under a former name is redirected with its method",
        Page.REDIRECTS,
        _redirect_keeps_the_method,
    ),
    Rule(
        "repository-name",
        "a repository's name is taken once, in any case",
        Page.CREATION,
        _refused(_INVALID, "POST", "/orgs/acme-corp/repos", {"name": "OPEN"}),
    ),
    Rule(
        "body-object",
        "a body that is no JSON object is a bad request",
        Page.TROUBLE,
        _refused(400, "POST", _VARIABLES, ["ONE"]),
    ),
    Rule(
        "advisory-fork",
        "a security advisory's private fork is listed among the private repositories",
        Page.ADVISORIES,
        _forks_of_advisories_are_listed,
    ),
    # Archived repositories
    Rule(
        "archived-variable",
        "an archived repository takes no variable",
        Page.ARCHIVING,
        _archived("POST", _VARIABLES, _ONE),
    ),
    Rule(
        "archived-settings",
        "an archived repository is not changed before it is unarchived",
        Page.ARCHIVING,
        _archived("PATCH", "/repos/acme-corp/closed", {"name": "older"}),
    ),
    Rule(
        "archived-dispatch",
        "an archived repository takes no event",
        Page.ARCHIVING,
        _archived("POST", _DISPATCHES, {"event_type": "x"}),
    ),
    # Variables
    Rule(
        "variable-exists",
        "a variable that exists is a conflict, and not an invalid one",
        Page.VARIABLE_CREATION,
        _taken_twice(_VARIABLES, _ONE, _CONFLICT),
    ),
    Rule(
        "variable-case",
        "a variable's name counts in capitals",
        Page.VARIABLES,
        _capitals,
    ),
    Rule(
        "variable-characters",
        "a variable's name has letters, digits and underscores only",
        Page.VARIABLES,
        _variable("A-B"),
    ),
    Rule(
        "variable-ascii",
        "a variable's letters are those from A to Z",
        Page.VARIABLES,
        _variable("GRÖSSE"),
    ),
    Rule(
        "variable-digit",
        "a variable's name does not begin with a digit",
        Page.VARIABLES,
        _variable("1A"),
    ),
    Rule(
        "variable-reserved",
        "a variable's name does not begin with GITHUB_, in any case",
        Page.VARIABLES,
        _variable("github_region"),
    ),
    Rule("variable-named", "a variable has a name", Page.VARIABLES, _variable("")),
    Rule("variable-text", "a variable's value is a text", Page.VARIABLES, _variable("A", 1)),
    Rule(
        "variable-size",
        "a variable's value has at most 48 KB",
        Page.VARIABLES,
        _variable("A", "ü" * 24_577),
    ),
    Rule(
        "variable-many",
        "a repository has at most 500 variables",
        Page.VARIABLES,
        _many_variables,
    ),
    Rule(
        "variable-renamed",
        "a variable is not renamed onto another",
        Page.VARIABLE_UPDATE,
        _no_renaming_onto_another,
    ),
    Rule(
        "variable-missing",
        "what is not there is neither changed nor deleted",
        Page.VARIABLE_UPDATE,
        lambda visitor: (
            {
                visitor.status("PATCH", f"{_VARIABLES}/NOWHERE", {"value": "x"}),
                visitor.status("DELETE", f"{_VARIABLES}/NOWHERE"),
            }
            == {_MISSING}
        ),
    ),
    Rule(
        "variable-pages",
        "variables are listed ten a page, and thirty at most",
        Page.VARIABLE_LISTING,
        _pages_of_variables,
    ),
    # Environments
    Rule(
        "environment-variables",
        "an environment has to be there before its variables, which end with it",
        Page.VARIABLE_API,
        _environments_are_gone_with_their_variables,
    ),
    Rule(
        "environment-reviewers",
        "an environment has at most six reviewers",
        Page.ENVIRONMENTS,
        _environment({"reviewers": [{"type": "User", "id": each} for each in range(1, 8)]}),
    ),
    Rule(
        "environment-reviewer",
        "a reviewer is a user or a team",
        Page.ENVIRONMENTS,
        _environment({"reviewers": [{"type": "App", "id": 1}]}),
    ),
    Rule(
        "environment-wait",
        "an environment lets wait for thirty days at most",
        Page.ENVIRONMENTS,
        _environment({"wait_timer": 43_201}),
    ),
    Rule(
        "environment-branches",
        "protected branches and branch patterns exclude each other",
        Page.ENVIRONMENTS,
        _environment(
            {
                "deployment_branch_policy": {
                    "protected_branches": True,
                    "custom_branch_policies": True,
                }
            }
        ),
    ),
    # Subjects
    Rule(
        "subject-claims",
        "a subject is made of claims that there are",
        Page.SUBJECTS,
        _refused(_INVALID, "PUT", _TEMPLATE, {"include_claim_keys": ["team"]}),
    ),
    Rule(
        "subject-unique",
        "a subject names each claim once",
        Page.SUBJECT_API,
        _refused(_INVALID, "PUT", _TEMPLATE, {"include_claim_keys": ["repo", "repo"]}),
    ),
    Rule(
        "subject-opt-in",
        "the organisation's template is not a repository's before it takes it",
        Page.SUBJECTS,
        _template_is_taken_by_choice,
    ),
    Rule(
        "subject-default",
        "a repository that uses the default keeps no claims of its own",
        Page.SUBJECT_API,
        _default_ignores_keys,
    ),
    Rule(
        "subject-flag",
        "use_default has to be said",
        Page.SUBJECT_API,
        _refused(_INVALID, "PUT", _SUBJECT, {}),
    ),
    # Rulesets
    Rule(
        "ruleset-name",
        "a ruleset's name is given once",
        Page.RULESETS,
        _taken_twice(_RULESETS, _RULESET, _INVALID),
    ),
    Rule(
        "ruleset-enforcement",
        "a ruleset is disabled, active or evaluated",
        Page.RULESETS,
        _refused(_INVALID, "POST", _RULESETS, {**_RULESET, "enforcement": "on"}),
    ),
    Rule(
        "ruleset-rule",
        "a rule has a type that there is",
        Page.RULESETS,
        _refused(_INVALID, "POST", _RULESETS, {**_RULESET, "rules": [{"type": "no_force"}]}),
    ),
    Rule(
        "ruleset-target",
        "a repository's ruleset is not about repositories",
        Page.RULESETS,
        _refused(_INVALID, "POST", _RULESETS, {**_RULESET, "target": "repository"}),
    ),
    Rule(
        "ruleset-administration",
        "only administration lets write a ruleset",
        Page.TOKENS,
        _refused(_FORBIDDEN, "POST", _RULESETS, _RULESET, FINE_GRAINED),
    ),
    # Hooks and events
    Rule(
        "hook-name",
        "a hook is called web",
        Page.HOOKS,
        _refused(_INVALID, "POST", _HOOKS, {**_HOOK, "name": "mail"}),
    ),
    Rule(
        "hook-loopback",
        "nothing is sent beyond loopback (GitHub: nothing to it)",
        Page.HOOKS,
        _refused(
            _INVALID, "POST", _HOOKS, {**_HOOK, "config": {"url": "https://hooks.acme.example/"}}
        ),
    ),
    Rule(
        "hook-twice",
        "a hook is made once",
        Page.HOOKS,
        _taken_twice(_HOOKS, _HOOK, _INVALID),
    ),
    Rule(
        "hook-event",
        "a hook asks for events that there are",
        Page.HOOKS,
        _refused(_INVALID, "POST", _HOOKS, {**_HOOK, "events": ["repositories"]}),
    ),
    Rule("hook-secret", "a hook's secret is never told", Page.HOOKS, _secret_is_not_told),
    Rule(
        "hook-retry",
        "a delivery that failed is not tried again by itself",
        Page.FAILED_DELIVERIES,
        _no_second_try,
    ),
    Rule(
        "hook-transfer",
        "no event tells the organisation that a repository went to another owner",
        Page.EVENTS,
        _no_event_of_a_transfer_out,
    ),
    Rule(
        "dispatch-event",
        "an event's type has at most 100 characters",
        Page.DISPATCHES,
        _refused(_INVALID, "POST", _DISPATCHES, {"event_type": "x" * 101}),
    ),
    Rule(
        "dispatch-properties",
        "an event has at most ten properties",
        Page.DISPATCHES,
        _refused(
            _INVALID,
            "POST",
            _DISPATCHES,
            {"event_type": "x", "client_payload": {str(each): 1 for each in range(11)}},
        ),
    ),
    Rule(
        "dispatch-size",
        "an event's payload has less than 64 KB",
        Page.DISPATCHES,
        _refused(
            _INVALID,
            "POST",
            _DISPATCHES,
            {"event_type": "x", "client_payload": {"a": "x" * 65_536}},
        ),
    ),
    Rule(
        "dispatch-contents",
        "reading contents does not let send an event",
        Page.TOKENS,
        _refused(_FORBIDDEN, "POST", _DISPATCHES, {"event_type": "x"}, FINE_GRAINED),
    ),
)
