"""`settlectl listen`: a receiver of callbacks that believes nothing, prints what is genuine, answers as it is told."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from settlectl.callbacks import Verdict, judge_callback
from settlectl.console import AsJson, note, pretty, print_value, results, warn
from settlectl.deployment import Deployment, chosen
from settlectl.failures import BadInput, CommandFailed, NoSuchApp
from settlement.clock import now_ms

MAX_BODY_BYTES: Final = 1024 * 1024


class Reply(NamedTuple):
    """How the receiver answers a genuine callback."""

    status: int
    body: bytes
    wait_seconds: float = 0
    location: str | None = None


REPLIES: Final[dict[str, Reply]] = {
    "ok": Reply(200, b'{"ret_code":0}'),
    "error": Reply(200, b'{"ret_code":1,"ret_msg":"told to fail"}'),
    "unavailable": Reply(503, b'{"ret_code":1,"ret_msg":"told to fail"}'),
    "gone": Reply(410, b'{"ret_code":1,"ret_msg":"told to be gone"}'),
    "redirect": Reply(302, b"", location="/elsewhere"),
    "slow": Reply(200, b'{"ret_code":0}', wait_seconds=6),
}
"""`slow` answers well, a second after Settlepoint gives an attempt up."""
NOT_GENUINE: Final = Reply(401, b'{"ret_code":1,"ret_msg":"not genuine"}')
NO_POST: Final = Reply(405, b'{"ret_code":1,"ret_msg":"callbacks are POSTed"}')


@dataclass(frozen=True, slots=True)
class Callback:
    """One POST that came in."""

    received_ms: int
    app_id: str
    """As the header says; proven only where the verdict is genuine."""
    verdict: Verdict
    duplicate: bool
    """Whether its notify_id was received before."""

    def to_json(self) -> dict[str, Any]:
        return {
            "genuine": self.verdict.genuine,
            "duplicate": self.duplicate,
            "received_ms": self.received_ms,
            "app_id": self.app_id,
            "reasons": self.verdict.reasons(),
            "notification": self.verdict.notification or None,
        }


class Receiver:
    """Listens on loopback from the moment it is made. `url` is what a notify_url may be."""

    def __init__(self, secrets_of: Callable[[str], list[str]], port: int, reply: Reply) -> None:
        """Raises CommandFailed where the port is taken."""
        self._secrets_of = secrets_of
        self._reply = reply
        self._seen: set[str] = set()
        self._lock = Lock()
        self._arrived: SimpleQueue[Callback] = SimpleQueue()
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                receive(self)

            def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
                """What is no POST, or no HTTP: in JSON as well, not in the base class's HTML."""
                if code == HTTPStatus.NOT_IMPLEMENTED:
                    _body_of(self)  # a connection that is closed on unread bytes would take the answer with it
                    _answer(self, NO_POST)
                else:
                    _answer(self, Reply(code, b'{"ret_code":1,"ret_msg":"not an HTTP request"}'))

            def version_string(self) -> str:
                return "settlectl"

            def log_message(self, *_: object) -> None:
                pass

        try:
            self.server = _Server(("127.0.0.1", port), Handler)
        except (OSError, OverflowError) as error:
            raise CommandFailed(f"cannot listen on port {port}: {error}") from error
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def callbacks(self, timeout_seconds: float | None = None) -> Iterator[Callback]:
        """Each callback once it is answered, for ever, or until the time is over."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                yield self._arrived.get(timeout=left)
            except Empty:
                return

    def _receive(self, request: BaseHTTPRequestHandler) -> None:
        body = _body_of(request)
        if body is None:
            _answer(request, Reply(413 if request.headers.get("Content-Length") else 411, b""))
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        app_id = headers.get("sud-appid", "")
        verdict = judge_callback(headers, body, self._secrets_of(app_id), now_ms())
        duplicate = verdict.genuine and self._seen_before(headers["webhook-id"])
        callback = Callback(now_ms(), app_id, verdict, duplicate)
        try:
            _answer(request, self._reply if verdict.genuine else NOT_GENUINE)
        finally:
            self._arrived.put(callback)  # once it is answered: whoever waits for it may end the process

    def _seen_before(self, notify_id: str) -> bool:
        with self._lock:
            seen = notify_id in self._seen
            self._seen.add(notify_id)
            return seen


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 (the base class's)
        """The sender hung up, or its app's secret could not be read. It has no answer, so it comes again."""
        warn(f"a callback was not answered: {sys.exception()!r}")


