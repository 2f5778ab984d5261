"""Wildcards as Amazon ECR has them: `*` is any number of characters, and nothing else is special.

Owns the one translation that tags, names and filters are compared by. Reads nothing. It is not
`fnmatch`, to which `?` and `[` mean something.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL)


def matches(text: str, pattern: str) -> bool:
    """Return whether the whole text fits the pattern."""
    return _expression(pattern).fullmatch(text) is not None
