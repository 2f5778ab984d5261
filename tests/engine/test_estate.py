"""The program on the real engine, with the real providers: what AWS holds after each deployment."""

from collections import Counter
from pathlib import Path

import pytest

from ecr.cli.commands.estate import estate_of
from ecr.engine.outputs import Outputs
from ecr.ledger.ledger import Source
from ecr.plan.limits import REQUESTS_EACH
from pages.estate import sandbox_outputs
from sandbox import processes
from sandbox.estate import Registries, RegistryContents
from sandbox.github import Organisation
from sandbox.session import ORGANISATION, STACK_FILE, Session
from sandbox.toolchain import Toolchain
from tests.engine.conftest import Open

pytestmark = pytest.mark.engine

ARTIFACTS = ("111111111111", "eu-west-1")
LAMBDA = ("222222222222", "eu-west-1")
ONE_LAMBDA_ACCOUNT = {
    "accounts": [
        {
            "account": LAMBDA[0],
            "regions": [LAMBDA[1]],
            "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-estate-deploy",
        }
    ],
    "services": {"all": True},
}


def held(session: Session, registry: tuple[str, str] = ARTIFACTS) -> RegistryContents:
    return Registries(session.environment).read(*registry)


def deploy(session: Session) -> None:
    done = session.up("--skip-preview")
    assert done.code == 0, done.output


def changes(session: Session) -> str:
    """What AWS was asked to change since the calls were last forgotten."""
    return ", ".join(
        each.action
        for each in session.aws.calls()
        if not each.action.startswith(("Get", "Describe", "List", "AssumeRole"))
    )


