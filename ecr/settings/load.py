"""How settings are loaded: from the engine's config, or from the values of a stack's file.

Owns the reading of Pulumi config, which nothing else reads, and the names that settings had in the version
before. One error lists every offence, with its key path, its value and the remedy; a contradiction between
two values is among them, also where a third one is wrong by itself.
"""

import json
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from ecr.errors import EstateError
from ecr.settings.checks import LATER, Contradiction, contradictions, unfinished
from ecr.settings.messages import described_contradictions, described_errors
from ecr.settings.models import Settings, StaticRepository, repeated_repositories

PROJECT = "ecr-estate"
"""The project's name in Pulumi.yaml: the prefix of every key in a stack's file, and of what it made."""

GITHUB_TOKEN = "github:token"  # noqa: S105 - the key, not the token
"""The GitHub provider's own config key; the program has no second place for the same secret."""

RENAMED: Mapping[tuple[str, ...], str] = {("confirm", "endedReplicas"): "unfilledReplicas"}
"""Keys as the version before had them, and what the last part of each is called now. They are understood for
one version, with a notice; a later version drops them from here."""

Tell = Callable[[str], None]
"""Takes a notice: a line that an operator should see, though nothing is wrong."""


def load_settings() -> Settings:
    """Read the settings of the stack that is being deployed.

    Raises EstateError, listing every offence, when any value is wrong.
    """
    import pulumi  # noqa: PLC0415 - the checks themselves are pure, and are used without an engine

    values, secret_keys = _config()
    return parse_settings(
        values, namespace=pulumi.get_project(), secret_keys=secret_keys, tell=pulumi.log.warn
    )


def load_github_token() -> str | None:
    """Read the GitHub provider's own token setting; None where the environment has it instead.

    Raises EstateError when it lies unencrypted in the stack's file.
    """
    values, secret_keys = _config()
    token = values.get(GITHUB_TOKEN)
    if token and GITHUB_TOKEN not in secret_keys:
        raise EstateError(
            "The GitHub token lies unencrypted in the stack's settings; nothing was changed.",
            [f"{GITHUB_TOKEN}: revoke it, and store a new one with `pulumi config set --secret`"],
        )
    return token


def _config() -> tuple[dict[str, str], set[str]]:
    """Return all config values of the deployment by full key, and which keys are secret."""
    from pulumi.runtime import config  # noqa: PLC0415 - as above

    return (
        {**config.get_config_env(), **config.CONFIG.get()},
        {*config.get_config_secret_keys_env(), *config._SECRET_KEYS.get()},  # noqa: SLF001 - the SDK has no public list of them
    )


def _on_stderr(notice: str) -> None:
    sys.stderr.write(f"{notice}\n")


def parse_settings(
    config: Mapping[str, str],
    *,
    namespace: str,
    secret_keys: AbstractSet[str] = frozenset(),
    tell: Tell = _on_stderr,
) -> Settings:
    """Check the config values of one namespace and return the settings.

    ``config`` maps full keys to values as the engine hands them over: text, and JSON for anything
    that is structured. ``tell`` is given a line for each key that has another name now. Raises
    EstateError, listing every offence.
    """
    values = {
        key.removeprefix(f"{namespace}:"): _decode(value)
        for key, value in config.items()
        if key.startswith(f"{namespace}:")
    }
    hidden = {key.removeprefix(f"{namespace}:") for key in secret_keys}
    offences = [each for path, now in RENAMED.items() for each in _rename(values, path, now, tell)]
    try:
        settings = Settings.model_validate(values, context=LATER)
        found: Any = settings
    except ValidationError as error:
        offences += described_errors(error, Settings, hidden=hidden)
        found = unfinished(Settings, values, [each["loc"] for each in error.errors()])
    offences += described_contradictions(contradictions(found), found, Settings, hidden=hidden)
    if offences:
        raise EstateError(
            f"The settings of this stack are wrong in {len(offences)} {'place' if len(offences) == 1 else 'places'}; nothing was changed.",
            [f"{namespace}:{offence}" for offence in offences],
        )
    return settings


def _rename(values: dict[str, Any], path: tuple[str, ...], now: str, tell: Tell) -> list[str]:
    """Return one key its present name, in place; return the offence where both names are used."""
    *parents, old = path
    for part in parents:
        inner = values.get(part)
        if not isinstance(inner, dict):
            return []
        values = inner
    if old not in values:
        return []
    was, called = ".".join(path), ".".join([*parents, now])
    if now in values:
        del values[old]
        return [f"{was}: stands beside {called}, which is the same setting; keep the latter"]
    tell(f"{was} is called {called} now; rename it, for the next version will not know it")
    values[now] = values.pop(old)
    return []


def parse_static(entries: object) -> tuple[StaticRepository, ...]:
    """Check a list of repositories that does not stand in the settings.

    Raises EstateError, listing every offence by its place, such as ``static[0].id``.
    """
    try:
        listed = _STATIC.validate_python({"static": entries})["static"]
    except ValidationError as error:
        offences = described_errors(error, Settings)
    else:
        repeated = (
            Contradiction(("static", *each.place), each.text)
            for each in repeated_repositories(listed, "static")
        )
        offences = described_contradictions(
            repeated, Settings.model_construct(static=listed), Settings
        )
    if offences:
        raise EstateError("The list of repositories is wrong; nothing was changed.", offences)
    return listed


_STATIC: TypeAdapter[dict[str, tuple[StaticRepository, ...]]] = TypeAdapter(
    dict[str, Annotated[tuple[StaticRepository, ...], Field(min_length=1)]]
)


def settings_schema() -> dict[str, Any]:
    """Return the JSON Schema of a stack's file, draft 2020-12: what editors and other tools may check.

    It knows each key and each value by itself. What contradicts another value is the program's to tell.
    """
    schema = Settings.model_json_schema(by_alias=True)
    _close(schema)
    definitions = schema.pop("$defs")
    keys = {f"{PROJECT}:{key}": value for key, value in schema["properties"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A stack's file of {PROJECT}: Pulumi.<stack>.yaml",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "description": schema["description"],
                "required": [f"{PROJECT}:{key}" for key in schema["required"]],
                "properties": keys,
                "patternProperties": {f"^(?!{PROJECT}:)": True},
                "additionalProperties": False,
            }
        },
        "$defs": definitions,
    }


def _close(schema: Any) -> None:  # noqa: ANN401 - any part of a schema
    """Let maps have no other keys than those whose pattern is known; drop titles, which say nothing."""
    if isinstance(schema, list):
        for each in schema:
            _close(each)
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for each in schema.values():
            _close(each)


def _decode(value: str) -> object:
    """Structured values arrive as JSON and scalars as bare text; only the former are decoded."""
    if value.lstrip().startswith(("{", "[")) or value in {"true", "false"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
