"""Notifications: the same settlement, the same id and the same bytes."""

import json
import re
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from settlement.notifications import CLUB_SETTLED, GAME_SETTLED, club_notification, game_notification, game_notify_id
from settlement.orders import Account, ClubOrder, ClubTerms, GameOrder, GameResult, SettledClubOrder, SettledGameOrder
from settlement.points import points
from settlement.strictjson import dump_ascii

TIME_MS = 1_795_000_000_123
CLUB_ORDER = SettledClubOrder(
    ClubOrder("b/1", "o-1", 268, 5, 9, "奖励", Account(1, "u-1", None)), ClubTerms(13_400, 50), TIME_MS
)
MATCH = "match/1"


def result(position: int, *, uid: str = "u-1", commission: int | None = None) -> SettledGameOrder:
    order = GameOrder(f"out-{position}", "mg-1", "room-1", "gift", "u-1", "u-2", 10, None, None)
    outcome = GameResult(MATCH, uid, int(not uid), -5, 95, commission, 1_795_000_000)
    return SettledGameOrder(order, outcome, "n", position, TIME_MS)


REPORT = {"a" * 32: result(0), "b" * 32: result(1, uid="", commission=0)}

# What was sent once is sent again after every failure: the bytes may not change between two deployments.
CLUB_ID = "02c4f38e647a5156657b908b445fbcc53c19a17c8a5f1b498284bf4e337c690e"
CLUB_BODY = (
    f'{{"notify_id":"{CLUB_ID}","notify_time":"1795000000123","app_id":"club-a","notify_event":"upbot.club.jf.settle",'
    r'"data":{"openid":"o-1","billno":"b\/1","amt":268,"settle_amt":134,"amt_ratio":50,"settle_time":1795000000123,'
    r'"detail":"\u5956\u52b1","source":5,"jf_gid":9,"account":{"type":1,"id":"u-1"}}}'
)
GAME_ID = "7a99c452f0735e441f386a506692907c20e8c12b46e929ead9a67b79d782b2eb"
GAME_BODY = (
    f'{{"notify_id":"{GAME_ID}","notify_time":"1795000000123","app_id":"m-1",'
    r'"notify_event":"sud.mg.merchant.user.settle","data":{"mg_id":"mg-1","room_id":"room-1","match_id":"match\/1",'
    f'"results":[{{"uid":"u-1","order_id":"{"a" * 32}","out_order_id":"out-0","is_ai":0,"score":-5,"remain_score":95}},'
    f'{{"uid":"","order_id":"{"b" * 32}","out_order_id":"out-1","is_ai":1,"score":-5,"remain_score":95,'
    '"commission_score":0}],"settle_at":"1795000000"}}'
)


def test_the_bytes_of_a_club_settlement_are_these() -> None:
    notification = club_notification("club-a", CLUB_ORDER)
    assert notification.notify_id == CLUB_ID
    assert notification.body == CLUB_BODY
    assert (notification.app_id, notification.event, notification.notify_time_ms) == ("club-a", CLUB_SETTLED, TIME_MS)


def test_the_bytes_of_a_game_report_are_these() -> None:
    notification = game_notification("m-1", REPORT)
    assert notification.notify_id == GAME_ID
    assert notification.body == GAME_BODY
    assert (notification.app_id, notification.event, notification.notify_time_ms) == ("m-1", GAME_SETTLED, TIME_MS)


def test_a_reports_id_does_not_depend_on_the_sequence_of_its_orders_but_its_body_keeps_it() -> None:
    turned = dict(reversed(REPORT.items()))
    assert game_notification("m-1", turned).notify_id == GAME_ID
    assert [r["order_id"][0] for r in json.loads(game_notification("m-1", turned).body)["data"]["results"]] == [
        "b",
        "a",
    ]


def test_an_order_without_account_or_detail_has_no_empty_object() -> None:
    bare = SettledClubOrder(ClubOrder("b", "o", 1, 0, 0, "", None), ClubTerms(1, 1), TIME_MS)
    body = club_notification("club-a", bare).body
    assert "{}" not in body
    assert "account" not in body
    assert '"detail":""' in body


order_ids = st.lists(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), min_size=1, max_size=9, unique=True)


