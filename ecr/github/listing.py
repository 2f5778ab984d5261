"""The inventory from GitHub: a listing that proves it is complete, or stops the deployment.

Owns the conversation with GitHub's REST API, by way of the GitHub provider's getRestApi, which is
one raw GET. Nothing is taken on trust: a page that fails, is not JSON or belongs to another
organisation refuses the listing; two passes, oldest first and newest first, must see the same
repositories, because a deletion between two pages of one pass hides a repository that is still
there; and passes that are short, repeat or disagree are read again a few times, then refused. It
never returns part of an organisation.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ecr.errors import EstateError
from ecr.github.model import (
    DEFAULT_SUBJECT,
    Inventory,
    Repository,
    is_advisory_fork,
    why_deselected,
)
from ecr.github.transport import Fetch, Reply, environment_token, usable_token
from ecr.settings.load import GITHUB_TOKEN, load_github_token
from ecr.settings.models import GitHub

if TYPE_CHECKING:
    import pulumi

REPOSITORIES_A_PAGE = 100
"""Repositories a page: the most that "List organization repositories" gives."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""A repository's name (GitHub takes these characters, and makes a dash of every other)."""

PASSES = 3
"""How often the organisation is read before a listing that cannot be trusted is refused."""


Row = dict[str, Any]


