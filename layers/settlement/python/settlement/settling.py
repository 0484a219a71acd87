"""The rules of settling: pure decisions on what was read, before anything is written.

Stored state is checked in the contract's order; two faults at once always give the same answer:

    settle a club order     1003 unknown or another openid's -> 1001 impossible terms -> same terms: repeated -> 1004
    report game results     70503 unknown, another mg_id or room_id -> all settled alike: repeated -> 70505
    create                  no such id: create -> same content: repeated -> 1005 / 70501, naming the first difference

Source: DESIGN sections 2 and 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from settlement import strictjson
from settlement.errors import BadRequest, OrderAlreadySettled, OrderExists, OrderNotFound
from settlement.orders import ClubOrder, ClubTerms, GameOrder, GameResult, SettledClubOrder, SettledGameOrder
from settlement.points import HUNDREDTHS_PER_POINT

FULL_RATIO = 100


class Settle(NamedTuple):
    """Nobody settled the order yet: settle it on these terms."""

    order: ClubOrder
    terms: ClubTerms


class SettleGame(NamedTuple):
    """None of the report's orders is settled yet: settle all of them."""

    orders: Mapping[str, GameOrder]
    """By order_id, in the report's order."""


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """This very report is being committed while its orders are read one by one: the next read sees it whole."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """It is done already, with just this content: success, and nothing to write."""


def club_terms(amt: int, settle_amt: int | None, amt_ratio: int | None) -> ClubTerms:
    """The terms that a request means for an order of `amt` whole points.

    `settle_amt` wins over `amt_ratio` (0..100, percent); 0 or None means not given, neither the whole amount. One
    percent of a point is one hundredth, so every ratio is exact. Raises BadRequest where `settle_amt` has the other
    sign or is not strictly smaller than `amt` in magnitude.
    """
    if settle_amt:
        if (settle_amt > 0) != (amt > 0):
            raise BadRequest("settle_amt: must have the sign of the order's amt")
        if abs(settle_amt) >= abs(amt):
            raise BadRequest("settle_amt: must be smaller than the order's amt in magnitude")
        return ClubTerms(settle_amt * HUNDREDTHS_PER_POINT, FULL_RATIO)
    ratio = amt_ratio or FULL_RATIO
    return ClubTerms(amt * ratio, ratio)


def decide_club_settlement(
    found: ClubOrder | SettledClubOrder | None, openid: str, settle_amt: int | None, amt_ratio: int | None
) -> Settle | Repeated:
    """Whether the order that was found is to be settled.

    Raises OrderNotFound, BadRequest, OrderAlreadySettled, in this order.
    """
    order = found.order if isinstance(found, SettledClubOrder) else found
    if order is None or order.openid != openid:
        raise OrderNotFound("bill_no: no such order of this openid")
    terms = club_terms(order.amt, settle_amt, amt_ratio)
    if not isinstance(found, SettledClubOrder):
        return Settle(order, terms)
    if found.terms == terms:
        return Repeated()
    raise OrderAlreadySettled("bill_no: the order was settled on other terms")


def decide_game_report(
    results: Mapping[str, GameResult],
    found: Mapping[str, GameOrder | SettledGameOrder],
    mg_id: str,
    room_id: str,
    notify_id: str,
) -> SettleGame | Repeated | ReadAgain:
    """Whether the orders of a report (by order_id) are to be settled: all of them or none.

    `notify_id` is the report's own; a settled order carries that of the report that settled it. Raises OrderNotFound
    and OrderAlreadySettled, each naming the first such order of the report.
    """
    orders: dict[str, GameOrder] = {}
    for position, order_id in enumerate(results):
        state = found.get(order_id)
        order = state.order if isinstance(state, SettledGameOrder) else state
        if order is None or order.mg_id != mg_id or order.room_id != room_id:
            raise OrderNotFound(f"order {order_id}: no such order of this app, game and room (results.{position})")
        orders[order_id] = order
    settled = {order_id: state for order_id, state in found.items() if isinstance(state, SettledGameOrder)}
    if not settled:
        return SettleGame(orders)
    for position, (order_id, result) in enumerate(results.items()):
        if order_id in settled and settled[order_id].result != result:
            raise OrderAlreadySettled(f"order {order_id}: settled before with other figures (results.{position})")
    if len(settled) == len(results):
        return Repeated()
    if any(state.notify_id == notify_id for state in settled.values()):
        return ReadAgain()
    position, first = next((i, order_id) for i, order_id in enumerate(results) if order_id in settled)
    raise OrderAlreadySettled(f"order {first}: settled before by another report (results.{position})")


def check_same_club_order(stored: ClubOrder, asked: ClubOrder) -> None:
    """A repeated CreateClubJfOrder must be what the first was. Raises OrderExists naming the first difference."""
    for name in ("openid", "amt", "source", "jf_gid", "detail", "account"):
        if getattr(stored, name) != getattr(asked, name):
            raise OrderExists(f"{name}: differs from the existing order's")


def check_same_game_order(stored: GameOrder, asked: GameOrder) -> None:
    """A repeated create_order must be what the first was. Raises OrderExists naming the first difference.

    Payloads are compared by content: the order of names in an object does not matter.
    """
    for name in GameOrder._fields:
        before, now = getattr(stored, name), getattr(asked, name)
        if name == "payload" and before is not None and now is not None:
            before, now = strictjson.canonical(before), strictjson.canonical(now)
        if before != now:
            raise OrderExists(f"{name}: differs from the existing order's")
