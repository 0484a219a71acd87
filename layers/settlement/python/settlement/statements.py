"""A day's statement: what an app settled, line by line, and what it adds up to. CSV; pure.

    line    count  settle_time                    settle_time_ms  bill_no    ...  source  amt   settle_amt  ...
    detail  1      2026-11-22T08:00:00.123+08:00  1795305600123   bill-1001  ...  5       1333  333.25      ...
    source  1                                                                ...  5       1333  333.25
    total   1                                                                ...          1333  333.25

An app has a statement for each API that it may use: `club` lists settled club orders and sums by source, `game` lists
game results and sums by game. Lines stand in the order of settle_time, then of the order's id, so that the same day
always makes the same bytes. UTF-8 with a byte order mark, without which Excel takes it for another encoding; CRLF
(RFC 4180).

Spreadsheets run a cell that begins like a formula, and turn 007, 1e5 or MAR1 into something else; quotes do not stop
them. So a text cell which a spreadsheet might not take for text has an apostrophe before it, and so has one whose own
text begins with an apostrophe: to read any cell, take off one leading apostrophe (`value_of`). Numbers have none,
unless they have more digits than the 15 that a spreadsheet keeps.
"""

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from typing import BinaryIO, Final, Literal

from settlement.orders import Account, ReportedOrder, SettledClubOrder
from settlement.points import HUNDREDTHS_PER_POINT
from settlement.sources import SOURCES

type Kind = Literal["club", "game"]
type Entry = SettledClubOrder | ReportedOrder

READY_AFTER_MS: Final = 15 * 60_000
"""A statement is made this long after its day: by then each settlement of the day is committed (a function lives for
25 s, clocks are a minute apart at most) and in the index that the statement is read from, usually within a second."""
EXPECTED_WITHIN_MS: Final = 2 * 3_600_000
"""Of the day's end: the fifteen minutes, the hour until the next run, and time to make it."""
DETAIL: Final = "detail"
TOTAL: Final = "total"
CLUB_COLUMNS: Final = (
    "line",
    "count",
    "settle_time",
    "settle_time_ms",
    "bill_no",
    "openid",
    "source",
    "source_name",
    "amt",
    "amt_ratio",
    "settle_amt",
    "jf_gid",
    "account_type",
    "account_id",
    "account_gid",
    "detail",
)
GAME_COLUMNS: Final = (
    "line",
    "count",
    "settle_time",
    "settle_time_ms",
    "order_id",
    "out_order_id",
    "mg_id",
    "room_id",
    "match_id",
    "uid",
    "is_ai",
    "score",
    "remain_score",
    "commission_score",
    "settle_at",
)
COLUMNS: Final[dict[Kind, tuple[str, ...]]] = {"club": CLUB_COLUMNS, "game": GAME_COLUMNS}
_GROUP_LINE: Final[dict[Kind, str]] = {"club": "source", "game": "game"}
_KIND_OF_ROLE: Final[dict[str, Kind]] = {"club": "club", "merchant": "game"}

BOM: Final = b"\xef\xbb\xbf"
_MARK: Final = "'"
_KEPT_DIGITS: Final = 15
_NO_ACCOUNT: Final = Account(None, None, None)
_ROWS_A_CHUNK: Final = 1000
_EPOCH: Final = date(1970, 1, 1)
_DAY_MS: Final = 24 * 3_600_000


