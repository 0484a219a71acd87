"""The main flow, before the user's eyes: every request and every answer as they were, each one checked."""

from typing import Any, Final

import simplejson
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.rule import Rule
from rich.text import Text

from settlectl.apps import create_app
from settlectl.calls import Answer, Client, sud_authorization
from settlectl.failures import CommandFailed
from settlectl.listening import Receiver, receiving
from settlectl.tokens import mint_token
from settlement.callers import CLUB_SCOPES
from settlement.clock import now_ms
from settlepoint_local.stack import Stack

CLUB: Final = "demo-club"
MERCHANT: Final = "demo-merchant"
GAME_SERVER: Final = "demo-game"
PLAYER: Final = "player-1"
OPERATOR: Final = "me"
SETTLECTL: Final = ".venv/bin/settlectl"
TOKEN_SECONDS: Final = 24 * 3600
NOTIFICATION_SECONDS: Final = 60.0


class DemoFailed(CommandFailed):
    """A step was not answered as it should be."""


class Stage:
    """Where the flow is shown."""

    def __init__(self, console: Console, stack: Stack) -> None:
        self._console = console
        self._client = Client(stack.base_url)

    def step(self, title: str, remark: str) -> None:
        self._console.print()
        self._console.print(Rule(Text(title, style="bold cyan"), align="left", style="cyan"))
        self._console.print(Text(remark, style="dim"), soft_wrap=True)

    def post(self, path: str, fields: dict[str, Any], authorization: str) -> Any:
        """The answer's data; the call succeeds or the demo fails."""
        return self._send(path, _encoded(fields), authorization)

    def post_signed(self, path: str, fields: dict[str, Any], app_id: str, secret: str) -> Any:
        body = _encoded(fields)
        return self._send(path, body, sud_authorization(secret, app_id, body, now_ms()))

    def show(self, sign: str, about: str, value: object) -> None:
        json = simplejson.dumps(value, use_decimal=True, ensure_ascii=False)
        line = Text.assemble((f"{sign} ", "bold"), (about, "bold"), " ", JSONHighlighter()(Text(json)))
        self._console.print(line, soft_wrap=True)

    def _send(self, path: str, body: bytes, authorization: str) -> Any:
        self.show("->", f"POST {path}", simplejson.loads(body))
        answer = self._client.post(path, body, authorization)
        self.show("<-", f"HTTP {answer.status}", answer.value())
        return _data(path, answer)


def run(stack: Stack, console: Console, *, goes_on: bool) -> None:
    """`goes_on`: whether the stack will be there afterwards, to be used by hand. Raises CommandFailed."""
    stage, deployment = Stage(console, stack), stack.deployment()
    with receiving(deployment) as receiver:
        console.print(Text(f"A receiver of notifications listens on {receiver.url}", style="dim"))
        secrets = {
            CLUB: create_app(deployment, CLUB, ["club"], notify_url=receiver.url).secret,
            MERCHANT: create_app(deployment, MERCHANT, ["merchant"], notify_url=receiver.url).secret,
            GAME_SERVER: create_app(deployment, GAME_SERVER, ["game"], mg_ids=["mg-1"], for_apps=[MERCHANT]).secret,
        }
        token = mint_token(deployment, CLUB, list(CLUB_SCOPES), TOKEN_SECONDS).token
        _club_settles(stage, token)
        _game_reports(stage, secrets)
        _receives(stage, receiver)
    if goes_on:
        _says_how_to_go_on(console, stack, token, receiver)


def _club_settles(stage: Stage, token: str) -> None:
    order = {"bill_no": "bill-1", "openid": PLAYER}
    stage.step(
        "A club's order is created, settled and listed",
        f"The caller is {CLUB}, by its token. Settling twice is safe: the same terms are the same success.",
    )
    stage.post("/upbot/api/CreateClubJfOrder", order | {"amt": 1250, "source": 6, "jf_gid": 7, "detail": "周赛"}, token)
    stage.post("/upbot/api/SetClubJfSettle", order | {"amt_ratio": 35}, token)
    stage.post("/upbot/api/SetClubJfSettle", order | {"amt_ratio": 35}, token)
    listed = stage.post("/upbot/api/GetClubJfSettleList", {"openid": PLAYER}, token)
    _expect("total_amt", listed["total_amt"], simplejson.loads("437.5", use_decimal=True))
    _expect("is_end", listed["is_end"], True)


