"""The sandbox's second stack file, and what becomes of one that is not there."""

import pytest

from ecr.stack_file import checked, read_stack_file
from sandbox.__main__ import main
from sandbox.session import PROJECT


def test_the_stack_with_namespaces_has_what_it_is_for() -> None:
    stack = checked(read_stack_file(PROJECT / "Pulumi.sandbox-namespaces.yaml"))
    assert stack.namespaces.known
    assert stack.push_roles
    assert stack.access.functions
    assert stack.access.lock


def test_a_stack_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--settings", "Pulumi.nowhere.yaml"]) == 1
    assert "Pulumi.nowhere.yaml is not there" in capsys.readouterr().out
