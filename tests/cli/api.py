"""A small real HTTP server in the place of the API, which answers as the test tells it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


type Reply = tuple[int, bytes]
OK = (200, b'{"ret":0,"msg":""}')
CONFLICT = (200, b'{"ret":1005,"msg":"x","detail":"amt: differs"}')
THROTTLED = (429, b'{"ret":1429,"msg":"x"}')


@dataclass
class Api:
    base_url: str = ""
    answer: Callable[[Received], Reply] = lambda _: OK
    received: list[Received] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A test that raises ConnectionError wants the caller to be hung up on."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, body)
            with api.lock:
                api.received.append(received)
            status, answer = api.answer(received)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST  # noqa: N815 (http.server's name)

        def log_message(self, *_: object) -> None:
            pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        api.base_url = f"http://127.0.0.1:{server.server_address[1]}/live"
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
