"""Walks through a settlement list of a thousand entries: nothing twice, nothing missing, sums to the last digit."""

import base64
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from settlement.orders import Account, ClubOrder
from settlement.sources import SOURCES

from .system import System
from .wire import Answer, Club

pytestmark = pytest.mark.stack

SETTLED = 1000
PAGE = 20
MIDNIGHT = int(datetime(2026, 10, 31, tzinfo=UTC).timestamp())
"""Settle times lie from two days before the end of a month to two days into the next."""
HOUR = 3600
EXACTLY_ONE_PAGE, ONE_MORE_THAN_A_PAGE, NEVER_USED = 16, 15, 14


class History(NamedTuple):
    club: Club
    openid: str
    entries: dict[str, dict[str, Any]]
    """By billno, as the list should give them."""


@pytest.fixture(scope="module")
def history(system: System) -> History:
    """A thousand settlements: mixed sources, both signs, many at one and the same millisecond."""
    app = system.app("club")
    openid = system.confidential("openid")
    chance = random.Random(20261122)  # noqa: S311  # the same history every time
    # A few moments, most of them shared by many entries, some one millisecond beside an hour, a day or a month.
    moments = [(MIDNIGHT + chance.randrange(-48 * HOUR, 72 * HOUR)) * 1000 + chance.randrange(1000) for _ in range(60)]
    for hour in (-30, -1, 0, 24, 25, 47):
        moments += [(MIDNIGHT + hour * HOUR) * 1000 + beside for beside in (-1, 0, 999)]
    special = [EXACTLY_ONE_PAGE] * PAGE + [ONE_MORE_THAN_A_PAGE] * (PAGE + 1)
    ordinary = [source for source in SOURCES if source not in {*special, NEVER_USED}]
    sources = special + [chance.choice(ordinary) for _ in range(SETTLED - len(special))]
    chance.shuffle(sources)
    entries = {}
    settlements: list[tuple[int, ClubOrder, int | None, int]] = []
    for number, source in enumerate(sources):
        time_ms = chance.choice(moments)
        sign = {"+": 1, "-": -1, "±": chance.choice((1, -1))}[SOURCES[source].sign]
        amt = sign * chance.choice((chance.randrange(2, 1000), chance.randrange(2, 10**12)))
        ratio = chance.choice((1, 33, 50, 99, 100))
        by_amount = sign * chance.randrange(1, abs(amt)) if chance.random() < 0.3 else None
        account = Account(2, None, number) if number % 3 == 0 else None
        order = ClubOrder(f"bill-{number}", openid, amt, source, number, "", account)
        settlements.append((time_ms, order, by_amount, ratio))
        entries[order.bill_no] = {
            "billno": order.bill_no,
            "amt": amt,
            "settle_amt": Decimal(by_amount) if by_amount else Decimal(amt * ratio) / 100,
            "amt_ratio": 100 if by_amount else ratio,
            "settle_time": time_ms,
            **({"account": {"type": 2, "gid": number}} if account else {}),
            "detail": "",
            "source": source,
            "jf_gid": number,
        }

    def settle(settlement: tuple[int, ClubOrder, int | None, int]) -> None:
        time_ms, order, by_amount, ratio = settlement
        store = system.store(lambda: time_ms)
        store.create_club_order(app.app_id, order)
        store.settle_club_order(app, order.bill_no, openid, by_amount, ratio)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(settle, settlements))
    return History(system.club_of(app), openid, entries)


