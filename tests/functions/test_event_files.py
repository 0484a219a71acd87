"""Every file of events/, replayed through the function that it is for, against what the contract says of it."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import simplejson

from settlement import clients, errors
from settlepoint_local import events
from settlepoint_local.in_process import STATEMENT_BUCKET, World
from settlepoint_local.scene import Scene
from settlepoint_local.situations import ORDER_ID, SITUATIONS
from settlepoint_local.template import endpoints, functions

from .answers import (
    CLUB_DONE,
    CLUB_TEXTS,
    GAME_DONE,
    GAME_TEXTS,
    MADE_BY_API_GATEWAY_ALONE,
    check_fault,
    club_data,
    game_data,
)

SETTLEMENT, TOTALS, LEDGER = "SettlementTable", "TotalsTable", "NotificationTable"
NOW_MS = Scene().now_ms
ROBOTS_ORDER_ID = "63c8548e3c8f520b5b8fa3dc95b78fa8"
OTHER_MERCHANTS_ORDER_ID = "77bfbefb367e3b27a62482469edbf795"

# situation: code, what `detail` names; its status is the code's
FAULTS: dict[str, tuple[int, str]] = {
    "create_club_order/1001_missing_field": (1001, "openid:"),
    "create_club_order/1001_wrong_sign": (1001, "amt:"),
    "create_club_order/1001_not_an_object": (1001, "body:"),
    "create_club_order/1001_empty_body": (1001, "body:"),
    "create_club_order/1001_not_utf8": (1001, "body:"),
    "create_club_order/1001_duplicate_key": (1001, "body:"),
    "create_club_order/1001_nested_too_deep": (1001, "body:"),
    "create_club_order/1001_too_large": (1001, "body:"),
    "create_club_order/1002_no_token": (1002, ""),
    "create_club_order/1002_expired_token": (1002, ""),
    "create_club_order/1002_disabled_app": (1002, ""),
    "create_club_order/1005_other_amt": (1005, "amt:"),
    "create_club_order/1005_other_account": (1005, "account:"),
    "create_club_order/1006_scope_missing": (1006, "needs orders:write"),
    "create_club_order/1006_role_missing": (1006, "needs orders:write"),
    "create_club_order/two_faults_size_before_token": (1001, "body:"),
    "create_club_order/two_faults_token_before_json": (1002, ""),
    "create_club_order/two_faults_scope_before_json": (1006, "needs orders:write"),
    "create_club_order/two_faults_json_before_fields": (1001, "body:"),
    "create_club_order/two_faults_openid_before_amt": (1001, "openid:"),
    "create_club_order/two_faults_detail_before_sign": (1001, "detail:"),
    "create_club_order/two_faults_openid_before_amt_1005": (1005, "openid:"),
    "set_club_jf_settle/1001_amt_not_smaller": (1001, "settle_amt:"),
    "set_club_jf_settle/1001_other_sign": (1001, "settle_amt:"),
    "set_club_jf_settle/1001_ratio_over_100": (1001, "amt_ratio:"),
    "set_club_jf_settle/1001_not_an_object": (1001, "body:"),
    "set_club_jf_settle/1001_too_large": (1001, "body:"),
    "set_club_jf_settle/1002_no_token": (1002, ""),
    "set_club_jf_settle/1003_unknown_order": (1003, "bill_no:"),
    "set_club_jf_settle/1003_other_openid": (1003, "bill_no:"),
    "set_club_jf_settle/1003_order_of_another_app": (1003, "bill_no:"),
    "set_club_jf_settle/1004_settled_on_other_terms": (1004, "bill_no:"),
    "set_club_jf_settle/1004_same_amount_other_ratio": (1004, "bill_no:"),
    "set_club_jf_settle/1006_scope_missing": (1006, "needs settlements:write"),
    "set_club_jf_settle/two_faults_1003_before_1001": (1003, "bill_no:"),
    "set_club_jf_settle/two_faults_1001_before_1004": (1001, "settle_amt:"),
    "set_club_jf_settle/two_faults_fields_before_1003": (1001, "amt_ratio:"),
    "get_club_jf_settle_list/1001_start_after_end": (1001, "start_time_unix_sec:"),
    "get_club_jf_settle_list/1001_source_17": (1001, "source:"),
    "get_club_jf_settle_list/1001_page_context_cut": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_page_context_flipped": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_page_context_of_another_openid": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_page_context_of_another_source": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_page_context_of_another_range": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_page_context_of_another_app": (1001, "page_context:"),
    "get_club_jf_settle_list/1001_not_an_object": (1001, "body:"),
    "get_club_jf_settle_list/1001_too_large": (1001, "body:"),
    "get_club_jf_settle_list/1002_no_token": (1002, ""),
    "get_club_jf_settle_list/1006_scope_missing": (1006, "needs settlements:read"),
    "get_club_jf_settle_list/two_faults_range_before_page_context": (1001, "start_time_unix_sec:"),
    "create_order/10002_empty_list": (10002, "body:"),
    "create_order/10002_value_not_int32": (10002, "value:"),
    "create_order/10002_payload_not_an_object": (10002, "payload:"),
    "create_order/10002_too_large": (10002, "body:"),
    "create_order/10004_no_signature": (10004, ""),
    "create_order/10004_wrong_signature": (10004, ""),
    "create_order/10004_old_timestamp": (10004, ""),
    "create_order/10004_disabled_app": (10004, ""),
    "create_order/10004_unknown_app": (10004, ""),
    "create_order/10006_role_missing": (10006, "needs merchant"),
    "create_order/70501_other_value": (70501, "value:"),
    "create_order/70501_other_payload": (70501, "payload:"),
    "create_order/two_faults_size_before_signature": (10002, "body:"),
    "create_order/two_faults_signature_before_json": (10004, ""),
    "create_order/two_faults_role_before_json": (10006, "needs merchant"),
    "create_order/two_faults_mg_id_before_value": (10002, "mg_id:"),
    "create_order/two_faults_mg_id_before_value_70501": (70501, "mg_id:"),
    "query_order/10002_names_no_order": (10002, "order_id:"),
    "query_order/10002_empty_list": (10002, "body:"),
    "query_order/10002_too_large": (10002, "body:"),
    "query_order/10004_no_signature": (10004, ""),
    "query_order/10006_role_missing": (10006, "needs merchant"),
    "query_order/70503_unknown_order": (70503, "order_id: no such order"),
    "query_order/70503_order_of_another_app": (70503, "order_id: no such order"),
    "query_user_settle/10002_names_no_order": (10002, "order_id:"),
    "query_user_settle/10002_empty_list": (10002, "body:"),
    "query_user_settle/10002_too_large": (10002, "body:"),
    "query_user_settle/10004_no_signature": (10004, ""),
    "query_user_settle/10006_role_missing": (10006, "needs merchant"),
    "query_user_settle/70503_unknown_order": (70503, "order_id: no such order"),
    "query_user_settle/70503_order_of_another_app": (70503, "order_id: no such order"),
    "query_user_settle/70504_not_settled": (70504, f"order {ORDER_ID}:"),
    "settle_users/10002_empty_list": (10002, "body:"),
    "settle_users/10002_no_results": (10002, "results:"),
    "settle_users/10002_order_named_twice": (10002, "results.1:"),
    "settle_users/10002_robot_with_uid": (10002, "results.0: uid:"),
    "settle_users/10002_too_large": (10002, "body:"),
    "settle_users/10004_no_signature": (10004, ""),
    "settle_users/10006_role_missing": (10006, "needs game"),
    "settle_users/10111_other_game": (10111, "mg_id or app_id:"),
    "settle_users/10111_other_merchant": (10111, "mg_id or app_id:"),
    "settle_users/10111_game_server_of_another": (10111, "mg_id or app_id:"),
    "settle_users/70503_unknown_order": (70503, f"order {ROBOTS_ORDER_ID}:"),
    "settle_users/70503_other_room": (70503, f"order {ORDER_ID}:"),
    "settle_users/70503_other_game": (70503, f"order {ORDER_ID}:"),
    "settle_users/70505_other_score": (70505, f"order {ORDER_ID}:"),
    "settle_users/70505_other_match": (70505, f"order {ORDER_ID}:"),
    "settle_users/70505_one_settled_before": (70505, f"order {ROBOTS_ORDER_ID}:"),
    "settle_users/two_faults_fields_before_10111": (10002, "results:"),
    "settle_users/two_faults_10111_before_70503": (10111, "mg_id or app_id:"),
    "settle_users/two_faults_70503_before_70505": (70503, "order 72f1b6d3eeb5b0fba9fc68e70f1669ed:"),
    "get_club_jf_statement/1001_missing_day": (1001, "day: is missing"),
    "get_club_jf_statement/1001_no_such_day": (1001, "day: no such day"),
    "get_club_jf_statement/1001_not_a_day": (1001, "day: must match"),
    "get_club_jf_statement/1001_not_an_object": (1001, "body:"),
    "get_club_jf_statement/1001_too_large": (1001, "body:"),
    "get_club_jf_statement/1002_no_token": (1002, ""),
    "get_club_jf_statement/1006_scope_missing": (1006, "needs settlements:read"),
    "get_club_jf_statement/1007_day_not_over": (1007, "day: it is not over; it ends at 1795363200"),
    "get_club_jf_statement/1007_before_the_first": (1007, "day: there is no statement"),
    "get_statement/10002_missing_day": (10002, "day: is missing"),
    "get_statement/10002_no_such_day": (10002, "day: no such day"),
    "get_statement/10002_empty_list": (10002, "body:"),
    "get_statement/10002_too_large": (10002, "body:"),
    "get_statement/10004_no_signature": (10004, ""),
    "get_statement/10006_role_missing": (10006, "needs merchant"),
    "get_statement/70506_day_not_over": (70506, "day: it is not over; it ends at 1795363200"),
    "get_statement/70506_before_the_first": (70506, "day: there is no statement"),
    "get_api_directory/1404_unknown_signature": (1404, ""),
    "get_api_directory/1404_disabled_app": (1404, ""),
    "get_api_directory/1404_an_app_id": (1404, ""),
}

PLAIN_ENTRY = {
    "billno": "bill-1003",
    "amt": 50,
    "settle_amt": 50,
    "amt_ratio": 100,
    "settle_time": NOW_MS - 1000,
    "detail": "recharge",
    "source": 1,
    "jf_gid": 0,
}
NEGATIVE_ENTRY = {
    "billno": "bill-1002",
    "amt": -200,
    "settle_amt": -150,
    "amt_ratio": 100,
    "settle_time": NOW_MS - 2000,
    "account": {"id": "u-3"},
    "detail": "",
    "source": 8,
    "jf_gid": 7,
}
RATIO_ENTRY = {
    "billno": "bill-1001",
    "amt": 1333,
    "settle_amt": Decimal("333.25"),
    "amt_ratio": 25,
    "settle_time": NOW_MS - 3000,
    "account": {"type": 2, "id": "club-9", "gid": 9},
    "detail": "周末活动 1/2",
    "source": 5,
    "jf_gid": 7,
}
ALL = club_data(
    {
        "settle_list": [PLAIN_ENTRY, NEGATIVE_ENTRY, RATIO_ENTRY],
        "total_amt": Decimal("233.25"),
        "page_context": "",
        "is_end": True,
    }
)
NONE = club_data({"settle_list": [], "total_amt": 0, "page_context": "", "is_end": True})

CREATED = game_data({"out_order_id": "order-1001", "order_id": ORDER_ID})
ORDER_DATA = {
    "order_id": ORDER_ID,
    "out_order_id": "order-1001",
    "mg_id": "mg-1",
    "room_id": "room-9",
    "cmd": "gift",
    "from_uid": "player-1",
    "to_uid": "player-2",
    "value": 120,
    "out_group_id": "group-1",
    "payload": {"rate": Decimal("1.10"), "note": "礼物 1/2"},
    "status": "CREATED",
}
PLAIN_ORDER_DATA = {
    **{name: value for name, value in ORDER_DATA.items() if name not in ("out_group_id", "payload")},
    "order_id": ROBOTS_ORDER_ID,
    "out_order_id": "order-1002",
    "value": -120,
}
RESULT_DATA = {
    "order_id": ORDER_ID,
    "out_order_id": "order-1001",
    "mg_id": "mg-1",
    "room_id": "room-9",
    "match_id": "match-7",
    "uid": "player-1",
    "is_ai": 0,
    "score": 120,
    "remain_score": 880,
    "commission_score": 6,
    "settle_at": "1795305590",
}
ROBOT_DATA = {
    **{name: value for name, value in RESULT_DATA.items() if name != "commission_score"},
    "order_id": ROBOTS_ORDER_ID,
    "out_order_id": "order-1002",
    "uid": "",
    "is_ai": 1,
    "score": -120,
    "remain_score": 0,
}


def urls(base: str) -> dict[str, Any]:
    paths = ("create_order", "query_order", "query_user_settle")
    return {"api": {path: f"{base}/v1/app/server/{path}" for path in paths}}


EMPTY_STATEMENT = {"day": "2026-11-21", "revision": 1, "count": 0}
EXPIRES_AT = NOW_MS // 1000 + 300
CLUB_STATEMENT = (
    "club/club-a/2026-11-21/0001.csv.gz",
    (
        b"\xef\xbb\xbfline,count,settle_time,settle_time_ms,bill_no,openid,source,source_name,amt,amt_ratio,settle_amt,jf_gid,"
        b"account_type,account_id,account_gid,detail\r\ntotal,0,,,,,,,0,,0.00,,,,,\r\n"
    ),
    club_data({**EMPTY_STATEMENT, "expires_at": EXPIRES_AT}),
)
GAME_STATEMENT = (
    "game/merchant-a/2026-11-21/0001.csv.gz",
    (
        b"\xef\xbb\xbfline,count,settle_time,settle_time_ms,order_id,out_order_id,mg_id,room_id,match_id,uid,is_ai,score,"
        b"remain_score,commission_score,settle_at\r\ntotal,0,,,,,,,,,,0,,0,\r\n"
    ),
    game_data({**EMPTY_STATEMENT, "expires_at": str(EXPIRES_AT)}),
)

# situation: the whole answer, and the tables that it changed
SUCCESSES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "create_club_order/creates": (CLUB_DONE, {SETTLEMENT}),
    "create_club_order/creates_negative": (CLUB_DONE, {SETTLEMENT}),
    "create_club_order/creates_without_account": (CLUB_DONE, {SETTLEMENT}),
    "create_club_order/creates_of_another_app": (CLUB_DONE, {SETTLEMENT}),
    "create_club_order/repeats": (CLUB_DONE, set()),
    "create_club_order/repeats_settled": (CLUB_DONE, set()),
    "create_club_order/variant_escaped": (CLUB_DONE, set()),
    "create_club_order/variant_extra_fields": (CLUB_DONE, set()),
    "create_club_order/variant_null_account": (CLUB_DONE, set()),
    "create_club_order/variant_token_without_bearer": (CLUB_DONE, set()),
    "create_club_order/variant_headers_in_lower_case": (CLUB_DONE, set()),
    "create_club_order/variant_plain_body": (CLUB_DONE, set()),
    "create_club_order/variant_64_kib": (CLUB_DONE, set()),
    "set_club_jf_settle/settles_in_full": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_in_part": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_by_ratio": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_by_amount_over_ratio": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_with_zeros": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_negative_in_part": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/settles_without_account": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "set_club_jf_settle/repeats": (CLUB_DONE, set()),
    "set_club_jf_settle/repeats_in_other_words": (CLUB_DONE, set()),
    "set_club_jf_settle/variant_escaped": (CLUB_DONE, {SETTLEMENT, TOTALS, LEDGER}),
    "get_club_jf_settle_list/lists_all": (ALL, set()),
    "get_club_jf_settle_list/lists_all_sources": (ALL, set()),
    "get_club_jf_settle_list/lists_one_source": (
        club_data({"settle_list": [NEGATIVE_ENTRY], "total_amt": -150, "page_context": "", "is_end": True}),
        set(),
    ),
    "get_club_jf_settle_list/lists_a_range": (
        club_data(
            {"settle_list": [PLAIN_ENTRY, NEGATIVE_ENTRY], "total_amt": -100, "page_context": "", "is_end": True}
        ),
        set(),
    ),
    "get_club_jf_settle_list/lists_nothing": (NONE, set()),
    "get_club_jf_settle_list/lists_nothing_of_another_app": (NONE, set()),
    "get_club_jf_settle_list/pages_on": (
        club_data({"settle_list": [NEGATIVE_ENTRY, RATIO_ENTRY], "page_context": "", "is_end": True}),
        set(),
    ),
    "create_order/creates": (CREATED, {SETTLEMENT}),
    "create_order/creates_without_optional_fields": (
        game_data({"out_order_id": "order-1002", "order_id": ROBOTS_ORDER_ID}),
        {SETTLEMENT},
    ),
    "create_order/creates_of_another_app": (
        game_data({"out_order_id": "order-1001", "order_id": OTHER_MERCHANTS_ORDER_ID}),
        {SETTLEMENT},
    ),
    "create_order/repeats": (CREATED, set()),
    "create_order/repeats_under_a_new_nonce": (CREATED, set()),
    "create_order/variant_escaped": (CREATED, set()),
    "create_order/variant_extra_fields": (CREATED, set()),
    "create_order/variant_10_digit_timestamp": (CREATED, set()),
    "create_order/variant_header_parts_in_other_order": (CREATED, set()),
    "create_order/variant_headers_in_lower_case": (CREATED, set()),
    "create_order/variant_plain_body": (CREATED, set()),
    "query_order/tells_created": (game_data(ORDER_DATA), set()),
    "query_order/tells_created_by_order_id": (game_data(ORDER_DATA), set()),
    "query_order/tells_by_order_id_over_out_order_id": (game_data(ORDER_DATA), set()),
    "query_order/tells_without_optional_fields": (game_data(PLAIN_ORDER_DATA), set()),
    "query_order/tells_settled": (game_data({**ORDER_DATA, "status": "EXECUTE_SUCCESS"}), set()),
    "query_user_settle/tells_result": (game_data(RESULT_DATA), set()),
    "query_user_settle/tells_result_by_order_id": (game_data(RESULT_DATA), set()),
    "query_user_settle/tells_robot": (game_data(ROBOT_DATA), set()),
    "settle_users/settles": (GAME_DONE, {SETTLEMENT, LEDGER}),
    "settle_users/settles_one": (GAME_DONE, {SETTLEMENT, LEDGER}),
    "settle_users/repeats": (GAME_DONE, set()),
    "settle_users/repeats_by_order_id": (GAME_DONE, set()),
    "get_api_directory/tells_urls": (urls("https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com/live"), set()),
    "get_api_directory/tells_urls_on_custom_domain": (urls("https://settlepoint.example/points"), set()),
}

WITH_LINKS = {"get_club_jf_statement/tells_where": CLUB_STATEMENT, "get_statement/tells_where": GAME_STATEMENT}
"""Their links are another each time: signed at the moment. Whose file, the CSV in it, the answer but for the link and
what the file's own bytes say."""

