"""The club API's fields, in the order of the contract's tables: what is just allowed, and what is just not."""

from typing import Any

import pytest

from settlepoint_local.in_process import World
from settlepoint_local.situations import BILL, CLUB, THIS_BILL, THIS_OPENID

from .answers import CLUB_DONE, check_fault

INT64_MAX = 2**63 - 1
MAX_AMT = 10**12


def with_field(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`body` with one field, such as `account.id`, replaced."""
    name, _, rest = path.partition(".")
    return {**body, name: with_field(body[name], rest, value) if rest else value}


ALLOWED = [
    ("bill_no", "b"),
    ("bill_no", "b" * 64),
    ("bill_no", "单" * 21 + "b"),  # 64 bytes
    ("bill_no", "#/ \x00\"\\'"),
    ("openid", "o"),
    ("openid", "o" * 128),
    ("openid", "人" * 42 + "oo"),
    ("openid", "a#b"),
    ("amt", 1),
    ("amt", -1),
    ("amt", MAX_AMT),
    ("amt", -MAX_AMT),
    ("source", 0),
    ("source", 16),
    ("jf_gid", 0),
    ("jf_gid", INT64_MAX),
    ("detail", ""),
    ("detail", "d" * 512),
    ("detail", "详" * 170 + "dd"),
    ("account", {"type": 1}),
    ("account", {"type": 2}),
    ("account", {"id": "i" * 128}),
    ("account", {"gid": 0}),
    ("account", {"gid": INT64_MAX, "other": 1}),
    ("account", {"type": None, "id": None, "gid": 1}),
    ("account", None),
]
REFUSED = [
    ("bill_no", ""),
    ("bill_no", "b" * 65),
    ("bill_no", "单" * 21 + "bb"),  # 65 bytes, 23 characters
    ("openid", ""),
    ("openid", "o" * 129),
    ("openid", "人" * 43),
    ("amt", 0),
    ("amt", MAX_AMT + 1),
    ("amt", -MAX_AMT - 1),
    ("source", -1),
    ("source", 17),
    ("jf_gid", -1),
    ("jf_gid", INT64_MAX + 1),
    ("detail", "d" * 513),
    ("detail", "详" * 171),
    ("account", {}),
    ("account", {"type": None}),
    ("account.type", 0),
    ("account.type", 3),
    ("account.id", ""),
    ("account.id", "i" * 129),
    ("account.gid", -1),
    ("account.gid", INT64_MAX + 1),
]


@pytest.mark.parametrize(("field", "value"), ALLOWED)
def test_create_takes(world: World, field: str, value: Any) -> None:
    body = with_field(BILL, field, value)
    assert world.call("create_club_order", body, CLUB).json == CLUB_DONE
    assert world.call("create_club_order", body, CLUB).json == CLUB_DONE
    settled = world.call("set_club_jf_settle", {name: body[name] for name in ("bill_no", "openid")}, CLUB)
    assert settled.json == CLUB_DONE
    entry = world.call("get_club_jf_settle_list", {"openid": body["openid"]}, CLUB).data["settle_list"][0]
    sent = {name: part for name, part in body.items() if name not in ("openid", "bill_no", "account")}
    assert {name: entry[name] for name in sent} == sent
    assert entry["billno"] == body["bill_no"]
    stated = {name: part for name, part in (body["account"] or {}).items() if part is not None and name != "other"}
    assert entry.get("account", {}) == stated
    assert ("account" in entry) == (body["account"] is not None)


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_create_refuses(refusing_world: World, field: str, value: Any) -> None:
    check_fault(refusing_world.call("create_club_order", with_field(BILL, field, value), CLUB), 1001, f"{field}:")


SIGNS = "±++++±±±--+±±±±±±"  # of sources 0 to 16


@pytest.mark.parametrize("amt", [1, -1])
@pytest.mark.parametrize(("source", "sign"), list(enumerate(SIGNS)))
def test_the_sign_of_amt_is_its_sources(world: World, source: int, sign: str, amt: int) -> None:
    reply = world.call("create_club_order", {**BILL, "source": source, "amt": amt}, CLUB)
    if sign == "±" or (sign == "+") == (amt > 0):
        assert reply.json == CLUB_DONE
    else:
        check_fault(reply, 1001, "amt:")


# field of SetClubJfSettle, for an order of 1333: settled hundredths and ratio, or None
TERMS: list[tuple[dict[str, Any], tuple[int, int] | None]] = [
    ({}, (133_300, 100)),
    ({"settle_amt": None, "amt_ratio": None}, (133_300, 100)),
    ({"settle_amt": 0}, (133_300, 100)),
    ({"settle_amt": 1}, (100, 100)),
    ({"settle_amt": 1332}, (133_200, 100)),
    ({"settle_amt": 1333}, None),
    ({"settle_amt": 1334}, None),
    ({"settle_amt": -1}, None),
    ({"settle_amt": -1333}, None),
    ({"settle_amt": 10**38}, None),
    ({"amt_ratio": 0}, (133_300, 100)),
    ({"amt_ratio": 1}, (1_333, 1)),
    ({"amt_ratio": 99}, (131_967, 99)),
    ({"amt_ratio": 100}, (133_300, 100)),
    ({"settle_amt": 5, "amt_ratio": 100}, (500, 100)),
    ({"settle_amt": 5, "amt_ratio": 1}, (500, 100)),
    ({"settle_amt": 0, "amt_ratio": 1}, (1_333, 1)),
]


@pytest.mark.parametrize(("terms", "settled"), TERMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_settle_takes_terms(world: World, terms: dict[str, Any], settled: tuple[int, int] | None, sign: int) -> None:
    world.call("create_club_order", {**BILL, "amt": sign * 1333}, CLUB)
    if terms.get("settle_amt"):
        terms = {**terms, "settle_amt": sign * terms["settle_amt"]}

    reply = world.call("set_club_jf_settle", {**THIS_BILL, **terms}, CLUB)

    if settled is None:
        check_fault(reply, 1001, "settle_amt:")
    else:
        assert reply.json == CLUB_DONE
        [row] = world.rows("SettlementTable")
        assert (row["settle_hundredths"], row["amt_ratio"]) == (sign * settled[0], settled[1])


@pytest.mark.parametrize("ratio", [-1, 101, 10**39])
@pytest.mark.parametrize("settle_amt", [None, 5])
def test_settle_refuses_a_ratio_even_beside_an_amount(world: World, ratio: int, settle_amt: int | None) -> None:
    world.happen("create_club_order/creates")
    body = {**THIS_BILL, "settle_amt": settle_amt, "amt_ratio": ratio}
    check_fault(world.call("set_club_jf_settle", body, CLUB), 1001, "amt_ratio:")


@pytest.mark.parametrize(("field", "value"), [pair for pair in REFUSED if pair[0] in ("bill_no", "openid")])
def test_settle_refuses(refusing_world: World, field: str, value: Any) -> None:
    check_fault(refusing_world.call("set_club_jf_settle", {**THIS_BILL, field: value}, CLUB), 1001, f"{field}:")


@pytest.mark.parametrize(
    "fields",
    [
        {"source": -1},
        {"source": 0},
        {"source": 16},
        {"source": None},
        {"start_time_unix_sec": 0, "end_time_unix_sec": 0},
        {"start_time_unix_sec": 5, "end_time_unix_sec": 5},
        {"start_time_unix_sec": 5, "end_time_unix_sec": 0},
        {"start_time_unix_sec": 0, "end_time_unix_sec": 5},
        {"start_time_unix_sec": 10**39, "end_time_unix_sec": 10**39},
        {"start_time_unix_sec": None, "end_time_unix_sec": None, "page_context": None},
        {"page_context": ""},
    ],
)
def test_list_takes(refusing_world: World, fields: dict[str, Any]) -> None:
    reply = refusing_world.call("get_club_jf_settle_list", {**THIS_OPENID, **fields}, CLUB)
    assert reply.json == {
        "ret": 0,
        "msg": "",
        "data": {"settle_list": [], "total_amt": 0, "page_context": "", "is_end": True},
    }


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"openid": ""}, "openid:"),
        ({"openid": "o" * 129}, "openid:"),
        ({"source": -2}, "source:"),
        ({"source": 17}, "source:"),
        ({"start_time_unix_sec": -1}, "start_time_unix_sec:"),
        ({"end_time_unix_sec": -1}, "end_time_unix_sec:"),
        ({"start_time_unix_sec": 6, "end_time_unix_sec": 5}, "start_time_unix_sec:"),
        ({"page_context": "x"}, "page_context:"),
        ({"page_context": "x" * 60_000}, "page_context:"),
        ({"page_context": "中"}, "page_context:"),
        ({"page_context": "\x00"}, "page_context:"),
    ],
)
def test_list_refuses(refusing_world: World, fields: dict[str, Any], names: str) -> None:
    check_fault(refusing_world.call("get_club_jf_settle_list", {**THIS_OPENID, **fields}, CLUB), 1001, names)


@pytest.mark.parametrize(
    ("second_ms", "start", "end", "listed"),
    [
        (0, 0, 0, True),
        (999, 0, 0, True),
        (1000, 0, 0, False),  # the end second is whole, the next one is not in it
        (-1, 0, 0, False),
        (-1, -1, 0, True),
        (500, 1, 1, False),
    ],
)
def test_a_range_holds_both_its_ends(world: World, second_ms: int, start: int, end: int, *, listed: bool) -> None:
    """Settled `second_ms` after a full second; the range in seconds relative to it."""
    world.happen("create_club_order/creates")
    world.now_ms += second_ms
    world.happen("set_club_jf_settle/settles_in_full")
    world.now_ms += 3_600_000
    second = world.scene.now_seconds
    bounds = {"start_time_unix_sec": second + start, "end_time_unix_sec": second + end}
    data = world.call("get_club_jf_settle_list", {**THIS_OPENID, **bounds}, CLUB).data
    assert [entry["billno"] for entry in data["settle_list"]] == (["bill-1001"] if listed else [])
    assert data["total_amt"] == (1333 if listed else 0)
