"""Between apps there is a wall: what another app has, and what nobody has, get the same bytes."""

import string
from typing import Any

import pytest

from settlement.cursor import ListQuery
from settlement.orders import game_order_id
from settlepoint_local.in_process import Reply, World
from settlepoint_local.situations import (
    BILL,
    CLUB,
    GAME,
    MERCHANT,
    ORDER,
    ORDER_ID,
    OTHER_CLUB,
    OTHER_MERCHANT,
    REPORT,
    ROBOT,
    THIS_BILL,
    THIS_OPENID,
    WINNER,
    signature_of,
)

from .answers import check_fault

OTHER_GAME = signature_of("game-b")


@pytest.fixture
def settled(world: World) -> World:
    """App A has all there is: a settled club order, a settled and an open game order."""
    world.happen("create_club_order/creates", "set_club_jf_settle/settles_in_full")
    world.happen("create_order/creates", "create_order/creates_without_optional_fields", "settle_users/settles_one")
    return world


def same_bytes(replies: list[Reply]) -> bool:
    return len({(reply.status, tuple(reply.headers.items()), reply.text) for reply in replies}) == 1


def test_a_foreign_club_order_is_an_unknown_one(settled: World) -> None:
    bills = [
        {},
        {"bill_no": "nobody's"},
        {"openid": "nobody's"},
        {"bill_no": "club#club-a#bill-1001"},
        {"bill_no": "../club-a#bill-1001"},
    ]
    replies = [settled.call("set_club_jf_settle", {**THIS_BILL, **bill}, OTHER_CLUB) for bill in bills]
    check_fault(replies[0], 1003, "bill_no:")
    assert same_bytes(replies)


def test_a_foreign_openid_has_no_settlements(settled: World) -> None:
    openids = ("openid-of-li", "nobody's", "club-a#openid-of-li", "#openid-of-li")
    replies = [settled.call("get_club_jf_settle_list", {"openid": openid}, OTHER_CLUB) for openid in openids]
    assert replies[0].data == {"settle_list": [], "total_amt": 0, "page_context": "", "is_end": True}
    assert same_bytes(replies)


@pytest.mark.parametrize("folder", ["query_order", "query_user_settle"])
def test_a_foreign_game_order_is_an_unknown_one(settled: World, folder: str) -> None:
    look_ups = [
        {"order_id": ORDER_ID},
        {"out_order_id": "order-1001"},
        {"order_id": game_order_id("merchant-a", "order-1002")},
        {"order_id": "0" * 32},
        {"out_order_id": "nobody's"},
        {"order_id": ORDER_ID, "app_id": "merchant-a"},
        {"order_id": f"merchant-a#{ORDER_ID}"},
        {"order_id": f"game#merchant-a#{ORDER_ID}"},
    ]
    replies = [settled.call(folder, look_up, OTHER_MERCHANT) for look_up in look_ups]
    check_fault(replies[0], 70503, "order_id: no such order")
    assert same_bytes(replies)


def test_the_two_apis_of_one_app_share_no_order(settled: World) -> None:
    settled.change_app("club-a", roles=frozenset({"club", "merchant"}))
    settled.cold_start()
    look_up = {"order_id": "bill-1001"}
    check_fault(settled.call("query_order", look_up, signature_of("club-a")), 70503, "order_id: no such order")


def test_a_game_server_reports_for_its_own_merchants_alone(settled: World) -> None:
    """game-b serves merchant-b: not by merchant-a's app_id, nor by the ids of merchant-a's orders."""
    replies = [
        settled.call("settle_users", {**REPORT, "app_id": app_id}, OTHER_GAME) for app_id in ("merchant-a", "nobody")
    ]
    check_fault(replies[0], 10111, "mg_id or app_id:")
    assert same_bytes(replies)

    ids = [{"order_id": ORDER_ID, "out_order_id": ""}, {"order_id": "0" * 32, "out_order_id": ""}]
    replies = [
        settled.call("settle_users", {**REPORT, "app_id": "merchant-b", "results": [{**WINNER, **named}]}, OTHER_GAME)
        for named in ids
    ]
    for reply, named in zip(replies, ids, strict=True):
        check_fault(reply, 70503, f"order {named['order_id']}:")
    assert replies[0].text.replace(ORDER_ID, "0" * 32) == replies[1].text


def test_a_report_cannot_name_a_merchant_that_is_not_there(world: World) -> None:
    world.change_app("game-a", for_apps=frozenset({"merchant-x"}))
    check_fault(world.call("settle_users", {**REPORT, "app_id": "merchant-x"}, GAME), 10111, "mg_id or app_id:")


