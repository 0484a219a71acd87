"""The two error tables, word for word."""

import inspect

import pytest

from settlement import errors
from settlement.errors import SERVICE_FAULT_CLUB, SERVICE_FAULT_GAME, SettlepointError, Unauthenticated

CLUB_TABLE = {
    "BadRequest": (1001, "请求参数错误，请稍后再试"),
    "BodyTooLarge": (1001, "请求参数错误，请稍后再试"),
    "Unauthenticated": (1002, "鉴权失败"),
    "OrderNotFound": (1003, "订单不存在"),
    "OrderAlreadySettled": (1004, "订单已结算"),
    "OrderExists": (1005, "订单号已存在"),
    "Forbidden": (1006, "无权限"),
    "StatementNotReady": (1007, "对账单未生成"),
    "UnknownPath": (1404, "接口不存在"),
    "Busy": (1500, "系统繁忙，请稍后再试"),
}
GAME_TABLE = {
    "BadRequest": (10002, "参数错误"),
    "BodyTooLarge": (10002, "参数错误"),
    "Unauthenticated": (10004, "AppSecret非法"),
    "Forbidden": (10006, "无权限"),
    "GameNotFound": (10111, "小游戏不存在"),
    "OrderExists": (70501, "订单号已存在"),
    "OrderNotFound": (70503, "订单不存在"),
    "OrderNotSettled": (70504, "订单无关联的用户结算信息"),
    "OrderAlreadySettled": (70505, "订单已结算"),
    "StatementNotReady": (70506, "对账单未生成"),
    "UnknownPath": (1404, "接口不存在"),
    "Busy": (10001, "服务异常"),
}
TREE = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SettlepointError) and kind is not SettlepointError
}


def test_a_fault_of_ours_is_told_as_the_tables_say() -> None:
    assert SERVICE_FAULT_CLUB == (1500, "系统繁忙，请稍后再试")
    assert SERVICE_FAULT_GAME == (10001, "服务异常")


@pytest.mark.parametrize("name", CLUB_TABLE)
def test_the_clubs_table_is_the_contracts(name: str) -> None:
    assert TREE[name].club == CLUB_TABLE[name]


@pytest.mark.parametrize("name", GAME_TABLE)
def test_the_games_table_is_the_contracts(name: str) -> None:
    assert TREE[name].game == GAME_TABLE[name]


def test_an_error_that_an_api_has_no_row_for_is_our_fault_there() -> None:
    for name, kind in TREE.items():
        assert name in CLUB_TABLE or kind.club == SERVICE_FAULT_CLUB
        assert name in GAME_TABLE or kind.game == SERVICE_FAULT_GAME


def test_every_error_stands_in_the_tree_that_the_module_draws() -> None:
    assert set(TREE) == set(CLUB_TABLE) | set(GAME_TABLE)
    for name, kind in TREE.items():
        drawn = next(line for line in (errors.__doc__ or "").splitlines() if f" {name} " in line)
        for answer in {kind.club, kind.game} - {SERVICE_FAULT_CLUB, SERVICE_FAULT_GAME}:
            assert str(answer.code) in drawn


def test_an_authentications_cause_is_not_the_callers_to_read() -> None:
    error = Unauthenticated("no such app")
    assert (error.detail, str(error), error.cause) == ("", "", "no such app")
