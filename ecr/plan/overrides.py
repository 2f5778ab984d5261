"""Overrides and rules: which services an entry of the settings is for.

Reads the settings and what GitHub says of a repository. Never guesses at what GitHub no longer says.
"""

from ecr.github.model import Repository, has_property, matches_any
from ecr.settings.models import ForServices, ServiceRule


def is_for(override: ForServices, service: str, repository: Repository | None) -> bool | None:
    """Return whether an override is for a service; None where only GitHub knew.

    ``service`` is the name chosen once, so that a rename on GitHub changes nothing. ``repository`` is
    None where GitHub no longer lists it.
    """
    if override.names and not matches_any(service, override.names):
        return False
    rule = override.property
    if rule is None:
        return True
    return has_property(repository, rule.property, rule.values) if repository else None


def selects(rule: ServiceRule, repository: Repository) -> bool:
    """Return whether a rule selects the service of a repository."""
    if rule.property is not None:
        return has_property(repository, rule.property, rule.values)
    return rule.all or matches_any(repository.name, rule.patterns)
