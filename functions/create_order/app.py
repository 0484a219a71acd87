"""POST /v1/app/server/create_order: a merchant's order for a player."""

from settlement.door import Door
from settlement.endpoint import Call, game_endpoint
from settlement.game_messages import CreatedOrder, CreateOrderRequest
from settlement.orders import game_order_id
from settlement.store import Store

door = Door("create_order")
store = Store.connect(door.settings)


@game_endpoint(door, CreateOrderRequest, role="merchant")
def handler(call: Call[CreateOrderRequest]) -> CreatedOrder:
    order = call.request.order()
    order_id = call.facts["order_id"] = game_order_id(call.app_id, order.out_order_id)
    if store.create_game_order(call.app_id, order_id, order):
        door.count("OrdersCreated")
    return CreatedOrder(out_order_id=order.out_order_id, order_id=order_id)
