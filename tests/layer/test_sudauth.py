"""The game API's Authorization header: what it may look like, and what it proves."""

import itertools
from contextlib import nullcontext, suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.apps import SecretVersion
from settlement.errors import Unauthenticated
from settlement.signing import derive_app_secret, sud_signature
from settlement.sudauth import MAX_CLOCK_DIFFERENCE_MS, SudAuth, authenticate_game, parse_sud_auth, timestamp_ms

from .fakes import MASTER, NOW_MS, Apps, app, keyring

PARTS = {"app_id": "m-1", "timestamp": "1795000000000", "nonce": "n0nce", "signature": "ab" * 20}
PARSED = SudAuth(**PARTS)
BODY = b'{"a":1}'


def header(parts: dict[str, str] = PARTS, order: tuple[str, ...] = SudAuth._fields, comma: str = ",") -> str:
    return "Sud-Auth " + comma.join(f'{name}="{parts[name]}"' for name in order)


@pytest.mark.parametrize("order", list(itertools.permutations(SudAuth._fields)))
def test_the_four_parts_come_in_any_order(order: tuple[str, ...]) -> None:
    assert parse_sud_auth(header(order=order)) == PARSED


ACCEPTED = {
    "as published": header(),
    "a space after each comma": header(comma=", "),
    "spaces and tabs anywhere between": header(comma=" \t, \t").replace("=", " = "),
    "spaces around it all": f"  {header()}\t ",
    "more spaces after the scheme": header().replace("Sud-Auth ", "Sud-Auth    "),
    "the scheme in small letters": header().replace("Sud-Auth", "sud-auth"),
    "the scheme in capitals": header().replace("Sud-Auth", "SUD-AUTH"),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_spaces_and_the_schemes_case_do_not_matter(text: str) -> None:
    assert parse_sud_auth(text) == PARSED


def test_a_comma_in_a_part_is_a_character_like_others() -> None:
    assert parse_sud_auth(header({**PARTS, "nonce": "a,b="})).nonce == "a,b="


def test_a_parsed_header_prints_as_the_header() -> None:
    assert str(PARSED) == header()
    assert parse_sud_auth(str(PARSED)) == PARSED


REFUSED = {
    "none": None,
    "empty": "",
    "the scheme alone": "Sud-Auth",
    "the scheme and a space": "Sud-Auth ",
    "another scheme": header().replace("Sud-Auth", "Bearer"),
    "no scheme": header().removeprefix("Sud-Auth "),
    "no space after the scheme": header().replace("Sud-Auth ", "Sud-Auth"),
    "a part left out": header(order=("app_id", "timestamp", "nonce")),
    "a part twice": header(order=("app_id", *SudAuth._fields)),
    "the signature twice": header() + ',signature="00"',
    "an unknown part": header() + ',version="1"',
    "an unknown part instead": header().replace("nonce", "nonse"),
    "a part in capitals": header().replace("nonce=", "Nonce="),
    "an empty part": header({**PARTS, "nonce": ""}),
    "no quotes": header().replace('"', ""),
    "single quotes": header().replace('"', "'"),
    "a quote that does not end": header()[:-1],
    "an escaped quote": header({**PARTS, "nonce": 'a\\"b'}),
    "a quote in a part": header({**PARTS, "nonce": 'a"b'}),
    "semicolons between": header(comma=";"),
    "a comma at the end": header() + ",",
    "a comma at the start": header().replace("Sud-Auth ", "Sud-Auth ,"),
    "two commas": header(comma=",,"),
    "no comma": header(comma=" "),
    "a part of 129 characters": header({**PARTS, "nonce": "n" * 129}),
    "a header of 1,025 characters": header().replace(",", "," + " " * (1025 - len(header())), 1),
    "beyond ASCII": header({**PARTS, "nonce": "中"}),
    "a lone surrogate": header({**PARTS, "nonce": "\ud800"}),
    "two headers joined": header() + ", " + header(),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_every_other_header_is_refused(text: str | None) -> None:
    with pytest.raises(Unauthenticated):
        parse_sud_auth(text)


@settings(max_examples=500)
@given(
    st.text()
    | st.text(alphabet='Sud-Auth =",apitmesngrc_0\\ \ud800', max_size=80).map("Sud-Auth ".__add__)
    | st.tuples(st.just(header()), st.integers(0, 150), st.text(max_size=2)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
    )
)
@example("Sud-Auth " + "=" * 500)
@example("Sud-Auth " + " " * 1000)
@example("ſud-auth " + header())
def test_arbitrary_text_is_parsed_or_unauthenticated_and_nothing_else(text: str) -> None:
    with suppress(Unauthenticated):
        assert all(parse_sud_auth(text))
    with pytest.raises(Unauthenticated) as raised:  # none of it is signed
        authenticate_game(text, BODY, Apps(app("m-1"), app("a")), keyring(), NOW_MS)
    assert raised.value.detail == ""


@pytest.mark.parametrize(
    ("timestamp", "milliseconds"),
    [
        ("1795000000000", 1_795_000_000_000),
        ("1795000000", 1_795_000_000_000),
        ("0000000001", 1000),
        ("9" * 13, 10**13 - 1),
    ],
)
def test_a_timestamp_has_ten_digits_of_seconds_or_thirteen_of_milliseconds(timestamp: str, milliseconds: int) -> None:
    assert timestamp_ms(timestamp) == milliseconds


@pytest.mark.parametrize(
    "timestamp",
    [
        *(
            "",
            "1",
            "179500000",
            "17950000000",
            "179500000000",
            "1" * 14,
            "-795000000",
            "1795000000.0",
            "1e9",
            " 1795000000",
        ),
        *("1795000000\n", "1795000000000 ", "１７９５０００００0", "٠١٢٣٤٥٦٧٨٩", "+795000000", "0x79500000"),
    ],
)
def test_every_other_timestamp_is_refused(timestamp: str) -> None:
    with pytest.raises(Unauthenticated):
        timestamp_ms(timestamp)


# ------------------------------------------------------------------------------------------------------ authentication

SECRET = derive_app_secret(MASTER, "m-1", 1)
MERCHANT = app("m-1", roles=frozenset({"merchant"}))


def signed(timestamp: str = str(NOW_MS), *, secret: str = SECRET, app_id: str = "m-1", body: bytes = BODY) -> str:
    return str(SudAuth(app_id, timestamp, "n-1", sud_signature(secret, app_id, timestamp, "n-1", body)))


@pytest.mark.parametrize("timestamp", [str(NOW_MS), str(NOW_MS // 1000)])
def test_a_signature_over_the_header_and_the_raw_body_proves_the_app(timestamp: str) -> None:
    caller = authenticate_game(signed(timestamp), BODY, Apps(MERCHANT), keyring(), NOW_MS)
    assert caller.app is MERCHANT
    assert caller.scopes == frozenset()


@pytest.mark.parametrize("off_ms", [-MAX_CLOCK_DIFFERENCE_MS, -1, 1, MAX_CLOCK_DIFFERENCE_MS])
def test_a_clock_may_be_three_hundred_seconds_off(off_ms: int) -> None:
    assert authenticate_game(signed(str(NOW_MS + off_ms)), BODY, Apps(MERCHANT), keyring(), NOW_MS).app is MERCHANT


VERSIONS = (SecretVersion(1, 1, NOW_MS + 1), SecretVersion(2, 1))
FORGED = {
    "one ms too old": (signed(str(NOW_MS - MAX_CLOCK_DIFFERENCE_MS - 1)), BODY, MERCHANT),
    "one ms too new": (signed(str(NOW_MS + MAX_CLOCK_DIFFERENCE_MS + 1)), BODY, MERCHANT),
    "seconds read as milliseconds": (signed(str(NOW_MS // 1000).rjust(13, "0")), BODY, MERCHANT),
    "another body": (signed(), BODY + b" ", MERCHANT),
    "another app's secret": (signed(secret=derive_app_secret(MASTER, "m-2", 1)), BODY, MERCHANT),
    "a version that never was": (signed(secret=derive_app_secret(MASTER, "m-1", 3)), BODY, MERCHANT),
    "an unknown app": (signed(app_id="m-2"), BODY, MERCHANT),
    "a disabled app": (signed(), BODY, app("m-1", status="disabled")),
    "a retired version": (signed(), BODY, app("m-1", secret_versions=(SecretVersion(1, 1, NOW_MS),))),
    "no version at all": (signed(), BODY, app("m-1", secret_versions=())),
    "the signature in capitals": (signed().replace(signed()[-41:-1], signed()[-41:-1].upper()), BODY, MERCHANT),
    "the signature cut": (signed()[:-2] + '"', BODY, MERCHANT),
}


@pytest.mark.parametrize(("text", "body", "merchant"), FORGED.values(), ids=FORGED.keys())
def test_whatever_proves_nothing_gets_one_answer(text: str, body: bytes, merchant: object) -> None:
    registry = Apps(merchant)  # type: ignore[arg-type]
    with pytest.raises(Unauthenticated) as raised:
        authenticate_game(text, body, registry, keyring(), NOW_MS)
    assert raised.value.detail == ""


@pytest.mark.parametrize("version", [1, 2])
def test_every_version_in_use_is_accepted(version: int) -> None:
    rotating = app("m-1", secret_versions=VERSIONS)
    text = signed(secret=derive_app_secret(MASTER, "m-1", version))
    assert authenticate_game(text, BODY, Apps(rotating), keyring(), NOW_MS).app is rotating


@given(st.integers(0, 10**13 - 1))
def test_only_timestamps_within_the_window_pass(milliseconds: int) -> None:
    text = signed(f"{milliseconds:013d}")
    with pytest.raises(Unauthenticated) if abs(milliseconds - NOW_MS) > MAX_CLOCK_DIFFERENCE_MS else nullcontext():
        authenticate_game(text, BODY, Apps(MERCHANT), keyring(), NOW_MS)
