"""NotificationTable: what is to be delivered, what became of each attempt, and each app's breaker.

The only module that knows the table's keys.

    pending -----> delivered            an attempt was acknowledged; kept 30 days
       |  ^  \\---> dead                 the last planned attempt failed, or no further one makes sense; kept 90 days
       v  |            |
    retrying <---> held <- - redelivered by hand, or made by a backfill
                                        held: the app is disabled or its breaker does not let it through; no attempt
                                        is spent

    notify_id, app_id, notify_event, notify_time (ms), body     written with the settlement, never changed
    status, attempt_count, attempts, error_class                what became of it; error_class of the last attempt
    next_attempt_at (ms)                                        no attempt starts before
    due_shard, due_at (ms)                                      sparse: when the sweep sends it if nothing else did
                                                                held: held#{app_id} and when it was planned
                                                                dead: dead#{app_id} and when it died
    lease_until (ms)                                            an attempt is under way; its end is also its name
    schedule_from                                               attempts made when the schedule last began anew
    expires_at (s)                                              TTL

    notify_id = breaker#{app_id}: trusted, failures, openings, open_until, trial_until, patience_ms, held_at, version;
    due_shard, due_at                                           sparse: when the sweep looks after what is held

Times come in as arguments. Source: DESIGN sections 4 and 5.
"""

import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from copy import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from settlement.breaker import PATIENCE_MS, Breaker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        PutItemInputTypeDef,
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
    )

    type Item = dict[str, AttributeValueTypeDef]

type Status = Literal["pending", "retrying", "held", "delivered", "dead"]

STATUSES: Final[tuple[Status, ...]] = ("pending", "retrying", "held", "delivered", "dead")
SWEEP_GRACE_MS: Final = 60_000
"""How long after its planned time a notification waits for the stream and the queue before the sweep sends it."""
LEASE_MS: Final = 35_000
"""Longer than the delivering function can live: while a lease stands, its owner may still be sending."""
DELIVERED_KEPT_SECONDS: Final = 30 * 24 * 3600
DEAD_KEPT_SECONDS: Final = 90 * 24 * 3600
DUE_SHARDS: Final = 8
INTERRUPTED: Final = "our process ended before the answer was recorded"
_BREAKER = "breaker#"
_HELD = "held#"


class Notification(NamedTuple):
    """What an app is to be told. `notify_id` is its identity for ever: a receiver drops repeats by it."""

    notify_id: str
    app_id: str
    event: str
    notify_time_ms: int
    body: str
    """ASCII JSON, serialised once: these bytes are signed and sent on every attempt."""


class Attempt(NamedTuple):
    """One attempt as it is kept."""

    started_at_ms: int
    duration_ms: int
    http_status: int | None
    ret_code: int | None
    """The acknowledgement's, where it had an integer one."""
    error: str | None
    """What went wrong; None where it was acknowledged."""
    error_class: str | None = None


class Claim(NamedTuple):
    """The right to make one attempt, until `lease_until_ms`."""

    notification: Notification
    attempt_number: int
    """1 for the first."""
    lease_until_ms: int
    next_attempt_at_ms: int
    """When the attempt was planned for."""
    schedule_from: int
    """How many attempts were made when the schedule last began anew."""


class Due(NamedTuple):
    """A notification whose next attempt is to be sent."""

    notify_id: str
    app_id: str
    attempt_number: int
    next_attempt_at_ms: int
    due_at_ms: int


class BreakerDue(NamedTuple):
    """An app that may have held notifications which can be released."""

    app_id: str
    due_at_ms: int


class Outstanding(NamedTuple):
    """What is neither delivered nor dead, as the index has it; at least so much where the look was not `complete`."""

    complete: bool
    waiting: int
    """Pending and retrying."""
    held: dict[str, int]
    """By app; only apps of which something is held."""
    oldest_notify_time_ms: int | None = None
    """When the oldest of all was settled; None where there is none."""
    oldest_notify_id: str | None = None
    longest_planned_ms: int | None = None
    """For when the attempt was planned that waits longest; of what is not held."""


class Message(NamedTuple):
    """One attempt of one notification that is to be made, `delay_seconds` (0 to 900) from now."""

    notify_id: str
    app_id: str
    attempt_number: int
    delay_seconds: int = 0