class ListingRefusedError(EstateError):
    """The listing cannot be shown to be complete."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(
            "The list of the organisation's repositories cannot be shown to be complete; "
            "nothing was changed.",
            [f"{what}; {remedy}"],
            page="runbooks/listing-refused.md",
        )


class UnansweredError(ListingRefusedError):
    """GitHub has not answered in time, and the provider waits for it still."""

    def give_up(self) -> NoReturn:
        """End the program at once: the SDK would wait for the provider, which waits for GitHub."""
        import pulumi  # noqa: PLC0415

        pulumi.log.error(str(self))
        os._exit(1)


class _UnsettledError(Exception):
    """What was read cannot be right, or changed while it was read; it is worth reading again."""


async def github_inventory(
    provider: "pulumi.ProviderResource",
    github: GitHub,
    expected: Iterable[int],
    *,
    properties: bool,
    subjects: bool,
) -> Inventory:
    """List the organisation through the GitHub provider and apply the selection rules.

    Raises EstateError when completeness cannot be shown.
    """
    fetch = provider_fetch(provider, github)
    return await list_organisation(
        fetch, github, expected, properties=properties, subjects=subjects
    )


async def list_organisation(
    fetch: Fetch,
    github: GitHub,
    expected: Iterable[int] = (),
    *,
    properties: bool = False,
    subjects: bool = False,
) -> Inventory:
    """List the organisation with ``fetch``: 2 * ceil(N / 100) + 1 requests when nothing changes.

    One more for each of the ``expected`` ids that is not in the list, and one where GitHub does not tell
    how many private repositories there are. ``properties`` says that rules ask for custom properties,
    which must then be there: to read none would change what is kept. ``subjects`` says that roles
    trust the subjects of GitHub's tokens, whose template is then read.
    """
    calls = 0
    waiting = tuple(expected)

    async def counted(endpoint: str) -> Reply:
        nonlocal calls
        calls += 1
        return await fetch(endpoint)

    unsettled = ""
    readings = 0
    for readings in range(1, PASSES + 1):  # noqa: B007 - told in the inventory
        try:
            organisation = await _organisation(counted, github)
            older = await _pass(counted, github.organisation, "asc")
            rows = await _pass(counted, github.organisation, "desc")
            _compare(older, rows)
            selected = await _repository_selection(counted, organisation, github)
            notes = _cross_check(rows, organisation, github, selected)
            gone = {
                number: await _what_became_of(counted, number, github.organisation)
                for number in waiting
                if number not in rows
            }
            break
        except _UnsettledError as error:
            unsettled = str(error)
    else:
        raise ListingRefusedError(
            f"{PASSES} listings of {github.organisation} could not be trusted: {unsettled}",
            "deploy again when fewer repositories are being made or deleted; if it stays so, check "
            "what stands between you and GitHub",
        )
    template, about_subjects = (
        await _subject_template(counted, github.organisation) if subjects else (None, ())
    )
    without = [
        row["name"] for row in rows.values() if properties and row.get("custom_properties") is None
    ]
    if without:
        raise ListingRefusedError(
            f"{len(without)} of {len(rows)} repositories were listed without their custom properties, "
            f"{without[0]} the first, and the settings have rules by them",
            "let the token read the custom properties of the organisation",
        )
    repositories = tuple(sorted(map(_repository, rows.values()), key=lambda each: each.id))
    reasons = ((each.id, why_deselected(each, github.selection)) for each in repositories)
    deselected = {number: reason for number, reason in reasons if reason}
    owner = organisation.get("id")
    return Inventory(
        repositories,
        deselected,
        gone,
        calls=calls,
        readings=readings,
        notes=(*notes, *about_subjects),
        owner=owner if type(owner) is int else None,
        login=str(organisation["login"]),
        subjects=template,
    )


async def find_repository(fetch: Fetch, github: GitHub, name: str) -> Repository:
    """Ask for one repository of the organisation by its name, as people write it.

    Raises EstateError where the organisation has none that the token sees, or it has gone elsewhere.
    """
    problem = "A repository is not there; nothing was changed."
    endpoint = f"repos/{github.organisation}/{name}"
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise EstateError(
            problem, [f"{name}: is no name of a repository; give it without its owner"]
        )
    reply = await fetch(endpoint)
    if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
        raise EstateError(
            problem,
            [
                f"{name}: {github.organisation} has no such repository that the token sees; check the name"
            ],
        )
    try:
        row = _json(_accept(reply, endpoint), endpoint)
        owner = _owner(row, endpoint)
    except _UnsettledError as error:
        raise EstateError(problem, [f"{error}; try again"]) from error
    if owner.lower() != github.organisation.lower():
        raise EstateError(problem, [f"{name}: is of {owner} now, and has no service here"])
    return _repository(cast("Row", row))


async def _what_became_of(fetch: Fetch, number: int, login: str) -> str:
    """Ask for one repository that the list lacks; it must really be gone."""
    endpoint = f"repositories/{number}"
    reply = await fetch(endpoint)
    if reply.status == 404:  # noqa: PLR2004 - HTTP's own number
        return "deleted, or no longer visible to the token"
    row = _json(_accept(reply, endpoint), endpoint)
    owner = row.get("owner") if isinstance(row, dict) and row.get("id") == number else None
    login_there = owner.get("login") if isinstance(owner, dict) else None
    if not isinstance(row, dict) or not login_there:
        raise _UnsettledError(f"GET {endpoint} gave something that is not that repository")
    if str(login_there).lower() == login.lower():
        raise _UnsettledError(f"{row.get('name')} ({number}) is not listed, but it is there")
    return f"transferred to {row.get('full_name')}"


async def _organisation(fetch: Fetch, github: GitHub) -> Row:
    """Read the organisation itself: that it has this name, its own counts, and the token's scopes."""
    login = github.organisation
    endpoint = f"orgs/{login}"
    reply = _accept(await fetch(endpoint), endpoint)
    organisation = _json(reply, endpoint)
    if not isinstance(organisation, dict) or "login" not in organisation:
        raise ListingRefusedError(
            f"GET {endpoint} answered something that is not an organisation",
            "check github.baseUrl and what stands between you and GitHub",
        )
    if str(organisation["login"]).lower() != login.lower():
        raise ListingRefusedError(
            f"the organisation {login} is now called {organisation['login']}",
            f"set github.organisation to {organisation['login']}",
        )
    # Classic tokens name their scopes; fine-grained ones and apps have no such header.
    scopes = reply.headers.get("x-oauth-scopes")
    if _wants_private(github) and scopes is not None and "repo" not in scopes.split(", "):
        raise ListingRefusedError(
            f"the token has the scopes {scopes or '(none)'}, and would see public repositories only",
            "give it the scope repo, or set github.selection.visibilities to [public]",
        )
    return organisation


async def _pass(fetch: Fetch, login: str, direction: str) -> dict[int, Row]:
    """Read every page in one direction and give the rows by id."""
    rows: dict[int, Row] = {}
    page, last = 1, 1
    while page <= last:
        endpoint = (
            f"orgs/{login}/repos?type=all&sort=created&direction={direction}"
            f"&per_page={REPOSITORIES_A_PAGE}&page={page}"
        )
        reply = _accept(await fetch(endpoint), endpoint)
        batch = _rows(reply, endpoint, login)
        last = max(last, _last_page(reply, page))
        for row in batch:
            if row["id"] in rows:
                raise _UnsettledError(
                    f"repository {row['name']} ({row['id']}) came twice, the second time on page {page}"
                )
            rows[row["id"]] = row
        if page < last and len(batch) != REPOSITORIES_A_PAGE:
            raise _UnsettledError(
                f"page {page} of {last} ({direction}) holds {len(batch)} repositories, not {REPOSITORIES_A_PAGE}"
            )
        page += 1
    if not rows:
        raise ListingRefusedError(
            f"GitHub lists no repository at all in {login}",
            "give the token access to the organisation's repositories; an organisation that is "
            "really empty needs no estate",
        )
    return rows


