"""POST /upbot/api/GetClubJfSettleList: one page of what an openid settled, newest first, and on the first the total."""

from settlement.clock import now_ms
from settlement.club_messages import ListSettlementsRequest, SettlementPage, settlement_entry
from settlement.cursor import Position, decode_cursor, encode_cursor
from settlement.door import Door
from settlement.endpoint import Call, club_endpoint
from settlement.points import points
from settlement.store import Store

door = Door("get_club_jf_settle_list")
store = Store.connect(door.settings)


@club_endpoint(door, ListSettlementsRequest, scope="settlements:read")
def handler(call: Call[ListSettlementsRequest]) -> SettlementPage:
    query = call.request.query(call.app_id)
    context = call.request.page_context
    after = decode_cursor(context, query, door.keyring.cursor_key) if context else None

    size = door.settings.page_size
    settled = store.settled_page(query, after, limit=size + 1)  # one more tells whether this page is the last
    shown, is_end = settled[:size], len(settled) <= size
    page = SettlementPage(settle_list=[settlement_entry(entry) for entry in shown], page_context="", is_end=is_end)
    if after is None:
        page["total_amt"] = points(store.total(query, now_ms()).hundredths)
    if not is_end:
        last = Position(shown[-1].settle_time_ms, shown[-1].order.bill_no)
        page["page_context"] = encode_cursor(last, query, *door.keyring.newest_cursor_key())
    call.facts["entries"] = len(shown)
    return page
