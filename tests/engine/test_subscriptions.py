"""Subscriptions to alerts on the real engine: deployed, confirmed, drifted, mended, taken up again, and removed."""

from typing import Any

import pytest

from sandbox.estate import Registries
from sandbox.session import Session
from tests.engine.conftest import Open
from tests.engine.test_adoption import lose_the_state
from tests.engine.test_estate import ARTIFACTS, deploy
from tests.engine.test_owners_and_keys import unchanged

pytestmark = pytest.mark.engine

MAIL = "ops@example.com"
QUEUE = f"arn:aws:sqs:{ARTIFACTS[1]}:{ARTIFACTS[0]}:alerts"
TOPIC = f"arn:aws:sns:{ARTIFACTS[1]}:{ARTIFACTS[0]}:ecr-estate-alerts"
BASE: dict[str, Any] = {"lambdaReplicas": None, "alerts": {"severities": ["CRITICAL"]}}
TOLD: dict[str, Any] = {
    **BASE,
    "alerts": {
        "severities": ["CRITICAL"],
        "format": "chat",
        "subscriptions": [
            {"protocol": "email", "endpoint": MAIL},
            {"protocol": "https", "endpoint": "https://example.com/token-1"},
            {"protocol": "sqs", "endpoint": QUEUE},
        ],
    },
}
WAITS = "hears of nothing before it has confirmed"


def sns(session: Session) -> Any:
    return Registries(session.environment).service("sns", *ARTIFACTS)


def listed(session: Session) -> dict[str, str]:
    """The ARNs of the topic's subscriptions, by endpoint."""
    found: list[Any] = sns(session).list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    return {each["Endpoint"]: each["SubscriptionArn"] for each in found}


def told(session: Session) -> str:
    """What a finished scan sends to the topic."""
    events = Registries(session.environment).service("events", *ARTIFACTS)
    (target,) = events.list_targets_by_rule(Rule="ecr-estate-alerts-scan")["Targets"]
    template: str = target["InputTransformer"]["InputTemplate"]
    return template


def confirm(session: Session) -> None:
    """Do as the endpoints do whom AWS asks: here the token is the last part of the subscription's ARN."""
    every: list[Any] = sns(session).list_subscriptions()["Subscriptions"]
    for each in every:
        token = each["SubscriptionArn"].rpartition(":")[2]
        sns(session).confirm_subscription(TopicArn=TOPIC, Token=token)


def test_subscriptions_are_deployed_confirmed_mended_taken_up_again_and_removed(
    open_session: Open,
) -> None:
    session = open_session("api", **TOLD)
    deploy(session)
    endpoints = [MAIL, "https://example.com/token-1", QUEUE]
    assert sorted(listed(session)) == sorted(endpoints)
    assert listed(session)[MAIL] == "PendingConfirmation"
    unchanged(session)
    assert "textType" in told(session)
    shown = session.preview()
    assert f"{MAIL} {WAITS}" in " ".join(shown.output.split()), shown.output
    assert "token-1" not in shown.output

    confirm(session)
    assert all(each.startswith("arn:") for each in listed(session).values())
    refreshed = session.up("--skip-preview", "--refresh", "--run-program")
    assert refreshed.code == 0, refreshed.output
    assert WAITS not in session.preview().output
    unchanged(session)

    # Somebody ends one of them.
    sns(session).unsubscribe(SubscriptionArn=listed(session)[QUEUE])
    drifted = session.preview("--refresh", "--run-program", "--expect-no-changes")
    assert drifted.code != 0
    mended = session.up("--skip-preview", "--refresh", "--run-program")
    assert mended.code == 0, mended.output
    assert sorted(listed(session)) == sorted(endpoints)

    before = listed(session)
    lose_the_state(session)
    deploy(session)
    unchanged(session)
    assert listed(session) == before

    session.configure(BASE)
    deploy(session)
    unchanged(session)
    assert listed(session) == {}
    assert "textType" not in told(session)
