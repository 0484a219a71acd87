"""`settlectl statement`: made, listed, downloaded and compared with its hash."""

import gzip
import hashlib
from collections.abc import Iterator
from copy import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

import settlectl.deployment
from settlectl.deployment import Deployment
from settlement.clock import now_ms
from settlement.orders import ClubOrder
from settlement.statements import READY_AFTER_MS, Day
from settlement.store import Store
from settlepoint_local.in_process import STATEMENT_BUCKET
from settlepoint_local.scene import APPS

from .conftest import Run

CLUB = APPS["club-a"]
DAY = Day.of(now_ms() - READY_AFTER_MS - 86_400_000, 480)
"""The newest that is over."""
CLUB_AND_DAY = ("--app-id", CLUB.app_id, "--day", str(DAY))


def settle(deployment: Deployment, *bill_nos: str, at_ms: int = DAY.start_ms, amt: int = 1000) -> None:
    for bill_no in bill_nos:
        store = Store(
            boto3.client("dynamodb"), "SettlementTable", deployment.totals, deployment.ledger, partial(int, at_ms)
        )
        store.create_club_order(CLUB.app_id, ClubOrder(bill_no, "user-1", amt, 5, 7, "", None))
        store.settle_club_order(CLUB, bill_no, "user-1", None, None)


@pytest.fixture(autouse=True)
def nothing_left_behind(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tables are the module's: each test finds them empty, and works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    yield
    boto3.resource("s3").Bucket(STATEMENT_BUCKET).objects.delete()
    for item in boto3.client("dynamodb").scan(TableName=deployment.tables["SettlementTable"])["Items"]:
        boto3.client("dynamodb").delete_item(TableName="SettlementTable", Key={"billno": item["billno"]})


def test_a_statement_is_made_listed_downloaded_and_revised(deployment: Deployment, run: Run, tmp_path: Path) -> None:
    settle(deployment, "b-1", "=b-2")
    made = run("statement", "make", *CLUB_AND_DAY, "--json")
    assert made.exit_status == 0
    assert (made.json["outcome"], made.json["revision"], made.json["count"], made.json["total"]) == (
        "made",
        1,
        2,
        "2000.00",
    )
    assert run("statement", "make", *CLUB_AND_DAY, "--json").json["outcome"] == "unchanged"

    got = run("statement", "get", *CLUB_AND_DAY, "--json")
    file = tmp_path / f"club-a-club-{DAY}-r1.csv.gz"
    assert (got.exit_status, got.json["file"]) == (0, file.name)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == got.json["sha256"] == made.json["sha256"]
    plain = gzip.decompress(file.read_bytes())
    assert hashlib.sha256(plain).hexdigest() == got.json["csv_sha256"]
    assert b",'=b-2,user-1,5," in plain

    settle(deployment, "b-3", at_ms=DAY.end_ms - 1)
    revised = run("statement", "make", *CLUB_AND_DAY)
    assert revised.exit_status == 0
    assert "revised" in revised.stdout
    older = run("statement", "get", *CLUB_AND_DAY, "--revision", "1", "--out", "older.gz")
    assert older.exit_status == 0
    assert (tmp_path / "older.gz").read_bytes() == file.read_bytes()

    listed = run("statement", "list", "--app-id", CLUB.app_id, "--json").json["statements"]
    assert [(one["day"], one["api"], one["revision"], one["count"], one["verified"]) for one in listed] == [
        (str(DAY), "club", 2, 3, False)
    ]
    since = str(DAY.date + timedelta(days=1))
    assert run("statement", "list", "--app-id", CLUB.app_id, "--since", since, "--json").json == {"statements": []}
    assert str(DAY) in run("statement", "list", "--app-id", CLUB.app_id).stdout


def test_a_damaged_file_is_not_left_on_disk(deployment: Deployment, run: Run, tmp_path: Path) -> None:
    settle(deployment, "b-1")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    s3: Any = boto3.client("s3")
    key = f"club/club-a/{DAY}/0001.csv.gz"
    metadata = s3.head_object(Bucket=STATEMENT_BUCKET, Key=key)["Metadata"]
    s3.put_object(Bucket=STATEMENT_BUCKET, Key=key, Body=b"another", Metadata=metadata)
    ran = run("statement", "get", *CLUB_AND_DAY, "--out", "s.gz")
    assert ran.exit_status == 1
    assert "was published with" in ran.stderr
    assert not (tmp_path / "s.gz").exists()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("get", "--app-id", "club-a", "--day", "2020-02-29"), 1, "no statement of club-a for 2020-02-29"),
        (("get", "--app-id", "club-a", "--day", "2020-02-29", "--revision", "2"), 1, "in revision 2"),
        (("get", "--app-id", "club-a", "--day", "2020-02-30"), 2, "write a day such as"),
        (("get", "--app-id", "club-a", "--day", "20200229"), 2, "write a day such as"),
        (("get", "--app-id", "club-a", "--day", "0001-01-01"), 2, "write a day such as"),
        (("get", "--app-id", "nobody", "--day", "2020-02-29"), 1, "there is no app nobody"),
        (("get", "--app-id", "club-a", "--day", "2020-02-29", "--api", "game"), 1, "has no game statements"),
        (("get", "--app-id", "game-a", "--day", "2020-02-29"), 1, "neither a club nor a merchant"),
        (("make", "--app-id", "club-a", "--day", "2999-12-31"), 1, "2999-12-31 is not over"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(run: Run, arguments: tuple[str, ...], status: int, told: str) -> None:
    ran = run("statement", *arguments)
    assert (ran.exit_status, ran.stdout) == (status, "")
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_an_app_of_both_roles_says_which(run: Run) -> None:
    run("app", "create", "--app-id", "both", "--role", "club", "--role", "merchant")
    both = ("--app-id", "both", "--day", str(DAY))
    assert "say --api club or --api game" in run("statement", "make", *both).stderr
    for api in ("club", "game"):
        assert run("statement", "make", *both, "--api", api, "--json").json["api"] == api


def test_a_deployment_without_statements_says_so(
    deployment: Deployment, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = replace(deployment, statement_bucket=None)
    monkeypatch.setattr(settlectl.deployment, "local", lambda _: older)
    ran = run("statement", "list", "--app-id", "club-a")
    assert (ran.exit_status, ran.stdout) == (1, "")
    assert "has no statements: deploy it anew" in ran.stderr
