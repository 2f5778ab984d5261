"""What stands in AWS already comes under management as it is: after a lost state, and by adoption."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox import processes
from sandbox.deployers import role_of
from sandbox.estate import Registries
from sandbox.session import PROJECT, Run, Session
from tests.engine.conftest import Open
from tests.engine.test_estate import ARTIFACTS, LAMBDA, deploy, held, tags_of

pytestmark = pytest.mark.engine

ELSEWHERE = (LAMBDA[0], "us-east-1")
TWO_REGIONS = {
    "accounts": [
        {
            "account": LAMBDA[0],
            "regions": [LAMBDA[1], ELSEWHERE[1]],
            "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-estate-deploy",
        }
    ],
    "services": {"all": True},
}
THEIR_LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 3,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
THEIR_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
        ],
    }
)
THEIR_REGISTRY_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Partner",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::444444444444:root"},
                "Action": ["ecr:ReplicateImage"],
                "Resource": "arn:aws:ecr:eu-west-1:111111111111:repository/partner/*",
            }
        ],
    }
)
REGISTRIES = (ARTIFACTS, LAMBDA, ELSEWHERE)


def born(session: Session) -> dict[str, Any]:
    """When each image repository was made: a replaced one is younger."""
    return {
        each["repositoryArn"]: each["createdAt"]
        for registry in REGISTRIES
        for each in held(session, registry).repositories.values()
    }


def changed(session: Session, before: int) -> set[str]:
    """Return what AWS was asked to change since that many calls."""
    actions = {each.action for each in session.aws.calls()[before:]}
    return {each for each in actions if not each.startswith(("Get", "Describe", "List", "Assume"))}


def lose_the_state(session: Session) -> None:
    for command in (("rm", "--force", "--yes", "--preserve-config"), ("init",)):
        done = session.pulumi("stack", command[0], "sandbox", *command[1:])
        assert done.code == 0, done.output


def test_after_a_lost_state_everything_is_taken_up_again_under_its_frozen_name(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    deploy(session)
    session.github.organisation.rename("api", "gateway")
    deploy(session)
    ledger, made = session.outputs()["ledger"], born(session)
    lose_the_state(session)
    before = len(session.aws.calls())
    deploy(session)
    assert not changed(session, before) & {"CreateRepository", "PutImageTagMutability"}
    assert session.outputs()["ledger"] == ledger
    assert born(session) == made
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output


def test_what_changed_on_github_while_the_state_was_lost_is_brought_up_to_date(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    made = born(session)
    lose_the_state(session)
    session.github.organisation.rename("api", "gateway")
    deploy(session)
    assert born(session) == made
    assert tags_of(session, "api")["github-repository"] == "gateway"
    assert session.preview("--expect-no-changes").code == 0


def test_a_ledger_that_was_never_written_is_made_again_from_tags_and_state(
    open_session: Open, tmp_path: Path
) -> None:
    """As after a crash: the image repositories are in the state, but not in the outputs."""
    session = open_session("api", lambdaReplicas=TWO_REGIONS)
    deploy(session)
    ledger = session.outputs()["ledger"]
    state = json.loads(session.pulumi("stack", "export").output)
    for resource in state["deployment"]["resources"]:
        if resource["type"] == "pulumi:pulumi:Stack":
            del resource["outputs"]
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert session.pulumi("stack", "import", "--file", str(tmp_path / "state.json")).code == 0
    before = len(session.aws.calls())
    deploy(session)
    assert changed(session, before) == set()
    assert session.outputs()["ledger"] == ledger


def make_by_hand(session: Session) -> None:
    """Three image repositories as other tools leave them, one with a key, one in another Region."""
    registries = Registries(session.environment)
    central, lambdas = registries.client(*ARTIFACTS), registries.client(*ELSEWHERE)
    tags: Any = [{"Key": "team", "Value": "payments"}]
    central.create_repository(repositoryName="api", imageTagMutability="MUTABLE", tags=tags)
    central.put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=THEIR_LIFECYCLE)
    central.create_repository(
        repositoryName="web",
        encryptionConfiguration={"encryptionType": "KMS"},
        imageScanningConfiguration={"scanOnPush": True},
    )
    lambdas.create_repository(repositoryName="api", imageTagMutability="IMMUTABLE")
    lambdas.set_repository_policy(repositoryName="api", policyText=THEIR_POLICY)


def adopt(session: Session, file: Path) -> dict[str, Any]:
    """Run the command as an operator does, and give what it prints."""
    command = [sys.executable, "-m", "ecr", "adopt", "--json", "--output", str(file)]
    done = processes.run(
        [*command, "--config-file", str(session.config_file)],
        environment=session.environment,
        directory=PROJECT,
        capture=True,
    )
    assert done.returncode == 0, done.stdout
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_what_others_made_is_adopted_by_the_commands_that_are_printed(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    make_by_hand(session)
    made = born(session)
    without = session.preview()
    assert without.code == 0, without.output
    assert "2 repositories or image repositories are left out" in without.output
    assert "stands already, made by other hands; adopt it (`ecr-estate adopt`" in without.output
    session.configure({"lambdaReplicas": TWO_REGIONS, "strict": True})
    stopped = session.preview()
    assert stopped.code != 0
    assert "2 image repositories that are planned stand already" in stopped.output
    session.configure({"lambdaReplicas": TWO_REGIONS})

    printed = adopt(session, tmp_path / "adopt.json")
    assert printed["adopt"].keys() == {
        "111111111111/eu-west-1/api",
        "111111111111/eu-west-1/web",
        "222222222222/us-east-1/api",
    }
    before = len(session.aws.calls())
    taken = execute(session, printed["commands"][0])
    assert taken.code == 0, taken.output
    assert changed(session, before) == set()

    preview = session.preview("--diff")
    assert preview.code == 0, preview.output
    assert "replace" not in preview.output
    assert "delete" not in preview.output
    assert "pulumi:providers:aws: (update)" not in preview.output
    done = execute(session, f"{printed['commands'][1]} --yes --skip-preview")
    assert done.code == 0, done.output
    assert "~ 3 updated" in done.output
    assert {arn: at for arn, at in born(session).items() if arn in made} == made
    web = held(session).repositories["web"]
    assert web["encryptionConfiguration"]["encryptionType"] == "KMS"
    assert web["imageScanningConfiguration"] == {"scanOnPush": True}
    assert web["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    tags = tags_of(session, "api")
    assert "team" not in tags
    assert tags["managed-by"] == "ecr-estate/sandbox"
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output
    assert adopt(session, tmp_path / "again.json")["adopt"] == {}
    assert not (tmp_path / "again.json").exists()


def test_adopting_is_done_as_a_deployment_and_reads_until_the_deployment(
    open_session: Open, tmp_path: Path
) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    make_by_hand(session)
    session.own_variables |= session.roles.session_of("deployments")
    roles = {f"arn:aws:iam::{account}:role/ecr-estate-deploy" for account, _ in REGISTRIES}

    def asked() -> set[str]:
        """As whom AWS was asked; that nothing was refused and no other role was assumed."""
        calls = session.aws.calls()
        assert {each.decision for each in calls} <= {"allowed", "needs no permission"}
        assert {each.subject for each in calls if each.action == "AssumeRole"} == roles
        return {each.principal for each in calls}

    session.aws.forget_calls()
    printed = adopt(session, tmp_path / "adopt.json")
    assert asked() == {role_of("deployments"), *roles}
    session.aws.forget_calls()
    taken = execute(session, printed["commands"][0])
    assert taken.code == 0, taken.output
    assert asked() == {role_of("deployments"), *roles}
    assert changed(session, 0) == set()


def test_what_is_named_under_adopted_is_imported_by_the_deployment_itself(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=TWO_REGIONS)
    make_by_hand(session)
    made = born(session)
    session.configure({"lambdaReplicas": TWO_REGIONS, "adopted": ["api", "web"]})
    preview = session.preview()
    assert "= 3 to import" in preview.output
    assert "replace" not in preview.output
    deploy(session)
    assert {arn: at for arn, at in born(session).items() if arn in made} == made
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output


def test_settings_of_registries_by_other_hands_stay_until_they_are_adopted(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=TWO_REGIONS)
    central = Registries(session.environment).client(*ARTIFACTS)
    central.put_registry_policy(policyText=THEIR_REGISTRY_POLICY)
    elsewhere: Any = {
        "rules": [{"destinations": [{"region": "us-east-1", "registryId": ARTIFACTS[0]}]}]
    }
    central.put_replication_configuration(replicationConfiguration=elsewhere)
    central.put_registry_scanning_configuration(scanType="ENHANCED", rules=[])

    def stands() -> tuple[Any, Any, Any]:
        return (
            json.loads(central.get_registry_policy()["policyText"])["Statement"][0]["Sid"],
            central.describe_registry()["replicationConfiguration"]["rules"][0]["destinations"][0],
            central.get_registry_scanning_configuration()["scanningConfiguration"]["scanType"],
        )

    before = stands()
    deploy(session)
    assert stands() == before
    assert set(held(session).repositories) == {"api"}
    waits = session.outputs()["report"]["waitingSettings"]
    assert {each["setting"] for each in waits} == {"policy", "replication", "scanning"}
    assert session.preview("--expect-no-changes").code == 0
    adopted = {"adopted": ["/".join(ARTIFACTS)]}
    session.configure({"lambdaReplicas": TWO_REGIONS, "registries": adopted})
    deploy(session)
    assert stands() == (
        "OrganisationPull",
        {"region": LAMBDA[1], "registryId": LAMBDA[0]},
        "BASIC",
    )
    assert not session.outputs()["report"]["waitingSettings"]
    unmanaged = {"unmanaged": ["policy", "replication", "scanning"]}
    session.configure({"lambdaReplicas": TWO_REGIONS, "registries": unmanaged})
    calls = len(session.aws.calls())
    deploy(session)
    central.put_registry_policy(policyText=THEIR_REGISTRY_POLICY)
    deploy(session)
    assert not {
        each for each in changed(session, calls) if "Registry" in each or "Replication" in each
    } - {"PutRegistryPolicy"}
    assert stands()[0] == "Partner"


def test_after_a_lost_state_with_everything_on_nothing_is_made_twice(open_session: Open) -> None:
    everything: dict[str, Any] = {
        "lambdaReplicas": TWO_REGIONS,
        "alerts": {"severities": ["HIGH"]},
        "pushRoles": {"createProvider": True, "variables": True},
    }
    session = open_session("api", "web", **everything)
    deploy(session)
    ledger, made = session.outputs()["ledger"], born(session)

    def keys() -> set[str]:
        found = set()
        for account, region in REGISTRIES:
            kms = Registries(session.environment).service("kms", account, region)
            found |= {each["KeyId"] for each in kms.list_keys()["Keys"]}
        return found

    before = keys()
    lose_the_state(session)
    calls = len(session.aws.calls())
    deploy(session)
    assert not {each for each in changed(session, calls) if each.startswith("Create")}
    assert keys() == before
    assert session.outputs()["ledger"] == ledger
    assert born(session) == made
    again = session.preview("--expect-no-changes")
    assert again.code == 0, again.output


def execute(session: Session, command: str) -> Run:
    """Run one command line of the engine as it is printed."""
    done = processes.run(
        shlex.split(command), environment=session.environment, directory=PROJECT, capture=True
    )
    return Run(done.returncode, done.stdout)
