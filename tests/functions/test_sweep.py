"""Every minute: what was swallowed on the way is sent, and who holds something is looked after."""

import pytest
import simplejson

from settlement import clients
from settlement.breaker import Breaker
from settlement.ledger import Ledger
from settlepoint_local.in_process import World
from settlepoint_local.situations import SITUATIONS, club_settlement, game_settlement

from .notifying import (
    DAY,
    NOW_MS,
    Queue,
    counted,
    deliver,
    held,
    log_lines,
    metrics,
    release,
    row_of,
    settle,
    statuses,
    sweep,
)
from .receiver import Answer, Receiver


def test_the_sweep_sends_what_nothing_else_did(world: World) -> None:
    key = "requeue_notifications/every_minute"
    world.prepare(key)
    event = SITUATIONS[key].event(world.scene)
    club, game = club_settlement(world.scene), game_settlement(world.scene)

    for now_ms, sent in (
        (NOW_MS - 4000 + 59_999, []),
        (NOW_MS - 4000 + 60_000, [club]),
        (NOW_MS - 4000 + 60_001, []),
        (NOW_MS - 1000 + 60_000, [game]),
        (NOW_MS - 4000 + 120_000, [club]),
        (NOW_MS + 3_600_000, [club, game]),
    ):
        before = len(world.messages())
        world.now_ms = now_ms
        world.invoke("requeue_notifications", event)
        new = world.messages()[before:]
        assert sorted((message["body"]["notify_id"], message["group"]) for message in new) == sorted(
            (notification.notify_id, notification.app_id) for notification in sent
        )
        assert all(message["body"]["attempt"] == 1 and message["delay_seconds"] == 0 for message in new)


def test_the_sweep_says_how_late_the_oldest_is(world: World) -> None:
    world.prepare("requeue_notifications/every_minute")
    world.now_ms = NOW_MS + 600_000
    world.invoke("requeue_notifications", {})
    [metrics] = [line for line in world.log if "OldestOverdueSeconds" in line]
    assert simplejson.loads(metrics)["OldestOverdueSeconds"] == [604.0]


@pytest.mark.usefixtures("receiver")
def test_the_sweep_counts_what_waits_and_what_is_held_and_how_old_it_is(world: World) -> None:
    settle(world, 4)  # the last one now
    [delivered, disabled, *_] = [row["notify_id"] for row in world.rows("NotificationTable")]
    deliver(world, delivered)
    world.change_app("club-a", status="disabled")
    world.cold_start()
    deliver(world, disabled)
    world.now_ms += 20 * 60_000
    sweep(world)
    [said] = [line for line in metrics(world) if "OldestUndeliveredSeconds" in line]
    oldest_ms = min(
        row["notify_time"]
        for row in world.rows("NotificationTable")
        if row.get("status") != "delivered" and "notify_time" in row
    )
    assert (said["NotificationsWaitingNow"], said["NotificationsHeldNow"]) == ([2.0], [1.0])
    assert said["OldestUndeliveredSeconds"] == [(world.now_ms - oldest_ms) / 1000]
    [line] = log_lines(world, "swept")
    assert (line["waiting"], line["held"], line["counted_all"]) == (2, 1, True)
    assert line["undelivered_ms"] == world.now_ms - oldest_ms


def test_where_nothing_waits_the_sweep_says_nought(world: World) -> None:
    sweep(world)
    [said] = [line for line in metrics(world) if "OldestUndeliveredSeconds" in line]
    assert [said[name] for name in ("NotificationsWaitingNow", "NotificationsHeldNow", "OldestUndeliveredSeconds")] == [
        [0.0]
    ] * 3


