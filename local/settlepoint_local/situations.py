"""Every situation that has a file under events/: which function, who calls, what is sent, and what happened before.

The one source of those files. What is expected of each stands in tests/functions/.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import boto3
import simplejson

from settlement.club_messages import CreateClubOrderRequest
from settlement.cursor import ListQuery
from settlement.game_messages import CreateOrderRequest, SettleUsersRequest
from settlement.ledger import Ledger, Notification
from settlement.notifications import club_notification, game_notification, game_notify_id
from settlement.orders import ClubTerms, SettledClubOrder, SettledGameOrder, game_order_id
from settlement.points import HUNDREDTHS_PER_POINT
from settlement.queue import MAX_RECEIVES
from settlement.settling import FULL_RATIO
from settlement.sudauth import SudAuth
from settlepoint_local.lambda_events import (
    REGION,
    Event,
    api_event,
    console_event,
    schedule_event,
    sqs_event,
    stream_event,
)
from settlepoint_local.scene import NONCE, Scene
from settlepoint_local.template import endpoints

type Authorization = Callable[[Scene, bytes], str | None]


@dataclass(frozen=True, slots=True)
class Situation:
    """One event file, `events/{folder}/{name}.json`."""

    folder: str
    name: str
    event: Callable[[Scene], Event]
    after: tuple[str, ...] = ()
    """What happened before, oldest first, one a second: other situations as `folder/name`."""

    @property
    def key(self) -> str:
        return f"{self.folder}/{self.name}"


# ------------------------------------------------------------------------------------------------ who calls


def token_of(app_id: str, *scopes: str, bearer: str = "Bearer ") -> Authorization:
    """A good token; without scopes, of all three."""
    return lambda scene, _: bearer + (scene.token(app_id, scopes) if scopes else scene.token(app_id))


def expired_token(scene: Scene, _: bytes) -> str:
    claims = scene.claims("club-a")
    return "Bearer " + scene.token("club-a", claims={**claims, "iat": claims["iat"] - 7200, "exp": claims["iat"]})


def signature_of(app_id: str, nonce: str = NONCE) -> Authorization:
    return lambda scene, body: str(scene.sud_auth(app_id, body, nonce=nonce))


def altered(alter: Callable[[SudAuth, Scene], object], app_id: str = "merchant-a") -> Authorization:
    """A signature of which something was changed afterwards."""
    return lambda scene, body: str(alter(scene.sud_auth(app_id, body), scene))


def signed_at(timestamp: Callable[[Scene], int], app_id: str = "merchant-a") -> Authorization:
    return lambda scene, body: str(scene.sud_auth(app_id, body, timestamp=str(timestamp(scene))))


def nobody(_: Scene, __: bytes) -> None:
    return None


def in_other_order(auth: SudAuth, _: Scene) -> str:
    return (
        f'Sud-Auth signature="{auth.signature}", nonce="{auth.nonce}", '
        f'timestamp="{auth.timestamp}", app_id="{auth.app_id}"'
    )


# ------------------------------------------------------------------------------------------------ what is sent


def json_bytes(body: Mapping[str, Any]) -> bytes:
    return simplejson.dumps(body, ensure_ascii=False).encode()


def escaped(body: Mapping[str, Any]) -> bytes:
    r"""The same body as PHP would send it: `\uXXXX` and `\/`."""
    return simplejson.dumps(body).replace("/", "\\/").encode()


def nested(levels: int) -> bytes:
    """An object of that many levels, itself included."""
    return b'{"deep":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def filled_to(size: int, body: Mapping[str, Any]) -> bytes:
    """A body with an unknown field that makes it that many bytes long."""
    text = json_bytes({**body, "filling": ""})
    return text[:-2] + b"x" * (size - len(text)) + text[-2:]


def call(
    folder: str,
    name: str,
    body: Mapping[str, Any] | bytes | Callable[[Scene], Mapping[str, Any]],
    by: Authorization,
    *,
    after: tuple[str, ...] = (),
    lower_case: bool = False,
    as_base64: bool = True,
) -> Situation:
    """A POST to one of the two APIs."""

    def event(scene: Scene) -> Event:
        content = body(scene) if callable(body) else body
        sent = content if isinstance(content, bytes) else json_bytes(content)
        headers = {"Content-Type": "application/json"}
        authorization = by(scene, sent)
        if authorization is not None:
            headers["Authorization"] = authorization
        made = api_event(
            f"{folder}/{name}", endpoints()[folder], scene.now_ms, body=sent, headers=headers, as_base64=as_base64
        )
        return with_lower_case_headers(made) if lower_case else made

    return Situation(folder, name, event, after)


def with_lower_case_headers(event: Event) -> Event:
    """As HTTP/2 clients and other gateways send them."""
    for field in ("headers", "multiValueHeaders"):
        event[field] = {header.lower(): value for header, value in event[field].items()}
    return event


CLUB: Final = token_of("club-a")
OTHER_CLUB: Final = token_of("club-b")
MERCHANT: Final = signature_of("merchant-a")
OTHER_MERCHANT: Final = signature_of("merchant-b")
GAME: Final = signature_of("game-a")

BILL: Final = {
    "bill_no": "bill-1001",
    "openid": "openid-of-li",
    "amt": 1333,
    "source": 5,
    "jf_gid": 7,
    "detail": "周末活动 1/2",
    "account": {"type": 2, "id": "club-9", "gid": 9},
}
NEGATIVE_BILL: Final = {
    **BILL,
    "bill_no": "bill-1002",
    "amt": -200,
    "source": 8,
    "detail": "",
    "account": {"id": "u-3"},
}
PLAIN_BILL: Final = {
    "bill_no": "bill-1003",
    "openid": "openid-of-li",
    "amt": 50,
    "source": 1,
    "jf_gid": 0,
    "detail": "recharge",
}
THIS_BILL: Final = {"bill_no": "bill-1001", "openid": "openid-of-li"}
THIS_OPENID: Final = {"openid": "openid-of-li"}

ORDER: Final = {
    "app_id": "merchant-a",
    "out_order_id": "order-1001",
    "mg_id": "mg-1",
    "room_id": "room-9",
    "cmd": "gift",
    "from_uid": "player-1",
    "to_uid": "player-2",
    "value": 120,
    "out_group_id": "group-1",
    "payload": {"rate": Decimal("1.10"), "note": "礼物 1/2"},
}
PLAIN_ORDER: Final = {name: ORDER[name] for name in ORDER if name not in ("out_group_id", "payload")} | {
    "out_order_id": "order-1002",
    "value": -120,
}
THIS_ORDER: Final = {"app_id": "merchant-a", "out_order_id": "order-1001"}
THAT_ORDER: Final = {"app_id": "merchant-a", "out_order_id": "order-1002"}
ORDER_ID: Final = game_order_id("merchant-a", "order-1001")

WINNER: Final = {
    "out_order_id": "order-1001",
    "uid": "player-1",
    "is_ai": 0,
    "score": 120,
    "remain_score": 880,
    "commission_score": 6,
}
ROBOT: Final = {"out_order_id": "order-1002", "uid": "", "is_ai": 1, "score": -120, "remain_score": 0}
SETTLED_AT: Final = 1795305590
REPORT: Final = {
    "app_id": "merchant-a",
    "mg_id": "mg-1",
    "room_id": "room-9",
    "match_id": "match-7",
    "settle_at": str(SETTLED_AT),
    "results": [WINNER, ROBOT],
}


def _report(**changes: Any) -> dict[str, Any]:
    return {**REPORT, **changes}


# --------------------------------------------------------------------------------------- POST CreateClubJfOrder

_CREATED = ("create_club_order/creates",)

CREATE_CLUB_ORDER: Final = [
    call("create_club_order", name, body, by, after=after, **variant)
    for name, body, by, after, variant in (
        ("creates", BILL, CLUB, (), {}),
        ("creates_negative", NEGATIVE_BILL, CLUB, (), {}),
        ("creates_without_account", PLAIN_BILL, CLUB, (), {}),
        ("creates_of_another_app", BILL, OTHER_CLUB, _CREATED, {}),
        ("repeats", BILL, CLUB, _CREATED, {}),
        ("repeats_settled", BILL, CLUB, (*_CREATED, "set_club_jf_settle/settles_in_full"), {}),
        ("variant_escaped", escaped(BILL), CLUB, _CREATED, {}),
        ("variant_extra_fields", {"app_id": "x", **BILL, "more": [{"any": None}]}, CLUB, _CREATED, {}),
        (
            "variant_null_account",
            {**PLAIN_BILL, "account": None},
            CLUB,
            ("create_club_order/creates_without_account",),
            {},
        ),
        ("variant_token_without_bearer", BILL, token_of("club-a", bearer=""), _CREATED, {}),
        ("variant_headers_in_lower_case", BILL, CLUB, _CREATED, {"lower_case": True}),
        ("variant_plain_body", BILL, CLUB, _CREATED, {"as_base64": False}),
        ("variant_64_kib", filled_to(65536, BILL), CLUB, _CREATED, {}),
        ("1001_missing_field", {name: BILL[name] for name in BILL if name != "openid"}, CLUB, (), {}),
        ("1001_wrong_sign", {**BILL, "source": 8}, CLUB, (), {}),
        ("1001_not_an_object", b"[]", CLUB, (), {}),
        ("1001_empty_body", b"", CLUB, (), {}),
        ("1001_not_utf8", json_bytes(BILL).replace("周".encode(), b"\xd6\xdc"), CLUB, (), {}),
        ("1001_duplicate_key", b'{"bill_no":"bill-0",' + json_bytes(BILL)[1:], CLUB, (), {}),
        ("1001_nested_too_deep", nested(33), CLUB, (), {}),
        ("1001_too_large", filled_to(65537, BILL), CLUB, (), {}),
        ("1002_no_token", BILL, nobody, (), {}),
        ("1002_expired_token", BILL, expired_token, (), {}),
        ("1002_disabled_app", BILL, token_of("club-disabled"), (), {}),
        ("1005_other_amt", {**BILL, "amt": 1334}, CLUB, _CREATED, {}),
        ("1005_other_account", {**BILL, "account": {"type": 1, "id": "club-9", "gid": 9}}, CLUB, _CREATED, {}),
        ("1006_scope_missing", BILL, token_of("club-a", "settlements:read"), (), {}),
        ("1006_role_missing", BILL, token_of("merchant-a"), (), {}),
        ("two_faults_size_before_token", filled_to(65537, BILL), nobody, (), {}),
        ("two_faults_token_before_json", b"[]", nobody, (), {}),
        ("two_faults_scope_before_json", b"[]", token_of("club-a", "settlements:read"), (), {}),
        ("two_faults_json_before_fields", b'{"bill_no":"","bill_no":""}', CLUB, (), {}),
        ("two_faults_openid_before_amt", {**BILL, "amt": "1", "openid": 5}, CLUB, (), {}),
        ("two_faults_detail_before_sign", {**BILL, "source": 8, "detail": "x" * 513}, CLUB, (), {}),
        ("two_faults_openid_before_amt_1005", {**BILL, "amt": 1, "openid": "openid-of-wu"}, CLUB, _CREATED, {}),
    )
]

# ----------------------------------------------------------------------------------------- POST SetClubJfSettle

_SETTLED = (*_CREATED, "set_club_jf_settle/settles_in_full")
_NEGATIVE = ("create_club_order/creates_negative",)
_BILL_2: Final = {"bill_no": "bill-1002", "openid": "openid-of-li"}

SET_CLUB_JF_SETTLE: Final = [
    call("set_club_jf_settle", name, body, by, after=after, **variant)
    for name, body, by, after, variant in (
        ("settles_in_full", THIS_BILL, CLUB, _CREATED, {}),
        ("settles_in_part", {**THIS_BILL, "settle_amt": 400}, CLUB, _CREATED, {}),
        ("settles_by_ratio", {**THIS_BILL, "amt_ratio": 25}, CLUB, _CREATED, {}),
        ("settles_by_amount_over_ratio", {**THIS_BILL, "settle_amt": 400, "amt_ratio": 25}, CLUB, _CREATED, {}),
        ("settles_with_zeros", {**THIS_BILL, "settle_amt": 0, "amt_ratio": 0}, CLUB, _CREATED, {}),
        ("settles_negative_in_part", {**_BILL_2, "settle_amt": -150}, CLUB, _NEGATIVE, {}),
        (
            "settles_without_account",
            {**_BILL_2, "bill_no": "bill-1003"},
            CLUB,
            ("create_club_order/creates_without_account",),
            {},
        ),
        ("repeats", THIS_BILL, CLUB, _SETTLED, {}),
        ("repeats_in_other_words", {**THIS_BILL, "amt_ratio": 100, "settle_amt": None}, CLUB, _SETTLED, {}),
        ("variant_escaped", escaped({**THIS_BILL, "note": "1/2 中"}), CLUB, _CREATED, {}),
        ("1001_amt_not_smaller", {**THIS_BILL, "settle_amt": 1333}, CLUB, _CREATED, {}),
        ("1001_other_sign", {**THIS_BILL, "settle_amt": -1}, CLUB, _CREATED, {}),
        ("1001_ratio_over_100", {**THIS_BILL, "amt_ratio": 101}, CLUB, _CREATED, {}),
        ("1001_not_an_object", b"[]", CLUB, _CREATED, {}),
        ("1001_too_large", filled_to(65537, THIS_BILL), CLUB, _CREATED, {}),
        ("1002_no_token", THIS_BILL, nobody, _CREATED, {}),
        ("1003_unknown_order", THIS_BILL, CLUB, (), {}),
        ("1003_other_openid", {**THIS_BILL, "openid": "openid-of-wu"}, CLUB, _CREATED, {}),
        ("1003_order_of_another_app", THIS_BILL, OTHER_CLUB, _CREATED, {}),
        ("1004_settled_on_other_terms", {**THIS_BILL, "amt_ratio": 25}, CLUB, _SETTLED, {}),
        (
            "1004_same_amount_other_ratio",
            {**_BILL_2, "amt_ratio": 75},
            CLUB,
            (*_NEGATIVE, "set_club_jf_settle/settles_negative_in_part"),
            {},
        ),
        ("1006_scope_missing", THIS_BILL, token_of("club-a", "orders:write", "settlements:read"), _CREATED, {}),
        (
            "two_faults_1003_before_1001",
            {**THIS_BILL, "openid": "openid-of-wu", "settle_amt": 99999},
            CLUB,
            _CREATED,
            {},
        ),
        ("two_faults_1001_before_1004", {**THIS_BILL, "settle_amt": 99999}, CLUB, _SETTLED, {}),
        ("two_faults_fields_before_1003", {**THIS_BILL, "amt_ratio": 101}, CLUB, (), {}),
    )
]

# ------------------------------------------------------------------------------------ POST GetClubJfSettleList

_THREE_SETTLED = (
    *("create_club_order/creates", "create_club_order/creates_negative", "create_club_order/creates_without_account"),
    *("set_club_jf_settle/settles_by_ratio", "set_club_jf_settle/settles_negative_in_part"),
    "set_club_jf_settle/settles_without_account",
)
"""Three settlements: 3, 2 and 1 s before now."""


def _page(fields: Mapping[str, Any], change: Callable[[str], str] = str, **query: Any) -> Callable[[Scene], Event]:
    """A body with the page_context that the first page of one entry gave to a query, which by default is the body's."""

    def body(scene: Scene) -> Event:
        bound = ListQuery(**{"app_id": "club-a", "openid": fields["openid"], **_OPEN_QUERY, **query})
        return {**fields, "page_context": change(scene.page_context(bound, "bill-1003", scene.now_ms - 1000))}

    return body


