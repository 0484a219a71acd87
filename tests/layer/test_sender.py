"""One attempt, over real sockets: what comes back, and that it ends within its deadline whatever the receiver does."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident
from threading import enumerate as enumerate_threads

import pytest

from settlement.delivery import ATTEMPT_SECONDS, CONNECT_SECONDS, MAX_ANSWER_BYTES, NoAnswer, Request, Response
from settlement.sender import Sender

from .receivers import receiver, saying

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
        assert "Accept-Encoding: identity" in lines
        assert body == BODY
        assert there.connections == 1


def chunked(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


LARGE = b"x" * MAX_ANSWER_BYTES
ANSWERS: dict[str, tuple[bytes, object]] = {
    "with a length": (answer_text(), Response(200, None, OK, complete=True)),
    "with spaces around its length": (
        b"HTTP/1.1 200 OK\r\nContent-Length:   14 \t\r\n\r\n" + OK,
        Response(200, None, OK, complete=True),
    ),
    "with its length twice": (answer_text(OK, "200 OK", "Content-Length: 14"), Response(200, None, OK, complete=True)),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\n" + OK, Response(200, None, OK, complete=True)),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n" + OK, Response(200, None, OK, complete=True)),
    "in chunks": (chunked(OK), Response(200, None, OK, complete=True)),
    "in the smallest chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * MAX_ANSWER_BYTES + b"0\r\n\r\n",
        Response(200, None, LARGE, complete=True),
    ),
    "after a 100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer_text(), Response(200, None, OK, complete=True)),
    "after 102 and 103": (
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer_text(),
        Response(200, None, OK, complete=True),
    ),
    "nothing in it": (answer_text(b"", "204 No Content"), Response(204, None, b"", complete=True)),
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
}


@pytest.mark.parametrize(("text", "answer"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_comes_back_is_told_as_it_is(text: bytes, answer: object) -> None:
    with receiver(saying(text)) as there:
        assert send(there.url()) == answer
        assert there.connections == 1


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\x00b", "é"])
def test_a_header_that_would_be_two_is_our_own_fault_and_is_not_sent(value: str) -> None:
    with receiver(saying(answer_text())) as there:
        with pytest.raises(RuntimeError, match="not printable ASCII"):
            Sender(allow_local=True).send(Request(there.url(), {"Sud-AppId": value}, BODY))
        assert there.request == b""


def test_an_address_that_cannot_be_reached_gives_way_to_the_next_of_the_name() -> None:
    with receiver(saying(answer_text())) as there:
        sender = Sender(allow_local=True, resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"])
        assert send(there.url(host="two.example"), sender) == Response(200, None, OK, complete=True)
        assert there.connections == 1


# ---------------------------------------------------------------------------------------------------------- look-ups


class Names:
    """A resolver: every name is 127.0.0.1, and those that begin with `slow` wait until `release`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.release = Event()

    def resolve(self, host: str, _: int) -> list[str]:
        self.asked.append(host)
        if host.startswith("slow"):
            self.release.wait(20)
        return ["127.0.0.1"]


def test_a_name_whose_look_up_hangs_holds_one_thread_and_no_other_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)
    names = Names()
    sender = Sender(allow_local=True, resolve=names.resolve)
    with receiver(saying(answer_text())) as there, ThreadPoolExecutor(40) as attempts:
        try:
            started = time.monotonic()
            hanging = [attempts.submit(send, there.url("slow.example"), sender) for _ in range(40)]
            assert {attempt.result() for attempt in hanging} == {NoAnswer("timeout")}
            assert send(there.url("slow.example"), sender) == NoAnswer("timeout")
            assert time.monotonic() - started < 2 * DEADLINE_SECONDS + 1
            assert names.asked == ["slow.example"]
            assert send(there.url("quick.example"), sender) == Response(200, None, OK, complete=True)
            assert there.connections == 1
        finally:
            names.release.set()


