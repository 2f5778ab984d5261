"""Who only reads leaves no time of a pull, on the real engine; and deletions that are replicated are found."""

from typing import Any

import pytest

from sandbox.estate import Registries
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, LAMBDA, deploy

pytestmark = pytest.mark.engine

SCANNER = "arn:aws:iam::999999999999:role/scanners/image-scanner"
REPLICAS = {
    "accounts": [
        {
            "account": LAMBDA[0],
            "regions": [LAMBDA[1]],
            "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-estate-deploy",
        }
    ],
    "services": {"all": True},
}


def test_readers_are_excluded_from_pull_times_and_those_of_other_hands_are_left(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=REPLICAS)
    clients = [Registries(session.environment).client(*each) for each in (ARTIFACTS, LAMBDA)]

    def excluded() -> list[set[str]]:
        return [
            set(each.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"])
            for each in clients
        ]

    clients[0].register_pull_time_update_exclusion(principalArn=SCANNER)
    wanted = ["ecr-estate-audit", SCANNER]
    session.configure({"lambdaReplicas": REPLICAS, "registries": {"pullTimeExclusions": wanted}})
    deploy(session)
    audit = [f"arn:aws:iam::{account}:role/ecr-estate-audit" for account, _ in (ARTIFACTS, LAMBDA)]
    assert excluded() == [{audit[0], SCANNER}, {audit[1], SCANNER}]
    again = session.preview("--refresh", "--expect-no-changes")
    assert again.code == 0, again.output

    clients[1].deregister_pull_time_update_exclusion(principalArn=audit[1])
    drifted = session.preview("--refresh", "--expect-no-changes")
    assert drifted.code != 0
    assert session.up("--refresh").code == 0
    assert excluded()[1] == {audit[1], SCANNER}

    adopted = {"pullTimeExclusions": wanted, "adopted": ["/".join(ARTIFACTS)]}
    settings: dict[str, Any] = {"lambdaReplicas": REPLICAS, "registries": adopted}
    session.configure(settings)
    preview = session.preview()
    assert "1 to import" in preview.output, preview.output
    deploy(session)
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output

    # An exclusion cannot say who made it, so that after a lost state an operator says it of both registries.
    lose_the_state(session)
    settings["registries"]["adopted"].append("/".join(LAMBDA))
    session.configure(settings)
    deploy(session)
    again = session.preview("--refresh", "--expect-no-changes")
    assert again.code == 0, again.output
    assert excluded() == [{audit[0], SCANNER}, {audit[1], SCANNER}]

    session.configure({"registries": None})
    deploy(session)
    assert excluded() == [set(), set()]
    again = session.preview("--refresh", "--expect-no-changes")
    assert again.code == 0, again.output


def test_replicated_deletions_are_found_by_the_next_preview(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=REPLICAS)
    deploy(session)
    central = Registries(session.environment).client(*ARTIFACTS)
    rules: Any = central.describe_registry()["replicationConfiguration"]["rules"]
    deleting: Any = [{**each, "deleteReplication": {"enabled": True}} for each in rules]
    central.put_replication_configuration(replicationConfiguration={"rules": deleting})
    preview = session.preview("--refresh")
    said = f"delete replication is on; what expires, is deleted or loses its last tag there is deleted in {'/'.join(LAMBDA)}"
    assert said in " ".join(preview.output.split()), preview.output
