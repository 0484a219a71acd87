"""`settlectl reconcile`: every difference and nothing else, whatever their file is written in."""

import codecs
import csv
import gzip
import io
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest

from settlectl.deployment import Deployment
from settlectl.failures import BadInput
from settlectl.reconciliation import Outcome, TheirLine
from settlectl.their_files import TheirFile
from settlement.orders import GameResult, game_order_id
from settlement.store import Store
from settlepoint_local.in_process import STATEMENT_BUCKET
from settlepoint_local.scene import APPS
from tests.store.worlds import game_order

from .conftest import Run
from .test_statements import CLUB_AND_DAY, DAY, settle

type Line = tuple[str, str]
HEADER = ("bill_no", "settle_amt")


# ------------------------------------------------------------------------------------------------ 100,000 lines


def ours_of(count: int) -> dict[str, Decimal]:
    return {f"bill-{number:07}": Decimal(number * 37 % 1_000_003 - 300_000) / 100 for number in range(count)}


def seeded(ours: dict[str, Decimal], seed: int) -> tuple[list[tuple[str, Decimal]], Counter[tuple[str, str]]]:
    """Their list of ours with errors of every kind, in any order; what each error is, by its kind and id."""
    chance = random.Random(seed)  # noqa: S311  # the same every time
    ids = chance.sample(sorted(ours), 1000)
    theirs = dict(ours)
    planted: Counter[tuple[str, str]] = Counter()
    for bill_no in ids[:250]:
        del theirs[bill_no]
        planted["missing", bill_no] += 1
    for bill_no in ids[250:500]:
        theirs[bill_no] += chance.choice([Decimal("0.01"), Decimal("-0.01"), Decimal(100), Decimal("0.0000000001")])
        planted["differs", bill_no] += 1
    for number in range(250):
        theirs[f"bill-x{number}"] = Decimal(number)
        planted["extra", f"bill-x{number}"] += 1
    lines = list(theirs.items())
    for bill_no in ids[500:750]:  # of what agrees
        lines += [(bill_no, ours[bill_no])] * chance.randint(1, 3)
    for bill_no in ids[250:260]:  # of what differs
        lines.append((bill_no, theirs[bill_no]))
    for number in range(10):  # of what we have not
        lines.append((f"bill-x{number}", Decimal(5)))
    planted.update(("duplicate", bill_no) for bill_no, _ in lines[len(theirs) :])
    chance.shuffle(lines)
    return lines, planted


@pytest.mark.parametrize("seed", [1, 2])
def test_of_100_000_lines_every_planted_error_is_found_and_no_other(seed: int, tmp_path: Path) -> None:
    ours = ours_of(100_000)
    lines, planted = seeded(ours, seed)
    path = tmp_path / "theirs.csv"
    path.write_text("bill_no,settle_amt\n" + "".join(f"{bill_no},{amount}\n" for bill_no, amount in lines))
    outcome = Outcome()
    started = time.perf_counter()
    found = list(outcome.differences(ours, TheirFile(path, "club").lines()))
    print(f"{len(lines):,} lines in {time.perf_counter() - started:.2f} s")
    told = Counter((one.what, one.key) for one in found)
    assert told == planted  # precision and recall are 1
    assert outcome.matched == 100_000 - 500
    assert (outcome.missing, outcome.extra, outcome.differs) == (250, 250, 250)
    assert outcome.duplicate == len(lines) - 100_000
    assert (outcome.ours, outcome.theirs) == (100_000, len(lines))
    assert outcome.ours_total == sum(ours.values())
    assert outcome.theirs_total == sum((amount for _, amount in lines), Decimal(0))


