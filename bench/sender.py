"""What the sender's guard costs: deliveries per CPU-second to a local sink, beside bare loops of http.client.

    .venv/bin/python -m bench.sender [deliveries per round]

Only this process's CPU is counted; the sink is a process of its own. The aim is 0.5 of the bare loop that also makes a
connection per request. Rounds take turns, the best of each counts, so a busy machine moves all of them alike.
"""

import http.client
import os
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from multiprocessing.context import ForkProcess
from pathlib import Path
from threading import Thread

from tests.layer.certificates import Authority

from settlement.delivery import Delivered, Request, judge
from settlement.sender import Sender

ROUNDS = 5
BODY = b'{"notify_id":"%s","data":{"settle_amt":1333}}' % (b"ab" * 32)
HEADERS = {
    "Content-Type": "application/json;charset=utf-8",
    "User-Agent": "Settlepoint",
    "Sud-AppId": "m-1",
    "Sud-Timestamp": "1795305600000",
    "Sud-Nonce": "ab" * 16,
    "Sud-Signature": "cd" * 20,
    "webhook-id": "ab" * 32,
    "webhook-timestamp": "1795305600",
    "webhook-signature": "v1," + "e" * 44,
}
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    b'Content-Length: 14\r\nConnection: keep-alive\r\n\r\n{"ret_code":0}'
)

type Deliver = Callable[[], object]


def sink(listening: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Answers every request of every connection."""

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(connection, server_side=True) if tls else connection as speaking:
            received = b""
            while more := speaking.recv(65536):
                received += more
                if received.endswith(BODY):
                    speaking.sendall(ANSWER)
                    received = b""

    while True:
        Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()


def serve(folder: Path | None) -> tuple[ForkProcess, int]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    tls = None
    if folder:
        authority = Authority(folder)
        os.environ["SSL_CERT_FILE"] = str(authority.certificate)
        tls = authority.server("localhost")
    process = ForkProcess(target=sink, args=(listening, tls), daemon=True)
    process.start()
    with listening:
        return process, listening.getsockname()[1]


def ask(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/notify", BODY, HEADERS)
    if connection.getresponse().read() != b'{"ret_code":0}':
        raise AssertionError


def ask_anew(connect: Callable[[], http.client.HTTPConnection]) -> None:
    with closing(connect()) as connection:
        ask(connection)


def send(sender: Sender, url: str) -> None:
    if judge(sender.send(Request(url, HEADERS, BODY))).outcome != Delivered():
        raise AssertionError


def plain(port: int) -> dict[str, Deliver]:
    sender = Sender(allow_local=True)
    return {
        "http.client, a connection each": partial(
            ask_anew, lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        ),
        "http.client, one kept connection": partial(ask, http.client.HTTPConnection("127.0.0.1", port, timeout=5)),
        "Sender, to an address": partial(send, sender, f"http://127.0.0.1:{port}/notify"),
        "Sender, to a name": partial(send, sender, f"http://localhost:{port}/notify"),
    }


def tls(port: int) -> dict[str, Deliver]:
    sender = Sender(allow_local=True)
    context = ssl.create_default_context()
    connect = partial(http.client.HTTPSConnection, "localhost", port, timeout=5, context=context)
    return {
        "http.client, a connection each": partial(ask_anew, connect),
        "http.client, one kept connection": partial(ask, connect()),
        "Sender, to a name": partial(send, sender, f"https://localhost:{port}/notify"),
    }


def measure(title: str, ways: dict[str, Deliver], deliveries: int) -> None:
    """Prints each way's deliveries per CPU-second and its ratio to the first way's."""
    best = dict.fromkeys(ways, 0.0)
    for _ in range(ROUNDS):
        for name, deliver in ways.items():
            deliver()
            started = time.process_time()
            for _ in range(deliveries):
                deliver()
            best[name] = max(best[name], deliveries / (time.process_time() - started))
    print(title)
    for name, rate in best.items():
        print(f"  {name:34}{rate:8.0f} per CPU-second{rate / next(iter(best.values())):8.2f}")


def main() -> None:
    deliveries = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        for title, ways, where in (("http", plain, None), ("https", tls, Path(folder))):
            process, port = serve(where)
            try:
                measure(title, ways(port), deliveries)
            finally:
                process.terminate()
                process.join()


if __name__ == "__main__":
    main()