def test_nobody_can_squat_on_anothers_numbers(world: World) -> None:
    """App B takes app A's numbers first; app A never notices, and neither sees the other's."""
    theirs = {**BILL, "amt": 1, "detail": "squat", "account": None}
    assert world.call("create_club_order", theirs, OTHER_CLUB).code == 0
    assert world.call("set_club_jf_settle", THIS_BILL, OTHER_CLUB).code == 0
    assert world.call("create_order", {**ORDER, "value": 1}, OTHER_MERCHANT).code == 0
    other_report = {**REPORT, "app_id": "merchant-b", "results": [{**WINNER, "score": 1}]}
    assert world.call("settle_users", other_report, OTHER_GAME).code == 0

    world.happen("create_club_order/creates", "create_order/creates", "create_order/creates_without_optional_fields")
    assert world.call("get_club_jf_settle_list", THIS_OPENID, CLUB).data["settle_list"] == []
    assert world.call("query_order", {"out_order_id": "order-1001"}, MERCHANT).data["value"] == 120
    check_fault(world.call("query_user_settle", {"out_order_id": "order-1001"}, MERCHANT), 70504, "order ")
    world.happen("set_club_jf_settle/settles_in_full", "settle_users/settles")

    mine, others = (world.call("get_club_jf_settle_list", THIS_OPENID, club).data for club in (CLUB, OTHER_CLUB))
    assert (mine["total_amt"], others["total_amt"]) == (1333, 1)
    scores = [
        world.call("query_user_settle", {"out_order_id": "order-1001"}, merchant).data["score"]
        for merchant in (MERCHANT, OTHER_MERCHANT)
    ]
    assert scores == [120, 1]


def test_app_id_in_a_merchants_body_names_nobody(world: World) -> None:
    world.call("create_order", {**ORDER, "app_id": "merchant-a"}, OTHER_MERCHANT)
    assert [row["billno"].split("#")[1] for row in world.rows("SettlementTable")] == ["merchant-b"]


def test_a_failed_call_of_another_app_changes_no_table(settled: World) -> None:
    before = settled.digest()
    settled.call("set_club_jf_settle", {**THIS_BILL, "amt_ratio": 1}, OTHER_CLUB)
    settled.call("settle_users", {**REPORT, "results": [{**ROBOT, "score": 1}]}, GAME)
    settled.call("create_club_order", {**BILL, "amt": 2}, CLUB)
    assert settled.digest() == before


# --------------------------------------------------------------------------------------------------- page_context


@pytest.fixture
def paged(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[World, str]:
    """Three settlements in pages of one, and the page_context of the first page."""
    monkeypatch.setenv("PAGE_SIZE", "1")
    world.prepare("get_club_jf_settle_list/lists_all")
    page = world.call("get_club_jf_settle_list", THIS_OPENID, CLUB).data
    assert not page["is_end"]
    return world, page["page_context"]


def refused(world: World, fields: dict[str, Any], by: Any = CLUB) -> None:
    reply = world.call("get_club_jf_settle_list", {**THIS_OPENID, **fields}, by)
    check_fault(reply, 1001, "page_context: not one that this query was given")


def test_a_genuine_page_context_is_what_the_generator_signs(paged: tuple[World, str]) -> None:
    world, context = paged
    query = ListQuery("club-a", "openid-of-li", None, None, None)
    assert context == world.scene.page_context(query, "bill-1003", world.scene.now_ms - 1000)
    assert world.call("get_club_jf_settle_list", {**THIS_OPENID, "page_context": context}, CLUB).code == 0


def test_every_prefix_of_a_page_context_is_refused(paged: tuple[World, str]) -> None:
    world, context = paged
    for length in range(1, len(context)):
        refused(world, {"page_context": context[:length]})
    for more in ("A", "=", " ", "\n", context):
        refused(world, {"page_context": context + more})


def test_every_single_changed_character_of_a_page_context_is_refused(paged: tuple[World, str]) -> None:
    world, context = paged
    alphabet = string.ascii_letters + string.digits + "-_"
    for place, character in enumerate(context):
        # Neighbours in base64's alphabet differ in the lowest bits, which at the end of the text carry nothing.
        code = alphabet.index(character)
        for other in {alphabet[code ^ 1], alphabet[code ^ 32], "+", "!"} - {character}:
            refused(world, {"page_context": context[:place] + other + context[place + 1 :]})


@pytest.mark.parametrize(
    "query",
    [
        {"openid": "openid-of-wu"},
        {"source": 8},
        {"source": 0},
        {"start_time_unix_sec": 1},
        {"end_time_unix_sec": 1},
        {"start_time_unix_sec": 1, "end_time_unix_sec": 2_000_000_000},
    ],
)
def test_a_page_context_belongs_to_its_query(paged: tuple[World, str], query: dict[str, Any]) -> None:
    world, context = paged
    refused(world, {**query, "page_context": context})


def test_a_page_context_belongs_to_its_app(paged: tuple[World, str]) -> None:
    world, context = paged
    refused(world, {"page_context": context}, OTHER_CLUB)