class DayNotOver(Exception):
    """The day has not ended, or ended so shortly ago that some of it may not be seen yet."""


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day where the accounts are kept: a fixed offset from UTC, no daylight saving."""

    date: date
    utc_offset_minutes: int

    def __str__(self) -> str:
        return self.date.isoformat()

    @property
    def start_ms(self) -> int:
        return (self.date - _EPOCH).days * _DAY_MS - self.utc_offset_minutes * 60_000

    @property
    def end_ms(self) -> int:
        """Exclusive."""
        return self.start_ms + _DAY_MS

    @classmethod
    def of(cls, time_ms: int, utc_offset_minutes: int) -> "Day":
        """The day that a moment is in."""
        number = (time_ms + utc_offset_minutes * 60_000) // _DAY_MS
        return cls(_EPOCH + timedelta(days=number), utc_offset_minutes)

    @classmethod
    def last_ready(cls, now_ms: int, utc_offset_minutes: int) -> "Day":
        """The newest day whose statement can be made."""
        today = cls.of(now_ms - READY_AFTER_MS, utc_offset_minutes)
        return cls(today.date - timedelta(days=1), utc_offset_minutes)

    def check_ready(self, now_ms: int) -> None:
        """Raises DayNotOver."""
        if now_ms < self.end_ms + READY_AFTER_MS:
            raise DayNotOver(f"{self} is not over, or was over less than {READY_AFTER_MS // 60_000} minutes ago")


@dataclass(slots=True)
class Sums:
    """What lines add up to: amounts in the units of their columns, but settled points in hundredths."""

    count: int = 0
    amt: int = 0
    settle_hundredths: int = 0
    score: int = 0
    commission_score: int = 0

    def add(self, entry: Entry) -> None:
        self.count += 1
        if isinstance(entry, SettledClubOrder):
            self.amt += entry.order.amt
            self.settle_hundredths += entry.terms.settle_hundredths
        else:
            self.score += entry.result.score
            self.commission_score += entry.result.commission_score or 0


@dataclass(slots=True)
class Contents:
    """What a statement says in sum; filled while it is written."""

    total: Sums = field(default_factory=Sums)
    groups: dict[int | str, Sums] = field(default_factory=dict)
    """By source, or by mg_id."""

    def add(self, group: int | str, entry: Entry) -> None:
        self.total.add(entry)
        self.groups.setdefault(group, Sums()).add(entry)

    def total_text(self, kind: Kind) -> str:
        """What the last line says of all: settled points of a club, score of games."""
        return points_text(self.total.settle_hundredths) if kind == "club" else str(self.total.score)


def kinds_of(roles: Collection[str]) -> list[Kind]:
    """Which statements an app of these roles has. Roles are given for good when the app is made."""
    return [kind for role, kind in _KIND_OF_ROLE.items() if role in roles]


def why_absent(day: date, utc_offset_minutes: int, now_ms: int) -> str:
    """What a caller is told who asks for a statement that is not there."""
    wanted = Day(day, utc_offset_minutes)
    if now_ms < wanted.end_ms:
        return f"day: it is not over; it ends at {wanted.end_ms // 1000}"
    if now_ms < wanted.end_ms + EXPECTED_WITHIN_MS:
        return "day: its statement is being made"
    return "day: there is no statement of it"


def statement_csv(kind: Kind, entries: Iterable[Entry], utc_offset_minutes: int, contents: Contents) -> Iterator[bytes]:
    """The statement, some lines at a time. `entries` come in the order of their settle_time, those of the other kind
    among them; `contents` has the sums when all is taken."""
    yield BOM + csv_bytes([COLUMNS[kind]])
    rows = _rows(kind, _in_order(kind, entries), utc_offset_minutes, contents)
    while chunk := list(itertools.islice(rows, _ROWS_A_CHUNK)):
        yield csv_bytes(chunk)


def value_of(cell: str) -> str:
    """What a cell of a statement says: the inverse of how it is written."""
    return cell.removeprefix(_MARK)


def read_lines(file: BinaryIO) -> Iterator[dict[str, str]]:
    """The lines of a statement, unpacked: details first, then sums, by column. Raises ValueError, csv.Error."""
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        for row in csv.DictReader(text, strict=True):
            yield {column: value_of(cell) for column, cell in row.items()}


def moment_text(time_ms: int, utc_offset_minutes: int) -> str:
    """RFC 3339 to the millisecond, by the clock of that offset."""
    zone = timezone(timedelta(minutes=utc_offset_minutes))
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).astimezone(zone)
    text = moment.isoformat()
    return f"{text[:19]}.{time_ms % 1000:03}{text[19:]}"


def points_text(hundredths: int) -> str:
    """Points with two decimals, always: 333.25, 400.00, -0.07."""
    whole, rest = divmod(abs(hundredths), HUNDREDTHS_PER_POINT)
    return f"{'-' if hundredths < 0 else ''}{whole}.{rest:02d}"


# ------------------------------------------------------------------------------------------------------- the rows


def _in_order(kind: Kind, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Those of one kind; of one moment by id, among which an index promises no order."""
    wanted = SettledClubOrder if kind == "club" else ReportedOrder
    ours = (entry for entry in entries if isinstance(entry, wanted))
    for _, same_moment in itertools.groupby(ours, key=lambda entry: entry.settle_time_ms):
        yield from sorted(same_moment, key=_id_of)


