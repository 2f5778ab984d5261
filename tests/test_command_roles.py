"""Each operator's command uses the role that its page documents, needs all of it, and nothing beside it.

The embedded AWS decides every call here, and knows nobody but the roles that the pages describe. What a page lists of
permissions is read from the page itself.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest

from ecr.cli.main import main
from ecr.plan.access.registry_policies import replica_policy
from ecr.plan.lifecycle import lifecycle_document
from ecr.registry.registry import Registry
from ecr.settings.models import Lifecycle
from sandbox.aws import EmbeddedAws
from sandbox.aws.hands import credentials_of
from sandbox.deployers import AWS_ORGANISATION, printed
from tests.builders import settings
from tests.grants import needed
from tests.live import ARTIFACTS, LAMBDA, REGION, REGISTRY, Live

PAGES = Path(__file__).resolve().parent.parent / "docs"
OPERATORS = f"arn:aws:iam::{ARTIFACTS}:role/ecr-estate-operators"
ROLE = "ecr-estate-operate"
ACCOUNTS = (ARTIFACTS, LAMBDA)
KEEP_TWO = (
    lifecycle_document(Lifecycle.model_validate({"keepImages": 2, "companionsByTag": 0})) or ""
)


def listed(page: str, *, after: str, before: str = "\n\n") -> list[str]:
    """The actions that a page names between two texts."""
    text = (PAGES / page).read_text().partition(after)[2].partition(before)[0]
    return re.findall(r"`([a-z]+:[A-Za-z*]+)`", text)


class Strict(Live):
    """The accounts, prepared by their administrators; the commands have the operators' session."""

    def _client(self, service: str, account: str = ARTIFACTS, region: str = REGION) -> Any:
        opened: Any = boto3
        return opened.client(
            service, region_name=region, endpoint_url=self.aws.url, **credentials_of(account)
        )

    def may(self, actions: list[str]) -> None:
        """Make the commands' role in both accounts, with these actions and the trust of its page."""
        statement = {"Effect": "Allow", "Action": sorted(set(actions)), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        trust = printed("docs/operations/audit.md", "Operators")
        (trusted,) = trust["Statement"]
        trusted["Principal"]["AWS"] = OPERATORS
        trusted["Condition"]["StringEquals"]["aws:PrincipalOrgID"] = AWS_ORGANISATION
        for account in ACCOUNTS:
            arn = f"arn:aws:iam::{account}:role/{ROLE}"
            self.aws.put_role(arn, json.dumps(trust), {"documented": document})

    def used(self) -> set[str]:
        """Of whom AWS was asked since the calls were last forgotten, none of them refused."""
        calls = self.aws.calls()
        assert {each.decision for each in calls} <= {"allowed", "needs no permission"}
        return {each.principal for each in calls}


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Strict]:
    with EmbeddedAws(strict=True, organisation=AWS_ORGANISATION) as aws:
        assumes = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        trusts = {
            "Effect": "Allow",
            "Principal": {"AWS": ARTIFACTS},
            "Action": "sts:AssumeRole",
        }
        document, trust = (
            json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (assumes, trusts)
        )
        aws.put_role(OPERATORS, trust, {"assume": document})
        live = Strict(tmp_path, aws)
        live.aws.world.delays.backfilling = 0
        session = live.client("sts").assume_role(RoleArn=OPERATORS, RoleSessionName="operator")
        given = session["Credentials"]
        for key, value in {
            "AWS_ENDPOINT_URL": aws.url,
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(key, value)
        for key in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
            monkeypatch.delenv(key, raising=False)
        monkeypatch.setattr("time.sleep", lambda seconds: aws.world.clock.move(seconds=seconds))
        prepare(live)
        yield live


def prepare(live: Strict) -> None:
    """An image repository whose images from before are no replicas yet, and what runs one of them."""
    for account in ACCOUNTS:
        live.ecr(account).create_repository(repositoryName="api")
        live.ecr(account).put_lifecycle_policy(repositoryName="api", lifecyclePolicyText=KEEP_TWO)
    part = live.push("api", days_ago=9)
    live.push("api", "list", parts=(part,), days_ago=9)
    for day, tag in enumerate("abc"):
        live.push("api", tag, days_ago=day)
    digest = live.push("api", "running", account=LAMBDA, days_ago=9)
    # Whether it goes rests on the list's day, so that the audit reads what the list names.
    live.push("api", "platforms", parts=(digest,), account=LAMBDA, days_ago=9)
    for day, tag in enumerate("abc"):
        live.push("api", tag, account=LAMBDA, days_ago=day)
    runs(live, digest)
    policy = replica_policy(
        Registry(LAMBDA, REGION), [Registry(ARTIFACTS, REGION)], settings(), None
    )
    live.ecr(LAMBDA).put_registry_policy(policyText=policy)
    live.ecr().put_replication_configuration(
        replicationConfiguration={
            "rules": [{"destinations": [{"region": REGION, "registryId": LAMBDA}]}]
        }
    )


def runs(live: Strict, digest: str) -> None:
    """A function of an image of the Lambda account, and a service of ECS that would start one."""
    role = live.function_role(LAMBDA)
    uri = f"{LAMBDA}.dkr.ecr.{REGION}.amazonaws.com/api@{digest}"
    live.client("lambda", LAMBDA).create_function(
        FunctionName="checkout",
        PackageType="Image",
        Role=f"arn:aws:iam::{LAMBDA}:role/{role}",
        Code={"ImageUri": uri},
        Publish=True,
    )
    ecs = live.client("ecs", LAMBDA)
    ecs.create_cluster(clusterName="main")
    made = ecs.register_task_definition(
        family="api", containerDefinitions=[{"name": "api", "image": uri, "memory": 64}]
    )
    arn = made["taskDefinition"]["taskDefinitionArn"]
    ecs.create_service(cluster="main", serviceName="api", taskDefinition=arn, desiredCount=0)


@dataclass(frozen=True)
class Command:
    """A command, the exit codes with which it is done, and the actions of its page."""

    arguments: Callable[[str], list[str]]
    codes: set[int]
    actions: Callable[[], list[str]]


def by_outputs(*words: str) -> Callable[[str], list[str]]:
    return lambda outputs: [words[0], "--outputs", outputs, "--role-name", ROLE, *words[1:]]


def by_registry(*words: str) -> Callable[[str], list[str]]:
    return lambda _: [words[0], "--registry", REGISTRY, "--role-name", ROLE, *words[1:]]


def audit_reads() -> list[str]:
    statements = printed("docs/operations/audit.md", "Images")["Statement"]
    given = [each["Action"] for each in statements]
    return [action for each in given for action in (each if isinstance(each, list) else [each])]


COMMANDS = {
    "audit": Command(by_outputs("audit"), {3}, audit_reads),
    "audit --pin": Command(
        by_outputs("audit", "--pin", "--yes"),
        {0, 3},
        lambda: [
            *audit_reads(),
            *listed("operations/audit.md", after="not tagged twice. The role needs", before="besides"),
        ],
    ),
    "replicas": Command(
        by_outputs("replicas", "--verify"),
        {3},
        lambda: listed(
            "operations/replicas.md", after="(audit.md#the-roles) needs", before="; for a backfill"
        ),
    ),
    "replicas --fill backfill": Command(
        by_outputs("replicas", "--verify", "--fill", "backfill", "--yes"),
        {0, 3},
        lambda: listed(
            "operations/replicas.md", after="(audit.md#the-roles) needs", before="for a tool also"
        ),
    ),
    "rescan": Command(
        by_registry("rescan", "--rate", "0", "--yes"),
        {0},
        lambda: listed("operations/rescan.md", after="(audit.md#the-roles) needs"),
    ),
    "simulate": Command(
        by_registry("simulate"),
        {0},
        lambda: listed("operations/simulate.md", after="(audit.md#the-roles) needs", before="for `--check`"),
    ),
    "simulate --check": Command(
        by_registry("simulate", "--check"),
        {0, 3},
        lambda: listed("operations/simulate.md", after="(audit.md#the-roles) needs"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_uses_the_role_of_its_page_and_needs_all_that_it_lists(
    strict: Strict, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]
    actions = command.actions()
    assert actions
    strict.may(actions)
    strict.aws.forget_calls()
    outputs = strict.outputs({"api": [ARTIFACTS]}, {"api": [LAMBDA]})
    code = main(command.arguments(outputs))
    said = capsys.readouterr()
    assert code in command.codes, said
    roles = {f"arn:aws:iam::{account}:role/{ROLE}" for account in ACCOUNTS}
    used = strict.used()
    assert used - {OPERATORS} <= roles
    assert used & roles
    given: set[str] = set()
    for role in roles & used:
        given |= needed(strict.aws.grants(), role)
    unused = {
        each for each in set(actions) if not any(fnmatchcase(action, each) for action in given)
    }
    assert not unused


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_whose_role_lacks_an_action_says_so_in_aws_s_words(
    strict: Strict, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = COMMANDS[name]
    lacking = "ecr:DescribeImages"
    strict.may([each for each in command.actions() if each != lacking])
    outputs = strict.outputs({"api": [ARTIFACTS]}, {"api": [LAMBDA]})
    code = main(command.arguments(outputs))
    shown = capsys.readouterr()
    said = shown.out + shown.err
    assert code != 0
    assert lacking in said, said
