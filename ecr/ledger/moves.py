"""Moves: what has to change stacks before a plan can stand, where an estate is several stacks.

Owns the one rule of moving: a service that belongs to another stack than before stops both until its
state has been moved, which touches nothing in AWS. Nothing moves by itself.
"""

from collections.abc import Container

from ecr.errors import EstateError, first_of
from ecr.ledger.ledger import Ledger


def all_moved(ledger: Ledger, managed: Container[str]) -> None:
    """Refuse a plan while the state of a service is not with the stack that it belongs to.

    ``managed`` are the locations that this stack's state holds. Raises EstateError.
    """
    offences = [
        f"{location}: {where}"
        for github_id, entry in ledger.entries.items()
        if github_id in ledger.leaving or github_id in ledger.arriving
        for location in (*entry.placements, *entry.replicas)
        for where in _wrong(location in managed, leaving=github_id in ledger.leaving)
    ]
    if offences:
        raise EstateError(
            f"{len(offences):,} image repositories belong to another stack of the estate than before, "
            "and have not been moved; nothing was changed. `ecr-estate shards` gives the commands.",
            first_of(offences),
        )


def _wrong(held: bool, *, leaving: bool) -> list[str]:  # noqa: FBT001 - whether the state holds it
    if leaving and held:
        return ["still in the state of this stack, and belongs to another; move it"]
    if not leaving and not held:
        return ["belongs to this stack, and is not in its state yet; move it"]
    return []
