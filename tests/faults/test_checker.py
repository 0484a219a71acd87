"""The checker itself: histories that are right pass, and each way of being wrong is told from them."""

import itertools
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from .checker import check, game_order_id
from .history import Call, Walk

BILL = {"bill_no": "b", "openid": "o", "amt": 7, "source": 0, "jf_gid": 0, "detail": ""}
ORDER = {"mg_id": "m", "room_id": "r", "cmd": "c", "from_uid": "f", "to_uid": "t", "value": 1}
FIGURES = {"uid": "u", "is_ai": 0, "score": 1, "remain_score": 0, "commission_score": None}
ORDER_IDS = {order: game_order_id("app", order) for order in ("x", "y")}


class History:
    """Calls of one app, one after the other where nothing else is said."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.walks: list[Walk] = []
        self._moments = itertools.count()

    def begin(self, name: str, request: Mapping[str, Any]) -> Call:
        call = Call("c", "app", name, request, next(self._moments), 0)
        self.calls.append(call)
        return call

    def end(self, call: Call, code: int | None, data: Mapping[str, Any] | None = None, detail: str = "") -> None:
        call.completed, call.code, call.data, call.detail = next(self._moments), code, data or {}, detail

    def did(self, name: str, request: Mapping[str, Any], code: int | None = 0, **answer: Any) -> None:
        self.end(self.begin(name, request), code, **answer)

    def create(self, code: int | None = 0, **changes: Any) -> None:
        self.did("create_club_order", {**BILL, **changes}, code)

    def settle(self, code: int | None = 0, **terms: Any) -> None:
        self.did("set_club_jf_settle", {"bill_no": "b", "openid": "o", **terms}, code)

    def listed(self, **changes: Any) -> None:
        entry = {"billno": "b", "amt": 7, "settle_amt": 7, "amt_ratio": 100, "settle_time": 5, "source": 0}
        entry |= {"jf_gid": 0, "detail": "", **changes}
        page = self.begin("get_club_jf_settle_list", {"openid": "o"})
        self.end(page, 0, {"settle_list": [entry]})
        self.walks.append(Walk("app", {"openid": "o"}, [page]))

    def report(self, code: int | None = 0, *orders: str, detail: str = "", **changes: Any) -> None:
        results = [{"out_order_id": order, **FIGURES, **changes} for order in orders or ("x",)]
        request = {"mg_id": "m", "room_id": "r", "match_id": "1", "settle_at": "9", "results": results}
        self.did("settle_users", request, code, detail=detail)

    def query(self, status: str | None, code: int = 0) -> None:
        self.did("query_order", {"out_order_id": "x"}, code, data=ORDER | {"status": status} if status else None)

    def query_result(self, code: int = 0, **changes: Any) -> None:
        told = {**FIGURES, "mg_id": "m", "room_id": "r", "match_id": "1", "settle_at": "9", **changes}
        self.did("query_user_settle", {"out_order_id": "x"}, code, data=told if code == 0 else None)

    def order(self, name: str = "x") -> None:
        self.did("create_order", {**ORDER, "out_order_id": name})

    @property
    def explained(self) -> bool:
        return check(self.calls, self.walks) == []


@pytest.fixture
def history() -> History:
    return History()


# ------------------------------------------------------------------------------------------------------ right ones


def test_one_after_the_other(history: History) -> None:
    history.settle(1003)
    history.create()
    history.create()
    history.create(1005, amt=8)
    history.settle(1001, settle_amt=7)
    history.settle(1003, openid="p")
    history.settle(0, amt_ratio=33)
    history.settle(0, amt_ratio=33)
    history.settle(1004)
    history.settle(1001, settle_amt=-1)
    history.listed(settle_amt=Decimal("2.31"), amt_ratio=33)
    assert history.explained


def test_two_at_once_have_one_winner(history: History) -> None:
    history.create()
    one = history.begin("set_club_jf_settle", {"bill_no": "b", "openid": "o", "amt_ratio": 1})
    other = history.begin("set_club_jf_settle", {"bill_no": "b", "openid": "o", "amt_ratio": 2})
    history.end(one, 1004)
    history.end(other, 0)
    history.settle(0, amt_ratio=2)
    assert history.explained


@pytest.mark.parametrize("lost", [None, 1500])
@pytest.mark.parametrize("code", [0, 1004])
def test_a_lost_answer_explains_either(history: History, lost: int | None, code: int) -> None:
    history.create()
    history.settle(lost, amt_ratio=1)
    history.settle(code, amt_ratio=2)
    history.settle(1004 if code == 0 else 0, amt_ratio=1)
    assert history.explained


def test_what_was_lost_may_happen_later(history: History) -> None:
    history.create()
    history.settle(None, amt_ratio=1)
    history.settle(1001, settle_amt=70)
    history.listed(settle_amt=Decimal("0.07"), amt_ratio=1)
    assert history.explained


def test_many_lost_answers_are_no_riddle(history: History) -> None:
    history.create()
    for _ in range(40):
        history.settle(None, amt_ratio=1)
    history.settle(0, amt_ratio=2)
    history.settle(1003)
    assert not history.explained


def test_a_report_and_what_is_told_of_it(history: History) -> None:
    history.query(None, 70503)
    history.order()
    history.query("CREATED")
    history.query_result(70504)
    history.report(70503, "x", "y", detail=f"order {ORDER_IDS['y']}: no such order")
    history.report(0)
    history.report(0)
    history.report(70505, score=2, detail=f"order {ORDER_IDS['x']}: settled before")
    history.query("EXECUTE_SUCCESS")
    history.query_result()
    assert history.explained


# ------------------------------------------------------------------------------------------------------ wrong ones


def test_a_settlement_that_was_acknowledged_is_lost(history: History) -> None:
    history.create()
    history.settle(0, amt_ratio=1)
    history.settle(0, amt_ratio=2)
    assert not history.explained


def test_an_order_that_was_acknowledged_is_lost(history: History) -> None:
    history.create()
    history.settle(1003)
    assert not history.explained


def test_the_loser_is_told_that_it_won(history: History) -> None:
    history.create()
    one = history.begin("set_club_jf_settle", {"bill_no": "b", "openid": "o", "amt_ratio": 1})
    other = history.begin("set_club_jf_settle", {"bill_no": "b", "openid": "o", "amt_ratio": 2})
    history.end(one, 0)
    history.end(other, 0)
    assert not history.explained


def test_everybody_is_told_that_another_won(history: History) -> None:
    history.create()
    history.settle(1004)
    assert not history.explained


def test_what_an_error_answered_was_done_all_the_same(history: History) -> None:
    history.create()
    history.settle(1001, settle_amt=3)
    assert not history.explained


def test_other_content_is_taken(history: History) -> None:
    history.create()
    history.create(0, amt=8)
    assert not history.explained


def test_an_answer_is_from_before(history: History) -> None:
    """Each call began after the one before it had ended."""
    history.order()
    history.report(0)
    history.query("CREATED")
    assert not history.explained


def test_a_result_is_not_there_after_it_was(history: History) -> None:
    history.order()
    history.report(None)
    history.query_result()
    history.query_result(70504)
    assert not history.explained


@pytest.mark.parametrize("changes", [{"score": 2}, {"match_id": "2"}, {"settle_at": "8"}, {"room_id": "s"}])
def test_a_result_is_another(history: History, changes: dict[str, Any]) -> None:
    history.order()
    history.report(0)
    history.query_result(**changes)
    assert not history.explained


def test_an_order_that_is_there_is_unknown_to_a_report(history: History) -> None:
    history.order()
    history.report(70503, detail=f"order {ORDER_IDS['x']}: no such order")
    assert not history.explained


def test_an_order_that_is_free_was_settled_before(history: History) -> None:
    history.order()
    history.report(70505, detail=f"order {ORDER_IDS['x']}: settled before")
    assert not history.explained


def test_an_order_of_a_report_is_left_out(history: History) -> None:
    history.order("x")
    history.order("y")
    history.report(0, "x", "y")
    history.did("query_order", {"out_order_id": "y"}, 0, data=ORDER | {"status": "CREATED"})
    assert not history.explained


@pytest.mark.parametrize("changes", [{"settle_amt": 6}, {"amt_ratio": 99}, {"amt": 8}, {"detail": "x"}])
def test_a_list_shows_something_else(history: History, changes: dict[str, Any]) -> None:
    history.create()
    history.settle()
    history.listed(**changes)
    assert not history.explained


def test_a_list_shows_what_is_not_settled(history: History) -> None:
    history.create()
    history.listed()
    assert not history.explained


def test_a_settlement_moves_in_time(history: History) -> None:
    history.create()
    history.settle()
    history.listed()
    history.listed(settle_time=6)
    assert not history.explained
