"""The queue's messages: one signed attempt each, all of a batch in parallel; only our own faults go back to SQS."""

import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from settlement import clients
from settlement.clock import now_ms
from settlement.courier import Courier, Trip
from settlement.door import Door, Event, background
from settlement.ledger import Ledger
from settlement.queue import NotificationQueue, read_message
from settlement.sender import Sender

METRICS = {
    "delivered": "NotificationsDelivered",
    "retrying": "NotificationAttemptsFailed",
    "retrying, not queued": "NotificationAttemptsFailed",
    "dead": "NotificationsDead",
    "held": "NotificationsHeld",
}

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
threads = ThreadPoolExecutor(max_workers=10)


@background(door)
def handler(event: Event) -> dict[str, Any]:
    failures = []
    for record, trip in zip(event["Records"], threads.map(deliver, event["Records"]), strict=True):
        if isinstance(trip, Trip):
            report(trip)
        else:
            door.log.error("fault", extra={"door": door.name, "message_id": record["messageId"]}, exc_info=trip)
            door.count("Faults")
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def deliver(record: dict[str, Any]) -> Trip | Exception:
    try:
        return courier.deliver(*read_message(record["body"]))
    except Exception as fault:  # noqa: BLE001  # not its neighbours' fault: reported by the message's id
        return fault


def report(trip: Trip) -> None:
    door.log.info("attempt", extra={"door": door.name, **trip.facts()})
    if trip.result in METRICS:
        door.count(METRICS[trip.result])
    if trip.result == "retrying, not queued":
        door.count("Faults")
    if trip.result == "delivered":
        door.metrics.add_metric("DeliveryAgeMs", MetricUnit.Milliseconds, trip.age_ms)
