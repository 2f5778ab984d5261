"""Pull-through caches on the real engine: deployed, unchanged, drifted, mended, taken up again, and removed."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.aws.hands import credentials_of
from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held
from tests.engine.test_owners_and_keys import unchanged

pytestmark = pytest.mark.engine

BASE: dict[str, Any] = {"lambdaReplicas": ONE_LAMBDA_ACCOUNT}
CENTRAL = {
    "prefix": "central",
    "upstream": f"{ARTIFACTS[0]}.dkr.ecr.{ARTIFACTS[1]}.amazonaws.com",
    "role": f"arn:aws:iam::{LAMBDA[0]}:role/ecr-cache",
    "registry": "/".join(LAMBDA),
}
CACHED = "docker-hub/library/nginx"
MANIFEST = json.dumps(
    {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
)


def secrets(session: Session) -> Any:
    return Registries(session.environment).service("secretsmanager", *ARTIFACTS)


def rules(session: Session, registry: tuple[str, str] = ARTIFACTS) -> dict[str, tuple[str, str]]:
    """The upstream and the credentials or role of each rule, by prefix."""
    ecr = Registries(session.environment).client(*registry)
    found: list[Any] = ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"]
    return {
        each["ecrRepositoryPrefix"]: (
            each["upstreamRegistryUrl"],
            each.get("credentialArn") or each.get("customRoleArn") or "",
        )
        for each in found
    }


def templates(session: Session) -> set[str]:
    """The prefixes of the artifacts registry's creation templates."""
    ecr = Registries(session.environment).client(*ARTIFACTS)
    found: Any = ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]
    return {each["prefix"] for each in found}


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def reader(session: Session) -> Any:
    """The registry of the Lambda account, as a node there sees it: it may pull, and make nothing."""
    keys = credentials_of(LAMBDA[0])
    place: dict[str, Any] = {"endpoint_url": session.aws.url, "region_name": LAMBDA[1]}
    node = f"arn:aws:iam::{LAMBDA[0]}:role/node"
    trust = document(Principal={"AWS": LAMBDA[0]}, Action="sts:AssumeRole")
    pull = document(Action=["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], Resource="*")
    session.aws.put_role(node, trust, {"pull": pull})
    sts: Any = boto3.client("sts", **place, **keys)
    given = sts.assume_role(RoleArn=node, RoleSessionName="node")["Credentials"]
    return boto3.client(
        "ecr",
        **place,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def test_a_pull_fills_a_cache_by_the_policies_of_the_estate(open_session: Open) -> None:
    session = open_session("api", **BASE)
    settings = {**BASE, "pullThroughCache": {"rules": [CENTRAL], "days": 14}}
    session.configure(settings)
    deploy(session)
    central = Registries(session.environment).client(*ARTIFACTS)
    central.put_image(repositoryName="api", imageTag="v1", imageManifest=MANIFEST)
    trust = document(
        Principal={"Service": "pullthroughcache.ecr.amazonaws.com"}, Action="sts:AssumeRole"
    )
    session.aws.put_role(CENTRAL["role"], trust, {"read": document(Action="ecr:*", Resource="*")})
    node = reader(session)
    asked: dict[str, Any] = {"imageIds": [{"imageTag": "v1"}]}
    found = node.batch_get_image(repositoryName="central/api", **asked)
    assert [each["imageManifest"] for each in found["images"]] == [MANIFEST]
    with pytest.raises(ClientError, match="AccessDenied"):
        node.create_repository(repositoryName="elsewhere")
    # ECR made it as the template says, and the estate neither takes it up nor is troubled by it.
    made = held(session, LAMBDA)
    assert made.repositories["central/api"]["imageTagMutability"] == "MUTABLE"
    assert made.lifecycle_policies == 2
    unchanged(session)
    shown = session.preview()
    assert "central/api" not in shown.output
    session.configure(BASE)
    deploy(session)
    # Whoever may pull can pull no more than what is there, once the rule has gone.
    assert node.batch_get_image(repositoryName="central/api", **asked)["images"]
    unchanged(session)


def test_caches_are_deployed_mended_taken_up_again_and_removed(open_session: Open) -> None:
    session = open_session("api", **BASE)
    named = f"arn:aws:secretsmanager:{ARTIFACTS[1]}:{ARTIFACTS[0]}:secret:ecr-pullthroughcache/hub"
    hub = {"prefix": "docker-hub", "upstream": "registry-1.docker.io", "credentials": named}
    cached = {"rules": [hub, CENTRAL]}
    session.configure({**BASE, "pullThroughCache": cached})
    refused = session.up("--skip-preview")
    assert refused.code != 0
    assert "does not exist; make the secret" in refused.output
    assert held(session).repositories == {}

    made: Any = secrets(session).create_secret(
        Name="ecr-pullthroughcache/hub", SecretString='{"username": "u", "accessToken": "t"}'
    )
    hub["credentials"] = made["ARN"]
    session.configure({**BASE, "pullThroughCache": cached})
    deploy(session)
    unchanged(session)
    wanted = {"docker-hub": (hub["upstream"], made["ARN"])}
    assert (rules(session), templates(session)) == (wanted, {"docker-hub"})
    assert rules(session, LAMBDA) == {"central": (CENTRAL["upstream"], CENTRAL["role"])}
    # What ECR makes for a cache is not of the estate.
    ecr = Registries(session.environment).client(*ARTIFACTS)
    ecr.create_repository(repositoryName=CACHED)
    unchanged(session)

    # Somebody ends one rule and its template, and gives the other another role.
    ecr.delete_repository_creation_template(prefix="docker-hub")
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="docker-hub")
    Registries(session.environment).client(*LAMBDA).update_pull_through_cache_rule(
        ecrRepositoryPrefix="central", customRoleArn=f"arn:aws:iam::{LAMBDA[0]}:role/other"
    )
    drifted = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert drifted.code != 0
    mended = session.up("--skip-preview", "--refresh", "--run-program")
    assert mended.code == 0, mended.output
    assert (rules(session), templates(session)) == (wanted, {"docker-hub"})
    assert rules(session, LAMBDA)["central"][1] == CENTRAL["role"]

    lose_the_state(session)
    deploy(session)
    unchanged(session)
    assert rules(session) == wanted
    assert len(session.outputs()["ledger"]["services"]) == 1

    session.configure(BASE)
    deploy(session)
    unchanged(session)
    assert (rules(session), templates(session)) == ({}, set())
    assert held(session).repositories.keys() == {"api", CACHED}


def test_credentials_change_in_place_and_an_upstream_by_another_rule(open_session: Open) -> None:
    session = open_session("api", **BASE)
    first, other = (
        secrets(session).create_secret(Name=f"ecr-pullthroughcache/{name}", SecretString="{}")
        for name in ("first", "other")
    )
    hub = {"prefix": "docker-hub", "upstream": "registry-1.docker.io", "credentials": first["ARN"]}
    session.configure({**BASE, "pullThroughCache": {"rules": [hub]}})
    deploy(session)
    hub["credentials"] = other["ARN"]
    session.configure({**BASE, "pullThroughCache": {"rules": [hub]}})
    deploy(session)
    assert rules(session) == {"docker-hub": (hub["upstream"], other["ARN"])}
    mirror = {"prefix": "docker-hub", "upstream": "public.ecr.aws"}
    session.configure({**BASE, "pullThroughCache": {"rules": [mirror]}})
    deploy(session)
    unchanged(session)
    assert rules(session) == {"docker-hub": ("public.ecr.aws", "")}
