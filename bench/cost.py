"""What a settlement costs, from the API call to the acknowledged notification: calls, units, GB-ms, dollars a million.

    .venv/bin/python -m bench.cost

The real functions, one settlement's way after another, on Amazon's DynamoDB Local, which tells what each call consumed;
what it tells of transactions is too little (see bench/capacity.py), so those count by AWS's documented rules. CPU is
measured here against the stub, waits and prices are data (bench/prices.py). Written to bench/COST.md, and the tables by
step and by month to docs/operations.md.
"""

import importlib.util
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import boto3
from bench import prices
from bench.capacity import index_entries, item_bytes, transaction_units
from bench.cold import write_events
from bench.contestants import Contestant, contestants, ours
from bench.rows import rows
from bench.stub import calls, stub
from bench.warm import Turns, workers
from tests.store.dynamodb_local import running

from settlement import clients
from settlement.apps import AppRegistry
from settlement.clock import now_ms
from settlement.keyring import Keyring
from settlepoint_local.in_process import LambdaContext
from settlepoint_local.lambda_events import api_event, sqs_event, stream_event
from settlepoint_local.project import REGION, ROOT
from settlepoint_local.scene import APPS, Scene
from settlepoint_local.situations import BILL, THIS_BILL, json_bytes
from settlepoint_local.template import dashboard_metrics, endpoints, table_definitions, template

DOORS: Final = ("create_club_order", "set_club_jf_settle", "queue_notifications", "deliver_notification")
BATCH: Final = 10
"""Notifications of a busy moment in one batch of the stream and of the queue."""
OPERATIONS: Final = ROOT / "docs" / "operations.md"
_WRITE_BYTES: Final = 1024


