"""One attempt, over real sockets: what comes back, and that it ends within its deadline whatever the receiver does."""

import gzip
import socket
import time
import tracemalloc
from threading import Event

import pytest

from settlement.delivery import ATTEMPT_SECONDS, CONNECT_SECONDS, MAX_ANSWER_BYTES, NoAnswer, Request, Response
from settlement.sender import Sender

from .receivers import Receiver, dripping, endless, read_request, receiver, saying, silent

HEADERS = {"Content-Type": "application/json;charset=utf-8", "Sud-AppId": "m-1"}
BODY = rb'{"a":"\u4e2d\/"}'
OK = b'{"ret_code":0}'
DEADLINE_SECONDS = 0.4
"""In place of 5 s, so that the tests of the deadline are quick."""


def answer_text(body: bytes = OK, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def send(url: str, sender: Sender | None = None) -> object:
    return (sender or Sender(allow_local=True)).send(Request(url, HEADERS, BODY))


def test_the_limits_are_the_contracts() -> None:
    assert (ATTEMPT_SECONDS, CONNECT_SECONDS, MAX_ANSWER_BYTES) == (5.0, 3.0, 16384)


def test_what_was_signed_is_what_is_sent() -> None:
    with receiver(saying(answer_text())) as there:
        assert send(there.url(path="/a/b?c=d&e=%2F")) == Response(200, None, OK, complete=True)
        head, _, body = there.request.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0] == "POST /a/b?c=d&e=%2F HTTP/1.1"
        names = [line.partition(":")[0].lower() for line in lines[1:]]
        assert len(names) == len(set(names))
        assert f"Host: 127.0.0.1:{there.port}" in lines
        assert f"Content-Length: {len(BODY)}" in lines
        assert "Sud-AppId: m-1" in lines
        assert "Connection: close" in lines
        assert body == BODY
        assert there.connections == 1


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


LARGE = b"x" * MAX_ANSWER_BYTES
BOMB = gzip.compress(b"\x00" * 5_000_000)
REDIRECT = "Location: http://169.254.169.254/latest/meta-data/"
ANSWERS: dict[str, tuple[bytes, object]] = {
    "with a length": (answer_text(), Response(200, None, OK, complete=True)),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\n" + OK, Response(200, None, OK, complete=True)),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + OK, Response(200, None, OK, complete=True)),
    "in chunks": (chunked(OK), Response(200, None, OK, complete=True)),
    "after a 100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer_text(), Response(200, None, OK, complete=True)),
    "nothing in it": (answer_text(b"", "204 No Content"), Response(204, None, b"", complete=True)),
    "a redirect, not followed": (answer_text(b"", "302 Found", REDIRECT), Response(302, None, b"", complete=True)),
    "a redirect that keeps the method": (
        answer_text(b"", "307 Temporary Redirect", REDIRECT),
        Response(307, None, b"", complete=True),
    ),
    "with Retry-After": (
        answer_text(b"", "429 Too Many Requests", "Retry-After: 7"),
        Response(429, "7", b"", complete=True),
    ),
    "as large as may be": (answer_text(LARGE), Response(200, None, LARGE, complete=True)),
    "one byte larger": (answer_text(LARGE + b"x"), Response(200, None, LARGE, complete=False)),
    "one byte larger, in chunks": (chunked(LARGE + b"x"), Response(200, None, LARGE, complete=False)),
    "one byte larger, until the end": (
        b"HTTP/1.1 200 OK\r\n\r\n" + LARGE + b"x",
        Response(200, None, LARGE, complete=False),
    ),
    "a gzip bomb, not unpacked": (
        answer_text(BOMB, "200 OK", "Content-Encoding: gzip"),
        Response(200, None, BOMB, complete=True),
    ),
    "cut off": (answer_text()[:-1], NoAnswer("answer cut off or not HTTP")),
    "cut off before its body": (answer_text()[: -len(OK)], NoAnswer("answer cut off or not HTTP")),
    "cut off in its head, which http.client takes for its end": (
        b"HTTP/1.1 200 OK\r\nContent-Le",
        Response(200, None, b"", complete=True),
    ),
    "cut off in its first line": (b"HTTP/1.1", NoAnswer("answer cut off or not HTTP")),
    "cut off in a chunk": (chunked(OK)[:-9], NoAnswer("answer cut off or not HTTP")),
    "without a last chunk": (chunked(OK)[:-5], NoAnswer("answer cut off or not HTTP")),
    "nothing at all": (b"", NoAnswer("answer cut off or not HTTP")),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", NoAnswer("answer cut off or not HTTP")),
    "a status of no number": (b"HTTP/1.1 abc OK\r\n\r\n", NoAnswer("answer cut off or not HTTP")),
    "a chunk of no length": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        NoAnswer("answer cut off or not HTTP"),
    ),
    "a header line of 70 kB": (
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        NoAnswer("answer cut off or not HTTP"),
    ),
    "300 headers": (
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n",
        NoAnswer("answer cut off or not HTTP"),
    ),
}


