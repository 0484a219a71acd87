"""Club orders: created once, settled once, with their totals and their ledger row in the same transaction."""

from collections.abc import Callable
from typing import Any

import pytest

from settlement.errors import BadRequest, Busy, OrderAlreadySettled, OrderExists, OrderNotFound
from settlement.notifications import club_notification
from settlement.orders import Account, ClubOrder, ClubTerms, SettledClubOrder
from settlement.settling import Repeated
from settlement.store import DEADLINE_SECONDS

from .worlds import CLUB, NOW_MS, QUIET, Time, World, club_order

FULL = Account(2, "u-1", 2**63 - 1)


@pytest.mark.parametrize(
    "account", [None, Account(1, None, None), Account(None, "x", None), Account(None, None, 0), FULL]
)
@pytest.mark.parametrize("detail", ["", "中/\x00"])
def test_an_order_is_found_as_it_was_created(world: World, account: Account | None, detail: str) -> None:
    order = club_order("b#1/中", detail=detail, account=account, amt=-(10**12), jf_gid=2**63 - 1)
    assert world.store().create_club_order("club-a", order) is True
    assert world.store().find_club_order("club-a", order.bill_no) == order
    assert world.store().create_club_order("club-a", order) is False
    assert len(world.rows("SettlementTable")) == 1


def test_the_same_id_with_other_content_is_a_conflict_and_changes_nothing(world: World) -> None:
    world.store().create_club_order("club-a", club_order())
    before = world.everything()
    with pytest.raises(OrderExists, match=r"\Aamt: "):
        world.store().create_club_order("club-a", club_order(amt=1))
    assert world.everything() == before


def test_apps_do_not_see_each_others_orders_whatever_they_name_them(world: World) -> None:
    store = world.store()
    for app_id, bill_no in (("a", "b#c"), ("a", "b"), ("b", "b"), ("a-b", "c"), ("a", "#b")):
        assert store.create_club_order(app_id, club_order(bill_no, openid=f"{app_id}{bill_no}"))
    for app_id, bill_no in (("a", "b#c"), ("a", "b"), ("b", "b"), ("a-b", "c"), ("a", "#b")):
        found = store.find_club_order(app_id, bill_no)
        assert isinstance(found, ClubOrder)
        assert found.openid == f"{app_id}{bill_no}"
        assert found.bill_no == bill_no
    assert store.find_club_order("b", "b#c") is None
    assert store.find_club_order("a", "x") is None


def test_a_settlement_writes_the_order_its_buckets_and_its_ledger_row_in_one_transaction(world: World) -> None:
    store = world.store(shards=1)
    store.create_club_order("club-a", club_order(account=FULL))
    settled = store.settle_club_order(CLUB, "b-1", "o-1", None, 33)
    assert settled == SettledClubOrder(club_order(account=FULL), ClubTerms(33_000, 33), NOW_MS)
    assert store.find_club_order("club-a", "b-1") == settled
    assert world.meddled.count("transact_write_items") == 1
    assert world.meddled.count("update_item") == world.meddled.count("batch_write_item") == 0

    [row] = world.rows("SettlementTable")
    assert row["app_openid"] == {"S": "club-a#o-1"}
    assert row["app_openid_source"] == {"S": "club-a#o-1#5"}
    assert row["app_day"]["S"].rpartition("#")[0] == "club-a#2026-11-18"
    assert row["settle_time"] == {"N": str(NOW_MS)}
    assert "ttl" not in row
    assert "expires_at" not in row

    totals = {row.pop("bucket")["S"]: row for row in world.rows("TotalsTable")}
    names = {"y": "11", "m": "18", "d": "11"}
    assert totals == {
        f"{level}{source}#{'2026-11-18'[:length]}#0": {
            "app_openid": {"S": "club-a#o-1"},
            f"h{names[level]}": {"N": "33000"},
            f"n{names[level]}": {"N": "1"},
        }
        for level, length in (("y", 4), ("m", 7), ("d", 10))
        for source in ("", ".5")
    }

    [notification] = world.rows("NotificationTable")
    expected = club_notification("club-a", settled)
    assert notification["notify_id"] == {"S": expected.notify_id}
    assert notification["body"] == {"S": expected.body}
    assert notification["status"] == {"S": "pending"}


def test_an_app_without_a_url_gets_no_ledger_row(world: World) -> None:
    world.settle("b-1", NOW_MS)
    assert world.rows("NotificationTable") == []
    assert world.rows("TotalsTable") != []


def test_the_same_settlement_again_writes_nothing_and_does_not_move_its_time(world: World) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    before = world.everything()
    world.now_ms += 5000
    assert store.settle_club_order(CLUB, "b-1", "o-1", 0, 100) == Repeated()
    assert store.create_club_order("club-a", club_order()) is False
    assert world.everything() == before


