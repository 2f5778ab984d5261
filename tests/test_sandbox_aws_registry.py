"""What the embedded ECR answers and refuses. Each test works in an account of its own."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ReplicationRuleTypeDef

REGION = "eu-west-1"
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 7,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

accounts = (f"{number:012d}" for number in count(1))


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        yield running


@pytest.fixture
def account() -> str:
    return next(accounts)


@pytest.fixture
def ecr(aws: EmbeddedAws, account: str) -> ECRClient:
    return registry(aws, account)


def registry(aws: EmbeddedAws, account: str, region: str = REGION) -> ECRClient:
    fake: dict[str, Any] = {"region_name": region, "endpoint_url": aws.url}
    base = boto3.client("sts", **fake, aws_access_key_id="fake", aws_secret_access_key="fake")
    keys = base.assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/deployment", RoleSessionName="test"
    )["Credentials"]
    return boto3.client(
        "ecr",
        **fake,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        # What the SDK would refuse by itself must reach the server: others' SDKs let it pass.
        config=Config(parameter_validation=False),
    )


@contextmanager
def refused(code: str = "InvalidParameterException", saying: str | None = None) -> Iterator[None]:
    with pytest.raises(ClientError, match=saying) as caught:
        yield
    assert caught.value.response.get("Error", {}).get("Code") == code


def statement(principal: str, *actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(actions),
        "Resource": resource,
        **more,
    }


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def rule(
    *destinations: str, prefixes: tuple[str, ...] = (), region: str = REGION
) -> ReplicationRuleTypeDef:
    made: ReplicationRuleTypeDef = {
        "destinations": [{"region": region, "registryId": each} for each in destinations]
    }
    if prefixes:
        made["repositoryFilters"] = [
            {"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in prefixes
        ]
    return made


def replicate(ecr: ECRClient, *rules: ReplicationRuleTypeDef) -> None:
    ecr.put_replication_configuration(replicationConfiguration={"rules": rules})


def manifest(content: str) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE, "annotations": {"it": content}})


def push(ecr: ECRClient, repository: str, tag: str, content: str = "first") -> str:
    answer = ecr.put_image(repositoryName=repository, imageManifest=manifest(content), imageTag=tag)
    return answer["image"]["imageId"]["imageDigest"]


def tags_by_digest(ecr: ECRClient, repository: str) -> dict[str, list[str]]:
    images = ecr.describe_images(repositoryName=repository)["imageDetails"]
    return {image["imageDigest"]: image.get("imageTags", []) for image in images}


def replication(ecr: ECRClient, repository: str, tag: str) -> dict[str, str]:
    """Return the status, or the reason of a failure, by destination account."""
    answer = ecr.describe_image_replication_status(
        repositoryName=repository, imageId={"imageTag": tag}
    )
    return {
        each["registryId"]: each.get("failureCode", each["status"])
        for each in answer["replicationStatuses"]
    }


# Image repositories


def test_a_repository_is_described_with_everything_the_provider_reads(
    ecr: ECRClient, account: str
) -> None:
    ecr.create_repository(
        repositoryName="team/service",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "cache-*"}],
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": "alias/images"},
    )
    (described,) = ecr.describe_repositories(repositoryNames=["team/service"])["repositories"]
    assert described.pop("createdAt")
    assert described == {
        "repositoryArn": f"arn:aws:ecr:{REGION}:{account}:repository/team/service",
        "registryId": account,
        "repositoryName": "team/service",
        "repositoryUri": f"{account}.dkr.ecr.{REGION}.amazonaws.com/team/service",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "cache-*"}],
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": "alias/images"},
    }


@pytest.mark.parametrize(
    "name", ["a", "a" * 257, "Upper", "a--b", "a__b", "-a", "a-", "a//b", "/a", "a/", "a b"]
)
def test_a_repository_name_outside_the_grammar_is_refused(ecr: ECRClient, name: str) -> None:
    with refused(saying="repositoryName"):
        ecr.create_repository(repositoryName=name)


def test_a_repository_name_is_taken_once(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    with refused("RepositoryAlreadyExistsException"):
        ecr.create_repository(repositoryName="service")


@pytest.mark.parametrize(
    ("mutability", "filters"),
    [
        ("SOMETIMES", None),
        ("IMMUTABLE", ["cache-*"]),
        ("IMMUTABLE_WITH_EXCLUSION", None),
        ("IMMUTABLE_WITH_EXCLUSION", []),
        ("IMMUTABLE_WITH_EXCLUSION", ["a", "b", "c", "d", "e", "f"]),
        ("MUTABLE_WITH_EXCLUSION", ["*a*b*"]),
        ("MUTABLE_WITH_EXCLUSION", ["a" * 129]),
        ("MUTABLE_WITH_EXCLUSION", ["a/b"]),
    ],
)
def test_exclusion_filters_that_do_not_fit_are_refused_at_creation_and_afterwards(
    ecr: ECRClient,
    mutability: Any,
    filters: list[str] | None,
) -> None:
    asked: dict[str, Any] = {"imageTagMutability": mutability}
    if filters is not None:
        asked["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": each} for each in filters
        ]
    with refused(saying="imageTagMutability|filter"):
        ecr.create_repository(repositoryName="refused", **asked)
    ecr.create_repository(repositoryName="service")
    with refused(saying="imageTagMutability|filter"):
        ecr.put_image_tag_mutability(repositoryName="service", **asked)


def test_mutability_changes_there_and_back(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    changed = ecr.put_image_tag_mutability(
        repositoryName="service",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
    )
    assert changed["imageTagMutabilityExclusionFilters"] == [
        {"filterType": "WILDCARD", "filter": "v*"}
    ]
    ecr.put_image_tag_mutability(repositoryName="service", imageTagMutability="IMMUTABLE")
    (described,) = ecr.describe_repositories()["repositories"]
    assert described["imageTagMutability"] == "IMMUTABLE"
    assert "imageTagMutabilityExclusionFilters" not in described


def test_a_repository_takes_fifty_tags(ecr: ECRClient) -> None:
    fifty = [{"Key": f"tag-{number}", "Value": ""} for number in range(50)]
    with refused("TooManyTagsException"):
        ecr.create_repository(repositoryName="service", tags=[*fifty, {"Key": "a", "Value": ""}])  # type: ignore[list-item]
    arn = ecr.create_repository(repositoryName="service", tags=fifty)["repository"]["repositoryArn"]  # type: ignore[arg-type]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "tag-0", "Value": "changed"}])
    with refused("TooManyTagsException"):
        ecr.tag_resource(resourceArn=arn, tags=[{"Key": "one-more", "Value": ""}])
    ecr.untag_resource(resourceArn=arn, tagKeys=[f"tag-{number}" for number in range(1, 50)])
    assert ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [
        {"Key": "tag-0", "Value": "changed"}
    ]


def test_a_tag_key_of_aws_itself_is_refused(ecr: ECRClient) -> None:
    with refused("InvalidTagParameterException"):
        ecr.create_repository(repositoryName="service", tags=[{"Key": "aws:x", "Value": ""}])


@pytest.mark.parametrize(
    "encryption",
    [{"encryptionType": "ROT13"}, {"encryptionType": "AES256", "kmsKey": "alias/images"}],
)
def test_an_encryption_that_does_not_exist_is_refused(
    ecr: ECRClient,
    encryption: Any,
) -> None:
    with refused(saying="encryption"):
        ecr.create_repository(repositoryName="service", encryptionConfiguration=encryption)


def test_repositories_are_listed_in_pages(ecr: ECRClient) -> None:
    created = {
        ecr.create_repository(repositoryName=f"service-{number}")["repository"]["repositoryName"]
        for number in range(101)
    }
    first = ecr.describe_repositories()
    assert len(first["repositories"]) == 100
    second = ecr.describe_repositories(nextToken=first["nextToken"])
    assert "nextToken" not in second
    assert created == {
        each["repositoryName"] for each in (*first["repositories"], *second["repositories"])
    }
    assert len(ecr.describe_repositories(maxResults=1000)["repositories"]) == 101


def test_pages_that_make_no_sense_are_refused(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    with refused(saying="maxResults"):
        ecr.describe_repositories(maxResults=1001)
    with refused(saying="maxResults"):
        ecr.describe_repositories(repositoryNames=["service"], maxResults=10)
    with refused(saying="nextToken"):
        ecr.describe_repositories(nextToken="forged")


def test_a_repository_that_does_not_exist_is_not_found(ecr: ECRClient) -> None:
    with refused("RepositoryNotFoundException"):
        ecr.describe_repositories(repositoryNames=["service"])
    with refused("RepositoryNotFoundException"):
        ecr.put_lifecycle_policy(repositoryName="service", lifecyclePolicyText=LIFECYCLE)
    with refused("RepositoryNotFoundException"):
        push(ecr, "service", "v1")


def test_a_repository_with_images_is_deleted_by_force_only(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    push(ecr, "service", "v1")
    with refused("RepositoryNotEmptyException"):
        ecr.delete_repository(repositoryName="service")
    ecr.delete_repository(repositoryName="service", force=True)
    with refused("RepositoryNotFoundException"):
        ecr.delete_repository(repositoryName="service")


# Images


def test_an_image_is_known_by_the_digest_of_its_manifest(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    digest = push(ecr, "service", "v1")
    assert digest == f"sha256:{hashlib.sha256(manifest('first').encode()).hexdigest()}"
    with refused("ImageAlreadyExistsException"):
        push(ecr, "service", "v1")
    with refused("ImageDigestDoesNotMatchException"):
        ecr.put_image(
            repositoryName="service", imageManifest=manifest("second"), imageDigest=digest
        )
    with refused(saying="imageManifest"):
        ecr.put_image(repositoryName="service", imageManifest="{}", imageTag="v1")


def test_an_image_takes_further_tags(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    digest = push(ecr, "service", "v1")
    push(ecr, "service", "v2")
    assert tags_by_digest(ecr, "service") == {digest: ["v1", "v2"]}


def test_a_tag_that_moves_leaves_its_old_image_untagged(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    old, new = push(ecr, "service", "latest"), push(ecr, "service", "latest", "second")
    assert tags_by_digest(ecr, "service") == {old: [], new: ["latest"]}


@pytest.mark.parametrize(
    ("mutability", "movable", "fixed"),
    [
        ("IMMUTABLE", None, "v1"),
        ("IMMUTABLE_WITH_EXCLUSION", "cache-main", "main"),
        ("MUTABLE_WITH_EXCLUSION", "main", "cache-main"),
    ],
)
def test_an_immutable_tag_stays_where_it_is(
    ecr: ECRClient,
    mutability: Literal["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"],
    movable: str | None,
    fixed: str,
) -> None:
    filters: Any = (
        {"imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "*che-*"}]}
        if movable
        else {}
    )
    ecr.create_repository(repositoryName="service", imageTagMutability=mutability, **filters)
    push(ecr, "service", fixed)
    with refused("ImageTagAlreadyExistsException"):
        push(ecr, "service", fixed, "second")
    if movable:
        push(ecr, "service", movable)
        push(ecr, "service", movable, "second")


# Lifecycle and repository policies


def test_a_lifecycle_policy_is_kept_as_it_was_put(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    ecr.put_lifecycle_policy(repositoryName="service", lifecyclePolicyText=LIFECYCLE)
    assert ecr.get_lifecycle_policy(repositoryName="service")["lifecyclePolicyText"] == LIFECYCLE
    ecr.delete_lifecycle_policy(repositoryName="service")
    with refused("LifecyclePolicyNotFoundException"):
        ecr.get_lifecycle_policy(repositoryName="service")


def test_a_lifecycle_policy_outside_the_grammar_is_refused_and_the_old_one_stays(
    ecr: ECRClient,
) -> None:
    ecr.create_repository(repositoryName="service")
    ecr.put_lifecycle_policy(repositoryName="service", lifecyclePolicyText=LIFECYCLE)
    with refused(saying="LifecyclePolicyText.*countUnit"):
        ecr.put_lifecycle_policy(
            repositoryName="service", lifecyclePolicyText=LIFECYCLE.replace("days", "hours")
        )
    with refused(saying="lifecyclePolicyText"):
        ecr.put_lifecycle_policy(
            repositoryName="service", lifecyclePolicyText=LIFECYCLE + " " * 30_720
        )
    assert ecr.get_lifecycle_policy(repositoryName="service")["lifecyclePolicyText"] == LIFECYCLE


def test_a_repository_policy_is_kept_as_it_was_put(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    pull = statement("arn:aws:iam::210987654321:root", *PULL)
    del pull["Resource"]
    ecr.set_repository_policy(repositoryName="service", policyText=policy(pull))
    assert ecr.get_repository_policy(repositoryName="service")["policyText"] == policy(pull)
    ecr.delete_repository_policy(repositoryName="service")
    with refused("RepositoryPolicyNotFoundException"):
        ecr.get_repository_policy(repositoryName="service")


def test_a_repository_policy_that_ecr_refuses_is_refused(ecr: ECRClient) -> None:
    ecr.create_repository(repositoryName="service")
    with refused(saying="GetAuthorizationToken"):
        ecr.set_repository_policy(
            repositoryName="service", policyText=policy(statement("*", "ecr:GetAuthorizationToken"))
        )
    with refused(saying="policyText"):
        ecr.set_repository_policy(
            repositoryName="service",
            policyText=policy(statement("*", *PULL, Sid="s" * 10_240)),
        )


# The registry


def test_account_settings_start_at_their_defaults_and_change_by_region(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    defaults = {
        "BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE",
        "BLOB_MOUNTING": "DISABLED",
        "REGISTRY_POLICY_SCOPE": "V2",
    }
    assert {name: ecr.get_account_setting(name=name)["value"] for name in defaults} == defaults
    answer = ecr.put_account_setting(name="BLOB_MOUNTING", value="ENABLED")
    assert (answer["name"], answer["value"]) == ("BLOB_MOUNTING", "ENABLED")
    assert ecr.get_account_setting(name="BLOB_MOUNTING")["value"] == "ENABLED"
    elsewhere = registry(aws, account, region="us-east-1")
    assert elsewhere.get_account_setting(name="BLOB_MOUNTING")["value"] == "DISABLED"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BLOB_MOUNTING", "V2"),
        ("REGISTRY_POLICY_SCOPE", "V3"),
        ("BASIC_SCAN_TYPE_VERSION", "CLAIR"),
        ("UNKNOWN", "ENABLED"),
    ],
)
def test_an_account_setting_that_does_not_exist_is_refused(
    ecr: ECRClient, name: str, value: str
) -> None:
    with refused():
        ecr.put_account_setting(name=name, value=value)


def test_a_registry_policy_covers_every_action_and_is_kept_as_it_was_put(
    ecr: ECRClient, account: str
) -> None:
    own = f"arn:aws:ecr:{REGION}:{account}:repository/*"
    text = policy(
        statement("210987654321", "ecr:ReplicateImage", "ecr:CreateRepository", resource=own),
        statement("*", "ecr:DeleteRepository", "ecr:BatchDelete*", Effect="Deny"),
    )
    assert ecr.put_registry_policy(policyText=text)["registryId"] == account
    assert ecr.get_registry_policy()["policyText"] == text
    ecr.delete_registry_policy()
    with refused("RegistryPolicyNotFoundException"):
        ecr.get_registry_policy()


def test_the_old_scope_of_old_accounts_takes_three_actions_only(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    aws.registry(account, REGION).settings.let_old_policy_scope()
    ecr.put_registry_policy(policyText=policy(statement("*", "ecr:ReplicateImage")))
    with refused(saying="ecr:PutImage"):
        ecr.put_registry_policy(policyText=policy(statement("*", "ecr:PutImage")))


def test_a_registry_policy_that_is_too_long_is_refused(ecr: ECRClient) -> None:
    with refused(saying="policyText"):
        ecr.put_registry_policy(policyText=policy(statement("*", *PULL)) + " " * 10_240)


def test_a_registry_starts_with_basic_scanning_and_takes_two_rules(
    ecr: ECRClient, account: str
) -> None:
    before = ecr.get_registry_scanning_configuration()
    assert before["registryId"] == account
    assert before["scanningConfiguration"] == {"scanType": "BASIC", "rules": []}
    rules: Any = [
        {
            "scanFrequency": frequency,
            "repositoryFilters": [{"filter": name, "filterType": "WILDCARD"}],
        }
        for frequency, name in (("SCAN_ON_PUSH", "*"), ("CONTINUOUS_SCAN", "prod-*"))
    ]
    answer = ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=rules)
    wanted = {"scanType": "ENHANCED", "rules": rules}
    assert answer["registryScanningConfiguration"] == wanted
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"] == wanted
    ecr.put_registry_scanning_configuration()
    assert ecr.get_registry_scanning_configuration()["scanningConfiguration"]["rules"] == []


@pytest.mark.parametrize(
    ("scan_type", "frequency", "filters", "rules"),
    [
        ("BASIC", "CONTINUOUS_SCAN", ["*"], 1),
        ("ENHANCED", "MANUAL", ["*"], 1),
        ("ENHANCED", "DAILY", ["*"], 1),
        ("BASIC", "SCAN_ON_PUSH", ["*"], 3),
        ("BASIC", "SCAN_ON_PUSH", ["a"] * 101, 1),
        ("BASIC", "SCAN_ON_PUSH", ["Upper"], 1),
        ("BASIC", "SCAN_ON_PUSH", ["a" * 200 + "//b"], 1),
    ],
)
def test_a_scanning_configuration_that_ecr_refuses_is_refused(
    ecr: ECRClient,
    scan_type: Literal["BASIC", "ENHANCED"],
    frequency: str,
    filters: list[str],
    rules: int,
) -> None:
    wrong: Any = {
        "scanFrequency": frequency,
        "repositoryFilters": [{"filter": name, "filterType": "WILDCARD"} for name in filters],
    }
    with refused():
        ecr.put_registry_scanning_configuration(scanType=scan_type, rules=[wrong] * rules)


def test_a_scanning_filter_without_a_wildcard_matches_anywhere_in_the_name(ecr: ECRClient) -> None:
    for name in ("my-prod-service", "prod", "test"):
        ecr.create_repository(repositoryName=name)
    ecr.put_registry_scanning_configuration(
        scanType="BASIC",
        rules=[
            {
                "scanFrequency": "SCAN_ON_PUSH",
                "repositoryFilters": [{"filter": "prod", "filterType": "WILDCARD"}],
            }
        ],
    )
    scanned = ecr.batch_get_repository_scanning_configuration(
        repositoryNames=["my-prod-service", "prod", "test"]
    )["scanningConfigurations"]
    assert [each["scanFrequency"] for each in scanned] == ["SCAN_ON_PUSH", "SCAN_ON_PUSH", "MANUAL"]


# Replication


def test_a_registry_takes_twenty_five_rules(ecr: ECRClient, account: str) -> None:
    assert ecr.describe_registry()["replicationConfiguration"]["rules"] == []
    rules = [rule(f"9{number:011d}", prefixes=(f"p{number}",)) for number in range(25)]
    replicate(ecr, *rules)
    described = ecr.describe_registry()
    assert described["registryId"] == account
    assert described["replicationConfiguration"]["rules"] == rules


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param([rule("210987654321")] * 26, id="26 rules"),
        pytest.param([rule(*(f"9{n:011d}" for n in range(26)))], id="26 destinations in a rule"),
        pytest.param([rule(f"9{n:011d}", f"8{n:011d}") for n in range(13)], id="26 over all"),
        pytest.param([rule("210987654321", prefixes=("ab",) * 101)], id="101 filters"),
        pytest.param([{**rule("210987654321"), "repositoryFilters": []}], id="no filter in a list"),
        pytest.param([rule("210987654321", prefixes=("a",))], id="filter of one character"),
        pytest.param([rule("210987654321", prefixes=("a" * 257,))], id="filter too long"),
        pytest.param([rule("210987654321", prefixes=("prod*",))], id="wildcard in a prefix"),
        pytest.param([rule("21098765432")], id="account of 11 digits"),
        pytest.param([rule("210987654321", region="eu-nowhere-9")], id="unknown region"),
        pytest.param(
            [{"repositoryFilters": rule(prefixes=("ab",))["repositoryFilters"]}],
            id="no destinations",
        ),
    ],
)
def test_a_replication_configuration_that_ecr_refuses_is_refused(
    ecr: ECRClient, rules: list[Any]
) -> None:
    with refused():
        replicate(ecr, *rules)
    assert ecr.describe_registry()["replicationConfiguration"]["rules"] == []


def test_the_registry_itself_is_no_destination(ecr: ECRClient, account: str) -> None:
    with refused(saying="same as the source"):
        replicate(ecr, rule(account))
    replicate(ecr, rule(account, region="us-east-1"))


def test_an_image_reaches_a_repository_that_exists_where_replicating_is_allowed(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    replica = next(accounts)
    destination = registry(aws, replica)
    destination.create_repository(repositoryName="lambda/service")
    destination.put_registry_policy(policyText=policy(statement(account, "ecr:ReplicateImage")))
    replicate(ecr, rule(replica, prefixes=("lambda/",)))
    for name in ("lambda/service", "lambda/other", "service"):
        ecr.create_repository(repositoryName=name)
        push(ecr, name, "v1")
    push(ecr, "lambda/service", "v2")

    assert list(tags_by_digest(destination, "lambda/service").values()) == [["v1", "v2"]]
    assert replication(ecr, "lambda/service", "v1") == {replica: "COMPLETE"}
    assert replication(ecr, "lambda/other", "v1") == {replica: "DESTINATION_REGISTRY_ACCESS_DENIED"}
    assert replication(ecr, "service", "v1") == {}


def test_a_missing_replica_is_created_with_default_settings_where_that_is_allowed(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    replica = next(accounts)
    destination = registry(aws, replica)
    source = f"arn:aws:iam::{account}:root"
    destination.put_registry_policy(
        policyText=policy(statement(source, "ecr:ReplicateImage", "ecr:CreateRepository"))
    )
    replicate(ecr, rule(replica))
    ecr.create_repository(repositoryName="service", imageTagMutability="IMMUTABLE")
    push(ecr, "service", "v1")
    (created,) = destination.describe_repositories()["repositories"]
    assert (created["repositoryName"], created["imageTagMutability"]) == ("service", "MUTABLE")


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [statement("210987654321", "ecr:ReplicateImage")],
        [statement("*", "ecr:CreateRepository")],
        [statement("*", "ecr:ReplicateImage", Condition={"Bool": {"aws:SecureTransport": "true"}})],
        [statement("*", "ecr:*"), statement("*", "ecr:ReplicateImage", Effect="Deny")],
    ],
    ids=["no policy", "another account", "another action", "a condition", "a denial"],
)
def test_what_the_destination_does_not_allow_is_reported_as_failed(
    aws: EmbeddedAws, ecr: ECRClient, statements: list[dict[str, Any]]
) -> None:
    replica = next(accounts)
    destination = registry(aws, replica)
    destination.create_repository(repositoryName="service")
    if statements:
        destination.put_registry_policy(policyText=policy(*statements))
    replicate(ecr, rule(replica))
    ecr.create_repository(repositoryName="service")
    push(ecr, "service", "v1")
    assert replication(ecr, "service", "v1") == {replica: "DESTINATION_REGISTRY_ACCESS_DENIED"}
    assert tags_by_digest(destination, "service") == {}


def test_a_resource_in_the_destinations_policy_limits_what_is_replicated(
    aws: EmbeddedAws, ecr: ECRClient
) -> None:
    replica = next(accounts)
    resource = f"arn:aws:ecr:{REGION}:{replica}:repository/lambda/*"
    registry(aws, replica).put_registry_policy(
        policyText=policy(statement("*", "ecr:*", resource=resource))
    )
    replicate(ecr, rule(replica))
    for name in ("lambda/service", "service"):
        ecr.create_repository(repositoryName=name)
        push(ecr, name, "v1")
    assert replication(ecr, "lambda/service", "v1") == {replica: "COMPLETE"}
    assert replication(ecr, "service", "v1") == {replica: "DESTINATION_REGISTRY_ACCESS_DENIED"}


def test_another_region_of_the_same_account_needs_no_policy_and_passes_nothing_on(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    second, third = (registry(aws, account, region) for region in ("us-east-1", "us-west-2"))
    replicate(ecr, rule(account, region="us-east-1"))
    replicate(second, rule(account, region="us-west-2"))
    ecr.create_repository(repositoryName="service")
    push(ecr, "service", "v1")
    assert list(tags_by_digest(second, "service").values()) == [["v1"]]
    assert third.describe_repositories()["repositories"] == []


def test_an_immutable_tag_of_a_replica_stays_and_the_new_image_arrives_untagged(
    aws: EmbeddedAws, ecr: ECRClient, account: str
) -> None:
    second = registry(aws, account, "us-east-1")
    second.create_repository(repositoryName="service", imageTagMutability="IMMUTABLE")
    old = push(second, "service", "latest", "old")
    replicate(ecr, rule(account, region="us-east-1"))
    ecr.create_repository(repositoryName="service")
    new = push(ecr, "service", "latest", "new")
    assert tags_by_digest(second, "service") == {old: ["latest"], new: []}
