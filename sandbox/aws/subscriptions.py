"""Subscriptions of the embedded Amazon SNS that wait until somebody confirms them, which moto's never do.

Owns which subscriptions wait, what is refused of them meanwhile, and their end. Reads and changes moto's SNS as
long as a context lasts. The token that confirms one is the last part of its ARN, instead of a secret that only the
endpoint is told.

Sources: Amazon SNS API Reference, "Subscribe", "ConfirmSubscription", "ListSubscriptionsByTopic" and "Unsubscribe";
"Amazon SNS supports automatic deletion of unconfirmed subscriptions", 10 May 2023.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from copy import copy
from functools import partialmethod
from typing import TYPE_CHECKING
from unittest.mock import patch

from moto.core.responses import ActionResult
from moto.sns.exceptions import SNSInvalidParameter, SNSNotFoundError
from moto.sns.models import SNSBackend, Subscription
from moto.sns.responses import SNSResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.aws.world import Clock

BY_HAND = ("email", "email-json", "http", "https")
"""The protocols whose endpoints confirm; a queue and a function do where they are of another account."""

FORGOTTEN = 48 * 3600
"""Seconds after which SNS deletes a subscription that nobody has confirmed."""

WAITING = "PendingConfirmation"
"""The attribute of one that waits, and what a list has in place of its ARN."""


@contextmanager
def confirmed_by_hand(clock: Clock) -> Iterator[None]:
    """Let subscriptions wait for their confirmation while the context lasts."""
    kept = _Waiting(clock)
    with ExitStack() as patched:
        for owner, name, new in (
            (SNSBackend, "subscribe", _method(kept.subscribe)),
            (SNSBackend, "unsubscribe", _method(kept.unsubscribe)),
            (Subscription, "publish", partialmethod(_publish, Subscription.publish)),
            (SNSResponse, "confirm_subscription", _method(kept.confirm)),
            (SNSResponse, "list_subscriptions_by_topic", _method(kept.list)),
        ):
            patched.enter_context(patch.object(owner, name, new))
        yield


class _Waiting:
    """When each subscription was asked for, and what SNS does with those that wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}
        self._subscribe, self._unsubscribe = SNSBackend.subscribe, SNSBackend.unsubscribe

    def subscribe(
        self, sns: SNSBackend, topic_arn: str, endpoint: str, protocol: str
    ) -> Subscription:
        self._forget(sns)
        made = self._subscribe(sns, topic_arn, endpoint, protocol)
        of_others = protocol in ("sqs", "lambda") and endpoint.split(":")[4] != sns.account_id
        if made.arn not in self._since:
            self._since[made.arn] = self._clock.now()
            if protocol in BY_HAND or of_others:
                made.attributes |= {WAITING: True, "ConfirmationWasAuthenticated": False}
        return made

    def unsubscribe(self, sns: SNSBackend, arn: str) -> None:
        self._forget(sns)
        held = sns.subscriptions.get(arn)
        if held and held.attributes[WAITING]:
            raise SNSInvalidParameter(
                "Invalid parameter: Reason: Cannot unsubscribe a subscription that is pending confirmation"
            )
        self._unsubscribe(sns, arn)

    def confirm(self, asked: SNSResponse) -> ActionResult:
        topic, sns = asked._get_param("TopicArn"), asked.backend  # noqa: SLF001 - moto offers no other way
        self._forget(sns)
        if topic not in sns.topics:
            raise SNSNotFoundError("Topic does not exist")
        held = sns.subscriptions.get(f"{topic}:{asked._get_param('Token')}")  # noqa: SLF001 - as above
        if held is None:
            raise SNSInvalidParameter("Invalid parameter: Token")
        held.attributes[WAITING] = False
        return ActionResult({"SubscriptionArn": held.arn})

    def list(self, asked: SNSResponse) -> ActionResult:
        self._forget(asked.backend)
        found, token = asked.backend.list_subscriptions_by_topic(
            asked._get_param("TopicArn"),  # noqa: SLF001 - as above
            next_token=asked._get_param("NextToken"),  # noqa: SLF001 - as above
        )
        return ActionResult({"Subscriptions": [_shown(each) for each in found], "NextToken": token})

    def _forget(self, sns: SNSBackend) -> None:
        for arn, asked in self._since.items():
            held = sns.subscriptions.get(arn)
            if held and held.attributes[WAITING] and self._clock.now() - asked >= FORGOTTEN:
                del sns.subscriptions[arn]


def _method(call: Callable[..., object]) -> Callable[..., object]:
    """Return a function that can stand in a class: what it is called on is its first argument."""

    def method(*asked: object) -> object:
        return call(*asked)

    return method


def _publish(
    subscription: Subscription,
    publish: Callable[..., None],
    *message: object,
    **more: object,
) -> None:
    """Publish to a subscription that does not wait."""
    if not subscription.attributes[WAITING]:
        publish(subscription, *message, **more)


def _shown(held: Subscription) -> Subscription:
    """Return a subscription as a list shows it: the ARN of one that waits is not told."""
    if not held.attributes[WAITING]:
        return held
    shown = copy(held)
    shown.arn = WAITING
    return shown
