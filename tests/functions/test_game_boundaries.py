"""The game API's fields, in the order of the contract's tables: what is just allowed, and what is just not."""

from decimal import Decimal
from typing import Any

import pytest

from settlement.strictjson import dump
from settlepoint_local.in_process import World
from settlepoint_local.situations import GAME, MERCHANT, ORDER, PLAIN_ORDER, REPORT, ROBOT, WINNER

from .answers import GAME_DONE, check_fault

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def payload_of(size: int) -> dict[str, str]:
    """An object of that many bytes as compact JSON."""
    return {"p": "x" * (size - len('{"p":""}'))}


STRINGS = ("mg_id", "room_id", "cmd", "from_uid", "to_uid")
TAKEN = [
    ("out_order_id", "o"),
    ("out_order_id", "o" * 64),
    ("out_order_id", "单" * 64),  # characters, not bytes
    *[(name, text) for name in STRINGS for text in ("m", "m" * 128, "游" * 42 + "mm")],
    ("value", INT32_MIN),
    ("value", 0),
    ("value", INT32_MAX),
    ("out_group_id", None),
    ("out_group_id", ""),
    ("out_group_id", "组" * 64),
    ("payload", None),
    ("payload", {}),
    ("payload", payload_of(8192)),
    ("payload", {"deep": {"er": [1, "2", None, True, {"x": {}}]}}),
]
REFUSED = [
    ("out_order_id", ""),
    ("out_order_id", "o" * 65),
    *[(name, text) for name in STRINGS for text in ("", "m" * 129, "游" * 43)],
    ("value", INT32_MIN - 1),
    ("value", INT32_MAX + 1),
    ("out_group_id", "g" * 65),
    ("payload", payload_of(8193)),
    ("payload", {"p": "载" * 2800}),
]


@pytest.mark.parametrize(("field", "value"), TAKEN)
def test_create_order_takes_and_every_look_up_gives_it_back(world: World, field: str, value: Any) -> None:
    body = {**ORDER, field: value}
    created = world.call("create_order", body, MERCHANT)
    assert created.json["ret_code"] == 0
    assert world.call("create_order", body, MERCHANT).json == created.json
    asked = {name: part for name, part in body.items() if name != "app_id" and part not in (None, "")}
    for look_up in ({"order_id": created.data["order_id"]}, {"out_order_id": body["out_order_id"]}):
        data = world.call("query_order", look_up, MERCHANT).data
        assert data == {**asked, "order_id": created.data["order_id"], "status": "CREATED"}


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_create_order_refuses(refusing_world: World, field: str, value: Any) -> None:
    check_fault(refusing_world.call("create_order", {**ORDER, field: value}, MERCHANT), 10002, f"{field}:")


@pytest.mark.parametrize("number", ["1.10", "1E+5", "0.1", "-0", "1" * 40, "1" * 37 + "e10", "12345678901234567890"])
def test_the_numbers_of_a_payload_come_back_digit_for_digit(world: World, number: str) -> None:
    body = dump(PLAIN_ORDER)[:-1] + f',"payload":{{"n":{number}}}}}'
    assert world.call("create_order", body.encode(), MERCHANT).code == 0
    data = world.call("query_order", {"out_order_id": "order-1002"}, MERCHANT).data
    assert data["payload"]["n"] == Decimal(number)


@pytest.mark.parametrize("folder", ["query_order", "query_user_settle"])
@pytest.mark.parametrize(
    ("look_up", "names"),
    [
        ({}, "order_id:"),
        ({"order_id": "", "out_order_id": ""}, "order_id:"),
        ({"order_id": None, "out_order_id": None}, "order_id:"),
        ({"order_id": "o" * 129}, "order_id:"),
        ({"out_order_id": "o" * 65}, "out_order_id:"),
    ],
)
def test_look_ups_refuse(refusing_world: World, folder: str, look_up: dict[str, Any], names: str) -> None:
    check_fault(refusing_world.call(folder, look_up, MERCHANT), 10002, names)


def changed(path: str, value: Any) -> dict[str, Any]:
    """The report with one field replaced; `results.N.name` for one of a result."""
    name, _, rest = path.partition(".")
    if not rest:
        return {**REPORT, name: value}
    place, _, part = rest.partition(".")
    results: list[Any] = [dict(WINNER), dict(ROBOT)]
    results[int(place)][part] = value
    return {**REPORT, "results": results}


