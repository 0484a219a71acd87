"""Pages of settlements: each entry once, none missing, whatever shares a moment with whatever."""

import pytest

from settlement.cursor import ListQuery, Position
from settlement.orders import SettledClubOrder

from .worlds import NOW_MS, QUIET, World, chance, club_order

EVERYTHING = ListQuery(QUIET.app_id, "o-1", None, None, None)


def walk(world: World, query: ListQuery, limit: int) -> list[SettledClubOrder]:
    """As the list's door walks: one more than is shown, on from the last one shown."""
    found: list[SettledClubOrder] = []
    after: Position | None = None
    while True:
        page = world.store().settled_page(query, after, limit + 1)
        assert len(page) <= limit + 1
        found += page[:limit]
        if len(page) <= limit:
            return found
        after = Position(page[limit - 1].settle_time_ms, page[limit - 1].order.bill_no)


def bill_nos(entries: list[SettledClubOrder]) -> list[str]:
    return [entry.order.bill_no for entry in entries]


def test_ties_are_walked_over_page_boundaries_each_entry_once(world: World) -> None:
    dice = chance(1)
    settled = []
    with world.quickly():
        for number in range(210):
            # Three moments only: whole pages are ties, and runs of them cross every boundary.
            at_ms = NOW_MS + dice.choice([0, 0, 0, 1, 2])
            amt, one_of = dice.choice([-7, 3]), dice.choice([5, 5, 6, 0])
            settled.append(world.settle(f"b-{number:03d}", at_ms, source=one_of, amt=amt, ratio=33))
        world.settle("other openid", NOW_MS, openid="o-2")
    sources: tuple[int | None, ...] = (None, 5, 6, 0, 16)
    for source in sources:
        query = ListQuery(QUIET.app_id, "o-1", source, None, None)
        expected = [entry for entry in settled if source in (None, entry.order.source)]
        for limit in (7, 20, 300) if source is None else (2, 20):
            found = walk(world, query, limit)
            assert sorted(bill_nos(found)) == sorted(bill_nos(expected))
            assert [entry.settle_time_ms for entry in found] == sorted(
                (e.settle_time_ms for e in expected), reverse=True
            )
            assert {entry.order.bill_no: entry for entry in found} == {entry.order.bill_no: entry for entry in expected}


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (None, None, ["d", "c", "b", "a"]),
        (1_700_000_000, 1_700_000_000, ["b", "a"]),
        (1_700_000_000, None, ["d", "c", "b", "a"]),
        (1_700_000_001, None, ["d", "c"]),
        (None, 1_700_000_000, ["b", "a"]),
        (None, 1_700_000_001, ["d", "c", "b", "a"]),
        (None, 1_699_999_999, []),
        (1_700_000_002, None, []),
        (1, 1_700_000_000, ["b", "a"]),
    ],
)
def test_both_ends_of_a_range_are_inclusive_and_the_end_second_whole(
    world: World, start: int | None, end: int | None, found: list[str]
) -> None:
    for bill_no, at_ms in (
        ("a", 1_700_000_000_000),
        ("b", 1_700_000_000_999),
        ("c", 1_700_000_001_000),
        ("d", 1_700_000_001_999),
    ):
        world.settle(bill_no, at_ms)
    for source in (None, 5):
        for limit in (1, 2, 9):
            assert bill_nos(walk(world, ListQuery(QUIET.app_id, "o-1", source, start, end), limit)) == found


def test_new_settlements_neither_repeat_nor_hide_an_older_entry(world: World) -> None:
    for number in range(5):
        world.settle(f"old-{number}", NOW_MS + number)
    store = world.store()
    first = store.settled_page(EVERYTHING, None, 2)
    for number in range(5):
        world.settle(f"new-{number}", NOW_MS + 100 + number)
    rest = store.settled_page(EVERYTHING, Position(first[-1].settle_time_ms, first[-1].order.bill_no), 20)
    assert bill_nos(first + rest) == [f"old-{number}" for number in (4, 3, 2, 1, 0)]


def test_a_page_goes_on_from_an_entry_in_a_range_whose_ends_it_touches(world: World) -> None:
    for number in range(6):
        world.settle(f"b-{number}", 1_700_000_000_000)
    query = ListQuery(QUIET.app_id, "o-1", 5, 1_700_000_000, 1_700_000_000)
    assert len(set(bill_nos(walk(world, query, 2)))) == 6


def test_an_index_page_that_ends_early_is_read_on(world: World) -> None:
    for number in range(9):
        world.settle(f"b-{number}", NOW_MS + number)

    def short(real: object, **arguments: object) -> object:
        return real(**{**arguments, "Limit": 2})  # type: ignore[operator]

    world.meddled.instead_of("query", short)  # as at 1 MB
    assert bill_nos(world.store().settled_page(EVERYTHING, None, 7)) == [f"b-{number}" for number in range(8, 1, -1)]
    assert len(world.store().settled_page(EVERYTHING, None, 20)) == 9


def test_orders_that_are_not_settled_and_other_apps_orders_are_in_no_list(world: World) -> None:
    world.settle("b-1", NOW_MS)
    world.store().create_club_order(QUIET.app_id, club_order("b-2"))
    assert bill_nos(walk(world, EVERYTHING, 5)) == ["b-1"]
    assert walk(world, ListQuery("club-x", "o-1", None, None, None), 5) == []
    assert walk(world, ListQuery(QUIET.app_id, "o-1#5", None, None, None), 5) == []
    assert walk(world, ListQuery(QUIET.app_id, "o", 1, None, None), 5) == []
