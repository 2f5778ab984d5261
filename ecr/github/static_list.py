"""The inventory from a list: in the settings, or in a YAML file of the project.

Nobody is asked: the list is the whole truth. Owns the file's form, in which `ecr-estate list`
writes what GitHub says, so that a list can be begun from there and given up again.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from ecr.errors import EstateError
from ecr.github.model import Inventory, Repository
from ecr.plain_yaml import compose_yaml, load_yaml
from ecr.settings.load import parse_static
from ecr.settings.models import StaticRepository

HEADER = """\
# The repositories of the estate. An id is the identity of its entry: never give it to another.
"""


def static_inventory(entries: Iterable[StaticRepository]) -> Inventory:
    """Return the listed repositories; all of them become services."""
    repositories = (
        Repository(id=entry.id, name=entry.name, properties=entry.properties) for entry in entries
    )
    return Inventory(tuple(sorted(repositories, key=lambda repository: repository.id)))


def read_list(path: Path) -> tuple[StaticRepository, ...]:
    """Read a file that is a list of entries.

    Raises EstateError, naming each offence by its line, when anything in it is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
        # A list's own line is the first of its first entry, and an empty file has none.
        root = compose_yaml(text)
        entries = load_yaml(text)
    except OSError as error:
        raise _unusable([f"staticFile = {str(path)!r}: {error.strerror}"]) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unusable([f"{path}: is not YAML ({' '.join(str(error).split())})"]) from error
    nodes = root.value if isinstance(root, yaml.SequenceNode) else ()
    lines = [node.start_mark.line + 1 for node in nodes]
    try:
        return parse_static(entries)
    except EstateError as error:
        raise _unusable(
            [_at_its_line(path, offence, lines) for offence in error.offences]
        ) from None


def written_list(repositories: Iterable[Repository]) -> str:
    """Return the text of such a file, in the order of the ids."""
    entries = [
        {
            "id": each.id,
            "name": each.name,
            **(
                {
                    "properties": {
                        name: value if isinstance(value, str) else list(value)
                        for name, value in sorted(each.properties.items())
                    }
                }
                if each.properties
                else {}
            ),
        }
        for each in sorted(repositories, key=lambda each: each.id)
    ]
    return HEADER + yaml.safe_dump(entries, sort_keys=False, allow_unicode=True)


def _at_its_line(path: Path, offence: str, lines: list[int]) -> str:
    def line(found: re.Match[str]) -> str:
        return f"line {lines[int(found[1])]}"

    place = r"static\[(\d+)\]"
    inside = re.match(rf"{place}[.]?", offence)
    if not inside:
        return f"{path}{offence.removeprefix('static')}"
    rest = re.sub(place, line, offence[inside.end() :])
    return f"{path}, {line(inside)}: {rest.removeprefix(': ').removeprefix(' ')}"


def _unusable(offences: list[str]) -> EstateError:
    return EstateError("The list of repositories cannot be used; nothing was changed.", offences)
