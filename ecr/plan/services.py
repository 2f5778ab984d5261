"""A service as it goes through the plan, from step to step.

Owns the one value that carries what belongs together: the ledger's entry, the repository on GitHub,
the images and the pairs for replication. Reads nothing and decides nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ecr.github.model import Repository
from ecr.ledger.ledger import Entry, LedgerState
from ecr.registry.registry import Placement


@dataclass(frozen=True, slots=True)
class Service:
    """What one GitHub repository builds.

    ``repository`` is None where GitHub no longer lists it. ``images`` are the names of its images, its
    own the first; only a service whose repository is selected has any. ``ours`` says whether this
    stack deploys it, and ``held`` whether it is carried as the ledger has it until an operator
    confirms a change. ``fillings`` are its replicas, each as a pair of the placement that fills it and
    the replica.
    """

    github_id: int
    entry: Entry
    repository: Repository | None
    images: tuple[str, ...] = ()
    ours: bool = True
    held: bool = False
    fillings: tuple[tuple[Placement, Placement], ...] = ()

    @property
    def name(self) -> str:
        """Return the name that was chosen for it once."""
        return self.entry.service

    @property
    def active(self) -> bool:
        """Return whether its repository should still be there."""
        return self.entry.state == "active"

    def locations(self) -> Iterator[tuple[str, LedgerState]]:
        """Yield each of its image repositories as "ACCOUNT/REGION/NAME", with its state."""
        yield from self.entry.placements.items()
        yield from self.entry.replicas.items()
