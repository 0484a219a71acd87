"""Every parser of what comes from outside, against input that was made to break it: 10,000 each with PROVE=1.

Either it gives back what it promises or raises what it promises, and nothing forged ever passes. Tokens and cursors are
mostly made from genuine ones, by the changes that have fooled parsers before.
"""

import base64
import hmac
import json
import string
from collections.abc import Callable
from contextlib import suppress
from copy import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import simplejson
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from settlectl.failures import BadInput
from settlectl.moments import moment_ms
from settlectl.order_files import COLUMNS, FaultyRow, OrderRow, read_rows
from settlectl.tokens import seconds_of
from settlement.club_messages import CreateClubOrderRequest, ListSettlementsRequest, SettleClubOrderRequest
from settlement.console_messages import (
    ActivateRequest,
    ChartRequest,
    RedeliverRequest,
    ReplayRequest,
    SearchRequest,
    SettlementsRequest,
)
from settlement.cursor import ListQuery, Position, decode_cursor, encode_cursor
from settlement.delivery import (
    Delivered,
    GivenUp,
    NoAnswer,
    Refused,
    Response,
    Retry,
    judge,
    retry_wait_ms,
)
from settlement.errors import BadRequest, Unauthenticated
from settlement.fields import validated
from settlement.game_messages import CreateOrderRequest, QueryRequest, SettleUsersRequest
from settlement.ledger import Message, new_notification
from settlement.queue import Release, read_message
from settlement.sender import UrlNotAllowed, check_url
from settlement.signing import derive_app_secret, derive_operator_key, sud_signature
from settlement.strictjson import dump, parse_object
from settlement.sudauth import SudAuth, authenticate_game
from settlement.tokens import authenticate_club, authenticate_operator, mint_operator
from tests.proof import few_or_many

from .fakes import MASTER, NOW_MS, NOW_SECONDS, Apps, app, keyring

INPUTS = few_or_many(300, 10_000)
fuzzed = settings(
    max_examples=INPUTS,
    deadline=None,
    database=None,
    derandomize=True,  # what failed once fails again, for everybody
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)

BASE64URL = string.ascii_letters + string.digits + "-_"
ODD = "\x00\t\n\r \"'\\/+=.,;:%{}[]#\x7f\x85\xa0éßſK中１٣😀\u200b\u202e\ufeff\ud800"


@st.composite
def mutated(draw: st.DrawFn, genuine: str, alphabet: str = BASE64URL + ODD) -> str:
    """A text with one to three changes: something put in, taken out, put elsewhere, doubled, in another case, ..."""
    text = genuine
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 8)))
        part = text[start:end]
        piece = draw(
            st.text(alphabet, max_size=4)
            | st.sampled_from([part * 2, part[::-1], part.swapcase(), "", "=", "==", "%3D", "\r\n", text])
        )
        text = text[:start] + piece + text[end:]
    return text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=6), inside, max_size=3),
    max_leaves=6,
)


def raises_only[T](call: Callable[[], T], *expected: type[Exception]) -> T | None:
    """What a call gives back, None for what it may raise."""
    with suppress(*expected):
        return call()
    return None


# ------------------------------------------------------------------------------------------------------ club tokens

SECRET = derive_app_secret(MASTER, "club-a", 1)
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "club-a.1"}
CLAIMS = {"sub": "club-a", "scope": ["orders:write"], "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3600}
APPS = Apps(app(), app("club-b"), app("club-off", status="disabled"))


def segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: object, claims: object, key: bytes, digest: str = "sha256") -> str:
    signed = f"{segment(json.dumps(header).encode())}.{segment(json.dumps(claims).encode())}"
    return f"{signed}.{segment(hmac.digest(key, signed.encode(), digest))}"


GENUINE = token(HEADER, CLAIMS, SECRET.encode())
HEAD, PAYLOAD, SIGNATURE = GENUINE.split(".")


def club_caller(authorization: str) -> str | None:
    """The app that a token proves."""
    with suppress(Unauthenticated):
        return authenticate_club(authorization, APPS, keyring(), NOW_MS).app.app_id
    return None


def stripped(authorization: str) -> str:
    """A token as it stands in its header: spaces around it and the word Bearer are the header's."""
    text = authorization.strip()
    return text[7:].strip() if text[:7].lower() == "bearer " else text


