"""One message's way: claim the attempt, sign, send, judge, record, plan the next.

    claim refused      duplicate, early, under way or done: ends quietly
    app disabled       held: no attempt is spent, asked again in 5 minutes
    Delivered          recorded; the end
    Retry              recorded with the next attempt's time; within 900 s the queue brings it, later the sweep alone
    GivenUp, last one  recorded as dead; waits to be redelivered by hand
    we fail            raises: the message goes back to SQS, the receiver's attempt is not spent

Once an attempt is recorded nothing raises: what the queue does not take, the sweep brings. Source: DESIGN section 4.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from settlement.apps import AppRegistry
from settlement.delivery import (
    Delivered,
    GivenUp,
    Judgement,
    Retry,
    Send,
    judge,
    retry_wait_ms,
    signed_request,
)
from settlement.keyring import Keyring
from settlement.ledger import Claim, Ledger, Message
from settlement.queue import MAX_DELAY_SECONDS, NotificationQueue, NotSent

HOLD_MS: Final = 5 * 60 * 1000
"""How soon a held notification is asked after again."""

type Result = Literal["duplicate", "held", "delivered", "retrying", "retrying, not queued", "dead", "lease lost"]


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of one message; the deliveries' log line and metrics are made of it."""

    notify_id: str
    attempt_number: int
    result: Result
    app_id: str = ""
    http_status: int | None = None
    error: str | None = None
    duration_ms: int = 0
    age_ms: int = 0
    """From the settlement to the end of this attempt."""

    def facts(self) -> dict[str, Any]:
        """For the log line: what is known."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True, slots=True)
class Courier:
    ledger: Ledger
    queue: NotificationQueue
    apps: AppRegistry
    keyring: Keyring
    send: Send
    clock_ms: Callable[[], int]
    nonce: Callable[[], str]
    jitter: Callable[[], float]
    """In [0, 1)."""

    def deliver(self, notify_id: str, attempt_number: int) -> Trip:
        started_ms = self.clock_ms()
        claim = self.ledger.claim(notify_id, attempt_number, started_ms)
        if claim is None:
            return Trip(notify_id, attempt_number, "duplicate")
        notification = claim.notification
        app = self.apps.find(notification.app_id)
        if app is not None and not (app.enabled and app.versions_in_use(started_ms)):
            held = self.ledger.hold(claim, started_ms + HOLD_MS)
            return Trip(notify_id, attempt_number, "held" if held else "lease lost", notification.app_id)
        if app is None or app.notify_url is None:
            judgement = Judgement(GivenUp("app has no notify_url"))
        else:
            request = signed_request(notification, app, self.keyring, app.notify_url, started_ms, self.nonce())
            judgement = judge(self.send(request))
        ended_ms = self.clock_ms()
        return Trip(
            notify_id,
            attempt_number,
            self._record(claim, judgement, started_ms, ended_ms),
            notification.app_id,
            judgement.http_status,
            None if isinstance(judgement.outcome, Delivered) else judgement.outcome.error,
            ended_ms - started_ms,
            ended_ms - notification.notify_time_ms,
        )

    def _record(self, claim: Claim, judgement: Judgement, started_ms: int, ended_ms: int) -> Result:
        attempt = judgement.attempt(started_ms, ended_ms - started_ms)
        wait_ms = None
        if isinstance(judgement.outcome, Retry):
            wait_ms = retry_wait_ms(claim.attempt_number, judgement.outcome, self.jitter())
        if isinstance(judgement.outcome, Delivered):
            return "delivered" if self.ledger.record_delivered(claim, attempt, ended_ms) else "lease lost"
        if wait_ms is None:
            return "dead" if self.ledger.record_dead(claim, attempt, ended_ms) else "lease lost"
        if not self.ledger.record_retry(claim, attempt, ended_ms + wait_ms):
            return "lease lost"
        try:
            self._queue_next(claim, wait_ms)
        except NotSent:
            return "retrying, not queued"
        return "retrying"

    def _queue_next(self, claim: Claim, wait_ms: int) -> None:
        """A wait that SQS cannot delay lives in the ledger alone: in-flight messages are a limited resource."""
        delay_seconds = math.ceil(wait_ms / 1000)
        if delay_seconds <= MAX_DELAY_SECONDS:
            notification = claim.notification
            self.queue.send(
                [Message(notification.notify_id, notification.app_id, claim.attempt_number + 1, delay_seconds)]
            )
