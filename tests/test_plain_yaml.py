"""YAML without aliases: a small file cannot stand for more than any memory holds."""

from pathlib import Path

import pytest
import yaml

from ecr.admission.waivers import read_waivers
from ecr.engine.stack_file import read_stack_file
from ecr.errors import EstateError
from ecr.github.static_list import read_list
from ecr.plain_yaml import load_yaml

BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
)


def test_plain_values_are_read() -> None:
    assert load_yaml("a: [1, x]\nb: true\n") == {"a": [1, "x"], "b": True}


def test_an_alias_is_refused_with_its_line() -> None:
    with pytest.raises(yaml.YAMLError, match=r"(?s)found an alias.*line 2"):
        load_yaml("a: &a x\nb: *a\n")


@pytest.mark.parametrize("read", [read_stack_file, read_list, read_waivers])
def test_ten_levels_of_nine_aliases_are_refused_by_every_reader(
    tmp_path: Path, read: object
) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text(BOMB)
    assert callable(read)
    with pytest.raises(EstateError, match="found an alias"):
        read(file)
