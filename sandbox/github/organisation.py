"""The model of one GitHub organisation: its repositories, their names and what happened to them.

Owns which repositories exist, the redirects that renames leave behind, and the order of a listing.
Reads nothing but ``sandbox/organisation.txt``, for the seeded organisation. Never speaks HTTP, never
reads the clock: time is the model's own and moves with each change, so that two runs are equal.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import re
import threading
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Unpack

Visibility = Literal["public", "private", "internal"]

_NAME = re.compile(r"[-a-zA-Z0-9_.]{1,100}")
_LOGIN = re.compile(r"[a-zA-Z0-9](?:-?[a-zA-Z0-9]){0,38}")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_SEED = Path(__file__).parent.parent / "organisation.txt"


class OrganisationError(ValueError):
    """A change that GitHub would refuse; the message says which and why."""


class Facts(TypedDict, total=False):
    """What may be said of a repository besides its name."""

    visibility: Visibility
    archived: bool
    fork: bool
    is_template: bool
    language: str | None
    description: str | None
    default_branch: str
    topics: Sequence[str]
    properties: Mapping[str, str]
    files: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One repository. ``id`` is its identity; everything else may change."""

    id: int
    name: str
    created_at: datetime
    updated_at: datetime
    pushed_at: datetime
    visibility: Visibility = "public"
    archived: bool = False
    fork: bool = False
    is_template: bool = False
    language: str | None = None
    description: str | None = None
    default_branch: str = "main"
    topics: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ("README.md",)  # by path; none is a repository without a commit
    other_owner: str | None = None  # who holds it after a transfer out of the organisation
    advisory: bool = False  # a temporary private fork, in which a vulnerability is mended

    @property
    def private(self) -> bool:
        """Whether GitHub says ``private: true``, which it also says of internal repositories."""
        return self.visibility != "public"


_SORT_KEYS: dict[str, Callable[[Repository], tuple[Any, int]]] = {
    "created": lambda repository: (repository.created_at, repository.id),
    "updated": lambda repository: (repository.updated_at, repository.id),
    "pushed": lambda repository: (repository.pushed_at, repository.id),
    "full_name": lambda repository: (repository.name.casefold(), repository.id),
}
# GitHub's `type`. The sandbox's user is a member through the organisation, so `member` is `all`.
_TYPES: dict[str, Callable[[Repository], bool]] = {
    "all": lambda _: True,
    "member": lambda _: True,
    "public": lambda repository: not repository.private,
    "private": lambda repository: repository.private,
    "forks": lambda repository: repository.fork,
    "sources": lambda repository: not repository.fork,
}


