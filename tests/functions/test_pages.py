"""Walks through a list of settlements: each once, none missing, the end exact, the total the sum to the last digit."""

import copy
import random
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from settlepoint_local.in_process import World
from settlepoint_local.situations import BILL, CLUB, THIS_OPENID

NOW_MS = 1795305600000
COUNT = 210
SOURCES: dict[int, int] = {0: 0, 1: 1, 5: 0, 8: -1, 16: 0}
"""To the sign that their amounts have; 0 both."""


@pytest.fixture
def orders(world: World, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Settled over two days, many at one instant, and as many of another openid between them."""
    # What makes it slow: the comparison of all tables, and moto's copy of them for the case that a transaction fails.
    world.watches = False
    with monkeypatch.context() as moto:
        moto.setattr("moto.dynamodb.models.copy", SimpleNamespace(deepcopy=copy.copy))
        made = settled_orders(world)
    world.watches, world.now_ms = True, NOW_MS
    return made


def settled_orders(world: World) -> list[dict[str, Any]]:
    choice = random.Random(7)  # noqa: S311  # the same orders each time
    made: list[dict[str, Any]] = []
    for number in range(COUNT):
        source, sign = choice.choice(list(SOURCES.items()))
        amt = choice.randint(1, 10**6) * (sign or choice.choice((1, -1)))
        bill: dict[str, Any] = {**BILL, "bill_no": f"bill-{number}", "amt": amt, "source": source}
        terms = {"amt_ratio": choice.randint(0, 100)}
        made.append({**bill, **terms, "settle_time": NOW_MS - choice.randint(0, 40) * 4_321_987})
    for number, bill in enumerate(sorted(made, key=lambda order: order["settle_time"])):
        world.now_ms = bill["settle_time"]
        assert world.call("create_club_order", bill, bearer(world)).code == 0
        assert world.call("set_club_jf_settle", bill, bearer(world)).code == 0
        if number % 10 == 0:
            other = {**bill, "bill_no": f"other-{number}", "openid": "openid-of-wu"}
            world.call("create_club_order", other, bearer(world))
            world.call("set_club_jf_settle", other, bearer(world))
    return made


def bearer(world: World) -> str:
    claims = {**world.scene.claims("club-a"), "iat": world.now_ms // 1000, "exp": world.now_ms // 1000 + 60}
    return world.scene.token("club-a", claims=claims)


def walk(world: World, query: dict[str, Any]) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    context = ""
    while not pages or not pages[-1]["is_end"]:
        page = world.call("get_club_jf_settle_list", {**query, "page_context": context}, CLUB).data
        pages.append(page)
        context = page["page_context"]
        assert (context == "") == page["is_end"]
        assert len(pages) <= COUNT
    return pages


def check_walk(pages: list[dict[str, Any]], expected: list[dict[str, Any]], page_size: int = 20) -> None:
    entries = [entry for page in pages for entry in page["settle_list"]]
    assert Counter(entry["billno"] for entry in entries) == Counter(order["bill_no"] for order in expected)
    times = [entry["settle_time"] for entry in entries]
    assert times == sorted(times, reverse=True)
    assert [len(page["settle_list"]) for page in pages[:-1]] == [page_size] * (len(pages) - 1)
    assert len(pages) == max(1, -(-len(expected) // page_size))
    assert ["total_amt" in page for page in pages] == [True] + [False] * (len(pages) - 1)
    assert Decimal(pages[0]["total_amt"]) == sum((Decimal(entry["settle_amt"]) for entry in entries), Decimal(0))
    hundredths = sum(order["amt"] * (order["amt_ratio"] or 100) for order in expected)
    assert Decimal(pages[0]["total_amt"]) * 100 == hundredths


def test_walks_find_each_settlement_once(world: World, orders: list[dict[str, Any]]) -> None:
    """All walks share the settlements, which take a while to make."""
    assert len({order["settle_time"] for order in orders}) < len(orders) / 4
    times = sorted(order["settle_time"] for order in orders)
    ranges = [
        (None, None),
        (times[0], times[-1]),
        (times[60], times[160]),
        (times[100], None),
        (None, times[100]),
        (times[7], times[7]),
        (times[-1] + 5000, times[-1] + 9000),
        (times[50], NOW_MS + 10**10),
    ]
    for source in (None, 5, 8, 2):
        for start_ms, end_ms in ranges:
            query: dict[str, Any] = dict(THIS_OPENID)
            if source is not None:
                query["source"] = source
            if start_ms is not None:
                query["start_time_unix_sec"] = start_ms // 1000
            if end_ms is not None:
                query["end_time_unix_sec"] = end_ms // 1000
            expected = [
                order
                for order in orders
                if source in (None, order["source"])
                and (start_ms is None or order["settle_time"] // 1000 >= start_ms // 1000)
                and (end_ms is None or order["settle_time"] // 1000 <= end_ms // 1000)
            ]
            check_walk(walk(world, query), expected)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_is_end_is_exact(world: World, monkeypatch: pytest.MonkeyPatch, count: int, page_size: int) -> None:
    """A page that ends on the last entry says so: nobody asks for an empty page."""
    monkeypatch.setenv("PAGE_SIZE", str(page_size))
    made = [{**BILL, "bill_no": f"bill-{number}", "amt_ratio": 0} for number in range(count)]
    for bill in made:
        world.call("create_club_order", bill, CLUB)
        world.call("set_club_jf_settle", bill, CLUB)
    check_walk(walk(world, dict(THIS_OPENID)), made, page_size)


def test_what_is_settled_during_a_walk_neither_repeats_nor_hides_an_older_entry(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGE_SIZE", "2")
    seen: list[str] = []
    context = ""
    for number in range(6):
        settle(world, f"old-{number}", NOW_MS + number)
    for number in range(3):
        page = world.call("get_club_jf_settle_list", {**THIS_OPENID, "page_context": context}, CLUB).data
        seen += [entry["billno"] for entry in page["settle_list"]]
        context = page["page_context"]
        settle(world, f"new-{number}", NOW_MS + 1000 + number)
    assert seen == [f"old-{number}" for number in (5, 4, 3, 2, 1, 0)]
    assert context == ""


def settle(world: World, bill_no: str, now_ms: int) -> None:
    world.now_ms = now_ms
    world.call("create_club_order", {**BILL, "bill_no": bill_no}, CLUB)
    assert world.call("set_club_jf_settle", {"bill_no": bill_no, "openid": BILL["openid"]}, CLUB).code == 0


def test_totals_of_huge_amounts_are_exact_to_the_last_digit(world: World) -> None:
    for number in range(3):
        bill = {**BILL, "bill_no": f"bill-{number}", "amt": 10**12 - number}
        world.call("create_club_order", bill, CLUB)
        world.call("set_club_jf_settle", {**bill, "amt_ratio": 99}, CLUB)
    reply = world.call("get_club_jf_settle_list", THIS_OPENID, CLUB)
    assert '"total_amt":2969999999997.03' in reply.text
    assert '"settle_amt":989999999998.02,' in reply.text
