"""POST /v1/mg/server/user_settle: what the game server reports of a match, all of its orders or none."""

from settlement.door import Door
from settlement.endpoint import Call, game_endpoint
from settlement.errors import GameNotFound
from settlement.game_messages import SettleUsersRequest
from settlement.settling import Repeated
from settlement.store import Store

door = Door("settle_users")
store = Store.connect(door.settings)


@game_endpoint(door, SettleUsersRequest, role="game")
def handler(call: Call[SettleUsersRequest]) -> None:
    report, game_server = call.request, call.caller.app
    call.facts |= {"merchant": report.app_id, "mg_id": report.mg_id, "match_id": report.match_id}
    allowed = report.mg_id in game_server.mg_ids and report.app_id in game_server.for_apps
    merchant = door.apps.find(report.app_id) if allowed else None
    if merchant is None:
        raise GameNotFound("mg_id or app_id: this game server may not report for it")
    outcome = store.settle_game_orders(merchant, report.mg_id, report.room_id, report.results_by_order_id())
    match outcome:
        case Repeated():
            door.count("SettlementsRepeated")
        case settled:
            door.count("OrdersSettled", len(settled))
