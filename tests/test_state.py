"""The engine's state is asked again while it is being written, and not for ever."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from pulumi import runtime

from ecr.engine import invoke as state


class Engine:
    """Says these things in turn, an exception by raising it; remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *said: Any) -> None:
        self.said = list(said)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.pauses: list[float] = []
        monkeypatch.setattr(runtime, "invoke_async", self.invoke)
        monkeypatch.setattr(asyncio, "sleep", self.sleep)

    async def invoke(self, function: str, arguments: Mapping[str, Any]) -> Any:
        self.asked.append((function, dict(arguments)))
        said = self.said.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


TORN = Exception("invocation returned an error: failed to load checkpoint: EOF")


def ask() -> Any:
    return asyncio.run(state.ask_state("readStackOutputs", {"name": "organization/estate/prod"}))


def test_a_state_that_is_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, TORN, TORN, {"outputs": {}})
    assert ask() == {"outputs": {}}
    assert (
        engine.asked
        == [("pulumi:pulumi:readStackOutputs", {"name": "organization/estate/prod"})] * 3
    )
    assert engine.pauses == [0.05, 0.1]


def test_a_state_that_stays_torn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, *[TORN] * (len(state.PAUSES) + 1))
    with pytest.raises(Exception, match="EOF"):
        ask()
    assert not engine.said


def test_another_refusal_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, Exception("no such stack"))
    with pytest.raises(Exception, match="no such stack"):
        ask()
    assert engine.pauses == []


def test_nothing_is_an_empty_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, None)
    assert ask() == {}
