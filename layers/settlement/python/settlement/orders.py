"""What is known of an order: as it was created, and once it is settled, how.

Rows of SettlementTable as values; the store makes them, the rules decide on them. Settled facts never change.
"""

import hashlib
from typing import NamedTuple


class Account(NamedTuple):
    """The account that an order moves points for; at least one of the three is there."""

    type: int | None
    """1 user, 2 club."""
    id: str | None
    gid: int | None


class ClubOrder(NamedTuple):
    """A club's order as CreateClubJfOrder gave it."""

    bill_no: str
    openid: str
    amt: int
    """Whole points, not 0."""
    source: int
    jf_gid: int
    detail: str
    account: Account | None


class ClubTerms(NamedTuple):
    """What an order is settled for. Two settlements are the same when these are equal."""

    settle_hundredths: int
    amt_ratio: int


class SettledClubOrder(NamedTuple):
    """A settled club order: one entry of GetClubJfSettleList."""

    order: ClubOrder
    terms: ClubTerms
    settle_time_ms: int


class GameOrder(NamedTuple):
    """A merchant's order as create_order gave it."""

    out_order_id: str
    mg_id: str
    room_id: str
    cmd: str
    from_uid: str
    to_uid: str
    value: int
    out_group_id: str | None
    payload: str | None
    """JSON text of an object."""


class GameResult(NamedTuple):
    """What the game server reported of one order. Two reports are the same when these are equal."""

    match_id: str
    uid: str
    """"" for a robot."""
    is_ai: int
    score: int
    remain_score: int
    commission_score: int | None
    settle_at_seconds: int


class SettledGameOrder(NamedTuple):
    """A settled game order; its report, and where in the report it stood, rebuild the report's notification."""

    order: GameOrder
    result: GameResult
    notify_id: str
    position: int
    settle_time_ms: int


class ReportedOrder(NamedTuple):
    """A settled game order as the index by day has it: what was reported, without all that was ordered."""

    order_id: str
    out_order_id: str
    mg_id: str
    room_id: str
    result: GameResult
    notify_id: str
    """Of its report."""
    settle_time_ms: int


def game_order_id(app_id: str, out_order_id: str) -> str:
    """The order's id at Settlepoint: 128 bits of SHA-256 as 32 hex digits.

    A pure function of what the merchant knows: repeating create_order has it for free, a look-up by either id is one
    read. app_id has no line break, so no two pairs give the same text.
    """
    return hashlib.sha256(f"{app_id}\n{out_order_id}".encode()).hexdigest()[:32]
