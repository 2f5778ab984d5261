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
    settings = {**SETTINGS, "pushRoles": {"createProvider": True}}
    ground = Ground(partial(organisation, 4), settings)
    with Session(
        tmp_path, toolchain, organisation=ground.organisation(), settings=settings
    ) as session:
        stage = Stage(session, ground)
        stage.must_up()
        session.aws.forget_calls()
        done = grow(stage, [2])
        assert done.code == 0, done.output
        assert stage.notes == []
        assert stage.managed()[0] == stage.look()
        assert not {each.action for each in session.aws.calls() if each.service == "iam"} & {
            "CreateRole",
            "DeleteRole",
        }
