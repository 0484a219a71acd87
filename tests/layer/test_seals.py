"""Sealed texts: what was put in comes out for the same purpose and bond, and nothing else does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.errors import BadRequest
from settlement.seals import MAX_SEAL_LENGTH, seal, unseal
from settlement.signing import derive_cursor_key

from .fakes import MASTER

KEY = derive_cursor_key(MASTER, 1)
BOUND = ["club-a", 0, 9, ["dead"], []]
SEALED = seal([1, "a" * 64], "cursor", BOUND, KEY, 1)


def key_of(generation: int) -> str | None:
    return KEY if generation == 1 else None


def opened(text: str, purpose: str = "cursor", bound: object = BOUND) -> Any:
    return unseal(text, purpose, bound, key_of)


@given(
    st.recursive(
        st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=9), lambda inside: st.lists(inside, max_size=3)
    )
)
def test_what_was_carried_comes_back(carried: object) -> None:
    sealed = seal(carried, "cursor", BOUND, KEY, 1)
    assert opened(sealed) == carried
    assert sealed.replace("-", "").replace("_", "").isalnum()


OTHERS = {
    "another purpose": {"purpose": "ticket"},
    "another app": {"bound": ["club-b", *BOUND[1:]]},
    "another range": {"bound": ["club-a", 1, 9, ["dead"], []]},
    "another filter": {"bound": ["club-a", 0, 9, [], ["dead"]]},
    "nothing": {"bound": []},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_it_opens_for_what_it_was_given_for_alone(other: dict[str, Any]) -> None:
    assert opened(SEALED) == [1, "a" * 64]
    with pytest.raises(BadRequest) as raised:
        opened(SEALED, **other)
    assert raised.value.detail == f"{other.get('purpose', 'cursor')}: not one that this query was given"


def test_no_text_with_a_changed_character_opens() -> None:
    for place, character in enumerate(SEALED):
        for changed in (SEALED[:place] + ("A" if character != "A" else "B") + SEALED[place + 1 :], SEALED[:place]):
            with pytest.raises(BadRequest):
                opened(changed)
    for changed in (SEALED + "=", SEALED + "A", " " + SEALED, SEALED.swapcase(), "A" * (MAX_SEAL_LENGTH + 1)):
        with pytest.raises(BadRequest):
            opened(changed)


@settings(max_examples=200)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_arbitrary_text_is_a_bad_request_and_nothing_else(text: str) -> None:
    with pytest.raises(BadRequest):
        opened(text)


def test_a_seal_of_a_generation_that_is_gone_opens_no_more() -> None:
    with pytest.raises(BadRequest):
        opened(seal(1, "cursor", BOUND, derive_cursor_key(MASTER, 2), 2))
