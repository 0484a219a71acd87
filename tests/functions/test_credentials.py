"""Who may come in. Whatever is wrong with a credential, the answer has the same bytes: no oracle."""

import itertools
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from settlement.sudauth import SudAuth
from settlepoint_local.in_process import World
from settlepoint_local.scene import Scene
from settlepoint_local.situations import BILL, CLUB, MERCHANT, ORDER, THIS_BILL, THIS_OPENID, THIS_ORDER, json_bytes

from .answers import CLUB_DONE

DAY = 24 * 3600
REFUSED_CLUB = '{"ret":1002,"msg":"鉴权失败"}'
REFUSED_GAME = '{"ret_code":10004,"ret_msg":"AppSecret非法"}'


def with_claims(**changes: Any) -> Callable[[Scene], str]:
    """A token of club-a, well signed, whose claims were changed; None takes one away."""

    def token(scene: Scene) -> str:
        claims = {**scene.claims("club-a"), **changes}
        return scene.token("club-a", claims={name: value for name, value in claims.items() if value is not None})

    return token


def with_times(issued: int, expires: int) -> Callable[[Scene], str]:
    """Seconds from now."""
    return lambda scene: with_claims(iat=scene.now_seconds + issued, exp=scene.now_seconds + expires)(scene)


def good(scene: Scene) -> str:
    return scene.token("club-a")


def cut(scene: Scene, parts: slice) -> str:
    return ".".join(good(scene).split(".")[parts])


def with_other_payload(scene: Scene) -> str:
    head, _, signature = good(scene).split(".")
    payload = scene.token("club-a", claims={**scene.claims("club-a"), "scope": ["ops"]}).split(".")[1]
    return f"{head}.{payload}.{signature}"


FORGED_TOKENS: dict[str, Callable[[Scene], str | None]] = {
    "none at all": lambda _: None,
    "empty": lambda _: "",
    "bearer alone": lambda _: "Bearer ",
    "not a token": lambda _: "Bearer x",
    "two dots": lambda _: "..",
    "basic": lambda _: "Basic Y2x1Yi1hOng=",
    "not ascii": lambda scene: good(scene) + "é",
    "very long": lambda scene: good(scene) + "A" * 5000,
    "alg none": lambda scene: scene.token("club-a", algorithm="none", key=""),
    "alg none, good signature": lambda scene: (
        scene.token("club-a", algorithm="none", key="") + good(scene).rpartition(".")[2]
    ),
    "alg HS512": lambda scene: scene.token("club-a", algorithm="HS512"),
    "other key": lambda scene: scene.token("club-a", key="k" * 64),
    "the master as key": lambda scene: scene.token("club-a", key=scene.master),
    "another app's key": lambda scene: scene.token("club-a", key=scene.secret("club-b")),
    "another app's kid": lambda scene: scene.token("club-a", headers={"kid": "club-b.1"}),
    "another app's sub": lambda scene: scene.token("club-b", claims=scene.claims("club-a")),
    "no kid": lambda scene: jwt.encode(scene.claims("club-a"), scene.secret("club-a"), algorithm="HS256"),
    "kid without version": lambda scene: scene.token("club-a", headers={"kid": "club-a"}),
    "kid of no version": lambda scene: scene.token("club-a", version=2),
    "kid version 0": lambda scene: scene.token("club-a", headers={"kid": "club-a.0"}),
    "kid a path": lambda scene: scene.token("club-a", headers={"kid": "../club-a.1"}),
    "kid of a directory pointer": lambda scene: scene.token("club-a", headers={"kid": f"asc#{'0' * 32}.1"}),
    "unknown app": lambda scene: scene.token("club-a", headers={"kid": "club-x.1"}),
    "disabled app": lambda scene: scene.token("club-disabled"),
    "retired version": lambda scene: scene.token("club-rotated", version=1),
    "other payload": with_other_payload,
    "no signature": lambda scene: cut(scene, slice(0, 2)) + ".",
    "two parts": lambda scene: cut(scene, slice(0, 2)),
    "four parts": lambda scene: good(scene) + ".x",
    "expired now": with_times(-60, 0),
    "expired long ago": with_times(-2 * DAY, -DAY),
    "from the future": with_times(61, DAY),
    "lives too long": with_times(0, 90 * DAY + 1),
    "not before tomorrow": lambda scene: with_claims(nbf=scene.now_seconds + DAY)(scene),
    "no sub": with_claims(sub=None),
    "no scope": with_claims(scope=None),
    "no iat": with_claims(iat=None),
    "no exp": with_claims(exp=None),
    "scope a string": with_claims(scope="settlements:write"),
    "scope a list of more": with_claims(scope=["settlements:write", 1]),
    "scope an object": with_claims(scope={"settlements:write": True}),
    "exp a string": with_claims(exp="9999999999"),
    "exp true": with_claims(exp=True),
    "exp never": with_claims(exp=10**400),
    "iat a list": with_claims(iat=[0]),
}
TAKEN_TOKENS: dict[str, Callable[[Scene], str]] = {
    "plain": good,
    "bearer": lambda scene: f"Bearer {good(scene)}",
    "bearer in lower case": lambda scene: f"bearer  {good(scene)} ",
    "one second left": with_times(-DAY, 1),
    "a clock 60 s ahead": with_times(60, DAY),
    "90 days": with_times(0, 90 * DAY),
    "newest version": lambda scene: scene.token("club-rotated"),
    "more claims": with_claims(jti="x", more={"a": 1}),
}


