"""DynamoDB as transactions on the same rows meet in it: the engines here run them one after the other.

A transaction holds its rows from its prepare until its answer. One that finds a row held is cancelled with
TransactionConflict for that row; the rows that it did get stay held until it is cancelled:

    ----prepare=========commit----->      rows held: =
          ----prepare xxx cancelled->     finds one held; holds the others meanwhile: x

Latencies are lognormal, as measured services' are: only ratios of them mean anything.
"""

import math
from random import Random
from typing import Any

from settlement.orders import ClubOrder
from settlement.store import created_club_row

from .virtual_time import VirtualTime
from .worlds import NOW_MS, QUIET

TRAVEL_SECONDS = 0.001
READ_SECONDS = 0.004
HELD_SECONDS = 0.009
CANCEL_SECONDS = 0.003
SPREAD = 0.35
"""Sigma: the p99 is 2.3 times the median."""


class Cancelled(Exception):
    def __init__(self, codes: list[str]) -> None:
        super().__init__("cancelled")
        self.response = {"CancellationReasons": [{"Code": code} for code in codes]}


class _Never(Exception):
    pass


class Exceptions:
    TransactionCanceledException = Cancelled
    TransactionInProgressException = _Never


class BusyTable:
    """A client with what settling a club order calls. Its orders are whatever is asked for."""

    exceptions = Exceptions

    def __init__(self, time: VirtualTime, chance: Random) -> None:
        self._time = time
        self._chance = chance
        self._held: set[str] = set()
        self.openid_of: dict[str, str] = {}
        self.committed: list[str] = []
        self.shards: set[str] = set()
        self.conflicts = 0

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        self._wait(READ_SECONDS)
        bill_no = Key["billno"]["S"].split("#", 2)[2]
        order = ClubOrder(bill_no, self.openid_of[bill_no], 1000, 5, 7, "", None)
        return {"Item": created_club_row(QUIET.app_id, order, NOW_MS)}

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        keys = [str(item["Update"]["Key"]) for item in TransactItems]
        self._wait(TRAVEL_SECONDS)
        codes = ["TransactionConflict" if key in self._held else "None" for key in keys]
        mine = set(keys) - self._held
        self._held |= mine
        if "TransactionConflict" in codes:
            self.conflicts += 1
            self._wait(CANCEL_SECONDS)
            self._held -= mine
            raise Cancelled(codes)
        self._wait(HELD_SECONDS)
        self._held -= mine
        self.committed.append(keys[0])
        self.shards.add(TransactItems[1]["Update"]["Key"]["bucket"]["S"].rpartition("#")[2])

    def _wait(self, median_seconds: float) -> None:
        self._time.sleep(median_seconds * math.exp(self._chance.gauss(0, SPREAD)))
