"""Migrations: how a ledger that an older program wrote is brought to the form of this one.

Owns the numbers of the ledger's form and the steps from each to the next. The schema says which programs
can read a ledger at all: it rises only where an older one would read something wrong, and that one then refuses
it. The revision says in which form it is written: whoever knows the schema can read every revision of it, a newer
one too, so that going back to an older program needs no other state. That one writes its own revision again;
so each step takes what is there already as it is. Reads nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

LEDGER_SCHEMA = 1
"""What a program must know to read a ledger."""

LEDGER_REVISION = 2
"""The form in which this program writes one."""

_SETTINGS = ("policy", "replication", "scanning", "accountSettings")
"""What a registry had when every setting of it was this program's."""

Raw = Mapping[str, Any]
"""A ledger as the stack's outputs have it."""


def migrated(raw: Raw) -> Raw:
    """Return a ledger of this schema in the newest form that this program knows.

    One without a revision is of the first. What a newer program added stays, and is not looked at. Raises
    KeyError, TypeError, ValueError or AttributeError where the ledger is damaged.
    """
    revision = int(raw.get("revision", 1))
    if revision < 1:
        raise ValueError(f"no such revision: {revision}")
    for step in _STEPS[revision - 1 :]:
        raw = step(raw)
    return raw


def _registries_are_written_down(raw: Raw) -> Raw:
    """Say which settings of registries are this stack's.

    A ledger that does not say it comes from a program that deployed every setting of the registries in which it
    had image repositories.
    """
    if "registries" in raw:
        return raw
    registries = {
        _registry(location)
        for entry in raw["services"].values()
        for location in (*entry["placements"], *entry["replicas"])
    }
    held = {key: dict.fromkeys(_SETTINGS, "managed") for key in sorted(registries)}
    return {**raw, "registries": held}


def _registry(location: str) -> str:
    account, region, _ = location.split("/", 2)
    return f"{account}/{region}"


_STEPS: tuple[Callable[[Raw], Raw], ...] = (_registries_are_written_down,)
"""The step from each revision to the next, that from the first at the beginning."""
