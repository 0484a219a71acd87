"""What pages, totals and settlements cost as an account's history grows, and what the naive ways cost beside them.

    make scale

One account, three months, 17 sources. The history is loaded in bulk, through the layer's own row builders: the same
bytes as settlements leave, which is checked. Up to --local settlements it lies on Amazon's DynamoDB Local, which tells
the capacity that each call consumed; a million take it too long (about a thousand rows a second), so up to --largest
it lies on paper (tests/paper.py), billed by DynamoDB's rules; where both were measured they must agree. Written
to bench/SCALE.md and bench/scale.png.
"""

import argparse
import gc
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import replace
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
from bench.capacity import BilledPaper, transaction_units
from bench.plots import draw
from botocore.config import Config
from tests.paper import Pages
from tests.store.dynamodb_local import running
from tests.store.worlds import CLUB, QUIET, World, make_world

from settlement.buckets import moment_of
from settlement.cursor import ListQuery, Position
from settlement.orders import Account, ClubOrder, ClubTerms, SettledClubOrder
from settlement.store import Store, created_club_row, settled_club_facts
from settlement.totals import NOTHING, Bucket, Sum, Totals, account_key, buckets_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FOLDER: Final = Path(__file__).parent
SHARDS: Final = 4
PAGE_SIZE: Final = 20
OPENID: Final = "oBench-0000000000000000000001"
RARE_SOURCE: Final = 9
RARE_COUNT: Final = 45
FIRST: Final = 100
"""All of the rare source are among them, and most are of the month: pages are as full in any history."""
LOADERS: Final = 4
CHECKED: Final = 10_000
"""Up to here each total is compared with the naive sum once more."""


def ms(month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(2026, month, day, hour, minute, 17, tzinfo=UTC).timestamp()) * 1000