def differences(ours: dict[str, str], theirs: list[Line]) -> list[tuple[Any, ...]]:
    lines = [TheirLine(number, key, Decimal(amount)) for number, (key, amount) in enumerate(theirs, 2)]
    found = Outcome().differences({key: Decimal(amount) for key, amount in ours.items()}, lines)
    return [(one.what, one.key, one.line) for one in found]


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ({}, [], []),
        ({"a": "1"}, [("a", "1.00")], []),
        ({"a": "1"}, [], [("missing", "a", None)]),
        ({"a": "0"}, [], [("missing", "a", None)]),
        ({}, [("a", "1")], [("extra", "a", 2)]),
        ({"a": "1"}, [("a", "-1")], [("differs", "a", 2)]),
        ({"a": "0"}, [("a", "-0")], []),
        ({"a": "0.01"}, [("a", "0.0100000001")], [("differs", "a", 2)]),
        ({"a": "1"}, [("a", "1"), ("a", "1")], [("duplicate", "a", 3)]),
        ({"a": "1"}, [("a", "2"), ("a", "1")], [("differs", "a", 2), ("duplicate", "a", 3)]),
        ({}, [("a", "1"), ("a", "1")], [("extra", "a", 2), ("duplicate", "a", 3)]),
        ({"a": "1", "A": "1"}, [("a", "1")], [("missing", "A", None)]),
        ({"a": "1"}, [("a ", "1")], [("extra", "a ", 2), ("missing", "a", None)]),
        ({"9" * 40: "9" * 29 + ".01"}, [("9" * 40, "9" * 29 + ".02")], [("differs", "9" * 40, 2)]),
    ],
)
def test_each_line_is_one_thing(ours: dict[str, str], theirs: list[Line], found: list[tuple[Any, ...]]) -> None:
    assert differences(ours, theirs) == found


def test_a_sum_of_many_digits_is_exact() -> None:
    outcome = Outcome()
    amounts = [Decimal("9" * 30 + ".0000000001"), Decimal("0.0000000002")]
    list(outcome.differences({}, [TheirLine(n, str(n), amount) for n, amount in enumerate(amounts)]))
    assert str(outcome.theirs_total) == "9" * 30 + ".0000000003"


# ----------------------------------------------------------------------------------------------------- their files

LINES = [TheirLine(2, "bill-1", Decimal("1.5")), TheirLine(3, "账单,2", Decimal(-7))]
CSV = 'bill_no,settle_amt,note\nbill-1,1.5,x\n"账单,2",-7,\n'


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (CSV.encode(), None, LINES),
        (codecs.BOM_UTF8 + CSV.replace("\n", "\r\n").encode(), None, LINES),
        (CSV.encode("utf-16"), None, LINES),
        (codecs.BOM_UTF16_BE + CSV.encode("utf-16-be"), None, LINES),
        (CSV.encode("gb18030"), "gb18030", LINES),
        (gzip.compress(CSV.encode(), mtime=0), None, LINES),
        (b'note\tbill_no\tsettle_amt\nx\tbill-1\t1.5\nx\t"\xe8\xb4\xa6\xe5\x8d\x95,2"\t-7\n', None, LINES),
        ('settle_amt;bill_no\n1.5;bill-1\n-7;"账单,2"'.encode(), None, LINES),
        (
            b"\n\nbill_no,settle_amt\n\na,1\n,\nb,2",
            None,
            [TheirLine(5, "a", Decimal(1)), TheirLine(7, "b", Decimal(2))],
        ),
        (
            b'bill_no,settle_amt\n"a\nb", +1 \nc,0.10\n',
            None,
            [TheirLine(2, "a\nb", Decimal(1)), TheirLine(4, "c", Decimal("0.1"))],
        ),
        (
            b'{"bill_no":"a","settle_amt":1.10}\n\n{"settle_amt":"-2","bill_no":"b"}\n',
            None,
            [TheirLine(1, "a", Decimal("1.1")), TheirLine(3, "b", Decimal(-2))],
        ),
        (b'{"billno":"a","settle_amt":1}\n', None, [TheirLine(1, "a", Decimal(1))]),
        (
            gzip.compress(codecs.BOM_UTF8 + b'{"bill_no":"a","settle_amt":1E+2}', mtime=0),
            None,
            [TheirLine(1, "a", Decimal(100))],
        ),
        (b"bill_no,settle_amt\n", None, []),
        (b"bill_no,settle_amt\n'a,1\n", None, [TheirLine(2, "'a", Decimal(1))]),  # theirs: nothing is taken off
    ],
)
def test_their_file_is_read_whatever_it_is_written_in(
    tmp_path: Path, content: bytes, encoding: str | None, expected: list[TheirLine]
) -> None:
    path = tmp_path / "theirs"
    path.write_bytes(content)
    assert list(TheirFile(path, "club", encoding=encoding).lines()) == expected


