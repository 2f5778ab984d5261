"""A part of the estate: the services of a few repositories, deployed by themselves.

Owns which of the engine's resources belong to such a deployment, and what of a whole plan is left for it. The
estate is read and planned whole all the same: a guard, a limit and a name that is taken act as ever. What else
has changed is left to the next deployment of everything, and the ledger stays silent about it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from ecr.errors import EstateError
from ecr.ledger.ledger import Entry, Ledger
from ecr.plan.access.push_roles import role_name
from ecr.plan.architectures import architecture_of, configured_registries
from ecr.plan.model import EstatePlan
from ecr.plan.naming import chosen_name
from ecr.settings.models import Settings

_WHOLE = "deploy the whole estate with `pulumi up`"


@dataclass(frozen=True, slots=True)
class PartOfEstate:
    """The repositories whose services are deployed: their names on GitHub, by their GitHub ids."""

    repositories: Mapping[int, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` wrote. Raises EstateError where it is something else."""
        try:
            pairs = (each.split("=") for each in text.split(","))
            return cls({int(number): name for number, name in pairs})
        except ValueError as error:
            raise EstateError(
                "The part of the estate to deploy cannot be read; nothing was changed.",
                [
                    f"{text!r}: is not ID=REPOSITORY, with a comma between two; let `ecr-estate deploy` set it"
                ],
            ) from error

    def __str__(self) -> str:
        """Return it as one line, for a variable."""
        return ",".join(f"{number}={name}" for number, name in self.repositories.items())

    def targets(self, settings: Settings) -> Iterator[str]:
        """Yield patterns of the engine's names (URNs) of everything that this deployment may change.

        In a pattern ``*`` stands for anything without a colon, and ``**`` for anything. The registries' own
        settings are among them: what is replicated is named there.
        """
        for registry in configured_registries(settings):
            yield f"**::aws:ecr/**::{registry.key}"
        # By type, for a repository may be called like other things of a registry: alerts, caches.
        for location in self._locations(settings):
            yield f"**::aws:ecr/repository:Repository**::{location}"
            yield f"**::aws:ecr/repository:Repository**::{location}/*"
        first = architecture_of(settings)("")[0].registry.account
        # The identity provider is none of them: the roles of all services depend on it, and the engine lets
        # nothing depend on a target that is not registered.
        for number, name in self._services(settings):
            role = f"**::aws:iam/role:Role**::{first}/{role_name(name, number)}"
            yield role
            yield f"{role}/*"

    def of(self, plan: EstatePlan, before: Ledger, settings: Settings) -> EstatePlan:
        """Return what of the whole plan this deployment is for.

        ``before`` is the ledger that the plan was made from. Raises EstateError, with every reason, where the
        services cannot be deployed without others.
        """
        offences = [*self._unplaced(plan), *self._entangled(plan, before, settings)]
        if offences:
            raise EstateError(
                "These services cannot be deployed by themselves; nothing was changed.", offences
            )
        entries = {number: plan.ledger.entries[number] for number in self.repositories}
        held = {location for entry in entries.values() for location in _locations(entry)}
        changes = tuple(each for each in plan.changes if held.intersection(each.locations))
        return replace(
            plan,
            registries=tuple(
                replace(each, caches=(), templates=(), exclusions=()) for each in plan.registries
            ),
            image_repositories=tuple(
                each for each in plan.image_repositories if each.placement.location in held
            ),
            alerts=(),
            push_roles=tuple(
                each for each in plan.push_roles if each.github_id in self.repositories
            ),
            ledger=Ledger({**before.owned, **entries}, registries=before.registries),
            notes=(*plan.notes, *_waiting(len(plan.changes) - len(changes))),
            changes=changes,
        )

    def _services(self, settings: Settings) -> Iterator[tuple[int, str]]:
        """Yield each name that a service may get, with its repository's id."""
        for number, repository in self.repositories.items():
            chosen = chosen_name(repository, settings.chosen_names)
            if chosen:
                yield number, chosen
                continue
            yield number, repository.lower()
            for namespace in settings.namespaces.known:
                yield number, f"{namespace}/{repository.lower()}"

    def _locations(self, settings: Settings) -> Iterator[str]:
        """Yield where the services' image repositories may be, and below which those of their images."""
        names = {
            name
            for _, service in self._services(settings)
            for name in (service, *(each.name for each in architecture_of(settings)(service)))
        }
        for registry in configured_registries(settings):
            yield from (f"{registry.key}/{name}" for name in sorted(names))

    def _unplaced(self, plan: EstatePlan) -> Iterator[str]:
        reasons = {each.id: each.reason for each in (*plan.left_out, *plan.unselected)}
        for number, name in self.repositories.items():
            if number not in plan.ledger.entries:
                why = reasons.get(number, "it is not listed, or another stack of the estate has it")
                yield f"{name}: {why}"
            elif number in reasons:
                yield f"{name}: {reasons[number]}"

    def _entangled(self, plan: EstatePlan, before: Ledger, settings: Settings) -> Iterator[str]:
        """Yield why the whole estate has to be deployed instead."""
        if not before.owned:
            yield f"this stack: nothing is deployed yet; {_WHOLE} first"
            return
        if before.arriving or before.leaving:
            yield f"this stack: services move between the stacks of the estate; {_WHOLE} first"
        if plan.ledger.registries != before.registries:
            yield f"this stack: what it has of the registries' settings changes; {_WHOLE} first"
        reached = frozenset(self._locations(settings))
        below = tuple(f"{each}/" for each in reached)
        for number, entry in {**before.owned, **plan.ledger.entries}.items():
            ours = number in self.repositories
            planned = plan.ledger.entries.get(number)
            kept = set(_locations(planned)) if planned else set()
            for location in sorted({*_locations(before.owned.get(number, entry)), *kept}):
                within = location in reached or location.startswith(below)
                if within and not ours:
                    yield f"{location}: is of {entry.service}; {_WHOLE}"
                elif ours and not within:
                    yield f"{location}: is not called after {self.repositories[number]}; {_WHOLE}"
                elif ours and location not in kept:
                    yield f"{location}: is to end; {_WHOLE}"


def _locations(entry: Entry) -> Iterator[str]:
    yield from entry.placements
    yield from entry.replicas


def _waiting(count: int) -> Iterator[str]:
    if count:
        yield (
            f"{count} other {'change waits' if count == 1 else 'changes wait'} for the next deployment of "
            "the whole estate"
        )
