"""Two callers at once, made to happen: another call commits between a function's read and its write."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from settlepoint_local.in_process import Broken, Reply, World
from settlepoint_local.situations import (
    BILL,
    CLUB,
    GAME,
    MERCHANT,
    ORDER,
    REPORT,
    ROBOT,
    THIS_BILL,
    WINNER,
)

from .answers import CLUB_DONE, GAME_DONE, check_fault


def settle(world: World, **terms: int) -> Reply:
    return world.call("set_club_jf_settle", {**THIS_BILL, **terms}, CLUB)


def totals(world: World, kind: str) -> list[int]:
    """Every total's hundredths (h) or count (n)."""
    return [value for row in world.rows("TotalsTable") for name, value in row.items() if name[0] == kind]


def report(world: World, **changes: Any) -> Reply:
    return world.call("settle_users", {**REPORT, **changes}, GAME)


def test_the_same_terms_at_once_are_one_write_and_two_successes(world: World) -> None:
    world.happen("create_club_order/creates")
    with world.once_before("dynamodb", "TransactWriteItems", lambda: settle(world, amt_ratio=25)):
        reply = settle(world, amt_ratio=25)

    assert reply.json == CLUB_DONE
    assert len(world.rows("NotificationTable")) == 1
    assert totals(world, "n") == [1] * 6


def test_other_terms_at_once_are_one_success_and_one_1004(world: World) -> None:
    world.happen("create_club_order/creates")
    with world.once_before("dynamodb", "TransactWriteItems", lambda: settle(world, amt_ratio=25)):
        reply = settle(world, amt_ratio=26)

    check_fault(reply, 1004, "bill_no:")
    [row] = world.rows("SettlementTable")
    assert row["settle_hundredths"] == 33_325
    assert totals(world, "h") == [33_325] * 6
    assert len(world.rows("NotificationTable")) == 1


def test_two_orders_created_at_once_under_one_number_have_one_winner(world: World) -> None:
    with world.once_before("dynamodb", "PutItem", lambda: world.call("create_club_order", {**BILL, "amt": 1}, CLUB)):
        check_fault(world.call("create_club_order", BILL, CLUB), 1005, "amt:")
    with world.once_before("dynamodb", "PutItem", lambda: world.call("create_order", {**ORDER, "value": 1}, MERCHANT)):
        check_fault(world.call("create_order", ORDER, MERCHANT), 70501, "value:")


def test_the_same_report_at_once_is_one_write_and_two_successes(world: World) -> None:
    world.happen("create_order/creates", "create_order/creates_without_optional_fields")
    with world.once_before("dynamodb", "TransactWriteItems", lambda: report(world)):
        reply = report(world)

    assert reply.json == GAME_DONE
    assert len(world.rows("NotificationTable")) == 1


def test_another_report_at_once_is_one_success_and_one_70505(world: World) -> None:
    world.happen("create_order/creates", "create_order/creates_without_optional_fields")
    with world.once_before("dynamodb", "TransactWriteItems", lambda: report(world, match_id="match-8")):
        reply = report(world)

    check_fault(reply, 70505, "order ")
    assert {row["result"]["match_id"] for row in world.rows("SettlementTable")} == {"match-8"}
    assert len(world.rows("NotificationTable")) == 1


def test_a_report_that_shares_one_order_at_once_settles_nothing(world: World) -> None:
    world.happen("create_order/creates", "create_order/creates_without_optional_fields")
    with world.once_before("dynamodb", "TransactWriteItems", lambda: report(world, results=[ROBOT])):
        check_fault(report(world, results=[WINNER, ROBOT]), 70505, "order 63c8")
    assert ["result" in row for row in world.rows("SettlementTable")].count(True) == 1


@pytest.mark.parametrize("missing", [0, 1])
def test_a_report_whose_orders_are_read_half_committed_reads_again(world: World, missing: int) -> None:
    """BatchGetItem is no snapshot: of the very report that is being committed it may show one order alone."""
    world.happen("create_order/creates", "create_order/creates_without_optional_fields", "settle_users/settles")
    reads: list[int] = []

    def half(answer: dict[str, Any]) -> None:
        reads.append(1)
        if len(reads) == 1:
            rows = sorted(answer["Responses"]["SettlementTable"], key=lambda row: row["out_order_id"]["S"])
            for name in ("result", "settle_time", "app_day"):
                del rows[missing][name]

    with world.changing("dynamodb", "BatchGetItem", half):
        reply = report(world)

    assert reply.json == GAME_DONE
    assert len(reads) == 2
    assert len(world.rows("NotificationTable")) == 1


def test_a_reply_that_was_lost_after_the_commit_is_success_on_repeat(world: World) -> None:
    world.happen("create_club_order/creates")

    def lose(_: dict[str, Any]) -> None:
        raise ReadTimeoutError(endpoint_url="dynamodb")

    with (
        world.changing("dynamodb", "TransactWriteItems", lose),
        pytest.raises(Broken, match="1500 and changed a table"),
    ):
        settle(world)
    assert settle(world).json == CLUB_DONE
    assert len(world.rows("NotificationTable")) == 1