def _accept(reply: Reply, endpoint: str) -> Reply:
    """Let only a plain 200 through; every refusal says what GitHub said and what to do."""
    partial = reply.headers.get("x-github-sso", "")
    if partial.startswith("partial-results"):
        raise ListingRefusedError(
            f"GET {endpoint} left out organisations that the token has not been authorised for by "
            f"single sign-on ({partial})",
            "authorise the token for the organisation's SSO",
        )
    if reply.status == 200:  # noqa: PLR2004 - HTTP's own number
        return reply
    remedies = {
        401: f"the token is wrong or has expired: set a new GITHUB_TOKEN, or a new {GITHUB_TOKEN}",
        403: "the token may not read this: give it the organisation, or wait if it was rate-limited",
        404: "check github.organisation, and that the token may see the organisation",
        429: "GitHub limits the rate: deploy again later",
    }
    said = _message(reply.body)
    raise ListingRefusedError(
        f"GET {endpoint} was answered with {reply.status}{f' ({said})' if said else ''}",
        remedies.get(reply.status, "deploy again; if it stays so, see GitHub's status page"),
    )


def _message(body: str) -> str:
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    return str(parsed.get("message", "")) if isinstance(parsed, dict) else ""


def _json(reply: Reply, endpoint: str) -> object:
    try:
        return json.loads(reply.body)
    except ValueError as error:
        raise _UnsettledError(
            f"GET {endpoint} gave {len(reply.body)} characters that are not JSON ({error})"
        ) from error


def _rows(reply: Reply, endpoint: str, login: str) -> list[Row]:
    batch = _json(reply, endpoint)
    if not isinstance(batch, list):
        raise _UnsettledError(
            f"GET {endpoint} gave {type(batch).__name__}, not a list of repositories"
        )
    for row in batch:
        owner = _owner(row, endpoint)
        if owner.lower() != login.lower():
            raise ListingRefusedError(
                f"GET {endpoint} gave {owner}/{row['name']}, which is not of {login}",
                f"if the organisation was renamed, set github.organisation to {owner}",
            )
    return batch


def _owner(row: object, endpoint: str) -> str:
    """Return the login of whose repository a row is, which must have an id, a name and an owner."""
    if (
        not isinstance(row, dict)
        or type(row.get("id")) is not int
        or not isinstance(row.get("name"), str)
        or not isinstance(row.get("owner"), dict)
    ):
        raise _UnsettledError(f"GET {endpoint} gave an entry without id, name and owner")
    return str(row["owner"].get("login"))


_LAST = re.compile(r'[?&]page=(\d+)[^>]*>\s*;\s*rel="last"')
_NEXT = re.compile(r'[?&]page=(\d+)[^>]*>\s*;\s*rel="next"')


def _last_page(reply: Reply, page: int) -> int:
    """Say how many pages there are by this reply; on the last page GitHub names no further one."""
    link = reply.headers.get("link", "")
    found = _LAST.search(link) or _NEXT.search(link)
    return int(found.group(1)) if found else page


def _compare(forward: Mapping[int, Row], backward: Mapping[int, Row]) -> None:
    differing = forward.keys() ^ backward.keys()
    if differing:
        rows = {**forward, **backward}
        names = sorted(f"{rows[number]['name']} ({number})" for number in differing)
        raise _UnsettledError(
            f"{len(differing)} seen in one pass only, {', '.join(names[:3])} the first"
        )


