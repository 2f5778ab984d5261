"""The last outputs of stacks, as the engine gives them to a deployment.

Owns the reading of the ledger from them: that of this stack, and of the others that share the estate.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from ecr.engine.invoke import ask_state
from ecr.ledger.ledger import THIS_STACK, Ledger, gather, parse_ledger
from ecr.ledger.shards import shard_of


@dataclass(frozen=True, slots=True)
class Last:
    """What the last deployments left: the estate's ledger, and all outputs of this stack's own."""

    ledger: Ledger
    outputs: Mapping[str, Any] = field(default_factory=dict)


async def read_last(stacks: Sequence[str] = ()) -> Last:
    """Read the ledger of the estate that is being deployed, from all the ``stacks`` that it is.

    Raises EstateError when one cannot be read, or this stack is none of them.
    """
    stack = pulumi.get_stack()
    shard = shard_of(stack, stacks)
    own, *rest = await asyncio.gather(
        *map(_read, (stack, *(each for each in stacks if each != stack)))
    )
    indexes = [index for index, each in enumerate(stacks) if each != stack]
    others = {index: last.ledger for index, last in zip(indexes, rest, strict=True)}
    return Last(gather(own.ledger, others, shard), own.outputs)


async def _read(stack: str) -> Last:
    """Read the last outputs of one stack of this project.

    By a function of the engine, for a StackReference would keep all those outputs in the state of
    this stack too.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    try:
        answer = await ask_state("readStackOutputs", {"name": name})
    except Exception as error:
        said = " ".join(str(error).split())
        raise THIS_STACK.refusal(f"the outputs of {name} were not given ({said})") from error
    outputs = answer.get("outputs") or {}
    return Last(parse_ledger(outputs.get("ledger")), outputs)
