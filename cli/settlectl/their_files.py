"""Their list of a day, from whatever they keep it in: CSV, TSV or JSON lines, gzip or not, in UTF-8, UTF-16 or as told.

Two columns are read, the order's id and its amount; the others may be there. Nothing is guessed: an amount that is no
plain decimal, or an id that is not there, is a fault with its line.

A statement of ours is read as what it is: its details alone, without the marks before its cells.
"""

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final, Literal, cast

import simplejson

from settlectl.failures import BadInput
from settlectl.reconciliation import TheirLine
from settlement.points import HUNDREDTHS_PER_POINT
from settlement.statements import COLUMNS, DETAIL, Kind, value_of

type Unit = Literal["points", "hundredths"]

KEYS: Final[dict[Kind, tuple[str, ...]]] = {"club": ("bill_no",), "game": ("out_order_id", "order_id")}
"""Our names of the order's id; the first that their file has is compared by."""
AMOUNT: Final[dict[Kind, str]] = {"club": "settle_amt", "game": "score"}
ALSO_CALLED: Final = {"bill_no": "billno"}
"""By the API's list."""
_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,10})?", re.ASCII)
_GZIP: Final = b"\x1f\x8b"
_HUNDRED: Final = Decimal(HUNDREDTHS_PER_POINT)
_EXACT: Final = Context(prec=100)
_LOOKED_AT_LINES: Final = 1000
"""How many between two looks at how far the file is read."""


