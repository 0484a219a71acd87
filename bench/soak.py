"""A long load on the deployed template: what is answered, what is lost, what grows.

    .venv/bin/python -m bench.soak --seconds 600        ten minutes at the highest rate that it holds
    .venv/bin/python -m bench.soak --seconds 60 --rate 20

Without --rate it is found first: workers are added until two more answer no more, and nine tenths of the best rate is
held, open loop. One round of a worker is create, settle, list for a club, and at every fourth round create_order,
user_settle, query_user_settle for a merchant; each kind of app has a receiver that acknowledges. Afterwards rows are
compared with answers: every settlement that was acknowledged is stored, counted in its total, in the ledger, and was
delivered once or more. Memory is that of the emulator and of all of its workers.
"""

import argparse
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bench.isolation import Receivers, receiving

from settlectl.deployment import local_session
from settlement.apps import App, AppRegistry, Role, SecretVersion
from settlement.callers import CLUB_SCOPES
from settlement.cursor import ListQuery
from settlement.keyring import Keyring
from settlement.ledger import Ledger
from settlement.signing import sud_signature
from settlement.store import Store
from settlement.sudauth import SudAuth
from settlement.tokens import mint
from settlement.totals import Totals
from settlepoint_local.running import running_stack
from settlepoint_local.stack import Stack

RAMP_SECONDS = 10.0
MAX_WORKERS = 12
HELD_SHARE = 0.9
"""Of the best rate of the ramp, whose last step may have been lucky."""
SAMPLE_SECONDS = 5.0
DRAIN_SECONDS = 90.0
"""After the load: until what is still due was swept and delivered."""
AMT = 10
OPENIDS = 50
TOTALS_SHARDS = 4
"""The template's."""


@dataclass(slots=True)
class Outcomes:
    """What the callers saw; several threads write it under its lock."""

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    club_settled: set[str] = field(default_factory=set)
    """bill_no of every order whose settlement was acknowledged."""
    game_settled: set[str] = field(default_factory=set)
    """order_id, likewise."""
    lock: threading.Lock = field(default_factory=threading.Lock)


class Caller:
    """One worker's connection: kept alive, one request after the other."""

    def __init__(self, base_url: str, outcomes: Outcomes) -> None:
        parts = urlsplit(base_url)
        self._prefix = parts.path
        self._connection = HTTPConnection(parts.netloc, timeout=30)
        self._outcomes = outcomes

    def post(self, path: str, body: bytes, authorization: str) -> dict[str, Any] | None:
        """The answer where it is a success; everything else is counted by what it was."""
        started = time.monotonic()
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            self._connection.request("POST", self._prefix + path, body, headers)
            response = self._connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
            code = answer.get("ret", answer.get("ret_code"))
            fault = "" if (response.status, code) == (200, 0) else f"{path} HTTP {response.status} code {code}"
        except (OSError, HTTPException, ValueError) as error:
            self._connection.close()
            answer, fault = {}, f"{path} {type(error).__name__}"
        with self._outcomes.lock:
            self._outcomes.requests += 1
            self._outcomes.latencies.append(time.monotonic() - started)
            if fault:
                self._outcomes.errors[fault] += 1
        return None if fault else answer