_OPEN_QUERY = {"source": None, "start_seconds": None, "end_seconds": None}

GET_CLUB_JF_SETTLE_LIST: Final = [
    call("get_club_jf_settle_list", name, body, by, after=_THREE_SETTLED)
    for name, body, by in (
        ("lists_all", THIS_OPENID, CLUB),
        ("lists_one_source", {**THIS_OPENID, "source": 8}, CLUB),
        ("lists_all_sources", {**THIS_OPENID, "source": -1, "page_context": ""}, CLUB),
        (
            "lists_a_range",
            lambda scene: {
                **THIS_OPENID,
                "start_time_unix_sec": scene.now_seconds - 2,
                "end_time_unix_sec": scene.now_seconds - 1,
            },
            CLUB,
        ),
        ("lists_nothing", {"openid": "openid-of-wu"}, CLUB),
        ("lists_nothing_of_another_app", THIS_OPENID, OTHER_CLUB),
        ("pages_on", _page(THIS_OPENID), CLUB),
        ("1001_start_after_end", {**THIS_OPENID, "start_time_unix_sec": 2, "end_time_unix_sec": 1}, CLUB),
        ("1001_source_17", {**THIS_OPENID, "source": 17}, CLUB),
        ("1001_page_context_cut", _page(THIS_OPENID, lambda text: text[:-1]), CLUB),
        ("1001_page_context_flipped", _page(THIS_OPENID, lambda text: text[:9] + text[9].swapcase() + text[10:]), CLUB),
        ("1001_page_context_of_another_openid", _page(THIS_OPENID, openid="openid-of-wu"), CLUB),
        ("1001_page_context_of_another_source", _page(THIS_OPENID, source=8), CLUB),
        ("1001_page_context_of_another_range", _page(THIS_OPENID, start_seconds=1), CLUB),
        ("1001_page_context_of_another_app", _page(THIS_OPENID), OTHER_CLUB),
        ("1001_not_an_object", b"[]", CLUB),
        ("1001_too_large", filled_to(65537, THIS_OPENID), CLUB),
        ("1002_no_token", THIS_OPENID, nobody),
        ("1006_scope_missing", THIS_OPENID, token_of("club-a", "orders:write", "settlements:write")),
        (
            "two_faults_range_before_page_context",
            {**THIS_OPENID, "start_time_unix_sec": 2, "end_time_unix_sec": 1, "page_context": "x"},
            CLUB,
        ),
    )
]

