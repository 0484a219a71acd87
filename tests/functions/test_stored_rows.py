"""What the doors leave in the tables, row by row."""

from typing import Any

import pytest
import simplejson

from settlepoint_local.in_process import World
from settlepoint_local.situations import BILL, CLUB, ORDER_ID, THIS_BILL, club_settlement, game_settlement

NOW_MS = 1795305600000
CREATED_ROW = {
    "billno": "club#club-a#bill-1001",
    "created_at": NOW_MS - 1000,
    "openid": "openid-of-li",
    "amt": 1333,
    "source": 5,
    "jf_gid": 7,
    "detail": "周末活动 1/2",
    "account": {"type": 2, "id": "club-9", "gid": 9},
}


def settled_row(settle_hundredths: int, amt_ratio: int, **order: Any) -> dict[str, Any]:
    row = {**CREATED_ROW, **order}
    account = f"club-a#{row['openid']}"
    return {
        **row,
        "settle_hundredths": settle_hundredths,
        "amt_ratio": amt_ratio,
        "settle_time": NOW_MS,
        "app_openid": account,
        "app_openid_source": f"{account}#{row['source']}",
        "app_day": "club-a#2026-11-22#6",
    }


@pytest.mark.parametrize(
    ("key", "settle_hundredths", "amt_ratio"),
    [
        ("settles_in_full", 133_300, 100),
        ("settles_in_part", 40_000, 100),
        ("settles_by_ratio", 33_325, 25),
        ("settles_by_amount_over_ratio", 40_000, 100),
        ("settles_with_zeros", 133_300, 100),
    ],
)
def test_a_settlement_is_one_row_its_buckets_and_its_notification(
    world: World, key: str, settle_hundredths: int, amt_ratio: int
) -> None:
    world.replay(f"set_club_jf_settle/{key}")

    assert world.rows("SettlementTable") == [settled_row(settle_hundredths, amt_ratio)]
    account = {"app_openid": "club-a#openid-of-li"}
    figures = {"y": ("h11", "n11"), "m": ("h22", "n22"), "d": ("h00", "n00")}
    assert {row.pop("bucket").rpartition("#")[0]: row for row in world.rows("TotalsTable")} == {
        f"{level}{source}#{'2026-11-22'[:length]}": account
        | {figures[level][0]: settle_hundredths, figures[level][1]: 1}
        for level, length in (("y", 4), ("m", 7), ("d", 10))
        for source in ("", ".5")
    }
    [notification] = world.rows("NotificationTable")
    assert simplejson.loads(notification["body"])["data"]["settle_time"] == NOW_MS


def test_buckets_are_named_by_utc_year_month_and_day(world: World) -> None:
    world.replay("set_club_jf_settle/settles_in_full")
    names = sorted(row["bucket"].rsplit("#", 1)[0] for row in world.rows("TotalsTable"))
    assert names == ["d#2026-11-22", "d.5#2026-11-22", "m#2026-11", "m.5#2026-11", "y#2026", "y.5#2026"]


def test_what_an_order_has_not_is_not_stored(world: World) -> None:
    world.replay("create_club_order/creates_without_account")
    [row] = world.rows("SettlementTable")
    assert "account" not in row
    world.call("create_club_order", {**BILL, "detail": "", "account": None, "bill_no": "bill-0"}, CLUB)
    assert "detail" not in world.rows("SettlementTable")[0]


def test_a_repeat_does_not_move_settle_time(world: World) -> None:
    world.replay("set_club_jf_settle/repeats")
    world.now_ms += 3_600_000
    world.call("set_club_jf_settle", THIS_BILL, CLUB)
    [row] = world.rows("SettlementTable")
    assert row["settle_time"] == NOW_MS - 1000
    assert len(world.rows("NotificationTable")) == 1


def test_an_app_without_notify_url_gets_no_notification(world: World) -> None:
    world.change_app("club-a", notify_url=None)
    world.replay("set_club_jf_settle/settles_in_full")
    assert world.rows("NotificationTable") == []
    assert world.rows("SettlementTable")[0]["settle_hundredths"] == 133_300


def test_a_report_is_one_row_an_order_and_one_notification(world: World) -> None:
    world.replay("settle_users/settles")

    rows = {row["billno"]: row for row in world.rows("SettlementTable")}
    [notification] = world.rows("NotificationTable")
    winner = rows[f"game#merchant-a#{ORDER_ID}"]
    assert winner["settle_time"] == NOW_MS
    assert winner["app_day"].startswith("merchant-a#2026-11-22#")
    assert winner["payload"] == '{"rate":1.10,"note":"礼物 1/2"}'
    assert winner["result"] == {
        "match_id": "match-7",
        "uid": "player-1",
        "is_ai": 0,
        "score": 120,
        "remain_score": 880,
        "commission_score": 6,
        "settle_at": 1795305590,
        "notify_id": notification["notify_id"],
        "position": 0,
    }
    robot = rows["game#merchant-a#63c8548e3c8f520b5b8fa3dc95b78fa8"]
    assert robot["result"].keys() == winner["result"].keys() - {"uid", "commission_score"}
    assert robot["result"]["position"] == 1
    assert world.rows("TotalsTable") == []


def test_the_event_files_notifications_are_those_that_settling_makes(world: World) -> None:
    world.prepare("deliver_notification/two_messages")
    rows = {row["app_id"]: row for row in world.rows("NotificationTable")}
    for expected in (club_settlement(world.scene), game_settlement(world.scene)):
        row = rows[expected.app_id]
        assert (row["notify_id"], row["body"]) == (expected.notify_id, expected.body)
        assert (row["notify_event"], row["notify_time"]) == (expected.event, expected.notify_time_ms)


def test_a_new_ledger_row_is_due_by_itself(world: World) -> None:
    world.replay("set_club_jf_settle/settles_in_full")
    [row] = world.rows("NotificationTable")
    assert row["status"] == "pending"
    assert row["attempt_count"] == 0
    assert row["next_attempt_at"] == NOW_MS
    assert row["due_at"] == NOW_MS + 60_000
    assert row["due_shard"] in "01234567"
    assert "expires_at" not in row


@pytest.mark.parametrize("key", ["set_club_jf_settle/settles_in_full", "settle_users/settles"])
def test_nothing_that_states_money_expires(world: World, key: str) -> None:
    world.replay(key)
    for row in [*world.rows("SettlementTable"), *world.rows("TotalsTable")]:
        assert "expires_at" not in row
