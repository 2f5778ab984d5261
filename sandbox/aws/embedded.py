"""Starting and stopping the embedded AWS, what it was asked, and what it is to do wrong.

Owns the lifetime of the server, the journal of calls and the armed refusals. Reads nothing. Never imports moto at
module level: that takes a second, and most commands of the sandbox do not need it.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, cast

from sandbox.aws.network import Network
from sandbox.aws.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from sandbox.aws.authorisation import Grant
    from sandbox.aws.identity import Organisation
    from sandbox.aws.registry import Registry


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request that the embedded AWS answered.

    `service` is the name a request is signed for, which for the services used here is also
    the prefix of the IAM action; `status` is the HTTP status of the answer. `account` is the
    account of the credentials, so an AssumeRole belongs to the account it starts from. `subject` is
    the name or ARN of what the request is about, as the request has it; empty where it names none.
    `tags` are those of the request in the form of AWS KMS, which conditions of policies may ask for.
    `principal` is the ARN of who asked, as policies name it: of a session's role, of a user, of the
    identity provider of a token; empty where nobody is known. `decision` is that of IAM: `allowed`,
    `denied`, `not allowed`, `needs no permission` or `unknown credentials`.
    """

    account: str
    region: str
    service: str
    action: str
    status: int
    subject: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    principal: str = ""
    decision: str = ""


@dataclass(slots=True)
class _Watch:
    """What is to be done at a certain call: the ``count``-th whose action matches."""

    count: int
    action: str
    act: Callable[[ApiCall], None]


class Journal:
    """The calls answered so far, in the order of their answers; safe to share by threads."""

    def __init__(self) -> None:
        self._calls: list[ApiCall] = []
        self._lock = threading.Lock()
        self._watch: _Watch | None = None

    def add(self, call: ApiCall) -> None:
        """Append one call, and do what waits for it."""
        with self._lock:
            self._calls.append(call)
            act = None
            if self._watch and fnmatchcase(call.action, self._watch.action):
                self._watch.count -= 1
                if not self._watch.count:
                    act, self._watch = self._watch.act, None
        if act:
            act(call)

    def watch(self, watch: _Watch | None) -> None:
        """Do something once, at a certain call from now on; None is nothing."""
        with self._lock:
            self._watch = watch

    def calls(self) -> list[ApiCall]:
        """Return a copy of the calls."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget the calls."""
        with self._lock:
            self._calls.clear()


@dataclass(slots=True)
class Refusal:
    """An error that AWS answers before it acts.

    ``service`` and ``action`` are wildcard patterns of what is refused; ``times`` None is for ever.
    """

    service: str
    action: str
    code: str
    status: int
    times: int | None
    fired: int = 0
    message: str = "refused by the embedded AWS, as it was told to"

    def wants(self, service: str, action: str) -> bool:
        """Return whether it strikes this call."""
        return (
            (self.times is None or self.fired < self.times)
            and fnmatchcase(service, self.service)
            and fnmatchcase(action, self.action)
        )


class Refusals:
    """The armed refusals. A call is struck by the first that wants it. Safe in many threads."""

    def __init__(self) -> None:
        self._armed: list[Refusal] = []
        self._lock = threading.Lock()

    def arm(
        self, service: str, action: str, code: str, *, status: int = 400, times: int | None = 1
    ) -> Refusal:
        """Let the next matching calls fail with an error code and an HTTP status."""
        refusal = Refusal(service, action, code, status, times)
        with self._lock:
            self._armed.append(refusal)
        return refusal

    def take(self, service: str, action: str) -> Refusal | None:
        """Return the refusal that strikes this call, and count it."""
        with self._lock:
            wanting = next((each for each in self._armed if each.wants(service, action)), None)
            if wanting:
                wanting.fired += 1
            return wanting

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()