def test_who_asks_while_a_name_is_looked_up_shares_the_answer_and_later_ones_ask_anew() -> None:
    names = Names()
    sender = Sender(allow_local=True, resolve=names.resolve)
    with receiver(saying(answer_text())) as there, ThreadPoolExecutor(10) as attempts:
        waiting = [attempts.submit(send, there.url("slow.example"), sender) for _ in range(10)]
        time.sleep(0.2)
        names.release.set()
        assert {attempt.result() for attempt in waiting} == {Response(200, None, OK, complete=True)}
        assert names.asked == ["slow.example"]
        send(there.url("slow.example"), sender)
        assert names.asked == ["slow.example"] * 2


def test_a_thread_that_looked_a_name_up_looks_the_next_one_up() -> None:
    threads: list[int] = []

    def resolve(_host: str, _port: int) -> list[str]:
        threads.append(get_ident())
        return ["127.0.0.1"]

    sender = Sender(allow_local=True, resolve=resolve)
    with receiver(saying(answer_text())) as there:
        for number in range(5):
            assert send(there.url(f"{number}.example"), sender) == Response(200, None, OK, complete=True)
    assert len(threads) == 5
    assert len(set(threads)) == 1


def test_a_name_is_not_left_to_a_thread_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)
    names = Names()
    sender = Sender(allow_local=True, resolve=names.resolve)
    with receiver(saying(answer_text())) as there:
        try:
            assert send(there.url("quick.example"), sender) == Response(200, None, OK, complete=True)
            assert send(there.url("slow.example"), sender) == NoAnswer("timeout")  # on the thread of the first
            assert send(there.url("quick.example"), sender) == Response(200, None, OK, complete=True)
        finally:
            names.release.set()


def test_names_that_hang_leave_threads_to_others_and_few_threads_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("settlement.sender.ATTEMPT_SECONDS", DEADLINE_SECONDS)
    names = Names()
    sender = Sender(allow_local=True, resolve=names.resolve)
    before = set(enumerate_threads())
    with receiver(saying(answer_text())) as there, ThreadPoolExecutor(32) as attempts:
        try:
            hanging = [attempts.submit(send, there.url(f"slow-{number}.example"), sender) for number in range(32)]
            assert {attempt.result() for attempt in hanging} == {NoAnswer("timeout")}
            assert send(there.url("quick.example"), sender) == Response(200, None, OK, complete=True)
            looking = [thread for thread in set(enumerate_threads()) - before if thread.name == "look-up"]
            assert len(looking) == 33  # the quick name's waits for the next
        finally:
            names.release.set()
        end = time.monotonic() + 10
        while sum(thread.is_alive() for thread in looking) > 10 and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        assert sum(thread.is_alive() for thread in looking) == 10
        assert send(there.url("quick.example"), sender) == Response(200, None, OK, complete=True)


def test_a_name_that_was_not_found_is_looked_up_again() -> None:
    answers = iter([[], ["127.0.0.1"]])
    sender = Sender(allow_local=True, resolve=lambda *_: next(answers))
    with receiver(saying(answer_text())) as there:
        assert send(there.url("new.example"), sender) == NoAnswer("name not found")
        assert send(there.url("new.example"), sender) == Response(200, None, OK, complete=True)


def test_an_address_is_looked_up_by_nobody() -> None:
    names = Names()
    with receiver(saying(answer_text())) as there:
        send(there.url(), Sender(allow_local=True, resolve=names.resolve))
    assert names.asked == []


ENDS_WHILE_A_LOOK_UP_HANGS = """
import time
import settlement.sender as sender
from settlement.delivery import Request
sender.ATTEMPT_SECONDS = 0.2
made = sender.Sender(allow_local=True, resolve=lambda *_: time.sleep(60))
print(made.send(Request("http://slow.example/", {}, b"")).error)
"""


def test_a_process_ends_while_a_look_up_hangs() -> None:
    command = [sys.executable, "-c", ENDS_WHILE_A_LOOK_UP_HANGS]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert (ended.stdout, ended.stderr) == ("timeout\n", "")
