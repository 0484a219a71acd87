r"""Notifications: from a settlement to an id and the bytes that are sent. Pure: the same settlement, the same bytes.

Bodies are compact JSON in ASCII, `/` written `\/`, serialised once and stored: what is signed is what is sent, on every
attempt. Source: DESIGN section 4.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from settlement.ledger import Notification
from settlement.orders import SettledClubOrder, SettledGameOrder
from settlement.strictjson import dump_ascii

CLUB_SETTLED: Final = "upbot.club.jf.settle"
GAME_SETTLED: Final = "sud.mg.merchant.user.settle"
PING: Final = "settlepoint.ping"


def club_notification(app_id: str, settled: SettledClubOrder) -> Notification:
    """Tells the club of one settled order: the entry of GetClubJfSettleList, and its openid."""
    from settlement.club_messages import settlement_entry  # noqa: PLC0415  # only club doors pay for their models

    data = {"openid": settled.order.openid, **settlement_entry(settled)}
    notify_id = club_notify_id(app_id, settled.order.bill_no)
    return _notification(notify_id, app_id, CLUB_SETTLED, settled.settle_time_ms, data)


def club_notify_id(app_id: str, bill_no: str) -> str:
    """The id of a settled club order's notification."""
    return _notify_id(app_id, CLUB_SETTLED, bill_no)


def game_notify_id(app_id: str, order_ids: list[str]) -> str:
    """The id of a report's notification. An order is settled once, so its orders name the report, in any sequence."""
    return _notify_id(app_id, GAME_SETTLED, "\n".join(sorted(order_ids)))


def game_notification(app_id: str, settled_orders: Mapping[str, SettledGameOrder]) -> Notification:
    """Tells the merchant of one game report: its orders by order_id, in the report's sequence, at least one."""
    from settlement.game_messages import result_answer  # noqa: PLC0415  # only game doors pay for their models

    first = next(iter(settled_orders.values()))
    data = {
        "mg_id": first.order.mg_id,
        "room_id": first.order.room_id,
        "match_id": first.result.match_id,
        "results": [result_answer(order_id, settled) for order_id, settled in settled_orders.items()],
        "settle_at": str(first.result.settle_at_seconds),
    }
    notify_id = game_notify_id(app_id, list(settled_orders))
    return _notification(notify_id, app_id, GAME_SETTLED, first.settle_time_ms, data)


def ping(app_id: str, notify_id: str, time_ms: int) -> Notification:
    """A test: of nothing that happened, so its id is the caller's."""
    return _notification(notify_id, app_id, PING, time_ms, {"message": "ping"})


def _notify_id(app_id: str, event: str, settlement: str) -> str:
    # Neither app_id nor event has a line break: no two settlements give the same text.
    return hashlib.sha256(f"{app_id}\n{event}\n{settlement}".encode()).hexdigest()


def _notification(notify_id: str, app_id: str, event: str, time_ms: int, data: Mapping[str, object]) -> Notification:
    body = dump_ascii(
        {"notify_id": notify_id, "notify_time": str(time_ms), "app_id": app_id, "notify_event": event, "data": data}
    )
    return Notification(notify_id, app_id, event, time_ms, body)
