"""POST /v1/app/server/query_order: an order as create_order was given it, and whether it is settled."""

from settlement.door import Door
from settlement.endpoint import Call, game_endpoint
from settlement.game_messages import OrderAnswer, QueryRequest, order_answer
from settlement.orders import SettledGameOrder
from settlement.store import Store

door = Door("query_order")
store = Store.connect(door.settings)


@game_endpoint(door, QueryRequest, role="merchant")
def handler(call: Call[QueryRequest]) -> OrderAnswer:
    order_id = call.facts["order_id"] = call.request.order_id_for(call.app_id)
    match store.find_game_order(call.app_id, order_id):
        case SettledGameOrder(order=order):
            return order_answer(order_id, order, settled=True)
        case order:
            return order_answer(order_id, order, settled=False)
