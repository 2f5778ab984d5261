"""The stack's file and outputs as a command reads them, without the engine.

Owns the reading of Pulumi.<stack>.yaml and of the project's own keys in it. Values of other namespaces, which
may be secret, are not looked at. The deployment itself never comes here: it is told by the engine.
"""

import json
from pathlib import Path
from typing import Any

from ecr.errors import EstateError
from ecr.operations.settings import NAMESPACE
from ecr.settings import Settings, parse_settings


def read_text(path: Path) -> str:
    """Read a file that an operator named. Raises EstateError, naming it, where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EstateError("A file cannot be read.", [f"{path}: {error.strerror}"]) from error


def read_stack_file(path: Path) -> dict[str, Any]:
    """Give the project's settings in a stack's file, unchecked, without their namespace."""
    import yaml  # noqa: PLC0415 - see ecr.operations

    try:
        config = yaml.safe_load(read_text(path))["config"]
        return {
            key.removeprefix(f"{NAMESPACE}:"): value
            for key, value in config.items()
            if key.startswith(f"{NAMESPACE}:")
        }
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise EstateError(
            "The stack's file cannot be read.", [f"{path}: {error!r}; write it as Pulumi does"]
        ) from error


def read_outputs(path: Path) -> dict[str, Any]:
    """Give a stack's outputs, as `pulumi stack output --json` wrote them."""
    try:
        outputs = json.loads(read_text(path))
    except ValueError as error:
        raise _no_outputs(path, str(error)) from error
    if not isinstance(outputs, dict) or "ledger" not in outputs:
        raise _no_outputs(path, "there is no ledger in it")
    return outputs


def _no_outputs(path: Path, why: str) -> EstateError:
    return EstateError(
        "The stack's outputs cannot be read.",
        [f"{path}: {why}; write them with `pulumi stack output --json`"],
    )


def checked(values: dict[str, Any]) -> Settings:
    """Check settings that came from a stack's file. Raises EstateError, listing every offence."""
    config = {
        f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }
    return parse_settings(config, namespace=NAMESPACE)
