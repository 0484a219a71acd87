"""A store on tables of its own, a clock that is set by hand, and a client that can be meddled with."""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import replace
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from settlement.apps import App, AppRegistry, SecretVersion
from settlement.keyring import Keyring
from settlement.ledger import Ledger
from settlement.orders import ClubOrder, GameOrder, SettledClubOrder
from settlement.store import Store
from settlement.totals import Totals
from settlepoint_local.template import table_definitions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW_MS = 1_795_000_000_000
CLUB = App(
    app_id="club-a",
    name="Club A",
    roles=frozenset({"club", "merchant"}),
    status="enabled",
    notify_url="https://club-a.example/settled",
    mg_ids=frozenset(),
    for_apps=frozenset(),
    secret_versions=(SecretVersion(1, 1),),
    signing_version=1,
    created_at_ms=NOW_MS,
)
QUIET = replace(CLUB, app_id="club-q", notify_url=None)


class Meddled:
    """A client whose calls can be counted, preceded by something, or answered otherwise."""

    def __init__(self, client: "DynamoDBClient") -> None:
        self._client = client
        self._instead: dict[str, Callable[..., Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        if not callable(real) or name == "get_paginator":
            return real

        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            return self._instead[name](real, **arguments) if name in self._instead else real(**arguments)

        return call

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)

    def instead_of(self, name: str, act: Callable[..., Any]) -> None:
        """`act` gets the real call and its arguments."""
        self._instead[name] = act

    def before_first(self, name: str, act: Callable[[], object]) -> None:
        """`act` happens once, between what was read and this call."""
        waiting = [act]

        def once(real: Callable[..., Any], **arguments: Any) -> Any:
            if waiting:
                waiting.pop()()
            return real(**arguments)

        self._instead[name] = once

    def cancelled(self, *codes: str) -> Exception:
        """A cancelled transaction with these reasons."""
        reasons = [{"Code": code} for code in codes]
        response = {"Error": {"Code": "TransactionCanceledException", "Message": "x"}, "CancellationReasons": reasons}
        return self._client.exceptions.TransactionCanceledException(cast("Any", response), "TransactWriteItems")

    def error(self, code: str, operation: str) -> Exception:
        kind: type[Exception] = getattr(self._client.exceptions, code)
        return kind({"Error": {"Code": code, "Message": "x"}}, operation)


@dataclass
class World:
    engine: str
    client: "DynamoDBClient"
    tables: dict[str, str]
    now_ms: int = NOW_MS
    meddled: Meddled = field(init=False)

    def __post_init__(self) -> None:
        self.meddled = Meddled(self.client)

    @property
    def meddled_client(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", self.meddled)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.meddled_client, self.tables["NotificationTable"])

    @property
    def apps(self) -> AppRegistry:
        return AppRegistry(self.meddled_client, self.tables["AppTable"])

    def totals(self, shards: int = 4) -> Totals:
        return Totals(self.meddled_client, self.tables["TotalsTable"], shards)

    def store(self, shards: int = 4) -> Store:
        orders = self.tables["SettlementTable"]
        return Store(self.meddled_client, orders, self.totals(shards), self.ledger, lambda: self.now_ms)

    def delete(self) -> None:
        for table in self.tables.values():
            self.client.delete_table(TableName=table)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table whole, rows sorted, to see that nothing, or just this, was written."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.tables[table])
        return sorted((row for page in pages for row in page["Items"]), key=str)

    def everything(self) -> list[list[dict[str, Any]]]:
        return [self.rows(table) for table in sorted(self.tables)]

    def settle(
        self,
        bill_no: str,
        at_ms: int,
        *,
        openid: str = "o-1",
        source: int = 5,
        amt: int = 10,
        ratio: int = 100,
        shards: int = 4,
    ) -> SettledClubOrder:
        """Creates an order of an app without notifications and settles it at a moment."""
        self.now_ms = at_ms
        store = self.store(shards)
        assert store.create_club_order(QUIET.app_id, club_order(bill_no, openid=openid, source=source, amt=amt))
        settled = store.settle_club_order(QUIET, bill_no, openid, None, ratio)
        assert isinstance(settled, SettledClubOrder)
        return settled

    @contextmanager
    def quickly(self) -> Iterator[None]:
        """While many rows are made: moto copies all tables for a transaction, so there its parts are written singly."""
        if self.engine != "moto":
            yield
            return

        def singly(_: Callable[..., Any], TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
            for item in TransactItems:
                self.client.update_item(**item["Update"])

        self.meddled.instead_of("transact_write_items", singly)
        yield
        del self.meddled._instead["transact_write_items"]


def club_order(bill_no: str = "b-1", **changes: Any) -> ClubOrder:
    return replace(ClubOrder(bill_no, "o-1", 1000, 5, 7, "prize", None), **changes)


def game_order(out_order_id: str = "out-1", **changes: Any) -> GameOrder:
    return replace(GameOrder(out_order_id, "mg-1", "room-1", "gift", "u-1", "u-2", 10, None, None), **changes)


def make_world(engine: str, client: "DynamoDBClient") -> World:
    """New tables, as template.yaml has them."""
    suffix = uuid.uuid4().hex[:12]
    tables = {}
    for name, definition in table_definitions().items():
        tables[name] = f"{name}-{suffix}"
        client.create_table(TableName=tables[name], **definition)  # type: ignore[misc]
    return World(engine, client, tables)


class Time:
    """The store's clock and pauses: a pause passes at once, and the clock shows it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def keyring() -> Keyring:
    secrets = SimpleNamespace(get_secret_value=lambda **_: {"SecretString": '{"1":"master"}'})
    return Keyring(lambda: cast("Any", secrets), "master")


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311  # the same every time
