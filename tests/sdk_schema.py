"""What the released SDK says of a provider's types, in the form of the schema that a provider serves.

Owns the reading of the SDK's classes, which its publisher generated from the schema of the released plugin. Reads the
installed SDK and schemas, and compares nothing.
"""

import importlib
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

Shape = dict[str, str]
"""A type's properties by name, each with its type and a question mark where it may be left out."""

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", typing.Any: "any"}
_EVERYWHERE = {"id", "urn", "pulumi_resource_name", "pulumi_resource_type"}
"""What every resource has; a schema does not mention it."""

_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """Write a name as the SDK's modules have it."""
    return _SNAKE.sub("_", name).lower()


class Sdk:
    """An SDK by the name of its package, such as ``pulumi_aws``."""

    def __init__(self, package: str) -> None:
        self._package = package

    def resource(self, token: str) -> dict[str, Any] | None:
        """Give the inputs, the outputs and the secrets of a resource type; None where it has none."""
        try:
            module, name = self._module(token)
        except ImportError:
            return None
        made = getattr(module, name)
        source = inspect.getsource(made._internal_init)
        return {
            "inputs": _shape(getattr(module, f"{name}Args")),
            "outputs": _shape(made),
            "secrets": sorted(
                name
                for listed in re.findall(r"additional_secret_outputs=\[(.*?)\]", source)
                for name in re.findall(r'"(\w+)"', listed)
            ),
        }

    def function(self, token: str) -> dict[str, Any] | None:
        """Give the results of a function, and the names and types of its arguments."""
        try:
            module, name = self._module(token)
        except ImportError:
            return None
        called = getattr(module, snake(name))
        hints = {key: _type(hint)[0] for key, hint in called.__annotations__.items()}
        return {
            "arguments": {
                key: hint for key, hint in hints.items() if key not in {"opts", "return"}
            },
            "results": _shape(getattr(module, f"{name[0].upper()}{name[1:]}Result")),
        }

    def object(self, token: str, *, of_inputs: bool) -> Shape | None:
        """Give the properties of an object type, as it is given or as it is answered."""
        module = token.split(":")[1].partition("/")[0]
        name = token.rpartition(":")[2]
        where = importlib.import_module(
            f"{self._package}.{module}.{'_inputs' if of_inputs else 'outputs'}"
        )
        found = getattr(where, f"{name}Args" if of_inputs else name, None)
        return None if found is None else _shape(found)

    def enumeration(self, token: str) -> list[str] | None:
        """Give the values of an enumeration."""
        module = token.split(":")[1].partition("/")[0]
        where = importlib.import_module(f"{self._package}.{module}._enums")
        found = getattr(where, token.rpartition(":")[2], None)
        return None if found is None else [each.value for each in found]

    def _module(self, token: str) -> tuple[types.ModuleType, str]:
        module, _, file = token.split(":")[1].partition("/")
        path = ".".join([self._package, *([] if module == "index" else [module]), snake(file)])
        return importlib.import_module(path), token.rpartition(":")[2]


def served(properties: Mapping[str, Any], required: list[str]) -> Shape:
    """Give the properties that a provider's schema has."""
    return {
        name: _served_type(each) + ("" if name in required else "?")
        for name, each in properties.items()
    }


def referred(schema: object) -> Iterator[str]:
    """Give the tokens of the types that part of a schema refers to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and str(value).startswith("#/types/") and not _is_resource(schema):
                yield str(value).removeprefix("#/types/")
            else:
                yield from referred(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from referred(value)


def _served_type(each: Mapping[str, Any]) -> str:
    if "oneOf" in each:
        ones = [one for one in each["oneOf"] if not _is_resource(one)]
        return "|".join(sorted({_served_type(one) for one in ones}))
    if ref := str(each.get("$ref", "")):
        name = ref.rpartition(":")[2]
        return "any" if ref == "pulumi.json#/Any" else f"{name[0].upper()}{name[1:]}"
    if each["type"] == "array":
        return f"list({_served_type(each['items'])})"
    if each["type"] == "object":
        return f"map({_served_type(each.get('additionalProperties', {'type': 'string'}))})"
    return str(each["type"])


def _is_resource(one: Mapping[str, Any]) -> bool:
    """Whether it lets the resource be given instead of its name: the SDK is generated without."""
    token = str(one.get("$ref", "")).removeprefix("#/types/")
    return token.partition("/")[2][:1].islower()


def _shape(made: type) -> Shape:
    found = {}
    for key in dir(made):
        member = inspect.getattr_static(made, key)
        if isinstance(member, property) and member.fget and "return" in member.fget.__annotations__:
            kind, optional = _type(member.fget.__annotations__["return"])
            name = getattr(member.fget, "_pulumi_name", key)
            if name not in _EVERYWHERE:
                found[name] = kind + ("?" if optional else "")
    return found


def _type(hint: Any) -> tuple[str, bool]:
    """Give a type's name, and whether it may be none."""
    if isinstance(hint, str):
        hint = typing.ForwardRef(hint)
    parts = typing.get_args(hint)
    kind = getattr(typing.get_origin(hint), "__name__", "")
    if kind == "Output":
        return _type(parts[0])
    if kind in {"Union", "UnionType"}:
        given = [each for each in parts if not _is_promise(each) and each is not type(None)]
        named = {name for name, _ in map(_type, given) if not name.endswith("ArgsDict")}
        return "|".join(sorted(named)), type(None) in parts
    if kind in {"Sequence", "list"}:
        return f"list({_type(parts[0])[0]})", False
    if kind in {"Mapping", "dict"}:
        return f"map({_type(parts[1])[0]})", False
    return _PLAIN.get(hint) or _name(hint), False


def _name(hint: Any) -> str:
    if isinstance(hint, typing.ForwardRef):
        return hint.__forward_arg__.rpartition(".")[2].removesuffix("Args").removesuffix("Result")
    return str(getattr(hint, "__name__", hint))


def _is_promise(hint: Any) -> bool:
    """Whether it is one of the forms by which a value may come later."""
    if isinstance(hint, typing.ForwardRef):
        return hint.__forward_arg__ == "Output[T]"
    return getattr(typing.get_origin(hint), "__name__", "") == "Awaitable"
