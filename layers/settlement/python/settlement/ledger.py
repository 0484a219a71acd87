"""NotificationTable: what is to be delivered and what became of each attempt. The only module that knows its keys.

    pending -----> delivered            an attempt was acknowledged; kept 30 days
       |  ^  \\---> dead                 the last planned attempt failed, or the receiver said 410; kept 90 days
       v  |
    retrying <---> held                 the app is disabled: no attempt is spent

    notify_id, app_id, notify_event, notify_time (ms), body     written with the settlement, never changed
    status, attempt_count, attempts                             what became of it
    next_attempt_at (ms)                                        no attempt starts before
    due_shard, due_at (ms)                                      sparse: when the sweep sends it if nothing else did
    lease_until (ms)                                            an attempt is under way; its end is also its name
    expires_at (s)                                              TTL

Times come in as arguments. Source: DESIGN sections 4 and 5.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    type Item = dict[str, AttributeValueTypeDef]

SWEEP_GRACE_MS: Final = 60_000
"""How long after its planned time a notification waits for the stream and the queue before the sweep sends it."""
LEASE_MS: Final = 35_000
"""Longer than the delivering function can live: while a lease stands, its owner may still be sending."""
DELIVERED_KEPT_SECONDS: Final = 30 * 24 * 3600
DEAD_KEPT_SECONDS: Final = 90 * 24 * 3600
DUE_SHARDS: Final = 8


@dataclass(frozen=True, slots=True)
class Notification:
    """What an app is to be told. `notify_id` is its identity for ever: a receiver drops repeats by it."""

    notify_id: str
    app_id: str
    event: str
    notify_time_ms: int
    body: str
    """ASCII JSON, serialised once: these bytes are signed and sent on every attempt."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it is kept."""

    started_at_ms: int
    duration_ms: int
    http_status: int | None
    ret_code: int | None
    """The acknowledgement's, where it had an integer one."""
    error: str | None
    """The class of what went wrong; None where it was acknowledged."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one attempt, until `lease_until_ms`."""

    notification: Notification
    attempt_number: int
    """1 for the first."""
    lease_until_ms: int


@dataclass(frozen=True, slots=True)
class Due:
    """A notification whose next attempt the sweep is to send."""

    notify_id: str
    app_id: str
    attempt_number: int
    next_attempt_at_ms: int
    due_at_ms: int


class Message(NamedTuple):
    """One attempt of one notification that is to be made, `delay_seconds` (0 to 900) from now."""

    notify_id: str
    app_id: str
    attempt_number: int
    delay_seconds: int = 0


