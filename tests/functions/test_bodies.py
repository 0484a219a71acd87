"""JSON as the contract takes it: strict about types and shapes, at every door alike; never a 5xx, nothing written."""

import re
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from settlepoint_local.in_process import World
from settlepoint_local.situations import (
    BILL,
    CLUB,
    GAME,
    MERCHANT,
    ORDER,
    REPORT,
    THIS_BILL,
    THIS_OPENID,
    THIS_ORDER,
    Authorization,
    filled_to,
    json_bytes,
    nested,
    nobody,
)

from .answers import check_fault


class Door(NamedTuple):
    """A door, a body that it takes, and its fields: what kind they are, and whether they must be there."""

    folder: str
    code: int
    by: Authorization
    body: dict[str, Any]
    required: str
    optional: str = ""


DOORS = {
    door.folder: door
    for door in (
        Door(
            "create_club_order",
            1001,
            CLUB,
            BILL,
            "bill_no:string openid:string amt:integer source:integer jf_gid:integer detail:string",
            "account:object account.type:integer account.id:string account.gid:integer",
        ),
        Door(
            "set_club_jf_settle",
            1001,
            CLUB,
            {**THIS_BILL, "settle_amt": 1, "amt_ratio": 1},
            "bill_no:string openid:string",
            "settle_amt:integer amt_ratio:integer",
        ),
        Door(
            "get_club_jf_settle_list",
            1001,
            CLUB,
            {**THIS_OPENID, "source": 1, "start_time_unix_sec": 1, "end_time_unix_sec": 2, "page_context": ""},
            "openid:string",
            "source:integer start_time_unix_sec:integer end_time_unix_sec:integer page_context:string",
        ),
        Door(
            "create_order",
            10002,
            MERCHANT,
            ORDER,
            "out_order_id:string mg_id:string room_id:string cmd:string from_uid:string to_uid:string value:integer",
            "out_group_id:string payload:object",
        ),
        Door(
            "query_order", 10002, MERCHANT, {**THIS_ORDER, "order_id": "x"}, "", "order_id:string out_order_id:string"
        ),
        Door(
            "query_user_settle",
            10002,
            MERCHANT,
            {**THIS_ORDER, "order_id": "x"},
            "",
            "order_id:string out_order_id:string",
        ),
        Door(
            "settle_users",
            10002,
            GAME,
            REPORT,
            "app_id:string mg_id:string room_id:string match_id:string settle_at:seconds results:list"
            " results.1.uid:string results.1.is_ai:integer results.1.score:integer results.1.remain_score:integer",
            "results.1.order_id:string results.1.out_order_id:string results.0.commission_score:integer",
        ),
    )
}
WRONG: dict[str, list[Any]] = {
    "string": [5, Decimal("5.0"), True, [], {}, ["x"]],
    "integer": ["5", "", Decimal("5.0"), Decimal("5E+1"), True, False, [], {}],
    "object": ["{}", "", 5, True, [], [{}]],
    "list": ["[]", "", 5, True, {}, {"0": {}}],
    "seconds": [True, Decimal("1795305590.0"), [], {}, ["1795305590"]],
}


def replaced(body: Any, path: str, value: Any, *, leave_out: bool = False) -> Any:
    name, _, rest = path.partition(".")
    if isinstance(body, list):
        place = int(name)
        return [replaced(part, rest, value, leave_out=leave_out) if i == place else part for i, part in enumerate(body)]
    if rest:
        return {**body, name: replaced(body[name], rest, value, leave_out=leave_out)}
    if leave_out:
        return {key: part for key, part in body.items() if key != name}
    return {**body, name: value}


WRONG_TYPES = [
    pytest.param(door, path, value, id=f"{door.folder}-{path}-{value!r}")
    for door in DOORS.values()
    for field in f"{door.required} {door.optional}".split()
    for path, kind in [field.split(":")]
    for value in WRONG[kind]
]
MISSING = [
    pytest.param(door, path, leave_out, id=f"{door.folder}-{path}-{'missing' if leave_out else 'null'}")
    for door in DOORS.values()
    for path in re.findall(r"(\S+):", door.required)
    for leave_out in (True, False)
]


@pytest.mark.parametrize(("door", "path", "value"), WRONG_TYPES)
def test_a_wrong_type_is_refused_by_name(refusing_world: World, door: Door, path: str, value: Any) -> None:
    check_fault(refusing_world.call(door.folder, replaced(door.body, path, value), door.by), door.code, path)


@pytest.mark.parametrize(("door", "path", "leave_out"), MISSING)
def test_a_missing_field_is_refused_by_name(refusing_world: World, door: Door, path: str, *, leave_out: bool) -> None:
    body = replaced(door.body, path, None, leave_out=leave_out)
    check_fault(refusing_world.call(door.folder, body, door.by), door.code, f"{path}:")


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_of_all_wrong_fields_the_first_of_the_table_is_named(refusing_world: World, door: Door) -> None:
    """Each field in turn is made right, in the table's order; the next one is then the first that is wrong."""
    fields = re.findall(r"(?:^| )([a-z_]+):", f"{door.required} {door.optional}")
    body = {**door.body, **dict.fromkeys(fields, True)}
    for name in fields:
        check_fault(refusing_world.call(door.folder, body, door.by), door.code, f"{name}:")
        body[name] = door.body.get(name)


