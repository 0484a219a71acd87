"""POST /upbot/api/CreateClubJfOrder: the intake of a club's orders."""

from settlement.club_messages import CreateClubOrderRequest
from settlement.door import Door
from settlement.endpoint import Call, club_endpoint
from settlement.store import Store

door = Door("create_club_order")
store = Store.connect(door.settings)


@club_endpoint(door, CreateClubOrderRequest, scope="orders:write")
def handler(call: Call[CreateClubOrderRequest]) -> None:
    call.facts["bill_no"] = call.request.bill_no
    if store.create_club_order(call.app_id, call.request.order()):
        door.count("OrdersCreated")