# -------------------------------------------------------------------------------------------- POST create_order

_ORDERED = ("create_order/creates",)

CREATE_ORDER: Final = [
    call("create_order", name, body, by, after=after, **variant)
    for name, body, by, after, variant in (
        ("creates", ORDER, MERCHANT, (), {}),
        ("creates_without_optional_fields", PLAIN_ORDER, MERCHANT, (), {}),
        ("creates_of_another_app", ORDER, OTHER_MERCHANT, _ORDERED, {}),
        ("repeats", ORDER, MERCHANT, _ORDERED, {}),
        ("repeats_under_a_new_nonce", ORDER, signature_of("merchant-a", nonce="keVJLJTItd1VBtGT"), _ORDERED, {}),
        ("variant_escaped", escaped(ORDER), MERCHANT, _ORDERED, {}),
        ("variant_extra_fields", {**ORDER, "more": {"any": []}}, MERCHANT, _ORDERED, {}),
        ("variant_10_digit_timestamp", ORDER, signed_at(lambda scene: scene.now_seconds), _ORDERED, {}),
        ("variant_header_parts_in_other_order", ORDER, altered(in_other_order), _ORDERED, {}),
        ("variant_headers_in_lower_case", ORDER, MERCHANT, _ORDERED, {"lower_case": True}),
        ("variant_plain_body", ORDER, MERCHANT, _ORDERED, {"as_base64": False}),
        ("10002_empty_list", b"[]", MERCHANT, (), {}),
        ("10002_value_not_int32", {**ORDER, "value": 2**31}, MERCHANT, (), {}),
        ("10002_payload_not_an_object", {**ORDER, "payload": []}, MERCHANT, (), {}),
        ("10002_too_large", filled_to(65537, ORDER), MERCHANT, (), {}),
        ("10004_no_signature", ORDER, nobody, (), {}),
        ("10004_wrong_signature", ORDER, altered(lambda auth, _: auth._replace(signature="0" * 40)), (), {}),
        ("10004_old_timestamp", ORDER, signed_at(lambda scene: scene.now_ms - 301_000), (), {}),
        ("10004_disabled_app", ORDER, signature_of("merchant-disabled"), (), {}),
        ("10004_unknown_app", ORDER, altered(lambda auth, _: auth._replace(app_id="merchant-x")), (), {}),
        ("10006_role_missing", ORDER, GAME, (), {}),
        ("70501_other_value", {**ORDER, "value": 121}, MERCHANT, _ORDERED, {}),
        ("70501_other_payload", {**ORDER, "payload": {"rate": Decimal("1.1")}}, MERCHANT, _ORDERED, {}),
        ("two_faults_size_before_signature", filled_to(65537, ORDER), nobody, (), {}),
        ("two_faults_signature_before_json", b"[]", nobody, (), {}),
        ("two_faults_role_before_json", b"[]", GAME, (), {}),
        ("two_faults_mg_id_before_value", {**ORDER, "value": 1.5, "mg_id": ""}, MERCHANT, (), {}),
        ("two_faults_mg_id_before_value_70501", {**ORDER, "value": 1, "mg_id": "mg-2"}, MERCHANT, _ORDERED, {}),
    )
]

