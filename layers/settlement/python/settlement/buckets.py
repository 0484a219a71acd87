"""Time buckets: which of them cover a range exactly, and which of them a settlement belongs to.

    all      |------------------------------------------------------------------------------|
    months          |-- 2026-10 --|------ 2026-11 ------|-- 2026-12 --|
    days      ...|30|31|                                               |01|02|03|...
    hours   |22|23|                                                              |00|01|...|14|
    edges  |.|                                                                                |..|   entries, one by one

All in UTC. The hours of a day live in the day's row, so a range of days whose first and last day count in part is still
one range of rows.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

HOUR_MS = 3_600_000
FAR_FUTURE_SECONDS = 32_503_680_000
"""The year 3000: nothing is settled from here on. A later end is an open end, a later start finds nothing."""

_DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class Moment:
    """The buckets of one instant."""

    month: str
    day: str
    hour: int


@dataclass(frozen=True, slots=True)
class DayRange:
    """Whole hours of consecutive days, both days inclusive: `first` counts from `first_hour`, `last` up to `end_hour`."""

    first: str
    last: str
    first_hour: int
    end_hour: int

    def hours_of(self, day: str) -> range:
        """The hours that count on one of its days; all 24 where the whole day does."""
        return range(
            self.first_hour if day == self.first else 0,
            self.end_hour if day == self.last else _DAY_HOURS,
        )


@dataclass(frozen=True, slots=True)
class MonthRange:
    """Consecutive whole months, both inclusive; None is open."""

    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Edge:
    """A ragged end inside one hour: ms, start inclusive, end exclusive."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Cover:
    """Disjoint parts that together are the range."""

    months: MonthRange | None = None
    days: tuple[DayRange, ...] = ()
    edges: tuple[Edge, ...] = ()


def moment_of(time_ms: int) -> Moment:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return Moment(f"{moment:%Y-%m}", f"{moment:%Y-%m-%d}", moment.hour)


def cover(start_ms: int | None, end_ms: int | None) -> Cover:
    """The fewest whole buckets in [start, end), and what is left at its ends; None is open.

    `start_ms` and `end_ms` lie between 1970 and the far future.
    """
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        return Cover()
    first_hour = None if start_ms is None else -(-start_ms // HOUR_MS)
    end_hour = None if end_ms is None else end_ms // HOUR_MS
    if start_ms is not None and end_ms is not None and first_hour is not None and end_hour is not None:
        if first_hour > end_hour:  # both ends inside one hour
            return Cover(edges=(Edge(start_ms, end_ms),))
    edges: list[Edge] = []
    if start_ms is not None and first_hour is not None and start_ms < first_hour * HOUR_MS:
        edges.append(Edge(start_ms, first_hour * HOUR_MS))
    if end_ms is not None and end_hour is not None and end_hour * HOUR_MS < end_ms:
        edges.append(Edge(end_hour * HOUR_MS, end_ms))
    months, days = _whole_hours(first_hour, end_hour)
    return Cover(months, days, tuple(edges))


def _whole_hours(first_hour: int | None, end_hour: int | None) -> tuple[MonthRange | None, tuple[DayRange, ...]]:
    """Covers [first, end) in hours since 1970 with months, and days at either end."""
    start = None if first_hour is None else _clock(first_hour)
    end = None if end_hour is None else _clock(end_hour)
    if start is not None and start == end:
        return None, ()
    first_month = None if start is None else _month_at_or_after(start)
    end_month = None if end is None else date(end.year, end.month, 1)
    if start is not None and end is not None and first_month is not None and end_month is not None:
        if first_month > end_month:  # inside one month
            return None, (_days(start, end),)
    days: list[DayRange] = []
    if start is not None and first_month is not None and start < _midnight(first_month):
        days.append(_days(start, _midnight(first_month)))
    if end is not None and end_month is not None and _midnight(end_month) < end:
        days.append(_days(_midnight(end_month), end))
    if first_month is not None and first_month == end_month:
        return None, tuple(days)
    last_month = None if end_month is None else end_month - timedelta(days=1)
    return (
        MonthRange(
            None if first_month is None else f"{first_month:%Y-%m}", None if last_month is None else f"{last_month:%Y-%m}"
        ),
        tuple(days),
    )


def _days(start: datetime, end: datetime) -> DayRange:
    """The whole hours of [start, end), which is not empty."""
    last = end - timedelta(hours=1)
    return DayRange(f"{start:%Y-%m-%d}", f"{last:%Y-%m-%d}", start.hour, last.hour + 1)


def _clock(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_MS // 1000, UTC)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _month_at_or_after(moment: datetime) -> date:
    first = date(moment.year, moment.month, 1)
    if moment == _midnight(first):
        return first
    return date(moment.year + moment.month // 12, moment.month % 12 + 1, 1)
