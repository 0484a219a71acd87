"""Club tokens: minted ones pass, everything else gets one answer."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from settlement.apps import App, SecretVersion
from settlement.errors import Unauthenticated
from settlement.signing import derive_app_secret, derive_operator_key
from settlement.tokens import CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS, authenticate_club, mint

from .fakes import MASTER, NOW_MS, NOW_SECONDS, Apps, app, keyring

SECRET = derive_app_secret(MASTER, "club-a", 1)
CLAIMS = {"sub": "club-a", "scope": ["orders:write"], "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3600}
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "club-a.1"}
NAN, INFINITY = float("nan"), float("inf")


def segment(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(
    claims: object = CLAIMS, header: object = HEADER, secret: str = SECRET, digest: str = "sha256", **changes: object
) -> str:
    """A token made by hand: libraries refuse to make most of the forged ones. `changes` are to the claims."""
    if changes:
        claims = {**CLAIMS, **changes}
    signed = f"{segment(header)}.{segment(claims)}"
    return f"{signed}.{segment(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def refused(authorization: str | None, *apps: App) -> str:
    with pytest.raises(Unauthenticated) as raised:
        authenticate_club(authorization, Apps(*(apps or (app(), app("club-b")))), keyring(), NOW_MS)
    assert raised.value.detail == ""
    return raised.value.cause


def caller_of(authorization: str, *apps: App, now_ms: int = NOW_MS) -> Any:
    return authenticate_club(authorization, Apps(*(apps or (app(),))), keyring(), now_ms)


# -------------------------------------------------------------------------------------------------------- what passes

MINTED = mint(app(), keyring(), ["orders:write"], NOW_SECONDS, 3600)


def test_a_token_made_by_hand_after_the_contract_passes() -> None:
    caller = caller_of(token())
    assert caller.app == app()
    assert caller.scopes == frozenset({"orders:write"})


@pytest.mark.parametrize(
    "authorization",
    [MINTED, f"Bearer {MINTED}", f"bearer {MINTED}", f"BEARER   {MINTED}", f"  {MINTED}\t", f" Bearer  {MINTED} "],
)
def test_a_minted_token_passes_with_or_without_bearer(authorization: str) -> None:
    assert caller_of(authorization).scopes == frozenset({"orders:write"})


@given(st.lists(st.text(max_size=20), max_size=4), st.integers(1, MAX_LIFETIME_SECONDS))
def test_minted_tokens_pass_until_their_last_millisecond(scopes: list[str], lifetime: int) -> None:
    minted = mint(app(), keyring(), scopes, NOW_SECONDS, lifetime)
    assert caller_of(minted).scopes == frozenset(scopes)
    assert caller_of(minted, now_ms=(NOW_SECONDS + lifetime) * 1000 - 1).scopes == frozenset(scopes)
    with pytest.raises(Unauthenticated):
        caller_of(minted, now_ms=(NOW_SECONDS + lifetime) * 1000)


@pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME_SECONDS + 1])
def test_no_token_is_minted_for_less_than_a_second_or_more_than_ninety_days(lifetime: int) -> None:
    with pytest.raises(ValueError, match="90 days"):
        mint(app(), keyring(), [], NOW_SECONDS, lifetime)


def test_a_token_is_minted_with_the_newest_version_in_use() -> None:
    rotating = app(secret_versions=(SecretVersion(1, 1, NOW_MS + 1), SecretVersion(3, 1), SecretVersion(2, 1)))
    assert jwt.get_unverified_header(mint(rotating, keyring(), [], NOW_SECONDS, 9))["kid"] == "club-a.3"
    with pytest.raises(ValueError, match="no version"):
        mint(app(secret_versions=(SecretVersion(1, 1, NOW_MS),)), keyring(), [], NOW_SECONDS, 9)


PASSING = {
    "ninety days": token(exp=NOW_SECONDS + MAX_LIFETIME_SECONDS),
    "fractions of seconds, as some libraries write": token(iat=NOW_SECONDS - 0.5, exp=NOW_SECONDS + 0.5),
    "a clock that is a minute ahead": token(iat=NOW_SECONDS + CLOCK_SKEW_SECONDS),
    "valid from now": token(nbf=NOW_SECONDS),
    "no scope": token(scope=[]),
    "further claims": token(jti="1", iss="club-a", name="中"),
    "another type": token(header={**HEADER, "typ": "at+jwt"}),
    "no type": token(header={"alg": "HS256", "kid": "club-a.1"}),
}


@pytest.mark.parametrize("authorization", PASSING.values(), ids=PASSING.keys())
def test_what_the_contract_allows_passes(authorization: str) -> None:
    assert caller_of(authorization).app.app_id == "club-a"


def test_every_version_in_use_is_accepted_and_each_only_under_its_own_number() -> None:
    rotating = app(secret_versions=(SecretVersion(1, 1, NOW_MS + 1), SecretVersion(2, 1)))
    for version in (1, 2):
        secret = derive_app_secret(MASTER, "club-a", version)
        assert caller_of(token(header={**HEADER, "kid": f"club-a.{version}"}, secret=secret), rotating)
        refused(token(header={**HEADER, "kid": f"club-a.{3 - version}"}, secret=secret), rotating)


# ----------------------------------------------------------------------------------------------------- what is refused


def unsigned(header: Mapping[str, object]) -> str:
    return f"{segment(header)}.{segment(CLAIMS)}."


NO_KIDS: list[object] = ["", ".", "club-a", "club-a.", "club-a.x", "club-a.-1", "club-a.1.1", "club-a.１", "club-a.1 "]
NO_KIDS += [
    ".1",
    None,
    1,
    ["club-a.1"],
    {"a": 1},
    "club-a.9999999999",
    "asc#0.1",
    "club-a\x00.1",
    "../club-a.1",
    "ops.1",
]
NO_TIMES: list[object] = [
    True,
    False,
    str(NOW_SECONDS),
    NAN,
    INFINITY,
    -INFINITY,
    10**15,
    10**400,
    -(10**15),
    None,
    [],
    {},
]

FORGED: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "spaces": "   ",
    "Bearer alone": "Bearer ",
    "a word": "token",
    "two dots": "..",
    "alg none": unsigned({**HEADER, "alg": "none"}),
    "alg None": unsigned({**HEADER, "alg": "None"}),
    "alg none with a signature": token(header={**HEADER, "alg": "none"}),
    "HS256 without a signature": unsigned(HEADER),
    "HS512": token(header={**HEADER, "alg": "HS512"}, digest="sha512"),
    "HS384": token(header={**HEADER, "alg": "HS384"}, digest="sha384"),
    "an RS256 header, signed with the secret": token(header={**HEADER, "alg": "RS256"}),
    "alg in small letters": token(header={**HEADER, "alg": "hs256"}),
    "alg no text": token(header={**HEADER, "alg": 256}),
    "alg a list": token(header={**HEADER, "alg": ["HS256"]}),
    "no alg": token(header={"kid": "club-a.1"}),
    "another key": token(secret="another"),
    "an empty key": token(secret=""),
    "the master secret": token(secret=MASTER),
    "an operator's key": token(secret=derive_operator_key(MASTER, 1)),
    "another app's key under this kid": token(secret=derive_app_secret(MASTER, "club-b", 1)),
    "another version's key": token(secret=derive_app_secret(MASTER, "club-a", 2)),
    "another app's key, its kid, this sub": token(
        secret=derive_app_secret(MASTER, "club-b", 1), header={**HEADER, "kid": "club-b.1"}
    ),
    "sub is another app": token(sub="club-b"),
    "sub is a list": token(sub=["club-a"]),
    "sub is null": token(sub=None),
    "sub with another case": token(sub="Club-A"),
    "an unknown app": token(header={**HEADER, "kid": "club-x.1"}, secret=derive_app_secret(MASTER, "club-x", 1)),
    "an unknown version": token(header={**HEADER, "kid": "club-a.2"}, secret=derive_app_secret(MASTER, "club-a", 2)),
    **{f"kid {kid!r}": token(header={**HEADER, "kid": kid}) for kid in NO_KIDS},
    "no kid": token(header={"alg": "HS256"}),
    **{f"no {name}": token(claims=without(name)) for name in CLAIMS},
    **{
        f"{name} {value!r}": token(claims={**CLAIMS, name: value})
        for name in ("iat", "exp", "nbf")
        for value in NO_TIMES
    },
    "expired just now": token(exp=NOW_SECONDS, iat=NOW_SECONDS - 9),
    "expires before it is issued": token(exp=NOW_SECONDS - 10),
    "issued in the future": token(iat=NOW_SECONDS + CLOCK_SKEW_SECONDS + 1),
    "not valid yet": token(nbf=NOW_SECONDS + CLOCK_SKEW_SECONDS + 1),
    "lives 90 days and a second": token(exp=NOW_SECONDS + MAX_LIFETIME_SECONDS + 1),
    "lives 90 days and a second, issued long ago": token(iat=NOW_SECONDS - MAX_LIFETIME_SECONDS, exp=NOW_SECONDS + 1),
    "times in milliseconds": token(iat=NOW_MS, exp=NOW_MS + 1000),
    "scope a text": token(scope="orders:write"),
    "scope null": token(scope=None),
    "scope of a number": token(scope=["orders:write", 1]),
    "scope an object": token(scope={"orders:write": True}),
    "an audience": token(aud="settlepoint"),
    "critical headers": token(header={**HEADER, "crit": ["exp"], "exp": 1}),
    "critical headers, none": token(header={**HEADER, "crit": []}),
    "claims a list": token(claims=[CLAIMS]),
    "claims null": token(claims=None),
    "claims no JSON": token(claims=b"{"),
    "claims no UTF-8": token(claims=b"\xff"),
    "header a list": token(header=[HEADER]),
    "header no JSON": token(header=b"{"),
    "header nested deep": token(header=b'{"alg":"HS256","kid":"club-a.1","x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    "claims nested deep": token(claims=b'{"x":' + b"[" * 1400 + b"]" * 1400 + b"}"),
    "detached payload": token(header={**HEADER, "b64": False, "crit": ["b64"]}),
    "a padded signature": MINTED + "=",
    "a padded payload": MINTED.replace(".", "=.", 2).replace("=.", ".", 1),
    "four parts": MINTED + ".e30",
    "two parts": MINTED.rpartition(".")[0],
    "five parts, as an encrypted one": ".".join(["e30"] * 5),
    "a space inside": MINTED.replace(".", ". ", 1),
    "a line break inside": MINTED.replace(".", ".\n", 1),
    "two tokens": f"{MINTED} {MINTED}",
    "twice Bearer": f"Bearer Bearer {MINTED}",
    "another scheme": f"Basic {MINTED}",
    "beyond ASCII": MINTED + "中",
    "full-width digits": MINTED.replace("e", "ｅ", 1),
    "a lone surrogate": MINTED + "\ud800",
    "5 kB": token(name="x" * 5000),
    "5 kB of a": "a" * 5000,
    "a Sud-Auth header": 'Sud-Auth app_id="club-a",timestamp="1",nonce="1",signature="1"',
}


@pytest.mark.parametrize("authorization", FORGED.values(), ids=FORGED.keys())
def test_every_forged_token_gets_the_one_answer(authorization: str | None) -> None:
    assert refused(authorization)


def test_a_disabled_app_and_a_retired_version_get_the_one_answer_too() -> None:
    assert refused(MINTED, app(status="disabled"))
    assert refused(MINTED, app(secret_versions=(SecretVersion(1, 1, NOW_MS),)))
    assert refused(MINTED, app(secret_versions=()))
    assert caller_of(MINTED, app(secret_versions=(SecretVersion(1, 1, NOW_MS + 1),)))


def test_one_character_changed_anywhere_proves_nothing() -> None:
    for position, character in enumerate(MINTED[:-1]):  # the last one holds bits that base64 does not use
        other = "A" if character != "A" else "Q"
        refused(MINTED[:position] + other + MINTED[position + 1 :])
        refused(MINTED[:position] + MINTED[position + 1 :])


@settings(max_examples=500)
@given(
    st.text()
    | st.text(alphabet="eyJ.-_=AQab0 \ud800", max_size=80)
    | st.tuples(st.just(MINTED), st.integers(0, len(MINTED) - 2), st.text(min_size=1, max_size=2)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
    )
    | st.tuples(st.binary(max_size=30), st.binary(max_size=30)).map(lambda t: f"{segment(t[0])}.{segment(t[1])}.AA")
)
@example("Bearer " + "." * 4000)
@example(segment(b"[" * 2900) + ".e30.AA")
def test_arbitrary_text_is_unauthenticated_and_nothing_else(text: str) -> None:
    if text.strip() != MINTED:
        refused(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(st.text(max_size=4), inside, max_size=2),
)


@settings(max_examples=300)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), json_values, max_size=3),
    st.dictionaries(
        st.sampled_from(["sub", "scope", "iat", "exp", "nbf", "aud", "iss", "jti"]), json_values, max_size=3
    ),
)
def test_a_holder_of_the_key_who_writes_nonsense_is_unauthenticated_or_served_and_nothing_else(
    header: dict[str, object], claims: dict[str, object]
) -> None:
    signed = token(claims={**CLAIMS, **claims}, header={**HEADER, **header})
    with suppress(Unauthenticated):
        assert caller_of(signed).app == app()


def test_the_secret_is_what_hmac_says_it_is() -> None:
    assert hmac.new(MASTER.encode(), b"app:club-a:1", hashlib.sha256).hexdigest() == SECRET
