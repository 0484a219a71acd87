"""What one app has is, for every other, as if it were not there: the same bytes as for what does not exist."""

from typing import Any, NamedTuple

import jwt
import pytest

from .system import System
from .wire import Answer, Club, SudParty

pytestmark = pytest.mark.stack


class Clubs(NamedTuple):
    """Two apps of a kind, and what the first of them has."""

    ours: Club
    theirs: Club
    settled: dict[str, Any]
    unsettled: dict[str, Any]


@pytest.fixture(scope="module")
def clubs(system: System) -> Clubs:
    ours = system.club()
    settled, unsettled = system.club_order(), system.club_order()
    assert ours.create(settled).code == ours.create(unsettled).code == ours.settle(settled, amt_ratio=50).code == 0
    return Clubs(ours, system.club(), settled, unsettled)


class Merchants(NamedTuple):
    ours: SudParty
    theirs: SudParty
    our_game_server: SudParty
    their_game_server: SudParty
    order: dict[str, Any]
    order_id: str


@pytest.fixture(scope="module")
def merchants(system: System) -> Merchants:
    ours, theirs = system.merchant(), system.merchant()
    game_servers = system.game_server(ours, "mg-1"), system.game_server(theirs, "mg-1")
    order = system.game_order()
    order_id = ours.create(order).data["order_id"]
    return Merchants(ours, theirs, *game_servers, order, order_id)


def same(foreign: Answer, unknown: Answer) -> Answer:
    assert (foreign.status, foreign.content_type, foreign.body) == (unknown.status, unknown.content_type, unknown.body)
    return foreign


@pytest.mark.parametrize("terms", [{}, {"amt_ratio": 50}, {"amt_ratio": 1}, {"settle_amt": -5}], ids=str)
def test_a_club_settles_another_clubs_order_as_little_as_an_unknown_one(
    system: System, clubs: Clubs, terms: dict[str, int]
) -> None:
    before = system.rows(clubs.ours.app_id)
    unknown = clubs.theirs.settle({"bill_no": "no-such-bill", "openid": clubs.settled["openid"]}, **terms)
    assert unknown.code == 1003
    for order in (clubs.settled, clubs.unsettled):
        same(clubs.theirs.settle(order, **terms), unknown)
    same(clubs.ours.settle({**clubs.unsettled, "openid": system.confidential("openid")}, **terms), unknown)
    assert system.rows(clubs.ours.app_id) == before
    assert system.rows(clubs.theirs.app_id) == {}


def test_a_club_lists_nothing_of_another_clubs_openid(system: System, clubs: Clubs) -> None:
    openid = clubs.settled["openid"]
    assert len(clubs.ours.page(openid).data["settle_list"]) == 1
    empty = same(clubs.theirs.page(openid), clubs.theirs.page(system.confidential("openid")))
    assert empty.data == {"settle_list": [], "total_amt": 0, "page_context": "", "is_end": True}


def test_a_bill_no_that_another_club_has_is_free(system: System) -> None:
    ours, theirs = system.club(), system.club()
    mine, yours = system.club_order(bill_no="shared", amt=10), system.club_order(bill_no="shared", amt=20)
    assert ours.create(mine).code == theirs.create(yours).code == 0
    before = system.rows(ours.app_id)
    assert theirs.settle(yours).code == 0
    assert system.rows(ours.app_id) == before
    assert ours.settle(mine, amt_ratio=10).code == 0
    assert theirs.page(yours["openid"]).data["total_amt"] == 20


def test_no_spelling_of_an_id_reaches_another_clubs_order(clubs: Clubs) -> None:
    app_id, bill_no, openid = clubs.ours.app_id, clubs.unsettled["bill_no"], clubs.unsettled["openid"]
    unknown = clubs.theirs.settle({"bill_no": "no-such-bill", "openid": openid})
    for spelling in (f"{app_id}#{bill_no}", f"#{bill_no}", f"club#{app_id}#{bill_no}", f"../{app_id}#{bill_no}"):
        same(clubs.theirs.settle({"bill_no": spelling, "openid": openid}), unknown)
    settled_openid = clubs.settled["openid"]
    for spelling in (f"{app_id}#{settled_openid}", f"#{settled_openid}", f"{settled_openid}#5"):
        assert clubs.theirs.page(spelling).data["settle_list"] == []
        assert clubs.ours.page(spelling).data["settle_list"] == []


