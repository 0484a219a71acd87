"""What an answer means, when the next attempt is due, and what each attempt carries."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from settlement import delivery
from settlement.apps import SecretVersion
from settlement.delivery import (
    DOWN,
    ERROR_CLASSES,
    MAX_RETRY_AFTER_SECONDS,
    RETRY_SECONDS,
    Delivered,
    ErrorClass,
    GivenUp,
    NoAnswer,
    Refused,
    Response,
    Retry,
    judge,
    retry_wait_ms,
    signed_request,
)
from settlement.ledger import Attempt, Notification
from settlement.signing import derive_app_secret, sud_signature, webhook_library_secret

from .fakes import MASTER, NOW_MS, app, keyring

OK = b'{"ret_code":0,"ret_msg":""}'
TIMEOUT = Retry("timeout", "timeout")


def answered(body: bytes = OK, status: int = 200, retry_after: str | None = None, *, complete: bool = True) -> Response:
    return Response(status, retry_after, body, complete)


ACKNOWLEDGED = {
    "as asked for": answered(),
    "with more in it": answered(b'{"ret_msg":"ok","data":{"a":[1.5]},"ret_code":0}'),
    "with spaces": answered(b' {"ret_code" : 0 }\r\n'),
    "201": answered(status=201),
    "202": answered(status=202),
    "204 with a body": answered(status=204),
    "299": answered(status=299),
}


@pytest.mark.parametrize("answer", ACKNOWLEDGED.values(), ids=ACKNOWLEDGED.keys())
def test_a_2xx_whose_body_says_ret_code_zero_is_delivered(answer: Response) -> None:
    judgement = judge(answer)
    assert judgement.outcome == Delivered()
    assert (judgement.http_status, judgement.ret_code) == (answer.status, 0)
    assert judgement.attempt(5, 7) == Attempt(5, 7, answer.status, 0, None, None)


NOT_ACKNOWLEDGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "answer is not a JSON object"),
    "spaces": (b"  ", "answer is not a JSON object"),
    "ok": (b"ok", "answer is not a JSON object"),
    "HTML": (b"<html>ret_code: 0</html>", "answer is not a JSON object"),
    "a number": (b"0", "answer is not a JSON object"),
    "a list": (b'[{"ret_code":0}]', "answer is not a JSON object"),
    "truncated": (b'{"ret_code":0,"ret_m', "answer is not a JSON object"),
    "a byte order mark": (b'\xef\xbb\xbf{"ret_code":0}', "answer is not a JSON object"),
    "the name twice": (b'{"ret_code":1,"ret_code":0}', "answer is not a JSON object"),
    "another name twice": (b'{"ret_code":0,"a":1,"a":1}', "answer is not a JSON object"),
    "not UTF-8": (b'{"ret_code":0,"m":"\xff"}', "answer is not a JSON object"),
    "two objects": (OK + OK, "answer is not a JSON object"),
    "JSONP": (b'f({"ret_code":0})', "answer is not a JSON object"),
    "gzip that nobody asked for": (b"\x1f\x8b\x08\x00\x00", "answer is not a JSON object"),
    "no ret_code": (b"{}", "answer has no integer ret_code"),
    "the club's name": (b'{"ret":0}', "answer has no integer ret_code"),
    "ret_code inside": (b'{"data":{"ret_code":0}}', "answer has no integer ret_code"),
    "another case": (b'{"Ret_Code":0}', "answer has no integer ret_code"),
    '"0"': (b'{"ret_code":"0"}', "answer has no integer ret_code"),
    "false": (b'{"ret_code":false}', "answer has no integer ret_code"),
    "null": (b'{"ret_code":null}', "answer has no integer ret_code"),
    "0.0": (b'{"ret_code":0.0}', "answer has no integer ret_code"),
    "0e0": (b'{"ret_code":0e0}', "answer has no integer ret_code"),
    "[]": (b'{"ret_code":[]}', "answer has no integer ret_code"),
    "1": (b'{"ret_code":1}', "ret_code is not 0"),
    "-1": (b'{"ret_code":-1}', "ret_code is not 0"),
    "39 digits": (b'{"ret_code":%s}' % (b"9" * 39), "ret_code is not 0"),
}


@pytest.mark.parametrize(("body", "error"), NOT_ACKNOWLEDGED.values(), ids=NOT_ACKNOWLEDGED.keys())
def test_any_other_body_of_a_200_is_a_failed_attempt(body: bytes, error: str) -> None:
    judgement = judge(answered(body))
    assert judgement.outcome == Retry(error, "not_acknowledged")
    assert judgement.http_status == 200
    assert judgement.attempt(5, 7) == Attempt(5, 7, 200, judgement.ret_code, error, "not_acknowledged")


@pytest.mark.parametrize(
    ("ret_code", "kept"),
    [(1, 1), (-7, -7), (2**63 - 1, 2**63 - 1), (2**63, None), (-(10**38), None), (10**38 - 1, None)],
)
def test_a_ret_code_is_kept_where_the_ledgers_numbers_can_hold_it(ret_code: int, kept: int | None) -> None:
    # A DynamoDB number has 38 digits: a longer one would turn the receiver's fault into ours.
    assert judge(answered(b'{"ret_code":%d}' % ret_code)).ret_code == kept


STATUS_CLASSES: list[tuple[int, ErrorClass]] = [
    *((status, "http_1xx") for status in (100, 101, 199)),
    *((status, "http_3xx") for status in (300, 301, 302, 304, 307, 308, 399)),
    *((status, "http_4xx") for status in (400, 401, 404, 409, 428, 430, 499)),
    (429, "http_429"),
    *(
        (status, "http_5xx") for status in (500, 502, 503, 599, 600, 999)
    ),  # what no RFC knows is no answer of a receiver
]


@pytest.mark.parametrize("body", [OK, b"", b"<html>"])
@pytest.mark.parametrize(("status", "error_class"), STATUS_CLASSES)
def test_any_other_status_is_a_failed_attempt_whatever_the_body_says(
    status: int, error_class: ErrorClass, body: bytes
) -> None:
    judgement = judge(answered(body, status))
    assert judgement.outcome == Retry(f"http {status}", error_class)
    assert (judgement.http_status, judgement.ret_code) == (status, None)
    assert judgement.attempt(5, 7) == Attempt(5, 7, status, None, f"http {status}", error_class)


@pytest.mark.parametrize("answer", [answered(status=410), answered(b"", 410), answered(b"x", 410, "9", complete=False)])
def test_410_ends_the_deliveries(answer: Response) -> None:
    assert judge(answer).outcome == GivenUp("http 410", "http_4xx")
    assert judge(answer).http_status == 410


def test_an_answer_that_is_too_large_is_a_failed_attempt() -> None:
    assert judge(answered(complete=False)).outcome == Retry("answer too large", "not_acknowledged")
    assert judge(answered(status=500, complete=False)).outcome == Retry("http 500", "http_5xx")


@pytest.mark.parametrize(
    ("error", "error_class"),
    [("timeout", "timeout"), ("connection refused", "transport"), ("timeout in TLS", "transport"), ("", "transport")],
)
def test_no_answer_is_a_failed_attempt(error: str, error_class: ErrorClass) -> None:
    assert judge(NoAnswer(error)).outcome == Retry(error, error_class)
    assert judge(NoAnswer(error)).attempt(5, 7) == Attempt(5, 7, None, None, error, error_class)


def test_a_refused_url_ends_the_deliveries() -> None:
    assert judge(Refused("url must be https")).outcome == GivenUp("url must be https", "refused")


@pytest.mark.parametrize("error_class", ERROR_CLASSES)
def test_down_are_no_connection_no_answer_in_time_429_and_5xx(error_class: ErrorClass) -> None:
    assert (error_class in DOWN) == (error_class in {"transport", "timeout", "http_429", "http_5xx"})


def test_the_error_classes_are_one_list_and_the_table_of_outcomes_names_each() -> None:
    assert get_args(ErrorClass.__value__) == ERROR_CLASSES
    table = Path(delivery.__file__).read_text(encoding="utf-8").split('"""')[1]
    named = set(re.findall(r"\w+", table))
    assert named >= {*ERROR_CLASSES} - {"http_1xx"}  # which http.client passes over


