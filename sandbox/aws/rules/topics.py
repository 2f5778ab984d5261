"""Rules about Amazon SNS's topics and subscriptions, which the API's model has in words only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.aws.rules.table import REGION, Operation, Page, Stage, add_refusal, holds

if TYPE_CHECKING:
    from collections.abc import Callable

_CREATING = Operation("CreateTopic", "sns")
_SETTING = Operation("SetTopicAttributes", "sns")
_CHANGING = Operation("SetSubscriptionAttributes", "sns")
_CODE = "InvalidParameter"


def _topic(name: str, **attributes: str) -> Callable[[Stage], Callable[[], object]]:
    return lambda stage: lambda: stage.client("sns").create_topic(Name=name, Attributes=attributes)


def _set(attribute: str, value: str) -> Callable[[Stage], Callable[[], object]]:
    def attempt(stage: Stage) -> Callable[[], object]:
        sns = stage.client("sns")
        arn = sns.create_topic(Name="alerts")["TopicArn"]
        return lambda: sns.set_topic_attributes(
            TopicArn=arn, AttributeName=attribute, AttributeValue=value
        )

    return attempt


def _subscribe(protocol: str, endpoint: str = "", **attributes: str) -> Callable[[Stage], Any]:
    def attempt(stage: Stage) -> Callable[[], object]:
        sns = stage.client("sns")
        arn = sns.create_topic(Name="alerts")["TopicArn"]
        where = {"Endpoint": endpoint} if endpoint else {}
        return lambda: sns.subscribe(
            TopicArn=arn, Protocol=protocol, Attributes=attributes, **where
        )

    return attempt


def _change(attribute: str, value: str) -> Callable[[Stage], Callable[[], object]]:
    def attempt(stage: Stage) -> Callable[[], object]:
        sns = stage.client("sns")
        arn = sns.create_topic(Name="alerts")["TopicArn"]
        queue = f"arn:aws:sqs:{REGION}:{stage.account}:alerts"
        made = sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
        return lambda: sns.set_subscription_attributes(
            SubscriptionArn=made, AttributeName=attribute, AttributeValue=value
        )

    return attempt


_FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:alerts"
_QUEUE = f"arn:aws:sqs:{REGION}:123456789012:alerts"
_STREAM = f"arn:aws:firehose:{REGION}:123456789012:deliverystream/alerts"

_REFUSED: tuple[tuple[str, Page | Operation, str, Callable[[Stage], Callable[[], object]]], ...] = (
    ("topic-name-with-a-dot", _CREATING, "a topic's name with another character", _topic("a.b")),
    ("topic-name-too-long", _CREATING, "a topic's name of 257 characters", _topic("a" * 257)),
    ("topic-name-that-is-empty", _CREATING, "a topic's name of no character", _topic("")),
    (
        "fifo-topic-without-its-ending",
        _CREATING,
        "a FIFO topic whose name does not end with .fifo",
        _topic("alerts", FifoTopic="true"),
    ),
    (
        "fifo-ending-of-another-topic",
        _CREATING,
        "a topic that is not FIFO and whose name ends with .fifo",
        _topic("alerts.fifo"),
    ),
    (
        "fifo-topic-name-too-long",
        _CREATING,
        "a FIFO topic's name of 257 characters with its ending",
        _topic(f"{'a' * 252}.fifo", FifoTopic="true"),
    ),
    (
        "topic-of-an-unknown-attribute",
        _CREATING,
        "an attribute of a new topic that there is not",
        _topic("alerts", Colour="blue"),
    ),
    (
        "topic-attribute-unknown",
        _SETTING,
        "an attribute of a topic that there is not",
        _set("Colour", "blue"),
    ),
    (
        "topic-becomes-fifo",
        _SETTING,
        "making a topic that stands a FIFO topic",
        _set("FifoTopic", "true"),
    ),
    (
        "topic-tracing-unknown",
        _SETTING,
        "a tracing mode of a topic that there is not",
        _set("TracingConfig", "Sometimes"),
    ),
    (
        "topic-signature-unknown",
        _SETTING,
        "a signature version of a topic that there is not",
        _set("SignatureVersion", "3"),
    ),
    (
        "topic-sample-rate",
        _SETTING,
        "a sample rate of 101 percent of deliveries",
        _set("SQSSuccessFeedbackSampleRate", "101"),
    ),
    (
        "topic-message-size",
        _SETTING,
        "messages of a topic of at most 1023 bytes",
        _set("MaximumMessageSize", "1023"),
    ),
    (
        "subscription-by-an-unknown-protocol",
        Page.SUBSCRIBING,
        "a subscription by a protocol that there is not",
        _subscribe("pigeon", "arn:aws:pigeon"),
    ),
    (
        "subscription-without-an-endpoint",
        Page.SUBSCRIBING,
        "a subscription without an endpoint",
        _subscribe("email"),
    ),
    *(
        (
            f"subscription-of-{protocol}-elsewhere",
            Page.SUBSCRIBING,
            f"an endpoint that is not one of the protocol {protocol}",
            _subscribe(protocol, endpoint),
        )
        for protocol, endpoint in (
            ("application", _QUEUE),
            ("email", "somebody"),
            ("email-json", "https://example.org"),
            ("firehose", _QUEUE),
            ("http", "https://example.org"),
            ("https", "http://example.org"),
            ("lambda", _QUEUE),
            ("sms", "somebody@example.org"),
            ("sqs", _FUNCTION),
        )
    ),
    (
        "subscription-of-a-stream-without-a-role",
        Page.SUBSCRIBING,
        "a subscription of a delivery stream without a role",
        _subscribe("firehose", _STREAM),
    ),
    (
        "subscription-of-an-unknown-attribute",
        Page.SUBSCRIBING,
        "an attribute of a new subscription that there is not",
        _subscribe("sqs", _QUEUE, Colour="blue"),
    ),
    (
        "subscription-attribute-unknown",
        _CHANGING,
        "an attribute of a subscription that there is not",
        _change("Colour", "blue"),
    ),
    (
        "subscription-scope-unknown",
        _CHANGING,
        "a scope of a filter policy that there is not",
        _change("FilterPolicyScope", "Subject"),
    ),
    (
        "subscription-raw-unknown",
        _CHANGING,
        "raw delivery that is neither true nor false",
        _change("RawMessageDelivery", "sometimes"),
    ),
)
for _identifier, _page, _says, _attempt in _REFUSED:
    add_refusal(_identifier, _page, _says, _attempt, _CODE)


@holds(_CREATING, "a FIFO topic is one by its attribute and its name")
def a_fifo_topic_is_made(stage: Stage) -> bool:
    name = f"{'a' * 251}.fifo"
    made = stage.client("sns").create_topic(Name=name, Attributes={"FifoTopic": "true"})
    return bool(made["TopicArn"].endswith(f":{name}"))
