"""The walls as data: every endpoint, who may call it, what others have, and every way to come in that must fail.

A row says what an honest call is; tests/functions and tests/stack spoil it in each way. An endpoint without a row fails
`test_every_endpoint_has_a_row`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from settlement.bookkeeper import Bookkeeper
from settlement.cursor import ListQuery
from settlement.orders import game_order_id
from settlement.signing import directory_signature
from settlement.statements import Day
from settlepoint_local.scene import Scene
from settlepoint_local.situations import (
    BILL,
    ORDER,
    ORDER_ID,
    REPORT,
    THIS_BILL,
    THIS_OPENID,
    THIS_ORDER,
    WINNER,
    expired_token,
    nobody,
    signature_of,
    signed_at,
    token_of,
)
from settlepoint_local.situations import Authorization as By

type Body = dict[str, Any]

NO_ID = "0" * 32
CLUB_A, CLUB_B, MERCHANT_A, MERCHANT_B, GAME_A, GAME_B = (
    *("club-a", "club-b", "merchant-a", "merchant-b"),
    *("game-a", "game-b"),
)


@dataclass(frozen=True)
class Row:
    """One endpoint: who may call it and with what, who else there is, what is theirs."""

    app: str
    other: str
    body: Body
    """Of an honest call by `app`."""
    foreign: tuple[tuple[Body, Body], ...]
    """Sent by `other`: what `app` has, and what nobody has in its place. Empty where nothing is looked up."""
    needs: str
    wrong_scopes: tuple[str, ...] = ()


def cursor_of(app_id: str, openid: str = "openid-of-li") -> str:
    scene = Scene()
    return scene.page_context(ListQuery(app_id, openid, None, None, None), "bill-1001", scene.now_ms)


FAR_MS = 310_000
"""From now, where no clock of ours or of whoever signs could mean it well; to the millisecond it is tried elsewhere."""
PUBLISHED_DAY, NOBODYS_DAY = {"day": "2020-02-29"}, {"day": "2020-03-01"}
CLUB_SCOPES = ("orders:write", "settlements:write", "settlements:read")
ROWS: dict[str, Row] = {
    # What another has is no obstacle: a number that is taken by another app is free.
    "create_club_order": Row(CLUB_A, CLUB_B, {**BILL, "bill_no": "bill-9"}, (), "orders:write", CLUB_SCOPES[1:]),
    "set_club_jf_settle": Row(
        CLUB_A,
        CLUB_B,
        THIS_BILL,
        (
            (THIS_BILL, {**THIS_BILL, "bill_no": "nobody's"}),
            ({**THIS_BILL, "settle_amt": 99999}, {"bill_no": "nobody's", "openid": "nobody's", "settle_amt": 99999}),
            ({**THIS_BILL, "bill_no": "club#club-a#bill-1001"}, {**THIS_BILL, "bill_no": "nobody's"}),
        ),
        "settlements:write",
        (CLUB_SCOPES[0], CLUB_SCOPES[2]),
    ),
    "get_club_jf_settle_list": Row(
        CLUB_A,
        CLUB_B,
        THIS_OPENID,
        (
            (THIS_OPENID, {"openid": "nobody's"}),
            ({**THIS_OPENID, "source": 5}, {"openid": "nobody's", "source": 5}),
            ({"openid": "club-a#openid-of-li"}, {"openid": "nobody's"}),
            ({**THIS_OPENID, "page_context": cursor_of(CLUB_A)}, {**THIS_OPENID, "page_context": "A" * 64}),
            ({**THIS_OPENID, "page_context": cursor_of(CLUB_B, "another")}, {**THIS_OPENID, "page_context": "x"}),
        ),
        "settlements:read",
        CLUB_SCOPES[:2],
    ),
    "create_order": Row(MERCHANT_A, MERCHANT_B, {**ORDER, "out_order_id": "order-9"}, (), "merchant"),
    "query_order": Row(
        MERCHANT_A,
        MERCHANT_B,
        THIS_ORDER,
        (
            (THIS_ORDER, {"out_order_id": "nobody's"}),
            ({"order_id": ORDER_ID}, {"order_id": NO_ID}),
            ({"order_id": f"game#merchant-a#{ORDER_ID}"}, {"order_id": NO_ID}),
        ),
        "merchant",
    ),
    "query_user_settle": Row(
        MERCHANT_A,
        MERCHANT_B,
        {"out_order_id": "order-1002"},
        (
            (THIS_ORDER, {"out_order_id": "nobody's"}),
            ({"order_id": game_order_id(MERCHANT_A, "order-1002")}, {"order_id": NO_ID}),
            ({"order_id": ORDER_ID}, {"order_id": NO_ID}),
        ),
        "merchant",
    ),
    "settle_users": Row(
        GAME_A,
        GAME_B,
        {**REPORT, "results": [WINNER]},
        (
            (REPORT, {**REPORT, "app_id": "nobody"}),
            ({**REPORT, "mg_id": "mg-2"}, {**REPORT, "app_id": "nobody", "mg_id": "mg-x"}),
        ),
        "game",
    ),
    # A day of which A has a statement and B has none, and one of which nobody has.
    "get_club_jf_statement": Row(
        CLUB_A, CLUB_B, PUBLISHED_DAY, ((PUBLISHED_DAY, NOBODYS_DAY),), "settlements:read", CLUB_SCOPES[:2]
    ),
    "get_statement": Row(MERCHANT_A, MERCHANT_B, PUBLISHED_DAY, ((PUBLISHED_DAY, NOBODYS_DAY),), "merchant"),
    "get_api_directory": Row(MERCHANT_A, MERCHANT_B, {}, (), ""),
}
"""`app` is honest and is answered; in a world where all that club-a, merchant-a and game-a may have is there."""


def publish(bookkeeper: Bookkeeper) -> None:
    """The statements that A has in both APIs: of an old day, on which nothing was settled."""
    day = Day(date.fromisoformat(PUBLISHED_DAY["day"]), 480)
    bookkeeper.make(CLUB_A, "club", day)
    bookkeeper.make(MERCHANT_A, "game", day)


REFUSED = {
    "club": (401, '{"ret":1002,"msg":"鉴权失败"}'),
    "game": (401, '{"ret_code":10004,"ret_msg":"AppSecret非法"}'),
    "path": (404, '{"ret_code":1404,"ret_msg":"接口不存在"}'),
}


def is_club(folder: str) -> bool:
    return ROWS[folder].needs in CLUB_SCOPES


def by(folder: str, app_id: str) -> By:
    return token_of(app_id) if is_club(folder) else signature_of(app_id)


CALLED = [folder for folder, row in ROWS.items() if row.needs]
FOREIGN = [(folder, place) for folder, row in ROWS.items() for place in range(len(row.foreign))]
WITHOUT_LOOK_UPS = {"create_club_order", "create_order", "get_api_directory"}


def stolen(honest: str, pretended: str) -> dict[str, By]:
    """The credentials of one app in another's name."""

    def token(scene: Scene, _: bytes) -> str:
        return scene.token(pretended, key=scene.secret(honest))

    def other_kid(scene: Scene, _: bytes) -> str:
        return scene.token(pretended, key=scene.secret(honest), headers={"kid": f"{honest}.1"})

    def other_sub(scene: Scene, _: bytes) -> str:
        return scene.token(honest, claims=scene.claims(pretended))

    def signature(scene: Scene, body: bytes) -> str:
        return str(scene.sud_auth(honest, body)._replace(app_id=pretended))

    def other_body(scene: Scene, body: bytes) -> str:
        return str(scene.sud_auth(pretended, body + b" "))

    return {
        "foreign token": token,
        "foreign kid": other_kid,
        "foreign sub": other_sub,
        "foreign signature": signature,
        "signature of another body": other_body,
    }


