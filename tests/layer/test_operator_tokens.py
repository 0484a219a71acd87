"""Operators' tokens: minted ones open the console, all else gets one answer; and no club's door opens to them."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from settlement import keyring as keyrings
from settlement.callers import OPERATOR_SCOPES
from settlement.errors import Unauthenticated
from settlement.keyring import Keyring
from settlement.signing import derive_app_secret, derive_cursor_key, derive_operator_key
from settlement.tokens import (
    CLOCK_SKEW_SECONDS,
    MAX_LIFETIME_SECONDS,
    authenticate_club,
    authenticate_operator,
    mint,
    mint_operator,
)

from .fakes import MASTER, NOW_MS, NOW_SECONDS, Apps, Secrets, app, keyring, namespace
from .test_tokens import NO_TIMES, segment, token, unsigned

KEY = derive_operator_key(MASTER, 1)
CLAIMS = {"sub": "ada", "scope": ["ops"], "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3600}
HEADER = {"alg": "HS256", "typ": "JWT", "kid": "ops.1"}
MINTED = mint_operator("ada", keyring(), ["ops"], NOW_SECONDS, 3600)
OPS_APP = app("ops")
"""An app may be called so: its kid reads like an operator's."""


def operators(header: object = HEADER, key: str = KEY, digest: str = "sha256", **claims: object) -> str:
    """An operator's token made by hand."""
    return token({**CLAIMS, **claims}, header, key, digest)


def altered(name: str, value: object) -> str:
    """With one claim that is another."""
    return token({**CLAIMS, name: value}, HEADER, KEY)


def refused(authorization: str | None, keys: Keyring | None = None, now_ms: int = NOW_MS) -> str:
    with pytest.raises(Unauthenticated) as raised:
        authenticate_operator(authorization, keys or keyring(), now_ms)
    assert raised.value.detail == ""
    return raised.value.cause


@pytest.mark.parametrize("authorization", [MINTED, f"Bearer {MINTED}", f" bearer {MINTED} ", operators()])
def test_a_token_of_the_operators_key_passes(authorization: str) -> None:
    operator = authenticate_operator(authorization, keyring(), NOW_MS)
    assert (operator.name, operator.scopes, operator.expires_at_seconds) == (
        "ada",
        frozenset({"ops"}),
        NOW_SECONDS + 3600,
    )
    assert operator.may("ops")
    assert not operator.may("ops:write")


def test_it_passes_until_its_last_millisecond() -> None:
    assert authenticate_operator(MINTED, keyring(), (NOW_SECONDS + 3600) * 1000 - 1).name == "ada"
    refused(MINTED, now_ms=(NOW_SECONDS + 3600) * 1000)


@pytest.mark.parametrize("name", ["a", "Ada.Lovelace", "ada@example.com", "ada+night", "0-x_y", "a" * 64])
def test_a_name_is_what_a_log_line_can_hold(name: str) -> None:
    minted = mint_operator(name, keyring(), list(OPERATOR_SCOPES), NOW_SECONDS, 9)
    assert authenticate_operator(minted, keyring(), NOW_MS).name == name