@pytest.mark.parametrize(
    ("bill_no", "openid", "settle_amt", "ratio", "error"),
    [
        ("b-x", "o-1", None, None, OrderNotFound),
        ("b-1", "o-2", None, None, OrderNotFound),
        ("b-1", "o-1", -1, None, BadRequest),
        ("b-1", "o-1", 1000, None, BadRequest),
        ("b-1", "o-1", None, 50, OrderAlreadySettled),
        ("b-1", "o-1", 999, None, OrderAlreadySettled),
    ],
)
def test_a_refused_settlement_writes_nothing(
    world: World, bill_no: str, openid: str, settle_amt: int | None, ratio: int | None, error: type[Exception]
) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    before = world.everything()
    with pytest.raises(error):
        store.settle_club_order(CLUB, bill_no, openid, settle_amt, ratio)
    assert world.everything() == before


# ---------------------------------------------------------------------------------------------------------------- races


def test_a_lost_race_on_the_same_terms_is_a_repeat_and_counts_once(world: World) -> None:
    store = world.store(shards=1)
    store.create_club_order("club-a", club_order())
    world.meddled.before_first("transact_write_items", lambda: store.settle_club_order(CLUB, "b-1", "o-1", None, None))
    assert store.settle_club_order(CLUB, "b-1", "o-1", None, None) == Repeated()
    [everything] = [row for row in world.rows("TotalsTable") if row["bucket"]["S"].startswith("y#")]
    assert (everything["h11"], everything["n11"]) == ({"N": "100000"}, {"N": "1"})
    assert len(world.rows("NotificationTable")) == 1


def test_a_lost_race_on_other_terms_is_a_conflict_and_writes_nothing_more(world: World) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    seen: list[Any] = []

    def neighbour() -> None:
        store.settle_club_order(CLUB, "b-1", "o-1", 1, None)
        seen.append(world.everything())

    world.meddled.before_first("transact_write_items", neighbour)
    with pytest.raises(OrderAlreadySettled):
        store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    assert world.everything() == seen[0]


def test_a_transaction_on_an_order_that_is_gone_writes_none_of_its_parts(world: World) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    key = {"billno": {"S": "club#club-a#b-1"}}
    gone = lambda: world.client.delete_item(TableName=world.tables["SettlementTable"], Key=key)  # noqa: E731
    world.meddled.before_first("transact_write_items", gone)
    with pytest.raises(OrderNotFound):
        store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    assert world.everything() == [[], [], [], []]


def test_a_create_that_meets_its_own_settlement_decides_again(world: World) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    conflicts = [world.meddled.error("TransactionConflictException", "PutItem")]

    def conflict_once(real: Callable[..., Any], **arguments: Any) -> Any:
        if conflicts:
            raise conflicts.pop()
        return real(**arguments)

    world.meddled.instead_of("put_item", conflict_once)
    assert store.create_club_order("club-a", club_order()) is False
    assert world.meddled.count("put_item") == 3


PASSING = ["ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]


@pytest.mark.parametrize("code", PASSING)
def test_a_passing_conflict_with_a_neighbour_is_tried_again_with_growing_pauses(
    world: World, code: str, pauses: Time
) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    left = [world.meddled.cancelled("None", code, "None", "None", "None") for _ in range(6)]

    def conflict(real: Callable[..., Any], **arguments: Any) -> Any:
        if left:
            raise left.pop()
        return real(**arguments)

    world.meddled.instead_of("transact_write_items", conflict)
    assert isinstance(store.settle_club_order(CLUB, "b-1", "o-1", None, None), SettledClubOrder)
    assert world.meddled.count("get_item") == 7  # each try reads and decides again
    assert len(pauses.pauses) == 6
    assert all(0 <= pause <= 0.01 * 2**number for number, pause in enumerate(pauses.pauses))


def test_conflicts_that_outlast_the_deadline_are_busy_and_nothing_is_written(world: World, pauses: Time) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())
    before = world.everything()

    def conflict(_: Callable[..., Any], **__: Any) -> Any:
        raise world.meddled.cancelled("TransactionConflict", "None", "None", "None")

    world.meddled.instead_of("transact_write_items", conflict)
    with pytest.raises(Busy):
        store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    assert world.everything() == before
    assert pauses.now - 1000 == pytest.approx(DEADLINE_SECONDS)
    assert max(pauses.pauses) <= 0.5


@pytest.mark.parametrize("codes", [["ValidationError"], ["None", "ItemCollectionSizeLimitExceeded"], ["None"], []])
def test_a_reason_that_does_not_pass_is_our_own_fault_at_once(world: World, codes: list[str]) -> None:
    store = world.store()
    store.create_club_order("club-a", club_order())

    def refuse(_: Callable[..., Any], **__: Any) -> Any:
        raise world.meddled.cancelled(*codes)

    world.meddled.instead_of("transact_write_items", refuse)
    with pytest.raises(world.client.exceptions.TransactionCanceledException):
        store.settle_club_order(CLUB, "b-1", "o-1", None, None)
    assert world.meddled.count("transact_write_items") == 1


def test_a_quiet_apps_settlement_touches_seven_rows(world: World) -> None:
    world.settle("b-1", NOW_MS)
    [items] = [call["TransactItems"] for name, call in world.meddled.calls if name == "transact_write_items"]
    assert len(items) == 7
    assert QUIET.notify_url is None