def disabled(folder: str) -> str:
    return "club-disabled" if is_club(folder) else "merchant-disabled"


def rotated(folder: str) -> str:
    return "club-rotated" if is_club(folder) else "merchant-rotated"


def failing_proofs(folder: str) -> dict[str, By]:
    """Every way to come in that fails, of either API: a club's door takes no signature, a merchant's no token."""
    row = ROWS[folder]

    def retired(scene: Scene, body: bytes) -> str:
        app_id = rotated(folder)
        return scene.token(app_id, version=1) if is_club(folder) else str(scene.sud_auth(app_id, body, version=1))

    def unknown(scene: Scene, body: bytes) -> str:
        if is_club(folder):
            return scene.token(row.app, headers={"kid": "club-x.1"})
        return str(scene.sud_auth(row.app, body)._replace(app_id="merchant-x"))

    def old(scene: Scene, body: bytes) -> str:
        if is_club(folder):
            return expired_token(scene, body)
        return str(signed_at(lambda s: s.now_ms - FAR_MS, row.app)(scene, body))

    def early(scene: Scene, body: bytes) -> str:
        if is_club(folder):
            claims = scene.claims(row.app)
            return scene.token(row.app, claims={**claims, "iat": scene.now_seconds + FAR_MS // 1000})
        return str(signed_at(lambda s: s.now_ms + FAR_MS, row.app)(scene, body))

    def of_another_api(scene: Scene, body: bytes) -> str:
        return str(scene.sud_auth(row.app, body)) if is_club(folder) else f"Bearer {scene.token(row.app)}"

    def of_an_operator(scene: Scene, _: bytes) -> str:
        return scene.token(row.app, key=scene.master, headers={"kid": "ops.1"})

    return {
        "nothing": nobody,
        "nonsense": lambda _, __: "x",
        "disabled app": by(folder, disabled(folder)),
        "retired secret": retired,
        "unknown app": unknown,
        "expired": old,
        "from the future": early,
        "of the other API": of_another_api,
        "of the master": of_an_operator,
        **stolen(row.other, row.app),
    }


def powerless(folder: str) -> dict[str, By]:
    """Proven callers without the right: the role is missing, or the scope."""
    row = ROWS[folder]
    roles = {role: app_id for app_id, role in {CLUB_A: "club", MERCHANT_B: "merchant", GAME_B: "game"}.items()}
    own = "club" if is_club(folder) else row.needs
    found = {f"role {role} alone": by(folder, app_id) for role, app_id in roles.items() if role != own}
    for scope in row.wrong_scopes:
        found[f"scope {scope} alone"] = token_of(row.app, scope)
    if is_club(folder):
        found["no scope"] = lambda scene, _: scene.token(row.app, ())
        found["scope ops"] = token_of(row.app, "ops", "*", row.needs.upper())
    return found


POWERLESS = [(folder, case) for folder in CALLED for case in powerless(folder)]


def forbidden(folder: str) -> str:
    """The one answer without the right."""
    code, text = ('"ret":1006', '"msg"') if is_club(folder) else ('"ret_code":10006', '"ret_msg"')
    return f'{{{code},{text}:"无权限","detail":"needs {ROWS[folder].needs}"}}'


def refused(folder: str) -> tuple[int, str]:
    """The one answer to a failed proof."""
    return REFUSED["club" if is_club(folder) else "game"]


def directory_signatures() -> dict[str, Callable[[Scene], str]]:
    return {
        "unknown": lambda _: NO_ID,
        "an app_id": lambda _: MERCHANT_A,
        "disabled app": lambda scene: scene.directory_signature("merchant-disabled"),
        "retired secret": retired_directory,
        "in capitals": lambda scene: scene.directory_signature(MERCHANT_A).upper(),
        "cut": lambda scene: scene.directory_signature(MERCHANT_A)[:-1],
        "a pointer's key": lambda scene: f"asc#{scene.directory_signature(MERCHANT_A)}",
        "a path": lambda scene: f"../asc/{scene.directory_signature(MERCHANT_A)}",
        "very long": lambda _: "a" * 5000,
        "empty": lambda _: "",
    }


def retired_directory(scene: Scene) -> str:
    return directory_signature(scene.secret("merchant-rotated", 1), "merchant-rotated")
