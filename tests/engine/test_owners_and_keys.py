"""Owners and keys on the real engine: deployed, unchanged, drifted, mended, taken up again, and removed."""

from typing import Any

import boto3
import pytest

from sandbox.aws.hands import credentials_of
from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, LAMBDA, ONE_LAMBDA_ACCOUNT, deploy, held, tags_of

pytestmark = pytest.mark.engine

OWNERS = {"property": "team", "tags": {"cost-centre": "cost-centre"}}


def kms(session: Session, account: str, region: str = ARTIFACTS[1]) -> Any:
    return boto3.client(
        "kms",
        endpoint_url=session.aws.url,
        region_name=region,
        **credentials_of(account),
    )


def unchanged(session: Session) -> None:
    again = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert again.code == 0, again.output


def owned(session: Session, name: str) -> dict[str, str]:
    tags = tags_of(session, name)
    return {key: tags[key] for key in ("owner", "cost-centre") if key in tags}


def test_owners_are_deployed_mended_taken_up_again_and_removed(open_session: Open) -> None:
    session = open_session("api", "web", lambdaReplicas=ONE_LAMBDA_ACCOUNT, owners=OWNERS)
    whose = {"team": "payments", "cost-centre": "4711"}
    session.github.organisation.set_properties("api", whose)
    deploy(session)
    unchanged(session)
    wanted = {"owner": "payments", "cost-centre": "4711"}
    assert owned(session, "api") == wanted
    assert owned(session, "web") == {}
    # Somebody takes a tag away, and gives another value to the other.
    ecr = Registries(session.environment).client(*ARTIFACTS)
    arn = held(session).repositories["api"]["repositoryArn"]
    ecr.untag_resource(resourceArn=arn, tagKeys=["cost-centre"])
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "owner", "Value": "somebody"}])
    drifted = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert drifted.code != 0
    mended = session.up("--skip-preview", "--refresh", "--run-program")
    assert mended.code == 0, mended.output
    assert owned(session, "api") == wanted
    # What is gone keeps its owner, after a lost state too.
    session.github.organisation.archive("api")
    deploy(session)
    assert owned(session, "api") == wanted
    ledger = session.outputs()["ledger"]
    lose_the_state(session)
    deploy(session)
    assert owned(session, "api") == wanted
    taken_up = session.outputs()["ledger"]["services"]
    assert {key: each.get("owner") for key, each in taken_up.items()} == {
        key: each.get("owner") for key, each in ledger["services"].items()
    }
    session.configure({"lambdaReplicas": ONE_LAMBDA_ACCOUNT})
    deploy(session)
    assert owned(session, "api") == {}
    unchanged(session)


def test_keys_encrypt_every_registry_and_are_looked_at_before_anything_is_made(
    open_session: Open,
) -> None:
    session = open_session("api", lambdaReplicas=ONE_LAMBDA_ACCOUNT)
    places = (ARTIFACTS, LAMBDA)
    arns = {
        "/".join(place): kms(session, place[0]).create_key()["KeyMetadata"]["Arn"]
        for place in places
    }
    settings = {"lambdaReplicas": ONE_LAMBDA_ACCOUNT, "images": {"kmsKeys": arns}}
    session.configure(settings)
    theirs = arns["/".join(LAMBDA)]
    kms(session, LAMBDA[0]).disable_key(KeyId=theirs.rpartition("/")[2])
    refused = session.up("--skip-preview")
    assert refused.code != 0
    assert "is in the state Disabled" in refused.output
    assert held(session).repositories == {}
    kms(session, LAMBDA[0]).enable_key(KeyId=theirs.rpartition("/")[2])
    deploy(session)
    unchanged(session)
    for place in places:
        encryption = held(session, place).repositories["api"]["encryptionConfiguration"]
        assert encryption == {"encryptionType": "KMS", "kmsKey": arns["/".join(place)]}
    # A key that is disabled later stops nobody, and is told of.
    kms(session, LAMBDA[0]).disable_key(KeyId=theirs.rpartition("/")[2])
    told = session.preview()
    assert told.code == 0, told.output
    assert "no image of this registry can be pulled" in told.output
    kms(session, LAMBDA[0]).enable_key(KeyId=theirs.rpartition("/")[2])
    lose_the_state(session)
    deploy(session)
    unchanged(session)
    # Without the setting what stands keeps its key, and what is new has none.
    session.configure({"lambdaReplicas": ONE_LAMBDA_ACCOUNT})
    session.github.organisation.add("web")
    deploy(session)
    found = held(session).repositories
    assert found["api"]["encryptionConfiguration"]["encryptionType"] == "KMS"
    assert found["web"]["encryptionConfiguration"]["encryptionType"] == "AES256"
    unchanged(session)


def test_two_layers_of_encryption_in_a_govcloud_region(open_session: Open) -> None:
    place = (ARTIFACTS[0], "us-gov-west-1")
    settings: dict[str, Any] = {
        "artifacts": {"account": place[0], "region": place[1]},
        "lambdaReplicas": None,
    }
    session = open_session("api", **settings)
    # The session's own credentials are of the commercial partition.
    hand = {name.upper(): str(value) for name, value in credentials_of(place[0]).items()}
    session.own_variables.update({**hand, "AWS_SESSION_TOKEN": ""})
    key = kms(session, *place).create_key()["KeyMetadata"]["Arn"]
    settings["images"] = {"kmsKey": key, "dualLayer": True}
    session.configure(settings)
    deploy(session)
    unchanged(session)
    encryption = held(session, place).repositories["api"]["encryptionConfiguration"]
    assert encryption == {"encryptionType": "KMS_DSSE", "kmsKey": key}
    lose_the_state(session)
    deploy(session)
    unchanged(session)
    # Encryption is for ever: without the setting what stands keeps it, and is not made anew.
    session.configure({**settings, "images": None})
    deploy(session)
    unchanged(session)
    assert held(session, place).repositories["api"]["encryptionConfiguration"] == encryption
