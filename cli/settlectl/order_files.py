"""Files of orders: CSV or JSON lines in, validated orders out, each with its line number.

    bill_no,openid,amt,source,jf_gid,detail,account_type,account_id,account_gid
    bill-1001,user-1,1333,5,7,weekend,2,club-9,9

    {"bill_no":"bill-1001","openid":"user-1","amt":1333,"source":5,"jf_gid":7,"detail":"weekend","account":{"type":2}}

An import cannot be taken back, so nothing is guessed: a column or field that the API does not know is a fault (it might
be a mistyped one), and so is `5.0`, `1e3`, `007` or ` 5` for an integer. An empty CSV cell is an absent field; in
`detail` it is the empty text.
"""

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from settlectl.failures import BadInput
from settlement.club_messages import AccountFields, CreateClubOrderRequest
from settlement.errors import BadRequest
from settlement.fields import validated
from settlement.strictjson import dump, parse_object

ACCOUNT: Final = "account_"
TEXT_COLUMNS: Final = ("bill_no", "openid", "detail", "account_id")
INTEGER_COLUMNS: Final = ("amt", "source", "jf_gid", "account_type", "account_gid")
REQUIRED_COLUMNS: Final = ("bill_no", "openid", "amt", "source", "jf_gid", "detail")
COLUMNS: Final = (*TEXT_COLUMNS, *INTEGER_COLUMNS)

_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class OrderRow:
    line: int
    bill_no: str
    body: bytes
    """Of CreateClubJfOrder."""
    text: str
    """As it stands in the file, without the line's end."""


@dataclass(frozen=True, slots=True)
class FaultyRow:
    line: int
    fault: str
    text: str
    """As it stands in the file, to be mended; bytes that are not UTF-8 as \\xff."""


type Row = OrderRow | FaultyRow


class _Fault(Exception):
    """What is wrong with one row."""


def read_rows(path: Path) -> Iterator[Row]:
    """Every order of the file, in order; blank lines are skipped.

    CSV unless the first line that is not blank begins with `{`. Raises BadInput where the file as a whole is unusable.
    """
    try:
        with path.open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
            file.seek(0)
            if first.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
                yield from _no_bill_twice(_read_json_lines(file))
            else:
                yield from _no_bill_twice(_read_csv(file))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error


def digest_of(path: Path) -> str:
    """SHA-256 of the file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_bill_twice(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows are sent several at a time: of two with one bill_no and different content, chance would choose the order."""
    seen: dict[str, tuple[int, bytes]] = {}
    for row in rows:
        if isinstance(row, OrderRow):
            digest = hashlib.blake2b(row.body, digest_size=16).digest()
            line, first_digest = seen.setdefault(row.bill_no, (row.line, digest))
            if first_digest != digest:
                yield FaultyRow(row.line, f"bill_no: stands on line {line} with other content", row.text)
                continue
        yield row


def _read_json_lines(lines: Iterator[bytes]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content.strip():
            text = content.decode(errors="backslashreplace").rstrip("\r\n")
            try:
                yield _order(number, parse_object(content), text)
            except BadRequest as error:
                yield FaultyRow(number, error.detail, text)
            except _Fault as fault:
                yield FaultyRow(number, str(fault), text)


def _read_csv(lines: Iterator[bytes]) -> Iterator[Row]:
    taken: list[str] = []  # the lines that the reader has taken for the row in hand
    reader = csv.reader(_kept(_decoded(lines), taken), strict=True)
    columns: list[str] = []
    try:
        while (line := reader.line_num + 1) and (cells := next(reader, None)) is not None:
            text = "".join(taken).rstrip("\r\n")
            taken.clear()
            if not any(cells):
                continue
            if not columns:
                columns = _checked_header(cells)
                continue
            try:
                yield _order(line, _fields(columns, cells), text)
            except _Fault as fault:
                yield FaultyRow(line, str(fault), text)
    except csv.Error as error:
        raise BadInput(f"line {reader.line_num}: not CSV: {error}") from error
    if not columns:
        raise BadInput(f"the file is empty; a CSV file begins with a line of column names: {','.join(COLUMNS)}")


def _kept(lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _decoded(lines: Iterator[bytes]) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise BadInput(
                f"line {number}: not valid UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)"
            ) from error


def _checked_header(columns: list[str]) -> list[str]:
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    if missing or unknown or len(set(columns)) != len(columns):
        problem = (
            f"column {missing[0]} is missing"
            if missing
            else f"unknown column {unknown[0]!r}"
            if unknown
            else "a column stands twice"
        )
        raise BadInput(f"the first line must name the columns: {problem}. Known are {', '.join(COLUMNS)}")
    return columns


def _fields(columns: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) != len(columns):
        raise _Fault(f"has {len(cells)} cells, the first line names {len(columns)} columns")
    order: dict[str, Any] = {}
    account: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if cell or column == "detail":
            value = _integer(column, cell) if column in INTEGER_COLUMNS else cell
            if column.startswith(ACCOUNT):
                account[column.removeprefix(ACCOUNT)] = value
            else:
                order[column] = value
    return order | ({"account": account} if account else {})


def _integer(column: str, cell: str) -> int:
    if not _INTEGER.fullmatch(cell):
        raise _Fault(f"{column}: {cell!r} is not a plain integer")
    return int(cell)


def _order(line: int, fields: dict[str, Any], text: str) -> OrderRow:
    account = fields.get("account")
    for known, given, where in (
        (CreateClubOrderRequest.model_fields, fields, ""),
        (AccountFields.model_fields, account if isinstance(account, dict) else {}, "account."),
    ):
        unknown = [name for name in given if name not in known]
        if unknown:
            raise _Fault(f"{where}{unknown[0]}: not a field of CreateClubJfOrder")
    try:
        order = validated(CreateClubOrderRequest, fields)
    except BadRequest as error:
        raise _Fault(error.detail) from error
    return OrderRow(line, order.bill_no, dump(order.model_dump(exclude_none=True)).encode(), text)