@settings(max_examples=300)
@given(
    st.binary(max_size=60) | st.text(alphabet='{"ret_code":01.e-} ', max_size=30).map(str.encode), st.integers(100, 599)
)
def test_no_answer_at_all_raises(body: bytes, status: int) -> None:
    outcome = judge(answered(body, status)).outcome
    assert isinstance(outcome, Delivered | Retry | GivenUp)
    if not isinstance(outcome, Delivered):
        assert outcome.error_class in ERROR_CLASSES
    else:
        assert 200 <= status < 300
        assert b'"ret_code"' in body


# ----------------------------------------------------------------------------------------------------------- the waits


def test_the_schedule_is_the_contracts_and_ends_after_three_point_four_days() -> None:
    hour, half_day = 3600, 12 * 3600
    assert (3, 15, 60, 300, 900, 1800, hour, 3 * hour, 6 * hour, *[half_day] * 6) == RETRY_SECONDS
    assert len(RETRY_SECONDS) == 15
    assert 3.4 <= sum(RETRY_SECONDS) / 86400 < 3.5


@given(st.integers(1, 15), st.floats(0, 1, exclude_max=True))
@example(1, 0.0)
@example(15, 0.9999999999999999)
def test_a_wait_is_the_tables_and_up_to_a_tenth_more_never_less(attempt: int, jitter: float) -> None:
    wait_ms = retry_wait_ms(attempt, TIMEOUT, jitter, NOW_MS)
    assert wait_ms is not None
    planned_ms = RETRY_SECONDS[attempt - 1] * 1000
    assert planned_ms <= wait_ms <= planned_ms * 1.1


