"""The notification queue: messages that name work, and nothing more. What is true stands in the ledger.

    {"notify_id": "...", "attempt": 1}    one attempt of one notification
    {"release": "...", "pace": 4}         an app's held notifications, so many of them

MessageGroupId is the app_id, which makes the standard queue a fair one: one app's backlog is not everybody's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

import simplejson
from botocore.exceptions import BotoCoreError, ClientError

from settlement.ledger import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_DELAY_SECONDS: Final = 900
MAX_RECEIVES: Final = 5
"""How often a message may fail before it is given up, with its cause."""
_MAX_BATCH = 10


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages a queue has, by SQS's own figures, which are approximate."""

    waiting: int
    in_flight: int
    delayed: int


class NotSent(Exception):
    """SQS did not take some messages, or could not be reached."""


@dataclass(frozen=True, slots=True)
class Release:
    """Look after an app's held notifications, `delay_seconds` (0 to 900) from now: release up to `pace` of them."""

    app_id: str
    pace: int
    delay_seconds: int = 0


class DeadLetterQueue:
    """For messages that our own code fails on, never for a receiver's fault."""

    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def bury(self, body: str, message_id: str, cause: str) -> None:
        """Keeps a message as it is, and beside it which it was and what it failed on. Raises NotSent."""
        try:
            self._sqs.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageAttributes={
                    "cause": {"DataType": "String", "StringValue": cause},
                    "message_id": {"DataType": "String", "StringValue": message_id},
                },
            )
        except (BotoCoreError, ClientError) as error:
            raise NotSent(type(error).__name__) from error


class NotificationQueue:
    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, messages: Sequence[Message | Release]) -> None:
        """Sends all, ten a call. Raises NotSent; sending them again does no harm."""
        for batch in batched(messages, _MAX_BATCH, strict=False):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {
                    "Id": str(position),
                    "MessageBody": simplejson.dumps(_body(message)),
                    "MessageGroupId": message.app_id,
                    "DelaySeconds": message.delay_seconds,
                }
                for position, message in enumerate(batch)
            ]
            try:
                answer = self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise NotSent(type(error).__name__) from error
            if failed := answer.get("Failed"):
                raise NotSent(f"{len(failed)} of {len(batch)} messages: {failed[0].get('Code')}")


def depth(sqs: "SQSClient", url: str) -> Depth:
    """How many messages a queue has now. Raises botocore's errors."""
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return Depth(
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )


def read_message(body: str) -> tuple[str, int] | Release:
    """The notify_id and attempt number, or the release, that a message names. Raises ValueError for none of ours."""
    message = simplejson.loads(body)
    match message:
        case {"attempt": bool()} | {"pace": bool()}:
            pass  # true is an int to Python
        case {"notify_id": str(notify_id), "attempt": int(attempt_number)} if notify_id and attempt_number > 0:
            return notify_id, attempt_number
        case {"release": str(app_id), "pace": int(pace)} if app_id and pace > 0:
            return Release(app_id, pace)
    raise ValueError("not a message of the notification queue")


def _body(message: Message | Release) -> dict[str, Any]:
    match message:
        case Release(app_id, pace):
            return {"release": app_id, "pace": pace}
        case Message(notify_id, _, attempt_number):
            return {"notify_id": notify_id, "attempt": attempt_number}
