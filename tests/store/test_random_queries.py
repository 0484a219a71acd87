"""Random queries against a plain list in memory: source x range x sign x page size.

PROVE=1 makes 100,000 of them on paper.
"""

from dataclasses import dataclass
from random import Random

import pytest

from settlement.buckets import FAR_FUTURE_SECONDS
from settlement.cursor import ListQuery, Position
from settlement.orders import SettledClubOrder
from settlement.store import Store
from settlement.totals import Sum
from tests.proof import few_or_many

from .test_totals import make_history, random_end
from .worlds import NOW_MS, QUIET, World, chance

HISTORIES = 5
QUERIES = {"paper": few_or_many(1000, 20_000), "moto": 60, "dynamodb_local": few_or_many(150, 2000)}
"""Of each history."""
ENTRIES = {"paper": 600, "moto": 80, "dynamodb_local": 150}
SOURCES: tuple[int | None, ...] = (None, None, None, 0, 5, 6, 16, 9)


@dataclass(frozen=True, slots=True)
class Oracle:
    """All settlements of an account, as plain values, in the order of a list: the newest first."""

    newest_first: list[SettledClubOrder]

    def of(self, query: ListQuery) -> list[SettledClubOrder]:
        start_ms = (query.start_seconds or 0) * 1000
        end_ms = float("inf") if query.end_seconds is None else (query.end_seconds + 1) * 1000
        return [
            entry
            for entry in self.newest_first
            if query.source in (None, entry.order.source) and start_ms <= entry.settle_time_ms < end_ms
        ]


def oracle(store: Store, settled: list[SettledClubOrder], openid: str, source: int | None) -> Oracle:
    """The order within one millisecond is the engine's; what there is is the list's."""
    listed = store.settled_page(ListQuery(QUIET.app_id, openid, source, None, None), None, len(settled) + 1)
    expected = [e for e in settled if e.order.openid == openid and source in (None, e.order.source)]
    assert sorted(listed, key=str) == sorted(expected, key=str)
    times = [entry.settle_time_ms for entry in listed]
    assert times == sorted(times, reverse=True)
    return Oracle(listed)


def random_range(dice: Random, entries: list[SettledClubOrder]) -> tuple[int | None, int | None]:
    start, end = random_end(dice), random_end(dice)
    kind = dice.random()
    if kind < 0.1 and entries:  # just an entry's second
        start = end = dice.choice(entries).settle_time_ms // 1000
    elif kind < 0.15 and entries:  # nothing before the first, nothing after the last
        edge = dice.choice([entries[0].settle_time_ms // 1000 + 1, FAR_FUTURE_SECONDS - 1])
        start, end = (edge, None) if dice.random() < 0.5 else (None, entries[-1].settle_time_ms // 1000 - 1)
    if start is not None and end is not None and start > end:
        start, end = end, start
    return start, end


def check_queries(world: World, seed: int) -> int:
    dice = chance(seed)
    settled = make_history(world, dice, ENTRIES[world.engine], (1, 4, 16))
    store = world.store()
    oracles = {
        (openid, source): oracle(store, settled, openid, source)
        for openid in ("o-1", "o-1#5", "nobody")
        for source in {*SOURCES}
    }
    found = 0
    for _ in range(QUERIES[world.engine]):
        openid, source = dice.choice(["o-1", "o-1", "o-1#5", "nobody"]), dice.choice(SOURCES)
        start, end = random_range(dice, oracles[openid, source].newest_first)
        query = ListQuery(QUIET.app_id, openid, source, start, end)
        expected = oracles[openid, source].of(query)
        total = Sum(sum(entry.terms.settle_hundredths for entry in expected), len(expected))
        assert store.total(query, NOW_MS) == total, query
        size = dice.choice([1, 2, 3, 7, 20, 50, 1000])
        assert store.settled_page(query, None, size) == expected[:size], query
        if expected:  # from any entry on, also where a page ends inside a millisecond
            last = dice.randrange(len(expected))
            after = Position(expected[last].settle_time_ms, expected[last].order.bill_no)
            assert store.settled_page(query, after, size) == expected[last + 1 : last + 1 + size], query
        found += bool(expected)
    return found


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_no_query_misses_a_row_or_has_one_too_many_and_totals_are_exact(paper_world: World, seed: int) -> None:
    assert check_queries(paper_world, seed) > QUERIES["paper"] / 4


def test_the_engines_find_so_too(world: World) -> None:
    assert check_queries(world, HISTORIES) > QUERIES[world.engine] / 4
