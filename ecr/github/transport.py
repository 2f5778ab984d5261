"""What a conversation with GitHub's REST API is made of, whoever carries it.

Owns the answer, the asking and the token of the environment, and knows neither the listing nor HTTP: a deployment asks by the GitHub
provider, and commands by ``ecr.github.http``.
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from ecr.errors import EstateError


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the REST API. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str


Fetch = Callable[[str], Awaitable[Reply]]
"""GET one endpoint (without a leading slash). Raises EstateError if there is no answer."""


def environment_token() -> str | None:
    """Return the environment's GITHUB_TOKEN, None where it is empty. Raises EstateError if it is none."""
    return usable_token("GITHUB_TOKEN", os.environ.get("GITHUB_TOKEN"))


def usable_token(where: str, token: str | None) -> str | None:
    """Return the token; raises EstateError, which never shows it, where no header could hold it."""
    if token and not re.fullmatch(r"[!-~]+", token):
        raise EstateError(
            "The GitHub token cannot be one; GitHub was not asked.",
            [
                f"{where}: holds white space or letters that no token has; set it again, without them"
            ],
        )
    return token or None
