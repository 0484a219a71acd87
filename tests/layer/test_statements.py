"""A statement's bytes: the lines, their order, the sums, and cells that no spreadsheet takes for something else."""

import csv
import io
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.orders import (
    Account,
    ClubOrder,
    ClubTerms,
    GameResult,
    ReportedOrder,
    SettledClubOrder,
)
from settlement.statements import (
    CLUB_COLUMNS,
    EXPECTED_WITHIN_MS,
    GAME_COLUMNS,
    READY_AFTER_MS,
    Contents,
    Day,
    DayNotOver,
    Entry,
    Kind,
    kinds_of,
    moment_text,
    read_lines,
    statement_csv,
    text_cell,
    value_of,
    why_absent,
)

DAY = Day(date(2026, 11, 22), 480)


def club(bill_no: str, at_ms: int = DAY.start_ms, **changes: Any) -> SettledClubOrder:
    fields = {"openid": "user-1", "amt": 1333, "source": 5, "jf_gid": 7, "detail": "", "account": None, **changes}
    hundredths, ratio = fields.pop("hundredths", fields["amt"] * 100), fields.pop("ratio", 100)
    return SettledClubOrder(ClubOrder(bill_no, **fields), ClubTerms(hundredths, ratio), at_ms)


def game(order_id: str, at_ms: int = DAY.start_ms, mg_id: str = "mg-1", **changes: Any) -> ReportedOrder:
    fields = {"uid": "player-1", "is_ai": 0, "score": 120, "remain_score": 880, "commission_score": None, **changes}
    result = GameResult("match-7", settle_at_seconds=1795305590, **fields)
    return ReportedOrder(order_id, f"out-{order_id}", mg_id, "room-9", result, "n" * 64, at_ms)


def made(kind: Kind, entries: Iterable[Entry], contents: Contents | None = None, offset: int = 480) -> bytes:
    return b"".join(statement_csv(kind, entries, offset, contents or Contents()))


def details(kind: Kind, entries: Iterable[Entry]) -> list[dict[str, str]]:
    return [line for line in read_lines(io.BytesIO(made(kind, entries))) if line["line"] == "detail"]


# ------------------------------------------------------------------------------------------------------ the bytes


def test_a_clubs_statement_to_the_byte() -> None:
    entries = [
        club("bill-1001", amt=1333, hundredths=33325, ratio=25, account=Account(2, "club-9", 9), detail='周末,"1/2"'),
        club("bill-1002", DAY.start_ms + 1, amt=-200, source=8, hundredths=-15000, account=Account(None, "u-3", None)),
        club("bill-1003", DAY.end_ms - 1, amt=10, source=5),
    ]
    assert made("club", entries) == (
        b"\xef\xbb\xbf"
        + (
            "line,count,settle_time,settle_time_ms,bill_no,openid,source,source_name,amt,amt_ratio,settle_amt,"
            "jf_gid,account_type,account_id,account_gid,detail\r\n"
            "detail,1,2026-11-22T00:00:00.000+08:00,1795276800000,bill-1001,user-1,5,活动,1333,25,333.25,"
            '7,2,club-9,9,"周末,""1/2"""\r\n'
            "detail,1,2026-11-22T00:00:00.001+08:00,1795276800001,bill-1002,user-1,8,兑换,-200,100,-150.00,7,,u-3,,\r\n"
            "detail,1,2026-11-22T23:59:59.999+08:00,1795363199999,bill-1003,user-1,5,活动,10,100,10.00,7,,,,\r\n"
            "source,2,,,,,5,活动,1343,,343.25,,,,,\r\n"
            "source,1,,,,,8,兑换,-200,,-150.00,,,,,\r\n"
            "total,3,,,,,,,1143,,193.25,,,,,\r\n"
        ).encode()
    )


def test_a_merchants_statement_to_the_byte() -> None:
    entries = [game("a1", commission_score=6), game("b2", uid="", is_ai=1, score=-120, remain_score=0, mg_id="mg-22")]
    assert made("game", entries) == (
        b"\xef\xbb\xbf"
        b"line,count,settle_time,settle_time_ms,order_id,out_order_id,mg_id,room_id,match_id,uid,is_ai,score,"
        b"remain_score,commission_score,settle_at\r\n"
        b"detail,1,2026-11-22T00:00:00.000+08:00,1795276800000,'a1,out-a1,mg-1,room-9,match-7,player-1,0,120,"
        b"880,6,1795305590\r\n"
        b"detail,1,2026-11-22T00:00:00.000+08:00,1795276800000,'b2,out-b2,mg-22,room-9,match-7,,1,-120,"
        b"0,,1795305590\r\n"
        b"game,1,,,,,mg-1,,,,,120,,6,\r\n"
        b"game,1,,,,,mg-22,,,,,-120,,0,\r\n"
        b"total,2,,,,,,,,,,0,,6,\r\n"
    )


