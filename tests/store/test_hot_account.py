"""Two hundred settlements a second of one account, with conflicts as DynamoDB makes them.

The store's own code runs, in a time of its own, against rows that are held while a transaction lasts (busy_table.py).
Before settlements that met a conflict took another shard, one shard had a p99 of 340 times a spread load's, four of 15
times.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from settlement.errors import Busy
from settlement.store import Store
from settlement.totals import MAX_SHARDS, Totals
from tests.proof import few_or_many

from .busy_table import BusyTable
from .virtual_time import VirtualTime
from .worlds import QUIET, chance

RATE = 200
SECONDS = few_or_many(6, 60)


@dataclass(frozen=True, slots=True)
class Load:
    settled: int
    refused: int
    conflicts_per_try: float
    p50_ms: float
    p99_ms: float
    shards_used: int


def load(monkeypatch: pytest.MonkeyPatch, shards: int, *, hot: bool, seed: int = 1) -> Load:
    dice, time = chance(seed), VirtualTime()
    table = BusyTable(time, dice)
    store = Store(
        table,  # type: ignore[arg-type]
        "Orders",
        Totals(table, "Totals", shards),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]  # an app without notifications
        time.now_ms,
    )
    seconds: list[float] = []
    refused: list[str] = []

    def settle(bill_no: str) -> None:
        started = time.now
        try:
            store.settle_club_order(QUIET, bill_no, table.openid_of[bill_no], None, None)
        except Busy:
            refused.append(bill_no)
        seconds.append(time.now - started)

    def arrivals() -> Iterator[float]:
        at = 0.0
        while at < SECONDS:
            yield at
            at += dice.expovariate(RATE)

    for number, at in enumerate(arrivals()):
        bill_no = f"b-{number}"
        table.openid_of[bill_no] = "hot" if hot else f"o-{number}"
        time.at(at, lambda bill_no=bill_no: settle(bill_no))  # type: ignore[misc]
    with monkeypatch.context() as patched:
        patched.setattr("settlement.store.time", time)
        patched.setattr("settlement.store.random", dice)
        time.run()
    assert sorted(table.committed) == sorted(set(table.committed))
    seconds.sort()
    return Load(
        settled=len(table.committed),
        refused=len(refused),
        conflicts_per_try=table.conflicts / (table.conflicts + len(table.committed)),
        p50_ms=seconds[len(seconds) // 2] * 1000,
        p99_ms=seconds[len(seconds) * 99 // 100] * 1000,
        shards_used=len(table.shards),
    )


def test_a_hot_account_refuses_nobody_and_is_hardly_slower_than_many(monkeypatch: pytest.MonkeyPatch) -> None:
    spread = load(monkeypatch, 4, hot=False)
    assert (spread.refused, spread.conflicts_per_try, spread.shards_used) == (0, 0, 4)
    rates = []
    for shards in (1, 4, 16):
        hot = load(monkeypatch, shards, hot=True)
        print(f"{shards} shards: {hot}; spread: {spread}")  # with -s: the figures of docs/decisions.md
        assert hot.refused == 0
        assert hot.settled == spread.settled
        assert hot.p99_ms <= 3 * spread.p99_ms
        assert hot.shards_used == MAX_SHARDS
        rates.append(hot.conflicts_per_try)
    assert 0.6 > rates[0] > rates[1] > rates[2] > 0.02  # and the model does make conflicts
