"""Game orders: a report settles all of its orders and makes its ledger row, or nothing."""

from collections.abc import Callable
from copy import replace
from typing import Any

import pytest

from settlement.errors import Busy, OrderAlreadySettled, OrderExists, OrderNotFound
from settlement.notifications import game_notification
from settlement.orders import GameResult, SettledGameOrder, game_order_id
from settlement.settling import Repeated

from .worlds import CLUB, NOW_MS, QUIET, Time, World, game_order

RESULT = GameResult("match-1", "u-1", 0, 5, 95, None, 1_795_000_000)
ROBOT = replace(RESULT, uid="", is_ai=1, score=-(2**31), remain_score=2**31 - 1, commission_score=0)


def created(world: World, count: int, app_id: str = "club-a") -> list[str]:
    ids = [game_order_id(app_id, f"out-{n}") for n in range(count)]
    for number, order_id in enumerate(ids):
        assert world.store().create_game_order(app_id, order_id, game_order(f"out-{number}"))
    return ids


def report(ids: list[str]) -> dict[str, GameResult]:
    return {order_id: ROBOT if number % 2 else RESULT for number, order_id in enumerate(ids)}


@pytest.mark.parametrize("payload", [None, '{"a":[1.50,"中"]}', "{}"])
@pytest.mark.parametrize("group", [None, "g-1"])
def test_an_order_is_found_as_it_was_created(world: World, payload: str | None, group: str | None) -> None:
    order = game_order(payload=payload, out_group_id=group, value=-(2**31))
    store = world.store()
    assert store.create_game_order("club-a", "id-1", order) is True
    assert store.find_game_order("club-a", "id-1") == order
    assert store.create_game_order("club-a", "id-1", order) is False
    with pytest.raises(OrderExists, match=r"\Avalue: "):
        store.create_game_order("club-a", "id-1", replace(order, value=1))
    with pytest.raises(OrderNotFound):
        store.find_game_order("club-b", "id-1")


def test_a_club_order_and_a_game_order_of_one_name_are_two(world: World) -> None:
    world.store().create_game_order("club-a", "b-1", game_order())
    assert world.store().find_club_order("club-a", "b-1") is None


def test_a_report_settles_its_orders_and_makes_its_ledger_row_in_one_transaction(world: World) -> None:
    ids = created(world, 9)
    settled = world.store().settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    assert not isinstance(settled, Repeated)
    assert list(settled) == ids
    for position, order_id in enumerate(ids):
        found = world.store().find_game_order("club-a", order_id)
        assert isinstance(found, SettledGameOrder)
        assert found == settled[order_id]
        assert (found.position, found.settle_time_ms) == (position, NOW_MS)
        assert found.result == report(ids)[order_id]
    [row] = world.rows("NotificationTable")
    assert row["body"] == {"S": game_notification("club-a", settled).body}
    assert world.meddled.count("transact_write_items") == 1
    assert world.rows("TotalsTable") == []


def test_the_same_report_again_in_any_sequence_writes_nothing(world: World) -> None:
    ids = created(world, 4)
    world.store().settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    before = world.everything()
    world.now_ms += 1000
    again = dict(reversed(report(ids).items()))
    assert world.store().settle_game_orders(CLUB, "mg-1", "room-1", again) == Repeated()
    assert world.store().settle_game_orders(CLUB, "mg-1", "room-1", {ids[1]: ROBOT}) == Repeated()
    assert world.everything() == before


