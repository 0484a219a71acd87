"""The notification queue: messages that name an attempt, and nothing more. What is true stands in the ledger.

    {"notify_id": "...", "attempt": 1}

MessageGroupId is the app_id, which makes the standard queue a fair one: one app's backlog is not everybody's.
"""

from collections.abc import Sequence
from itertools import batched
from typing import TYPE_CHECKING, Final

import simplejson
from botocore.exceptions import BotoCoreError, ClientError

from settlement.ledger import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_DELAY_SECONDS: Final = 900
_MAX_BATCH = 10


class NotSent(Exception):
    """SQS did not take some messages, or could not be reached."""


class NotificationQueue:
    def __init__(self, sqs: "SQSClient", url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, messages: Sequence[Message]) -> None:
        """Sends all, ten a call. Raises NotSent; sending them again does no harm."""
        for batch in batched(messages, _MAX_BATCH, strict=False):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {
                    "Id": str(position),
                    "MessageBody": simplejson.dumps(
                        {"notify_id": message.notify_id, "attempt": message.attempt_number}
                    ),
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


def read_message(body: str) -> tuple[str, int]:
    """The notify_id and attempt number that a message names. Raises ValueError for one that is not ours."""
    message = simplejson.loads(body)
    match message:
        case {"notify_id": str(notify_id), "attempt": int(attempt_number)} if notify_id and attempt_number > 0:
            return notify_id, attempt_number
    raise ValueError("not a message of the notification queue")
