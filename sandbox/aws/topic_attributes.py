"""The attributes of a topic that the embedded Amazon SNS keeps and moto does not show.

Owns what GetTopicAttributes shows besides: signatures, tracing, archives, the throughput of FIFO topics, the size of
messages and the roles that tell of deliveries. Reads and changes moto's SNS as long as a context lasts.

Source: Amazon SNS API Reference, "GetTopicAttributes" and "CreateTopic".
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from moto.core.utils import camelcase_to_underscores
from moto.sns.responses import SNSResponse

from sandbox.aws.topic_requests import TOPIC_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.core.responses import ActionResult

    from sandbox.aws.world import Clock

_NOTHING = ("", "{}")
"""What takes an attribute away."""


@contextmanager
def shown_as_kept(clock: Clock) -> Iterator[None]:
    """Let a topic's attributes be shown as they were set, while the context lasts."""
    get = SNSResponse.get_topic_attributes
    archived: dict[str, float] = {}

    def get_topic_attributes(self: SNSResponse) -> ActionResult:
        answer = get(self)
        result: Any = answer.result
        shown = result["Attributes"]
        topic = self.backend.get_topic(shown["TopicArn"])
        for name in TOPIC_ATTRIBUTES - shown.keys():
            value = getattr(topic, camelcase_to_underscores(name), None) or ""
            if value not in _NOTHING:
                shown[name] = value
        if "ArchivePolicy" in shown:
            since = archived.setdefault(topic.arn, clock.now())
            shown["BeginningArchiveTime"] = datetime.fromtimestamp(since, UTC).isoformat()
        else:
            archived.pop(topic.arn, None)
        return answer

    with patch.object(SNSResponse, "get_topic_attributes", get_topic_attributes):
        yield
