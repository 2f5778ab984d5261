"""Subscriptions to alerts: who is told by which topic, what is refused, and who has yet to confirm it."""

from typing import Any

import pytest

from ecr.errors import EstateError
from ecr.plan.access.deploy_roles import deployment_documents
from ecr.plan.model import Subscriber
from tests.builders import (
    ARTIFACTS,
    LAMBDA,
    REPLICAS,
    SOURCE,
    config,
    plan,
    repositories,
    settings,
    with_replicas,
)
from tests.mocks import Deployment, deploy

MAIL = {"protocol": "email", "endpoint": "ops@example.com"}
HOOK = {"protocol": "https", "endpoint": "https://events.example.com/token-1"}
QUEUE = {"protocol": "sqs", "endpoint": f"arn:aws:sqs:eu-west-1:{ARTIFACTS}:alerts"}
FUNCTION = {"protocol": "lambda", "endpoint": f"arn:aws:lambda:us-east-1:{LAMBDA}:function:tell"}
KIND = "aws:sns/topicSubscription:TopicSubscription"
TOPIC = "ecr-estate-alerts"


def told(*subscriptions: dict[str, Any]) -> dict[str, Any]:
    return {"alerts": {"subscriptions": list(subscriptions)}, **with_replicas()}


def deployed(*subscriptions: dict[str, Any], state: Any = None, aws: Any = None) -> Deployment:
    def invoke(token: str, _: Any) -> dict[str, Any]:
        if token == "aws:ecr/getRepositories:getRepositories":
            return {"id": "eu-west-1", "names": []}
        return {"outputs": state or {}}

    given = config(static=[{"id": 1, "name": "api"}], **told(*subscriptions))
    return deploy(given, invoke, aws=aws)


def test_each_topic_tells_whom_it_can_reach() -> None:
    found = deployed(MAIL, HOOK, QUEUE, FUNCTION).of("TopicSubscription")
    assert sorted(name.partition("/alerts/")[0::2] for name in found) == [
        (SOURCE, "email/ops@example.com"),
        (SOURCE, "https/events.example.com/4451efb37047"),
        (SOURCE, f"sqs/{QUEUE['endpoint']}"),
        (REPLICAS, "email/ops@example.com"),
        (REPLICAS, "https/events.example.com/4451efb37047"),
        (REPLICAS, f"lambda/{FUNCTION['endpoint']}"),
    ]
    mail = found[f"{SOURCE}/alerts/email/ops@example.com"].inputs
    assert (mail["protocol"], mail["endpoint"]) == ("email", "ops@example.com")
    assert not deployed().of("TopicSubscription")


def test_an_address_is_a_secret_of_the_state_and_named_by_its_host_alone() -> None:
    done = deployed(HOOK)
    assert not any("token-1" in each.name for each in done.registrations)
    assert not any("token-1" in line for line in done.log)
    assert Subscriber("https", HOOK["endpoint"]).shown == "events.example.com"


def test_somebody_is_told_of_chosen_registries_only() -> None:
    found = deployed({**MAIL, "registries": [REPLICAS]}).of("TopicSubscription")
    assert set(found) == {f"{REPLICAS}/alerts/email/ops@example.com"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**MAIL, "endpoint": "ops"}, "is none of email"),
        ({**HOOK, "endpoint": "http://example.com/"}, "is none of https"),
        ({**QUEUE, "endpoint": FUNCTION["endpoint"]}, "is none of sqs"),
        ({**FUNCTION, "endpoint": QUEUE["endpoint"]}, "is none of lambda"),
        ({**MAIL, "protocol": "sms"}, "protocol"),
        ({**MAIL, "registries": ["999999999999/eu-west-1"]}, "is no registry of these settings"),
        ({**QUEUE, "registries": [REPLICAS]}, "whose owner has to subscribe it there"),
        (
            {**QUEUE, "endpoint": "arn:aws:sqs:eu-west-1:999999999999:alerts"},
            "is in an account without a registry",
        ),
    ],
)
def test_who_cannot_be_told_is_refused_in_the_settings(given: dict[str, Any], said: str) -> None:
    with pytest.raises(EstateError, match=said) as refused:
        settings(**told(given))
    assert len(refused.value.offences) == 1


def test_somebody_is_listed_once() -> None:
    with pytest.raises(EstateError, match=r"is already subscriptions\[0\]"):
        settings(**told(MAIL, {**MAIL, "registries": [SOURCE]}))


def waits(done: Deployment) -> list[str]:
    return [line for line in done.log if "hears of nothing before it has confirmed" in line]


def test_it_is_said_who_has_to_confirm_and_who_has_not() -> None:
    (line,) = waits(deployed(MAIL, QUEUE))
    assert f"registry {SOURCE}: ops@example.com hears of nothing" in line
    assert "after 48 hours AWS forgets it" in line
    assert QUEUE["endpoint"] not in line
    listed = {"Protocol": "email", "Endpoint": "ops@example.com"}
    pending = {**listed, "SubscriptionArn": "PendingConfirmation"}
    asked = {"list_subscriptions_by_topic": {"Subscriptions": [pending]}}
    assert waits(deployed(MAIL, aws=asked))
    arn = f"arn:aws:sns:eu-west-1:{ARTIFACTS}:{TOPIC}:1"
    asked = {"list_subscriptions_by_topic": {"Subscriptions": [{**listed, "SubscriptionArn": arn}]}}
    assert not waits(deployed(MAIL, aws=asked))


def test_who_has_confirmed_is_not_asked_about_again() -> None:
    state = {
        f"urn:pulumi:test::ecr-estate::{KIND}::{key}/alerts/email/ops@example.com": {
            "type": KIND,
            "outputs": {"pendingConfirmation": False},
        }
        for key in (SOURCE, REPLICAS)
    }
    assert not waits(deployed(MAIL, state=state))


def test_the_roles_get_what_subscriptions_need_and_no_more() -> None:
    def texts(*subscriptions: dict[str, Any]) -> tuple[str, str]:
        return tuple(  # type: ignore[return-value] # two documents
            each.text for each in deployment_documents(settings(**told(*subscriptions)))[ARTIFACTS]
        )

    deploys, previews = texts(MAIL)
    assert all(f'"sns:{each}"' in deploys for each in ("Subscribe", "Unsubscribe"))
    assert '"sns:Subscribe"' not in previews
    assert "sns:ListSubscriptionsByTopic" in previews
    assert all("ubscri" not in each for each in texts())
    # A function of the other account is none of the artifacts account's.
    assert all("ubscri" not in each for each in texts(FUNCTION))


def test_a_plan_knows_who_is_told_by_each_topic() -> None:
    done = plan(*repositories("api"), **told(MAIL, QUEUE))
    assert [[each.protocol for each in alerts.subscribers] for alerts in done.alerts] == [
        ["email", "sqs"],
        ["email"],
    ]