class Load:
    def __init__(self, stack: Stack, receivers: Receivers) -> None:
        session = local_session(stack.region)
        self._stack = stack
        self._receivers = receivers
        self.dynamodb = session.client("dynamodb", endpoint_url=stack.endpoint_url)
        secrets = session.client("secretsmanager", endpoint_url=stack.endpoint_url)
        self._keyring = Keyring(lambda: secrets, stack.master_secret_id)
        self._registry = AppRegistry(self.dynamodb, stack.tables["AppTable"])
        self.club = self._app("club")
        self.merchant = self._app("merchant")
        self._game = self._app("game", mg_ids=frozenset({"mg-1"}), for_apps=frozenset({self.merchant.app_id}))
        self._token = mint(self.club, self._keyring, list(CLUB_SCOPES), int(time.time()), 7200)
        self._numbers = itertools.count()

    def _app(self, role: Role, **changes: Any) -> App:
        app_id = f"soak-{role}-{uuid4().hex[:8]}"
        fields: dict[str, Any] = {"mg_ids": frozenset(), "for_apps": frozenset(), **changes}
        app = App(
            app_id=app_id,
            name=app_id,
            roles=frozenset({role}),
            status="enabled",
            notify_url=None if role == "game" else f"http://127.0.0.1:{self._receivers.port}/{role}",
            secret_versions=(SecretVersion(1, self._keyring.newest_generation()),),
            signing_version=1,
            created_at_ms=time.time_ns() // 1_000_000,
            **fields,
        )
        self._registry.create(app, self._keyring)
        return app

    def round(self, caller: Caller, outcomes: Outcomes) -> None:
        number = next(self._numbers)
        self._club_round(caller, outcomes, number)
        if number % 4 == 0:
            self._game_round(caller, outcomes, number)

    def _club_round(self, caller: Caller, outcomes: Outcomes, number: int) -> None:
        bill = {"bill_no": f"bill-{number}", "openid": f"openid-{number % OPENIDS}"}

        def post(endpoint: str, body: dict[str, Any]) -> dict[str, Any] | None:
            return caller.post(f"/upbot/api/{endpoint}", json.dumps(body).encode(), self._token)

        order = {**bill, "amt": AMT, "source": 5, "jf_gid": 1, "detail": ""}
        if post("CreateClubJfOrder", order) is not None and post("SetClubJfSettle", bill) is not None:
            with outcomes.lock:
                outcomes.club_settled.add(bill["bill_no"])
        post("GetClubJfSettleList", {"openid": bill["openid"]})

    def _game_round(self, caller: Caller, outcomes: Outcomes, number: int) -> None:
        def post(app: App, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
            raw, timestamp, nonce = json.dumps(body).encode(), str(time.time_ns() // 1_000_000), uuid4().hex
            secret = self._keyring.app_secret(app.app_id, 1, app.secret_versions[0].generation)
            signature = sud_signature(secret, app.app_id, timestamp, nonce, raw)
            return caller.post(path, raw, str(SudAuth(app.app_id, timestamp, nonce, signature)))

        game = {"mg_id": "mg-1", "room_id": "room-1"}
        order = {"out_order_id": f"out-{number}", **game, "cmd": "c", "from_uid": "a", "to_uid": "b", "value": AMT}
        created = post(self.merchant, "/v1/app/server/create_order", order)
        if created is None:
            return
        result = {"out_order_id": order["out_order_id"], "uid": "a", "is_ai": 0, "score": AMT, "remain_score": 1}
        report = {**game, "app_id": self.merchant.app_id, "match_id": f"match-{number}", "results": [result]}
        if post(self._game, "/v1/mg/server/user_settle", {**report, "settle_at": str(int(time.time()))}) is not None:
            with outcomes.lock:
                outcomes.game_settled.add(created["data"]["order_id"])
        post(self.merchant, "/v1/app/server/query_user_settle", {"out_order_id": order["out_order_id"]})

    # --------------------------------------------------------------------------------------------------- driving

    def closed(self, workers: int, seconds: float, outcomes: Outcomes) -> float:
        """Requests a second of so many workers, each starting its next round when the last one ends."""
        before, started = outcomes.requests, time.monotonic()

        def work() -> None:
            caller = Caller(self._stack.base_url, outcomes)
            while time.monotonic() < started + seconds:
                self.round(caller, outcomes)

        with ThreadPoolExecutor(workers) as threads:
            for worker in [threads.submit(work) for _ in range(workers)]:
                worker.result()
        return (outcomes.requests - before) / (time.monotonic() - started)

    def held(self, rate: float, workers: int, seconds: float, outcomes: Outcomes) -> float:
        """Rounds begin on a timetable of `rate` requests a second, late ones at once; gives back what came of it."""
        requests_a_round = 3 + 3 / 4
        places = itertools.count()
        before, started = outcomes.requests, time.monotonic()

        def work() -> None:
            caller = Caller(self._stack.base_url, outcomes)
            while (at := next(places) * requests_a_round / rate) < seconds:
                time.sleep(max(0.0, started + at - time.monotonic()))
                if time.monotonic() > started + seconds:
                    return  # the timetable is not held: say so in the rate, not by running on
                self.round(caller, outcomes)

        with ThreadPoolExecutor(workers) as threads:
            for worker in [threads.submit(work) for _ in range(workers)]:
                worker.result()
        return (outcomes.requests - before) / (time.monotonic() - started)

    # ---------------------------------------------------------------------------------------------------- rows

    def _rows(self, table: str, condition: str, value: str) -> Iterator[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(
            TableName=self._stack.tables[table],
            ConsistentRead=True,
            FilterExpression=condition,
            ExpressionAttributeValues={":v": {"S": value}},
        )
        for page in pages:
            yield from page["Items"]

    def lost(self, outcomes: Outcomes) -> dict[str, int]:
        """Of what was acknowledged, how much is missing where; and what is stored twice or not at all."""
        found: dict[str, int] = {}
        for kind, app, settled in (
            ("club", self.club, outcomes.club_settled),
            ("game", self.merchant, outcomes.game_settled),
        ):
            prefix = f"{kind}#{app.app_id}#"
            orders = list(self._rows("SettlementTable", "begins_with(billno, :v)", prefix))
            stored = {row["billno"]["S"].removeprefix(prefix) for row in orders if "settle_time" in row}
            ledger = [row for row in self._rows("NotificationTable", "app_id = :v", app.app_id) if "body" in row]
            found[f"{kind}: acknowledged and not stored"] = len(settled - stored)
            found[f"{kind}: stored without a notification, or with two"] = abs(len(stored) - len(ledger))
            found[f"{kind}: notifications not delivered"] = sum(row["status"]["S"] != "delivered" for row in ledger)
            never = {row["notify_id"]["S"] for row in ledger} - self._receivers.begun.keys()
            found[f"{kind}: notifications that no receiver saw"] = len(never)
            if kind == "club":
                count, hundredths = self._counted()
                found["club: settlements not in the totals, or twice"] = abs(count - len(stored))
                found["club: hundredths by which the totals are off"] = abs(hundredths - len(stored) * AMT * 100)
        return found

    def _counted(self) -> tuple[int, int]:
        """Settlements and hundredths that the totals have, over all openids."""
        tables, now_ms = self._stack.tables, time.time_ns() // 1_000_000
        totals = Totals(self.dynamodb, tables["TotalsTable"], TOTALS_SHARDS)
        ledger = Ledger(self.dynamodb, tables["NotificationTable"])
        store = Store(self.dynamodb, tables["SettlementTable"], totals, ledger, lambda: now_ms)
        queries = [ListQuery(self.club.app_id, f"openid-{n}", None, None, None) for n in range(OPENIDS)]
        sums = [store.total(query, now_ms) for query in queries]
        return sum(each.count for each in sums), sum(each.hundredths for each in sums)


def memory_kib() -> int:
    """Resident memory of all processes that this one started, and theirs."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            pages = int((folder / "statm").read_text().split()[1])
        except (OSError, IndexError):
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        resident[int(folder.name)] = pages * os.sysconf("SC_PAGE_SIZE") // 1024
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(resident[pid] for pid in ours - {os.getpid()})


@contextmanager
def sampled(every_seconds: float) -> Iterator[list[int]]:
    """Memory in KiB, again and again while it lasts."""
    samples: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(every_seconds):
            samples.append(memory_kib())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def highest_rate(load: Load) -> tuple[float, int]:
    """Requests a second, and the workers that made them: neither one more nor two more made more."""
    best, best_workers = 0.0, 0
    for workers in range(1, MAX_WORKERS + 1):
        load.closed(workers, 3.0, Outcomes())  # another concurrent call starts another process
        outcomes = Outcomes()
        rate = load.closed(workers, RAMP_SECONDS, outcomes)
        say(f"{workers} workers: {rate:.1f} requests/s, {sum(outcomes.errors.values())} errors")
        if rate > best and not outcomes.errors:
            best, best_workers = rate, workers
        elif outcomes.errors or workers >= best_workers + 2:
            break
    return best * HELD_SHARE, best_workers


def drained(load: Load, outcomes: Outcomes) -> dict[str, int]:
    """What is lost, looked at until nothing is or the time is up: the last notifications are under way."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        lost = load.lost(outcomes)
        if not any(lost.values()) or time.monotonic() > deadline:
            return lost
        time.sleep(2.0)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def quantile_ms(values: list[float], share: float) -> float:
    return 1000 * sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="of load at the rate that is held")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; found by ramping where not given")
    parser.add_argument("--workers", type=int, default=4, help="with --rate")
    asked = parser.parse_args()
    with receiving() as receivers, running_stack() as stack:
        load = Load(stack, receivers)
        outcomes = Outcomes()
        rate, workers = (asked.rate, asked.workers) if asked.rate else highest_rate(load)
        say(f"holding {rate:.1f} requests/s with {workers} workers for {asked.seconds:.0f} s")
        load.held(rate, workers, 5.0, Outcomes())
        with sampled(SAMPLE_SECONDS) as memory:
            achieved = load.held(rate, workers, asked.seconds, outcomes)
        lost = drained(load, outcomes)
    say(f"requests {outcomes.requests} at {achieved:.1f}/s, asked for {rate:.1f}/s")
    say(f"latency ms p50 {quantile_ms(outcomes.latencies, 0.5):.0f} p99 {quantile_ms(outcomes.latencies, 0.99):.0f}")
    say(f"errors {sum(outcomes.errors.values())} {dict(outcomes.errors)}")
    say(f"settlements {len(outcomes.club_settled)} club, {len(outcomes.game_settled)} game")
    for what, number in lost.items():
        say(f"{what}: {number}")
    third = max(1, len(memory) // 3)
    first, last = (sum(part) / len(part) / 1024 for part in (memory[:third] or [0], memory[-third:] or [0]))
    say(f"memory MiB: first third {first:.0f}, last third {last:.0f} ({last / first - 1 if first else 0:+.1%})")
    return 1 if outcomes.errors or any(lost.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