def test_a_hundred_repositories_become_an_estate_that_needs_no_further_change(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    rules = {"archived": True, "forks": True, "templates": True}
    github = {"organisation": "sandbox-org", "selection": rules}
    with Session(tmp_path / "session", toolchain, settings={"github": github}) as session:
        deploy(session)
        calls = session.github.calls()
        central, replicas = held(session), held(session, LAMBDA)
        again = session.preview("--expect-no-changes")
        assert again.code == 0, again.output
        assert "Outputs:" not in again.output  # the engine does not count those as changes
        outputs = session.outputs()
    since = {entry["since"] for entry in outputs["ledger"]["services"].values()}
    planned = sandbox_outputs(min(since), github=github)
    source = Source("The outputs cannot be read.", "here", "write them anew")
    deployed, drawn = (estate_of(Outputs.of(each, source)) for each in (outputs, planned))
    assert deployed == drawn  # the site's page can do without the engine
    assert len(calls) <= 4
    assert len(central.repositories) == central.lifecycle_policies == 99
    assert [each["repository"] for each in outputs["leftOut"]] == [".github"]
    assert len(replicas.repositories) == replicas.lifecycle_policies == replicas.repository_policies
    assert set(replicas.repositories) == set(outputs["replicas"])
    assert central.registry_policy
    assert replicas.registry_policy
    assert {
        (each["registryId"], each["region"])
        for rule in central.replication_rules
        for each in rule["destinations"]
    } == {LAMBDA, ("333333333333", "eu-west-1"), ("333333333333", "us-east-1")}


def test_a_first_deployment_makes_as_many_requests_as_the_plan_tells_an_operator(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    deploy(session)
    made = Counter(
        (each.account, name)
        for each in session.aws.calls()
        for name in ("api", "web")
        if each.subject.rpartition("/")[2] == name
    )
    assert made == {
        (account, name): REQUESTS_EACH[kind]
        for account, kind in ((ARTIFACTS[0], "placement"), (LAMBDA[0], "replica"))
        for name in ("api", "web")
    }


def test_a_new_repository_adds_its_own_resources_and_touches_no_other(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    session.github.organisation.add("worker")
    preview = session.preview()
    assert "+ 2 to create" in preview.output
    assert "to update" not in preview.output
    deploy(session)
    assert set(held(session).repositories) == {"api", "web", "worker"}


def test_a_lifecycle_policy_that_changes_is_there_afterwards(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    session.configure(
        {"lambdaReplicas": None, "lifecycle": {"keepImages": 7, "companionsByTag": 0}}
    )
    deploy(session)
    ecr = Registries(session.environment).client(*ARTIFACTS)
    policy = ecr.get_lifecycle_policy(repositoryName="api")["lifecyclePolicyText"]
    assert '"countNumber":7' in policy


def test_a_renamed_repository_keeps_its_images_and_nothing_is_replaced(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    session.github.organisation.rename("api", "gateway")
    preview = session.preview()
    assert "api is now called gateway; its image repositories stay api" in preview.output
    assert "~ 1 to update" in preview.output
    assert "replace" not in preview.output
    assert "delete" not in preview.output
    deploy(session)
    assert set(held(session).repositories) == {"api", "web"}
    assert tags_of(session, "api")["github-repository"] == "gateway"


def tags_of(session: Session, name: str) -> dict[str, str]:
    ecr = Registries(session.environment).client(*ARTIFACTS)
    arn = held(session).repositories[name]["repositoryArn"]
    tags = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    return {each["Key"]: each["Value"] for each in tags}


def test_a_repository_that_vanishes_leaves_its_images_and_their_protection(
    open_session: Open,
) -> None:
    session = open_session("api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    deploy(session)
    session.github.organisation.delete("api")
    deploy(session)
    assert set(held(session).repositories) == {"api", "web"}
    assert set(held(session, LAMBDA).repositories) == {"api", "web"}
    services = session.outputs()["ledger"]["services"].values()
    assert {each["service"]: each["state"] for each in services} == {"api": "kept", "web": "active"}
    assert session.preview("--expect-no-changes").code == 0


def test_a_retired_service_ends_in_the_second_deployment_and_not_before(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    session.github.organisation.delete("api")
    deploy(session)
    session.configure({"lambdaReplicas": None, "retire": ["api"]})
    deploy(session)
    assert set(held(session).repositories) == {"api", "web"}
    deploy(session)
    assert set(held(session).repositories) == {"web"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status-502-html", "502"),
        ("json-cut", "not JSON"),
        ("row-duplicated", "could not be trusted"),
        ("status-401", "set a new GITHUB_TOKEN"),
        ("request-id-missing", "without GitHub's request id"),
    ],
)
def test_a_listing_that_fails_changes_nothing_and_says_why(
    open_session: Open, fault: str, said: str
) -> None:
    session = open_session(*(f"service-{number}" for number in range(3)), lambdaReplicas=None)
    deploy(session)
    before = session.outputs()
    session.github.faults.arm(fault, times=None)
    session.github.organisation.delete("service-1")
    call_count = len(session.aws.calls())
    failed = session.up("--skip-preview")
    assert failed.code != 0
    assert said in failed.output
    assert "nothing was changed" in failed.output
    assert len(session.aws.calls()) == call_count
    assert session.outputs() == before


def test_a_bad_setting_is_named_before_aws_or_github_are_asked(open_session: Open) -> None:
    session = open_session("api", artifacts={"account": "111", "region": "eu-west-1"})
    failed = session.up("--skip-preview")
    assert failed.code != 0
    assert 'ecr-estate:artifacts.account = "111": is not a 12-digit AWS account id' in failed.output
    assert not session.aws.calls()
    assert not session.github.calls()
    assert "Traceback" not in failed.output


def test_an_account_other_than_the_one_configured_is_refused_by_the_provider(
    open_session: Open,
) -> None:
    session = open_session(
        "api", artifacts={"account": "444444444444", "region": "eu-west-1"}, lambdaReplicas=None
    )
    failed = session.up("--skip-preview")
    assert failed.code != 0
    assert "AWS account ID not allowed" in failed.output
    assert not changes(session)


def test_no_secret_reaches_the_state_the_outputs_or_what_is_printed(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=None)
    done = session.up("--skip-preview")
    state = "".join(
        path.read_text() for path in (session.directory / "state").rglob("*.json") if path.is_file()
    )
    for secret in (session.github.token, session.variables["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in done.output
        assert secret not in state


def test_a_session_leaves_no_process_behind(open_session: Open) -> None:
    session = open_session("api", lambdaReplicas=None)
    deploy(session)
    mark = session.mark
    session.__exit__(None, None, None)
    assert not list(processes.marked(mark))


def test_a_stack_file_of_somebody_s_own_stays_as_it_is(
    toolchain: Toolchain, tmp_path: Path
) -> None:
    text = STACK_FILE.read_text().partition("encryptionsalt:")[0]
    mine = tmp_path / "Pulumi.mine.yaml"
    mine.write_text(text)
    organisation = Organisation(ORGANISATION)
    organisation.add("api")
    with Session(
        tmp_path / "session", toolchain, organisation=organisation, stack_file=mine
    ) as session:
        deploy(session)
    assert mine.read_text() == text


def test_a_lifecycle_policy_that_ecr_refuses_ends_no_policy_that_stands(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=None)
    deploy(session)
    ecr = Registries(session.environment).client(*ARTIFACTS)

    def policies() -> list[str]:
        return [
            ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
            for name in ("api", "web")
        ]

    before = policies()
    session.configure({"lambdaReplicas": None, "lifecycle": {"keepImages": 50}})
    for action in ("PutLifecyclePolicy", "StartLifecyclePolicyPreview"):
        session.aws.refusals.arm("ecr", action, "InvalidParameterException", times=None)
    refused = session.up("--skip-preview")
    assert refused.code != 0
    assert "ECR does not take a lifecycle policy of this plan" in refused.output
    assert policies() == before
    session.aws.refusals.clear()
    since = len(session.aws.calls())
    deploy(session)
    asked = [each.action for each in session.aws.calls()[since:]]
    assert asked.count("StartLifecyclePolicyPreview") == 1
    assert asked.index("StartLifecyclePolicyPreview") < asked.index("DeleteLifecyclePolicy")
    assert policies() != before
