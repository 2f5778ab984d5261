"""Starting and stopping the embedded AWS, and what it was asked.

Owns the lifetime of the server and the journal of calls. Reads nothing. Never imports moto at
module level: that takes a second, and most commands of the sandbox do not need it.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request that the embedded AWS answered.

    `service` is the name a request is signed for, which for the services used here is also
    the prefix of the IAM action; `status` is the HTTP status of the answer. `account` is the
    account of the credentials, so an AssumeRole belongs to the account it starts from.
    """

    account: str
    region: str
    service: str
    action: str
    status: int


class Journal:
    """The calls answered so far, in the order of their answers; safe to share by threads."""

    def __init__(self) -> None:
        self._calls: list[ApiCall] = []
        self._lock = threading.Lock()

    def add(self, call: ApiCall) -> None:
        """Append one call."""
        with self._lock:
            self._calls.append(call)

    def calls(self) -> list[ApiCall]:
        """Return a copy of the calls."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget the calls."""
        with self._lock:
            self._calls.clear()


class EmbeddedAws:
    """Context manager: AWS on loopback, in this process, on a free port.

    Any fake keys are credentials of `default_account`. STS AssumeRole of
    `arn:aws:iam::ACCOUNT:role/NAME` gives credentials that land in ACCOUNT, whether or not
    the role exists. Each entry starts with an empty AWS.

    `/_sandbox/calls` answers GET with the calls as a JSON list of objects, and DELETE by
    forgetting them, for a test that runs in another process.

    Raises RuntimeError when one is already entered: moto's backends are global to a process,
    so two would be the same AWS.
    """

    default_account: ClassVar = "123456789012"
    _only_one: ClassVar = threading.Lock()

    url: str

    def __init__(self) -> None:
        self._journal = Journal()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        # Imported here because moto takes a second to import: see the module's docstring.
        from sandbox.aws.registry import extended_ecr  # noqa: PLC0415
        from sandbox.aws.server import serving  # noqa: PLC0415

        if not self._only_one.acquire(blocking=False):
            raise RuntimeError(
                "an embedded AWS already runs in this process, and moto's state is global to a "
                "process: leave the first one before entering a second"
            )
        with ExitStack() as starting:
            starting.callback(self._only_one.release)
            self._journal.clear()
            starting.enter_context(extended_ecr())
            self.url = starting.enter_context(serving(self._journal))
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