def test_a_token_in_another_clubs_name_is_worth_nothing(system: System, clubs: Clubs) -> None:
    ours, theirs = clubs.ours, clubs.theirs
    honest = jwt.decode(theirs.token, options={"verify_signature": False})
    for kid, sub in ((f"{ours.app_id}.1", ours.app_id), (f"{theirs.app_id}.1", ours.app_id)):
        forged = jwt.encode({**honest, "sub": sub}, theirs.secret, headers={"kid": kid})
        system.known_secrets.append(forged)
        answer = Club(system.base_url, ours.app_id, "", forged).page(clubs.settled["openid"])
        assert (answer.status, answer.body) == (401, '{"ret":1002,"msg":"鉴权失败"}'.encode())


def test_a_merchant_sees_another_merchants_order_as_little_as_an_unknown_one(
    system: System, merchants: Merchants
) -> None:
    out_order_id, theirs = merchants.order["out_order_id"], merchants.theirs
    for ask in (theirs.query, theirs.query_settle):
        unknown = ask(out_order_id="no-such-order")
        assert unknown.code == 70503
        same(ask(out_order_id=out_order_id), unknown)
        same(ask(order_id=merchants.order_id), unknown)
        same(ask(order_id="0" * 32), unknown)
        for spelling in (f"{merchants.ours.app_id}#{merchants.order_id}", f"#{merchants.order_id}"):
            same(ask(order_id=spelling), unknown)
        # The header alone says who calls.
        same(
            theirs.call(
                "/v1/app/server/query_order", {"app_id": merchants.ours.app_id, "order_id": merchants.order_id}
            ),
            unknown,
        )
    assert system.rows(theirs.app_id) == {}


def test_an_out_order_id_that_another_merchant_has_is_free(system: System, merchants: Merchants) -> None:
    theirs = system.merchant()
    created = theirs.create(merchants.order)
    assert created.data["order_id"] != merchants.order_id
    assert merchants.ours.query(order_id=created.data["order_id"]).code == 70503


def test_a_game_server_reports_for_its_own_merchants_alone(system: System, merchants: Merchants) -> None:
    before = system.rows(merchants.ours.app_id)
    out_order_id = merchants.order["out_order_id"]
    foreign = merchants.their_game_server.report(system.report(merchants.ours, out_order_id))
    unknown_merchant = system.report(merchants.ours, out_order_id, app_id="no-such-app")
    assert same(foreign, merchants.their_game_server.report(unknown_merchant)).code == 10111

    report = system.report(merchants.theirs)
    report["results"] = [{"uid": "u", "is_ai": 0, "score": 1, "remain_score": 1, "order_id": merchants.order_id}]
    ours = merchants.their_game_server.report(report)
    report["results"][0]["order_id"] = "0" * 32
    unknown = merchants.their_game_server.report(report)
    assert ours.code == unknown.code == 70503
    assert ours.body.replace(merchants.order_id.encode(), b"0" * 32) == unknown.body
    assert system.rows(merchants.ours.app_id) == before


def test_the_signature_of_one_app_is_worth_nothing_in_another_apps_name(system: System, merchants: Merchants) -> None:
    body = b'{"out_order_id":"x"}'
    stolen = merchants.theirs.parts(body, app_id=merchants.ours.app_id)
    answer = merchants.ours.post("/v1/app/server/query_order", body, stolen)
    assert (answer.status, answer.code) == (401, 10004)
    nobody = SudParty(system.base_url, "no-such-app", merchants.theirs.secret)
    same(nobody.query(out_order_id="x"), answer)
