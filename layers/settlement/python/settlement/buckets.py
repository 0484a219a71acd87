"""Time buckets: which of them cover a range exactly, and which of them a settlement belongs to.

    all      |------------------------------------------------------------------------------|
    months          |-- 2026-10 --|------ 2026-11 ------|-- 2026-12 --|
    days      ...|30|31|                                               |01|02|03|...
    hours   |22|23|                                                              |00|01|...|14|
    edges  |.|                                                                                |..|   entries, one by one

All in UTC. A bucket is a part of a row: a year's row has its months, a month's its days, a day's its hours.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

HOUR_MS = 3_600_000
FAR_FUTURE_SECONDS = 32_503_680_000
"""The year 3000: nothing is settled from here on. A later end is an open end, a later start finds nothing."""

_DAY_HOURS = 24
_YEAR_MONTHS = 12


class Moment(NamedTuple):
    """The buckets of one instant."""

    month: str
    day: str
    hour: int

    @property
    def year(self) -> str:
        return self.month[:4]

    @property
    def start_ms(self) -> int:
        """When its hour starts."""
        return int(datetime.fromisoformat(self.day).replace(hour=self.hour, tzinfo=UTC).timestamp()) * 1000


class DayRange(NamedTuple):
    """Whole hours of consecutive days, both inclusive: `first` counts from `first_hour`, `last` up to `end_hour`."""

    first: str
    last: str
    first_hour: int
    end_hour: int

    @classmethod
    def between(cls, start: datetime, end: datetime) -> "DayRange":
        """The hours of [start, end), which is not empty."""
        last = end - timedelta(hours=1)
        return cls(f"{start:%Y-%m-%d}", f"{last:%Y-%m-%d}", start.hour, last.hour + 1)

    def hours_of(self, day: str) -> range:
        """The hours that count on one of its days; all 24 where the whole day does."""
        return range(
            self.first_hour if day == self.first else 0,
            self.end_hour if day == self.last else _DAY_HOURS,
        )

    @property
    def partial_days(self) -> list[str]:
        """Its first and last day, where they count in part."""
        return [day for day in sorted({self.first, self.last}) if len(self.hours_of(day)) < _DAY_HOURS]

    @property
    def whole_days(self) -> range:
        """The days between, by their number in the month: a range of days never leaves its month."""
        partial = self.partial_days
        return range(int(self.first[8:]) + (self.first in partial), int(self.last[8:]) + 1 - (self.last in partial))


class MonthRange(NamedTuple):
    """Consecutive whole months, both inclusive; None is open."""

    first: str | None
    last: str | None

    @classmethod
    def between(cls, start: datetime, end: datetime) -> "MonthRange":
        """The months of [start, end), which is not empty."""
        last = end - timedelta(days=1)
        return cls(
            None if start == _clock(0) else f"{start:%Y-%m}",
            None if end == _clock(FAR_FUTURE_SECONDS // 3600) else f"{last:%Y-%m}",
        )

    def months_of(self, year: str) -> range:
        """The months that count in one of its years, by their number; all 12 where the whole year does."""
        return range(
            int(self.first[5:]) if self.first is not None and self.first[:4] == year else 1,
            int(self.last[5:]) + 1 if self.last is not None and self.last[:4] == year else _YEAR_MONTHS + 1,
        )


class Edge(NamedTuple):
    """A ragged end inside one hour: ms, start inclusive, end exclusive."""

    start_ms: int
    end_ms: int


class Cover(NamedTuple):
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
    start = 0 if start_ms is None else start_ms
    end = FAR_FUTURE_SECONDS * 1000 if end_ms is None else end_ms
    if start >= end:
        return Cover()
    first_hour, end_hour = -(-start // HOUR_MS), end // HOUR_MS
    if first_hour > end_hour:  # both ends inside one hour
        return Cover(edges=(Edge(start, end),))
    edges = (Edge(start, first_hour * HOUR_MS), Edge(end_hour * HOUR_MS, end))
    months, days = _whole_hours(_clock(first_hour), _clock(end_hour))
    return Cover(months, days, tuple(edge for edge in edges if edge.start_ms < edge.end_ms))


def _whole_hours(start: datetime, end: datetime) -> tuple[MonthRange | None, tuple[DayRange, ...]]:
    """Covers [start, end), both on the hour, with months, and days at either end."""
    first_month, end_month = _month_at_or_after(start), datetime(end.year, end.month, 1, tzinfo=UTC)
    if first_month > end_month:  # inside one month
        return None, (DayRange.between(start, end),) if start < end else ()
    parts = ((start, first_month), (end_month, end))
    days = tuple(DayRange.between(first, last) for first, last in parts if first < last)
    return MonthRange.between(first_month, end_month) if first_month < end_month else None, days


def _clock(hour: int) -> datetime:
    return datetime.fromtimestamp(hour * HOUR_MS // 1000, UTC)


def _month_at_or_after(moment: datetime) -> datetime:
    first = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return first if moment == first else datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