class Bill:
    """What one step took."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.local: dict[str, float] = {}
        """Units as DynamoDB Local tells them, by table."""
        self.write_units: dict[str, float] = {}
        self.read_units: dict[str, float] = {}
        self.log_bytes = 0


def measured_bills() -> dict[str, Bill]:
    scene = Scene(now_ms=now_ms())
    bills = {door: Bill() for door in DOORS}
    with running() as database, stub(partial(rows, scene)) as url, _environment(ours("settle"), url, database):
        tables = boto3.client("dynamodb", region_name=REGION, endpoint_url=database)
        for name, definition in table_definitions().items():
            tables.create_table(TableName=name, **definition)  # type: ignore[misc]
        keyring = Keyring(clients.secrets_manager, "settlepoint/master")
        _create_app(tables, keyring, f"{url}/receiver")
        watched: list[Bill] = []
        _watch(clients.dynamodb(), watched)
        loaded = {door: _function(door) for door in DOORS}

        def step(door: str, event: Any, *, keep: bool) -> Any:
            bill = bills[door] if keep else Bill()
            watched[:] = [bill]
            calls(url)
            said = StringIO()
            with redirect_stdout(said):
                _log_to(said)
                answer = loaded[door].handler(event, LambdaContext(door))
            bill.log_bytes += len(said.getvalue().encode())
            if keep:
                bill.calls.update({name: number for name, number in calls(url).items() if "Secret" not in name})
            if "statusCode" in (answer or {}) and json.loads(answer["body"])["ret"] != 0:
                raise SystemExit(f"{door} answered {answer}")
            return answer

        for keep, bill_no in ((False, "bill-warm-up"), (True, "bill-1001")):  # the first call reads app and secret too
            order, settled = {**BILL, "bill_no": bill_no}, {**THIS_BILL, "bill_no": bill_no}
            step("create_club_order", _api(scene, "create_club_order", order), keep=keep)
            created = _order_row(tables, bill_no)
            step("set_club_jf_settle", _api(scene, "set_club_jf_settle", settled), keep=keep)
            [ledger_row] = [
                row for row in _all(tables, "NotificationTable") if bill_no in row.get("body", {}).get("S", "")
            ]
            key = {"notify_id": ledger_row["notify_id"]}
            step("queue_notifications", stream_event([("INSERT", key, ledger_row)], scene.now_ms), keep=keep)
            message = json.dumps({"notify_id": ledger_row["notify_id"]["S"], "attempt": 1})
            step("deliver_notification", sqs_event([message], scene.now_ms), keep=keep)
            if keep:
                delivered = tables.get_item(TableName="NotificationTable", Key=key)["Item"]
                _write_units(
                    bills, created, _order_row(tables, bill_no), _all(tables, "TotalsTable"), ledger_row, delivered
                )
    return bills


def _write_units(
    bills: dict[str, Bill], created: Any, settled: Any, totals: list[Any], ledger_row: Any, delivered: Any
) -> None:
    """By the documented rules. Totals: six rows of an account, of which each is below a kilobyte."""
    units = math.ceil(item_bytes(created) / _WRITE_BYTES)
    bills["create_club_order"].write_units = {"SettlementTable": units}
    six = sorted(totals, key=item_bytes)[-6:]
    for table, items in (("SettlementTable", [settled]), ("TotalsTable", six), ("NotificationTable", [ledger_row])):
        bills["set_club_jf_settle"].write_units |= transaction_units(table, items)
    # The claim and the record are an update each; the record takes the row out of the due index.
    each = math.ceil(max(item_bytes(ledger_row), item_bytes(delivered)) / _WRITE_BYTES)
    gone = [size for name, size in index_entries("NotificationTable", ledger_row).items() if name == "due-index"]
    listed = [size for name, size in index_entries("NotificationTable", delivered).items() if name != "due-index"]
    bills["deliver_notification"].write_units = {
        "NotificationTable claim": each,
        "NotificationTable record": each,
        "NotificationTable due-index": sum(math.ceil(size / _WRITE_BYTES) for size in gone),
        "NotificationTable other indexes": sum(math.ceil(size / _WRITE_BYTES) for size in listed),
    }
    bills["set_club_jf_settle"].read_units = {"SettlementTable": math.ceil(item_bytes(created) / 4096)}
    bills["deliver_notification"].read_units = {"NotificationTable breaker": 1}


def cpu_ms() -> dict[str, float]:
    """Of one call of each door, against the stub."""
    measured = [_by_door(door) for door in DOORS]
    with stub(partial(rows, Scene(now_ms=now_ms()))) as url:
        write_events()
        with workers(measured, url) as started:
            found = {worker.contestant.door: Turns() for worker in started}
            for worker in started:
                worker.turn(30)
            for _ in range(9):
                for worker in started:
                    worker.turn(40, found[worker.contestant.door])
    return {door: turns.cpu for door, turns in found.items()}


def _by_door(door: str) -> Contestant:
    jobs = {"set_club_jf_settle": "settle", "deliver_notification": "deliver"}
    return contestants(jobs[door])[0] if door in jobs else ours(door)


def lambda_ms(door: str, bill: Bill, cpu: float, batch: int) -> float:
    """Billed milliseconds for one settlement: CPU on the memory's share of a processor, and waiting.

    In a batch the stream's one call of SQS serves all, and deliveries wait side by side.
    """
    waits = sum(prices.WAIT_MS[name.partition(" ")[0]] * number for name, number in bill.calls.items())
    slower = prices.VCPU_MB / prices.MEMORY_MB
    return cpu * slower + (waits / batch if door in {"queue_notifications", "deliver_notification"} else waits)


def components(bills: dict[str, Bill], cpu: dict[str, float], batch: int) -> list[tuple[str, float, str]]:
    """Name, number per settlement, price name."""
    found: list[tuple[str, float, str]] = []
    for door, bill in bills.items():
        if door in endpoints():
            found += [
                (f"{door}: API Gateway", 1, "API Gateway request"),
                (f"{door}: X-Ray", prices.SAMPLED_TRACES, "X-Ray trace"),
            ]
        shared = batch if door in {"queue_notifications", "deliver_notification"} else 1
        found += [(f"{door}: writes, {name}", units, "DynamoDB write unit") for name, units in bill.write_units.items()]
        reads = sum(bill.read_units.values())
        found += [(f"{door}: reads", reads, "DynamoDB read unit")] if reads else []
        gb = prices.MEMORY_MB / 1024
        found += [
            (f"{door}: Lambda requests", 1 / shared, "Lambda request"),
            (f"{door}: Lambda time", lambda_ms(door, bill, cpu[door], batch) * gb, "Lambda GB-ms"),
            (f"{door}: logs and metrics", bill.log_bytes, "CloudWatch Logs byte"),
        ]
    return [
        *found,
        ("queue_notifications: SQS, send", 1 / batch, "SQS request"),
        ("deliver_notification: SQS, receive and delete by Lambda's poller", 2 / batch, "SQS request"),
    ]


def by_step(found: list[tuple[str, float, str]]) -> str:
    """Dollars a million settlements: a row for each step, a column for each service."""
    services = list(dict.fromkeys(prices.SERVICES.values()))
    dollars: dict[str, dict[str, float]] = {door: dict.fromkeys(services, 0.0) for door in DOORS}
    for name, number, price in found:
        dollars[name.partition(":")[0]][prices.SERVICES[price]] += number * prices.PER_MILLION[price]
    total = {service: sum(row[service] for row in dollars.values()) for service in services}
    lines = [f"| | {' | '.join(services)} | all |", f"|---|{'--:|' * (len(services) + 1)}"]
    for step, row in {**{f"`{door}`": row for door, row in dollars.items()}, "**together**": total}.items():
        cells = [f"{row[service]:.2f}" if row[service] else "" for service in services]
        lines.append(f"| {step} | {' | '.join(cells)} | {sum(row.values()):.2f} |")
    return "\n".join(lines)


def by_month() -> str:
    """Dollars a month whether or not anything is settled, by what the template has."""
    kinds = Counter(resource["Type"] for resource in template()["Resources"].values())
    functions = kinds["AWS::Serverless::Function"]
    gb, month = prices.MEMORY_MB / 1024, prices.PER_MONTH
    metrics = len({drawn for drawn in dashboard_metrics() if drawn[0] == "Settlepoint"})
    cached = functions * gb * prices.SNAPSTART_CACHE_PER_GB_SECOND * prices.HOURS_A_MONTH * 3600
    restored = 1e6 * gb * prices.SNAPSTART_RESTORE_PER_GB
    rules = len(template()["Resources"]["ApiWebAcl"]["Properties"]["Rules"])
    rows = [
        (f"{kinds['AWS::CloudWatch::Alarm']} alarms", kinds["AWS::CloudWatch::Alarm"] * month["alarm"]),
        (f"some {metrics} metrics of ours, while they are written", metrics * month["custom metric"]),
        ("dashboard, after an account's first three", kinds["AWS::CloudWatch::Dashboard"] * month["dashboard"]),
        ("master secret", kinds["AWS::SecretsManager::Secret"] * month["secret"]),
        (
            f"`WebAcl`, and {prices.WEB_ACL_PER_MILLION:.2f} a million calls",
            month["web ACL"] + rules * month["web ACL rule"],
        ),
        (
            f"`SnapStart`, {functions} functions of {prices.MEMORY_MB} MB, and {restored:.0f} a million cold starts",
            cached,
        ),
    ]
    return "\n".join(["| a month | |", "|---|--:|", *(f"| {name} | {dollars:.2f} |" for name, dollars in rows)])


def with_tables(page: str, tables: dict[str, str]) -> str:
    """The page with its tables between their marks, `<!-- name -->` and `<!-- end of name -->`. Raises ValueError."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(end)
        if not (found and ended):
            raise ValueError(f"the page has no marks for {name}")
        page = f"{before}{begin}{table}\n{end}{after}"
    return page