# ------------------------------------------------------------------------ POST query_order, query_user_settle

_BOTH_ORDERED = (*_ORDERED, "create_order/creates_without_optional_fields")
_REPORTED = (*_BOTH_ORDERED, "settle_users/settles")

QUERY_ORDER: Final = [
    call("query_order", name, body, by, after=after)
    for name, body, by, after in (
        ("tells_created", THIS_ORDER, MERCHANT, _ORDERED),
        ("tells_created_by_order_id", {"order_id": ORDER_ID}, MERCHANT, _ORDERED),
        ("tells_without_optional_fields", THAT_ORDER, MERCHANT, _BOTH_ORDERED),
        ("tells_settled", THIS_ORDER, MERCHANT, _REPORTED),
        ("tells_by_order_id_over_out_order_id", {**THAT_ORDER, "order_id": ORDER_ID}, MERCHANT, _BOTH_ORDERED),
        ("10002_names_no_order", {"order_id": "", "out_order_id": ""}, MERCHANT, ()),
        ("10002_empty_list", b"[]", MERCHANT, ()),
        ("10002_too_large", filled_to(65537, THIS_ORDER), MERCHANT, ()),
        ("10004_no_signature", THIS_ORDER, nobody, _ORDERED),
        ("10006_role_missing", THIS_ORDER, GAME, _ORDERED),
        ("70503_unknown_order", THIS_ORDER, MERCHANT, ()),
        ("70503_order_of_another_app", {"order_id": ORDER_ID}, OTHER_MERCHANT, _ORDERED),
    )
]

