"""A receiver of notifications, written by hand: a real HTTP server on loopback that answers as it is told."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

ACKNOWLEDGED = b'{"ret_code":0,"ret_msg":"success"}'


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = ACKNOWLEDGED
    headers: Mapping[str, str] = field(default_factory=dict)
    after_seconds: float = 0
    """Waits so long between the headers and the body."""


@dataclass(frozen=True, slots=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def notify_id(self) -> str:
        return self.headers["webhook-id"]


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = Answer()
        self.meanwhile: Callable[[], object] = lambda: None
        """What happens while a request waits for its answer."""
        self.requests: list[Received] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/settled?by=settlepoint"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(Received(self.path, dict(self.headers.items()), body))
        self.server.meanwhile()
        answer = self.server.answer
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        time.sleep(answer.after_seconds)
        try:
            self.wfile.write(answer.body)
        except ConnectionError:
            self.close_connection = True  # the sender did not wait

    do_GET = do_POST  # noqa: N815  # a redirect that is followed would come as one

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
