"""Receivers that misbehave, each alone, over real sockets: what is said of them, in how much time and memory.

Each row: the receiver, then the status, the error and its class as the ledger gets them. A timeout comes at the
attempt's deadline, everything else before it.
"""

import gzip
import json
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settlement.delivery import NoAnswer, Refused, Request, Response, Retry, judge
from settlement.sender import Sender

from .certificates import EXPIRED, NAME, Authority
from .receivers import Receiver, Script, dripping, endless, over_tls, read_request, receiver, saying, silent

DEADLINE_SECONDS = 0.4
"""In place of 5 s, where the deadline is what ends the attempt."""
SLACK_SECONDS = 1.0
MIB = 1024 * 1024
BODY = b'{"notify_id":"x"}'
OK = b'{"ret_code":0}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

type Row = tuple[Script, int | None, str, str]

CUT = (None, "answer cut off or not HTTP", "transport")
LATE = (None, "timeout", "timeout")
FLOOD = (None, "answer too large", "transport")
TLS = (None, "tls failed", "transport")
CERTIFICATE = (None, "certificate not valid", "transport")
NO_OBJECT = (200, "answer is not a JSON object", "not_acknowledged")
NO_CODE = (200, "answer has no integer ret_code", "not_acknowledged")
LARGE = (200, "answer too large", "not_acknowledged")