def _game_reports(stage: Stage, secrets: dict[str, str]) -> None:
    match = {"mg_id": "mg-1", "room_id": "room-1"}
    stage.step("A merchant's order is created, and the game server reports its result", "Each call is signed.")
    order = {"out_order_id": "order-1", "cmd": "bet", "from_uid": PLAYER, "to_uid": "player-2", "value": 200}
    stage.post_signed("/v1/app/server/create_order", match | order, MERCHANT, secrets[MERCHANT])
    result = {"out_order_id": "order-1", "uid": PLAYER, "is_ai": 0, "score": 180, "remain_score": 1180}
    report = match | {
        "app_id": MERCHANT,
        "match_id": "match-1",
        "settle_at": str(now_ms() // 1000),
        "results": [result],
    }
    stage.post_signed("/v1/mg/server/user_settle", report, GAME_SERVER, secrets[GAME_SERVER])
    asked = {"out_order_id": "order-1"}
    settled = stage.post_signed("/v1/app/server/query_user_settle", asked, MERCHANT, secrets[MERCHANT])
    _expect("score", settled["score"], 180)
    queried = stage.post_signed("/v1/app/server/query_order", asked, MERCHANT, secrets[MERCHANT])
    _expect("status", queried["status"], "EXECUTE_SUCCESS")


def _receives(stage: Stage, receiver: Receiver) -> None:
    stage.step(
        "Both are notified", "Verified over the raw bytes: Sud-Signature, and with the standardwebhooks library."
    )
    missing = {CLUB, MERCHANT}
    for callback in receiver.callbacks(NOTIFICATION_SECONDS):
        if not callback.verdict.genuine:
            raise DemoFailed(f"a notification is not genuine: {callback.verdict.reasons()}")
        stage.show("<-", f"{callback.app_id}, genuine:", callback.verdict.notification)
        missing.discard(callback.app_id)
        if not missing:
            return
    raise DemoFailed(f"no notification for {', '.join(sorted(missing))} within {NOTIFICATION_SECONDS:.0f} s")


def _says_how_to_go_on(console: Console, stack: Stack, token: str, receiver: Receiver) -> None:
    order = {"bill_no": "bill-2", "openid": PLAYER}
    port = receiver.server.server_address[1]
    lines = (
        f"BASE={stack.base_url}",
        f"TOKEN={token}",
        _curl("CreateClubJfOrder", order | {"amt": 88, "source": 6, "jf_gid": 7, "detail": "by hand"}),
        _curl("SetClubJfSettle", order | {"amt_ratio": 50}),
        _curl("GetClubJfSettleList", {"openid": PLAYER}),
        f'{SETTLECTL} sud call /v1/app/server/query_order --app-id {MERCHANT} --body \'{{"out_order_id":"order-1"}}\'',
        f"{SETTLECTL} listen --port {port}    # in a second terminal: receives, verifies and prints",
        f"{SETTLECTL} token mint --operator {OPERATOR} --write    # opens {stack.base_url}/console",
    )
    console.print()
    console.print(Rule(Text("Go on by hand", style="bold green"), align="left", style="green"))
    console.print(Text("\n".join(lines)), soft_wrap=True)
    console.print()


def _curl(name: str, fields: dict[str, Any]) -> str:
    return f"curl -H \"Authorization: $TOKEN\" -d '{_encoded(fields).decode()}' $BASE/upbot/api/{name}"


def _encoded(fields: dict[str, Any]) -> bytes:
    return simplejson.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _data(path: str, answer: Answer) -> Any:
    name = "ret" if path.startswith("/upbot/") else "ret_code"
    if answer.status != 200 or answer.code(name) != 0:
        raise DemoFailed(f"{path} was answered {answer.status} {answer.body.decode(errors='replace')}")
    return answer.value().get("data")


def _expect(name: str, found: object, expected: object) -> None:
    if found != expected:
        raise DemoFailed(f"{name} is {found}, not {expected}")
