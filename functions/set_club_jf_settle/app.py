"""POST /upbot/api/SetClubJfSettle: settles an order of points that belong to the club, whole or in part."""

from settlement.club_messages import SettleClubOrderRequest
from settlement.door import Door
from settlement.endpoint import Call, club_endpoint
from settlement.settling import Repeated
from settlement.store import Store

door = Door("set_club_jf_settle")
store = Store.connect(door.settings)


@club_endpoint(door, SettleClubOrderRequest, scope="settlements:write")
def handler(call: Call[SettleClubOrderRequest]) -> None:
    request = call.request
    call.facts["bill_no"] = request.bill_no
    outcome = store.settle_club_order(
        call.caller.app, request.bill_no, request.openid, request.settle_amt, request.amt_ratio
    )
    door.count("SettlementsRepeated" if isinstance(outcome, Repeated) else "OrdersSettled")
