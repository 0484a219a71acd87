"""Telling an app again: one notification now, or many at the drain's pace. The ids and bytes stay what they were.

A redelivery replaces the attempt that is planned, it never adds one: the attempt's number stays, and claiming it lets
only one through. The schedule begins anew.
"""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final, Literal, NamedTuple

from settlement.apps import App, AppRegistry
from settlement.breaker import Breaker
from settlement.clock import now_ms
from settlement.draining import AT_ONCE, CHUNK, CLOCKS_APART_MS, Drain, sent, try_at_once
from settlement.ledger import STATUSES, Ledger, Listed, Message, Stored
from settlement.notifications import CLUB_SETTLED, GAME_SETTLED
from settlement.queue import NotificationQueue

EVENTS: Final = (GAME_SETTLED, CLUB_SETTLED)
_TRIES: Final = 5

type Outcome = Literal["held", "under way", "changed"]
"""held: it is to go out; changed: it is not any more what was asked for."""
type WhyHeld = Literal["app_disabled", "no_secret", "breaker_open"]


class Cursor(NamedTuple):
    """A place in a list of notifications: after this one."""

    notify_time_ms: int
    notify_id: str

    @classmethod
    def of(cls, listed: Listed) -> "Cursor":
        return cls(listed.notify_time_ms, listed.notify_id)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of an app's notifications are meant: of settlements in [since, until)."""

    app_id: str
    since_ms: int
    until_ms: int
    statuses: Collection[str] = STATUSES
    error_classes: Collection[str] = ()
    """Of the last attempt; none given: any, and none."""
    event: str | None = None
    after: Cursor | None = None

    def takes(self, listed: Listed) -> bool:
        return (
            listed.status in self.statuses
            and (not self.error_classes or listed.error_class in self.error_classes)
            and (self.event is None or listed.event == self.event)
            and (self.after is None or Cursor.of(listed) > self.after)
        )


def selected(ledger: Ledger, selection: Selection) -> Iterator[Listed]:
    """The oldest first; of one moment by notify_id, an order that the index does not promise and a cursor needs."""
    for together in _moments(ledger, selection):
        yield from filter(selection.takes, together)


@dataclass(slots=True)
class Count:
    """How many notifications a selection has, so far."""

    by_status: Counter[str] = field(default_factory=Counter)
    by_class: Counter[str] = field(default_factory=Counter)
    """By the class of the last attempt's error; "none" where it had none."""
    reached_ms: int | None = None
    """All of settlements until then, inclusive, are counted; None: all are."""

    @property
    def matched(self) -> int:
        return self.by_status.total()


def count(ledger: Ledger, selection: Selection, goes_on: Callable[[], bool] = lambda: True) -> Count:
    """Counts a selection, until its end or until it is to go on no more. Writes nothing."""
    counted = Count()
    for together in _moments(ledger, selection):
        for listed in filter(selection.takes, together):
            counted.by_status[listed.status] += 1
            counted.by_class[listed.error_class or "none"] += 1
        if not goes_on():
            counted.reached_ms = together[-1].notify_time_ms
            break
    return counted


def _moments(ledger: Ledger, selection: Selection) -> Iterator[list[Listed]]:
    """All of the app's in the range, whatever their status: those of one moment together, by notify_id."""
    since_ms = selection.since_ms
    if selection.after is not None:
        since_ms = max(since_ms, selection.after.notify_time_ms)
    listed = ledger.listed(selection.app_id, since_ms, selection.until_ms)
    for _, together in groupby(listed, key=lambda entry: entry.notify_time_ms):
        yield sorted(together, key=lambda entry: entry.notify_id)


def why_held(app: App | None, breaker: Breaker, at_ms: int) -> WhyHeld | None:
    """Why what is held for an app goes on being held; None where its turn comes by itself."""
    if app is not None and not app.enabled:
        return "app_disabled"
    if app is not None and not app.versions_in_use(at_ms):
        return "no_secret"
    if breaker.is_open(at_ms):
        return "breaker_open"
    return None


# ----------------------------------------------------------------------------------------------------------- one


