"""Whether TotalsTable says what SettlementTable's rows add up to, and what it takes to make it so.

Settlements may arrive meanwhile. What they add is told apart by the hour:

    |------------- closed hours -------------|--- hours under way ---| now
    rows, by their index                     |  the day's rows of TotalsTable
                                             `- JUDGED_AFTER_MS ago, or up to an hour earlier

Nothing is added to a closed hour any more, and its settlements have long reached the indexes; so a bucket must hold
just its settlements of closed hours and what was settled in the hours under way. Of those there are two accounts: the
day's rows of TotalsTable, and the entries of the index, which may be behind. Where both say the same, that is it. Where
they still differ, and nothing has moved, after STEADY_SECONDS, the entries are right; where settlements keep coming,
the day's rows are taken for right until their hours are closed.

The first pass compares everything, one read after the other, and what it finds may be a settlement that came between
two reads: it only names rows to look at. Those are judged one by one, each with its hours in one serializable read.

Memory is bounded: sums wait in a temporary file.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from settlement.buckets import HOUR_MS, moment_of
from settlement.clock import now_ms
from settlement.store import CLOCK_SKEW_MS, Entry, Store, tries
from settlement.totals import NOTHING, Bucket, Sum, Totals, buckets_of, source_of, span_ms

JUDGED_AFTER_MS: Final = CLOCK_SKEW_MS + 60_000
"""A settlement is committed, and in every index, this long after its settle_time: a function lives for 25 s."""
STEADY_SECONDS: Final = 30.0
"""How far an index may be behind its table."""
_KEPT_IN_MEMORY = 50_000
_CARRY = 10**15
"""SQLite's integers have 64 bits, ours more: a balance is kept in two of them."""
_TABLE = """
    CREATE TABLE balances (
        openid TEXT, bucket_row TEXT, part INTEGER, carries INTEGER, rest INTEGER, count INTEGER,
        PRIMARY KEY (openid, bucket_row, part)
    ) WITHOUT ROWID
"""
type _Addition = tuple[str, Bucket, Sum]


@dataclass(frozen=True, slots=True)
class Difference:
    """A bucket that does not hold what its settlements add up to."""

    openid: str
    bucket: Bucket
    expected: Sum
    stored: Sum


@dataclass(frozen=True, slots=True)
class Undecided:
    """A row that was written without a pause: it could not be read at one instant."""

    openid: str
    row: str


@dataclass(slots=True)
class Audit:
    """What was looked at."""

    settlements: int = 0
    buckets: int = 0
    judged_until_ms: int = 0
    """From here on hours were under way: of accounts that kept settling, what those hours hold was taken for right."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A row, and what it should hold."""

    openid: str
    row: str
    closed: Mapping[int, Sum]
    """By part: the entries of closed hours."""
    under_way: Mapping[int, Sum]
    """What the day's rows hold of the hours under way."""
    entered: Mapping[int, Sum]
    """What the entries of the hours under way add up to."""
    stored: Mapping[int, Sum]
    correction_count: int

    def is_same_as(self, before: "_Look") -> bool:
        return (self.under_way, self.entered, self.stored) == (before.under_way, before.entered, before.stored)

    def differences(self, recent: Mapping[int, Sum]) -> list[Difference]:
        """`recent`: which of the two accounts of the hours under way is right."""
        found = []
        for part in sorted({*self.closed, *recent, *self.stored}):
            expected = self.closed.get(part, NOTHING).plus(recent.get(part, NOTHING))
            stored = self.stored.get(part, NOTHING)
            if expected != stored:
                found.append(Difference(self.openid, Bucket(self.row, part), expected, stored))
        return found


