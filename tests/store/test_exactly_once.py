"""Settled exactly once, whatever stops, is lost or gets in between: seeded runs of callers who repeat until they know.

PROVE=1 makes 10,000 of them on paper. A seed that fails is named in the error's notes.
"""

from collections import Counter
from copy import replace
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from settlement.audit import Audit, Auditor
from settlement.buckets import HOUR_MS
from settlement.errors import Busy, OrderAlreadySettled
from settlement.ledger import Ledger
from settlement.orders import SettledClubOrder
from settlement.settling import Repeated
from settlement.store import Store
from settlement.totals import Totals
from tests.proof import few_or_many

from .perils import Killed, Perilous
from .test_totals import BOUNDARIES
from .virtual_time import VirtualTime
from .worlds import CLUB, QUIET, World, chance, club_order, make_world

RUNS = {"paper": few_or_many(500, 10_000), "moto": 20, "dynamodb_local": few_or_many(20, 200)}
RUNS_PER_TABLE = 20
"""What is scanned for a run holds the others of its table too."""


@dataclass(frozen=True, slots=True)
class Outcome:
    bill_no: str
    ratio: int
    settled: bool
    """Or repeated; False where the order had been settled on other terms."""


class Run:
    """Some orders of one or two accounts, and callers who settle them, all at one moment near an hour's end."""

    def __init__(self, world: World, seed: int) -> None:
        self.dice: Random = chance(seed)
        self.world = world
        self.time = VirtualTime()
        self.app = replace(self.dice.choice([CLUB, QUIET]), app_id=f"club-{seed}")
        self.client = Perilous(world, self.time, self.dice, peril=self.dice.choice([0, 0.1, 0.3]))
        self.start_ms = self.dice.choice(BOUNDARIES) - self.dice.choice([0, 10, 30, 60])
        self.later_ms = self.dice.choice([0, 0, 2 * HOUR_MS, 26 * HOUR_MS])
        self.orders = [
            club_order(
                f"b-{number}",
                openid=self.dice.choice(["o-1", "o-1", "o#2"]),
                amt=self.dice.choice([-1, 1]) * self.dice.choice([1, 7, 10**12]),
                source=self.dice.choice([0, 5, 16]),
            )
            for number in range(self.dice.randint(1, 3))
        ]
        self.outcomes: list[Outcome] = []
        self.audit = Audit()

    def now_ms(self) -> int:
        return self.start_ms + self.time.now_ms()

    def totals(self) -> Totals:
        return Totals(self.client.client, self.world.tables["TotalsTable"], self.dice.choice([1, 4]))

    def store(self) -> Store:
        """Of one host; its clock may be off by up to half a minute."""
        skew_ms = self.dice.choice([0, 0, -30_000, 30_000])
        ledger = Ledger(self.client.client, self.world.tables["NotificationTable"])
        orders = self.world.tables["SettlementTable"]
        return Store(self.client.client, orders, self.totals(), ledger, lambda: self.now_ms() + skew_ms)

    def settle(self, bill_no: str, openid: str, ratio: int) -> None:
        """A caller: repeats until it is told how things stand."""
        while True:
            try:
                done = self.store().settle_club_order(self.app, bill_no, openid, None, ratio)
            except OrderAlreadySettled:
                self.outcomes.append(Outcome(bill_no, ratio, settled=False))
                return
            except (Killed, ReadTimeoutError, Busy):
                self.time.sleep(self.dice.uniform(0, 0.05))
            else:
                assert isinstance(done, SettledClubOrder | Repeated)
                self.outcomes.append(Outcome(bill_no, ratio, settled=True))
                return

    def play(self) -> None:
        for order in self.orders:
            Store.create_club_order(self.world.store(), self.app.app_id, order)
            for _ in range(self.dice.randint(1, 3)):
                ratio = self.dice.choice([33, 33, 100])
                caller = lambda order=order, ratio=ratio: self.settle(order.bill_no, order.openid, ratio)  # noqa: E731
                self.time.at(self.dice.uniform(0, 0.05), caller)
        self.time.run()

    def rows(self, table: str, key: str) -> list[dict[str, Any]]:
        """Its own: its app's."""
        mine = f"{self.app.app_id}#"
        return [row for row in self.world.rows(table) if f"{row[key]['S'].removeprefix('club#')}#".startswith(mine)]

    def check(self) -> None:
        rows = {row["billno"]["S"].rpartition("#")[2]: row for row in self.rows("SettlementTable", "billno")}
        for order in self.orders:
            row = rows[order.bill_no]
            told = [outcome for outcome in self.outcomes if outcome.bill_no == order.bill_no]
            ratio = int(row["amt_ratio"]["N"])
            assert int(row["settle_hundredths"]["N"]) == order.amt * ratio
            # Whoever was told "settled" asked for what stands there, and the others did not.
            assert all(outcome.settled == (outcome.ratio == ratio) for outcome in told), told
            assert any(outcome.settled for outcome in told)
        notified = [row["body"]["S"] for row in self.rows("NotificationTable", "app_id")]
        assert len(notified) == (len(self.orders) if self.app.notify_url else 0)
        self.check_totals({name: int(row["settle_hundredths"]["N"]) for name, row in rows.items()})

    def check_totals(self, hundredths: dict[str, int]) -> None:
        expected: Counter[tuple[str, str, str]] = Counter()
        for order in self.orders:
            for only in ("", f".{order.source}"):
                for level in ("y", "m", "d"):
                    account = f"{self.app.app_id}#{order.openid}"
                    expected[account, f"{level}{only}", "h"] += hundredths[order.bill_no]
                    expected[account, f"{level}{only}", "n"] += 1
        found: Counter[tuple[str, str, str]] = Counter()
        for row in self.rows("TotalsTable", "app_openid"):
            for name, value in row.items():
                if name[0] in "hn":
                    level = row["bucket"]["S"].partition("#")[0]
                    found[row["app_openid"]["S"], level, name[0]] += int(value["N"])
        assert found == expected
        auditor = Auditor(self.world.store(), self.world.totals(), lambda: self.now_ms() + self.later_ms)
        since_ms = self.start_ms - HOUR_MS
        assert list(auditor.differences(self.app.app_id, since_ms, counted=self.audit)) == []
        assert self.audit.buckets >= 6