QUERY_USER_SETTLE: Final = [
    call("query_user_settle", name, body, by, after=after)
    for name, body, by, after in (
        ("tells_result", THIS_ORDER, MERCHANT, _REPORTED),
        ("tells_result_by_order_id", {"order_id": ORDER_ID, "out_order_id": ""}, MERCHANT, _REPORTED),
        ("tells_robot", THAT_ORDER, MERCHANT, _REPORTED),
        ("10002_names_no_order", {"app_id": "merchant-a"}, MERCHANT, ()),
        ("10002_empty_list", b"[]", MERCHANT, ()),
        ("10002_too_large", filled_to(65537, THIS_ORDER), MERCHANT, ()),
        ("10004_no_signature", THIS_ORDER, nobody, _REPORTED),
        ("10006_role_missing", THIS_ORDER, GAME, _REPORTED),
        ("70503_unknown_order", THIS_ORDER, MERCHANT, ()),
        ("70503_order_of_another_app", {"order_id": ORDER_ID}, OTHER_MERCHANT, _REPORTED),
        ("70504_not_settled", THIS_ORDER, MERCHANT, _ORDERED),
    )
]

# --------------------------------------------------------------------------------------------- POST user_settle

SETTLE_USERS: Final = [
    call("settle_users", name, body, by, after=after)
    for name, body, by, after in (
        ("settles", REPORT, GAME, _BOTH_ORDERED),
        ("settles_one", _report(results=[ROBOT], settle_at=SETTLED_AT), GAME, _BOTH_ORDERED),
        ("repeats", REPORT, GAME, _REPORTED),
        (
            "repeats_by_order_id",
            _report(results=[ROBOT, {**WINNER, "order_id": ORDER_ID, "out_order_id": ""}], settle_at=SETTLED_AT),
            GAME,
            _REPORTED,
        ),
        ("10002_empty_list", b"[]", GAME, ()),
        ("10002_no_results", _report(results=[]), GAME, ()),
        ("10002_order_named_twice", _report(results=[WINNER, {**WINNER, "order_id": ORDER_ID}]), GAME, _BOTH_ORDERED),
        ("10002_robot_with_uid", _report(results=[{**ROBOT, "uid": "player-1"}]), GAME, _BOTH_ORDERED),
        ("10002_too_large", filled_to(65537, REPORT), GAME, ()),
        ("10004_no_signature", REPORT, nobody, _BOTH_ORDERED),
        ("10006_role_missing", REPORT, MERCHANT, _BOTH_ORDERED),
        ("10111_other_game", _report(mg_id="mg-3"), GAME, _BOTH_ORDERED),
        ("10111_other_merchant", _report(app_id="merchant-b"), GAME, _BOTH_ORDERED),
        ("10111_game_server_of_another", REPORT, signature_of("game-b"), _BOTH_ORDERED),
        ("70503_unknown_order", REPORT, GAME, _ORDERED),
        ("70503_other_room", _report(room_id="room-8"), GAME, _BOTH_ORDERED),
        ("70503_other_game", _report(mg_id="mg-2"), GAME, _BOTH_ORDERED),
        ("70505_other_score", _report(results=[{**WINNER, "score": 121}, ROBOT]), GAME, _REPORTED),
        ("70505_other_match", _report(match_id="match-8"), GAME, _REPORTED),
        ("70505_one_settled_before", REPORT, GAME, (*_BOTH_ORDERED, "settle_users/settles_one")),
        ("two_faults_fields_before_10111", _report(mg_id="mg-3", results=[]), GAME, ()),
        ("two_faults_10111_before_70503", _report(mg_id="mg-3", room_id="room-8"), GAME, _BOTH_ORDERED),
        (
            "two_faults_70503_before_70505",
            _report(results=[{**WINNER, "score": 1}, {**ROBOT, "out_order_id": "order-1003"}]),
            GAME,
            _REPORTED,
        ),
    )
]

# --------------------------------------------------------------------- POST GetClubJfStatement, get_statement

