"""The reference pages that are written from the code: commands, outputs, limits, settings, rules.

Owns how they read. Reads the parsers of the commands, the outputs of a planned estate, and the
constants with the docstrings that say where each limit comes from; and the Makefile.
"""

import argparse
import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecr.cli.main import command_line
from ecr.deploy.outputs import OUTPUTS
from ecr.settings.load import settings_schema
from pages.access import access_page, roles_page
from pages.comparison import PAGE as COMPARISON
from pages.comparison import comparison_page
from pages.estate import sandbox_outputs
from pages.faults import PAGE as FAULTS
from pages.faults import faults_page
from pages.settings_reference import settings_reference
from sandbox.__main__ import command_line as sandbox_command_line
from sandbox.aws.rules import TEST, TOPICS, all_rules
from sandbox.github.rules import RULES
from sandbox.rules import GITHUB_TEST

PROJECT = Path(__file__).resolve().parent.parent

WRITTEN = "This page is written by `python -m pages`; `make check` fails when it is stale."

LIMITS: Mapping[str, tuple[str, ...]] = {
    "Of AWS, and of what the engine makes of it": (
        "ecr/plan/limits.py",
        "ecr/plan/access/documents.py",
        "ecr/plan/naming.py",
        "ecr/plan/replication.py",
        "ecr/plan/alerts.py",
        "ecr/lifecycle/policy.py",
    ),
    "Of a listing of GitHub": ("ecr/github/listing.py",),
    "Of what may change at once": ("ecr/plan/identity.py",),
    "Of the list of images that clusters refuse": ("ecr/admission/lists.py",),
}
"""Where limits are, by the heading under which the page has them."""

LONGEST = 100
"""Characters of a text that an example of an output shows."""

FOUND = (
    ("a guard has tripped", "plan", "guides/pipeline.md#what-a-reviewer-sees"),
    ("AWS is not as it was deployed", "drift", "guides/pipeline.md#what-a-reviewer-sees"),
    ("a role is not as it is planned", "doctor", "guides/first-day.md#look-at-any-time"),
    ("an image in use is in danger, or gone", "audit", "operations/audit.md"),
    ("a replica lacks an image", "replicas", "operations/replicas.md"),
    ("images are left to scan", "rescan", "operations/rescan.md"),
    ("the list of denied images is old", "admission", "guides/admission.md#when-the-list-is-old"),
    ("ECR judges otherwise", "simulate", "operations/simulate.md"),
    (
        "several Dockerfiles, and no further image declared",
        "dockerfiles",
        "operations/dockerfiles.md",
    ),
)
"""What exit code 3 says, with the command and the page that has it."""


def pages() -> dict[str, str]:
    """Return every reference page by its path below docs/."""
    return {
        "reference/commands.md": commands(),
        "reference/outputs.md": outputs(),
        "reference/limits.md": limits(),
        "reference/access.md": access_page(WRITTEN),
        "reference/roles.md": roles_page(WRITTEN),
        COMPARISON: comparison_page(),
        FAULTS: faults_page(),
        "reference/settings.md": settings_reference(),
        "reference/settings.schema.json": settings_schema_text(),
        "reference/sandbox-rules.md": sandbox_rules(),
    }


def settings_schema_text() -> str:
    """Return the JSON Schema of a stack's file, as `ecr-estate settings --schema` writes it."""
    return json.dumps(settings_schema(), indent=2, ensure_ascii=False) + "\n"