def test_a_refused_report_writes_nothing(world: World) -> None:
    ids = created(world, 4)
    store = world.store()
    store.settle_game_orders(CLUB, "mg-1", "room-1", {ids[0]: RESULT})
    before = world.everything()
    with pytest.raises(OrderAlreadySettled, match=ids[0]):
        store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    with pytest.raises(OrderAlreadySettled, match=ids[0]):
        store.settle_game_orders(CLUB, "mg-1", "room-1", {ids[1]: RESULT, ids[0]: ROBOT})
    with pytest.raises(OrderNotFound, match="unknown"):
        store.settle_game_orders(CLUB, "mg-1", "room-1", {ids[1]: RESULT, "unknown": RESULT})
    with pytest.raises(OrderNotFound, match=ids[1]):
        store.settle_game_orders(CLUB, "mg-2", "room-1", {ids[1]: RESULT})
    with pytest.raises(OrderNotFound, match=ids[1]):
        store.settle_game_orders(replace(CLUB, app_id="club-b"), "mg-1", "room-1", {ids[1]: RESULT})
    assert world.everything() == before


def test_a_merchant_without_a_url_gets_no_ledger_row(world: World) -> None:
    ids = created(world, 2, QUIET.app_id)
    world.store().settle_game_orders(QUIET, "mg-1", "room-1", report(ids))
    assert world.rows("NotificationTable") == []


def test_a_report_that_loses_the_race_to_itself_is_a_repeat(world: World) -> None:
    ids = created(world, 3)
    store = world.store()
    neighbour = lambda: store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids))  # noqa: E731
    world.meddled.before_first("transact_write_items", neighbour)
    assert store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids)) == Repeated()
    assert len(world.rows("NotificationTable")) == 1


def test_a_report_that_loses_one_of_its_orders_to_another_writes_none_of_them(world: World) -> None:
    ids = created(world, 3)
    store = world.store()
    neighbour = lambda: store.settle_game_orders(CLUB, "mg-1", "room-1", {ids[2]: ROBOT})  # noqa: E731
    world.meddled.before_first("transact_write_items", neighbour)
    with pytest.raises(OrderAlreadySettled, match=ids[2]):
        store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    assert store.find_game_order("club-a", ids[0]) == game_order("out-0")
    assert len(world.rows("NotificationTable")) == 1


def test_a_report_that_is_read_while_it_commits_is_read_again(world: World, pauses: Time) -> None:
    ids = created(world, 2)
    store = world.store()
    store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    half_read = [1, 1, 1]

    def hide_the_commit(real: Callable[..., Any], **arguments: Any) -> Any:
        answer = real(**arguments)
        if half_read:
            half_read.pop()
            for item in answer["Responses"][world.tables["SettlementTable"]]:
                if item["billno"]["S"].endswith(ids[1]):
                    del item["settle_time"]
        return answer

    world.meddled.instead_of("batch_get_item", hide_the_commit)
    assert store.settle_game_orders(CLUB, "mg-1", "room-1", report(ids)) == Repeated()
    assert world.meddled.count("batch_get_item") == 5
    assert len(pauses.pauses) == 3


def test_keys_that_a_batch_left_unread_are_read_until_none_is_left(world: World) -> None:
    ids = created(world, 7)

    def two_at_a_time(real: Callable[..., Any], RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        [(table, request)] = RequestItems.items()
        now, later = request["Keys"][:2], request["Keys"][2:]
        answer = real(RequestItems={table: {**request, "Keys": now}})
        return {**answer, "UnprocessedKeys": {table: {**request, "Keys": later}} if later else {}}

    world.meddled.instead_of("batch_get_item", two_at_a_time)
    settled = world.store().settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    assert not isinstance(settled, Repeated)
    assert len(settled) == 7
    assert world.meddled.count("batch_get_item") == 4
    assert all(
        call["RequestItems"][world.tables["SettlementTable"]]["ConsistentRead"]
        for name, call in world.meddled.calls
        if name == "batch_get_item"
    )


def test_keys_that_stay_unread_are_busy(world: World) -> None:
    ids = created(world, 2)

    def none(_: Callable[..., Any], RequestItems: dict[str, Any]) -> Any:  # noqa: N803
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    world.meddled.instead_of("batch_get_item", none)
    before = world.everything()
    with pytest.raises(Busy):
        world.store().settle_game_orders(CLUB, "mg-1", "room-1", report(ids))
    assert world.everything() == before
