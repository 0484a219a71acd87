"""Fields are strict: a JSON integer is an integer, nothing else is."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from settlement.club_messages import (
    MAX_AMT,
    CreateClubOrderRequest,
    ListSettlementsRequest,
    SettleClubOrderRequest,
    settlement_entry,
)
from settlement.cursor import ListQuery
from settlement.fields import Request
from settlement.game_messages import (
    MAX_PAYLOAD_BYTES,
    CreateOrderRequest,
    QueryRequest,
    SettleUsersRequest,
    order_answer,
    user_settle_answer,
)
from settlement.orders import (
    Account,
    ClubOrder,
    ClubTerms,
    GameOrder,
    GameResult,
    SettledClubOrder,
    SettledGameOrder,
    game_order_id,
)
from settlement.sources import SOURCES
from settlement.strictjson import dump, parse_object

CREATE_CLUB: dict[str, Any] = {"bill_no": "b", "openid": "o", "amt": 5, "source": 5, "jf_gid": 0, "detail": ""}
SETTLE: dict[str, Any] = {"bill_no": "b", "openid": "o"}
LIST: dict[str, Any] = {"openid": "o"}
CREATE_GAME: dict[str, Any] = {
    "out_order_id": "x",
    "mg_id": "m",
    "room_id": "r",
    "cmd": "c",
    "from_uid": "f",
    "to_uid": "t",
    "value": 5,
}
RESULT: dict[str, Any] = {"out_order_id": "x", "uid": "u", "is_ai": 0, "score": 1, "remain_score": 2}
REPORT: dict[str, Any] = {
    "app_id": "m-1",
    "mg_id": "m",
    "room_id": "r",
    "match_id": "k",
    "settle_at": 1_795_000_000,
    "results": [RESULT],
}


def read[R: Request](model: type[R], value: Mapping[str, Any]) -> R:
    """As a door reads it: from bytes."""
    return model.model_validate(parse_object(json.dumps(value).encode()))


def first_fault(model: type[Request], value: Mapping[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        read(model, value)
    return ".".join(map(str, raised.value.errors()[0]["loc"]))


INTEGERS: list[tuple[type[Request], dict[str, Any], str]] = [
    *[(CreateClubOrderRequest, CREATE_CLUB, name) for name in ("amt", "source", "jf_gid")],
    *[(SettleClubOrderRequest, SETTLE, name) for name in ("settle_amt", "amt_ratio")],
    *[(ListSettlementsRequest, LIST, name) for name in ("source", "start_time_unix_sec", "end_time_unix_sec")],
    (CreateOrderRequest, CREATE_GAME, "value"),
    *[(SettleUsersRequest, REPORT, name) for name in ("is_ai", "score", "remain_score", "commission_score")],
]


def changed(base: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    if "results" in base and name in {*RESULT, "commission_score"}:
        return {**base, "results": [{**RESULT, name: value}]}
    return {**base, name: value}


@pytest.mark.parametrize("value", ["5", "", 5.0, 1.5, 1e3, True, False, [], {}, [5], "٥", 10**39])
@pytest.mark.parametrize(("model", "base", "name"), INTEGERS, ids=[row[2] for row in INTEGERS])
def test_only_a_json_integer_is_an_integer(
    model: type[Request], base: dict[str, Any], name: str, value: object
) -> None:
    if value == 10**39 and name in {"settle_amt", "start_time_unix_sec", "end_time_unix_sec"}:
        read(model, changed(base, name, value))  # judged against the order, or beyond any settlement
    else:
        assert first_fault(model, changed(base, name, value)).endswith(name)


TEXTS: list[tuple[type[Request], dict[str, Any], str, int]] = [
    (CreateClubOrderRequest, CREATE_CLUB, "bill_no", 64),
    (CreateClubOrderRequest, CREATE_CLUB, "openid", 128),
    (SettleClubOrderRequest, SETTLE, "bill_no", 64),
    (SettleClubOrderRequest, SETTLE, "openid", 128),
    (ListSettlementsRequest, LIST, "openid", 128),
    *[(CreateOrderRequest, CREATE_GAME, name, 128) for name in ("mg_id", "room_id", "cmd", "from_uid", "to_uid")],
    *[(SettleUsersRequest, REPORT, name, 128) for name in ("mg_id", "room_id", "match_id")],
]


@pytest.mark.parametrize("value", [5, 0, 1.5, True, None, [], {}, ["a"]])
@pytest.mark.parametrize(("model", "base", "name", "longest"), TEXTS, ids=[row[2] for row in TEXTS])
def test_only_a_json_string_is_a_string(
    model: type[Request], base: dict[str, Any], name: str, longest: int, value: object
) -> None:
    assert longest
    assert first_fault(model, changed(base, name, value)) == name


@pytest.mark.parametrize(("model", "base", "name", "longest"), TEXTS, ids=[row[2] for row in TEXTS])
def test_a_strings_length_is_counted_in_bytes_of_utf8(
    model: type[Request], base: dict[str, Any], name: str, longest: int
) -> None:
    for text in ("x", "x" * longest, "é" * (longest // 2), "中" * (longest // 3), "😀" * (longest // 4)):
        assert getattr(read(model, changed(base, name, text)), name) == text
    for text in (
        "",
        "x" * (longest + 1),
        "é" * (longest // 2 + 1),
        "中" * (longest // 3 + 1),
        "😀" * (longest // 4 + 1),
    ):
        assert first_fault(model, changed(base, name, text)) == name
    assert first_fault(model, {key: value for key, value in base.items() if key != name}) == name


@pytest.mark.parametrize(
    ("base", "model", "names"),
    [
        (SETTLE, SettleClubOrderRequest, ["settle_amt", "amt_ratio"]),
        (LIST, ListSettlementsRequest, ["source", "start_time_unix_sec", "end_time_unix_sec", "page_context"]),
        (CREATE_CLUB, CreateClubOrderRequest, ["account"]),
        (CREATE_GAME, CreateOrderRequest, ["out_group_id", "payload"]),
    ],
)
def test_null_means_absent_and_unknown_fields_are_ignored(
    base: dict[str, Any], model: type[Request], names: list[str]
) -> None:
    assert read(model, base) == read(model, {**base, **dict.fromkeys(names), "app_id": "other", "later": {"a": [1]}})


@given(st.integers(0, 16), st.integers(-MAX_AMT - 1, MAX_AMT + 1))
def test_an_amount_has_the_sign_of_its_source_and_is_at_most_a_million_million(source: int, amt: int) -> None:
    sign = SOURCES[source].sign
    allowed = amt != 0 and abs(amt) <= MAX_AMT and (sign == "±" or (amt > 0) == (sign == "+"))
    try:
        assert read(CreateClubOrderRequest, {**CREATE_CLUB, "amt": amt, "source": source}).amt == amt
    except ValidationError:
        assert not allowed
    else:
        assert allowed


def test_the_sources_are_the_contracts() -> None:
    assert {source: row.sign for source, row in SOURCES.items()} == dict(enumerate("±++++±±±--+±±±±±±"))
    names = (
        "其他 充值 道具购买 三卡购买 服务购买 活动 赛事 捐赠 兑换 过期 活跃 回滚 约战 组队 游戏家联盟 悬赏广场 活动工具"
    )
    assert [row.name for row in SOURCES.values()] == names.split()


RANGES: list[tuple[type[Request], dict[str, Any], str, tuple[Any, ...], tuple[Any, ...]]] = [
    (CreateClubOrderRequest, CREATE_CLUB, "source", (0, 5, 16), (-1, 17)),
    (CreateClubOrderRequest, CREATE_CLUB, "jf_gid", (0, 2**63 - 1), (-1, 2**63)),
    (CreateClubOrderRequest, CREATE_CLUB, "amt", (1, -1, MAX_AMT, -MAX_AMT), (0, MAX_AMT + 1, -MAX_AMT - 1)),
    (SettleClubOrderRequest, SETTLE, "amt_ratio", (0, 1, 100), (-1, 101)),
    (ListSettlementsRequest, LIST, "source", (-1, 0, 16), (-2, 17)),
    (ListSettlementsRequest, LIST, "start_time_unix_sec", (0, 2**31, 10**20), (-1,)),
    (CreateOrderRequest, CREATE_GAME, "value", (0, 2**31 - 1, -(2**31)), (2**31, -(2**31) - 1)),
    (SettleUsersRequest, REPORT, "score", (0, 2**31 - 1, -(2**31)), (2**31, -(2**31) - 1)),
    (
        SettleUsersRequest,
        REPORT,
        "settle_at",
        (1_000_000_000, 9_999_999_999, "1795000000"),
        (999_999_999, 10**10, "x" * 10),
    ),
    (
        SettleUsersRequest,
        REPORT,
        "settle_at",
        ("1000000000",),
        ("１７９５００００００", " 795000000", "-795000000", 1795000000.0),
    ),
    (SettleUsersRequest, REPORT, "app_id", ("a", "A-_9" * 16), ("", "a" * 65, "a b", "a\n", "中", "a#b", 5)),
    (CreateOrderRequest, CREATE_GAME, "out_order_id", ("x", "中" * 64), ("", "x" * 65, "中" * 65)),
    (CreateOrderRequest, CREATE_GAME, "out_group_id", ("", "中" * 64), ("x" * 65, 5)),
    (
        CreateOrderRequest,
        CREATE_GAME,
        "payload",
        ({}, {"a": [1.5, "中"]}),
        ("{}", [], 5, {"a": "x" * MAX_PAYLOAD_BYTES}),
    ),
    (CreateClubOrderRequest, CREATE_CLUB, "detail", ("", "中" * 170), ("中" * 171, "x" * 513, 5, None)),
    (
        CreateClubOrderRequest,
        CREATE_CLUB,
        "account",
        ({"type": 1}, {"gid": 0}, {"id": "x"}),
        ({}, {"a": 1}, [], "x", 5),
    ),
]


@pytest.mark.parametrize(("model", "base", "name", "good", "bad"), RANGES, ids=[row[2] for row in RANGES])
def test_a_fields_limits_are_the_contracts(
    model: type[Request], base: dict[str, Any], name: str, good: tuple[object, ...], bad: tuple[object, ...]
) -> None:
    for value in good:
        read(model, changed(base, name, value))
    for value in bad:
        assert name in first_fault(model, changed(base, name, value))


@pytest.mark.parametrize(
    "account",
    [{"type": True}, {"type": 3}, {"type": 0}, {"type": "1"}, {"id": ""}, {"id": 5}, {"gid": -1}, {"gid": 1.0}],
)
def test_an_accounts_fields_are_strict_too(account: dict[str, Any]) -> None:
    assert first_fault(CreateClubOrderRequest, {**CREATE_CLUB, "account": account}) == f"account.{next(iter(account))}"


def test_single_fields_are_judged_in_the_tables_order_and_before_fields_together() -> None:
    names = ["bill_no", "openid", "amt", "source", "jf_gid", "detail", "account"]
    for position, name in enumerate(names):
        assert (
            first_fault(CreateClubOrderRequest, {**CREATE_CLUB, **dict.fromkeys(reversed(names[position:]), False)})
            == name
        )
    assert first_fault(CreateClubOrderRequest, {**CREATE_CLUB, "amt": -5, "source": 1, "jf_gid": "x"}) == "jf_gid"
    assert first_fault(CreateClubOrderRequest, {**CREATE_CLUB, "amt": -5, "source": 1}) == ""


@pytest.mark.parametrize(
    ("start", "end", "query"),
    [
        (0, 0, (None, None)),
        (5, 0, (5, None)),
        (5, 5, (5, 5)),
        (0, 5, (None, 5)),
        (10**30, 0, (32_503_680_000, None)),
        (5, 10**30, (5, None)),
        (None, None, (None, None)),
    ],
)
def test_a_range_in_seconds_has_open_ends(
    start: int | None, end: int | None, query: tuple[int | None, int | None]
) -> None:
    request = read(
        ListSettlementsRequest, {**LIST, "start_time_unix_sec": start, "end_time_unix_sec": end, "source": -1}
    )
    assert request.query("a") == ListQuery("a", "o", None, *query)


def test_a_range_that_ends_before_it_starts_is_a_fault() -> None:
    with pytest.raises(ValidationError, match="must not be after end_time_unix_sec"):
        read(ListSettlementsRequest, {**LIST, "start_time_unix_sec": 6, "end_time_unix_sec": 5})


# --------------------------------------------------------------------------------------------------------- game reports

REPORT_FAULTS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "91 results": [{**RESULT, "out_order_id": f"x{n}"} for n in range(91)],
    "no order": [{key: value for key, value in RESULT.items() if key != "out_order_id"}],
    "empty ids": [{**RESULT, "out_order_id": "", "order_id": ""}],
    "an order twice": [RESULT, RESULT],
    "an order twice, by either id": [RESULT, {**RESULT, "out_order_id": "", "order_id": game_order_id("m-1", "x")}],
    "two ids of different orders": [{**RESULT, "order_id": game_order_id("m-1", "y")}],
    "two ids, the other app's": [{**RESULT, "order_id": game_order_id("m-2", "x")}],
    "a robot with a name": [{**RESULT, "is_ai": 1}],
    "a player without": [{**RESULT, "uid": ""}],
    "is_ai 2": [{**RESULT, "is_ai": 2}],
    "no list": {"a": 1},  # type: ignore[dict-item]
    "no object in it": [5],  # type: ignore[list-item]
}


@pytest.mark.parametrize("results", REPORT_FAULTS.values(), ids=REPORT_FAULTS.keys())
def test_a_report_that_contradicts_itself_is_a_fault(results: object) -> None:
    with pytest.raises(ValidationError):
        read(SettleUsersRequest, {**REPORT, "results": results})


def test_a_report_names_its_orders_by_either_id_or_both() -> None:
    ids = [game_order_id("m-1", name) for name in ("x", "y", "z")]
    results = [
        RESULT,
        {**RESULT, "out_order_id": None, "order_id": ids[1], "uid": "", "is_ai": 1, "commission_score": 0},
        {**RESULT, "out_order_id": "z", "order_id": ids[2]},
    ]
    by_id = read(SettleUsersRequest, {**REPORT, "settle_at": "1795000000", "results": results}).results_by_order_id()
    assert list(by_id) == ids
    assert by_id[ids[0]] == GameResult("k", "u", 0, 1, 2, None, 1_795_000_000)
    assert by_id[ids[1]] == GameResult("k", "", 1, 1, 2, 0, 1_795_000_000)


def test_order_id_wins_over_out_order_id_and_empty_is_absent() -> None:
    assert read(QueryRequest, {"order_id": "a", "out_order_id": "b"}).order_id_for("m-1") == "a"
    assert read(QueryRequest, {"order_id": "", "out_order_id": "b"}).order_id_for("m-1") == game_order_id("m-1", "b")
    for value in ({}, {"order_id": ""}, {"order_id": None, "out_order_id": ""}):
        with pytest.raises(ValidationError, match="must be given"):
            read(QueryRequest, value)


# -------------------------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "number", ["1e10", "0.00000001", "1.50", "12e0", "1234567890123456789012345678901234567e10", "1e999999", "1" * 40]
)
def test_a_payload_comes_back_with_its_numbers_whatever_their_length_has_become(number: str) -> None:
    body = json.dumps(CREATE_GAME).encode()[:-1] + b',"payload":{"n":%s}}' % number.encode()
    request = CreateOrderRequest.model_validate(parse_object(body))
    answer = order_answer("id", request.order(), settled=False)
    assert answer["payload"] == parse_object(b'{"n":%s}' % number.encode())


def test_an_entry_leaves_out_what_its_order_has_not() -> None:
    order = ClubOrder("b", "o", 268, 5, 9, "d", None)
    entry = settlement_entry(SettledClubOrder(order, ClubTerms(13_401, 50), 7))
    assert dump(entry) == (
        '{"billno":"b","amt":268,"settle_amt":134.01,"amt_ratio":50,"settle_time":7,"detail":"d","source":5,"jf_gid":9}'
    )
    for account, shown in ((Account(1, None, None), {"type": 1}), (Account(None, "x", 0), {"id": "x", "gid": 0})):
        with_account = ClubOrder("b", "o", 268, 5, 9, "d", account)
        assert settlement_entry(SettledClubOrder(with_account, ClubTerms(1, 1), 7))["account"] == shown


@pytest.mark.parametrize("commission", [None, 0, -3])
def test_a_result_has_a_commission_only_where_one_was_reported(commission: int | None) -> None:
    order = GameOrder("x", "m", "r", "c", "f", "t", 5, None, None)
    settled = SettledGameOrder(order, GameResult("k", "", 1, 1, 2, commission, 1_795_000_000), "n", 0, 7)
    answer = user_settle_answer("id", settled)
    assert answer["settle_at"] == "1795000000"
    assert (answer["uid"], answer["is_ai"]) == ("", 1)
    assert ("commission_score" in answer) == (commission is not None)
    assert "payload" not in order_answer("id", order, settled=True)
    assert order_answer("id", order, settled=True)["status"] == "EXECUTE_SUCCESS"
    assert order_answer("id", order, settled=False)["status"] == "CREATED"
