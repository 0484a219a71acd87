"""Totals: exact for every range and source, from the first settlement on, in a handful of queries."""

from datetime import UTC, datetime
from random import Random

import pytest

from settlement.buckets import FAR_FUTURE_SECONDS
from settlement.cursor import ListQuery
from settlement.orders import SettledClubOrder
from settlement.store import CLOCK_SKEW_MS

from .worlds import NOW_MS, QUIET, World, chance


def ms(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1000


BOUNDARIES = [ms(2024, 2, 29), ms(2024, 3), ms(2024, 2, 29, 23), ms(2025), ms(2025, 12, 31, 23), ms(2026), ms(2026, 7)]
BOUNDARIES += [ms(2026, 10), ms(2026, 11), ms(2026, 11, 1, 5), ms(2026, 11, 17, 12), ms(2026, 11, 18, 10)]
MOMENTS = [boundary + off for boundary in BOUNDARIES for off in (-1000, -1, 0, 1, 999, 1000)]


def make_history(world: World, dice: Random, count: int, shards: tuple[int, ...]) -> list[SettledClubOrder]:
    """Settlements over three years, half of them at the edges of hours, days, months; shards change on the way."""
    moments = sorted(
        dice.choice(MOMENTS) if dice.random() < 0.5 else dice.randrange(ms(2023, 12), NOW_MS) for _ in range(count)
    )
    with world.quickly():
        return [
            world.settle(
                f"b-{number}",
                at_ms,
                openid=dice.choice(["o-1", "o-1", "o-1", "o-1#5"]),
                source=dice.choice([0, 5, 5, 6, 16]),
                amt=dice.choice([-1, 1]) * dice.choice([1, 7, 999, 10**12]),
                ratio=dice.choice([1, 33, 99, 100]),
                shards=shards[number * len(shards) // count],
            )
            for number, at_ms in enumerate(moments)
        ]


def expected(settled: list[SettledClubOrder], query: ListQuery) -> int:
    start_ms = (query.start_seconds or 0) * 1000
    end_ms = float("inf") if query.end_seconds is None else (query.end_seconds + 1) * 1000
    return sum(
        entry.terms.settle_hundredths
        for entry in settled
        if entry.order.openid == query.openid
        and query.source in (None, entry.order.source)
        and start_ms <= entry.settle_time_ms < end_ms
    )


def random_end(dice: Random) -> int | None:
    kind = dice.random()
    if kind < 0.15:
        return None
    if kind < 0.6:
        return dice.choice(MOMENTS) // 1000 + dice.choice([-3600, -1, 0, 0, 1, 3600])
    if kind < 0.95:
        return dice.randrange(ms(2023, 11), NOW_MS + 10**9) // 1000
    return dice.choice([1, 2**31, FAR_FUTURE_SECONDS - 1])


def queries_of(world: World, table: str) -> int:
    return sum(name == "query" and call["TableName"] == world.tables[table] for name, call in world.meddled.calls)


@pytest.mark.parametrize("shards", [(1,), (4,), (16,), (1, 4, 16)], ids=["1", "4", "16", "raised in the middle"])
def test_the_total_of_any_range_and_source_is_the_sum_of_its_entries(world: World, shards: tuple[int, ...]) -> None:
    dice = chance(sum(shards))
    # moto takes three times as long for a settlement.
    settled = make_history(world, dice, 120 if world.engine == "moto" else 240, shards)
    store = world.store(shards[-1])
    queries = [
        ListQuery(QUIET.app_id, openid, source, None, None) for openid in ("o-1", "o-1#5") for source in (None, 5, 3)
    ]
    for _ in range(120):
        start, end = random_end(dice), random_end(dice)
        if start is not None and end is not None and start > end:
            start, end = end, start
        queries.append(
            ListQuery(QUIET.app_id, dice.choice(["o-1", "o-1#5"]), dice.choice([None, None, 0, 5, 6, 9]), start, end)
        )
    for query in queries:
        world.meddled.calls.clear()
        assert store.total(query, NOW_MS).hundredths == expected(settled, query), query
        assert queries_of(world, "SettlementTable") <= 2  # the ragged ends
        assert queries_of(world, "TotalsTable") <= 5  # the whole buckets, a range each
    assert sum(expected(settled, query) != 0 for query in queries) > 40


def test_a_total_has_the_settlement_that_was_just_acknowledged(world: World) -> None:
    query = ListQuery(QUIET.app_id, "o-1", None, None, None)
    store = world.store()
    assert store.total(query, NOW_MS).hundredths == 0
    for number in range(1, 5):
        world.settle(f"b-{number}", NOW_MS, amt=-number, ratio=1)
        assert store.total(query, NOW_MS).hundredths == -sum(range(1, number + 1))


@pytest.mark.parametrize(
    ("end_ms", "edges"),
    [
        (NOW_MS + CLOCK_SKEW_MS + 1000, 0),
        (NOW_MS + 10**10, 0),
        (NOW_MS - 1000, 1),
    ],
)
def test_an_end_that_no_hosts_clock_has_reached_needs_no_edge(world: World, end_ms: int, edges: int) -> None:
    world.settle("b-1", NOW_MS - 1000, amt=7)
    query = ListQuery(QUIET.app_id, "o-1", None, None, end_ms // 1000)
    world.meddled.calls.clear()
    assert world.store().total(query, NOW_MS).hundredths == 700
    assert queries_of(world, "SettlementTable") == edges


def test_an_edge_of_many_entries_is_read_to_its_end(world: World) -> None:
    for number in range(9):
        world.settle(f"b-{number}", NOW_MS + number, amt=1)

    def short(real: object, **arguments: object) -> object:
        return real(**{**arguments, "Limit": 2})  # type: ignore[operator]

    world.meddled.instead_of("query", short)  # as at 1 MB
    query = ListQuery(QUIET.app_id, "o-1", 5, NOW_MS // 1000, NOW_MS // 1000)
    assert world.store().total(query, NOW_MS + 10**8).hundredths == 900


def test_another_apps_and_another_accounts_settlements_are_not_counted(world: World) -> None:
    world.settle("b-1", NOW_MS, openid="o")
    world.settle("b-2", NOW_MS, openid="o#")
    for openid in ("o-1", "o#1", "", "#"):
        assert world.store().total(ListQuery(QUIET.app_id, openid, None, None, None), NOW_MS).hundredths == 0
    assert world.store().total(ListQuery("club-x", "o", None, None, None), NOW_MS).hundredths == 0
    assert world.store().total(ListQuery(QUIET.app_id, "o", None, None, None), NOW_MS).hundredths == 1000


def test_a_hot_account_is_spread_over_its_shards(world: World) -> None:
    with world.quickly():
        for number in range(40):
            world.settle(f"b-{number}", NOW_MS, shards=4)
    assert {row["bucket"]["S"] for row in world.rows("TotalsTable") if row["bucket"]["S"].startswith("y#")} == {
        f"y#2026#{shard}" for shard in range(4)
    }
