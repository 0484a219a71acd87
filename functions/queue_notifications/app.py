"""The ledger's stream: tells the queue of each new notification at once.

A batch that fails raises and comes again whole; a message that is sent twice ends quietly at the claim.
"""

from settlement import clients
from settlement.door import Door, Event, background
from settlement.ledger import new_notification
from settlement.queue import NotificationQueue

door = Door("queue_notifications")
queue = NotificationQueue(clients.sqs(), door.settings.notification_queue_url)


@background(door)
def handler(event: Event) -> None:
    messages = [message for record in event["Records"] if (message := new_notification(record)) is not None]
    queue.send(messages)
    door.log.info("queued", extra={"door": door.name, "records": len(event["Records"]), "messages": len(messages)})
