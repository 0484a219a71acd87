"""The contract's error tables, written down a second time: what the functions answer is compared with these."""

from typing import Any

from settlepoint_local.in_process import Reply

CLUB_TEXTS = {
    1001: "请求参数错误，请稍后再试",
    1002: "鉴权失败",
    1003: "订单不存在",
    1004: "订单已结算",
    1005: "订单号已存在",
    1006: "无权限",
    1007: "对账单未生成",
    1429: "请求过于频繁，请稍后再试",
    1500: "系统繁忙，请稍后再试",
}
GAME_TEXTS = {
    1404: "接口不存在",
    10001: "服务异常",
    10002: "参数错误",
    10004: "AppSecret非法",
    10006: "无权限",
    10111: "小游戏不存在",
    10429: "请求过于频繁",
    70501: "订单号已存在",
    70503: "订单不存在",
    70504: "订单无关联的用户结算信息",
    70505: "订单已结算",
    70506: "对账单未生成",
}
MADE_BY_API_GATEWAY_ALONE = {1429, 10429}
STATUS = {1002: 401, 10004: 401, 1006: 403, 10006: 403, 10111: 403, 1404: 404, 1500: 500, 10001: 500}
"""Every other code is a business answer: 200."""

CLUB_DONE = {"ret": 0, "msg": ""}
GAME_DONE: dict[str, Any] = {"ret_code": 0, "ret_msg": "", "data": {}}


def club_data(data: dict[str, Any]) -> dict[str, Any]:
    return {"ret": 0, "msg": "", "data": data}


def game_data(data: dict[str, Any]) -> dict[str, Any]:
    return {"ret_code": 0, "ret_msg": "", "data": data}


def check_fault(reply: Reply, code: int, names: str = "", *, status: int = 0) -> None:
    """A whole error answer: status, code, text; `detail` starts with the field that it must name, or is not there."""
    envelope = dict(reply.json)
    detail = envelope.pop("detail", None)
    if code in CLUB_TEXTS:
        assert envelope == {"ret": code, "msg": CLUB_TEXTS[code]}
    else:
        assert envelope == {"ret_code": code, "ret_msg": GAME_TEXTS[code]}
    assert type(next(iter(envelope.values()))) is int
    assert reply.status == (status or STATUS.get(code, 200))
    if names:
        assert isinstance(detail, str)
        assert detail.startswith(names)
    else:
        assert detail is None