def test_lines_of_one_moment_stand_by_id_whatever_the_index_gave() -> None:
    entries = [club(f"bill-{number:03}") for number in range(40)] + [club("bill-000x", DAY.start_ms + 1)]
    shuffled = entries[:40]
    random.Random(7).shuffle(shuffled)  # noqa: S311  # the same every time
    assert shuffled != entries[:40]
    assert made("club", [*shuffled, entries[40]]) == made("club", entries)
    reports = [game("f"), game("0"), game("e")]
    assert [line["order_id"] for line in details("game", reports)] == ["0", "e", "f"]


def test_a_statement_has_its_own_kind_alone() -> None:
    entries: list[Entry] = [club("bill-1"), game("a1"), club("bill-2")]
    assert [line["bill_no"] for line in details("club", entries)] == ["bill-1", "bill-2"]
    assert [line["order_id"] for line in details("game", entries)] == ["a1"]


def test_every_line_has_every_column() -> None:
    sources = [club(f"bill-{n}", source=n, amt=1 if n not in (8, 9) else -1) for n in range(17)]
    for kind, columns, entries in (("club", CLUB_COLUMNS, sources), ("game", GAME_COLUMNS, [game("a")])):
        rows = list(csv.reader(io.StringIO(made(kind, entries).decode("utf-8-sig"), newline=""), strict=True))  # type: ignore[arg-type]
        assert tuple(rows[0]) == columns
        assert {len(row) for row in rows} == {len(columns)}


@given(
    st.lists(
        st.tuples(st.integers(0, 16), st.integers(-(10**12), 10**12), st.integers(1, 100), st.integers(0, 86_399_999)),
        max_size=40,
    )
)
def test_the_sums_are_those_of_the_lines(drawn: list[tuple[int, int, int, int]]) -> None:
    entries = [
        club(f"b-{number}", DAY.start_ms + at, source=source, amt=amt, hundredths=amt * ratio, ratio=ratio)
        for number, (source, amt, ratio, at) in enumerate(sorted(drawn, key=lambda one: one[3]))
    ]
    contents = Contents()
    lines = list(read_lines(io.BytesIO(made("club", entries, contents))))
    listed = [line for line in lines if line["line"] == "detail"]
    assert len(listed) == len(entries) == contents.total.count
    by_source = {line["source"]: line for line in lines if line["line"] == "source"}
    assert by_source.keys() == {line["source"] for line in listed}
    for source, line in [*by_source.items(), ("", lines[-1])]:
        of = [one for one in listed if source in ("", one["source"])]
        assert Decimal(line["settle_amt"]) == sum((Decimal(one["settle_amt"]) for one in of), Decimal(0))
        assert int(line["amt"]) == sum(int(one["amt"]) for one in of)
        assert int(line["count"]) == len(of)
    assert lines[-1]["line"] == "total"
    assert lines[-1]["settle_amt"] == contents.total_text("club")


# ------------------------------------------------------------------------------------------------------ the cells

BARE = [
    "bill-1001",
    "user_1",
    "周末活动 1/2",
    "club-9",
    "Müller",
    "a",
    "",
    "x=1+1",
    "ab49e6adc253",
    "message 7",
    "order1",
]
MARKED = [
    *("=1+1", "=HYPERLINK(0)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1", "＋1", "－1", "＠a"),
    *("007", "1e5", "1461564080052506636", "12.50", "1/2", "2026-11-22", "08:00", "63c8548e", "１２３", "٣", "0"),
    *("MAR1", "mar-2026", "Sept 5", "DEC2026", "true", "FALSE", "TRUE ", "R100", "kr 100", "CHF 5"),
    *("二〇二六", "上午9点", "公元2026年", "#N/A", "$5", "€5", "¥5", "%", "'", "'a", "''", '"a"', "(5)", "|a", "\x00a"),
]


@pytest.mark.parametrize("value", BARE)
def test_what_is_text_to_every_spreadsheet_stands_as_it_is(value: str) -> None:
    assert text_cell(value) == value_of(value) == value


@pytest.mark.parametrize("value", MARKED)
def test_what_a_spreadsheet_would_run_or_turn_into_something_has_one_mark(value: str) -> None:
    assert text_cell(value) == "'" + value