def report(bills: dict[str, Bill], cpu: dict[str, float]) -> str:
    alone, busy = components(bills, cpu, 1), components(bills, cpu, BATCH)
    dollars = [[number * prices.PER_MILLION[price] for _, number, price in found] for found in (alone, busy)]
    lines = [
        f"| {name} | {number:.4g} | {price} | {one:.3f} | {many:.3f} |"
        for (name, number, price), one, many in zip(alone, *dollars, strict=True)
    ]
    groups: dict[str, float] = {}
    for (name, _, price), one in zip(alone, dollars[0], strict=True):
        group = "DynamoDB write unit, totals" if "TotalsTable" in name else price
        groups[group] = groups.get(group, 0) + one
    total = sum(dollars[0])
    ranking = sorted(groups.items(), key=lambda group: -group[1])
    ranked = "\n".join(f"| {name} | {sum_:.2f} | {sum_ / total:.0%} |" for name, sum_ in ranking)
    steps = "\n".join(
        f"| {door} | {', '.join(f'{n} {call}' for call, n in bill.calls.items())} | "
        f"{', '.join(f'{n:g} {table}' for table, n in bill.local.items())} | {sum(bill.write_units.values()):g} | "
        f"{cpu[door]:.2f} | {lambda_ms(door, bill, cpu[door], 1):.0f} | {bill.log_bytes} |"
        for door, bill in bills.items()
    )
    words = Path(__file__).with_name("COST_NOTES.md")
    return f"""# What a settlement costs

`.venv/bin/python -m bench.cost`, {time.strftime("%Y-%m-%d", time.gmtime())}. One club order: created, settled, its \
notification queued, delivered and acknowledged; app and secret in their caches. List prices of {prices.REGION} as of \
{prices.AS_OF} (bench/prices.py), {prices.MEMORY_MB} MB arm64. Not in it: storage, backups, traffic, alarms.

{words.read_text(encoding="utf-8") if words.exists() else ""}
## The steps

| step | calls | units that DynamoDB Local tells | write units billed | CPU ms here | Lambda ms billed | log bytes |
|---|---|---|---:|---:|---:|---:|
{steps}

## Dollars a million settlements

Alone: every settlement by itself. Busy: {BATCH} notifications in a batch.

| component | per settlement | of | alone | busy |
|---|---:|---|---:|---:|
{"\n".join(lines)}
| **all** | | | **{total:.2f}** | **{sum(dollars[1]):.2f}** |

## What dominates

| | alone | share |
|---|---:|---:|
{ranked}
"""