@pytest.mark.parametrize("make", FORGED_TOKENS.values(), ids=FORGED_TOKENS)
def test_a_forged_token_is_refused_in_the_same_bytes_at_every_door(
    world: World, make: Callable[[Scene], str | None]
) -> None:
    world.happen("create_club_order/creates")
    token = make(world.scene)
    for folder, body in (
        ("create_club_order", {**BILL, "bill_no": "bill-9"}),
        ("set_club_jf_settle", THIS_BILL),
        ("get_club_jf_settle_list", THIS_OPENID),
    ):
        reply = world.call(folder, body, token)
        assert (reply.status, reply.text) == (401, REFUSED_CLUB)


@pytest.mark.parametrize("make", TAKEN_TOKENS.values(), ids=TAKEN_TOKENS)
def test_a_good_token_is_taken(world: World, make: Callable[[Scene], str]) -> None:
    assert world.call("create_club_order", BILL, make(world.scene)).json == CLUB_DONE


@pytest.mark.parametrize("place", [0, 20, 60, 120, 200, -43, -10, -1])
def test_a_token_with_one_letter_changed_is_refused(refusing_world: World, place: int) -> None:
    token = good(refusing_world.scene)
    letter = "A" if token[place] not in "AB." else "Q"
    changed = token[:place] + letter + (token[place + 1 :] if place != -1 else "")
    reply = refusing_world.call("create_club_order", BILL, changed)
    assert (reply.status, reply.text) == (401, REFUSED_CLUB)


@pytest.mark.parametrize(
    ("folder", "scope"),
    [
        ("create_club_order", "orders:write"),
        ("set_club_jf_settle", "settlements:write"),
        ("get_club_jf_settle_list", "settlements:read"),
    ],
)
@pytest.mark.parametrize(
    "scopes", [(), ("orders:write",), ("settlements:write",), ("settlements:read",), ("ops",), ("orders:*", "*")]
)
def test_each_door_wants_its_own_scope(refusing_world: World, folder: str, scope: str, scopes: tuple[str, ...]) -> None:
    reply = refusing_world.call(
        folder, {}, refusing_world.scene.token("club-a", claims=refusing_world.scene.claims("club-a", scopes))
    )
    assert reply.status == (200 if scope in scopes else 403)
    assert reply.code == (1001 if scope in scopes else 1006)


# ------------------------------------------------------------------------------------------------------ Sud-Auth

