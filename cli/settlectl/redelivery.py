"""Telling an app again: one notification now, or many at the drain's pace. The ids and bytes stay what they were.

A redelivery replaces the attempt that is planned, it never adds one: the attempt's number stays, and claiming it lets
only one through. The schedule begins anew.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched, groupby
from typing import Final, Literal, NamedTuple

from settlectl.deployment import Deployment
from settlectl.draining import AT_ONCE, CHUNK, CLOCKS_APART_MS, Drain, sent, try_at_once
from settlectl.failures import BadInput, CommandFailed
from settlement.apps import App
from settlement.breaker import Breaker
from settlement.clock import now_ms
from settlement.delivery import ERROR_CLASSES
from settlement.ledger import STATUSES, Ledger, Listed, Message, Stored
from settlement.notifications import CLUB_SETTLED, GAME_SETTLED

EVENTS: Final = (GAME_SETTLED, CLUB_SETTLED)
_TRIES: Final = 5

type Outcome = Literal["held", "under way", "changed"]
"""held: it is to go out; changed: it is not any more what was asked for."""


class Cursor(NamedTuple):
    """A place in a list of notifications: after this one."""

    notify_time_ms: int
    notify_id: str

    def __str__(self) -> str:
        return f"{self.notify_time_ms}/{self.notify_id}"

    @classmethod
    def of(cls, listed: Listed) -> "Cursor":
        return cls(listed.notify_time_ms, listed.notify_id)

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises BadInput."""
        time_ms, _, notify_id = text.partition("/")
        if not (time_ms.isascii() and time_ms.isdecimal() and len(time_ms) <= 15 and notify_id):
            raise BadInput(f"--after {text!r}: give what an interrupted replay printed")
        return cls(int(time_ms), notify_id)


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

    def __post_init__(self) -> None:
        """Raises BadInput."""
        _check("status", self.statuses, STATUSES)
        _check("error-class", self.error_classes, ERROR_CLASSES)
        if self.event is not None:
            _check("event", [self.event], EVENTS)

    def takes(self, listed: Listed) -> bool:
        return (
            listed.status in self.statuses
            and (not self.error_classes or listed.error_class in self.error_classes)
            and (self.event is None or listed.event == self.event)
            and (self.after is None or Cursor.of(listed) > self.after)
        )


def selected(ledger: Ledger, selection: Selection) -> Iterator[Listed]:
    """The oldest first; of one moment by notify_id, an order that the index does not promise and a cursor needs."""
    since_ms = selection.since_ms
    if selection.after is not None:
        since_ms = max(since_ms, selection.after.notify_time_ms)
    listed = ledger.listed(selection.app_id, since_ms, selection.until_ms)
    for _, together in groupby(listed, key=lambda entry: entry.notify_time_ms):
        yield from filter(selection.takes, sorted(together, key=lambda entry: entry.notify_id))


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


def find(deployment: Deployment, notify_id: str) -> Stored:
    """Raises BadInput, CommandFailed."""
    if len(notify_id) != 64 or not set(notify_id) <= set("0123456789abcdef"):
        raise BadInput(f"{notify_id!r} is no notify_id: it has 64 hex digits, in lower case")
    stored = deployment.ledger.find(notify_id)
    if stored is None:
        raise CommandFailed(
            f"there is no notification {notify_id}; they are kept for 30 days once delivered, for 90 once dead"
        )
    return stored


def redeliver(deployment: Deployment, notify_id: str, *, again: bool) -> Redelivered:
    """Plans the next attempt for now and sends for it. Raises BadInput, CommandFailed, NoSuchApp."""
    stored = find(deployment, notify_id)
    if stored.status == "delivered" and not again:
        raise CommandFailed("it was delivered, the receiver has acknowledged it; --again tells it once more")
    app = app_with_url(deployment, stored.notification.app_id)
    planned_ms, attempt_count = now_ms() - CLOCKS_APART_MS, len(stored.attempts)
    if not deployment.ledger.redeliver(notify_id, app.app_id, attempt_count, planned_ms, hold=False):
        what = "is under way" if _attempts(deployment, notify_id) == attempt_count else "was made this moment"
        raise CommandFailed(f"an attempt {what}; nothing was changed. See: settlectl notifications show {notify_id}")
    try_at_once(deployment, app.app_id)
    return Redelivered(stored, app, sent(deployment, Message(notify_id, app.app_id, attempt_count + 1)))


def _attempts(deployment: Deployment, notify_id: str) -> int:
    return len(find(deployment, notify_id).attempts)


def app_with_url(deployment: Deployment, app_id: str) -> App:
    """Raises NoSuchApp, and CommandFailed where the app is told nowhere."""
    app = deployment.app(app_id)
    if app.notify_url is None:
        raise CommandFailed(
            f"app {app_id} has no notify_url; set one: settlectl app update --app-id {app_id} --notify-url URL"
        )
    return app


def why_it_waits(app: App | None, breaker: Breaker, at_ms: int) -> str | None:
    """Why what is held for an app goes on being held; None where its turn comes by itself."""
    if app is not None and not app.enabled:
        return f"app {app.app_id} is disabled"
    if app is not None and not app.versions_in_use(at_ms):
        return f"no version of app {app.app_id}'s secret is in use"
    if breaker.is_open(at_ms):
        return "its receiver is down: the breaker is open"
    return None


# ---------------------------------------------------------------------------------------------------------- many


@dataclass(slots=True)
class Replay:
    """What became of a replay so far."""

    held: int = 0
    under_way: int = 0
    changed: int = 0
    cursor: Cursor | None = None
    """All up to there are done."""
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
    deployment: Deployment
    selection: Selection

    def run(self, replay: Replay, progressed: Callable[[int], None] = lambda _: None) -> None:
        """Makes the selected ones held and lets them go out, counting in `replay`.

        However it ends, those up to the cursor are done; a run with this cursor goes on from there.
        """
        drain = Drain(self.deployment, self.selection.app_id, mended=True)
        chunks = batched(selected(self.deployment.ledger, self.selection), CHUNK, strict=False)
        try:
            with drain, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="replay") as pool:
                for chunk in chunks:
                    drain.goes_on()
                    for outcome in list(pool.map(self._hold, chunk)):  # a chunk counts whole, as the cursor has it
                        replay.count(outcome)
                    replay.cursor = Cursor.of(chunk[-1])
                    progressed(replay.done)
        finally:
            replay.not_sent = drain.not_sent

    def _hold(self, listed: Listed) -> Outcome:
        """The index may be behind: what it says is tried, and where the row knows better, that."""
        ledger, attempt_count = self.deployment.ledger, listed.attempt_count
        for _ in range(_TRIES):
            planned_ms = now_ms() - CLOCKS_APART_MS
            if ledger.redeliver(listed.notify_id, listed.app_id, attempt_count, planned_ms, hold=True):
                return "held"
            stored = ledger.find(listed.notify_id)
            if stored is None or stored.status not in self.selection.statuses:
                return "changed"
            if len(stored.attempts) == attempt_count:
                return "under way"
            attempt_count = len(stored.attempts)
        return "under way"


def _check(option: str, values: Collection[str], allowed: Collection[str]) -> None:
    for value in values:
        if value not in allowed:
            raise BadInput(f"--{option} {value!r}: must be one of {', '.join(allowed)}")