def test_every_order_is_settled_once_and_counted_once(paper_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    perils = make_runs(paper_world, monkeypatch)
    print(dict(perils))
    for peril in ("killed before", "killed after", "lost reply", "refused", "in progress"):
        assert perils[f"transact_write_items: {peril}"] > RUNS["paper"] / 100


def test_the_engines_say_so_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_runs(world, monkeypatch).total() > RUNS[world.engine] / 2


def make_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    perils: Counter[str] = Counter()
    for first in range(0, RUNS[world.engine], RUNS_PER_TABLE):
        tables = make_world(world.engine, world.client)
        for seed in range(first, first + RUNS_PER_TABLE):
            run = Run(tables, seed)
            with monkeypatch.context() as patched:
                patched.setattr("settlement.store.time", run.time)
                patched.setattr("settlement.store.random", run.dice)
                try:
                    run.play()
                    run.check()
                except BaseException as fault:
                    fault.add_note(f"seed {seed}, {run.client.met}")
                    raise
            perils.update(run.client.met)
        tables.delete()
    return perils


def test_what_the_runs_lean_on_sees_a_settlement_that_was_counted_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(world, 4)
    monkeypatch.setattr("settlement.store.time", run.time)
    run.play()
    run.check()
    row = world.rows("TotalsTable")[0]
    world.client.update_item(
        TableName=world.tables["TotalsTable"],
        Key={key: row[key] for key in ("app_openid", "bucket")},
        UpdateExpression="ADD #n :one",
        ExpressionAttributeNames={"#n": next(name for name in row if name[0] == "n")},
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    auditor = Auditor(world.store(), world.totals(), run.now_ms, pause=lambda _: None)
    assert len(list(auditor.differences(run.app.app_id, run.start_ms))) >= 1