class Organisation:
    """An organisation whose every method may be called from any thread.

    Names are unique without regard to case. Numeric ids are never used twice, and ``created_at``
    grows with them. A name that a repository gave up leads to it until another one takes the name.
    """

    def __init__(self, login: str = "sandbox-org", *, id: int = 4_100_001) -> None:  # noqa: A002 - GitHub's word
        self.id = id
        self.former_logins: set[str] = set()
        self.login = _legal_login(login)
        self._lock = threading.RLock()
        self._ids = itertools.count(id * 10, 7)
        self._now = datetime(2016, 1, 1, tzinfo=UTC)
        self.created_at = self._now
        self._repositories: dict[int, Repository] = {}
        self._away: dict[int, Repository] = {}
        self._by_name: dict[str, int] = {}
        self._left_behind: dict[str, int] = {}
        self._listings: dict[tuple[str, str, bool], tuple[Repository, ...]] = {}
        self.told: list[Callable[..., None]] = []
        """Who is told what happens to a repository: the action of GitHub's event, the repository,
        and what else the event says. Nobody is told while the model is locked."""

    # What there is

    def __iter__(self) -> Iterator[Repository]:
        with self._lock:
            return iter(tuple(self._repositories.values()))

    def __len__(self) -> int:
        return len(self._repositories)

    def get(self, name: str) -> Repository:
        """Return the repository of this name, in any case; names the nearest when there is none."""
        with self._lock:
            identity = self._by_name.get(name.casefold())
            if identity is None:
                raise OrganisationError(
                    f"{self.login} has no repository {name!r}.{self._nearest(name)}"
                )
            return self._repositories[identity]

    def by_id(self, identity: int) -> Repository | None:
        """Return a repository by its id, also one that was transferred out; None when deleted."""
        with self._lock:
            return self._repositories.get(identity) or self._away.get(identity)

    def find(self, name: str) -> tuple[Repository | None, bool]:
        """Return who answers to a name, and whether only by a redirect from a former name."""
        with self._lock:
            identity = self._by_name.get(name.casefold())
            if identity is not None:
                return self._repositories[identity], False
            former = self._left_behind.get(name.casefold())
            return (self.by_id(former), True) if former is not None else (None, False)

    def away(self) -> tuple[Repository, ...]:
        """Return the repositories that were transferred out and not back."""
        with self._lock:
            return tuple(self._away.values())

    def counts(self) -> Counter[bool]:
        """Return how many repositories are public (key False) and private or internal (True)."""
        with self._lock:
            return Counter(repository.private for repository in self._repositories.values())

    def listing(
        self,
        *,
        type: str = "all",  # noqa: A002 - GitHub's word
        sort: str = "created",
        descending: bool = False,
    ) -> tuple[Repository, ...]:
        """Return the repositories of a listing in order, private ones too.

        An unknown type or sort is read as GitHub's default, ``all`` and ``created``.
        """
        key = (type, sort, descending)
        with self._lock:
            if key not in self._listings:
                wanted = _TYPES.get(type, _TYPES["all"])
                self._listings[key] = tuple(
                    sorted(
                        filter(wanted, self._repositories.values()),
                        key=_SORT_KEYS.get(sort, _SORT_KEYS["created"]),
                        reverse=descending,
                    )
                )
            return self._listings[key]

    # What happens to it

    def add(self, name: str, **facts: Unpack[Facts]) -> Repository:
        """Create a repository."""
        with self._lock:
            self._free(name)
            checked = _checked(facts)
            now = self._tick()
            repository = Repository(
                id=next(self._ids),
                name=name,
                created_at=now,
                updated_at=now,
                pushed_at=now,
                **checked,
            )
            repository = self._put(repository)
        return self._tell("created", repository)

    def rename(self, name: str, to: str) -> Repository:
        """Return a repository another name, or the same one in another case."""
        with self._lock:
            repository = self.get(name)
            self._free(to, unless=repository.id)
            del self._by_name[repository.name.casefold()]
            self._left_behind[repository.name.casefold()] = repository.id
            renamed = self._put(replace(repository, name=to))
        before = {"repository": {"name": {"from": repository.name}}}
        return self._tell("renamed", renamed, changes=before)

    def delete(self, name: str) -> Repository:
        """Delete a repository, with the redirects that lead to it."""
        with self._lock:
            repository = self._remove(self.get(name))
            self._left_behind = {k: v for k, v in self._left_behind.items() if v != repository.id}
        return self._tell("deleted", repository)

    def archive(self, name: str) -> Repository:
        """Make a repository read-only."""
        return self._tell("archived", self._set(name, archived=True))

    def unarchive(self, name: str) -> Repository:
        """Undo archive."""
        return self._tell("unarchived", self._set(name, archived=False))

    def advise(self, name: str, identity: str = "23cf-gh4j-5mpq") -> Repository:
        """Begin a temporary private fork, in which a vulnerability of a repository is mended.

        GitHub makes one for a security advisory, calls it by the advisory and lists it among the
        organisation's repositories (GitHub Docs, "Collaborating in a temporary private fork to resolve
        a repository security vulnerability"; cncf/clowarden#176 met it in a listing). It ends as a
        repository that is deleted does. No event tells of it.
        """
        with self._lock:
            original = self.get(name)
            now = self._tick()
            fork = replace(
                original,
                id=next(self._ids),
                name=f"{original.name}-ghsa-{identity}",
                created_at=now,
                visibility="private",
                fork=True,
                advisory=True,
            )
            self._free(fork.name)
            return self._put(fork)

    def transfer_out(self, name: str, to: str = "another-owner") -> Repository:
        """Move a repository to another owner; it keeps its id, and its name leads to it."""
        with self._lock:
            repository = self._remove(self.get(name))
            moved = replace(repository, other_owner=_legal_login(to))
            self._away[moved.id] = moved
            self._left_behind[moved.name.casefold()] = moved.id
            return moved

    def transfer_back(self, name: str) -> Repository:
        """Take back, with its id, a repository that was transferred out."""
        with self._lock:
            for repository in self._away.values():
                if repository.name.casefold() == name.casefold():
                    self._free(repository.name)
                    del self._away[repository.id]
                    back = self._put(replace(repository, other_owner=None))
                    break
            else:
                names = ", ".join(sorted(r.name for r in self._away.values())) or "none"
                raise OrganisationError(
                    f"No repository {name!r} was transferred out of {self.login} "
                    f"(transferred: {names})."
                )
        return self._tell("transferred", back)

    def set_visibility(self, name: str, visibility: Visibility) -> Repository:
        """Make a repository public, private or internal."""
        changed = self._set(name, visibility=visibility)
        return self._tell("publicized" if visibility == "public" else "privatized", changed)

    def describe(self, name: str, **facts: Unpack[Facts]) -> Repository:
        """Change what is said of a repository."""
        changed = self._set(name, **facts)
        if "archived" in facts:
            return self._tell("archived" if changed.archived else "unarchived", changed)
        return self._tell("edited", changed, changes={})

    def set_properties(self, name: str, properties: Mapping[str, str]) -> Repository:
        """Replace a repository's custom property values."""
        return self._set(name, properties=properties)

    def set_topics(self, name: str, topics: Sequence[str]) -> Repository:
        """Replace a repository's topics."""
        return self._tell("edited", self._set(name, topics=topics), changes={})

    def rename_organisation(self, login: str) -> None:
        """Return the organisation another login; the former one leads to it."""
        with self._lock:
            new = _legal_login(login)
            self.former_logins = (self.former_logins | {self.login.casefold()}) - {new.casefold()}
            self.login = new

    def change(self, change: str, arguments: Mapping[str, Any]) -> Repository | None:
        """Make one of the changes above by name, with arguments that came as JSON."""
        if change not in CHANGES:
            raise OrganisationError(
                f"There is no change {change!r}; there are {', '.join(sorted(CHANGES))}."
            )
        method = getattr(self, change)
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise OrganisationError(f"{change}: {error}.") from None
        for key in ("name", "to", "login", "identity"):
            if not isinstance(arguments.get(key, ""), str):
                raise OrganisationError(f"{change}: {key} is a text, not {arguments[key]!r}.")
        changed: Repository | None = method(**arguments)
        return changed

    # How

    def _tell(self, action: str, repository: Repository, **more: Any) -> Repository:  # noqa: ANN401 - JSON
        for told in self.told:
            told(action, repository, **more)
        return repository

    def _set(self, name: str, **facts: Unpack[Facts]) -> Repository:
        with self._lock:
            return self._put(replace(self.get(name), **_checked(facts)))

    def _put(self, repository: Repository) -> Repository:
        repository = replace(repository, updated_at=self._tick())
        self._repositories[repository.id] = repository
        self._by_name[repository.name.casefold()] = repository.id
        self._left_behind.pop(repository.name.casefold(), None)
        return repository

    def _remove(self, repository: Repository) -> Repository:
        self._tick()
        del self._by_name[repository.name.casefold()]
        return self._repositories.pop(repository.id)

    def _tick(self) -> datetime:
        self._listings.clear()
        self._now += timedelta(minutes=10)
        return self._now

    def _free(self, name: str, *, unless: int | None = None) -> None:
        if not _NAME.fullmatch(name) or name in {".", ".."}:
            raise OrganisationError(
                f"{name!r} is no name for a repository: GitHub takes 1 to 100 of the characters "
                "A-Z a-z 0-9 - _ . and neither '.' nor '..'."
            )
        holder = self._by_name.get(name.casefold())
        if holder not in {None, unless}:
            raise OrganisationError(f"{self.login} already has a repository {name!r}.")

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name.casefold(), self._by_name, n=3)
        names = [self._repositories[self._by_name[key]].name for key in near]
        return f" Nearest: {', '.join(names)}." if names else ""


