"""Every row of the two error tables, produced over HTTP: its code, its HTTP status, its fixed text.

Not among them, for only AWS or an operator's limits make them:
    1429, 10429     throttled: API Gateway's own answer, compared with the template in test_gateway
    502, 504        crash, timeout: likewise
1500 and 10001 are produced in test_permissions, by taking away a permission; the 503 of contention needs a database
that stays busy for ten seconds, which tests/functions imitates.
"""

import re
import time
from collections.abc import Callable
from copy import replace

import pytest

from settlement.tokens import mint
from settlepoint_local.project import ROOT

from .system import System
from .wire import Answer, SudParty, send

pytestmark = pytest.mark.stack

TOO_LARGE = b"{}".ljust(64 * 1024 + 1)
LIST = "/upbot/api/GetClubJfSettleList"


def other_amount(system: System) -> Answer:
    club, order = system.club(), system.club_order()
    assert club.create(order).code == 0
    return club.create({**order, "amt": 1})


def other_terms(system: System) -> Answer:
    club, order = system.club(), system.club_order()
    assert club.create(order).code == club.settle(order).code == 0
    return club.settle(order, amt_ratio=99)


def settle_of_another_openid(system: System) -> Answer:
    club, order = system.club(), system.club_order()
    assert club.create(order).code == 0
    return club.settle({**order, "openid": system.confidential("openid")})


def impossible_terms(system: System) -> Answer:
    club, order = system.club(), system.club_order()
    assert club.create(order).code == 0
    return club.settle(order, settle_amt=order["amt"])


def disabled_club(system: System) -> Answer:
    app = system.app("club")
    system.registry.set_status(app.app_id, "disabled")
    return system.club_of(app).page("openid-confidential")


def expired_token(system: System) -> Answer:
    app = system.app("club")
    club = system.club_of(app)
    token = mint(app, system.keyring, ["settlements:read"], int(time.time()) - 120, 60)
    return replace(club, token=token).page("openid-confidential")


def created_game_order(system: System) -> tuple[SudParty, str]:
    merchant, order = system.merchant(), system.game_order()
    assert merchant.create(order).code == 0
    return merchant, order["out_order_id"]


def other_value(system: System) -> Answer:
    merchant, order = system.merchant(), system.game_order()
    assert merchant.create(order).code == 0
    return merchant.create({**order, "value": 1})


def other_figures(system: System) -> Answer:
    merchant, out_order_id = created_game_order(system)
    game_server = system.game_server(merchant, "mg-1")
    report = system.report(merchant, out_order_id)
    assert game_server.report(report).code == 0
    report["results"][0]["score"] += 1
    return game_server.report(report)


def not_settled(system: System) -> Answer:
    merchant, out_order_id = created_game_order(system)
    return merchant.query_settle(out_order_id=out_order_id)


def report_of_another_room(system: System) -> Answer:
    merchant, out_order_id = created_game_order(system)
    return system.game_server(merchant, "mg-1").report(system.report(merchant, out_order_id, room_id="another"))


def report_of_another_game(system: System) -> Answer:
    merchant, out_order_id = created_game_order(system)
    return system.game_server(merchant, "mg-2").report(system.report(merchant, out_order_id))


def disabled_merchant(system: System) -> Answer:
    app = system.app("merchant")
    system.registry.set_status(app.app_id, "disabled")
    return system.sud_party(app).query(out_order_id="x")


CLUB_ROWS: list[tuple[int, int, Callable[[System], Answer]]] = [
    (1001, 200, lambda system: system.club().page("")),
    (1001, 200, impossible_terms),
    (1001, 413, lambda system: system.club().post(LIST, TOO_LARGE)),
    (1002, 401, lambda system: send(system.base_url + LIST, b"{}", {})),
    (1002, 401, lambda system: replace(system.club(), token="a.b.c").page("openid-confidential")),
    (1002, 401, disabled_club),
    (1002, 401, expired_token),
    (1003, 200, lambda system: system.club().settle(system.club_order())),
    (1003, 200, settle_of_another_openid),
    (1004, 200, other_terms),
    (1005, 200, other_amount),
    (1006, 403, lambda system: system.club_of(system.app("club"), ["orders:write"]).page("openid-confidential")),
    (1006, 403, lambda system: system.club_of(system.app("merchant")).page("openid-confidential")),
    (1007, 200, lambda system: system.club().call("GetClubJfStatement", {"day": "2020-02-29"})),
    (1404, 404, lambda system: system.club().call("NoSuchCall", {})),
]
GAME_ROWS: list[tuple[int, int, Callable[[System], Answer]]] = [
    (10002, 200, lambda system: system.merchant().query()),
    (10002, 200, lambda system: system.merchant().call("/v1/app/server/create_order", b"[]")),
    (10002, 413, lambda system: system.merchant().call("/v1/app/server/create_order", TOO_LARGE)),
    (10004, 401, lambda system: send(f"{system.base_url}/v1/app/server/query_order", b"{}", {})),
    (10004, 401, lambda system: replace(system.merchant(), secret="0" * 64).query(out_order_id="x")),
    (10004, 401, disabled_merchant),
    (10006, 403, lambda system: system.sud_party(system.app("game")).query(out_order_id="x")),
    (10006, 403, lambda system: (merchant := system.merchant()).report(system.report(merchant, "x"))),
    (10111, 403, report_of_another_game),
    (70501, 200, other_value),
    (70503, 200, lambda system: system.merchant().query(out_order_id="x")),
    (70503, 200, report_of_another_room),
    (70504, 200, not_settled),
    (70505, 200, other_figures),
    (70506, 200, lambda system: system.merchant().call("/v1/app/server/get_statement", {"day": "2020-02-29"})),
    (1404, 404, lambda system: send(f"{system.base_url}/asc/x", None, {}, "GET")),
]


def documented(heading: str) -> dict[int, str]:
    """Codes and fixed texts of one API's error table in docs/api.md."""
    api = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    table = api.split("\n### Errors\n")[1].split("\n### ")[0]
    return {int(code): text for code, text in re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|", table, re.MULTILINE)}


@pytest.mark.parametrize(("code", "status", "produce"), CLUB_ROWS)
def test_a_row_of_the_club_apis_table(
    system: System, code: int, status: int, produce: Callable[[System], Answer]
) -> None:
    answer = produce(system)
    assert (answer.status, answer.code, answer.json["msg"]) == (status, code, documented("Club API")[code])
    assert answer.content_type == "application/json"
    assert ("detail" in answer.json) == (status not in (401, 404))


@pytest.mark.parametrize(("code", "status", "produce"), GAME_ROWS)
def test_a_row_of_the_game_apis_table(
    system: System, code: int, status: int, produce: Callable[[System], Answer]
) -> None:
    answer = produce(system)
    assert (answer.status, answer.code, answer.json["ret_msg"]) == (status, code, documented("Game API")[code])
    assert answer.content_type == "application/json"
    assert ("detail" in answer.json) == (status not in (401, 404))


def test_no_row_of_the_tables_is_missing_here() -> None:
    assert documented("Club API").keys() == {row[0] for row in CLUB_ROWS} | {1429, 1500}
    assert documented("Game API").keys() == {row[0] for row in GAME_ROWS} | {10429, 10001}
