"""One message's way: claim the attempt, ask the breaker, sign, send, judge, record, plan the next, tell the breaker.

    claim refused      duplicate, early, under way or done: ends quietly
    app disabled, or   held: no attempt is spent; released when the app is enabled or its breaker lets it through
      breaker blocks
    Delivered          recorded; the end
    Retry              recorded with the next attempt's time; within 900 s the queue brings it, later the sweep alone
    GivenUp, last one  recorded as dead; waits to be redelivered by hand
    we fail            raises: the message goes back to SQS, the receiver's attempt is not spent

Once an attempt is recorded nothing raises: what the queue does not take, the sweep brings.

What is held waits in the ledger. A release takes the longest waiting of an app: one while the app is on trial, whose
end calls for the next; else a growing number each second until none is left. Source: DESIGN section 4.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from botocore.exceptions import BotoCoreError, ClientError

from settlement.apps import App, AppRegistry
from settlement.breaker import FIRST_PACE, HELD_LATELY_MS, LAST_PACE, SETTLED_MS, Breaker
from settlement.delivery import DOWN, Delivered, GivenUp, Judgement, Retry, Send, judge, retry_wait_ms, signed_request
from settlement.keyring import Keyring
from settlement.ledger import SWEEP_GRACE_MS, Claim, Ledger, Message
from settlement.queue import MAX_DELAY_SECONDS, NotificationQueue, NotSent, Release

DISABLED_LOOK_MS: Final = 300_000
"""How soon it is asked again whether a disabled app is enabled."""
_LATE_MS = 5000
"""How long after its time a release is left to the queue before the sweep sees to it."""
_TRIES = 20
_ROUND_SECONDS = 1

type Result = Literal["duplicate", "held", "delivered", "retrying", "dead", "lease lost", "released"]


class Contended(Exception):
    """A breaker's row changed at every try."""


