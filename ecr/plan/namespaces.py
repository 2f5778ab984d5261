"""Namespaces: the first part of an image repository's name, by which access can be told apart.

Owns which namespace a repository is placed in, once, by the settings' map or a custom property. What
stands keeps its name: the ledger has it, and the namespace is a part of it. A name with a first part
that is no namespace of the settings is in none.
"""

from collections.abc import Iterable, Iterator

from ecr.errors import first_of
from ecr.github.model import Repository
from ecr.plan.naming import NameRefusedError, chosen_name, service_name
from ecr.plan.services import Service
from ecr.settings.models import Namespaces, Settings


def placed_name(repository: Repository, settings: Settings) -> str:
    """Return the name under which a repository's image repositories go, its namespace first.

    A name that an operator chose is whole. Raises NameRefusedError, with its remedy, where ECR has no
    such name, or the namespace is missing or unknown.
    """
    if chosen_name(repository.name, settings.chosen_names):
        return service_name(repository.name, settings.chosen_names)
    namespace = _namespace_for(repository, settings.namespaces)
    name = service_name(repository.name, {}, namespace)
    if namespace is None and name in settings.namespaces.known:
        raise NameRefusedError(f"{name} is the name of a namespace")
    return name


def namespace_of(name: str, settings: Settings) -> str | None:
    """Return the namespace that an image repository's name is in; None where it is in none."""
    first, _, rest = name.partition("/")
    return first if rest and first in settings.namespaces.known else None


def possible_names(repositories: Iterable[Repository], settings: Settings) -> Iterator[str]:
    """Yield the names that repositories would get now."""
    for repository in repositories:
        try:
            yield placed_name(repository, settings)
        except NameRefusedError:
            continue


def misplaced(services: Iterable[Service], settings: Settings) -> Iterator[str]:
    """Say which services are named otherwise than their namespace now would have it; they stay."""
    if not settings.namespaces.known:
        return
    found = []
    for each in services:
        if not each.active or each.repository is None:
            continue
        try:
            namespace = _namespace_for(each.repository, settings.namespaces)
        except NameRefusedError:
            continue
        if namespace and namespace != namespace_of(each.name, settings):
            found.append(f"{each.name} ({namespace})")
    if found:
        yield (
            f"{len(found)} services stay under the names that they have, though their namespace is "
            f"another now: {', '.join(first_of(found, 5))}; move one by `names`"
        )


def _namespace_for(repository: Repository, namespaces: Namespaces) -> str | None:
    """Return the namespace that the settings and GitHub say; None where there is none.

    Raises NameRefusedError where the custom property is no namespace, or is missing and required.
    """
    mapped = chosen_name(repository.name, namespaces.chosen)
    if mapped:
        return mapped
    rule = namespaces.property
    held = repository.properties.get(rule, ()) if rule else ()
    values = (held,) if isinstance(held, str) else tuple(held)
    match values:
        case () if namespaces.required:
            what = f"its custom property {rule} is missing" if rule else "it has no namespace"
            raise NameRefusedError(what, "set it, or list it in namespaces.repositories")
        case ():
            return None
        case (value,) if value in namespaces.known:
            return value
        case (value,):
            raise NameRefusedError(
                f"its custom property {rule} is {value!r}, which is no namespace",
                "correct it, or add the namespace to namespaces.known",
            )
        case _:
            raise NameRefusedError(
                f"its custom property {rule} has {len(values)} values",
                "leave one, or list it in namespaces.repositories",
            )
