"""Functions from images: Lambda takes one image of its own Region that it may pull, and no index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws
from sandbox.images import DOCKER_MANIFEST, OCI_INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, CONSUMER, REGION = "111111111111", "222222222222", "eu-west-1"
IMAGE = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "annotations": {"is": "an image"}}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


class Accounts:
    def __init__(self, aws: EmbeddedAws) -> None:
        self._aws = aws

    def client(self, service: str, account: str, region: str = REGION) -> Any:
        sts = boto3.client(
            "sts",
            region_name=region,
            endpoint_url=self._aws.url,
            aws_access_key_id="AKIASANDBOX000000000",
            aws_secret_access_key="any",
        )
        keys = sts.assume_role(
            RoleArn=f"arn:aws:iam::{account}:role/deploy", RoleSessionName="test"
        )["Credentials"]
        session = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region
        )
        made: Any = session
        return made.client(service, endpoint_url=self._aws.url)

    def push(self, manifest: dict[str, Any], region: str = REGION) -> str:
        ecr = self.client("ecr", ACCOUNT, region)
        ecr.create_repository(repositoryName="team/api")
        put = ecr.put_image(
            repositoryName="team/api", imageManifest=json.dumps(manifest), imageTag="v1"
        )
        digest: str = put["image"]["imageId"]["imageDigest"]
        return digest

    def function(self, reference: str, account: str = ACCOUNT, region: str = REGION) -> Any:
        iam = self.client("iam", account)
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        if "function" not in {each["RoleName"] for each in iam.list_roles()["Roles"]}:
            iam.create_role(RoleName="function", AssumeRolePolicyDocument=json.dumps(trust))
        functions = self.client("lambda", account)
        functions.create_function(
            FunctionName="api",
            PackageType="Image",
            Role=f"arn:aws:iam::{account}:role/function",
            Code={"ImageUri": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/team/{reference}"},
        )
        return functions.get_function(FunctionName="api")["Code"]

    def allow(self, *actions: str) -> None:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": list(actions),
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:lambda:{REGION}:{CONSUMER}:function:*"}
            },
        }
        self.client("ecr", ACCOUNT).set_repository_policy(
            repositoryName="team/api",
            policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    with EmbeddedAws() as aws:
        yield Accounts(aws)


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_function_is_made_from_an_image_and_knows_its_digest(accounts: Accounts, by: str) -> None:
    digest = accounts.push(IMAGE)
    code = accounts.function("api:v1" if by == "tag" else f"api@{digest}")
    assert code["ResolvedImageUri"].endswith(f"/team/api@{digest}")


def test_no_function_is_made_from_an_index(accounts: Accounts) -> None:
    accounts.push(INDEX)
    with pytest.raises(ClientError, match=r"media type for the source image .* is not supported"):
        accounts.function("api:v1")


@pytest.mark.parametrize("reference", ["api:v2", f"api@sha256:{'0' * 64}", "other:v1"])
def test_no_function_is_made_from_an_image_that_is_not_there(
    accounts: Accounts, reference: str
) -> None:
    accounts.push(IMAGE)
    with pytest.raises(ClientError, match="does not exist"):
        accounts.function(reference)


def test_no_function_is_made_from_an_image_of_another_region(accounts: Accounts) -> None:
    accounts.push(IMAGE, "us-east-1")
    with pytest.raises(ClientError, match="is not valid"):
        accounts.function("api:v1", region="us-east-1")


def test_in_its_own_account_lambda_lets_itself_pull(accounts: Accounts) -> None:
    accounts.push(IMAGE)
    accounts.function("api:v1")
    policy = accounts.client("ecr", ACCOUNT).get_repository_policy(repositoryName="team/api")
    (statement,) = json.loads(policy["policyText"])["Statement"]
    assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_in_another_account_the_image_repository_has_to_let_lambda_pull(
    accounts: Accounts,
) -> None:
    accounts.push(IMAGE)
    for allowed in ((), ("ecr:BatchGetImage",)):
        if allowed:
            accounts.allow(*allowed)
        with pytest.raises(ClientError, match="does not have permission"):
            accounts.function("api:v1", CONSUMER)
    accounts.allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    assert accounts.function("api:v1", CONSUMER)["ImageUri"].endswith("/team/api:v1")
