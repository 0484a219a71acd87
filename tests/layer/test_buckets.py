"""Time buckets: each range is covered exactly, by the fewest whole buckets, with at most two ragged ends."""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.buckets import FAR_FUTURE_SECONDS, HOUR_MS, Cover, DayRange, Edge, MonthRange, cover, moment_of

FAR_MS = FAR_FUTURE_SECONDS * 1000
PAST, FUTURE = 0, FAR_MS  # nothing is settled before or after
DAY_MS = 24 * HOUR_MS
type Interval = tuple[int, int]


def ms(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1000


def next_month(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def month_start(month: str) -> int:
    year, number = map(int, month.split("-"))
    return ms(year, number)


def days_of(days: DayRange) -> Iterator[str]:
    day = date.fromisoformat(days.first)
    while day.isoformat() <= days.last:
        yield day.isoformat()
        day += timedelta(days=1)


def intervals(parts: Cover) -> list[Interval]:
    """What a cover counts, in ms, each piece [start, end); an open end is beyond every instant."""
    found: list[Interval] = [(edge.start_ms, edge.end_ms) for edge in parts.edges]
    if parts.months is not None:
        first, last = parts.months.first, parts.months.last
        found.append(
            (PAST if first is None else month_start(first), FUTURE if last is None else month_start(next_month(last)))
        )
    for days in parts.days:
        for day in days_of(days):
            midnight = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000
            hours = days.hours_of(day)
            found.append((midnight + hours.start * HOUR_MS, midnight + hours.stop * HOUR_MS))
    return sorted(piece for piece in found if piece[0] < piece[1])


def check_exact(start_ms: int | None, end_ms: int | None) -> Cover:
    """Every ms of the range is counted once and none outside: the pieces lie end to end, from its start to its end."""
    parts = cover(start_ms, end_ms)
    pieces = intervals(parts)
    start, end = PAST if start_ms is None else start_ms, FUTURE if end_ms is None else end_ms
    if start >= end:
        assert pieces == []
        return parts
    assert all(one < other for one, other in pieces), pieces
    assert all(before[1] == after[0] for before, after in pairwise(pieces)), pieces
    assert (pieces[0][0], pieces[-1][1]) == (start, end)
    return parts


def check_few(parts: Cover) -> None:
    """At most two edges, each less than an hour; two ranges of days, none with a whole month in it; one of months."""
    assert len(parts.edges) <= 2
    for edge in parts.edges:
        assert edge.end_ms - edge.start_ms < HOUR_MS
        assert edge.start_ms // HOUR_MS == (edge.end_ms - 1) // HOUR_MS
    assert len(parts.days) <= 2
    for days in parts.days:
        assert days.first[:7] == days.last[:7]
        year, month = map(int, days.first[:7].split("-"))
        whole = (f"{days.first[:7]}-01", f"{days.first[:7]}-{calendar.monthrange(year, month)[1]:02d}", 0, 24)
        assert (days.first, days.last, days.first_hour, days.end_hour) != whole
        assert all(len(days.hours_of(day)) == 24 for day in list(days_of(days))[1:-1])
    if parts.months is not None and parts.months.first is not None and parts.months.last is not None:
        assert parts.months.first <= parts.months.last


def reference(start_ms: int, end_ms: int) -> tuple[set[str], set[str], set[tuple[str, int]]]:
    """The fewest buckets, counted out: whole months, then whole days outside them, then whole hours outside those."""
    hours = {hour: moment_of(hour * HOUR_MS) for hour in range(-(-start_ms // HOUR_MS), end_ms // HOUR_MS)}
    by_month: dict[str, int] = {}
    by_day: dict[str, int] = {}
    for moment in hours.values():
        by_month[moment.month] = by_month.get(moment.month, 0) + 1
        by_day[moment.day] = by_day.get(moment.day, 0) + 1
    months = {
        month
        for month, count in by_month.items()
        if count == (month_start(next_month(month)) - month_start(month)) // HOUR_MS
    }
    days = {day for day, count in by_day.items() if count == 24 and day[:7] not in months}
    single = {(m.day, m.hour) for m in hours.values() if m.month not in months and m.day not in days}
    return months, days, single


def counted(parts: Cover) -> tuple[set[str], set[str], set[tuple[str, int]]]:
    months, days, single = set(), set(), set()
    if parts.months is not None:
        assert parts.months.first is not None
        assert parts.months.last is not None
        month = parts.months.first
        while month <= parts.months.last:
            months.add(month)
            month = next_month(month)
    for span in parts.days:
        for day in days_of(span):
            hours = span.hours_of(day)
            if len(hours) == 24:
                days.add(day)
            else:
                single |= {(day, hour) for hour in hours}
    return months, days, single


# ------------------------------------------------------------------------------------------------------------- ranges

BOUNDARIES = [
    ms(1970),
    ms(1970, 2),
    ms(2000, 3),
    ms(2024, 2, 29),
    ms(2024, 3),
    ms(2025, 3),
    ms(2025),
    ms(2026, 11, 22, 14),
]
BOUNDARIES += [
    ms(2024, 2, 29, 23),
    ms(2023, 12, 31, 23),
    ms(2026, 11, 30),
    ms(2026, 12),
    ms(2999, 12, 31, 23),
    ms(2100, 3),
]
NEAR = [b + off for b in BOUNDARIES for off in (-HOUR_MS, -1000, -1, 0, 1, 1000, HOUR_MS, DAY_MS) if b + off >= 0]

near_boundaries = st.builds(
    lambda days, hours, off: max(0, ms(2023, 11) + days * DAY_MS + hours * HOUR_MS + off),
    st.integers(0, 900),
    st.sampled_from([0, 0, 0, 1, 14, 23]),
    st.sampled_from([0, 0, -1, 1, -1000, 1000, 1_800_000]),
)
instants = st.integers(0, FAR_MS) | near_boundaries | st.sampled_from(NEAR)
ends = st.none() | instants


@settings(max_examples=1500)
@given(ends, ends)
@example(None, None)
@example(0, None)
@example(None, 0)
@example(0, 0)
@example(None, FAR_MS)
@example(FAR_MS, None)
@example(FAR_MS - 1, FAR_MS)
@example(ms(2024, 2, 29), ms(2024, 3))
@example(ms(2023, 12, 31, 23, 30), ms(2024, 1, 1, 0, 30))
def test_every_millisecond_of_a_range_is_counted_once_and_none_outside(
    start_ms: int | None, end_ms: int | None
) -> None:
    check_few(check_exact(start_ms, end_ms))


def test_every_pair_of_instants_around_boundaries_is_covered_exactly() -> None:
    for start in (None, *NEAR):
        for end in (None, *NEAR):
            check_few(check_exact(start, end))


@settings(max_examples=150)
@given(near_boundaries, st.integers(0, 75 * DAY_MS) | st.integers(0, 3 * HOUR_MS) | st.just(31 * DAY_MS))
@example(ms(2024, 2), 29 * DAY_MS)
@example(ms(2024, 1, 31), 30 * DAY_MS)
@example(ms(2023, 2), 28 * DAY_MS)
@example(ms(2025, 12, 31, 23), 62 * DAY_MS)
def test_no_range_is_covered_by_fewer_whole_buckets(start_ms: int, length_ms: int) -> None:
    assert counted(cover(start_ms, start_ms + length_ms)) == reference(start_ms, start_ms + length_ms)


@given(instants, st.integers(0, HOUR_MS))
def test_a_range_within_an_hour_is_one_edge_or_one_hour(start_ms: int, length_ms: int) -> None:
    end_ms = min(start_ms - start_ms % HOUR_MS + HOUR_MS, start_ms + length_ms)
    parts = check_exact(start_ms, end_ms)
    whole = end_ms - start_ms == HOUR_MS
    assert parts.months is None
    assert (len(parts.days), len(parts.edges)) == ((1, 0) if whole else (0, int(end_ms > start_ms)))


@given(instants, instants)
def test_a_range_that_ends_before_it_starts_counts_nothing(one: int, other: int) -> None:
    assert cover(max(one, other), min(one, other)) == Cover()


TABLE: list[tuple[str, int | None, int | None, Cover]] = [
    ("everything", None, None, Cover(MonthRange(None, None))),
    ("a month", ms(2024, 2), ms(2024, 3), Cover(MonthRange("2024-02", "2024-02"))),
    ("a leap day", ms(2024, 2, 29), ms(2024, 3), Cover(days=(DayRange("2024-02-29", "2024-02-29", 0, 24),))),
    ("a year", ms(2025), ms(2026), Cover(MonthRange("2025-01", "2025-12"))),
    ("from a month on", ms(2026, 11), None, Cover(MonthRange("2026-11", None))),
    (
        "up to a month's last second",
        None,
        ms(2026, 12) - 1000,
        Cover(
            MonthRange(None, "2026-10"),
            (DayRange("2026-11-01", "2026-11-30", 0, 23),),
            (Edge(ms(2026, 11, 30, 23), ms(2026, 12) - 1000),),
        ),
    ),
    ("one second", ms(2026), ms(2026) + 1000, Cover(edges=(Edge(ms(2026), ms(2026) + 1000),))),
    (
        "over an hour's end",
        ms(2026, 1, 1, 5, 30),
        ms(2026, 1, 1, 6, 30),
        Cover(edges=(Edge(ms(2026, 1, 1, 5, 30), ms(2026, 1, 1, 6)), Edge(ms(2026, 1, 1, 6), ms(2026, 1, 1, 6, 30)))),
    ),
    (
        "over a year's end",
        ms(2025, 12, 31, 22),
        ms(2026, 1, 1, 2),
        Cover(days=(DayRange("2025-12-31", "2025-12-31", 22, 24), DayRange("2026-01-01", "2026-01-01", 0, 2))),
    ),
]


@pytest.mark.parametrize(("start_ms", "end_ms", "parts"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_range_is_covered_as_one_would_by_hand(start_ms: int | None, end_ms: int | None, parts: Cover) -> None:
    assert cover(start_ms, end_ms) == parts


@given(st.integers(0, FAR_MS - 1))
@example(0)
@example(ms(2024, 3) - 1)
@example(ms(2026) - 1)
def test_an_instants_buckets_contain_it(time_ms: int) -> None:
    moment = moment_of(time_ms)
    hour = int(datetime.fromisoformat(moment.day).replace(tzinfo=UTC).timestamp()) * 1000 + moment.hour * HOUR_MS
    assert hour <= time_ms < hour + HOUR_MS
    assert moment.month == moment.day[:7]
    assert cover(hour, hour + HOUR_MS) == Cover(days=(DayRange(moment.day, moment.day, moment.hour, moment.hour + 1),))
