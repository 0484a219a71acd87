"""Strict JSON: bytes that came in, text that goes out.

simplejson and not json: it reads and writes Decimal as a JSON number, so neither points nor a merchant's payload pass
through binary floats.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import simplejson

from settlement.errors import BadRequest

MAX_DEPTH = 32
MAX_NUMBER_DIGITS = 40

type JsonObject = dict[str, Any]

# Possessive, and a string that does not end goes to the end of the text: each character is looked at once.
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_LONG_NUMBER = re.compile(rf"[0-9.eE+-]{{{MAX_NUMBER_DIGITS + 1}}}")
_ESCAPED_DEL = re.compile(r"(?<!\\)((?:\\\\)*)\\u007f")  # not the text "\u007f", whose backslash is doubled
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_object(body: bytes) -> JsonObject:
    """The JSON object that `body` is.

    Raises BadRequest for: bytes that are not UTF-8 (a byte order mark included), text that is not JSON, NaN and
    Infinity, a name that stands twice in one object, a number of more than 40 characters, lone surrogates, more than
    32 levels, anything but an object at the top.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest("body: not valid UTF-8") from error
    if text.startswith("\ufeff"):  # simplejson would skip it
        raise BadRequest("body: starts with a byte order mark")
    _check_depth_and_numbers(text)
    try:
        value = _STRICT.decode(text)
    except (simplejson.JSONDecodeError, RecursionError, ArithmeticError) as error:  # the last: 1e99999999999999999999
        raise BadRequest("body: not valid JSON") from error
    if not isinstance(value, dict):
        raise BadRequest("body: must be a JSON object")
    if _SURROGATE_ESCAPE.search(text):
        try:
            simplejson.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadRequest("body: a string holds a lone surrogate") from error
    return value


def dump(value: object) -> str:
    """Compact JSON text, characters beyond ASCII as they are. Decimals are written digit for digit."""
    return _COMPACT.encode(value)


def dump_ascii(value: object) -> str:
    r"""Compact JSON text in ASCII alone, `/` written `\/`: what re-encoding receivers produce again from it.

    DEL stays as it is: it is ASCII, and only Python's encoders escape it.
    """
    text = _COMPACT_ASCII.encode(value)
    return _ESCAPED_DEL.sub("\\1\x7f", text).replace("/", "\\/")


def load(text: str) -> JsonObject:
    """The object whose text `dump` wrote; it was checked on its way in, and exponents may have become longer since."""
    value: JsonObject = _LENIENT.decode(text)
    return value


def canonical(text: str) -> str:
    """The same text for every order of names: to compare two JSON texts by content."""
    return simplejson.dumps(_LENIENT.decode(text), separators=(",", ":"), sort_keys=True, use_decimal=True)


def _check_depth_and_numbers(text: str) -> None:
    # The scan is paid for only by bodies that could fail it.
    if text.count("[") + text.count("{") > MAX_DEPTH or _LONG_NUMBER.search(text):
        outside_strings = _STRING.sub("", text)
        if _LONG_NUMBER.search(outside_strings):
            raise BadRequest(f"body: a number has more than {MAX_NUMBER_DIGITS} characters")
        depth = 0
        for bracket in _BRACKET.findall(outside_strings):
            depth += 1 if bracket in "[{" else -1
            if depth > MAX_DEPTH:
                raise BadRequest(f"body: nested more than {MAX_DEPTH} levels deep")


def _unique(pairs: Iterable[tuple[str, Any]]) -> JsonObject:
    result: JsonObject = {}
    for name, value in pairs:
        if name in result:
            raise BadRequest("body: a name stands twice in one object")
        result[name] = value
    return result


def _refuse_constant(constant: str) -> None:
    raise BadRequest(f"body: {constant} is not JSON")


# Made once: simplejson's functions make one for each call.
_STRICT: Final = simplejson.JSONDecoder(parse_float=Decimal, object_pairs_hook=_unique, parse_constant=_refuse_constant)
_LENIENT: Final = simplejson.JSONDecoder(parse_float=Decimal)
_COMPACT: Final = simplejson.JSONEncoder(separators=(",", ":"), ensure_ascii=False, use_decimal=True, allow_nan=False)
_COMPACT_ASCII: Final = simplejson.JSONEncoder(separators=(",", ":"), use_decimal=True, allow_nan=False)