REPORT_TAKEN = [
    ("match_id", "x" * 128),
    ("settle_at", "1795305590"),
    ("settle_at", 1795305590),
    ("settle_at", "9999999999"),
    ("results.0.order_id", ""),
    ("results.0.order_id", "ab49e6adc253d31cf294ebf4c3a59633"),
    ("results.0.uid", "u" * 128),
    ("results.0.score", INT32_MIN),
    ("results.0.score", INT32_MAX),
    ("results.0.remain_score", INT32_MIN),
    ("results.0.remain_score", INT32_MAX),
    ("results.0.commission_score", INT32_MIN),
    ("results.0.commission_score", 0),
    ("results.0.commission_score", None),
]
REPORT_REFUSED = [
    ("app_id", ""),
    ("app_id", "a" * 65),
    ("app_id", "merchant-a\n"),
    ("app_id", "merchant#a"),
    ("mg_id", ""),
    ("mg_id", "m" * 129),
    ("room_id", ""),
    ("room_id", "m" * 129),
    ("match_id", ""),
    ("match_id", "m" * 129),
    ("settle_at", "179530559"),
    ("settle_at", "17953055900"),
    ("settle_at", 179530559),
    ("settle_at", 17953055900),
    ("settle_at", ""),
    ("settle_at", "179530559x"),
    ("settle_at", "+179530559"),
    ("settle_at", "-179530559"),
    ("settle_at", -179530559),
    ("settle_at", " 795305590"),
    ("settle_at", "0795305590"),  # would come back with nine digits
    ("settle_at", "١٧٩٥٣٠٥٥٩٠"),
    ("settle_at", 1795305590.5),
    ("settle_at", True),
    ("settle_at", None),
    ("results", []),
    ("results.0.order_id", "o" * 129),
    ("results.0.uid", "u" * 129),
    ("results.0.is_ai", -1),
    ("results.0.is_ai", 2),
    ("results.0.score", INT32_MAX + 1),
    ("results.0.score", INT32_MIN - 1),
    ("results.0.remain_score", INT32_MAX + 1),
    ("results.0.remain_score", INT32_MIN - 1),
    ("results.0.commission_score", INT32_MAX + 1),
    ("results.0.commission_score", INT32_MIN - 1),
]
TOGETHER_REFUSED = [
    ("results.0.uid", "", "results.0: uid:"),
    ("results.0.is_ai", 1, "results.0: uid:"),
    ("results.1.uid", "player-9", "results.1: uid:"),
    ("results.1.is_ai", 0, "results.1: uid:"),
    ("results.0.out_order_id", "", "results.0: order_id:"),
    ("results.0.order_id", "63c8548e3c8f520b5b8fa3dc95b78fa8", "results.0:"),  # the other order's
    ("results.1.out_order_id", "order-1001", "results.1:"),  # named twice
]


@pytest.fixture
def orders(world: World) -> World:
    """Both of the report's orders are created."""
    world.happen("create_order/creates", "create_order/creates_without_optional_fields")
    return world


@pytest.mark.parametrize(("path", "value"), REPORT_TAKEN)
def test_a_report_takes_and_the_merchant_is_told(orders: World, path: str, value: Any) -> None:
    body = changed(path, value)
    assert orders.call("settle_users", body, GAME).json == GAME_DONE
    assert orders.call("settle_users", body, GAME).json == GAME_DONE
    data = orders.call("query_user_settle", {"out_order_id": "order-1001"}, MERCHANT).data
    told = {name: part for name, part in body["results"][0].items() if part is not None and name != "order_id"}
    assert {name: data[name] for name in told} == told
    assert ("commission_score" in data) == ("commission_score" in told)
    assert data["settle_at"] == str(body["settle_at"])


@pytest.mark.parametrize(("path", "value"), REPORT_REFUSED)
def test_a_report_refuses(orders: World, path: str, value: Any) -> None:
    check_fault(orders.call("settle_users", changed(path, value), GAME), 10002, f"{path}:")


@pytest.mark.parametrize(("path", "value", "names"), TOGETHER_REFUSED)
def test_a_report_refuses_what_does_not_go_together(orders: World, path: str, value: Any, names: str) -> None:
    check_fault(orders.call("settle_users", changed(path, value), GAME), 10002, names)


def test_an_order_with_a_long_chinese_number_can_be_settled_by_it(world: World) -> None:
    number = "单" * 64
    world.call("create_order", {**PLAIN_ORDER, "out_order_id": number}, MERCHANT)
    assert world.call("settle_users", {**REPORT, "results": [{**ROBOT, "out_order_id": number}]}, GAME).code == 0
    assert world.call("query_user_settle", {"out_order_id": number}, MERCHANT).data["out_order_id"] == number


@pytest.mark.parametrize("count", [90, 91])
def test_a_report_holds_90_results(world: World, count: int) -> None:
    results = [{**ROBOT, "out_order_id": f"order-{place}"} for place in range(count)]
    for result in results:
        world.call("create_order", {**PLAIN_ORDER, "out_order_id": result["out_order_id"]}, MERCHANT)
    reply = world.call("settle_users", {**REPORT, "results": results}, GAME)
    if count == 90:
        assert reply.json == GAME_DONE
        assert ["settle_time" in row for row in world.rows("SettlementTable")] == [True] * 90
        assert len(world.rows("NotificationTable")) == 1
    else:
        check_fault(reply, 10002, "results:")