class Ledger:
    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def addition(self, notification: Notification) -> "TransactWriteItemTypeDef":
        """The part of a settlement's transaction that makes sure its notification cannot be lost."""
        now_ms = notification.notify_time_ms
        return {
            "Put": {
                "TableName": self._table,
                "Item": {
                    "notify_id": {"S": notification.notify_id},
                    "app_id": {"S": notification.app_id},
                    "notify_event": {"S": notification.event},
                    "notify_time": {"N": str(now_ms)},
                    "body": {"S": notification.body},
                    "status": {"S": "pending"},
                    "attempt_count": {"N": "0"},
                    "attempts": {"L": []},
                    "next_attempt_at": {"N": str(now_ms)},
                    "due_shard": {"S": str(zlib.crc32(notification.notify_id.encode()) % DUE_SHARDS)},
                    "due_at": {"N": str(now_ms + SWEEP_GRACE_MS)},
                },
            }
        }

    def claim(self, notify_id: str, attempt_number: int, now_ms: int) -> Claim | None:
        """Begins an attempt. None where there is nothing to begin: a duplicate, too early, under way, or done."""
        lease_until_ms = now_ms + LEASE_MS
        try:
            item = self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": notify_id}},
                UpdateExpression="SET lease_until = :lease_until",
                ConditionExpression=(
                    "attempt_count = :before"  # no other copy of the message made this attempt
                    " AND next_attempt_at <= :now"  # never early; absent once delivered or dead
                    " AND (attribute_not_exists(lease_until) OR lease_until < :now)"  # and nobody is making it
                ),
                ExpressionAttributeValues={
                    ":lease_until": {"N": str(lease_until_ms)},
                    ":before": {"N": str(attempt_number - 1)},
                    ":now": {"N": str(now_ms)},
                },
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        notification = Notification(
            notify_id, item["app_id"]["S"], item["notify_event"]["S"], int(item["notify_time"]["N"]), item["body"]["S"]
        )
        return Claim(notification, attempt_number, lease_until_ms)

    def record_delivered(self, claim: Claim, attempt: Attempt, now_ms: int) -> bool:
        """The end of a notification that was acknowledged. False where the lease was lost: another attempt goes on."""
        return self._finish(claim, attempt, "delivered", now_ms // 1000 + DELIVERED_KEPT_SECONDS)

    def record_dead(self, claim: Claim, attempt: Attempt, now_ms: int) -> bool:
        """The end of a notification that nobody acknowledged; it waits to be redelivered by hand. False: lease lost."""
        return self._finish(claim, attempt, "dead", now_ms // 1000 + DEAD_KEPT_SECONDS)

    def record_retry(self, claim: Claim, attempt: Attempt, next_attempt_at_ms: int) -> bool:
        """A failed attempt and the time of the next. False where the lease was lost: another attempt goes on."""
        return self._update_claimed(
            claim,
            "SET #status = :status, attempt_count = :count, attempts = list_append(attempts, :attempt),"
            " next_attempt_at = :next, due_at = :due REMOVE lease_until",
            {
                ":status": {"S": "retrying"},
                ":count": {"N": str(claim.attempt_number)},
                ":attempt": {"L": [_attempt_item(attempt)]},
                ":next": {"N": str(next_attempt_at_ms)},
                ":due": {"N": str(next_attempt_at_ms + SWEEP_GRACE_MS)},
            },
        )

    def hold(self, claim: Claim, until_ms: int) -> bool:
        """Gives a claim back without spending the attempt; the sweep asks again at `until_ms`. False: lease lost."""
        return self._update_claimed(
            claim,
            "SET #status = :status, next_attempt_at = :until, due_at = :until REMOVE lease_until",
            {":status": {"S": "held"}, ":until": {"N": str(until_ms)}},
        )

    def due(self, shard: int, now_ms: int, limit: int) -> list[Due]:
        """Up to `limit` notifications of one shard whose time has passed, the longest due first."""
        items = self._dynamodb.query(
            TableName=self._table,
            IndexName="due-index",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues={":shard": {"S": str(shard)}, ":now": {"N": str(now_ms)}},
            Limit=limit,
        )["Items"]
        return [
            Due(
                item["notify_id"]["S"],
                item["app_id"]["S"],
                int(item["attempt_count"]["N"]) + 1,
                int(item["next_attempt_at"]["N"]),
                int(item["due_at"]["N"]),
            )
            for item in items
        ]

    def postpone(self, due: Due, due_at_ms: int) -> bool:
        """Makes what the sweep is about to send due again later. False where something else moved it meanwhile."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": due.notify_id}},
                UpdateExpression="SET due_at = :later",
                ConditionExpression="due_at = :seen",  # still waiting, just as the sweep saw it
                ExpressionAttributeValues={":later": {"N": str(due_at_ms)}, ":seen": {"N": str(due.due_at_ms)}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _finish(self, claim: Claim, attempt: Attempt, status: str, expires_at_seconds: int) -> bool:
        return self._update_claimed(
            claim,
            "SET #status = :status, attempt_count = :count, attempts = list_append(attempts, :attempt),"
            " expires_at = :expires REMOVE next_attempt_at, due_shard, due_at, lease_until",
            {
                ":status": {"S": status},
                ":count": {"N": str(claim.attempt_number)},
                ":attempt": {"L": [_attempt_item(attempt)]},
                ":expires": {"N": str(expires_at_seconds)},
            },
        )

    def _update_claimed(self, claim: Claim, update: str, values: "Item") -> bool:
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": claim.notification.notify_id}},
                UpdateExpression=update,
                ConditionExpression="lease_until = :lease",  # the claim still stands
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={**values, ":lease": {"N": str(claim.lease_until_ms)}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def new_notification(record: Mapping[str, Any]) -> Message | None:
    """The first attempt that a record of the table's stream calls for; None where the row is something else.

    Raises KeyError, TypeError or ValueError for a record that is not one of DynamoDB's.
    """
    if record["eventName"] != "INSERT":
        return None
    image = record["dynamodb"]["NewImage"]
    if "notify_event" not in image:
        return None
    return Message(image["notify_id"]["S"], image["app_id"]["S"], int(image["attempt_count"]["N"]) + 1)


def _attempt_item(attempt: Attempt) -> "AttributeValueTypeDef":
    item: Item = {"at": {"N": str(attempt.started_at_ms)}, "duration_ms": {"N": str(attempt.duration_ms)}}
    if attempt.http_status is not None:
        item["http_status"] = {"N": str(attempt.http_status)}
    if attempt.ret_code is not None:
        item["ret_code"] = {"N": str(attempt.ret_code)}
    if attempt.error is not None:
        item["error"] = {"S": attempt.error}
    return {"M": item}
