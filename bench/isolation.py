"""What dead merchants cost the others, over HTTP on the deployed template: ratios of one run.

    .venv/bin/python bench/isolation.py [--seconds 40]

Ten merchants, five notifications a second each, written to the ledger as a settlement writes them; the stream, the
queue, the functions and the breaker do the rest. The healthy ones answer in 20 ms, the dead ones accept the connection
and never answer. Measured for the healthy: from the ledger's row to the answer, and to the first request.

The emulator's queue is not fair and every batch is a process of this machine: what holds here is our own scheduling.
"""

import argparse
import asyncio
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from settlectl.deployment import local_session
from settlement.apps import App, AppRegistry, SecretVersion
from settlement.keyring import Keyring
from settlement.ledger import Ledger, Notification
from settlepoint_local.running import running_stack
from settlepoint_local.stack import Stack

MERCHANTS = 10
PER_SECOND = 5
ANSWER_SECONDS = 0.02
SETTLE_SECONDS = 8
"""After a load: until the last healthy notification is surely acknowledged."""


@dataclass(slots=True)
class Receivers:
    """One server for all merchants, path by path; what it saw, in its own clock."""

    silent: set[str] = field(default_factory=set)
    begun: dict[str, float] = field(default_factory=dict)
    answered: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            await reader.readexactly(int(headers["content-length"]))
            self.requests += 1
            self.begun.setdefault(headers["webhook-id"], time.monotonic())
            if headers["sud-appid"] in self.silent:
                await reader.read()  # until the sender gives up
                return
            await asyncio.sleep(ANSWER_SECONDS)
            body = b'{"ret_code":0}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            self.answered.setdefault(headers["webhook-id"], time.monotonic())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@contextmanager
def receiving() -> Iterator[Receivers]:
    receivers, loop = Receivers(), asyncio.new_event_loop()

    async def start() -> asyncio.Server:
        server = await asyncio.start_server(receivers.serve, "127.0.0.1", 0)
        receivers.port = server.sockets[0].getsockname()[1]
        return server

    server = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield receivers
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@dataclass(frozen=True, slots=True)
class Ages:
    acknowledged: list[float]
    begun: list[float]

    def row(self, name: str, base: "Ages | None") -> str:
        p50, p99 = _quantile(self.acknowledged, 0.5), _quantile(self.acknowledged, 0.99)
        ratio = "" if base is None else f"{p99 / _quantile(base.acknowledged, 0.99):.2f}"
        latest = max(self.begun)
        return f"| {name} | {len(self.begun)} | {p50 * 1000:.0f} | {p99 * 1000:.0f} | {ratio} | {latest * 1000:.0f} |"


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Load:
    def __init__(self, stack: Stack, receivers: Receivers) -> None:
        session = local_session(stack.region)
        self._dynamodb = session.client("dynamodb", endpoint_url=stack.endpoint_url)
        secrets = session.client("secretsmanager", endpoint_url=stack.endpoint_url)
        self._keyring = Keyring(lambda: secrets, stack.master_secret_id)
        self._registry = AppRegistry(self._dynamodb, stack.tables["AppTable"])
        self._ledger = Ledger(self._dynamodb, stack.tables["NotificationTable"])
        self._receivers = receivers

    def measured(self, dead: int, seconds: float) -> Ages:
        """New merchants, so many of them dead; the healthy ones' ages."""
        apps = [f"merchant-{uuid.uuid4().hex[:8]}" for _ in range(MERCHANTS)]
        self._receivers.silent = set(apps[:dead])
        for app_id in apps:
            self._registry.create(self._app(app_id), self._keyring)
        committed: dict[str, float] = {}
        started = time.monotonic()
        for number in range(int(seconds * PER_SECOND * MERCHANTS)):
            time.sleep(max(0.0, started + number / (PER_SECOND * MERCHANTS) - time.monotonic()))
            app_id = apps[number % MERCHANTS]
            notify_id = uuid.uuid4().hex * 2
            self._commit(notify_id, app_id)
            if app_id not in self._receivers.silent:
                committed[notify_id] = time.monotonic()
        time.sleep(SETTLE_SECONDS)
        begun, answered = dict(self._receivers.begun), dict(self._receivers.answered)
        missing = committed.keys() - answered.keys()
        if missing:
            print(f"{len(missing)} of {len(committed)} were not acknowledged within {SETTLE_SECONDS} s")
        return Ages(
            [answered[n] - at for n, at in committed.items() if n in answered],
            [begun[n] - at for n, at in committed.items() if n in begun],
        )

    def _commit(self, notify_id: str, app_id: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        body = json.dumps({"notify_id": notify_id, "data": {"billno": "bill-1"}})
        put = self._ledger.addition(Notification(notify_id, app_id, "upbot.club.jf.settle", now_ms, body))["Put"]
        self._dynamodb.put_item(TableName=put["TableName"], Item=put["Item"])

    def _app(self, app_id: str) -> App:
        return App(
            app_id=app_id,
            name=app_id,
            roles=frozenset({"club"}),
            status="enabled",
            notify_url=f"http://127.0.0.1:{self._receivers.port}/{app_id}",
            mg_ids=frozenset(),
            for_apps=frozenset(),
            secret_versions=(SecretVersion(1, self._keyring.newest_generation()),),
            signing_version=1,
            created_at_ms=time.time_ns() // 1_000_000,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="of load in each case")
    seconds = parser.parse_args().seconds
    with receiving() as receivers, running_stack() as stack:
        load = Load(stack, receivers)
        load.measured(0, 5)  # warms the processes
        base = load.measured(0, seconds)
        cases = [("one silent", load.measured(1, seconds)), ("five silent", load.measured(5, seconds))]
    print("| merchants | healthy notifications | p50 ms | p99 ms | p99 ratio | latest first request ms |")
    print("|---|---|---|---|---|---|")
    print(base.row("all healthy", None))
    for name, ages in cases:
        print(ages.row(name, base))


if __name__ == "__main__":
    main()
