"""Points as they are printed."""

import re
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from settlement.points import points
from settlement.strictjson import dump, dump_ascii, parse_object

any_hundredths = st.integers() | st.integers(-(10**40), 10**40) | st.integers(-1000, 1000)
PRINTED = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]?[1-9])?")


@pytest.mark.parametrize(
    ("hundredths", "text"),
    [
        (134, "1.34"),
        (130, "1.3"),
        (8_888_833, "88888.33"),
        (40_000, "400"),
        (0, "0"),
        (1, "0.01"),
        (-1, "-0.01"),
        (-10, "-0.1"),
        (-100, "-1"),
        (-134, "-1.34"),
        (99, "0.99"),
        (10**14, "1000000000000"),
        (-(10**14) + 1, "-999999999999.99"),
        (10**34 + 1, "1" + "0" * 32 + ".01"),
        (2**53 + 1, "90071992547409.93"),
    ],
)
def test_points_are_printed_as_people_read_them(hundredths: int, text: str) -> None:
    assert str(points(hundredths)) == text
    assert dump({"a": points(hundredths)}) == f'{{"a":{text}}}'


@given(any_hundredths)
@example(10**33 + 7)
@example(-(10**60) - 1)
def test_points_print_the_exact_number_with_at_most_two_decimals(hundredths: int) -> None:
    text = str(points(hundredths))
    assert PRINTED.fullmatch(text)
    assert Fraction(text) == Fraction(hundredths, 100)
    assert dump([points(hundredths)]) == dump_ascii([points(hundredths)]) == f"[{text}]"


@given(st.integers(-(10**36), 10**36))
def test_points_come_back_from_json_unchanged(hundredths: int) -> None:
    assert parse_object(dump({"a": points(hundredths)}).encode())["a"] == points(hundredths)


@given(any_hundredths)
def test_points_do_not_depend_on_the_decimal_context(hundredths: int) -> None:
    with localcontext(prec=3):
        narrow = points(hundredths)
    assert narrow == points(hundredths)
    assert isinstance(narrow, Decimal)
