"""Deliveries per CPU-second: claim, breaker, signatures, sending, judging, recording; store and queue are stubs.

Beside them, to the same sink: a raw socket that is kept, bare loops of http.client. Only this process's CPU counts.
"""

import http.client
import json
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import replace
from functools import partial
from typing import Any, Final, cast

from bench.rows import rows
from bench.sender import BODY, HEADERS
from bench.stub import stub as serving

from settlement.apps import App
from settlement.breaker import Breaker
from settlement.clock import now_ms
from settlement.courier import Courier
from settlement.keyring import Keyring
from settlement.ledger import Attempt, Claim, Ledger, Notification
from settlement.notifications import club_notification
from settlement.orders import Account, ClubOrder, ClubTerms, SettledClubOrder
from settlement.sender import Sender
from settlepoint_local.scene import APPS, Scene

ROUNDS: Final = 7
GUIDE_RAW: Final = 28_800
"""Deliveries per CPU-second of a raw socket where the aim of 1,500 was set."""
GUIDE_OURS: Final = 1_500


class StubLedger:
    """Gives every claim and takes every record."""

    def __init__(self, notification: Notification) -> None:
        self._notification = notification
        self.delivered = 0

    def claim(self, notify_id: str, attempt_number: int, now: int) -> Claim:
        return Claim(replace(self._notification, notify_id=notify_id), attempt_number, now + 35_000, now, 0)

    def breaker(self, app_id: str) -> Breaker:
        return Breaker(app_id, trusted=True, version=1)

    def change_breaker(self, _: Breaker, changed: Breaker) -> Breaker:
        return changed

    def record_delivered(self, _: Claim, __: Attempt, ___: int) -> bool:
        self.delivered += 1
        return True


class StubApps:
    def __init__(self, app: App) -> None:
        self._app = app

    def find(self, _: str) -> App:
        return self._app


class StubSecrets:
    def get_secret_value(self, **_: object) -> dict[str, str]:
        return {"SecretString": json.dumps({"1": Scene().master})}


def rates(deliveries: int = 500) -> dict[str, float]:
    """Deliveries per CPU-second, by way; turns, the median of each."""
    scene = Scene(now_ms=now_ms())
    with serving(partial(rows, scene)) as url:
        port = int(url.rpartition(":")[2])
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with closing(kept), _raw(port) as raw:
            ways: dict[str, Callable[[], object]] = {
                "raw socket, kept": raw,
                "http.client, kept": partial(_ask, kept),
                "http.client, a connection each": partial(_ask_anew, port),
                "ours, to an address": _ours(url, scene),
                "ours, to a name": _ours(url.replace("127.0.0.1", "localhost"), scene),
            }
            return _in_turns(ways, deliveries)


def _ours(url: str, scene: Scene) -> Callable[[], object]:
    order = ClubOrder("bill-1001", "openid-of-li", 1333, 5, 7, "周末活动 1/2", Account(2, "club-9", 9))
    notification = club_notification("club-a", SettledClubOrder(order, ClubTerms(33325, 25), scene.now_ms))
    courier = Courier(
        ledger=cast("Ledger", StubLedger(notification)),
        queue=cast("Any", None),
        apps=cast("Any", StubApps(replace(APPS["club-a"], notify_url=f"{url}/receiver"))),
        keyring=Keyring(lambda: cast("Any", StubSecrets()), "master"),
        send=Sender(allow_local=True).send,
        clock_ms=now_ms,
        nonce=lambda: secrets.token_hex(16),
        jitter=random.random,
    )

    def deliver() -> None:
        if courier.deliver(notification.notify_id, 1).result != "delivered":
            raise AssertionError

    return deliver


def _ask(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/receiver", BODY, HEADERS)
    connection.getresponse().read()


def _ask_anew(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        _ask(connection)


@contextmanager
def _raw(port: int) -> Iterator[Callable[[], None]]:
    lines = ["POST /receiver HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in HEADERS.items())]
    request = "\r\n".join([*lines, f"Content-Length: {len(BODY)}", "", ""]).encode() + BODY
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            connection.sendall(request)
            if not connection.recv(4096):
                raise ConnectionError

        yield send


def _in_turns(ways: dict[str, Callable[[], object]], deliveries: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, deliver in ways.items():
            deliver()
            started = time.process_time()
            for _ in range(deliveries):
                deliver()
            found[name].append(deliveries / (time.process_time() - started))
    return {name: sorted(turns)[len(turns) // 2] for name, turns in found.items()}