YESTERDAY: Final = {"day": "2026-11-21"}
_WRITTEN = ("write_statements/every_hour",)

GET_CLUB_JF_STATEMENT: Final = [
    call("get_club_jf_statement", name, body, by, after=after)
    for name, body, by, after in (
        ("tells_where", YESTERDAY, CLUB, _WRITTEN),
        ("1001_missing_day", {}, CLUB, ()),
        ("1001_no_such_day", {"day": "2026-11-31"}, CLUB, ()),
        ("1001_not_a_day", {"day": "21.11.2026"}, CLUB, ()),
        ("1001_not_an_object", b"[]", CLUB, ()),
        ("1001_too_large", filled_to(65537, YESTERDAY), CLUB, ()),
        ("1002_no_token", YESTERDAY, nobody, ()),
        ("1006_scope_missing", YESTERDAY, token_of("club-a", "orders:write", "settlements:write"), ()),
        ("1007_day_not_over", {"day": "2026-11-22"}, CLUB, ()),
        ("1007_before_the_first", {"day": "2020-02-29"}, CLUB, ()),
    )
]

GET_STATEMENT: Final = [
    call("get_statement", name, body, by, after=after)
    for name, body, by, after in (
        ("tells_where", {"app_id": "merchant-a", **YESTERDAY}, MERCHANT, _WRITTEN),
        ("10002_missing_day", {}, MERCHANT, ()),
        ("10002_no_such_day", {"day": "2026-02-29"}, MERCHANT, ()),
        ("10002_empty_list", b"[]", MERCHANT, ()),
        ("10002_too_large", filled_to(65537, YESTERDAY), MERCHANT, ()),
        ("10004_no_signature", YESTERDAY, nobody, ()),
        ("10006_role_missing", YESTERDAY, GAME, ()),
        ("70506_day_not_over", {"day": "2026-11-22"}, MERCHANT, ()),
        ("70506_before_the_first", {"day": "2020-02-29"}, MERCHANT, ()),
    )
]

WRITE_STATEMENTS: Final = [
    Situation("write_statements", "every_hour", lambda scene: schedule_event(scene.now_ms, "EveryHour"))
]

# ------------------------------------------------------------------------------------------ the API directory


def _directory(name: str, signature: Callable[[Scene], str]) -> Situation:
    def event(scene: Scene) -> Event:
        key = f"get_api_directory/{name}"
        return api_event(
            key, endpoints()["get_api_directory"], scene.now_ms, parameters={"signature": signature(scene)}
        )

    return Situation("get_api_directory", name, event)


def _on_custom_domain(scene: Scene) -> Event:
    # A base path mapping: both paths have it, and neither has the stage.
    event = DIRECTORY[0].event(scene)
    event["path"] = "/points" + event["path"]
    event["requestContext"] |= {"domainName": "settlepoint.example", "path": event["path"]}
    event["headers"]["Host"] = "settlepoint.example"
    event["multiValueHeaders"]["Host"] = ["settlepoint.example"]
    return event


DIRECTORY: Final = [
    _directory("tells_urls", lambda scene: scene.directory_signature("merchant-a")),
    Situation("get_api_directory", "tells_urls_on_custom_domain", _on_custom_domain),
    _directory("1404_unknown_signature", lambda _: "0" * 32),
    _directory("1404_disabled_app", lambda scene: scene.directory_signature("merchant-disabled")),
    _directory("1404_an_app_id", lambda _: "merchant-a"),
]

# ------------------------------------------------------------------------------------------------ notifications

_TWO_SETTLED = (*_SETTLED, *_REPORTED)
"""A club order 4 s before now, a game report 1 s before now."""


def club_settlement(scene: Scene) -> Notification:
    """The notification of set_club_jf_settle/settles_in_full, 4 s before now."""
    order = CreateClubOrderRequest.model_validate(BILL).order()
    terms = ClubTerms(settle_hundredths=order.amt * HUNDREDTHS_PER_POINT, amt_ratio=FULL_RATIO)
    return club_notification("club-a", SettledClubOrder(order, terms, scene.now_ms - 4000))


def game_settlement(scene: Scene) -> Notification:
    """The notification of settle_users/settles, 1 s before now."""
    orders = [CreateOrderRequest.model_validate(order).order() for order in (ORDER, PLAIN_ORDER)]
    results = SettleUsersRequest.model_validate(REPORT).results_by_order_id()
    notify_id = game_notify_id("merchant-a", list(results))
    settled = {
        order_id: SettledGameOrder(order, result, notify_id, position, scene.now_ms - 1000)
        for position, ((order_id, result), order) in enumerate(zip(results.items(), orders, strict=True))
    }
    return game_notification("merchant-a", settled)


