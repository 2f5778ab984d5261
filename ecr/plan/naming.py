"""Names: an image repository is called after its GitHub repository.

Owns the one mapping between the two grammars. It only changes case, which GitHub ignores; it never
repairs a name by dropping or replacing characters, because two repositories could then share one.
"""

import re
from collections.abc import Mapping

_ECR = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
SHORTEST_NAME = 2
"""Characters of an image repository's name, at least (Amazon ECR API Reference, CreateRepository)."""

LONGEST_NAME = 256
"""Characters of an image repository's name, at most (Amazon ECR API Reference, CreateRepository)."""


class NameRefusedError(ValueError):
    """A repository cannot be placed; the message says why, and ``remedy`` what to do."""

    def __init__(self, why: str, remedy: str = "choose one under `names`") -> None:
        super().__init__(why)
        self.remedy = remedy


def chosen_name(repository: str, names: Mapping[str, str]) -> str | None:
    """Return what an operator chose for a repository; ``names`` are by repository in lower case."""
    return names.get(repository.lower())


def service_name(repository: str, names: Mapping[str, str], namespace: str | None = None) -> str:
    """Return the name under which a repository's image repositories go.

    ``names`` are the operator's choices by GitHub name in lower case, each whole; otherwise it is the name in lower
    case, below its namespace. Raises NameRefusedError where ECR has no such name.
    """
    name = chosen_name(repository, names)
    if name is None:
        name = "/".join(filter(None, (namespace, repository.lower())))
    refusal = why_refused(name)
    if refusal:
        raise NameRefusedError(refusal)
    return name


def why_refused(name: str) -> str | None:
    """Say why ECR refuses a name; None if it takes it."""
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME:
        return (
            f"ECR names have {SHORTEST_NAME} to {LONGEST_NAME} characters, and this has {len(name)}"
        )
    if _ECR.fullmatch(name):
        return None
    if name[0] in "._-/" or name[-1] in "._-/":
        return "ECR names begin and end with a letter or digit"
    if re.search(r"[._/-]{2}", name):
        return "ECR names have no two separators side by side"
    return "ECR names have lower-case letters, digits, and single `.`, `_`, `-`, `/` between them"
