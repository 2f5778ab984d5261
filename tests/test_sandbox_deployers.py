"""Who deploys in the sandbox: the pipeline's roles are there whatever the settings say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.aws import EmbeddedAws
from sandbox.deployers import AWS_ORGANISATION, Roles
from sandbox.session import STACK, STACK_FILE


@pytest.fixture
def roles() -> Iterator[Roles]:
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as aws:
        yield Roles(aws)


def test_settings_that_are_refused_leave_the_pipeline_its_role(
    roles: Roles, tmp_path: Path
) -> None:
    stack = yaml.safe_load(STACK_FILE.read_text())
    stack["config"]["ecr-estate:artifacts"] = {"account": "111", "region": "eu-west-1"}
    refused = tmp_path / "Pulumi.refused.yaml"
    refused.write_text(yaml.safe_dump(stack))
    roles.grant(STACK, refused)
    assert roles.session_of("pipeline")["AWS_SESSION_TOKEN"]