CHANGES = frozenset(
    {
        "add",
        "advise",
        "archive",
        "delete",
        "rename",
        "rename_organisation",
        "set_properties",
        "set_topics",
        "set_visibility",
        "transfer_back",
        "transfer_out",
        "unarchive",
    }
)


def _legal_login(login: str) -> str:
    if not _LOGIN.fullmatch(login):
        raise OrganisationError(
            f"{login!r} is no login: GitHub takes up to 39 letters, digits and single inner hyphens."
        )
    return login


def _texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _topics(value: Any) -> bool:  # noqa: ANN401 - JSON
    return _texts(value) and len(value) <= 20 and all(map(_TOPIC.fullmatch, value))  # noqa: PLR2004 - GitHub's limit


def _properties(value: object) -> bool:
    return isinstance(value, dict) and _texts([*value, *value.values()])


_FACT_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "visibility": (get_args(Visibility).__contains__, "is public, private or internal"),
    "archived": (lambda value: isinstance(value, bool), "is true or false"),
    "fork": (lambda value: isinstance(value, bool), "is true or false"),
    "is_template": (lambda value: isinstance(value, bool), "is true or false"),
    "language": (lambda value: isinstance(value, str | None), "is a text or null"),
    "description": (lambda value: isinstance(value, str | None), "is a text or null"),
    "default_branch": (lambda value: isinstance(value, str), "is a text"),
    "topics": (_topics, "is a list of at most 20 words of a-z 0-9 -, up to 50 long"),
    "properties": (_properties, "is an object of texts"),
    "files": (_texts, "is a list of paths"),
}


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts as the model keeps them; they may have come as JSON from another process."""
    problems = [
        f"{fact} is no fact of a repository (there are {', '.join(_FACT_CHECKS)})"
        if fact not in _FACT_CHECKS
        else f"{fact} {_FACT_CHECKS[fact][1]}, not {value!r}"
        for fact, value in facts.items()
        if fact not in _FACT_CHECKS or not _FACT_CHECKS[fact][0](value)
    ]
    if problems:
        raise OrganisationError(f"{'; '.join(problems)}.")
    copies: dict[str, Callable[[Any], Any]] = {
        "topics": tuple,
        "properties": dict,
        "files": tuple,
    }
    return {fact: copies.get(fact, lambda same: same)(value) for fact, value in facts.items()}


def as_json(repository: Repository) -> dict[str, Any]:
    """Return a repository as the control endpoints show it: the model's own words, not GitHub's."""
    times = {"created_at", "updated_at", "pushed_at"}
    return {
        key: value.isoformat() if key in times else value
        for key, value in asdict(repository).items()
    }


# Organisations to start from

_NO_IMAGE = ("github-action-", "terraform-provider-", ".")
_TEAMS = {"terraform-aws-s": "storage", "github-action-": "delivery", "charts": "dissolved"}
_LAMBDAS = frozenset(  # four forwarders and functions, and four names that others begin with
    {
        "lambdas-ssm-sync",
        "terraform-aws-datadog-lambda-forwarder",
        "terraform-aws-lambda-function",
        "terraform-aws-ses-lambda-forwarder",
        "terraform-aws-efs",
        "terraform-aws-rds",
        "terraform-aws-vpc",
        "terraform-aws-vpc-peering",
    }
)


def seeded_organisation(login: str = "sandbox-org", *, extra: Iterable[str] = ()) -> Organisation:
    """Return the organisation of the 100 names of ``sandbox/organisation.txt``, always the same.

    A few are archived, forks, templates, private or internal. The custom property ``container``
    is ``"true"`` for those that build an image, and ``lambda`` is for the eight that run as a
    Lambda function; ``team`` is for some, and for one of them it is a team that nobody knows. ``extra`` names are added after them, public and without an image.
    """
    lines = _SEED.read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    organisation = Organisation(login)
    for index, name in enumerate(names):
        organisation.add(name, **_seeded_facts(index, name))
    for name in extra:
        organisation.add(name, properties={"container": "false"})
    return organisation


def _seeded_facts(index: int, name: str) -> Facts:
    is_lambda = name in _LAMBDAS
    special = is_lambda or name.startswith(_NO_IMAGE)
    properties = {"container": "false" if name.startswith(_NO_IMAGE) else "true"}
    if is_lambda:
        properties["lambda"] = "true"
    if team := next((team for prefix, team in _TEAMS.items() if name.startswith(prefix)), None):
        properties["team"] = team
    visibility: Visibility = "public"
    if not special and index % 5 == 1:
        visibility = "private"
    elif not special and index % 9 == 2:  # noqa: PLR2004 - one in nine
        visibility = "internal"
    words = dict.fromkeys(word for word in re.split(r"[-.]+", name.lower()) if word)
    return Facts(
        visibility=visibility,
        archived=not special and index % 23 == 11,  # noqa: PLR2004 - four of a hundred
        fork=visibility == "public" and not special and index % 31 == 5,  # noqa: PLR2004 - three
        is_template=not special and index in {12, 50},
        language=_language(name),
        description=f"Sandbox copy of the name {name}",
        topics=tuple(words)[:5],
        properties=properties,
    )


def _language(name: str) -> str | None:
    if name.startswith("terraform-provider-"):
        return "Go"
    if name.startswith("terraform-"):
        return "HCL"
    return None if name.startswith(".") else ("Python", "Go", "Shell")[len(name) % 3]


def synthetic_organisation(count: int, login: str = "sandbox-org") -> Organisation:
    """Return an organisation of so many public repositories, ``service-00001`` and on."""
    organisation = Organisation(login)
    for number in range(1, count + 1):
        organisation.add(f"service-{number:05d}", properties={"container": "true"})
    return organisation