START_MS, END_MS = ms(3, 1) - 17_000, ms(6, 1) - 17_000
MONTH_MS = ms(4, 1) - 17_000, ms(5, 1) - 17_000
RAGGED = ListQuery(QUIET.app_id, OPENID, None, ms(3, 11, 7, 41) // 1000, ms(5, 22, 16, 23) // 1000)
FILTERS: Final = {
    "none": ListQuery(QUIET.app_id, OPENID, None, None, None),
    "rare source": ListQuery(QUIET.app_id, OPENID, RARE_SOURCE, None, None),
    "month": ListQuery(QUIET.app_id, OPENID, None, ms(4, 1) // 1000 - 17, ms(5, 1) // 1000 - 18),
    "whole hours": ListQuery(QUIET.app_id, OPENID, None, ms(3, 11, 7) // 1000 - 17, ms(5, 22, 16) // 1000 - 18),
    "ragged": RAGGED,
    "ragged, rare source": ListQuery(QUIET.app_id, OPENID, RARE_SOURCE, RAGGED.start_seconds, RAGGED.end_seconds),
}


@dataclass(slots=True)
class Cost:
    """What some calls consumed."""

    calls: int = 0
    read_units: float = 0.0
    edge_units: float = 0.0
    """Of the read units: those of ragged ends, entry by entry."""
    read_bytes: int = 0
    """Of items, by DynamoDB's rule; what units are counted from."""
    seconds: float = 0.0


class Meter:
    """In a client's place: counts what its calls consume."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._cost = Cost()

    def __getattr__(self, name: str) -> Any:
        return self._query if name == "query" else getattr(self._client, name)

    def measure(self, act: Callable[[], object]) -> Cost:
        self._cost = Cost()
        started = time.perf_counter()
        act()
        cost, self._cost = self._cost, Cost()
        cost.seconds = time.perf_counter() - started
        return cost

    def get_paginator(self, name: str) -> Pages:
        return Pages(getattr(self, name))

    def _query(self, **request: Any) -> Any:
        answer = self._client.query(**request, ReturnConsumedCapacity="INDEXES")
        # DynamoDB Local bills nothing for a query that finds nothing; DynamoDB does.
        least = 1.0 if request.get("ConsistentRead") else 0.5
        units = max(answer["ConsumedCapacity"]["CapacityUnits"], least)
        self._cost.calls += 1
        self._cost.read_units += units
        self._cost.edge_units += units if request.get("ProjectionExpression", "").startswith("openid,") else 0
        self._cost.read_bytes += answer.get("ReadBytes", 0)
        return answer


# ------------------------------------------------------------------------------------------------------ the history


def history(largest: int) -> Iterator[SettledClubOrder]:
    """The same settlements for each size, the first so many of them."""
    dice = Random(4)  # noqa: S311  # the same every time
    others = [source for source in range(17) if source != RARE_SOURCE]
    for number in range(largest):
        source = RARE_SOURCE if number < RARE_COUNT else dice.choice(others)
        amt = dice.randint(1, 99_999) * (-1 if source in {8, 9} else 1)
        order = ClubOrder(
            f"bill-2026-{number:09d}", OPENID, amt, source, 7, "weekend match, table 12", Account(2, "club-9", None)
        )
        span = (START_MS, END_MS) if number >= FIRST or number % 5 == 0 else MONTH_MS
        yield SettledClubOrder(order, ClubTerms(amt * 100, 100), dice.randrange(*span))


def order_row(settled: SettledClubOrder, created_at_ms: int) -> dict[str, Any]:
    return {
        **created_club_row(QUIET.app_id, settled.order, created_at_ms),
        **settled_club_facts(QUIET.app_id, settled),
    }


@dataclass(slots=True)
class Loader:
    world: World
    client: Any
    dice: Random = field(default_factory=lambda: Random(7))  # noqa: S311  # the same every time
    sums: dict[tuple[str, int], dict[int, Sum]] = field(default_factory=dict)
    """By row and shard, then by part."""
    changed: set[tuple[str, int]] = field(default_factory=set)

    def load(self, settled: Iterable[SettledClubOrder]) -> None:
        self.put("SettlementTable", [self._row(one) for one in settled])
        self.put("TotalsTable", [self.totals_row(*key) for key in self.changed])
        self.changed.clear()

    def _row(self, settled: SettledClubOrder) -> dict[str, Any]:
        self.count(settled, self.dice.randrange(SHARDS))
        return order_row(settled, settled.settle_time_ms - 60_000)

    def count(self, settled: SettledClubOrder, shard: int) -> None:
        for source in (None, settled.order.source):
            for bucket in buckets_of(moment_of(settled.settle_time_ms), source):
                self._add(bucket, shard, Sum(settled.terms.settle_hundredths, 1))

    def _add(self, bucket: Bucket, shard: int, addition: Sum) -> None:
        parts = self.sums.setdefault((bucket.row, shard), {})
        parts[bucket.part] = parts.get(bucket.part, NOTHING).plus(addition)
        self.changed.add((bucket.row, shard))

    def totals_row(self, row: str, shard: int) -> dict[str, Any]:
        item = {"app_openid": {"S": account_key(QUIET.app_id, OPENID)}, "bucket": {"S": f"{row}#{shard}"}}
        for part, part_sum in self.sums[row, shard].items():
            item[f"h{part:02d}"] = {"N": str(part_sum.hundredths)}
            item[f"n{part:02d}"] = {"N": str(part_sum.count)}
        return item

    def put(self, table: str, rows: list[dict[str, Any]]) -> None:
        if isinstance(self.client, BilledPaper):
            self.client.tables[self.world.tables[table]].load(rows)
            return

        def write(batch: tuple[dict[str, Any], ...]) -> None:
            requests: Any = {self.world.tables[table]: [{"PutRequest": {"Item": row}} for row in batch]}
            while requests:
                requests = self.client.batch_write_item(RequestItems=requests)["UnprocessedItems"]

        with ThreadPoolExecutor(LOADERS) as loaders:
            list(loaders.map(write, batched(rows, 25, strict=False)))


def check_same_bytes(world: World) -> None:
    """Rows that were settled one by one are those that are loaded in bulk."""
    for number, made in enumerate(history(30)):
        settled = world.settle(f"same-{number}", START_MS, openid="same", source=made.order.source, amt=made.order.amt)
        key = {"billno": {"S": f"club#{QUIET.app_id}#same-{number}"}}
        stored = world.client.get_item(TableName=world.tables["SettlementTable"], Key=key)["Item"]
        if stored != order_row(settled, START_MS):
            raise SystemExit(f"bulk rows are not what settling leaves: {stored}")


# ------------------------------------------------------------------------------------------------- what is measured


def first_page(store: Store, query: ListQuery) -> list[SettledClubOrder]:
    store.total(query, END_MS)
    return store.settled_page(query, None, PAGE_SIZE + 1)


def naive_sum(client: Any, world: World, query: ListQuery) -> int:
    """Every entry of the range from the account's index, added up; a source by a filter expression."""
    total = 0
    for page in naive_pages(client, world, query):
        total += sum(int(item["settle_hundredths"]["N"]) for item in page["Items"])
    return total


def naive_page(client: Any, world: World, query: ListQuery) -> int:
    """Entries until a page is full."""
    found = 0
    for page in naive_pages(client, world, query):
        found += len(page["Items"])
        if found > PAGE_SIZE:
            break
    return found


def naive_pages(client: Any, world: World, query: ListQuery) -> Iterator[dict[str, Any]]:
    values: dict[str, Any] = {
        ":key": {"S": account_key(query.app_id, query.openid)},
        ":start": {"N": str((query.start_seconds or 0) * 1000)},
        ":last": {"N": str((query.end_seconds or 2**40) * 1000 + 999)},
    }
    request: dict[str, Any] = {
        "TableName": world.tables["SettlementTable"],
        "IndexName": "openid-settle_time-index",
        "KeyConditionExpression": "app_openid = :key AND settle_time BETWEEN :start AND :last",
        "ScanIndexForward": False,
    }
    if query.source is not None:
        request |= {"FilterExpression": "#source = :source", "ExpressionAttributeNames": {"#source": "source"}}
        values[":source"] = {"N": str(query.source)}
    while True:
        page: Any = client.query(**request, ExpressionAttributeValues=values)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def write_units(loader: Loader, notify_url: str | None) -> dict[str, int]:
    """Of one more settlement of the account, on rows that are as full as they are, by component. It takes shard 0."""
    world = loader.world
    world.now_ms = END_MS - 1000
    bill_no = f"one more {len(loader.sums)} {notify_url}"
    order = ClubOrder(bill_no, OPENID, 1000, 5, 7, "weekend match, table 12", Account(2, "club-9", None))
    store = world.store(shards=1)
    store.create_club_order(QUIET.app_id, order)
    writes: list[dict[str, Any]] = []

    def watch(real: Callable[..., Any], **transaction: Any) -> Any:
        writes.extend(transaction["TransactItems"])
        return real(**transaction)

    world.meddled.instead_of("transact_write_items", watch)
    store.settle_club_order(replace(QUIET, notify_url=notify_url), bill_no, OPENID, None, None)
    loader.count(SettledClubOrder(order, ClubTerms(100_000, 100), world.now_ms), shard=0)
    left: dict[str, list[Any]] = {}
    for write in writes:
        [request] = write.values()
        table = request["TableName"].partition("-")[0]
        key = request.get("Key") or {"notify_id": request["Item"]["notify_id"]}
        left.setdefault(table, []).append(world.client.get_item(TableName=request["TableName"], Key=key)["Item"])
    units: dict[str, int] = {}
    for table, items in left.items():
        units |= transaction_units(table, items)
    return units


type Row = tuple[int, str, str, Cost]
"""Settlements, what, filter, and its cost."""


def measure(meter: Meter, world: World, store: Store, count: int) -> Iterator[Row]:
    for name, query in FILTERS.items():
        yield count, "first page", name, meter.measure(partial(first_page, store, query))
        yield count, "later page", name, _later(store, query, meter)
        yield count, "naive: query and sum", name, meter.measure(partial(naive_sum, meter, world, query))
        if query.source is not None:
            yield count, "naive: page by filter", name, meter.measure(partial(naive_page, meter, world, query))
        if count <= CHECKED and store.total(query, END_MS).hundredths != naive_sum(world.client, world, query):
            raise SystemExit(f"the total of {count} settlements, {name}, is not their sum")


def _later(store: Store, query: ListQuery, meter: Meter) -> Cost:
    last = store.settled_page(query, None, PAGE_SIZE)[-1]
    after = Position(last.settle_time_ms, last.order.bill_no)
    return meter.measure(lambda: store.settled_page(query, after, PAGE_SIZE + 1))


# ---------------------------------------------------------------------------------------------------------- results


def told(rows: list[Row], local: list[Row], units: dict[int, dict[str, dict[str, int]]], rows_per_second: float) -> str:
    sizes, most_local = sorted({row[0] for row in rows}), max(row[0] for row in local)
    largest, smallest = sizes[-1], sizes[0]
    milliseconds = {(count, what, name): f"{cost.seconds * 1000:.0f}" for count, what, name, cost in local}
    lines = [
        "# What scale costs",
        "",
        f"By `make scale`: {smallest:,} to {largest:,} settlements of one account over three months, 17 sources,",
        f"{SHARDS} shards, pages of {PAGE_SIZE}. Units by DynamoDB's rules; up to {most_local:,} they",
        "were measured on DynamoDB Local too, and agreed (the naive ways to a unit a page). ms: there, on this",
        f"machine, while others used it. DynamoDB Local took {rows_per_second:,.0f} rows a second.",
        "",
        "![read units and calls](scale.png)",
        "",
        f"## At {largest:,} against {smallest:,}",
        "",
        "| what | filter | calls | read units | without ragged edges |",
        "|---|---|--:|--:|--:|",
    ]
    order = list(dict.fromkeys((what, name) for _, what, name, _ in rows))
    by_key = {(count, what, name): cost for count, what, name, cost in rows}
    for what, name in order:
        small, large = by_key[smallest, what, name], by_key[largest, what, name]
        pairs = (
            (large.calls, small.calls),
            (large.read_units, small.read_units),
            (large.read_units - large.edge_units, small.read_units - small.edge_units),
        )
        ratios = " | ".join(f"{much / little:,.2f}x" if little else "-" for much, little in pairs)
        lines.append(f"| {what} | {name} | {ratios} |")
    lines += [
        "",
        "## Each size",
        "",
        "| what | filter | settlements | calls | read units | of them ragged edges | bytes read | ms |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for count, what, name, cost in sorted(rows, key=lambda row: (order.index((row[1], row[2])), row[0])):
        lines.append(
            f"| {what} | {name} | {count:,} | {cost.calls:,} | {cost.read_units:,g} | {cost.edge_units:g} | "
            f"{cost.read_bytes:,} | {milliseconds.get((count, what, name), '')} |"
        )
    lines += ["", "## Write units of one settlement", ""]
    lines.append("| component | " + " | ".join(f"{kind}, {size:,}" for size in units for kind in units[size]) + " |")
    lines.append("|---|" + "--:|" * sum(map(len, units.values())))
    for part in dict.fromkeys(part for kinds in units.values() for parts in kinds.values() for part in parts):
        told_units = (str(parts.get(part, 0)) for kinds in units.values() for parts in kinds.values())
        lines.append(f"| {part} | {' | '.join(told_units)} |")
    together = (str(sum(parts.values())) for kinds in units.values() for parts in kinds.values())
    lines.append(f"| together | {' | '.join(together)} |")
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class Bench:
    rows: list[Row] = field(default_factory=list)
    write_units: dict[int, dict[str, dict[str, int]]] = field(default_factory=dict)
    """By settlements and kind of app."""
    load_seconds: float = 0.0

    def run(self, client: Any, sizes: list[int]) -> None:
        world = make_world("bench", client)
        check_same_bytes(world)
        meter, loader = Meter(client), Loader(world, client)
        totals = Totals(cast("DynamoDBClient", meter), world.tables["TotalsTable"], SHARDS)
        store = Store(
            cast("DynamoDBClient", meter), world.tables["SettlementTable"], totals, world.ledger, lambda: END_MS
        )
        settled, loaded = history(sizes[-1]), 0
        for size in sizes:
            started = time.perf_counter()
            loader.load(one for one, _ in zip(settled, range(size - loaded), strict=False))
            self.load_seconds += time.perf_counter() - started
            loaded = size
            self.rows += measure(meter, world, store, size)
            print(f"{size:,} settlements: loaded in {self.load_seconds:,.0f} s", flush=True)
            if size in {sizes[0], sizes[-1]}:
                self.write_units[size] = {
                    "quiet app": write_units(loader, None),
                    "notified app": write_units(loader, CLUB.notify_url),
                }


def check_agreement(paper: list[Row], local: list[Row]) -> None:
    """In every call and read unit; the naive ways' up to a unit a page: Local ends its pages elsewhere."""
    billed = {(count, what, name): cost for count, what, name, cost in paper}
    for count, what, name, measured in local:
        cost = billed[count, what, name]
        pages = max(cost.calls, measured.calls) if "naive" in what else 0
        if abs(cost.read_units - measured.read_units) > pages or (cost.calls != measured.calls and not pages):
            raise SystemExit(f"paper and DynamoDB Local differ: {count:,}, {what}, {name}: {cost}, {measured}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--largest", type=int, default=1_000_000)
    arguments.add_argument("--local", type=int, default=10_000)
    given = arguments.parse_args()
    sizes = [10**power for power in range(2, 7) if 10**power <= given.largest]
    gc.disable()  # a million rows are none, and are looked through again and again
    paper, local = Bench(), Bench()
    paper.run(BilledPaper(), sizes)
    with running() as url:
        client = boto3.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="bench",
            aws_secret_access_key="bench",  # noqa: S106  # any will do
            config=Config(read_timeout=300, max_pool_connections=LOADERS * 2),
        )
        local_sizes = [size for size in sizes if size <= given.local]
        local.run(client, local_sizes)
    text = told(paper.rows, local.rows, paper.write_units, local_sizes[-1] / local.load_seconds)
    print(text)
    (FOLDER / "SCALE.md").write_text(text, encoding="utf-8")
    draw(
        [(count, what, name, cost.read_units, cost.calls) for count, what, name, cost in paper.rows],
        FOLDER / "scale.png",
    )
    check_agreement(paper.rows, local.rows)


if __name__ == "__main__":
    main()
