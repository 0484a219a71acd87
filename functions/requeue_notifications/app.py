"""Every minute: sends what is due and was not sent, whatever the stream, the queue or a crash swallowed.

Then it counts what waits, for the alarms and the dashboard.
"""

from collections import deque
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from settlement import clients
from settlement.breaker import FIRST_PACE
from settlement.clock import now_ms
from settlement.door import Door, Event, background
from settlement.ledger import DUE_SHARDS, SWEEP_GRACE_MS, BreakerDue, Due, Ledger, Message
from settlement.queue import NotificationQueue, Release

door = Door("requeue_notifications")
ledger = Ledger(clients.dynamodb(), door.settings.notification_table)
queue = NotificationQueue(clients.sqs(), door.settings.notification_queue_url)

PAGE = 100
SWEEP_MS = 40_000  # within the function's timeout; what is left is the next minute's
COUNT_UNTIL_MS = 45_000  # likewise; what was not seen till then is not in the figures


@background(door)
def handler(_: Event) -> None:
    started_ms = now_ms()
    sent = oldest_ms = 0
    shards = deque(range(DUE_SHARDS))
    while shards and now_ms() < started_ms + SWEEP_MS:
        shard = shards.popleft()
        if not (page := ledger.due(shard, started_ms, limit=PAGE)):
            continue
        shards.append(shard)  # one page of each in turn: no shard waits for another's backlog
        # Due again in a minute before it is sent: a crash in between costs a minute, not the notification.
        ours = [due for due in page if ledger.postpone(due, now_ms() + SWEEP_GRACE_MS)]
        queue.send([message_of(due) for due in ours])
        sent += sum(isinstance(due, Due) for due in ours)
        waited_ms = [started_ms - due.next_attempt_at_ms for due in page if isinstance(due, Due)]
        oldest_ms = max([oldest_ms, *waited_ms])
    door.count("NotificationsRequeued", sent)
    door.metrics.add_metric("OldestOverdueSeconds", MetricUnit.Seconds, oldest_ms / 1000)
    counted = count_outstanding(started_ms)
    door.log.info("swept", extra={"door": door.name, "sent": sent, "oldest_ms": oldest_ms, **counted})


def count_outstanding(started_ms: int) -> dict[str, Any]:
    """For the alarms; of a backlog that is not counted in time, at least so much."""
    found = ledger.outstanding(lambda: now_ms() < started_ms + COUNT_UNTIL_MS)
    held = sum(found.held.values())
    oldest_ms = 0 if found.oldest_notify_time_ms is None else max(0, started_ms - found.oldest_notify_time_ms)
    door.count("NotificationsWaitingNow", found.waiting)
    door.count("NotificationsHeldNow", held)
    door.metrics.add_metric("OldestUndeliveredSeconds", MetricUnit.Seconds, oldest_ms / 1000)
    return {"waiting": found.waiting, "held": held, "undelivered_ms": oldest_ms, "counted_all": found.complete}


def message_of(due: Due | BreakerDue) -> Message | Release:
    match due:
        case BreakerDue(app_id):
            return Release(app_id, FIRST_PACE)
        case Due(notify_id, app_id, attempt_number):
            return Message(notify_id, app_id, attempt_number)
