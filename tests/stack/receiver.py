"""A receiver of notifications on loopback that verifies with somebody else's code."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import simplejson
from standardwebhooks import Webhook

from .wire import sud_sign

ACKNOWLEDGED = (200, b'{"ret_code":0}')


@dataclass(frozen=True)
class Callback:
    """One request as it came in."""

    at: float
    """Monotonic seconds."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = simplejson.loads(self.body.decode("ascii"), use_decimal=True)
        return value

    def verified(self, app_id: str, secret: str) -> dict[str, Any]:
        """The body, once both families of signatures were found good."""
        library_secret = "whsec_" + base64.b64encode(secret.encode()).decode()
        Webhook(library_secret).verify(self.body, self.headers)
        timestamp, nonce = self.headers["sud-timestamp"], self.headers["sud-nonce"]
        assert self.headers["sud-appid"] == app_id
        assert self.headers["sud-signature"] == sud_sign(secret, app_id, timestamp, nonce, self.body)
        assert abs(int(timestamp) / 1000 - time.time()) < 300
        assert self.headers["webhook-id"] == self.json["notify_id"]
        assert self.headers["content-type"] == "application/json;charset=utf-8"
        return self.json


class Receiver:
    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[tuple[int, bytes]] = []
        """What the next requests are answered; after the last one all are acknowledged."""
        self._callbacks: list[Callback] = []
        self._changed = threading.Condition()

    def take(self, callback: Callback) -> tuple[int, bytes]:
        with self._changed:
            self._callbacks.append(callback)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else ACKNOWLEDGED

    @property
    def callbacks(self) -> list[Callback]:
        with self._changed:
            return list(self._callbacks)

    def wait_for(self, number: int, seconds: float = 20.0) -> list[Callback]:
        """All callbacks, once there are that many."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self._callbacks) >= number, seconds)
            assert arrived, f"{len(self._callbacks)} of {number} callbacks after {seconds} s"
            return list(self._callbacks)


@contextmanager
def listening() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = receiver.take(Callback(time.monotonic(), headers, body))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}/notify")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
