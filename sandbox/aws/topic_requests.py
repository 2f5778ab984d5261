"""What Amazon SNS says a request about a topic or a subscription must look like, beyond the API's model.

Owns the constraints that the API's model has in words only: names of topics, protocols with their endpoints, and
attributes with their values. Reads a request. Never checks what takes the state of an account to know.

Sources: Amazon SNS API Reference, "CreateTopic", "SetTopicAttributes", "Subscribe" and "SetSubscriptionAttributes"; "AWS
general reference", "Amazon Resource Names (ARNs)".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ARN = r"arn:[a-z-]+:{}:[a-z0-9-]*:\d{{12}}:{}"
_MAIL = r"[^\s@]+@[^\s@]+\.[^\s@]+"
_TOPIC = _ARN.format("sns", r"[A-Za-z0-9_-]{1,256}(\.fifo)?")
_ENDPOINTS: Mapping[str, str] = {
    "application": _ARN.format("sns", r"endpoint/\S+"),
    "email": _MAIL,
    "email-json": _MAIL,
    "firehose": _ARN.format("firehose", r"deliverystream/\S+"),
    "http": r"http://\S+",
    "https": r"https://\S+",
    "lambda": _ARN.format("lambda", r"function:\S+"),
    "sms": r"\+?[0-9][0-9 ().-]{1,18}[0-9]",
    "sqs": _ARN.format("sqs", r"\S+"),
}
"""What the endpoint of each protocol is."""

_NUMBER = r"\d{1,9}"
_BOOLEAN = r"(?i:true|false)"
_WHATEVER = r"(?s:.*)"
_KEPT: Mapping[str, str] = {
    "ArchivePolicy": _WHATEVER,
    "ContentBasedDeduplication": _BOOLEAN,
    "DeliveryPolicy": _WHATEVER,
    "DisplayName": _WHATEVER,
    "FifoThroughputScope": "Topic|MessageGroup",
    "KmsMasterKeyId": _WHATEVER,
    "MaximumMessageSize": _NUMBER,
    "Policy": _WHATEVER,
    "SignatureVersion": "1|2",
    "TracingConfig": "PassThrough|Active",
    **{
        f"{kind}{what}": form
        for kind in ("Application", "Firehose", "HTTP", "Lambda", "SQS")
        for what, form in (
            ("SuccessFeedbackRoleArn", _WHATEVER),
            ("SuccessFeedbackSampleRate", _NUMBER),
            ("FailureFeedbackRoleArn", _WHATEVER),
        )
    },
}
_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    "CreateTopic": {**_KEPT, "FifoTopic": _BOOLEAN},
    "SetTopicAttributes": _KEPT,
    "SetSubscriptionAttributes": {
        "DeliveryPolicy": _WHATEVER,
        "FilterPolicy": _WHATEVER,
        "FilterPolicyScope": "MessageAttributes|MessageBody",
        "RawMessageDelivery": _BOOLEAN,
        "RedrivePolicy": _WHATEVER,
        "ReplayPolicy": _WHATEVER,
        "SubscriptionRoleArn": _WHATEVER,
    },
}
"""What each operation can set, and the form of its value."""

TOPIC_ATTRIBUTES = frozenset(_KEPT)
"""The attributes of a topic that somebody can set."""

_RANGES: Mapping[str, range] = {
    "MaximumMessageSize": range(1024, 1_048_576 + 1),
    "SampleRate": range(101),
}
"""The values of attributes that are numbers, by the end of their names."""


def offence(action: str, asked: Mapping[str, Any]) -> str:
    """Return what SNS says of a request, by its parameters as the API's model has them; "" for a good one."""
    return next((f"Invalid parameter: {each}" for each in _offences(action, asked)), "")


def _offences(action: str, asked: Mapping[str, Any]) -> Iterator[str]:
    arn = asked.get("TopicArn")
    if arn is not None and not re.fullmatch(_TOPIC, arn):
        yield "TopicArn Reason: is not the ARN of a topic"
    if check := _CHECKS.get(action):
        yield from check(asked)


def _creating(asked: Mapping[str, Any]) -> Iterator[str]:
    name, given = asked["Name"], asked.get("Attributes") or {}
    fifo = str(given.get("FifoTopic")).lower() == "true"
    plain = name.removesuffix(".fifo") if fifo else name
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", plain) or name.endswith(".fifo") != fifo:
        yield "Topic Name"
    if len(name) > 256:  # noqa: PLR2004 - the page's own number, in the pattern as well
        yield "Topic Name"
    yield from _attributes("CreateTopic", given)


def _setting(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from _attributes(
        "SetTopicAttributes", {asked["AttributeName"]: asked.get("AttributeValue") or ""}
    )


def _subscribing(asked: Mapping[str, Any]) -> Iterator[str]:
    protocol, endpoint = asked["Protocol"], asked.get("Endpoint") or ""
    given = asked.get("Attributes") or {}
    if protocol not in _ENDPOINTS:
        yield f"Amazon SNS does not support this protocol string: {protocol}"
        return
    if not re.fullmatch(_ENDPOINTS[protocol], endpoint):
        yield f"Endpoint Reason: is not one of the protocol {protocol}"
    if protocol == "firehose" and not given.get("SubscriptionRoleArn"):
        yield "SubscriptionRoleArn Reason: is required for a delivery stream"
    yield from _attributes("SetSubscriptionAttributes", given)


def _changing(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from _attributes(
        "SetSubscriptionAttributes", {asked["AttributeName"]: asked.get("AttributeValue") or ""}
    )


def _attributes(action: str, given: Mapping[str, str]) -> Iterator[str]:
    for name, value in given.items():
        form = _ATTRIBUTES[action].get(name)
        if form is None:
            yield "AttributeName"
        elif value and not re.fullmatch(form, value):
            yield f"{name} Reason: {value!r} is not a value of it"
        elif form == _NUMBER and value and not _in_range(name, int(value)):
            yield f"{name} Reason: {value} is out of range"


def _in_range(name: str, value: int) -> bool:
    return next((value in allowed for end, allowed in _RANGES.items() if name.endswith(end)), True)


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "CreateTopic": _creating,
    "SetSubscriptionAttributes": _changing,
    "SetTopicAttributes": _setting,
    "Subscribe": _subscribing,
}