def _body_of(request: BaseHTTPRequestHandler) -> bytes | None:
    """None where its length is not told, or too great."""
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 9 and int(length) <= MAX_BODY_BYTES):
        return None
    return request.rfile.read(int(length))


def _answer(request: BaseHTTPRequestHandler, reply: Reply) -> None:
    time.sleep(reply.wait_seconds)
    request.send_response(reply.status)
    if reply.location is not None:
        request.send_header("Location", reply.location)
    if reply.status == HTTPStatus.METHOD_NOT_ALLOWED:
        request.send_header("Allow", "POST")
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(reply.body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(reply.body)


@contextmanager
def receiving(
    deployment: Deployment, app_ids: list[str] | None = None, *, port: int = 0, answer: str = "ok"
) -> Iterator[Receiver]:
    """A receiver for these apps, or for every app of the deployment; port 0 takes any.

    Raises CommandFailed where the port is taken, BadInput for an unknown answer, NoSuchApp.
    """
    if answer not in REPLIES:
        raise BadInput(f"--answer {answer}: must be one of {', '.join(REPLIES)}")
    for app_id in app_ids or ():
        if deployment.apps.find(app_id) is None:
            raise NoSuchApp(app_id)

    def secrets_of(app_id: str) -> list[str]:
        app = deployment.apps.find(app_id) if not app_ids or app_id in app_ids else None
        return [] if app is None else list(deployment.secrets_in_use(app, now_ms()).values())

    receiver = Receiver(secrets_of, port, REPLIES[answer])
    with receiver.server as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


# ------------------------------------------------------------------------------------------------- the command


def listen(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes any that is free.")],
    app_id: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Believe this app's callbacks only; repeat for several.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End well after N genuine notifications.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, metavar="SECONDS", help="End after this time.")] = None,
    answer: Annotated[str, typer.Option(metavar="|".join(REPLIES), help="How to answer what is genuine.")] = "ok",
    as_json: AsJson = False,
) -> None:
    """
    Receive callbacks, verify them, print them.

    Checks both signature families over the raw bytes, and the timestamps.
    Answers {"ret_code":0} to what is genuine and HTTP 401 to the rest; marks
    repeats of a notify_id. With --json, stdout has one JSON object a line.

        settlectl listen --port 9000 --app-id shop-1
        settlectl listen --port 9000 --count 1 --timeout 60 --json
        settlectl listen --port 9000 --answer unavailable

    On a local stack, http://127.0.0.1:9000/ may be an app's notify_url.

    Exit status: 0 after --count different notifications, or at Ctrl-C without
    --count; 1 when --timeout comes first (without --count: when not one
    genuine notification came by then).
    """
    received = 0
    try:
        with receiving(chosen(context), app_id, port=port, answer=answer) as receiver:
            note(f"Listening on {receiver.url} - Ctrl-C ends it.")
            for callback in receiver.callbacks(timeout):
                _print_callback(callback, as_json=as_json)
                received += callback.verdict.genuine and not callback.duplicate
                if received == count:
                    return
    except KeyboardInterrupt:
        if count is None:
            return
        raise
    if count is not None or not received:
        raise CommandFailed(f"{received} genuine notifications in {timeout:g} s; waited for {count or 1}")


def _print_callback(callback: Callback, *, as_json: bool) -> None:
    if as_json:
        print_value(callback.to_json())
        return
    moment = time.strftime("%H:%M:%S", time.localtime(callback.received_ms / 1000))
    if not callback.verdict.genuine:
        reasons = "; ".join(f"{what}: {why}" for what, why in callback.verdict.reasons().items())
        results().print(Text(f"{moment} not genuine, answered 401: {reasons}", style="red"), soft_wrap=True)
        return
    notification = callback.verdict.notification
    about = Text.assemble(
        (str(notification.get("notify_event")), "bold"),
        f"\nnotify_id {notification.get('notify_id')}\n",
        ("Sud-Signature and webhook-signature verified", "green"),
        (" - a repeat" if callback.duplicate else "", "yellow"),
    )
    panel = Panel(
        Group(about, pretty(notification.get("data"))),
        title=Text(f"{moment}  {callback.app_id}"),
        title_align="left",
        border_style="yellow" if callback.duplicate else "green",
        expand=False,
    )
    results().print(panel)