class TheirFile:
    """A file that is being read."""

    def __init__(
        self,
        path: Path,
        kind: Kind,
        names: Mapping[str, str] | None = None,
        unit: Unit = "points",
        encoding: str | None = None,
    ) -> None:
        """`names` are their names of our columns, where they differ. Raises BadInput."""
        names = names or {}
        known = (*KEYS[kind], AMOUNT[kind])
        for name in names:
            if name not in known:
                raise BadInput(f"--map {name}=...: what is compared is {', '.join(known)}")
        if encoding is not None:
            try:
                codecs.lookup(encoding)
            except LookupError as error:
                raise BadInput(f"--encoding {encoding!r}: there is none of that name") from error
        self.path = path
        self.key = ""
        """Our name of the id that is compared by; known when the first line is read."""
        self.bytes_read = 0
        self._kind = kind
        self._names = names
        self._unit = unit
        self._encoding = encoding

    def lines(self) -> Iterator[TheirLine]:
        """Raises BadInput."""
        try:
            with self.path.open("rb") as raw:
                packed = raw.read(len(_GZIP)) == _GZIP
                raw.seek(0)
                plain = io.BufferedReader(cast("Any", gzip.GzipFile(fileobj=raw))) if packed else raw
                encoding = self._encoding or _encoding_of(plain)
                with io.TextIOWrapper(plain, encoding=encoding, newline="") as text:
                    for number, line in enumerate(self._rows(text)):
                        if number % _LOOKED_AT_LINES == 0:
                            self.bytes_read = raw.tell()
                        yield line
        except UnicodeError as error:
            raise BadInput(
                f"{self.path}: not {self._encoding or 'UTF-8'}; save it as UTF-8, or name its encoding, "
                "such as --encoding gb18030"
            ) from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadInput(f"{self.path}: its gzip is damaged: {error}") from error
        except OSError as error:
            raise BadInput(f"{self.path}: {error.strerror}") from error

    def _rows(self, text: Iterator[str]) -> Iterator[TheirLine]:
        for number, line in enumerate(text, 1):
            if line.strip():
                rest = itertools.chain([line], text)
                read = self._json_rows if line.lstrip().startswith("{") else self._csv_rows
                yield from read(rest, number)
                return
        raise BadInput(f"{self.path}: the file is empty")

    # ------------------------------------------------------------------------------------------------------- CSV

    def _csv_rows(self, lines: Iterator[str], first: int) -> Iterator[TheirLine]:
        header = next(lines)
        delimiter = next((each for each in "\t,;" if each in header), ",")
        reader = csv.reader(itertools.chain([header], lines), delimiter=delimiter, strict=True)
        try:
            columns = [name.strip() for name in next(reader)]
            is_ours = set(COLUMNS[self._kind]) <= set(columns)
            key_at, amount_at = self._places(columns)
            while (number := first + reader.line_num) and (cells := next(reader, None)) is not None:
                if not any(cells) or (is_ours and cells[columns.index("line")] != DETAIL):
                    continue
                if len(cells) != len(columns):
                    raise BadInput(f"line {number}: has {len(cells)} cells, the first has {len(columns)} columns")
                key, amount = cells[key_at], cells[amount_at]
                yield (
                    self._line(number, value_of(key), value_of(amount))
                    if is_ours
                    else self._line(number, key, amount.strip())
                )
        except csv.Error as error:
            raise BadInput(f"line {first + reader.line_num - 1}: not CSV: {error}") from error

    def _places(self, columns: list[str]) -> tuple[int, int]:
        """Where id and amount stand."""
        for name in columns:
            if name and columns.count(name) > 1:
                raise BadInput(f"the first line names column {name!r} twice")
        key, amount = self._found_names(columns)
        return columns.index(key), columns.index(amount)

    # ------------------------------------------------------------------------------------------------ JSON lines

    def _json_rows(self, lines: Iterator[str], first: int) -> Iterator[TheirLine]:
        found: tuple[str, str] | None = None
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            try:
                fields = simplejson.loads(line, use_decimal=True)
            except ValueError as error:
                raise BadInput(f"line {number}: not JSON: {error}") from error
            if not isinstance(fields, dict):
                raise BadInput(f"line {number}: not a JSON object")
            key, amount = found = found or self._found_names(fields)
            if not isinstance(fields.get(key), str):
                raise BadInput(f"line {number}: {key} must be a string")
            if isinstance(fields.get(amount), bool) or not isinstance(fields.get(amount), int | str | Decimal):
                raise BadInput(f"line {number}: {amount} must be a number")
            value = fields[amount]
            yield self._line(number, fields[key], f"{value:f}" if isinstance(value, Decimal) else str(value))

    # -------------------------------------------------------------------------------------------------- both alike

    def _found_names(self, columns: Collection[str]) -> tuple[str, str]:
        """Their names of the id and the amount. An id that --map names is looked for before the others."""
        keys = sorted(KEYS[self._kind], key=lambda name: name not in self._names)
        for key in keys:
            for name in [self._names[key]] if key in self._names else [key, ALSO_CALLED.get(key, key)]:
                if name in columns:
                    self.key = key
                    return name, self._amount_name(columns)
        wanted = " or ".join(self._names.get(key, key) for key in keys)
        raise BadInput(f"{self.path}: no column {wanted}; its first line has {_some(columns)}. --map {keys[0]}=THEIRS")

    def _amount_name(self, columns: Collection[str]) -> str:
        ours = AMOUNT[self._kind]
        name = self._names.get(ours, ours)
        if name not in columns:
            raise BadInput(f"{self.path}: no column {name}; its first line has {_some(columns)}. --map {ours}=THEIRS")
        return name

    def _line(self, number: int, key: str, amount: str) -> TheirLine:
        if not key:
            raise BadInput(f"line {number}: the id is empty")
        if not _AMOUNT.fullmatch(amount):
            raise BadInput(f"line {number}: {amount!r} is no plain amount, such as 1234.5 or -7")
        points = Decimal(amount)
        return TheirLine(number, key, points if self._unit == "points" else _EXACT.divide(points, _HUNDRED))


def _encoding_of(plain: io.BufferedReader) -> str:
    """By its byte order mark; UTF-8 without one."""
    start = plain.peek(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig"


def _some(columns: Collection[str]) -> str:
    return ", ".join(list(columns)[:12])
