"""What the console asks of the tables: lists from their newest end, sums by day, orders by any of their names."""

from copy import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from settlement.errors import Busy
from settlement.ledger import Notification
from settlement.orders import SettledClubOrder, game_order_id
from settlement.store import FoundOrder
from settlement.totals import NOTHING, Sum

from .test_totals import make_history
from .worlds import CLUB, NOW_MS, QUIET, Time, World, chance, club_order, game_order


def listed(world: World, since_ms: int, until_ms: int, limit: int) -> list[int]:
    """All of club-a's in the range, page by page, by the number in their ids."""
    found: list[int] = []
    after: tuple[int, str] | None = None
    for _ in range(40):
        page, ended = world.ledger.listed_back("club-a", since_ms, until_ms, after, limit)
        assert len(page) <= limit
        found += [int(entry.notify_id, 16) for entry in page]
        if ended:
            return found
        if page:
            after = page[-1].notify_time_ms, page[-1].notify_id
    raise AssertionError("the list does not end")


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_a_list_goes_back_from_its_newest_and_repeats_and_misses_none(world: World, limit: int) -> None:
    for number in range(12):
        time_ms = NOW_MS + number // 3 * 1000  # three of one moment
        assert world.ledger.add_held(Notification(f"{number:064x}", "club-a", "e", time_ms, "{}"), NOW_MS)
    assert world.ledger.add_held(Notification(f"{99:064x}", "club-b", "e", NOW_MS, "{}"), NOW_MS)
    found = listed(world, NOW_MS, NOW_MS + 3001, limit)
    assert [number // 3 for number in found] == [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]
    assert sorted(found) == list(range(12))
    assert sorted(listed(world, NOW_MS + 1, NOW_MS + 2000, limit)) == [3, 4, 5]
    for empty in ((NOW_MS + 5, NOW_MS + 5), (NOW_MS + 6, NOW_MS + 5), (0, NOW_MS)):
        assert listed(world, *empty, limit) == []


def test_what_is_held_and_dead_is_counted_so_far_and_no_further(world: World) -> None:
    for number in range(5):
        assert world.ledger.add_held(Notification(f"{number:064x}", "club-a", "e", NOW_MS, "{}"), NOW_MS)
    assert [world.ledger.count_held("club-a", at_most) for at_most in (1, 4, 5, 6)] == [1, 4, 5, 5]
    assert world.ledger.count_dead("club-a", 3) == 0


def test_the_days_of_an_account_are_the_sums_of_its_settlements(world: World) -> None:
    settled = make_history(world, chance(7), 120, (1, 4, 32))

    def expected(source: int | None, first: str, last: str) -> dict[str, Sum]:
        sums: dict[str, Sum] = {}
        for entry in settled:
            day = f"{datetime.fromtimestamp(entry.settle_time_ms // 1000, UTC):%Y-%m-%d}"
            if entry.order.openid == "o-1" and source in (None, entry.order.source) and first <= day <= last:
                sums[day] = sums.get(day, NOTHING).plus(Sum(entry.terms.settle_hundredths, 1))
        return dict(sorted(sums.items()))

    for first, last in (
        ("2023-12-01", "2026-12-31"),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-28", "2024-03-01"),
        ("2025-12-31", "2026-01-01"),
        ("2026-10-31", "2026-11-18"),
        ("2022-01-01", "2022-12-31"),
    ):
        for source in (None, 0, 5, 6, 16):
            found = world.totals().days(QUIET.app_id, "o-1", source, first, last)
            assert found == expected(source, first, last)
            assert list(found) == sorted(found)


def test_a_day_has_what_corrections_added_and_is_left_out_where_nothing_is_left(world: World) -> None:
    settled = world.settle("b-1", NOW_MS, openid="o-1", source=5, amt=7, ratio=100, shards=1)
    month = f"{datetime.fromtimestamp(NOW_MS // 1000, UTC):%Y-%m}"
    day = f"{datetime.fromtimestamp(NOW_MS // 1000, UTC):%Y-%m-%d}"
    corrected = Sum(-settled.terms.settle_hundredths, -1)
    assert world.totals().correct(QUIET.app_id, "o-1", f"m.5#{month}", {int(day[8:]): corrected}, 0)
    assert world.totals().days(QUIET.app_id, "o-1", 5, day, day) == {}
    assert world.totals().days(QUIET.app_id, "o-1", None, day, day) == {day: Sum(700, 1)}


def test_an_order_is_found_by_each_of_its_names_among_more_apps_than_one_read_takes(world: World) -> None:
    store = world.store()
    apps = [replace(CLUB, app_id=f"app-{number:03}") for number in range(120)]
    for app in (apps[0], apps[119]):
        assert store.create_club_order(app.app_id, club_order("one"))
    order_id = game_order_id("app-060", "one")
    assert store.create_game_order("app-060", order_id, game_order("one"))
    settled = store.settle_club_order(replace(QUIET, app_id="app-119"), "one", "o-1", None, 50)
    assert isinstance(settled, SettledClubOrder)
    world.meddled.calls.clear()
    assert store.find_called(apps, "one") == [
        FoundOrder("app-000", "one", club_order("one")),
        FoundOrder("app-060", order_id, game_order("one")),
        FoundOrder("app-119", "one", settled),
    ]
    assert world.meddled.count("batch_get_item") == 4  # three names an app, a hundred keys a read
    assert [found.app_id for found in store.find_called(apps, order_id)] == ["app-060"]
    assert store.find_called(apps[1:60], "one") == []
    clubs_alone = [replace(app, roles=frozenset({"club"})) for app in apps]
    assert [found.app_id for found in store.find_called(clubs_alone, "one")] == ["app-000", "app-119"]
    assert store.find_called([], "one") == []


def test_names_that_were_left_unread_are_asked_for_again(world: World, pauses: Time) -> None:  # noqa: ARG001  # none is waited for
    store = world.store()
    for number in range(3):
        assert store.create_club_order(f"app-{number}", club_order("one"))
    left: list[int] = [1]

    def leaves_one(real: Any, **arguments: Any) -> Any:
        answer = real(**arguments)
        [(table, items)] = answer["Responses"].items()
        if left and items:
            left.clear()
            answer["UnprocessedKeys"] = {table: {"Keys": [{"billno": items.pop()["billno"]}], "ConsistentRead": True}}
        return answer

    world.meddled.instead_of("batch_get_item", leaves_one)
    apps = [replace(CLUB, app_id=f"app-{number}") for number in range(3)]
    assert len(store.find_called(apps, "one")) == 3

    def leaves_all(_: Any, RequestItems: Any) -> Any:  # noqa: N803
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    world.meddled.instead_of("batch_get_item", leaves_all)
    with pytest.raises(Busy):
        store.find_called(apps, "one")
