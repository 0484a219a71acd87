"""POST /v1/app/server/query_user_settle: what a player won or lost, and how much is left."""

from settlement.door import Door
from settlement.endpoint import Call, game_endpoint
from settlement.errors import OrderNotSettled
from settlement.game_messages import QueryRequest, UserSettleAnswer, user_settle_answer
from settlement.orders import SettledGameOrder
from settlement.store import Store

door = Door("query_user_settle")
store = Store.connect(door.settings)


@game_endpoint(door, QueryRequest, role="merchant")
def handler(call: Call[QueryRequest]) -> UserSettleAnswer:
    order_id = call.facts["order_id"] = call.request.order_id_for(call.app_id)
    order = store.find_game_order(call.app_id, order_id)
    if not isinstance(order, SettledGameOrder):
        raise OrderNotSettled(f"order {order_id}: not settled yet")
    return user_settle_answer(order_id, order)