@given(st.text())
def test_every_text_is_read_as_it_was_written_and_never_begins_like_a_formula(value: str) -> None:
    cell = text_cell(value)
    assert value_of(cell) == value
    assert cell[:1] not in set("=+-@\t\r\n|%0123456789")


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30), st.text(st.characters(exclude_categories=["Cs"]))
)
def test_hostile_texts_come_back_out_of_the_file(bill_no: str, detail: str) -> None:
    [line] = details("club", [club(bill_no, openid=detail, detail=detail)])
    assert (line["bill_no"], line["openid"], line["detail"]) == (bill_no, detail, detail)


@pytest.mark.parametrize(
    ("value", "cell"),
    [(0, "0"), (-7, "-7"), (999_999_999_999_999, "999999999999999"), (2**63 - 1, "'9223372036854775807")],
)
def test_a_number_stands_bare_unless_a_spreadsheet_would_round_it(value: int, cell: str) -> None:
    assert f",{cell},,,,\r\n".encode() in made("club", [club("bill-1", jf_gid=value)])
    assert details("club", [club("bill-1", jf_gid=value)])[0]["jf_gid"] == str(value)


@pytest.mark.parametrize(
    ("hundredths", "cell"),
    [
        (0, "0.00"),
        (7, "0.07"),
        (-7, "-0.07"),
        (-150, "-1.50"),
        (10**14, "1000000000000.00"),
        (10**15, "'10000000000000.00"),
    ],
)
def test_points_have_two_decimals_always(hundredths: int, cell: str) -> None:
    assert f",100,{cell},7,".encode() in made("club", [club("bill-1", hundredths=hundredths)])


# -------------------------------------------------------------------------------------------------------- the day


@pytest.mark.parametrize(
    ("offset", "start"),
    [
        (480, "2026-11-21T16:00:00+00:00"),
        (0, "2026-11-22T00:00:00+00:00"),
        (-300, "2026-11-22T05:00:00+00:00"),
        (345, "2026-11-21T18:15:00+00:00"),
        (840, "2026-11-21T10:00:00+00:00"),
    ],
)
def test_a_day_is_24_hours_from_midnight_of_its_zone(offset: int, start: str) -> None:
    day = Day(date(2026, 11, 22), offset)
    start_ms = int(datetime.fromisoformat(start).timestamp()) * 1000
    assert (day.start_ms, day.end_ms) == (start_ms, start_ms + 86_400_000)
    assert Day.of(start_ms, offset) == Day.of(day.end_ms - 1, offset) == day
    assert Day.of(start_ms - 1, offset).date == date(2026, 11, 21)
    assert Day.of(day.end_ms, offset).date == date(2026, 11, 23)
    assert moment_text(start_ms, offset).startswith("2026-11-22T00:00:00.000")


@given(st.integers(0, 4_102_444_800_000), st.integers(-840, 840))
def test_every_moment_is_in_one_day(time_ms: int, offset: int) -> None:
    day = Day.of(time_ms, offset)
    assert day.start_ms <= time_ms < day.end_ms
    assert datetime.fromisoformat(moment_text(time_ms, offset)) == datetime.fromtimestamp(time_ms // 1000, UTC).replace(
        microsecond=time_ms % 1000 * 1000
    )


def test_a_day_is_ready_a_quarter_of_an_hour_after_its_end() -> None:
    with pytest.raises(DayNotOver):
        DAY.check_ready(DAY.end_ms + READY_AFTER_MS - 1)
    DAY.check_ready(DAY.end_ms + READY_AFTER_MS)
    assert Day.last_ready(DAY.end_ms + READY_AFTER_MS, 480) == DAY
    assert Day.last_ready(DAY.end_ms + READY_AFTER_MS - 1, 480).date == date(2026, 11, 21)


@pytest.mark.parametrize(
    ("now_ms", "told"),
    [
        (DAY.end_ms - 1, f"day: it is not over; it ends at {DAY.end_ms // 1000}"),
        (DAY.end_ms, "day: its statement is being made"),
        (DAY.end_ms + EXPECTED_WITHIN_MS - 1, "day: its statement is being made"),
        (DAY.end_ms + EXPECTED_WITHIN_MS, "day: there is no statement of it"),
    ],
)
def test_who_asks_in_vain_is_told_why(now_ms: int, told: str) -> None:
    assert why_absent(DAY.date, 480, now_ms) == told


@pytest.mark.parametrize("day", [date.min, date.max])
@pytest.mark.parametrize("offset", [-840, 840])
def test_the_calendars_ends_are_days_like_others(day: date, offset: int) -> None:
    assert why_absent(day, offset, DAY.end_ms)


def test_clubs_and_merchants_have_statements_and_game_servers_have_none() -> None:
    assert kinds_of(frozenset({"club"})) == ["club"]
    assert kinds_of(frozenset({"merchant", "game", "club"})) == ["club", "game"]
    assert kinds_of(frozenset({"game"})) == []
