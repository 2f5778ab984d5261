"""Images: which images a service builds, each with image repositories of its own.

Owns the names SERVICE/IMAGE, which the settings or a custom property declare beside the service's
own. It reads no Dockerfile and guesses nothing: `ecr-estate dockerfiles` only reports.
"""

import re
from collections.abc import Iterator

from ecr.github.model import Repository
from ecr.settings.models import NamedImages


def image_names(service: str, repository: Repository | None, named: NamedImages) -> Iterator[str]:
    """Yield the names of a service's images: its own, then the declared ones, each once.

    ``repository`` is None where GitHub no longer lists it. Values of the custom property are whatever
    was typed there; ECR may refuse such a name.
    """
    declared = list(named.services.get(service, ()))
    if named.property and repository:
        value = repository.properties.get(named.property, ())
        declared += re.split(r"[,\s]+", value.strip(", ")) if isinstance(value, str) else value
    yield service
    yield from (f"{service}/{image}" for image in dict.fromkeys(filter(None, declared)))
