"""YAML as the program reads it: plain values, without aliases.

Owns the loader of every YAML file that an operator writes. An alias is refused when it is met, before
anything is built: a few lines of aliases can stand for more values than any memory holds.
"""

from typing import Any

import yaml
from yaml.events import AliasEvent


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave it out
            raise yaml.MarkedYAMLError(
                problem="found an alias; write the value itself", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)


def load_yaml(text: str) -> Any:  # noqa: ANN401 - whatever a document holds
    """Return the value of a document. Raises yaml.YAMLError, with the line, where it has none."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a SafeLoader


def compose_yaml(text: str) -> yaml.Node | None:
    """Return the document's node, which knows its lines. Raises yaml.YAMLError."""
    node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    return node