def spliced(door: Door, text: bytes) -> bytes:
    """The door's body with more text before its last brace."""
    return json_bytes(door.body)[:-1] + b"," + text + b"}"


DIGITS = b"9" * 100_000
NOT_JSON = {
    "empty": b"",
    "space": b" ",
    "null": b"null",
    "list": b"[]",
    "list of objects": b"[{}]",
    "string": b'"{}"',
    "number": b"1",
    "cut": b'{"a":1',
    "two": b"{}{}",
    "comma": b'{"a":1,}',
    "comment": b"{/**/}",
    "single quotes": b"{'a':1}",
    "bare name": b"{a:1}",
    "form": b"a=1&b=2",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": "{}".encode("utf-16"),
    "latin-1": b'{"a":"\xe9"}',
    "overlong": b'{"a":"\xc0\xaf"}',
    "surrogate in utf-8": b'{"a":"\xed\xa0\x80"}',
    "line break in a string": b'{"a":"\n"}',
    "bad escape": b'{"a":"\\x41"}',
    "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}',
    "hex": b'{"a":0x10}',
}
NOT_STRICT = {
    "nan": b'"a":NaN',
    "infinity": b'"a":Infinity',
    "minus infinity": b'"a":-Infinity',
    "same name twice": b'"a":1,"a":1',
    "same name twice below": b'"a":[{"b":1,"b":2}]',
    "same name, escaped": b'"a":1,"\\u0061":1',
    "lone high surrogate": b'"a":"\\ud83d"',
    "lone low surrogate": b'"a":"\\udc00"',
    "lone surrogate in a name": b'"\\ud83d":1',
    "41 digits": b'"a":' + b"9" * 41,
    "41 characters": b'"a":0.' + b"9" * 39,
    "huge exponent": b'"a":1e99999999999999999999',
    "33 levels": b'"a":' + b"[" * 32 + b"]" * 32,
    "unclosed": b'"a":' + b"[" * 5000,
    "unclosed objects": b'"a":' + b'{"a":' * 5000,
    "digits": b'"a":' + b"9" * 60_000,
    "minus digits": b'"a":-' + b"9" * 60_000,
    "fraction": b'"a":0.' + b"9" * 60_000,
}
STRICT_ENOUGH = {
    "40 digits": b'"a":' + b"9" * 40,
    "long digits in a string": b'"a":"' + b"9" * 1000 + b'"',
    "brackets in a string": b'"a":"' + b"[{" * 1000 + b'"',
    "32 levels": b'"a":' + b"[" * 31 + b"]" * 31,
    "surrogate pair": b'"a":"\\ud83d\\ude00"',
    "escaped backslash before u": b'"a":"\\\\ud83d"',
    "small number": b'"a":1e-300',
    "nul": b'"a":"\\u0000"',
    "spaces": b' "a"\t:\r\n1 ',
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_a_json_object_is_refused(refusing_world: World, door: Door, body: bytes) -> None:
    check_fault(refusing_world.call(door.folder, body, door.by), door.code, "body:")


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("text", NOT_STRICT.values(), ids=NOT_STRICT)
def test_what_is_not_strict_is_refused_even_in_fields_that_are_not_known(
    refusing_world: World, door: Door, text: bytes
) -> None:
    check_fault(refusing_world.call(door.folder, spliced(door, text), door.by), door.code, "body:")


@pytest.mark.parametrize("text", STRICT_ENOUGH.values(), ids=STRICT_ENOUGH)
def test_what_is_strict_is_ignored_in_fields_that_are_not_known(world: World, text: bytes) -> None:
    assert world.call("create_club_order", spliced(DOORS["create_club_order"], text), CLUB).code == 0
    assert world.call("create_order", spliced(DOORS["create_order"], text), MERCHANT).code == 0


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("by", ["itself", "nobody"])
def test_65536_bytes_pass_and_65537_are_413_whoever_sends_them(world: World, door: Door, by: str) -> None:
    authorization = door.by if by == "itself" else nobody
    too_large = world.call(door.folder, filled_to(65537, door.body), authorization)
    check_fault(too_large, door.code, "body:", status=413)
    assert world.call(door.folder, filled_to(65536, door.body), authorization).status in (200, 401)
    assert world.call(door.folder, b"\xff" * 65537, authorization).json == too_large.json
    assert world.call(door.folder, DIGITS, authorization).json == too_large.json


def test_an_object_of_32_levels_passes_and_of_33_does_not(refusing_world: World) -> None:
    check_fault(refusing_world.call("create_club_order", nested(32), CLUB), 1001, "bill_no:")
    check_fault(refusing_world.call("create_club_order", nested(33), CLUB), 1001, "body:")


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_hostile_body_is_refused_at_once(refusing_world: World, door: Door) -> None:
    hostile = b"{" * 40 + b'"' + b'\\"' * 30_000
    check_fault(refusing_world.call(door.folder, hostile, door.by), door.code, "body:")
    assert max(float(ms) for ms in re.findall(r'"ms":([0-9.]+)', "".join(refusing_world.log[-2:]))) < 1000