@dataclass(frozen=True, slots=True)
class Redelivered:
    stored: Stored
    """As it was before."""
    app: App
    not_sent: str | None
    """Why the queue did not take the message, where it did not; the sweep makes up for it."""

    @property
    def attempt_number(self) -> int:
        return len(self.stored.attempts) + 1


@dataclass(frozen=True, slots=True)
class NotRedelivered:
    """Nothing was changed."""

    why: Literal["unknown", "delivered", "no app", "no receiver", "under way", "just made"]
    app_id: str = ""
    """Where the notification is known."""


def redeliver(
    ledger: Ledger, queue: NotificationQueue, apps: AppRegistry, notify_id: str, *, again: bool
) -> Redelivered | NotRedelivered:
    """Plans the next attempt for now and sends for it; `again`: although it was delivered. Raises BreakerContended."""
    stored = ledger.find(notify_id)
    if stored is None:
        return NotRedelivered("unknown")
    app_id = stored.notification.app_id
    if stored.status == "delivered" and not again:
        return NotRedelivered("delivered", app_id)
    app = apps.read(app_id)
    if app is None or app.notify_url is None:
        return NotRedelivered("no app" if app is None else "no receiver", app_id)
    planned_ms, attempt_count = now_ms() - CLOCKS_APART_MS, len(stored.attempts)
    if not ledger.redeliver(notify_id, app_id, attempt_count, planned_ms, hold=False):
        seen = ledger.find(notify_id)
        under_way = seen is not None and len(seen.attempts) == attempt_count
        return NotRedelivered("under way" if under_way else "just made", app_id)
    try_at_once(ledger, app_id)
    return Redelivered(stored, app, sent(queue, Message(notify_id, app_id, attempt_count + 1)))


# ---------------------------------------------------------------------------------------------------------- many


@dataclass(slots=True)
class Replay:
    """What became of a replay so far."""

    held: int = 0
    under_way: int = 0
    changed: int = 0
    cursor: Cursor | None = None
    """All up to there are done."""
    finished: bool = False
    not_sent: str | None = None

    @property
    def done(self) -> int:
        return self.held + self.under_way + self.changed

    def count(self, outcome: Outcome) -> None:
        match outcome:
            case "held":
                self.held += 1
            case "under way":
                self.under_way += 1
            case "changed":
                self.changed += 1


@dataclass(frozen=True, slots=True)
class Replaying:
    ledger: Ledger
    queue: NotificationQueue
    selection: Selection
    at_most: int = sys.maxsize
    """How many are made held, at most."""
    mended: bool = True
    """Whether the operator says, at this moment, that the receiver is there again: an open breaker is tried at once."""

    def run(
        self,
        replay: Replay,
        progressed: Callable[[int], None] = lambda _: None,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """Makes the selected ones held and lets them go out, counting in `replay`, until it is to go on no more.

        However it ends, those up to the cursor are done; a run with this cursor goes on from there.
        """
        drain = Drain(self.ledger, self.queue, self.selection.app_id, mended=self.mended)
        waiting = selected(self.ledger, self.selection)
        try:
            with drain, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="replay") as pool:
                while chunk := list(islice(waiting, min(CHUNK, self.at_most - replay.held))):
                    drain.goes_on()
                    for outcome in list(pool.map(self._hold, chunk)):  # a chunk counts whole, as the cursor has it
                        replay.count(outcome)
                    replay.cursor = Cursor.of(chunk[-1])
                    progressed(replay.done)
                    if not goes_on():
                        return
                replay.finished = True
        finally:
            replay.not_sent = drain.not_sent

    def _hold(self, listed: Listed) -> Outcome:
        """The index may be behind: what it says is tried, and where the row knows better, that."""
        attempt_count = listed.attempt_count
        for _ in range(_TRIES):
            planned_ms = now_ms() - CLOCKS_APART_MS
            if self.ledger.redeliver(listed.notify_id, listed.app_id, attempt_count, planned_ms, hold=True):
                return "held"
            stored = self.ledger.find(listed.notify_id)
            if stored is None or stored.status not in self.selection.statuses:
                return "changed"
            if len(stored.attempts) == attempt_count:
                return "under way"
            attempt_count = len(stored.attempts)
        return "under way"