@pytest.mark.parametrize("attempt", [16, 17, 1000])
def test_after_the_last_attempt_there_is_none(attempt: int) -> None:
    assert retry_wait_ms(attempt, TIMEOUT, 0.5, NOW_MS) is None
    assert retry_wait_ms(attempt, Retry("http 429", "http_429", "3600"), 0.5, NOW_MS) is None


def moment(seconds: float, zone: timezone = UTC) -> datetime:
    """So many seconds after NOW_MS."""
    return datetime.fromtimestamp(NOW_MS / 1000 + seconds, zone)


def http_date(seconds: float) -> str:
    return format_datetime(moment(seconds), usegmt=True)


EAST, WEST = timezone(timedelta(hours=8)), timezone(timedelta(hours=-7))
RETRY_AFTER: list[tuple[str, int]] = [
    *[("120", 120), ("0", 0), ("007", 7), ("3600", 3600), ("3601", 3600), ("999999999", 3600), ("9" * 64, 3600)],
    *[(text, 0) for text in ("9" * 65, "9" * 5000, "-5", "+5", "1.5", "", " ", "abc", "١٢٠", "１２", "1e3", "0x10")],
    *[(http_date(seconds), seconds) for seconds in (1, 99, 3600)],
    *[(http_date(seconds), 3600) for seconds in (3601, 86_400, 10**9)],
    *[(http_date(seconds), 0) for seconds in (0, -1, -86_400)],
    ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    (moment(99).strftime("%A, %d-%b-%y %H:%M:%S GMT"), 99),  # RFC 850's form, which recipients must take
    (moment(99).strftime("%a %b %d %H:%M:%S %Y"), 99),  # asctime's, which names no zone
    (format_datetime(moment(99, EAST)), 99),
    (format_datetime(moment(99, WEST)), 99),
    (moment(99).strftime("%a, %d %b %Y %H:%M:%S -0000"), 99),
    *[(text, 0) for text in ("Wed, 99 Foo 2026 25:61:61 GMT", "Wed, 18 Nov 2026 11:06:40 +9999", "Wed,", ",,,,")],
    (http_date(99) + " " * 64, 0),
]


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER)
@pytest.mark.parametrize("status", [429, 503, 500, 301])
def test_retry_after_is_honoured_up_to_an_hour(status: int, header: str, seconds: int) -> None:
    outcome = judge(answered(b"", status, header)).outcome
    assert isinstance(outcome, Retry)
    assert retry_wait_ms(1, outcome, 0.0, NOW_MS) == max(3, seconds) * 1000


def test_a_date_is_waited_for_to_its_end_and_never_undercut_by_part_of_a_second() -> None:
    outcome = Retry("http 503", "http_5xx", http_date(10))
    assert retry_wait_ms(1, outcome, 0.0, NOW_MS + 1) == 10_000
    assert retry_wait_ms(1, outcome, 0.0, NOW_MS + 999) == 10_000
    assert retry_wait_ms(1, outcome, 0.0, NOW_MS + 1000) == 9000


HEADERS = (
    st.text(max_size=70)
    | st.integers(-10, 10**30).map(str)
    | st.from_regex(
        r"\A[A-Z][a-z]{2}, [0-9]{1,2} (Jan|Feb|Nov|x) [0-9]{1,5} [0-9]{1,3}:[0-9]{2}(:[0-9]{2})? ?[-+A-Z0-9]*\Z"
    )
    | st.text(alphabet="0123456789:,-+/ GMTUZadecnovjur()", max_size=64)
)


