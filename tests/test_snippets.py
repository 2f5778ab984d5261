"""Every command and snippet in the documents is one that works: options exist, documents are valid."""

import argparse
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from botocore import xform_name

from ecr.cli.commands import operations
from ecr.cli.main import command_line
from ecr.engine.stack_file import checked
from sandbox.__main__ import command_line as sandbox_command_line
from tests.snippets import PAGES, ROOT, Block, blocks

BLOCKS = blocks()
SHELL = [block for block in BLOCKS if block.language in {"sh", "console"}]
COMMANDS = [(block, words) for block in SHELL for words in block.commands()]
OTHERS = {
    ".venv/bin/python": {"-m"},
    ".": None,
    "cd": None,
    "bootstrap/app-key.sh": None,
    "bootstrap/github.sh": None,
    "crane": {"copy"},
    "docker": {"build", "buildx", "login", "manifest", "pull", "push"},
    "find": None,
    "gh": {"api", "workflow"},
    "go": {"install"},
    "jq": {"-r"},
    "kubectl": {"annotate", "apply", "create", "describe", "get", "kustomize", "label", "set"},
    "sh": None,
}
"""Commands that are not ours, with what is used of them; whoever adds one looks it up."""

PULUMI = {
    "cancel", "config set", "import", "login", "new", "preview", "refresh", "stack export",
    "stack history", "stack import", "stack init", "stack ls", "stack output", "stack rm",
    "stack select", "state unprotect", "up",
}  # fmt: skip
"""Subcommands of pulumi; tests/engine/test_snippets.py asks the engine for their options."""

AWS_ANYWHERE = {"max-items", "no-paginate", "output", "profile", "query", "region"}
AWS_RENAMED = {"notification-endpoint": "endpoint"}
"""Options that the AWS command line calls otherwise than the API."""

STACK: dict[str, Any] = {
    "github": {"organisation": "acme"},
    "artifacts": {
        "account": "111122223333",
        "region": "eu-west-1",
        "role": "arn:aws:iam::111122223333:role/ecr-estate-deploy",
    },
    "awsOrganisation": "o-a1b2c3d4e5",
}


def named(pairs: Iterable[tuple[Block, list[str]]]) -> list[Any]:
    return [pytest.param(words, id=f"{block} {' '.join(words)[:60]}") for block, words in pairs]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_in_which_language_it_is(block: Block) -> None:
    assert block.language in {"sh", "console", "json", "yaml", "text", "mermaid"}


@pytest.mark.parametrize("words", named(COMMANDS))
def test_a_command_is_one_that_there_is(words: list[str]) -> None:
    if words[:2] == ["python", "-m"]:
        module(words[2])(words[3:])
        return
    judge: dict[str, Callable[[list[str]], None]] = {
        "make": make,
        "aws": aws,
        "ecr-estate": ours,
        "pulumi": pulumi,
    }
    if words[0] in judge:
        judge[words[0]](words[1:])
    elif words[0] != "export":
        assert words[0] in OTHERS, f"{words[0]}: see that it is right, and say so in OTHERS"
        used = OTHERS[words[0]]
        assert used is None or not used.isdisjoint(words[1:4])


def module(name: str) -> Callable[[list[str]], Any]:
    parsers: dict[str, Callable[[list[str]], Any]] = {
        "sandbox": sandbox_command_line().parse_args,
        "venv": list,
    }
    return parsers[name]


def ours(words: list[str]) -> None:
    if words[0] != "--completion":
        command_line().parse_args(words)


def make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    variables = re.findall(r"\$\(([A-Z]+)\)", (ROOT / "Makefile").read_text())
    for word in words:
        name, assigned, _ = word.partition("=")
        assert name in (variables if assigned else targets)


def aws(words: list[str]) -> None:
    """Hold a call of the AWS command line against AWS's own model of the service."""
    service, operation, *rest = words
    if (service, operation) == ("ecr", "get-login-password"):
        return
    model = botocore.session.get_session().get_service_model(service)
    found = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(found[operation]).input_shape
    members = {xform_name(name, "-") for name in (shape.members if shape else ())}
    given = [word.removeprefix("--") for word in rest if word.startswith("--")]
    options = {AWS_RENAMED.get(option, option) for option in given}
    assert options - members - AWS_ANYWHERE == set()


def pulumi(words: list[str]) -> None:
    assert " ".join(words[:2]) in PULUMI or words[0] in PULUMI


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "json"], ids=str)
def test_a_document_in_json_is_one(block: Block) -> None:
    document = json.loads(block.text)
    if isinstance(document, dict) and "Statement" in document:
        assert document["Version"] == "2012-10-17"
        assert {each["Effect"] for each in document["Statement"]} <= {"Allow", "Deny"}


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "yaml"], ids=str)
def test_a_document_in_yaml_is_one_and_settings_are_valid(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    assert documents
    for document in documents:
        keys = document.get("config", document) if isinstance(document, dict) else {}
        ours = {
            key.removeprefix("ecr-estate:"): value
            for key, value in keys.items()
            if str(key).startswith("ecr-estate:")
        }
        if ours:
            checked({**STACK, **ours})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_within_a_sentence_is_one_that_there_is(page: Path) -> None:
    for name, options in re.findall(r"`ecr-estate ([a-z]+)([^`]*)`", page.read_text()):
        assert name in operations()
        parser = argparse.ArgumentParser()
        operations()[name].configure(parser)
        known = {option for action in parser._actions for option in action.option_strings}
        own, _, _ = options.partition(" -- ")  # what follows is the engine's
        assert set(re.findall(r"--[a-z-]+", own)) <= known


def test_the_pages_are_taken_apart_as_a_shell_would() -> None:
    text = 'A=1 aws x --y "a b" | docker login  # said\nd=$(aws z \\\n  --q) && make docs > file\n'
    assert list(Block("p", 1, "sh", text).commands()) == [
        ["aws", "x", "--y", "a b"],
        ["docker", "login"],
        ["aws", "z", "--q"],
        ["make", "docs"],
    ]
    shown = Block("p", 1, "console", "$ make docs \\\n  A=b\nit said\n$ make\n")
    assert list(shown.commands()) == [["make", "docs", "A=b"], ["make"]]


@pytest.mark.parametrize(
    "words",
    [
        ["make", "sandwich"],
        ["aws", "ecr", "describe-images", "--image-tag", "x"],
        ["pulumi", "destroy"],
        ["terraform", "apply"],
        ["ecr-estate", "simulate", "--policies", "x"],
    ],
)
def test_what_is_not_there_is_noticed(words: list[str]) -> None:
    with pytest.raises((AssertionError, SystemExit)):
        test_a_command_is_one_that_there_is(words)