def test_the_genuine_token_passes_or_the_rest_would_prove_nothing() -> None:
    assert club_caller(GENUINE) == club_caller(f"Bearer {GENUINE}") == "club-a"


@fuzzed
@given(mutated(GENUINE) | mutated(f"Bearer {GENUINE}") | st.text(max_size=80))
def test_no_changed_token_passes(authorization: str) -> None:
    if stripped(authorization) != GENUINE:
        assert club_caller(authorization) is None


@fuzzed
@given(mutated(HEAD), mutated(PAYLOAD), mutated(SIGNATURE), st.sets(st.sampled_from("hps"), min_size=1))
def test_no_token_with_a_changed_part_passes(head: str, payload: str, signature: str, changed: set[str]) -> None:
    parts = (head if "h" in changed else HEAD, payload if "p" in changed else PAYLOAD)
    forged = ".".join([*parts, signature if "s" in changed else SIGNATURE])
    if stripped(forged) != GENUINE:
        assert club_caller(forged) is None


algorithms = st.sampled_from(
    [
        *(
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            "hs256",
            "HS256 ",
            "HS384",
            "HS512",
            "RS256",
            "ES256",
            "PS256",
            "EdDSA",
            "HS1",
        )
    ]
) | st.text(max_size=6)
kids = st.sampled_from(
    [
        *("club-a.1", "club-a.2", "club-a.0", "club-a.01", "club-b.1", "club-off.1", "ops.1", "cursor.1", "club-x.1"),
        *(
            "club-a",
            "club-a.",
            ".1",
            "club-a.1.1",
            "club-a.1\n",
            " club-a.1",
            "club-a.１",
            "club-a\x00.1",
            "../../dev/null",
        ),
        *("club-a.1' OR '1'='1", "club-a.1|club-b.1", "app:club-a:1", "http://127.0.0.1/key", "asc#0.1", "file:///x.1"),
    ]
) | st.text(max_size=12)
wrong_keys = st.sampled_from(
    [
        b"",
        b"\x00",
        b"secret",
        MASTER.encode(),
        SECRET.upper().encode(),
        bytes.fromhex(SECRET),
        derive_app_secret(MASTER, "club-b", 1).encode(),
        derive_app_secret(MASTER, "club-a", 2).encode(),
        derive_app_secret(MASTER, "club-a", 0).encode(),
        derive_operator_key(MASTER, 1).encode(),
        HEAD.encode(),
    ]
) | st.binary(max_size=64)
more_headers = st.dictionaries(
    st.sampled_from(["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "cty", "typ", "enc"]), json_values, max_size=2
)


@fuzzed
@given(algorithms, kids, wrong_keys, more_headers, st.sampled_from(["sha256", "sha384", "sha512", "sha1"]))
def test_no_token_that_another_key_signed_passes(
    algorithm: str, kid: str, key: bytes, more: dict[str, Any], digest: str
) -> None:
    for sub in ("club-a", "club-b", "club-off"):
        forged = token({**HEADER, "alg": algorithm, "kid": kid, **more}, {**CLAIMS, "sub": sub}, key, digest)
        honest = (algorithm, digest) == ("HS256", "sha256") and (kid, sub, key) in {
            (f"{app_id}.1", app_id, derive_app_secret(MASTER, app_id, 1).encode()) for app_id in ("club-a", "club-b")
        }
        if not honest:
            assert club_caller(forged) is None
        assert club_caller(forged.rpartition(".")[0] + ".") is None


@fuzzed
@given(algorithms.filter(lambda algorithm: algorithm != "HS256"), st.sampled_from(["sha256", "sha384", "sha512"]))
def test_even_the_right_key_signs_with_hs256_alone(algorithm: str, digest: str) -> None:
    assert club_caller(token({**HEADER, "alg": algorithm}, CLAIMS, SECRET.encode(), digest)) is None


@fuzzed
@given(st.dictionaries(st.sampled_from(list(CLAIMS)), json_values, min_size=1), kids)
def test_a_holder_of_a_key_is_never_taken_for_another(claims: dict[str, Any], kid: str) -> None:
    """Whatever the own key signs: the caller is the key's app, or nobody."""
    assert club_caller(token({**HEADER, "kid": kid}, {**CLAIMS, **claims}, SECRET.encode())) in (None, "club-a")


# -------------------------------------------------------------------------------------------------- operators' tokens

OPERATORS = mint_operator("ada", keyring(), ["ops"], NOW_SECONDS, 3600)


def operator(authorization: str) -> str | None:
    """The operator that a token proves."""
    with suppress(Unauthenticated):
        return authenticate_operator(authorization, keyring(), NOW_MS).name
    return None


def test_the_genuine_operators_token_passes_or_the_rest_would_prove_nothing() -> None:
    assert operator(OPERATORS) == "ada"


@fuzzed
@given(mutated(OPERATORS) | mutated(f"Bearer {OPERATORS}") | st.text(max_size=80))
def test_no_changed_operators_token_passes(authorization: str) -> None:
    if stripped(authorization) != OPERATORS:
        assert operator(authorization) is None


@fuzzed
@given(algorithms, kids | st.just("ops.1"), wrong_keys, more_headers, st.sampled_from(["sha256", "sha512"]))
def test_no_app_that_signs_is_an_operator(
    algorithm: str, kid: str, key: bytes, more: dict[str, Any], digest: str
) -> None:
    """Not with an app's secret, nor with the master itself; the operators' own key opens under its own kid alone."""
    forged = token({**HEADER, "alg": algorithm, "kid": kid, **more}, {**CLAIMS, "scope": ["ops"]}, key, digest)
    own = key == derive_operator_key(MASTER, 1).encode() and (algorithm, digest, kid) == ("HS256", "sha256", "ops.1")
    if not own:
        assert operator(forged) is None
    assert club_caller(OPERATORS) is None


# --------------------------------------------------------------------------------------------------------- Sud-Auth

BODY = b'{"a":1}'
MERCHANT_SECRET = derive_app_secret(MASTER, "m-1", 1)
MERCHANTS = Apps(app("m-1"), app("m-2"))


def sud_auth(**changes: str) -> SudAuth:
    parts = {"app_id": "m-1", "timestamp": str(NOW_MS), "nonce": "n0nce"}
    return SudAuth(**parts, signature=sud_signature(MERCHANT_SECRET, **parts, body=BODY))._replace(**changes)


def game_caller(authorization: str, body: bytes = BODY) -> str | None:
    with suppress(Unauthenticated):
        return authenticate_game(authorization, body, MERCHANTS, keyring(), NOW_MS).app.app_id
    return None


def meaning(authorization: str) -> dict[str, str] | None:
    """The parts of a header by a reader of our own: spaces between and their order mean nothing."""
    scheme, _, rest = authorization.strip().partition(" ")
    quoted = rest.split('"')
    if scheme.lower() != "sud-auth" or len(quoted) != 9 or quoted[8].strip():
        return None
    names = [text.strip().removeprefix("," if place else "").strip() for place, text in enumerate(quoted[0:8:2])]
    return {name.removesuffix("=").strip(): value for name, value in zip(names, quoted[1::2], strict=True)}


def test_the_genuine_header_passes_or_the_rest_would_prove_nothing() -> None:
    assert game_caller(str(sud_auth())) == "m-1"
    assert meaning(str(sud_auth())) == sud_auth()._asdict()


@fuzzed
@given(mutated(str(sud_auth())) | st.text(max_size=80).map("Sud-Auth ".__add__))
def test_no_changed_header_passes(authorization: str) -> None:
    if game_caller(authorization) is not None:
        assert meaning(authorization) == sud_auth()._asdict()


@fuzzed
@given(st.sampled_from(SudAuth._fields), st.data())
def test_no_header_with_a_changed_part_passes(name: str, data: st.DataObject) -> None:
    value = data.draw(mutated(getattr(sud_auth(), name)))
    if value != getattr(sud_auth(), name):
        assert game_caller(str(sud_auth(**{name: value}))) is None


@fuzzed
@given(st.binary(max_size=40) | st.integers(0, 7).map(lambda n: BODY[:n]) | st.binary(max_size=3).map(BODY.__add__))
def test_no_other_body_passes(body: bytes) -> None:
    assert (game_caller(str(sud_auth()), body) == "m-1") == (body == BODY)


# ---------------------------------------------------------------------------------------------------------- cursors

QUERY = ListQuery("club-a", "openid-1", 5, 1_700_000_000, None)
POSITION = Position(NOW_MS, "bill-1")
KEYS = {1: "k" * 64, 2: "l" * 64}
CURSOR = encode_cursor(POSITION, QUERY, KEYS[1], 1)


@fuzzed
@given(mutated(CURSOR) | st.text(BASE64URL, max_size=130) | st.binary(max_size=90).map(segment) | st.text(max_size=60))
def test_no_changed_cursor_passes(text: str) -> None:
    assert raises_only(lambda: decode_cursor(text, QUERY, KEYS.get), BadRequest) == (
        POSITION if text == CURSOR else None
    )


@fuzzed
@given(
    st.sampled_from(["app_id", "openid", "source", "start_seconds", "end_seconds"]),
    st.text(max_size=12) | st.none() | st.integers(0, 2**40),
    st.sampled_from([*KEYS.values(), ""]),
    st.integers(0, 65535),
)
def test_no_cursor_of_another_query_or_key_passes(name: str, value: Any, key: str, generation: int) -> None:
    other = replace(QUERY, **{name: value})
    forged = encode_cursor(POSITION, other, key, generation)
    genuine = other == QUERY and KEYS.get(generation) == key
    assert raises_only(lambda: decode_cursor(forged, QUERY, KEYS.get), BadRequest) == (POSITION if genuine else None)


# ----------------------------------------------------------------------------------------------------------- bodies

ORDER = {"bill_no": "b-1", "openid": "o-1", "amt": 5, "source": 0, "jf_gid": 0, "detail": "", "account": {"type": 1}}
GAME_ORDER = {
    "out_order_id": "o-1",
    "mg_id": "m",
    "room_id": "r",
    "cmd": "c",
    "from_uid": "f",
    "to_uid": "t",
    "value": 1,
}
RESULT = {"out_order_id": "o-1", "uid": "u", "is_ai": 0, "score": 1, "remain_score": 1}
REPORT = {
    "app_id": "m-1",
    "mg_id": "m",
    "room_id": "r",
    "match_id": "x",
    "settle_at": "1795000000",
    "results": [RESULT],
}
BODIES: list[tuple[Any, dict[str, Any]]] = [
    (CreateClubOrderRequest, ORDER),
    (SettleClubOrderRequest, {"bill_no": "b-1", "openid": "o-1", "settle_amt": 1, "amt_ratio": 5}),
    (ListSettlementsRequest, {"openid": "o-1", "source": -1, "start_time_unix_sec": 1, "page_context": ""}),
    (CreateOrderRequest, {**GAME_ORDER, "payload": {"a": [1]}, "out_group_id": ""}),
    (QueryRequest, {"order_id": "x", "out_order_id": ""}),
    (SettleUsersRequest, REPORT),
    (SearchRequest, {"id": "b-1", "app_id": "club-a"}),
    (SettlementsRequest, {"app_id": "club-a", "openid": "o-1", "source": -1, "end_time_unix_sec": 1, "cursor": ""}),
    (ChartRequest, {"app_id": "club-a", "openid": "o-1", "first_day": "2026-11-01", "last_day": "2026-11-22"}),
    (ReplayRequest, {"app_id": "a", "since_ms": 1, "until_ms": 2, "statuses": ["dead"], "ticket": "x", "expected": 1}),
    (ActivateRequest, {"app_id": "club-a", "overlap_seconds": 60}),
    (RedeliverRequest, {"notify_id": "0" * 64, "again": True}),
]
written = st.sampled_from(BODIES).flatmap(lambda pair: mutated(dump(pair[1]), string.printable + ODD))


@fuzzed
@given(
    written.map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=80)
    | st.text('{}[]",:\\u0123eE.-dD8 \n', max_size=60).map(str.encode)
    | json_values.map(lambda value: json.dumps({"a": value}).encode())
)
def test_a_body_is_an_object_or_a_bad_request(body: bytes) -> None:
    found = raises_only(lambda: parse_object(body), BadRequest)
    if found is not None:
        assert type(found) is dict
        assert parse_object(dump(found).encode()) == found
        assert json.loads(body).keys() == found.keys()  # another parser agrees that it is one, and on its names


@fuzzed
@given(st.sampled_from(BODIES), st.data())
def test_an_object_is_a_request_or_a_bad_request_that_quotes_nothing(
    pair: tuple[Any, dict[str, Any]], data: st.DataObject
) -> None:
    model, fields = pair
    names = st.sampled_from([*fields, "more"])
    values = json_values | st.integers(-(2**70), 2**70) | st.just("UNSEEN")
    changed = {**fields, **data.draw(st.dictionaries(names, values, min_size=1))}
    if "results" in fields and data.draw(st.booleans()):
        changed["results"] = [{**RESULT, **data.draw(st.dictionaries(st.sampled_from(list(RESULT)), values))}]
    parsed = raises_only(lambda: parse_object(json.dumps(changed).encode()), BadRequest)
    if parsed is None:
        return
    detail = ""
    try:
        request = validated(model, parsed)
    except BadRequest as error:
        request, detail = None, error.detail
    if request is None:
        assert detail
        assert "UNSEEN" not in detail
        return
    for name, value in request.model_dump(exclude_none=True).items():
        if type(value) is int:
            assert value == int(parsed[name])  # what is taken is what was said
            assert type(parsed[name]) is int or name == "settle_at"


# ------------------------------------------------------------------------------------------- stream records, messages

IMAGE = {
    "notify_id": {"S": "n-1"},
    "app_id": {"S": "club-a"},
    "notify_event": {"S": "e"},
    "status": {"S": "pending"},
    "attempt_count": {"N": "0"},
}


@fuzzed
@given(
    st.dictionaries(
        st.sampled_from([*IMAGE, "body"]), json_values | st.dictionaries(st.sampled_from("SN"), json_values)
    ),
    st.sampled_from(["INSERT", "MODIFY", "REMOVE", ""]),
    st.sets(st.sampled_from(list(IMAGE)), max_size=2),
    json_values | st.just({}),
)
def test_a_stream_record_is_a_message_nothing_or_one_of_the_promised_errors(
    changes: dict[str, Any], event: str, missing: set[str], instead: Any
) -> None:
    image = {name: value for name, value in {**IMAGE, **changes}.items() if name not in missing}
    for record in ({"eventName": event, "dynamodb": {"NewImage": image}}, {"eventName": event, "dynamodb": instead}):
        found = raises_only(partial(new_notification, record), KeyError, TypeError, ValueError)
        if found is not None:
            assert event == "INSERT"
            assert isinstance(found, Message)


@fuzzed
@example('{"notify_id": "n-1", "attempt": true}')
@example('{"release": "club-a", "pace": true}')
@given(
    mutated('{"notify_id": "n-1", "attempt": 1}', string.printable + ODD)
    | mutated('{"release": "club-a", "pace": 4}', string.printable + ODD)
    | st.text(max_size=60)
    | st.integers(1, 5000).map(lambda depth: "[" * depth + "]" * depth)
    | st.integers(1, 6000).map(lambda digits: f'{{"notify_id": "n", "attempt": {"9" * digits}}}')
    | st.tuples(json_values, json_values, json_values).map(
        lambda v: json.dumps({"notify_id": v[0], "attempt": v[1], "pace": v[2], "release": v[0]})
    )
)
def test_a_message_names_an_attempt_or_a_release_or_is_a_value_error(body: str) -> None:
    match raises_only(lambda: read_message(body), ValueError):
        case None:
            pass
        case Release(app_id, pace):
            assert app_id
            assert type(pace) is int
            assert pace > 0
        case notify_id, attempt:
            assert notify_id
            assert type(attempt) is int
            assert attempt > 0


# ---------------------------------------------------------------------------------------- URLs, answers, Retry-After


@fuzzed
@example("https://merchant.example#", False)
@given(
    mutated("https://merchant.example:8443/settled?a=1", string.printable + ODD)
    | mutated("https://[2001:db8::1]:443/x", string.printable + ODD)
    | st.text("htps:/[]@#?%.127\\ lo0x", max_size=30).map("https://".__add__)
    | st.text(max_size=60),
    st.booleans(),
)
def test_a_url_is_taken_as_it_stands_or_not_allowed(url: str, allow_local: bool) -> None:
    parts = raises_only(lambda: check_url(url, allow_local=allow_local), UrlNotAllowed)
    if parts is not None:
        assert parts.scheme == "https" or (allow_local and parts.scheme == "http")
        assert parts.hostname
        assert (parts.username, parts.password, parts.fragment) == (None, None, "")
        assert url.isascii()
        assert url.isprintable()
        assert not set(url) & set(' "\\<>')
        # No other reading of the text has another host: what stands before the first / after the scheme is the netloc.
        assert url.partition("//")[2].partition("/")[0].partition("?")[0] == parts.netloc


answers = st.builds(
    Response,
    status=st.integers(100, 599),
    retry_after=st.none() | st.text(max_size=70),
    body=mutated('{"ret_code":0,"ret_msg":""}', string.printable + ODD).map(
        lambda t: t.encode("utf-8", "surrogatepass")
    )
    | st.binary(max_size=60)
    | json_values.map(lambda value: json.dumps({"ret_code": value}).encode())
    | st.integers(1, 5000).map(lambda depth: b'{"ret_code":' + b"[" * depth),
    complete=st.booleans(),
)


@fuzzed
@given(answers | st.builds(NoAnswer, st.text(max_size=20)) | st.builds(Refused, st.text(max_size=20)))
def test_an_answer_acknowledges_exactly_when_its_ret_code_is_the_integer_0(
    answer: Response | NoAnswer | Refused,
) -> None:
    judgement = judge(answer)
    attempt = judgement.attempt(NOW_MS, 5)
    assert attempt.ret_code is None or abs(attempt.ret_code) < 2**63
    match judgement.outcome:
        case Delivered():
            assert isinstance(answer, Response)
            assert answer.complete
            assert 200 <= answer.status < 300
            said = simplejson.loads(answer.body)["ret_code"]
            assert type(said) is int
            assert said == 0
        case Retry() as retry:
            wait_ms = retry_wait_ms(1, retry, 0.0, NOW_MS)
            assert wait_ms is not None
            assert 3000 <= wait_ms <= 3_600_000
        case GivenUp():
            assert isinstance(answer, Refused) or (isinstance(answer, Response) and answer.status == 410)


@fuzzed
@given(
    mutated("Wed, 18 Nov 2026 11:06:40 GMT", string.printable + ODD)
    | mutated("Sunday, 06-Nov-94 08:49:37 GMT", string.printable + ODD)
    | mutated("Sun Nov  6 08:49:37 1994", string.printable + ODD)
    | mutated("120", string.printable + ODD)
    | st.text("0123456789:,-+/ GMTUZadecnovjur()", max_size=64)
    | st.text(max_size=70)
)
def test_a_retry_after_waits_from_the_schedules_time_to_an_hour(value: str) -> None:
    wait_ms = retry_wait_ms(1, Retry("http 503", "http_5xx", value), 0.0, NOW_MS)
    assert wait_ms is not None
    assert 3000 <= wait_ms <= 3_600_000


# ----------------------------------------------------------------------------------------- the operator's own inputs

CSV = ",".join(COLUMNS) + "\r\nb-1,o-1,weekend,club-9,5,0,7,2,9\r\nb-2,o-1,,,5,0,7,,\r\n"
JSON_LINES = dump(ORDER) + "\n" + dump({**ORDER, "bill_no": "b-2"}) + "\n"


@pytest.fixture(scope="module")
def order_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "orders"


@fuzzed
@given(
    mutated(CSV, string.printable + ODD).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | mutated(JSON_LINES, string.printable + ODD).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=80)
    | st.binary(max_size=80).map((",".join(COLUMNS) + "\n").encode().__add__)
)
def test_every_row_of_an_order_file_is_an_order_or_told_with_its_line(order_file: Path, content: bytes) -> None:
    order_file.write_bytes(content)
    rows = raises_only(lambda: list(read_rows(order_file)), BadInput) or []
    assert [row.line for row in rows] == sorted(row.line for row in rows)
    for row in rows:
        match row:
            case OrderRow():
                assert validated(CreateClubOrderRequest, parse_object(row.body)).bill_no == row.bill_no
            case FaultyRow():
                assert row.fault


@fuzzed
@given(mutated("30d") | st.text("0123456789smhd -+.e１", max_size=14) | st.text(max_size=10))
def test_a_duration_is_whole_seconds_or_bad_input(text: str) -> None:
    seconds = raises_only(lambda: seconds_of(text), BadInput)
    if seconds is not None:
        assert 0 < seconds < 10**9 * 86400
        assert text.isascii()


@fuzzed
@given(
    mutated("2026-11-22T08:00:00Z", string.printable + ODD)
    | mutated("2026-11-22T08:00:00.123456789+08:00", string.printable + ODD)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9:]{5})")
    | st.text(max_size=20)
)
def test_a_moment_is_milliseconds_or_bad_input(text: str) -> None:
    moment = raises_only(lambda: moment_ms(text, "since", NOW_MS), BadInput)
    if moment is not None:
        assert 0 <= moment < 253_402_300_800_000 + 86_400_000