def commands() -> str:
    """Return the page of the commands: the operator's, make's and the sandbox's."""
    return "\n".join(
        [
            "# Commands\n",
            "What an operator does beside deploying, which is `pulumi up`; what `make` does; and what",
            f"the sandbox takes. {WRITTEN}\n",
            "They are run in the program's folder, where it is",
            "[installed](../guides/first-deployment.md#0-get-the-program).\n",
            "## The operator's commands { #ecr }\n",
            "An error is one line of what is wrong and a line for each place, with the remedy, and the",
            "exit code 1, or 2 where the options are wrong. Exit code 3 says that something was found, which",
            "each command's page explains:\n",
            *(f"- {meaning}: [`{name}`](../{page})" for meaning, name, page in FOUND),
            "",
            "On a terminal, an error's first line is bold, a command that takes long says how far it is in one",
            "line, and a table that is too wide becomes a block for each row. Elsewhere each row is one line,",
            "and nothing is coloured. `NO_COLOR` switches colour off everywhere. In a shell of yours,",
            "`ecr-estate --completion bash`, `zsh` or `fish` prints a script that completes commands and options:\n",
            "```sh\necr-estate --completion bash > ~/.local/share/bash-completion/completions/ecr-estate\n```\n",
            *_of_parser(command_line(), "###"),
            "## make { #make }\n",
            *_of_make(),
            "",
            "## The sandbox's commands { #sandbox }\n",
            *_of_parser(sandbox_command_line(), "###"),
        ]
    )


def _of_parser(parser: argparse.ArgumentParser, level: str) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to its own options
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for command in action.choices.values():
                yield f"{level} `{command.prog}` {{ #{_anchor(command.prog)} }}\n"
                if command.description:
                    yield f"{_escaped(command.description)}\n"
                yield from _options(command)
                yield from _of_parser(command, f"{level}#")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [
        f"| {_named(action)} | {_escaped(_meaning(action))} |"
        for action in parser._actions  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001
        and action.help != argparse.SUPPRESS
    ]
    if rows:
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows, ""])


