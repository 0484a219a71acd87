"""Whether TotalsTable says what SettlementTable's rows add up to, and what it takes to make it so.

Settlements may arrive meanwhile. What they add is told apart by the hour:

    |------------- closed hours -------------|--- hours under way ---| now
    rows, by their index                     |  the day's rows of TotalsTable
                                             `- JUDGED_AFTER_MS ago, or up to an hour earlier

Nothing is added to a closed hour any more, and its settlements have long reached the indexes; so a bucket must hold
just its settlements of closed hours and what the hours under way hold of it. The first pass compares everything, one
read after the other, and what it finds may be a settlement that came between two reads: it only names rows to look at.
Those are judged one by one, each with its hours in one serializable read.

Memory is bounded: sums wait in a temporary file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from settlement.buckets import HOUR_MS, moment_of
from settlement.clock import now_ms
from settlement.store import CLOCK_SKEW_MS, Entry, Store, tries
from settlement.totals import NOTHING, Bucket, Sum, Totals, buckets_of, hour_of, source_of, span_ms

JUDGED_AFTER_MS: Final = CLOCK_SKEW_MS + 60_000
"""A settlement is committed, and in every index, this long after its settle_time: a function lives for 25 s."""
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
    """From here on hours were under way: what their own buckets hold was taken for right."""


class Auditor:
    def __init__(
        self,
        store: Store,
        totals: Totals,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._totals = totals
        self._clock_ms = clock_ms

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
        until_ms = counted.judged_until_ms = self._closed_ms()
        entries = (
            self._of_app(app_id, since_ms, until_ms, on_day)
            if openid is None
            else self._store.entries_between(app_id, openid, None, 0, until_ms)
        )
        with closing(sqlite3.connect("")) as file:  # "" is a temporary file that is gone when it is closed
            file.execute(_TABLE)
            _spool(file, _of_rows(entries, counted))
            _spool(file, self._of_table(app_id, openid, until_ms, counted))
            for differing_openid, row in _differing(file):
                yield from self._judge(app_id, differing_openid, row, repair=repair)

    def _closed_ms(self) -> int:
        until_ms = self._clock_ms() - JUDGED_AFTER_MS
        return until_ms - until_ms % HOUR_MS

    def _of_app(self, app_id: str, since_ms: int, until_ms: int, on_day: Callable[[int], object]) -> Iterator[Entry]:
        for number, day in enumerate(days_between(since_ms, until_ms)):
            yield from self._store.entries_of_day(app_id, day.isoformat(), until_ms)
            on_day(number + 1)

    def _of_table(self, app_id: str, openid: str | None, until_ms: int, counted: Audit) -> Iterator[_Addition]:
        """What the table holds, taken off; its hours under way count as rows, in all that they are part of."""
        for account, bucket, stored in self._totals.every_sum(app_id, openid):
            counted.buckets += 1
            yield account, bucket, NOTHING.minus(stored)
            hour = hour_of(bucket)
            if hour is not None and hour.start_ms >= until_ms:
                for containing in buckets_of(hour, source_of(bucket.row)):
                    yield account, containing, stored

    def _judge(self, app_id: str, openid: str, row: str, *, repair: bool) -> Iterator[Difference | Undecided]:
        for _ in tries():
            until_ms = self._closed_ms()
            expected = self._expected_of(app_id, openid, row, until_ms)
            snapshot = self._totals.snapshot(app_id, openid, row, until_ms, self._clock_ms() + CLOCK_SKEW_MS)
            if snapshot is None:
                continue
            for part, under_way in snapshot.under_way.items():
                expected[part] = expected.get(part, NOTHING).plus(under_way)
            found = [
                Difference(openid, Bucket(row, part), expected.get(part, NOTHING), snapshot.stored.get(part, NOTHING))
                for part in sorted({*expected, *snapshot.stored})
                if expected.get(part, NOTHING) != snapshot.stored.get(part, NOTHING)
            ]
            if repair and found:
                additions = {one.bucket.part: one.expected.minus(one.stored) for one in found}
                if not self._totals.correct(app_id, openid, row, additions, snapshot.correction_count):
                    continue  # somebody corrected it meanwhile, or we did and did not hear of it
            yield from found
            return
        yield Undecided(openid, row)

    def _expected_of(self, app_id: str, openid: str, row: str, until_ms: int) -> dict[int, Sum]:
        """A row's sums by part, from its settlements of closed hours."""
        start_ms, end_ms = span_ms(row)
        source = source_of(row)
        expected: dict[int, Sum] = {}
        for entry in self._store.entries_between(app_id, openid, source, start_ms, min(end_ms, until_ms)):
            for bucket in buckets_of(moment_of(entry.settle_time_ms), source):
                if bucket.row == row:
                    expected[bucket.part] = expected.get(bucket.part, NOTHING).plus(Sum(entry.settle_hundredths, 1))
        return expected


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