class Listed(NamedTuple):
    """A notification as a list shows it."""

    notify_id: str
    app_id: str
    event: str
    notify_time_ms: int
    status: Status
    attempt_count: int
    error_class: str | None


class Stored(NamedTuple):
    """A notification with all that became of it."""

    notification: Notification
    status: Status
    attempts: tuple[Attempt, ...]
    next_attempt_at_ms: int | None
    lease_until_ms: int | None


class Ledger:
    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    # ------------------------------------------------------------------------------------------------- new rows

    def addition(self, notification: Notification) -> "TransactWriteItemTypeDef":
        """The part of a settlement's transaction that makes sure its notification cannot be lost."""
        now_ms = notification.notify_time_ms
        item = _new_item(notification, "pending", now_ms, _shard(notification.notify_id), now_ms + SWEEP_GRACE_MS)
        return {"Put": {"TableName": self._table, "Item": item}}

    def add_held(self, notification: Notification, now_ms: int) -> bool:
        """Adds one that a settlement did not make, to be released. False where it is there, whatever its status."""
        try:
            self._dynamodb.put_item(
                TableName=self._table,
                Item=_new_item(notification, "held", now_ms, _held(notification.app_id), now_ms),
                ConditionExpression="attribute_not_exists(notify_id)",  # it was not made before
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # ------------------------------------------------------------------------------------------------- attempts

    def claim(self, notify_id: str, attempt_number: int, now_ms: int) -> Claim | None:
        """Begins an attempt. None where there is nothing to begin: a duplicate, too early, under way, or done.

        An attempt that was begun and never recorded, because its process ended, is recorded now: nobody knows whether
        the receiver saw it. It does not count as one of the planned ones.
        """
        values: Item = {
            ":lease_until": {"N": str(now_ms + LEASE_MS)},
            ":before": {"N": str(attempt_number - 1)},
            ":now": {"N": str(now_ms)},
        }
        item = self._lease(notify_id, "SET lease_until = :lease_until", "attribute_not_exists(lease_until)", values)
        if item is None:
            row = self._get(notify_id)
            if row is None or not 0 < _number(row, "lease_until") < now_ms:
                return None
            lapsed = Attempt(_number(row, "lease_until") - LEASE_MS, 0, None, None, INTERRUPTED, "interrupted")
            item = self._lease(
                notify_id,
                "SET lease_until = :lease_until, attempts = list_append(attempts, :lapsed)",
                "lease_until = :seen",
                {**values, ":seen": row["lease_until"], ":lapsed": {"L": [_attempt_item(lapsed)]}},
            )
        if item is None:
            return None
        return Claim(
            _notification(item),
            attempt_number,
            now_ms + LEASE_MS,
            int(item["next_attempt_at"]["N"]),
            _number(item, "schedule_from"),
        )

    def _lease(self, notify_id: str, update: str, nobody: str, values: "Item") -> "Item | None":
        try:
            return self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": notify_id}},
                UpdateExpression=update,
                ConditionExpression=(
                    "attempt_count = :before"  # no other copy of the message made this attempt
                    " AND next_attempt_at <= :now"  # never early; absent once delivered or dead
                    f" AND {nobody}"  # and nobody is making it
                ),
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None

    def record_delivered(self, claim: Claim, attempt: Attempt, now_ms: int) -> bool:
        """The end of a notification that was acknowledged. False where the lease was lost: another attempt goes on."""
        return self._finish(claim, attempt, "delivered", now_ms // 1000 + DELIVERED_KEPT_SECONDS, {})

    def record_dead(self, claim: Claim, attempt: Attempt, now_ms: int) -> bool:
        """The end of a notification that nobody acknowledged; it waits to be redelivered by hand. False: lease lost."""
        listed: Item = {"due_shard": {"S": _dead(claim.notification.app_id)}, "due_at": {"N": str(now_ms)}}
        return self._finish(claim, attempt, "dead", now_ms // 1000 + DEAD_KEPT_SECONDS, listed)

    def record_retry(self, claim: Claim, attempt: Attempt, next_attempt_at_ms: int, *, queued: bool) -> bool:
        """A failed attempt and the time of the next. False where the lease was lost: another attempt goes on.

        What is `queued` is given time to come by itself; of the rest the sweep is the only way.
        """
        return self._record(
            claim,
            attempt,
            "retrying",
            {
                "next_attempt_at": {"N": str(next_attempt_at_ms)},
                "due_shard": {"S": _shard(claim.notification.notify_id)},
                "due_at": {"N": str(next_attempt_at_ms + (SWEEP_GRACE_MS if queued else 0))},
            },
        )

    def hold(self, claim: Claim) -> bool:
        """Gives a claim back without spending the attempt, until it is released. False: lease lost."""
        return self._update_claimed(
            claim,
            "SET #status = :status, due_shard = :held, due_at = :planned REMOVE lease_until",
            {
                ":status": {"S": "held"},
                ":held": {"S": _held(claim.notification.app_id)},
                ":planned": {"N": str(claim.next_attempt_at_ms)},
            },
        )

    # ------------------------------------------------------------------------------------------------ what is due

    def due(self, shard: int, now_ms: int, limit: int) -> list[Due | BreakerDue]:
        """Up to `limit` entries of one shard whose time has passed, the longest due first."""
        return [_due(item) for item in self._due_items(str(shard), now_ms, limit)]

    def held(self, app_id: str, now_ms: int, limit: int) -> list[Due]:
        """Up to `limit` of an app's held notifications, the longest planned first."""
        return [due for item in self._due_items(_held(app_id), now_ms, limit) if isinstance(due := _due(item), Due)]

    def count_held(self, app_id: str, at_most: int = sys.maxsize) -> int:
        """So many and no further are counted."""
        return self._count(_held(app_id), at_most)

    def count_dead(self, app_id: str, at_most: int = sys.maxsize) -> int:
        """Given up and not redelivered since; of the last 90 days. So many and no further are counted."""
        return self._count(_dead(app_id), at_most)

    def outstanding(self, may_go_on: Callable[[], bool]) -> Outstanding:
        """Counts what is neither delivered nor dead, until `may_go_on` is False.

        It reads the due index's entries and nothing else: what was delivered costs nothing, however much it is. Every
        app of which something is held has a breaker that the sweep looks after, and so is met among the shards.
        """
        walks = deque(self._entries(str(shard)) for shard in range(DUE_SHARDS))
        waiting, held, breakers = 0, dict[str, int](), set[str]()
        oldest: tuple[int, str] | None = None
        longest_planned_ms: int | None = None
        while walks and may_go_on():
            walk = walks.popleft()
            if (page := next(walk, None)) is None:
                continue
            walks.append(walk)  # a page of each in turn: a long one does not hide the others
            for item in page:
                key = item["notify_id"]["S"]
                if key.startswith(_BREAKER):
                    if key not in breakers:  # one that is put off meanwhile is met again
                        breakers.add(key)
                        walks.append(self._entries(_held(key.removeprefix(_BREAKER))))
                    continue
                if item["due_shard"]["S"].startswith(_HELD):
                    held[item["app_id"]["S"]] = held.get(item["app_id"]["S"], 0) + 1
                else:
                    waiting += 1
                    planned_ms = int(item["next_attempt_at"]["N"])
                    longest_planned_ms = min(planned_ms, longest_planned_ms or planned_ms)
                settled = (int(item["notify_time"]["N"]), key)
                oldest = settled if oldest is None else min(oldest, settled)
        oldest_ms, oldest_id = oldest or (None, None)
        return Outstanding(not walks, waiting, held, oldest_ms, oldest_id, longest_planned_ms)

    def postpone(self, due: Due | BreakerDue, due_at_ms: int) -> bool:
        """Makes what the sweep is about to send due again later. False where something else moved it meanwhile."""
        key = due.notify_id if isinstance(due, Due) else _BREAKER + due.app_id
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": key}},
                UpdateExpression="SET due_at = :later",
                ConditionExpression="due_at = :seen",  # still waiting, just as the sweep saw it
                ExpressionAttributeValues={":later": {"N": str(due_at_ms)}, ":seen": {"N": str(due.due_at_ms)}},
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, held: Due, due_at_ms: int) -> bool:
        """Makes a held notification an ordinary one that waits for its attempt. False: it is not held any more."""
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": held.notify_id}},
                UpdateExpression="SET #status = :status, due_shard = :shard, due_at = :due",
                ConditionExpression=(
                    "#status = :held"  # nobody released it meanwhile
                    " AND attempt_count = :before"  # nor was it released, tried and held again
                ),
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":status": {"S": "retrying" if held.attempt_number > 1 else "pending"},
                    ":held": {"S": "held"},
                    ":before": {"N": str(held.attempt_number - 1)},
                    ":shard": {"S": _shard(held.notify_id)},
                    ":due": {"N": str(due_at_ms)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # ------------------------------------------------------------------------------------------------- operators

    def find(self, notify_id: str) -> Stored | None:
        if notify_id.startswith(_BREAKER):
            return None
        item = self._get(notify_id)
        return None if item is None else _stored(item)

    def listed(self, app_id: str, since_ms: int, until_ms: int) -> Iterator[Listed]:
        """An app's notifications of settlements in [since_ms, until_ms), the oldest first, as the index has them."""
        if since_ms >= until_ms:
            return
        request = self._listed_query(app_id, since_ms, until_ms)
        while True:
            answer = self._dynamodb.query(**request)
            yield from map(_listed, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def listed_back(
        self, app_id: str, since_ms: int, until_ms: int, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[Listed], bool]:
        """Up to `limit` of what `listed` has, the newest first, after one's notify_time and id; whether it is the rest.

        One call: it may be fewer than `limit` though more are there.
        """
        if since_ms >= until_ms:
            return [], True
        request = self._listed_query(app_id, since_ms, until_ms)
        request |= {"ScanIndexForward": False, "Limit": limit}
        if after is not None:
            request["ExclusiveStartKey"] = {
                "notify_id": {"S": after[1]},
                "app_id": {"S": app_id},
                "notify_time": {"N": str(after[0])},
            }
        answer = self._dynamodb.query(**request)
        return list(map(_listed, answer["Items"])), "LastEvaluatedKey" not in answer

    def redeliver(self, notify_id: str, app_id: str, attempt_count: int, now_ms: int, *, hold: bool) -> bool:
        """Plans the next attempt for now and begins the schedule anew, whatever the status.

        The pending attempt is replaced: the same attempt number, another time. `hold` leaves it to be released at a
        pace; else the caller sends the message. False where an attempt is under way or was made meanwhile.
        """
        status = "held" if hold else "retrying" if attempt_count else "pending"
        try:
            self._dynamodb.update_item(
                TableName=self._table,
                Key={"notify_id": {"S": notify_id}},
                UpdateExpression=(
                    "SET #status = :status, next_attempt_at = :now, schedule_from = :before, due_shard = :shard,"
                    " due_at = :due REMOVE expires_at, lease_until"
                ),
                ConditionExpression=(
                    "attempt_count = :before"  # no attempt was made since it was read
                    " AND (attribute_not_exists(lease_until) OR lease_until < :now)"  # and none is under way
                ),
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":status": {"S": status},
                    ":now": {"N": str(now_ms)},
                    ":before": {"N": str(attempt_count)},
                    ":shard": {"S": _held(app_id) if hold else _shard(notify_id)},
                    ":due": {"N": str(now_ms if hold else now_ms + SWEEP_GRACE_MS)},
                },
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    # ---------------------------------------------------------------------------------------------- the breakers

    def breaker(self, app_id: str) -> Breaker:
        item = self._get(_BREAKER + app_id)
        return Breaker(app_id) if item is None else _breaker(app_id, item)

    def change_breaker(self, seen: Breaker, changed: Breaker) -> Breaker | None:
        """Stores `changed` in the place of `seen`; None where it is no longer what is stored."""
        if changed == seen:
            return seen
        changed = replace(changed, version=seen.version + 1)
        request: PutItemInputTypeDef = {"TableName": self._table, "Item": _breaker_item(changed)}
        if seen.version:
            request["ConditionExpression"] = "version = :seen"
            request["ExpressionAttributeValues"] = {":seen": {"N": str(seen.version)}}
        else:
            request["ConditionExpression"] = "attribute_not_exists(notify_id)"
        try:
            self._dynamodb.put_item(**request)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return changed

    # ------------------------------------------------------------------------------------------------- the table

    def _get(self, key: str) -> "Item | None":
        return self._dynamodb.get_item(TableName=self._table, Key={"notify_id": {"S": key}}, ConsistentRead=True).get(
            "Item"
        )

    def _count(self, shard: str, at_most: int) -> int:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="due-index",
            KeyConditionExpression="due_shard = :shard",
            ExpressionAttributeValues={":shard": {"S": shard}},
            Select="COUNT",
        )
        counted = 0
        for page in pages:
            counted += page["Count"]
            if counted >= at_most:
                return at_most
        return counted

    def _entries(self, shard: str) -> "Iterator[list[Item]]":
        """A shard of the due index, due or not, by DynamoDB's pages."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="due-index",
            KeyConditionExpression="due_shard = :shard",
            ExpressionAttributeValues={":shard": {"S": shard}},
            ProjectionExpression="notify_id, app_id, due_shard, notify_time, next_attempt_at",
        )
        return (page["Items"] for page in pages)

    def _listed_query(self, app_id: str, since_ms: int, until_ms: int) -> "QueryInputTypeDef":
        return {
            "TableName": self._table,
            "IndexName": "app_id-notify_time-index",
            "KeyConditionExpression": "app_id = :app AND notify_time BETWEEN :since AND :last",
            "ExpressionAttributeValues": {
                ":app": {"S": app_id},
                ":since": {"N": str(since_ms)},
                ":last": {"N": str(until_ms - 1)},
            },
        }

    def _due_items(self, shard: str, now_ms: int, limit: int) -> "list[Item]":
        return self._dynamodb.query(
            TableName=self._table,
            IndexName="due-index",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues={":shard": {"S": shard}, ":now": {"N": str(now_ms)}},
            Limit=limit,
        )["Items"]

    def _finish(self, claim: Claim, attempt: Attempt, status: Status, expires_at_seconds: int, listed: "Item") -> bool:
        meaningless = ("next_attempt_at", "due_shard", "due_at", "schedule_from")
        ended = tuple(name for name in meaningless if name not in listed)
        facts: Item = {"expires_at": {"N": str(expires_at_seconds)}, **listed}
        return self._record(claim, attempt, status, facts, ended=ended)

    def _record(
        self, claim: Claim, attempt: Attempt, status: Status, facts: "Item", *, ended: tuple[str, ...] = ()
    ) -> bool:
        """One attempt more, with what follows of it; `ended` names what has no meaning any more."""
        facts = {"status": {"S": status}, "attempt_count": {"N": str(claim.attempt_number)}, **facts}
        ended = ("lease_until", *ended)
        if attempt.error_class is None:
            ended = ("error_class", *ended)
        else:
            facts["error_class"] = {"S": attempt.error_class}
        return self._update_claimed(
            claim,
            "SET attempts = list_append(attempts, :attempt), "
            + ", ".join(f"{'#status' if name == 'status' else name} = :{name}" for name in facts)
            + f" REMOVE {', '.join(ended)}",
            {":attempt": {"L": [_attempt_item(attempt)]}, **{f":{name}": value for name, value in facts.items()}},
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
    if "notify_event" not in image or image["status"]["S"] != "pending":
        return None
    return Message(image["notify_id"]["S"], image["app_id"]["S"], int(image["attempt_count"]["N"]) + 1)


def _shard(key: str) -> str:
    return str(zlib.crc32(key.encode()) % DUE_SHARDS)


def _held(app_id: str) -> str:
    """Out of the sweep's shards: what is held for days costs nothing, and is there in its order when it is released."""
    return f"{_HELD}{app_id}"


def _dead(app_id: str) -> str:
    """Out of the sweep's shards too: so many an app has, whatever else it was told."""
    return f"dead#{app_id}"


def _new_item(notification: Notification, status: Status, planned_ms: int, due_shard: str, due_at_ms: int) -> "Item":
    return {
        "notify_id": {"S": notification.notify_id},
        "app_id": {"S": notification.app_id},
        "notify_event": {"S": notification.event},
        "notify_time": {"N": str(notification.notify_time_ms)},
        "body": {"S": notification.body},
        "status": {"S": status},
        "attempt_count": {"N": "0"},
        "attempts": {"L": []},
        "next_attempt_at": {"N": str(planned_ms)},
        "due_shard": {"S": due_shard},
        "due_at": {"N": str(due_at_ms)},
    }


def _due(item: "Item") -> Due | BreakerDue:
    key, due_at_ms = item["notify_id"]["S"], int(item["due_at"]["N"])
    if key.startswith(_BREAKER):
        return BreakerDue(key.removeprefix(_BREAKER), due_at_ms)
    return Due(
        key, item["app_id"]["S"], int(item["attempt_count"]["N"]) + 1, int(item["next_attempt_at"]["N"]), due_at_ms
    )


def _listed(item: "Item") -> Listed:
    return Listed(
        item["notify_id"]["S"],
        item["app_id"]["S"],
        item["notify_event"]["S"],
        int(item["notify_time"]["N"]),
        _status(item),
        int(item["attempt_count"]["N"]),
        item["error_class"]["S"] if "error_class" in item else None,
    )


def _stored(item: "Item") -> Stored:
    return Stored(
        _notification(item),
        _status(item),
        tuple(_attempt(attempt["M"]) for attempt in item["attempts"]["L"]),
        int(item["next_attempt_at"]["N"]) if "next_attempt_at" in item else None,
        int(item["lease_until"]["N"]) if "lease_until" in item else None,
    )


def _status(item: "Item") -> Status:
    return next(status for status in STATUSES if status == item["status"]["S"])


def _notification(item: "Item") -> Notification:
    return Notification(
        item["notify_id"]["S"],
        item["app_id"]["S"],
        item["notify_event"]["S"],
        int(item["notify_time"]["N"]),
        item["body"]["S"],
    )


def _attempt_item(attempt: Attempt) -> "AttributeValueTypeDef":
    item: Item = {"at": {"N": str(attempt.started_at_ms)}, "duration_ms": {"N": str(attempt.duration_ms)}}
    if attempt.http_status is not None:
        item["http_status"] = {"N": str(attempt.http_status)}
    if attempt.ret_code is not None:
        item["ret_code"] = {"N": str(attempt.ret_code)}
    if attempt.error is not None:
        item["error"] = {"S": attempt.error}
    if attempt.error_class is not None:
        item["error_class"] = {"S": attempt.error_class}
    return {"M": item}


def _attempt(item: "Mapping[str, AttributeValueTypeDef]") -> Attempt:
    return Attempt(
        int(item["at"]["N"]),
        int(item["duration_ms"]["N"]),
        int(item["http_status"]["N"]) if "http_status" in item else None,
        int(item["ret_code"]["N"]) if "ret_code" in item else None,
        item["error"]["S"] if "error" in item else None,
        item["error_class"]["S"] if "error_class" in item else None,
    )


def _breaker(app_id: str, item: "Item") -> Breaker:
    return Breaker(
        app_id,
        item["trusted"]["BOOL"],
        _number(item, "failures"),
        _number(item, "openings"),
        _number(item, "open_until"),
        _number(item, "trial_until"),
        _number(item, "patience_ms") or PATIENCE_MS,
        _number(item, "held_at"),
        _number(item, "due_at"),
        _number(item, "version"),
    )


def _breaker_item(breaker: Breaker) -> "Item":
    """What is 0 is left out; so is the shard of a breaker that nobody is to look after."""
    numbers = {
        "failures": breaker.failures,
        "openings": breaker.openings,
        "open_until": breaker.open_until_ms,
        "trial_until": breaker.trial_until_ms,
        "patience_ms": breaker.patience_ms,
        "held_at": breaker.held_at_ms,
        "due_at": breaker.look_at_ms,
        "version": breaker.version,
    }
    item: Item = {"notify_id": {"S": _BREAKER + breaker.app_id}, "trusted": {"BOOL": breaker.trusted}}
    item |= {name: {"N": str(number)} for name, number in numbers.items() if number}
    if breaker.look_at_ms:
        item["due_shard"] = {"S": _shard(breaker.app_id)}
    return item


def _number(item: "Item", name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