type Forge = Callable[[SudAuth, Scene], str | None]


def part_changed(**changes: str) -> Forge:
    return lambda auth, _: str(auth._replace(**changes))


def part_missing(name: str) -> Forge:
    return lambda auth, _: "Sud-Auth " + ",".join(f'{n}="{v}"' for n, v in auth._asdict().items() if n != name)


def part_doubled(name: str) -> Forge:
    return lambda auth, _: f'{auth},{name}="{getattr(auth, name)}"'


def at(milliseconds: int, digits: int = 13, app_id: str = "merchant-a", version: int | None = None) -> Forge:
    """Signed afresh, milliseconds from now."""
    return lambda _, scene: str(
        scene.sud_auth(app_id, json_bytes(ORDER), timestamp=str(scene.now_ms + milliseconds)[:digits], version=version)
    )


PARTS = ("app_id", "timestamp", "nonce", "signature")
FORGED_HEADERS: dict[str, Forge] = {
    "none at all": lambda _, __: None,
    "empty": lambda _, __: "",
    "scheme alone": lambda _, __: "Sud-Auth",
    "scheme and space": lambda _, __: "Sud-Auth ",
    "other scheme": lambda auth, _: str(auth).replace("Sud-Auth", "Sud-Oauth"),
    "no scheme": lambda auth, _: str(auth).removeprefix("Sud-Auth "),
    "not quoted": lambda auth, _: str(auth).replace('"', ""),
    "single quotes": lambda auth, _: str(auth).replace('"', "'"),
    "semicolons": lambda auth, _: str(auth).replace(",", ";"),
    "one comma more": lambda auth, _: f"{auth},",
    "one part more": lambda auth, _: f'{auth},more="1"',
    "very long": lambda auth, _: str(auth) + " " * 2000 + "x",
    "not ascii": lambda auth, _: f"{auth}é",
    **{f"{name} missing": part_missing(name) for name in PARTS},
    **{f"{name} doubled": part_doubled(name) for name in PARTS},
    **{f"{name} empty": part_changed(**{name: ""}) for name in PARTS},
    "app_id of another": part_changed(app_id="merchant-b"),
    "app_id unknown": part_changed(app_id="merchant-x"),
    "app_id of a directory pointer": lambda auth, scene: str(
        auth._replace(app_id=f"asc#{scene.directory_signature('merchant-a')}")
    ),
    "timestamp one later": lambda auth, _: str(auth._replace(timestamp=str(int(auth.timestamp) + 1))),
    "timestamp a word": part_changed(timestamp="now"),
    "timestamp negative": lambda auth, _: str(auth._replace(timestamp=f"-{auth.timestamp}")),
    "timestamp of 12 digits": lambda auth, _: str(auth._replace(timestamp=auth.timestamp[:12])),
    "timestamp in other digits": part_changed(timestamp="１７９５３０５６００"),
    "nonce changed": part_changed(nonce="b2f5ff47436671b7"),
    "signature in capitals": lambda auth, _: str(auth._replace(signature=auth.signature.upper())),
    "signature cut": lambda auth, _: str(auth._replace(signature=auth.signature[:-1])),
    "signature flipped": lambda auth, _: str(auth._replace(signature=f"{int(auth.signature, 16) ^ 1:040x}")),
    "signature not ascii": part_changed(signature="é" * 40),
    "300.001 s ago": at(-300_001),
    "300.001 s ahead": at(300_001),
    "301 s ago in seconds": at(-301_000, 10),
    "301 s ahead in seconds": at(301_000, 10),
    "unknown version": at(0, version=2),
    "disabled app": at(0, app_id="merchant-disabled"),
    "retired version": at(0, app_id="merchant-rotated", version=1),
    "a club's token": lambda _, scene: f"Bearer {good(scene)}",
}
TAKEN_HEADERS: dict[str, Forge] = {
    "as it is": lambda auth, _: str(auth),
    "spaces": lambda auth, _: str(auth).replace(",", " , ").replace("=", " = "),
    "scheme in lower case": lambda auth, _: str(auth).replace("Sud-Auth", "sud-auth"),
    "300 s ago": at(-300_000),
    "300 s ahead": at(300_000),
    "300 s ago in seconds": at(-300_000, 10),
    "300 s ahead in seconds": at(300_000, 10),
    "newest version": at(0, app_id="merchant-rotated"),
}


