"""`settlectl settlements list` and `settlectl totals`, on real tables."""

import csv
import io
import json
from decimal import Decimal
from functools import partial
from typing import Any

import boto3
import pytest
import simplejson

from settlectl import settlements
from settlectl.deployment import Deployment
from settlement.apps import App
from settlement.clock import now_ms
from settlement.orders import Account, ClubOrder
from settlement.store import Store
from settlepoint_local.scene import APPS

from .conftest import Run

CLUB: App = APPS["club-a"]
OPENID = "user-1"
HOUR_MS = 3_600_000
FIRST_MS = now_ms() - 3 * HOUR_MS


def settle(deployment: Deployment, count: int, *, openid: str = OPENID) -> None:
    """One a second from FIRST_MS on; every other of source 6."""
    for number in range(count):
        clock = partial(int, FIRST_MS + number * 1000)
        store = Store(boto3.client("dynamodb"), "SettlementTable", deployment.totals, deployment.ledger, clock)
        amt = 10**12 - number if number % 2 else -7
        order = ClubOrder(
            f"b-{number}" if openid == OPENID else f"{openid}-{number}",
            openid,
            amt,
            5 + number % 2,
            7,
            '=1,"x"\n\x1b[31m',
            Account(2, "c", None),
        )
        store.create_club_order(CLUB.app_id, order)
        store.settle_club_order(CLUB, order.bill_no, openid, None, 33)


@pytest.fixture(scope="module", autouse=True)
def club_is_old() -> None:
    assert CLUB.created_at_ms < FIRST_MS


@pytest.fixture
def listing(run: Run) -> Any:
    return lambda *more: run("settlements", "list", "--app-id", CLUB.app_id, "--openid", OPENID, *more)


TOTAL = sum(((10**12 - n if n % 2 else -7) * 33 for n in range(5)), 0)


def test_all_pages_are_listed_exactly_in_every_form(
    deployment: Deployment, listing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(deployment, 5)
    monkeypatch.setattr(settlements, "PAGE", 2)
    ran = listing("--json")
    assert ran.exit_status == 0
    told = simplejson.loads(ran.stdout, use_decimal=True)
    assert [entry["billno"] for entry in told["settle_list"]] == ["b-4", "b-3", "b-2", "b-1", "b-0"]
    assert told["total_amt"] * 100 == TOTAL == sum(entry["settle_amt"] for entry in told["settle_list"]) * 100
    assert told["count"] == 5
    assert '"settle_amt": 329999999999.01' in ran.stdout
    assert ran.stderr == ""

    lines = listing("--format", "jsonl")
    assert [simplejson.loads(line, use_decimal=True) for line in lines.stdout.splitlines()] == told["settle_list"]
    assert f"total_amt {Decimal(TOTAL) / 100}" in lines.stderr

    table = listing("--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    assert [row["billno"] for row in rows] == ["b-4", "b-3", "b-2", "b-1", "b-0"]
    assert [Decimal(row["settle_amt"]) for row in rows] == [entry["settle_amt"] for entry in told["settle_list"]]
    assert rows[0]["detail"] == '=1,"x"\n\x1b[31m'
    assert (rows[0]["account_type"], rows[0]["account_id"], rows[0]["account_gid"]) == ("2", "c", "")

    shown = listing()
    assert "329999999999.01" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert str(Decimal(TOTAL) / 100) in shown.stdout

    first = FIRST_MS // 1000
    for options, expected in (
        (("--source", "6"), ["b-3", "b-1"]),
        (("--source", "-1"), ["b-4", "b-3", "b-2", "b-1", "b-0"]),
        (("--start", str(first + 1), "--end", str(first + 2)), ["b-2", "b-1"]),
        (("--source", "5", "--end", str(first + 2)), ["b-2", "b-0"]),
        (("--start", "1h"), []),
        (("--start", "0", "--end", "0"), ["b-4", "b-3", "b-2", "b-1", "b-0"]),
    ):
        assert [entry["billno"] for entry in listing("--json", *options).json["settle_list"]] == expected, options


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--source", "17"), "source"),
        (("--start", "20", "--end", "10"), "start_time_unix_sec"),
        (("--start", "yesterday"), "--start"),
        (("--format", "xml"), "format"),
    ],
)
def test_what_the_api_would_refuse_is_wrong_usage(listing: Any, options: tuple[str, ...], told: str) -> None:
    ran = listing(*options)
    assert ran.exit_status == 2
    assert told in ran.stderr
    assert ran.stdout == ""


def test_an_app_that_is_not_there_is_told(run: Run) -> None:
    ran = run("settlements", "list", "--app-id", "nobody", "--openid", "x", "--json")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert run("totals", "verify", "--app-id", "nobody").exit_status == 1


# -------------------------------------------------------------------------------------------------------------- totals


def damage() -> None:
    dynamodb = boto3.client("dynamodb")
    row = next(item for item in dynamodb.scan(TableName="TotalsTable")["Items"] if item["bucket"]["S"].startswith("y#"))
    dynamodb.update_item(
        TableName="TotalsTable",
        Key={name: row[name] for name in ("app_openid", "bucket")},
        UpdateExpression="ADD #h :by",
        ExpressionAttributeNames={"#h": next(name for name in row if name[0] == "h")},
        ExpressionAttributeValues={":by": {"N": "12345"}},
    )


def verify(run: Run, *more: str) -> Any:
    return run("totals", "verify", "--app-id", CLUB.app_id, "--since", "1d", *more)


def test_totals_are_verified_repaired_and_rebuilt(deployment: Deployment, run: Run) -> None:
    settle(deployment, 4, openid="user-2")
    clean = verify(run, "--json")
    assert clean.exit_status == 0
    assert clean.json["differences"] == clean.json["undecided"] == []
    assert clean.json["settlements"] >= 4
    assert clean.json["buckets"] >= 6

    damage()
    assert verify(run).exit_status == 1
    found = verify(run, "--json")
    assert found.exit_status == 1
    assert "1 totals differ" in found.stderr
    [difference] = simplejson.loads(found.stdout, use_decimal=True)["differences"]
    assert difference["stored_amt"] - difference["expected_amt"] == Decimal("123.45")
    assert difference["stored_count"] == difference["expected_count"]
    assert difference["bucket"].startswith("y#")

    assert verify(run, "--openid", "nobody").exit_status == 0
    repaired = verify(run, "--repair", "--json")
    assert repaired.exit_status == 0
    assert (len(repaired.json["differences"]), repaired.json["repaired"]) == (1, True)
    assert verify(run, "--json").json["differences"] == []

    damage()
    rebuilt = run("totals", "rebuild", "--since", "1d", "--json")
    assert rebuilt.exit_status == 0
    assert {row["app_id"]: row["corrected"] for row in rebuilt.json["apps"]}[CLUB.app_id] == 1
    again = run("totals", "rebuild", "--app-id", CLUB.app_id, "--since", "1d", "--json")
    assert [row["corrected"] for row in again.json["apps"]] == [0]
    assert json.loads(again.stdout)