class Auditor:
    def __init__(
        self,
        store: Store,
        totals: Totals,
        clock_ms: Callable[[], int] = now_ms,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._totals = totals
        self._clock_ms = clock_ms
        self._pause = pause

    def differences(
        self,
        app_id: str,
        since_ms: int,
        openid: str | None = None,
        *,
        repair: bool = False,
        counted: Audit | None = None,
        on_day: Callable[[int], object] = lambda _: None,
    ) -> Iterator[Difference | Undecided]:
        """Every bucket of an app, or of one account, that differs from its rows; with `repair`, corrected by then.

        `since_ms` is no later than the first settlement. `on_day` hears how many days are read.
        """
        counted = Audit() if counted is None else counted
        counted.judged_until_ms = self._closed_ms()
        end_ms = self._end_ms()
        entries = (
            self._of_app(app_id, since_ms, end_ms, on_day)
            if openid is None
            else self._store.entries_between(app_id, openid, None, 0, end_ms)
        )
        unsettled: list[_Look] = []
        with closing(sqlite3.connect("")) as file:  # "" is a temporary file that is gone when it is closed
            file.execute(_TABLE)
            _spool(file, _of_rows(entries, counted))
            _spool(file, self._of_table(app_id, openid, counted))
            for differing_openid, row in _differing(file):
                yield from self._judge(app_id, differing_openid, row, unsettled, repair=repair)
        if unsettled:
            self._pause(STEADY_SECONDS)
        for before in unsettled:
            yield from self._judge_again(app_id, before, repair=repair)

    def _closed_ms(self) -> int:
        until_ms = self._clock_ms() - JUDGED_AFTER_MS
        return until_ms - until_ms % HOUR_MS

    def _end_ms(self) -> int:
        """By no host's clock is anything settled later."""
        return self._clock_ms() + CLOCK_SKEW_MS

    def _of_app(self, app_id: str, since_ms: int, end_ms: int, on_day: Callable[[int], object]) -> Iterator[Entry]:
        for number, day in enumerate(days_between(since_ms, end_ms)):
            yield from self._store.entries_of_day(app_id, day.isoformat(), end_ms)
            on_day(number + 1)

    def _of_table(self, app_id: str, openid: str | None, counted: Audit) -> Iterator[_Addition]:
        """What the table holds, taken off."""
        for account, bucket, stored in self._totals.every_sum(app_id, openid):
            counted.buckets += 1
            yield account, bucket, NOTHING.minus(stored)

    def _judge(
        self, app_id: str, openid: str, row: str, unsettled: list[_Look], *, repair: bool
    ) -> Iterator[Difference | Undecided]:
        """What is wrong with a row, if it can be told now; else it is put to the `unsettled`."""
        for _ in tries():
            look = self._look(app_id, openid, row)
            if look is None:
                continue
            if look.entered != look.under_way:
                unsettled.append(look)
                return
            if self._is_corrected(app_id, look, found := look.differences(look.entered), repair=repair):
                yield from found
                return
        yield Undecided(openid, row)

    def _judge_again(self, app_id: str, before: _Look, *, repair: bool) -> Iterator[Difference | Undecided]:
        for _ in tries():
            look = self._look(app_id, before.openid, before.row)
            if look is None:
                continue
            recent = look.entered if look.is_same_as(before) else look.under_way
            if self._is_corrected(app_id, look, found := look.differences(recent), repair=repair):
                yield from found
                return
        yield Undecided(before.openid, before.row)

    def _is_corrected(self, app_id: str, look: _Look, found: list[Difference], *, repair: bool) -> bool:
        """False where somebody corrected the row meanwhile, or we did and did not hear of it. True without `repair`."""
        if not repair or not found:
            return True
        additions = {one.bucket.part: one.expected.minus(one.stored) for one in found}
        return self._totals.correct(app_id, look.openid, look.row, additions, look.correction_count)

    def _look(self, app_id: str, openid: str, row: str) -> _Look | None:
        """None where the row was being written at that moment."""
        until_ms, end_ms = self._closed_ms(), self._end_ms()
        closed = self._sums(app_id, openid, row, 0, until_ms)
        snapshot = self._totals.snapshot(app_id, openid, row, until_ms, end_ms)
        if snapshot is None:
            return None
        entered = self._sums(app_id, openid, row, until_ms, end_ms)
        under_way = {part: hours for part, hours in snapshot.under_way.items() if hours != NOTHING}
        return _Look(openid, row, closed, under_way, entered, snapshot.stored, snapshot.correction_count)

    def _sums(self, app_id: str, openid: str, row: str, from_ms: int, until_ms: int) -> dict[int, Sum]:
        """A row's sums by part, of the entries in [from, until)."""
        start_ms, end_ms = span_ms(row)
        source = source_of(row)
        sums: dict[int, Sum] = {}
        entries = self._store.entries_between(app_id, openid, source, max(start_ms, from_ms), min(end_ms, until_ms))
        for entry in entries:
            for bucket in buckets_of(moment_of(entry.settle_time_ms), source):
                if bucket.row == row:
                    sums[bucket.part] = sums.get(bucket.part, NOTHING).plus(Sum(entry.settle_hundredths, 1))
        return sums


def days_between(since_ms: int, until_ms: int) -> list[date]:
    """The UTC days of a span, a moment's own among them."""
    first, last = (datetime.fromtimestamp(ms / 1000, UTC).date() for ms in (since_ms, until_ms))
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _of_rows(entries: Iterable[Entry], counted: Audit) -> Iterator[_Addition]:
    for entry in entries:
        counted.settlements += 1
        moment = moment_of(entry.settle_time_ms)
        for source in (None, entry.source):
            for bucket in buckets_of(moment, source):
                yield entry.openid, bucket, Sum(entry.settle_hundredths, 1)


def _spool(file: sqlite3.Connection, additions: Iterable[_Addition]) -> None:
    waiting: dict[tuple[str, Bucket], Sum] = {}
    for openid, bucket, addition in additions:
        key = (openid, bucket)
        waiting[key] = waiting.get(key, NOTHING).plus(addition)
        if len(waiting) >= _KEPT_IN_MEMORY:
            _write(file, waiting)
            waiting.clear()
    _write(file, waiting)


def _write(file: sqlite3.Connection, sums: Mapping[tuple[str, Bucket], Sum]) -> None:
    file.executemany(
        """
        INSERT INTO balances VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET
            carries = carries + excluded.carries, rest = rest + excluded.rest, count = count + excluded.count
        """,
        ((openid, *bucket, *divmod(total.hundredths, _CARRY), total.count) for (openid, bucket), total in sums.items()),
    )


def _differing(file: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Rows, by openid and name, that have a part whose balance is not nought."""
    balances = file.execute("SELECT openid, bucket_row, carries, rest, count FROM balances ORDER BY openid, bucket_row")
    last = None
    for openid, row, carries, rest, count in balances:
        if (carries * _CARRY + rest or count) and (openid, row) != last:
            last = (openid, row)
            yield last
