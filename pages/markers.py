"""Pages with a part that a command writes, between two comments, among what people write.

Owns the comments and the exchange. Reads and writes no file.
"""

import re


def markers(name: str) -> tuple[str, str]:
    """Return the comments before and after the part of this name."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def replace_between_markers(page: str, name: str, text: str) -> str:
    """Return the page with its part replaced; one without the comments stays as it is."""
    begin, end = markers(name)
    return re.sub(f"{begin}.*{end}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)
