"""Bodies as bytes: what is an object, and what is refused."""

import json
import random
import time
from decimal import Decimal
from typing import Any

import pytest
import simplejson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.errors import BadRequest
from settlement.strictjson import MAX_DEPTH, MAX_NUMBER_DIGITS, canonical, dump, dump_ascii, load, parse_object

REFUSED: dict[str, bytes] = {
    "nothing": b"",
    "spaces": b"  \n ",
    "null": b"null",
    "true": b"true",
    "a number": b"5",
    "a string": b'"a"',
    "an empty array, as PHP sends for an empty object": b"[]",
    "an array of objects": b'[{"a":1}]',
    "two objects": b'{"a":1}{"a":1}',
    "an object and more": b'{"a":1} x',
    "cut": b'{"a":1',
    "cut in a string": b'{"a":"b',
    "cut in an escape": b'{"a":"\\u12',
    "a comma too many": b'{"a":1,}',
    "a comma too many in an array": b'{"a":[1,]}',
    "no colon": b'{"a" 1}',
    "no quotes": b"{a:1}",
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":1}//',
    "a leading zero": b'{"a":01}',
    "a leading plus": b'{"a":+1}',
    "no digit before the point": b'{"a":.5}',
    "no digit after the point": b'{"a":5.}',
    "no digit in the exponent": b'{"a":5e}',
    "a hexadecimal number": b'{"a":0x10}',
    "a minus alone": b'{"a":-}',
    "digits of another script": '{"a":１２}'.encode(),
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":[-Infinity]}',
    "True": b'{"a":True}',
    "an exponent beyond everything": b'{"a":1e99999999999999999999}',
    "an exponent beyond everything below": b'{"a":-1e-99999999999999999999}',
    "a line break in a string": b'{"a":"b\nc"}',
    "a NUL in a string": b'{"a":"b\x00c"}',
    "a NUL at the end": b'{"a":1}\x00',
    "an unknown escape": b'{"a":"\\x41"}',
    "a bad unicode escape": b'{"a":"\\u12g4"}',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a":1}'.encode("utf-16-le"),
    "latin-1": b'{"a":"\xe9"}',
    "an overlong encoding": b'{"a":"\xc0\xaf"}',
    "a cut UTF-8 sequence": b'{"a":"\xe4\xb8"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "beyond Unicode": b'{"a":"\xf5\x80\x80\x80"}',
    "a lone high surrogate": b'{"a":"\\ud800"}',
    "a lone low surrogate": b'{"a":"\\udc00"}',
    "a lone surrogate, capitals": b'{"a":"\\uDBFF"}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a lone surrogate after a pair": b'{"a":"\\ud83d\\ude00\\ud83d"}',
    "a lone surrogate in a name": b'{"\\ud800":1}',
    "a lone surrogate deep inside": b'{"a":[{"b":{"\\udfff":null}}]}',
    "a lone surrogate in an array": b'{"a":["x","\\ud800"]}',
    "a name twice": b'{"a":1,"a":1}',
    "a name twice, once escaped": b'{"a":1,"\\u0061":1}',
    "a name twice inside": b'{"x":{"a":1,"b":2,"a":3}}',
    "a name twice in an array": b'{"x":[{},{"a":1,"a":1}]}',
    "an empty name twice": b'{"":1,"":2}',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_one_strict_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"\Abody: "):
        parse_object(body)