def test_columns_are_mapped_and_amounts_scaled(tmp_path: Path) -> None:
    path = tmp_path / "theirs"
    path.write_text("订单号,金额,bill_no\nbill-1,150,other\n")
    file = TheirFile(path, "club", {"bill_no": "订单号", "settle_amt": "金额"}, "hundredths")
    assert list(file.lines()) == [TheirLine(2, "bill-1", Decimal("1.5"))]


@pytest.mark.parametrize(
    ("header", "names", "key"),
    [
        ("out_order_id,order_id,score", {}, "out_order_id"),
        ("order_id,score", {}, "order_id"),
        ("out_order_id,x,score", {"order_id": "x"}, "order_id"),
    ],
)
def test_a_game_is_compared_by_the_id_that_their_file_has(
    tmp_path: Path, header: str, names: dict[str, str], key: str
) -> None:
    path = tmp_path / "theirs"
    path.write_text(f"{header}\n" + ",".join("1" for _ in header.split(",")))
    file = TheirFile(path, "game", names)
    assert len(list(file.lines())) == 1
    assert file.key == key


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"bill_no,amount\n", "no column settle_amt"),
        (b"number,settle_amt\n", "no column bill_no"),
        (b"bill_no,settle_amt,bill_no\n", "names column 'bill_no' twice"),
        (b"bill_no,settle_amt\na\n", "line 2: has 1 cells"),
        (b"bill_no,settle_amt\na,1,2\n", "line 2: has 3 cells"),
        (b"bill_no,settle_amt\na,1\n,2\n", "line 3: the id is empty"),
        (b'bill_no,settle_amt\n"a\nb",1\nc,x\n', "line 4: 'x' is no plain amount"),
        (b'bill_no,settle_amt\na,"1,5"\n', "no plain amount"),
        (b"bill_no,settle_amt\na,1e5\n", "no plain amount"),
        (b"bill_no,settle_amt\na,\n", "'' is no plain amount"),
        (b"bill_no,settle_amt\na,\xef\xbc\x91\n", "no plain amount"),
        (b"bill_no,settle_amt\na,NaN\n", "no plain amount"),
        (b'bill_no,settle_amt\n"a,1\n', "not CSV"),
        (b'bill_no,settle_amt\n"a"b,1\n', "line 2: not CSV"),
        (b"bill_no,settle_amt\n\xd5\xcb,1\n", "not UTF-8; save it as UTF-8, or name its encoding"),
        (gzip.compress(b"bill_no,settle_amt\na,1\n", mtime=0)[:-4], "gzip is damaged"),
        (b"\x1f\x8bxxxxxxxxxxxx", "gzip is damaged"),
        (b'{"bill_no":"a","settle_amt":1}\n{"bill_no":5,"settle_amt":1}', "line 2: bill_no must be a string"),
        (b'{"bill_no":"a","settle_amt":true}', "settle_amt must be a number"),
        (b'{"bill_no":"a","settle_amt":1}\n[]', "line 2: not a JSON object"),
        (b'{"bill_no":"a","settle_amt":1}\nx', "line 2: not JSON"),
        (b'{"bill_no":"a","settle_amt":1}\n{"bill_no":"b"}', "line 2: settle_amt must be a number"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "theirs"
    path.write_bytes(content)
    with pytest.raises(BadInput) as fault:
        list(TheirFile(path, "club").lines())
    assert told in str(fault.value)


# --------------------------------------------------------------------------------------------------- the command


@pytest.fixture(autouse=True)
def nothing_left_behind(deployment: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    boto3.resource("s3").Bucket(STATEMENT_BUCKET).objects.delete()
    for item in boto3.client("dynamodb").scan(TableName=deployment.tables["SettlementTable"])["Items"]:
        boto3.client("dynamodb").delete_item(TableName="SettlementTable", Key={"billno": item["billno"]})


def their_file(tmp_path: Path, *lines: Line) -> str:
    path = tmp_path / "theirs.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *lines])
    return path.name


def written(tmp_path: Path) -> list[dict[str, str]]:
    text = (tmp_path / "theirs.csv.differences.csv").read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_day_that_agrees_is_status_0_and_an_empty_list(deployment: Deployment, run: Run, tmp_path: Path) -> None:
    settle(deployment, "b-1", "=b-2")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    file = their_file(tmp_path, ("=b-2", "1000"), ("b-1", "1000.00"))
    ran = run("reconcile", file, *CLUB_AND_DAY, "--json")
    assert (ran.exit_status, ran.stderr) == (0, "")
    assert {name: ran.json[name] for name in ("agrees", "matched", "against", "compared_by", "ours", "theirs")} == {
        "agrees": True,
        "matched": 2,
        "against": "statement",
        "compared_by": "bill_no",
        "ours": 2,
        "theirs": 2,
    }
    assert written(tmp_path) == []
    assert run("reconcile", file, *CLUB_AND_DAY).exit_status == 0


def test_differences_are_status_1_and_stand_in_a_file_that_is_safe(
    deployment: Deployment, run: Run, tmp_path: Path
) -> None:
    settle(deployment, "b-1", "=b-2", "b-3")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    file = their_file(tmp_path, ("b-1", "999.99"), ("@x", "-5"), ("b-3", "1000"), ("b-3", "1000"))
    ran = run("reconcile", file, *CLUB_AND_DAY)
    assert ran.exit_status == 1
    assert "1 missing; 1 extra; 1 differs; 1 duplicate" in ran.stderr
    assert written(tmp_path) == [
        {
            "what": "differs",
            "bill_no": "b-1",
            "line": "2",
            "our_amount": "1000.00",
            "their_amount": "999.99",
            "difference": "-0.01",
        },
        {"what": "extra", "bill_no": "'@x", "line": "3", "our_amount": "", "their_amount": "-5", "difference": ""},
        {
            "what": "duplicate",
            "bill_no": "b-3",
            "line": "5",
            "our_amount": "1000.00",
            "their_amount": "1000",
            "difference": "0.00",
        },
        {
            "what": "missing",
            "bill_no": "'=b-2",
            "line": "",
            "our_amount": "1000.00",
            "their_amount": "",
            "difference": "",
        },
    ]
    told = run("reconcile", file, *CLUB_AND_DAY, "--json", "--out", "d.csv")
    assert told.exit_status == 1
    assert {name: told.json[name] for name in ("missing", "extra", "differs", "duplicate", "matched")} == {
        "missing": 1,
        "extra": 1,
        "differs": 1,
        "duplicate": 1,
        "matched": 1,
    }
    assert (told.json["ours_total"], told.json["theirs_total"]) == (3000.0, 2994.99)
    assert (tmp_path / "d.csv").read_bytes() == (tmp_path / "theirs.csv.differences.csv").read_bytes()


def test_the_statement_is_what_was_published_and_live_is_what_there_is(
    deployment: Deployment, run: Run, tmp_path: Path
) -> None:
    settle(deployment, "b-1")
    file = their_file(tmp_path, ("b-1", "1000"), ("b-2", "1000"))
    none = run("reconcile", file, *CLUB_AND_DAY)
    assert (none.exit_status, "`statement make` makes one now" in none.stderr) == (1, True)
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    settle(deployment, "b-2")
    assert run("reconcile", file, *CLUB_AND_DAY).exit_status == 1
    live = run("reconcile", file, *CLUB_AND_DAY, "--live", "--json")
    assert (live.exit_status, live.json["against"], live.json["matched"]) == (0, "tables", 2)


def test_a_statement_agrees_with_itself_however_its_cells_are_marked(deployment: Deployment, run: Run) -> None:
    settle(deployment, "b-1", "=b-2", "'b-3", "007", "账单")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    assert run("statement", "get", *CLUB_AND_DAY, "--out", "s.csv.gz").exit_status == 0
    ran = run("reconcile", "s.csv.gz", *CLUB_AND_DAY, "--json")
    assert (ran.exit_status, ran.json["matched"], ran.json["theirs"]) == (0, 5, 5)


def test_games_are_compared_by_score(deployment: Deployment, run: Run, tmp_path: Path) -> None:
    merchant = APPS["merchant-b"]
    clock = partial(int, DAY.start_ms)
    store = Store(boto3.client("dynamodb"), "SettlementTable", deployment.totals, deployment.ledger, clock)
    results = {}
    for name, score in (("out-1", 5), ("out-2", -5)):
        order_id = game_order_id(merchant.app_id, name)
        store.create_game_order(merchant.app_id, order_id, game_order(name))
        results[order_id] = GameResult("match-1", "", 1, score, 0, None, 1795305590)
    store.settle_game_orders(merchant, "mg-1", "room-1", results)
    where = ("--app-id", merchant.app_id, "--day", str(DAY))
    assert run("statement", "make", *where).exit_status == 0
    (tmp_path / "theirs.jsonl").write_text('{"out_order_id":"out-1","score":5}\n{"out_order_id":"out-2","score":5}\n')
    ran = run("reconcile", "theirs.jsonl", *where, "--json")
    assert (ran.exit_status, ran.json["matched"], ran.json["differs"]) == (1, 1, 1)
    [by_our_id] = [order_id for order_id, result in results.items() if result.score == 5]
    (tmp_path / "theirs.jsonl").write_text(json.dumps({"order_id": by_our_id, "score": 5}))
    live = run("reconcile", "theirs.jsonl", *where, "--json", "--live")
    assert (live.json["compared_by"], live.json["matched"], live.json["missing"]) == ("order_id", 1, 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--map", "bill_no"), "write our column, =, and theirs"),
        (("--map", "amt=x"), "what is compared is bill_no, settle_amt"),
        (("--map", "bill_no=x", "--map", "bill_no=y"), "given twice"),
        (("--map", "bill_no=number"), "no column number"),
        (("--encoding", "klingon"), "there is none of that name"),
        (("--amount-unit", "euros"), "hundredths"),
    ],
)
def test_wrong_usage_is_status_2_and_leaves_no_file(
    deployment: Deployment, run: Run, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    settle(deployment, "b-1")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    ran = run("reconcile", their_file(tmp_path, ("b-1", "1")), *CLUB_AND_DAY, *options)
    assert (ran.exit_status, ran.stdout) == (2, "")
    assert told in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.csv"]


def test_a_faulty_line_far_down_leaves_the_older_list_as_it_was(
    deployment: Deployment, run: Run, tmp_path: Path
) -> None:
    settle(deployment, "b-1")
    assert run("statement", "make", *CLUB_AND_DAY).exit_status == 0
    assert run("reconcile", their_file(tmp_path, ("b-1", "1")), *CLUB_AND_DAY).exit_status == 1
    before = written(tmp_path)
    assert run("reconcile", their_file(tmp_path, ("b-1", "1"), ("b-2", "x")), *CLUB_AND_DAY).exit_status == 2
    assert written(tmp_path) == before
    assert not list(tmp_path.glob("*.part"))