@pytest.mark.parametrize(("text", "answer"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_comes_back_is_told_as_it_is(text: bytes, answer: object) -> None:
    assert len(BOMB) < MAX_ANSWER_BYTES
    with receiver(saying(text)) as there:
        assert send(there.url()) == answer
        assert there.connections == 1


def reset(there: Receiver, connection: socket.socket) -> None:
    read_request(there, connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def test_a_reset_connection_is_a_cut_off_answer() -> None:
    with receiver(reset) as there:
        assert send(there.url()) == NoAnswer("answer cut off or not HTTP")


def test_a_closed_port_refuses_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/") == NoAnswer("connection refused")


def test_a_name_that_nobody_has_is_not_found() -> None:
    def resolve(*_: object) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    assert send("https://nobody.example/", Sender(allow_local=False, resolve=resolve)) == NoAnswer("name not found")
    empty = Sender(allow_local=False, resolve=lambda *_: [])
    assert send("https://nobody.example/", empty) == NoAnswer("name not found")


def test_a_receiver_that_speaks_no_tls_fails_the_attempt() -> None:
    def plain(_: Receiver, connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with receiver(plain) as there:
        assert send(there.url(scheme="https")) == NoAnswer("tls failed")


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "says nothing": silent,
    "one byte at a time": dripping(answer_text(b"x" * 500), 0.03),
    "its head one byte at a time": dripping(HEAD + b"X: " + b"x" * 500, 0.03),
    "100 Continue without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "header lines, slowly and without end": dripping(HEAD + b"X: y\r\n" * 90, 0.02),
    "chunks of one byte, slowly": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90, 0.02),
}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_an_attempt_ends_at_its_deadline_however_the_receiver_drags(
    script: object, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)
    script = silent if scheme == "https" else script  # a handshake that never goes on
    with receiver(script) as there:  # type: ignore[arg-type]
        started = time.monotonic()
        assert send(there.url(scheme=scheme)) == NoAnswer("timeout")
        assert DEADLINE_SECONDS - 0.05 <= time.monotonic() - started < DEADLINE_SECONDS + 1


ENDLESS = {
    "a body without end": endless(HEAD + b"\r\n", b"x" * 65536),
    "chunks without end": endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"2000\r\n" + b"x" * 8192 + b"\r\n"),
    "a length beyond measure": endless(HEAD + b"Content-Length: 99999999999\r\n\r\n", b"x" * 65536),
}


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_body_without_end_is_cut_after_16_kib_and_costs_no_memory(script: object) -> None:
    with receiver(script) as there:  # type: ignore[arg-type]
        tracemalloc.start()
        try:
            answer = send(there.url())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer == Response(200, None, LARGE, complete=False)
        assert peak < 2 * 1024 * 1024


def test_a_resolver_that_hangs_costs_the_attempt_its_deadline_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)
    release = Event()

    def hang(*_: object) -> list[str]:
        release.wait(10)
        return ["127.0.0.1"]

    sender = Sender(allow_local=True, resolve=hang)
    try:
        started = time.monotonic()
        assert send("http://slow.example/", sender) == NoAnswer("timeout")
        assert time.monotonic() - started < DEADLINE_SECONDS + 1
    finally:
        release.set()
        sender._resolvers.shutdown()


def test_an_address_that_cannot_be_reached_gives_way_to_the_next_of_the_name() -> None:
    with receiver(saying(answer_text())) as there:
        sender = Sender(allow_local=True, resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"])
        assert send(there.url(host="two.example"), sender) == Response(200, None, OK, complete=True)
        assert there.connections == 1
