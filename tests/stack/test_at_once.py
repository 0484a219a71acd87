"""Sixty-four callers at one moment: one write, everybody gets the right answer."""

from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from .receiver import Receiver
from .system import Rows, System
from .wire import Answer, Club, at_once

pytestmark = pytest.mark.stack

CALLERS = 64


def codes(answers: list[Answer]) -> dict[int, int]:
    assert {answer.status for answer in answers} == {200}
    return dict(Counter(answer.code for answer in answers))


def added(before: Rows, after: Rows) -> dict[str, dict[str, int]]:
    """What the totals' figures grew by, by kind of row (y, y.5, m ...), whichever of its shards was added to."""
    sums: dict[str, dict[str, int]] = {}
    for sign, rows in ((-1, before), (1, after)):
        for key, row in rows.items():
            if key[0] == "TotalsTable":
                figures = sums.setdefault(key[2].split("#")[0], {})
                for name in row.keys() - {"app_openid", "bucket"}:
                    figures[name] = figures.get(name, 0) + sign * row[name]
    return {
        bucket: {name: number for name, number in figures.items() if number}
        for bucket, figures in sums.items()
        if any(figures.values())
    }


def once(hundredths: int, source: int, settle_time_ms: int) -> dict[str, dict[str, int]]:
    """What one settlement adds."""
    moment = datetime.fromtimestamp(settle_time_ms // 1000, UTC)
    parts = {"y": moment.month, "m": moment.day, "d": moment.hour}
    return {
        f"{level}{of}": {f"h{part:02d}": hundredths, f"n{part:02d}": 1}
        for level, part in parts.items()
        for of in ("", f".{source}")
    }


def without(rows: Rows, *tables: str) -> Rows:
    return {key: row for key, row in rows.items() if key[0] not in tables}


@pytest.fixture
def club(system: System, receiver: Receiver) -> Club:
    """A club with a receiver."""
    return system.club(notify_url=receiver.url)


def neighbour(system: System, club: Club, receiver: Receiver) -> dict[str, Any]:
    """An order that the club settled and was told of before; what follows must not touch it."""
    order = system.club_order(amt=777)
    assert club.create(order).code == club.settle(order).code == 0
    receiver.wait_for(1)
    system.wait_for_status(club.app_id, "delivered")
    return order


def test_an_order_that_64_callers_settle_on_the_same_terms_is_settled_once(
    system: System, club: Club, receiver: Receiver
) -> None:
    order = system.club_order(openid=neighbour(system, club, receiver)["openid"], amt=-1000, source=6)
    assert club.create(order).code == 0
    before = system.rows(club.app_id)

    assert codes(at_once([lambda: club.settle(order, amt_ratio=33)] * CALLERS)) == {0: CALLERS}

    callbacks = receiver.wait_for(2)
    after = system.rows(club.app_id)
    row = after["SettlementTable", f"club#{club.app_id}#{order['bill_no']}"]
    assert (row["settle_hundredths"], row["amt_ratio"]) == (-33_000, 33)
    assert added(before, after) == once(-33_000, 6, row["settle_time"])
    new = without(after, "TotalsTable").keys() - before.keys()
    assert [key[0] for key in new] == ["NotificationTable"]
    assert [callback.json["data"]["billno"] for callback in callbacks[1:]] == [order["bill_no"]]


def test_of_64_callers_with_different_terms_one_settles_and_63_are_told_1004(
    system: System, club: Club, receiver: Receiver
) -> None:
    order = system.club_order(openid=neighbour(system, club, receiver)["openid"], amt=1000)
    assert club.create(order).code == 0
    before = system.rows(club.app_id)
    calls = [partial(club.settle, order, amt_ratio=ratio) for ratio in range(1, CALLERS + 1)]

    answers = at_once(calls)

    assert codes(answers) == {0: 1, 1004: CALLERS - 1}
    winner = next(ratio for ratio, answer in enumerate(answers, start=1) if answer.code == 0)
    callbacks = receiver.wait_for(2)
    after = system.rows(club.app_id)
    order_key = ("SettlementTable", f"club#{club.app_id}#{order['bill_no']}")
    row = after[order_key]
    assert (row["settle_hundredths"], row["amt_ratio"]) == (winner * 1000, winner)
    assert added(before, after) == once(winner * 1000, 5, row["settle_time"])
    changed = {key for key in without(after, "TotalsTable") if after[key] != before.get(key)}
    assert sorted(key[0] for key in changed) == ["NotificationTable", "SettlementTable"]
    assert callbacks[1].json["data"]["amt_ratio"] == winner

    # Once more, after the fact: nothing at all changes.
    settled = without(system.rows(club.app_id), "NotificationTable")
    assert codes(at_once(calls)) == {0: 1, 1004: CALLERS - 1}
    assert without(system.rows(club.app_id), "NotificationTable") == settled
    assert len(system.ledger(club.app_id)) == len(receiver.callbacks) == 2


def test_a_club_that_is_told_nothing_settles_once_too(system: System) -> None:
    """No ledger row stands between two winners here: the order's own condition does."""
    club = system.club()
    for attempt in range(5):
        order = system.club_order(openid="untold-confidential", amt=1000)
        assert club.create(order).code == 0
        before = system.rows(club.app_id)
        answers = at_once([partial(club.settle, order, amt_ratio=ratio) for ratio in range(1, CALLERS + 1)])
        assert codes(answers) == {0: 1, 1004: CALLERS - 1}, attempt
        after = system.rows(club.app_id)
        row = after["SettlementTable", f"club#{club.app_id}#{order['bill_no']}"]
        assert answers[row["amt_ratio"] - 1].code == 0
        assert added(before, after) == once(row["settle_hundredths"], 5, row["settle_time"])


def test_a_game_report_that_comes_64_times_at_once_counts_once(system: System, receiver: Receiver) -> None:
    merchant = system.merchant(notify_url=receiver.url)
    game_server = system.game_server(merchant, "mg-1")
    orders = [system.game_order() for _ in range(5)]
    assert {merchant.create(order).code for order in orders} == {0}
    report = system.report(merchant, *(order["out_order_id"] for order in orders))

    assert codes(at_once([lambda: game_server.report(report)] * CALLERS)) == {0: CALLERS}

    [callback] = receiver.wait_for(1)
    assert len(callback.json["data"]["results"]) == 5
    rows = system.rows(merchant.app_id)
    assert Counter(key[0] for key in rows) == {"SettlementTable": 5, "NotificationTable": 1}
    assert len({row["settle_time"] for key, row in rows.items() if key[0] == "SettlementTable"}) == 1
    system.wait_for_status(merchant.app_id, "delivered")
    assert receiver.callbacks == [callback]


def test_of_two_reports_that_contradict_each_other_one_stands_whole(system: System, receiver: Receiver) -> None:
    merchant = system.merchant(notify_url=receiver.url)
    game_server = system.game_server(merchant, "mg-1")
    orders = [system.game_order() for _ in range(3)]
    assert {merchant.create(order).code for order in orders} == {0}
    one = system.report(merchant, *(order["out_order_id"] for order in orders))
    other = {**one, "match_id": "match-2"}

    answers = at_once([lambda: game_server.report(one), lambda: game_server.report(other)] * (CALLERS // 2))

    assert codes(answers) == {0: CALLERS // 2, 70505: CALLERS // 2}
    standing = one if answers[0].code == 0 else other
    assert {answer.code for answer in answers[::2]} != {answer.code for answer in answers[1::2]}
    for order in orders:
        settled = merchant.query_settle(out_order_id=order["out_order_id"])
        assert settled.data["match_id"] == standing["match_id"]
    [callback] = receiver.wait_for(1)
    assert callback.json["data"]["match_id"] == standing["match_id"]
    assert len(system.ledger(merchant.app_id)) == 1


def test_a_bill_no_that_64_callers_create_with_the_same_content_is_created_once(system: System) -> None:
    club = system.club()
    order = system.club_order()
    assert codes(at_once([lambda: club.create(order)] * CALLERS)) == {0: CALLERS}
    [row] = system.rows(club.app_id).values()
    assert (row["openid"], row["amt"]) == (order["openid"], 1333)


def test_of_64_callers_who_create_a_bill_no_differently_one_creates_it_and_63_are_told_1005(system: System) -> None:
    club = system.club()
    orders = [system.club_order(bill_no="contended", openid="openid-confidential", amt=n + 1) for n in range(CALLERS)]
    answers = at_once([partial(club.create, order) for order in orders])
    assert codes(answers) == {0: 1, 1005: CALLERS - 1}
    [row] = system.rows(club.app_id).values()
    assert answers[row["amt"] - 1].code == 0
    assert {answer.json["detail"] for answer in answers if answer.code} == {"amt: differs from the existing order's"}
