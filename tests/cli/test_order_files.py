"""Reading files of orders."""

import json
from pathlib import Path

import pytest

from settlectl.failures import BadInput
from settlectl.order_files import FaultyRow, OrderRow, read_rows

HEADER = "bill_no,openid,amt,source,jf_gid,detail,account_type,account_id,account_gid"


def rows_of(path: Path, content: str | bytes) -> list[OrderRow | FaultyRow]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders"


def test_a_csv_row_is_the_body_of_a_call(file: Path) -> None:
    content = f"\ufeff{HEADER}\r\nb1,u1,1333,5,7,周末,2,club-9,9\r\n\r\nb2,u1,-5,0,0,,,,\r\n"
    first, second = rows_of(file, content)
    assert isinstance(first, OrderRow)
    assert isinstance(second, OrderRow)
    assert (first.line, second.line) == (2, 4)
    assert json.loads(first.body) == {
        "bill_no": "b1",
        "openid": "u1",
        "amt": 1333,
        "source": 5,
        "jf_gid": 7,
        "detail": "周末",
        "account": {"type": 2, "id": "club-9", "gid": 9},
    }
    assert json.loads(second.body) == {
        "bill_no": "b2",
        "openid": "u1",
        "amt": -5,
        "source": 0,
        "jf_gid": 0,
        "detail": "",
    }


def test_json_lines_and_csv_give_the_same_bodies(file: Path) -> None:
    (from_csv,) = rows_of(file, f"{HEADER}\nb1,u1,5,1,7,x,2,,\n")
    line = '{"jf_gid":7,"detail":"x","account":{"type":2,"id":null},"bill_no":"b1","openid":"u1","amt":5,"source":1}'
    (from_json,) = rows_of(file, f"\n{line}\n\n")
    assert isinstance(from_csv, OrderRow)
    assert isinstance(from_json, OrderRow)
    assert from_csv.body == from_json.body
    assert from_json.line == 2


def test_a_row_over_several_lines_is_named_by_its_first(file: Path) -> None:
    rows = rows_of(file, f'{HEADER}\nb1,u1,5,1,7,"two\nlines",,,\nb2,u1,x,1,7,,,,\n')
    assert [row.line for row in rows] == [2, 4]
    assert isinstance(rows[1], FaultyRow)


@pytest.mark.parametrize("cell", ["5.0", "1e3", "007", " 5", "5 ", "+5", "-0", "٣", "5_0", "0x5", "1,000"])
def test_only_plain_integers_are_integers(file: Path, cell: str) -> None:
    (row,) = rows_of(file, f'{HEADER}\nb1,u1,"{cell}",0,7,x,,,\n')
    assert isinstance(row, FaultyRow)
    assert row.fault == f"amt: {cell!r} is not a plain integer"


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (",u1,5,1,7,x,,,", "bill_no"),
        ("b1,u1,,1,7,x,,,", "amt"),
        ("b1,u1,0,1,7,x,,,", "amt"),
        ("b1,u1,-5,1,7,x,,,", "amt"),
        ("b1,u1,5,17,7,x,,,", "source"),
        ("b1,u1,5,1,-7,x,,,", "jf_gid"),
        ("b1,u1,5,1,7,x,3,,", "account.type"),
        (f"{'x' * 65},u1,5,1,7,x,,,", "bill_no"),
        ("b1,u1,1000000000001,1,7,x,,,", "amt"),
        ("b1,u1,5,1,7", "5 cells"),
    ],
)
def test_a_row_that_the_api_would_refuse_is_a_fault_that_names_the_field(file: Path, cells: str, named: str) -> None:
    (row,) = rows_of(file, f"{HEADER}\n{cells}\n")
    assert isinstance(row, FaultyRow)
    assert named in row.fault


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"bill_no":"b","openid":"u","amt":5.0,"source":1,"jf_gid":7,"detail":""}', "amt"),
        ('{"bill_no":"b","openid":"u","amt":"5","source":1,"jf_gid":7,"detail":""}', "amt"),
        ('{"bill_no":"b","openid":"u","amt":5,"source":1,"jf_gid":7,"detail":"","acount":{}}', "acount"),
        ('{"bill_no":"b","openid":"u","amt":5,"source":1,"jf_gid":7,"detail":"","account":{"typ":1}}', "account.typ"),
        ('{"bill_no":"b"', "not valid JSON"),
        ('{"amt":1,"amt":2}', "twice"),
    ],
)
def test_a_json_line_is_read_as_strictly_as_a_body(file: Path, line: str, named: str) -> None:
    (row,) = rows_of(file, line)
    assert isinstance(row, FaultyRow)
    assert named in row.fault


def test_one_bill_no_with_two_contents_is_a_fault_and_with_one_a_repeat(file: Path) -> None:
    content = f"{HEADER}\nb1,u1,5,1,7,x,,,\nb1,u1,5,1,7,x,,,\nb1,u1,6,1,7,x,,,\n"
    first, repeat, other = rows_of(file, content)
    assert isinstance(first, OrderRow)
    assert isinstance(repeat, OrderRow)
    assert other == FaultyRow(4, "bill_no: stands on line 2 with other content", "b1,u1,6,1,7,x,,,")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            f'{HEADER}\r\n\r\nb1,u1,5.0,1,7,"two\r\nlines, ""quoted""",,,\r\n',
            'b1,u1,5.0,1,7,"two\r\nlines, ""quoted""",,,',
        ),
        (f"{HEADER}\nb1,u1,5,1,7", "b1,u1,5,1,7"),
        ('\ufeff{"bill_no": "b\n', '{"bill_no": "b'),
        (b'{"detail":"\xff\xe4\xb8\xad"}\n', '{"detail":"\\xff中"}'),
    ],
)
def test_a_faulty_row_keeps_its_text_as_it_stands_in_the_file(file: Path, content: str | bytes, text: str) -> None:
    (row,) = rows_of(file, content)
    assert isinstance(row, FaultyRow)
    assert row.text == text


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "empty"),
        ("bill_no,openid,amt,source,detail\n", "jf_gid is missing"),
        (f"{HEADER},note\n", "'note'"),
        (f"{HEADER},amt\n", "twice"),
        (f"{HEADER}\n".encode() + b"b1,u\xff,5,1,7,x,,,\n", "line 2: not valid UTF-8"),
        (f'{HEADER}\nb1,"u1,5,1,7,x,,,\n', "not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_bad_input(file: Path, content: str | bytes, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        rows_of(file, content)
