"""The plan as a whole: placements, replicas, documents, and what stops a deployment."""

import ast
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.registry.registry import Registry
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    plan,
    repositories,
    repository,
    states,
    with_replicas,
)


def test_the_plan_imports_neither_pulumi_nor_boto3() -> None:
    check = (
        "import sys, ecr.plan.build;"
        "print({'pulumi', 'pulumi_aws', 'pulumi_github', 'boto3', 'botocore'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_program_imports_neither_the_sandbox_nor_what_writes_the_site() -> None:
    imported = {
        name.split(".")[0]
        for file in [Path("__main__.py"), *Path("ecr").rglob("*.py")]
        for node in ast.walk(ast.parse(file.read_text()))
        for name in (
            [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "ecr" in imported
    assert imported.isdisjoint({"sandbox", "pages", "tests", "benchmarks"})


def test_the_program_reads_as_the_design_in_under_forty_lines() -> None:
    source = Path("__main__.py").read_text()
    assert len(source.splitlines()) < 40
    assert ast.parse(source)


def test_every_service_has_one_image_repository_in_the_artifacts_registry() -> None:
    planned = plan(*repositories("api", "web"))
    assert [each.url for each in planned.image_repositories] == [
        f"{ARTIFACTS}.dkr.ecr.eu-west-1.amazonaws.com/api",
        f"{ARTIFACTS}.dkr.ecr.eu-west-1.amazonaws.com/web",
    ]


def test_an_image_repository_says_in_its_tags_whose_it_is() -> None:
    planned = plan(repository(42, "API"), tags={"cost-centre": "platform"})
    assert dict(planned.image_repositories[0].tags) == {
        "cost-centre": "platform",
        "managed-by": "ecr-estate/test",
        "github-owner": "acme",
        "github-repository": "API",
        "github-id": "42",
        "service": "api",
    }


def test_no_tag_of_an_operator_hides_whose_an_image_repository_is() -> None:
    planned = plan(repository(42, "api"), tags={"github-id": "1"})
    assert planned.image_repositories[0].tags["github-id"] == "42"


def test_replicas_follow_a_custom_property() -> None:
    planned = plan(
        repository(1, "api", properties={"lambda": "true"}),
        repository(2, "web"),
        **with_replicas(property="lambda"),
    )
    assert states(planned.ledger.entries[1].replicas) == {f"{REPLICAS}/api": "active"}
    assert states(planned.ledger.entries[2].replicas) == {}


def test_replicas_follow_name_patterns_whatever_the_case() -> None:
    planned = plan(*repositories("Fn-a", "web"), **with_replicas(patterns=["fn-*"]))
    assert states(planned.ledger.entries[1].replicas) == {f"{REPLICAS}/fn-a": "active"}
    assert states(planned.ledger.entries[2].replicas) == {}


def test_an_account_may_want_other_services_than_the_rest() -> None:
    planned = plan(
        *repositories("api", "web"),
        lambdaReplicas={
            "accounts": [
                {"account": LAMBDA, "regions": ["eu-west-1"], "services": {"patterns": ["web"]}},
                {"account": "333333333333", "regions": ["eu-west-1", "us-east-1"]},
            ],
            "services": {"all": True},
        },
    )
    assert list(planned.ledger.entries[1].replicas) == [
        "333333333333/eu-west-1/api",
        "333333333333/us-east-1/api",
    ]
    rules = planned.registries[0].replication
    assert [([each.key for each in rule.destinations], rule.prefixes) for rule in rules] == [
        ([REPLICAS], ("web",)),
        (["333333333333/eu-west-1", "333333333333/us-east-1"], ()),
    ]


def test_a_replica_that_is_no_longer_wanted_is_kept_and_no_longer_filled() -> None:
    before = plan(*repositories("api", "web"), **with_replicas()).ledger
    after = plan(*repositories("api", "web"), ledger=before, **with_replicas(patterns=["web"]))
    assert states(after.ledger.entries[1].replicas) == {f"{REPLICAS}/api": "kept"}
    assert after.registries[0].replication[0].prefixes == ("web",)
    assert len(after.image_repositories) == 4


def test_settings_that_lose_a_registry_with_replicas_stop_the_deployment() -> None:
    before = plan(*repositories("api", "web"), **with_replicas()).ledger
    with pytest.raises(EstateError, match=f"registry {REPLICAS}: holds 2, api the first"):
        plan(*repositories("api", "web"), ledger=before)


def test_another_artifacts_region_stops_the_deployment_rather_than_replacing_everything() -> None:
    before = plan(*repositories("api")).ledger
    with pytest.raises(EstateError, match=f"registry {SOURCE}: holds 1"):
        plan(
            *repositories("api"),
            ledger=before,
            artifacts={"account": ARTIFACTS, "region": "us-east-1"},
        )


def test_the_same_inputs_give_the_same_plan() -> None:
    first = plan(*repositories("api", "web"), **with_replicas())
    again = plan(*repositories("api", "web"), ledger=first.ledger, **with_replicas())
    assert again == first


def test_the_order_in_which_the_engine_gives_the_ledger_back_changes_nothing() -> None:
    chosen = with_replicas(LAMBDA, "333333333333", "444444444444")
    first = plan(repository(1, "api"), **chosen)
    entry = first.ledger.entries[1]
    shuffled = replace(entry, replicas=dict(reversed([*entry.replicas.items()])))
    again = plan(repository(1, "api"), ledger=Ledger({1: shuffled}), **chosen)
    assert list(again.ledger.entries[1].replicas) == list(entry.replicas)
    assert again.image_repositories == first.image_repositories


def test_source_and_destination_of_replication_name_each_other() -> None:
    planned = plan(*repositories("api"), **with_replicas())
    source, destination = planned.registries
    assert source.replication[0].destinations == (destination.registry,)
    statement = json.loads(destination.policy or "")["Statement"][0]
    assert statement["Principal"]["AWS"] == f"arn:aws:iam::{source.registry.account}:root"
    assert statement["Resource"] == destination.registry.arn("*")


def test_enhanced_scanning_is_continuous_and_basic_on_push() -> None:
    assert plan(*repositories("api")).registries[0].scan_frequency == "SCAN_ON_PUSH"
    enhanced = plan(*repositories("api"), scanning={"type": "ENHANCED"}).registries[0]
    assert enhanced.scan_frequency == "CONTINUOUS_SCAN"
    both = {"type": "ENHANCED", "filters": ["pay-*"], "onPushOnly": ["*"]}
    assert plan(*repositories("api"), scanning=both).registries[0].scan_on_push == ("*",)


def test_replicas_are_not_encrypted_with_a_key_of_another_account() -> None:
    key = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/1"
    planned = plan(*repositories("api"), images={"kmsKey": key}, **with_replicas())
    assert {each.kind: each.kms_key for each in planned.image_repositories} == {
        "placement": key,
        "replica": None,
    }


@pytest.mark.parametrize(
    ("region", "partition", "host"),
    [
        ("eu-west-1", "aws", "1.dkr.ecr.eu-west-1.amazonaws.com"),
        ("cn-north-1", "aws-cn", "1.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "1.dkr.ecr.us-gov-west-1.amazonaws.com"),
    ],
)
def test_every_partition_has_its_own_arns_and_hosts(region: str, partition: str, host: str) -> None:
    registry = Registry("1", region)
    assert (registry.partition, registry.host) == (partition, host)


def test_tags_may_move_where_a_team_chooses_and_nowhere_else() -> None:
    planned = plan(
        repository(1, "api"),
        repository(2, "build-cache"),
        repository(3, "web", properties={"tags": "moving"}),
        images={
            "mutableTags": ["live-*"],
            "overrides": [
                {"names": ["*-cache"], "immutable": False, "immutableTags": ["v*"]},
                {"property": {"property": "tags", "values": ["moving"]}, "mutableTags": ["latest"]},
            ],
        },
    )
    assert [(each.mutability, each.exclusions) for each in planned.image_repositories] == [
        ("IMMUTABLE_WITH_EXCLUSION", ("live-*",)),
        ("MUTABLE_WITH_EXCLUSION", ("v*",)),
        ("IMMUTABLE_WITH_EXCLUSION", ("latest",)),
    ]
