"""One estate on several stacks, on the real engine: it grows, and no image repository leaves AWS."""

from functools import partial
from pathlib import Path

import pytest

from sandbox.session import Session
from sandbox.toolchain import Toolchain
from sandbox.trials.shards import SETTINGS, grow, organisation
from sandbox.trials.trial import Ground, Stage

pytestmark = pytest.mark.engine


def test_an_estate_grows_from_one_stack_to_two(toolchain: Toolchain, tmp_path: Path) -> None:
    ground = Ground(partial(organisation, 4), SETTINGS)
    with Session(
        tmp_path, toolchain, organisation=ground.organisation(), settings=SETTINGS
    ) as session:
        stage = Stage(session, ground)
        stage.must_up()
        done = grow(stage, [2])
        assert done.code == 0, done.output
        assert stage.notes == []
        assert stage.managed() == stage.look()
        roles = [
            [each["type"] for each in stage.state(stack)["deployment"]["resources"]].count(
                "aws:iam/role:Role"
            )
            for stack in stage.stacks
        ]
        assert roles == [2, 2]
