"""The queue's messages: one signed attempt each, all of a batch in parallel; only our own faults go back to SQS."""

import random
import secrets
import traceback
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import PurePath
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.exceptions import BotoCoreError, ClientError

from settlement import clients
from settlement.clock import now_ms
from settlement.courier import Courier, Trip
from settlement.door import Door, Event, background
from settlement.ledger import Ledger
from settlement.queue import MAX_RECEIVES, DeadLetterQueue, NotificationQueue, NotSent, Release, read_message
from settlement.sender import Sender

METRICS = {
    "delivered": "NotificationsDelivered",
    "retrying": "NotificationAttemptsFailed",
    "dead": "NotificationsDead",
    "held": "NotificationsHeld",
}
LOOK_SECONDS = 0.2

door = Door("deliver_notification")
courier = Courier(
    ledger=Ledger(clients.dynamodb(), door.settings.notification_table),
    queue=NotificationQueue(clients.sqs(), door.settings.notification_queue_url),
    apps=door.apps,
    keyring=door.keyring,
    send=Sender(allow_local=door.settings.allow_local_receivers).send,
    clock_ms=now_ms,
    nonce=lambda: secrets.token_hex(16),
    jitter=random.random,
)
dead_letters = DeadLetterQueue(clients.sqs(), door.settings.dead_letter_queue_url)
threads = ThreadPoolExecutor(max_workers=10)


@background(door)
def handler(event: Event) -> dict[str, Any]:
    trips = {threads.submit(deliver, record["body"]): record for record in event["Records"]}
    failures: set[str] = set()
    under_way: set[Future[Trip]] = set(trips)
    while under_way:
        ended, under_way = wait(under_way, LOOK_SECONDS)
        for trip in ended:
            if fault := trip.exception():
                failures |= failed(trips[trip], fault)
            else:
                report(trip.result())
        if under_way:
            doubt_the_slow()
    message_ids = [record["messageId"] for record in event["Records"]]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in message_ids if each in failures]}


def deliver(body: str) -> Trip:
    match read_message(body):
        case Release(app_id, pace):
            return courier.release(app_id, pace)
        case notify_id, attempt_number:
            return courier.deliver(notify_id, attempt_number)


def doubt_the_slow() -> None:
    """A doubt that cannot be stored costs no message: those under way go on, those that ended stay ended."""
    try:
        courier.doubt_the_slow()
    except (BotoCoreError, ClientError):
        door.log.exception("fault", extra={"door": door.name})
        door.count("Faults")


def failed(record: dict[str, Any], fault: BaseException) -> set[str]:
    """A fault of ours, which is not its neighbours': the message goes back by its id, and at last is given up."""
    message_id = record["messageId"]
    door.log.error("fault", extra={"door": door.name, "message_id": message_id}, exc_info=fault)
    door.count("Faults")
    if int(record["attributes"]["ApproximateReceiveCount"]) < MAX_RECEIVES:
        return {message_id}
    try:
        dead_letters.bury(record["body"], message_id, cause_of(fault))
    except NotSent:
        door.log.exception("fault", extra={"door": door.name, "message_id": message_id})
        return {message_id}
    return set()


def cause_of(fault: BaseException) -> str:
    """What and where; never its text, which may quote what it failed on."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {place.name}, {PurePath(place.filename).name}:{place.lineno}"


def report(trip: Trip) -> None:
    door.log.info("release" if trip.result == "released" else "attempt", extra={"door": door.name, **trip.facts()})
    if trip.result in METRICS:
        door.count(METRICS[trip.result])
    if trip.error_class is not None:
        failed_by_class(trip.error_class)
    if trip.opened:
        door.count("BreakersOpened")
    if trip.released:
        door.count("NotificationsReleased", trip.released)
    if trip.fault is not None:
        door.count("Faults")
    if trip.result == "delivered":
        door.metrics.add_metric("DeliveryAgeMs", MetricUnit.Milliseconds, trip.age_ms or 0)


def failed_by_class(error_class: str) -> None:
    with single_metric("AttemptsFailedByClass", MetricUnit.Count, 1) as metric:
        metric.add_dimension("class", error_class)