TOO_LARGE = {key for key in FAULTS if key.endswith("_too_large") or "two_faults_size" in key}
API_KEYS = FAULTS.keys() | SUCCESSES.keys() | WITH_LINKS.keys()


def event_file(key: str) -> dict[str, Any]:
    event: dict[str, Any] = simplejson.loads((events.EVENTS / f"{key}.json").read_text(encoding="utf-8"))
    return event


@pytest.mark.parametrize("key", FAULTS)
def test_a_fault_gets_its_whole_answer(world: World, key: str) -> None:
    code, names = FAULTS[key]
    check_fault(world.replay(key, event_file(key)), code, names, status=413 if key in TOO_LARGE else 0)


@pytest.mark.parametrize("key", SUCCESSES)
def test_a_success_gets_its_whole_answer_and_changes_its_tables_only(world: World, key: str) -> None:
    envelope, changed_tables = SUCCESSES[key]
    world.prepare(key)
    before = {table: world.rows(table) for table in (SETTLEMENT, TOTALS, LEDGER, "AppTable")}

    reply = world.invoke(SITUATIONS[key].folder, event_file(key))

    assert reply.status == 200
    assert list(typed(reply.json)) == list(typed(envelope))
    assert {table for table, rows in before.items() if world.rows(table) != rows} == changed_tables