def _named(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    choices = f" {_choices(list(action.choices))}" if action.choices else f" {metavar}"
    if action.option_strings:
        name = f"{action.option_strings[-1]}{'' if action.nargs == 0 else choices}"
    else:
        name = choices.strip()
    needed = " **required**" if action.required and action.nargs not in {"?", "*"} else ""
    return f"<code>{_escaped(name)}</code>{needed}"


def _choices(choices: Sequence[Any]) -> str:
    if isinstance(choices[0], int):
        return f"{choices[0]}…{choices[-1]}"
    return "|".join(map(str, choices))


def _meaning(action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def _of_make() -> Iterator[str]:
    yield "| target | does |"
    yield "| --- | --- |"
    targets = re.findall(
        r"^([a-z-]+):.*?## (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE
    )
    yield from (f"| `make {target}` | {_escaped(does)} |" for target, does in targets)


def outputs() -> str:
    """Return the page of the stack's outputs, with what a sandbox of two services puts out."""
    planned = sandbox_outputs("2026-01-01")
    rows = [f"| [`{name}`](#{name.lower()}) | {meaning} |" for name, meaning in OUTPUTS.items()]
    sections = [
        f"## `{name}` {{ #{name.lower()} }}\n\n```json\n{_shown(planned[name])}\n```\n"
        for name in OUTPUTS
    ]
    return "\n".join(
        [
            "# Outputs\n",
            "What a deployment leaves in the stack's outputs, for the next one and for others. They",
            "change only when the estate does, so that a preview without changes stays empty.",
            f"{WRITTEN}\n",
            "```sh\npulumi stack output --json > outputs.json\npulumi stack output report --json\n```\n",
            "| output | holds |",
            "| --- | --- |",
            *rows,
            "\nThe examples are of [the sandbox](../guides/sandbox.md), each list and map cut after its",
            f"first two entries, and each text after {LONGEST} characters.\n",
            *sections,
        ]
    )


def _shown(value: Any) -> str:  # noqa: ANN401 - whatever an output holds
    return json.dumps(_cut(value), indent=2, ensure_ascii=False)


def _cut(value: Any, most: int = 2) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        # Named keys are all shown; what is keyed by services, places and the like is cut.
        keyed = [key for key in value if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", key)]
        shown = [key for key in value if key not in keyed[most:]]
        if len(value) > most * 5:
            shown = list(value)[:most]
        return {key: _cut(value[key]) for key in shown}
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]}…"
    return [_cut(each) for each in value[:most]] if isinstance(value, list) else value


def limits() -> str:
    """Return the page of the limits, with their sources."""
    parts = []
    for heading, files in LIMITS.items():
        rows = [
            f"| {value} | {_escaped(text)} | `{name}` in `{file}` |"
            for file in files
            for name, value, text in constants(PROJECT / file)
        ]
        table = ["| limit | what of | in |", "| ---: | --- | --- |", *rows, ""]
        parts.append("\n".join([f"## {heading}\n", *table]))
    return "\n".join(
        [
            "# Limits\n",
            "What is checked before a deployment begins, each limit with the page that states it. A plan",
            "that is over a limit of AWS stops, with every offender named; one that is near says so.",
            f"{WRITTEN}\n",
            *parts,
        ]
    )


def sandbox_rules() -> str:
    """Return the page of the rules that the embedded AWS enforces, each with Amazon's page."""
    rules = all_rules()
    parts = []
    for topic, heading in TOPICS.items():
        rows = [
            f"| `{each.identifier}` | {_escaped(each.says)} | {f'`{each.code}`' if each.code else ''} "
            f"| [{_escaped(each.page.title)}]({each.page.address}) |"
            for each in rules
            if each.topic == topic
        ]
        head = ["| rule | what | refused with | page |", "| --- | --- | --- | --- |"]
        parts.append("\n".join([f"## {heading}\n", *head, *rows, ""]))
    rows = [
        f"| `{each.identifier}` | {_escaped(each.says)} "
        f"| [{_escaped(each.page.title)}]({each.page.address}) |"
        for each in RULES
    ]
    head = ["| rule | what | page |", "| --- | --- | --- |"]
    parts.append("\n".join(["## GitHub\n", *head, *rows, ""]))
    return "\n".join(
        [
            "---\nsearch:\n  boost: 0.2\n---\n",
            "# What the sandbox's AWS and GitHub refuse and hide\n",
            f"The {len(rules)} rules that [the sandbox's](../guides/sandbox.md) embedded AWS enforces, and the",
            f"{len(RULES)} of its embedded GitHub, each with the page that states it. Where a row names an error,",
            "what it says is refused with that; where it names none, it says what is hidden, kept or done.",
            f"`python -m sandbox rules` tries to break every one, as `{TEST}[RULE]` does, and",
            f"`{GITHUB_TEST}[RULE]` for GitHub's.",
            f"{WRITTEN}\n",
            *parts,
        ]
    )


def constants(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the module's public numbers that have a docstring: name, value, docstring.

    A docstring belongs to the constants that stand right above it.
    """
    waiting: list[tuple[str, str]] = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            waiting += _numbers(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = " ".join(str(node.value.value).split())
            yield from ((name, value, text) for name, value in waiting)
            waiting = []
        else:
            waiting = []


def _numbers(node: ast.Assign) -> Iterator[tuple[str, str]]:
    target, value = node.targets[0], node.value
    names = target.elts if isinstance(target, ast.Tuple) else [target]
    values = value.elts if isinstance(value, ast.Tuple) else [value]
    for name, each in zip(names, values, strict=False):
        if not isinstance(each, ast.Constant) or not isinstance(name, ast.Name):
            continue
        if isinstance(each.value, int | float) and not name.id.startswith("_"):
            yield name.id, f"{each.value:,}"


def _anchor(text: str) -> str:
    return re.sub(r"\W+", "-", text.removeprefix("python -m ")).strip("-")


def _escaped(text: str) -> str:
    """Return text as Markdown has it within a table; what stands between backticks is code."""
    parts = " ".join(text.split()).replace("|", "&#124;").split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("*", "\\*") for part in parts[::2]]
    return "`".join(parts)
