"""Backfill: the notifications of settlements that were made while the app had no notify_url.

Ids and bytes are a pure function of what was settled, so it is the very notification that the settlement would have
made, and making it twice is making it once. What the ledger has is passed over.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import merge
from itertools import batched, groupby
from typing import Final, Literal

from settlectl.deployment import Deployment
from settlement.clock import now_ms
from settlement.draining import AT_ONCE, CHUNK, CLOCKS_APART_MS, Drain
from settlement.ledger import DELIVERED_KEPT_SECONDS, Ledger, Listed, Notification
from settlement.notifications import club_notification, game_notification, game_notify_id
from settlement.orders import ReportedOrder, SettledClubOrder
from settlement.store import Store

INDEX_LAG_MS: Final = 60_000
"""What was settled since then may not be in the index yet, or only in part."""
KEPT_MS: Final = DELIVERED_KEPT_SECONDS * 1000
_DAY_MS: Final = 24 * 3_600_000

type Kind = Literal["club order", "game report"]
type Outcome = Literal["made", "there", "incomplete"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """One that the app is to be told of: a club order, with its notification, or a game report, with its orders."""

    notify_id: str
    settle_time_ms: int
    source: Notification | tuple[str, ...]
    known: bool
    """Whether the ledger's index has its notification."""
    complete: bool = True
    """Whether all orders of the report were found."""

    @property
    def kind(self) -> Kind:
        return "club order" if isinstance(self.source, Notification) else "game report"


@dataclass(slots=True)
class Survey:
    """What is there before anything is written."""

    missing: Counter[Kind] = field(default_factory=Counter)
    there: int = 0
    incomplete: list[str] = field(default_factory=list)
    """notify_ids."""

    @property
    def total(self) -> int:
        return self.missing.total() + self.there + len(self.incomplete)


@dataclass(slots=True)
class Backfill:
    """What became of a backfill so far."""

    made: int = 0
    there: int = 0
    incomplete: list[str] = field(default_factory=list)
    reached_ms: int = 0
    """All that was settled before then is done."""
    not_sent: str | None = None

    @property
    def done(self) -> int:
        return self.made + self.there + len(self.incomplete)

    def count(self, settlement: Settlement, outcome: Outcome) -> None:
        match outcome:
            case "made":
                self.made += 1
            case "there":
                self.there += 1
            case "incomplete":
                self.incomplete.append(settlement.notify_id)


def settlements(store: Store, ledger: Ledger, app_id: str, since_ms: int, until_ms: int) -> Iterator[Settlement]:
    """What was settled in [since, until), the oldest first. A report's orders are settled at one moment."""
    both = merge(
        store.settled_between(app_id, since_ms, until_ms), ledger.listed(app_id, since_ms, until_ms), key=_time_ms
    )
    for time_ms, together in groupby(both, key=_time_ms):
        known: set[str] = set()
        notifications: list[Notification] = []
        reports: defaultdict[str, list[str]] = defaultdict(list)
        for entry in together:
            match entry:
                case Listed(notify_id=notify_id):
                    known.add(notify_id)
                case SettledClubOrder():
                    notifications.append(club_notification(app_id, entry))
                case ReportedOrder(order_id=order_id, notify_id=notify_id):
                    reports[notify_id].append(order_id)
        for notification in notifications:
            yield Settlement(notification.notify_id, time_ms, notification, notification.notify_id in known)
        for notify_id, order_ids in reports.items():
            complete = game_notify_id(app_id, order_ids) == notify_id
            yield Settlement(notify_id, time_ms, tuple(order_ids), notify_id in known, complete)


def _time_ms(entry: SettledClubOrder | ReportedOrder | Listed) -> int:
    return entry.notify_time_ms if isinstance(entry, Listed) else entry.settle_time_ms


@dataclass(frozen=True, slots=True)
class Backfilling:
    deployment: Deployment
    app_id: str
    since_ms: int
    until_ms: int

    @classmethod
    def of_settled(cls, deployment: Deployment, app_id: str, since_ms: int, until_ms: int) -> "Backfilling":
        """Of what is surely in the index, and no earlier than the app was made: each day costs its queries."""
        made_ms = deployment.app(app_id).created_at_ms - _DAY_MS  # by whosever clock
        return cls(deployment, app_id, max(since_ms, made_ms), min(until_ms, now_ms() - INDEX_LAG_MS))

    def survey(self) -> Survey:
        """Reads the range and writes nothing."""
        survey = Survey()
        for settlement in self._settlements():
            if settlement.known:
                survey.there += 1
            elif not settlement.complete:
                survey.incomplete.append(settlement.notify_id)
            else:
                survey.missing[settlement.kind] += 1
        return survey

    def run(self, backfill: Backfill, progressed: Callable[[int], None] = lambda _: None) -> None:
        """Makes the missing ones, held, and lets them go out, counting in `backfill`. It repeats without harm."""
        drain = Drain(self.deployment.ledger, self.deployment.queue, self.app_id, mended=False)
        try:
            with drain, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="backfill") as pool:
                for chunk in batched(self._settlements(), CHUNK, strict=False):
                    drain.goes_on()
                    outcomes = list(pool.map(self._make, chunk))
                    for settlement, outcome in zip(chunk, outcomes, strict=True):
                        backfill.count(settlement, outcome)
                    backfill.reached_ms = chunk[-1].settle_time_ms
                    progressed(backfill.done)
        finally:
            backfill.not_sent = drain.not_sent

    def _settlements(self) -> Iterator[Settlement]:
        return settlements(self.deployment.store, self.deployment.ledger, self.app_id, self.since_ms, self.until_ms)

    def _make(self, settlement: Settlement) -> Outcome:
        if settlement.known:
            return "there"
        if not settlement.complete:
            return "incomplete"
        match settlement.source:
            case Notification() as notification:
                pass
            case order_ids:
                # The index has not the whole orders, nor in the report's sequence.
                notification = game_notification(self.app_id, self.deployment.store.find_report(self.app_id, order_ids))
        made = self.deployment.ledger.add_held(notification, now_ms() - CLOCKS_APART_MS)
        return "made" if made else "there"