def walk(club: Club, openid: str, query: dict[str, int]) -> list[dict[str, Any]]:
    """The data of every page; what must hold of each is checked on the way."""
    pages: list[dict[str, Any]] = []
    context = ""
    while True:
        page = club.page(openid, **query, page_context=context).data
        assert ("total_amt" in page) == (not pages)
        assert (page["page_context"] == "") == page["is_end"]
        pages.append(page)
        if page["is_end"]:
            return pages
        assert len(page["settle_list"]) == PAGE
        context = page["page_context"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        *({"source": source} for source in (0, 1, 8, EXACTLY_ONE_PAGE, ONE_MORE_THAN_A_PAGE, NEVER_USED)),
        {"start_time_unix_sec": MIDNIGHT - 1800, "end_time_unix_sec": MIDNIGHT + 27 * HOUR + 1799},
        {"source": -1, "start_time_unix_sec": MIDNIGHT + 1, "end_time_unix_sec": MIDNIGHT + HOUR - 1},
        {"start_time_unix_sec": MIDNIGHT, "end_time_unix_sec": MIDNIGHT},
        {"start_time_unix_sec": MIDNIGHT - 1, "end_time_unix_sec": MIDNIGHT - 1},
        {"start_time_unix_sec": MIDNIGHT + 24 * HOUR},
        {"end_time_unix_sec": MIDNIGHT + 24 * HOUR - 1},
        {"end_time_unix_sec": MIDNIGHT - 5 * HOUR - 600, "source": 7},
        {"start_time_unix_sec": MIDNIGHT - 30 * HOUR, "end_time_unix_sec": MIDNIGHT + 25 * HOUR, "source": 9},
        {"start_time_unix_sec": MIDNIGHT + 100 * 24 * HOUR},
    ],
    ids=str,
)
def test_a_walk_gives_every_entry_once_and_adds_up_to_its_total(history: History, query: dict[str, int]) -> None:
    source = query.get("source", -1)
    start, end = query.get("start_time_unix_sec", 0), query.get("end_time_unix_sec", 10**11)
    expected = {
        billno: entry
        for billno, entry in history.entries.items()
        if source in (-1, entry["source"]) and start <= entry["settle_time"] // 1000 <= end
    }

    pages = walk(history.club, history.openid, query)

    listed = [entry for page in pages for entry in page["settle_list"]]
    assert len(listed) == len(expected)
    assert {entry["billno"]: entry for entry in listed} == expected
    times = [entry["settle_time"] for entry in listed]
    assert times == sorted(times, reverse=True)
    assert len(pages) == max(1, -(-len(expected) // PAGE))
    assert pages[0]["total_amt"] == sum((entry["settle_amt"] for entry in listed), Decimal(0))


def test_what_is_settled_while_somebody_pages_neither_repeats_nor_hides_an_entry(system: System) -> None:
    club = system.club()
    orders = [system.club_order(openid="pager-confidential") for _ in range(2 * PAGE + 1)]
    for order in orders[:-1]:
        assert club.create(order).code == club.settle(order).code == 0
    first = club.page("pager-confidential").data
    assert club.create(orders[-1]).code == club.settle(orders[-1]).code == 0
    second = club.page("pager-confidential", page_context=first["page_context"]).data

    listed = [entry["billno"] for entry in first["settle_list"] + second["settle_list"]]
    assert sorted(listed) == sorted(order["bill_no"] for order in orders[:-1])
    assert second["is_end"]
    assert len(walk(club, "pager-confidential", {})) == 3


def refused(answer: Answer) -> bool:
    detail = "page_context: not one that this query was given"
    return (answer.status, answer.json) == (200, {"ret": 1001, "msg": "请求参数错误，请稍后再试", "detail": detail})


@pytest.fixture(scope="module")
def context(system: System, history: History) -> str:
    context: str = history.club.page(history.openid, source=5, start_time_unix_sec=MIDNIGHT - 40 * HOUR).data[
        "page_context"
    ]
    system.known_secrets.append(context)
    return context


@pytest.fixture
def next_page(history: History) -> Callable[[str], Answer]:
    """The second page of the query that `context` belongs to."""
    return lambda context: history.club.page(
        history.openid, source=5, start_time_unix_sec=MIDNIGHT - 40 * HOUR, page_context=context
    )


def test_a_page_context_works_as_it_was_given(context: str, next_page: Callable[[str], Answer]) -> None:
    assert next_page(context).data["settle_list"]


def test_a_page_context_that_is_cut_anywhere_is_1001(context: str, next_page: Callable[[str], Answer]) -> None:
    assert all(refused(next_page(context[:length])) for length in range(1, len(context)))
    assert all(refused(next_page(longer)) for longer in (context[1:], context + "A", context + "=", " " + context))


def test_a_page_context_with_one_byte_flipped_is_1001(context: str, next_page: Callable[[str], Answer]) -> None:
    raw = base64.urlsafe_b64decode(context + "=" * (-len(context) % 4))
    for place in range(len(raw)):
        flipped = bytes(byte ^ (1 << place % 8 if at == place else 0) for at, byte in enumerate(raw))
        assert refused(next_page(base64.urlsafe_b64encode(flipped).rstrip(b"=").decode())), place
    for place, letter in enumerate(context):
        other = "B" if letter == "A" else "A"
        assert refused(next_page(context[:place] + other + context[place + 1 :])), place


@pytest.mark.parametrize(
    "changes",
    [
        {"source": 6},
        {"start_time_unix_sec": MIDNIGHT - 40 * HOUR + 1},
        {"start_time_unix_sec": 0},
        {"end_time_unix_sec": MIDNIGHT},
    ],
    ids=str,
)
def test_a_page_context_of_another_source_or_range_is_1001(
    history: History, context: str, changes: dict[str, int]
) -> None:
    query = {"source": 5, "start_time_unix_sec": MIDNIGHT - 40 * HOUR, **changes}
    assert refused(history.club.page(history.openid, **query, page_context=context))


def test_a_page_context_of_another_openid_or_app_is_1001(system: System, history: History, context: str) -> None:
    query = {"source": 5, "start_time_unix_sec": MIDNIGHT - 40 * HOUR, "page_context": context}
    assert refused(history.club.page(system.confidential("openid"), **query))
    assert refused(system.club().page(history.openid, **query))
