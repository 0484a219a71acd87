"""What can be wrong with a call, as the two APIs name it.

SettlepointError                club    game
├── BadRequest                  1001    10002   anything wrong with the request itself
│   └── BodyTooLarge            1001    10002   over 64 KiB
├── Unauthenticated             1002    10004   one answer for every cause: no oracle
├── Forbidden                   1006    10006   the token lacks the scope, the app lacks the role
├── GameNotFound                        10111   the game server may not report for this mg_id / app
├── UnknownPath                 1404    1404    no such API directory
├── OrderNotFound               1003    70503   unknown, another app's, another openid's: the same answer
├── OrderExists                 1005    70501   create: the id exists with other content
├── OrderNotSettled                     70504   query: the order has no result yet
├── OrderAlreadySettled         1004    70505   settled before on other terms
├── StatementNotReady           1007    70506   no statement of this day is there: not over, not made yet, too old
└── Busy                        1500    10001   conflicts outlasted the deadline; safe to repeat

An exception outside this tree is our own fault: the caller sees `SERVICE_FAULT`, the log has the rest.
Source: DESIGN sections 2 and 3. HTTP statuses are the endpoint module's business.
"""

from typing import ClassVar, NamedTuple


class Answer(NamedTuple):
    """One row of an API's error table: the code and its fixed text."""

    code: int
    text: str


SERVICE_FAULT_CLUB = Answer(1500, "系统繁忙，请稍后再试")
SERVICE_FAULT_GAME = Answer(10001, "服务异常")


class SettlepointError(Exception):
    """An answer other than success. `detail` is shown to the caller: it names the field and what was wrong with it."""

    club: ClassVar[Answer] = SERVICE_FAULT_CLUB
    game: ClassVar[Answer] = SERVICE_FAULT_GAME

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(SettlepointError):
    club = Answer(1001, "请求参数错误，请稍后再试")
    game = Answer(10002, "参数错误")


class BodyTooLarge(BadRequest):
    pass


class Unauthenticated(SettlepointError):
    """Carries the cause for our log alone: `detail` stays empty."""

    club = Answer(1002, "鉴权失败")
    game = Answer(10004, "AppSecret非法")

    def __init__(self, cause: str) -> None:
        super().__init__()
        self.cause = cause


class Forbidden(SettlepointError):
    club = Answer(1006, "无权限")
    game = Answer(10006, "无权限")


class GameNotFound(SettlepointError):
    game = Answer(10111, "小游戏不存在")


class UnknownPath(SettlepointError):
    club = Answer(1404, "接口不存在")
    game = Answer(1404, "接口不存在")


class OrderNotFound(SettlepointError):
    club = Answer(1003, "订单不存在")
    game = Answer(70503, "订单不存在")


class OrderExists(SettlepointError):
    club = Answer(1005, "订单号已存在")
    game = Answer(70501, "订单号已存在")


class OrderNotSettled(SettlepointError):
    game = Answer(70504, "订单无关联的用户结算信息")


class OrderAlreadySettled(SettlepointError):
    club = Answer(1004, "订单已结算")
    game = Answer(70505, "订单已结算")


class StatementNotReady(SettlepointError):
    club = Answer(1007, "对账单未生成")
    game = Answer(70506, "对账单未生成")


class Busy(SettlepointError):
    """Conflicts with neighbours lasted past the deadline; nothing was written."""