@pytest.mark.parametrize("key", WITH_LINKS)
def test_a_statements_answer_is_whole_and_leads_to_the_callers_own_file(world: World, key: str) -> None:
    reply = world.replay(key, event_file(key))
    own_key, csv, envelope = WITH_LINKS[key]
    file = clients.s3().get_object(Bucket=STATEMENT_BUCKET, Key=own_key)["Body"].read()
    answer = reply.json
    link = urlsplit(answer["data"].pop("url"))
    assert reply.status == 200
    hashes = {"sha256": sha256(file).hexdigest(), "csv_sha256": sha256(csv).hexdigest(), "size_bytes": len(file)}
    assert list(typed(answer)) == list(typed({**envelope, "data": envelope["data"] | hashes}))
    assert gzip.decompress(file) == csv
    assert (link.scheme, link.netloc) == ("https", f"{STATEMENT_BUCKET}.s3.us-east-1.amazonaws.com")
    assert link.path == f"/{own_key}"
    query = parse_qs(link.query)
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == (["AWS4-HMAC-SHA256"], ["300"])
    assert query["X-Amz-Credential"][0].endswith("/us-east-1/s3/aws4_request")


def typed(value: Any, path: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every leaf with its place and type: 400 and 400.0, 1 and true are equal in Python and not in JSON."""
    if isinstance(value, dict):
        yield path, "object", sorted(value)
        for name in sorted(value):
            yield from typed(value[name], f"{path}.{name}")
    elif isinstance(value, list):
        yield path, "list", len(value)
        for place, part in enumerate(value):
            yield from typed(part, f"{path}[{place}]")
    else:
        yield path, type(value).__name__, str(value)


def test_points_are_printed_without_superfluous_digits(world: World) -> None:
    reply = world.replay("get_club_jf_settle_list/lists_all")
    assert '"settle_amt":50,' in reply.text
    assert '"settle_amt":-150,' in reply.text
    assert '"settle_amt":333.25,' in reply.text
    assert '"total_amt":233.25' in reply.text


# ------------------------------------------------------------------------------------------------ the files as such


def test_every_file_is_what_the_generator_makes() -> None:
    made = dict(events.files(Scene()))
    found = {str(path.relative_to(events.EVENTS)): path for path in events.EVENTS.glob("*/*")}
    assert found.keys() == made.keys()
    stale = [name for name, text in made.items() if found[name].read_text(encoding="utf-8") != text]
    assert stale == [], "run: .venv/bin/python -m settlepoint_local.events"


def test_every_situation_has_an_expectation() -> None:
    assert {key for key in SITUATIONS if SITUATIONS[key].folder in endpoints()} == API_KEYS


def test_every_function_has_events() -> None:
    assert {situation.folder for situation in SITUATIONS.values()} == functions().keys()


def test_every_code_of_the_two_error_tables_has_an_event() -> None:
    seen = {code for code, _ in FAULTS.values()}
    by_a_fault_of_ours = {1500, 10001}  # any event, while a backend is broken: test_faults
    assert seen | by_a_fault_of_ours | MADE_BY_API_GATEWAY_ALONE == CLUB_TEXTS.keys() | GAME_TEXTS.keys()


def test_the_error_tree_has_the_codes_and_texts_of_the_contract() -> None:
    answers = {errors.SERVICE_FAULT_CLUB, errors.SERVICE_FAULT_GAME}
    for error in all_errors(errors.SettlepointError):
        answers |= {error.club, error.game}
    contract = {**CLUB_TEXTS, **GAME_TEXTS}
    for code in MADE_BY_API_GATEWAY_ALONE:
        del contract[code]
    assert {answer.code: answer.text for answer in answers} == contract


def all_errors(error: type[errors.SettlepointError]) -> Iterator[type[errors.SettlepointError]]:
    yield error
    for special in error.__subclasses__():
        yield from all_errors(special)


API_FIELDS = {
    "resource",
    "path",
    "httpMethod",
    "headers",
    "multiValueHeaders",
    "queryStringParameters",
    "multiValueQueryStringParameters",
    "pathParameters",
    "stageVariables",
    "requestContext",
    "body",
    "isBase64Encoded",
}


@pytest.mark.parametrize("key", sorted(API_KEYS))
def test_an_api_event_is_complete(key: str) -> None:
    event = event_file(key)
    method, path = endpoints()[SITUATIONS[key].folder]
    assert event.keys() == API_FIELDS
    assert (event["httpMethod"], event["resource"], event["requestContext"]["resourcePath"]) == (method, path, path)
    assert event["multiValueHeaders"] == {name: [value] for name, value in event["headers"].items()}


def test_no_file_names_this_machine() -> None:
    for path in events.EVENTS.rglob("*.json"):
        assert str(Path.home()) not in path.read_text(encoding="utf-8")