async def _subject_template(
    fetch: Fetch, login: str
) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Read of what the organisation's template makes subjects, and say where roles may not fit it.

    The template is for the repositories that have taken it, and those alone (GitHub Docs, "OpenID Connect
    reference"): so it stops nobody, and is said. None is one that the token may not read.
    """
    endpoint = f"orgs/{login}/actions/oidc/customization/sub"
    try:
        reply = await fetch(endpoint)
        document = json.loads(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - HTTP's own number
    except (ListingRefusedError, ValueError):
        document = None
    keys = document.get("include_claim_keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        return None, (
            (
                f"GET {endpoint} gave no template, so it is not known whether push roles trust the "
                "subjects of this organisation's tokens; let the token read the organisation's "
                "administration (classic: read:org), or see docs/guides/pushing.md"
            ),
        )
    template = tuple(map(str, keys))
    if template == DEFAULT_SUBJECT:
        return template, ()
    return template, (
        (
            f"{login} has a template of its own for the subjects of tokens, {', '.join(template)}; push "
            "roles trust none of the repositories that have taken it, until each is set back "
            "to the default: see docs/guides/pushing.md"
        ),
    )


async def _repository_selection(fetch: Fetch, organisation: Row, github: GitHub) -> str | None:
    """Ask whether an app is installed on all repositories, where no count can tell what is missing.

    None is a token of another kind, which GitHub refuses here ("List repositories accessible to the app
    installation"), or one that cannot be asked.
    """
    if not _wants_private(github) or organisation.get("total_private_repos") is not None:
        return None
    endpoint = "installation/repositories?per_page=1"
    try:
        reply = await fetch(endpoint)
        document = json.loads(reply.body) if reply.status == 200 else None  # noqa: PLR2004 - HTTP's own number
    except (ListingRefusedError, ValueError):
        return None
    selection = document.get("repository_selection") if isinstance(document, dict) else None
    if selection == "selected":
        raise ListingRefusedError(
            f"the app, or the workflow's own token, is for selected repositories of "
            f"{github.organisation} only, and would miss the others",
            "install the app on all repositories, or set github.selection.visibilities to [public]",
        )
    return str(selection) if selection else None


def _cross_check(
    rows: Mapping[int, Row], organisation: Row, github: GitHub, selection: str | None
) -> tuple[str, ...]:
    """Compare with the organisation's own counts, as far as the token may read them.

    "Get an organization" gives public_repos to everyone, and total_private_repos (which counts
    internal ones too) to owners. Gives what an operator should hear where nothing could be compared.
    Whether the count has the temporary forks of advisories, no page says: it may be either.
    """
    private = organisation.get("total_private_repos")
    listed_private = sum(1 for row in rows.values() if row.get("private"))
    public = organisation.get("public_repos")
    listed_public = len(rows) - listed_private
    if type(public) is int and public != listed_public:
        raise _UnsettledError(
            f"{listed_public} public repositories were listed, but {github.organisation} counts {public}"
        )
    if not _wants_private(github) or (private is None and selection == "all"):
        return ()
    if private is None and listed_private:
        return (
            (
                f"{listed_private} private or internal repositories are listed, and the token may not "
                "read how many there are: that none is missing is not proven; check that it sees all, "
                "or list with an owner's token or an app on all repositories"
            ),
        )
    if private is None:
        return (
            (
                f"all {len(rows)} repositories that GitHub lists are public, and the token may not "
                "read how many private ones there are; check that it sees them"
            ),
        )
    if private and not listed_private:
        raise ListingRefusedError(
            f"GitHub lists public repositories only, but {github.organisation} has {private} more",
            "give the token read access to all repositories of the organisation",
        )
    temporary = sum(1 for row in rows.values() if is_advisory_fork(_repository(row)))
    if not listed_private - temporary <= int(private) <= listed_private:
        raise _UnsettledError(
            f"{listed_private} private or internal repositories were listed, but "
            f"{github.organisation} counts {private}"
        )
    return ()


def _wants_private(github: GitHub) -> bool:
    return bool({"private", "internal"} & set(github.selection.visibilities))


def _repository(row: Row) -> Repository:
    properties = {
        str(name): tuple(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in (row.get("custom_properties") or {}).items()
        if value is not None
    }
    return Repository(
        id=row["id"],
        name=row["name"],
        archived=bool(row.get("archived")),
        fork=bool(row.get("fork")),
        template=bool(row.get("is_template")),
        visibility=str(row.get("visibility") or ("private" if row.get("private") else "public")),
        properties=properties,
    )


def provider_fetch(provider: "pulumi.ProviderResource", github: GitHub) -> Fetch:
    """GET through the GitHub provider of this deployment."""
    import pulumi  # noqa: PLC0415 - the listing itself needs no engine
    from pulumi.runtime import invoke_async  # noqa: PLC0415

    options = pulumi.InvokeOptions(provider=provider)
    limit = _RateLimit()

    async def fetch(endpoint: str) -> Reply:
        asked = asyncio.ensure_future(
            invoke_async("github:index/getRestApi:getRestApi", {"endpoint": endpoint}, options)
        )
        await asyncio.wait({asked}, timeout=github.timeout_seconds)
        if not asked.done():
            raise UnansweredError(
                f"GET {endpoint} got no answer in {github.timeout_seconds} s{limit.said()}",
                "deploy again later, or raise github.timeoutSeconds",
            )
        try:
            answer = asked.result()
        except Exception as error:
            # The SDK raises a bare Exception for whatever the provider or the network said.
            raise _refused(endpoint, str(error)) from error
        if not answer or not answer.get("id"):
            raise ListingRefusedError(
                f"GET {endpoint} came back without GitHub's request id",
                "what answered may not be GitHub: check github.baseUrl and proxies",
            )
        headers = {
            name.lower(): ", ".join(values)
            for name, values in json.loads(answer["headers"]).items()
        }
        limit.see(headers)
        return Reply(int(answer["code"]), headers, answer["body"])

    return fetch


@dataclass(slots=True)
class _RateLimit:
    """What GitHub last said of the primary rate limit, for an operator who waits in vain."""

    remaining: str = ""
    reset: int = 0

    def see(self, headers: Mapping[str, str]) -> None:
        """Remember the headers of a reply ("Rate limits for the REST API")."""
        self.remaining = headers.get("x-ratelimit-remaining", "")
        self.reset = int(headers.get("x-ratelimit-reset") or 0)

    def said(self) -> str:
        """Say until when the limit lasts, if GitHub has said so."""
        if not self.remaining:
            return ", not even the first; GitHub cannot be reached, or limits the rate"
        until = datetime.fromtimestamp(self.reset, UTC).strftime("%H:%M UTC")
        return f"; GitHub had {self.remaining} requests left until {until}, and may limit the rate"


def _refused(endpoint: str, said: str) -> ListingRefusedError:
    """Turn what the provider said into the refusal that its status would have given."""
    found = re.search(r"\b(401|403|404|429|5\d\d)\b", said)
    if found:
        try:
            _accept(Reply(int(found.group(1)), {}, json.dumps({"message": _brief(said)})), endpoint)
        except ListingRefusedError as refusal:
            return refusal
    # The provider does not outlive a connection that breaks before the answer is there.
    broken = "error reading from server" in said
    why = "the connection broke off, and the GitHub provider ended with it"
    return ListingRefusedError(
        f"GET {endpoint} got no answer ({why if broken else _brief(said)})",
        "check that GitHub can be reached from here, and github.baseUrl",
    )


_WRAPPING = re.compile(r"invoke of \S+ failed: invocation of \S+ returned an error: ")
"""What the engine puts around the words of a provider."""


def _brief(said: str, limit: int = 300) -> str:
    """One line of an error of the provider, which may quote a whole page of HTML."""
    line = _WRAPPING.sub("", " ".join(said.split()))
    return line if len(line) <= limit else f"{line[:limit]}..."


def github_provider(github: GitHub) -> "pulumi.ProviderResource":
    """Make the GitHub provider, refusing to fall back to what an anonymous caller may see.

    Raises EstateError when there are no usable credentials.

    The SDK's typed Provider would copy GITHUB_TOKEN into the stack's state, where each new token
    would show as a change; this one leaves the environment to the plugin.
    """
    import pulumi  # noqa: PLC0415

    stored = usable_token(GITHUB_TOKEN, load_github_token())
    # The environment's own is left to the plugin, and comes first.
    own = environment_token()
    if not (own or stored or os.environ.get("GITHUB_APP_ID")):
        raise EstateError(
            "There is no GitHub token, and an anonymous listing would miss private repositories.",
            [
                (
                    "set GITHUB_TOKEN (or the GITHUB_APP_… variables of an app), or store it with "
                    f"`pulumi config set --secret {GITHUB_TOKEN}`"
                )
            ],
        )
    owner = os.environ.get("GITHUB_OWNER")
    if owner and owner.lower() != github.organisation.lower():
        raise EstateError(
            "The environment names another organisation than the settings; nothing was changed.",
            [f"GITHUB_OWNER = {owner!r}, github.organisation = {github.organisation!r}; unset one"],
        )
    return pulumi.ProviderResource(
        "github",
        "github",
        {
            "owner": github.organisation,
            "baseUrl": github.base_url,
            "token": pulumi.Output.secret(stored) if stored and not own else None,
        },
        pulumi.ResourceOptions(version=version("pulumi-github")),
    )