@pytest.mark.parametrize("forge", FORGED_HEADERS.values(), ids=FORGED_HEADERS)
def test_a_forged_signature_is_refused_in_the_same_bytes_at_every_door(world: World, forge: Forge) -> None:
    world.happen("create_order/creates")
    header = forge(world.scene.sud_auth("merchant-a", json_bytes(ORDER)), world.scene)
    for folder in ("create_order", "query_order", "query_user_settle", "settle_users"):
        reply = world.call(folder, ORDER, header)
        assert (reply.status, reply.text) == (401, REFUSED_GAME)


@pytest.mark.parametrize("forge", TAKEN_HEADERS.values(), ids=TAKEN_HEADERS)
def test_a_good_signature_is_taken(world: World, forge: Forge) -> None:
    header = forge(world.scene.sud_auth("merchant-a", json_bytes(ORDER)), world.scene)
    assert world.call("create_order", ORDER, header).code == 0


def test_the_four_parts_come_in_any_order(world: World) -> None:
    auth = world.scene.sud_auth("merchant-a", json_bytes(ORDER))
    for parts in itertools.permutations(auth._asdict().items()):
        header = "Sud-Auth " + ",".join(f'{name}="{value}"' for name, value in parts)
        assert world.call("create_order", ORDER, header).code == 0


def test_a_signature_holds_for_one_body_to_the_byte(world: World) -> None:
    world.happen("create_order/creates")
    body = json_bytes(THIS_ORDER)
    header = str(world.scene.sud_auth("merchant-a", body))
    assert world.call("query_order", body, header).code == 0
    for other in (body + b" ", body[:-1] + b" }", body.replace(b"1001", b"1002"), b"", b"{}"):
        reply = world.call("query_order", other, header)
        assert (reply.status, reply.text) == (401, REFUSED_GAME)


@pytest.mark.parametrize(
    ("app_id", "allowed"),
    [
        ("merchant-a", {"create_order", "query_order", "query_user_settle"}),
        ("game-a", {"settle_users"}),
        ("club-a", set()),
    ],
)
def test_each_door_wants_its_own_role(refusing_world: World, app_id: str, allowed: set[str]) -> None:
    body = b"[]"
    header = str(refusing_world.scene.sud_auth(app_id, body))
    for folder in ("create_order", "query_order", "query_user_settle", "settle_users"):
        reply = refusing_world.call(folder, body, header)
        assert reply.code == (10002 if folder in allowed else 10006)
        assert reply.status == (200 if folder in allowed else 403)


# --------------------------------------------------------------------------------------------- while it is running


def test_a_disabled_app_is_out_after_the_cache_has_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [1000.0]
    monkeypatch.setattr("settlement.apps.time.monotonic", lambda: seconds[0])
    assert world.call("create_order", ORDER, MERCHANT).code == 0
    assert world.call("create_club_order", BILL, CLUB).code == 0
    world.change_app("merchant-a", status="disabled")
    world.change_app("club-a", status="disabled")
    seconds[0] += 30
    assert world.call("create_order", ORDER, MERCHANT).code == 10004
    assert world.call("create_club_order", BILL, CLUB).code == 1002


def test_a_secret_that_is_being_retired_works_until_its_end(world: World) -> None:
    version = world.scene.token("club-rotated", version=1)
    world.now_ms = world.scene.now_ms - 2
    assert world.call("create_club_order", BILL, version).code == 0
    world.now_ms += 1
    assert world.call("create_club_order", BILL, version).code == 1002