def _id_of(entry: Entry) -> str:
    return entry.order.bill_no if isinstance(entry, SettledClubOrder) else entry.order_id


def _rows(kind: Kind, entries: Iterable[Entry], utc_offset_minutes: int, contents: Contents) -> Iterator[Sequence[str]]:
    for entry in entries:
        moment = moment_text(entry.settle_time_ms, utc_offset_minutes)
        if isinstance(entry, SettledClubOrder):
            contents.add(entry.order.source, entry)
            yield _club_row(entry, moment)
        else:
            contents.add(entry.mg_id, entry)
            yield _game_row(entry, moment)
    sums_row = _club_sums_row if kind == "club" else _game_sums_row
    for group in sorted(contents.groups, key=lambda group: (len(str(group)), str(group))):
        yield sums_row(_GROUP_LINE[kind], group, contents.groups[group])
    yield sums_row(TOTAL, None, contents.total)


def _club_row(settled: SettledClubOrder, moment: str) -> Sequence[str]:
    order, account = settled.order, settled.order.account or _NO_ACCOUNT
    return (
        DETAIL,
        "1",
        moment,
        _number(settled.settle_time_ms),
        text_cell(order.bill_no),
        text_cell(order.openid),
        _number(order.source),
        SOURCES[order.source].name,
        _number(order.amt),
        _number(settled.terms.amt_ratio),
        _points(settled.terms.settle_hundredths),
        _number(order.jf_gid),
        _number(account.type),
        text_cell(account.id or ""),
        _number(account.gid),
        text_cell(order.detail),
    )


def _club_sums_row(line: str, source: int | str | None, sums: Sums) -> Sequence[str]:
    cells = {
        "line": line,
        "count": _number(sums.count),
        "amt": _number(sums.amt),
        "settle_amt": _points(sums.settle_hundredths),
    }
    if source is not None:
        cells |= {"source": str(source), "source_name": SOURCES[int(source)].name}
    return [cells.get(column, "") for column in CLUB_COLUMNS]


def _game_row(reported: ReportedOrder, moment: str) -> Sequence[str]:
    result = reported.result
    return (
        DETAIL,
        "1",
        moment,
        _number(reported.settle_time_ms),
        text_cell(reported.order_id),
        text_cell(reported.out_order_id),
        text_cell(reported.mg_id),
        text_cell(reported.room_id),
        text_cell(result.match_id),
        text_cell(result.uid),
        _number(result.is_ai),
        _number(result.score),
        _number(result.remain_score),
        _number(result.commission_score),
        _number(result.settle_at_seconds),
    )


def _game_sums_row(line: str, mg_id: int | str | None, sums: Sums) -> Sequence[str]:
    cells = {
        "line": line,
        "count": _number(sums.count),
        "mg_id": "" if mg_id is None else text_cell(str(mg_id)),
        "score": _number(sums.score),
        "commission_score": _number(sums.commission_score),
    }
    return [cells.get(column, "") for column in GAME_COLUMNS]


def csv_bytes(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


# ------------------------------------------------------------------------------------------------------ the cells

_LETTER: Final = re.compile(r"[^\W\d_]")
_TAKEN_FOR_MORE: Final = re.compile(
    r"""
      (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\W_]*\d   # MAR1, Dec 5, sept-2026
    | (?:true|false)\s*$
    | [^\W\d_]{1,3}\.?\s?\d[\d.,\s]*$                                     # kr 100, R5: a currency somewhere
    | [〇零一二三四五六七八九十百千上下]                                  # 二〇二六年, 上午九点
    | .*\d\s?[年月日时時点點分秒]
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
"""What begins with a letter and is, somewhere, a date, a time, an amount or a truth."""


def text_cell(value: str) -> str:
    """A cell that every spreadsheet shows as this text."""
    if not value or (_LETTER.match(value) and not _TAKEN_FOR_MORE.match(value)):
        return value
    return _MARK + value


def _number(value: int | None) -> str:
    return "" if value is None else _shown_whole(str(value))


def _points(hundredths: int) -> str:
    return _shown_whole(points_text(hundredths))


def _shown_whole(digits: str) -> str:
    """A number as it stands, but as text where a spreadsheet would round it."""
    return digits if len(digits.lstrip("-").replace(".", "")) <= _KEPT_DIGITS else _MARK + digits
