"""Bodies and headers as real clients send them, and as no client should: the bytes that are sent are what counts."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from .system import System
from .wire import Answer, SudParty, as_bytes, send

pytestmark = pytest.mark.stack


class Target(NamedTuple):
    """A door that writes: how it is called, what would succeed, and whose rows would change."""

    post: Callable[[bytes], Answer]
    body: dict[str, Any]
    number: str
    """One of the body's integer fields."""
    parameter_error: int
    app_id: str


def club_target(system: System, endpoint: str) -> Target:
    club = system.club()
    order = system.club_order()
    if endpoint == "SetClubJfSettle":
        assert club.create(order).code == 0
        order = {"bill_no": order["bill_no"], "openid": order["openid"], "amt_ratio": 50}
    number = "amt_ratio" if endpoint == "SetClubJfSettle" else "amt"
    return Target(lambda raw: club.call(endpoint, raw), order, number, 1001, club.app_id)


def create_order_target(system: System) -> Target:
    merchant = system.merchant()
    path = "/v1/app/server/create_order"
    return Target(lambda raw: merchant.call(path, raw), system.game_order(), "value", 10002, merchant.app_id)


def user_settle_target(system: System) -> Target:
    merchant = system.merchant()
    game_server = system.game_server(merchant, "mg-1")
    order = system.game_order()
    assert merchant.create(order).code == 0
    report = system.report(merchant, order["out_order_id"], settle_at=int(time.time()))
    path = "/v1/mg/server/user_settle"
    return Target(lambda raw: game_server.call(path, raw), report, "settle_at", 10002, merchant.app_id)


TARGETS: dict[str, Callable[[System], Target]] = {
    "CreateClubJfOrder": lambda system: club_target(system, "CreateClubJfOrder"),
    "SetClubJfSettle": lambda system: club_target(system, "SetClubJfSettle"),
    "create_order": create_order_target,
    "user_settle": user_settle_target,
}

# What is put before the first field of an otherwise good body.
FIRST_FIELDS = {
    "not UTF-8": b'"note":"\xff",',
    "UTF-16 surrogates as UTF-8": b'"note":"\xed\xa0\x80",',
    "half a surrogate pair": rb'"note":"\ud83d",',
    "33 levels": b'"note":' + 32 * b"[" + 32 * b"]" + b",",
    "100,000 levels": b'"note":' + 30_000 * b"[" + 30_000 * b"]" + b",",
    "a key twice": b'"note":1,"note":1,',
    "a key twice, further in": b'"note":{"a":1,"a":2},',
    "NaN": b'"note":NaN,',
    "Infinity": b'"note":-Infinity,',
    "an integer of 5,000 digits": b'"note":' + 5000 * b"9" + b",",
    "no comma": b'"note":1 ',
}
# What stands where one of the body's integers was.
NUMBERS = (b'"5"', b"5.0", b"5e0", b"true", b"[]", b"{}", b"9" * 41, b"-9223372036854775809000", b'""')
WHOLE_BODIES = {
    "nothing": b"",
    "an empty list": b"[]",
    "a string": b'"{}"',
    "null": b"null",
    "an empty object": b"{}",
    "half a body": b'{"bill_no":"b","out_order_id',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "text": b"amt=1",
}


def with_first_field(body: dict[str, Any], first: bytes) -> bytes:
    return b"{" + first + as_bytes(body)[1:]


@pytest.mark.parametrize("door", TARGETS)
def test_a_body_that_is_wrong_is_a_parameter_error_and_changes_nothing(system: System, door: str) -> None:
    target = TARGETS[door](system)
    before = system.rows(target.app_id)
    number = as_bytes({target.number: target.body[target.number]})[1:-1]
    name = number.split(b":")[0]
    faults = {
        **{fault: with_first_field(target.body, first) for fault, first in FIRST_FIELDS.items()},
        **{str(text): as_bytes(target.body).replace(number, name + b": " + text) for text in NUMBERS},
        **WHOLE_BODIES,
        **{
            f"without {missing}": as_bytes({n: v for n, v in target.body.items() if n != missing})
            for missing in target.body
            if missing != "amt_ratio"
        },
    }
    for fault, raw in faults.items():
        if (door, fault) == ("user_settle", '"5"'):
            continue
        answer = target.post(raw)
        assert (answer.status, answer.code) == (200, target.parameter_error), (fault, answer.body.decode())
        assert answer.json["detail"]
    too_large = as_bytes(target.body).ljust(64 * 1024 + 1)
    answer = target.post(too_large)
    assert (answer.status, answer.code) == (413, target.parameter_error)
    assert system.rows(target.app_id) == before

    assert target.post(too_large[:-1]).code == 0  # it was the one byte
    assert system.rows(target.app_id) != before


@pytest.mark.parametrize("door", TARGETS)
def test_what_clients_add_to_a_body_does_not_matter(system: System, door: str) -> None:
    target = TARGETS[door](system)
    with_others = {"sign": "x", "extra": [{"deep": [{}]}], "nothing": None, **target.body, "zz": 1.5}
    if door != "user_settle":
        with_others["app_id"] = "another"
    assert target.post(as_bytes(with_others)).code == 0
    assert target.post(as_bytes(target.body)).code == 0  # the same content


