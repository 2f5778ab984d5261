"""Keys: each registry has its own, it is looked at before anything is made, and it is for ever."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ecr.aws.session import aws_errors_as
from ecr.deploy.standing import read_keys
from ecr.errors import EstateError
from ecr.ledger.ledger import Ledger
from ecr.plan.access.deploy_roles import deployment_documents
from ecr.plan.keys import standing_key
from ecr.plan.model import Observed, StandingKey
from ecr.registry.registry import Registry
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    plan,
    repositories,
    settings,
    with_replicas,
)

OURS = f"arn:aws:kms:eu-west-1:{ARTIFACTS}:key/ours"
THEIRS = f"arn:aws:kms:eu-west-1:{LAMBDA}:key/theirs"
KEYS: dict[str, Any] = {"images": {"kmsKeys": {SOURCE: OURS, REPLICAS: THEIRS}}, **with_replicas()}
GOOD = {"KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT"}


def observed(**metadata: str) -> Observed:
    """The key of the artifacts registry, as KMS describes it."""
    key = standing_key(OURS, {**GOOD, **metadata})
    return Observed(keys={Registry.parse(SOURCE): key})


def test_each_registry_has_its_own_key_replicas_included() -> None:
    planned = plan(*repositories("api"), **KEYS)
    assert {each.kind: (each.encryption, each.kms_key) for each in planned.image_repositories} == {
        "placement": ("KMS", OURS),
        "replica": ("KMS", THEIRS),
    }


def test_account_sets_have_keys_of_their_own() -> None:
    sets = [
        {"name": "dev", "account": ARTIFACTS, "region": "eu-west-1"},
        {"name": "prod", "account": LAMBDA, "region": "eu-west-1"},
    ]
    planned = plan(
        *repositories("api"),
        architecture="per-account-set",
        accountSets=sets,
        images={"kmsKey": OURS, "kmsKeys": {REPLICAS: THEIRS}},
    )
    assert [each.kms_key for each in planned.image_repositories] == [OURS, THEIRS]


def test_two_layers_are_for_govcloud() -> None:
    key = f"arn:aws-us-gov:kms:us-gov-west-1:{ARTIFACTS}:key/ours"
    planned = plan(
        *repositories("api"),
        artifacts={"account": ARTIFACTS, "region": "us-gov-west-1"},
        images={"kmsKey": key, "dualLayer": True},
    )
    assert planned.image_repositories[0].encryption == "KMS_DSSE"


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ({"kmsKeys": {f"{LAMBDA}/us-east-1": OURS}}, "is no registry of these settings"),
        ({"kmsKeys": {SOURCE: THEIRS}}, "is not in the registry's account and Region"),
        ({"kmsKey": OURS, "kmsKeys": {SOURCE: OURS}}, "stands beside images.kmsKey"),
        ({"dualLayer": True}, "needs a key"),
        ({"kmsKey": OURS, "dualLayer": True}, "is only for the GovCloud Regions"),
    ],
)
def test_keys_that_contradict_the_registries_are_refused(images: Any, says: str) -> None:
    with pytest.raises(EstateError) as error:
        settings(images=images)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"KeyState": "Disabled"}, "is in the state Disabled"),
        ({"KeyState": "PendingDeletion"}, "is in the state PendingDeletion"),
        ({"KeySpec": "RSA_2048"}, "is of the kind RSA_2048"),
        ({"KeyUsage": "SIGN_VERIFY"}, "for SIGN_VERIFY"),
    ],
)
def test_nothing_is_made_under_a_key_that_cannot_encrypt(
    metadata: Mapping[str, str], says: str
) -> None:
    with pytest.raises(EstateError) as error:
        plan(*repositories("api"), observed=observed(**metadata), images={"kmsKey": OURS})
    assert says in str(error.value)
    assert "1 image repositories would be made under it" in str(error.value)


def test_nothing_is_made_under_a_key_that_does_not_exist() -> None:
    missing = Observed(keys={Registry.parse(SOURCE): StandingKey(OURS)})
    with pytest.raises(EstateError, match="does not exist"):
        plan(*repositories("api"), observed=missing, images={"kmsKey": OURS})


def test_what_stands_under_a_key_that_was_disabled_is_only_told_of() -> None:
    before = plan(*repositories("api"), images={"kmsKey": OURS}).ledger
    seen = observed(KeyState="Disabled")
    stands = Observed(keys=seen.keys, managed=frozenset({f"{SOURCE}/api"}))
    planned = plan(*repositories("api"), ledger=before, observed=stands, images={"kmsKey": OURS})
    (note,) = (each for each in planned.notes if OURS in each)
    assert "no image of this registry can be pulled" in note


def test_a_good_key_is_not_mentioned_and_one_that_was_not_read_is() -> None:
    planned = plan(*repositories("api"), observed=observed(), images={"kmsKey": OURS})
    assert not [each for each in planned.notes if OURS in each]
    unread = Observed(keys={Registry.parse(SOURCE): StandingKey(OURS, read=False)})
    planned = plan(*repositories("api"), observed=unread, images={"kmsKey": OURS})
    assert [each for each in planned.notes if "lacks kms:DescribeKey" in each]


@pytest.mark.parametrize("denied", [False, True])
def test_keys_are_asked_for_in_their_own_registries(*, denied: bool) -> None:
    asked = []

    async def ask(
        service: str, operation: str, registry: Registry, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        asked.append((service, operation, registry.key, arguments["KeyId"]))
        if denied:
            with aws_errors_as("asking"):
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)
        return {"KeyMetadata": GOOD} if registry.key == SOURCE else None

    found = asyncio.run(read_keys(ask, settings(**KEYS)))
    assert sorted(asked) == [
        ("kms", "describe_key", SOURCE, OURS),
        ("kms", "describe_key", REPLICAS, THEIRS),
    ]
    ours, theirs = found[Registry.parse(SOURCE)], found[Registry.parse(REPLICAS)]
    assert (ours.read, ours.state) == ((False, None) if denied else (True, "Enabled"))
    assert theirs.state is None


def test_every_account_may_look_at_its_own_key_and_make_grants_on_it_through_ecr() -> None:
    documents = deployment_documents(settings(**KEYS))
    for account, key in ((ARTIFACTS, OURS), (LAMBDA, THEIRS)):
        deploys, previews = documents[account]
        assert key in deploys.text
        assert "kms:CreateGrant" in deploys.text
        assert "kms:DescribeKey" in previews.text
        assert "kms:CreateGrant" not in previews.text


def test_an_empty_ledger_is_what_a_first_deployment_has() -> None:
    planned = plan(*repositories("api"), ledger=Ledger(), observed=observed(), **KEYS)
    assert len(planned.image_repositories) == 2