ACCEPTED: dict[str, tuple[bytes, Any]] = {
    "empty": (b"{}", {}),
    "spaces around": (b' \t\r\n{ "a" : 1 } \n', {"a": 1}),
    "the same name in two objects": (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    "escapes": (rb'{"a":"\u4e2d\/\"\\\n"}', {"a": '中/"\\\n'}),
    "a pair of surrogates": (rb'{"a":"\ud83d\ude00"}', {"a": "😀"}),
    "a pair in a name": (rb'{"\uD83D\uDE00":1}', {"😀": 1}),
    "an escaped backslash before what is no escape": (rb'{"a":"\\ud800"}', {"a": r"\ud800"}),
    "NaN in a string": (b'{"a":"NaN"}', {"a": "NaN"}),
    "a byte order mark inside": ('{"a":"\ufeff"}'.encode(), {"a": "\ufeff"}),
    "an empty array inside": (b'{"a":[]}', {"a": []}),
    "minus zero": (b'{"a":-0}', {"a": 0}),
    "true, false, null": (b'{"a":[true,false,null]}', {"a": [True, False, None]}),
    "a fraction": (b'{"a":1.10}', {"a": Decimal("1.10")}),
    "an exponent": (b'{"a":1e3}', {"a": Decimal("1E+3")}),
    "a great exponent": (b'{"a":1e999999}', {"a": Decimal("1E+999999")}),
    "DEL": (b'{"a":"\x7f"}', {"a": "\x7f"}),
}


@pytest.mark.parametrize(("body", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_one_strict_json_object_is_read(body: bytes, value: Any) -> None:
    assert parse_object(body) == value


def test_a_fraction_is_read_as_decimal_and_a_whole_number_as_int() -> None:
    value = parse_object(b'{"whole":5,"fraction":5.0,"exponent":5e0}')
    assert [type(value[name]) for name in value] == [int, Decimal, Decimal]


# --------------------------------------------------------------------------------------------------- depth and numbers

NESTED = {
    "arrays": lambda depth: b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}",
    "objects": lambda depth: b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1),
    "both": lambda depth: b'{"a":[' * (depth // 2) + (b"{}" if depth % 2 else b"") + b"]}" * (depth // 2),
    "after many flat ones": lambda depth: (
        b'{"f":[' + b",".join([b"[]"] * 99) + b'],"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    ),
}


@pytest.mark.parametrize("shape", NESTED.values(), ids=NESTED.keys())
def test_thirty_two_levels_are_read_and_thirty_three_are_not(shape: Any) -> None:
    assert parse_object(shape(MAX_DEPTH))
    with pytest.raises(BadRequest, match="nested more than 32"):
        parse_object(shape(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text", ["[" * 500, "{[" * 200, '\\"' + "[" * 100 + '\\"', "\\\\" * 9 + '\\"' + "[" * 99, "[\\\\", "9" * 100]
)
def test_brackets_and_digits_in_a_string_do_not_count(text: str) -> None:
    body = f'{{"{text}":"{text}","b":["{text}"]}}'.encode()
    assert parse_object(body) == json.loads(body)


@pytest.mark.parametrize("body", [b"[" * 65_000, b'{"a":' * 13_000, b'{"a":' + b"[" * 60_000])
def test_any_depth_is_refused_and_not_recursed_into(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_object(body)


@pytest.mark.parametrize(
    "number", ["1" * 40, "-" + "1" * 39, "0." + "1" * 38, "1e" + "0" * 37 + "1", "-1.5E+" + "0" * 33 + "2"]
)
def test_a_number_of_forty_characters_is_read_exactly_and_one_of_forty_one_is_not(number: str) -> None:
    assert len(number) == MAX_NUMBER_DIGITS
    assert Decimal(parse_object(f'{{"a":{number}}}'.encode())["a"]) == Decimal(number)
    longer = number.replace("1", "11", 1)
    for body in (f'{{"a":{longer}}}', f'{{"b":"[","a":[{longer}]}}'):
        with pytest.raises(BadRequest, match="more than 40 characters"):
            parse_object(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' + b"[" * 33 + b'"' + b'\\"' * 32_000,
        b'{"a":' + b"[" * 33 + b'"' * 65_000,
        b'{"a":' + b"[" * 33 + b'"' + b"\\" * 65_000,
        b"[" * 40 + b'"a\\' * 16_000,
        b"1" * 65_000,
        b'{"a":[' + b"1.," * 20_000,
        (b'{"' + b"1" * 41 + b'":"') + b'\\"' * 32_000,
    ],
    ids=range(7),
)
def test_no_body_takes_more_time_than_its_length_is_worth(body: bytes) -> None:
    started = time.process_time()
    with pytest.raises(BadRequest):
        parse_object(body)
    assert time.process_time() - started < 0.5  # one that is read again and again takes 10 s


# ------------------------------------------------------------------------------------------------- any bytes at all

texts = st.text(max_size=8)
leaves = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | texts
documents = st.dictionaries(
    texts,
    st.recursive(leaves, lambda inside: st.lists(inside, max_size=4) | st.dictionaries(texts, inside, max_size=4)),
    max_size=5,
)
EVIL = [b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"\\u", b"\\ud800", b"NaN", b"-", b"1e9999999999999999999"]
EVIL += [b"\x00", b"\xff", b"\xef\xbb\xbf", b"0" * 50, b"[" * 40, b'{"a":' * 40, b".", b"\xed\xa0\x80", b"true", b"\n"]


def value_or_refusal(body: bytes) -> object:
    try:
        return parse_object(body)
    except BadRequest as error:
        return error


@settings(max_examples=1000)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0123eE.-dD8 \n', max_size=60).map(str.encode))
def test_arbitrary_bytes_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    outcome = value_or_refusal(body)
    assert isinstance(outcome, dict | BadRequest)


def test_ten_thousand_mutations_of_valid_documents_are_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(20261122)  # noqa: S311
    samples: list[dict[str, Any]] = [{"a": [1, -2.5, {"b": "中😀/"}], "c": None}, {"": {}}]
    seeds = [json.dumps(sample).encode() for sample in samples]
    seeds += [body for body, _ in ACCEPTED.values()]
    refused = 0
    for _ in range(10_000):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(body))
            match chance.randint(0, 3):
                case 0:
                    body[at:at] = chance.choice(EVIL)
                case 1:
                    del body[at : at + chance.randint(1, 3)]
                case 2:
                    body[at : at + 1] = bytes([chance.randint(0, 255)])
                case _:
                    body[at:at] = body[: chance.randint(0, len(body))]
        outcome = value_or_refusal(bytes(body))
        assert isinstance(outcome, dict | BadRequest)
        refused += isinstance(outcome, BadRequest)
    assert 5_000 < refused < 10_000  # the mutations reach both sides


@given(documents, st.booleans(), st.sampled_from([None, 2]))
def test_documents_are_read_as_the_standard_library_reads_them(
    document: Any, ascii_only: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse_object(body) == json.loads(body) == document


@settings(max_examples=500)
@given(
    st.text(alphabet='{}[]",:\\/bnu01234567e.+- tfals', max_size=30).map(lambda inside: f'{{"a":{inside}}}'.encode())
)
@example(b'{"a":1E5}')
@example(b'{"a":"\\ud83d\\ude00"}')
def test_nothing_is_read_that_the_standard_library_refuses(body: bytes) -> None:
    try:
        expected = json.loads(body, parse_float=Decimal)
    except ValueError:
        assert isinstance(value_or_refusal(body), BadRequest)
    else:
        outcome = value_or_refusal(body)
        assert outcome == expected or isinstance(outcome, BadRequest)


# --------------------------------------------------------------------------------------------------------- going out

numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,15})\.[0-9]{1,15}", fullmatch=True)


@given(numbers)
@example("-0.0")
@example("1.10")
@example("123456789012345.123456789012345")
def test_fractions_are_written_as_they_were_read_digit_for_digit(number: str) -> None:
    value = parse_object(f'{{"a":{number}}}'.encode())
    if Decimal(number).adjusted() >= -6:  # below, Decimal writes an exponent
        assert dump(value) == f'{{"a":{number}}}'
    assert load(dump(value)) == value
    assert str(load(dump(value))["a"]) == str(value["a"])


@pytest.mark.parametrize(
    ("read", "written"),
    [
        ("1e2", "1E+2"),
        ("1E2", "1E+2"),
        ("12e0", "12"),
        ("1.5e1", "15"),
        ("1.50e1", "15.0"),
        ("0.0000001", "1E-7"),
        ("0.000001", "0.000001"),
        ("-0", "0"),
        ("1234567890123456789012345678901234567e10", "1.234567890123456789012345678901234567E+46"),
    ],
)
def test_an_exponent_keeps_its_value_and_its_precision_but_not_its_spelling(read: str, written: str) -> None:
    value = parse_object(f'{{"a":{read}}}'.encode())
    assert dump(value) == f'{{"a":{written}}}'
    assert load(dump(value)) == value  # even where it has become longer than a body may hold
    assert Decimal(written) == Decimal(read)


@given(documents)
def test_what_is_written_is_read_again_the_same(document: Any) -> None:
    assert load(dump(document)) == document
    assert load(dump_ascii(document)) == document
    assert parse_object(dump(document).encode()) == document


@given(documents)
@example({"/": "</script>", "中": "😀", "u": "\u2028"})
@example({"\x7f": "\\u007f \\\x7f \\\\\x7f"})
def test_ascii_text_is_ascii_has_no_bare_slash_and_says_the_same(document: Any) -> None:
    text = dump_ascii(document)
    assert text.isascii()
    assert text.replace("\\/", "").count("/") == 0
    assert json.loads(text) == document
    # DEL aside, it is what Python's own encoder writes; DEL stays as it is, as in PHP, Node and Go.
    assert text.replace("\x7f", "\\u007f") == json.dumps(document, separators=(",", ":")).replace("/", "\\/")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": -float("inf")}])
def test_what_json_has_no_word_for_is_not_written(value: object) -> None:
    for write in (dump, dump_ascii):
        with pytest.raises(ValueError, match="JSON compliant"):
            write(value)


@given(documents, st.randoms(use_true_random=False))
def test_canonical_text_is_one_for_every_order_of_names(document: Any, chance: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            chance.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert canonical(dump(document)) == canonical(simplejson.dumps(shuffled(document), indent=1))


@given(documents, documents)
def test_canonical_text_differs_where_the_content_does(one: Any, other: Any) -> None:
    assert (canonical(dump(one)) == canonical(dump(other))) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )
