"""page_context: where a walk goes on, and nothing else."""

from copy import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.cursor import ListQuery, Position, decode_cursor, encode_cursor
from settlement.errors import BadRequest

KEYS = {1: "key-1", 2: "key-2", 65535: "key-65535"}
WORDS = "page_context: not one that this query was given"
QUERY = ListQuery("club-a", "o-1", 5, 1_700_000_000, 1_795_000_000)
POSITION = Position(1_794_999_999_999, "b-1")
CURSOR = encode_cursor(POSITION, QUERY, KEYS[1], 1)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

bill_nos = st.text(min_size=1, max_size=64).filter(lambda text: len(text.encode()) <= 64)
queries = st.builds(
    ListQuery,
    app_id=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    openid=st.text(min_size=1, max_size=128),
    source=st.none() | st.integers(0, 16),
    start_seconds=st.none() | st.integers(1, 2**40),
    end_seconds=st.none() | st.integers(1, 2**40),
)


def refused(text: str, query: ListQuery = QUERY) -> None:
    with pytest.raises(BadRequest) as raised:
        decode_cursor(text, query, KEYS.get)
    assert raised.value.detail == WORDS
    assert type(raised.value) is BadRequest


@given(st.integers(0, 2**63), bill_nos, queries, st.sampled_from(list(KEYS)))
@example(0, "x" * 64, QUERY, 65535)
@example(2**64 - 1, "中" * 21, QUERY, 2)
@example(1, "😀" * 16, QUERY, 1)
@example(1, "\x00", QUERY, 1)
def test_a_cursor_comes_back_whole(time_ms: int, bill_no: str, query: ListQuery, generation: int) -> None:
    text = encode_cursor(Position(time_ms, bill_no), query, KEYS[generation], generation)
    assert set(text) <= set(ALPHABET)
    assert len(text) <= 128
    assert decode_cursor(text, query, KEYS.get) == Position(time_ms, bill_no)


def test_a_cursor_is_stable_because_walks_outlive_deployments() -> None:
    assert CURSOR == "AQABAAABoe5WXf9iLTHtqDL6mJm_eeiYrjhFKFGA"


def test_every_prefix_and_every_extension_is_refused() -> None:
    for length in range(len(CURSOR)):
        refused(CURSOR[:length])
        refused(CURSOR[length:] if length else "")
    for extra in [*ALPHABET, "=", "==", " ", "\n", "A" * 200, CURSOR, "\x00"]:
        refused(CURSOR + extra)
        refused(extra + CURSOR)


def test_every_character_changed_is_refused() -> None:
    for at, before in enumerate(CURSOR):
        for other in [*ALPHABET, "+", "/", "=", " ", "\n", "ａ", "\ud800", "."]:
            if other != before:
                refused(CURSOR[:at] + other + CURSOR[at + 1 :])
        refused(CURSOR[:at] + CURSOR[at + 1 :])


@pytest.mark.parametrize("bill_no", ["b", "b-", "b-1", "中" * 21 + "x"])
def test_every_bit_flipped_is_refused_those_that_base64_does_not_use_too(bill_no: str) -> None:
    text = encode_cursor(Position(1, bill_no), QUERY, KEYS[1], 1)
    for at, before in enumerate(text):
        for bit in range(6):
            refused(text[:at] + ALPHABET[ALPHABET.index(before) ^ 1 << bit] + text[at + 1 :])


OTHER_QUERIES = {
    "app": replace(QUERY, app_id="club-b"),
    "app, its name cut elsewhere": replace(QUERY, app_id="club-ao", openid="-1"),
    "openid": replace(QUERY, openid="o-2"),
    "openid that looks like more": replace(QUERY, openid='o-1",5'),
    "source": replace(QUERY, source=6),
    "all sources": replace(QUERY, source=None),
    "source 0": replace(QUERY, source=0),
    "start": replace(QUERY, start_seconds=1_700_000_001),
    "no start": replace(QUERY, start_seconds=None),
    "end": replace(QUERY, end_seconds=1_794_999_999),
    "no end": replace(QUERY, end_seconds=None),
    "start and end exchanged": replace(QUERY, start_seconds=QUERY.end_seconds, end_seconds=QUERY.start_seconds),
}


@pytest.mark.parametrize("query", OTHER_QUERIES.values(), ids=OTHER_QUERIES.keys())
def test_another_querys_cursor_is_refused(query: ListQuery) -> None:
    refused(CURSOR, query)
    refused(encode_cursor(POSITION, query, KEYS[1], 1))


@given(queries, queries)
def test_a_cursor_serves_one_query_only(one: ListQuery, other: ListQuery) -> None:
    text = encode_cursor(POSITION, one, KEYS[1], 1)
    if one == other:
        assert decode_cursor(text, other, KEYS.get) == POSITION
    else:
        refused(text, other)


def test_another_key_or_generation_is_refused() -> None:
    refused(encode_cursor(POSITION, QUERY, "key-x", 1))
    refused(encode_cursor(POSITION, QUERY, KEYS[1], 2))  # the right key under another generation's number
    refused(encode_cursor(POSITION, QUERY, KEYS[1], 3))  # a generation that is not there
    assert decode_cursor(encode_cursor(POSITION, QUERY, KEYS[2], 2), QUERY, KEYS.get) == POSITION


@settings(max_examples=500)
@given(st.text(alphabet=ALPHABET + "=+/ ", max_size=140) | st.text(max_size=140))
@example("\ud800")
@example("A" * 128)
@example("=" * 16)
def test_arbitrary_text_is_refused_in_the_same_words(text: str) -> None:
    refused(text)
