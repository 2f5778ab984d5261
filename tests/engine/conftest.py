"""Sessions on the real engine: one an individual test, each with its own AWS, GitHub and state."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.github import Organisation
from sandbox.session import ORGANISATION, Session
from sandbox.toolchain import Toolchain, ensure_toolchain

Open = Callable[..., Session]


@pytest.fixture(scope="session")
def toolchain() -> Toolchain:
    return ensure_toolchain(print)


@pytest.fixture
def open_session(toolchain: Toolchain, tmp_path: Path) -> Iterator[Open]:
    """Open a session on an organisation of the named repositories; settings are laid over."""
    with ExitStack() as sessions:

        def open_one(*names: str, **settings: Any) -> Session:
            organisation = Organisation(ORGANISATION)
            for name in names:
                organisation.add(name)
            session = Session(
                tmp_path / "session", toolchain, organisation=organisation, settings=settings
            )
            return sessions.enter_context(session)

        yield open_one
