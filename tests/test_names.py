"""Names: within the program a public name is defined once, or means the same wherever it is."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ECR = Path(__file__).resolve().parent.parent / "ecr"

OF_EVERY_COMMAND = {"configure", "run"}
"""What each module of ecr/cli/commands has, by the convention of that package."""

SAME = {
    "LONGEST_VALUE": "characters of a value that a message shows",
    "AT_ONCE": "how many questions are asked side by side",
    "SHORT_DIGEST": "characters of a digest that a table shows",
    "T": "a type variable",
    "main": "what a program begins with",
}
"""Names that several modules define with one meaning, which is said here."""


def defined(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text()).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.Assign():
                yield from (each.id for each in node.targets if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


def test_no_public_name_is_defined_twice_with_two_meanings() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(ECR.rglob("*.py")):
        for name in defined(file):
            if not name.startswith("_") and name not in OF_EVERY_COMMAND:
                found[name].append(file.relative_to(ECR).as_posix())
    several = {name: files for name, files in found.items() if len(files) > 1}
    assert {name: files for name, files in several.items() if name not in SAME} == {}
    assert several.keys() >= SAME.keys()