def test_counting_ends_in_time_and_says_that_it_is_not_through(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(world, 2)
    monkeypatch.setattr(world.function("requeue_notifications"), "COUNT_UNTIL_MS", 0)
    sweep(world)
    assert log_lines(world, "swept")[-1]["counted_all"] is False


def test_what_was_delivered_is_not_swept(world: World, receiver: Receiver) -> None:
    world.replay("deliver_notification/two_messages")
    world.now_ms += 365 * DAY * 1000
    world.invoke("requeue_notifications", {})
    assert world.messages() == []
    assert len(receiver.requests) == 2


def test_a_whole_queue_that_was_lost_is_made_up_for(world: World, receiver: Receiver) -> None:
    notify_ids, queue = settle(world, 12), Queue(world)
    queue.lose()
    queue.play(240, sweeping=True)
    assert {request.notify_id for request in receiver.requests} == {*notify_ids}
    assert len(receiver.requests) == 12
    assert {*statuses(world).values()} == {"delivered"}


def test_an_app_that_holds_something_is_looked_after_each_minute_from_its_time_on(world: World) -> None:
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    assert ledger.change_breaker(Breaker("club-a"), Breaker("club-a").holding(NOW_MS, NOW_MS + 35_000))
    for now_ms, sent in (
        (NOW_MS + 34_999, []),
        (NOW_MS + 35_000, [release()]),
        (NOW_MS + 35_001, []),
        (NOW_MS + 95_000, [release()]),
    ):
        world.now_ms = now_ms
        sweep(world)
        assert [message["body"] for message in world.messages()] == sent
        assert all((message["group"], message["delay_seconds"]) == ("club-a", 0) for message in world.take_messages())
    assert log_lines(world, "swept")[-1]["oldest_ms"] == 0  # what is held waits for its receiver, not for us


def test_notifications_and_breakers_are_swept_together(world: World) -> None:
    ledger = Ledger(clients.dynamodb(), "NotificationTable")
    apps = [f"app-{number}" for number in range(12)]
    for app_id in apps:
        assert ledger.change_breaker(Breaker(app_id), Breaker(app_id).holding(NOW_MS, NOW_MS + 35_000))
    world.prepare("requeue_notifications/every_minute")
    world.now_ms = NOW_MS + 120_000
    sweep(world)
    sent = [message["body"] for message in world.messages()]
    assert sorted(message["release"] for message in sent if "release" in message) == sorted(apps)
    assert {message["notify_id"] for message in sent if "notify_id" in message} == {
        club_settlement(world.scene).notify_id,
        game_settlement(world.scene).notify_id,
    }
    assert (counted(world, "NotificationsRequeued"), len(sent)) == (2, 14)


def test_what_the_queue_does_not_take_the_next_minute_brings(world: World) -> None:
    world.prepare("requeue_notifications/every_minute")
    world.now_ms = NOW_MS + 60_000
    with world.failing("sqs", "SendMessageBatch"), pytest.raises(Exception, match="ClientError"):
        sweep(world)
    assert counted(world, "Faults") == 1
    world.now_ms += 60_000
    sweep(world)
    assert len(world.messages()) == 2


# ------------------------------------------------------------------------------------------------ a disabled app


def test_a_disabled_apps_notification_is_held_and_goes_out_when_it_is_enabled(world: World, receiver: Receiver) -> None:
    [notify_id], queue = settle(world, 1), Queue(world)
    world.change_app("club-a", notify_url=receiver.url, status="disabled")
    row = deliver(world, notify_id)
    assert (row["status"], row["attempt_count"], row["attempts"]) == ("held", 0, [])
    assert (row["due_shard"], row["due_at"]) == ("held#club-a", NOW_MS)
    assert "lease_until" not in row
    assert row_of(world, "breaker#club-a")["due_at"] == NOW_MS + 300_000
    assert counted(world, "NotificationsHeld") == 1

    queue.play(3600, sweeping=True)  # it is asked again every five minutes, and sent nothing
    looks = [line for line in log_lines(world, "release") if line["app_id"] == "club-a"]
    assert 9 <= len(looks) <= 12
    assert held(world) == {notify_id}

    world.change_app("club-a", notify_url=receiver.url)
    world.cold_start()
    queue.play(300 + 120, sweeping=True)
    assert [request.notify_id for request in receiver.requests] == [notify_id]
    assert row_of(world, notify_id)["attempt_count"] == 1


def test_what_was_held_days_ago_goes_out_and_nothing_of_it_expires(world: World, receiver: Receiver) -> None:
    notify_ids, queue = settle(world, 9), Queue(world)
    world.change_app("club-a", notify_url=receiver.url, status="disabled")
    for notify_id in notify_ids:
        assert "expires_at" not in deliver(world, notify_id)
    assert held(world) == {*notify_ids}
    queue.lose()
    world.now_ms += 5 * DAY * 1000
    world.change_app("club-a", notify_url=receiver.url)
    world.cold_start()
    queue.play(180, sweeping=True)
    sent = [request.notify_id for request in receiver.requests]
    assert sent[:2] == notify_ids[:2]  # the longest planned first
    assert {*sent[2:4]} == {*notify_ids[2:4]}
    assert sorted(sent) == sorted(notify_ids)


def test_a_disabled_apps_receiver_is_told_nothing_by_a_release_or_a_redelivery(
    world: World, receiver: Receiver
) -> None:
    [notify_id], queue = settle(world, 1), Queue(world)
    receiver.answer = Answer(404)
    deliver(world, notify_id)
    world.change_app("club-a", notify_url=receiver.url, status="disabled")
    world.cold_start()
    assert Ledger(clients.dynamodb(), "NotificationTable").redeliver(notify_id, "club-a", 1, world.now_ms, hold=False)
    queue.play(1200, sweeping=True)
    assert held(world) == {notify_id}
    assert len(receiver.requests) == 1