type Change = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""What happened to a row of the ledger, its key, its new image."""


def _new_row(notification: Notification) -> Change:
    row = Ledger(boto3.client("dynamodb", region_name=REGION), "").addition(notification)["Put"]["Item"]
    return "INSERT", {"notify_id": row["notify_id"]}, row


def _changed_row(notification: Notification) -> Change:
    _, key, row = _new_row(notification)
    return "MODIFY", key, {**row, "status": {"S": "retrying"}, "attempt_count": {"N": "1"}}


_BREAKER_ROW: Change = ("INSERT", {"notify_id": {"S": "breaker#club-a"}}, {"notify_id": {"S": "breaker#club-a"}})
_EXPIRED_ROW: Change = ("REMOVE", {"notify_id": {"S": "0" * 64}}, {})
_POISONED_ROW: Change = (
    "INSERT",
    {"notify_id": {"S": "1" * 64}},
    {"notify_id": {"S": "1" * 64}, "notify_event": {"S": "x"}},
)


def _message(notification: Notification, attempt: int = 1) -> str:
    return simplejson.dumps({"notify_id": notification.notify_id, "attempt": attempt})


def _release(app_id: str, pace: int = 1) -> str:
    return simplejson.dumps({"release": app_id, "pace": pace})


def _rows(name: str, *rows: Callable[[Scene], Change]) -> Situation:
    def event(scene: Scene) -> Event:
        return stream_event([row(scene) for row in rows], scene.now_ms)

    return Situation("queue_notifications", name, event, _TWO_SETTLED)


def _messages(name: str, bodies: Callable[[Scene], Sequence[str]], *, receives: int = 1) -> Situation:
    def event(scene: Scene) -> Event:
        return sqs_event(bodies(scene), scene.now_ms, receives=receives)

    return Situation("deliver_notification", name, event, _TWO_SETTLED)


NOTIFICATIONS: Final = [
    _rows(
        "new_notifications",
        lambda scene: _new_row(club_settlement(scene)),
        lambda scene: _new_row(game_settlement(scene)),
    ),
    _rows(
        "partly_other_rows",
        lambda scene: _changed_row(club_settlement(scene)),
        lambda _: _BREAKER_ROW,
        lambda scene: _new_row(game_settlement(scene)),
        lambda _: _EXPIRED_ROW,
    ),
    _rows("poisoned", lambda scene: _new_row(club_settlement(scene)), lambda _: _POISONED_ROW),
    _messages("two_messages", lambda scene: [_message(club_settlement(scene)), _message(game_settlement(scene))]),
    _messages("same_message_twice", lambda scene: 2 * [_message(club_settlement(scene))]),
    _messages("partly_poisoned", lambda scene: ["{", _message(club_settlement(scene)), '{"notify_id":"","attempt":1}']),
    _messages("poisoned", lambda _: ['{"notify_id":5,"attempt":"1"}']),
    _messages("poisoned_for_the_last_time", lambda _: ['{"notify_id":5,"attempt":"1"}'], receives=MAX_RECEIVES),
    _messages("unknown_notification", lambda _: [simplejson.dumps({"notify_id": "0" * 64, "attempt": 1})]),
    _messages("later_attempt_than_due", lambda scene: [_message(club_settlement(scene), attempt=2)]),
    _messages("release", lambda _: [_release("club-a", pace=4)]),
    _messages("release_of_nothing", lambda _: [_release("merchant-a")]),
    _messages("release_of_a_disabled_app", lambda _: [_release("club-disabled")]),
    _messages(
        "poisoned_releases",
        lambda _: [_release(""), _release("club-a", pace=0), '{"release":"club-a"}', '{"release":"club-a","pace":"1"}'],
    ),
    Situation("requeue_notifications", "every_minute", lambda scene: schedule_event(scene.now_ms), _TWO_SETTLED),
]

# -------------------------------------------------------------------------------------------------- the console

_ROTATED: Final = ("console/rotates_a_secret",)
_ACTIVATED: Final = (*_ROTATED, "console/activates_a_secret")
_RANGE_MS: Final = 60_000


def _page_event(scene: Scene) -> Event:
    return console_event("console/serves_the_page", "", scene.now_ms, headers={"Accept": "text/html"})


def _filter(scene: Scene, app_id: str = "club-a", status: str = "pending") -> dict[str, Any]:
    """The last minute's notifications of one status."""
    return {
        "app_id": app_id,
        "since_ms": scene.now_ms - _RANGE_MS,
        "until_ms": scene.now_ms,
        "statuses": [status],
    }


def _counted(scene: Scene, app_id: str = "club-a", expected: int = 1) -> dict[str, Any]:
    """The body of a replay of what was counted just now."""
    fields = _filter(scene, app_id)
    bound = [app_id, fields["since_ms"], fields["until_ms"], fields["statuses"], []]
    return {**fields, "expected": expected, "ticket": scene.ticket(bound, expected)}


def _asks(
    name: str,
    path: str,
    body: Mapping[str, Any] | bytes | Callable[[Scene], Mapping[str, Any]] | None,
    by: Callable[[Scene], str | None] | None = None,
    after: tuple[str, ...] = (),
) -> Situation:
    """A call of the console's API by an operator who may write, unless `by` says otherwise."""

    def event(scene: Scene) -> Event:
        content = body(scene) if callable(body) else body
        sent = json_bytes(content) if isinstance(content, Mapping) else content
        token = scene.operator_token() if by is None else by(scene)
        return console_event(f"console/{name}", f"api/{path}", scene.now_ms, body=sent, token=token)

    return Situation("console", name, event, after)


def _reader(scene: Scene) -> str:
    return scene.operator_token(("ops",))


def _expired_operator(scene: Scene) -> str:
    claims = scene.operator_claims()
    return scene.operator_token(claims={**claims, "iat": claims["iat"] - 7200, "exp": claims["iat"]})


def _this_notification(scene: Scene) -> dict[str, Any]:
    return {"notify_id": club_settlement(scene).notify_id}


THIS_APP: Final = {"app_id": "club-a"}
THIS_ACCOUNT: Final = {"app_id": "club-a", **THIS_OPENID}