def answering(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> Script:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return saying(b"\r\n".join(lines) + b"\r\n\r\n" + body)


def redirecting(status: bytes) -> Script:
    return answering(b"", b"Location: http://169.254.169.254/latest/meta-data/", status=status)


def with_header(header: bytes) -> Script:
    return saying(HEAD + header + b"\r\n\r\n" + OK)


def resetting(_: Receiver, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def reset_after_the_request(there: Receiver, connection: socket.socket) -> None:
    read_request(there, connection)
    resetting(there, connection)


def closing_at_once(_: Receiver, connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def half_closing(there: Receiver, connection: socket.socket) -> None:
    """Says nothing more, and goes on listening."""
    read_request(there, connection)
    connection.shutdown(socket.SHUT_WR)
    there.stopping.wait(10)


def holding(answer: bytes) -> Script:
    """Says this, and never closes."""

    def script(there: Receiver, connection: socket.socket) -> None:
        read_request(there, connection)
        connection.sendall(answer)
        there.stopping.wait(10)

    return script


BOMB = gzip.compress(b"\x00" * 10 * MIB)
BYTE = 0.03  # seconds between two bytes

ROWS: dict[str, Row] = {
    # no answer
    "resets the connection": (resetting, *CUT),
    "resets it after the request": (reset_after_the_request, *CUT),
    "closes at once": (closing_at_once, *CUT),
    "reads, and closes": (saying(b""), *CUT),
    "reads, and half-closes": (half_closing, *CUT),
    "accepts, and never answers": (silent, *LATE),
    # no HTTP
    "another protocol": (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), *CUT),
    "a first line cut off": (saying(b"HTTP/1.1"), *CUT),
    "a status of no number": (saying(b"HTTP/1.1 abc OK\r\n\r\n"), *CUT),
    "HTTP/2": (saying(b"HTTP/2 200 OK\r\n\r\n" + OK), *CUT),
    "a header line of 70 kB": (saying(HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n"), *CUT),
    "300 headers": (saying(HEAD + b"X: y\r\n" * 300 + b"\r\n"), *CUT),
    "a switch of protocols that nobody asked for": (saying(b"HTTP/1.1 101 Switching\r\n\r\nxyz"), *CUT),
    # slow
    "a head, one byte at a time": (dripping(HEAD + b"X: " + b"x" * 500, BYTE), *LATE),
    "header lines, slowly": (dripping(HEAD + b"X: y\r\n" * 90, BYTE), *LATE),
    "a body, one byte at a time": (dripping(HEAD + b"Content-Length: 500\r\n\r\n" + b"x" * 500, BYTE), *LATE),
    "chunks, one byte at a time": (dripping(CHUNKED + b"1\r\nx\r\n" * 90, BYTE), *LATE),
    "a chunk's size, one byte at a time": (dripping(CHUNKED + b"0" * 500, BYTE), *LATE),
    "100 Continue, one byte at a time": (dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 90, BYTE), *LATE),
    "a body of no length, never closed": (holding(HEAD + b"\r\n" + OK), *LATE),
    "a body shorter than its length, never closed": (holding(HEAD + b"Content-Length: 15\r\n\r\n" + OK), *LATE),
    "chunks without the last one, never closed": (holding(CHUNKED + b"e\r\n" + OK + b"\r\n"), *LATE),
    # cut off
    "a body cut off": (saying(HEAD + b"Content-Length: 15\r\n\r\n" + OK), *CUT),
    "a head without its body": (saying(HEAD + b"Content-Length: 14\r\n\r\n"), *CUT),
    "a chunk cut off": (saying(CHUNKED + b"e\r\n" + OK[:-1]), *CUT),
    "chunks without the last one": (saying(CHUNKED + b"e\r\n" + OK + b"\r\n"), *CUT),
    "a head cut off, which http.client takes for its end": (saying(HEAD + b"Content-Le"), *NO_OBJECT),
    # contradictory
    "a negative Content-Length": (with_header(b"Content-Length: -1"), *CUT),
    "a signed Content-Length": (with_header(b"Content-Length: +14"), *CUT),
    "a Content-Length with an underscore": (with_header(b"Content-Length: 1_4"), *CUT),
    "a Content-Length of no number": (with_header(b"Content-Length: x"), *CUT),
    "a list of Content-Lengths": (with_header(b"Content-Length: 14, 15"), *CUT),
    "two Content-Lengths": (with_header(b"Content-Length: 14\r\nContent-Length: 15"), *CUT),
    "a Content-Length of 5000 digits": (with_header(b"Content-Length: " + b"9" * 5000), *CUT),
    "a huge Content-Length": (with_header(b"Content-Length: 99999999999999999999"), *CUT),
    "a chunk of no size": (saying(CHUNKED + b"xyz\r\n"), *CUT),
    "a chunk of negative size": (saying(CHUNKED + b"-5\r\n" + OK), *CUT),
    "an unknown Transfer-Encoding": (
        saying(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\ne\r\n" + OK + b"\r\n0\r\n\r\n"),
        *NO_OBJECT,
    ),
    "a length, and chunks that hold no acknowledgement": (
        saying(HEAD + b"Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        *NO_CODE,
    ),
    # other statuses
    "500": (answering(OK, status=b"500 Internal Server Error"), 500, "http 500", "http_5xx"),
    "404": (answering(OK, status=b"404 Not Found"), 404, "http 404", "http_4xx"),
    "429 and Retry-After": (
        answering(OK, b"Retry-After: 7", status=b"429 Too Many Requests"),
        429,
        "http 429",
        "http_429",
    ),
    "301": (redirecting(b"301 Moved Permanently"), 301, "http 301", "http_3xx"),
    "302": (redirecting(b"302 Found"), 302, "http 302", "http_3xx"),
    "303": (redirecting(b"303 See Other"), 303, "http 303", "http_3xx"),
    "307": (redirecting(b"307 Temporary Redirect"), 307, "http 307", "http_3xx"),
    "308": (redirecting(b"308 Permanent Redirect"), 308, "http 308", "http_3xx"),
    # 200, and no acknowledgement
    "an empty body": (answering(b""), *NO_OBJECT),
    "HTML": (answering(b"<html>Sign in</html>"), *NO_OBJECT),
    "a string": (answering(b'"0"'), *NO_OBJECT),
    "truncated JSON": (answering(OK[:-1]), *NO_OBJECT),
    "a byte order mark": (answering(b"\xef\xbb\xbf" + OK), *NO_OBJECT),
    "duplicate keys": (answering(b'{"ret_code":1,"ret_code":0}'), *NO_OBJECT),
    "not UTF-8": (answering(b'{"ret_code":0,"a":"\xff"}'), *NO_OBJECT),
    "gzip": (answering(gzip.compress(OK), b"Content-Encoding: gzip"), *NO_OBJECT),
    'ret_code "0"': (answering(b'{"ret_code":"0"}'), *NO_CODE),
    "ret_code 1": (answering(b'{"ret_code":1}'), 200, "ret_code is not 0", "not_acknowledged"),
}

FLOODS: dict[str, Row] = {
    "a gzip bomb": (answering(BOMB, b"Content-Encoding: gzip"), *NO_OBJECT),
    "a body without end": (endless(HEAD + b"\r\n", b"x" * 65536), *LARGE),
    "a length beyond measure": (endless(HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536), *LARGE),
    "chunks without end": (endless(CHUNKED, b"2000\r\n" + b"x" * 8192 + b"\r\n"), *LARGE),
    "a chunk of all sizes": (endless(CHUNKED + b"f" * 60_000 + b"\r\n", b"x" * 65536), *LARGE),
    "a chunk to the end of all": (endless(CHUNKED + b"-1\r\n", b"x" * 65536), *FLOOD),
    "chunks with extensions of 60 kB": (endless(CHUNKED, b"1;" + b"x" * 60_000 + b"\r\nx\r\n"), *FLOOD),
    "a chunk's extension without end": (endless(CHUNKED + b"1;", b"x" * 65536), *CUT),
    "trailers without end": (endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000), *FLOOD),
    "a first line without end": (endless(b"HTTP/1.1 200 ", b"x" * 65536), *CUT),
    "a header line without end": (endless(HEAD + b"X: ", b"x" * 65536), *CUT),
    "header lines of 60 kB": (endless(HEAD, b"X: " + b"x" * 60_000 + b"\r\n"), *FLOOD),
    "header lines without end": (endless(HEAD, b"X: y\r\n" * 10_000), *CUT),
    "100 Continue without end": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), *FLOOD),
    "100 Continue with headers of 60 kB": (
        endless(b"", b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 60_000 + b"\r\n\r\n"),
        *FLOOD,
    ),
    "103 Early Hints without end": (
        endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000),
        103,
        "http 103",
        "http_1xx",
    ),
}


def attempt(url: str, deadline_seconds: float, sender: Sender | None = None, body: bytes = BODY) -> Any:
    """What came of one attempt, and its wall time."""
    started = time.monotonic()
    answer = (sender or Sender(allow_local=True)).send(Request(url, {}, body))
    assert time.monotonic() - started < deadline_seconds + SLACK_SECONDS
    return answer


def told(answer: Response | NoAnswer | Refused) -> tuple[int | None, str, str]:
    judgement = judge(answer)
    assert isinstance(judgement.outcome, Retry)
    return judgement.http_status, judgement.outcome.error, judgement.outcome.error_class


def deadline_of(expected: tuple[int | None, str, str], monkeypatch: pytest.MonkeyPatch) -> float:
    seconds = DEADLINE_SECONDS if expected == LATE else 3.0
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", seconds)
    return seconds


@pytest.mark.parametrize(("script", "status", "error", "error_class"), (ROWS | FLOODS).values(), ids=(ROWS | FLOODS))
def test_each_is_told_as_documented_in_time_and_costs_no_memory(
    script: Script, status: int | None, error: str, error_class: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadline_seconds = deadline_of((status, error, error_class), monkeypatch)
    with receiver(script) as there:
        tracemalloc.start()
        try:
            answer = attempt(there.url(), deadline_seconds)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert told(answer) == (status, error, error_class)
        assert peak < 2 * MIB
        assert there.connections == 1


GROWTH = """
import json, sys
from settlement import sender
from settlement.delivery import Request, judge

def memory_kib(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

sender.ATTEMPT_SECONDS = 3.0
send = sender.Sender(allow_local=True).send
for url in sys.stdin.read().split():
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")  # sets it back to what is in use now
    before = memory_kib("VmRSS")
    judgement = judge(send(Request(url, {}, b"{}")))
    print(json.dumps([judgement.error, (memory_kib("VmHWM") - before) * 1024]))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("script", "error"), [(row[0], row[2]) for row in FLOODS.values()], ids=FLOODS)
def test_a_flood_grows_the_process_by_less_than_10_mib(script: Script, error: str) -> None:
    with receiver(answering(OK)) as good, receiver(script) as bad:
        urls = f"{good.url()} {bad.url()} {bad.url()}"  # the first one loads what the first one loads
        command = [sys.executable, "-c", GROWTH]
        child = subprocess.run(command, input=urls, capture_output=True, text=True, timeout=30, check=True)
    _, *floods = [json.loads(line) for line in child.stdout.splitlines()]
    assert [said for said, _ in floods] == [error, error]
    assert sum(growth for _, growth in floods) < 10 * MIB


def test_429_hands_on_what_the_receiver_asked_for() -> None:
    with receiver(ROWS["429 and Retry-After"][0]) as there:
        outcome = judge(attempt(there.url(), 5)).outcome
    assert isinstance(outcome, Retry)
    assert outcome.retry_after == "7"


def test_a_closed_port_refuses_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert told(attempt(f"http://127.0.0.1:{port}/", 5)) == (None, "connection refused", "transport")


def test_a_port_that_takes_no_more_connections_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.sender.CONNECT_SECONDS", DEADLINE_SECONDS)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(address)
            assert told(attempt(f"http://127.0.0.1:{address[1]}/", DEADLINE_SECONDS)) == LATE
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("found", [socket.gaierror(socket.EAI_NONAME, "unknown"), None])
def test_a_name_that_nobody_has_is_not_found(found: Exception | None) -> None:
    def resolve(*_: object) -> list[str]:
        if found:
            raise found
        return []

    sender = Sender(allow_local=False, resolve=resolve)
    assert told(attempt("https://nobody.example/", 5, sender)) == (None, "name not found", "transport")


# --------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one whose certificates this process trusts."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    return made


def somebody_else(authority: Authority) -> Script:
    folder = authority.certificate.parent / "somebody else"
    folder.mkdir()
    return over_tls(Authority(folder).server(), answering(OK))


def after_hello(said: bytes) -> Script:
    def script(there: Receiver, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)
        there.stopping.wait(0.1)

    return script


def drip_a_handshake(there: Receiver, connection: socket.socket) -> None:
    connection.recv(65536)
    for byte in b"\x16\x03\x03\x3f\xff" + bytes(500):
        connection.sendall(bytes([byte]))
        if there.stopping.wait(BYTE):
            return


def close_in_the_handshake(_: Receiver, connection: socket.socket) -> None:
    connection.recv(65536)


TLS_ROWS: dict[str, tuple[Callable[[Authority], Script], int | None, str, str]] = {
    "an expired certificate": (lambda a: over_tls(a.server(valid=EXPIRED), answering(OK)), *CERTIFICATE),
    "another's certificate": (lambda a: over_tls(a.server("other.example"), answering(OK)), *CERTIFICATE),
    "a certificate of nobody known": (somebody_else, *CERTIFICATE),
    "plain HTTP": (lambda _: after_hello(b"HTTP/1.1 400 Bad Request\r\n\r\n"), *TLS),
    "garbage": (lambda _: after_hello(bytes(range(256)) * 64), *TLS),
    "an alert": (lambda _: after_hello(b"\x15\x03\x03\x00\x02\x02\x28"), *TLS),
    "a close in the handshake": (lambda _: close_in_the_handshake, *TLS),
    "a reset in the handshake": (lambda _: resetting, *CUT),
    "nothing in the handshake": (lambda _: silent, *LATE),
    "a handshake, one byte at a time": (lambda _: drip_a_handshake, *LATE),
    "nothing after the handshake": (lambda a: over_tls(a.server(), silent), *LATE),
    "a body, one byte at a time": (
        lambda a: over_tls(a.server(), dripping(HEAD + b"Content-Length: 500\r\n\r\n" + b"x" * 500, BYTE)),
        *LATE,
    ),
    "a body without end": (lambda a: over_tls(a.server(), endless(HEAD + b"\r\n", b"x" * 65536)), *LARGE),
    "header lines of 60 kB": (
        lambda a: over_tls(a.server(), endless(HEAD, b"X: " + b"x" * 60_000 + b"\r\n")),
        *FLOOD,
    ),
    "a body cut off": (
        lambda a: over_tls(a.server(), saying(HEAD + b"Content-Length: 15\r\n\r\n" + OK)),
        *CUT,
    ),
}


@pytest.mark.parametrize(("script", "status", "error", "error_class"), TLS_ROWS.values(), ids=TLS_ROWS)
def test_tls_that_fails_is_told_as_documented_in_time(
    script: Callable[[Authority], Script],
    status: int | None,
    error: str,
    error_class: str,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deadline_seconds = deadline_of((status, error, error_class), monkeypatch)
    sender = Sender(allow_local=True, resolve=lambda *_: ["127.0.0.1"])
    with receiver(script(authority)) as there:
        tracemalloc.start()
        try:
            answer = attempt(there.url(NAME, "https"), deadline_seconds, sender)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert told(answer) == (status, error, error_class)
        assert peak < 2 * MIB
        if (status, error) == CERTIFICATE[:2]:
            assert there.request == b""


@pytest.mark.parametrize("host", [NAME, NAME + ".", NAME.upper()])
def test_a_certificate_of_the_urls_name_is_what_is_asked_for(authority: Authority, host: str) -> None:
    sender = Sender(allow_local=True, resolve=lambda *_: ["127.0.0.1"])
    with receiver(over_tls(authority.server(), answering(OK))) as there:
        assert attempt(there.url(host, "https"), 5, sender) == Response(200, None, OK, complete=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_receiver_that_reads_slowly_has_no_longer_than_any_other(
    scheme: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)

    def read_slowly(there: Receiver, connection: socket.socket) -> None:
        while not there.stopping.wait(BYTE):
            connection.recv(65536)

    script = over_tls(authority.server(), read_slowly) if scheme == "https" else read_slowly
    sender = Sender(allow_local=True, resolve=lambda *_: ["127.0.0.1"])
    with receiver(script) as there:
        answer = attempt(there.url(NAME, scheme), DEADLINE_SECONDS, sender, b"x" * 24 * MIB)
        assert told(answer) == LATE