@dataclass(frozen=True, slots=True)
class Trip:
    """What became of one message; the deliveries' log line and metrics are made of it."""

    result: Result
    app_id: str = ""
    notify_id: str = ""
    attempt_number: int | None = None
    http_status: int | None = None
    error: str | None = None
    error_class: str | None = None
    duration_ms: int | None = None
    age_ms: int | None = None
    """From the settlement to the end of this attempt."""
    opened: bool | None = None
    """Whether this attempt opened the app's breaker."""
    released: int | None = None
    """How many held notifications a release let go."""
    fault: str | None = None
    """What of ours failed after the attempt was recorded; the sweep makes up for it."""

    def facts(self) -> dict[str, Any]:
        """For the log line: what is known."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


@dataclass(slots=True)
class UnderWay:
    """An attempt that waits for its answer."""

    breaker: Breaker
    """As last seen."""
    started_at_ms: int


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
    under_way: dict[str, UnderWay] = field(default_factory=dict)
    """By notify_id; the courier's own."""

    def deliver(self, notify_id: str, attempt_number: int) -> Trip:
        """One attempt, if it is to be made now."""
        claim = self.ledger.claim(notify_id, attempt_number, self.clock_ms())
        if claim is None:
            return Trip("duplicate", "", notify_id, attempt_number)
        app_id = claim.notification.app_id
        app = self.apps.find(app_id)
        breaker = self._admitted(app_id, app)
        if breaker is None:
            return Trip("held" if self.ledger.hold(claim) else "lease lost", app_id, notify_id, attempt_number)
        started_ms = self.clock_ms()
        self.under_way[notify_id] = UnderWay(breaker, started_ms)
        try:
            judgement = self._attempted(claim, app, started_ms)
        finally:
            self.under_way.pop(notify_id, None)
        ended_ms = self.clock_ms()
        result, fault = self._record(claim, judgement, started_ms, ended_ms)
        opened = None
        try:
            opened, release = self._tell(breaker, judgement, ended_ms - started_ms, ended_ms)
            if release is not None:
                self.queue.send([release])
        except (BotoCoreError, ClientError, Contended, NotSent) as error:
            fault = type(error).__name__
        return Trip(
            result,
            app_id,
            notify_id,
            attempt_number,
            judgement.http_status,
            judgement.error,
            judgement.error_class,
            ended_ms - started_ms,
            ended_ms - claim.notification.notify_time_ms,
            opened,
            fault=fault,
        )

    def doubt_the_slow(self) -> None:
        """Puts on trial whoever lets an attempt wait longer than its patience. For who waits for this process's own."""
        now_ms = self.clock_ms()
        for attempt in list(self.under_way.values()):
            seen = attempt.breaker
            if not seen.trusted or now_ms - attempt.started_at_ms <= seen.patience_ms:
                continue
            doubted = self.ledger.change_breaker(seen, seen.doubted(attempt.started_at_ms))
            attempt.breaker = self.ledger.breaker(seen.app_id) if doubted is None else doubted

    def release(self, app_id: str, pace: int) -> Trip:
        """Lets go up to `pace` of an app's held notifications, if they may be sent now, and sees to the rest."""
        now_ms = self.clock_ms()
        app = self.apps.find(app_id)
        breaker = self.ledger.breaker(app_id)
        if not breaker.held_at_ms:
            return Trip("released", app_id, released=0)
        if (look_at_ms := _look_at_ms(app, breaker, now_ms)) is not None:
            self._look_again(breaker, look_at_ms)
            return Trip("released", app_id, released=0)
        held = self.ledger.held(app_id, now_ms, pace if breaker.trusted else 1)
        released = [due for due in held if self.ledger.release(due, now_ms + SWEEP_GRACE_MS)]
        self.queue.send([Message(due.notify_id, due.app_id, due.attempt_number) for due in released])
        if held or now_ms - breaker.held_at_ms < SETTLED_MS:
            self._look_again(breaker, now_ms + SWEEP_GRACE_MS)
        else:
            self.ledger.change_breaker(breaker, breaker.holds_nothing())
        if held and breaker.trusted:
            self.queue.send([Release(app_id, min(2 * pace, LAST_PACE), _ROUND_SECONDS)])
        elif not held and now_ms - breaker.held_at_ms < 2 * HELD_LATELY_MS:  # the index may not have it yet
            self.queue.send([Release(app_id, FIRST_PACE, _ROUND_SECONDS)])
        return Trip("released", app_id, released=len(released))

    # ---------------------------------------------------------------------------------------------- an attempt

    def _admitted(self, app_id: str, app: App | None) -> Breaker | None:
        """The breaker that lets an attempt through now. None: it is to be held, and the breaker's row says so."""
        for _ in range(_TRIES):
            now_ms, seen = self.clock_ms(), self.ledger.breaker(app_id)
            if (look_at_ms := _look_at_ms(app, seen, now_ms)) is None:
                admitted = seen if seen.trusted else self.ledger.change_breaker(seen, seen.on_trial(now_ms))
                if admitted is not None:
                    return admitted
                continue
            if self.ledger.change_breaker(seen, seen.holding(now_ms, look_at_ms)) is not None:
                return None
        raise Contended(app_id)

    def _attempted(self, claim: Claim, app: App | None, now_ms: int) -> Judgement:
        if app is None or app.notify_url is None:
            return Judgement(GivenUp("app has no notify_url", "refused"))
        request = signed_request(claim.notification, app, self.keyring, app.notify_url, now_ms, self.nonce())
        return judge(self.send(request))

    def _record(self, claim: Claim, judgement: Judgement, started_ms: int, ended_ms: int) -> tuple[Result, str | None]:
        attempt = judgement.attempt(started_ms, ended_ms - started_ms)
        if isinstance(judgement.outcome, Delivered):
            return "delivered" if self.ledger.record_delivered(claim, attempt, ended_ms) else "lease lost", None
        wait_ms = None
        if isinstance(judgement.outcome, Retry):
            failures = claim.attempt_number - claim.schedule_from
            wait_ms = retry_wait_ms(failures, judgement.outcome, self.jitter(), ended_ms)
        if wait_ms is None:
            return "dead" if self.ledger.record_dead(claim, attempt, ended_ms) else "lease lost", None
        # A wait that SQS cannot delay lives in the ledger alone: in-flight messages are a limited resource.
        delay_seconds = math.ceil(wait_ms / 1000)
        queued = delay_seconds <= MAX_DELAY_SECONDS
        if not self.ledger.record_retry(claim, attempt, ended_ms + wait_ms, queued=queued):
            return "lease lost", None
        if queued:
            notification = claim.notification
            again = Message(notification.notify_id, notification.app_id, claim.attempt_number + 1, delay_seconds)
            try:
                self.queue.send([again])
            except NotSent as error:
                return "retrying", type(error).__name__
        return "retrying", None

    # --------------------------------------------------------------------------------------------- the breaker

    def _tell(self, seen: Breaker, judgement: Judgement, duration_ms: int, now_ms: int) -> tuple[bool, Release | None]:
        """Tells the breaker what an attempt found. Whether it opened, and the release that what is held goes on by."""
        for _ in range(_TRIES):
            after = _after(seen, judgement, duration_ms, now_ms)
            if after == seen:
                return False, None
            if self.ledger.change_breaker(seen, after) is not None:
                break
            seen = self.ledger.breaker(seen.app_id)
        else:
            raise Contended(seen.app_id)
        if after.openings > seen.openings:
            open_seconds = math.ceil((after.open_until_ms - now_ms) / 1000)
            return True, Release(seen.app_id, FIRST_PACE, open_seconds)
        if after.held_at_ms and not seen.trusted:  # a trial has ended: the next, or all of them
            return False, Release(seen.app_id, FIRST_PACE)
        return False, None

    def _look_again(self, seen: Breaker, at_ms: int) -> None:
        """Where the row changed meanwhile, whoever changed it saw that something is held."""
        self.ledger.change_breaker(seen, seen.looking_again(at_ms))


def _after(seen: Breaker, judgement: Judgement, duration_ms: int, now_ms: int) -> Breaker:
    if judgement.error_class in DOWN:
        return seen.failed(duration_ms, now_ms)
    return seen.passed() if judgement.error_class == "refused" else seen.answered(duration_ms)


def _look_at_ms(app: App | None, breaker: Breaker, now_ms: int) -> int | None:
    """When to ask again whether an app may be sent to. None: it may, now.

    An app that is gone or has no URL is no reason to wait: its notifications are given up.
    """
    if app is not None and not (app.enabled and app.versions_in_use(now_ms)):
        return now_ms + DISABLED_LOOK_MS
    if breaker.blocks(now_ms):
        return max(breaker.open_until_ms, breaker.trial_until_ms) + _LATE_MS
    return None
