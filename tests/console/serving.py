"""The console's real door behind HTTP on loopback: each request becomes API Gateway's event, below a stage."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from copy import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Final
from urllib.parse import unquote

from settlement.callers import OPERATOR_SCOPES
from settlepoint_local.in_process import LambdaContext, World
from settlepoint_local.lambda_events import STAGE, console_event

PREFIX: Final = f"/{STAGE}/console"


class Gateway(ThreadingHTTPServer):
    """API Gateway, as far as the console has to do with it. The door works one request at a time, on one world."""

    daemon_threads = True

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.world = world
        self._one_at_a_time = Lock()

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server_address[1]}{PREFIX}"

    def token(self, *, write: bool = True) -> str:
        """An operator's, made now."""
        scene = replace(self.world.scene, now_ms=self.world.now_ms)
        return scene.operator_token(OPERATOR_SCOPES if write else OPERATOR_SCOPES[:1])

    def ask(self, path: str, headers: dict[str, str], body: bytes | None) -> dict[str, Any]:
        below = unquote(path.removeprefix(PREFIX).removeprefix("/"))
        event = console_event("console/browser", below, self.world.now_ms, body=body, headers=headers)
        with self._one_at_a_time:
            answer: dict[str, Any] = self.world.function("console").handler(event, LambdaContext("ConsoleFunction"))
        return answer


class _Handler(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes | None) -> None:
        path = self.path.partition("?")[0]
        if not f"{path}/".startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        answer = self.server.ask(path, dict(self.headers.items()), body)
        sent = answer["body"].encode()
        sent = base64.b64decode(sent) if answer["isBase64Encoded"] else sent
        self.send_response(answer["statusCode"])
        for name, value in {**answer["headers"], "Content-Length": str(len(sent))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(world: World) -> Iterator[Gateway]:
    with Gateway(world) as gateway:
        thread = Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()
