"""What the embedded KMS, IAM and SNS keep beyond moto's: rotations, audiences, thumbprints and attributes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.aws import EmbeddedAws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REGION = "eu-west-1"


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        yield running


@pytest.fixture
def client(aws: EmbeddedAws) -> Callable[[str], Any]:
    session: Any = boto3.Session("AKIASANDBOX000000000", "any", region_name=REGION)
    return lambda service: session.client(service, endpoint_url=aws.url)


def test_a_key_rotates_as_often_as_was_said_and_once_a_year_otherwise(
    aws: EmbeddedAws, client: Callable[[str], Any]
) -> None:
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    assert (status["KeyRotationEnabled"], status["KeyId"]) == (False, key["Arn"])
    assert "NextRotationDate" not in status
    for days, more in ((365, {}), (100, {"RotationPeriodInDays": 100})):
        kms.enable_key_rotation(KeyId=key["KeyId"], **more)
        status = kms.get_key_rotation_status(KeyId=key["KeyId"])
        assert status["RotationPeriodInDays"] == days
        until = status["NextRotationDate"] - datetime.fromtimestamp(aws.world.clock.now(), UTC)
        assert abs(until - timedelta(days=days)) < timedelta(minutes=1)
    aws.world.clock.move(days=150)
    status = kms.get_key_rotation_status(KeyId=key["KeyId"])
    until = status["NextRotationDate"] - datetime.fromtimestamp(aws.world.clock.now(), UTC)
    assert abs(until - timedelta(days=50)) < timedelta(minutes=1)


def test_audiences_of_an_identity_provider_come_and_go(client: Callable[[str], Any]) -> None:
    iam = client("iam")
    arn = iam.create_open_id_connect_provider(
        Url="https://token.example.com", ClientIDList=["sts.amazonaws.com"]
    )["OpenIDConnectProviderArn"]
    (thumbprint,) = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ThumbprintList"]
    assert len(thumbprint) == 40

    def audiences() -> list[str]:
        held = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
        return sorted(held["ClientIDList"])

    for _ in range(2):
        iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="more")
        assert audiences() == ["more", "sts.amazonaws.com"]
    for _ in range(2):
        iam.remove_client_id_from_open_id_connect_provider(
            OpenIDConnectProviderArn=arn, ClientID="sts.amazonaws.com"
        )
        assert audiences() == ["more"]
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.add_client_id_to_open_id_connect_provider(
            OpenIDConnectProviderArn=arn.replace("example", "nobody"), ClientID="more"
        )


def test_a_topic_shows_the_attributes_that_were_set_and_no_others(
    client: Callable[[str], Any],
) -> None:
    sns = client("sns")
    role = "arn:aws:iam::123456789012:role/feedback"
    arn = sns.create_topic(Name="a", Attributes={"SQSSuccessFeedbackRoleArn": role})["TopicArn"]

    def shown() -> dict[str, str]:
        attributes: dict[str, str] = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        return attributes

    assert shown()["SQSSuccessFeedbackRoleArn"] == role
    assert not {"SignatureVersion", "TracingConfig", "BeginningArchiveTime"} & shown().keys()
    for name, value in (("SignatureVersion", "2"), ("TracingConfig", "Active")):
        sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
        assert shown()[name] == value
    sns.set_topic_attributes(
        TopicArn=arn, AttributeName="SQSSuccessFeedbackRoleArn", AttributeValue=""
    )
    assert "SQSSuccessFeedbackRoleArn" not in shown()
    archive = {"FifoTopic": "true", "ArchivePolicy": '{"MessageRetentionPeriod":"30"}'}
    arn = sns.create_topic(Name="a.fifo", Attributes=archive)["TopicArn"]
    assert shown()["ArchivePolicy"] == archive["ArchivePolicy"]
    assert shown()["BeginningArchiveTime"]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="ArchivePolicy", AttributeValue="{}")
    assert not {"ArchivePolicy", "BeginningArchiveTime"} & shown().keys()
