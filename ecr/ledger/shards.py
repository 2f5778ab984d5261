"""Shards: one estate on several stacks of this program, each with the services of its own ids.

Owns which stack a service belongs to, by its GitHub id, and which stack has what is set once for a
whole registry. Reads nothing: the stacks are a setting, and their one ledger is ``ecr.ledger.ledger``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ecr.errors import EstateError


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of one stack: the ids that leave ``index`` when divided by ``count``."""

    index: int = 0
    count: int = 1

    def owns(self, github_id: int) -> bool:
        """Return whether the service of this GitHub id belongs to the stack."""
        return github_id % self.count == self.index

    @property
    def owns_registry_settings(self) -> bool:
        """Return whether the stack deploys what is set once for a whole registry."""
        return self.index == 0


WHOLE = Shard()
"""An estate that is one stack."""


def shard_of(stack: str, stacks: Sequence[str]) -> Shard:
    """Return the part of a stack. Raises EstateError where it has none."""
    if not stacks:
        return WHOLE
    if stack not in stacks:
        raise EstateError(
            "This stack is no part of the estate; nothing was changed.",
            [
                f"shards = {list(stacks)}: {stack} is not among them; append it, in every stack's file"
            ],
        )
    return Shard(stacks.index(stack), len(stacks))
