"""What somebody changes in AWS by hand is found, kind by kind, and the next deployment puts it right."""

import re
from pathlib import Path

import pytest

from sandbox.session import Session
from sandbox.toolchain import Toolchain
from sandbox.trials.crashes import DEPLOYED
from sandbox.trials.drift import KINDS, change_and_mend, find
from sandbox.trials.trial import Stage

pytestmark = pytest.mark.engine


def test_every_kind_of_drift_is_reported_and_put_right(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    with Session(
        tmp_path, toolchain, organisation=DEPLOYED.organisation(), settings=DEPLOYED.settings
    ) as session:
        stage = Stage(session, DEPLOYED)
        stage.must_up()
        clean = find(stage)
        assert clean.code == 0, clean.output
        done = change_and_mend(stage, [kind.hand for kind in KINDS])
        missing = [kind.what for kind in KINDS if not re.search(kind.says, done.output)]
        assert missing == [], done.output
        assert done.code == 0, done.output
        assert stage.notes == []
        assert session.preview("--refresh", "--expect-no-changes").code == 0
