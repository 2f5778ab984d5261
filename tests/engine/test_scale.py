"""What the guide on large estates says of a first deployment without checkpoints."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox import processes
from sandbox.aws import ApiCall
from tests.engine.conftest import Open
from tests.engine.test_estate import deploy, held

pytestmark = pytest.mark.engine


def test_an_interrupted_deployment_without_checkpoints_has_in_its_state_what_it_made(
    open_session: Open,
) -> None:
    names = [f"service-{number}" for number in range(12)]
    session = open_session(*names, lambdaReplicas=None)
    session.own_variables["PULUMI_SKIP_CHECKPOINTS"] = "true"

    def interrupt(_: ApiCall) -> None:
        for process in processes.marked(session.mark):
            with suppress(OSError):
                if Path(f"/proc/{process}/comm").read_text().strip() == "pulumi":
                    os.kill(process, signal.SIGINT)

    with session.aws.at_call(2, interrupt, action="CreateRepository"):
        done = session.up("--skip-preview")
    assert done.code != 0
    made = held(session).repositories
    state = session.pulumi("stack", "export").output
    assert made
    assert [
        name for name in made if f'Repository::111111111111/eu-west-1/{name}"' not in state
    ] == []
    deploy(session)
    assert set(held(session).repositories) == set(names)