@given(order_ids, st.randoms(use_true_random=False))
def test_a_reports_id_is_64_hex_and_names_the_set_of_its_orders(ids: list[str], chance: Any) -> None:
    shuffled = list(ids)
    chance.shuffle(shuffled)
    notify_id = game_notify_id("m-1", ids)
    assert re.fullmatch("[0-9a-f]{64}", notify_id)
    assert game_notify_id("m-1", shuffled) == notify_id
    assert game_notify_id("m-2", ids) != notify_id
    assert game_notify_id("m-1", ids[:-1]) != notify_id


app_ids = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)


@given(app_ids, st.text(min_size=1, max_size=9), app_ids, st.text(min_size=1, max_size=9))
@example("a", "b\nc", "a", "b")
def test_two_club_settlements_never_share_an_id(app_a: str, bill_a: str, app_b: str, bill_b: str) -> None:
    ids = [
        club_notification(app, SettledClubOrder(ClubOrder(bill, "o", 1, 0, 0, "", None), ClubTerms(1, 1), 1)).notify_id
        for app, bill in ((app_a, bill_a), (app_b, bill_b))
    ]
    assert (ids[0] == ids[1]) == ((app_a, bill_a) == (app_b, bill_b))
    assert game_notify_id(app_a, [bill_a]) != ids[0]


settled_orders = st.builds(
    SettledClubOrder,
    st.builds(
        ClubOrder,
        st.text(min_size=1, max_size=16),
        st.text(min_size=1, max_size=32),
        st.integers(-(10**12), 10**12).filter(bool),
        st.integers(0, 16),
        st.integers(0, 2**63 - 1),
        st.text(max_size=40),
        st.none()
        | st.builds(Account, st.none() | st.integers(1, 2), st.text(min_size=1), st.none() | st.integers(0, 9)),
    ),
    st.builds(ClubTerms, st.integers(-(10**14), 10**14), st.integers(1, 100)),
    st.integers(0, 2**42),
)


def php_like(text: str) -> str:
    """What a receiver gets that decodes a body and encodes it again: floats on the way, `/` escaped, ASCII, DEL raw."""
    again = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False).replace("/", "\\/")
    return "".join(c if c.isascii() else "".join(f"\\u{u:04x}" for u in utf16(c)) for c in again)


def utf16(character: str) -> tuple[int, ...]:
    data = character.encode("utf-16-be")
    return struct.unpack(f">{len(data) // 2}H", data)


@given(settled_orders)
@example(SettledClubOrder(ClubOrder("</b>", "中/\x7f\u2028", 1, 0, 0, "😀\x00", None), ClubTerms(-(10**14) + 1, 1), 0))
@example(CLUB_ORDER)
def test_a_receiver_that_verifies_over_a_re_encoded_body_has_the_same_bytes(settled: SettledClubOrder) -> None:
    body = club_notification("club-a", settled).body
    assert club_notification("club-a", settled).body == body
    assert body.isascii()
    assert not re.search(r"(?<!\\)/", body)
    assert not re.search(r'(?<!\\)":{}', body)  # a text may hold it
    assert php_like(body) == body


@given(st.integers(-(10**14), 10**14))
@example(10**14 - 1)
@example(99_999_999_999_999)
def test_every_amount_that_an_order_can_have_survives_binary_floats(hundredths: int) -> None:
    text = dump_ascii(points(hundredths))
    assert not text.endswith(".0")
    assert json.dumps(json.loads(text)) == text
    assert Decimal(str(float(text))) == points(hundredths)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_fifteen_digits_survive_binary_floats_ten_times_what_an_order_can_have(hundredths: int) -> None:
    text = dump_ascii(points(hundredths))
    assert json.dumps(json.loads(text)) == text


def test_amounts_that_a_float_spells_otherwise_begin_seventy_times_beyond_what_an_order_can_have() -> None:
    for points_beyond in (2**46, 90_071_992_547_409):
        spelt = [dump_ascii(points(points_beyond * 100 + rest)) for rest in range(100)]
        assert any(json.dumps(json.loads(text)) != text for text in spelt)
    spelt = [dump_ascii(points((2**46 - 1) * 100 + rest)) for rest in range(100)]
    assert all(json.dumps(json.loads(text)) == text for text in spelt)


@pytest.mark.parametrize(
    ("hundredths", "text"), [(134, "1.34"), (13_400, "134"), (-10, "-0.1"), (10**14, "1" + "0" * 12)]
)
def test_whole_amounts_have_no_point(hundredths: int, text: str) -> None:
    settled = SettledClubOrder(CLUB_ORDER.order, ClubTerms(hundredths, 100), TIME_MS)
    assert f'"settle_amt":{text},' in club_notification("club-a", settled).body