class EmbeddedAws:
    """Context manager: AWS on loopback, in this process, on a free port.

    Every call is decided as IAM decides it. With ``strict`` only who is known is let in, and only
    roles that exist can be assumed. Without, any fake keys are those of the administrator of
    `default_account`, and STS AssumeRole of `arn:aws:iam::ACCOUNT:role/NAME` by an administrator
    gives credentials of an administrator of ACCOUNT, where no such role exists. Each entry starts
    with an empty AWS. ``organisation`` is the id of the AWS organisation of all accounts.

    `/_sandbox/calls` answers GET with the calls as a JSON list of objects, and DELETE by
    forgetting them, for a test that runs in another process.

    Raises RuntimeError when one is already entered: moto's backends are global to a process,
    so two would be the same AWS.
    """

    default_account: ClassVar = "123456789012"
    _only_one: ClassVar = threading.Lock()

    url: str
    organisation: Organisation

    def __init__(self, *, strict: bool = False, organisation: str | None = None) -> None:
        self._journal = Journal()
        self.refusals = Refusals()
        self.network = Network()
        self.world = World()
        self._running = ExitStack()
        self._strict = strict
        self._organisation_id = organisation
        self._one_at_a_time = threading.Lock()

    def __enter__(self) -> Self:
        # Imported here because moto takes a second to import: see the module's docstring.
        from sandbox.aws import function_urls, seeding  # noqa: PLC0415
        from sandbox.aws.authorisation import Authorisation  # noqa: PLC0415
        from sandbox.aws.functions import checked_images  # noqa: PLC0415
        from sandbox.aws.identity import Identities, Organisation  # noqa: PLC0415
        from sandbox.aws.identity_providers import changing_providers  # noqa: PLC0415
        from sandbox.aws.keys import whole_keys  # noqa: PLC0415
        from sandbox.aws.responses import extended_ecr  # noqa: PLC0415
        from sandbox.aws.server import serving  # noqa: PLC0415
        from sandbox.aws.stacks import made_by_templates  # noqa: PLC0415
        from sandbox.aws.subscriptions import confirmed_by_hand  # noqa: PLC0415
        from sandbox.aws.topic_attributes import shown_as_kept  # noqa: PLC0415

        if not self._only_one.acquire(blocking=False):
            raise RuntimeError(
                "an embedded AWS already runs in this process, and moto's state is global to a "
                "process: leave the first one before entering a second"
            )
        with ExitStack() as starting:
            starting.callback(self._only_one.release)
            self._journal.clear()
            self.refusals.clear()
            self.network.clear()
            self.world = World()
            starting.enter_context(extended_ecr(self.world))
            starting.enter_context(checked_images())
            self.organisation = Organisation(self._organisation_id)
            starting.enter_context(made_by_templates(self.organisation))
            starting.enter_context(whole_keys(self.world.clock))
            starting.enter_context(confirmed_by_hand(self.world.clock))
            starting.enter_context(shown_as_kept(self.world.clock))
            starting.enter_context(changing_providers())
            self._identities = Identities(
                self.organisation, self.default_account, strict=self._strict
            )
            self._authorisation = Authorisation(self._identities, self.world)
            self._seeding = seeding
            self.url = starting.enter_context(
                serving(
                    self._journal,
                    self.refusals,
                    self.network,
                    self._authorisation,
                    self._one_at_a_time,
                )
            )
            starting.enter_context(
                function_urls.answered(self.url, self._seeding.session_of_service)
            )
            self._running = starting.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()

    def calls(self) -> list[ApiCall]:
        """Return the calls answered since the start, or since they were last forgotten."""
        return self._journal.calls()

    def forget_calls(self) -> None:
        """Start the journal anew."""
        self._journal.clear()

    def grants(self) -> dict[tuple[str, str], Grant]:
        """Return, of each principal and action, the last permission that was needed and given.

        Those that AWS asks for beside a call are among them.
        """
        with self._one_at_a_time:
            return dict(self._authorisation.grants)

    def web_token(self, claims: Mapping[str, str]) -> str:
        """Return a token of the identity provider, as GitHub gives a job one."""
        return self._identities.token(claims)

    def put_role(
        self,
        arn: str,
        trust: str,
        policies: Mapping[str, str],
        *,
        boundary: str | None = None,
        seconds: int = 3600,
    ) -> None:
        """Make a role, or give one that stands another trust policy and other inline policies.

        ``policies`` are documents by name; ``seconds`` is how long its sessions may last. It is done
        by nobody, as before the first call, and is not in the journal.
        """
        with self._one_at_a_time:
            self._seeding.put_role(arn, trust, policies, boundary=boundary, seconds=seconds)

    def put_provider(self, arn: str, audience: str) -> None:
        """Make an identity provider, which vouches for the tokens of `web_token`."""
        with self._one_at_a_time:
            self._seeding.put_provider(arn, audience)

    def remove_provider(self, arn: str) -> None:
        """Take an identity provider away."""
        with self._one_at_a_time:
            self._seeding.remove_provider(arn)

    def session_of(
        self, role: str, claims: Mapping[str, str], *, region: str, seconds: int = 3600
    ) -> dict[str, str]:
        """Return credentials of a role for a job with these claims, as boto3 takes them.

        They are decided as any are, and are not in the journal. Raises PermissionError.
        """
        with self._one_at_a_time:
            return self._seeding.session_of(
                self._authorisation, role, self.web_token(claims), region, seconds
            )

    def registry(self, account: str, region: str) -> Registry:
        """Return a registry as this process holds it, for what no API can do to it.

        Whoever changes it holds ``world.clock.busy``.
        """
        # Imported here because moto takes a second to import: see the module's docstring.
        from moto.ecr.models import ecr_backends  # noqa: PLC0415

        return cast("Registry", ecr_backends[account][region])

    @contextmanager
    def at_call(
        self, count: int, act: Callable[[ApiCall], None], *, action: str = "*"
    ) -> Iterator[None]:
        """Do something once, at the ``count``-th call in this context whose action matches.

        It is done after AWS has acted on the call, and before its caller has the answer. ``action``
        is a wildcard.
        """
        self._journal.watch(_Watch(count, action, act))
        try:
            yield
        finally:
            self._journal.watch(None)