NO_NAMES = ["", " ", "a b", "a\n", "-a", ".a", "ada/x", "阿达", "a" * 65, 'a"', "ada\x00"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_other_name_is_minted_or_taken(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        mint_operator(name, keyring(), ["ops"], NOW_SECONDS, 9)
    refused(operators(sub=name))


@pytest.mark.parametrize("lifetime", [0, -1, MAX_LIFETIME_SECONDS + 1])
def test_no_token_is_minted_for_less_than_a_second_or_more_than_ninety_days(lifetime: int) -> None:
    with pytest.raises(ValueError, match="90 days"):
        mint_operator("ada", keyring(), ["ops"], NOW_SECONDS, lifetime)


FORGED: dict[str, str | None] = {
    "none": None,
    "empty": "",
    "Bearer alone": "Bearer ",
    "alg none": unsigned({**HEADER, "alg": "none"}),
    "alg none with a signature": operators({**HEADER, "alg": "none"}),
    "HS256 without a signature": unsigned(HEADER),
    "HS512": operators({**HEADER, "alg": "HS512"}, digest="sha512"),
    "an RS256 header": operators({**HEADER, "alg": "RS256"}),
    "the master secret": operators(key=MASTER),
    "an empty key": operators(key=""),
    "the cursors' key": operators(key=derive_cursor_key(MASTER, 1)),
    "another generation's key": operators(key=derive_operator_key(MASTER, 2)),
    "an app's key under this kid": operators(key=derive_app_secret(MASTER, "club-a", 1)),
    "the key of an app called ops": operators(key=derive_app_secret(MASTER, "ops", 1), sub="ops"),
    "a club's token": mint(app(), keyring(), ["ops", "ops:write"], NOW_SECONDS, 3600),
    "a club's token of an app called ops": mint(OPS_APP, keyring(), ["ops", "ops:write"], NOW_SECONDS, 3600),
    "an app's kid, signed with the operators' key": operators({**HEADER, "kid": "club-a.1"}),
    **{
        f"kid {kid!r}": operators({**HEADER, "kid": kid})
        for kid in ("ops", "ops.", ".1", "ops.2", "ops.0", "ops.x", "ops.1.1", "Ops.1", "ops.１", 1, None, ["ops.1"])
    },
    "no kid": operators({"alg": "HS256"}),
    **{
        f"no {name}": token({key: value for key, value in CLAIMS.items() if key != name}, HEADER, KEY)
        for name in CLAIMS
    },
    **{f"{name} {value!r}": altered(name, value) for name in ("iat", "exp", "nbf") for value in NO_TIMES},
    "expired just now": operators(exp=NOW_SECONDS, iat=NOW_SECONDS - 9),
    "issued in the future": operators(iat=NOW_SECONDS + CLOCK_SKEW_SECONDS + 1),
    "lives 90 days and a second": operators(exp=NOW_SECONDS + MAX_LIFETIME_SECONDS + 1),
    "sub is a list": operators(sub=["ada"]),
    "sub is null": operators(sub=None),
    "scope a text": operators(scope="ops"),
    "scope of a number": operators(scope=["ops", 1]),
    "a padded signature": MINTED + "=",
    "cut": MINTED[:-1],
    "two parts": MINTED.rpartition(".")[0],
    "four parts": MINTED + ".e30",
    "twice Bearer": f"Bearer Bearer {MINTED}",
    "a Sud-Auth header": 'Sud-Auth app_id="ops",timestamp="1",nonce="1",signature="1"',
    "5 kB": operators(more="x" * 5000),
}


@pytest.mark.parametrize("authorization", FORGED.values(), ids=FORGED.keys())
def test_every_forged_token_gets_the_one_answer(authorization: str | None) -> None:
    assert refused(authorization)


def test_one_character_changed_anywhere_proves_nothing() -> None:
    for position, character in enumerate(MINTED[:-1]):
        refused(MINTED[:position] + ("A" if character != "A" else "Q") + MINTED[position + 1 :])


@pytest.mark.parametrize("scopes", [["ops"], ["orders:write", "settlements:write", "settlements:read"]])
def test_no_club_door_opens_to_an_operators_token_even_where_an_app_is_called_ops(scopes: list[str]) -> None:
    for sub in ("ada", "ops", "club-a"):
        minted = mint_operator(sub, keyring(), scopes, NOW_SECONDS, 3600)
        with pytest.raises(Unauthenticated):
            authenticate_club(minted, Apps(app(), OPS_APP), keyring(), NOW_MS)


def test_a_new_generation_ends_every_operators_token_within_thirty_seconds_and_no_apps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = Secrets(json.dumps({"1": MASTER}))
    clock = [1000.0]
    monkeypatch.setattr(keyrings, "time", namespace(monotonic=lambda: clock[0]))
    keys = Keyring(lambda: namespace(get_secret_value=secrets.get_secret_value), "m")
    clubs = mint(app(), keys, ["orders:write"], NOW_SECONDS, 3600)
    assert authenticate_operator(MINTED, keys, NOW_MS).name == "ada"
    secrets.value = json.dumps({"1": MASTER, "2": "another"})
    newer = mint_operator("ada", keyring({"1": MASTER, "2": "another"}), ["ops"], NOW_SECONDS, 3600)
    clock[0] += 30.5
    assert "generation" in refused(MINTED, keys)
    assert authenticate_operator(newer, keys, NOW_MS).name == "ada"
    assert authenticate_club(clubs, Apps(app()), keys, NOW_MS).app.app_id == "club-a"
    reads = secrets.reads
    refused(MINTED, keys)
    refused(operators({**HEADER, "kid": "ops.9"}), keys)
    assert secrets.reads == reads  # whatever strangers send: once in 30 s


def test_the_key_is_what_hmac_says_it_is() -> None:
    assert hmac.new(MASTER.encode(), b"ops:1", hashlib.sha256).hexdigest() == KEY
    head, payload, signature = MINTED.split(".")
    expected: Any = hmac.new(KEY.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == expected
    assert segment(expected) == signature