@contextmanager
def _environment(contestant: Contestant, url: str, database: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(contestant.environment(url, AWS_ENDPOINT_URL_DYNAMODB=database))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _create_app(tables: Any, keyring: Keyring, receiver: str) -> None:
    AppRegistry(tables, "AppTable").create(APPS["club-a"], keyring)
    AppRegistry(tables, "AppTable").update("club-a", notify_url=receiver)


def _watch(client: Any, watched: list[Bill]) -> None:
    """Asks every call what it consumed, and writes it on the bill of the step."""

    def ask(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def note(parsed: dict[str, Any], model: Any, **_: Any) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        for part in consumed if isinstance(consumed, list) else [consumed]:
            local = watched[0].local
            local[part["TableName"]] = local.get(part["TableName"], 0) + part["CapacityUnits"]
        watched[0].calls[model.name] += 1

    client.meta.events.register("provide-client-params.dynamodb.*", ask)
    client.meta.events.register("after-call.dynamodb.*", note)


def _function(door: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{door}", ROOT / "functions" / door / "app.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(door)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _log_to(stream: StringIO) -> None:
    import logging  # noqa: PLC0415

    for handler in logging.getLogger(os.environ["POWERTOOLS_SERVICE_NAME"]).handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(stream)


def _api(scene: Scene, door: str, body: Any) -> Any:
    sent = json_bytes(body)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {scene.token('club-a')}"}
    return api_event(f"{door}/cost", endpoints()[door], scene.now_ms, body=sent, headers=headers)


def _order_row(tables: Any, bill_no: str) -> Any:
    return tables.get_item(TableName="SettlementTable", Key={"billno": {"S": f"club#club-a#{bill_no}"}})["Item"]


def _all(tables: Any, name: str) -> list[Any]:
    found: list[Any] = tables.scan(TableName=name)["Items"]
    return found


def main() -> None:
    bills, cpu = measured_bills(), cpu_ms()
    text = report(bills, cpu)
    tables = {"cost by step": by_step(components(bills, cpu, 1)), "cost by month": by_month()}
    page = OPERATIONS.read_text(encoding="utf-8")
    OPERATIONS.write_text(with_tables(page, tables), encoding="utf-8")
    Path(__file__).with_name("COST.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