@settings(max_examples=500)
@given(HEADERS, st.integers(1, 15), st.floats(0, 1, exclude_max=True))
@example("Fri, 31 Dec 9999 23:59:59 -2359", 1, 0.0)
@example("Sat, 1 Jan 0001 00:00:00 +2359", 1, 0.0)
def test_retry_after_never_makes_a_wait_shorter_nor_longer_than_an_hour(
    header: str, attempt: int, jitter: float
) -> None:
    outcome = judge(answered(b"", 429, header)).outcome
    assert isinstance(outcome, Retry)
    wait_ms = retry_wait_ms(attempt, outcome, jitter, NOW_MS)
    assert wait_ms is not None
    longest = max(RETRY_SECONDS[attempt - 1], MAX_RETRY_AFTER_SECONDS)
    assert RETRY_SECONDS[attempt - 1] * 1000 <= wait_ms <= longest * 1100


# ---------------------------------------------------------------------------------------------------------- the request

NOTIFICATION = Notification("ab" * 32, "m-1", "sud.mg.merchant.user.settle", NOW_MS - 5000, r'{"a":"\u4e2d\/"}')
URL = "https://receiver.example/settled"


def secret(version: int) -> str:
    return derive_app_secret(MASTER, "m-1", version)


def test_a_request_carries_the_stored_bytes_under_both_kinds_of_signature() -> None:
    request = signed_request(NOTIFICATION, app("m-1"), keyring(), URL, NOW_MS, "nonce-1")
    assert request.url == URL
    assert request.body == NOTIFICATION.body.encode()
    signature = sud_signature(secret(1), "m-1", str(NOW_MS), "nonce-1", request.body)
    assert request.headers.items() >= {
        ("Content-Type", "application/json;charset=utf-8"),
        ("Sud-AppId", "m-1"),
        ("Sud-Timestamp", str(NOW_MS)),
        ("Sud-Nonce", "nonce-1"),
        ("Sud-Signature", signature),
        ("webhook-id", NOTIFICATION.notify_id),
        ("webhook-timestamp", str(NOW_MS // 1000)),
    }
    assert {"accept-encoding", "transfer-encoding"}.isdisjoint(map(str.lower, request.headers))


def test_another_attempt_differs_in_time_nonce_and_signatures_alone() -> None:
    one = signed_request(NOTIFICATION, app("m-1"), keyring(), URL, NOW_MS, "nonce-1")
    other = signed_request(NOTIFICATION, app("m-1"), keyring(), URL, NOW_MS + 3000, "nonce-2")
    assert one.body == other.body
    changed = {name for name in one.headers if one.headers[name] != other.headers[name]}
    assert changed == {"Sud-Timestamp", "Sud-Nonce", "Sud-Signature", "webhook-timestamp", "webhook-signature"}


@pytest.mark.parametrize(
    ("versions", "signing", "sud", "webhook"),
    [
        ([(1, None)], 1, 1, [1]),
        ([(1, None), (2, None)], 1, 1, [2, 1]),  # rotated: both accepted, the old one still signs
        ([(1, None), (2, None)], 2, 2, [2, 1]),  # activated
        ([(1, NOW_MS + 1), (2, None)], 2, 2, [2, 1]),  # the overlap's last millisecond
        ([(1, NOW_MS), (2, None)], 2, 2, [2]),  # retired
        ([(1, NOW_MS), (2, None)], 1, 2, [2]),  # retired before the other was activated: the newest signs
    ],
)
def test_a_rotation_is_signed_in_steps_that_cut_nobody_off(
    versions: list[tuple[int, int | None]], signing: int, sud: int, webhook: list[int]
) -> None:
    rotating = app(
        "m-1", secret_versions=tuple(SecretVersion(n, 1, until) for n, until in versions), signing_version=signing
    )
    headers = signed_request(NOTIFICATION, rotating, keyring(), URL, NOW_MS, "n").headers
    body = NOTIFICATION.body.encode()
    assert headers["Sud-Signature"] == sud_signature(secret(sud), "m-1", str(NOW_MS), "n", body)
    assert len(headers["webhook-signature"].split(" ")) == len(webhook)
    for version in (1, 2):
        library = Webhook(webhook_library_secret(secret(version)))
        theirs = library.sign(NOTIFICATION.notify_id, datetime.fromtimestamp(NOW_MS // 1000, UTC), NOTIFICATION.body)
        assert (theirs in headers["webhook-signature"].split(" ")) == (version in webhook)