def escaped(body: dict[str, Any]) -> bytes:
    r"""The same content, every letter of it written \uXXXX and every slash \/."""

    def text(value: str) -> str:
        units = value.encode("utf-16-be")
        numbers = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
        return '"' + "".join(r"\/" if number == ord("/") else rf"\u{number:04x}" for number in numbers) + '"'

    def written(value: Any) -> str:
        match value:
            case str():
                return text(value)
            case dict():
                return "{" + ",".join(f"{text(name)}:{written(inner)}" for name, inner in value.items()) + "}"
            case list():
                return "[" + ",".join(map(written, value)) + "]"
            case _:
                return json.dumps(value)

    return written(body).encode()


def odd(body: dict[str, Any]) -> bytes:
    """The same content with odd whitespace, and characters beyond ASCII as they are."""
    return b"\r\n\t " + json.dumps(body, ensure_ascii=False, indent=3, separators=(" ,", "\t:  ")).encode() + b" \n\n"


@pytest.mark.parametrize("write", [escaped, odd], ids=lambda write: str(write.__name__))
@pytest.mark.parametrize("door", TARGETS)
def test_a_body_may_be_written_in_any_way(system: System, door: str, write: Callable[[dict[str, Any]], bytes]) -> None:
    target = TARGETS[door](system)
    if door in ("CreateClubJfOrder", "create_order"):
        target.body["detail" if door == "CreateClubJfOrder" else "cmd"] = "周末/活动 😀"
    assert target.post(write(target.body)).code == 0
    assert target.post(as_bytes(target.body)).code == 0  # the same content


def in_pieces(body: bytes, size: int = 7) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def test_a_body_may_come_in_chunks(system: System) -> None:
    club, merchant = system.club(), system.merchant()
    club_order, game_order = system.club_order(), system.game_order(cmd="送礼/😀")
    assert club.post("/upbot/api/CreateClubJfOrder", in_pieces(as_bytes(club_order))).code == 0
    assert club.settle(club_order).code == 0
    raw = json.dumps(game_order, ensure_ascii=False).encode()
    assert merchant.post("/v1/app/server/create_order", in_pieces(raw), merchant.parts(raw)).code == 0
    assert merchant.query(out_order_id=game_order["out_order_id"]).data["cmd"] == "送礼/😀"


@pytest.fixture(scope="module")
def merchant(system: System) -> SudParty:
    return system.merchant()


QUERY = "/v1/app/server/query_order"
UNKNOWN = b'{"out_order_id":"no-such-order"}'


def test_the_header_parts_come_in_any_order(merchant: SudParty) -> None:
    for names in itertools.permutations(("app_id", "timestamp", "nonce", "signature")):
        parts = merchant.parts(UNKNOWN)
        assert merchant.post(QUERY, UNKNOWN, {name: parts[name] for name in names}).code == 70503, names


@pytest.mark.parametrize(
    ("offset_seconds", "unit", "status"),
    [(0, 1, 200), (0, 1000, 200), (-290, 1, 200), (290, 1000, 200), (-310, 1, 401), (310, 1, 401), (-310, 1000, 401)],
)
def test_a_timestamp_is_seconds_or_milliseconds_and_at_most_300_s_off(
    merchant: SudParty, offset_seconds: int, unit: int, status: int
) -> None:
    clock = str(int((time.time() + offset_seconds) * unit))
    party = SudParty(merchant.base_url, merchant.app_id, merchant.secret, lambda: clock)
    answer = party.call(QUERY, UNKNOWN)
    assert (answer.status, answer.code) == (status, 70503 if status == 200 else 10004)


@pytest.mark.parametrize(
    "sent", [b'{"out_order_id": "no-such-order"}', UNKNOWN + b"\n", UNKNOWN[:-2] + b'S"}', b"{}", b""], ids=repr
)
def test_a_signature_is_good_for_the_bytes_that_were_signed_alone(merchant: SudParty, sent: bytes) -> None:
    answer = merchant.post(QUERY, sent, merchant.parts(UNKNOWN))
    assert (answer.status, answer.body) == (401, '{"ret_code":10004,"ret_msg":"AppSecret非法"}'.encode())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda parts: {**parts, "signature": parts["signature"].upper()},
        lambda parts: {**parts, "signature": parts["signature"][:-1] + "g"},
        lambda parts: {**parts, "nonce": parts["nonce"] + "0"},
        lambda parts: {**parts, "timestamp": str(int(parts["timestamp"]) + 1)},
        lambda parts: {name: part for name, part in parts.items() if name != "nonce"},
        lambda parts: {**parts, "extra": "x"},
        lambda parts: {**parts, "signature": ""},
        lambda _: {},
    ],
    ids=["upper case", "one digit", "nonce", "timestamp", "a part missing", "a part too many", "empty", "no parts"],
)
def test_a_header_that_is_not_what_was_signed_is_10004(
    merchant: SudParty, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    answer = merchant.post(QUERY, UNKNOWN, spoil(merchant.parts(UNKNOWN)))
    assert (answer.status, answer.body) == (401, '{"ret_code":10004,"ret_msg":"AppSecret非法"}'.encode())


def test_a_token_may_come_without_bearer(system: System) -> None:
    club = system.club()
    for authorization in (club.token, f"bearer {club.token}", f"  Bearer   {club.token} "):
        answer = send(
            f"{club.base_url}/upbot/api/GetClubJfSettleList",
            as_bytes({"openid": system.confidential("openid")}),
            {"Authorization": authorization},
        )
        assert answer.code == 0