CONSOLE_CALLS: Final = [
    Situation("console", "serves_the_page", _page_event),
    _asks("tells_the_session", "session", None, _reader),
    _asks("tells_the_health", "health", {}, _reader, _TWO_SETTLED),
    _asks("lists_apps", "apps/list", {}, _reader),
    _asks("shows_an_app", "apps/show", THIS_APP, _reader, _TWO_SETTLED),
    _asks("finds_a_club_order", "search", {"id": "bill-1001"}, _reader, _TWO_SETTLED),
    _asks("finds_a_game_order", "search", {"id": "order-1001", "app_id": "merchant-a"}, _reader, _TWO_SETTLED),
    _asks(
        "finds_a_notification",
        "search",
        lambda scene: {"id": club_settlement(scene).notify_id},
        _reader,
        _TWO_SETTLED,
    ),
    _asks("lists_settlements", "settlements/list", THIS_ACCOUNT, _reader, _THREE_SETTLED),
    _asks("lists_settlements_of_a_source", "settlements/list", {**THIS_ACCOUNT, "source": 8}, _reader, _THREE_SETTLED),
    _asks(
        "charts_settlements",
        "settlements/chart",
        {**THIS_ACCOUNT, "first_day": "2026-11-01", "last_day": "2026-11-30"},
        _reader,
        _THREE_SETTLED,
    ),
    _asks(
        "lists_notifications",
        "notifications/list",
        lambda scene: {**_filter(scene), "statuses": []},
        _reader,
        _TWO_SETTLED,
    ),
    _asks("shows_a_notification", "notifications/show", _this_notification, _reader, _TWO_SETTLED),
    _asks("counts_notifications", "notifications/count", _filter, _reader, _TWO_SETTLED),
    _asks("redelivers", "notifications/redeliver", _this_notification, None, _TWO_SETTLED),
    _asks("replays", "notifications/replay", _counted, None, _TWO_SETTLED),
    _asks("rotates_a_secret", "apps/rotate-secret", THIS_APP),
    _asks("activates_a_secret", "apps/activate-secret", {**THIS_APP, "overlap_seconds": 3600}, None, _ROTATED),
    _asks("retires_a_secret", "apps/retire-secret", THIS_APP, None, _ACTIVATED),
    _asks("disables_an_app", "apps/disable", THIS_APP),
    _asks("enables_an_app", "apps/enable", {"app_id": "club-disabled"}),
    _asks("400_not_an_object", "apps/show", b"[]"),
    _asks("400_no_app_id", "apps/show", {"app_id": ""}),
    _asks("400_foreign_cursor", "apps/list", {"cursor": "AQAB"}),
    _asks(
        "400_chart_of_two_years",
        "settlements/chart",
        {**THIS_ACCOUNT, "first_day": "2024-11-22", "last_day": "2026-11-22"},
    ),
    _asks("400_since_after_until", "notifications/list", {**THIS_APP, "since_ms": 2, "until_ms": 1}),
    _asks("400_count_of_no_status", "notifications/count", {**THIS_APP, "since_ms": 1, "until_ms": 2}),
    _asks("401_no_token", "apps/list", {}, lambda _: None),
    _asks("401_expired_token", "apps/list", {}, _expired_operator),
    _asks("401_a_clubs_token", "apps/list", {}, lambda scene: scene.token("club-a", ("ops", "ops:write"))),
    _asks("403_reader_redelivers", "notifications/redeliver", _this_notification, _reader, _TWO_SETTLED),
    _asks("403_no_scope", "apps/list", {}, lambda scene: scene.operator_token(())),
    _asks("404_no_such_path", "apps/create", {}),
    _asks("404_no_such_app", "apps/show", {"app_id": "nobody"}),
    _asks("404_no_such_notification", "notifications/redeliver", {"notify_id": "0" * 64}),
    _asks("409_rotation_refused", "apps/retire-secret", THIS_APP),
    _asks("409_no_receiver", "notifications/replay", lambda scene: _counted(scene, "club-b")),
    _asks(
        "409_not_counted",
        "notifications/replay",
        lambda scene: {**_counted(scene), "since_ms": scene.now_ms - 1},
        None,
        _TWO_SETTLED,
    ),
    _asks(
        "409_another_count",
        "notifications/replay",
        lambda scene: {**_counted(scene), "expected": 2},
        None,
        _TWO_SETTLED,
    ),
    _asks("413_too_large", "apps/show", filled_to(65537, THIS_APP)),
    _asks("two_faults_size_before_token", "apps/show", filled_to(65537, THIS_APP), lambda _: None),
    _asks("two_faults_token_before_json", "apps/show", b"[]", lambda _: None),
    _asks("two_faults_scope_before_json", "apps/disable", b"[]", _reader),
]

SITUATIONS: Final = {
    situation.key: situation
    for situations in (
        CREATE_CLUB_ORDER,
        SET_CLUB_JF_SETTLE,
        GET_CLUB_JF_SETTLE_LIST,
        CREATE_ORDER,
        QUERY_ORDER,
        QUERY_USER_SETTLE,
        SETTLE_USERS,
        GET_CLUB_JF_STATEMENT,
        GET_STATEMENT,
        WRITE_STATEMENTS,
        DIRECTORY,
        NOTIFICATIONS,
        CONSOLE_CALLS,
    )
    for situation in situations
}
"""By `folder/name`."""
