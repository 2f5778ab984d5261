"""Runs a runbook as an operator would: every fenced command and setting of the page, in order.

Owns the reading of a page and the folder in which its commands run, where the project and the stack's
file are as they would be in a checkout. What a page cannot know, such as its reader's account, a test
replaces from a small mapping; nothing else of a command is changed.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import yaml

from sandbox import processes
from sandbox.session import PROJECT, STACK, Session

RUNBOOKS = PROJECT / "docs" / "runbooks"
FENCED = re.compile(r"^( *)```(sh|yaml)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
AWS = '#!/bin/sh\nexec {python} -m tests.engine.aws_cli "$@"\n'


class Runbook:
    """A page, and the folder in which its commands run on a session."""

    def __init__(
        self, page: str, session: Session, folder: Path, replaced: Mapping[str, str] | None = None
    ) -> None:
        self.session = session
        self.folder = folder / "project"
        self._page = (RUNBOOKS / page).read_text()
        self._replaced = {"prod": STACK, **(replaced or {})}
        self.folder.mkdir()
        for each in PROJECT.iterdir():
            if each.name != f"Pulumi.{STACK}.yaml":
                (self.folder / each.name).symlink_to(each)
        self._stack = self.folder / f"Pulumi.{STACK}.yaml"
        self._stack.write_text(session.config_file.read_text())
        commands = self.folder / "commands"
        commands.mkdir()
        (commands / "aws").write_text(AWS.format(python=sys.executable))
        (commands / "aws").chmod(0o755)
        path = [str(Path(sys.executable).parent), str(commands), session.environment["PATH"]]
        self._environment = {
            **session.environment,
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(PROJECT),
        }

    def blocks(self) -> Iterator[tuple[str, str]]:
        """Return the page's fenced blocks, its placeholders replaced: language and text."""
        text = self._page
        for placeholder, value in self._replaced.items():
            text = re.sub(rf"\b{re.escape(placeholder)}\b", value, text)
        for _, language, block in FENCED.findall(text):
            yield language, dedent(block)

    def follow(self, *stops: str, until: int | None = None, since: int = 0) -> list[str]:
        """Do what blocks ``since`` to ``until`` say; give what the commands printed, one text a block.

        ``stops`` are texts with which commands are meant to fail, in their order; any other failure
        is an error.
        """
        expected = list(stops)
        printed = []
        for language, block in list(self.blocks())[since:until]:
            if language == "yaml":
                self.set(yaml.safe_load(block))
                printed.append("")
                continue
            done = processes.run(
                ["sh", "-euc", block],
                environment=self._environment,
                directory=self.folder,
                capture=True,
            )
            if done.returncode:
                assert expected, f"{block}\n{done.stdout}"
                assert expected.pop(0) in done.stdout, done.stdout
            printed.append(done.stdout)
        assert not expected, f"did not stop: {expected}"
        return printed

    def set(self, settings: Mapping[str, object]) -> None:
        """Lay settings over those of the stack's file, as an operator who edits it.

        The roles get the documents that are printed for these settings, which pages ask for.
        """
        stack = yaml.safe_load(self._stack.read_text())
        stack["config"] |= settings
        self._stack.write_text(yaml.safe_dump(stack))
        self.session.roles.grant(STACK, self._stack)
